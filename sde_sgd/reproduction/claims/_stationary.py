"""Claim: in the end SGD prefers the flat minimum, whatever the batch size; and where that ends."""

import numpy as np

from ...statistics import Estimate
from .._cells import Cells, cells, joined
from .._claim import AbstractClaim, register, setting
from .._figures import in_steps, marked, panels, points
from .._judgement import Finding, ratio_of

# √(det H_sharp/det H_flat) of the curvatures 8 and 2, along the way and, in the plane, across it too
_LINE, _PLANE = 2.0, 4.0
# finite temperature moves the exact odds by up to 4 %
_NEAR = 0.88, 1.12

_WORDS = {
    "equal_depth": "equal depth",
    "unequal_depth": "sharp one deeper by 0.3",
    "loss_noise": "noise like the loss",
    "anisotropic_noise": "anisotropic noise",
}


@register
class Stationary(AbstractClaim):
    """The odds of a flat against a sharp minimum in the stationary law, over the batch size."""

    number = 3
    title = "In the end the flat minimum is preferred, whatever the batch size"
    words = "SGD tends to converge to flatter minima in the asymptotic regime regardless of the batch size."
    question = (
        "How many times as long is SGD's SDE at the flat of two minima as at the sharp one, in the end? Beside it the "
        "grid solver, and √(det H_sharp/det H_flat), which does not depend on γ/M. Then where that ends: with a sharp "
        "minimum that is the deeper one, with anisotropic noise, with noise proportional to the loss."
    )
    studies = tuple(_WORDS)

    def findings(self, data):
        equal, unequal, loss, plane = (_odds(data[name]).called(words) for name, words in _WORDS.items())
        odds, solver = "the odds of the flat minimum", "grid solver"
        law = joined(equal, unequal, loss, plane)
        exact = law.mapped(lambda each: ratio_of(each, law.predicted), np.ones(len(law.where)))
        near = _NEAR[0] * _LINE, _NEAR[1] * _LINE
        return [
            Finding(f"at equal depth the odds are √(det H_s/det H_f) = {_LINE:g} at every M",
                    odds, equal, *near, solver),
            Finding("a sharp minimum that is the deeper one has less of the time at the smallest M",
                    odds, unequal.at([0]), 1.0, np.inf, solver),
            Finding("and more of it at the largest", odds, unequal.at([-1]), 0.0, 1.0, solver),
            Finding(f"noise proportional to the loss leaves the odds near {_LINE:g}", odds, loss, *near, solver),
            Finding(f"noise that is stronger across the way prefers the flat minimum more than {_PLANE:g} to 1",
                    odds, plane, _PLANE, np.inf, solver),
            Finding("simulated odds are those of the grid solver, within 15 %",
                    "the odds over the grid solver's", exact, 0.85, 1.15, solver),
        ]  # fmt: skip

    def figure(self, data):
        figure, axes = panels(len(_WORDS), share_y=True)
        for ax, (name, title) in zip(axes, _WORDS.items(), strict=True):
            part = _odds(data[name])
            ratio = data[name].batch_size.values / setting(name, "sweep.learning_rate")
            points(ax, ratio, part.estimates, "simulated")
            ax.plot(ratio, part.predicted, "k--", linewidth=1.2, label="grid solver")
            ax.axhline(_PLANE if name == "anisotropic_noise" else _LINE, color="0.5", label="√(det H_s/det H_f)")
            ax.set(title=title, xlabel="M/γ (examples per SDE time)")
            marked(ax, ratio)
        in_steps(axes[0])
        axes[0].set_ylabel("odds of the flat minimum, in the end")
        axes[0].legend(fontsize="small")
        return figure


def _odds(data) -> Cells:
    """P(flat)/P(sharp), where no trajectory is in neither, so that P(sharp) = 1 − P(flat)."""
    flat = list(map(str, data.basin.values)).index("flat")
    part = cells(data.isel(basin=flat).drop_vars("basin"), "probability", "probability_exact")

    def odds(each):
        # an interval of a share may reach 1
        with np.errstate(divide="ignore"):
            ends = (np.where(p < 1, p / (1 - p), np.inf) for p in (each.value, each.low, each.high))
            return Estimate(*ends, each.confidence)

    return part.mapped(odds, part.predicted / (1 - part.predicted))
