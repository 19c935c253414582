"""Sections of a training study's file: when networks end, what is swept, and the curves of others."""

from typing import Annotated

from pydantic import Field, model_validator

# its rooms load when they are first used: `sde-sgd status` needs none of them
import sde_sgd as ss

from .._sections import BATCH_SIZE, MOMENTUM, Count, Positive, Quantity, Rate, Section, Share

Width = Annotated[Count | None, Quantity("units", "width of the hidden layers")]


class StopSpec(Section):
    """When networks end: after epochs, after steps, or at a loss.

    name: what tables call it. epochs: passes over the examples. steps: iterations.
    loss: over all examples, penalty included, at the step at which it has come down to it. most_epochs: budget of a
    loss. every: epochs between looks at it, one where it is not given, between which the step is then found.
    """

    name: str = ""
    epochs: Positive | None = None
    steps: Count | None = None
    loss: Positive | None = None
    most_epochs: Positive | None = None
    every: Positive | None = None

    @model_validator(mode="after")
    def _one_rule(self):
        if sum(each is not None for each in (self.epochs, self.steps, self.loss)) != 1:
            raise ValueError("stop takes one of epochs, steps and loss")
        if self.most_epochs is not None and self.loss is None:
            raise ValueError("most_epochs is the budget of a loss, which is not given")
        if self.every is not None and self.loss is None:
            raise ValueError("every is how often a loss is looked at, which is not given")
        return self

    @property
    def label(self) -> str:
        """Its name, or the rule in words."""
        return self.name or self.rule().label

    def rule(self) -> "ss.training.AbstractStop":
        """As `ss.train` takes it."""
        if self.epochs is not None:
            return ss.training.Epochs(self.epochs)
        if self.steps is not None:
            return ss.training.Steps(self.steps)
        return ss.training.Loss(self.loss, ss.training.Epochs(self.most_epochs or 1_000), self.every or 1.0)

    def steps_of(self, examples: int, batch: int) -> float:
        """About how many steps that is, for the progress bar."""
        return float(self.steps or (self.epochs or self.most_epochs or 100) * max(examples / batch, 1))


class TrainingSweep(Section):
    """Every learning rate γ with every batch size M, momentum μ and width.

    learning_rate: γ, SDE time per iteration. batch_size: M, in examples. momentum: μ.
    width: units of each hidden layer, in place of network.hidden.
    """

    learning_rate: Rate
    batch_size: Annotated[Count, BATCH_SIZE]
    momentum: Annotated[Share, MOMENTUM] = 0.0
    width: Width = None


class CurveSpec(Section):
    """Numbers of others to stand in the figure, which no verdict uses.

    measure: what they are of. width: of each. value: of each. label: whose they are.
    """

    measure: str
    width: Annotated[list[Positive], Field(min_length=1)]
    value: Annotated[list[float], Field(min_length=1)]
    label: str

    @model_validator(mode="after")
    def _of_one_length(self):
        if len(self.width) != len(self.value):
            raise ValueError(f"reference must have one value for each of its {len(self.width)} widths")
        return self
