"""From where training stopped to a critical point: minimum, saddle, degenerate point or kink; and on from saddles."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
import scipy.optimize
import scipy.sparse.linalg
from jaxtyping import Float64

from .._errors import point as point_of
from .._errors import positive_integer, show
from ..random import seed_number
from ._base import AbstractLandscape, check_landscape
from ._critical_points import Float64Landscape, newton, with_flat_directions
from ._eigenpairs import eigenpairs
from ._hessian_products import AtPoints, product_at
from ._kinks import gradient_jumps, to_a_kink

_GRADIENT_TOLERANCE, _FLAT = 1e-10, 1e-8
# components up to which the whole Hessian is made
_DENSE = 1_000
_MOST_ITERATIONS = 20_000
# a share of the loss below which descents at kinks have become slow; a mean of gradients that is short beside them
_SLOW, _SHORT = 1e-6, 1e-2


class Polished(eqx.Module):
    """Where a descent from a point ends, and what there is; NumPy float64 throughout.

    location: shape (dim,), in units of θ. loss: L there.
    kind: "minimum"; "saddle", with a negative eigenvalue; "degenerate", with none, but one that counts as zero, so that
        the Hessian does not tell what the point is; "kink", where the gradient jumps and no direction leads down to
        first order, up to `gradient_norm`, which leaves open whether one does to second; or "unfinished", where the
        gradient does not vanish and the descent got no further.
    gradient_norm: |∇L| there; at a kink the length of the shortest mean of the gradients around it.
    eigenvalues: smallest ones of ∇²L, ascending, (k,); at a kink, of the smooth piece that the location lies in.
    vectors: their eigenvectors, (k, dim). residuals: ‖Hv − λv‖ of each, (k,); 0 where the whole Hessian was made.
    largest_eigenvalue: largest size of an eigenvalue of ∇²L.
    zero_below: size up to which an eigenvalue counts as zero. saddles_left: how many were gone on from.
    """

    location: Float64[np.ndarray, " dim"]
    loss: float
    kind: str
    gradient_norm: float
    eigenvalues: Float64[np.ndarray, " k"]
    vectors: Float64[np.ndarray, "k dim"]
    residuals: Float64[np.ndarray, " k"]
    largest_eigenvalue: float
    zero_below: float
    saddles_left: int = 0

    @property
    def is_minimum(self) -> bool:
        """Whether it is a minimum with all eigenvalues above zero."""
        return self.kind == "minimum"

    def __str__(self) -> str:
        what = {"degenerate": "degenerate point", "unfinished": "point that is no critical one"}.get(
            self.kind, self.kind
        )
        on = f" after {self.saddles_left} saddle{'s' * (self.saddles_left > 1)}" if self.saddles_left else ""
        return (
            f"a {what}{on}: loss {self.loss:.6g}, |∇L| {self.gradient_norm:.2g}, "
            f"eigenvalues from {show(self.eigenvalues)} to {self.largest_eigenvalue:.6g}"
        )

    __repr__ = __str__


class _Spectrum(NamedTuple):
    """Ends of a Hessian's spectrum: the smallest with their vectors, (k, dim), and the largest size."""

    eigenvalues: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray
    largest: float
    zero_below: float


def polish(
    landscape: AbstractLandscape,
    theta: Any,
    *,
    leave_saddles: bool = False,
    k: int = 5,
    most_saddles: int = 50,
    seed: int = 0,
) -> Polished:
    """The critical point below θ, to rounding error, and its kind; on request on, downhill, from every saddle.

    landscape: any, also one with kinks (ReLU). theta: (dim,), or an object with a `location`: where training stopped.
    leave_saddles: whether to go on from a saddle, along the direction of its smallest eigenvalue to the side that is
        lower, as often as it takes, at most `most_saddles` times. k: how many of the smallest eigenvalues to give.
    seed: of the random points around a kink, and of Lanczos' first vectors.

    Descends by L-BFGS, then by Newton's method until |∇L| ≤ 1e-10·max(1, ‖∇²L‖), in float64; the loss never rises.
    Where that stops because the gradient jumps, it descends by gradient sampling. Up to 1,000 components by the whole
    Hessian; beyond by products with it (MINRES, Lanczos), where an eigenvalue is known to its residual.
    Raises ValueError for θ of another shape or where L is not finite, another k or most_saddles, and where the loss
    descends without bound.
    Source: Nocedal and Wright 2006; Burke, Lewis and Overton 2005 for kinks.
    """
    check_landscape(landscape)
    positive_integer("k", k)
    positive_integer("most_saddles", most_saddles)
    start = point_of("theta", theta, landscape.dim)
    with jax.enable_x64(True):
        descent = _Descent(landscape, start, k, seed)
        found = descent.to_a_standstill(start)
        while found.kind == "saddle" and leave_saddles and found.saddles_left < most_saddles:
            following = descent.beside(found.location, found.vectors[0])
            if following is None:
                break
            left = found.saddles_left + 1
            found = eqx.tree_at(lambda each: each.saddles_left, descent.to_a_standstill(following), left)
    return found


class _Descent:
    """Descents on one landscape. Calls belong inside `jax.enable_x64(True)`."""

    def __init__(self, landscape: AbstractLandscape, start: np.ndarray, k: int, seed: int):
        self.landscape, self.surface, self.k, self.seed = landscape, Float64Landscape(landscape), k, seed
        self.first = self.surface.value(start)[0]
        if not np.isfinite(self.first):
            raise ValueError(f"theta must have a finite loss, got {self.first} at {show(start)}")
        self.far = 1e8 * (1 + float(np.linalg.norm(start)))
        self.generator = np.random.default_rng(seed_number(seed))
        # a start on a steep wall must not make an ordinary minimum look flat
        self.unit = 0.0
        self.unit = min(1.0, self._spectrum(start).largest)

    def to_a_standstill(self, start: np.ndarray) -> Polished:
        """Where descents from `start` end."""
        at, last = start, np.inf
        while True:
            at = self._newton(self._downhill(at))
            spectrum, (loss, gradient) = self._spectrum(at), self.surface.value(at)
            norm = float(np.linalg.norm(gradient))
            if not gradient_jumps(self.surface, at, spectrum.largest, self.generator):
                if norm <= _GRADIENT_TOLERANCE * max(1.0, spectrum.largest):
                    spectrum = self._with_flat_directions(at, spectrum)
                    return self._found(at, _kind(spectrum), norm, spectrum)
                # on a slope that curves down there is no saddle yet
                curves = spectrum.eigenvalues[0] < -spectrum.zero_below and loss < last
                following = self.beside(at, spectrum.vectors[0]) if curves else None
                if following is None:
                    return self._found(at, "unfinished", norm, spectrum)
                at, last = following, loss
                continue
            search = to_a_kink(self.surface, at, spectrum.largest, self.generator)
            if search.is_still or not search.loss < min(loss, last - _SLOW * abs(last)):
                kind = "kink" if search.shortest <= _SHORT * search.longest else "unfinished"
                return self._found(search.location, kind, search.shortest, self._spectrum(search.location))
            at, last = search.location, search.loss

    def beside(self, at: np.ndarray, direction: np.ndarray) -> np.ndarray | None:
        """The lowest of some points along a line through `at` that is lower than it; None where none is."""
        steps = np.logspace(-5, 0, 21) * max(1.0, float(np.linalg.norm(at)))
        places = at + np.concatenate([steps, -steps])[:, None] * direction
        losses = np.nan_to_num(self.surface.values(places)[0], nan=np.inf)
        best = int(np.argmin(losses))
        return places[best] if losses[best] < self.surface.value(at)[0] else None

    def _downhill(self, start: np.ndarray) -> np.ndarray:
        def value(at: np.ndarray) -> tuple[float, np.ndarray]:
            loss, gradient = self.surface.value(at)
            if loss == -np.inf or (np.linalg.norm(at) > self.far and loss < self.first):
                raise ValueError(
                    f"theta must lead down to a critical point, but the loss descends without bound: it is {loss:.6g} "
                    f"at {show(at)}"
                )
            # to where the loss is undefined no step leads
            return (loss, gradient) if np.isfinite(loss) else (np.inf, np.nan_to_num(gradient))

        options = {
            "maxiter": _MOST_ITERATIONS,
            "maxfun": 2 * _MOST_ITERATIONS,
            "gtol": 1e-11,
            "ftol": 0.0,
            "maxcor": 30,
        }
        found = scipy.optimize.minimize(value, start, jac=True, method="L-BFGS-B", options=options)
        return np.asarray(found.x, np.float64) if found.fun <= self.surface.value(start)[0] else start

    def _newton(self, start: np.ndarray) -> np.ndarray:
        """The critical point that Newton's method finds from `start`, unless it is higher."""
        if self.landscape.dim <= _DENSE:
            at = newton(self.surface, start)[0].location
        else:
            at = self._newton_by_products(start)
        before, after = self.surface.value(start)[0], self.surface.value(at)[0]
        return at if after <= before + 1e-12 * max(1.0, abs(before)) else start

    def _newton_by_products(self, at: np.ndarray) -> np.ndarray:
        gradient = self.surface.value(at)[1]
        for _ in range(30):
            here = AtPoints(self.landscape, at[None])
            operator = scipy.sparse.linalg.LinearOperator(
                (len(at), len(at)),
                matvec=lambda vector, here=here: here(_product, each=(np.ravel(vector)[None],))[0],
                dtype=np.float64,
            )
            step = scipy.sparse.linalg.minres(operator, gradient, rtol=1e-6, maxiter=300)[0]
            following = at - step
            left = self.surface.value(following)[1]
            if not np.linalg.norm(left) <= np.linalg.norm(gradient) / 2:
                break
            at, gradient = following, left
        return at

    def _spectrum(self, at: np.ndarray) -> _Spectrum:
        if self.landscape.dim <= _DENSE:
            values, vectors = np.linalg.eigh(self.surface.hessian(at))
            k, largest = min(self.k, len(values)), float(np.abs(values).max())
            return _Spectrum(values[:k], vectors[:, :k].T, np.zeros(k), largest, _FLAT * max(largest, self.unit))
        found = eigenpairs(self.landscape, at, self.k, which="smallest", tolerance=1e-7, seed=self.seed)
        zero_below = max(_FLAT * max(float(found.scale), self.unit), float(found.residuals.max()))
        return _Spectrum(found.values, found.vectors, found.residuals, float(found.scale), zero_below)

    def _with_flat_directions(self, at: np.ndarray, spectrum: _Spectrum) -> _Spectrum:
        """With more that counts as zero where the Hessian changes within the distance up to which `at` is known."""
        if self.landscape.dim > _DENSE:
            return spectrum
        raised = with_flat_directions(self.surface, self.surface.critical(at)).zero_below
        return spectrum._replace(zero_below=max(spectrum.zero_below, raised))

    def _found(self, at: np.ndarray, kind: str, norm: float, spectrum: _Spectrum) -> Polished:
        return Polished(
            location=at,
            loss=self.surface.value(at)[0],
            kind=kind,
            gradient_norm=norm,
            eigenvalues=spectrum.eigenvalues,
            vectors=spectrum.vectors,
            residuals=spectrum.residuals,
            largest_eigenvalue=spectrum.largest,
            zero_below=spectrum.zero_below,
        )


def _kind(spectrum: _Spectrum) -> str:
    if spectrum.eigenvalues[0] < -spectrum.zero_below:
        return "saddle"
    return "degenerate" if spectrum.eigenvalues[0] <= spectrum.zero_below else "minimum"


def _product(landscape, theta, vector):
    return product_at(landscape, theta, None)(vector)
