"""exp(tQ)u at one point of a large generator, for times over many decades."""

from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.polynomial import Polynomial
from scipy.interpolate import BPoly
from scipy.sparse.linalg import splu


def _pade(lower, upper):
    """Poles and residues of the (lower, upper) Padé approximant of e^z, one of each conjugate pair."""
    from math import comb, factorial

    total = lower + upper
    top = Polynomial([comb(lower, j) * factorial(total - j) / factorial(total) for j in range(lower + 1)])
    bottom = Polynomial(
        [(-1) ** j * comb(upper, j) * factorial(total - j) / factorial(total) for j in range(upper + 1)]
    )
    poles = bottom.roots()
    poles = poles[poles.imag > 0]
    return poles, top(poles) / bottom.deriv()(poles)


_POLES, _RESIDUES = _pade(3, 4)
# of one step twice as long against two
_TOLERANCE = 1e-8


class _Step:
    """One step of length k of the L-stable (3, 4) Padé approximant of e^{kQ}: order 7."""

    def __init__(self, generator, length):
        self.length = length
        identity = sparse.identity(generator.shape[0])
        self.factors = [splu(sparse.csc_matrix(length * generator - pole * identity)) for pole in _POLES]

    def __call__(self, u):
        parts = (c * f.solve(u.astype(complex)) for c, f in zip(_RESIDUES, self.factors, strict=True))
        return 2 * sum(part.real for part in parts)


def survival(generator, weights: np.ndarray, times: np.ndarray) -> np.ndarray:
    """weights · exp(tQ)1 at each of `times` (n_times,).

    The step doubles whenever one doubled step agrees with two steps to 10⁻⁸; between steps the value is a
    Hermite polynomial through it and its first three derivatives, which Q gives.
    """

    def jet(u):
        out = []
        for _ in range(4):
            out.append(float(weights @ u))
            u = generator @ u
        return out

    slowest = float(np.abs(generator.diagonal()).min())
    step = _Step(generator, min(1 / slowest, float(times.min())) / 4)
    u: Any = np.ones(generator.shape[0])
    knots, jets = [0.0], [jet(u)]
    earlier, patience = [u], 4
    while knots[-1] < times.max():
        u = step(u)
        knots.append(knots[-1] + step.length)
        jets.append(jet(u))
        earlier.append(u)
        if jets[-1][0] < 1e-14 * max(weights.sum(), 1):
            break
        if len(earlier) > patience and knots[-1] < times.max():
            doubled = _Step(generator, 2 * step.length)
            if np.abs(doubled(earlier[-3]) - u).max() <= _TOLERANCE:
                step, earlier, patience = doubled, [u], 4
            else:
                patience = 2 * len(earlier)
    value = np.zeros(len(times))
    known = times <= knots[-1]
    if np.any(known):
        value[known] = BPoly.from_derivatives(knots, jets)(times[known])
    return value
