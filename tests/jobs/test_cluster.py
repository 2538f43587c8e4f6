"""Segments rendered by two dask workers: the same frames as on one machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vswipe.jobs import cluster
from vswipe.jobs.segments import job_folder, segment_file

from .conftest import md5, num_frames

distributed = pytest.importorskip("distributed")


def test_two_workers(
    tmp_path: Path, film: Path, erase: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:  # one cluster for both: it takes seconds to start
    workers = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "memory_limit": 0}
    with distributed.LocalCluster(dashboard_address=None, **workers) as made:
        output, alone = film.with_name("film.clean.mkv"), film.with_name("alone.mkv")
        assert erase(film, "--segment", "8", "--dask", made.scheduler_address) == 0
        assert erase(film, "-o", alone, "--segment", "8") == 0
        assert md5(output) == md5(alone)
        assert num_frames(output) == 40
        assert not job_folder(output).exists()

        # the first attempt at one segment fails, on whichever worker
        folder = tmp_path / "job"
        folder.mkdir()
        monkeypatch.setattr(cluster, "render_segment", _fails_once)
        events = list(cluster.render_on(made.scheduler_address, folder, [[0, 8], [8, 16]], tmp_path))
        assert sorted(event["first"] for event in events if event["event"] == "segment") == [0, 8]
        assert (folder / "tried").is_file()


def _fails_once(folder: str, pair: list[int], index: str) -> dict[str, object]:
    mark = Path(folder) / "tried"
    if pair[0] == 8 and not mark.exists():
        mark.touch()
        raise RuntimeError("out of memory")
    segment_file(Path(folder), pair[0]).touch()
    return {"event": "segment", "first": pair[0], "frames": 8, "masked": 0}


def test_nobody_answers(
    film: Path, erase: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    assert erase(film, "--dask", "tcp://127.0.0.1:1") == 1
    assert "vswipe: --dask tcp://127.0.0.1:1: no scheduler answers there\n" in capsys.readouterr().err
