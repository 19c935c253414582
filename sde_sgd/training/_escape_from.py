"""Escape from what training found: polish it to a minimum, then exit times of SGD, of its SDE and linearised there."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64

from .. import _progress
from .._errors import fraction, names_options, positive_integer, positive_number
from ..chains import EulerMaruyama, MinibatchSGD
from ..diffusions import LangevinSGD
from ..engine import seed_number
from ..landscapes import EmpiricalRisk, Landscape, Polished, polish
from ..noise import FromFunction, PerExample
from ..passage import AbstractMethod, Direct, FirstPassage, escape
from ..regions import Sublevel
from ..results import Provenance, Status
from ..statistics import Estimate
from ..theory import exit_exponent
from ..theory._evaluate import evaluate
from ._escape_laws import PROCESSES
from ._escape_result import TrainedEscape
from ._grid import Grid

# components up to which the whole Hessian is made, as in `polish`
_DENSE = 1_000
# what a TrainedEscape counts over its cells
_COUNTED = (Status.DIVERGED, Status.TARGET_NOT_REACHED)
# kinds of points at which H ≥ 0 is the loss's second derivative all around
_SMOOTH = ("minimum", "degenerate")


@names_options
def escape_from(
    risk: Any,
    theta: Any,
    *,
    learning_rate: Any,
    batch_size: Any,
    height: Any,
    processes: Sequence[str] = PROCESSES,
    iterations: int = 10_000,
    trajectories: int = 1_024,
    leave_saddles: bool = False,
    method: str | AbstractMethod = "direct",
    seed: Any = 0,
    confidence: float = 0.95,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool | None = None,
) -> TrainedEscape:
    """When SGD leaves the minimum that training found, beside its SDE and the theory of the minimum alone.

    From θ the loss is descended to its critical point θ* (`landscapes.polish`), and what that is (minimum, saddle,
    degenerate, kink) is told. Then, for every γ and M, the mean time to leave the sublevel set {L < L(θ*) + height},
    from θ*, watched once an iteration, of each of the `processes`:

    "sgd": `MinibatchSGD`, with replacement.
    "sde": its diffusion, `LangevinSGD` with the noise of every example, at one Euler–Maruyama step an iteration.
    "linear": the same diffusion linearised at θ*, dY = −HY dt + √(γV/M) dW with H = ∇²L(θ*) and V the covariance of one
        example's gradient there, leaving {½YᵀHY < height}, at the same steps: what H and V alone predict, exact up to
        its sampling. Left out, with a reason, beyond 1,000 parameters and where θ* is no minimum, nor degenerate.

    risk: an EmpiricalRisk. theta: where training stopped, (dim,), or an object with a `location`.
    learning_rate, batch_size: γ > 0 and M, numbers or lists; all pairs are run, and slopes take at least two ratios.
    height: above L(θ*), > 0, in units of the loss.
    iterations: most that are watched; beyond, the mean is extrapolated by the hazard (`FirstPassage.mean_exit_time`).
    trajectories: of each process in each cell. leave_saddles: whether to go on from a saddle, downhill.
    method: of `escape`; "auto" for exits that are rare, "splitting" for those that are known to be. seed: of the random
        numbers, which no two cells share: those of "direct" have trajectories of their own, others a seed made of it.
    confidence, chunk, devices, progress: as in `escape`.

    Source: Mandt, Hoffman and Blei 2017 (arXiv 1704.04289) for the linearised process; the question is that of Dai and
    Zhu 2018 (arXiv 1812.00542).
    Returns a TrainedEscape: times with intervals, slopes of log time against M/γ, the `sentence` that they make.
    Raises ValueError, naming the argument, for what is not as said, and where the loss descends without bound.
    """
    began = time.perf_counter()
    if not isinstance(risk, EmpiricalRisk):
        raise ValueError(f"risk must be an EmpiricalRisk, which has examples to draw, got {risk!r}")
    grid = Grid.of(learning_rate, batch_size, 0.0)
    positive_number("height", height)
    positive_integer("iterations", iterations)
    positive_integer("trajectories", trajectories)
    fraction("confidence", confidence)
    asked = tuple(processes) if not isinstance(processes, str) else (processes,)
    if not asked or len(set(asked)) < len(asked) or not set(asked) <= set(PROCESSES):
        raise ValueError(f"processes must be some of {', '.join(PROCESSES)}, each once, got {processes!r}")
    number = seed_number(seed)
    polished = polish(risk, theta, leave_saddles=leave_saddles)
    has_theory = polished.kind in _SMOOTH and risk.dim <= _DENSE
    ways = [_process(name, risk, polished, float(height)) for name in asked if name != "linear" or has_theory]
    if not ways:
        raise ValueError(
            f"processes must name 'sgd' or 'sde' where theta leads to no minimum to linearise at: {polished}"
        )
    ask = functools.partial(escape, method=method, confidence=confidence, chunk=chunk, devices=devices)
    draws = functools.partial(_draws, method=method, seed=number, trajectories=trajectories)
    passages: list[FirstPassage] = []
    told: list[tuple[Status, str]] = []
    with _progress.shown(progress, "escape from"):
        for way in ways:
            for where, passage in _cells(way, grid, iterations, draws, ask):
                passages.append(passage)
                told += _told(where, passage)
    shape = (len(ways), len(grid.learning_rate), len(grid.batch_size))
    provenance = Provenance.of(number, "escape from", sum(each.path_steps for each in passages), began, devices)
    return TrainedEscape(
        polished=polished,
        height=float(height),
        learning_rate=grid.learning_rate,
        batch_size=grid.batch_size,
        probability=_stacked([each.probability for each in passages], shape),
        mean_time=_stacked([each.mean_exit_time for each in passages], shape),
        diverged=np.array([each.diverged for each in passages]).reshape(shape),
        limit=_limit(risk, polished, float(height)) if has_theory else float("nan"),
        processes=tuple(way.name for way in ways),
        asked=asked,
        iterations=int(iterations),
        trajectories=int(trajectories),
        told=tuple(told),
        provenance=provenance,
    )


class _Process(NamedTuple):
    """A process by name: its landscape, noise (None for SGD itself), start and the set that it is to leave."""

    name: str
    landscape: Any
    noise: Any
    start: Float64[np.ndarray, " dim"]
    region: Sublevel

    def chain(self, rate: Any, size: int) -> Any:
        if self.noise is None:
            return MinibatchSGD(self.landscape, rate, size)
        # M as an array, so that all cells are one program
        return EulerMaruyama(LangevinSGD(self.landscape, self.noise, rate, jnp.asarray(size, float)))


def _process(name: str, risk: EmpiricalRisk, polished: Polished, height: float) -> _Process:
    if name != "linear":
        noise = None if name == "sgd" else PerExample()
        return _Process(name, risk, noise, polished.location, Sublevel(risk, polished.loss + height))
    # in the eigenbasis of H, where the force is one product for each component
    here = evaluate(LangevinSGD(risk, PerExample(), 1.0, 1.0), polished.location)
    curvatures, basis = np.linalg.eigh(here.hessian)
    values, vectors = np.linalg.eigh(basis.T @ here.covariance @ basis)
    heard = values > 1e-12 * max(values[-1], 0.0)
    if not heard.any():
        raise ValueError("risk must have noise at the minimum, got examples whose gradients are all 0 there")
    factor = vectors[:, heard] * np.sqrt(values[heard])
    quadratic = Landscape(fn=_quadratic, dim=risk.dim, parameters=jnp.asarray(curvatures, float))
    # its numbers are leaves, so that all minima are one program
    noise = FromFunction(jax.tree_util.Partial(_constant, factor))
    return _Process(name, quadratic, noise, np.zeros(risk.dim), Sublevel(quadratic, height))


def _constant(factor, theta):
    return jnp.asarray(factor, theta.dtype)


def _quadratic(theta, curvatures):
    return jnp.sum(jnp.asarray(curvatures, theta.dtype) * theta**2) / 2


def _cells(
    way: _Process, grid: Grid, iterations: int, draws: Callable[[int], dict[str, Any]], ask: Callable[..., FirstPassage]
) -> list[tuple[str, FirstPassage]]:
    """Passages of all cells, sizes within rates, each with words for where; each has the draws of its own number."""
    found: list[tuple[str, FirstPassage]] = []
    first = PROCESSES.index(way.name) * len(grid.learning_rate) * len(grid.batch_size)
    for rate in grid.learning_rate:
        for size in grid.batch_size:
            chain, where = way.chain(jnp.asarray(rate, float), int(size)), f"{way.name}, γ = {rate:g}, M = {size}"
            _progress.stage(where)
            passage = ask(chain, way.start, way.region, iterations * rate, **draws(first + len(found)))
            found.append((where, passage))
    return found


def _draws(place: int, *, method: Any, seed: int, trajectories: int) -> dict[str, Any]:
    """Options of `escape` by which the cell of a number has draws that no other has."""
    if method == "direct" or isinstance(method, Direct):
        return {"seed": seed, "trajectory_ids": place * trajectories + np.arange(trajectories)}
    # what is split has no single trajectories, of which ids could be given
    words = np.random.SeedSequence([seed, place]).generate_state(1, np.uint64)
    return {"seed": int(words[0]), "trajectories": trajectories}


def _told(where: str, passage: FirstPassage) -> list[tuple[Status, str]]:
    """What a passage says against itself, but for what all cells together say."""
    return [(status, f"{where}: {reason}") for status, reason in passage.verdict.findings if status not in _COUNTED]


def _stacked(estimates: list[Estimate], shape: tuple[int, ...]) -> Estimate:
    parts = (np.array([getattr(each, name) for each in estimates]).reshape(shape) for name in ("value", "low", "high"))
    return Estimate(*parts, estimates[0].confidence)


def _limit(risk: EmpiricalRisk, polished: Polished, height: float) -> float:
    """Slope of log time against M/γ at low noise; NaN where θ* is degenerate."""
    if not polished.is_minimum:
        return float("nan")
    return exit_exponent(LangevinSGD(risk, PerExample(), 1.0, 1.0), polished.location, height)
