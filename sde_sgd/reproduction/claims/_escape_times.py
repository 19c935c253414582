"""Claim: an explicit escaping time of SGD from a local minimum in the finite-time regime."""

import numpy as np

from ...plotting._axes import BLUE, RED
from .._cells import Cells, cells, joined
from .._claim import AbstractClaim, register, setting
from .._figures import panels, points
from .._judgement import Finding, ratio_of

_SHAPE = ["start", "learning_rate", "batch_size"]
# barriers in temperatures from which on Eyring–Kramers is asked to hold: its relative error is of order T/barrier
_COLD = 3.0


@register
class EscapeTimes(AbstractClaim):
    """Probability to leave by a horizon, and the mean time, out of a sharp and a flat minimum of equal barrier."""

    number = 2
    title = "The time to escape from a minimum, at finite times"
    words = "An explicit escaping time of SGD from a local minimum in the finite-time regime, sharp or flat."
    question = (
        "How likely has SGD's SDE left a sharp and a flat minimum by t = 25, and when does it leave on average, over "
        "the learning rate and the batch size? Beside it the exact solver, the process linearised at the minimum, and "
        "Eyring–Kramers. And when does SGD itself leave minima that training a network on digits found, a sharp one by "
        "large batches and a flat one by small, over one height of the loss? Beside it its SDE, with the noise of "
        "every example, and the SDE linearised there."
    )
    studies = ("escape", "trained_escape")

    def findings(self, data):
        study = data["escape"].transpose(*_SHAPE, ...)
        end = {"time": -1}
        left = cells(study, "probability", "exit_exact", end)
        times = cells(study, "mean_exit_time", "mean_exit_time_exact")
        ones = np.ones(len(left.where))
        checked = joined(
            left.called("P").mapped(lambda each: ratio_of(each, left.predicted), ones),
            times.called("time").mapped(lambda each: ratio_of(each, times.predicted), ones),
        )
        sharp, flat = (cells(study.sel(start=name), "mean_exit_time", "mean_exit_time_exact") for name in _STARTS)
        slower = flat.mapped(lambda each: ratio_of(each, sharp.estimates), flat.predicted / sharp.predicted)
        kramers = cells(study, "mean_exit_time", "mean_exit_time_eyring_kramers")
        over = kramers.mapped(lambda each: ratio_of(each, kramers.predicted), times.predicted / kramers.predicted)
        temperature = study["temperature"].broadcast_like(study["mean_exit_time"]).transpose(*_SHAPE).values.ravel()
        cold = np.flatnonzero(setting("escape", "landscape.barrier") / temperature >= _COLD * (1 - 1e-6))
        solver = "exact solver"
        sgd = {name: _trained(data, name, "sgd") for name in _STARTS}
        held = sgd["flat"].mapped(lambda each: ratio_of(each, sgd["sharp"].estimates)).called("trained")
        return [
            Finding("simulated probabilities and mean times are those of the exact solver, within 12 %",
                    "the simulated number over the exact one", checked, 0.88, 1.12, solver),
            Finding("the flat minimum holds longer than the sharp one of the same barrier, at every γ and M",
                    "the flat minimum's mean time over the sharp one's", slower, 1.0, np.inf, solver),
            Finding(f"where the barrier is at least {_COLD:g} T, Eyring–Kramers is the mean time within a factor 2",
                    "the mean time over Eyring–Kramers'", over.at(cold), 0.5, 2.0, solver),
            Finding("of trained minima the flat one holds SGD longer than the sharp one, over the same height",
                    "the flat trained minimum's mean time over the sharp one's", held, 1.0, np.inf),
        ]  # fmt: skip

    def remarks(self, data):
        end = data["escape"].isel(time=-1)
        share = (end["exit_linearised"] / end["exit_exact"]).values
        kramers = (end["mean_exit_time_exact"] / end["mean_exit_time_eyring_kramers"]).values
        return [
            f"the exact mean time is {kramers.min():.2g} to {kramers.max():.2g} times Eyring–Kramers', whose relative "
            "error is of order T over the barrier",
            f"the process linearised at the minimum has left by t = 25 with {share.min():.2g} to {share.max():.2g} "
            "times the exact probability: it knows no saddle",
            *(
                f"out of the {name} trained minimum {words} takes {_spread(data, name, process)} times as long as SGD"
                for name in _STARTS
                for process, words in _BESIDE.items()
            ),
        ]

    def figure(self, data):
        figure, (times, survival, trained) = panels(3, width=4.2, height=4.0)
        _draw_times(times, data)
        _draw_survival(survival, data)
        _draw_trained(trained, data)
        for ax in (times, survival, trained):
            ax.legend(fontsize="x-small")
        return figure


def _draw_times(ax, data) -> None:
    study = data["escape"].transpose(*_SHAPE, ...)
    inverse = _inverse(study)
    order = np.argsort(inverse)
    for name, colour in _STARTS.items():
        part = study.sel(start=name)
        times = cells(part, "mean_exit_time", "mean_exit_time_exact")
        kramers = cells(part, "mean_exit_time", "mean_exit_time_eyring_kramers").predicted
        points(ax, inverse, times.estimates, f"{name}, simulated", color=colour)
        ax.plot(inverse[order], times.predicted[order], "-", color=colour, linewidth=1, label="exact solver")
        ax.plot(inverse[order], kramers[order], ":", color=colour, linewidth=1.4, label="Eyring–Kramers")
    ax.set(yscale="log", xlabel="M/γ (examples per SDE time)", ylabel="mean time to leave (SDE time)")


def _draw_survival(ax, data) -> None:
    """At the smallest γ and M, where both minima are left within the time watched."""
    study = data["escape"].isel(learning_rate=0, batch_size=0)
    for name, colour in _STARTS.items():
        one = study.sel(start=name)
        ax.plot(one["time"], one["exit_exact"], "-", color=colour, linewidth=1)
        ax.plot(one["time"], one["exit_linearised"], "--", color=colour, linewidth=1)
        ax.fill_between(one["time"], 1 - one["survival_high"], 1 - one["survival_low"], color=colour, alpha=0.4)
    ratio = float(study.learning_rate / study.batch_size)
    ax.set(xlabel="SDE time t", ylabel="P(left by t)", title=f"γ/M = {ratio:.3g}")
    ax.plot([], [], "k-", label="exact solver")
    ax.plot([], [], "k--", label="linearised at the minimum")
    ax.fill_between([], [], color="0.5", alpha=0.4, label="simulated")


def _draw_trained(ax, data) -> None:
    inverse = _inverse(data["trained_escape"])
    for name, colour in _STARTS.items():
        for process, marker in (("sgd", "o"), ("sde", "s"), ("linear", "^")):
            times, fill = _trained(data, name, process).estimates, colour if process == "sgd" else "white"
            label = f"{name}: {_BESIDE.get(process, 'SGD')}"
            points(ax, inverse, times, label, color=colour, fmt=marker, mfc=fill)
    ax.set(yscale="log", xlabel="M/γ (examples per SDE time)", title="out of trained minima")


def _inverse(study) -> np.ndarray:
    """M/γ of each cell, by γ and then M."""
    return (study.batch_size / study.learning_rate).transpose(*_SHAPE[1:]).values.ravel()


def _trained(data, start: str, process: str) -> Cells:
    """Mean times out of a trained minimum, over γ and M."""
    study = data["trained_escape"].sel(start=start, process=process).drop_vars(["start", "process"])
    return cells(study.transpose(*_SHAPE[1:], ...), "mean_exit_time")


def _spread(data, start: str, process: str) -> str:
    times, sgd = (_trained(data, start, name).estimates.value for name in (process, "sgd"))
    return f"{np.min(times / sgd):.2g} to {np.max(times / sgd):.2g}"


_BESIDE = {"sde": "its SDE", "linear": "the SDE linearised there"}
_STARTS = {"sharp": RED, "flat": BLUE}
