"""Analytic landscapes whose minima and saddles are known."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from .._errors import concrete, positive, positive_integer, positive_number, real_array
from ._base import AbstractLandscape


class Quadratic(AbstractLandscape):
    """L(θ) = ½ (θ − m)ᵀ H (θ − m), by definition: one critical point at m with loss 0.

    hessian: H, symmetric, shape (dim, dim); a vector of shape (dim,) stands for its diagonal. It may be
        indefinite: then m is a saddle or a maximum and the loss is unbounded below.
    minimum: m, shape (dim,) or one number for all components.

    Raises ValueError if H is not a finite symmetric matrix or m does not have its dimension. Symmetry is
    checked to 1e-6 of the largest entry, and not at all on numbers that JAX traces.
    """

    matrix: Float[Array, "dim dim"]
    minimum: Float[Array, " dim"]
    dim: int = eqx.field(static=True)

    def __init__(self, hessian: Any, minimum: Any = 0.0):
        matrix = _floats("hessian", hessian)
        matrix = jnp.diag(matrix) if matrix.ndim == 1 else matrix
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0:
            raise ValueError(f"hessian must have shape (dim, dim) or (dim,), got shape {np.shape(hessian)}")
        known = concrete(matrix)
        if known is not None:
            if not np.all(np.isfinite(known)):
                raise ValueError(f"hessian must be finite, got {known!r}")
            if np.max(np.abs(known - known.T)) > 1e-6 * np.max(np.abs(known)):
                raise ValueError(f"hessian must be symmetric, got {known!r}")
        self.dim = matrix.shape[0]
        if np.shape(minimum) not in ((), (self.dim,)):
            raise ValueError(f"minimum must have shape () or ({self.dim},), got shape {np.shape(minimum)}")
        self.matrix = matrix
        self.minimum = jnp.broadcast_to(_floats("minimum", minimum), (self.dim,))

    def loss(self, theta: Float[Array, " dim"]) -> Scalar:
        offset = theta - self.minimum
        return offset @ (self.matrix @ offset) / 2


class DoubleWell(AbstractLandscape):
    """L(θ) = Σ (θ_i⁴/4 − curvature·θ_i²/2): each component has minima at ±√curvature and a maximum at 0, with loss 0.

    Exact: at a minimum each component has the curvature 2·curvature and the loss −curvature²/4; at 0 it has −curvature.

    curvature: μ > 0, in units of the loss per θ². dim: number of components of θ.
    Raises ValueError unless the curvature is above 0 and dim a whole number of at least 1.
    """

    curvature: Float[Array, ""]
    dim: int = eqx.field(static=True)

    def __init__(self, curvature: Any = 1.0, dim: int = 1):
        positive_integer("dim", dim)
        self.curvature, self.dim = _scale("curvature", curvature), int(dim)

    def loss(self, theta: Float[Array, " dim"]) -> Scalar:
        square = theta * theta
        return jnp.sum(square * (square / 4 - self.curvature / 2))


class MullerBrown(AbstractLandscape):
    """The Müller–Brown surface in two dimensions: three minima in a row, with crooked passes between them.

    Critical points at scale 1 (losses and curvatures are proportional to `scale`):

        minimum (−0.55822, 1.44173)  −146.69952      saddle (−0.82200, 0.62431)  −40.66484
        minimum ( 0.62350, 0.02804)  −108.16672      saddle ( 0.21249, 0.29299)  −72.24894
        minimum (−0.05001, 0.46669)   −80.76782

    scale: factor of the whole surface, above 0; the surface as published is in units where barriers are 8 to 106.

    Source: Müller and Brown, Theoretica Chimica Acta 53, 75 (1979).
    """

    scale: Float[Array, ""]
    dim: int = eqx.field(static=True)

    def __init__(self, scale: Any = 1.0):
        self.scale = _scale("scale", scale)
        self.dim = 2

    def loss(self, theta: Float[Array, " dim"]) -> Scalar:
        x, y = theta[0], theta[1]
        total = 0.0
        for height, a, b, c, x0, y0 in (
            (-200.0, -1.0, 0.0, -10.0, 1.0, 0.0),
            (-100.0, -1.0, 0.0, -10.0, 0.0, 0.5),
            (-170.0, -6.5, 11.0, -6.5, -0.5, 1.5),
            (15.0, 0.7, 0.6, 0.7, -1.0, 1.0),
        ):
            dx, dy = x - x0, y - y0
            total = total + height * jnp.exp(a * dx * dx + b * dx * dy + c * dy * dy)
        return self.scale * total


class ThreeHole(AbstractLandscape):
    """Two deep minima, a shallow third, and two ways from one deep one to the other, in two dimensions.

    L = scale·(3e^{−x²−(y−1/3)²} − 3e^{−x²−(y−5/3)²} − 5e^{−(x−1)²−y²} − 5e^{−(x+1)²−y²} + x⁴/5 + (y − 1/3)⁴/5)

    Critical points at scale 1:

        minimum (±1.04805, −0.04209)  −3.99486      saddle ( 0,       −0.31583)  −1.38459  (the lower way)
        minimum ( 0,        1.53708)  −2.17215      saddle (±0.61727,  1.10273)  −1.64669  (the upper way)
        maximum ( 0,        0.51919)  −0.71523, the hill between the ways

    scale: factor of the whole surface, above 0.

    Source: Metzner, Schütte and Vanden-Eijnden, J. Chem. Phys. 125, 084110 (2006), after Park, Sener, Lu and
    Schulten, J. Chem. Phys. 119, 1313 (2003).
    """

    scale: Float[Array, ""]
    dim: int = eqx.field(static=True)

    def __init__(self, scale: Any = 1.0):
        self.scale = _scale("scale", scale)
        self.dim = 2

    def loss(self, theta: Float[Array, " dim"]) -> Scalar:
        x, y = theta[0], theta[1]
        total = (x**4 + (y - 1 / 3) ** 4) / 5
        for height, x0, y0 in ((3.0, 0.0, 1 / 3), (-3.0, 0.0, 5 / 3), (-5.0, 1.0, 0.0), (-5.0, -1.0, 0.0)):
            total = total + height * jnp.exp(-((x - x0) ** 2) - (y - y0) ** 2)
        return self.scale * total


class StyblinskiTang(AbstractLandscape):
    """L(θ) = ½ Σ (θ_i⁴ − 16 θ_i² + 5 θ_i): 2^dim minima, each component in its deep or its shallow well.

    Per component: minima at −2.903534 (loss −39.166166) and 2.746803 (loss −25.029446), maximum at 0.156731
    (loss 0.195612). A point with each component at one of these is critical, its loss is the sum, and its index
    is the number of components at the maximum.

    dim: number of components of θ. Raises ValueError unless it is a whole number of at least 1.

    Source: Styblinski and Tang, Neural Networks 3, 467 (1990).
    """

    dim: int = eqx.field(static=True)

    def __init__(self, dim: int = 2):
        positive_integer("dim", dim)
        self.dim = int(dim)

    def loss(self, theta: Float[Array, " dim"]) -> Scalar:
        square = theta * theta
        return jnp.sum(square * (square - 16) + 5 * theta) / 2


class Rastrigin(AbstractLandscape):
    """L(θ) = Σ (θ_i² + amplitude·(1 − cos 2πθ_i)): a bowl with a lattice of local minima.

    The deepest minimum is 0 at the origin, with Hessian (2 + 4π²·amplitude)·I. There are others, near whole
    numbers, while amplitude is above about 0.23.

    dim: number of components of θ.
    amplitude: half the height of the ripples, above 0, in units of the loss.

    Raises ValueError unless dim is a whole number of at least 1 and the amplitude is above 0.

    Source: Rastrigin 1974 in two dimensions; Mühlenbein, Schomisch and Born, Parallel Computing 17, 619 (1991) in any.
    """

    amplitude: Float[Array, ""]
    dim: int = eqx.field(static=True)

    def __init__(self, dim: int = 2, amplitude: Any = 10.0):
        positive_integer("dim", dim)
        self.amplitude = _scale("amplitude", amplitude)
        self.dim = int(dim)

    def loss(self, theta: Float[Array, " dim"]) -> Scalar:
        # 1 − cos 2a = 2 sin² a keeps its digits near a minimum, where the difference would lose them
        return jnp.sum(theta**2 + 2 * self.amplitude * jnp.sin(jnp.pi * theta) ** 2)


class GaussianWells(AbstractLandscape):
    """L(θ) = ½ confinement·|θ|² − Σ_i depths_i exp(−|θ − centers_i|² / (2 widths_i²)): wells in a bowl.

    By definition; the minima lie near the centers of wells that are deep and apart, not at them: neighbours and the
    bowl pull.
    `find_minima(landscape, centers)` gives where they are.

    centers: (n_wells, dim).
    depths: (n_wells,) or one number for all, above 0.
    widths: (n_wells,) or one number for all, above 0; the curvature of a lone well is depth / width².
    confinement: curvature of the bowl about the origin, 0 or above; at 0 a trajectory that leaves the wells
        never comes back and no stationary density exists.

    Raises ValueError for numbers that are not finite, of another sign or shape.
    """

    centers: Float[Array, "wells dim"]
    depths: Float[Array, " wells"]
    widths: Float[Array, " wells"]
    confinement: Float[Array, ""]
    dim: int = eqx.field(static=True)

    def __init__(self, centers: Any, depths: Any = 1.0, widths: Any = 0.5, confinement: Any = 0.1):
        points = _floats("centers", centers)
        if points.ndim != 2 or 0 in points.shape:
            raise ValueError(f"centers must have shape (n_wells, dim), got shape {points.shape}")
        known = concrete(points)
        if known is not None and not np.all(np.isfinite(known)):
            raise ValueError(f"centers must be finite, got {known!r}")
        positive("depths", depths)
        positive("widths", widths)
        bowl = concrete(confinement)
        if bowl is not None and not (bowl.shape == () and np.isfinite(bowl) and bowl >= 0):
            raise ValueError(f"confinement must be a finite number of at least 0, got {confinement!r}")
        wells = points.shape[0]
        for name, value in (("depths", depths), ("widths", widths)):
            if np.shape(value) not in ((), (wells,)):
                raise ValueError(f"{name} must have shape () or ({wells},), got shape {np.shape(value)}")
        self.centers = points
        self.depths = jnp.broadcast_to(_floats("depths", depths), (wells,))
        self.widths = jnp.broadcast_to(_floats("widths", widths), (wells,))
        self.confinement = _floats("confinement", confinement)
        self.dim = points.shape[1]

    def loss(self, theta: Float[Array, " dim"]) -> Scalar:
        offsets = (theta - self.centers) / self.widths[:, None]
        wells = self.depths * jnp.exp(-jnp.sum(offsets**2, axis=1) / 2)
        return self.confinement * jnp.sum(theta**2) / 2 - jnp.sum(wells)


def _floats(name: str, value: Any) -> Float[Array, "..."]:
    return real_array(name, value).astype(jnp.result_type(float))


def _scale(name: str, value: Any) -> Float[Array, ""]:
    positive_number(name, value)
    return _floats(name, value)
