"""Where SGD ends up, and after how long: the claims measured, beside exact values.

    python -m benchmarks.validation stationary [SECTION …]

`equal_depth`, `unequal_depth`: odds of the flat well of `TwoWells` against the sharp one over three decades of M/γ, by
time averages where it is warm and by rates where it is cold, against quadrature of the Gibbs density over the two sides
of the saddle, in 1, 2 and 8 dimensions. `relaxation`: its time over 12 decades, and the slope of its logarithm.
`noise`: share of the flat well under other noise than isotropic, against the grid solver. `five_minima`: shares of five
wells in a plane, from their rates, against the grid solver. `coverage`: of the intervals that `transitions` gives.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import simpson

import sde_sgd as ss
from sde_sgd.reference import ChainRates
from sde_sgd.stationary import spectral_gap, stationary_law
from sde_sgd.statistics import Estimate

from ._record import arguments_of, renewed, save, told

BETA = 1.0
# temperatures in units of the barrier: T = γβ/(2M), so M/γ = β/(2T) from 0.05 to 50
WARM = {10.0: 150.0, 3.0: 300.0, 1.0: 1000.0, 0.4: 6000.0}
COLD = (0.1, 0.05, 0.02, 0.01)
DIFFERENCE = 0.05
FIVE = ([[0.0, 0.0], [1.6, 0.0], [0.0, 1.6], [-1.6, 0.0], [0.0, -1.6]], [0.9, 1.25, 1.15, 1.3, 1.2])
FIVE_WIDTHS = [0.45, 0.5, 0.55, 0.4, 0.5]


def wells(dim: int = 1, difference: float = 0.0) -> Any:
    """Curvature 16 against 4 along the way; in 8 dimensions 6 against 4 across it, so that both wells keep a share."""
    across = {} if dim < 3 else {"sharp_transverse_curvature": 6.0, "flat_transverse_curvature": 4.0}
    return ss.landscapes.TwoWells(16.0, 4.0, 1.0, difference, dim=dim, **across)


def chain_of(landscape: Any, temperature: float, dt: float = 0.002) -> Any:
    gamma_over_m = 2 * temperature / BETA
    return ss.EulerMaruyama(ss.LangevinSGD(landscape, ss.noise.Isotropic(BETA), gamma_over_m, 1.0), dt)


def exact_odds(landscape: Any, temperature: float) -> float:
    """∫ exp(−L/T) on the flat side of the saddle over that on the sharp side; across the way it is Gaussian."""
    saddle, half = float(landscape.saddle[0]), float(landscape.separation) / 2
    far = half + 9 * math.sqrt(temperature / 4)
    sides = []
    for low, high in ((-far, saddle), (saddle, far)):
        x = np.linspace(low, high, 40_001)
        way = x[:, None] * np.eye(landscape.dim)[0]
        step = np.clip(x / (2 * half) + 0.5, 0, 1)
        step = step**3 * (10 + step * (6 * step - 15))
        sharp, flat = float(landscape.sharp_transverse_curvature), float(landscape.flat_transverse_curvature)
        with jax.enable_x64(True):
            loss = np.asarray(jax.vmap(landscape.loss)(jnp.asarray(way)))
        logs = -loss / temperature - (landscape.dim - 1) / 2 * np.log(sharp + step * (flat - sharp))
        sides.append(math.log(simpson(np.exp(logs - logs.max()), x=x)) + logs.max())
    return math.exp(sides[1] - sides[0])


def odds(share: Estimate, place: int) -> list[float]:
    return [float(each[place] / (1 - each[place])) for each in (share.value, share.low, share.high)]


def minima(landscape: Any) -> dict[str, Any]:
    return {"sharp": np.asarray(landscape.sharp_minimum), "flat": np.asarray(landscape.flat_minimum)}


def warm(landscape: Any, temperature: float, horizon: float) -> Any:
    flat = ss.regions.HalfSpace(-np.eye(landscape.dim)[0], -float(landscape.saddle[0]))
    return ss.occupancy(
        chain_of(landscape, temperature), minima(landscape)["sharp"], regions={"flat": flat, "sharp": ~flat},
        horizon=horizon, trajectories=256, seed=1,
    )  # fmt: skip


def cold(landscape: Any, temperature: float) -> Any:
    radius = None if landscape.dim < 3 else 0.6
    return ss.transitions(
        chain_of(landscape, temperature), minima(landscape), rtol=0.1, seed=1, radius=radius, max_trajectories=2**26
    )


def two_wells(dim: int, difference: float, warmth: dict[float, float], colds: tuple[float, ...]) -> list[dict]:
    landscape = wells(dim, difference)
    rows = []
    for temperature in [*warmth, *colds]:
        begin = time.perf_counter()
        if temperature in warmth:
            result = warm(landscape, temperature, warmth[temperature])
            measured, method = odds(result.weight, 0), "occupancy"
        else:
            result = cold(landscape, temperature)
            measured, method = odds(result.stationary, 1), "transitions"
        exact = exact_odds(landscape, temperature)
        rows.append(
            {
                "dim": dim,
                "depth_difference": difference,
                "M/γ": BETA / (2 * temperature),
                "method": method,
                "odds": measured,
                "exact": exact,
                "inside": measured[1] <= exact <= measured[2],
                "result": result.result,
                "seconds": time.perf_counter() - begin,
            }
        )
        told(rows[-1])
    return rows


def relaxation() -> dict:
    """Relaxation time of the wells of one depth, and the slope of its logarithm against 1/T in units of the barrier."""
    landscape, inverse = wells(), np.array([8.0, 14.0, 20.0, 26.0, 32.0, 38.0])
    times = []
    for each in inverse:
        slow = cold(landscape, 1 / each).relaxation_time
        times.append([float(slow.value), float(slow.low), float(slow.high)])
    logs = np.log(times)
    errors = (logs[:, 2] - logs[:, 1]) / (2 * 1.96)
    (slope, _), covariance = np.polyfit(inverse, logs[:, 0], 1, w=1 / errors, cov="unscaled")
    return {
        "barrier over T": inverse.tolist(),
        "relaxation_time": times,
        "decades": float(np.ptp(logs[:, 0]) / math.log(10)),
        "slope_over_barrier": float(slope),
        "standard_error": float(math.sqrt(covariance[0, 0])),
    }


def root_of(landscape: Any, scale: float, floor: float, with_loss: bool) -> Any:
    """σ with V = floor·I + scale·H₊(θ), or scale·L(θ)·H₊(θ): the Hessian without its negative part.

    Without the floor no noise would be left where the loss is concave, and no saddle would be crossed.
    """

    def root(theta):
        height, hessian = landscape.loss(theta) if with_loss else 1.0, landscape.hessian(theta)

        def amplitude(eigenvalue):
            return jnp.sqrt(floor + scale * height * jnp.maximum(eigenvalue, 0))

        if landscape.dim == 1:
            return amplitude(hessian[0])
        # a function of a symmetric 2×2 matrix, by its two eigenvalues
        (a, b), (_, d) = hessian
        middle, radius = (a + d) / 2, jnp.maximum(jnp.sqrt(((a - d) / 2) ** 2 + b**2), 1e-6)
        upper, lower = amplitude(middle + radius), amplitude(middle - radius)
        slope, level = (upper - lower) / (2 * radius), (upper + lower) / 2 - middle * (upper - lower) / (2 * radius)
        return jnp.stack([jnp.stack([slope * a + level, slope * b]), jnp.stack([slope * b, slope * d + level])])

    return ss.noise.FromFunction(root)


def kinds_of_noise(dim: int, across: tuple[float, float] = (6.0, 4.0)) -> list[dict]:
    """Share of the flat well under each kind of noise. across: curvature of both wells across the way, in a plane.

    Where the two differ the Hessian is not diagonal; multiplied by the loss its off-diagonal part is more than the
    grid solver takes, so that case has two equal ones.
    """
    even = ss.landscapes.TwoWells(
        16.0, 4.0, dim=dim, sharp_transverse_curvature=across[0], flat_transverse_curvature=across[1]
    )
    lifted = ss.landscapes.Landscape(lambda x: even.loss(x) + 0.2, dim)
    kinds = {
        "isotropic": (even, ss.noise.Isotropic(1.0)),
        "loss": (lifted, ss.noise.LossProportional(5.0)),
        "Hessian": (even, root_of(even, 0.1, 0.6, False)),
    }
    if dim == 1 or across[0] == across[1]:
        kinds["loss times Hessian"] = (lifted, root_of(lifted, 0.2, 0.6, True))
    return [told(_under(name, dim, across, even, *kind)) for name, kind in kinds.items()]


def _under(name: str, dim: int, across: tuple[float, float], even: Any, landscape: Any, noise: Any) -> dict:
    flat = ss.regions.HalfSpace(-np.eye(dim)[0], -float(even.saddle[0]))
    grid: Any = (-4.0, 6.0, 2000) if dim == 1 else [(-4.0, 6.0, 400), (-2.5, 2.5, 200)]
    begin = time.perf_counter()
    diffusion = ss.LangevinSGD(landscape, noise, 0.8, 1.0)
    solver = ss.reference.FokkerPlanck(diffusion, grid)
    exact = solver.stationary_probability(flat)
    # under noise that grows with the loss a step's own error is the larger one: 1 % of the share at dt = 0.002
    found = ss.occupancy(
        ss.EulerMaruyama(diffusion, 0.0005), np.asarray(even.sharp_minimum), regions={"flat": flat, "sharp": ~flat},
        horizon=8_000.0, trajectories=128, seed=2,
    )  # fmt: skip
    share = [float(each[0]) for each in (found.weight.value, found.weight.low, found.weight.high)]
    return {
        "dim": dim,
        "across": across if dim > 1 else None,
        "noise": name,
        "flat": share,
        "exact": exact,
        "inside": share[1] <= exact <= share[2],
        "result": found.result,
        "seconds": time.perf_counter() - begin,
    }


def five_minima(temperature: float = 0.08) -> dict:
    landscape = ss.landscapes.GaussianWells(*FIVE, FIVE_WIDTHS, 0.3)
    points = ss.landscapes.find_minima(landscape, FIVE[0])
    begin = time.perf_counter()
    found = ss.transitions(chain_of(landscape, temperature), points, rtol=0.1, seed=3)
    solver = ss.reference.FokkerPlanck(chain_of(landscape, temperature).diffusion, [(-3.2, 3.2, 200)] * 2)
    density = solver.stationary() * np.prod(solver.grid.spacing)
    places = np.stack(np.meshgrid(*solver.grid.centers, indexing="ij"), axis=-1).reshape(-1, 2)
    exact = [float(share) for share in shares_of(landscape, points, places, density.reshape(-1))]
    share = found.stationary
    return {
        "locations": found.locations.tolist(),
        "share": [[float(each[k]) for each in (share.value, share.low, share.high)] for k in range(len(points))],
        "exact": exact,
        "inside": [bool(low <= truth <= high) for low, truth, high in zip(share.low, exact, share.high, strict=True)],
        "gap": [float(each) for each in (found.spectral_gap.value, found.spectral_gap.low, found.spectral_gap.high)],
        "exact_gap": solver.spectral_gap(),
        "methods": {f"{i} to {j}": method for (i, j), method in found.methods.items()},
        "result": found.result,
        "seconds": time.perf_counter() - begin,
    }


def shares_of(landscape: Any, points: Any, places: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weight of the places whose gradient flow ends at each point: small Euler steps of it."""
    gradient = jax.jit(jax.vmap(landscape.gradient))
    states = jnp.asarray(places, jnp.float32)
    for _ in range(3_000):
        states = states - 0.02 * gradient(states)
    distances = np.stack([np.linalg.norm(np.asarray(states) - point.location, axis=1) for point in points])
    return np.bincount(np.argmin(distances, axis=0), weights, len(points))


def coverage(temperature: float, method: str, rtol: float, runs: int = 200) -> dict:
    """Of `runs` intervals of 95 %, how many hold the exact chain's share of the flat well, and its gap."""
    landscape = wells()
    chain, held, truths = chain_of(landscape, temperature, 0.02), np.zeros(2), None
    for seed in range(runs):
        found = ss.transitions(chain, minima(landscape), rtol=rtol, seed=seed, method=method)
        if truths is None:
            exact = ChainRates(chain.diffusion, chain.dt, found.cores)
            rates = np.stack([exact.rates(start)[0] for start in range(2)])
            truths = stationary_law(rates)[1], spectral_gap(rates)
        share = found.stationary
        held += share.low[1] <= truths[0] <= share.high[1], found.spectral_gap.contains(truths[1])
    return {
        "barrier over T": 1 / temperature,
        "method": method,
        "rtol": rtol,
        "runs": runs,
        "share": float(held[0] / runs),
        "gap": float(held[1] / runs),
    }


SECTIONS: dict[str, Callable[[], Any]] = {
    "equal_depth": lambda: [
        *two_wells(1, 0.0, WARM, COLD),
        *two_wells(2, 0.0, WARM, COLD),
        *two_wells(8, 0.0, WARM, COLD[1:]),
    ],
    "unequal_depth": lambda: [
        *two_wells(1, DIFFERENCE, {0.4: 6000.0}, COLD),
        *two_wells(2, DIFFERENCE, {0.4: 6000.0}, COLD),
        *two_wells(8, DIFFERENCE, {0.4: 6000.0}, COLD[1:]),
    ],
    "relaxation": lambda: told(relaxation()),
    "noise": lambda: [*kinds_of_noise(1), *kinds_of_noise(2), *kinds_of_noise(2, (5.0, 5.0))],
    "five_minima": lambda: told(five_minima()),
    "coverage": lambda: [told(coverage(0.2, "direct", 0.2)), told(coverage(0.08, "splitting", 0.3))],
}


def main(words: Sequence[str] | None = None) -> None:
    """Run the sections named, or all, and put them into the record, each with its date."""
    options = arguments_of("stationary", __doc__, SECTIONS, words)
    what = "stationary shares, relaxation times and their intervals against exact values"
    save(renewed(options.out, what, SECTIONS, options.sections), options.out)
