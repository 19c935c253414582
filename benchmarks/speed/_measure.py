"""Contenders, interleaved rounds, and ratios within a round."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

OURS = "sde_sgd"
_PAUSE = 0.02
# a false alarm is rarer than one in 10⁸ checks
_SIGMAS = 6.0


@dataclass(frozen=True)
class Contender:
    """Something that can be timed.

    family: what it is; variants of one family compete and the fastest counts.
    run: does the whole work and returns final states on the host, (trajectories,) or (trajectories, dim), or None
        where the result is another kind of thing.
    """

    family: str
    run: Callable[[], np.ndarray | None]
    trajectories: int
    steps: int
    variant: str = ""

    @property
    def path_steps(self) -> int:
        return self.trajectories * self.steps


@dataclass(frozen=True)
class Missing:
    """A rival that could not take part."""

    family: str
    reason: str


Entry = Contender | Missing


@dataclass
class Timing:
    contender: Contender
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def costs(self) -> np.ndarray:
        """Seconds per path-step, one for each round."""
        return np.array(self.seconds) / self.contender.path_steps

    @property
    def rate(self) -> float:
        """Path-steps per second."""
        return self.contender.path_steps / self.median


@dataclass(frozen=True)
class Target:
    """What `ours` must reach `against` a family: a speed ratio of at least, or a time ratio of at most; or neither."""

    against: str
    at_least: float | None = None
    at_most: float | None = None
    ours: str = OURS

    def met(self, ratio: float) -> bool | None:
        if self.at_least is not None:
            return ratio >= self.at_least
        return ratio <= self.at_most if self.at_most is not None else None


def measure(entries: Sequence[Entry], rounds: int) -> tuple[list[Timing], list[Missing]]:
    """Warm every contender up, check it against the first, then time all in interleaved rounds.

    One that takes fewer steps than the first ends elsewhere and cannot be checked here.
    """
    missing = [entry for entry in entries if isinstance(entry, Missing)]
    ready, reference, steps = [], None, None
    for contender in (entry for entry in entries if isinstance(entry, Contender)):
        result, problem = _warm_up(contender, reference if contender.steps == steps else None)
        if problem is not None:
            missing.append(Missing(label(contender), problem))
            continue
        if reference is None:
            reference, steps = result, contender.steps
        ready.append(Timing(contender))
    for number in range(rounds):
        turn = number % max(len(ready), 1)
        for timing in ready[turn:] + ready[:turn]:
            timing.seconds.append(seconds_of(timing.contender.run))
    return ready, missing


def _warm_up(contender: Contender, reference):
    """The first result, and why the contender may not be timed."""
    try:
        result = contender.run()
    except Exception as error:
        # a rival may fail on a machine that we never saw; we may not
        if contender.family.startswith(OURS):
            raise
        return None, f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if result is None or reference is None:
        return result, None
    distance = disagreement(reference, result)
    return result, None if distance < _SIGMAS else f"wrong: its final states are {distance:.1f} standard errors off"


def seconds_of(run: Callable[[], object]) -> float:
    """Of a run that follows an untimed one at once."""
    time.sleep(_PAUSE)
    run()
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def disagreement(one: np.ndarray, other: np.ndarray) -> float:
    """Largest difference of mean and of mean square between two samples, in standard errors."""

    def rows(sample):
        return np.asarray(sample, np.float64).reshape(len(sample), -1)

    distances = [0.0]
    for power in (1, 2):
        a, b = (np.mean(rows(x) ** power, axis=1) for x in (one, other))
        error = np.sqrt(np.var(a) / len(a) + np.var(b) / len(b))
        distances.append(abs(np.mean(a) - np.mean(b)) / max(error, 1e-12))
    # a NaN is a disagreement too
    return float(max(np.nan_to_num(distances, nan=np.inf)))


def fastest(timings: Sequence[Timing], family: str) -> Timing | None:
    members = [timing for timing in timings if timing.contender.family == family]
    return min(members, key=lambda timing: float(np.median(timing.costs)), default=None)


def ratio(timings: Sequence[Timing], target: Target) -> float | None:
    """Speed ratio, or time ratio where the target bounds that; None where one side is missing."""
    ours, rival = fastest(timings, target.ours), fastest(timings, target.against)
    if ours is None or rival is None:
        return None
    speed_up = float(np.median(rival.costs / ours.costs))
    return speed_up if target.at_most is None else 1 / speed_up


def label(contender: Contender) -> str:
    return contender.family + (f", {contender.variant}" if contender.variant else "")
