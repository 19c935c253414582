"""What a problem of the battery is: a question as a person would ask it, and what is right."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

import sde_sgd as ss

from ._exact import Truth


class Asked(NamedTuple):
    """The arguments of `first_passage`; `rtol=0.1` and a seed come beside them, and nothing else."""

    chain: Any
    start: np.ndarray
    target: Any
    avoid: Any = None
    horizon: float | None = None
    monitoring: Any = "discrete"

    @property
    def of_time(self) -> bool:
        """Whether the mean time is what is wanted, and not the probability."""
        return self.avoid is None and self.horizon is None


class Problem(NamedTuple):
    """kinds: what makes it hard, in a word each. ask, truth: made when they are needed."""

    name: str
    kinds: tuple[str, ...]
    dim: int
    ask: Callable[[], Asked]
    truth: Callable[[], Truth]


class Seen(ss.regions.AbstractRegion):
    """The points whose `rows` @ θ lie in a region of fewer dimensions."""

    region: Any
    rows: Any

    def level(self, theta):
        return self.region.level(jnp.asarray(self.rows, theta.dtype) @ theta)


def turned(dim: int) -> np.ndarray:
    """Directions of which none is an axis, (dim, dim); in one dimension the line itself."""
    if dim == 1:
        return np.eye(1)
    return np.linalg.qr(np.random.default_rng(dim).standard_normal((dim, dim)))[0]


def padded(loss: Callable, known: int, dim: int) -> Any:
    """The landscape of a loss of `known` components, turned in `dim`: bowls of curvature 1 to 4 along the others."""
    turn, stiffness = turned(dim), np.linspace(1, 4, max(dim - known, 1))[: dim - known]

    def whole(x):
        seen = jnp.asarray(turn, x.dtype) @ x
        return loss(seen[:known]) + 0.5 * jnp.sum(jnp.asarray(stiffness, x.dtype) * seen[known:] ** 2)

    return ss.landscapes.Landscape(whole if dim > known else loss, dim)


def single(point: Any) -> np.ndarray:
    return np.asarray(point, np.float32)
