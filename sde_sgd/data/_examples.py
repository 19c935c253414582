"""Examples to learn from, with those held out: a deterministic split, standardised by the training part alone."""

from typing import NamedTuple

import numpy as np


class Examples(NamedTuple):
    """A data set in two parts, NumPy arrays with one row for each example.

    `EmpiricalRisk(model, loss, data.inputs, data.targets, held_out=data.held_out)` takes both.
    """

    inputs: np.ndarray
    """Of the training part, shape (N, features), float64."""
    targets: np.ndarray
    """Of the training part, shape (N,): int32 labels 0 … C−1, or float64 numbers."""
    held_out_inputs: np.ndarray
    """Of the part held out, shape (n, features)."""
    held_out_targets: np.ndarray
    """Of the part held out, shape (n,)."""

    @property
    def held_out(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Inputs and targets of the part held out, as `EmpiricalRisk` takes them; None where nothing is held out."""
        return (self.held_out_inputs, self.held_out_targets) if len(self.held_out_targets) else None

    def __repr__(self) -> str:
        kind = "labels" if self.targets.dtype.kind == "i" else "numbers"
        features = " × ".join(str(size) for size in self.inputs.shape[1:])
        held_out = len(self.held_out_targets)
        return (
            f"Examples: {len(self.targets)} to train, {held_out} held out, of {features} features; targets are {kind}"
        )


def share_held_out(value: object) -> float:
    """`value` as a share of the examples; ValueError unless it is a number from 0 to below 1."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value < 1:
        raise ValueError(f"held_out must be a share of the examples, at least 0 and below 1, got {value!r}")
    return float(value)


def checked_seed(value: object) -> int:
    """`value` as a seed of NumPy's RandomState; ValueError unless it is a whole number from 0 to 2³² − 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value < 2**32:
        raise ValueError(f"seed must be a whole number from 0 to 2**32 - 1, got {value!r}")
    return int(value)


def split(inputs: np.ndarray, targets: np.ndarray, held_out: object, seed: object) -> Examples:
    """The last ⌊held_out·N⌋ examples of a permutation by NumPy's RandomState(seed) are held out; all in its order."""
    number, seed = int(share_held_out(held_out) * len(targets)), checked_seed(seed)
    order = np.random.RandomState(seed).permutation(len(targets)) if number else np.arange(len(targets))
    cut = len(order) - number
    first, last = order[:cut], order[cut:]
    return Examples(inputs[first], targets[first], inputs[last], targets[last])


def standardised(data: Examples, *, each: bool, targets: bool = False) -> Examples:
    """Mean 0 and variance 1 over the training part; what is held out is shifted and scaled by the same numbers.

    each: every feature by its own mean and deviation; else all features by one. targets: those as well.
    """
    axis = 0 if each else None
    mean, deviation = data.inputs.mean(axis), data.inputs.std(axis)
    # a feature that never changes stays where it is
    deviation = np.where(deviation > 0, deviation, 1.0)
    data = data._replace(
        inputs=(data.inputs - mean) / deviation, held_out_inputs=(data.held_out_inputs - mean) / deviation
    )
    if not targets:
        return data
    mean, deviation = data.targets.mean(), data.targets.std()
    return data._replace(
        targets=(data.targets - mean) / deviation, held_out_targets=(data.held_out_targets - mean) / deviation
    )
