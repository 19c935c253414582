"""The committor on a grid around a start, wide enough for the ways to the target and fit for the time that there is."""

import math

import numpy as np
from jaxtyping import Float

from ..chains import EulerMaruyama
from ..diffusions import AbstractDiffusion
from ..reference import FokkerPlanck, Grid
from ..regions import AbstractRegion
from ._committor import GridScore, committor, has_some

# cells per axis, in one dimension and two, of the score and of the first box; wider ones have more cells as large
_CELLS, _FIRST = {1: 400, 2: 96}, {1: 200, 2: 40}
_GROWTH, _BOXES = 1.5, 4
_WIDENINGS = 60
# a wider box that changes log P by less, beside 1 % of it, shows no new way
_SAME = 0.2
# the mean of the exponential time doubles until P grows no faster than this with it
_LINEAR, _LIKELY, _DOUBLINGS = 2.2, 0.05, 60


def on_a_grid(chain: EulerMaruyama, start, target, avoid, horizon, settled) -> GridScore:
    """The committor of a chain's diffusion in one dimension or two; ValueError where it cannot be had.

    start, target, avoid, horizon, settled: as of `choose`.
    """
    if chain.changes_in_time:
        raise ValueError("the chain changes in time")
    chances: list[float] = []
    boxes: list[tuple[float, float | None]] = []
    half, cells = _first_half(start, target), _FIRST[chain.dim]
    for _ in range(_BOXES):
        try:
            solver = FokkerPlanck(chain.diffusion, _grid(start, half, cells))
            forgets = horizon is None and (avoid is None or settled)
            time = _memory(solver, start, target, avoid, chain.time_step) if forgets else horizon
            chance = solver.committor(target, avoid, start, killing=1 / time if time else 0.0)
        except ValueError:
            # a wider box will not have coefficients that a narrower one has not
            if not boxes:
                raise
            break
        chances.append(math.log(max(chance, 1e-300)))
        boxes.append((half, time))
        if len(chances) > 2 and np.ptp(chances[-3:]) <= _SAME - 0.01 * chances[-3]:
            boxes = boxes[:-2]
            break
        half, cells = half * _GROWTH, round(cells * _GROWTH)
    return _finest(chain.diffusion, start, target, avoid, boxes)


def _finest(diffusion: AbstractDiffusion, start, target, avoid, boxes: list[tuple[float, float | None]]) -> GridScore:
    """The score in the widest box that has one."""
    why: Exception | None = None
    for half, time in boxes[::-1]:
        try:
            return committor(diffusion, target, _grid(start, half, _CELLS[len(start)]), avoid=avoid, horizon=time)
        except ValueError as error:
            why = error
    raise ValueError(str(why))


def _grid(start: Float[np.ndarray, " dim"], half: float, cells: int) -> list[tuple[float, float, int]]:
    return [(float(x - half), float(x + half), cells) for x in start]


def _first_half(start: Float[np.ndarray, " dim"], target: AbstractRegion) -> float:
    """Half-width of the least box around the start that has some of the target; ValueError where it is too far."""
    half = 1e-3 * (1 + float(np.abs(start).max()))
    for _ in range(_WIDENINGS):
        half *= _GROWTH
        if has_some(target, Grid.of(_grid(start, half, _FIRST[len(start)]))):
            return half
    raise ValueError(f"target must not lie further than {half:.3g} from {start}, got none of it so near")


def _memory(solver: FokkerPlanck, start, target, avoid, shortest: float) -> float:
    """A time after which the passage's chance grows in proportion to it, whatever went before."""

    def chance(time: float) -> float:
        return solver.committor(target, avoid, start, killing=1 / time)

    time = 8 * shortest
    now = chance(time)
    for _ in range(_DOUBLINGS):
        then = chance(2 * time)
        if now > _LIKELY or (now > 0 and then < _LINEAR * now):
            return time
        time, now = 2 * time, then
    return time
