"""Keys that the studies of a chain share: schedules, shapes of noise, level sets by a multiple; and bare layers."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from study_cases import MINIMA, SMALL, made

import sde_sgd as ss
from sde_sgd.study import StudyError, _build, _chains, _networks, parse
from sde_sgd.study._kind import cell_seed
from sde_sgd.study._sections import NetworkSpec, NoiseSpec, RegionSpec, ScheduleSpec

FALLING = f"""
kind = "occupancy"
times = [0.5, 4.0]
trajectories = 256
[landscape]
kind = "TwoWells"
sharp_curvature = 8.0
flat_curvature = 2.0
barrier = 0.2
[noise]
kind = "Isotropic"
beta = 40.0
[sweep]
learning_rate = 0.02
batch_size = [2, 4]
[schedule]
kind = "cosine"
iterations = [50, 100]
factor = 0.2
{MINIMA}"""


@pytest.mark.parametrize(
    ("kind", "formula"),
    [
        ("exponential", lambda k: 0.3 * 0.2 ** (k / 40)),
        ("cosine", lambda k: 0.3 * (0.2 + 0.8 * (1 + np.cos(np.pi * np.minimum(k / 40, 1))) / 2)),
        ("linear", lambda k: 0.3 * (1 - 0.8 * np.minimum(k / 40, 1))),
    ],
)
def test_schedules_are_what_they_say(kind, formula):
    made = _chains.schedule(ScheduleSpec(kind=kind, iterations=40, factor=0.2), 0.3)
    k = np.array([0, 7, 20, 40, 55])
    np.testing.assert_allclose(np.asarray(made(k)), formula(k), rtol=1e-5)


@pytest.mark.long
def test_a_falling_rate_is_that_of_the_library(tmp_path):
    """A cell has the bits of the library's own call with optax's schedule; a constant rate ends elsewhere."""
    data = made(FALLING, tmp_path).dataset
    assert data.sizes["iterations"] == 2 and data.sizes["batch_size"] == 2
    surface = ss.landscapes.TwoWells(8.0, 2.0, 0.2)
    run = {"times": [0.5, 4.0], "trajectories": 256, "seed": cell_seed(0, 3)}
    minima = {"sharp": surface.sharp_minimum, "flat": surface.flat_minimum}
    shares = []
    for rate in (optax.cosine_decay_schedule(0.02, 100, 0.2), 0.02):
        chain = ss.EulerMaruyama(ss.LangevinSGD(surface, ss.noise.Isotropic(40.0), rate, 4.0), 0.02)
        shares.append(ss.occupancy(chain, surface.sharp_minimum, minima=minima, **run).probability.value)
    cell = data.isel(iterations=1, batch_size=1, start=0)
    # looks first, then basins, in the library's result
    ours = cell.probability.transpose("time", "basin").values
    np.testing.assert_array_equal(ours, shares[0])
    assert np.abs(ours - shares[1]).max() > 0.05
    assert np.all(np.isfinite(data.probability_kramers)) and np.all(np.isnan(data.probability_rates))


def test_theory_of_a_constant_rate_is_not_shown_beside_a_falling_one(tmp_path):
    study = parse(SMALL + '[schedule]\nkind = "linear"\niterations = 10\nfactor = 0.5\n', "x")
    assert isinstance(study, ss.study.EscapeStudy)
    one = next(study.along_axes())
    shared = study.prepare(Path("."))
    theory = shared.theory(one, 0)
    assert np.all(np.isnan(theory.exit_exact)) and np.isnan(theory.mean_exit_time_exact)
    assert "exact solver: there is none beside a learning rate that falls" in theory.attrs["notes"]
    assert "the learning rate falls, linear" in study.chain_words()


def test_programs_of_schedules_are_counted():
    """A schedule is built in with its numbers, and with the rate that it begins at."""
    assert parse(FALLING, "x").programs() == 4
    assert parse(FALLING.replace("[2, 4]", "[2.5, 4.5]").replace("[50, 100]", "50"), "x").programs() == 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("factor = 0.2", "factor = 1.0", "schedule.factor"),
        ('"cosine"', '"cosin"', "schedule.kind"),
        ('kind = "cosine"\niterations = [50, 100]\nfactor = 0.2', 'kind = "exponential"\niterations = 5\nfactor = 0.0',
         "schedule.factor of kind exponential must be above 0"),
        ("learning_rate = 0.02\nbatch_size = [2, 4]", "temperature = 0.1", "schedule is of a learning rate"),
    ],
)  # fmt: skip
def test_mistakes_in_schedules(old, new, said):
    with pytest.raises(StudyError, match=said):
        parse(FALLING.replace(old, new), "x")


C = [[3.0, 0.8], [0.8, 1.0]]


def test_shapes_of_noise():
    """Of one trace; each that of its class on a surface with a Hessian of its own."""
    surface, theta = ss.landscapes.Quadratic([[5.0, 1.0], [1.0, 2.0]]), jnp.zeros(2)
    whole = ss.noise.ConstantCovariance(C)
    expected = {
        "full": whole, "isotropic": ss.noise.IsotropicOf(whole), "diagonal": ss.noise.DiagonalOf(whole),
        "hessian": ss.noise.HessianOf(whole), "leading": ss.noise.LeadingOf(whole),
        "leading hessian": ss.noise.LeadingOf(whole, "hessian"),
    }  # fmt: skip
    seen = []
    for name, model in expected.items():
        spec = NoiseSpec.model_validate({"kind": "ConstantCovariance", "matrix": C, "reshaped": name})
        found = np.asarray(_build.noise_model(spec).covariance(surface, theta))
        np.testing.assert_allclose(found, model.covariance(surface, theta), rtol=1e-6)
        assert np.trace(found) == pytest.approx(4.0, rel=1e-5)
        seen.append(found)
    assert all(np.abs(a - b).max() > 0.1 for place, a in enumerate(seen) for b in seen[:place])


def test_a_level_set_by_a_multiple_of_the_loss():
    surface = ss.landscapes.Landscape(lambda x: 0.5 + x[0] ** 2, dim=1)
    spec = RegionSpec.model_validate({"kind": "Sublevel", "multiple": 3.0})
    region = _build.region_of("region", spec, surface, np.array([0.5]))
    assert isinstance(region, ss.regions.Sublevel) and float(region.value) == pytest.approx(2.25)
    higher = RegionSpec.model_validate({"kind": "Sublevel", "above": 3.0})
    above = _build.region_of("region", higher, surface, np.array([0.5]))
    assert isinstance(above, ss.regions.Sublevel) and float(above.value) == pytest.approx(3.75)
    with pytest.raises(StudyError, match="above and multiple are of the loss at a start, and there is none"):
        _build.region_of("region", higher, surface)
    with pytest.raises(ValueError, match="takes either above or multiple, not both"):
        RegionSpec.model_validate({"kind": "Sublevel", "multiple": 3.0, "above": 1.0})
    with pytest.raises(ValueError, match="are of a Sublevel, got them for Ball"):
        RegionSpec.model_validate({"kind": "Ball", "multiple": 3.0})


def test_layers_without_constants():
    """abx for one hidden unit without activation: two weights. Twin: with constants there are four."""
    spec = NetworkSpec(hidden=[1], activation="identity", bias=False)
    examples = ss.data.gaussian(6, 1, slope=1.0, noise=0.0)
    risk, make = _networks.risk(spec, [1], examples, "squared_error", 0.0, Path("."))
    assert risk.dim == 2
    a, b = np.asarray(risk.flatten(make(jax.random.key(4))))
    x = examples.inputs[:, 0]
    assert float(risk.loss(jnp.array([a, b]))) == pytest.approx(np.mean((a * b * x - x) ** 2) / 2, rel=1e-5)
    assert _networks.risk(NetworkSpec(hidden=[1]), [1], examples, "squared_error", 0.0, Path("."))[0].dim == 4
    with pytest.raises(ValueError, match="bias is of layers"):
        NetworkSpec(function="mine:net", bias=False)
