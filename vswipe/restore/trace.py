"""Following the flow away from the frames to fill, in one direction, until another frame shows what they hide.

All targets of one call move together, one frame further at a time: the grids of their completions are followed through
composed steps, and what is found is compared with the frame's own surroundings. A hidden block is found where the first
frame shows it. Nothing a target finds depends on which targets are followed beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vswipe.ops.sampling import inside, warp
from vswipe.restore.cells import CLEAR, advance
from vswipe.restore.compare import Tuning, compare
from vswipe.restore.drift import drift
from vswipe.restore.search import Box, Finds, Look, OpenPoints, Search

COMPLETIONS = 2  # of the flow, that the engine follows: diffused and affine


@dataclass
class Window:
    """What tracing reads, frame by frame; everything on the coarse grid.

    Args:
        first: number of the first frame; index 0 of the lists.
        colour: (H, W, C) float32, 8-bit levels, mean of each cell's visible pixels.
        valid: (H, W, 1) float32, visible share of each cell.
        weighted: (H, W, C + 1) both together, the levels multiplied by the share.
        forward, backward: (K, H, W, 3) float32; for the pair (n, n + 1): flow in cells and round-trip error.
        linked: whether n and n + 1 belong to one shot.
    """

    first: int
    colour: Sequence[Tensor]
    valid: Sequence[Tensor]
    weighted: Sequence[Tensor]
    forward: Sequence[Tensor]
    backward: Sequence[Tensor]
    linked: Sequence[bool]

    @property
    def completions(self) -> int:
        """K. Without a pair nothing is followed, but a network must find as many candidates as ever."""
        return self.forward[0].shape[0] if self.forward else COMPLETIONS

    def cells(self, n: int) -> Tensor:
        """(H, W, C + 1) colour and visible share of frame n."""
        return torch.cat([self.colour[n - self.first], self.valid[n - self.first]], -1)

    def flow(self, n: int, direction: int) -> Tensor | None:
        """(K, H, W, 3) from frame n to the next in `direction`, or None where the shot or the window ends."""
        pair = n - self.first - (direction < 0)
        if not (0 <= pair < len(self.linked) and self.linked[pair]):
            return None
        return (self.forward if direction > 0 else self.backward)[pair]


def bounds(valid: Sequence[Tensor], tuning: Tuning) -> Box:
    """Part of the grid within reach of a comparison box around the holes of some frames.

    Boxes that are cut off at its border weigh differently: which frames these are must not depend on which are filled
    together.

    Args:
        valid: (H, W, 1) visible share of each cell, at least one frame.
    """
    hidden = torch.stack([v[..., 0] < 1 for v in valid]).any(0)
    rows, columns = hidden.any(1).nonzero().flatten(), hidden.any(0).nonzero().flatten()
    height, width = hidden.shape
    if rows.numel() == 0:
        return 0, height, 0, width
    margin = tuning.box // 2 + 2
    return (
        max(0, int(rows[0]) - margin),
        min(height, int(rows[-1]) + margin + 1),
        max(0, int(columns[0]) - margin),
        min(width, int(columns[-1]) + margin + 1),
    )


def trace(
    window: Window, searches: Sequence[Search], direction: int, radius: int, box: Box, tuning: Tuning
) -> list[Finds]:
    """What frames in one direction show of the searched blocks.

    Args:
        window: all frames within `radius` of the targets in this direction.
        searches: one per plane group that is followed.
        direction: 1 towards later frames, -1 towards earlier ones.
        radius: frames that may give pixels.
        box: part of the grid that is followed; see `bounds`.
        tuning: constants.

    Returns:
        One `Finds` per search. Each completion finds a block at most once.
    """
    tracer = _Tracer(window, searches, direction, box, tuning)
    for k in range(1, radius + 1):
        if not tracer.step(k):
            break
    return [points.finds() for points in tracer.points]


class _Tracer:
    """State of one direction. A slot is a target that is still followed; targets leave, the others close up."""

    def __init__(self, window: Window, searches: Sequence[Search], direction: int, box: Box, tuning: Tuning) -> None:
        self.window, self.direction, self.tuning = window, direction, tuning
        self.frames = [points.n for points in searches[0].targets]
        top, bottom, left, right = box
        shape = (bottom - top, right - left)
        here = [n - window.first for n in self.frames]
        self.own = torch.stack([window.cells(n)[top:bottom, left:right] for n in self.frames])
        self.device, num = self.own.device, len(here)
        self.completions = window.completions
        rows = torch.arange(top, bottom, device=self.device, dtype=torch.float32)
        columns = torch.arange(left, right, device=self.device, dtype=torch.float32)
        identity = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)
        self.slots = list(range(num))  # slot -> target
        self.position = identity.expand(num, self.completions, -1, -1, -1).clone()
        self.path = torch.zeros(num, self.completions, *shape, device=self.device)
        # Whether each cell was clear at a distance looked at so far.
        valid = self.own[:, None, ..., -1]
        self.hidden = 1 - valid
        self.seen = (valid > CLEAR).float().expand(-1, self.completions, -1, -1).clone()
        self.alike = torch.ones(num, dtype=torch.bool, device=self.device)
        self.facts = torch.zeros(num, self.completions, *shape, self.own.shape[-1] + 1, device=self.device)
        self.compared = [(0, 0)] * num  # by slot: at which distance, and how many completions
        self.points = [OpenPoints(search, box, self.completions, self.facts.shape[-1]) for search in searches]

    def step(self, k: int) -> bool:
        """Moves every target one frame on, and looks for copies where this distance is one to look at."""
        flows: list[Tensor] = []
        keep = []
        for slot, i in enumerate(self.slots):
            flow = self.window.flow(self.frames[i] + self.direction * (k - 1), self.direction)
            # The last few blocks are not worth as much as all the others were.
            if flow is not None and any(points.unresolved(i, self.tuning.leave) for points in self.points):
                flows.append(flow)
                keep.append(slot)
        if not keep:
            return False
        self._close_up(keep)
        visible, uncovered = self._advance(k, flows)
        looking = [s for s, gain in enumerate(uncovered) if k == 1 or gain > self.tuning.look]
        if not looking:
            return True
        drifted = []
        if self.tuning.register:
            drifted = [s for s in looking if k in self.tuning.register_at or uncovered[s] > self.tuning.event]
        clear = (visible > CLEAR).float()
        if len(looking) == len(self.slots):
            self.seen = torch.maximum(self.seen, clear)
        else:
            index = torch.tensor(looking, device=self.device)
            self.seen[index] = torch.maximum(self.seen[index], clear[index])
        alike = self.alike.tolist()
        self._look(drifted, k, True, alike)
        self._look([s for s in looking if s not in drifted], k, False, alike)
        self._take(looking, k, visible, alike)
        return True

    def _close_up(self, keep: list[int]) -> None:
        if len(keep) == len(self.slots):
            return
        self.slots = [self.slots[s] for s in keep]
        self.compared = [self.compared[s] for s in keep]
        index = torch.tensor(keep, device=self.device)
        for name in ("own", "position", "path", "hidden", "seen", "alike", "facts"):
            setattr(self, name, getattr(self, name)[index])

    def _sources(self, k: int) -> list[int]:
        """Index in the window of what each slot looks at."""
        return [self.frames[i] + self.direction * k - self.window.first for i in self.slots]

    def _advance(self, k: int, flows: Sequence[Tensor]) -> tuple[Tensor, list[float]]:
        """Moves every slot along its flow (K, H, W, 3).

        `alike` keeps the targets whose completions have led to the same places: they are looked at once.

        Returns:
            Visible share of what each cell sees at this distance (S, K, h, w), and by slot the share of the hole that
            it shows and no distance looked at before did. In motion that is some at every step; over a still picture it
            is nothing until the mark goes away, and comparing pictures on the way there would be work for nothing.
        """
        there = [self.window.valid[t] for t in self._sources(k)]
        if self.device.type != "cpu":
            return self._advance_tensors(flows, there)
        visible, gains, apart = torch.empty_like(self.path), [], []
        state = (self.hidden[:, 0], self.position, self.path, self.seen, visible)
        for slot, (flow, share) in enumerate(zip(flows, there, strict=True)):
            far, gain = advance(flow.numpy(), share.numpy(), *(x[slot].numpy() for x in state))
            gains.append(gain)
            apart.append(far < self.tuning.alike)
        self.alike &= torch.tensor(apart)
        return visible, gains

    def _advance_tensors(self, flows: Sequence[Tensor], there: Sequence[Tensor]) -> tuple[Tensor, list[float]]:
        """The same in torch, for devices that run no compiled loops."""
        moved = warp([f for flow in flows for f in flow], self.position.flatten(0, 1))
        moved = moved.view(*self.position.shape[:-1], 3)
        self.position += moved[..., :2]
        self.path += moved[..., 2]
        if self.completions > 1 and bool(self.alike.any()):
            apart = (self.position[:, 1:] - self.position[:, :1]).abs().amax((1, -1)) * (self.hidden[:, 0] > 0)
            self.alike &= apart.amax((1, 2)) < self.tuning.alike
        where = self.position.flatten(0, 1)
        visible = warp([t for t in there for _ in range(self.completions)], where)[..., 0] * inside(where, there[0])
        visible = visible.view(self.seen.shape)
        # A cell that shows half a stroke shows it at every distance: only what is clear as a whole is news.
        gain = (((visible > CLEAR).float() - self.seen).clamp(min=0) * self.hidden).sum((2, 3)).amax(1)
        return visible, (gain / self.hidden.sum((1, 2, 3)).clamp(min=1e-6)).tolist()

    def _look(self, looking: list[int], k: int, register: bool, alike: list[bool]) -> None:
        """Compares the given slots; with `register`, after correcting their drift."""
        # Far away the comparison of the frame before still holds: a little older, and half the work.
        late = k > self.tuning.compare_each and not register
        for num in sorted({1, self.completions}):
            slots = [s for s in looking if (1 if alike[s] else self.completions) == num]
            self._compare([s for s in slots if not (late and self.compared[s] == (k - 1, num))], k, register, num)

    def _compare(self, slots: list[int], k: int, register: bool, num: int) -> None:
        """Logit, gain and brightness shift of the first `num` completions of the given slots at distance k, into
        `facts`."""
        if not slots:
            return
        window, tuning = self.window, self.tuning
        index = torch.tensor(slots, device=self.device)
        whole = self._sources(k)
        there = [whole[s] for s in slots for _ in range(num)]
        own = [self.own[s] for s in slots for _ in range(num)]
        other = [window.weighted[t] for t in there]
        position = self.position[index, :num].flatten(0, 1)
        path = self.path[index, :num].flatten(0, 1)
        facts = compare(own, other, position, path, tuning)
        if register:
            rest = drift(own, other, position)
            again = compare(own, other, position + rest, path, tuning)
            better = again[..., :1] > facts[..., :1] + tuning.register_gain
            facts = torch.where(better, again, facts)
            # What was looked at once moves together.
            self.position[index] += (rest * better).view(len(slots), num, *position.shape[1:])
        self.facts[index, :num] = facts.view(len(slots), num, *facts.shape[1:])
        for s in slots:
            self.compared[s] = (k, num)

    def _take(self, looking: list[int], k: int, visible: Tensor, alike: list[bool]) -> None:
        """Closes what this distance shows."""
        for c in range(self.completions):
            those = [s for s in looking if c == 0 or not alike[s]]
            looks = [
                Look(
                    target=self.slots[s],
                    source=self.frames[self.slots[s]] + self.direction * k,
                    serves=alike[s],
                    visible=visible[s, c],
                    position=self.position[s, c],
                    facts=self.facts[s, c],
                )
                for s in those
            ]
            for points in self.points:
                points.take(c, looks)
