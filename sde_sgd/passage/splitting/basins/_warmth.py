"""How warm the motion is from place to place: heights as trajectories feel them where the noise is not the same."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ...._numerics import of_points

# near the start that tell of the noise there
_STATES = 64
# share of the typical noise that counts as the least, as there may be none at the bottom of a basin
_COLDEST = 1e-2
# noise that differs by less is the same
_ALIKE = 1.25


class Warmth(NamedTuple):
    """temperature: of the motion near the start, in units of L. chain, typical: whose steps have that variance there.

    Without a chain it is as warm everywhere.
    """

    temperature: float
    chain: Any = None
    typical: float = 1.0

    @classmethod
    def seen(cls, temperature: float, chain: Any, thetas: Float[np.ndarray, "n dim"]) -> "Warmth":
        """That of a chain whose trajectories near the start are at such θ; the same everywhere if none is told."""
        if not hasattr(chain, "covariance"):
            return cls(temperature)
        try:
            typical = float(np.mean(_variance(chain, thetas[:_STATES])))
        except (ValueError, TypeError):
            # steps without a variance, or one that is not known in float64
            return cls(temperature)
        return cls(temperature, chain, typical) if np.isfinite(typical) and typical > 0 else cls(temperature)

    def relative(self, thetas: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " n"]:
        """Of each point, over that near the start."""
        if self.chain is None:
            return np.ones(len(thetas))
        found = _variance(self.chain, thetas) / self.typical
        return np.maximum(np.nan_to_num(found, nan=1.0, posinf=1.0), _COLDEST)

    def differs(self, thetas: Float[np.ndarray, "n dim"]) -> bool:
        """Whether it is another at one of the points."""
        relative = self.relative(thetas)
        return bool(np.any((relative > _ALIKE) | (relative < 1 / _ALIKE)))

    def rise(self, path: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " n"]:
        """How much higher than its first point each of a path is felt: T ∫ dL/T(θ) along it, in units of L.

        In one dimension trajectories are at either end of it in proportion to exp(−rise/T), but for prefactors.
        """
        middles = (path[1:] + path[:-1]) / 2
        losses = of_points("loss", self.chain.landscape, path)
        return np.concatenate([[0.0], np.cumsum(np.diff(losses) / self.relative(middles))])


def _variance(chain: Any, thetas: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " n"]:
    """Of a step's noise, in the mean over components."""
    return np.trace(of_points("covariance", chain, thetas), axis1=1, axis2=2) / chain.dim
