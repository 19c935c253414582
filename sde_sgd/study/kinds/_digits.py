"""Study kind `digits`: real minibatch SGD beside its SDE with per-example noise, leaving a sublevel set."""

import functools
import importlib.util
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator

# its rooms load when they are first used: `sde-sgd status` needs none of them
import sde_sgd as ss

from .._dataset import cell_dataset
from .._errors import StudyError
from .._kind import AbstractStudy, register
from .._sections import BATCH_SIZE, LEARNING_RATE, Count, Positive, Seed
from ..reporting._text_table import Column, number_text
from ._axes import COLUMNS, PER_EXAMPLE, named_key, slices
from ._budget import AbstractWatchStudy

if TYPE_CHECKING:
    from .._digits import TrainedDigits

PROCESSES = ("sgd", "sde")


@register
class DigitsStudy(AbstractWatchStudy):
    """Real minibatch SGD on scikit-learn's digits, and the SDE with its per-example noise, leaving a sublevel set.

    Source: the question is that of Dai and Zhu 2018 (arXiv 1812.00542).

    kind: "digits". examples: training examples used. hidden: units of the one hidden layer.
    network_seed: of the initial weights.
    penalty: weight decay, without which the loss has no minimum. threshold: c in {L < c·L(θ*)}.
    iterations: k, the number of SGD iterations watched. ratios: pairs [learning rate, batch size].
    trajectories: for every cell.
    budget: path-steps of the whole study, the pilot's included, of which each cell has `trajectories`. All cells are
        then run anew, with as many as make the widest interval of the probability, against its value, as narrow as may
        be; with rtol, no more than that takes. rtol: relative half-width asked of the probability.
    """

    alone = (*AbstractStudy.alone, "budget", "rtol")

    kind: Literal["digits"] = "digits"
    examples: Annotated[int, Field(ge=1, le=1797, strict=True)] = 256
    hidden: Count = 16
    network_seed: Seed = 0
    penalty: Positive = 1e-2
    threshold: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 2.0
    iterations: Count = 200
    ratios: Annotated[list[tuple[Positive, Count]], Field(min_length=1)]
    trajectories: Count = 256
    rtol: Positive | None = None

    @field_validator("ratios")
    @classmethod
    def _distinct(cls, pairs):
        if len(set(pairs)) != len(pairs):
            raise ValueError(f"must not repeat a pair, got {pairs}")
        return sorted(pairs, key=lambda pair: (pair[0] / pair[1], pair[0]))

    def longest(self, cell):
        return self.values_at(cell.index).get("iterations", self.iterations)

    def own_axes(self):
        return {"cell": len(self.ratios), "process": len(PROCESSES)}

    def coordinates(self):
        rates, batches = (np.asarray(column, float) for column in zip(*self.ratios, strict=True))
        return super().coordinates() | {
            "process": ("process", list(PROCESSES), {"units": "", "long_name": "minibatch SGD, or its SDE"}),
            "learning_rate": ("cell", rates, LEARNING_RATE.attributes),
            "batch_size": ("cell", batches, BATCH_SIZE.attributes),
            "ratio": ("cell", rates / batches, PER_EXAMPLE.attributes),
        }

    def asked(self, index):
        process, own = PROCESSES[index["process"]], self.own_axes()
        batch = self.ratios[index["cell"]][1]
        swept = super().asked({name: place for name, place in index.items() if name not in own})
        # batches of minibatch SGD are built into its program
        return (*swept, process, *([batch] if process == "sgd" else []))

    def attributes(self):
        names = ("threshold", "iterations", "examples")
        return {name: getattr(self, name) for name in names if not self.is_swept(name)}

    def key(self, index):
        return named_key("process", PROCESSES[index["process"]], index)

    def answers(self):
        return dict.fromkeys(("probability", "mean_exit_time", "mean_exit_iterations", "exit_rate"), ())

    def prepare(self, folder):
        """Returns a function that trains the network of a study when it is first asked for, and then hands it out."""
        if importlib.util.find_spec("sklearn") is None:
            raise StudyError("a study of kind digits needs scikit-learn: pip install scikit-learn")
        self.check_published()
        for one in self.along_axes():
            one.check_number()
        trained = functools.lru_cache(maxsize=16)(_trained)
        return lambda one: trained(one.hidden, one.network_seed, one.examples, one.penalty)

    def run_cell(self, cell, shared):
        import jax.numpy as jnp

        one = self.of_cell(cell)
        digits = shared(one)
        process = PROCESSES[cell.index["process"]]
        rate, batch = self.ratios[cell.index["cell"]]
        learning_rate = jnp.asarray(rate, float)
        if process == "sgd":
            chain: Any = ss.MinibatchSGD(digits.risk, learning_rate, batch)
        else:
            noise = ss.noise.PerExample()
            chain = ss.EulerMaruyama(ss.LangevinSGD(digits.risk, noise, learning_rate, jnp.asarray(batch, float)))
        result = ss.escape(
            chain,
            start=digits.minimum,
            region=ss.regions.Sublevel(digits.risk, jnp.asarray(one.threshold * digits.loss, float)),
            horizon=one.iterations * rate,
            trajectories=one.trajectories,
            seed=cell.seed,
            confidence=self.confidence,
        )
        where = f"{process}, γ = {rate:g}, M = {batch}"
        data = cell_dataset(result, cell.seed, where)
        for bound in ("", "_low", "_high"):
            text = "mean exit time divided by γ" + ss.statistics.BOUNDS[bound]
            value = data[f"mean_exit_time{bound}"].values / rate
            data[f"mean_exit_iterations{bound}"] = ((), value, {"units": "iterations", "long_name": text})
        network = {name: float(getattr(digits, name)) for name in ("accuracy", "gradient_norm")}
        return self.judged(data, where).assign_attrs(
            network, minimum_loss=float(digits.loss), parameters=int(digits.risk.dim)
        )

    def columns(self):
        level = "c" if self.is_swept("threshold") else f"{self.threshold:g}"
        length = "the" if self.is_swept("iterations") else self.iterations
        within = f"probability to leave {{L < {level}·L(θ*)}} within {length} iterations"
        sgd, sde = ({"process": place} for place in range(2))
        return [
            *self.swept_columns(),
            Column("γ/M", "ratio"),
            COLUMNS["learning_rate"],
            COLUMNS["batch_size"],
            Column("P\nSGD", "probability", within, True, sgd),
            Column("P\nSDE", "probability", "the same of the SDE", True, sde),
            Column("iterations\nSGD", "mean_exit_iterations", "mean number of iterations to leave", True, sgd),
            Column("iterations\nSDE", "mean_exit_iterations", "mean exit time of the SDE, divided by γ", True, sde),
        ]

    def heading(self, dataset):
        attributes = dataset.attrs
        parts = [] if self.is_swept("examples") else [f"{self.examples} examples"]
        parts += [f"{attributes['parameters']} parameters"] if "parameters" in attributes else []
        parts += [f"L(θ*) = {number_text(attributes['minimum_loss'])}"] if "minimum_loss" in attributes else []
        return [
            f"digits: {', '.join(parts)}",
            "SGD: minibatches drawn with replacement; SDE: Euler–Maruyama with dt = γ and the noise of every example",
            *self.budget_lines(dataset),
        ]

    def figures(self, dataset):
        from ... import plotting

        kept = ("cell", "process")
        return {f"digits{name}.png": plotting.digits_figure(part) for name, part in slices(dataset, kept)}


def _trained(hidden: int, seed: int, examples: int, penalty: float) -> "TrainedDigits":
    from .._digits import train

    try:
        return train(hidden, seed, examples=examples, penalty=penalty)
    except RuntimeError as error:
        raise StudyError(f"no minimum was found with penalty = {penalty:g}: {error}") from None
