"""Claim of the paper's successor: the same for momentum, with the effective ratio γ/(M(1 − μ))."""

import numpy as np

from .._cells import Cells, cells
from .._claim import AbstractClaim, register, setting
from .._figures import in_steps, panels, points
from .._judgement import Finding, ratio_of


@register
class Momentum(AbstractClaim):
    """Mean times from the sharp to the flat minimum under the momentum SDE."""

    number = 7
    title = "The same for momentum, with the ratio γ/(M(1 − μ))"
    words = "The results extend to SGD with momentum, whose effective ratio is γ/(M(1 − μ))."
    question = (
        "How long does the SDE of SGD with momentum take from a sharp to a flat minimum? With the batch size that "
        "keeps γ/(M(1 − μ)) the same, and with one batch size for all μ. Beside it Kramers' time with its velocity."
    )
    studies = ("momentum_scaled", "momentum_alone")

    def findings(self, data):
        scaled, alone = (_times(data[name], name) for name in self.studies)
        own = np.array([momentum for momentum, _ in _settings(data["momentum_scaled"])])
        # friction 1 − μ: the overdamped time runs 1/(1 − μ) times as fast
        times = scaled.mapped(lambda each: ratio_of(each, np.asarray(1 - own)), scaled.predicted / (1 - own))
        # where the velocity is soon forgotten; further on it shows, which is Kramers' factor
        largest = setting("momentum_scaled", "landscape.sharp_curvature")
        rate = setting("momentum_scaled", "sweep.learning_rate")
        strong = [place for place in range(1, len(own)) if rate * largest < (1 - own[place]) ** 2]
        same = times.at(strong).mapped(
            lambda each: ratio_of(each, times.estimates[[0] * len(strong)]),
            times.predicted[strong] / times.predicted[0],
        )
        kramers = scaled.mapped(lambda each: ratio_of(each, scaled.predicted), np.ones(len(own)))
        faster = Cells(
            ratio_of(alone.estimates[:-1], alone.estimates[1:]), alone.where[1:], alone.status[1:],
            alone.predicted[:-1] / alone.predicted[1:],
        )  # fmt: skip
        by = "Kramers"
        return [
            Finding("at one γ/(M(1 − μ)) the time is Kramers' with the velocity, within 25 %",
                    "the mean time over Kramers'", kramers, 0.75, 1.25, by),
            Finding("at one γ and M more momentum gets there faster, by far more than 1/(1 − μ)",
                    "the mean time over that with more momentum", faster, 1.5, np.inf, by),
            Finding("at one γ/(M(1 − μ)), where γλ_max < (1 − μ)², the time is 1 − μ times that of μ = 0, within 30 %",
                    "the mean time over 1 − μ, over that of μ = 0", same, 0.7, 1.3, by),
        ]  # fmt: skip

    def remarks(self, data):
        part = _times(data["momentum_scaled"], "momentum_scaled")
        own = np.array([momentum for momentum, _ in _settings(data["momentum_scaled"])])
        found = part.estimates.value / (1 - own) / part.estimates.value[0]
        said = ", ".join(
            f"{factor:.3g} at μ = {momentum:g}" for momentum, factor in zip(own[1:], found[1:], strict=True)
        )
        return [f"the mean time over 1 − μ, over that of μ = 0, is {said}: with weak friction the velocity counts"]

    def figure(self, data):
        figure, axes = panels(2, width=4.2)
        titles = "M such that γ/(M(1 − μ)) is the same", "one γ and M"
        for ax, name, title in zip(axes, self.studies, titles, strict=True):
            part = _times(data[name], name)
            momenta = np.array([momentum for momentum, _ in _settings(data[name])])
            points(ax, momenta, part.estimates, "simulated")
            ax.plot(momenta, part.predicted, "k--", linewidth=1, label="Kramers, with the velocity")
            ax.plot(momenta, part.predicted[0] * (1 - momenta) if ax is axes[0] else np.full(len(momenta), np.nan),
                    color="0.6", linewidth=1, label="(1 − μ) times that at μ = 0")  # fmt: skip
            ax.set(xlabel="momentum μ", title=title)
            in_steps(ax)
        axes[0].set_ylabel("mean time, sharp to flat (SDE time)")
        axes[0].legend(fontsize="small")
        return figure


def _settings(study) -> list[tuple[float, float]]:
    """(μ, M) of each cell."""
    momenta, batches = np.broadcast_arrays(study.momentum.values.ravel(), study.batch_size.values.ravel())
    return list(zip(momenta.tolist(), batches.tolist(), strict=True))


def _times(study, name: str) -> Cells:
    """Mean times of the study of that name, with Kramers' beside them."""
    from ... import diffusions, landscapes, noise, theory

    wells = landscapes.TwoWells(**{key: value for key, value in setting(name, "landscape").items() if key != "kind"})
    isotropic, rate = noise.Isotropic(setting(name, "noise.beta")), setting(name, "sweep.learning_rate")
    predicted = [
        theory.eyring_kramers(
            diffusions.LangevinMomentumSGD(wells, isotropic, rate, batch, momentum), wells.sharp_minimum, wells.saddle
        )
        for momentum, batch in _settings(study)
    ]
    part = study.isel(start=0, learning_rate=0, drop=True).drop_vars(["start", "ratio"], errors="ignore")
    return cells(part, "mean_exit_time")._replace(predicted=np.array(predicted))
