"""MNIST-1D: ten one-dimensional shapes, randomly padded, scaled, moved, sheared and blurred, made by NumPy alone."""

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .._errors import positive_integer
from ._examples import Examples, checked_seed, share_held_out

# heights of a pen that draws each digit from the top to the bottom
_SHAPES = np.array(
    [
        [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
        [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
        [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
        [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
        [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
        [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
        [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
        [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
    ]
)
_CLASSES, _POINTS = _SHAPES.shape
_LEAST_PADDING, _MOST_PADDING, _LENGTH = 36, 60, 40
_SCALE, _SHEAR, _MOST_SHIFT = 0.4, 0.75, 48
_SMOOTH_NOISE, _WHITE_NOISE, _BLUR = 0.25, 0.02, 2.0
# a shape is never exactly 0, by which the padding is told from it
_ABOVE_ZERO = 1e-8


def mnist1d(samples: int = 5_000, held_out: Any = 0.2, seed: Any = 42) -> Examples:
    """MNIST-1D: shapes of 40 points and labels 0 … 9, as hard for small networks as MNIST is for large ones.

    samples: how many in all, at least 10, a whole number of each class (what is over is left out).
    held_out: share that is held out, at least 0 and below 1. seed: of NumPy's RandomState, 0 … 2³² − 1.

    The default is the authors' published file, to rounding (below 1e-12): 4,000 examples to train and 1,000 held out.
    As there, mean 0 and deviation 1 are those of all examples and points together. The published double descent has
    `mnist1d(16_000, held_out=0.75)`. Takes about a second, and downloads nothing.
    Raises ValueError for another number, share or seed.
    Source: Greydanus and Kobak, Scaling down deep learning with MNIST-1D, ICML 2024 (arXiv 2011.14439).
    """
    positive_integer("samples", samples)
    if samples < _CLASSES:
        raise ValueError(f"samples must be at least {_CLASSES}, one of each class, got {samples}")
    share, generator = share_held_out(held_out), np.random.RandomState(checked_seed(seed))
    labels = np.repeat(np.arange(_CLASSES, dtype=np.int32), samples // _CLASSES)
    inputs = _transformed(_templates(), labels, generator)
    order = generator.permutation(len(labels))
    inputs, labels = inputs[order], labels[order]
    inputs = (inputs - inputs.mean()) / inputs.std()
    cut = len(labels) - int(share * len(labels))
    return Examples(inputs[:cut], labels[:cut], inputs[cut:], labels[cut:])


def _templates() -> np.ndarray:
    """The shapes with mean 0 and deviation 1, moved to begin at 0, a sixth as large, and a little above 0."""
    shapes = _SHAPES - _SHAPES.mean(1, keepdims=True)
    shapes = shapes / shapes.std(1, keepdims=True)
    return (shapes - shapes[:, :1]) / 6 + _ABOVE_ZERO


def _transformed(templates: np.ndarray, labels: np.ndarray, generator: np.random.RandomState) -> np.ndarray:
    """One example for each label, shape (n, 40)."""
    length = _POINTS + _MOST_PADDING
    signals, smooth, white = (np.empty((len(labels), length)) for _ in range(3))
    shears = np.empty((len(labels), 1))
    # numbers are drawn in the order of the authors' program, example by example
    for row, label in enumerate(labels):
        padding = _LEAST_PADDING + int(generator.rand() * (_MOST_PADDING - _LEAST_PADDING + 1))
        signal = _resampled(np.concatenate([templates[label], np.zeros(padding)]), length)
        scale = 1 + _SCALE * (generator.rand() - 0.5)
        signals[row] = np.roll(signal * scale, generator.choice(_MOST_SHIFT))
        smooth[row], white[row] = generator.randn(length), generator.randn(length)
        shears[row] = _SHEAR * (generator.rand() - 0.5)
    blurred = gaussian_filter1d(_SMOOTH_NOISE * smooth, _BLUR, axis=1)
    signals = np.where(signals != 0, signals, blurred) + _WHITE_NOISE * white
    signals -= shears * np.linspace(-0.5, 0.5, length)
    return np.stack([_resampled(signal, _LENGTH) for signal in signals])


def _resampled(signal: np.ndarray, length: int) -> np.ndarray:
    """`signal` at `length` equidistant points between its ends, linearly between its own."""
    return np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(signal)), signal)
