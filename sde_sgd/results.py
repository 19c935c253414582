"""What every result says of itself: Status, Verdict, Provenance, and how it prints."""

import abc
import enum
import html
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax

from . import __version__

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["AbstractResult", "Provenance", "Status", "Verdict"]


class Status(enum.StrEnum):
    """Whether what was asked for was done; each member's `meaning` is the sentence that a person needs."""

    meaning: str

    def __new__(cls, value: str, meaning: str):
        member = str.__new__(cls, value)
        member._value_, member.meaning = value, meaning
        return member

    COMPLETE = "complete", "what was asked for was done, and every assumption that was made was checked"
    CONVERGED = "converged", "the time averages are those of the stationary law, as far as all checks tell"
    BUDGET_SPENT = "budget spent", "the budget ended before the precision that was asked for was reached"
    TARGET_NOT_REACHED = "target not reached", "no trajectory reached the target: only an upper bound is known"
    UNDECIDED = "undecided", "what became of some trajectories is not known, and the interval leaves it open"
    NOT_SETTLED = "not settled", "the law still changed when it was taken for steady"
    DISAGREEING = "disagreeing", "another way of looking finds more than the answer holds"
    UNEVEN = "uneven", "a few repetitions or passages hold most of the answer, so that more may be where none has been"
    DIVERGED = "diverged", "some trajectories stopped being finite; the intervals hold for whatever became of them"
    NOT_CONVERGED = "not converged", "the time averages are not those of the stationary law"
    NOT_METASTABLE = "not metastable", "exits are not slow against the motion inside a basin"
    INCOMPLETE = "incomplete", "the numbers leave something out"


class Verdict(eqx.Module):
    """Findings against a result, the worst first; without any it is `fine`.

    findings: pairs of a Status and the reason for it, in words.
    fine: the status that is said where nothing was found.
    """

    findings: tuple[tuple[Status, str], ...] = eqx.field(static=True, default=())
    fine: Status = eqx.field(static=True, default=Status.COMPLETE)

    @property
    def status(self) -> Status:
        """The status of the first finding."""
        return self.findings[0][0] if self.findings else self.fine

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, in words, one for each finding."""
        return tuple(reason for _, reason in self.findings)

    def also(self, status: Status, reason: str) -> "Verdict":
        """The verdict with one more finding (status, reason), after those that it has."""
        return Verdict((*self.findings, (status, reason)), self.fine)

    def __str__(self) -> str:
        if not self.findings:
            return str(self.fine)
        return "; ".join(f"{status}: {reason}" for status, reason in self.findings)


class Provenance(eqx.Module):
    """How a result came about.

    seed: of the random numbers. method: in a word. path_steps: cost, in chain steps over all trajectories.
    devices: what it ran on, in words. seconds: wall time. versions: of this package and of JAX.
    """

    seed: int = eqx.field(static=True)
    method: str = eqx.field(static=True)
    path_steps: int = eqx.field(static=True)
    devices: str = eqx.field(static=True)
    seconds: float = eqx.field(static=True)
    versions: tuple[tuple[str, str], ...] = eqx.field(static=True)

    @classmethod
    def of(cls, seed: int, method: str, path_steps: int, began: float, devices: Sequence[Any] | None = None):
        """What a call can say of itself once it is done.

        seed, method, path_steps: as the fields. began: `time.perf_counter()` at the beginning.
        devices: as a call takes them, None for all local ones.
        """
        versions = (("sde_sgd", __version__), ("jax", jax.__version__))
        return cls(seed, method, path_steps, describe(devices), time.perf_counter() - began, versions)

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions)
        return (
            f"{self.method}, {self.path_steps:.3g} path-steps in {self.seconds:.3g} s on {self.devices}; "
            f"seed {self.seed}; {versions}"
        )


def describe(devices: Sequence[Any] | None) -> str:
    """Devices in words, such as "2 × NVIDIA H100"."""
    kinds = [device.device_kind for device in (jax.local_devices() if devices is None else devices)]
    return ", ".join(f"{kinds.count(kind)} × {kind}" for kind in dict.fromkeys(kinds))


class AbstractResult(eqx.Module):
    """A result that prints its answer, with interval and verdict, in a terminal and in a notebook."""

    verdict: eqx.AbstractVar[Verdict]
    """What is to be said about the numbers."""
    provenance: eqx.AbstractVar[Provenance]
    """How they came about."""

    @abc.abstractmethod
    def _answers(self) -> list[tuple[str, str]]:
        """What is printed: names and values, line by line."""

    @abc.abstractmethod
    def to_dataset(self) -> "xr.Dataset":
        """The numbers as an xarray Dataset whose variables have `units` and `long_name`."""

    @abc.abstractmethod
    def plot(self, ax: Any = None) -> Any:
        """The result's picture, drawn by `sde_sgd.plotting`, which loads matplotlib.

        ax: matplotlib axes to draw on; by default those of a new figure of pyplot's, `ax.figure`: a notebook shows it,
            a script by `plt.show()`, and who draws many closes them by `plt.close()`.
        Returns the axes. Raises ValueError for what are no axes.
        """

    @property
    def status(self) -> Status:
        """Whether what was asked for was done."""
        return self.verdict.status

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the status is not `complete`, in words; empty where it is."""
        return self.verdict.reasons

    @property
    def result(self) -> str:
        """The verdict in words: "complete", or what is to be said, such as "budget spent: …"."""
        return str(self.verdict)

    def __repr__(self) -> str:
        rows = [*self._answers(), ("status", self.result), ("by", str(self.provenance))]
        width = max(len(name) for name, _ in rows)
        return "\n".join([type(self).__name__, *(f"  {name:<{width}}  {text}" for name, text in rows)])

    __str__ = __repr__

    def _repr_html_(self) -> str:
        rows = [*self._answers(), ("status", self.result), ("by", str(self.provenance))]
        cells = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in rows)
        return f"<table><caption>{type(self).__name__}</caption>{cells}</table>"
