"""What a training will be, before it is run: programs, memory and time."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import engine
from .._errors import names_options
from .._quantities import bytes_in_words, time_in_words
from ..engine import Plan
from ..landscapes import EmpiricalRisk
from ._between_looks import losses_of
from ._train import FIFTY_EPOCHS, asked_of, starts_of

# of a chunk at a look: what it was at the look before, and θ of it in rows, twice
_COPIES_AT_A_LOOK = 3
_PROBED = 8


class TrainingPlan(NamedTuple):
    """runs: one for each batch size, in turn; each a `Plan` of its networks. looks: at the losses of all networks that
    may end them, in each run.

    result: bytes of what is returned. starts: bytes of the whole states from which the networks of one batch size set
    out, which are held while they run. looking: bytes more while losses are looked at. look_seconds: of all looks.
    """

    runs: tuple[Plan, ...]
    looks: tuple[int, ...]
    result: int
    starts: int
    looking: int
    look_seconds: float

    @property
    def networks(self) -> int:
        """In all cells."""
        return sum(run.trajectories for run in self.runs)

    @property
    def peak(self) -> int:
        """Bytes that `train` adds to the process at most, on a CPU; measured, within 25 % of it from some 500 MB on.

        The data are there before. The first time a compiler takes 20 to 160 MB besides.
        """
        return self.result + self.starts + max(run.memory for run in self.runs) + self.looking

    @property
    def compile_seconds(self) -> float:
        """Of the programs of all batch sizes."""
        return sum(run.compile_seconds for run in self.runs)

    @property
    def seconds(self) -> float:
        """Of the rest, where no network comes to the loss that would end it."""
        return sum(run.seconds for run in self.runs) + self.look_seconds

    def __str__(self) -> str:
        first, steps = self.runs[0], sorted({run.steps for run in self.runs})
        taken = f"{steps[0]:,}" if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,}"
        looks = f", and {max(self.looks):,} looks at their losses" if any(self.looks) else ""
        sizes = f"{len(self.runs)} batch size{'s' * (len(self.runs) > 1)}"
        return "\n".join(
            [
                f"devices   {first.devices}",
                f"networks  {self.networks:,}, {first.trajectories:,} of each of {sizes}",
                f"steps     {taken}{looks}",
                f"memory    {bytes_in_words(self.peak)} at most, {bytes_in_words(self.result)} of it for the result",
                f"time      {time_in_words(self.seconds)}, after {time_in_words(self.compile_seconds)} to compile",
            ]
        )


@names_options
def plan(
    risk: Any,
    *,
    networks: int = 64,
    learning_rate: Any,
    batch_size: Any,
    momentum: Any = 0.0,
    sampling: Any = "epoch",
    stop: Any = FIFTY_EPOCHS,
    start: Any = None,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
) -> TrainingPlan:
    """Memory and expected time of `train` with these arguments; no network is kept.

    risk, networks, learning_rate, batch_size, momentum, sampling, stop, start, chunk, devices: as in `train`.
    It compiles the program of each batch size and runs a probe of about 0.1 s, a chunk of networks on each core, from
    which the time is extrapolated. Valid where no network comes to the loss that would end it: the time is then less.
    Raises ValueError as `train` does.

    Example: `print(training.plan(risk, networks=256, learning_rate=[0.1, 0.2], batch_size=[8, 64]))`.
    """
    grid, chains = asked_of(risk, networks, learning_rate, batch_size, momentum, sampling, stop)
    # of a function one start is enough to tell
    starts = starts_of(risk, start, 1 if callable(start) else networks, 0)
    own_starts = networks if callable(start) or starts.strides[0] else 1
    each = len(grid.learning_rate) * len(grid.momentum) * networks
    number = starts.dtype.itemsize
    steps = [stop.steps(risk.examples, int(size)) for size in grid.batch_size]
    looks = [len(stop.looks(risk.examples, int(size))) for size in grid.batch_size]
    runs = [
        engine.plan(chain, starts[0], count, each, chunk=chunk, devices=devices)
        for chain, count in zip(chains, steps, strict=True)
    ]
    at_once = min(runs[0].at_once, runs[0].chunks)
    return TrainingPlan(
        runs=tuple(runs),
        looks=tuple(looks),
        # θ, the number of steps and whether a loss was reached; and where each network began
        result=len(runs) * each * (risk.dim * number + 9) + own_starts * risk.dim * number,
        starts=each * chains[0].state_dim * number,
        looking=_COPIES_AT_A_LOOK * at_once * runs[0].chunk * chains[0].state_dim * number if any(looks) else 0,
        look_seconds=sum(looks) * each * _seconds_of_a_look(risk, starts) / at_once if any(looks) else 0.0,
    )


def _seconds_of_a_look(risk: EmpiricalRisk, starts: np.ndarray) -> float:
    """At one network."""
    thetas = np.broadcast_to(starts[:1], (_PROBED, risk.dim))
    losses_of(risk, thetas)
    began = time.perf_counter()
    losses_of(risk, thetas)
    return (time.perf_counter() - began) / _PROBED
