"""Bookkeeping of splitting: the weights of repetitions from stage to stage, and where the probability has gone."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ...engine import DIVERGED, StopCode

KEPT = 0.1
"""Of trajectories that have fallen back, the share that goes on with the weight of all."""


class Tally(NamedTuple):
    """What R repetitions saw; each row by itself is an unbiased estimate.

    steps, weights, repetition: (k,) of each passage, its step, its share in the probability and whose it is.
    level_probability: (R, m + 1) probability to come past each level, or to reach the target earlier; the last is that
        of the target.
    diverging, unfinished: (R,) probability of a state that is not finite, and of one still running without a horizon.
    exposure: (R,) mean steps until the end. n_diverged: how many trajectories did.
    """

    steps: Int[np.ndarray, " k"]
    weights: Float[np.ndarray, " k"]
    repetition: Int[np.ndarray, " k"]
    level_probability: Float[np.ndarray, "R stages"]
    diverging: Float[np.ndarray, " R"]
    unfinished: Float[np.ndarray, " R"]
    exposure: Float[np.ndarray, " R"]
    n_diverged: int


class Account:
    """Of R repetitions of `size` trajectories each, side by side: their clocks, and what each stands for.

    weights: (n,) at the start. open_ended: whether a trajectory that still runs has met the budget, not the horizon.
    onward: (n,) who has entered the level of the last stage.
    """

    def __init__(self, weights: Float[np.ndarray, " n"], size: int, open_ended: bool):
        self.weights, self.clocks = weights, np.zeros(len(weights), np.int64)
        self.onward = np.ones(len(weights), bool)
        self._size, self._open_ended = size, open_ended
        self._repetition, self.repetitions = np.arange(len(weights)) // size, len(weights) // size
        self._reached, self._past = [], []
        self._diverging, self._unfinished, self._exposure = (np.zeros(self.repetitions) for _ in range(3))
        self._n_diverged = 0

    def passed(self, ahead: Bool[np.ndarray, " n"], steps: Int[np.ndarray, " n"], code, kept) -> None:
        """What the next stage was.

        ahead: who stood beyond its level already. steps, code: (n,) of each end. kept: who fell back and went on.
        """
        dropped = ~kept & (code == StopCode.FELL_BACK)
        self.weights = np.where(dropped, 0.0, np.where(kept, self.weights / KEPT, self.weights))
        self.clocks = self.clocks + steps
        onward = (ahead | (code == StopCode.LEVEL_CROSSED)) & (self.weights > 0)
        there = code == StopCode.TARGET
        self._reached.append((self.clocks[there], self.weights[there], self._repetition[there]))
        self._exposure += self._total(~onward, self.clocks)
        self._diverging += self._total(code == DIVERGED)
        self._n_diverged += int(np.sum(code == DIVERGED))
        if self._open_ended:
            self._unfinished += self._total((code == StopCode.RUNNING) & ~onward)
        earlier = sum(np.bincount(mine, weight, self.repetitions) for _, weight, mine in self._reached)
        self._past.append(earlier + self._total(onward))
        self.onward = onward

    def mass(self, chance: Float[np.ndarray, " n"]) -> Float[np.ndarray, "R size"]:
        """In proportion to what each has copies in the next stage; chance: of its success, in any unit."""
        return (self.weights * chance).reshape(self.repetitions, self._size)

    def go_on(self, parents: Int[np.ndarray, " n"], chance: Float[np.ndarray, " n"]) -> None:
        """Each is now a copy of a parent of its own repetition, drawn in proportion to the `mass`.

        The mass is shared among the copies, and each takes back the chance by which it was chosen.
        """
        repetition = self._repetition
        share = np.bincount(repetition, self.weights * chance, self.repetitions) / self._size
        alive = chance[parents] > 0
        self.weights = np.divide(share[repetition], chance[parents], out=np.zeros(len(parents)), where=alive)
        self.clocks = self.clocks[parents]

    def tally(self) -> Tally:
        """All of it."""
        steps, shares, owners = (np.concatenate(part) for part in zip(*self._reached, strict=True))
        past = np.stack(self._past, axis=1)
        ends = self._diverging, self._unfinished, self._exposure
        return Tally(steps, shares, owners, past, *ends, self._n_diverged)

    def _total(self, chosen: Bool[np.ndarray, " n"], values: Any = None) -> Float[np.ndarray, " R"]:
        values = self.weights if values is None else self.weights * values
        # of none it would be whole numbers
        return np.bincount(self._repetition[chosen], values[chosen], self.repetitions).astype(float)


def merge(tallies: list[Tally]) -> Tally:
    """Several batches of repetitions as one."""
    counts = np.cumsum([0, *(len(tally.exposure) for tally in tallies)])
    moved = [tally._replace(repetition=tally.repetition + first) for tally, first in zip(tallies, counts, strict=False)]

    def joined(name: str) -> Any:
        parts = [getattr(tally, name) for tally in moved]
        return sum(parts) if isinstance(parts[0], int) else np.concatenate(parts)

    return Tally(*(joined(name) for name in Tally._fields))
