"""Critical points of a landscape by trust-region descent and Newton's method, in float64 whatever a simulation uses."""

from collections.abc import Callable
from typing import Any, NoReturn

import equinox as eqx
import jax
import numpy as np
import scipy.optimize
from jaxtyping import Float64

from .._errors import points as points_of
from .._errors import positive_number, show
from .._numerics import as_float64, bound, with_slope
from ._base import AbstractLandscape, check_landscape

_GRADIENT_TOLERANCE = 1e-10
_FLAT = 1e-8
_ROUNDING = 1e-14
# steps in a row that a search takes back, its trust region a quarter each time, before it ends
_STANDSTILL = 200


class CriticalPoint(eqx.Module):
    """A point where the gradient vanishes, and the landscape's Hessian there; NumPy float64 throughout.

    location: shape (dim,), in units of θ. loss: L there. gradient_norm: |∇L| that is left there.
    hessian: ∇²L, shape (dim, dim). eigenvalues: those of the Hessian, ascending, shape (dim,).
    zero_below: size up to which an eigenvalue counts as zero: 1e-8 of the largest, or more where the Hessian changes by
        as much as the eigenvalue within the distance up to which the location is known.
    """

    location: Float64[np.ndarray, " dim"]
    loss: float
    gradient_norm: float
    hessian: Float64[np.ndarray, "dim dim"]
    eigenvalues: Float64[np.ndarray, " dim"]
    zero_below: float

    @property
    def index(self) -> int:
        """Number of negative eigenvalues: 0 at a minimum, 1 at a saddle that a transition crosses."""
        return int(np.sum(self.eigenvalues < -self.zero_below))

    @property
    def flat_directions(self) -> int:
        """Number of eigenvalues that count as zero."""
        return int(np.sum(np.abs(self.eigenvalues) <= self.zero_below))

    @property
    def is_degenerate(self) -> bool:
        """Whether an eigenvalue counts as zero, as all do at a monkey saddle.

        The Hessian then does not tell what the point is, and what divides by its determinant (`gibbs_weights`,
        `eyring_kramers`) does not hold.
        """
        return self.flat_directions > 0

    @property
    def trace(self) -> float:
        """tr ∇²L, the sum of the eigenvalues, in loss per θ²: a sharpness."""
        return float(np.sum(self.eigenvalues))

    @property
    def largest_eigenvalue(self) -> float:
        """The Hessian's largest eigenvalue: a sharpness; a gradient step below 2 over it is stable."""
        return float(self.eigenvalues[-1])

    @property
    def log_det(self) -> float:
        """log |det ∇²L|, the sum of the logarithms of the eigenvalues' absolute values."""
        return float(np.sum(np.log(np.abs(self.eigenvalues))))


def find_minima(
    landscape: AbstractLandscape,
    starts: Any,
    *,
    merge: float = 1e-5,
) -> list[CriticalPoint]:
    """The minima that descents from `starts` end in, each once, sorted by loss.

    starts: shape (n, dim), or (dim,) for one start; states of SGD, say. A descent goes downhill (trust region with
        the exact Hessian) and usually, not always, ends in the basin it began in; a minimum that no start leads to
        is not found.
    merge: minima closer than merge·max(1, |location|) count as one.

    Every minimum is polished by Newton's method until |∇L| ≤ 1e-10·max(1, ‖∇²L‖). All of it runs in
    float64, with the landscape's own float32 numbers taken as they are; a loss that casts to float32 inside
    cannot reach that. Each step needs the dense Hessian: meant for up to a few hundred components.

    Raises ValueError if `starts` has the wrong shape or is not finite, and, naming the start, if its descent
    goes down without bound, meets a gradient or Hessian that is not finite, does not converge, or ends where
    the Hessian has a negative or (to 1e-8 of its largest) a zero eigenvalue.

    Source: Nocedal and Wright 2006, chapter 4, for the trust region.
    """
    positive_number("merge", merge)
    check_landscape(landscape)
    points = points_of("starts", starts, landscape.dim)
    found: list[CriticalPoint] = []
    with jax.enable_x64(True):
        surface = Float64Landscape(landscape)
        for number, start in enumerate(points):
            found.append(descend(surface, start, f"starts[{number}] = {show(start)}"))
    kept: list[CriticalPoint] = []
    for point in sorted(found, key=lambda point: point.loss):
        if not any(same(point, other, merge) for other in kept):
            kept.append(point)
    return kept


class Float64Landscape:
    """A landscape's loss, gradient and Hessian in float64, each compiled once for all landscapes of its structure.

    Calls belong inside `jax.enable_x64(True)`.
    """

    def __init__(self, landscape: AbstractLandscape):
        landscape = as_float64(landscape)
        self._value, self._hessian, self._values = (
            bound(function, landscape) for function in (with_slope("loss"), _hessian, _losses_and_gradients)
        )

    def value(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """L and ∇L, (dim,), at one point (dim,)."""
        loss, gradient = self._value(point)
        return float(loss), np.asarray(gradient, np.float64)

    def hessian(self, point: np.ndarray) -> np.ndarray:
        """∇²L, (dim, dim), at one point (dim,), symmetric to the last bit."""
        matrix = np.asarray(self._hessian(point), np.float64)
        return (matrix + matrix.T) / 2

    def hessian_operations(self, point: np.ndarray) -> float:
        """How many floating-point operations one Hessian takes, by the compiler's count."""
        costs = self._hessian.func.lower(*self._hessian.args, point).compile().cost_analysis()
        costs = costs[0] if isinstance(costs, list) else costs or {}
        return float(costs.get("flops", 0.0))

    def values(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """L, (n,), and ∇L, (n, dim), at points (n, dim)."""
        losses, gradients = self._values(points)
        return np.asarray(losses, np.float64), np.asarray(gradients, np.float64)

    def critical(self, point: np.ndarray) -> CriticalPoint:
        """What there is at a point (dim,), critical or not."""
        loss, gradient = self.value(point)
        hessian = self.hessian(point)
        eigenvalues = np.linalg.eigvalsh(hessian)
        return CriticalPoint(
            location=np.array(point, np.float64),
            loss=loss,
            gradient_norm=float(np.linalg.norm(gradient)),
            hessian=hessian,
            eigenvalues=eigenvalues,
            zero_below=_FLAT * float(np.abs(eigenvalues).max()),
        )


def _losses_and_gradients(landscape: AbstractLandscape, points: Any) -> Any:
    return jax.vmap(jax.value_and_grad(landscape.loss))(points)


def _hessian(landscape: AbstractLandscape, point: Any) -> Any:
    return landscape.hessian(point)


def descend(surface: Float64Landscape, start: np.ndarray, name: str) -> CriticalPoint:
    """The minimum below `start`; `name` opens every error."""

    def unfit(what: str) -> NoReturn:
        raise ValueError(f"{name} must lead down to a minimum, but {what}")

    first_loss, first_gradient = surface.value(start)
    first_hessian = _finite_hessian(surface, start, unfit)
    if not np.isfinite(first_loss) or not np.all(np.isfinite(first_gradient)):
        unfit(f"its loss is {first_loss} and its gradient {show(first_gradient)}")
    far = 1e8 * (1 + np.linalg.norm(start))

    @_remember
    def value(point: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = surface.value(point)
        if loss == -np.inf or (np.linalg.norm(point) > far and loss < first_loss):
            unfit(f"the loss descends without bound: it is {loss:.6g} at {show(point)}")
        # a step to where the loss is undefined or infinite is one that the trust region takes back
        return (np.inf, gradient) if np.isnan(loss) else (loss, gradient)

    def gradient_at(point: np.ndarray) -> np.ndarray:
        gradient = value(point)[1]
        if not np.all(np.isfinite(gradient)):
            unfit(f"the gradient is not finite at {show(point)}")
        return gradient

    point, hessian = start, first_hessian
    # in units of the Hessian where it stands, so that neither the loss's nor a far start's scale matters
    for _ in range(20):
        scale = np.linalg.norm(hessian, 2) or 1.0
        if np.linalg.norm(gradient_at(point)) <= 1e-6 * scale:
            break
        result = scipy.optimize.minimize(
            lambda x, s=scale: value(x)[0] / s,
            point,
            jac=lambda x, s=scale: gradient_at(x) / s,
            hess=lambda x, s=scale: _finite_hessian(surface, x, unfit) / s,
            method="trust-exact",
            callback=_Standstill(),
            options={"gtol": 1e-7, "maxiter": 300, "max_trust_radius": 1e300},
        )
        if np.array_equal(result.x, point):
            break
        point = np.asarray(result.x, np.float64)
        hessian = _finite_hessian(surface, point, unfit)

    found, converged = newton(surface, point)
    where = f"found the point {show(found.location)} with loss {found.loss:.8g}"
    # a start far up a steep wall must not make an ordinary minimum look flat, hence at most 1
    unit = max(abs(found.eigenvalues).max(), min(1.0, np.linalg.norm(first_hessian, 2)))
    if found.eigenvalues[0] < -max(_FLAT * unit, found.zero_below):
        unfit(f"{where} and index {found.index}, eigenvalues {show(found.eigenvalues)}; `polish` goes on from saddles")
    if found.eigenvalues[0] <= _FLAT * unit or found.is_degenerate:
        unfit(f"{where} and a flat direction, eigenvalues {show(found.eigenvalues)}")
    if not converged:
        unfit(f"{where} and gradient norm {found.gradient_norm:.3g}, where Newton's method gets no further")
    return found


class _Standstill:
    """Ends a search that no step has moved in so long that its trust region is nothing, as at a kink."""

    def __init__(self):
        self._last, self._times = None, 0

    def __call__(self, intermediate_result: scipy.optimize.OptimizeResult) -> None:
        moved = self._last is None or not np.array_equal(self._last, intermediate_result.x)
        self._last, self._times = np.array(intermediate_result.x), 0 if moved else self._times + 1
        if self._times == _STANDSTILL:
            raise StopIteration


def newton(surface: Float64Landscape, point: np.ndarray) -> tuple[CriticalPoint, bool]:
    """Newton's method to the critical point near `point`, and whether |∇L| ≤ 1e-10·max(1, ‖∇²L‖) there."""
    best = surface.critical(point)
    for _ in range(60):
        if best.gradient_norm == 0:
            break
        eigenvalues, vectors = np.linalg.eigh(best.hessian)
        # along flat directions the gradient is rounding error, and dividing by their eigenvalue a long jump
        usable = np.abs(eigenvalues) > 1e-12 * np.abs(eigenvalues).max()
        inverse = np.divide(1.0, eigenvalues, out=np.zeros_like(eigenvalues), where=usable)
        step = vectors @ (inverse * (vectors.T @ surface.value(best.location)[1]))
        following = best.location - step
        # a step may lead so far that the norm overflows, which is no less
        with np.errstate(over="ignore"):
            gradient_norm = np.linalg.norm(surface.value(following)[1])
        # beyond the tolerance too, down to rounding error: the norm at least halves while it still converges
        if not gradient_norm <= best.gradient_norm / 2 or not np.all(np.isfinite(surface.hessian(following))):
            break
        best = surface.critical(following)
    tolerance = _GRADIENT_TOLERANCE * max(1.0, float(np.abs(best.eigenvalues).max()))
    return with_flat_directions(surface, best), best.gradient_norm <= tolerance


def with_flat_directions(surface: Float64Landscape, point: CriticalPoint) -> CriticalPoint:
    """The point with `zero_below` raised to the eigenvalues that say nothing about the loss around it.

    The location along an eigenvector is known to the gradient that is left, or its rounding, over the eigenvalue. At a
    monkey saddle, or the minimum of x⁴, the curvature changes by as much as itself within that distance.
    """
    eigenvalues, vectors = np.linalg.eigh(point.hessian)
    zero_below = point.zero_below
    left = max(point.gradient_norm, _ROUNDING * max(1.0, float(np.abs(eigenvalues).max())))
    for place in np.argsort(np.abs(eigenvalues)):
        value, direction = eigenvalues[place], vectors[:, place]
        if abs(value) <= zero_below:
            continue
        known_to = min(left / abs(value), 1e-3 * max(1.0, float(np.linalg.norm(point.location))))
        near = [surface.hessian(point.location + sign * known_to * direction) for sign in (-1, 1)]
        if not any(abs(direction @ hessian @ direction - value) > abs(value) / 2 for hessian in near):
            break
        zero_below = abs(float(value))
    # what counts as zero is well above the rounding of one way to find eigenvalues against another
    return eqx.tree_at(lambda tree: tree.zero_below, point, zero_below * (1 + 1e-6))


def _finite_hessian(surface: Float64Landscape, point: np.ndarray, unfit: Callable[[str], NoReturn]) -> np.ndarray:
    hessian = surface.hessian(point)
    if not np.all(np.isfinite(hessian)):
        unfit(f"the Hessian is not finite at {show(point)}")
    return hessian


def _remember(function: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], Any]:
    """`function` with its last answer kept: scipy asks for the loss and the gradient of a point in turn."""
    last: list[Any] = [None, None]

    def remembering(point: np.ndarray) -> Any:
        if last[0] is None or not np.array_equal(point, last[0]):
            last[1] = function(point)
            last[0] = np.array(point)
        return last[1]

    return remembering


def same(first: CriticalPoint, second: CriticalPoint, merge: float) -> bool:
    distance = np.linalg.norm(first.location - second.location)
    return bool(distance < merge * max(1.0, float(np.linalg.norm(first.location))))
