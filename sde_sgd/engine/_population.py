"""Trajectories with a past: each with a clock and a budget of its own, its state kept where it stops."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ..chains import AbstractChain
from ._blocks import split_branching
from ._integrate import MAX_STEPS, block_unit
from ._noise import SeedKey
from ._stopping import AbstractMonitor, Run

# many stop within a few steps
_SHORTEST_BLOCK = 32


class Ends(NamedTuple):
    """Per trajectory: steps taken in this run, code (0 where the budget was spent) and state at the stop."""

    step: Int[np.ndarray, " n"]
    code: Int[np.ndarray, " n"]
    state: Float[np.ndarray, "n dim"]
    path_steps: int


def run_population(
    chain: AbstractChain,
    monitor: AbstractMonitor,
    starts: Float[np.ndarray, "n dim"],
    ids: Int[np.ndarray, " n"],
    clocks: Int[np.ndarray, " n"],
    budgets: Int[np.ndarray, " n"],
    key: SeedKey,
    chunk: int | None = None,
    devices: Any = None,
) -> Ends:
    """Run each trajectory until its monitor stops it or its budget is spent, and say where it is then.

    starts: the states at which they stand. ids choose the noise, which counts from the first step of this run: fresh
        ids for every run.
    clocks: steps that each had taken before; the chain and the monitor see a step's number from the beginning.
    budgets: steps that each may still take, below 2³²; with 0 it stays where it is.
    Which trajectories run together, and on which devices, changes nothing in their bits.
    Raises ValueError where a step's number would pass 2³².
    """
    if np.any(clocks.astype(np.int64) + budgets >= MAX_STEPS) or np.any(ids >= MAX_STEPS):
        raise ValueError("a trajectory's steps and the ids must stay below 2**32")
    step, code, state = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.int64), np.array(starts)
    runs = np.flatnonzero(budgets > 0)

    def report(rows, steps, codes, states):
        rows = runs[rows]
        step[rows], code[rows], state[rows] = steps, codes, states()

    spent = 0
    if runs.size:
        shortest = max(_SHORTEST_BLOCK, block_unit(chain.noise_kind))
        run = Run(chain, monitor, key, chunk, devices, shortest, split_branching)
        past = tuple(each[runs] for each in (starts, ids, clocks, budgets))
        spent = run.follow(past, np.ones(len(runs), bool), int(budgets.max()), report)
    return Ends(step, code, state, spent)
