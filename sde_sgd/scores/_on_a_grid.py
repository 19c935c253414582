"""The committor on a grid around a start, wide enough for the ways to the target and fit for the time that there is."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._numerics import bound, of_each
from ..chains import EulerMaruyama
from ..diffusions import AbstractDiffusion
from ..reference import FokkerPlanck, Grid
from ..regions import AbstractRegion
from ._committor import GridScore, committor, has_some

# cells per axis, in one dimension and two, of the score and of the first box; wider ones have more cells as large
_CELLS, _FIRST = {1: 400, 2: 96}, {1: 200, 2: 40}
_GROWTH, _BOXES, _MOST_BOXES = 1.5, 4, 6
_WIDENINGS = 60
# a wider box that changes log P by less, beside 1 % of it, shows no new way
_SAME = 0.2
# density at the edge of a box, outside the sets, over the highest in it, above which trajectories that settle leave it
_EDGE = 1e-3
# the mean of the exponential time doubles until P grows no faster than this with it
_LINEAR, _LIKELY, _DOUBLINGS = 2.2, 0.05, 60


def on_a_grid(chain: EulerMaruyama, start, target, avoid, horizon, settled) -> GridScore:
    """The committor of a chain's diffusion in one dimension or two; ValueError where it cannot be had.

    start, target, avoid, horizon, settled: as of `choose`.
    """
    if chain.changes_in_time:
        raise ValueError("the chain changes in time")
    forgets = horizon is None and (avoid is None or settled)
    boxes: list[_Box] = []
    half, cells = _first_half(start, target), _FIRST[chain.dim]
    while len(boxes) < _MOST_BOXES and _wide(boxes, _BOXES - 1) is None:
        try:
            solver = FokkerPlanck(chain.diffusion, _grid(start, half, cells))
            time = _memory(solver, start, target, avoid, chain.time_step) if forgets else horizon
            chance = solver.committor(target, avoid, start, killing=1 / time if time else 0.0)
            holds = not forgets or _holds(solver, target, avoid)
        except ValueError:
            # a wider box will not have coefficients that a narrower one has not
            if not boxes:
                raise
            break
        boxes.append(_Box(half, time, math.log(max(chance, 1e-300)), holds))
        half, cells = half * _GROWTH, round(cells * _GROWTH)
    last = _wide(boxes, min(len(boxes), _BOXES) - 1)
    if last is None:
        raise ValueError(f"trajectories that settle leave every box, up to {boxes[-1].half:.3g} from {start}")
    return _finest(chain.diffusion, start, target, avoid, [box for box in boxes[: last + 1] if box.holds])


class _Box(NamedTuple):
    """A box around the start. half: its half-width. time: within which the start is forgotten, or the horizon, if any.

    chance: log P in it. holds: whether trajectories that settle stay in it; where none settles, it does not matter.
    """

    half: float
    time: float | None
    chance: float
    holds: bool


def _confirmed(boxes: list[_Box]) -> int | None:
    """Index of the first of the boxes in which two wider ones show no likelier way."""
    for place in range(min(len(boxes), _BOXES) - 2):
        chances = [box.chance for box in boxes[place : place + 3]]
        if np.ptp(chances) <= _SAME - 0.01 * chances[0]:
            return place
    return None


def _wide(boxes: list[_Box], unconfirmed: int) -> int | None:
    """Index of the first of the boxes that holds, from the confirmed one on, or from `unconfirmed` where none is."""
    confirmed = _confirmed(boxes)
    first = unconfirmed if confirmed is None else confirmed
    return next((place for place in range(first, len(boxes)) if boxes[place].holds), None)


def _holds(solver: FokkerPlanck, target: AbstractRegion, avoid: AbstractRegion | None) -> bool:
    """Whether the stationary law is hardly at the edge of the box, outside the sets where a passage ends."""
    density = solver.stationary()
    points = jnp.asarray(np.stack(np.meshgrid(*solver.grid.centers, indexing="ij"), axis=-1).reshape(-1, density.ndim))
    for ends in (target, avoid):
        if ends is not None:
            within = np.asarray(bound(of_each("contains"), ends)(points)).reshape(density.shape)
            density = np.where(within, 0.0, density)
    inside = density[(slice(1, -1),) * density.ndim]
    edge = np.max(np.where(np.pad(np.zeros(inside.shape, bool), 1, constant_values=True), density, 0.0))
    return bool(edge <= _EDGE * density.max())


def _finest(diffusion: AbstractDiffusion, start, target, avoid, boxes: list[_Box]) -> GridScore:
    """The score in the widest box that has one."""
    why: Exception | None = None
    for box in boxes[::-1]:
        try:
            grid = _grid(start, box.half, _CELLS[len(start)])
            return committor(diffusion, target, grid, avoid=avoid, horizon=box.time)
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
