"""Marks that come, go and travel: learning a look, finding it, its mask, and candidates nobody showed."""

from __future__ import annotations

import cv2
import numpy as np

from vswipe.detect.dynamic_logo import RUN, RUNS, DynamicLogoDetector, Example
from vswipe.detect.mark_blind import Span
from vswipe.detect.mark_look import Planes, first_look, gradients, halved, learn
from vswipe.detect.mark_places import Bounds, decide
from vswipe.detect.mark_search import FAR_COARSE, Sighting, agreement, closely, find_places
from vswipe.detect.mark_shape import beside, extent, filled_out, shape_of, without
from vswipe.detect.mark_switches import showings
from vswipe.engine.ring import FrameRing

HEIGHT, WIDTH = 90, 160
SIZE = 22


def badge() -> tuple[np.ndarray, np.ndarray]:
    look, mask = np.zeros((SIZE, SIZE), np.float32), np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(mask, (11, 11), 9, 1, -1)
    cv2.circle(look, (11, 11), 9, 220, -1)
    cv2.rectangle(look, (7, 6), (12, 15), 30, -1)
    return look, mask


def picture(n: int, place: tuple[float, float] | None, alpha: float = 1.0) -> np.ndarray:
    """Luma of frame n: a texture that moves, and the badge."""
    ground = cv2.GaussianBlur(np.random.default_rng(5).uniform(0, 255, (HEIGHT, 700)).astype(np.float32), (0, 0), 2)
    luma = ground[:, 3 * n : 3 * n + WIDTH] * 1.5 - 60
    if place is not None:
        look, mask = badge()
        shift = np.array([[1, 0, place[0]], [0, 1, place[1]]], np.float32)
        cover = alpha * cv2.warpAffine(mask.astype(np.float32), shift, (WIDTH, HEIGHT))
        luma = luma * (1 - cover) + alpha * cv2.warpAffine(look * mask, shift, (WIDTH, HEIGHT))
    return np.clip(np.rint(luma), 0, 255)


def planes(n: int, place: tuple[float, float] | None, alpha: float = 1.0) -> Planes:
    luma = picture(n, place, alpha).astype(np.float32)
    return Planes(np.dstack([luma, np.zeros_like(luma), np.zeros_like(luma)]), gradients(luma))


def look_at(place: tuple[int, int], margin: int = 4) -> tuple[np.ndarray, int, int]:
    return cv2.copyMakeBorder(badge()[1], margin, margin, margin, margin, cv2.BORDER_CONSTANT), *(
        p - margin for p in place
    )


def test_a_look_is_found_to_a_fraction_of_a_pixel() -> None:
    mask, left, top = look_at((30, 20))
    look = first_look(planes(0, (30, 20)), mask, left, top)
    seen = [(planes(n, (30 + 9 * n, 20 + 4 * n)), left + 9.0 * n, top + 4.0 * n) for n in range(6)]
    look = learn(look, seen)
    best = find_places(planes(9, (77.4, 41.7)), look)[0]
    assert abs(best.left - (77.4 - 4)) < 0.2
    assert abs(best.top - (41.7 - 4)) < 0.2
    assert best.score > 0.55
    assert find_places(planes(9, None), look)[0].score < 0.45


def test_a_plain_mark_learnt_over_dark_ground_is_found_before_a_white_wall() -> None:
    """Every gradient of its outline is turned around there."""

    def scene(left: int, ground: float) -> Planes:
        noise = np.random.default_rng(left).normal(0, 1.5, (HEIGHT, WIDTH))
        luma = (ground + noise + 6 * np.sin(np.arange(WIDTH) / 9)).astype(np.float32)
        luma[30:46, left : left + 24] = 120
        return Planes(np.dstack([luma, np.zeros_like(luma), np.zeros_like(luma)]), gradients(luma))

    mask = np.zeros((24, 32), np.uint8)
    mask[4:20, 4:28] = 1
    look = first_look(scene(20, 40), mask, 16, 26)
    look = learn(look, [(scene(20 + 8 * n, 40), 16.0 + 8 * n, 26.0) for n in range(6)])
    best = find_places(scene(90, 215), look)[0]
    assert max(abs(best.left - 86), abs(best.top - 26)) < 0.6
    assert best.gradient < 0 < 0.7 < best.score
    empty = scene(90, 215)
    empty.levels[30:46, 90:114, 0] = empty.levels[10:26, 90:114, 0]
    assert find_places(Planes(empty.levels, gradients(empty.levels[..., 0])), look)[0].score < 0.5


def test_a_mark_over_the_border() -> None:
    mask, left, top = look_at((30, 20))
    look = first_look(planes(0, (30, 20)), mask, left, top)
    best = find_places(planes(3, (-6, 50)), look)[0]
    assert (round(best.left), round(best.top)) == (-10, 46)


def test_fades_and_gaps_are_decided_by_the_frames_around() -> None:
    def sighting(n: int, opacity: float) -> Sighting:
        return Sighting(10.0, 10.0, opacity, opacity, opacity, 0.9 if opacity > 0.15 else 0.0)

    shown = {n: 1.0 for n in range(10)} | {10: 0.45, 11: 0.3, 12: 0.02, 13: 0.0}
    found = {n: [sighting(n, opacity)] for n, opacity in shown.items()}
    places = decide(range(14), found, Bounds(0.6, 0.5), (20, 20), lambda n, x, y: sighting(n, shown[n]))
    assert [n for n in range(14) if places[n]] == list(range(12))


def test_places_are_averaged_where_the_mark_stands_still() -> None:
    rng = np.random.default_rng(0)
    found = {n: [Sighting(10 + rng.uniform(-0.2, 0.2), 5.0, 0.9, 0.9)] for n in range(20)}
    places = decide(range(4, 16), found, Bounds(0.5, 0.4), (20, 20), lambda n, x, y: found[n][0])
    lefts = [places[n][0].left for n in range(4, 16)]
    assert np.std(lefts) < 0.5 * np.std([found[n][0].left for n in range(4, 16)])


def test_the_mask_is_what_holds_and_is_off_elsewhere() -> None:
    places = [(n, 20.0 + 5 * n, 30.0) for n in range(10)]
    margin = 10
    seen = [(n, x - margin, y - margin) for n, x, y in places]
    size = SIZE + 2 * margin, SIZE + 2 * margin
    sides = beside(seen, (SIZE, SIZE), size, (HEIGHT, WIDTH))
    empty = without(seen, range(10), seen, (SIZE, SIZE))
    assert all(abs(x - seen[k][1]) >= SIZE for k, x, _ in empty)
    mask, firmness = shape_of(seen, empty, sides, lambda n: planes(n, places[n][1:]), size)
    true = np.zeros(size, np.uint8)
    true[margin:-margin, margin:-margin] = badge()[1]
    assert (mask & true).sum() / (mask | true).sum() > 0.75
    assert firmness > 15
    assert max(abs(a - b) for a, b in zip(extent(mask), extent(true), strict=True)) <= 2


def test_what_comes_and_goes_is_told_from_what_moves() -> None:
    shown = range(6, 14)
    moving = [planes(n, (60, 30) if n in shown else None) for n in range(20)]
    still = [planes(0, (60, 30) if n in shown else None) for n in range(20)]
    for clip in (moving, still):
        found = [s for s in showings(range(20), clip.__getitem__) if s.ends == 2]
        assert [(s.start, s.stop, s.bare) for s in found] == [(6, 14, (5, 14))]
        true = np.zeros((HEIGHT, WIDTH), np.uint8)
        true[30 : 30 + SIZE, 60 : 60 + SIZE] = badge()[1]
        own = np.zeros_like(true)
        h, w = found[0].mask.shape
        own[found[0].top : found[0].top + h, found[0].left : found[0].left + w] = found[0].mask
        assert (own & true).sum() / (own | true).sum() > 0.6
    empty = [planes(n, None) for n in range(20)]
    assert showings(range(20), empty.__getitem__) == []


def test_parts_that_stand_apart_are_shown_together() -> None:
    frames = []
    for n in range(20):
        luma = np.full((HEIGHT, WIDTH), 90.0, np.float32)
        if 5 <= n < 12:
            luma[20:40, 30:36] = luma[20:40, 40:46] = 200
        frames.append(Planes(np.dstack([luma, luma * 0, luma * 0]), gradients(luma)))
    found = showings(range(20), frames.__getitem__)
    assert [(s.start, s.stop, int(s.mask.sum())) for s in found] == [(5, 12, 240)]


def test_the_mask_is_filled_out_by_what_holds_and_is_off_next_to_it() -> None:
    places = [(n, 50.0, 20.0) for n in (0, 2, 4, 12, 14, 16, 24, 26, 28)]
    bare = [(n, 50.0, 20.0) for n in (5, 11, 17, 23, 29)]
    size = SIZE + 20, SIZE + 20
    true = np.zeros(size, np.uint8)
    true[10:-10, 10:-10] = badge()[1]
    half = true.copy()
    half[:, size[1] // 2 :] = 0
    frames = {n: planes(n, (60, 30)) for n, _, _ in places} | {n: planes(n, None) for n, _, _ in bare}
    made = filled_out(half, places, bare, frames.__getitem__)
    assert not (true & ~made).any()
    assert (made & true).sum() / (made | true).sum() > 0.75


def test_half_of_a_look_is_like_half_of_a_frame() -> None:
    """The coarse search: a mark on odd pixels, or with an odd side, was missed whole."""
    side = 31
    code = np.kron(np.random.default_rng(0).integers(0, 2, (11, 11)) * 200, np.ones((3, 3)))[:side, :side]

    def drawn(left: int, top: int) -> Planes:
        luma = picture(0, None).astype(np.float32)
        luma[top : top + side, left : left + side] = code
        return Planes(np.dstack([luma, luma * 0, luma * 0]), gradients(luma))

    mask = cv2.copyMakeBorder(np.ones((side, side), np.uint8), 4, 4, 4, 4, cv2.BORDER_CONSTANT)
    small = first_look(drawn(30, 20), mask, 26, 16).halved()

    def best(left: int, top: int) -> tuple[float, float]:
        y, x = (top - 4) // 2, (left - 4) // 2
        gradient, level = agreement(halved(drawn(left, top)), small, FAR_COARSE)
        return float(gradient[y : y + 2, x : x + 2].max()), float(level[y : y + 2, x : x + 2].max())

    assert min(best(100, 50)) > 0.97
    assert sum(best(101, 51)) > 1


def detector(length: int) -> DynamicLogoDetector:
    return DynamicLogoDetector(WIDTH, HEIGHT, "GRAY", 1.0, length, 0.5, FrameRing(64 << 20))


def masks_of(places: list[tuple[float, float] | None], example: Example | None) -> list[np.ndarray | None]:
    made = detector(len(places))
    frames = {n: made.reduce(n, [picture(n, place).astype(np.uint8)]) for n, place in enumerate(places)}
    made.learn({n: frames[n] for n in made.samples(example)}, example)
    return [mask for start in range(0, len(places), 16) for mask in made.block(start, frames)]


def test_a_blinking_mark_is_found_without_help() -> None:
    places: list[tuple[float, float] | None] = ([(110.0, 12.0)] * 8 + [None] * 6) * 3
    for place, mask in zip(places, masks_of(places, None), strict=True):
        assert (mask is not None) == (place is not None)
        if mask is not None:
            true = np.zeros((HEIGHT, WIDTH), np.uint8)
            true[12 : 12 + SIZE, 110 : 110 + SIZE] = badge()[1]
            assert not (true & ~mask).any()  # nothing of it is left
            assert (mask & true).sum() / (mask | true).sum() > 0.6


def test_a_clip_without_a_mark_is_left_alone() -> None:
    assert masks_of([None] * 36, None) == [None] * 36


def test_samples_are_bounded() -> None:
    assert len(detector(100_000).samples(None)) <= RUNS * RUN
    assert len(detector(100_000).samples(Example(77, np.ones((HEIGHT, WIDTH), np.uint8)))) <= 49
    assert detector(50).samples(None) == list(range(50))


def test_closely_moves_no_farther_than_it_may() -> None:
    mask, left, top = look_at((30, 20))
    look = first_look(planes(0, (30, 20)), mask, left, top)
    found = closely(planes(4, (60, 30)), look, 58.5, 24.5)
    assert (round(found.left), round(found.top)) == (56, 26) or found.score < 0.9


def test_beside_a_showing_that_ended_at_once_it_is_known_not_to_stand() -> None:
    span = Span(20, 30, 100.0, 8.0, came=False, went=True)
    assert [n for n in range(60) if span.ends_before(n, 102.0, 9.0, 12)] == list(range(30, 42))
    assert not span.ends_before(33, 160.0, 8.0, 12)  # elsewhere it may stand
    assert not Span(20, 30, 100.0, 8.0, came=False, went=False).ends_before(33, 100.0, 8.0, 12)
