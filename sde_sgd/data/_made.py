"""Examples that are made: Gaussian inputs, or a design with their moments; and a polynomial at Chebyshev points."""

import itertools
from typing import Any

import numpy as np

from .._errors import positive_integer
from ._examples import Examples, checked_seed, split


def gaussian(
    samples: int = 1_000,
    features: int = 2,
    scales: Any = None,
    slope: Any = 0.0,
    noise: Any = 1.0,
    held_out: Any = 0.0,
    seed: Any = 0,
) -> Examples:
    """Independent normal inputs, and targets y = slope·(x₁ + … + x_d) + noise·ξ: linear regression with a known answer.

    samples: how many in all. features: d. scales: (d,) standard deviations of the features, 1 by default.
    slope, noise: numbers; ξ is standard normal, drawn once for each example (label noise that is part of the data).
    held_out: share that is held out, at least 0 and below 1. seed: of NumPy's default_rng, 0 … 2³² − 1.
    Raises ValueError for another number, shape, share or seed. By definition; nothing is standardised.
    """
    positive_integer("samples", samples)
    spread = _spread(features, scales)
    for name, value in (("slope", slope), ("noise", noise)):
        _finite(name, value)
    generator = np.random.default_rng(checked_seed(seed))
    inputs = generator.normal(size=(samples, features)) * spread
    targets = slope * inputs.sum(axis=1) + noise * generator.normal(size=samples)
    return split(inputs, targets, held_out, seed)


def gaussian_moments(features: int = 2, scales: Any = None, slope: Any = 0.0) -> Examples:
    """6^features examples whose inputs have all moments of independent normal ones up to the fifth, and linear targets.

    What takes no more than fourth moments of the inputs, as the stationary covariance of SGD on a linear regression
    does, is then exactly that of infinitely many Gaussian inputs. features: d. scales: (d,) standard deviations, 1 by
    default. slope: targets are slope·(x₁ + … + x_d). Nothing is random or held out.
    Each feature is 0 four times out of six, and ±√3 once each. Source: the nodes and weights of Gauss and Hermite
    (Abramowitz and Stegun 1964, section 25.4).
    Raises ValueError for another number or shape.
    """
    spread = _spread(features, scales)
    _finite("slope", slope)
    nodes = np.sqrt(3.0) * np.array([0, 0, 0, 0, 1, -1])
    inputs = np.array(list(itertools.product(nodes, repeat=features))) * spread
    return split(inputs, slope * inputs.sum(axis=1), 0.0, 0)


def _spread(features: Any, scales: Any) -> np.ndarray:
    """Standard deviations of the features, (features,)."""
    positive_integer("features", features)
    spread = np.ones(features) if scales is None else np.asarray(scales, np.float64)
    if spread.shape != (features,) or not np.all(np.isfinite(spread) & (spread > 0)):
        raise ValueError(f"scales must be {features} finite numbers above 0, one for each feature, got {scales!r}")
    return spread


def _finite(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not np.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")


def chebyshev(samples: int = 20, degree: int = 4) -> Examples:
    """Chebyshev points on (−1, 1), and a Chebyshev polynomial there: a smooth function to fit, and nothing random.

    samples: n, so many points cos(π(k + ½)/n). degree: of the polynomial T, whose values cos(degree·arccos x) are the
    targets. Nothing is held out. The published edge of stability has 20 points of T₄.
    Raises ValueError for numbers that are no whole numbers of at least 1.
    Source: Cohen, Kaur, Li, Kolter and Talwalkar 2021 (arXiv 2103.00065).
    """
    for name, value in (("samples", samples), ("degree", degree)):
        positive_integer(name, value)
    points = np.cos(np.pi * (np.arange(samples) + 0.5) / samples)
    return split(points[:, None], np.cos(degree * np.arccos(points)), 0.0, 0)
