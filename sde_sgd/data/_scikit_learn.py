"""Data sets that come with scikit-learn: handwritten digits, breast cancer, diabetes."""

from typing import Any

import numpy as np

from ._examples import Examples, split, standardised


def digits(held_out: Any = 0.2, seed: Any = 0) -> Examples:
    """Handwritten digits: 1,797 images of 8 × 8 pixels, as 64 features, and labels 0 … 9.

    held_out: share of the examples that is held out, at least 0 and below 1. seed: of the permutation whose last
        examples those are.
    All pixels are shifted and scaled by one mean and one deviation, those of the training part.
    Raises ImportError without scikit-learn, of the extra `data`; ValueError for another share or seed.
    Source: scikit-learn's `load_digits` (test part of the UCI set of Alpaydin and Kaynak, 1998).
    """
    pixels, labels = _datasets("digits").load_digits(return_X_y=True)
    return standardised(split(pixels, labels.astype(np.int32), held_out, seed), each=False)


def breast_cancer(held_out: Any = 0.2, seed: Any = 0) -> Examples:
    """Breast cancer: 569 tumours with 30 measured features, and labels 0 (malignant) and 1 (benign).

    held_out: share of the examples that is held out, at least 0 and below 1. seed: of the permutation whose last
        examples those are.
    Each feature has mean 0 and variance 1 over the training part.
    Raises ImportError without scikit-learn, of the extra `data`; ValueError for another share or seed.
    Source: scikit-learn's `load_breast_cancer` (UCI set of Wolberg, Street and Mangasarian, 1995).
    """
    features, labels = _datasets("breast_cancer").load_breast_cancer(return_X_y=True)
    return standardised(split(features, labels.astype(np.int32), held_out, seed), each=True)


def diabetes(held_out: Any = 0.0, seed: Any = 0) -> Examples:
    """Diabetes: 442 patients with 10 features, and how far the disease has come a year later, a number.

    held_out: share of the examples that is held out, at least 0 and below 1; by default none is, and the order is the
        original one. seed: of the permutation whose last examples those are.
    Each feature and the targets have mean 0 and variance 1 over the training part, so that a linear model needs no
    constant.
    Raises ImportError without scikit-learn, of the extra `data`; ValueError for another share or seed.
    Source: scikit-learn's `load_diabetes`, unscaled (Efron, Hastie, Johnstone and Tibshirani, 2004).
    """
    features, progress = _datasets("diabetes").load_diabetes(return_X_y=True, scaled=False)
    return standardised(split(features, progress.astype(np.float64), held_out, seed), each=True, targets=True)


def _datasets(name: str) -> Any:
    """scikit-learn's data sets; ImportError, for the one of that name, where it is missing."""
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError(
            f"the data set {name} needs scikit-learn, of the extra `data`: pip install scikit-learn"
        ) from error
    return datasets
