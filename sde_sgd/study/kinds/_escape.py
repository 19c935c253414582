"""Study kind `escape`: start × learning rate × batch size, each with theory and the exact Fokker–Planck answer."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field, field_validator, model_validator

# its rooms load when they are first used: `sde-sgd status` needs none of them
import sde_sgd as ss

from .._dataset import cell_dataset
from .._errors import StudyError
from .._kind import AbstractStudy, register
from .._sections import Count, LandscapeSpec, Name, Part, Positive, Section
from .._text_table import Column

if TYPE_CHECKING:
    import xarray as xr

    from .._build import Start

N_TIMES = 60


class StartSpec(Section):
    """One minimum to start in.

    point: coordinates, or the name of an attribute of the landscape such as "sharp_minimum".
    saddle: the same, for the saddle that bounds its well; needed for Eyring–Kramers.
    region: the set to leave; left out, the side of the saddle that the point lies on.
    """

    name: Name
    point: str | list[float]
    saddle: str | list[float] | None = None
    region: Part | None = None

    @model_validator(mode="after")
    def _bounded(self):
        if self.region is None and self.saddle is None:
            raise ValueError(f"start '{self.name}' must give a region or a saddle that bounds its well")
        return self


class SweepSpec(Section):
    """Every learning rate γ is run with every batch size M."""

    learning_rate: Annotated[list[Positive], Field(min_length=1)]
    batch_size: Annotated[list[Positive], Field(min_length=1)]

    @field_validator("learning_rate", "batch_size")
    @classmethod
    def _increasing(cls, values):
        if len(set(values)) != len(values):
            raise ValueError(f"must not repeat a value, got {values}")
        return sorted(values)


class ReferenceSpec(Section):
    """The grid of the exact solver: [low, high, cells] for one dimension, a list of two of these for two."""

    grid: list[float] | list[list[float]]

    @field_validator("grid")
    @classmethod
    def _axes(cls, grid):
        for axis in grid if grid and isinstance(grid[0], list) else [grid]:
            if len(axis) != 3 or not axis[0] < axis[1] or axis[2] < 8 or axis[2] != int(axis[2]):
                raise ValueError(f"must be [low, high, cells] with low < high and at least 8 cells, got {axis}")
        return grid


@register
class EscapeStudy(AbstractStudy):
    """Escape from each start for every learning rate and batch size.

    landscape, noise: the loss and its gradient noise. sweep: the learning rates and batch sizes. start: the minima.
    horizon: SDE time watched.
    trajectories: for every cell; or rtol: run on until the interval of the escape probability is that tight, or
        max_trajectories are spent, which the report then says.
    substeps: Euler–Maruyama steps to one learning rate (dt = γ/substeps); or dt itself.
    monitoring: "discrete" is the exit of the chain, "continuous" that of the SDE.
    reference: grid of the exact solver; left out, the study has no exact numbers.
    """

    kind: Literal["escape"]
    landscape: LandscapeSpec
    noise: Part
    sweep: SweepSpec
    start: Annotated[list[StartSpec], Field(min_length=1)]
    horizon: Positive
    trajectories: Count | None = None
    rtol: Positive | None = None
    max_trajectories: Count | None = None
    substeps: Count | None = None
    dt: Positive | None = None
    monitoring: Literal["discrete", "continuous"] = "discrete"
    reference: ReferenceSpec | None = None

    @model_validator(mode="after")
    def _consistent(self):
        names = [start.name for start in self.start]
        if len(set(names)) != len(names):
            raise ValueError(f"start names must differ, got {names}")
        if (self.trajectories is None) == (self.rtol is None):
            raise ValueError("give either trajectories or rtol, not both or none")
        if self.max_trajectories is not None and self.rtol is None:
            raise ValueError("max_trajectories is the budget of rtol, which is not given")
        if self.dt is not None and self.substeps is not None:
            raise ValueError("give either dt or substeps, not both")
        return self

    def time_step(self, learning_rate: float) -> float:
        """SDE time of one step of the chain at the learning rate γ (SDE time per iteration)."""
        return self.dt if self.dt is not None else learning_rate / (self.substeps or 1)

    def times(self) -> np.ndarray:
        """The SDE times (60,) at which survival is reported, the last one exactly the horizon."""
        times = np.geomspace(self.horizon / 200, self.horizon, N_TIMES)
        times[-1] = self.horizon
        return times

    def axes(self):
        rates, batches = self.sweep.learning_rate, self.sweep.batch_size
        return {"start": len(self.start), "learning_rate": len(rates), "batch_size": len(batches)}

    def coordinates(self):
        rates, batches = np.asarray(self.sweep.learning_rate), np.asarray(self.sweep.batch_size, float)
        names = [start.name for start in self.start]
        per_example = {"units": "SDE time per iteration and example", "long_name": "γ/M"}
        return {
            "start": ("start", names, {"units": "", "long_name": "minimum started in"}),
            "learning_rate": (
                "learning_rate",
                rates,
                {"units": "SDE time per iteration", "long_name": "learning rate γ"},
            ),
            "batch_size": ("batch_size", batches, {"units": "examples", "long_name": "batch size M"}),
            "time": ("time", self.times(), {"units": "SDE time", "long_name": "SDE time t = γ·iterations"}),
            "ratio": (("learning_rate", "batch_size"), rates[:, None] / batches, per_example),
        }

    def attributes(self):
        parts = self.substeps or 1
        step = f"dt = {self.dt:g}" if self.dt is not None else "dt = γ" if parts == 1 else f"dt = γ/{parts}"
        return {"horizon": self.horizon, "monitoring": self.monitoring, "step": step}

    def key(self, index):
        return f"{self.start[index['start']].name}-{index['learning_rate']:03d}-{index['batch_size']:03d}"

    def work(self, index):
        return self.horizon / self.time_step(self.sweep.learning_rate[index["learning_rate"]])

    def code(self, folder):
        from .. import _build

        return _build.code_of(self.landscape, folder)

    def prepare(self, folder):
        from .. import _build

        surface = _build.landscape(self.landscape, folder)
        noise = _build.noise_model(self.noise)
        starts = [_build.start(spec, surface) for spec in self.start]
        _check(self, surface, noise, starts)
        # the SDE depends on γ and M only through γ/M: cells of one ratio share their theory
        compared = functools.cache(lambda number, ratio: _theory(self, surface, noise, starts[number], ratio))
        return _Shared(surface, noise, starts, compared)

    def run_cell(self, cell, shared):
        import jax.numpy as jnp

        start = shared.starts[cell.index["start"]]
        rate = self.sweep.learning_rate[cell.index["learning_rate"]]
        batch = self.sweep.batch_size[cell.index["batch_size"]]
        # arrays, not Python numbers: leaves of the PyTree, so that one compiled program serves every cell of a start
        diffusion = ss.LangevinSGD(shared.landscape, shared.noise, jnp.asarray(rate, float), jnp.asarray(batch, float))
        chain = ss.EulerMaruyama(diffusion, jnp.asarray(self.time_step(rate), float))
        amount = {name: getattr(self, name) for name in ("trajectories", "rtol", "max_trajectories")}
        result = ss.escape(
            chain,
            start=jnp.asarray(start.point, float),
            region=start.region,
            horizon=self.horizon,
            seed=cell.seed,
            confidence=self.confidence,
            monitoring=self.monitoring,
            **{name: value for name, value in amount.items() if value is not None},
        )
        # the watch ends at a whole number of steps, which may lie a fraction of a step before the horizon asked for
        times = np.minimum(self.times(), result.horizon)
        where = f"start {start.name}, γ = {rate:g}, M = {batch:g}"
        data = cell_dataset(result, cell.seed, where, along=("time",), data=result.to_dataset(times.tolist()))
        data = data.assign_coords(time=self.times())
        theory = shared.theory(cell.index["start"], float(f"{rate / batch:.12g}"))
        notes = "\n".join([data.attrs["notes"], theory.attrs["notes"]])
        return data.assign(theory.data_vars).assign_attrs(notes=notes)

    def columns(self):
        return [
            Column("start", "start"),
            Column("γ", "learning_rate", "learning rate: SDE time per iteration, t = γ·iterations"),
            Column("M", "batch_size", "batch size, in examples"),
            Column(
                "T",
                "temperature",
                "temperature γβ/(2M), where βI is the covariance of one gradient; – for other noise",
                digits=3,
            ),
            Column("P\nsimulated", "probability", f"probability to leave by t = {self.horizon:g}", interval=True),
            Column(
                "P\nlinear",
                "exit_linearised",
                "the same by the SDE linearised about the start, for a loss that is quadratic up to the boundary",
                at={"time": -1},
            ),
            Column(
                "P\nexact",
                "exit_exact",
                "the same by the grid solver of the SDE, of the chain as dt → 0",
                at={"time": -1},
            ),
            Column("time\nsimulated", "mean_exit_time", "mean SDE time to leave", interval=True),
            Column(
                "time\nKramers",
                "mean_exit_time_eyring_kramers",
                "the same by Eyring–Kramers, to the saddle, for T far below the barrier",
            ),
            Column("time\nexact", "mean_exit_time_exact", "the same by the grid solver of the SDE"),
        ]

    def heading(self, dataset):
        watched = {
            "continuous": "exit of the SDE, also between steps (continuous monitoring)",
            "discrete": "exit of the chain at its own steps (discrete monitoring)",
        }[self.monitoring]
        return [f"chain: Euler–Maruyama, {self.attributes()['step']}; {watched}"]

    def figures(self, dataset):
        from ... import plotting

        survival = plotting.survival_curves(dataset)
        return {"survival.png": survival, "phase_diagram.png": plotting.phase_diagram(dataset)}


class _Shared(NamedTuple):
    landscape: "ss.landscapes.AbstractLandscape"
    noise: "ss.noise.AbstractNoise"
    starts: "list[Start]"
    theory: "Callable[[int, float], xr.Dataset]"


def _check(study: EscapeStudy, surface: Any, noise: Any, starts: "list[Start]") -> None:
    """Raise what a cell would raise, before anything is written."""
    import jax.numpy as jnp

    from .._build import one_line

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
            solver = _solver(ss.LangevinSGD(surface, noise, ratio, 1.0), study.reference.grid)
            for start in starts:
                solver.grid.start(start.point)
        except ValueError as error:
            raise StudyError(f"reference.grid does not fit the study: {one_line(error)}") from None
    longest = max(study.time_step(rate) for rate in study.sweep.learning_rate)
    if longest > study.horizon:
        raise StudyError(f"horizon must be at least one step dt = {longest:g}, got {study.horizon:g}")


def _theory(study: EscapeStudy, surface: Any, noise: Any, start: "Start", ratio: float) -> "xr.Dataset":
    """Theory and exact solver for one start and one γ/M; NaN and a note where a method does not apply."""
    import xarray as xr

    from .._build import one_line

    diffusion = ss.LangevinSGD(surface, noise, ratio, 1.0)
    times = study.times()
    data, notes = xr.Dataset(), []

    def attempt(variable: str, method: str, units: str, long_name: str, answer: Callable[[], Any]) -> None:
        dims = ("time",) if variable in ("exit_linearised", "exit_exact") else ()
        try:
            values = np.asarray(answer(), np.float64)
        except ValueError as error:
            notes.append(f"{method}: {one_line(error)}")
            values = np.full(times.shape if dims else (), np.nan)
        data[variable] = (dims, values, {"units": units, "long_name": long_name})

    def kramers():
        if start.saddle is None:
            raise ValueError("no saddle was given")
        return ss.theory.eyring_kramers(diffusion, start.point, start.saddle, to="saddle")

    solver = functools.cache(lambda: _given_solver(study, diffusion))
    by_time = "probability to leave by each time"
    attempt("temperature", "temperature", "loss", "temperature γβ/(2M)", lambda: diffusion.temperature)
    attempt(
        "exit_linearised",
        "linearised theory",
        "1",
        f"{by_time}, linearised theory",
        lambda: _linearised(diffusion, start, times),
    )
    attempt(
        "exit_exact",
        "exact solver",
        "1",
        f"{by_time}, exact solver of the SDE",
        lambda: solver().escape_probability(start.region, start.point, times),
    )
    time = "mean exit time"
    attempt("mean_exit_time_eyring_kramers", "Eyring–Kramers", "SDE time", f"{time}, Eyring–Kramers", kramers)
    attempt(
        "mean_exit_time_exact",
        "exact solver",
        "SDE time",
        f"{time}, exact solver of the SDE",
        lambda: solver().mean_exit_time(start.region, start=start.point),
    )
    curvature = "largest eigenvalue of ∇²L at the start"
    attempt("largest_curvature", curvature, "loss/θ²", curvature, lambda: _largest_curvature(surface, start))
    return data.assign_attrs(notes="\n".join(notes))


def _linearised(diffusion: Any, start: "Start", times: np.ndarray) -> Any:
    if start.normal is None:
        raise ValueError("the linearised exit is computed for a HalfSpace")
    length = np.linalg.norm(start.normal)
    distance = float((start.offset - start.normal @ start.point) / length)
    return ss.theory.exit_probability(
        diffusion, start.point, (np.inf, distance), times, direction=start.normal / length
    )


def _largest_curvature(surface: Any, start: "Start") -> float:
    """λ_max, which says up to which learning rate 2/λ_max gradient descent is stable there."""
    try:
        return float(np.asarray(ss.landscapes.sharpness(surface, start.point, 1)).item())
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def _given_solver(study: EscapeStudy, diffusion: Any) -> Any:
    if study.reference is None:
        raise ValueError("the study file gives no [reference] grid")
    return _solver(diffusion, study.reference.grid)


def _solver(diffusion: Any, grid: Any) -> Any:
    axes = grid if isinstance(grid[0], list) else [grid]
    triples = [(float(low), float(high), int(cells)) for low, high, cells in axes]
    return ss.reference.FokkerPlanck(diffusion, grid=triples[0] if len(triples) == 1 else tuple(triples))
