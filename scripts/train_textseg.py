"""Train TextSeg on drawn subtitles.

    scripts/fetch_fonts.sh FOLDER; export VSWIPE_FONTS=FOLDER
    python scripts/train_textseg.py pool --pool POOL --clips 600     # draws and compresses clips, about 2 s each
    python scripts/train_textseg.py train --pool POOL --out RUN --minutes 40
    python scripts/train_textseg.py pool --pool POOL --first 2000 --clips 2200      # lines close to what they lie over
    python scripts/train_textseg.py pool --pool POOL --first 3000 --clips 3400      # those and drawn scenes
    python scripts/train_textseg.py train --pool POOL --out RUN2 --rate 1e-3 --start models/textseg_v1.safetensors
    python scripts/train_textseg.py export --out RUN --to models/textseg_v1.safetensors
    python scripts/train_textseg.py train --smoke                    # a minute on any machine with ../shared/data

Training reads whole compressed clips and takes crops of them, so that clip borders, short lines and the codec are what
they are in use. It begins as soon as the pool has some clips, takes in those that come later, and resumes from its last
checkpoint. Its clock counts the processor's time: neither a stopped process nor a busy machine changes the result.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vswipe.nets.textseg import MULTIPLE, RADIUS, TextSeg, describe, load_textseg
from vswipe.training.clips import find_clips
from vswipe.training.curve import panels
from vswipe.training.loop import autocast
from vswipe.training.textdata_pool import Pooled, load, photo_files, render

CROP = (160, 256)  # height, width: holds a line of any size, and a batch of 8 takes about 0.2 s on one core
BATCH = 8
RATE = 3e-3  # peak of AdamW's rate, cosine to 2 % of it over the planned processor time
WARM_UP = 100  # steps
CLIPS_AT_FIRST, CLIPS_HELD = 10, 48  # decoded clips that crops are taken from: 30 MB each
STEPS_PER_CLIP = 6  # steps until one of them is replaced; decoding costs as much as three steps
HARD_SHARE = 0.35  # of the crops lie where the network was most wrong when their clip came in
HARD_FRAMES = 3  # frames looked at for that
CHECKPOINT = 180  # seconds


@dataclass
class Batch:
    """Descriptions and labels of one step, as bytes."""

    luma: np.ndarray
    chroma: np.ndarray
    strokes: np.ndarray
    box: np.ndarray


class Sampler:
    """Crops from a slowly changing set of clips.

    Args:
        pool: folder with clips.
        rng: every choice comes from it.
        net: the network in training; asked where it is wrong, never changed.
    """

    def __init__(self, pool: Path, rng: np.random.Generator, net: TextSeg) -> None:
        self.pool = pool
        self.net = net
        self.rng = rng
        self.clips: list[Pooled] = []
        self.queue: list[Path] = []
        self.hard: list[list[tuple[int, int, int]]] = []
        self.batches = 0

    def refresh(self) -> None:
        """Replace the oldest clip."""
        if not self.queue:
            self.queue = sorted(self.pool.glob("p*.npz"))
            if not self.queue:
                raise FileNotFoundError(f"train_textseg: pool must hold clips, got none in {self.pool}")
            self.rng.shuffle(self.queue)
        clip = load(self.queue.pop())
        self.clips.append(clip)
        self.hard.append([place for _ in range(HARD_FRAMES) for place in self.hard_places(clip)])
        if len(self.clips) > CLIPS_HELD:
            self.clips.pop(0)
            self.hard.pop(0)

    def hard_places(self, clip: Pooled) -> list[tuple[int, int, int]]:
        """Frame, x and y of the two places of one frame where the network is most wrong; without a place, nothing."""
        num_frames, height, width = clip.planes[0].shape
        h, w = height // MULTIPLE * MULTIPLE, width // MULTIPLE * MULTIPLE
        n = int(self.rng.integers(num_frames))
        numbers = [min(max(n + d, 0), num_frames - 1) for d in range(-RADIUS, RADIUS + 1)]
        luma = describe([np.ascontiguousarray(clip.planes[0][k, :h, :w]) for k in numbers])
        chroma = np.stack([clip.planes[p][n, : h // 2, : w // 2] for p in (1, 2)])
        self.net.eval()
        with torch.inference_mode(), autocast(torch.device("cpu"), "bf16"):
            scaled = (torch.from_numpy(x)[None].float() / 255 for x in (luma, chroma))
            answer = self.net(*scaled)[0][0, 0].float().sigmoid().numpy()
        self.net.train()
        strokes = (clip.labels(n)[0][:h, :w] > 25).astype(np.uint8)
        grown = cv2.dilate(strokes, np.ones((5, 5), np.uint8)) > 0
        error = np.where(strokes > 0, 1 - answer, np.where(grown, 0, answer))
        error = cv2.blur((error > 0.4).astype(np.float32), (41, 21))
        places = []
        for _ in range(2):
            _, most, _, (x, y) = cv2.minMaxLoc(error)
            if most < 0.02:  # some 15 pixels
                break
            places.append((n, int(x), int(y)))
            error[max(y - 40, 0) : y + 40, max(x - 64, 0) : x + 64] = 0
        return places

    def batch(self) -> Batch:
        """The next batch."""
        while len(self.clips) < CLIPS_AT_FIRST:
            self.refresh()
        self.batches += 1
        if self.batches % (STEPS_PER_CLIP if len(self.clips) == CLIPS_HELD else 2) == 0:
            self.refresh()
        items = [self.crop(int(self.rng.integers(len(self.clips)))) for _ in range(BATCH)]
        return Batch(*(np.stack(parts) for parts in zip(*items, strict=True)))

    def crop(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """One crop of one frame: where the network was wrong, at a line, just before or after one, or anywhere."""
        rng, clip, hard = self.rng, self.clips[index], self.hard[index]
        num_frames, height, width = clip.planes[0].shape
        h, w = CROP
        n = int(rng.integers(num_frames))
        x = int(rng.integers(max(1, width - w + 1)))
        y = int(max(0, height - h) * (1 - rng.random() ** 1.6))  # more of the lower part
        if hard and rng.random() < HARD_SHARE:
            n, cx, cy = hard[int(rng.integers(len(hard)))]
            n = int(np.clip(n + rng.integers(-3, 4), 0, num_frames - 1))
            x = int(np.clip(cx - w * rng.uniform(0.2, 0.8), 0, max(0, width - w)))
            y = int(np.clip(cy - h * rng.uniform(0.2, 0.8), 0, max(0, height - h)))
        elif clip.lines and rng.random() < 0.65:
            line = clip.lines[int(rng.integers(len(clip.lines)))]
            shown = np.flatnonzero(line.opacity)
            if len(shown):
                n = int(rng.choice(shown))
                if rng.random() < 0.3:  # near its ends
                    edge = int(shown[0] if rng.random() < 0.5 else shown[-1])
                    n = int(np.clip(edge + rng.integers(-6, 7), 0, num_frames - 1))
                lh, lw = line.strokes.shape
                x = int(np.clip(rng.uniform(line.left - w / 2, line.left + lw - w / 2), 0, max(0, width - w)))
                y = int(np.clip(rng.uniform(line.top + lh / 2 - h, line.top + lh / 2), 0, max(0, height - h)))
        x, y = x // 2 * 2, y // 2 * 2
        numbers = [min(max(n + d, 0), num_frames - 1) for d in range(-RADIUS, RADIUS + 1)]
        rows, columns = slice(y, y + h), slice(x, x + w)
        half = slice(y // 2, (y + h) // 2), slice(x // 2, (x + w) // 2)
        window = [np.ascontiguousarray(_padded(clip.planes[0][k, rows, columns], h, w)) for k in numbers]
        chroma = np.stack([_padded(clip.planes[p][n][half], h // 2, w // 2) for p in (1, 2)])
        strokes, box = (_padded(label[rows, columns], h, w, 0) for label in clip.labels(n))
        if rng.random() < 0.5:
            # Brightness and contrast of the whole window.
            gain, offset = float(rng.uniform(0.75, 1.15)), float(rng.uniform(-12, 12))
            window = [cv2.convertScaleAbs(np.maximum(plane, 1), alpha=gain, beta=max(offset, 0)) for plane in window]
        luma = describe(window)
        if rng.random() < 0.4:
            chroma = chroma[::-1]
        if rng.random() < 0.25:
            chroma = 255 - chroma
        parts = [luma, chroma, strokes, box]
        if rng.random() < 0.5:
            parts = [part[..., ::-1] for part in parts]
        if rng.random() < 0.3:
            # Backwards in time: neighbours and runs change places.
            parts[0] = parts[0][[0, 2, 1, 3, 4, 5, 6, 8, 7]]
        return tuple(np.ascontiguousarray(part) for part in parts)  # type: ignore[return-value]


def _padded(part: np.ndarray, height: int, width: int, value: int | None = None) -> np.ndarray:
    bottom, right = height - part.shape[0], width - part.shape[1]
    if not bottom and not right:
        return part
    if value is None:
        return cv2.copyMakeBorder(part, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    return cv2.copyMakeBorder(part, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=value)


def loss_of(strokes: Tensor, box: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    """Cross entropy on the soft opacity, weighted where there is text, soft Dice, and the plate's."""
    truth = torch.from_numpy(batch.strokes).float()[:, None] / 255
    plate = F.avg_pool2d(torch.from_numpy(batch.box).float()[:, None] / 255, 2)
    inside = (truth > 0.05).float()
    # What lies within 2 px of a stroke counts as found by the measure: neither pull nor push there.
    rim = F.max_pool2d(inside, 3, 1, 1) - inside
    # Anything above a tenth of opacity is to be found: faint text is as present as opaque text.
    target = (truth / 0.35).clamp(max=1.0)
    each = F.binary_cross_entropy_with_logits(strokes, target, reduction="none")
    each = each * (1 + 3 * inside - 0.6 * rim)
    entropy = each.mean()
    p = strokes.sigmoid() * (1 - rim)
    dice = 1 - (2 * (p * target).sum() + 1) / (p.sum() + target.sum() + 1)
    behind = (plate / 0.5).clamp(max=1.0)
    # One line in seven has a plate: without weight they are missed rather than risked.
    plate_loss = (F.binary_cross_entropy_with_logits(box, behind, reduction="none") * (1 + 3 * behind)).mean()
    with torch.no_grad():
        found = (strokes > 0) & (rim == 0)
        hits = float((found & (inside > 0)).sum())
        about = {"recall": hits / max(float(inside.sum()), 1.0), "precision": hits / max(float(found.sum()), 1.0)}
    return entropy + 0.3 * dice + 0.5 * plate_loss, about


def train(pool: Path, out: Path, minutes: float, seed: int, peak: float = RATE, start: Path | None = None) -> None:
    """Until `minutes` of steps are done; resumes. A new run begins with the weights `start`, if given."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    net = (TextSeg() if start is None else load_textseg(start).train()).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), lr=peak, weight_decay=1e-4)
    settings = {"crop": CROP, "batch": BATCH, "rate": peak, "minutes": minutes, "seed": seed, "revision": _revision(),
                "start": start.name if start else ""}  # fmt: skip
    step, spent = 0, 0.0
    entries: list[dict[str, float]] = []
    latest = out / "latest.pt"
    if latest.is_file():
        state = torch.load(latest, weights_only=True)
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent, entries = state["step"], state["spent"], state.get("curve", [])
        print(f"resumed at step {step}, {spent / 60:.1f} min", flush=True)
    sampler = Sampler(pool, np.random.default_rng([seed, step]), net)
    saved, sums = time.perf_counter(), {"loss": 0.0, "recall": 0.0, "precision": 0.0}
    began = time.process_time()
    while spent < minutes * 60:
        share = spent / (minutes * 60)
        rate = peak * min(1.0, (step + 1) / WARM_UP) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        batch = sampler.batch()
        luma = (torch.from_numpy(batch.luma).float() / 255).contiguous(memory_format=torch.channels_last)
        chroma = torch.from_numpy(batch.chroma).float() / 255
        with autocast(torch.device("cpu"), "bf16"):
            strokes, box = net(luma, chroma)
        loss, about = loss_of(strokes.float(), box.float(), batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        step += 1
        spent += time.process_time() - began
        began = time.process_time()
        for key, value in {"loss": loss.item(), **about}.items():
            sums[key] += value / 100
        if step % 100 == 0:
            line = {"step": step, "minutes": round(spent / 60, 2), **{k: round(v, 4) for k, v in sums.items()}}
            entries.append(line)
            print(json.dumps(line), flush=True)
            sums = dict.fromkeys(sums, 0.0)
        if time.perf_counter() - saved > CHECKPOINT or spent >= minutes * 60:
            saved = time.perf_counter()
            state = {"net": net.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "spent": spent,
                     "settings": settings, "curve": entries}  # fmt: skip
            torch.save(state, out / "part.pt")
            (out / "part.pt").rename(latest)


def draw_pool(pool: Path, count: int, first: int) -> None:
    """Clips `first` to `count` - 1 of the pool that are not there yet."""
    cv2.setNumThreads(1)
    pool.mkdir(parents=True, exist_ok=True)
    clips, photos = find_clips("train"), photo_files("train")
    for index in range(first, count):
        if not (pool / f"p{index:05d}.npz").is_file():
            render(index, pool, clips, photos)


def export(out: Path, to: Path) -> None:
    """The weights in half precision."""
    from safetensors.torch import save_file

    state = torch.load(out / "latest.pt", weights_only=True)
    tensors = {k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in state["net"].items()
               if not k.endswith("num_batches_tracked")}  # fmt: skip
    about = {"format": "vswipe", "version": "1", "name": "textseg", "step": str(state["step"]),
             "settings": json.dumps(state["settings"])}  # fmt: skip
    save_file(tensors, to, metadata=about)
    write_curve(state.get("curve", []), to)
    print(f"{to}: step {state['step']}, {state['spent'] / 60:.1f} min")


def write_curve(entries: list[dict[str, float]], weights: Path) -> None:
    """`NAME_curve.json` and `NAME_curve.png` beside the weights."""
    stem = weights.with_suffix("")
    Path(f"{stem}_curve.json").write_text(json.dumps({"entries": entries}, indent=1) + "\n")

    def points(key: str) -> list[tuple[float, float]]:
        """Means over five entries: single crops differ more than minutes of training."""
        groups = [entries[i : i + 5] for i in range(0, len(entries), 5)]
        return [(g[-1]["minutes"], sum(e[key] for e in g) / len(g)) for g in groups]

    plots = {"loss, mean of 500 steps": {"loss": points("loss")},
             "pixels of training crops": {"recall": points("recall"), "precision": points("precision")}}  # fmt: skip
    cv2.imwrite(f"{stem}_curve.png", panels(plots))


def _revision() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["pool", "train", "export"])
    parser.add_argument("--pool", type=Path, default=Path("runs/textseg/pool"))
    parser.add_argument("--out", type=Path, default=Path("runs/textseg/run"))
    parser.add_argument("--to", type=Path, default=Path("models/textseg_v1.safetensors"))
    parser.add_argument("--clips", type=int, default=600)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=40.0, help="of one core")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=RATE, help="largest learning rate")
    parser.add_argument("--start", type=Path, help="weights that a new run begins with")
    parser.add_argument("--smoke", action="store_true", help="a few clips and steps, to see that everything runs")
    given = parser.parse_args()
    if given.smoke:
        draw_pool(given.pool, 4, 0)
        train(given.pool, given.out, 0.2, given.seed)
    elif given.what == "pool":
        draw_pool(given.pool, given.clips, given.first)
    elif given.what == "train":
        train(given.pool, given.out, given.minutes, given.seed, given.rate, given.start)
    else:
        export(given.out, given.to)


if __name__ == "__main__":
    main()
