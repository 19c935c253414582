"""The public calls: what is asked becomes a Question, how it is run an Execution, and a method answers."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from .._errors import names_options
from .._progress import shown
from ..chains import AbstractChain
from ..engine import check_chain
from ..regions import AbstractRegion
from ..results import Provenance
from ._automatic import Automatic
from ._direct import Direct
from ._method import METHODS, AbstractMethod, method_of
from ._question import (
    Effort,
    Monitoring,
    Question,
    check_region,
    execution_of,
    make_effort,
    make_question,
)
from ._result import FirstPassage, with_divergence
from .splitting import Splitting, check_score

METHODS |= {"auto": Automatic(), "direct": Direct(), "splitting": Splitting()}

P = ParamSpec("P")
R = TypeVar("R")


def _says_what_moved(call: Callable[P, R]) -> Callable[P, R]:
    """A call that says where an option of former days is now."""

    @functools.wraps(call)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if "repetitions" in kwargs:
            raise ValueError(
                "repetitions is an option of splitting: give method=passage.Splitting(repetitions=…), got it as an "
                f"option of {call.__name__}"
            )
        return call(*args, **kwargs)

    return checked


@_says_what_moved
@names_options
def escape(
    chain: AbstractChain,
    start: Any,
    region: AbstractRegion,
    horizon: float | None = None,
    *,
    trajectories: int | None = None,
    rtol: float | None = None,
    max_trajectories: int = 2**24,
    max_steps: int = 10_000_000,
    seed: Any = 0,
    confidence: float = 0.95,
    monitoring: Monitoring = "discrete",
    method: str | AbstractMethod = "auto",
    score: Any = None,
    trajectory_ids: Any = None,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool | None = None,
) -> FirstPassage:
    """First exit from `region`: `first_passage` to its complement, with all of that call's options.

    chain: any chain; its θ has `dim` components.
    start: θ of shape (dim,) for all trajectories, or (trajectories, dim), inside the region.
    region: the set to leave.
    horizon: SDE time of the watch, rounded down to whole steps; None watches until all have left.
    trajectories, rtol, max_trajectories, max_steps, seed, confidence, monitoring, method, score, trajectory_ids, chunk,
        devices, progress: see `first_passage`.

    Returns a FirstPassage: `probability` to leave by the horizon, `survival(times)`, `mean_exit_time` and `exit_rate`
    with intervals, in SDE time; print it to see them. Intervals of direct sampling are exact (Clopper and Pearson 1934,
    Garwood 1936), those of splitting hold as its repetitions' spread tells.
    Raises ValueError if `start` is not inside `region`, and as `first_passage` does.
    """
    check_chain(chain)
    check_region("region", region, chain.dim)
    effort = make_effort(trajectories, trajectory_ids, rtol, max_trajectories)
    way = method_of(method)
    question = make_question(
        chain, start, ~region, None, horizon, trajectories=len(effort.ids), inside=region, confidence=confidence,
        monitoring=monitoring, max_steps=max_steps,
    )  # fmt: skip
    with shown(progress, "escape"):
        return _answered(question, way, effort, score, seed, chunk, devices)


@_says_what_moved
@names_options
def first_passage(
    chain: AbstractChain,
    start: Any,
    target: AbstractRegion,
    avoid: AbstractRegion | None = None,
    horizon: float | None = None,
    *,
    trajectories: int | None = None,
    rtol: float | None = None,
    max_trajectories: int = 2**24,
    max_steps: int = 10_000_000,
    seed: Any = 0,
    confidence: float = 0.95,
    monitoring: Monitoring = "discrete",
    method: str | AbstractMethod = "auto",
    score: Any = None,
    trajectory_ids: Any = None,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool | None = None,
) -> FirstPassage:
    """When and whether trajectories reach `target`, before `avoid` where one is given.

    chain: any chain; the passage is that of the chain unless `monitoring="continuous"`. Sets and scores see θ, not the
        memory that a state may have behind it.
    start: θ of shape (dim,) for all trajectories, or (trajectories, dim); outside both sets.
    target, avoid: regions of R^dim. A trajectory stops at the first of them.
    horizon: SDE time of the watch, rounded down to whole steps; None watches until all have stopped. Without one the
        chain must not change in time: a mean time or a rate would be that of no law. With `avoid` the two may be rare.

    Options:
    trajectories: how many; ids 0, 1, 2, … choose their noise.
    rtol: in place of `trajectories`, run until the probability's interval has this relative half-width, below 1, by
        inverse binomial sampling (Haldane 1945; the number of passages is fixed in advance, so the interval stays
        exact); by splitting until the spread of repetitions tells so. It is the mean time's
        where there is neither a horizon nor `avoid`.
    max_trajectories: budget of `rtol`, 2²⁴ by default: most trajectories started in all, pilots and the choice of
        levels included; the result says when it was spent.
    max_steps: budget of a run without horizon, per trajectory, 10⁷ by default; trajectories still running then are
        undecided, and the result says so.
    seed: 0 … 2⁶⁴ − 1, or a JAX key of two words.
    confidence: coverage of the intervals, 0.95 by default.
    monitoring: "discrete", the passage of the chain itself, or "continuous", the passage of the diffusion, which also
        sees crossings between two steps by Brownian bridges (Gobet 2000; needs EulerMaruyama with gaussian increments,
        and noise across the boundary).
    method: "direct", "splitting" or "auto", the default, for `passage.Direct()`, `passage.Splitting()` and
        `passage.Automatic()`, or such an object with options of its own; or a method of your own. The objects say what
        they do.
    score: of splitting, a number that grows on the way to the target: "auto", "level" or a function; by default one
        that sees every way that it can, with a reason (`score_reason` of the result), and held against another one, so
        that the status is `disagreeing` where it misses some; see `passage.Splitting`.
    trajectory_ids: run just these ids, to replay them.
    chunk: most trajectories in one compiled call; by default what is fast and fits memory.
    devices: those to run on, by default all local ones. Neither changes a bit of the result.
    progress: True or False for a line of progress; None for one in a terminal and in a notebook.

    Returns a FirstPassage; print it to see its answer. `status` and `result` say what was done, `method` by what.
    Raises ValueError on a wrong shape, a start inside a set or with a loss or gradient that is not finite, a horizon
    below one step, a misspelt option, continuous monitoring where the bridge sees no noise.
    """
    effort = make_effort(trajectories, trajectory_ids, rtol, max_trajectories)
    way = method_of(method)
    question = make_question(
        chain, start, target, avoid, horizon, trajectories=len(effort.ids), confidence=confidence,
        monitoring=monitoring, max_steps=max_steps,
    )  # fmt: skip
    with shown(progress, "first passage"):
        return _answered(question, way, effort, score, seed, chunk, devices)


def _answered(
    question: Question, method: AbstractMethod, effort: Effort, score: Any, seed: Any, chunk: Any, devices: Any
) -> FirstPassage:
    began = time.perf_counter()
    limit = effort.max_trajectories if effort.rtol is not None else None
    run = execution_of(question, seed, limit, chunk, devices)
    if score is not None:
        check_score(question, score)
        method = method.with_score(score)
    answer = method.answer(question, run, effort)
    provenance = Provenance.of(run.seed, answer.name, run.ledger.path_steps, began, devices)
    verdict = with_divergence(answer.verdict, answer.evidence)
    return FirstPassage(evidence=answer.evidence, verdict=verdict, provenance=provenance)
