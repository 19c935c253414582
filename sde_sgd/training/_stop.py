"""When training ends: after so many steps, so many epochs, or at a loss."""

import abc
import dataclasses
import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from .._errors import number, positive_integer, positive_number


@dataclasses.dataclass(frozen=True)
class AbstractStop(abc.ABC):
    """When networks of one batch size stop. A new rule is one final class here or in a person's own file."""

    @abc.abstractmethod
    def steps(self, examples: int, batch_size: int) -> int:
        """Most steps, with so many `examples` and batches of `batch_size`; a whole number."""

    @property
    def label(self) -> str:
        """The rule in a word or two, for tables and figures."""
        return str(self)

    def look_every(self, examples: int, batch_size: int) -> int | None:
        """Steps between looks at the loss that may end it; None where nothing but the count does.

        examples, batch_size: N and M.
        """
        return None

    def looks(self, examples: int, batch_size: int) -> list[int]:
        """Steps after which the loss is looked at, the start and the last among them; empty where nothing asks for it.

        examples, batch_size: N and M.
        """
        every, steps = self.look_every(examples, batch_size), self.steps(examples, batch_size)
        return [] if every is None else [*range(0, steps, every), steps]

    def reached(self, losses: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """(n,) whether each of the networks with these `losses`, (n,), has come to its end."""
        return losses < -math.inf


@dataclasses.dataclass(frozen=True)
class Steps(AbstractStop):
    """After `count` steps, a whole number of at least 1, whatever the batch size; ValueError for another."""

    count: Any

    def __post_init__(self):
        positive_integer("count", self.count)

    @property
    def label(self):
        return f"{self.count:g} steps"

    def steps(self, examples, batch_size):
        return int(self.count)


@dataclasses.dataclass(frozen=True)
class Epochs(AbstractStop):
    """After `count` > 0 times as many steps as whole batches make an epoch, by definition ⌊N/M⌋, at least one.

    Raises ValueError for a count that is not above 0.
    """

    count: Any

    def __post_init__(self):
        positive_number("count", self.count)

    @property
    def label(self):
        return f"{self.count:g} epochs"

    def steps(self, examples, batch_size):
        return max(1, round(self.count * max(examples // batch_size, 1)))


@dataclasses.dataclass(frozen=True)
class Loss(AbstractStop):
    """At the step at which the loss over all examples has come down to `value`, penalty included.

    most: `Steps` or `Epochs` after which a network that has not come so far is stopped, and named in the verdict.
    every: epochs between looks at the loss. Where it is at most `value` for the first time, the steps since the look
        before are taken again, to find one at which it is, and before which it is not: what an epoch does beyond, which
        with small batches is more, changes no reading. Only a loss that comes down to `value` and is above it again
        before the next look is missed, which more looks find.
    Raises ValueError for a value that is no number, an `every` that is not above 0, or another kind of `most`.
    """

    value: Any
    most: Any = Epochs(1_000)
    every: Any = 1.0

    def __post_init__(self):
        number("value", self.value)
        positive_number("every", self.every)
        if not isinstance(self.most, Steps | Epochs):
            raise ValueError(f"most must be Steps(…) or Epochs(…), got {self.most!r}")

    @property
    def label(self):
        return f"loss {self.value:g}"

    def steps(self, examples, batch_size):
        return self.most.steps(examples, batch_size)

    def look_every(self, examples, batch_size):
        return min(Epochs(self.every).steps(examples, batch_size), self.steps(examples, batch_size))

    def reached(self, losses):
        return losses <= self.value
