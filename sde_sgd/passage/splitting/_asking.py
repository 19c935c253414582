"""How much is asked of a part of an answer by splitting."""

from typing import NamedTuple

COARSE = 0.5
"""The loosest tolerance that is asked for."""


class Asking(NamedTuple):
    """How much is asked of each part. rtol: of the probability, or None. trajectories: of each rate, where it is."""

    rtol: float | None
    trajectories: int

    def of(self, part: float) -> "Asking":
        """The same with so much of the tolerance."""
        return self if self.rtol is None else self._replace(rtol=min(self.rtol * part, COARSE))
