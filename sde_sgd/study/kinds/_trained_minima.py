"""What the cells of a trained escape share: risks, networks trained on them, and the minima below where these ended."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import sde_sgd as ss

from .. import _networks
from .._errors import StudyError

if TYPE_CHECKING:
    from .._sections import LandscapeSpec
    from ._trained_escape import TrainedEscapeStudy
    from ._trained_escape_sections import TrainedStartSpec


class TrainedMinimum:
    """A minimum below where a network ended: `point`, as `landscapes.polish` found it, and measures there."""

    def __init__(self, risk: "ss.EmpiricalRisk", point: "ss.landscapes.Polished", begun: np.ndarray):
        self.point = point
        self._risk, self._begun = risk, begun
        self._known: dict[str, float] = {}

    def measure(self, name: str) -> float:
        """One of `training.MEASURES`, in its unit, looked up where it was asked for before.

        Raises ValueError where it cannot be had.
        """
        if name not in self._known:
            try:
                found = ss.training.MEASURES[name].of(self._risk, self.point.location[None], self._begun[None])
            except RuntimeError as error:
                raise ValueError(str(error)) from None
            self._known[name] = float(np.ravel(getattr(found, "value", found))[0])
        return self._known[name]


class TrainedMinima:
    """Risks, trained networks and minima, each made when it is first asked for.

    They depend on the study and not on the cell that asks first, so that every process that rounds alike has the same.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._risks: dict[str, tuple[ss.EmpiricalRisk, Callable[[Any], Any]]] = {}
        self._trained: dict[str, ss.training.Training] = {}
        self._minima: dict[tuple[str, int], TrainedMinimum] = {}

    def risk(self, one: "TrainedEscapeStudy") -> "ss.EmpiricalRisk":
        """The risk of a study of one cell."""
        return self._made(one.landscape)[0]

    def trained(self, one: "TrainedEscapeStudy", spec: "TrainedStartSpec") -> "ss.training.Training":
        """The networks of a start. Raises StudyError where none of them stayed finite."""
        training, rate, key = one.training, _rate(one, spec), _key(one, spec)
        if key not in self._trained:
            risk, make = self._made(one.landscape)
            found = ss.train(
                risk,
                networks=training.networks,
                learning_rate=rate,
                batch_size=spec.batch_size,
                momentum=training.momentum,
                sampling=training.sampling,
                stop=training.stop.rule(),
                start=make,
                seed=training.seed,
            )
            if found.has_diverged.all():
                raise StudyError(f"start '{spec.name}': every network diverged in training, with γ = {rate:g}")
            self._trained[key] = found
        return self._trained[key]

    def minimum(self, one: "TrainedEscapeStudy", spec: "TrainedStartSpec", number: int | None) -> TrainedMinimum:
        """That which a start takes of the minima below its networks, or that below the network of a number.

        Raises ValueError where there is none.
        """
        if number is not None:
            return self._below(one, spec, number)
        found, refused = [], []
        for place in range(one.training.networks):
            try:
                found.append(self._below(one, spec, place))
            except ValueError as error:
                refused.append(str(error))
        if not found:
            raise ValueError(refused[0])
        if len(found) == 1:
            return found[0]
        order = np.argsort([each.measure(spec.by) for each in found], kind="stable")
        return found[order[{"largest": -1, "smallest": 0, "median": (len(order) - 1) // 2}[spec.take]]]

    def _below(self, one: "TrainedEscapeStudy", spec: "TrainedStartSpec", number: int) -> TrainedMinimum:
        """The minimum below where the network of that number ended."""
        trained, key = self.trained(one, spec), (f"{_key(one, spec)} {one.leave_saddles}", number)
        if key not in self._minima:
            if trained.has_diverged[0, 0, 0, number]:
                raise ValueError(f"network {number} diverged in training")
            theta = trained.thetas[0, 0, 0, number]
            point = ss.landscapes.polish(trained.risk, theta, leave_saddles=one.leave_saddles)
            self._minima[key] = TrainedMinimum(trained.risk, point, trained.starts[number])
        return self._minima[key]

    def _made(self, spec: "LandscapeSpec") -> "tuple[ss.EmpiricalRisk, Callable[[Any], Any]]":
        """A risk, and what makes its networks from keys."""
        key = spec.model_dump_json()
        if key not in self._risks:
            assert spec.data is not None and spec.network is not None
            examples, hidden = _networks.examples(spec.data), spec.network.hidden or []
            made = _networks.risk(spec.network, hidden, examples, spec.loss, spec.penalty, self._folder, spec.seed)
            self._risks[key] = made
        return self._risks[key]


def _rate(one: "TrainedEscapeStudy", spec: "TrainedStartSpec") -> float:
    return spec.learning_rate or one.training.learning_rate


def _key(one: "TrainedEscapeStudy", spec: "TrainedStartSpec") -> str:
    """All that decides the networks of a start."""
    return f"{one.model_dump_json(include={'landscape', 'training'})} {_rate(one, spec)!r} {spec.batch_size}"
