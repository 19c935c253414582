"""Two-sample permutation tests over many looks with one error budget: energy distance, Kolmogorov–Smirnov, max-T."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ..statistics import kolmogorov_smirnov

# entries of the arrays that are made of labels at a time
_BLOCK = 2**22
_ROUNDING = 1e-9
_DRAWS, _HALVINGS = 200, 16


def labels_of(
    networks: int, permutations: int, paired: bool, rng: np.random.Generator
) -> Bool[np.ndarray, "rows pooled"]:
    """Which of the pooled networks, those of one chain and then of another, are called the first's.

    The first row is as it is, each of the others a permutation; paired: only networks of one number change places.
    """
    own = np.arange(2 * networks) < networks
    if paired:
        stays = rng.random((permutations, networks)) < 0.5
        permuted = np.concatenate([stays, ~stays], axis=1)
    else:
        permuted = rng.permuted(np.tile(own, (permutations, 1)), axis=1)
    return np.concatenate([own[None], permuted])


class Budget(NamedTuple):
    """What one error budget says of statistics (rows, looks, kinds), whose first row is what was seen.

    p_value: of the largest over all looks and kinds. p_look: of each, adjusted for all of them. p_pointwise: of each as
    if it were the only one. centre, spread: by which each is standardised. critical: what the largest must pass.
    """

    p_value: float
    p_look: Float[np.ndarray, "looks kinds"]
    p_pointwise: Float[np.ndarray, "looks kinds"]
    centre: Float[np.ndarray, "looks kinds"]
    spread: Float[np.ndarray, "looks kinds"]
    critical: float


def one_budget(statistics: Float[np.ndarray, "rows looks kinds"], level: float) -> Budget:
    """The single-step max-T test of Westfall and Young (1993): valid where labels are exchangeable, whatever depends.

    Each look is standardised by the mean and the deviation over all rows, what was seen among them, so that every row
    is treated alike and p is exact: P(p ≤ a) ≤ a. level: of `critical`; at least one row's share.
    """
    centre, spread = statistics.mean(axis=0), statistics.std(axis=0)
    moves = spread > _ROUNDING * np.maximum(np.abs(centre), np.finfo(float).tiny)
    # what no permutation moves says nothing
    scores = np.where(moves, (statistics - centre) / np.where(moves, spread, 1.0), -np.inf)
    largest, seen = scores.max(axis=(1, 2)), scores[0] - _ROUNDING
    return Budget(
        p_value=float(np.mean(largest >= largest[0] - _ROUNDING)),
        p_look=np.mean(largest[:, None, None] >= seen, axis=0),
        p_pointwise=np.mean(scores >= seen, axis=0),
        centre=centre,
        spread=np.where(moves, spread, np.inf),
        critical=float(np.sort(largest)[::-1][allowed(level, len(largest))]),
    )


def allowed(level: float, rows: int) -> int:
    """How many of the rows may be as large as what was seen, itself among them, for p ≤ level."""
    return math.floor(level * rows + _ROUNDING)


def holm(p_values: Sequence[float]) -> Float[np.ndarray, " tests"]:
    """p-values adjusted for one another (Holm 1979), valid whatever depends on what."""
    given = np.asarray(p_values, np.float64)
    order = np.argsort(given, kind="stable")
    raised = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(raised, 1.0)
    return adjusted


class Look(NamedTuple):
    """Two chains at one look, pooled: which networks are finite, their measures, and θ of those that were chosen."""

    finite: Bool[np.ndarray, " pooled"]
    measures: Float[np.ndarray, "measures pooled"]
    chosen: np.ndarray
    thetas: Float[np.ndarray, "chosen dim"]


def distances_at(look: Look, labels: Bool[np.ndarray, "rows pooled"]) -> tuple[np.ndarray, np.ndarray]:
    """For each row of labels: distances (rows, kinds) of θ, of each measure and of how many diverged; then statistics.

    The statistic is the distance times √(nm/(n+m)) of the networks n and m that stayed finite, which a permutation of
    the labels may change.
    """
    gaps = euclidean(np.where(look.finite[look.chosen, None], look.thetas, 0.0))
    parts = [_part(look, gaps, part) for part in np.array_split(labels, math.ceil(labels.size / _BLOCK))]
    distances, scales = (np.concatenate(each) for each in zip(*parts, strict=True))
    return distances, distances * scales


def _part(look: Look, gaps: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chosen = weights_of(labels[:, look.chosen], look.finite[look.chosen])
    weights, scale = weights_of(labels, look.finite)
    everyone, evenly = weights_of(labels, np.ones_like(look.finite))
    distances = [energy_distance(gaps, chosen[0])]
    distances += [kolmogorov_smirnov(values, weights) for values in look.measures]
    distances += [np.abs(everyone @ ~look.finite)]
    scales = [chosen[1], *[scale] * len(look.measures), evenly]
    return np.stack(distances, axis=1), np.stack(scales, axis=1)


def weights_of(labels: Bool[np.ndarray, "rows pooled"], counted: Bool[np.ndarray, " pooled"]):
    """1/n for the n that are called the first's, −1/m for the m others, 0 for what is not counted; and √(nm/(n+m))."""
    first, second = labels & counted, ~labels & counted
    n, m = first.sum(axis=1), second.sum(axis=1)
    weights = first / np.maximum(n, 1)[:, None] - second / np.maximum(m, 1)[:, None]
    return weights, np.sqrt(n * m / np.maximum(n + m, 1))


def energy_distance(
    gaps: Float[np.ndarray, "pooled pooled"], weights: Float[np.ndarray, "rows pooled"]
) -> Float[np.ndarray, " rows"]:
    """√(2 E|X−Y| − E|X−X'| − E|Y−Y'|) of the empirical laws (Székely and Rizzo 2004), 0 only where they are equal.

    gaps: |x − y| of all pairs. weights: as `weights_of` makes them.
    """
    return np.sqrt(np.maximum(-np.sum((weights @ gaps) * weights, axis=1), 0.0))


def euclidean(points: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n n"]:
    """|x − y| of all pairs, by one product of matrices."""
    centred = np.asarray(points, np.float64) - np.mean(points, axis=0, dtype=np.float64)
    squares = np.sum(centred**2, axis=1)
    sums = squares[:, None] + squares
    found = sums - 2 * centred @ centred.T
    # rounding of the sums is no distance
    found[found < 1e-13 * sums] = 0.0
    return np.sqrt(found)


def smallest_shift(
    values: Float[np.ndarray, " pooled"],
    needed: float,
    rng: np.random.Generator,
) -> float:
    """How far one of two halves must be shifted for the Kolmogorov–Smirnov test to see it with probability 80 %.

    values: of both chains, taken for one law, which is resampled (Efron 1979). needed: what √(n/2) times the distance
    must pass. NaN where a shift by the whole range would not do.
    """
    half = len(values) // 2
    if half < 1:
        return math.nan
    samples = values[rng.integers(len(values), size=(_DRAWS, 2 * half))]
    first = np.arange(2 * half) < half

    def seen(shift: float) -> bool:
        shifted = samples + shift * first
        order = np.argsort(shifted, axis=1)
        steps = np.where(first[order], 1 / half, -1 / half)
        ends = np.diff(np.take_along_axis(shifted, order, axis=1), axis=1) > 0
        distance = np.where(ends, np.abs(np.cumsum(steps, axis=1))[:, :-1], 0.0).max(axis=1)
        return bool(np.mean(distance * math.sqrt(half / 2) > needed) >= 0.8)

    low, high = 0.0, 2 * float(np.ptp(values))
    if not seen(high):
        return math.nan
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high
