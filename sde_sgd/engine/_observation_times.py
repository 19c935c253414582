"""Observation times: the steps at which a run is looked at, from SDE times."""

from typing import Any

import numpy as np

from .._errors import concrete
from ..chains import AbstractChain
from ._blocks import steps_until
from ._integrate import MAX_STEPS, block_unit

# halves of a window are compared, so that each wants some
_FEWEST = 8


def observation_steps(
    chain: AbstractChain, times: Any, horizon: Any, burn_in: Any, every: Any, most: int = 1_024
) -> list[int] | range:
    """Step numbers of the times, as a list, or of the window that a horizon ends, as a range.

    chain: its step says how long one takes. times, horizon, burn_in, every: SDE times. most: looks in a window, where
        `every` is not given.

    Raises ValueError unless one of the two is given, and as `steps_at_times` and `steps_in_window` do.
    """
    if (times is None) == (horizon is None):
        raise ValueError("give either times or a horizon, got " + ("neither" if times is None else "both"))
    if times is None:
        return steps_in_window(chain, horizon, burn_in, every, most)
    if burn_in is not None or every is not None:
        raise ValueError("burn_in and every belong to a horizon, got them with times")
    return steps_at_times(chain, times)


def steps_at_times(chain: AbstractChain, times: Any) -> list[int]:
    """Step numbers of the times, each rounded down to whole steps.

    Raises ValueError unless they are finite, at least 0 and rising.
    """
    array = concrete(times)
    if array is None or array.ndim != 1 or not array.size or not np.all(np.isfinite(array)):
        raise ValueError(f"times must be finite SDE times of shape (n_times,), got {times!r}")
    if array[0] < 0 or np.any(np.diff(array) <= 0):
        raise ValueError(f"times must be rising and at least 0, got {times!r}")
    steps = [steps_until(float(time), _time_step(chain)) for time in array]
    _check_end("times", steps[-1], chain)
    return steps


def steps_in_window(chain: AbstractChain, horizon: Any, burn_in: Any, every: Any, most: int = 1_024) -> range:
    """Step numbers of an even number of looks, evenly spaced between `burn_in` and `horizon`.

    burn_in: half the horizon by default. every: by default such that there are about `most` looks.
    Raises ValueError where fewer than 8 fit in.
    """
    end = _steps("horizon", horizon, chain)
    _check_end("horizon", end, chain)
    unit = block_unit(chain.noise_kind)
    begin = end // 2 if burn_in is None else 0 if _is_zero(burn_in) else _steps("burn_in", burn_in, chain)
    if every is None:
        # whole blocks, where the engine is fastest
        begin += -begin % unit
        spacing = max((end - begin) // most // unit * unit, unit)
    else:
        spacing = max(_steps("every", every, chain), 1)
    looks = (end - begin) // spacing // 2 * 2
    if looks < _FEWEST:
        raise ValueError(
            f"horizon must leave at least {_FEWEST} looks after burn_in, got a burn_in of {begin} steps, a horizon of "
            f"{end} and a look every {spacing}"
        )
    return range(begin + spacing, begin + looks * spacing + 1, spacing)


def _is_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


def _steps(name: str, value: Any, chain: AbstractChain) -> int:
    array = concrete(value)
    if array is None or array.dtype == bool or array.ndim or not np.isfinite(array) or array <= 0:
        raise ValueError(f"{name} must be a positive number of SDE time, got {value!r}")
    return steps_until(float(array), _time_step(chain))


def _check_end(name: str, steps: int, chain: AbstractChain) -> None:
    if steps > MAX_STEPS:
        raise ValueError(f"{name} must end within 2**32 steps of dt = {_time_step(chain):.6g}, got {steps} steps")


def _time_step(chain: AbstractChain) -> float:
    return float(np.asarray(chain.time_step))
