"""The look around before a rare passage: how warm the motion is, and what is explored below that height."""

import math

import jax.numpy as jnp
import numpy as np

from ...._numerics import bound, of_each
from ....engine import StopCode
from ....landscapes import find_minima
from ....landscapes._affordable import affordable_climbs
from ....random import Stream
from ..._execution import Execution
from ..._question import Question
from ._surroundings import Surroundings, Unexplored, surroundings

# trajectories that tell the temperature, steps after which it is looked at, and when it counts as known
_WALKERS, _SHORTEST, _LONGEST, _STEADY = 512, 64, 2**13, 0.2


def look_around(question: Question, run: Execution) -> Surroundings | Unexplored:
    """What lies around the way to the sets of a question, as far as that can be explored."""
    landscape = question.chain.landscape
    if landscape is None:
        return Unexplored("the chain has no landscape")
    if len(question.starts) > 1:
        return Unexplored("there is more than one start")
    try:
        climbs = affordable_climbs(landscape, np.asarray(question.starts[0, : landscape.dim], np.float64))
    except ValueError as error:
        return Unexplored(str(error))
    temperature = _temperature(question, run)
    if isinstance(temperature, Unexplored):
        return temperature
    return surroundings(question, temperature, climbs, run.seed)


def _temperature(question: Question, run: Execution) -> float | Unexplored:
    """That of the stationary law where there is one, else 2/dim times the mean loss above the start's minimum."""
    chain = question.chain
    known = chain.gibbs_temperature
    if known is not None:
        return float(known)
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
            return 2 * excess / chain.dim if excess > 0 else Unexplored("the motion stays at its minimum")
        last, steps = excess, 2 * steps
        if len(states) < _WALKERS:
            fill = np.arange(_WALKERS) % len(states)
            states, clocks, ids = states[fill], clocks[fill], np.arange(_WALKERS) + int(ids.max()) + 1
