"""A plan: what was found in a video and will be erased, as a JSON file that people can read and change.

A line has its first and last frame, its box and a picture of its strokes. Deleting a line leaves it in the video;
changing `first` and `last` moves its ends (its nearest picture is held there); a smaller `box` cuts its picture off; a
line written by hand without `parts` is erased as the whole box.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .process import UserError, whole

VERSION = 1
KINDS = ("subtitle", "logo", "dynamic_logo", "mask")
Box = tuple[int, int, int, int]
Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Part:
    """A stretch of frames in which a mark looks the same.

    Args:
        first, last: frames, both included.
        box: left, top, width, height in pixels.
        png: the mask inside the box, white = erase: a PNG in base 64.
    """

    first: int
    last: int
    box: Box
    png: str


@dataclass(frozen=True)
class Event:
    """A mark from its appearing to its going away.

    Args:
        kind: one of KINDS.
        first, last: frames, both included.
        box: left, top, width, height in pixels; nothing outside is erased.
        confidence: 0 to 1, how far the frames agree on the mask.
        parts: in order of time; empty: the whole box.
        alpha: of a logo: its opacity, 0 to 1, None when not known.
        file: of a logo: what was estimated of it, for `core.wipe.AutoLogo`: a path from the plan's folder on; None when
            there is none and the logo is filled by its parts.
    """

    kind: str
    first: int
    last: int
    box: Box
    confidence: float = 1.0
    parts: tuple[Part, ...] = ()
    alpha: float | None = None
    file: str | None = None


@dataclass(frozen=True)
class Plan:
    """All marks of one video.

    Args:
        source: path of the video, as it was given.
        width, height, num_frames: of the video.
        rate: frames per second as a fraction, to show times.
        events: in order of their first frame.
    """

    source: str
    width: int
    height: int
    num_frames: int
    rate: tuple[int, int]
    events: tuple[Event, ...]

    def save(self, path: Path) -> None:
        """Write it: lines and logos apart, a box on one line of text."""
        lines = [_written(event, self.rate) for event in self.events if event.kind != "logo"]
        logos = [_written(event, self.rate) for event in self.events if event.kind == "logo"]
        head = {"vswipe_plan": VERSION, "source": self.source, "width": self.width, "height": self.height,
                "num_frames": self.num_frames, "rate": list(self.rate)}  # fmt: skip
        text = json.dumps({**head, "lines": lines, "logos": logos}, indent=1, ensure_ascii=False)
        text = re.sub(r"\[\s+(-?\d+(?:,\s+-?\d+)*)\s+\]", lambda match: f"[{' '.join(match[1].split())}]", text)
        with whole(path) as part:
            part.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read it.

        Raises:
            UserError: it is no plan, or an entry breaks its rule; the message names the entry.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"cannot read the plan {path}: {error.strerror}") from error
        except ValueError as error:
            raise UserError(f"{path}: is no plan: {error}") from error
        if not isinstance(values, dict) or values.get("vswipe_plan") != VERSION:
            raise UserError(f'{path}: is no plan of this version ("vswipe_plan": {VERSION})')
        try:
            size = (int(values["width"]), int(values["height"]))
            num_frames = int(values["num_frames"])
            rate = (int(values["rate"][0]), int(values["rate"][1]))
            entries = [(f"line {k}", entry) for k, entry in enumerate(values.get("lines", []), 1)]
            entries += [(f"logo {k}", {"kind": "logo", **entry}) for k, entry in enumerate(values.get("logos", []), 1)]
            events = [_read(entry, f"{path}: {where}", size, num_frames) for where, entry in entries]
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise UserError(f"{path}: is no plan: {type(error).__name__} {error}") from error
        events.sort(key=lambda event: (event.first, event.last, event.box))
        return cls(str(values["source"]), *size, num_frames, rate, tuple(events))

    @property
    def logo_files(self) -> list[str]:
        """The files of its logos, each once."""
        return list(dict.fromkeys(event.file for event in self.events if event.file))

    def located(self, path: Path) -> Plan:
        """The same with absolute paths of its logos' files.

        Args:
            path: of the plan.

        Raises:
            UserError: a file is not there.
        """
        events = []
        for event in self.events:
            if event.file:
                file = path.absolute().parent / event.file
                if not file.is_file():
                    raise UserError(
                        f"{path}: file of a logo must exist, got {event.file}; null fills it by its strokes"
                    )
                event = dataclasses.replace(event, file=str(file))
            events.append(event)
        return dataclasses.replace(self, events=tuple(events))

    def without_files(self) -> Plan:
        """What is left when the logos that have files are gone."""
        return dataclasses.replace(self, events=tuple(event for event in self.events if not event.file))

    def painter(self) -> Callable[[int], Mask | None]:
        """A function: frame number -> mask (height, width), 255 = erase, or None where there is nothing."""
        shape = (self.height, self.width)
        events = self.events

        def paint(n: int) -> Mask | None:
            shown = [event for event in events if event.first <= n <= event.last]
            if not shown:
                return None
            mask: Mask = np.zeros(shape, np.uint8)
            for event in shown:
                _draw(mask, event, n)
            return mask

        return paint


def _draw(mask: Mask, event: Event, n: int) -> None:
    inside = _slices(event.box)
    if not event.parts:
        mask[inside] = 255
        return
    part = next((part for part in event.parts if part.first <= n <= part.last), None)
    if part is None:  # an end that was moved, or a gap: what was last to be seen, else what comes
        before = [part for part in event.parts if part.last < n]
        part = before[-1] if before else event.parts[0]
    layer = np.zeros_like(mask)
    layer[_slices(part.box)] = read_png(part.png)
    mask[inside] = np.maximum(mask[inside], layer[inside])


def _slices(box: Box) -> tuple[slice, slice]:
    left, top, width, height = box
    return slice(top, top + height), slice(left, left + width)


def write_png(mask: Mask) -> str:
    """A mask as a PNG of one bit per pixel, in base 64."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(mask > 127).save(data, "png", optimize=True)
    return base64.b64encode(data.getvalue()).decode()


@lru_cache(maxsize=256)
def read_png(text: str) -> Mask:
    """The mask behind `write_png`: (height, width), 0 or 255."""
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(text)))
    return np.asarray(picture.convert("L"))


def _written(event: Event, rate: Sequence[int]) -> dict[str, Any]:
    values = {key: value for key, value in dataclasses.asdict(event).items() if key not in ("alpha", "file", "parts")}
    values["box"] = list(event.box)
    values["confidence"] = round(event.confidence, 3)
    values["shown"] = f"{_clock(event.first, rate)} to {_clock(event.last + 1, rate)}"  # for the reader only
    if event.kind == "logo":
        values = {"place" if key == "box" else key: value for key, value in values.items() if key != "kind"}
        values |= {"alpha": event.alpha, "file": event.file}
    values["parts"] = [{**dataclasses.asdict(part), "box": list(part.box)} for part in event.parts]
    return values


def _clock(n: int, rate: Sequence[int]) -> str:
    seconds = n * rate[1] / rate[0] if rate[0] else 0.0
    return f"{int(seconds // 3600)}:{int(seconds // 60 % 60):02}:{seconds % 60:06.3f}"


def _read(entry: Mapping[str, Any], where: str, size: tuple[int, int], num_frames: int) -> Event:
    parts = []
    for given in entry.get("parts") or ():
        box = _box(given["box"], f"{where}: box", size)
        mask = read_png(str(given["png"]))
        if mask.shape != (box[3], box[2]):
            raise UserError(f"{where}: png must have the size of its box, got {mask.shape[1]}x{mask.shape[0]}")
        parts.append(Part(int(given["first"]), int(given["last"]), box, str(given["png"])))
    first, last = int(entry["first"]), int(entry["last"])
    if not 0 <= first <= last < num_frames:
        raise UserError(f"{where}: first and last must lie inside 0-{num_frames - 1}, got {first}-{last}")
    kind = str(entry.get("kind", "subtitle"))
    if kind not in KINDS:
        raise UserError(f"{where}: kind must be one of {', '.join(KINDS)}, got {kind}")
    box = _box(entry["place"] if "place" in entry else entry["box"], f"{where}: box", size)
    alpha, file = entry.get("alpha"), entry.get("file")
    if not (file is None or isinstance(file, str)):
        raise UserError(f"{where}: file must be a path or null, got {file}")
    return Event(
        kind, first, last, box, float(entry.get("confidence", 1.0)), tuple(parts),
        None if alpha is None else float(alpha), file or None,
    )  # fmt: skip


def _box(values: Sequence[Any], where: str, size: tuple[int, int]) -> Box:
    left, top, width, height = (int(value) for value in values)
    if left < 0 or top < 0 or width < 1 or height < 1 or left + width > size[0] or top + height > size[1]:
        raise UserError(f"{where} must lie inside the {size[0]}x{size[1]} frame, got {left},{top},{width},{height}")
    return left, top, width, height
