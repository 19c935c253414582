"""What an addition costs: each is one class and at most one registration, made here, and taken through the calls."""

import dataclasses
import inspect
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss
from sde_sgd.passage import METHODS, AbstractMethod, Answer, DirectSample
from sde_sgd.random import AbstractIncrements
from sde_sgd.results import Verdict
from sde_sgd.stationary import BASINS, AbstractBasins, NearestBasins
from sde_sgd.study import AbstractStudy, Column, cell_dataset, register
from sde_sgd.study import _kind as kind_module

WELL = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
LEFT, MINIMA = np.array([-1.0], np.float32), {"left": [-1.0], "right": [1.0]}
WHOLE = {"devices": jax.devices()[:1]}
PARTS = {"devices": jax.devices(), "chunk": 128}


# ------------------------------------------------------------------------------------------------ chains with memory


class MomentumSGD(ss.chains.AbstractChain):
    """v' = μ v − γ ∇L(θ) + s ξ, θ' = θ + v'."""

    landscape: Any
    rate: float = 0.05
    momentum: float = 0.8
    deviation: float = 0.05
    noise_kind: str = "gaussian"
    dim = noise_dim = memory = property(lambda self: self.landscape.dim)
    time_step = property(lambda self: self.rate)

    def step(self, state, noise, step_index):
        theta, velocity = jnp.split(state, 2)
        velocity = self.momentum * velocity - self.rate * self.landscape.gradient(theta) + self.deviation * noise
        return jnp.concatenate([theta + velocity, velocity])


class UnderdampedLangevin(ss.chains.AbstractChain):
    """dθ = v dt, dv = −∇L dt − v dt + √(2T) dW, its velocity by an exact Ornstein–Uhlenbeck step."""

    landscape: Any
    temperature: float = 0.15
    time_step: float = 0.05
    noise_kind: str = "gaussian"
    dim = noise_dim = memory = property(lambda self: self.landscape.dim)

    def step(self, state, noise, step_index):
        theta, velocity = jnp.split(state, 2)
        velocity = (velocity - self.time_step * self.landscape.gradient(theta)) * jnp.exp(-self.time_step)
        velocity = velocity + jnp.sqrt(self.temperature * -jnp.expm1(-2 * self.time_step)) * noise
        return jnp.concatenate([theta + self.time_step * velocity, velocity])


def numbers(result):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(result) if isinstance(leaf, np.ndarray)]


def escape(chain, **options):
    region = ss.regions.Sublevel(WELL, 0.5)
    return ss.escape(chain, LEFT, region, 4.0, trajectories=1_024, seed=1, **options).evidence


QUESTIONS = {
    "simulate": lambda chain, **way: ss.simulate(chain, LEFT, 100, 300, seed=1, **way),
    "escape, direct": lambda chain, **way: escape(chain, method="direct", **way),
    "escape, splitting": lambda chain, **way: escape(chain, method="splitting", **way),
    "escape, automatic score": lambda chain, **way: escape(chain, method="splitting", score="auto", **way),
    "occupancy": lambda chain, **way: ss.occupancy(
        chain, LEFT, minima=MINIMA, times=[1.0, 4.0], trajectories=300, seed=1, **way
    ),
    "histogram": lambda chain, **way: ss.histogram(
        chain, LEFT, bins=(-2, 2, 8), horizon=8.0, every=0.5, trajectories=300, seed=1, **way
    ),
    "transitions": lambda chain, **way: ss.transitions(chain, MINIMA, rtol=0.3, method="direct", seed=1, **way),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", [MomentumSGD, UnderdampedLangevin])
def test_a_chain_with_memory_is_a_class_of_twenty_lines(kind):
    """A class, no registration; every question sees θ, and no bit of an answer tells of devices or chunks."""
    assert len(inspect.getsource(kind).splitlines()) <= 20
    for name, ask in QUESTIONS.items():
        answers = [numbers(ask(kind(WELL), **way)) for way in (WHOLE, PARTS)]
        assert answers[0], name
        for one, other in zip(*answers, strict=True):
            np.testing.assert_array_equal(one, other, name)


def test_the_whole_state_is_asked_for_by_name():
    chain = UnderdampedLangevin(WELL)
    whole = ss.simulate(ss.chains.WholeState(chain), chain.begin(jnp.asarray(LEFT)), 40, 64, seed=2)
    assert whole.shape == (64, 2)
    np.testing.assert_array_equal(whole[:, :1], ss.simulate(chain, LEFT, 40, 64, seed=2))
    fast = ss.regions.HalfSpace([0.0, 1.0], 1.0)
    found = ss.escape(ss.chains.WholeState(chain), [-1.0, 0.0], fast, 20.0, trajectories=256, seed=2)
    assert 0 < found.probability.value < 1


# ---------------------------------------------------------------------------- landscape, noise model, region, score


class Ring(ss.landscapes.AbstractLandscape):
    """A circular valley."""

    radius: float = 1.0
    dim: int = 2

    def loss(self, theta):
        return (jnp.sum(theta**2) - self.radius**2) ** 2


class AlongGradient(ss.noise.AbstractNoise):
    """V = ∇L∇Lᵀ + I."""

    def noise_dim(self, landscape):
        return landscape.dim + 1

    def apply(self, landscape, theta, xi):
        return landscape.gradient(theta) * xi[0] + xi[1:]

    def covariance(self, landscape, theta):
        gradient = landscape.gradient(theta)
        return jnp.outer(gradient, gradient) + jnp.eye(landscape.dim)


class Slab(ss.regions.AbstractRegion):
    """|θ₀| < half_width."""

    half_width: float

    def level(self, theta):
        return jnp.abs(theta[0]) - self.half_width


def test_landscape_noise_and_region_are_a_class_each():
    diffusion = ss.LangevinSGD(Ring(), AlongGradient(), learning_rate=0.05, batch_size=4)
    chain = ss.EulerMaruyama(diffusion)
    found = ss.escape(chain, [0.0, 1.0], Slab(0.2) & ~Slab(-1.0), 5.0, trajectories=512, score=lambda x: jnp.abs(x[0]))
    assert 0 < found.probability.value < 1
    step = ss.simulate(chain, np.array([0.5, 0.5], np.float32), 1, 40_000, seed=1)
    exact = 0.05**2 / 4 * np.asarray(AlongGradient().covariance(Ring(), jnp.array([0.5, 0.5])))
    # a sample covariance of n Gaussian vectors: √((v_ii v_jj + v_ij²)/n); 4.5 of them, six times
    error = np.sqrt((np.outer(np.diag(exact), np.diag(exact)) + exact**2) / 40_000)
    assert np.all(np.abs(np.cov(step.T) - exact) < 4.5 * error)
    assert np.any(np.abs(np.cov(step.T) - 1.1 * exact) > 4.5 * error)


# ------------------------------------------------------------------------------------------------ kind of increments


@dataclasses.dataclass(frozen=True)
class TwoSigns(AbstractIncrements):
    """±1 by the top bit of a word."""

    def draw(self, *words):
        return tuple(jnp.where(word >> 31 == 1, jnp.float32(1), jnp.float32(-1)) for word in words[0])


def test_a_kind_of_increments_is_a_class():
    motion = ss.diffusions.ItoDiffusion(lambda x, t: 0 * x, lambda x, t: 1 + 0 * x, 1)
    steps = ss.simulate(ss.EulerMaruyama(motion, 1.0, TwoSigns()), np.zeros(1, np.float32), 2, 10_000, seed=1)[:, 0]
    values, counts = np.unique(steps, return_counts=True)
    assert values.tolist() == [-2, 0, 2]
    assert np.all(np.abs(counts / 10_000 - [0.25, 0.5, 0.25]) < 4.5 * np.sqrt(0.25 / 10_000))


# --------------------------------------------------------------------------------------- method, reduction, basins


class Halves(AbstractMethod):
    """Direct simulation in two runs."""

    def answer(self, question, run, effort):
        half = effort.trajectories // 2
        parts = [run.run(range(0, half)), run.run(range(half, effort.trajectories))]
        steps, codes = (np.concatenate([getattr(part, name) for part in parts]) for name in ("step", "code"))
        return Answer("halves", DirectSample(question.watch(), steps, codes.astype(np.int64)), Verdict())


def test_a_rare_event_method_is_a_class_and_a_name(monkeypatch):
    monkeypatch.setitem(METHODS, "halves", Halves())
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(WELL, 0.3), 0.01)
    ways = [ss.escape(chain, LEFT, Slab(1.2), 3.0, trajectories=512, method=name) for name in ("halves", "direct")]
    assert [way.method for way in ways] == ["halves", "direct"]
    np.testing.assert_array_equal(ways[0].exit_times, ways[1].exit_times)
    assert type(ways[0]) is type(ways[1]) and ways[0].status == ss.Status.COMPLETE


class TimeInside(ss.AbstractReduction):
    """Share of looks at which each trajectory is in a region."""

    region: Any

    def init(self, thetas):
        return jnp.zeros(thetas.shape[1], jnp.int32)

    def update(self, carry, thetas, live, look):
        return carry + jax.vmap(self.region.contains, 1)(thetas).astype(jnp.int32)

    def result(self, carry, times):
        return carry / len(times)


def test_an_estimator_is_a_reduction():
    """The same as the mean over stored paths, whatever the devices and the chunk."""
    chain = UnderdampedLangevin(WELL)
    found = [
        ss.reduce(chain, LEFT, TimeInside(Slab(0.9)), times=np.arange(1, 9) * 0.5, trajectories=300, seed=1, **way)
        for way in (WHOLE, PARTS)
    ]
    paths = ss.simulate(chain, LEFT, 80, 300, seed=1, save_every=10)[1:, :, 0]
    for way in found:
        np.testing.assert_array_equal(way.value, np.mean(np.abs(paths) < np.float32(0.9), axis=0))


def test_a_rule_for_basins_is_a_class_and_a_name(monkeypatch):
    class Mirrored(NearestBasins):
        """The farthest of two minima."""

        def label(self, thetas):
            return 1 - super().label(thetas)

        def of_minima(self, landscape, minima):
            return Mirrored(super().of_minima(landscape, minima).locations)

    assert issubclass(Mirrored, AbstractBasins)
    monkeypatch.setitem(BASINS, "mirrored", Mirrored)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(WELL, 0.3), 0.01)
    shares = [
        ss.occupancy(chain, LEFT, minima=MINIMA, basins=name, times=[1.0], trajectories=128).probability.value[0]
        for name in ("nearest", "mirrored")
    ]
    np.testing.assert_allclose(shares[0], shares[1][::-1])


# ------------------------------------------------------------------------------------------------------- study kind


class DriftStudy(AbstractStudy):
    """P(left of 0 at t = 1) at each temperature."""

    kind: Literal["drift"]
    temperatures: list[float]

    def axes(self):
        return {"temperature": len(self.temperatures)}

    def coordinates(self):
        return {"temperature": ("temperature", self.temperatures, {"units": "loss", "long_name": "temperature T"})}

    def run_cell(self, cell, shared):
        temperature = self.temperatures[cell.index["temperature"]]
        chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(WELL, temperature), dt=0.02)
        wells = {"left": ss.regions.HalfSpace([1.0], 0.0)}
        result = ss.occupancy(chain, LEFT, regions=wells, times=[1.0], trajectories=64, seed=cell.seed)
        return cell_dataset(result, cell.seed, f"T = {temperature:g}", along=("time", "basin"))

    def columns(self):
        return [
            Column("T", "temperature", "temperature"),
            Column("P", "probability", "share on the left at t = 1", True, {"basin": 0, "time": 0}),
        ]


@pytest.mark.long
def test_a_study_kind_is_a_class_and_a_registration(monkeypatch, tmp_path):
    monkeypatch.setattr(kind_module, "_registry", kind_module.kinds())
    register(DriftStudy)
    source = tmp_path / "drift.toml"
    source.write_text('kind = "drift"\ntemperatures = [0.2, 0.9]\nseed = 5\n')
    done = ss.study.run(source, tmp_path / "out", progress=False)
    assert done.complete and done.dataset.sizes["temperature"] == 2
    assert "share on the left" in done.report
    assert ss.study.status(tmp_path / "out").finished == 2
