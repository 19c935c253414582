"""Sections of a trained escape's file: how networks are trained, which is left, and how high the set reaches."""

from typing import Annotated, Literal

from pydantic import model_validator

from .._sections import BATCH_SIZE, LEARNING_RATE, MOMENTUM, Count, Name, Positive, Quantity, Rate, Section, Seed, Share
from ._train_sections import StopSpec


class SgdSweep(Section):
    """Every learning rate γ is run with every batch size M.

    learning_rate: γ, SDE time per iteration. batch_size: M, in examples, a whole number of them.
    """

    learning_rate: Rate
    batch_size: Annotated[Count, BATCH_SIZE]


class TrainingSpec(Section):
    """How the networks are trained whose minima are left: alike for all starts, but for what a start says.

    learning_rate: γ, SDE time per iteration. networks: for each start; the k-th begins alike for all.
    momentum, sampling: as of `ss.train`. stop: when networks end.
    seed: of the initial weights and of the examples.
    """

    learning_rate: Rate
    networks: Annotated[Count, Quantity("networks", "networks trained for each start")] = 1
    momentum: Annotated[Share, MOMENTUM] = 0.0
    sampling: Literal["epoch", "replacement", "without"] = "epoch"
    stop: StopSpec
    seed: Seed = 0


class TrainedStartSpec(Section):
    """A minimum that training found: that below where a network ended.

    name: what the study calls it. batch_size: M, in examples, of the training.
    learning_rate: γ of the training, where it is not that of all.
    take: which of its networks' minima: the one whose measure is "largest", "smallest" or the "median" (of an even
        number the lower one); or "all", each of them, along a dimension `network` of the study.
    by: name of `training.MEASURES`, of each minimum.
    """

    name: Name
    batch_size: Annotated[Count, BATCH_SIZE]
    learning_rate: Annotated[Positive | None, LEARNING_RATE] = None
    take: Literal["largest", "median", "smallest", "all"] = "median"
    by: Name = "sharpness"


class HeightSpec(Section):
    """How high above the minimum the set {L < L(θ*) + height} reaches that is to be left.

    above: in units of the loss, the same for all minima.
    excess: in units of γTr(V)/(4M), the stationary excess loss of the diffusion linearised at the minimum, where V is
        the covariance of one example's gradient: of each minimum its own. learning_rate, batch_size: γ and M of it.
    """

    above: Annotated[Positive | None, Quantity("loss", "height above the minimum")] = None
    excess: Annotated[Positive | None, Quantity("1", "height over γTr(V)/(4M)")] = None
    learning_rate: Annotated[Positive | None, LEARNING_RATE] = None
    batch_size: Annotated[Positive | None, BATCH_SIZE] = None

    @model_validator(mode="after")
    def _one_way(self):
        if (self.above is None) == (self.excess is None):
            raise ValueError("height must give either above or excess, not both or none")
        given = [each is not None for each in (self.learning_rate, self.batch_size)]
        if given != [self.excess is not None] * 2:
            raise ValueError("height.learning_rate and height.batch_size go with height.excess, which needs both")
        return self

    def at(self, noise_trace: float) -> float:
        """In units of the loss. noise_trace: Tr V at the minimum, in loss² per θ²."""
        if self.excess is None:
            assert self.above is not None
            return self.above
        assert self.learning_rate is not None and self.batch_size is not None
        return self.excess * self.learning_rate * noise_trace / (4 * self.batch_size)
