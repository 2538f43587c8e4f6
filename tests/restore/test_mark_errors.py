"""What is learnt about the errors of a division and of a fill: from residuals drawn by a known law."""

from __future__ import annotations

import numpy as np
import pytest

from vswipe.restore.mark_errors import ErrorLaw, learn_errors


def drawn(law: ErrorLaw, alpha: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Residuals (N, T), weights and opacities of half a mark, the other half unmarked."""
    rng = np.random.default_rng(seed)
    texture = np.exp(rng.uniform(np.log(0.01), np.log(100), (400, 60))).astype(np.float32)
    weight = 1 / (texture + 1)
    opacity = np.where(np.arange(400) < 200, alpha, 0).astype(np.float32)
    variance = law.coding(weight) + (1 - opacity[:, None]) ** 2 * law.fill * texture
    return rng.normal(0, np.sqrt(variance)), weight, opacity


@pytest.mark.parametrize("alpha", [0.3, 0.6])
@pytest.mark.parametrize("law", [ErrorLaw(0.3, 0.0, 2.0), ErrorLaw(0.2, 1.8, 1.5), ErrorLaw(1.0, 0.5, 3.5)])
def test_noise_and_fill_are_told_apart(law: ErrorLaw, alpha: float) -> None:
    found = learn_errors(*drawn(law, alpha))
    assert found.flat == pytest.approx(law.flat, abs=0.1 * law.flat + 0.1)
    assert found.textured == pytest.approx(law.textured, abs=0.3 * law.textured + 0.3)
    assert found.fill == pytest.approx(law.fill, rel=0.2)


def test_the_law() -> None:
    law = ErrorLaw(0.5, 2.0, 3.0)
    assert law.coding(1.0) == pytest.approx(0.5)
    assert law.coding(1 / 1.3) == pytest.approx(1.5)  # texture 0.3: half way
    assert law.coding(0.0) == pytest.approx(2.5)
    assert law.filling(np.array([1.0, 0.25])) == pytest.approx([0.1, 9.0])


def test_nothing_measured_is_bounded() -> None:
    found = learn_errors(np.zeros((30, 20)), np.full((30, 20), 0.5), np.full(30, 0.4, np.float32))
    assert found == ErrorLaw(0.08, 0.0, 0.7)


def test_one_sample_and_no_opacity() -> None:
    found = learn_errors(np.array([[2.0]]), np.array([[0.5]]), np.zeros(1, np.float32))
    assert np.isfinite([found.flat, found.textured, found.fill]).all()
