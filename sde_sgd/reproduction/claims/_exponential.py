"""Claim: it may take exponential time. The slowest relaxation against M/γ, over many decades."""

import numpy as np

from ...statistics import Estimate
from .._cells import Cells, cells
from .._claim import AbstractClaim, register, setting
from .._figures import panels, points
from .._judgement import Finding, in_a_list, log_of, ratio_of, slope_of


@register
class Exponential(AbstractClaim):
    """Relaxation time between a sharp and a flat minimum over the batch size."""

    number = 4
    title = "The time that it takes is exponential in M/γ"
    words = "Convergence to the flatter minimum may take exponential time."
    question = (
        "How long does it take until the law of SGD's SDE is stationary between two minima, as the batch size grows? "
        "Its logarithm against the barrier over the temperature, which is proportional to M/γ, is a line of slope 1; "
        "the grid solver's time stands beside where its arithmetic reaches."
    )
    studies = ("exponential",)

    def findings(self, data):
        times = relaxation(data)
        x = _inverse(data) / per_barrier()
        slope = slope_of(x, log_of(times.estimates))
        # between the ends of the intervals: the chance to miss is that of both
        decades = log_of(ratio_of(times.estimates[-1:], times.estimates[:1]))
        decades = Estimate(
            *(each / np.log(10) for each in (decades.value, decades.low, decades.high)), slope.confidence
        )
        whole = ["all batch sizes"], [next((each for each in times.status if each != "complete"), "complete")]
        known = np.flatnonzero(np.isfinite(times.predicted))
        exact = times.at(known)
        return [
            Finding("the logarithm of the relaxation time grows by the barrier over T, within 3 %",
                    "the slope of its logarithm against barrier/T", Cells(in_a_list(slope), *whole, np.ones(1)),
                    0.97, 1.03, "Eyring–Kramers"),
            Finding("over at least 12 decades", "the number of decades", Cells(decades, *whole), 12.0, np.inf),
            Finding("the relaxation time is that of the grid solver within a factor 1.5",
                    "the relaxation time over the grid solver's",
                    exact.mapped(lambda each: ratio_of(each, exact.predicted), np.ones(len(known))),
                    1 / 1.5, 1.5, "grid solver"),
        ]  # fmt: skip

    def figure(self, data):
        figure, (ax,) = panels(1, width=5.6, height=4.0)
        times = relaxation(data)
        x = _inverse(data)
        points(ax, x, times.estimates, "measured")
        ax.plot(x, times.predicted, "k--", linewidth=1, label="grid solver")
        line = times.estimates.value[0] * np.exp((x - x[0]) / per_barrier())
        ax.plot(x, line, color="0.6", linewidth=1, label="slope of the barrier")
        ax.set(yscale="log", xlabel="M/γ (examples per SDE time)", ylabel="relaxation time (SDE time)")
        ax.legend(fontsize="small")
        return figure


def per_barrier() -> float:
    """M/γ for each barrier/T: with T = γβ/(2M) it is β/2 over the barrier."""
    return setting("exponential", "noise.beta") / 2 / setting("exponential", "landscape.barrier")


def _inverse(data) -> np.ndarray:
    """M/γ of each cell."""
    return data["exponential"].batch_size.values / setting("exponential", "sweep.learning_rate")


def relaxation(data) -> Cells:
    """The relaxation times, over the batch size."""
    return cells(data["exponential"], "relaxation_time", "relaxation_time_exact")
