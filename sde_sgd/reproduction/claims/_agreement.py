"""Claim: SGD is approximated by an SDE. On linear regression, where the second moments of both are known exactly."""

import functools

import numpy as np

from ...statistics import Estimate
from .._cells import Cells, joined, words
from .._claim import AbstractClaim, register, setting
from .._figures import in_steps, marked, panels, points
from .._judgement import Finding, ratio_of

# steps of each chain to one learning rate: 1, l of SVAG, substeps of the SDE
_PARTS = {"SGD": 1, "SVAG": 2, "SDE": 8}


@register
class Agreement(AbstractClaim):
    """The excess loss of SGD, SVAG and the SDE at one SDE time, over the learning rate."""

    number = 1
    title = "SGD is described by an SDE, the better the smaller the learning rate"
    words = "SGD is approximated by a stochastic differential equation."
    question = (
        "How much of the excess loss L − L* that SGD has at t = 5, begun at the minimum, does its SDE have, and SVAG, "
        "which is SGD at l = 1 and tends to the SDE? On linear regression (diabetes, batches of 8 with replacement) "
        "the exact second moments of all three stand beside."
    )
    studies = ("agreement",)

    def findings(self, data):
        excess = {name: _excess(data["agreement"], name) for name in _PARTS}
        sde, svag = (_over(excess[name], excess["SGD"]) for name in ("SDE", "SVAG"))
        gaps = _gap(sde)
        last = len(sde.where) - 1
        exact = joined(*(
            part.called(name).mapped(lambda each, known=part.predicted: ratio_of(each, known), np.ones(last + 1))
            for name, part in excess.items()
        ))  # fmt: skip
        by = "exact moments"
        return [
            Finding("at the smallest γ the SDE has the excess loss of SGD, within 10 %",
                    "the SDE's excess loss over SGD's", sde.at([0]), 0.9, 1.1, by),
            Finding("at the largest it has another one by more than 10 %",
                    "the difference of the SDE's excess loss from SGD's", gaps.at([last]), 0.1, np.inf, by),
            Finding("SVAG lies between SGD and the SDE at the largest γ",
                    "SVAG's excess loss over the SDE's", _over(excess["SVAG"], excess["SDE"]).at([last]),
                    1.0, 1 / sde.estimates.low[last], by),
            Finding("SVAG's excess loss tends to that of SGD as well", "SVAG's excess loss over SGD's",
                    svag.at([0]), 0.9, 1.1, by),
            Finding("simulated excess losses are the exact ones, within 10 %", "the excess loss over the exact one",
                    exact, 0.9, 1.1, by),
        ]  # fmt: skip

    def remarks(self, data):
        sde = _over(_excess(data["agreement"], "SDE"), _excess(data["agreement"], "SGD"))
        parts = [f"{ratio} at {where}" for ratio, where in zip(sde.estimates, sde.where, strict=True)]
        return [f"the SDE's excess loss over SGD's is {'; '.join(parts)}: that it is low at γλ_max near 1 is no fault"]

    def figure(self, data):
        figure, (left, right) = panels(2, width=4.2)
        rates = data["agreement"].learning_rate.values
        sgd = _excess(data["agreement"], "SGD")
        for name, marker in zip(_PARTS, "os^", strict=True):
            part = _excess(data["agreement"], name)
            points(left, rates, part.estimates, name, fmt=marker)
            left.plot(rates, part.predicted, "k--", linewidth=1)
            if name != "SGD":
                gap = _gap(_over(part, sgd))
                points(right, rates, gap.estimates, f"{name} against SGD", fmt=marker)
                right.plot(rates, gap.predicted, "k--", linewidth=1)
        left.plot([], [], "k--", linewidth=1, label="exact")
        left.set(xlabel="learning rate γ", ylabel="excess loss at t = 5")
        right.set(xlabel="learning rate γ", ylabel="1 − its excess loss / SGD's")
        right.axhline(0, color="0.6", linewidth=0.8)
        in_steps(left)
        for ax in (left, right):
            marked(ax, rates)
            ax.legend(fontsize="small")
        return figure


def _excess(data, name: str) -> Cells:
    """L − L* of a chain, and by its exact second moment, over the learning rate."""
    part = data.isel(look=-1, chain=list(map(str, data.chain.values)).index(name))
    problem = _problem()
    value, low, high = (part[f"loss{end}"].values - problem.least for end in ("", "_low", "_high"))
    rates = data.learning_rate.values
    time = float(part["look_time"].values.ravel()[0])
    batch = float(setting("agreement", "sweep.batch_size"))
    exact = np.array([problem.excess(rate, batch, time, _PARTS[name]) for rate in rates])
    estimates = Estimate(value, low, high, float(data.attrs["confidence"]))
    return Cells(estimates, words(part["loss"]), [str(each) for each in part["status"].values], exact)


def _over(first: Cells, second: Cells) -> Cells:
    return first.mapped(lambda each: ratio_of(each, second.estimates), first.predicted / second.predicted)


def _gap(ratios: Cells) -> Cells:
    def from_one(each):
        return Estimate(1 - each.value, 1 - each.high, 1 - each.low, each.confidence)

    return ratios.mapped(from_one, 1 - ratios.predicted)


class _Regression:
    """Least squares on the study's data: mean loss above the least one, exactly, at any step.

    With residuals r at the minimum and H = E[xxᵀ] the gradient of one example is xxᵀδ + rx, so that the covariance of
    one example's gradient averages to E[x xᵀΣx xᵀ] − HΣH + E[r²xxᵀ] over δ of mean 0 and second moment Σ.
    Source: Ziyin, Li, Mori and Ueda 2022 (arXiv 2102.05375), theorem 1, before it is stationary.
    """

    def __init__(self, inputs, targets):
        self.x, y = np.asarray(inputs, float), np.asarray(targets, float)
        residual = self.x @ np.linalg.lstsq(self.x, y, rcond=None)[0] - y
        self.least = float(np.mean(residual**2) / 2)
        self.hessian = self.x.T @ self.x / len(y)
        self.noise = (self.x * residual[:, None] ** 2).T @ self.x / len(y)

    def excess(self, rate: float, batch: float, time: float, parts: int) -> float:
        """½Tr(HΣ) at an SDE time, of steps h = γ/parts whose noise has covariance hγ/M times that of one example.

        rate: γ. batch: M. parts: 1 of SGD with replacement; l of SVAG; of the SDE by Euler–Maruyama, of order h.
        """
        step, moment = rate / parts, np.zeros_like(self.hessian)
        for _ in range(round(time / step)):
            drift = self.hessian @ moment
            spread = (self.x * np.einsum("ni,ij,nj->n", self.x, moment, self.x)[:, None]).T @ self.x / len(self.x)
            twice = drift @ self.hessian
            moment = moment - step * (drift + drift.T) + step**2 * twice
            moment = moment + step * rate / batch * (spread - twice + self.noise)
            # what rounding leaves of an antisymmetric part would grow
            moment = (moment + moment.T) / 2
        return float(np.trace(self.hessian @ moment) / 2)


@functools.cache
def _problem() -> _Regression:
    from ... import data

    examples = data.diabetes()
    return _Regression(np.column_stack([examples.inputs, np.ones(len(examples.inputs))]), examples.targets)
