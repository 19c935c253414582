"""The call `reduce`: a streaming reduction over the trajectories that it describes, and what it returns."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .. import _progress
from .._errors import concrete, names_options
from ..chains import AbstractChain
from ..random import seed_key, seed_number
from ..results import AbstractResult, Provenance, Status, Verdict
from ._blocks import Ids
from ._observation_times import observation_steps
from ._reductions import AbstractReduction, Looks
from ._simulate import observe, resolve_ids
from ._start import check_chain, check_first_step, start_states

if TYPE_CHECKING:
    import xarray as xr


class Reduced(AbstractResult):
    """What a reduction made of many trajectories.

    value: what the reduction's `result` returned.
    times: (n_looks,) SDE times of the looks.
    trajectories: how many were run. diverged: those of them whose state was not finite at the last look; what they do
        to `value` is up to the reduction.
    """

    value: Any
    times: Float[np.ndarray, " n_looks"]
    trajectories: int
    diverged: int
    provenance: Provenance

    @property
    def verdict(self) -> Verdict:
        """Complete, or how many trajectories diverged."""
        if not self.diverged:
            return Verdict()
        return Verdict(((Status.DIVERGED, f"{self.diverged} of {self.trajectories} trajectories diverged"),))

    def to_dataset(self) -> "xr.Dataset":
        """The value and the times as an xarray Dataset with `units` and `long_name`.

        A value (n_looks, …), or an Estimate of that shape, has the dimension `time`; (trajectories, …), `trajectory`;
        what their numbers mean only the reduction knows. Raises ValueError for a value of another kind or shape.
        """
        import xarray as xr

        names = {"value": "", "low": "_low", "high": "_high"} if hasattr(self.value, "low") else {"value": ""}
        arrays = {f"value{end}": concrete(getattr(self.value, name, self.value)) for name, end in names.items()}
        array, looks = arrays["value"], len(self.times)
        if array is None or array.shape[:1] not in ((looks,), (self.trajectories,)):
            found = type(self.value).__name__ if array is None else f"shape {array.shape}"
            raise ValueError(
                f"value must have a number for each of {looks} looks or of {self.trajectories} trajectories to be a "
                f"dataset, got {found}: keep `found.value` as it is"
            )
        first = "time" if len(array) == looks else "trajectory"
        dims = (first, *(f"axis_{number}" for number in range(1, array.ndim)))
        words = {"units": "of the reduction", "long_name": "what the reduction made"}
        data = xr.Dataset({name: (dims, part, words) for name, part in arrays.items()})
        data = data.assign_coords(time=("time", self.times, {"units": "SDE time", "long_name": "time of the look"}))
        data.attrs = {"trajectories": self.trajectories, "diverged": self.diverged, "result": self.result}
        data.attrs |= {"seed": self.provenance.seed, "status": str(self.status)}
        return data

    def plot(self, ax: Any = None) -> Any:
        """A value for each look over SDE time, or one for each trajectory as their histogram: see `plotting.reduced`.

        Raises ValueError for a value of another shape: what it means only its reduction knows.

        Example: `ss.reduce(chain, start, reduction, times=np.linspace(0.5, 20, 40), trajectories=4_096).plot()`.
        """
        from ..plotting import reduced

        return reduced(self.value, self.times, self.trajectories, ax)

    def _answers(self) -> list[tuple[str, str]]:
        return [("value", str(self.value)), ("trajectories", f"{self.trajectories}, {len(self.times)} looks at each")]


class Trajectories(NamedTuple):
    """The trajectories of a call: where they start, their random numbers, and how they are run."""

    chain: AbstractChain
    starts: Float[np.ndarray, "n state_dim"]
    ids: Ids
    seed: int
    chunk: int | None
    devices: Sequence[Any] | None

    @property
    def origin(self) -> Float[np.ndarray, " dim"]:
        """θ of the first trajectory at the start."""
        return np.asarray(self.chain.theta(jnp.asarray(self.starts[0])))

    def reduce(self, reduction: AbstractReduction, steps: Sequence[int]) -> tuple[Any, int]:
        """The carry after looks at these steps, and how many trajectories have diverged by the last one."""
        looks = Looks(reduction, self.chain, self.starts.dtype)
        observe(
            self.chain, self.starts, self.ids, [0, *steps], seed_key(self.seed), looks.visit, looks.finish,
            chunk=self.chunk, devices=self.devices, whole=True,
        )  # fmt: skip
        return looks.carry(), sum(looks.diverged)

    def provenance(self, method: str, steps: Sequence[int], began: float) -> Provenance:
        """How a result came about. began: `time.perf_counter()` at the beginning."""
        return Provenance.of(self.seed, method, len(self.ids) * steps[-1], began, self.devices)


def trajectories_of(
    chain: AbstractChain,
    start: Any,
    trajectories: int | None,
    trajectory_ids: Any,
    seed: Any,
    chunk: int | None,
    devices: Sequence[Any] | None,
) -> Trajectories:
    """The trajectories that a call describes; ValueError where it does not describe any.

    chain, start, trajectories, trajectory_ids, seed, chunk, devices: as in `simulate`.
    """
    ids = resolve_ids(trajectories, trajectory_ids)
    number, starts = seed_number(seed), start_states(start, chain, len(ids))
    check_first_step(chain, starts)
    return Trajectories(chain, starts, ids, number, chunk, devices)


@names_options
def reduce(
    chain: AbstractChain,
    start: Any,
    reduction: AbstractReduction,
    *,
    times: Any = None,
    horizon: Any = None,
    burn_in: Any = None,
    every: Any = None,
    trajectories: int | None = None,
    seed: Any = 0,
    trajectory_ids: Any = None,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool | None = None,
) -> Reduced:
    """A streaming reduction over many trajectories, at given `times` or between `burn_in` and `horizon`.

    chain: any chain. start: θ of shape (dim,) for all trajectories, or (trajectories, dim).
    reduction: what to keep of them; see `AbstractReduction`, which also says what does not depend on the chunk.
    times: rising SDE times of the looks, each rounded down to whole steps.
    horizon, burn_in: SDE times of the window that looks are spread over; burn_in is half the horizon by default.
    every: SDE time between looks in that window; by default such that there are about 1024.
    trajectories, seed, trajectory_ids, chunk, devices: as in `simulate`.
    progress: whether to show a line of progress; by default in a terminal and in a notebook.

    Returns Reduced, whose `value` is what the reduction makes of it, and whose `status` names divergence.
    Raises ValueError on a wrong shape or count, or a reduction whose carry changes its shape.
    """
    began = time.perf_counter()
    check_chain(chain)
    if not isinstance(reduction, AbstractReduction):
        raise ValueError(f"reduction must be an AbstractReduction, got {reduction!r}")
    steps = observation_steps(chain, times, horizon, burn_in, every)
    runs = trajectories_of(chain, start, trajectories, trajectory_ids, seed, chunk, devices)
    with _progress.shown(progress, "reduce"):
        carry, diverged = runs.reduce(reduction, steps)
    at = np.array(steps) * float(np.asarray(chain.time_step))
    provenance = runs.provenance(type(reduction).__name__, steps, began)
    return Reduced(reduction.result(carry, at), at, len(runs.ids), diverged, provenance)
