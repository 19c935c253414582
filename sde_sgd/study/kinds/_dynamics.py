"""What the kinds share that run one chain on one landscape: landscape, noise, γ and M or a temperature, chain, step."""

import functools
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import model_validator

# its rooms load when they are first used: `sde-sgd status` needs none of them
import sde_sgd as ss

from .._errors import StudyError, before_any_cell
from .._kind import AbstractStudy
from .._sections import (
    ChainSpec,
    Count,
    DynamicsSpec,
    LandscapeSpec,
    NoiseSpec,
    Positive,
    ReferenceSpec,
    ScheduleSpec,
    SweepSpec,
)

if TYPE_CHECKING:
    import xarray as xr


class Surface(NamedTuple):
    """The landscape of a cell, and its noise model where the study has one."""

    landscape: "ss.landscapes.AbstractLandscape"
    noise: "ss.noise.AbstractNoise | None"


class AbstractDynamicsStudy(AbstractStudy):
    """A study of one chain on one landscape.

    landscape: the loss. noise: its gradient noise, where the chain is that of an SDE with a learning rate.
    sweep: learning rate and batch size, or a temperature where the kind takes one.
    schedule: how the learning rate falls from that of the sweep; left out, it does not.
    chain: how a step is made, Euler–Maruyama by default.
    substeps: steps of an SDE to one learning rate (dt = γ/substeps); or dt itself.
    dt: SDE time of a step. reference: grid of the exact solver; left out, the study has no exact numbers.
    """

    landscape: LandscapeSpec
    noise: NoiseSpec | None = None
    sweep: SweepSpec | DynamicsSpec
    schedule: ScheduleSpec | None = None
    chain: ChainSpec = ChainSpec()
    substeps: Count | None = None
    dt: Positive | None = None
    reference: ReferenceSpec | None = None

    @model_validator(mode="after")
    def _one_step(self):
        if self.dt is not None and self.substeps is not None:
            raise ValueError("give either dt or substeps, not both")
        if self.substeps is not None and not self.chain.is_sde:
            raise ValueError(f"substeps are of an SDE, got {self.substeps} for a chain of kind {self.chain.kind}")
        if self.schedule is not None and (self.sweep.learning_rate is None or self.chain.kind == "Underdamped"):
            raise ValueError("schedule is of a learning rate, which a temperature and Underdamped have none of")
        return self

    def time_step(self, learning_rate: float) -> float:
        """SDE time of one step of the chain at the learning rate γ (SDE time per iteration)."""
        return self.dt if self.dt is not None else learning_rate / (self.substeps or 1)

    def steps_at(self, index: dict[str, int], time: float) -> float:
        """About how many steps the cell at `index` takes to an SDE time, for the progress bar."""
        values = self.values_at(index)
        dt, parts = values.get("dt", self.dt), values.get("substeps", self.substeps) or 1
        return time / (dt or values.get("sweep.learning_rate", self.sweep.learning_rate or 1.0) / parts)

    def asked(self, index):
        batch = self.values_at(index).get("sweep.batch_size")
        built_in = [batch] if self.chain.draws_batches else []
        if self.schedule is not None:
            # a schedule is built in with its numbers
            built_in += [repr(value) for value in self.values_at(index).values()]
        return (*super().asked(index), *built_in)

    def code(self, folder):
        from .. import _build

        return _build.code_of(self.landscape, folder)

    def step_words(self) -> str:
        """How long a step is, in words."""
        if self.dt is not None:
            return "dt as swept" if self.is_swept("dt") else f"dt = {self.dt:g}"
        if self.is_swept("substeps"):
            return "dt = γ/substeps"
        return "dt = γ" if (self.substeps or 1) == 1 else f"dt = γ/{self.substeps}"

    def chain_words(self) -> str:
        """The chain in words, for the line above the table."""
        falls = "" if self.schedule is None else f"; the learning rate falls, {self.schedule.kind}"
        if not self.chain.is_sde:
            return f"chain: {self.chain.kind}, one step an iteration{falls}"
        name = "Euler–Maruyama" if self.chain.kind == "EulerMaruyama" else self.chain.kind
        return f"chain: {name}, {self.step_words()}{falls}"

    def distinct(self) -> Iterator[tuple[Any, bool]]:
        """Studies of one cell each, as `along_axes`, and whether its landscape, noise, sets or grid are new ones.

        Of a large sweep over γ and M few are: what is dear to check is checked of those.
        """
        seen: set[str] = set()
        parts = {"landscape", "noise", "start", "region", "minimum", "search", "reference"}
        for one in self.along_axes():
            key = one.model_dump_json(include=parts)
            yield one, key not in seen
            seen.add(key)

    def chain_of(self, surface: Surface) -> Any:
        """The chain of a study of one cell."""
        from .. import _chains

        dt, rate = self.dt, self.sweep.learning_rate
        if self.chain.is_sde and dt is None and rate is not None:
            dt = self.time_step(rate)
        return _chains.chain(self.chain, surface.landscape, surface.noise, self.sweep, dt, self.schedule)

    def diffusion_of(self, surface: Surface) -> Any:
        """The SDE that theory is asked about; ValueError as `refuse_other_chains`."""
        from .. import _chains

        self.refuse_other_chains()
        return _chains.diffusion(self.chain, surface.landscape, surface.noise, self.sweep)

    def check_watch(self, chain: Any, horizon: float | None, max_steps: int | None = None) -> None:
        """Raise StudyError where a passage could not be watched so long, as its call would.

        chain: of the study of one cell. horizon: SDE time, or None. max_steps: of a watch without.
        """
        from ...passage._question import steps_of_watch

        with before_any_cell():
            steps_of_watch(horizon, float(np.asarray(chain.time_step)), max_steps or 1)

    def refuse_other_chains(self) -> None:
        """Raise ValueError where theory has nothing to say: beside a chain that is that of no SDE, has a memory, or has
        a learning rate that falls.
        """
        if self.chain.kind != "EulerMaruyama":
            raise ValueError(f"there is none beside a chain of kind {self.chain.kind}")
        if self.schedule is not None:
            raise ValueError("there is none beside a learning rate that falls")

    def check_grid(self, surface: Surface, *points: np.ndarray) -> None:
        """Raise StudyError where the study gives a grid that does not fit, or on which the points do not lie."""
        from .._build import one_line

        # noise along one direction has no density that a grid could hold, which its cells then say
        if self.reference is None or (self.noise is not None and self.noise.reshaped.startswith("leading")):
            return
        try:
            # where the learning rate falls the grid is for that of the beginning
            steady = self.model_copy(update={"schedule": None})
            exact = solver(steady.diffusion_of(surface), self.reference)
            for point in points:
                exact.grid.start(point)
        except ValueError as error:
            raise StudyError(f"reference.grid does not fit the study: {one_line(error)}") from None


class Theories:
    """What theories say beside a cell: a variable for each, NaN and a note where one does not apply."""

    def __init__(self):
        self._variables: dict[str, Any] = {}
        self._notes: list[str] = []

    def add(
        self,
        name: str,
        method: str,
        units: str,
        words: str,
        answer: Callable[[], Any],
        dims: Mapping[str, int] = types.MappingProxyType({}),
    ) -> None:
        """Ask for one variable.

        method: what notes call it. words: of the variable. answer: its values, or ValueError.
        dims: of the variable, with their lengths; none by default.
        """
        from .._build import one_line

        try:
            values = np.asarray(answer(), np.float64)
        except ValueError as error:
            self._notes.append(f"{method}: {one_line(error)}")
            values = np.full(tuple(dims.values()), np.nan)
        self._variables[name] = (tuple(dims), values, {"units": units, "long_name": words})

    def dataset(self) -> "xr.Dataset":
        """The variables, with the notes as its attribute `notes`."""
        import xarray as xr

        return xr.Dataset(self._variables, attrs={"notes": "\n".join(self._notes)})


def beside(data: "xr.Dataset", theory: "xr.Dataset") -> "xr.Dataset":
    """A cell's dataset with the variables of theory, and the notes of both."""
    notes = "\n".join([data.attrs["notes"], theory.attrs["notes"]])
    return data.assign(theory.data_vars).assign_attrs(notes=notes)


def given_of(one: AbstractDynamicsStudy, *names: str) -> dict[str, Any]:
    """The keys of these `names` that the study file gives; the others have the library's own defaults."""
    return {name: getattr(one, name) for name in names if getattr(one, name) is not None}


def solver(diffusion: Any, reference: ReferenceSpec | None) -> Any:
    """The exact solver on the study's grid. Raises ValueError where there is no grid, or it does not fit."""
    if reference is None:
        raise ValueError("the study file gives no [reference] grid")
    grid: Any = reference.grid
    axes = grid if isinstance(grid[0], list) else [grid]
    triples = [(float(low), float(high), int(cells)) for low, high, cells in axes]
    return ss.reference.FokkerPlanck(diffusion, grid=triples[0] if len(triples) == 1 else tuple(triples))


def surfaces(folder: Path) -> "Callable[[LandscapeSpec, NoiseSpec | None], Surface]":
    """A function from a landscape and its noise, or None, to what they are, which keeps some: cells often share one.

    folder: where a person's module is looked for first.
    """
    from .. import _build

    @functools.lru_cache(maxsize=16)
    def made(landscape: str, noise: str | None) -> Surface:
        surface = _build.landscape(LandscapeSpec.model_validate_json(landscape), folder)
        if noise is None:
            return Surface(surface, None)
        model = _build.noise_model(NoiseSpec.model_validate_json(noise))
        model.check(surface)
        return Surface(surface, model)

    def of(landscape: LandscapeSpec, noise: NoiseSpec | None) -> Surface:
        return made(landscape.model_dump_json(exclude_unset=True), None if noise is None else noise.model_dump_json())

    return of


class Shared:
    """What the cells of a study share, made when it is first asked for: here, surfaces."""

    def __init__(self, folder: Path):
        self._surface_of = surfaces(folder)

    def surface(self, one: AbstractDynamicsStudy) -> Surface:
        """Landscape and noise of a study of one cell."""
        return self._surface_of(one.landscape, one.noise)
