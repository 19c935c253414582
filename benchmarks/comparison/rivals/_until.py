"""The loop of direct simulation: batches until the interval is tight."""

from collections.abc import Iterable

from scipy import stats


def until(batches: Iterable[int], size: int, precision: float):
    """Exits, trajectories and the exact 95 % interval of their share; as far as the batches go."""
    exits = trajectories = 0
    low, high = 0.0, 1.0
    for count in batches:
        exits, trajectories = exits + count, trajectories + size
        low, high = stats.binomtest(exits, trajectories).proportion_ci()
        if exits and high - low <= 2 * precision * exits / trajectories:
            break
    return exits, trajectories, float(low), float(high)
