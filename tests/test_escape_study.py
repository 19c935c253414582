"""Escape studies that ask more than a start, a γ and an M: equal to the library's own calls, and one program."""

from collections import OrderedDict

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from study_cases import COMPARE, WELLS, assert_answers, made, wells

import sde_sgd as ss
from sde_sgd.engine import _stopping
from sde_sgd.study import parse
from sde_sgd.study._kind import cell_seed

ESCAPE = f"""
kind = "escape"
horizon = [1.0, 2.0]
trajectories = 256
dt = 0.05
{WELLS}
[noise]
kind = "Isotropic"
beta = [16, 40]
[sweep]
learning_rate = [0.1]
batch_size = [2]
[[start]]
name = "sharp"
point = "sharp_minimum"
target = {{kind = "Ball", center = [1.5], radius = 0.5}}
avoid = {{kind = "Ball", center = [-3.0], radius = 0.7}}
[[start]]
name = "flat"
point = "flat_minimum"
saddle = "saddle"
[reference]
grid = [-4.0, 5.0, 200]
"""


@pytest.fixture(scope="module")
def escape(tmp_path_factory):
    """Run once; the folder must not be changed."""
    return made(ESCAPE, tmp_path_factory.mktemp("escape"))


class TestEscape:
    def test_it_has_what_it_says_beforehand(self, escape):
        assert_answers(ESCAPE, escape.dataset)

    def test_any_number_may_be_swept(self, escape):
        """A cell by hand: the same bits, over an axis of the noise, one of the horizon, and a set to avoid."""
        data, surface = escape.dataset, wells()
        assert list(data.probability.dims) == ["horizon", "beta", "start", "learning_rate", "batch_size"]
        study = parse(ESCAPE, "x")
        for cell in study.cells()[2::3]:
            values = study.values_at(cell.index)
            # numbers as they are: of `jnp.asarray(0.1)` JAX would make another program, for its weak type
            diffusion = ss.LangevinSGD(surface, ss.noise.Isotropic(values["noise.beta"]), 0.1, 2.0)
            chain, way = ss.EulerMaruyama(diffusion, 0.05), {"trajectories": 256, "seed": cell.seed}
            if cell.index["start"]:
                found = ss.escape(
                    chain, surface.flat_minimum, ss.regions.HalfSpace([-1.0], 0.5), values["horizon"], **way
                )
            else:
                target, avoid = ss.regions.Ball([1.5], 0.5), ss.regions.Ball([-3.0], 0.7)
                found = ss.first_passage(chain, surface.sharp_minimum, target, avoid, values["horizon"], **way)
            assert data.probability.isel(cell.index) == found.probability.value

    def test_survival_ends_where_a_watch_ends(self, escape):
        short, long = (escape.dataset.sel(horizon=each) for each in (1.0, 2.0))
        assert short.survival.sel(time=1.0).notnull().all() and short.survival.sel(time=2.0).isnull().all()
        assert long.survival.sel(time=2.0).notnull().all()
        exact = escape.dataset.exit_exact.sel(start="flat")
        np.testing.assert_array_equal(
            escape.dataset.exit_exact_at_horizon.sel(start="flat", horizon=1.0), exact.sel(horizon=1.0, time=1.0)
        )
        assert escape.dataset.exit_exact.sel(start="sharp").isnull().all()
        assert "exact solver: it is not computed beside a set to avoid" in escape.report
        assert len(escape.table) == 8 and "horizon" in escape.table and "beta" in escape.table

    def test_no_theory_stands_beside_a_set_to_avoid(self, tmp_path):
        """Nor Eyring–Kramers, which knows no such set; without it, it does."""
        target = 'saddle = "saddle"\ntarget = {kind = "HalfSpace", normal = [-1.0], offset = -0.5}\navoid = '
        text = ESCAPE.replace('target = {kind = "Ball", center = [1.5], radius = 0.5}\navoid = ', target)
        without = "\n".join(line for line in text.splitlines() if not line.startswith("avoid"))
        for given, is_known in ((text, False), (without, True)):
            study = parse(given, "x")
            found = study.prepare(tmp_path).theory(study.at(study.cells()[0].index), 0)
            assert bool(found.mean_exit_time_eyring_kramers.notnull()) is is_known

    def test_without_horizon_it_has_mean_times_alone(self, tmp_path):
        text = ESCAPE.replace("horizon = [1.0, 2.0]", 'method = "direct"').replace("[16, 40]", "40.0")
        text = text.split("[[start]]")[0] + "[[start]]" + ESCAPE.split("[[start]]")[2]
        outcome = made(text, tmp_path)
        assert "probability" not in outcome.dataset and "P simulated" not in outcome.table
        exact, found = outcome.dataset.mean_exit_time_exact.item(), outcome.dataset.mean_exit_time.item()
        # 256 exits, nearly exponential: 4 standard errors and the step; another temperature's is further off
        assert abs(np.log(found / exact)) < 4 / 16 + 0.1 < abs(np.log(found / (2 * exact)))

    @pytest.mark.long
    def test_minibatches_on_a_risk(self, tmp_path):
        text = (
            COMPARE.split("[[chain]]")[0]
            .split("[landscape]")[1]
            .replace("[0.05, 0.1]", "[0.1]")
            .replace("= 4", "= [4]")
        )
        text = f"""
        kind = "escape"
        horizon = 2.0
        trajectories = 32
        chain = {{kind = "MomentumSGD", momentum = [0.0, 0.5], sampling = "without"}}
        start = [{{name = "low", point = "minimum", region = {{kind = "Sublevel", above = 0.02}}}}]
        [landscape]{text}"""
        outcome = made(text, tmp_path)
        data = outcome.dataset
        study = parse(text, "x")
        start = study.prepare(tmp_path).starts(study.at(study.cells()[0].index))[0]
        risk = start.region.landscape
        assert np.linalg.norm(risk.gradient(jnp.asarray(start.point, jnp.float32))) < 1e-4
        chain = ss.chains.MomentumSGD(risk, 0.1, 4, 0.5, replacement=False)
        found = ss.escape(chain, start.point, start.region, 2.0, trajectories=32, seed=cell_seed(0, 1))
        assert data.probability.sel(momentum=0.5).item() == found.probability.value
        assert "there is none beside a chain of kind MomentumSGD" in outcome.report and study.programs() == 1


def _no_theory(shared, one, number):
    unknown = {name: ("time", np.full(len(one.times()), np.nan)) for name in ("exit_linearised", "exit_exact")}
    return xr.Dataset(unknown, attrs={"notes": ""})


def test_a_sweep_over_numbers_is_one_program(tmp_path, monkeypatch):
    """A loss is traced for the first cell and for no other, over parameters of it, the noise, γ, M and the horizon."""
    monkeypatch.setattr(_stopping._BLOCK, "_programs", OrderedDict())
    (tmp_path / "counted.py").write_text("def loss(x, p):\n    return p['a'] * (x[0] ** 2 - 1) ** 2\n")
    text = """
    kind = "escape"
    horizon = [1.0, 1.5]
    trajectories = 64
    dt = 0.05
    landscape = {function = "counted:loss", dim = 1, parameters = {a = {each = [1.0, 1.5]}}}
    noise = {kind = "Isotropic", beta = [4.0, 8.0]}
    sweep = {learning_rate = [0.1, 0.2], batch_size = [1, 2]}
    start = [{name = "left", point = [-1.0], saddle = [0.0]}]
    """
    study = parse(text, "x")
    shared, counts = study.prepare(tmp_path), []
    monkeypatch.setattr(type(shared), "theory", _no_theory)
    cells = study.cells()
    assert len(cells) == 32 and study.programs() == 1
    for cell in cells[::7]:
        study.run_cell(cell, shared)
        counts.append(len(_stopping._BLOCK))
    assert counts == [1] * len(counts)
