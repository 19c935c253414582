"""What the kinds share that are about minima: minima given or found, the saddles between them, Gibbs weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

# its rooms load when they are first used: `sde-sgd status` needs none of them
import sde_sgd as ss

from .._errors import StudyError
from .._sections import DynamicsSpec, PointSpec
from ._axes import LAST
from ._dynamics import AbstractDynamicsStudy, Shared, Surface


class AbstractMinimaStudy(AbstractDynamicsStudy):
    """A study of where a chain is among the minima of its landscape.

    sweep: learning rate and batch size, or temperature. minimum: the minima.
    search: starts of descents that find the minima, in place of them.
    """

    last = LAST

    sweep: DynamicsSpec
    minimum: list[PointSpec] = Field(default=[])
    search: list[list[float]] | None = None

    def attributes(self):
        return {"step": self.step_words()}

    def heading(self, dataset):
        return [self.chain_words()]

    def prepare(self, folder):
        self.check_published()
        shared, counts = Minima(folder), set()
        for one, is_new in self.distinct():
            surface = shared.surface(one)
            one.check_times(one.chain_of(surface))
            if is_new:
                one.check(surface)
                one.check_grid(surface)
                counts.add(len(shared.points(one)))
        if len(counts) > 1:
            raise StudyError(f"search must find as many minima in every cell, got {sorted(counts)}")
        return shared

    def check_times(self, chain: Any) -> None:
        """Raise StudyError, of a study of one cell, for times and numbers of trajectories that its chain cannot have.

        chain: its own.
        """

    def check(self, surface: Surface) -> None:
        """Raise, of a study of one cell, what its cell would raise of the kind's own: StudyError or ValueError.

        surface: its landscape and noise.
        """


class Minima(Shared):
    """What cells share: surfaces, the minima that studies of one cell are about, and the saddles between them."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self._known: dict[tuple[str, str], Any] = {}

    def points(self, one: AbstractMinimaStudy) -> dict[str, Any]:
        """By name, as given or found. Raises StudyError where one does not fit the landscape, or none is found."""
        return self.kept("points", one, lambda: _points(one, self.surface(one).landscape))

    def polished(self, one: AbstractMinimaStudy) -> list[Any]:
        """The minima that the points lead down to, which theory is asked about; ValueError where one is none."""
        landscape = self.surface(one).landscape
        return self.kept("polished", one, lambda: ss.landscapes.check_minima("minima", landscape, self.points(one)))

    def saddles(self, one: AbstractMinimaStudy) -> list[Any]:
        """The ways between the minima, as `landscapes.saddle_graph` finds them, which raises ValueError."""
        landscape = self.surface(one).landscape
        return self.kept("saddles", one, lambda: ss.landscapes.saddle_graph(landscape, self.polished(one)))

    def gibbs_weights(self, one: AbstractMinimaStudy) -> Any:
        """Shares of the minima in the end, by Laplace's method. Raises ValueError where it does not apply."""
        return ss.theory.gibbs_weights(one.diffusion_of(self.surface(one)), self.polished(one))

    def kept(
        self,
        what: str,
        one: AbstractMinimaStudy,
        make: Callable[[], Any],
        parts: frozenset[str] = frozenset({"landscape", "minimum", "search"}),
    ) -> Any:
        """What `make` makes, once for all studies of one cell that are alike in some parts.

        what: its name among others. one: a study of one cell. parts: its fields that decide what it is.
        """
        key = what, one.model_dump_json(include=set(parts))
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


def _points(one: AbstractMinimaStudy, landscape: Any) -> dict[str, Any]:
    from .. import _build

    if one.search is None:
        return {
            each.name: _build.point_of(f"point of minimum '{each.name}'", each.point, landscape) for each in one.minimum
        }
    try:
        found = ss.landscapes.find_minima(landscape, np.asarray(one.search, float))
    except ValueError as error:
        raise StudyError(f"search: {_build.one_line(error)}") from None
    return {str(number + 1): each.location for number, each in enumerate(found)}
