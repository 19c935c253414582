"""The Markov jump process over minima: law (GTH algorithm), spectral gap, transition matrix (uniformisation).

In arithmetic that never subtracts: right for rates of any spread.

rates: (K, K), at least 0; entry (i, j) is the rate of jumps from i to j, and the diagonal is not read.
"""

import numpy as np
from jaxtyping import Float

from .._errors import number, numbers

Rates = Float[np.ndarray, "K K"]
# eigenvalues so far from the largest are rounding error of it; see spectral_gap
_FAR = 1e-8
_SHORT, _TERMS = 0.5, 20


def stationary_law(rates: Rates) -> Float[np.ndarray, " K"]:
    """The law π that the jump process keeps, π Q = 0; NaN where some state cannot be left for the others.

    Each π_i has the relative precision of the rates, however small it is. Raises ValueError as `transition_matrix`.
    Source: Grassmann, Taksar and Heyman, Operations Research 33, 1107 (1985).
    """
    left = _scaled(rates)[0]
    law = np.ones(len(left))
    with np.errstate(divide="ignore", invalid="ignore"):
        for state in range(len(left) - 1, 0, -1):
            left[:state, state] /= left[state, :state].sum()
            left[:state, :state] += np.outer(left[:state, state], left[state, :state])
        for state in range(1, len(left)):
            law[state] = law[:state] @ left[:state, state]
        return law / law.sum()


def spectral_gap(rates: Rates) -> float:
    """Smallest real part of a nonzero eigenvalue of −Q: the rate at which the slowest deviation from π dies out.

    rates: (K, K), entry (i, j) from i to j. NaN where some state cannot be left for the others.
    Exact to rounding: it is found as the reciprocal of the largest eigenvalue of an inverse, whose entries (mean times
    in a state before another is reached) are sums of positive numbers: the gap of a reversible process has the relative
    precision of the rates, also where it is 1e-20 of the largest. Raises ValueError as `transition_matrix`.
    """
    scaled, unit = _scaled(rates)
    law = stationary_law(scaled)
    if not np.all(np.isfinite(law)):
        return float("nan")
    last = int(np.argmax(law))
    others = np.delete(np.arange(len(law)), last)
    root = np.sqrt(law[others])
    # nonzero eigenvalues of −Q⁻ are those of G(I − 1π'), and so of √B G' √B with G' scaled by √π, B = I − √π √π'
    times = root[:, None] * times_before(scaled, last, others) / root[None, :]
    direction = root / np.linalg.norm(root)
    half = np.eye(len(root)) - (1 - np.sqrt(law[last])) * np.outer(direction, direction)
    found = np.linalg.eigvals(half @ times @ half)
    # those left out are no candidates: an eigenvalue of a K-state generator has a real part of at least sin(π/K)|λ|
    found = found[np.abs(found) > _FAR * np.abs(found).max()]
    return float(np.min((1 / found).real) * unit)


def transition_matrix(rates: Rates, time: float) -> Rates:
    """P(in j at SDE time `time`, started in i), (K, K), of the jump process with these `rates`, (K, K).

    Exact to the relative precision of the rates in each entry, however small: sums and products of positive numbers
    alone, a series for a short time and squarings up to `time`.
    Raises ValueError for rates or a time below 0, or of another shape.
    """
    scaled, unit = _scaled(rates)
    number("time", time)
    if time < 0:
        raise ValueError(f"time must be at least 0, got {time!r}")
    elapsed = float(time) * unit
    most = 2 * scaled.sum(axis=1).max()
    halvings = max(0, int(np.ceil(np.log2(max(elapsed * most / _SHORT, 1e-300)))))
    step = elapsed / 2**halvings
    jump = scaled / most + np.diag(1 - scaled.sum(axis=1) / most)
    found = term = np.eye(len(scaled))
    for order in range(1, _TERMS):
        term = term @ jump * (step * most / order)
        found = found + term
    # the sums of rows are kept: their error would double in every step
    found = found / found.sum(axis=1, keepdims=True)
    for _ in range(halvings):
        found = found @ found
        found = found / found.sum(axis=1, keepdims=True)
    return found


def times_before(rates: Rates, last: int | np.ndarray, others: np.ndarray) -> Float[np.ndarray, "L L"]:
    """Mean time in each of `others`, from each of them, before `last`, one state or any of several, is reached."""
    left = rates[np.ix_(others, others)].copy()
    out = rates[np.ix_(others, np.atleast_1d(last))].sum(axis=1)
    given, totals = np.eye(len(others)), np.zeros(len(others))
    for state in range(len(others) - 1, -1, -1):
        totals[state] = out[state] + left[state, :state].sum()
        share = left[:state, state] / totals[state]
        left[:state, :state] += np.outer(share, left[state, :state])
        np.fill_diagonal(left, 0.0)
        out[:state] += share * out[state]
        given[:state] += np.outer(share, given[state])
    for state in range(len(others)):
        given[state] = (given[state] + left[state, :state] @ given[:state]) / totals[state]
    return given


def _scaled(rates: Rates) -> tuple[Rates, float]:
    """The rates without a diagonal, in units of the largest."""
    cleared = numbers("rates", rates)
    if cleared.ndim != 2 or cleared.shape[0] != cleared.shape[1]:
        raise ValueError(f"rates must be of shape (K, K), got shape {cleared.shape}")
    np.fill_diagonal(cleared, 0.0)
    if np.any(cleared < 0):
        raise ValueError(f"rates must be at least 0, got {cleared.min():.6g}")
    unit = float(cleared.max(initial=0.0)) or 1.0
    return cleared / unit, unit
