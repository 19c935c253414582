"""Long vectors in pieces: what a step cuts out of its state and puts together again is not copied for it.

A network's state is one vector, and its products want matrices. Cut out of the vector in every step, and joined to
it behind the derivative and behind the update, all parameters are copied three times. So a vector may be kept as
consecutive arrays: a cut between two of them is free, a concatenation only lists them, and arithmetic goes from piece
to piece. Nothing else about a number changes, so its bits are those of the whole vector, but for a compiler's choices.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._rules import ELEMENTWISE

_SHORT = 256
"""Neighbours that are both shorter are one piece: to cut and join them costs less than a loop for each."""


class Pieces:
    """A vector as its consecutive `arrays`, each of shape (size,)."""

    def __init__(self, arrays: Sequence[Array]):
        self.arrays = [array for array in arrays if array.size] or list(arrays[:1])

    @property
    def sizes(self) -> list[int]:
        return [array.size for array in self.arrays]

    def whole(self) -> Array:
        return jnp.concatenate(self.arrays) if len(self.arrays) > 1 else self.arrays[0]

    def window(self, first: int, last: int) -> "Pieces":
        """Elements `first` to `last`."""
        parts = []
        for array, (begin, end) in zip(self.arrays, _spans(self.sizes), strict=True):
            low, high = max(first, begin), min(last, end)
            if low < high:
                parts.append(array if high - low == array.size else array[low - begin : high - begin])
        return Pieces(parts or [self.arrays[0][:0]])

    def cut(self, sizes: Sequence[int]) -> list[Array]:
        """The same as arrays of these sizes."""
        return [self.window(*span).whole() for span in _spans(sizes)]


def arrays_of(value: Any) -> list[Array]:
    return value.arrays if isinstance(value, Pieces) else [value]


def whole(value: Any) -> Any:
    return value.whole() if isinstance(value, Pieces) else value


def in_pieces(equation: Any, values: Sequence[Any]) -> list[Any] | None:
    """The results of one equation on vectors, some of which are in pieces; None where it asks for whole ones."""
    name, parameters = equation.primitive.name, equation.params
    if name == "concatenate" and equation.outvars[0].aval.ndim == 1:
        return [Pieces([array for value in values for array in arrays_of(value)])]
    if not any(isinstance(value, Pieces) for value in values):
        return None
    if name == "slice" and parameters["strides"] in (None, (1,)):
        first, last = map(int, (*parameters["start_indices"], *parameters["limit_indices"]))
        return [values[0].window(first, last)]
    if name == "split":
        return [values[0].window(*span) for span in _spans(map(int, parameters["sizes"]))]
    return [_each(equation, values)] if name in ELEMENTWISE else None


def short_joined(sizes: Sequence[int]) -> list[int]:
    """Sizes of pieces where short neighbours are one."""
    joined: list[int] = []
    for size in sizes:
        if joined and max(joined[-1], size) < _SHORT:
            joined[-1] += size
        else:
            joined.append(size)
    return joined


def _each(equation: Any, values: Sequence[Any]) -> Pieces:
    """An elementwise primitive on every piece, cut wherever one of the vectors is."""
    ends = {last for value in values if isinstance(value, Pieces) for _, last in _spans(value.sizes)}
    sizes = [last - first for first, last in itertools.pairwise([0, *sorted(ends)])]
    scalar = [not isinstance(value, Pieces) and np.ndim(value) == 0 for value in values]
    cut = [
        [value] * len(sizes) if alone else Pieces(arrays_of(value)).cut(sizes)
        for value, alone in zip(values, scalar, strict=True)
    ]
    parameters = equation.primitive.get_bind_params(equation.params)
    return Pieces([equation.primitive.bind(*parts, **parameters) for parts in zip(*cut, strict=True)])


def _spans(sizes: Iterable[int]) -> list[tuple[int, int]]:
    """Where consecutive pieces of these sizes begin and end."""
    return list(itertools.pairwise(itertools.accumulate(sizes, initial=0)))
