"""Extreme eigenvalues of a Hessian by Lanczos' method, without the matrix: with residuals, at many points at once."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Bool, Float64

from .._errors import points, positive_integer
from .._errors import tolerance as tolerance_of
from ..random import seed_number
from ._base import AbstractLandscape, check_landscape
from ._hessian_products import AtPoints, places, product_at

# Krylov dimension of the first try, doubled until the residuals are small, and the largest
_FIRST_DEPTH, _LAST_DEPTH = 32, 1_024
# a Krylov space ends where the next vector is that much smaller than the operator
_BREAKDOWN = 1e-10


class Eigenpairs(eqx.Module):
    """Some of the largest, or smallest, eigenvalues of Hessians, with what is left of Hv − λv.

    values: (…, k), largest first, or smallest first; in units of loss per θ². vectors: (…, k, dim), orthonormal.
    residuals: (…, k), ‖Hv − λv‖: the Hessian has an eigenvalue within that of each value.
    scale: (…,), the largest size of an eigenvalue that was met. tolerance: residuals that were asked for, over scale.
    """

    values: Float64[np.ndarray, "... k"]
    vectors: Float64[np.ndarray, "... k dim"]
    residuals: Float64[np.ndarray, "... k"]
    scale: Float64[np.ndarray, "..."]
    tolerance: float = eqx.field(static=True)

    @property
    def converged(self) -> Bool[np.ndarray, "... k"]:
        """Which residuals are as small as was asked for, (…, k)."""
        return self.residuals <= self.tolerance * np.expand_dims(self.scale, -1)


def eigenpairs(
    landscape: AbstractLandscape,
    theta: Any,
    k: int = 5,
    *,
    which: str = "largest",
    part: slice | None = None,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> Eigenpairs:
    """The k largest, or smallest, eigenvalues of ∇²L(θ) with their vectors, from products of the Hessian with vectors.

    landscape: any; of an EmpiricalRisk all examples count. theta: (dim,), an object with a `location`, or (n, dim) for
        many points, such as the parameters of n networks, which are worked on together, as many as fit.
    k: how many; all where there are fewer. which: "largest" first or "smallest" first.
    part: a slice of θ, for the block of the Hessian that belongs to it (`EmpiricalRisk.leaves` has those of a model).
    tolerance: of the residuals, over the largest size of an eigenvalue. seed: of the random vectors to begin with.

    Lanczos' method with full reorthogonalisation, in a space that is doubled up to 1,024 dimensions until the residuals
    are that small; then again beside what was found, from another vector, until nothing larger appears there: so
    eigenvalues that occur more than once are found as often. The residuals that are returned are measured.
    Arithmetic is in float64. Raises ValueError for θ of another shape or with a Hessian that is not finite, another k,
    part or tolerance, or where the vectors do not fit into memory.
    Source: Lanczos 1950, by the library matfree (Krämer et al. 2024).
    """
    check_landscape(landscape)
    positive_integer("k", k)
    tolerance_of("tolerance", tolerance)
    if which not in ("largest", "smallest"):
        raise ValueError(f"which must be 'largest' or 'smallest', got {which!r}")
    given = getattr(theta, "location", theta)
    thetas = points("theta", given, landscape.dim)
    size = landscape.dim if part is None else len(range(*check_part(part, landscape.dim)))
    sign = 1.0 if which == "largest" else -1.0
    with jax.enable_x64(True):
        values, vectors, residuals, scale = _search(
            AtPoints(landscape, thetas), places(part), size, min(k, size), sign, tolerance, seed
        )
    found = Eigenpairs(sign * values, vectors, residuals, scale, tolerance)
    return found if np.ndim(given) == 2 else jax.tree.map(lambda array: array[0], found)


def check_part(part: Any, dim: int) -> tuple[int, int, int]:
    """The bounds of a part of θ; ValueError unless it is a slice of one component or more, without a step."""
    if not isinstance(part, slice) or not range(*part.indices(dim)) or part.step not in (None, 1):
        raise ValueError(f"part must be a slice of θ with at least one of its {dim} components, got {part!r}")
    return part.indices(dim)


def _search(at: AtPoints, part: Any, size: int, k: int, sign: float, tolerance: float, seed: int) -> Any:
    count = len(at.thetas)
    values, scale = np.full((count, k), -np.inf), np.zeros(count)
    vectors = np.zeros((count, k, size))
    depth = min(size, max(_FIRST_DEPTH, 2 * k))
    # each round finds each of several equal eigenvalues once; after the last one nothing is new
    for round_number in range(k + 2):
        # where all are found there is nothing beside them
        full = np.all(np.isfinite(values), axis=1) if k == size else np.zeros(count, bool)
        if full.all():
            break
        locked = np.where(full[:, None, None], 0.0, vectors)
        run = _Lanczos(at, part, sign, locked, _starts(seed, round_number, count, size), values[:, -1], tolerance)
        new_values, new_vectors, scale = run(depth, scale)
        new_values[full] = -np.inf
        is_new = new_values[:, 0] > values[:, -1] + tolerance * scale
        values, vectors = _largest(np.hstack([values, new_values]), np.hstack([vectors, new_vectors]), k)
        if not np.any(is_new):
            break
    values, vectors, residuals = at(_refined, part, sign, each=(vectors,), vectors=3 * k)
    return values, vectors, residuals, np.maximum(scale, np.abs(values).max(axis=1))


class _Lanczos(NamedTuple):
    """Lanczos' method beside the vectors `locked`, (n, k, size), from `starts`, (n, size)."""

    at: AtPoints
    part: Any
    sign: float
    locked: np.ndarray
    starts: np.ndarray
    least: np.ndarray
    """Values that matter are above it, (n,)."""
    tolerance: float

    def __call__(self, depth: int, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ritz values (n, k), vectors, and sizes of the operators, where those that matter have converged."""
        size = self.starts.shape[1]
        while True:
            values, vectors, errors, sizes = self._ritz_pairs(depth, scale)
            scale = np.where(scale > 0, scale, sizes)
            matter = values + errors > self.least[:, None]
            small = errors <= self.tolerance * scale[:, None]
            if depth >= min(size, _LAST_DEPTH) or np.all(small | ~matter):
                return values, vectors, scale
            depth = min(2 * depth, size, _LAST_DEPTH)

    def _ritz_pairs(self, depth: int, scale: np.ndarray) -> list[np.ndarray]:
        k = self.locked.shape[1]
        # what is locked is moved below everything else
        each = (self.locked, 2 * scale + 1.0, self.starts)
        chunks = self.at.chunks(
            _lanczos, self.part, self.sign, np.zeros((depth, 0)), each=each, vectors=2 * depth + 2 * k
        )
        pairs = [_ritz_pairs(*one, k) for chunk in chunks for one in zip(*chunk, strict=True)]
        return [np.stack(parts) for parts in zip(*pairs, strict=True)]


def _lanczos(landscape, theta, locked, shift, start, part, sign, empty):
    """A tridiagonal form of the Hessian beside `locked`: its basis, (depth, size), diagonals, and what comes next."""
    from matfree import decomp

    product = product_at(landscape, theta, part)

    def beside(vector):
        return vector - locked.T @ (locked @ vector)

    def operator(vector):
        return beside(sign * product(beside(vector))) - shift * (locked.T @ (locked @ vector))

    form = decomp.tridiag_sym(empty.shape[0], materialize=False, reortho="full", custom_vjp=False)
    basis, (diagonal, beyond), following, _ = form(operator, beside(start))
    return basis, diagonal, beyond, jnp.linalg.norm(following)


def _ritz_pairs(basis, diagonal, beyond, following, k):
    """The k largest Ritz values, vectors and error bounds of one tridiagonal form, and its size; −∞ for none."""
    if not np.isfinite(diagonal[0]):
        raise ValueError("theta must have a finite Hessian, got one that is not")
    next_sizes = np.append(beyond, following)
    size = max(np.abs(diagonal[np.isfinite(diagonal)]).max(), np.abs(beyond[np.isfinite(beyond)]).max(initial=0.0))
    # not a number where the space has ended at an exact 0
    ended = ~(next_sizes > _BREAKDOWN * max(size, 1e-300))
    length = int(np.argmax(ended)) + 1 if ended.any() else len(diagonal)
    ritz, parts = scipy.linalg.eigh_tridiagonal(diagonal[:length], beyond[: length - 1])
    last = 0.0 if ended.any() else float(following)
    kept = np.argsort(ritz)[::-1][:k]
    missing = k - len(kept)
    values = np.append(ritz[kept], np.full(missing, -np.inf))
    vectors = np.vstack([parts[:, kept].T @ basis[:length], np.zeros((missing, basis.shape[1]))])
    errors = np.append(last * np.abs(parts[-1, kept]), np.zeros(missing))
    return values, vectors, errors, float(np.abs(ritz).max())


def _largest(values, vectors, k):
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(values, order, 1), np.take_along_axis(vectors, order[:, :, None], 1)


def _refined(landscape, theta, vectors, part, sign):
    """The best values and vectors in the span of `vectors`, (k, size), and the residuals that are left, measured."""
    product = product_at(landscape, theta, part)
    basis = jnp.linalg.qr(vectors.T)[0]
    images = jax.vmap(lambda vector: sign * product(vector), 1, 1)(basis)
    within = basis.T @ images
    values, turn = jnp.linalg.eigh((within + within.T) / 2)
    values, turn = values[::-1], turn[:, ::-1]
    residuals = jnp.linalg.norm(images @ turn - (basis @ turn) * values, axis=0)
    return values, (basis @ turn).T, residuals


def _starts(seed: int, round_number: int, count: int, size: int) -> np.ndarray:
    """For each point a random vector, a function of the seed, the round and the point's number alone."""
    key = jax.random.fold_in(jax.random.key(seed_number(seed)), round_number)
    keys = jax.vmap(lambda number: jax.random.fold_in(key, number))(jnp.arange(count))
    return np.asarray(jax.vmap(lambda one: jax.random.normal(one, (size,), jnp.float64))(keys))
