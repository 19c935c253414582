"""A score chosen for the passage that is asked for, and why it is that one."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from .._numerics import bound, of_each, with_slope
from ..chains import AbstractChain, EulerMaruyama
from ..landscapes import AbstractLandscape, Way, explore
from ..landscapes._affordable import affordable_climbs, check_twice_differentiable
from ..regions import AbstractRegion
from ._committor import GridScore
from ._on_a_grid import on_a_grid
from ._path import PathScore, path
from ._uphill import entrance_below
from ._ways import WaysScore, ways

# a dense Hessian
_MOST_COMPONENTS = 300
# ways whose barrier is more than so many times the lowest one's are no ways that matter
_TOO_HIGH = 2.0
# of the shortest way: each costs time in every step, and in its compilation
_IMAGES = 11
# distances from the start at which the line is looked at, each so many times the last
_LOOKS, _FARTHER = 800, 1.02


class Choice(NamedTuple):
    """A score that was chosen. score: None where it is the target's own level function. reason: why, in words."""

    score: GridScore | WaysScore | PathScore | None
    reason: str


def automatic(
    chain: AbstractChain,
    start: Any,
    target: AbstractRegion,
    *,
    avoid: AbstractRegion | None = None,
    horizon: float | None = None,
    settled: bool = False,
) -> GridScore | WaysScore | PathScore | None:
    """The score of `choose` without its reason: `committor`, else `ways`, else `path`, else None, the level function.

    chain, start, target, avoid, horizon, settled: as there; start (dim,), horizon in SDE time.
    Source: as of `choose`.
    """
    return choose(chain, start, target, avoid=avoid, horizon=horizon, settled=settled).score


def choose(
    chain: AbstractChain,
    start: Any,
    target: AbstractRegion,
    *,
    avoid: AbstractRegion | None = None,
    horizon: float | None = None,
    settled: bool = False,
    plain: bool = False,
) -> Choice:
    """The best score there is a way to for this passage, and why: `committor`, else `ways`, else `path`, else none.

    chain, start, target, avoid, horizon: those of the passage that is asked for; start (dim,), horizon in SDE time.
    settled: of trajectories that have settled, whose rate is asked for, although there is a set to avoid.
    plain: leave it at the target's level function where it orders states as any good score does: on the line, where it
        rises from the far side of the start up to a target that lies on one side alone.

    In one and two dimensions: the `committor` of an EulerMaruyama chain's diffusion, which sees every way to the target
    within a box around the start. The box grows until two wider ones, by half each, show no likelier way: one that
    leads further away is not seen. With neither horizon nor `avoid`, and where `settled` is asked for, it also grows
    until the stationary law is hardly at its edge, and the exponential time is the shortest within which the start is
    forgotten. It takes a second or two.
    Else, up to 300 components, where the chain has a landscape: the `ways` over saddles that `landscapes.explore` finds
    with 512 climbs, up to twice the lowest one's barrier, and clear of `avoid`. It takes some seconds with compilation,
    fewer climbs where Hessians are dear, and none where 32 would take more than about 1e11 operations.
    Where no such way is found: the `path` from the minimum below `start` to the one below a near point of the target.
    It sees one way only.
    Else, and where these cannot be had (coefficients that depend on time, no noise somewhere, a target in the basin of
    the start or all round it), none: the target's own level function serves. The reason then says what was in the way.

    Source: the order is this library's; any score leaves splitting unbiased, and the committor is the optimal one
    (Bréhier, Lelièvre and Rousset 2015).
    """
    point = np.asarray(start, np.float64).reshape(-1)
    if plain and chain.dim == 1 and _in_order(target, point):
        return Choice(None, "on the line, with the target on one side, distance orders states as any good score does")
    why: list[str] = []
    if chain.dim <= 2 and isinstance(chain, EulerMaruyama):
        try:
            return Choice(on_a_grid(chain, point, target, avoid, horizon, settled), "every way within a box")
        except ValueError as error:
            why.append(f"no committor on a grid: {error}")
    if chain.landscape is None or chain.dim > _MOST_COMPONENTS:
        lacks = "the chain has no landscape" if chain.landscape is None else f"{chain.dim} components"
        return Choice(None, "; ".join([*why, f"no ways over saddles: {lacks}"]))
    try:
        check_twice_differentiable(chain.landscape)
    except ValueError as error:
        return Choice(None, "; ".join([*why, str(error)]))
    try:
        found, words = _ways(chain.landscape, point, target, avoid)
        return Choice(ways(chain.landscape, *found, images=_IMAGES), "; ".join([*why, words]))
    except ValueError as error:
        why.append(f"no ways over saddles: {error}")
    try:
        one = path(chain.landscape, point, _nearest(target, point))
        return Choice(one, "; ".join([*why, "the path to a near point of the target is the only way that is followed"]))
    except ValueError as error:
        why.append(f"no path: {error}")
    return Choice(None, "; ".join(why))


def _in_order(target: AbstractRegion, start: Float[np.ndarray, " dim"]) -> bool:
    """Whether on the line the target lies on one side, and its level falls all the way there from the other side."""
    away = 1e-3 * (1 + float(np.abs(start[0]))) * _FARTHER ** np.arange(_LOOKS)
    with jax.enable_x64(True):
        points = start[0] + np.concatenate([np.zeros(1), away, -away])
        here, up, down = np.split(np.asarray(bound(of_each("level"), target)(points[:, None])), [1, 1 + _LOOKS])
    sides = [up, down] if np.any(up < 0) else [down, up]
    if not np.any(sides[0] < 0):
        return False
    entered = int(np.argmax(sides[0] < 0))
    line = np.concatenate([sides[1][::-1], here, sides[0][: entered + 1]])
    return bool(np.all(np.diff(line) < 0))


def _ways(
    landscape: AbstractLandscape, start: Float[np.ndarray, " dim"], target: AbstractRegion, avoid: AbstractRegion | None
) -> tuple[list[Way], str]:
    """The ways to the target that an exploration finds, the lowest first, and what it says of itself."""
    explored = explore(landscape, start, max_searches=affordable_climbs(landscape, start))
    found = explored.ways(target)
    if not found:
        minima = len(explored.minima)
        raise ValueError(f"of {minima} minima that an exploration found none lies in the target or beyond its edge")
    found = [way for way in found if avoid is None or _is_clear(way, avoid)]
    if not found:
        raise ValueError("every way that an exploration found leads through the set to avoid")
    lowest = found[0].barrier
    found = [way for way in found if way.barrier <= _TOO_HIGH * lowest]
    if not _passes_its_saddle(found[0]):
        raise ValueError("the target begins before the first saddle that leads there")
    uphill = entrance_below(explored, target, lowest)
    if uphill is not None:
        raise ValueError(
            f"the target is entered uphill where the loss is {uphill:.4g} above the start's minimum, below the lowest "
            f"saddle on the way there, at {lowest:.4g}"
        )
    number = "one way" if len(found) == 1 else f"{len(found)} ways"
    return found, f"{number} over saddles, of an exploration of {len(explored.minima)} minima ({explored.status})"


def _is_clear(way: Way, avoid: AbstractRegion) -> bool:
    """Whether a way does not come into the set to avoid, once it has left it if it begins there."""
    inside = np.asarray(bound(of_each("contains"), avoid)(jnp.asarray(way.points)))
    return not (inside.all() or inside[int(np.argmin(inside)) :].any())


def _passes_its_saddle(way: Way) -> bool:
    """Whether a way is not cut by the target before its highest saddle."""
    gaps = np.linalg.norm(way.points - way.highest.location, axis=1)
    return bool(gaps.argmin() < len(way.points) - 1)


def _nearest(target: AbstractRegion, start: Float[np.ndarray, " dim"]) -> Float[np.ndarray, " dim"]:
    """A point of the target, downhill in its level function; ValueError where none is found or the target is all round.

    A path to one side would then leave the other sides unseen.
    """
    with jax.enable_x64(True):
        level = bound(with_slope("level"), target)

        def inside(x) -> bool:
            return bool(np.all(np.isfinite(x)) and level(x)[0] < 0)

        def stop(intermediate_result) -> None:
            if inside(intermediate_result.x):
                raise StopIteration

        found = minimize(
            lambda x: tuple(map(np.asarray, level(x))), start, jac=True, method="L-BFGS-B", callback=stop
        ).x
        if not inside(found):
            raise ValueError(f"target must have a point downhill in its level function from {start}, found none")
        if any(inside(start - far * (found - start)) for far in (1, 2, 4, 8)):
            raise ValueError(f"target must lie to one side of {start}, got one that is opposite {found} too")
    return found
