"""What the cells of a trained escape share: risks, networks trained on them, and the minima below where these ended."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import sde_sgd as ss

from .. import _networks
from .._errors import StudyError

if TYPE_CHECKING:
    from .._sections import LandscapeSpec
    from ._trained_escape import TrainedEscapeStudy
    from ._trained_escape_sections import TrainedStartSpec


class TrainedMinimum(NamedTuple):
    """A minimum below where a network ended.

    point: as `landscapes.polish` found it. noise_trace: Tr V there, in loss² per θ².
    measures: by name, those that the study asks for. unknown: why one of them is NaN, a line for each.
    """

    point: "ss.landscapes.Polished"
    noise_trace: float
    measures: dict[str, float]
    unknown: list[str]


class TrainedMinima:
    """Risks, trained networks and minima, each made when it is first asked for.

    They depend on the study and not on the cell that asks first, so that every process that rounds alike has the same.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._risks: dict[str, tuple[ss.EmpiricalRisk, Callable[[Any], Any]]] = {}
        self._trained: dict[str, ss.training.Training] = {}
        self._minima: dict[Any, TrainedMinimum] = {}

    def risk(self, one: "TrainedEscapeStudy") -> "ss.EmpiricalRisk":
        """The risk of a study of one cell."""
        return self._risk(one.landscape)[0]

    def trained(self, one: "TrainedEscapeStudy", spec: "TrainedStartSpec") -> "ss.training.Training":
        """The networks of a start. Raises StudyError where none of them stayed finite."""
        training, rate = one.training, spec.learning_rate or one.training.learning_rate
        key = f"{one.model_dump_json(include={'landscape', 'training'})} {rate!r} {spec.batch_size}"
        if key not in self._trained:
            risk, make = self._risk(one.landscape)
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
        """The minimum of the network that the start takes, or of that of a number. Raises ValueError where none is."""
        trained = self.trained(one, spec)
        asked = one.model_dump_json(include={"landscape", "training", "leave_saddles", "measures"})
        key = asked, spec.model_dump_json(exclude={"name"}), number
        if key not in self._minima:
            place = _place(trained, spec) if number is None else number
            if trained.has_diverged[0, 0, 0, place]:
                raise ValueError("the network diverged in training")
            theta = trained.thetas[0, 0, 0, place]
            point = ss.landscapes.polish(trained.risk, theta, leave_saddles=one.leave_saddles)
            self._minima[key] = _measured(one, trained, trained.starts[place], point)
        return self._minima[key]

    def _risk(self, spec: "LandscapeSpec") -> "tuple[ss.EmpiricalRisk, Callable[[Any], Any]]":
        key = spec.model_dump_json()
        if key not in self._risks:
            assert spec.data is not None and spec.network is not None
            examples, hidden = _networks.examples(spec.data), spec.network.hidden or []
            made = _networks.risk(spec.network, hidden, examples, spec.loss, spec.penalty, self._folder, spec.seed)
            self._risks[key] = made
        return self._risks[key]


def _place(trained: "ss.training.Training", spec: "TrainedStartSpec") -> int:
    """The network that a start takes, among those that stayed finite; of an even number the lower of two medians."""
    finite = np.flatnonzero(~trained.has_diverged[0, 0, 0])
    values = np.ravel(trained.measure(spec.by)[spec.by].values)[finite]
    order = finite[np.argsort(values, kind="stable")]
    return int(order[{"largest": -1, "smallest": 0, "median": (len(order) - 1) // 2}[spec.take]])


def _measured(
    one: "TrainedEscapeStudy", trained: "ss.training.Training", begun: np.ndarray, point: "ss.landscapes.Polished"
) -> TrainedMinimum:
    at, begun = point.location[None], begun[None]
    values, unknown = {}, []
    for name in one.measures:
        try:
            found = ss.training.MEASURES[name].of(trained.risk, at, begun)
            values[name] = float(np.ravel(getattr(found, "value", found))[0])
        except (RuntimeError, ValueError) as error:
            values[name] = np.nan
            unknown.append(f"{name} is not known: {' '.join(str(error).split())}")
    return TrainedMinimum(point, float(ss.landscapes.noise_trace(trained.risk, point)), values, unknown)
