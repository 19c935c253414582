"""From the words of a study file to the diffusion and the chain of one cell."""

from collections.abc import Callable
from typing import Any

import optax

import sde_sgd as ss

from ._build import floats
from ._errors import StudyError
from ._sections import ChainSpec, ScheduleSpec

_SAMPLINGS = {"replacement": True, "without": False, "epoch": "epoch"}


def schedule(spec: ScheduleSpec, rate: float) -> Callable[[Any], Any]:
    """The schedule of optax that begins at `rate`, SDE time per iteration."""
    made = {
        "exponential": lambda: optax.exponential_decay(rate, spec.iterations, spec.factor),
        "cosine": lambda: optax.cosine_decay_schedule(rate, spec.iterations, spec.factor),
        "linear": lambda: optax.linear_schedule(rate, rate * spec.factor, spec.iterations),
    }
    return made[spec.kind]()


def diffusion(spec: ChainSpec, surface: Any, noise: Any, sweep: Any, falling: ScheduleSpec | None = None) -> Any:
    """The SDE of a cell, with arrays as numbers, so that one compiled program serves every cell.

    sweep: the section with `learning_rate` and `batch_size`, or `temperature`. falling: how the learning rate falls.
    Raises StudyError where it lacks its noise.
    """
    heat = getattr(sweep, "temperature", None)
    if heat is not None:
        if noise is not None or spec.kind != "EulerMaruyama":
            raise StudyError("sweep.temperature is in place of learning rate, batch size and noise, for EulerMaruyama")
        return ss.LangevinSGD.at_temperature(surface, floats("sweep.temperature", heat))
    if noise is None:
        raise StudyError(f"section noise is missing: a chain of kind {spec.kind} needs one")
    rate, batch = _rate(sweep, falling), floats("sweep.batch_size", sweep.batch_size)
    if spec.kind == "Underdamped":
        return ss.diffusions.LangevinMomentumSGD(surface, noise, rate, batch, floats("chain.momentum", spec.momentum))
    return ss.LangevinSGD(surface, noise, rate, batch)


def chain(
    spec: ChainSpec, surface: Any, noise: Any, sweep: Any, dt: float | None, falling: ScheduleSpec | None = None
) -> Any:
    """The chain of a cell. dt: SDE time of a step of an SDE; one learning rate by default. falling: of the rate.

    Raises StudyError where chain, landscape and noise do not go together.
    """
    if spec.is_sde:
        step = sweep.learning_rate if dt is None else dt
        if step is None:
            raise StudyError("dt is missing: a study at a temperature has no learning rate that could be it")
        made = diffusion(spec, surface, noise, sweep, falling)
        # where a schedule is asked for whole iterations dt is built in, as it is
        step = floats("dt", step) if falling is None else step
        if spec.kind == "Underdamped":
            return ss.chains.Underdamped(made, step)
        return ss.EulerMaruyama(made, step, spec.increments or "gaussian")
    if noise is not None or dt is not None or sweep.learning_rate is None:
        raise StudyError(f"chain of kind {spec.kind} takes no noise model, dt or temperature: it is no SDE")
    return _DISCRETE[spec.kind](spec, surface, _rate(sweep, falling), _whole(sweep.batch_size))


def _rate(sweep: Any, falling: ScheduleSpec | None) -> Any:
    """The learning rate as chains take it: a number that is swept, or a schedule."""
    rate = sweep.learning_rate
    return floats("sweep.learning_rate", rate) if falling is None else schedule(falling, rate)


def _whole(batch: float) -> int:
    if batch != int(batch):
        raise StudyError(f"batch_size must be a whole number of examples, got {batch:g}")
    return int(batch)


def _replacement(spec: ChainSpec) -> Any:
    return _SAMPLINGS[spec.sampling or "replacement"]


_DISCRETE: dict[str, Callable[[ChainSpec, Any, Any, int], Any]] = {
    "MinibatchSGD": lambda spec, risk, rate, batch: ss.MinibatchSGD(risk, rate, batch, _replacement(spec)),
    "MomentumSGD": lambda spec, risk, rate, batch: ss.chains.MomentumSGD(
        risk, rate, batch, floats("chain.momentum", spec.momentum), bool(spec.nesterov), replacement=_replacement(spec)
    ),
    "SVAG": lambda spec, risk, rate, batch: ss.chains.SVAG(risk, rate, batch, spec.l, _replacement(spec)),
    "LabelNoiseSGD": lambda spec, risk, rate, batch: ss.chains.LabelNoiseSGD(
        risk, rate, batch, floats("chain.deviation", spec.deviation), _replacement(spec)
    ),
    "GradientDescent": lambda spec, surface, rate, batch: ss.chains.GradientDescent(surface, rate),
}
