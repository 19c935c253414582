"""The calls that a person writes, as the design and the README write them, with small numbers."""

import ast
import importlib
import importlib.metadata
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import sde_sgd as ss

LANDSCAPE = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
START = np.array([-1.0])


def stub_names():
    """Home and name of each public name, as the stub writes them; a room's home is the package itself."""
    tree = ast.parse(Path(ss.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    lines = [line for line in tree.body if isinstance(line, ast.ImportFrom)]
    return [(line.module or "", alias.asname) for line in lines for alias in line.names]


def test_every_name_of_the_stub_is_what_its_room_calls_so():
    names = stub_names()
    assert sorted(name for _, name in names) == sorted(set(ss.__all__)) == sorted(dir(ss))
    for home, name in names:
        found = importlib.import_module(f"sde_sgd.{home}" if home else f"sde_sgd.{name}")
        assert getattr(ss, name) is (getattr(found, name) if home else found)
    with pytest.raises(AttributeError, match="escap"):
        _ = ss.escap


def test_the_package_says_its_version_and_that_it_is_typed():
    assert Path(ss.__file__).with_name("py.typed").exists()
    assert ss.__version__ == importlib.metadata.version("sde-sgd")


@pytest.fixture(scope="module")
def chain():
    diffusion = ss.LangevinSGD(LANDSCAPE, ss.noise.Isotropic(40.0), learning_rate=0.05, batch_size=4)
    assert float(diffusion.temperature) == pytest.approx(0.25)
    return ss.EulerMaruyama(diffusion, dt=0.01)


@pytest.fixture(scope="module")
def left():
    return ss.regions.HalfSpace(normal=[1.0], offset=0.0)


def test_temperature_is_learning_rate_times_beta_over_twice_the_batch():
    diffusion = ss.LangevinSGD(LANDSCAPE, ss.noise.Isotropic(1.0), learning_rate=0.1, batch_size=10)
    assert float(diffusion.temperature) == pytest.approx(0.005)
    assert float(ss.EulerMaruyama(diffusion).time_step) == pytest.approx(0.1)
    assert ss.LangevinSGD.at_temperature(LANDSCAPE, 0.1).temperature == 0.1


def test_simulate(chain):
    final = ss.simulate(chain, start=jnp.array([-1.0]), steps=32, trajectories=64, seed=0)
    path = ss.simulate(chain, start=jnp.array([-1.0]), steps=32, trajectories=64, seed=0, save_every=8)
    alone = ss.simulate(chain, start=jnp.array([-1.0]), steps=32, trajectory_ids=[17], seed=0)
    assert final.shape == (64, 1) and path.shape == (32 // 8 + 1, 64, 1) and alone.shape == (1, 1)
    assert np.all(path[0] == -1)
    assert np.array_equal(path[-1], final) and np.array_equal(alone[0], final[17])


def test_integrate_inside_jit_vmap_and_grad(chain):
    ids = jnp.arange(8)

    def mean(start):
        return ss.integrate(chain, jnp.full((8, 1), start), first_step=0, steps=4, seed=0, trajectory_ids=ids).mean()

    assert np.all(np.isfinite(jax.jit(jax.vmap(jax.grad(mean)))(jnp.array([-1.0, -0.9]))))


def test_regions_combine(chain):
    ball = ss.regions.Ball(center=jnp.array([-1.0]), radius=0.5)
    low = ss.regions.Sublevel(LANDSCAPE, 0.25)
    for region, inside in ((~ball, False), (ball & low, True), (ball | low, True)):
        assert bool(region.contains(jnp.array([-1.0]))) is inside


def test_escape(chain, left):
    fp = ss.escape(chain, start=jnp.array([-1.0]), region=left, horizon=20.0, trajectories=512, seed=0)
    assert 0 < fp.probability.low < fp.probability.value < fp.probability.high < 1
    survival = fp.survival(jnp.array([1.0, 10.0]))
    assert survival.value.shape == survival.low.shape == survival.high.shape == (2,)
    assert fp.mean_exit_time.low < fp.mean_exit_time.value and fp.exit_rate.value > 0
    assert fp.diverged == 0
    data = fp.to_dataset()
    assert isinstance(data, xr.Dataset)
    for name in data.variables:
        if name != "trajectory":
            assert "units" in data[name].attrs and data[name].attrs["long_name"], name


def test_escape_to_a_precision_and_between_steps(chain, left):
    start = jnp.array([-1.0])
    tight = ss.escape(chain, start=start, region=left, horizon=20.0, rtol=0.2, seed=0)
    assert tight.probability.relative_half_width <= 0.25 and "complete" in tight.result
    spent = ss.escape(chain, start=start, region=left, horizon=20.0, rtol=0.01, max_trajectories=512, seed=0)
    assert "budget" in spent.result
    both = (
        ss.escape(chain, start=start, region=left, horizon=20.0, trajectories=512, monitoring=kind).probability.value
        for kind in ("discrete", "continuous")
    )
    discrete, continuous = both
    assert discrete < continuous


def test_first_passage_to_one_set_before_another(chain, left):
    target, avoid = ~left, ss.regions.HalfSpace(normal=[1.0], offset=-1.2)
    fp = ss.first_passage(chain, START, target=target, avoid=avoid, horizon=None, trajectories=256)
    assert fp.count("target") + fp.count("avoid") == 256 and fp.count("target") > 0


def test_theory(chain):
    diffusion = chain.diffusion
    minima = ss.landscapes.find_minima(LANDSCAPE, [[-0.8], [0.7]])
    saddle = ss.landscapes.find_saddle(LANDSCAPE, *minima)
    assert ss.theory.eyring_kramers(diffusion, minima[0], saddle) == pytest.approx(60.6433, rel=1e-5)
    np.testing.assert_allclose(ss.theory.gibbs_weights(diffusion, minima), 0.5)
    probability = ss.theory.outside_probability(diffusion, minima[0], 0.3, np.array([0.1, 1.0]))
    assert probability.shape == (2,) and probability[0] < probability[1]


def test_reference(chain, left):
    exact = ss.reference.FokkerPlanck(chain.diffusion, grid=(-2.2, 2.2, 400))
    assert exact.mean_exit_time(left)(START) == pytest.approx(33.945744, rel=1e-5)
    assert exact.escape_probability(left, START, np.array([1.0, 20.0])).shape == (2,)
    assert exact.stationary().sum() * 4.4 / 400 == pytest.approx(1)
    assert 0 < exact.spectral_gap() < 0.1
