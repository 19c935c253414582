"""How much is asked of a part of an answer by splitting."""

from typing import NamedTuple

COARSE = 0.5
"""The loosest tolerance that is asked for."""


GLANCE = 16_384
"""Trajectories that tell whether a part can matter."""


class Asking(NamedTuple):
    """How much is asked of each part.

    rtol: of the probability, or None. trajectories, repetitions: of each rate, where it is; None for as many of the
        latter as serve.
    """

    rtol: float | None
    trajectories: int
    repetitions: int | None = None

    def of(self, part: float) -> "Asking":
        """The same with so much of the tolerance."""
        return self if self.rtol is None else self._replace(rtol=min(self.rtol * part, COARSE))

    def at_a_glance(self) -> "Asking":
        """So much as tells whether the part can matter; the same where no tolerance is asked for."""
        return self if self.rtol is None else Asking(None, GLANCE)
