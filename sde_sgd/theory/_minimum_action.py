"""Minimum-action paths: the likeliest way out at low noise, and the exponent of its mean time, for any drift."""

import time
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Float64

from .._errors import number, positive_integer, show, tolerance
from .._errors import point as point_of
from .._errors import points as points_of
from .._numerics import as_float64, bound, of_each, of_points, with_slope
from ..diffusions import AbstractDiffusion, refuse_if_changing
from ..regions import AbstractRegion
from ..results import AbstractResult, Provenance, Status, Verdict
from ._geometric_action import Problem, along, covariances, onto, relaxed, spaced

if TYPE_CHECKING:
    import xarray as xr

# a smallest eigenvalue of the covariance below this part of the largest on the way counts as none
_REGULAR = 1e-10
_FEWEST, _HALVINGS = 9, 2
# a curve is at rest where a round of descent wins less than this part of the action; the first ways less strictly
_AT_REST, _COARSELY, _ROUNDS, _COARSE_ROUNDS = 1e-5, 1e-3, 60, 20
# how far the first ways bow off the straight one, over its length; the side is drawn
_BOWS = (0.0, 0.15, -0.15, 0.5, -0.5)
# directions along which the boundary of a region is looked for, how far, and how many of the points found are tried
_DIRECTIONS, _GROWTH, _WIDENINGS, _ENDS, _BISECTIONS = 16, 1.5, 60, 3, 60
# the error that is told, over the change of the action as the images were doubled
_SAFETY = 2
_GRID, _MARGIN = 81, 0.3


class MinimumAction(AbstractResult):
    """The path of least action between two points, or to a region, and what it costs.

    path: (images, dim), from the start to the target, closer at both ends. action_along: (images,), the action up to
    each image, in units of σσᵀ: 0 at the first. climb: (images,), the same without its second term, ∫|φ'||b| ds: it
    rises all along, for b = −∇L by what the loss climbs and descends; heights for `scores.along`.
    noise_scale: ε of a = εσσᵀ. error: of `action`, twice what it changed by when the images were doubled,
    and what was still to win.
    gain: what part of the action the last round of descent won, and a next one would; at rest below `at_rest`.
    ways: actions of the first ways tried, as a coarse curve found each, ascending; NaN where there was none.
    loss: (images,) at the images, NaN without a landscape.
    field: what `to_dataset` lays the path over, in two dimensions, else None: the axes, and loss or drift on them.
    Source: as of `minimum_action`.
    """

    path: Float64[np.ndarray, "images dim"]
    action_along: Float64[np.ndarray, " images"]
    climb: Float64[np.ndarray, " images"]
    loss: Float64[np.ndarray, " images"]
    noise_scale: float
    error: float
    gain: float
    at_rest: float
    ways: tuple[float, ...]
    field: tuple[np.ndarray, np.ndarray, np.ndarray] | None
    verdict: Verdict
    provenance: Provenance

    @property
    def action(self) -> float:
        """V, the least of ∫(|φ'|ₛ|b|ₛ − ⟨φ', b⟩ₛ) ds with ⟨u, v⟩ₛ = uᵀ(σσᵀ)⁻¹v: for b = −∇L, σ = I twice the climb."""
        return float(self.action_along[-1])

    @property
    def exponent(self) -> float:
        """V/ε, no unit: log E τ grows like it as ε → 0, V·(M/γ) for SGD; (L_s − L_m)/T where there is a temperature."""
        return self.action / self.noise_scale

    def to_dataset(self) -> "xr.Dataset":
        """The path and what happens along it, float64, with units; in two dimensions loss or drift on a grid too."""
        import xarray as xr

        arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(self.path, axis=0), axis=1))])
        data = xr.Dataset(
            {
                "path": (("image", "component"), self.path, {"units": "θ", "long_name": "minimum-action path"}),
                "action": ("image", self.action_along, {"units": "σσᵀ", "long_name": "action up to here"}),
                "exponent": ("image", self.action_along / self.noise_scale, {"units": "1", "long_name": "action / ε"}),
                "climb": ("image", self.climb, {"units": "σσᵀ", "long_name": "∫|φ'||b| up to here"}),
                "loss": ("image", self.loss, {"units": "loss", "long_name": "loss L"}),
            },
            coords={"arc": ("image", arc, {"units": "θ", "long_name": "length along the path"})},
            attrs={"action": self.action, "noise_scale": self.noise_scale, "error": self.error, "status": self.result},
        )
        if self.field is not None:
            x, y, values = self.field
            data = data.assign_coords({"x": ("x", x, {"units": "θ"}), "y": ("y", y, {"units": "θ"})})
            if values.ndim == 2:
                data["landscape"] = (("x", "y"), values, {"units": "loss", "long_name": "loss L"})
            else:
                data["drift"] = (("x", "y", "component"), values, {"units": "θ per SDE time", "long_name": "drift b"})
        return data

    def plot(self, ax: Any = None) -> Any:
        """The path over losses or drift in a plane, and the action along it: see `plotting.minimum_action_path`.

        ax: two in two dimensions, for the plane and the action; else one, for the action. Returns them, (n,).

        Example: `way.plot()[0].figure.savefig("way.png")`.
        """
        from ..plotting._minimum_action import minimum_action_on

        return minimum_action_on(ax, self.to_dataset())

    def _answers(self):
        return [
            ("action", f"{self.action:.6g} ± {self.error:.1g} (σσᵀ)"),
            ("exponent", f"{self.exponent:.6g} of log E τ, at ε = {self.noise_scale:.4g}"),
            (
                "images",
                f"{len(self.path)} in {self.path.shape[1]} dimensions, at rest to {self.gain:.1g}",
            ),
            ("ways tried", ", ".join(f"{each:.5g}" for each in self.ways)),
        ]


def minimum_action(
    diffusion: Any,
    start: Any,
    target: Any,
    *,
    images: int = 65,
    through: Any = None,
    rtol: float = 0.01,
    floor: float = 0.0,
) -> MinimumAction:
    """The way that a diffusion takes from `start` to `target` when the noise is low, and the exponent of its mean time.

    For dX = b dt + √ε σ dW it is the curve of least S = ∫(|φ'||b| − ⟨φ', b⟩) ds in ⟨u, v⟩ = uᵀ(σσᵀ)⁻¹v, the least
    of Freidlin and Wentzell's ½∫|φ̇ − b|² dt over all times that the way may take. With b = −∇L and σ = I it climbs
    along the gradient, S = 2ΔL, and goes down for nothing. ε is the diffusion's `noise_scale`: γ/M for LangevinSGD,
    2T at a temperature T, 1 for an ItoDiffusion; the exponent S/ε does not depend on how ε and σσᵀ are told apart.
    Valid as log E τ ≈ S/ε, ε → 0, from a stable `start` to the lowest saddle or boundary point between it and the rest,
    or beyond it, where no other stable point is on the way: the climbs out of several add up in S, not in log E τ.
    The drift is taken as it is: Itô's, and with order 2 its γ is kept.

    diffusion: any whose coefficients do not depend on time, with a covariance a(θ) = εσσᵀ that is positive definite all
        along the way. Where it is not the action is infinite, or the way confined: see `floor`.
    start: (dim,) array, or an object with a `location`. A point where b = 0 is allowed at either end and in between.
    target: another such point, or a region: the path then ends freely on its boundary.
    images: points along the path, at least 9, closer at both ends. The action's error falls with the fourth power of
        their number, with the square where the path turns at a point of rest in between: go to that one instead.
    through: (n, dim) or (dim,), points that the first way goes through, to choose one of several. By default the
        straight way and four that bow to either side, two as far as half a circle, are tried, to a region from the
        three best of some points of its boundary. The best is followed; a way that none of them leads to is not seen.
    rtol: the relative error that is asked for. status: "budget spent" where the error is larger, or the path did not
        come to rest.
    floor: ≥ 0, added to the diagonal of σσᵀ, in its units. The action is then too small, and rises to that without
        it, or to infinity, as floor → 0: for noise that misses a direction.

    Raises ValueError for a diffusion that changes in time or is not finite on the way, for a covariance that is not
    positive definite there, and for points or a region that it cannot go between.

    The broken line's action is minimised over moves of its images across it, by L-BFGS in sines of the arc; the action
    told is that of the cubic spline through the images. Up to some hundred components.
    Source: Heymann and Vanden-Eijnden, Comm. Pure Appl. Math. 61, 1052 (2008); Freidlin and Wentzell 1984, chapter 4.
    """
    began = time.perf_counter()
    problem, first = _problem(diffusion, start, target, floor)
    tolerance("rtol", rtol)
    positive_integer("images", images)
    if images < _FEWEST:
        raise ValueError(f"images must be at least {_FEWEST}, got {images}")
    numbers = sorted({max(_FEWEST, (images - 1) // 2**halving + 1) for halving in range(_HALVINGS + 1)})
    ways = _first_ways(problem, first, target, through, numbers[0])
    curves = [relaxed(problem, way, _COARSELY, _COARSE_ROUNDS).images for way in ways]
    actions = np.array([float(np.sum(along(problem, curve).action)) for curve in curves])
    if not np.any(np.isfinite(actions)):
        _refuse_singular(problem, ways[0])
        raise ValueError(
            f"diffusion must be finite on a way to the target, got drift or noise that is not near {first}"
        )
    curve, previous = curves[int(np.nanargmin(actions))], np.inf
    for count in numbers:
        rounds = _ROUNDS if count == images else _COARSE_ROUNDS
        rest = relaxed(problem, spaced(curve, count), _AT_REST, rounds)
        curve, before = rest.images, previous
        pieces = along(problem, curve)
        previous = float(np.sum(pieces.action))
        if not np.isfinite(previous):
            _refuse_singular(problem, curve)
    _refuse_singular(problem, curve)
    error = _SAFETY * abs(previous - before) + rest.gain * previous if len(numbers) > 1 else np.inf
    epsilon = float(np.asarray(problem.diffusion.noise_scale))
    return MinimumAction(
        curve,
        *(np.concatenate([[0.0], np.cumsum(each) * epsilon]) for each in (pieces.action, pieces.climb)),
        _losses(problem, curve),
        epsilon,
        error * epsilon,
        rest.gain,
        _AT_REST,
        tuple(float(each) for each in np.sort(actions) * epsilon),
        _field(problem, curve),
        _verdict(rest.gain, error, previous, rtol, images),
        Provenance.of(0, "geometric minimum action", 0, began),
    )


def _problem(diffusion: Any, start: Any, target: Any, floor: Any) -> tuple[Problem, np.ndarray]:
    if not isinstance(diffusion, AbstractDiffusion):
        raise ValueError(f"diffusion must be a diffusion, such as LangevinSGD(...), got {diffusion!r}")
    refuse_if_changing(diffusion, "minimum-action paths", "give one with constant rates")
    number("floor", floor)
    if floor < 0:
        raise ValueError(f"floor must be at least 0, got {floor!r}")
    with jax.enable_x64(True):
        exact = as_float64(diffusion)
        problem = Problem(
            exact,
            np.float64(floor) * np.asarray(exact.noise_scale, np.float64),
            as_float64(target) if isinstance(target, AbstractRegion) else None,
        )
    first = point_of("start", start, diffusion.dim)
    _refuse_singular(problem, first[None])
    return problem, first


def _refuse_singular(problem: Problem, points: np.ndarray) -> None:
    matrices = covariances(problem, points)
    finite = np.all(np.isfinite(matrices), axis=(1, 2))
    if not np.all(finite):
        raise ValueError(f"diffusion must have a finite covariance on the way, got none at {points[np.argmin(finite)]}")
    values = np.linalg.eigvalsh(matrices)
    bad = int(np.argmin(values[:, 0]))
    if values[bad, 0] <= _REGULAR * np.max(values):
        raise ValueError(
            "diffusion must have noise in every direction all along the way, or be given a floor > 0, got a covariance "
            f"with smallest eigenvalue {values[bad, 0]:.6g} at {show(points[bad])}"
        )


def _first_ways(problem: Problem, first: np.ndarray, target: Any, through: Any, count: int) -> list[np.ndarray]:
    """Curves of `count` images to begin with, the straight one first."""
    dim = len(first)
    middle = np.zeros((0, dim)) if through is None else points_of("through", through, dim)
    if problem.target is None:
        ends = [point_of("target", target, dim)]
        if np.array_equal(ends[0], first):
            raise ValueError(f"target must be another point than start, got {show(first)} twice")
        _refuse_singular(problem, ends[0][None])
    else:
        ends = _boundary(problem, middle[-1] if len(middle) else first, first)
    if len(middle):
        return [spaced(np.concatenate([first[None], middle, ends[0][None]]), count)]
    ways = [spaced(np.stack([first, end]), count) for end in ends]
    if dim == 1:
        return ways
    chord = ends[0] - first
    side = np.random.default_rng(0).standard_normal(dim)
    side -= (side @ chord) * chord / (chord @ chord)
    bow = np.sin(np.pi * np.linspace(0, 1, count))[:, None] * side / np.linalg.norm(side) * np.linalg.norm(chord)
    # the last image must stay where it is
    bow[-1] = 0
    return [ways[0] + size * bow for size in _BOWS] + ways[1:]


def _boundary(problem: Problem, near: np.ndarray, start: np.ndarray) -> list[np.ndarray]:
    """Points of the target's boundary, those first that the straight way from `near` leads to at the least action."""
    with jax.enable_x64(True):
        level, slope = (bound(each("level"), problem.target) for each in (of_each, with_slope))

        def inside(points):
            return np.asarray(level(jnp.asarray(points))) < 0

        if inside(start[None])[0]:
            raise ValueError(f"start must lie outside the target, got {show(start)} in it")
        drawn = np.random.default_rng(0).standard_normal((_DIRECTIONS, len(near)))
        directions = np.concatenate([np.eye(len(near)), -np.eye(len(near)), drawn])
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        sizes = 1e-3 * (1 + np.linalg.norm(near)) * _GROWTH ** np.arange(_WIDENINGS)
        found = []
        for direction in directions:
            hit = inside(near + sizes[:, None] * direction)
            if np.any(hit):
                found.append(near + sizes[np.argmax(hit)] * direction)

        def value(point):
            return tuple(np.asarray(each) for each in slope(jnp.asarray(point)))

        begin = near + 1e-6 * (1 + np.linalg.norm(near)) * drawn[0]
        lowest = scipy.optimize.minimize(value, begin, jac=True, method="L-BFGS-B").x
        if np.all(np.isfinite(lowest)) and inside(lowest[None])[0]:
            found.append(lowest)
        if not found:
            raise ValueError(f"target must have a point that can be found from {show(near)}, found none")
        far = np.array(found)
        low, high = np.zeros(len(far)), np.ones(len(far))
        for _ in range(_BISECTIONS):
            half = (low + high) / 2
            hit = inside(near + half[:, None] * (far - near))
            low, high = np.where(hit, low, half), np.where(hit, half, high)
        edges = [np.asarray(onto(problem, jnp.asarray(each))) for each in near + high[:, None] * (far - near)]
    edges = [edge for edge in edges if np.all(np.isfinite(edge))]
    costs = [np.sum(along(problem, spaced(np.stack([near, edge]), _FEWEST)).action) for edge in edges]
    order = np.argsort(np.where(np.isfinite(costs), costs, np.inf))
    return [edges[place] for place in order[:_ENDS]]


def _verdict(gain: float, error: float, action: float, rtol: float, images: int) -> Verdict:
    verdict = Verdict()
    if gain > _AT_REST:
        reason = f"the last round still won {gain:.2g} of the action, {_AT_REST:.2g} being at rest"
        verdict = verdict.also(Status.BUDGET_SPENT, reason)
    if error > rtol * action:
        reason = f"the action's relative error is about {error / action:.2g} with {images} images: ask for more"
        verdict = verdict.also(Status.BUDGET_SPENT, reason)
    return verdict


def _losses(problem: Problem, curve: np.ndarray) -> np.ndarray:
    landscape = problem.diffusion.landscape
    if landscape is None or landscape.dim != curve.shape[1]:
        return np.full(len(curve), np.nan)
    with jax.enable_x64(True):
        return np.asarray(bound(of_each("loss"), landscape)(jnp.asarray(curve)), np.float64)


def _field(problem: Problem, curve: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Loss on a grid around a curve in the plane, or the drift where there is no loss: (n,), (n,) and (n, n, ...)."""
    if curve.shape[1] != 2:
        return None
    low, high = curve.min(axis=0), curve.max(axis=0)
    margin = _MARGIN * np.max(high - low)
    x, y = (np.linspace(low[axis] - margin, high[axis] + margin, _GRID) for axis in (0, 1))
    points = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    diffusion = problem.diffusion
    if diffusion.landscape is not None and diffusion.drift_is_gradient:
        return x, y, of_points("loss", diffusion.landscape, points).reshape(_GRID, _GRID)
    with jax.enable_x64(True):
        drift = jax.jit(jax.vmap(lambda point: diffusion.drift(point, jnp.zeros((), point.dtype))))(points)
    return x, y, np.asarray(drift, np.float64).reshape(_GRID, _GRID, 2)
