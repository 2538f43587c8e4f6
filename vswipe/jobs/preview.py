"""`vswipe preview`: a plan as one page of HTML that needs nothing beside it."""

from __future__ import annotations

import dataclasses
import html
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .child import run_child
from .graph import Marks
from .plan import Event, Plan
from .probe import probe
from .process import UserError, whole
from .report import Report
from .source import index_folder

WIDTH = 480  # pixels of a picture in the page
MOST = 60  # marks shown: each costs the rendering of a window around one frame


@dataclasses.dataclass(frozen=True)
class Still:
    """One frame: JPEG pictures in base 64.

    Args:
        n: its number.
        before, mask, after: pictures of one size.
    """

    n: int
    before: str
    mask: str
    after: str


def preview(source: Path, plan: Plan, target: Path, marks: Marks, report: Report, most: int = MOST) -> int:
    """Write the page; returns how many marks it shows with pictures.

    Args:
        source: the video.
        plan: its marks, with absolute paths (`Plan.located`).
        target: file to write.
        marks: only its options and `progressive` are read.
        most: marks with pictures; the others stand in the timeline only.

    Raises:
        UserError: anything the user can put right.
    """
    media = probe(source)
    shown = pick(plan.events, most)
    frames = sorted({middle(event) for event in shown})
    stills: dict[int, Still] = {}
    if frames:
        report.phase("drawing the preview", len(frames))
        with tempfile.TemporaryDirectory(prefix="vswipe-") as folder:
            path = Path(folder) / "plan.json"
            plan.save(path)
            wanted = Marks(plan=str(path), options=marks.options, progressive=marks.progressive)
            request = {
                "path": str(media.path),
                "track": media.video,
                "index": str(index_folder()),
                "marks": dataclasses.asdict(wanted),
                "frames": frames,
                "width": WIDTH,
            }
            for event in run_child("stills", request):
                if event["event"] == "still":
                    stills[event["n"]] = Still(event["n"], event["before"], event["mask"], event["after"])
                    report.advance()
    if len(stills) != len(frames):
        raise UserError(f"only {len(stills)} of {len(frames)} pictures could be drawn")
    with whole(target) as part:
        part.write_text(page(source.name, plan, shown, stills), encoding="utf-8")
    return len(shown)


def pick(events: Sequence[Event], most: int) -> list[Event]:
    """At most so many, evenly over the video."""
    if len(events) <= most:
        return list(events)
    return [events[len(events) * k // most] for k in range(most)]


def middle(event: Event) -> int:
    """The frame that shows a mark best: halfway, when it has faded in."""
    return (event.first + event.last) // 2


def draw_stills(clip: Any, cleaned: Any, mask: Any, frames: Sequence[int], width: int) -> Iterator[Still]:
    """In the worker: the pictures of some frames, at most `width` wide."""
    import base64
    import io

    import numpy as np
    import vapoursynth as vs
    from PIL import Image

    def rgb(given: Any) -> Any:
        known = given.format.color_family != vs.YUV or given.get_frame(0).props.get("_Matrix", 2) != 2
        # for looking at, an unknown matrix only has to be the same before and after
        return given.resize.Bicubic(format=vs.RGB24, **({} if known else {"matrix_in": 1}))

    def picture(given: Any, n: int) -> str:
        with given.get_frame(n) as frame:
            planes = [np.asarray(frame[plane]) for plane in range(frame.format.num_planes)]
            image = Image.fromarray(np.dstack(planes) if len(planes) == 3 else planes[0].copy())
        if image.width > width:
            image = image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)
        data = io.BytesIO()
        image.save(data, "jpeg", quality=88)
        return base64.b64encode(data.getvalue()).decode()

    before, after = rgb(clip), rgb(cleaned)
    for n in frames:
        yield Still(n, picture(before, n), picture(mask, n), picture(after, n))


def page(name: str, plan: Plan, shown: Sequence[Event], stills: dict[int, Still]) -> str:
    """The HTML.

    Args:
        name: of the video.
        plan: all marks.
        shown: those with pictures.
        stills: by frame number.
    """
    rate = plan.rate[0] / plan.rate[1] if plan.rate[1] else 25.0
    marks = [[event.kind, event.first, event.last] for event in plan.events]
    cards = "\n".join(_card(k, event, stills[middle(event)], rate) for k, event in enumerate(shown, 1))
    hidden = len(plan.events) - len(shown)
    more = f"<p>{hidden} more marks stand in the timeline only.</p>" if hidden else ""
    data = json.dumps({"marks": marks, "frames": plan.num_frames, "rate": rate})
    count = len(plan.events)
    head = f"{plan.width}x{plan.height}, {plan.num_frames} frames, {count} mark{'' if count == 1 else 's'}"
    return (
        TEMPLATE.replace("{{title}}", html.escape(name))
        .replace("{{head}}", html.escape(head))
        .replace("{{cards}}", cards + more)
        .replace("{{data}}", data.replace("<", "\\u003c"))
    )


def _card(k: int, event: Event, still: Still, rate: float) -> str:
    times = f"frames {event.first} to {event.last} ({event.first / rate:.2f} s to {(event.last + 1) / rate:.2f} s)"
    left, top, width, height = event.box
    about = f"{times}, box {left},{top},{width},{height}, confidence {event.confidence:.2f}"
    picture = '<img alt="{0}" class="{0}" src="data:image/jpeg;base64,{1}">'
    rows = [(word, getattr(still, word)) for word in ("before", "mask", "after")]
    figures = "".join(f"<figure>{picture.format(*row)}<figcaption>{row[0]}</figcaption></figure>" for row in rows)
    return (
        f'<section class="card" id="mark{k}" data-frame="{still.n}"><h2>{k}. {html.escape(event.kind)}</h2>'
        f"<p>{html.escape(about)}; frame {still.n} is shown</p><div class='row'>{figures}"
        f"<figure><div class='compare'>{picture.format(*rows[0])}{picture.format(*rows[2])}</div>"
        "<input type='range' min='0' max='100' value='50' aria-label='before to after'>"
        "<figcaption>slide: before | after</figcaption></figure></div></section>"
    )


TEMPLATE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{title}} - vswipe</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem auto; max-width: 100rem; padding: 0 1rem;
  background: #16181c; color: #e6e6e6; }
h1 { font-size: 1.3rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1rem; margin: 0 }
p { margin: .3rem 0; color: #a8adb5 }
.timeline { position: relative; height: 4.2rem; background: #22262d; border-radius: 4px; margin: 1rem 0; }
.timeline a { position: absolute; height: .8rem; min-width: 3px; border-radius: 2px; background: #4aa3ff; }
.timeline a.logo { background: #ffb04a } .timeline a.dynamic_logo { background: #ff6b6b }
.timeline a.mask { background: #66cc88 }
.timeline span { position: absolute; bottom: 0; font-size: .75rem; color: #a8adb5; }
.card { background: #1d2026; border-radius: 6px; padding: .8rem; margin: .8rem 0; }
.row { display: flex; flex-wrap: wrap; gap: .6rem } figure { margin: 0; flex: 1 1 15rem; min-width: 12rem }
img { display: block; width: 100%; border-radius: 3px } figcaption { color: #a8adb5; font-size: .8rem }
.compare { position: relative } .compare .after { position: absolute; inset: 0; clip-path: inset(0 0 0 50%); }
input { width: 100% }
</style></head><body>
<h1>{{title}}</h1><p>{{head}}</p>
<div class="timeline" id="timeline" title="all marks over time"></div>
{{cards}}
<script id="data" type="application/json">{{data}}</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const line = document.getElementById("timeline");
const rows = ["subtitle", "dynamic_logo", "mask", "logo"];
const cards = [...document.querySelectorAll(".card")];
for (const [kind, first, last] of data.marks) {
  const bar = document.createElement("a");
  bar.className = kind;
  bar.style.left = 100 * first / data.frames + "%";
  bar.style.width = 100 * (last + 1 - first) / data.frames + "%";
  bar.style.top = .2 + .85 * (rows.indexOf(kind) + 4) % 3.4 + "rem";
  bar.title = kind + ", frames " + first + " to " + last;
  const card = cards.find(card => card.dataset.frame >= first && card.dataset.frame <= last);
  if (card) bar.href = "#" + card.id;
  line.append(bar);
}
for (let k = 0; k <= 4; k++) {
  const label = document.createElement("span");
  label.textContent = (data.frames / data.rate * k / 4).toFixed(1) + " s";
  label.style.left = k < 4 ? 25 * k + "%" : "auto";
  if (k === 4) label.style.right = 0;
  line.append(label);
}
for (const card of cards) {
  const slider = card.querySelector("input"), after = card.querySelector(".compare .after");
  const move = () => { after.style.clipPath = "inset(0 0 0 " + slider.value + "%)"; };
  slider.addEventListener("input", move);
  move();
}
document.body.dataset.ready = data.marks.length;
</script></body></html>
"""
