"""What the kinds share that run one chain on one landscape: landscape, noise, γ and M or a temperature, chain, step."""

import functools
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

# its rooms load when they are first used: `sde-sgd status` needs none of them
import sde_sgd as ss

from .._errors import StudyError
from .._kind import AbstractStudy
from .._sections import ChainSpec, Count, LandscapeSpec, NoiseSpec, Positive, ReferenceSpec
from ..reporting._text_table import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import xarray as xr


class Surface(NamedTuple):
    """The landscape of a cell, and its noise model where the study has one."""

    landscape: "ss.landscapes.AbstractLandscape"
    noise: "ss.noise.AbstractNoise | None"


class AbstractDynamicsStudy(AbstractStudy):
    """A study of one chain on one landscape.

    landscape: the loss. noise: its gradient noise, where the chain is that of an SDE with a learning rate.
    chain: how a step is made, Euler–Maruyama by default.
    substeps: steps of an SDE to one learning rate (dt = γ/substeps); or dt itself.
    dt: SDE time of a step. reference: grid of the exact solver; left out, the study has no exact numbers.
    """

    landscape: LandscapeSpec
    noise: NoiseSpec | None = None
    chain: ChainSpec = ChainSpec()
    substeps: Count | None = None
    dt: Positive | None = None
    reference: ReferenceSpec | None = None

    def time_step(self, learning_rate: float) -> float:
        """SDE time of one step of the chain at the learning rate γ (SDE time per iteration)."""
        return self.dt if self.dt is not None else learning_rate / (self.substeps or 1)

    def asked(self, index):
        batch = self.values_at(index).get("sweep.batch_size")
        return (*super().asked(index), *([batch] if self.chain.draws_batches else []))

    def code(self, folder):
        from .. import _build

        network, found = self.landscape.network, [_build.code_of(self.landscape, folder)]
        if network is not None and network.function is not None:
            found.append(_build.code_named(network.function, folder))
        return "\n".join(filter(None, found))

    def step_words(self) -> str:
        """How long a step is, in words."""
        if self.dt is not None:
            return "dt as swept" if self.is_swept("dt") else f"dt = {self.dt:g}"
        if self.is_swept("substeps"):
            return "dt = γ/substeps"
        return "dt = γ" if (self.substeps or 1) == 1 else f"dt = γ/{self.substeps}"

    def distinct(self) -> "Iterator[tuple[Any, bool]]":
        """Studies of one cell each, as `along_axes`, and whether its landscape, noise, sets or grid are new ones.

        Of a large sweep over γ and M few are: what is dear to check is checked of those.
        """
        seen: set[str] = set()
        parts = {"landscape", "noise", "start", "region", "minimum", "search", "reference"}
        for one in self.along_axes():
            key = one.model_dump_json(include=parts)
            yield one, key not in seen
            seen.add(key)

    def rate_columns(self) -> list[Column]:
        """Columns of the swept numbers, γ, M and T last."""
        known = {
            "learning_rate": Column("γ", "learning_rate", "learning rate: SDE time per iteration, t = γ·iterations"),
            "batch_size": Column("M", "batch_size", "batch size, in examples"),
            "temperature": Column("T", "temperature", "temperature, in units of the loss"),
        }
        last = [column for name, column in known.items() if self.is_swept(f"sweep.{name}")]
        return [*self.swept_columns(), *last]

    def chain_words(self) -> str:
        """The chain in words, for the line above the table."""
        if not self.chain.is_sde:
            return f"chain: {self.chain.kind}, one step an iteration"
        name = "Euler–Maruyama" if self.chain.kind == "EulerMaruyama" else self.chain.kind
        return f"chain: {name}, {self.step_words()}"

    def chain_of(self, surface: Surface) -> Any:
        """The chain of a study of one cell."""
        from .. import _chains

        sweep: Any = getattr(self, "sweep")  # noqa: B009
        dt = self.dt
        if self.chain.is_sde and dt is None and sweep.learning_rate is not None:
            dt = self.time_step(sweep.learning_rate)
        return _chains.chain(self.chain, surface.landscape, surface.noise, sweep, dt)

    def diffusion_of(self, surface: Surface) -> Any:
        """The SDE that theory is asked about; ValueError where the chain is that of none, or has a memory."""
        from .. import _chains

        if self.chain.kind != "EulerMaruyama":
            raise ValueError(f"there is none beside a chain of kind {self.chain.kind}")
        return _chains.diffusion(self.chain, surface.landscape, surface.noise, getattr(self, "sweep"))  # noqa: B009


class MinimaOf:
    """The minima that studies of one cell are about, given or found, and the saddles between them; some are kept."""

    def __init__(self, surface: "Callable[[Any], Surface]"):
        self._surface = surface
        self._minima: dict[str, dict[str, Any]] = {}
        self._polished: dict[str, list[Any]] = {}
        self._saddles: dict[str, list[Any]] = {}

    def __call__(self, one: Any) -> dict[str, Any]:
        """By name. Raises StudyError where a point does not fit the landscape, or where the search finds none."""
        from .. import _build

        key = _key(one)
        if key not in self._minima:
            surface = self._surface(one).landscape
            points = {
                each.name: _build.point_of(f"point of minimum '{each.name}'", each.point, surface)
                for each in one.minimum
            }
            if one.search is not None:
                try:
                    found = ss.landscapes.find_minima(surface, np.asarray(one.search, float))
                except ValueError as error:
                    raise StudyError(f"search: {_build.one_line(error)}") from None
                points = {str(number + 1): each.location for number, each in enumerate(found)}
            self._minima[key] = points
        return self._minima[key]

    def polished(self, one: Any) -> list[Any]:
        """The minima that the points lead down to, which theory is asked about; ValueError where one is none."""
        key = _key(one)
        if key not in self._polished:
            surface = self._surface(one).landscape
            self._polished[key] = ss.landscapes.check_minima("minima", surface, self(one))
        return self._polished[key]

    def saddles(self, one: Any) -> list[Any]:
        """The ways between the minima, as `landscapes.saddle_graph` finds them, which raises ValueError."""
        key = _key(one)
        if key not in self._saddles:
            self._saddles[key] = ss.landscapes.saddle_graph(self._surface(one).landscape, self.polished(one))
        return self._saddles[key]


def _key(one: Any) -> str:
    return one.model_dump_json(include={"landscape", "minimum", "search"})


def attempt(
    data: "xr.Dataset", notes: list[str], name: str, dims: dict[str, int], method: str, about: Any, answer: Any
) -> None:
    """Add a variable to a dataset: what a theory answers, or NaN and a note where it does not apply.

    dims: of the variable, with their lengths. method: of the note. about: units and words. answer: raises ValueError.
    """
    from .._build import one_line

    try:
        values = np.asarray(answer(), np.float64)
    except ValueError as error:
        notes.append(f"{method}: {one_line(error)}")
        values = np.full(tuple(dims.values()), np.nan)
    data[name] = (tuple(dims), values, {"units": about[0], "long_name": about[1]})


def solver(diffusion: Any, reference: ReferenceSpec | None) -> Any:
    """The exact solver on the study's grid. Raises ValueError where there is no grid, or it does not fit."""
    if reference is None:
        raise ValueError("the study file gives no [reference] grid")
    grid: Any = reference.grid
    axes = grid if isinstance(grid[0], list) else [grid]
    triples = [(float(low), float(high), int(cells)) for low, high, cells in axes]
    return ss.reference.FokkerPlanck(diffusion, grid=triples[0] if len(triples) == 1 else tuple(triples))


def surfaces(folder: Path) -> "Callable[[Any], Surface]":
    """A function from studies of one cell to their surfaces, of which it keeps some: cells in a row often share one.

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

    def of(study: Any) -> Surface:
        noise = None if study.noise is None else study.noise.model_dump_json()
        return made(study.landscape.model_dump_json(exclude_unset=True), noise)

    return of


def ratio(study: AbstractStudy, coordinates: dict[str, Any]) -> tuple[Any, Any, dict[str, str]]:
    """γ/M as a coordinate over the dimensions of sweep.learning_rate and sweep.batch_size, which may be zipped.

    coordinates: of the study, with those two.
    """
    rates, batches = (np.asarray(coordinates[name][1], float) for name in ("learning_rate", "batch_size"))
    along = tuple(study.dimension(f"sweep.{name}") for name in ("learning_rate", "batch_size"))
    described = {"units": "SDE time per iteration and example", "long_name": "γ/M"}
    if along[0] == along[1]:
        return along[:1], rates / batches, described
    return along, rates[:, None] / batches, described


def slices(
    dataset: "xr.Dataset", kept: "Sequence[str]", of: str = "probability", most: int = 12
) -> "Iterator[tuple[str, xr.Dataset]]":
    """Parts of a dataset over the axes of its sweep that a figure cannot show, with an ending for each one's name.

    kept: the dimensions that the figure has. of: a variable with all the axes of the sweep.
    most: parts, of which the first are taken.
    """
    extra = [str(name) for name in dataset[of].dims if name not in kept]
    places = itertools.product(*(range(dataset.sizes[name]) for name in extra))
    for place in itertools.islice(places, most):
        index = dict(zip(extra, place, strict=True))
        part = dataset.isel(index)
        ending = "".join(f"-{name}-{place:03d}" for name, place in index.items())
        yield ending, part
