"""What the filters that erase have in common."""

from __future__ import annotations

from pathlib import Path

import pytest
import vapoursynth as vs

from vswipe.engine.picture import PictureFormat
from vswipe.engine.settings import Settings
from vswipe.filters._render import Renderer


def test_missing_weights_are_refused_when_the_filter_is_made(tmp_path: Path) -> None:
    settings = Settings(model="rnot", weights=str(tmp_path / "gone.safetensors"))
    with pytest.raises(vs.Error, match=r"^AutoSub: .*gone\.safetensors"):
        Renderer("AutoSub", PictureFormat(64, 48, "YUV", 8, False, 1, 1), 10, settings)
