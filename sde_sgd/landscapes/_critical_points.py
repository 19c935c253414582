"""Minima and saddles of a landscape, in float64 whatever precision the simulation runs in."""

import functools
from collections.abc import Callable
from typing import Any, NoReturn

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Float64

from .._errors import concrete, positive_number
from ._base import AbstractLandscape, check_landscape

_GRADIENT_TOLERANCE = 1e-10
_FLAT = 1e-8
_IMAGES = 33
_STRING_BLOCKS = 400
_STRING_STEPS = 100


class CriticalPoint(eqx.Module):
    """A point where the gradient vanishes, and the landscape's Hessian there; NumPy float64 throughout.

    location: shape (dim,). loss: L there. gradient_norm: |∇L| that is left there.
    hessian: ∇²L, shape (dim, dim). eigenvalues: those of the Hessian, ascending, shape (dim,).
    """

    location: Float64[np.ndarray, " dim"]
    loss: float
    gradient_norm: float
    hessian: Float64[np.ndarray, "dim dim"]
    eigenvalues: Float64[np.ndarray, " dim"]

    @property
    def index(self) -> int:
        """Number of negative eigenvalues: 0 at a minimum, 1 at a saddle that a transition crosses."""
        return int(np.sum(self.eigenvalues < 0))

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

    starts: shape (n, dim), or (dim,) for one start. A descent goes downhill (trust region with the exact
        Hessian) and usually, not always, ends in the basin it began in; a minimum that no start leads to is
        not found.
    merge: minima closer than merge·max(1, |location|) count as one.

    Every minimum is polished by Newton's method until |∇L| ≤ 1e-10·max(1, ‖∇²L‖). All of it runs in
    float64, with the landscape's own float32 numbers taken as they are; a loss that casts to float32 inside
    cannot reach that. Each step needs the dense Hessian: meant for up to a few hundred components.

    Raises ValueError if `starts` has the wrong shape or is not finite, and, naming the start, if its descent
    goes down without bound, meets a gradient or Hessian that is not finite, does not converge, or ends where
    the Hessian has a negative or (to 1e-8 of its largest) a zero eigenvalue.
    """
    positive_number("merge", merge)
    check_landscape(landscape)
    points = _points("starts", starts, landscape.dim)
    found: list[CriticalPoint] = []
    with jax.enable_x64(True):
        surface = Surface(landscape)
        for number, start in enumerate(points):
            found.append(descend(surface, start, f"starts[{number}] = {show(start)}"))
    kept: list[CriticalPoint] = []
    for point in sorted(found, key=lambda point: point.loss):
        if not any(_same(point, other, merge) for other in kept):
            kept.append(point)
    return kept


def find_saddle(landscape: AbstractLandscape, minimum_a: Any, minimum_b: Any) -> CriticalPoint:
    """The highest saddle on a minimum-energy path from one minimum to another.

    minimum_a, minimum_b: CriticalPoints, or arrays of shape (dim,), which are first descended to the minimum
        below them.

    A string of images, straight at first, relaxes towards the minimum-energy path; from its highest image a
    climb along the softest direction, then Newton's method, reach the saddle (|∇L| as in `find_minima`).
    Where the path passes other minima its highest saddle need not border both of yours. Where several
    paths exist the one found is near the straight line, and not always the lowest: pass minima in
    between, pair by pair, to choose another.

    Raises ValueError if an argument is not a minimum or of the wrong shape, if both are the same minimum, if
    the loss is not finite along the way, or if what was found is not a saddle with exactly one negative
    eigenvalue on that path; the message gives its location, index and gradient norm.

    Source: E, Ren and Vanden-Eijnden, J. Chem. Phys. 126, 164103 (2007).
    """
    check_landscape(landscape)
    with jax.enable_x64(True):
        surface = Surface(landscape)
        ends = []
        for name, given in (("minimum_a", minimum_a), ("minimum_b", minimum_b)):
            start = given.location if isinstance(given, CriticalPoint) else given
            if np.shape(start) != (landscape.dim,):
                raise ValueError(f"{name} must have shape ({landscape.dim},), got shape {np.shape(start)}")
            start = _points(name, start, landscape.dim)[0]
            ends.append(descend(surface, start, f"{name} = {show(start)}"))
        if _same(ends[0], ends[1], 1e-5):
            raise ValueError(
                f"minimum_a and minimum_b must be two minima, got the same one at {show(ends[0].location)}"
            )
        return _string_saddle(surface, ends[0], ends[1])


class Surface:
    """A landscape's loss, gradient and Hessian in float64, each compiled once."""

    def __init__(self, landscape: AbstractLandscape):
        leaves, structure = jax.tree.flatten(jax.tree.map(_upcast, landscape))
        rest = tuple(None if eqx.is_array(leaf) else leaf for leaf in leaves)
        # the arrays are arguments, not constants: a data set would be copied into every program
        self._arrays = [leaf for leaf in leaves if eqx.is_array(leaf)]
        self._value, self._hessian, self._values = _programs(structure, rest)

    def value(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = self._value(self._arrays, jnp.asarray(point))
        return float(loss), np.asarray(gradient, np.float64)

    def hessian(self, point: np.ndarray) -> np.ndarray:
        matrix = np.asarray(self._hessian(self._arrays, jnp.asarray(point)), np.float64)
        return (matrix + matrix.T) / 2

    def values(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        losses, gradients = self._values(self._arrays, jnp.asarray(points))
        return np.asarray(losses, np.float64), np.asarray(gradients, np.float64)

    def critical(self, point: np.ndarray) -> CriticalPoint:
        loss, gradient = self.value(point)
        hessian = self.hessian(point)
        return CriticalPoint(
            location=np.array(point, np.float64),
            loss=loss,
            gradient_norm=float(np.linalg.norm(gradient)),
            hessian=hessian,
            eigenvalues=np.linalg.eigvalsh(hessian),
        )


@functools.lru_cache(maxsize=64)
def _programs(structure: Any, rest: tuple[Any, ...]) -> tuple[Callable, Callable, Callable]:
    """Loss with gradient, Hessian, and the first for many points: one program for all landscapes of one structure.

    rest: leaves that are no arrays, None in place of those that are.
    """

    def landscape(arrays):
        left = iter(arrays)
        return jax.tree.unflatten(structure, [next(left) if leaf is None else leaf for leaf in rest])

    gradient = jax.value_and_grad(lambda arrays, point: landscape(arrays).loss(point), argnums=1)
    hessian = jax.jit(lambda arrays, point: landscape(arrays).hessian(point))
    return jax.jit(gradient), hessian, jax.jit(jax.vmap(gradient, (None, 0)))


def descend(surface: Surface, start: np.ndarray, name: str) -> CriticalPoint:
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
            options={"gtol": 1e-7, "maxiter": 300, "max_trust_radius": 1e300},
        )
        point = np.asarray(result.x, np.float64)
        hessian = _finite_hessian(surface, point, unfit)

    found, converged = _newton(surface, point)
    where = f"found the point {show(found.location)} with loss {found.loss:.8g}"
    # a start far up a steep wall must not make an ordinary minimum look flat, hence at most 1
    unit = max(abs(found.eigenvalues).max(), min(1.0, np.linalg.norm(first_hessian, 2)))
    if found.eigenvalues[0] < -_FLAT * unit:
        unfit(f"{where} and index {found.index}, eigenvalues {show(found.eigenvalues)}")
    if found.eigenvalues[0] <= _FLAT * unit:
        unfit(f"{where} and a flat direction, eigenvalues {show(found.eigenvalues)}")
    if not converged:
        unfit(f"{where} and gradient norm {found.gradient_norm:.3g}, where Newton's method gets no further")
    return found


def _newton(surface: Surface, point: np.ndarray) -> tuple[CriticalPoint, bool]:
    """Newton's method to the critical point near `point` and whether the gradient norm meets the tolerance."""
    best = surface.critical(point)
    for _ in range(60):
        eigenvalues, vectors = np.linalg.eigh(best.hessian)
        # along flat directions the gradient is rounding error, and dividing by their eigenvalue a long jump
        usable = np.abs(eigenvalues) > 1e-12 * np.abs(eigenvalues).max()
        inverse = np.divide(1.0, eigenvalues, out=np.zeros_like(eigenvalues), where=usable)
        step = vectors @ (inverse * (vectors.T @ surface.value(best.location)[1]))
        following = best.location - step
        gradient_norm = np.linalg.norm(surface.value(following)[1])
        # beyond the tolerance too, down to rounding error: the norm at least halves while it still converges
        if not gradient_norm <= best.gradient_norm / 2 or not np.all(np.isfinite(surface.hessian(following))):
            break
        best = surface.critical(following)
    tolerance = _GRADIENT_TOLERANCE * max(1.0, np.abs(best.eigenvalues).max())
    return best, bool(best.gradient_norm <= tolerance)


def _string_saddle(surface: Surface, first: CriticalPoint, last: CriticalPoint) -> CriticalPoint:
    fraction = np.linspace(0.0, 1.0, _IMAGES)[:, None]
    chord = last.location - first.location
    length = float(np.linalg.norm(chord))
    # a slight bow off the straight line, the same in every run, lets a symmetric path slide off a hilltop
    bow = np.random.default_rng(0).standard_normal(chord.shape)
    bow = bow - (bow @ chord) * chord / length**2
    path = first.location + fraction * chord
    if np.linalg.norm(bow) > 1e-8:
        path = path + 1e-3 * length * np.sin(np.pi * fraction) * bow / np.linalg.norm(bow)

    between = f"between the minima {show(first.location)} and {show(last.location)}"
    found, reason = None, "the string never came to rest"
    for block in range(_STRING_BLOCKS):
        spacing = float(np.sum(np.linalg.norm(np.diff(path, axis=0), axis=1))) / (_IMAGES - 1)
        hessians = [surface.hessian(image) for image in path[:: 1 if block % 8 == 0 else 4]]
        if not all(np.all(np.isfinite(values)) for values in (*hessians, *surface.values(path))):
            raise ValueError(f"the loss must be finite {between}, but on the way it or a derivative of it is not")
        stiffest = max(float(np.linalg.norm(hessian, 2)) for hessian in hessians)
        relaxed = _relax(surface, path, 0.5 / max(stiffest, 1e-300), spacing / 4)
        if not np.all(np.isfinite(relaxed)):
            raise ValueError(f"the loss must be finite {between}, but its gradient is not")
        moved = float(np.max(np.linalg.norm(relaxed - path, axis=1)))
        path = relaxed
        resting = moved < 1e-6 * spacing
        if not resting and (moved > 0.1 * spacing or block % 4) and block < _STRING_BLOCKS - 1:
            continue
        losses, _ = surface.values(path)
        if not np.all(np.isfinite(losses)):
            raise ValueError(f"the loss must be finite {between}, but at an image of the path it is not")
        peak = path[1 + int(np.argmax(losses[1:-1]))]
        found, converged = _climb(surface, peak, spacing)
        strayed = float(np.linalg.norm(found.location - peak))
        is_saddle = found.index == 1 and abs(found.eigenvalues).min() > _FLAT * abs(found.eigenvalues).max()
        above = found.loss > max(first.loss, last.loss)
        if converged and is_saddle and above and strayed <= 2 * spacing:
            return found
        reason = (
            f"found index {found.index} at {show(found.location)} with loss {found.loss:.8g}, gradient norm "
            f"{found.gradient_norm:.3g} and eigenvalues {show(found.eigenvalues)}, {strayed:.3g} from the "
            f"highest of the path's images, which are {spacing:.3g} apart"
        )
        if resting:
            break
    raise ValueError(f"there must be a saddle with exactly one negative eigenvalue {between}, but {reason}")


def _relax(surface: Surface, path: np.ndarray, step: float, cap: float) -> np.ndarray:
    """Steps of the simplified string method: move every inner image downhill, then space all evenly."""
    path = path.copy()
    even = np.linspace(0.0, 1.0, len(path))
    for number in range(_STRING_STEPS):
        move = -step * surface.values(path)[1][1:-1]
        size = np.linalg.norm(move, axis=1, keepdims=True)
        path[1:-1] += move * np.minimum(1.0, cap / np.maximum(size, 1e-300))
        if number % 5 == 4:
            arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
            path = np.stack([np.interp(even, arc / arc[-1], column) for column in path.T], axis=1)
    return path


def _climb(surface: Surface, point: np.ndarray, spacing: float) -> tuple[CriticalPoint, bool]:
    """Uphill along the lowest eigenvector and downhill along the others, then Newton's method."""
    for _ in range(100):
        _, gradient = surface.value(point)
        hessian = surface.hessian(point)
        if not np.all(np.isfinite(hessian)) or not np.all(np.isfinite(gradient)):
            break
        eigenvalues, vectors = np.linalg.eigh(hessian)
        floor = np.maximum(np.abs(eigenvalues), 1e-8 * max(np.abs(eigenvalues).max(), 1e-300))
        components = (vectors.T @ gradient) / floor
        components[1:] *= -1
        size = np.linalg.norm(components)
        point = point + vectors @ components * min(1.0, 0.5 * spacing / max(size, 1e-300))
        if size < 1e-7 * spacing:
            break
    return _newton(surface, point)


def _finite_hessian(surface: Surface, point: np.ndarray, unfit: Callable[[str], NoReturn]) -> np.ndarray:
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


def _upcast(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array | np.ndarray | np.floating) and jnp.issubdtype(leaf.dtype, jnp.floating):
        return jnp.asarray(np.asarray(leaf, np.float64))
    return leaf


def _points(name: str, value: Any, dim: int) -> np.ndarray:
    array = concrete(value)
    if array is None or array.ndim not in (1, 2) or array.shape[-1] != dim or array.size == 0:
        shape = None if array is None else array.shape
        raise ValueError(
            f"{name} must be numbers of shape (n, {dim}) or ({dim},), got "
            f"{'shape ' + str(shape) if shape is not None else repr(value)}"
        )
    array = np.array(array, np.float64).reshape(-1, dim)
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite, got {show(array[~np.isfinite(array).all(axis=1)][0])}")
    return array


def _same(first: CriticalPoint, second: CriticalPoint, merge: float) -> bool:
    distance = np.linalg.norm(first.location - second.location)
    return bool(distance < merge * max(1.0, float(np.linalg.norm(first.location))))


def show(values: np.ndarray) -> str:
    return np.array2string(np.asarray(values), precision=6, separator=", ", threshold=8)
