"""What a method has seen, behind the one result: the estimates that every method answers with."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Float

from .._errors import numbers
from ..statistics import Estimate
from ._question import Watch


class AbstractEvidence(eqx.Module):
    """What a method saw of a first passage, and the estimates that follow from it.

    Trajectories that diverged are undecided: left out of the values, and read both ways in every interval, as having
    reached the target at that moment, and as not having reached it within the watch.
    Any further public name of a class is an attribute of the result too.
    """

    found_by: ClassVar[str]
    """What makes such evidence, in words; for who asks a result of another kind for one of its names."""
    watch: eqx.AbstractVar[Watch]

    @property
    @abc.abstractmethod
    def trajectories(self) -> int:
        """How many trajectories started from the start."""

    @property
    @abc.abstractmethod
    def censored(self) -> int:
        """How many of them were still running at the horizon."""

    @property
    @abc.abstractmethod
    def diverged(self) -> int:
        """How many trajectories stopped being finite."""

    @property
    @abc.abstractmethod
    def reached_target(self) -> bool:
        """Whether the target was seen to be reached at all."""

    @property
    @abc.abstractmethod
    def probability(self) -> Estimate:
        """P(target reached by the horizon, and before `avoid`)."""

    @abc.abstractmethod
    def survival(self, times: Any) -> Estimate:
        """P(target not reached by each time), an Estimate of the shape of `times`, SDE times; ValueError for others."""

    @property
    @abc.abstractmethod
    def exit_rate(self) -> Estimate:
        """Exits per unit of time at risk."""

    @property
    @abc.abstractmethod
    def mean_exit_time(self) -> Estimate:
        """E τ."""

    @abc.abstractmethod
    def details(self) -> dict[str, Any]:
        """What a method has beside the estimates, as variables of a dataset: (dims, values, units, long_name)."""

    def attributes(self) -> dict[str, Any]:
        """What a method has to say beside that, as attributes of a dataset."""
        return {}

    def remarks(self) -> list[tuple[str, str]]:
        """What a method has to say of how it came by its answer, to be printed with it: names and words, row by row."""
        return []

    @property
    def settling_time(self) -> float | None:
        """SDE time after which the law has forgotten its start; None where that was not asked."""
        return None

    @property
    def checked_until(self) -> float | None:
        """SDE time up to which it was watched whether it changes again; None where that was not asked."""
        return None

    @property
    def surroundings(self) -> str | None:
        """What was explored around the way, in words; None where that was not asked."""
        return None

    def _within(self, times: Any) -> Float[np.ndarray, "..."]:
        """SDE times, checked to lie in the watch."""
        times = numbers("times", times)
        if not np.all((times >= 0) & (times <= self.watch.horizon * (1 + 1e-9))):
            raise ValueError(f"times must lie from 0 to the horizon {self.watch.horizon:.6g}, got {times}")
        return times


def reciprocal(estimate: Estimate) -> Estimate:
    """1/x of an estimate: of a rate the mean time, infinite where it is 0."""
    with np.errstate(divide="ignore"):
        return Estimate(1 / estimate.value, 1 / estimate.high, 1 / estimate.low, estimate.confidence)


def widest(value: Any, *estimates: Estimate) -> Estimate:
    """A value with an interval that holds those of several estimates."""
    low = np.min([estimate.low for estimate in estimates], axis=0)
    high = np.max([estimate.high for estimate in estimates], axis=0)
    return Estimate(value, low, high, estimates[0].confidence)
