"""Claim: SGD is approximated by an SDE. On linear regression, whose second moments are known, and on a network."""

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
        "the exact second moments of all three stand beside. And how much of it from a minimum of a small network on "
        "digits, whose loss is not quadratic and whose noise changes with θ?"
    )
    studies = ("agreement", "agreement_network")

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
        network = {name: _excess_of_network(data["agreement_network"], name) for name in _PARTS}
        trained = _over(network["SDE"], network["SGD"])
        return [
            Finding("at the smallest γ the SDE has the excess loss of SGD, within 10 %",
                    "the SDE's excess loss over SGD's", sde.at([0]), 0.9, 1.1, by),
            Finding("at the largest it has another one by more than 10 %",
                    "the difference of the SDE's excess loss from SGD's", gaps.at([last]), 0.1, np.inf, by),
            Finding("SVAG lies between SGD and the SDE at the largest γ",
                    "the excess loss over that of the next one", _in_order(excess), 1.0, np.inf, by),
            Finding("SVAG's excess loss tends to that of SGD as well", "SVAG's excess loss over SGD's",
                    svag.at([0]), 0.9, 1.1, by),
            Finding("simulated excess losses are the exact ones, within 10 %", "the excess loss over the exact one",
                    exact, 0.9, 1.1, by),
            Finding("of the network, too, the SDE has the excess loss of SGD at the smallest γ, within 20 %",
                    "the network's excess loss under the SDE over SGD's", trained.at([0]), 0.8, 1.25),
            Finding("and at the largest another one by more than 10 %",
                    "the difference of the network's excess loss under the SDE from SGD's",
                    _gap(trained).at([-1]), 0.1, np.inf),
            Finding("there SVAG lies between SGD and the SDE",
                    "the network's excess loss over that of the next one", _in_order(network), 1.0, np.inf),
        ]  # fmt: skip

    def remarks(self, data):
        sde = _over(_excess(data["agreement"], "SDE"), _excess(data["agreement"], "SGD"))
        network = data["agreement_network"]
        trained = _over(_excess_of_network(network, "SDE"), _excess_of_network(network, "SGD"))
        beyond = {name: (part := _excess_of_network(network, name)).estimates.value[-1] / part.predicted[-1]
                  for name in ("SGD", "SDE")}  # fmt: skip
        return [
            f"the SDE's excess loss over SGD's is {_listed(sde)}: that it is low at γλ_max near 1 is no fault",
            f"of the network it is {_listed(trained)}",
            f"at the largest γ SGD has {beyond['SGD']:.3g} times the excess loss of the SDE that is linearised at the "
            f"network's minimum, and its SDE {beyond['SDE']:.3g} times: the loss is not quadratic as far as that",
        ]

    def figure(self, data):
        figure, (left, middle, right) = panels(3, width=4.0)
        rates = data["agreement"].learning_rate.values
        sgd = _excess(data["agreement"], "SGD")
        for name, marker in zip(_PARTS, "os^", strict=True):
            part = _excess(data["agreement"], name)
            points(left, rates, part.estimates, name, fmt=marker)
            left.plot(rates, part.predicted, "k--", linewidth=1)
            if name != "SGD":
                gap = _gap(_over(part, sgd))
                points(middle, rates, gap.estimates, f"{name} against SGD", fmt=marker)
                middle.plot(rates, gap.predicted, "k--", linewidth=1)
        _draw_network(right, data["agreement_network"])
        left.plot([], [], "k--", linewidth=1, label="exact")
        left.set(xlabel="learning rate γ", ylabel="excess loss at t = 5", title="linear regression")
        middle.set(xlabel="learning rate γ", ylabel="1 − its excess loss / SGD's", title="linear regression")
        middle.axhline(0, color="0.6", linewidth=0.8)
        in_steps(left)
        for ax in (left, middle, right):
            marked(ax, rates if ax is not right else data["agreement_network"].learning_rate.values)
            ax.legend(fontsize="small")
        return figure


def _draw_network(ax, study) -> None:
    """Excess losses of the network over those of the linearised SDE, which are proportional to γ."""
    rates = study.learning_rate.values
    for name, marker in zip(_PARTS, "os^", strict=True):
        part = _excess_of_network(study, name)
        points(ax, rates, ratio_of(part.estimates, part.predicted), name, fmt=marker)
    ax.axhline(1, color="k", linestyle="--", linewidth=1, label="linearised SDE")
    ax.set(xlabel="learning rate γ", ylabel="excess loss at t = 5 / linearised", title="network on digits")
    in_steps(ax)


def _in_order(excess: dict[str, Cells]) -> Cells:
    """At the largest γ: SGD's excess loss over SVAG's, and SVAG's over the SDE's."""
    pairs = [("SGD", "SVAG"), ("SVAG", "SDE")]
    return joined(*(_over(excess[one], excess[other]).at([-1]).called(f"{one} over {other}") for one, other in pairs))


def _listed(ratios: Cells) -> str:
    return "; ".join(f"{ratio} at {where}" for ratio, where in zip(ratios.estimates, ratios.where, strict=True))


def _excess(data, name: str) -> Cells:
    """L − L* of a chain, and by its exact second moment, over the learning rate."""
    problem = _problem()
    rates = data.learning_rate.values
    time = float(data["look_time"].values.ravel()[-1])
    batch = float(setting("agreement", "sweep.batch_size"))
    exact = np.array([problem.excess(rate, batch, time, _PARTS[name]) for rate in rates])
    return _above(data, name, problem.least, exact)


def _excess_of_network(data, name: str) -> Cells:
    """L − L(θ*) of a chain, and of the linearised SDE, over the learning rate.

    The mean loss of the linearised SDE, begun at its minimum, is L(θ*) and a multiple of γ: so both are read from it.
    """
    rates, theory = data.learning_rate.values, data["loss_theory"].isel(look=-1).values.ravel()
    slope, least = np.polyfit(rates, theory, 1)
    return _above(data, name, least, slope * rates)


def _above(data, name: str, least: float, predicted: np.ndarray) -> Cells:
    """The mean loss of a chain at the last look above the least one, over the learning rate."""
    part = data.isel(look=-1, chain=list(map(str, data.chain.values)).index(name))
    value, low, high = (part[f"loss{end}"].values - least for end in ("", "_low", "_high"))
    estimates = Estimate(value, low, high, float(data.attrs["confidence"]))
    return Cells(estimates, words(part["loss"]), [str(each) for each in part["status"].values], predicted)


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
