"""Products of a Hessian with vectors, in float64: at one point or many, of the whole of θ or of a part of it."""

import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._numerics import as_float64, bound
from ._base import AbstractLandscape

# what the points that are worked on at once may take
_MOST_BYTES = 2**28


def product_at(landscape: AbstractLandscape, theta: Any, part: Any) -> Callable[[Any], Any]:
    """v ↦ ∇²L(θ) v by automatic differentiation, linearised once; of the block of the components `part`, or of all."""
    product = jax.linearize(landscape.gradient, theta)[1]
    if part is None:
        return product
    return lambda vector: product(jnp.zeros_like(theta).at[part].set(vector))[part]


def places(part: slice | None) -> np.ndarray | None:
    """The components of a part of θ, as `product_at` takes them."""
    return None if part is None else np.arange(part.start, part.stop)


class AtPoints:
    """Programs over the points `thetas`, (n, dim), compiled once for all of a structure and run a few points at once.

    How many depends on what one takes: the vectors that a program keeps and, as a bound, all intermediate numbers of a
    gradient. beside: what programs take next to the landscape, such as a noise model.
    Calls belong inside `jax.enable_x64(True)`.
    """

    def __init__(self, landscape: AbstractLandscape, thetas: np.ndarray, *beside: Any):
        self.thetas, self._tree = thetas, as_float64((landscape, *beside))
        self._gradient_bytes = 8 * _numbers(landscape)

    def __call__(self, program: Callable[..., Any], *shared: Any, each: tuple[Any, ...] = (), vectors: int = 1) -> Any:
        """program(landscape, *beside, θ, *one of each, *shared) at every point: NumPy arrays, points in front.

        program: of a module. each: arrays with one entry for a point. vectors: how many of dim numbers it keeps.
        Raises ValueError where the vectors of one point do not fit into the machine's memory.
        """
        parts = list(self.chunks(program, *shared, each=each, vectors=vectors))
        return jax.tree.map(lambda *some: np.concatenate(some), *parts)

    def chunks(
        self, program: Callable[..., Any], *shared: Any, each: tuple[Any, ...] = (), vectors: int = 1
    ) -> Iterator[Any]:
        """The same, a few points after another."""
        count, dim = self.thetas.shape
        own = 8 * dim * vectors
        if own > _memory():
            raise ValueError(
                f"landscape must be small enough for {vectors} vectors of dim = {dim} components to fit into memory, "
                f"got {own / 2**30:.3g} GiB of {_memory() / 2**30:.3g} GiB"
            )
        size = min(count, max(1, int(_MOST_BYTES / (own + self._gradient_bytes))))
        run = bound(_MAPPED[program], self._tree)
        for start in range(0, count, size):
            # the last few are filled up, so that one program serves all
            chosen = np.minimum(np.arange(start, start + size), count - 1)
            kept = min(size, count - start)
            found = run(self.thetas[chosen], [np.asarray(array)[chosen] for array in each], list(shared))
            yield jax.tree.map(lambda array, kept=kept: np.asarray(array)[:kept], found)


class _Mapped(dict):
    """For a program its form over many points: the same function each time, by which programs are kept."""

    def __missing__(self, program: Callable[..., Any]) -> Callable[..., Any]:
        def mapped(tree, thetas, each, shared):
            return jax.vmap(lambda theta, own: program(*tree, theta, *own, *shared))(thetas, each)

        self[program] = mapped
        return mapped


_MAPPED = _Mapped()


def _numbers(landscape: AbstractLandscape) -> int:
    """How many numbers a gradient makes on its way, at most."""
    point = jax.ShapeDtypeStruct((landscape.dim,), jnp.zeros(0).dtype)
    equations = jax.make_jaxpr(landscape.gradient)(point).jaxpr.eqns
    return sum(math.prod(getattr(each.aval, "shape", ())) for equation in equations for each in equation.outvars)


def _memory() -> float:
    """Bytes of this machine's memory; infinite where it does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return math.inf
