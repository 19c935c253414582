"""A score chosen for the passage that is asked for."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from ..chains import AbstractChain, EulerMaruyama
from ..diffusions import AbstractDiffusion
from ..reference import FokkerPlanck, Grid
from ..regions import AbstractRegion
from ._committor import GridScore, committor, has_some
from ._path import PathScore, path

# cells per axis, in one dimension and two, of the score and of the first box; wider ones have more cells as large
_CELLS, _FIRST = {1: 400, 2: 96}, {1: 200, 2: 40}
_GROWTH, _BOXES = 1.5, 4
_WIDENINGS = 60
# a wider box that changes log P by less, beside 1 % of it, shows no new way
_SAME = 0.2
# the mean of the exponential time doubles until P grows no faster than this with it
_LINEAR, _LIKELY, _DOUBLINGS = 2.2, 0.05, 60
# a dense Hessian
_MOST_COMPONENTS = 300


def automatic(
    chain: AbstractChain,
    start: Any,
    target: AbstractRegion,
    *,
    avoid: AbstractRegion | None = None,
    horizon: float | None = None,
    settled: bool = False,
) -> GridScore | PathScore | None:
    """The best score there is a way to for this passage: `committor`, else `path`, else None, the default.

    chain, start, target, avoid, horizon: those of the passage that is asked for; start (dim,), horizon in SDE time.
    settled: of trajectories that have settled, whose rate is asked for, although there is a set to avoid.

    In one and two dimensions: the `committor` of an EulerMaruyama chain's diffusion, which sees every way to the target
    within a box around the start. The box grows until two wider ones, by half each, show no likelier way: one that
    leads further away is not seen. With neither horizon nor `avoid`, and where `settled` is asked for, the exponential
    time is the shortest within which the start is forgotten. It takes a second or two.
    In more dimensions, up to 300, where the chain has a landscape: the `path` from the minimum below `start` to the one
    below a near point of the target. It sees one way only.
    Else, and where these cannot be had (coefficients that depend on time, no noise somewhere, a target in the basin of
    the start or all round it, a way that is not found), None: the target's own level function serves.
    """
    point = np.asarray(start, np.float64).reshape(-1)
    try:
        if chain.dim <= 2 and isinstance(chain, EulerMaruyama):
            return None if chain.changes_in_time else _on_a_grid(chain, point, target, avoid, horizon, settled)
        if chain.landscape is not None and chain.dim <= _MOST_COMPONENTS:
            return path(chain.landscape, point, _nearest(target, point))
    except ValueError:
        pass
    return None


def _on_a_grid(chain: EulerMaruyama, start, target, avoid, horizon, settled) -> GridScore | None:
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
            break
        chances.append(math.log(max(chance, 1e-300)))
        boxes.append((half, time))
        if len(chances) > 2 and np.ptp(chances[-3:]) <= _SAME - 0.01 * chances[-3]:
            boxes = boxes[:-2]
            break
        half, cells = half * _GROWTH, round(cells * _GROWTH)
    return _finest(chain.diffusion, start, target, avoid, boxes)


def _finest(
    diffusion: AbstractDiffusion, start, target, avoid, boxes: list[tuple[float, float | None]]
) -> GridScore | None:
    """The score in the widest box that has one."""
    for half, time in boxes[::-1]:
        try:
            return committor(diffusion, target, _grid(start, half, _CELLS[len(start)]), avoid=avoid, horizon=time)
        except ValueError:
            continue
    return None


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


def _nearest(target: AbstractRegion, start: Float[np.ndarray, " dim"]) -> Float[np.ndarray, " dim"]:
    """A point of the target, downhill in its level function; ValueError where none is found or the target is all round.

    A path to one side would then leave the other sides unseen.
    """
    with jax.enable_x64(True):
        level = jax.jit(jax.value_and_grad(target.level))

        def inside(x) -> bool:
            return bool(np.all(np.isfinite(x)) and level(jnp.asarray(x))[0] < 0)

        def stop(intermediate_result) -> None:
            if inside(intermediate_result.x):
                raise StopIteration

        found = minimize(
            lambda x: tuple(map(np.asarray, level(jnp.asarray(x)))), start, jac=True, method="L-BFGS-B", callback=stop
        ).x
        if not inside(found):
            raise ValueError(f"target must have a point downhill in its level function from {start}, found none")
        if any(inside(start - far * (found - start)) for far in (1, 2, 4, 8)):
            raise ValueError(f"target must lie to one side of {start}, got one that is opposite {found} too")
    return found
