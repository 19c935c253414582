"""Examples that are made: Gaussian inputs with linear targets and noise, and a polynomial at Chebyshev points."""

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
    for name, value in (("samples", samples), ("features", features)):
        positive_integer(name, value)
    spread = np.ones(features) if scales is None else np.asarray(scales, np.float64)
    if spread.shape != (features,) or not np.all(np.isfinite(spread) & (spread > 0)):
        raise ValueError(f"scales must be {features} finite numbers above 0, one for each feature, got {scales!r}")
    for name, value in (("slope", slope), ("noise", noise)):
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not np.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value!r}")
    generator = np.random.default_rng(checked_seed(seed))
    inputs = generator.normal(size=(samples, features)) * spread
    targets = slope * inputs.sum(axis=1) + noise * generator.normal(size=samples)
    return split(inputs, targets, held_out, seed)


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
