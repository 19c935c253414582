"""Claim: a larger ratio of learning rate to batch size may generalise worse. On real data, trained networks."""

import numpy as np

from ...statistics import Estimate
from ...training._trends import epochs, growth, readings, trade_off
from .._cells import Cells, joined
from .._claim import AbstractClaim, register
from .._figures import in_steps, panels
from .._judgement import Finding, in_a_list, ratio_of

_DATA = {"generalise_digits": "digits, 10 % of labels wrong", "generalise_mnist1d": "MNIST-1D"}


@register
class Generalise(AbstractClaim):
    """Epochs to a training loss, and the test loss at equal epochs, over γ/M."""

    number = 6
    title = "It may generalise worse"
    words = "A larger ratio of learning rate to batch size trains faster, but may generalise worse."
    question = (
        "On real data and networks: does a larger γ/M come to a training loss in fewer epochs, and is its test loss "
        "after equal epochs worse than the least one? Intervals are over networks that begin differently."
    )
    studies = tuple(_DATA)

    def findings(self, data):
        loss, equal = ({name: list(readings(data[name]))[place][1] for name in _DATA} for place in (0, 1))
        faster = joined(*(_cell(_epochs(part), part, _DATA[name]) for name, part in loss.items()))
        worse = joined(*(_cell(_at_the_largest(part), part, _DATA[name]) for name, part in equal.items()))
        return [
            Finding("the larger γ/M, the fewer epochs to a training loss",
                    "the factor by which epochs to the loss change", faster, 0.0, 1.0),
            Finding("after equal epochs the test loss at the largest γ/M is above the least one",
                    "the test loss at the largest γ/M over the least", worse, 1.0, np.inf),
        ]  # fmt: skip

    def remarks(self, data):
        from ...training import verdicts

        lines = ((words, line) for name, words in _DATA.items() for line in verdicts(data[name]))
        return [f"{words}: {line}" for words, line in lines if "trade-off" in line or "generalises" in line]

    def figure(self, data):
        figure, axes = panels(2, width=4.4)
        for ax, (name, words) in zip(axes, _DATA.items(), strict=True):
            for reading, part in readings(data[name]):
                order = np.argsort(part.ratio.values.ravel())
                x = part.ratio.values.ravel()[order]
                values = part.held_out_loss_of_each.transpose("learning_rate", "batch_size", ..., "network").values
                values = values.reshape(len(x), -1)[order]
                finite = [row[np.isfinite(row)] for row in values]
                middle = [np.median(row) if row.size else np.nan for row in finite]
                ax.plot(x, middle, "o-", markersize=4, label=f"test loss, {reading}")
            ax.set(xscale="log", xlabel="γ/M (SDE time per example)", title=words)
            in_steps(ax)
        axes[0].set_ylabel("test loss, median over networks")
        axes[0].legend(fontsize="small")
        return figure


def _epochs(data) -> Estimate:
    values = epochs(data).transpose("learning_rate", "batch_size", ..., "network").values
    along = data.ratio.values.ravel()
    values = values.reshape(1, along.size, -1)
    # where no network came to the loss there is nothing to compare
    there = np.any(np.isfinite(values), axis=(0, 2))
    return growth(along[there], values[:, there], data.attrs["confidence"])


def _at_the_largest(data) -> Estimate:
    """Over the least one; where that is the least itself, over the one at the smallest γ/M, which is then below 1."""
    valley = trade_off(data)
    if valley is not None and valley.largest is not None:
        return valley.largest
    if valley is not None and valley.smallest is not None:
        return ratio_of(Estimate(1.0, 1.0, 1.0, valley.smallest.confidence), valley.smallest)
    return Estimate(np.nan, np.nan, np.nan, data.attrs["confidence"])


def _cell(estimate: Estimate, data, words: str) -> Cells:
    ratios = data.ratio.values
    return Cells(in_a_list(estimate), [f"{words}, γ/M from {ratios.min():.3g} to {ratios.max():.3g}"], ["complete"])
