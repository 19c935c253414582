"""Direct Monte Carlo of a first passage, and a pilot that tells whether it would do."""

import dataclasses
import math

import numpy as np
from scipy import stats

from ..engine import Ids, Stops
from ._monitor import TARGET
from ._problem import Problem
from ._result import FirstPassage

# the first batch of a run to a precision, and what a pilot starts where nothing else says how much
_BATCH = 1024
# with fewer passages than one in so many, and than so many in all, splitting is the cheaper way to a precision
_RARE, _FEW = 1 / 200, 20
# trajectories of the pilot that tells whether any comes to an end
_LINGERERS = 256
# path-steps of a second or a few: a mean time that takes more is left to splitting
_AFFORDABLE = 2**30


def tells_rare(problem: Problem, trajectories: int | None) -> tuple[bool, int]:
    """Whether direct simulation would see too few passages, and the path-steps that it took to tell.

    trajectories: how many it would have, or None for as many as a precision takes.
    The pilot is an eighth of them, with random numbers of its own: decided by the run itself, the answer would be kept
    where it came out high, and replaced where it came out low.
    """
    if trajectories is not None and trajectories < _BATCH:
        return False, 0
    if problem.mean_time:
        # in a sixteenth of the time that is affordable a sixteenth of the trajectories would arrive
        watched = problem.derived(0)._replace(
            steps=min(problem.steps, _AFFORDABLE // 16 // (trajectories or _BATCH) + 1)
        )
        stops = watched.run(range(_BATCH // 2))
        return int(np.sum(stops.code == TARGET)) < _BATCH // 2 // 16, stops.path_steps
    pilot = _BATCH if trajectories is None else min(trajectories // 8, 16 * _BATCH)
    stops = problem.derived(0).run(range(pilot))
    share = float(np.mean(stops.code == TARGET))
    return share < _RARE and (trajectories is None or share * trajectories < _FEW), stops.path_steps


def lingers(problem: Problem) -> tuple[FirstPassage | None, int]:
    """What a pilot saw, where without a horizon hardly any of its trajectories comes to an end; and its path-steps.

    By an eighth of the budget of steps fewer than one in sixteen then has reached either set, so that most would be
    cut off by the budget: from a start that both sets are far from, nothing that follows trajectories to their end
    answers.
    """
    watched = problem.derived(6)._replace(steps=max(problem.steps // 8, 1))
    stops = watched.run(range(_LINGERERS))
    ended = int(np.count_nonzero(stops.code))
    if ended >= _LINGERERS // 16:
        return None, stops.path_steps
    result = (
        f"undecided: of {_LINGERERS} trajectories {ended} had reached target or avoid after {watched.steps} steps, an "
        "eighth of max_steps, so both are rare from this start; give more max_steps, or a horizon of some times what "
        "it takes to settle, and compare the probabilities of the two, or measure their rates with transitions"
    )
    return dataclasses.replace(_result(watched, stops, None, "", 0), result=result), stops.path_steps


def direct(problem: Problem, ids: Ids, spent: int) -> FirstPassage:
    """These trajectories. spent: path-steps that went before."""
    return _result(problem, problem.run(ids), None, "complete", spent)


def direct_until(problem: Problem, rtol: float, budget: int, spent: int) -> FirstPassage:
    """Trajectories in the order of their ids until a fixed number of them has reached the target.

    So the number of passages is fixed in advance and the interval stays exact (inverse binomial sampling).
    """
    needed = math.ceil((stats.norm.isf((1 - problem.confidence) / 2) / rtol) ** 2) + 2
    parts: list[Stops] = []
    done = reached = 0
    while reached < needed and done < budget:
        wanted = math.ceil(1.1 * (needed - reached) * (done + 1) / (reached + 1)) if done else 0
        more = min(max(wanted, _BATCH), 4 * max(done, _BATCH), budget - done)
        parts.append(problem.run(range(done, done + more)))
        done += more
        reached += int(np.sum(parts[-1].code == TARGET))
    step, code = (np.concatenate([getattr(part, name) for part in parts]) for name in ("step", "code"))
    spent += sum(part.path_steps for part in parts)
    if reached < needed:
        result = f"budget spent: max_trajectories = {budget} reached before rtol = {rtol}"
        return _result(problem, Stops(step, code, 0), None, result, spent)
    # sampling ends with the trajectory that makes the number full; later ones were run but not asked for
    end = int(np.flatnonzero(code == TARGET)[needed - 1]) + 1
    return _result(problem, Stops(step[:end], code[:end], 0), needed, "complete", spent)


def _result(problem: Problem, stops: Stops, stopped_at: int | None, result: str, spent: int) -> FirstPassage:
    running = int(np.sum(stops.code == 0))
    if problem.open_ended and running:
        result = f"budget spent: {running} of {len(stops.code)} still running after max_steps = {problem.steps}"
    return FirstPassage(
        steps=stops.step,
        outcome=stops.code.astype(np.int64),
        stopped_at=stopped_at,
        method="direct",
        result=result,
        path_steps=spent + stops.path_steps,
        **problem.told,
    )
