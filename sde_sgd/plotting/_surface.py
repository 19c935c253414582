"""Losses on a grid in one dimension and two: what is in view, levels that show wells and passes, contours and curve."""

from typing import Any

import numpy as np
from matplotlib.colors import BoundaryNorm
from scipy import ndimage

from ._axes import array_of, axes_of

# points on an axis, in one dimension and two
_POINTS = {1: 801, 2: 161}
# around what is to be seen: this part of its extent, and beside a lone point so much of 1
_MARGIN, _ALONE = 0.35, 0.5
# of the levels, the part that lies below the highest pass and a little above it, and how much above
_FINE, _ABOVE = 0.7, 0.35
# shares of the area in view, below whose losses it is looked whether wells are apart
_SHARES = np.linspace(0.005, 0.99, 198)
# contours behind paths and arrows are grey, so that colours are theirs
BEHIND = "Greys_r"


def axes_for(ax: Any, dim: int, size: tuple[float, float] = (6.4, 5.3)) -> Any:
    """The axes that were given, or those of a new figure, in a plane of this size in inches, for equal scales."""
    return axes_of(ax) if dim == 1 else axes_of(ax, size, "compressed")


def dim_of(landscape: Any, wanted: int | None = None, of: str = "") -> int:
    """1 or 2; ValueError for what is no landscape, or one of more dimensions, or not the `wanted` ones `of` others."""
    dim = getattr(landscape, "dim", None)
    if not hasattr(landscape, "loss") or dim is None:
        raise ValueError(f"landscape must be a landscape, such as Landscape(fn, dim), got {landscape!r}")
    if dim not in _POINTS:
        raise ValueError(
            f"landscape must have 1 or 2 dimensions to be drawn, got dim = {dim}; landscapes.along shows a line"
        )
    if wanted not in (None, dim):
        raise ValueError(f"landscape must have the dim = {wanted} of the {of}, got dim = {dim}")
    return int(dim)


def bounds_in_view(bounds: Any, dim: int, points: list[np.ndarray]) -> list[tuple[float, float]]:
    """(low, high) of each axis: those given, or around the points."""
    if bounds is None:
        spots = np.array(points).reshape(-1, dim)
        low, high = spots.min(axis=0), spots.max(axis=0)
        margin = _MARGIN * float((high - low).max()) or _ALONE * max(1.0, float(np.abs(high).max()))
        return [(float(a - margin), float(b + margin)) for a, b in zip(low, high, strict=True)]
    array = array_of(bounds)
    if array is not None and array.shape == (2,) and dim == 1:
        array = array[None]
    if (
        array is None
        or array.shape != (dim, 2)
        or not np.all(np.isfinite(array))
        or not np.all(array[:, 0] < array[:, 1])
    ):
        shape = "(low, high)" if dim == 1 else "((low, high), (low, high))"
        raise ValueError(f"bounds must be {shape} with low < high, got {bounds!r}")
    return [(float(low), float(high)) for low, high in array]


def grid_axes(ends: list[tuple[float, float]]) -> list[np.ndarray]:
    """Points along each axis of what is in view."""
    return [np.linspace(low, high, _POINTS[len(ends)]) for low, high in ends]


def losses_on(landscape: Any, axes: list[np.ndarray]) -> np.ndarray:
    """L on a grid, float64, NaN where it is not finite: over θ₀, or over θ₀ and θ₁."""
    return on_grid(landscape.loss, axes)


def on_grid(function: Any, axes: list[np.ndarray]) -> np.ndarray:
    """A function of one point at each of a grid, float64, NaN where it is not finite."""
    # JAX is loaded with the landscape, and not for figures of stored results
    import jax
    import jax.numpy as jnp

    mesh = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    # by one program: else JAX would compile each operation
    values = jax.jit(jax.vmap(function))(jnp.asarray(mesh.reshape(-1, len(axes)), jnp.result_type(float)))
    values = np.asarray(values, np.float64).reshape(mesh.shape[:-1])
    return np.where(np.isfinite(values), values, np.nan)


def levels_of(losses: np.ndarray, levels: Any = 24, known: Any = ()) -> np.ndarray:
    """Rising losses at which contours show wells and passes, and walls no more than they must.

    losses: on a grid. levels: how many, or these themselves. known: losses of points that must be told apart too.
    """
    array = array_of(levels)
    if array is not None and array.ndim == 1 and array.size > 1 and np.all(np.diff(array) > 0):
        return np.asarray(array, np.float64)
    if array is None or array.shape != () or array.dtype.kind not in "iu" or array < 4:
        raise ValueError(f"levels must be a whole number of at least 4, or rising losses (n,), got {levels!r}")
    finite = losses[np.isfinite(losses)]
    if not finite.size or finite.min() == finite.max():
        return np.linspace(0, 1, int(array)) + (finite.min() if finite.size else 0.0)
    low, high = float(finite.min()), float(finite.max())
    top = _pass(losses, finite)
    top = max([top, *known]) if len(known) > 1 or top > low else float(np.quantile(finite, 0.5))
    top = min(low + (1 + _ABOVE) * (top - low), high)
    fine = max(int(_FINE * int(array)), 2)
    below = np.linspace(low, top, fine)
    if not top < high:
        return np.linspace(low, high, int(array))
    # above, each step is larger than the last by the same factor
    above = low + (top - low) * np.geomspace(1, (high - low) / (top - low), int(array) - fine + 1)[1:]
    return np.unique(np.concatenate([below, above]))


def _pass(losses: np.ndarray, finite: np.ndarray) -> float:
    """The highest loss below which what lies lower is in more than one piece; the lowest loss where it never is."""
    filled = np.where(np.isfinite(losses), losses, np.inf)
    for threshold in np.unique(np.quantile(finite, _SHARES))[::-1]:
        found: Any = ndimage.label(filled < threshold)
        if found[1] > 1:
            return float(threshold)
    return float(finite.min())


def contours(
    ax: Any, axes: list[np.ndarray], losses: np.ndarray, levels: np.ndarray, cmap: Any, alpha: float = 0.85
) -> Any:
    """Filled contours of losses over θ₀ and θ₁, with thin lines between; what was filled."""
    shades = filled(ax, axes, losses, levels, cmap, alpha)
    line = "#4b5563" if cmap == BEHIND else "white"
    ax.contour(*axes, np.ma.masked_invalid(losses).T, levels=levels, colors=line, linewidths=0.4, alpha=0.6)
    plane(ax, *axes)
    return shades


def plane(ax: Any, x: Any, y: Any) -> None:
    """θ₁ against θ₀ with one scale, from the first to the last of x and of y."""
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), xlabel="θ₀", ylabel="θ₁")
    ax.set_aspect("equal")


def filled(
    ax: Any, axes: list[np.ndarray], losses: np.ndarray, levels: np.ndarray, cmap: Any, alpha: float = 0.85
) -> Any:
    """Filled contours, one colour for each step of the levels."""
    norm = BoundaryNorm(levels, 256, extend="max")
    style = {"levels": levels, "extend": "max", "alpha": alpha}
    return ax.contourf(*axes, np.ma.masked_invalid(losses).T, cmap=cmap, norm=norm, **style)


def curve(ax: Any, x: np.ndarray, losses: np.ndarray, levels: np.ndarray) -> None:
    """The loss along the line, up to a little above the highest pass."""
    ax.plot(x, losses, color="#374151", linewidth=1.5, label="_loss")
    fine = levels[: max(int(_FINE * len(levels)), 2)]
    height = float(fine[-1] - fine[0])
    ax.set(xlim=(x[0], x[-1]), ylim=(fine[0] - 0.1 * height, fine[-1] + 0.3 * height), xlabel="θ", ylabel="loss")
    ax.grid(alpha=0.25, linewidth=0.5)
