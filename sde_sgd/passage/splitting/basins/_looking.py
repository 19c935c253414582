"""The look around before a rare passage: how warm the motion is, and what is explored below that height."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ...._numerics import bound, contained, of_each
from ....engine import StopCode
from ....landscapes import AbstractLandscape, find_minima
from ....landscapes._affordable import affordable_climbs
from ....landscapes._searches import Searches
from ....random import Stream
from ....results import Status
from ..._execution import Execution
from ..._question import Question
from ._surroundings import Surroundings, Unexplored, surroundings
from ._warmth import Warmth

# trajectories that tell the temperature, steps after which it is looked at, and when it counts as known
_WALKERS, _SHORTEST, _LONGEST, _STEADY = 512, 64, 2**13, 0.2
# entrances from which on a sample tells of a basin, and the share of the start's basin's time from which on it matters
_SEEN, _MUCH = 32, 0.01
# of a landscape that is explored before a passage that is simulated directly
_FEW_DIMENSIONS = 10
# starts of which it is looked where they lead down to
_MOST_STARTS = 512


def look_around(question: Question, run: Execution) -> Surroundings | Unexplored:
    """What lies around the way to the sets of a question, as far as that can be explored."""
    landscape = question.chain.landscape
    if landscape is None:
        return Unexplored("the chain has no landscape")
    try:
        climbs = affordable_climbs(landscape, np.asarray(question.starts[0, : landscape.dim], np.float64))
    except ValueError as error:
        return Unexplored(str(error))
    warmth = _warmth(question, run)
    if isinstance(warmth, Unexplored):
        return warmth
    found = surroundings(question, warmth, climbs, run.seed)
    if isinstance(found, Unexplored) or len(question.starts) == 1:
        return found
    return found._replace(findings=(*found.findings, *_elsewhere(question, landscape, found)))


def hardly_entered(question: Question, run: Execution, trajectories: int) -> Surroundings | None:
    """What lies around, where basins hold much of a mean time that hardly one of so many trajectories would see.

    As far as exploration tells, in few dimensions and of a chain that stays the same; None where there are none such.
    """
    chain = question.chain
    if chain.landscape is None or chain.dim > _FEW_DIMENSIONS or chain.changes_in_time:
        return None
    around = look_around(question, run)
    if isinstance(around, Unexplored) or len(around.basins) == 1:
        return None
    rates, count = around.log_rates, len(around.basins)
    entered = rates[0, 1:count] - rates[0, count:].max()
    # as rates there and back are in proportion to the weights; infinite of what is behind another one
    with np.errstate(invalid="ignore"):
        weights = np.nan_to_num(rates[0, 1:count] - rates[1:, 0], nan=np.inf)
    hidden = (weights > math.log(_MUCH)) & (entered < math.log(_SEEN / trajectories))
    return around if np.any(hidden) else None


def _elsewhere(question: Question, landscape: AbstractLandscape, found: Surroundings) -> list[tuple[Status, str]]:
    """What is to be said of starts that lie in no basin which was found from the first of them."""
    # by chance and not every so many, since those that are given may alternate
    starts = np.random.default_rng(0).permutation(np.unique(question.starts[:, : landscape.dim], axis=0))
    starts = starts[:_MOST_STARTS].astype(np.float64)
    with jax.enable_x64(True):
        below = Searches(landscape).descend(starts).points
    numbers = [found.exploration.number_of(point) for point in below]
    reached = [each in found.reached for each in numbers]
    ended = np.any([contained(end, below) for end in question.ends], axis=0)
    lost = int(np.sum(~(np.array(reached) | ended)))
    if not lost:
        return []
    words = (
        f"{lost} of {len(starts)} starts lead down to minima that are not reached from the first of them: their mean "
        "time is another one; ask from each basin by itself"
    )
    return [(Status.INCOMPLETE, words)]


def _warmth(question: Question, run: Execution) -> Warmth | Unexplored:
    """The temperature is that of the stationary law, or else 2/dim times the mean loss above the start's minimum."""
    chain = question.chain
    known = chain.gibbs_temperature
    if known is not None:
        return Warmth(float(known))
    landscape = chain.landscape
    assert landscape is not None
    try:
        floor = find_minima(landscape, np.asarray(question.starts[0, : chain.dim], np.float64))[0].loss
    except ValueError as error:
        return Unexplored(str(error))
    losses, steps, last = bound(of_each("loss"), landscape), _SHORTEST, math.nan
    watched = run.derived(Stream.SURROUNDINGS)
    run.ledger.start(_WALKERS)
    states, clocks, ids = watched.states(_WALKERS), np.zeros(_WALKERS, np.int64), np.arange(_WALKERS)
    while True:
        ends = watched.go_on(watched.monitor, states, ids, clocks, np.full(_WALKERS, steps) - clocks)
        on = ends.code == StopCode.RUNNING
        if not np.any(on):
            return Unexplored("no trajectory was left to tell how warm the motion is")
        states, clocks, ids = ends.state[on], (clocks + ends.step)[on], ids[on] + _WALKERS
        excess = float(np.mean(np.asarray(losses(jnp.asarray(watched.theta(states))), np.float64))) - floor
        if abs(excess - last) <= _STEADY * excess or 2 * steps > min(_LONGEST, run.steps):
            if not excess > 0:
                return Unexplored("the motion stays at its minimum")
            return Warmth.seen(2 * excess / chain.dim, chain, np.asarray(watched.theta(states)))
        last, steps = excess, 2 * steps
        if len(states) < _WALKERS:
            fill = np.arange(_WALKERS) % len(states)
            states, clocks, ids = states[fill], clocks[fill], np.arange(_WALKERS) + int(ids.max()) + 1
