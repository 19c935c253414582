"""Minimum-energy paths by the string method, and the saddles on them, in float64 whatever a simulation uses."""

import itertools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Float64

from .._errors import point as point_of
from .._errors import positive_integer, show
from ._base import AbstractLandscape, check_landscape
from ._critical_points import CriticalPoint, Float64Landscape, descend, newton, same

_IMAGES = 33
_STRING_BLOCKS = 400
_STRING_STEPS = 100


def find_saddle(landscape: AbstractLandscape, minimum_a: Any, minimum_b: Any) -> CriticalPoint:
    """The highest saddle on a minimum-energy path from one minimum to another.

    landscape: L, up to a few hundred components, twice differentiable.
    minimum_a, minimum_b: CriticalPoints, or arrays of shape (dim,), which are first descended to the minimum
        below them.

    A string of images, straight at first, relaxes towards the minimum-energy path; from its highest image a
    climb along the softest direction, then Newton's method, reach the saddle (|∇L| as in `find_minima`).
    Where the path passes other minima its highest saddle need not border both of yours. Where several
    paths exist the one found is near the straight line, and not always the lowest: pass minima in
    between, pair by pair, to choose another.

    Raises ValueError if an argument is not a minimum or of the wrong shape, if both are the same minimum, if
    the loss is not finite along the way, or if what was found is not a saddle with exactly one negative
    eigenvalue and no zero one on that path: a point of another index, or a degenerate one such as a monkey saddle;
    the message gives its location, loss, index and gradient norm.

    Source: E, Ren and Vanden-Eijnden, J. Chem. Phys. 126, 164103 (2007).
    """
    with jax.enable_x64(True):
        surface, (first, last) = _minima(landscape, {"minimum_a": minimum_a, "minimum_b": minimum_b})
        return _string_saddle(surface, first, last)


def minimum_energy_path(
    landscape: AbstractLandscape, *minima: Any, images: int = 33
) -> Float64[np.ndarray, "images dim"]:
    """Points evenly spaced along a minimum-energy path through two or more minima in turn, first and last included.

    landscape: L, twice differentiable.
    minima: CriticalPoints, or arrays of shape (dim,), which are first descended to the minimum below them. Between
        two of them it is the path from which `find_saddle` climbs; that says which of several it is, and minima in
        between choose another.
    images: how many points, at least 3. Returns them in units of θ, shape (images, dim).

    Images slide downhill and are spaced evenly again until 100 steps move none by more than 1 % of the spacing.
    Corners are cut: between points the path is off by an eighth of the spacing squared times its curvature.
    Meant, like `find_minima`, for up to a few hundred components.

    Raises ValueError if an argument is not a minimum or of the wrong shape, if two in turn are the same, if the loss
    is not finite along the way, or if the path does not come to rest.

    Source: E, Ren and Vanden-Eijnden, J. Chem. Phys. 126, 164103 (2007).
    """
    positive_integer("images", images)
    if images < 3:
        raise ValueError(f"images must be at least 3, got {images}")
    if len(minima) < 2:
        raise ValueError(f"minima must be at least two, got {len(minima)}")
    with jax.enable_x64(True):
        surface, found = _minima(landscape, {f"minima[{number}]": given for number, given in enumerate(minima)})
        pieces = [_resting(surface, first, last, images) for first, last in itertools.pairwise(found)]
    return evenly(np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])]), images)


def _resting(surface: Float64Landscape, first: CriticalPoint, last: CriticalPoint, images: int) -> np.ndarray:
    for path, moved, spacing in _strings(surface, first, last, images):
        if moved < 0.01 * spacing:
            return path
    raise ValueError(f"the path {_between(first, last)} must come to rest, but never did")


def _minima(landscape: AbstractLandscape, named: dict[str, Any]) -> tuple[Float64Landscape, list[CriticalPoint]]:
    """The landscape in float64, and the minima that are meant; each name opens that one's errors."""
    check_landscape(landscape)
    surface = Float64Landscape(landscape)
    found: list[CriticalPoint] = []
    for name, given in named.items():
        start = point_of(name, given, landscape.dim)
        found.append(descend(surface, start, f"{name} = {show(start)}"))
    for (name, first), (other, last) in itertools.pairwise(zip(named, found, strict=True)):
        if same(first, last, 1e-5):
            raise ValueError(f"{name} and {other} must be two minima, got the same one at {show(first.location)}")
    return surface, found


def _between(first: CriticalPoint, last: CriticalPoint) -> str:
    return f"between the minima {show(first.location)} and {show(last.location)}"


def _strings(
    surface: Float64Landscape, first: CriticalPoint, last: CriticalPoint, images: int
) -> Iterator[tuple[np.ndarray, float, float]]:
    """The string as it relaxes, how far its images moved last, and their spacing before."""
    fraction = np.linspace(0.0, 1.0, images)[:, None]
    chord = last.location - first.location
    length = float(np.linalg.norm(chord))
    # a slight bow off the straight line, the same in every run, lets a symmetric path slide off a hilltop
    bow = np.random.default_rng(0).standard_normal(chord.shape)
    bow = bow - (bow @ chord) * chord / length**2
    path = first.location + fraction * chord
    if np.linalg.norm(bow) > 1e-8:
        path = path + 1e-3 * length * np.sin(np.pi * fraction) * bow / np.linalg.norm(bow)

    between = _between(first, last)
    for block in range(_STRING_BLOCKS):
        spacing = float(np.sum(np.linalg.norm(np.diff(path, axis=0), axis=1))) / (images - 1)
        hessians = [surface.hessian(image) for image in path[:: 1 if block % 8 == 0 else 4]]
        if not all(np.all(np.isfinite(values)) for values in (*hessians, *surface.values(path))):
            raise ValueError(f"the loss must be finite {between}, but on the way it or a derivative of it is not")
        stiffest = max(float(np.linalg.norm(hessian, 2)) for hessian in hessians)
        relaxed = _relax(surface, path, 0.5 / max(stiffest, 1e-300), spacing / 4)
        if not np.all(np.isfinite(relaxed)):
            raise ValueError(f"the loss must be finite {between}, but its gradient is not")
        moved = float(np.max(np.linalg.norm(relaxed - path, axis=1)))
        path = relaxed
        yield path, moved, spacing


def _string_saddle(surface: Float64Landscape, first: CriticalPoint, last: CriticalPoint) -> CriticalPoint:
    between = _between(first, last)
    reason = "the string never came to rest"
    for block, (path, moved, spacing) in enumerate(_strings(surface, first, last, _IMAGES)):
        resting = moved < 1e-6 * spacing
        if not resting and (moved > 0.1 * spacing or block % 4) and block < _STRING_BLOCKS - 1:
            continue
        losses, _ = surface.values(path)
        if not np.all(np.isfinite(losses)):
            raise ValueError(f"the loss must be finite {between}, but at an image of the path it is not")
        peak = path[1 + int(np.argmax(losses[1:-1]))]
        found, converged = _climb(surface, peak, spacing)
        strayed = float(np.linalg.norm(found.location - peak))
        is_saddle = found.index == 1 and not found.is_degenerate
        above = found.loss > max(first.loss, last.loss)
        if converged and is_saddle and above and strayed <= 2 * spacing:
            return found
        zeros = f" and {found.flat_directions} zero eigenvalues (a degenerate point)" if found.is_degenerate else ""
        reason = (
            f"found index {found.index}{zeros} at {show(found.location)} with loss {found.loss:.8g}, gradient norm "
            f"{found.gradient_norm:.3g} and eigenvalues {show(found.eigenvalues)}, {strayed:.3g} from the "
            f"highest of the path's images, which are {spacing:.3g} apart"
        )
        # a degenerate point stays one, however the string settles
        if resting or (converged and found.is_degenerate and strayed <= 2 * spacing):
            break
    raise ValueError(f"there must be a saddle with exactly one negative eigenvalue {between}, but {reason}")


def _relax(surface: Float64Landscape, path: np.ndarray, step: float, cap: float) -> np.ndarray:
    """Steps of the simplified string method: move every inner image downhill, then space all evenly."""
    path = path.copy()
    for number in range(_STRING_STEPS):
        move = -step * surface.values(path)[1][1:-1]
        size = np.linalg.norm(move, axis=1, keepdims=True)
        path[1:-1] += move * np.minimum(1.0, cap / np.maximum(size, 1e-300))
        if number % 5 == 4:
            path = evenly(path, len(path))
    return path


def evenly(path: np.ndarray, images: int) -> np.ndarray:
    """So many points evenly spaced along the broken line through `path`."""
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    even = np.linspace(0.0, 1.0, images)
    return np.stack([np.interp(even, arc / arc[-1], column) for column in path.T], axis=1)


def _climb(surface: Float64Landscape, point: np.ndarray, spacing: float) -> tuple[CriticalPoint, bool]:
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
    return newton(surface, point)
