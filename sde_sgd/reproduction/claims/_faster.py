"""Claim: a larger ratio of learning rate to batch size gets to the flat minimum faster."""

import itertools

import numpy as np

from ...statistics import Estimate
from .._cells import Cells, cells
from .._claim import AbstractClaim, register, setting
from .._figures import panels
from .._judgement import Finding, ratio_of
from ._exponential import relaxation


@register
class Faster(AbstractClaim):
    """P(flat at t) from the sharp minimum, and the relaxation time, over γ/M."""

    number = 5
    title = "A larger γ/M gets there faster"
    words = "A larger ratio of learning rate to batch size converges to the flat minimum faster."
    question = (
        "How likely is SGD's SDE at the flat minimum at a time t, begun at the sharp one of equal depth, and how long "
        "does it take until that is settled, as γ/M grows?"
    )
    studies = ("faster", "exponential")

    def findings(self, data):
        flat = _flat(data["faster"])
        times = relaxation(data)
        # both go by M, ascending: γ/M falls
        later = Cells(
            ratio_of(times.estimates[1:], times.estimates[:-1]),
            _between(times.where),
            [_worse(*pair) for pair in itertools.pairwise(times.status)],
            times.predicted[1:] / times.predicted[:-1],
        )
        return [
            Finding("the larger γ/M, the likelier is the flat minimum at t = 20", "the gain of P(flat at t = 20)",
                    _gains(flat), 0.0, np.inf),
            Finding("the larger γ/M, the shorter is the relaxation time", "the relaxation time over that of the next "
                    "larger γ/M", later, 1.0, np.inf, "grid solver"),
        ]  # fmt: skip

    def figure(self, data):
        figure, (ax,) = panels(1, width=5.6, height=4.0)
        study = data["faster"].isel(start=0).sel(basin="flat")
        from ...plotting._style import SEQUENCE

        rate = setting("faster", "sweep.learning_rate")
        for number, batch in enumerate(study.batch_size.values):
            part = study.isel(batch_size=number)
            colour = SEQUENCE(0.9 * number / max(study.sizes["batch_size"] - 1, 1))
            ax.plot(part.time, part.probability, "o-", color=colour, markersize=3, label=f"γ/M = {rate / batch:.3g}")
            ax.fill_between(part.time, part.probability_low, part.probability_high, color=colour, alpha=0.25)
        ax.axhline(2 / 3, color="0.6", linewidth=0.8)
        ax.text(float(study.time[0]), 2 / 3, " in the end, at low temperature", fontsize="x-small", va="bottom")
        ax.set(xscale="log", xlabel="SDE time t", ylabel="P(at the flat minimum at t), from the sharp one")
        ax.legend(fontsize="small")
        return figure


def _flat(study) -> Cells:
    place = int(np.argmin(np.abs(study.time.values - 20.0)))
    part = study.isel(start=0).sel(basin="flat")
    return cells(part.isel(time=place, drop=True).drop_vars("basin"), "probability")


def _gains(flat: Cells) -> Cells:
    """Differences between neighbouring γ/M, with the interval that holds each whenever both hold theirs."""
    p = flat.estimates
    gains = Estimate(
        p.value[:-1] - p.value[1:], p.low[:-1] - p.high[1:], p.high[:-1] - p.low[1:], p.confidence
    )  # fmt: skip
    return Cells(gains, _between(flat.where), [_worse(*pair) for pair in itertools.pairwise(flat.status)])


def _between(where: list[str]) -> list[str]:
    return [f"{first} and {second.split()[-1]}" for first, second in itertools.pairwise(where)]


def _worse(first: str, second: str) -> str:
    return second if first == "complete" else first
