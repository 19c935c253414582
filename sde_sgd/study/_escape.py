"""The `escape` study: cells of start × learning rate × batch size, each with its theory and its exact answer."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from .. import reference, theory
from ..chains import EulerMaruyama
from ..diffusions import LangevinSGD
from ..passage import escape
from ..statistics import BOUNDS
from . import _build
from ._errors import StudyError
from ._spec import EscapeStudy

if TYPE_CHECKING:
    import xarray as xr

N_TIMES = 60
ESTIMATES = ("probability", "mean_exit_time", "exit_rate")


class Cell(NamedTuple):
    """One point of the sweep. work: its size relative to the other cells, for the progress bar."""

    key: str
    work: float
    run: Callable[[], dict[str, Any]]


def cell_seed(seed: int, number: int) -> int:
    """The seed of cell `number`: no two cells share random numbers, not even of studies with neighbouring seeds.

    Below 2⁵³, so that a dataset of floats holds it exactly.
    """
    return (seed << 20) + number


def times_of(study: EscapeStudy) -> np.ndarray:
    """The SDE times (60,) at which survival is reported, the last one exactly the horizon."""
    times = np.geomspace(study.horizon / 200, study.horizon, N_TIMES)
    times[-1] = study.horizon
    return times


def cells(study: EscapeStudy, folder: Path) -> list[Cell]:
    """Every cell of the study, by start and then by learning rate and batch size."""
    surface = _build.landscape(study.landscape, folder)
    noise = _build.noise_model(study.noise)
    starts = [_build.start(spec, surface) for spec in study.start]
    _check(study, surface, noise, starts)
    compared = functools.cache(functools.partial(_compare, study, surface, noise))
    found: list[Cell] = []
    for start in starts:
        for rate_index, rate in enumerate(study.sweep.learning_rate):
            for batch_index, batch in enumerate(study.sweep.batch_size):
                seed = cell_seed(study.seed, len(found))
                run = functools.partial(_simulate, study, surface, noise, start, rate, batch, seed, compared)
                key = f"{start.name}-{rate_index:03d}-{batch_index:03d}"
                found.append(Cell(key, study.horizon / study.time_step(rate), run))
    return found


def _check(study: EscapeStudy, surface, noise, starts: list[_build.Start]) -> None:
    """Raise what a cell would raise, before anything is written."""
    noise.check(surface)
    for start in starts:
        start.region.check(surface.dim)
        point = jnp.asarray(start.point, float)
        if not bool(start.region.contains(point)):
            raise StudyError(f"start '{start.name}' must lie inside its region, got {start.point.tolist()}")
        if not np.isfinite(float(surface(point))) or not np.all(np.isfinite(np.asarray(surface.gradient(point)))):
            raise StudyError(f"start '{start.name}' must have a finite loss and gradient, got {start.point.tolist()}")
    if study.reference is not None:
        ratio = study.sweep.learning_rate[0] / study.sweep.batch_size[0]
        try:
            solver = _solver(LangevinSGD(surface, noise, ratio, 1.0), study.reference.grid)
            for start in starts:
                solver.grid.start(start.point)
        except ValueError as error:
            raise StudyError(f"reference.grid does not fit the study: {_build.one_line(error)}") from None
    longest = max(study.time_step(rate) for rate in study.sweep.learning_rate)
    if longest > study.horizon:
        raise StudyError(f"horizon must be at least one step dt = {longest:g}, got {study.horizon:g}")


def _simulate(study, surface, noise, start, rate, batch, seed, compared) -> dict[str, Any]:
    """Everything that is reported of one cell, as named numbers and arrays."""
    # arrays, not Python numbers: leaves of the PyTree, so that one compiled program serves every cell of a start
    diffusion = LangevinSGD(surface, noise, jnp.asarray(rate, float), jnp.asarray(batch, float))
    chain = EulerMaruyama(diffusion, jnp.asarray(study.time_step(rate), float))
    names = ("trajectories", "rtol", "max_trajectories")
    amount = {name: getattr(study, name) for name in names if getattr(study, name) is not None}
    result = escape(
        chain,
        start=jnp.asarray(start.point, float),
        region=start.region,
        horizon=study.horizon,
        seed=seed,
        confidence=study.confidence,
        monitoring=study.monitoring,
        **amount,
    )
    # the watch ends at a whole number of steps, which may lie a fraction of a step before the horizon asked for
    survival = result.survival(np.minimum(times_of(study), result.horizon))
    values = {
        "survival": survival.value,
        "survival_low": survival.low,
        "survival_high": survival.high,
        "diverged": result.diverged,
        "censored": result.censored,
        "trajectories": result.trajectories,
        "cell_seed": seed,
    }
    for name in ESTIMATES:
        estimate = getattr(result, name)
        values |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    # the SDE depends on γ and M only through γ/M, so cells of one ratio share their theory
    theory = compared(start.name, float(f"{rate / batch:.12g}"))
    told = "" if result.result == "complete" else f"start {start.name}, γ = {rate:g}, M = {batch:g}: {result.result}\n"
    return values | theory | {"notes": told + theory["notes"]}


def _compare(study: EscapeStudy, surface, noise, start_name: str, ratio: float) -> dict[str, Any]:
    """Theory and exact solver for one start and one γ/M; NaN and a sentence where a method does not apply."""
    start = next(_build.start(spec, surface) for spec in study.start if spec.name == start_name)
    diffusion = LangevinSGD(surface, noise, ratio, 1.0)
    times = times_of(study)
    notes = []

    def attempt(name, call):
        try:
            return np.asarray(call(), np.float64)
        except ValueError as error:
            notes.append(f"{name}: {_build.one_line(error)}")
            return np.asarray(np.nan)

    def linearised():
        if start.normal is None:
            raise ValueError("the linearised exit is computed for a HalfSpace")
        length = np.linalg.norm(start.normal)
        distance = float((start.offset - start.normal @ start.point) / length)
        return theory.exit_probability(
            diffusion, start.point, (np.inf, distance), times, direction=start.normal / length
        )

    def kramers():
        if start.saddle is None:
            raise ValueError("no saddle was given")
        return theory.eyring_kramers(diffusion, start.point, start.saddle, to="saddle")

    def temperature():
        return diffusion.temperature

    values = {
        "exit_linearised": attempt("linearised theory", linearised),
        "mean_exit_time_eyring_kramers": attempt("Eyring–Kramers", kramers),
        "temperature": attempt("temperature", temperature),
        "exit_exact": np.asarray(np.nan),
        "mean_exit_time_exact": np.asarray(np.nan),
    }
    if study.reference is not None:
        solver = _solver(diffusion, study.reference.grid)
        values["exit_exact"] = attempt(
            "exact solver", lambda: solver.escape_probability(start.region, start.point, times)
        )
        values["mean_exit_time_exact"] = attempt(
            "exact solver", lambda: solver.mean_exit_time(start.region, start=start.point)
        )
    else:
        notes.append("exact solver: the study file gives no [reference] grid")
    for name in ("exit_linearised", "exit_exact"):
        values[name] = np.broadcast_to(values[name], times.shape)
    return values | {"notes": "\n".join(notes)}


def _solver(diffusion, grid):
    axes = grid if isinstance(grid[0], list) else [grid]
    triples = [(float(low), float(high), int(cells)) for low, high, cells in axes]
    return reference.FokkerPlanck(diffusion, grid=triples[0] if len(triples) == 1 else tuple(triples))


_SWEEP = ("start", "learning_rate", "batch_size")
_VARIABLES = {
    "probability": ("1", "probability to leave by the horizon, simulated"),
    "mean_exit_time": ("SDE time", "mean exit time, simulated"),
    "exit_rate": ("1 / SDE time", "exit rate, simulated"),
    "survival": ("1", "probability of no exit by each time, simulated"),
    "diverged": ("trajectories", "trajectories that became non-finite"),
    "censored": ("trajectories", "trajectories still inside at the horizon"),
    "trajectories": ("trajectories", "trajectories simulated"),
    "cell_seed": ("1", "seed of the cell's random numbers, to replay a trajectory"),
    "temperature": ("loss", "temperature γβ/(2M)"),
    "mean_exit_time_eyring_kramers": ("SDE time", "mean exit time, Eyring–Kramers"),
    "mean_exit_time_exact": ("SDE time", "mean exit time, exact solver of the SDE"),
    "exit_linearised": ("1", "probability to leave by each time, linearised theory"),
    "exit_exact": ("1", "probability to leave by each time, exact solver of the SDE"),
}


def dataset(study: EscapeStudy, finished: dict[str, dict[str, Any]]) -> "xr.Dataset":
    """All finished cells as one dataset over start × learning rate × batch size (× time); the rest is NaN.

    finished: by cell key, what `Cell.run` returned.
    """
    import xarray as xr

    sweep = study.sweep
    names = [start.name for start in study.start]
    shape = (len(names), len(sweep.learning_rate), len(sweep.batch_size))
    times = times_of(study)
    arrays: dict[str, np.ndarray] = {}
    for name in _VARIABLES:
        along = name.startswith(("survival", "exit_linearised", "exit_exact"))
        for suffix in BOUNDS if name in (*ESTIMATES, "survival") else ("",):
            arrays[name + suffix] = np.full(shape + ((len(times),) if along else ()), np.nan)
    notes: set[str] = set()
    for index in np.ndindex(shape):
        cell = finished.get(f"{names[index[0]]}-{index[1]:03d}-{index[2]:03d}")
        if cell is None:
            continue
        for name, array in arrays.items():
            array[index] = cell[name]
        notes |= {note for note in str(cell["notes"]).splitlines() if note}
    variables = {}
    for name, array in arrays.items():
        base = name.removesuffix("_low").removesuffix("_high")
        units, text = _VARIABLES[base]
        bound = BOUNDS.get(name.removeprefix(base), "")
        dims = _SWEEP + (("time",) if array.ndim == 4 else ())
        variables[name] = (dims, array, {"units": units, "long_name": text + bound})
    rates, batches = np.asarray(sweep.learning_rate), np.asarray(sweep.batch_size, float)
    coordinates = {
        "start": ("start", names, {"units": "", "long_name": "minimum started in"}),
        "learning_rate": ("learning_rate", rates, {"units": "SDE time per iteration", "long_name": "learning rate γ"}),
        "batch_size": ("batch_size", batches, {"units": "examples", "long_name": "batch size M"}),
        "time": ("time", times, {"units": "SDE time", "long_name": "SDE time t = γ·iterations"}),
        "ratio": (
            ("learning_rate", "batch_size"),
            rates[:, None] / batches,
            {"units": "SDE time per iteration and example", "long_name": "γ/M"},
        ),
    }
    parts = study.substeps or 1
    step = f"dt = {study.dt:g}" if study.dt is not None else "dt = γ" if parts == 1 else f"dt = γ/{parts}"
    attributes = {
        "kind": "escape",
        "study": study.name,
        "horizon": study.horizon,
        "confidence": study.confidence,
        "monitoring": study.monitoring,
        "step": step,
        "seed": study.seed,
        "cells": int(np.prod(shape)),
        "cells_finished": len(finished),
        "notes": "\n".join(sorted(notes)),
    }
    return xr.Dataset(variables, coordinates, attributes)
