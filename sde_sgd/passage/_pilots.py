"""Small runs before the answer, with random numbers of their own, that tell what kind of passage it is."""

from typing import NamedTuple

import numpy as np

from ..engine import DIVERGED, StopCode, StopTimes
from ..random import Stream
from ._direct import BATCH
from ._execution import Execution
from ._question import Question

# with fewer passages than one in so many, and than so many in all, splitting is the cheaper way to a precision
_RARE, _FEW = 1 / 200, 20
LINGERING = 256
"""Trajectories of the pilot that tells whether they come to an end."""
# and for how many steps at most: where many have not by then, following them to their ends, level by level, costs more
# than the rates of those that have settled
_LONG = 2**16
# path-steps of a second or a few: a mean time that takes more is left to splitting
AFFORDABLE = 2**30


class Pilot(NamedTuple):
    """What a pilot tells: whether direct simulation would see too few passages, and how many of its own diverged.

    steps: for how long it was watched. stops: what it saw, or None where there was none.
    """

    rare: bool
    diverged: int
    steps: int
    stops: StopTimes | None


def is_rare(question: Question, run: Execution, trajectories: int | None) -> Pilot:
    """Whether direct simulation would see too few passages.

    trajectories: how many it would have, or None for as many as a precision takes.
    The pilot is an eighth of them, with random numbers of its own: decided by the run itself, the answer would be kept
    where it came out high, and replaced where it came out low. With a budget it takes at most half of that.
    """
    no_pilot = Pilot(False, 0, 0, None)
    if trajectories is not None and trajectories < BATCH:
        return no_pilot
    watched = run.derived(Stream.PILOT)
    if question.mean_time:
        # in a sixteenth of the time that is affordable a sixteenth of the trajectories would arrive
        watched = watched._replace(steps=min(run.steps, AFFORDABLE // 16 // (trajectories or BATCH) + 1))
        size = BATCH // 2
    else:
        size = BATCH if trajectories is None else min(trajectories // 8, 16 * BATCH)
    if run.ledger.left < 2 * size:
        return no_pilot
    stops = watched.run(range(size))
    reached, diverged = (int(np.sum(stops.code == code)) for code in (StopCode.TARGET, DIVERGED))
    if question.mean_time:
        return Pilot(reached < size // 16, diverged, watched.steps, stops)
    share = float(np.mean(stops.code == StopCode.TARGET))
    rare = share < _RARE and (trajectories is None or share * trajectories < _FEW)
    return Pilot(rare, diverged, watched.steps, stops)


def rarely_ends(question: Question, run: Execution) -> bool:
    """Whether without a horizon many trajectories take very long to an end, in `avoid` or in the target.

    A pilot tells, by an eighth of the budget of steps or by 65,536 of them: fewer than one in sixteen has reached
    either set by then, so that most would be cut off by the budget; or those that go on leave so slowly in its second
    half that a batch of trajectories takes more path-steps than are affordable. Nothing that follows trajectories to
    their end answers soon then.
    """
    if not question.open_ended or question.avoid is None or run.ledger.left < 2 * LINGERING:
        return False
    steps = max(min(run.steps // 8, _LONG), 1)
    stops = run.derived(Stream.LINGERERS)._replace(steps=steps).run(range(LINGERING))
    ended = stops.code != StopCode.RUNNING
    if np.count_nonzero(ended) < LINGERING // 16:
        return True
    lingering, late = np.count_nonzero(~ended), np.count_nonzero(ended & (stops.step > steps // 2))
    still = lingering * (steps / 2) / max(late, 1)
    return bool(BATCH * lingering / LINGERING * still > AFFORDABLE)
