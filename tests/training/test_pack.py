import json
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from vswipe.training import footage, pictures
from vswipe.training.codec import find_ffmpeg
from vswipe.training.composite import Mark
from vswipe.training.dataset import WindowPool, WindowShape, WindowStream, collate
from vswipe.training.losses import backward_warp
from vswipe.training.pack import PackSettings, write_pack
from vswipe.training.validation import make_validation

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A tiny data folder: talk-blue is a training clip, airfield a validation one."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "clips").mkdir()
    (folder / "images").mkdir()
    for name in ("talk-blue", "airfield"):
        frames = footage.NoiseFootage(len(name), side=128).clip(0)
        subprocess.run([find_ffmpeg(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", "128x128",
                        "-r", "25", "-i", "pipe:0", "-c:v", "libx264", "-crf", "10", "-threads", "1",
                        "-pix_fmt", "yuv420p", str(folder / "clips" / f"{name}.mp4")],
                       input=frames.tobytes(), check=True)  # fmt: skip
    for number in range(12):
        cv2.imwrite(str(folder / "images" / f"p{number}.jpg"), footage.NoiseFootage(number).picture(0))
    return folder


@pytest.fixture(scope="module")
def pack(data) -> Path:
    path = data / "train.pack"
    write_pack(path, PackSettings(clip_lines=96, marks=3), data)
    return path


def test_the_rule_for_pictures_does_not_move():
    names = [f"p{number}" for number in range(12)]
    assert [name for name in names if pictures.is_validation_picture(name)] == VALIDATION_PICTURES
    share = np.mean([pictures.is_validation_picture(f"picture-{k}") for k in range(2000)])
    assert 0.09 < share < 0.16


VALIDATION_PICTURES = ["p0"]


def test_pack_keeps_the_split(pack):
    for part in ("train", "validation"):
        packed = footage.PackFootage(pack, part)
        assert [entry["name"] for entry in packed.clips] == [{"train": "talk-blue", "validation": "airfield"}[part]]
        assert packed.num_pictures == {"train": 12 - len(VALIDATION_PICTURES),
                                       "validation": len(VALIDATION_PICTURES)}[part]  # fmt: skip
        frames = packed.clip(0)
        assert frames.shape == (16, 96, 96, 3)
        assert packed.picture(0).ndim == 3


def test_pack_holds_the_marks_and_the_pictures(pack, data, monkeypatch):
    monkeypatch.setenv("VSWIPE_DATA", str(data))
    packed, folder = (footage.open_footage("train", chosen) for chosen in (pack, None))
    bank = packed.bank(np.random.default_rng(0))
    assert {kind: len(marks) for kind, marks in bank.marks.items()} == {"text": 3, "logo": 3}
    assert isinstance(folder, footage.FolderFootage)
    near = np.abs(footage.FolderFootage("train", data).picture(0).astype(int)
                  - cv2.resize(packed.picture(0), (320, 320)).astype(int))  # fmt: skip
    assert near.mean() < 6


def test_marks_survive_png():
    rng = np.random.default_rng(0)
    mark = Mark(np.round(rng.random((5, 7, 4)) * 255).astype(np.float32) / 255)
    back = footage.decode_mark(np.frombuffer(footage.encode_mark(mark), np.uint8))
    assert np.abs(back - mark.pixels).max() < 1e-6


def test_a_file_that_is_no_pack(tmp_path):
    path = tmp_path / "x.pack"
    path.write_bytes(b"no")
    with pytest.raises(ValueError, match=r"PackFootage: x\.pack must be a file of scripts/pack_clips\.py"):
        footage.PackFootage(path, "train")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("index.json", json.dumps({}))
    with pytest.raises(ValueError, match="PackFootage"):
        footage.PackFootage(path, "train")


def test_no_footage(tmp_path, monkeypatch):
    monkeypatch.setenv("VSWIPE_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="open_footage: no train footage"):
        footage.open_footage("train")


def test_windows_from_a_pack(pack):
    shape = WindowShape(size=64, num_frames=3)
    stream = iter(WindowStream(footage.PackFootage(pack, "train"), shape, seed=3))
    windows = [next(stream) for _ in range(4)]
    for window in windows:
        outside = window.mask[..., None] == 0
        assert (np.where(outside, window.base, 0) == np.where(outside, window.drawn, 0)).all()
        assert window.mask.any()
    again = next(iter(WindowStream(footage.PackFootage(pack, "train"), shape, seed=3)))
    assert (again.drawn == windows[0].drawn).all()
    assert (again.base == windows[0].base).all()


def test_flips_turn_the_flow_along():
    source = footage.NoiseFootage(4, side=96)
    shape = WindowShape(size=64, num_frames=3, coded=0.0)
    stream = iter(WindowStream(source, shape, seed=1))
    window = next(w for w in stream if w.reliable.mean() > 0.5 and np.abs(w.flow).mean() > 0.3)
    for seed in range(6):
        batch = collate([window], np.random.default_rng(seed))
        later, flow = batch["truth"][:, 1:].flatten(0, 1), batch["flow"].flatten(0, 1)
        warped, inside = backward_warp(later, flow)
        weight = batch["reliable"].flatten(0, 1) * inside
        now = batch["truth"][:, :-1].flatten(0, 1)
        error = ((warped - now).abs() * weight).sum() / weight.sum()
        unmoved = ((later - now).abs() * weight).sum() / weight.sum()
        assert error < 0.5 * unmoved


def test_pool_shows_each_window_as_often_as_told():
    windows = list(range(100))
    made = iter(WindowStream(footage.NoiseFootage(side=80), WindowShape(size=64, num_frames=2, flow=False)))
    real = [next(made) for _ in range(8)]
    pool = WindowPool((real[k % 8] for k in windows), size=4, reuse=2, rng=np.random.default_rng(0))
    for _ in range(6):
        batch = pool.batch(4)
        assert batch["truth"].shape == (4, 2, 3, 64, 64)
    assert pool.seen == 4 + 12  # 24 shown, each window twice; the last four are not shown yet


def test_source_is_drawn_with_the_base_in_the_hole():
    window = next(iter(WindowStream(footage.NoiseFootage(side=80), WindowShape(size=64, num_frames=2))))
    batch = collate([window])
    inside = batch["mask"].expand_as(batch["source"]) > 0
    assert (batch["source"][inside] == batch["base"][inside]).all()
    assert (batch["source"][~inside] == batch["drawn"][~inside]).all()
    assert batch["truth"].min() >= 0
    assert batch["truth"].max() <= 1


def test_validation_windows_are_always_the_same():
    first, second = (make_validation(footage.NoiseFootage(1), each=2, size=64, num_frames=2) for _ in range(2))
    assert list(first.groups) == ["text", "logo", "text coded", "logo coded"]
    for name, windows in first.groups.items():
        for a, b in zip(windows, second.groups[name], strict=True):
            assert (a.drawn == b.drawn).all()
            assert (a.mask == b.mask).all()
    clean = first.groups["text"][0]
    kept = clean.mask == 0
    assert (clean.drawn[kept] == clean.clean[kept]).all()


def test_training_never_loads_vapoursynth():
    # Pillow is left out as well: a training machine may lack it.
    code = (
        "import sys\n"
        "sys.modules['vapoursynth'] = None; sys.modules['PIL'] = None\n"
        "import vswipe.training.command, vswipe.training.pack, vswipe.training.export\n"
        "from vswipe.training import footage, dataset\n"
        "print(sys.modules['vapoursynth'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "None"
