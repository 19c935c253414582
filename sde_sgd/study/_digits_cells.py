"""The `digits` study: real minibatch SGD beside its SDE with per-example noise, leaving a sublevel set."""

import functools
import importlib.util
from typing import TYPE_CHECKING, Any, Literal

import jax.numpy as jnp
import numpy as np

from .. import noise, regions
from ..chains import EulerMaruyama, MinibatchSGD
from ..diffusions import LangevinSGD
from ..passage import escape
from ..statistics import BOUNDS
from ._digits import TrainedDigits, train
from ._errors import StudyError
from ._escape import Cell, cell_seed
from ._spec import DigitsStudy

if TYPE_CHECKING:
    import xarray as xr

PROCESSES: tuple[Literal["sgd", "sde"], ...] = ("sgd", "sde")


def cells(study: DigitsStudy) -> list[Cell]:
    """For every pair (γ, M) one cell of minibatch SGD and one of the SDE; the network is trained once, when needed."""
    if importlib.util.find_spec("sklearn") is None:
        raise StudyError("a study of kind digits needs scikit-learn: pip install scikit-learn")

    @functools.cache
    def trained() -> TrainedDigits:
        try:
            return train(study.hidden, study.network_seed, examples=study.examples, penalty=study.penalty)
        except RuntimeError as error:
            raise StudyError(f"no minimum was found with penalty = {study.penalty:g}: {error}") from None

    found = []
    for process in PROCESSES:
        for index in range(len(study.ratios)):
            run = functools.partial(_simulate, study, trained, process, index)
            found.append(Cell(f"{process}-{index:03d}", float(study.iterations), run))
    return found


def _simulate(study: DigitsStudy, trained, process: str, index: int) -> dict[str, Any]:
    digits = trained()
    rate, batch = study.ratios[index]
    learning_rate = jnp.asarray(rate, float)
    if process == "sgd":
        chain = MinibatchSGD(digits.risk, learning_rate, batch)
    else:
        chain = EulerMaruyama(LangevinSGD(digits.risk, noise.PerExample(), learning_rate, jnp.asarray(batch, float)))
    seed = cell_seed(study.seed, 2 * index + PROCESSES.index(process))
    result = escape(
        chain,
        start=digits.minimum,
        region=regions.Sublevel(digits.risk, jnp.asarray(study.threshold * digits.loss, float)),
        horizon=study.iterations * rate,
        trajectories=study.trajectories,
        seed=seed,
        confidence=study.confidence,
    )
    values: dict[str, Any] = {
        "diverged": result.diverged,
        "censored": result.censored,
        "trajectories": result.trajectories,
        "cell_seed": seed,
        "minimum_loss": digits.loss,
        "accuracy": digits.accuracy,
        "gradient_norm": digits.gradient_norm,
        "parameters": digits.risk.dim,
    }
    mean = result.mean_exit_time
    for suffix in BOUNDS:
        attribute = suffix.removeprefix("_") or "value"
        values[f"probability{suffix}"] = getattr(result.probability, attribute)
        values[f"mean_exit_iterations{suffix}"] = getattr(mean, attribute) / rate
    return values


_VARIABLES = {
    "probability": ("1", "probability to leave the sublevel set within the iterations watched"),
    "mean_exit_iterations": ("iterations", "mean exit time divided by γ"),
    "diverged": ("trajectories", "trajectories that became non-finite"),
    "censored": ("trajectories", "trajectories still inside at the end"),
    "trajectories": ("trajectories", "trajectories simulated"),
    "cell_seed": ("1", "seed of the cell's random numbers, to replay a trajectory"),
}


def dataset(study: DigitsStudy, finished: dict[str, dict[str, Any]]) -> "xr.Dataset":
    """All finished cells as one dataset over cell (a pair γ, M) × process ("sgd", "sde"); the rest is NaN."""
    import xarray as xr

    variables = {}
    for name, (units, text) in _VARIABLES.items():
        for suffix in BOUNDS if name in ("probability", "mean_exit_iterations") else ("",):
            array = np.full((len(study.ratios), len(PROCESSES)), np.nan)
            for index, column in np.ndindex(array.shape):
                cell = finished.get(f"{PROCESSES[column]}-{index:03d}")
                if cell is not None:
                    array[index, column] = cell[name + suffix]
            described = {"units": units, "long_name": text + BOUNDS[suffix]}
            variables[name + suffix] = (("cell", "process"), array, described)
    rates, batches = (np.asarray(column, float) for column in zip(*study.ratios, strict=True))
    coordinates = {
        "process": ("process", list(PROCESSES), {"units": "", "long_name": "minibatch SGD, or its SDE"}),
        "learning_rate": ("cell", rates, {"units": "SDE time per iteration", "long_name": "learning rate γ"}),
        "batch_size": ("cell", batches, {"units": "examples", "long_name": "batch size M"}),
        "ratio": ("cell", rates / batches, {"units": "SDE time per iteration and example", "long_name": "γ/M"}),
    }
    any_cell = next(iter(finished.values()), {})
    attributes = {
        "kind": "digits",
        "study": study.name,
        "threshold": study.threshold,
        "iterations": study.iterations,
        "examples": study.examples,
        "confidence": study.confidence,
        "seed": study.seed,
        "cells": 2 * len(study.ratios),
        "cells_finished": len(finished),
        "notes": "",
    }
    for name in ("minimum_loss", "accuracy", "gradient_norm"):
        attributes[name] = float(any_cell.get(name, np.nan))
    attributes["parameters"] = int(any_cell.get("parameters", 0))
    return xr.Dataset(variables, coordinates, attributes)
