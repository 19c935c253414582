"""Whether a mean time hangs on excursions far out that hardly a trajectory makes, and that take very long."""

import math

import numpy as np

from .._errors import show
from ..engine import StopCode
from ..landscapes._affordable import MOST_COMPONENTS
from ..landscapes._far_out import far_out
from ..random import Stream
from ._direct_sample import DirectSample
from ._execution import BudgetSpent, Execution
from ._question import Question

# trajectories that start there, mean times after which one is late, and the share of them that are
_TRAJECTORIES, _MEAN_TIMES, _LATE = 64, 10, 1 / 8


def late_from_far_out(question: Question, run: Execution, sample: DirectSample) -> str:
    """In words, where one trajectory in as many as there were may come from where the mean time is no measure.

    Where the loss rises as a logarithm a few excursions hold much of the mean time, or have no mean at all, and a
    sample without one of them cannot tell. So trajectories start where the loss is ln N temperatures above its lowest,
    N being how many there were, along rays on which it rises so slowly: where many of them are still on their way after
    ten mean times, it is not the sample that knows the mean. A valley that is flat but delays none raises no alarm.
    Only for chains whose law is exp(−L/T).
    """
    chain, landscape = question.chain, question.chain.landscape
    if landscape is None or chain.gibbs_temperature is None or chain.changes_in_time or chain.dim > MOST_COMPONENTS:
        return ""
    mean, temperature = float(sample.mean_exit_time.value), float(np.asarray(chain.gibbs_temperature))
    if not (math.isfinite(mean) and mean > 0 and temperature > 0):
        return ""
    origin = np.asarray(question.starts[0], np.float64)
    # as far as noise alone comes within the mean time
    distance, height = math.sqrt(2 * temperature * mean), temperature * math.log(sample.trajectories)
    points = far_out(landscape, origin[: chain.dim], temperature, distance, height, question.ends)
    if not len(points):
        return ""
    starts = np.broadcast_to(origin, (len(points), len(origin))).copy()
    starts[:, : chain.dim] = points
    steps = math.ceil(_MEAN_TIMES * mean / question.time_step)
    try:
        stops = run.derived(Stream.FAR_OUT)._replace(starts=starts, steps=steps).run(range(_TRAJECTORIES))
    except BudgetSpent:
        return ""
    late = int(np.sum(stops.code == StopCode.RUNNING))
    if late <= _LATE * _TRAJECTORIES:
        return ""
    farthest = points[np.argmax(np.linalg.norm(points - origin[: chain.dim], axis=1))]
    return (
        f"from {show(farthest)} and the like, where the loss is no more than {height / temperature:.2g} temperatures "
        f"higher and rises no faster than a logarithm, {late} of {_TRAJECTORIES} trajectories take more than "
        f"{_MEAN_TIMES} mean times: passages of which hardly one is in the sample may hold much of the mean time; give "
        "a horizon, since probabilities by a time are sure"
    )
