"""A sharp and a flat well with prescribed curvatures and barrier, in any dimension."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from .._errors import concrete, is_traced, number, positive_integer, positive_number
from ._base import AbstractLandscape

# k h² / b of the double well (x² − 1)², the shape a well takes where nothing else is prescribed
_NATURAL_SHAPE = 8.0


class TwoWells(AbstractLandscape):
    """A sharp and a flat minimum on coordinate 0, joined over a saddle; every number at the three is prescribed.

        L(x) = p(x₀) + ½ k(x₀) |x⊥|²,   x⊥ = (x₁, …, x_{dim−1})

    p is twice continuously differentiable: a quintic from the sharp minimum to the saddle, another from the
    saddle to the flat minimum, and beyond each minimum the parabola of its own curvature. k goes from the
    sharp to the flat transverse curvature by the smoothstep 6t⁵ − 15t⁴ + 10t³ of the fraction t of the way
    between the minima, and is constant beyond them. So L has these three critical points and no others; the
    sharp minimum lies at x₀ = −separation/2, the flat one at +separation/2, and both Hessians are diagonal.

    sharp_curvature, flat_curvature: ∂²L/∂x₀² at the minima, above 0.
    barrier: L(saddle) − L(sharp minimum), above 0. L(sharp minimum) is 0.
    depth_difference: L(flat minimum) − L(sharp minimum); below `barrier`. Above 0 the sharp one is deeper.
    separation: distance between the minima. By default each minimum is √(8 b / k) from the saddle, where b
        is its own barrier and k its curvature, as in (x² − 1)².
    dim: number of components of θ.
    saddle_curvature: −∂²L/∂x₀² at the saddle, above 0; by default half the harmonic mean of the two
        curvatures, as in (x² − 1)²; with the default separation that is monotone for all curvatures.
    saddle_fraction: where the saddle lies between the minima, 0 at the sharp and 1 at the flat one; by
        default in proportion to √(b / k).
    sharp_transverse_curvature, flat_transverse_curvature: ∂²L/∂x_i² (i > 0) at the minima, above 0; by
        default the curvature along coordinate 0. Without effect in dim 1.

    All but `dim` are PyTree leaves: `jax.vmap` over leaves, or over the constructor, is one compiled program.
    Equal curvatures of 8, barrier 1 and the defaults give (x² − 1)² between the minima.

    Raises ValueError if the prescribed numbers would need another minimum on the way up to the saddle. With
    α = k h² / b for the well's curvature k, α′ the same for the saddle's, h their distance and b the barrier,
    a quintic is monotone exactly if 30 − (3/2)(α + α′) + 2√(α α′) > 0: a well that is sharp for its width
    needs a higher barrier or a smaller separation. Numbers that JAX traces are not checked.

    Source: this library; the prescribed numbers are exact by the quintics' end conditions.
    """

    sharp_curvature: Float[Array, ""]
    flat_curvature: Float[Array, ""]
    barrier: Float[Array, ""]
    depth_difference: Float[Array, ""]
    separation: Float[Array, ""]
    saddle_curvature: Float[Array, ""]
    saddle_fraction: Float[Array, ""]
    sharp_transverse_curvature: Float[Array, ""]
    flat_transverse_curvature: Float[Array, ""]
    dim: int = eqx.field(static=True)

    def __init__(
        self,
        sharp_curvature: Any = 16.0,
        flat_curvature: Any = 4.0,
        barrier: Any = 1.0,
        depth_difference: Any = 0.0,
        separation: Any = None,
        dim: int = 1,
        *,
        saddle_curvature: Any = None,
        saddle_fraction: Any = None,
        sharp_transverse_curvature: Any = None,
        flat_transverse_curvature: Any = None,
    ):
        positive_integer("dim", dim)
        for name, value in (
            ("sharp_curvature", sharp_curvature),
            ("flat_curvature", flat_curvature),
            ("barrier", barrier),
            ("separation", separation),
            ("saddle_curvature", saddle_curvature),
            ("saddle_fraction", saddle_fraction),
            ("sharp_transverse_curvature", sharp_transverse_curvature),
            ("flat_transverse_curvature", flat_transverse_curvature),
        ):
            if value is not None:
                positive_number(name, value)
        _check_depth(depth_difference, barrier)
        sharp_width = jnp.sqrt(_NATURAL_SHAPE * _leaf(barrier) / _leaf(sharp_curvature))
        flat_width = jnp.sqrt(_NATURAL_SHAPE * (_leaf(barrier) - _leaf(depth_difference)) / _leaf(flat_curvature))
        self.sharp_curvature = _leaf(sharp_curvature)
        self.flat_curvature = _leaf(flat_curvature)
        self.barrier = _leaf(barrier)
        self.depth_difference = _leaf(depth_difference)
        self.separation = sharp_width + flat_width if separation is None else _leaf(separation)
        self.saddle_curvature = (
            self.sharp_curvature * self.flat_curvature / (self.sharp_curvature + self.flat_curvature)
            if saddle_curvature is None
            else _leaf(saddle_curvature)
        )
        self.saddle_fraction = (
            sharp_width / (sharp_width + flat_width) if saddle_fraction is None else _leaf(saddle_fraction)
        )
        self.sharp_transverse_curvature = _leaf(
            sharp_curvature if sharp_transverse_curvature is None else sharp_transverse_curvature
        )
        self.flat_transverse_curvature = _leaf(
            flat_curvature if flat_transverse_curvature is None else flat_transverse_curvature
        )
        self.dim = int(dim)

    def __check_init__(self):
        fraction, separation = concrete(self.saddle_fraction), concrete(self.separation)
        if fraction is not None and not fraction < 1:
            raise ValueError(f"saddle_fraction must lie strictly between 0 and 1, got {float(fraction)!r}")
        barrier, difference = concrete(self.barrier), concrete(self.depth_difference)
        top = concrete(self.saddle_curvature)
        if fraction is None or separation is None or barrier is None or difference is None or top is None:
            return
        for well, leaf, width, height in (
            ("sharp", self.sharp_curvature, fraction * separation, barrier),
            ("flat", self.flat_curvature, (1 - fraction) * separation, barrier - difference),
        ):
            curvature = concrete(leaf)
            if curvature is None:
                continue
            at_minimum, at_saddle = curvature * width**2 / height, top * width**2 / height
            monotone = 30 - 1.5 * (at_minimum + at_saddle) + 2 * np.sqrt(at_minimum * at_saddle)
            if not monotone > 0:
                raise ValueError(
                    f"the {well} side needs 30 − (3/2)(α + α′) + 2√(α α′) above 0 to have no second minimum, "
                    f"got {float(monotone):.4g}: {well}_curvature = {float(curvature):.4g} gives "
                    f"α = {float(at_minimum):.4g}, saddle_curvature = {float(top):.4g} gives "
                    f"α′ = {float(at_saddle):.4g} at distance {float(width):.4g} from the saddle under a "
                    f"barrier of {float(height):.4g}; lower a curvature or separation, or raise barrier"
                )

    @property
    def sharp_minimum(self) -> Float[Array, " dim"]:
        """Location of the sharp minimum, shape (dim,)."""
        return self._on_axis(-self.separation / 2)

    @property
    def flat_minimum(self) -> Float[Array, " dim"]:
        """Location of the flat minimum, shape (dim,)."""
        return self._on_axis(self.separation / 2)

    @property
    def saddle(self) -> Float[Array, " dim"]:
        """Location of the saddle, shape (dim,)."""
        return self._on_axis((self.saddle_fraction - 0.5) * self.separation)

    def _on_axis(self, first: Float[Array, ""]) -> Float[Array, " dim"]:
        return jnp.zeros(self.dim, first.dtype).at[0].set(first)

    def loss(self, theta: Float[Array, " dim"]) -> Scalar:
        """L(θ) of one point θ of shape (dim,)."""
        first = theta[0]
        half = self.separation / 2
        sharp_side = first < (self.saddle_fraction - 0.5) * self.separation
        # one polynomial in the distance from the nearer minimum towards the saddle serves both sides
        distance = jnp.where(sharp_side, first + half, half - first)
        curvature = jnp.where(sharp_side, self.sharp_curvature, self.flat_curvature)
        width = jnp.where(sharp_side, self.saddle_fraction, 1 - self.saddle_fraction) * self.separation
        bottom = jnp.where(sharp_side, 0.0, self.depth_difference)
        rise = self.barrier - bottom

        # p′ = u(1 − u)(α(1 − u) + α′u + c u(1 − u)) per unit of u and rise, with c such that p rises by `rise`
        at_minimum = curvature * width**2
        at_saddle = self.saddle_curvature * width**2
        c = 30 * rise - 2.5 * (at_minimum + at_saddle)
        cubic = (at_saddle - 2 * at_minimum + c) / 3
        quartic = -(at_saddle - at_minimum + 2 * c) / 4
        # beyond the minimum only the parabola is left; u³ makes the cut twice differentiable
        u = jnp.maximum(distance, 0.0) / width
        profile = bottom + curvature * distance**2 / 2 + u**3 * (cubic + u * (quartic + u * c / 5))
        if self.dim == 1:
            return profile.astype(theta.dtype)

        t = jnp.clip(first / self.separation + 0.5, 0.0, 1.0)
        step = t**3 * (10 + t * (6 * t - 15))
        transverse = self.sharp_transverse_curvature + step * (
            self.flat_transverse_curvature - self.sharp_transverse_curvature
        )
        return (profile + transverse * jnp.sum(theta[1:] ** 2) / 2).astype(theta.dtype)


def _leaf(value: Any) -> Float[Array, ""]:
    return jnp.asarray(value, dtype=jnp.result_type(float))


def _check_depth(depth_difference: Any, barrier: Any) -> None:
    if is_traced(depth_difference) or is_traced(barrier):
        return
    number("depth_difference", depth_difference)
    difference, height = np.asarray(depth_difference), np.asarray(barrier)
    if not np.all(np.isfinite(difference)) or not np.all(difference < height):
        raise ValueError(f"depth_difference must be finite and below barrier = {barrier!r}, got {depth_difference!r}")
