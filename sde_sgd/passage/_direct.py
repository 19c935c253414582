"""First passage: the public calls, direct Monte Carlo, and the choice between it and splitting."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from .._errors import concrete, fraction, positive, positive_integer
from ..chains import AbstractChain
from ..engine import (
    MAX_STEPS,
    Compiled,
    Stops,
    check_first_step,
    derived_key,
    resolve_ids,
    run_until_stopped,
    seed_key,
    start_states,
    steps_until,
)
from ..regions import AbstractRegion
from ._levels import Problem
from ._monitor import TARGET, monitor_for
from ._result import FirstPassage
from ._score import score_of
from ._split import Amount, split
from ._split_result import SplitFirstPassage

Monitoring = Literal["discrete", "continuous"]
Method = Literal["auto", "direct", "splitting"]
_PILOT = 1024
# with fewer passages than these among so many trajectories, splitting is the cheaper way to the same precision
_RARE = 5 / _PILOT
_FEW = 20
# path-steps of about a second: a longer direct run is tried first with a few trajectories
_LONG = 2**28


def escape(
    chain: AbstractChain, start: Any, region: AbstractRegion, horizon: float | None = None, **options
) -> FirstPassage | SplitFirstPassage:
    """First exit from `region`: `first_passage` to its complement, with all of that call's options.

    Raises ValueError if `start` is not inside `region`.
    """
    _check_region("region", region, chain.dim)
    return _passage(chain, start, ~region, None, horizon, inside=region, **options)


def first_passage(
    chain: AbstractChain,
    start: Any,
    target: AbstractRegion,
    avoid: AbstractRegion | None = None,
    horizon: float | None = None,
    **options: Any,
) -> FirstPassage | SplitFirstPassage:
    """When and whether trajectories reach `target`, before `avoid` where one is given.

    chain: any chain; the passage is that of the chain unless `monitoring="continuous"`.
    start: (dim,) for all trajectories, or (trajectories, dim); outside both sets.
    target, avoid: regions. A trajectory stops at the first of them.
    horizon: SDE time of the watch, rounded down to whole steps; None watches until all have stopped.

    Options:
    trajectories: how many; ids 0, 1, 2, … choose their noise.
    rtol: in place of `trajectories`, run until the probability's interval has this relative half-width, by inverse
        binomial sampling (the number of passages is fixed in advance, so the interval stays exact).
    max_trajectories: budget of `rtol`, 2²⁴ by default; the result says when it was spent.
    max_steps: budget of a run without horizon, per trajectory, 10⁷ by default; trajectories still running then are
        undecided, and the result says so.
    seed: 0 … 2⁶⁴ − 1.
    level: coverage of the intervals, 0.95 by default.
    monitoring: "discrete", the passage of the chain itself, or "continuous", the passage of the diffusion, which also
        sees crossings between two steps (needs EulerMaruyama with gaussian increments).
    method: "direct"; "splitting", for passages however rare, which needs a horizon or an `avoid` set; or "auto", the
        default: direct, unless its first 1024 trajectories or more show fewer than one passage in 200. Splitting
        starts `trajectories` in all, in independent repetitions, or with `rtol=` as many repetitions as it takes;
        `max_trajectories` then bounds the trajectories started over all levels.
    score: for splitting, a number that grows on the way to the target: a function of θ, or of θ and t; by default the
        target's level function, negated. Any score gives the right answer, a good one gives it soon.
    repetitions: for splitting with `trajectories`, how many repetitions share them, 32 by default.
    trajectory_ids: run just these ids, to replay them.
    chunk: most trajectories in one compiled call; by default what is fast and fits memory.
    devices: those to run on, by default all local ones. Neither changes a bit of the result.

    Raises ValueError on a wrong shape, a start inside a set or with a loss or gradient that is not finite, a horizon
    below one step.
    Returns a FirstPassage, or from splitting a SplitFirstPassage; `method` and `result` say what was done.
    """
    return _passage(chain, start, target, avoid, horizon, **options)


def _passage(
    chain: AbstractChain,
    start: Any,
    target: AbstractRegion,
    avoid: AbstractRegion | None,
    horizon: float | None,
    *,
    inside: AbstractRegion | None = None,
    trajectories: int | None = None,
    seed: int = 0,
    level: float = 0.95,
    monitoring: Monitoring = "discrete",
    method: Method = "auto",
    rtol: float | None = None,
    max_trajectories: int = 2**24,
    max_steps: int = 10_000_000,
    trajectory_ids: Any = None,
    score: Any = None,
    repetitions: int | None = None,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
) -> FirstPassage | SplitFirstPassage:
    if not isinstance(chain, AbstractChain):
        raise ValueError(f"chain must be a chain, such as EulerMaruyama(diffusion, dt), got {chain!r}")
    if method not in ("auto", "direct", "splitting"):
        raise ValueError(f"method must be 'auto', 'direct' or 'splitting', got {method!r}")
    fraction("level", level)
    _check_region("target", target, chain.dim)
    if avoid is not None:
        _check_region("avoid", avoid, chain.dim)
    time_step = float(np.asarray(chain.time_step))
    steps = _whole_steps(horizon, time_step, max_steps)
    monitor = monitor_for(chain, target, avoid, monitoring)
    key = seed_key(seed)
    aim = score_of(chain, target, score)
    if rtol is None:
        ids = resolve_ids(trajectories, trajectory_ids)
    else:
        if trajectories is not None or trajectory_ids is not None:
            raise ValueError("give either rtol or a number of trajectories, got both")
        positive("rtol", rtol)
        positive_integer("max_trajectories", max_trajectories)
        ids = np.zeros(1, np.int64)
    rows = start_states(start, chain.dim, len(ids))
    _check_start(rows, inside, target, avoid)
    check_first_step(chain, rows)
    # without horizon and `avoid` every trajectory arrives, and only its time is asked for
    splits = (horizon is not None or avoid is not None) and trajectory_ids is None
    if method == "splitting" and not splits:
        raise ValueError(
            "method='splitting' needs a horizon or an avoid set, and no trajectory_ids; for a mean exit time give a "
            "horizon of a few relaxation times"
        )

    def run(ids: np.ndarray) -> Stops:
        starts = start_states(start, chain.dim, len(ids))
        return run_until_stopped(chain, monitor, starts, ids, steps, key, chunk, devices)

    told = {
        "time_step": time_step,
        "within_step": 1.0 if monitoring == "discrete" else 0.5,
        "horizon": steps * time_step,
        "monitoring": monitoring,
    }

    def by_splitting(spent: int) -> SplitFirstPassage:
        starts = rows[:1] if rows.strides[0] == 0 else rows
        problem = Problem(chain, monitor, aim, starts, steps, horizon is None, derived_key(key, 0), chunk, devices)
        amount = Amount(trajectories, repetitions, rtol, max_trajectories)
        more = {"avoids": avoid is not None, "method": "splitting", "path_steps": spent}
        return split(problem, amount, float(level), int(seed), told | more)

    if method == "splitting":
        return by_splitting(0)
    may_switch = method == "auto" and splits
    if rtol is None:
        spent = 0
        if may_switch and len(ids) >= 4 * _PILOT and len(ids) * steps > _LONG:
            first = run(ids[:_PILOT])
            spent = first.path_steps
            if _is_rare(first, len(ids)):
                return by_splitting(spent)
        stops, stopped_at, result = run(ids), None, "complete"
        if may_switch and len(ids) >= _PILOT and _is_rare(stops, len(ids)):
            return by_splitting(spent + stops.path_steps)
    else:
        stops, stopped_at, result = _until_precise(run, rtol, level, max_trajectories, may_switch)
        if stops is None:
            return by_splitting(stopped_at or 0)
    running = int(np.sum(stops.code == 0))
    if horizon is None and running:
        result = f"budget spent: {running} of {len(stops.code)} still running after max_steps = {max_steps}"
    return FirstPassage(
        steps=stops.step,
        outcome=stops.code.astype(np.int64),
        open_ended=horizon is None,
        stopped_at=stopped_at,
        level=float(level),
        seed=int(seed),
        method="direct",
        result=result,
        path_steps=stops.path_steps,
        **told,
    )


def _is_rare(stops: Stops, wanted: int) -> bool:
    """Whether direct simulation of so many trajectories would see too few passages, judged by those that were run."""
    share = float(np.mean(stops.code == TARGET))
    return share < _RARE and share * wanted < _FEW


def _until_precise(run, rtol, level, budget, may_switch) -> tuple[Stops | None, int | None, str]:
    """Trajectories in the order of their ids until a fixed number of them has reached the target.

    may_switch: give up after the first of them where passages are rare, with the path-steps spent in second place.
    """
    needed = math.ceil((stats.norm.isf((1 - level) / 2) / rtol) ** 2) + 2
    parts, done, reached = [], 0, 0
    while reached < needed and done < budget:
        rate = (reached + 1) / (done + 1) if done else None
        more = _PILOT if rate is None else math.ceil(1.1 * (needed - reached) / rate)
        more = min(max(more, _PILOT), 4 * max(done, _PILOT), budget - done)
        parts.append(run(np.arange(done, done + more, dtype=np.int64)))
        done += more
        reached += int(np.sum(parts[-1].code == TARGET))
        if may_switch and done == _PILOT and reached < _RARE * _PILOT:
            return None, parts[-1].path_steps, "rare"
    step, code = (np.concatenate([getattr(part, name) for part in parts]) for name in ("step", "code"))
    cost = sum(part.path_steps for part in parts)
    if reached < needed:
        return Stops(step, code, cost), None, f"budget spent: max_trajectories = {budget} reached before rtol = {rtol}"
    # sampling ends with the trajectory that makes the number full; later ones were run but not asked for
    end = int(np.flatnonzero(code == TARGET)[needed - 1]) + 1
    return Stops(step[:end], code[:end], cost), needed, "complete"


def _whole_steps(horizon, time_step: float, max_steps: int) -> int:
    if horizon is None:
        positive_integer("max_steps", max_steps)
        steps = max_steps
    else:
        value = concrete(horizon)
        if isinstance(horizon, bool) or value is None or value.ndim or not np.isfinite(value) or value <= 0:
            raise ValueError(f"horizon must be a positive number of SDE time, or None, got {horizon!r}")
        steps = steps_until(float(value), time_step)
        if steps < 1:
            raise ValueError(f"horizon must be at least one step dt = {time_step:.6g}, got {horizon!r}")
    if steps > MAX_STEPS:
        raise ValueError(f"horizon must be at most 2**32 steps of dt = {time_step:.6g}, got {steps} steps")
    return steps


def _check_region(name: str, region, dim: int) -> None:
    if not isinstance(region, AbstractRegion):
        raise ValueError(f"{name} must be a region, such as regions.Ball(center, radius), got {region!r}")
    region.check(dim)


def _check_start(starts, inside, target, avoid) -> None:
    # one start for all is a broadcast view
    points = starts[:1] if starts.strides[0] == 0 else starts
    rule = "outside target, got {} inside it" if inside is None else "inside region, got {} outside it"
    _forbid(target, points, rule)
    if avoid is not None:
        _forbid(avoid, points, "outside avoid, got {} inside it")


def _forbid(region: AbstractRegion, points: Float[np.ndarray, "n dim"], rule: str) -> None:
    found = np.flatnonzero(_contains(region, points))
    if found.size:
        raise ValueError("start must lie " + rule.format(points[found[0]]))


def _contains(region: AbstractRegion, points: Float[np.ndarray, "n dim"]) -> Bool[np.ndarray, " n"]:
    return np.asarray(_CONTAINS.prepare(region)(points))


_CONTAINS = Compiled(lambda region, points: jax.vmap(region.contains)(points))
