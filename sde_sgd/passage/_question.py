"""What is asked of a first passage, whatever method answers it, and the checks of a call's arguments."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Bool, Float

from .._errors import fraction, is_traced, positive_integer, tolerance, whole_steps
from ..chains import AbstractChain, refuse_if_changing, refuse_late
from ..engine import (
    MAX_STEPS,
    Compiled,
    check_chain,
    check_first_step,
    resolve_ids,
    seed_key,
    seed_number,
    start_states,
)
from ..engine import Ids as Ids
from ..regions import AbstractRegion
from ._execution import Execution, Ledger
from ._monitor import monitor_for

Monitoring = Literal["discrete", "continuous"]


class Watch(eqx.Module):
    """What a result must know of the question.

    time_step: SDE time of a step. time_offset: where in its last step a passage is placed, 1 for the chain's own exit
        and 1/2 for one seen between grid points.
    horizon: SDE time of the watch. open_ended: there was none but a budget of steps, and a trajectory still running
        then is undecided, not staying.
    avoids: whether there is a set to avoid. changes: whether the chain changes in time, so that no rate lasts.
    confidence: coverage of the intervals.
    monitoring: "discrete" or "continuous".
    """

    time_step: float
    time_offset: float
    horizon: float
    open_ended: bool
    avoids: bool
    changes: bool
    confidence: float
    monitoring: str

    def times(self, steps: np.ndarray) -> np.ndarray:
        """SDE times of passages at these `steps`, (n,); the same shape."""
        return (steps - (1 - self.time_offset)) * self.time_step


class Question(NamedTuple):
    """When and whether `chain` reaches `target`, before `avoid` where there is one, within so many steps.

    starts: (m, state_dim) states; one stands for all.
    horizon: SDE time as it was asked for, or None. steps: whole steps of it, or the budget where there is none.
    time_step: SDE time of a step. monitoring: "discrete" or "continuous". confidence: coverage of the intervals.
    """

    chain: AbstractChain
    target: AbstractRegion
    avoid: AbstractRegion | None
    starts: Float[np.ndarray, "m state_dim"]
    horizon: float | None
    steps: int
    time_step: float
    monitoring: str
    confidence: float

    @property
    def open_ended(self) -> bool:
        """There is no horizon but a budget of steps."""
        return self.horizon is None

    @property
    def mean_time(self) -> bool:
        """There is neither a horizon nor a set to avoid: all arrive, and the question is when."""
        return self.horizon is None and self.avoid is None

    @property
    def ends(self) -> tuple[AbstractRegion, ...]:
        """The sets where a trajectory ends: the target, and `avoid` where there is one."""
        return (self.target,) if self.avoid is None else (self.target, self.avoid)

    def watch(self, steps: int | None = None) -> Watch:
        """What a result of this question must know. steps: of the watch, those of the question by default."""
        return Watch(
            time_step=self.time_step,
            time_offset=1.0 if self.monitoring == "discrete" else 0.5,
            horizon=(self.steps if steps is None else steps) * self.time_step,
            open_ended=self.open_ended,
            avoids=self.avoid is not None,
            changes=self.chain.changes_in_time,
            confidence=self.confidence,
            monitoring=self.monitoring,
        )


class Effort(NamedTuple):
    """How much is to be done: a number of trajectories, some ids, or a precision.

    trajectories: how many; None with `rtol`. ids: those to run. replays: the person named them one by one.
    rtol: relative half-width that is asked of an interval, or None. max_trajectories: the budget of that.
    """

    trajectories: int | None
    ids: Ids
    replays: bool
    rtol: float | None
    max_trajectories: int


def make_effort(trajectories: Any, trajectory_ids: Any, rtol: Any, max_trajectories: Any) -> Effort:
    """The arguments that say how much is to be done, checked."""
    if rtol is None:
        ids = resolve_ids(trajectories, trajectory_ids)
        return Effort(len(ids), ids, trajectory_ids is not None, None, max_trajectories)
    if trajectories is not None or trajectory_ids is not None:
        raise ValueError("give either rtol or a number of trajectories, got both")
    tolerance("rtol", rtol)
    positive_integer("max_trajectories", max_trajectories)
    # one start serves as many as it will take
    return Effort(None, range(1), False, float(rtol), int(max_trajectories))


def make_question(
    chain: AbstractChain,
    start: Any,
    target: AbstractRegion,
    avoid: AbstractRegion | None = None,
    horizon: Any = None,
    *,
    trajectories: int = 1,
    inside: AbstractRegion | None = None,
    confidence: float = 0.95,
    monitoring: Monitoring = "discrete",
    max_steps: int = 10_000_000,
) -> Question:
    """The passage that a call asks for, its arguments checked.

    trajectories: how many rows of starts there may be. inside: the region to leave, where there is one.
    """
    check_chain(chain)
    check_region("target", target, chain.dim)
    if avoid is not None:
        check_region("avoid", avoid, chain.dim)
    fraction("confidence", confidence)
    if horizon is None and avoid is None:
        refuse_if_changing(chain, "mean times")
    starts = start_states(start, chain, trajectories)
    # one start for all is a broadcast view
    starts = starts[:1] if starts.strides[0] == 0 else starts
    _check_start(starts[:, : chain.dim], inside, target, avoid)
    check_first_step(chain, starts)
    time_step = float(np.asarray(chain.time_step))
    steps = steps_of_watch(horizon, time_step, max_steps)
    refuse_late(chain, steps, starts.dtype, "max_steps" if horizon is None else "horizon, in steps,")
    asked = None if horizon is None else float(horizon)
    return Question(chain, target, avoid, starts, asked, steps, time_step, monitoring, float(confidence))


def execution_of(
    question: Question, seed: Any, limit: int | None, chunk: int | None, devices: Sequence[Any] | None
) -> Execution:
    """The question as it is run by direct simulation. limit: most trajectories in all, or None."""
    theta = question.starts[:, : question.chain.dim]
    monitor = monitor_for(question.chain, question.target, question.avoid, question.monitoring, theta)
    return Execution(
        chain=question.chain,
        monitor=monitor,
        starts=question.starts,
        steps=question.steps,
        open_ended=question.open_ended,
        time_step=question.time_step,
        key=seed_key(seed),
        seed=seed_number(seed),
        chunk=chunk,
        devices=devices,
        ledger=Ledger(limit),
    )


def check_region(name: str, region: Any, dim: int) -> None:
    """ValueError unless it is a region of R^dim."""
    if not isinstance(region, AbstractRegion):
        raise ValueError(f"{name} must be a region, such as regions.Ball(center, radius), got {region!r}")
    if any(is_traced(leaf) for leaf in jax.tree.leaves(region)):
        raise ValueError(f"{name} must be made of known numbers, got ones that JAX traces (inside jit, vmap or grad)")
    region.check(dim)


def steps_of_watch(horizon, time_step: float, max_steps: int) -> int:
    """Whole steps of the horizon, or the budget where there is none; ValueError for what is neither."""
    if horizon is not None:
        return whole_steps("horizon", horizon, time_step, MAX_STEPS)
    positive_integer("max_steps", max_steps)
    if max_steps > MAX_STEPS:
        raise ValueError(f"max_steps must be at most 2**32, got {max_steps}")
    return max_steps


def _check_start(starts, inside, target, avoid) -> None:
    rule = "outside target, got {} inside it" if inside is None else "inside region, got {} outside it"
    _forbid(target, starts, rule)
    if avoid is not None:
        _forbid(avoid, starts, "outside avoid, got {} inside it")


def _forbid(region: AbstractRegion, points: Float[np.ndarray, "n dim"], rule: str) -> None:
    inside = np.flatnonzero(_contains(region, points))
    if inside.size:
        raise ValueError("start must lie " + rule.format(points[inside[0]]))


def _contains(region: AbstractRegion, points: Float[np.ndarray, "n dim"]) -> Bool[np.ndarray, " n"]:
    return np.asarray(_CONTAINS.prepare(region)(points))


_CONTAINS = Compiled(lambda region, points: jax.vmap(region.contains)(points))
