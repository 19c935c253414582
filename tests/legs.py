"""Trajectories that go on where they cross a level: the runs that `engine.run_renewing` makes of each."""

import numpy as np

from sde_sgd.engine import Ends, StopCode, run_population


def later_legs(ids, clocks, ends, renewals):
    """Ids, states and clocks with which trajectories began again; ids: consecutive, those of the first legs."""
    number = len(ids)
    owner = (renewals.ids - ids[0]) % number
    following = renewals.ids + number
    begun = np.isin(following, renewals.ids) | (ends.step[owner] > 0)
    order = np.lexsort((renewals.ids, owner))
    total, whose = np.cumsum(renewals.step[order]), owner[order]
    taken = np.empty(len(owner), np.int64)
    # less what those before in that order have taken
    taken[order] = total - np.r_[0, total][np.searchsorted(whose, whose)]
    return following[begun], renewals.state[begun], (clocks[owner] + taken)[begun]


def leg_by_leg(chain, monitor, starts, ids, clocks, budgets, key, **options):
    """What `run_renewing` finds, by as many runs as the trajectory that begins the most often needs."""
    number, left = len(ids), budgets.astype(np.int64)
    state, step, code = np.array(starts), np.zeros(number, np.int64), np.zeros(number, np.int64)
    kept, leg, path_steps = [], 0, 0
    while np.any(left > 0):
        runs = left > 0
        ends = run_population(chain, monitor, state, ids + leg * number, clocks, left, key, **options)
        crossed = runs & (ends.code == StopCode.LEVEL_CROSSED)
        path_steps += ends.path_steps
        state, clocks = ends.state, clocks + ends.step
        step = np.where(runs, np.where(crossed, 0, ends.step), step)
        code = np.where(runs, np.where(crossed, 0, ends.code), code)
        kept.append((ids[crossed] + leg * number, ends.step[crossed], ends.state[crossed]))
        left, leg = np.where(crossed, left - ends.step, 0), leg + 1
    return Ends(step, code, state, path_steps), tuple(np.concatenate(each) for each in zip(*kept, strict=True))
