"""Study kinds occupancy, transitions and compare, and what escape studies ask: equal to the library's own calls."""

import tomllib
from collections import OrderedDict
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import sde_sgd as ss
from sde_sgd.engine import _stopping
from sde_sgd.study import StudyError, keys, packaged, packaged_text, parse, run
from sde_sgd.study._kind import cell_seed
from sde_sgd.study._sections import Part

WELLS = """
[landscape]
kind = "TwoWells"
sharp_curvature = 8.0
flat_curvature = 2.0
barrier = 1.0
"""
OCCUPANCY = f"""
kind = "occupancy"
dt = 0.05
times = [1.0, 20.0]
trajectories = 512
{WELLS}
[sweep]
temperature = [0.6, 1.2]
[[start]]
name = "left"
point = [-1.5]
[[start]]
name = "right"
point = "flat_minimum"
[region.sharp]
kind = "HalfSpace"
normal = [1.0]
offset = -0.5
[region.flat]
kind = "HalfSpace"
normal = [-1.0]
offset = 0.5
[reference]
grid = [-5.0, 6.0, 300]
"""
TRANSITIONS = f"""
kind = "transitions"
dt = 0.02
rtol = 0.3
method = "direct"
{WELLS}
[noise]
kind = "Isotropic"
beta = 50.0
[sweep]
learning_rate = 0.1
batch_size = [10, 12.5]
[[minimum]]
name = "sharp"
point = "sharp_minimum"
[[minimum]]
name = "flat"
point = [1.4]
[reference]
grid = [-4.0, 5.0, 400]
"""
COMPARE = """
kind = "compare"
time = 0.5
networks = 40
permutations = 99
measures = ["loss", "norm"]
[landscape]
kind = "EmpiricalRisk"
loss = "squared_error"
penalty = 0.01
seed = 3
[landscape.data]
name = "diabetes"
examples = 20
[landscape.network]
hidden = []
[sweep]
learning_rate = [0.05, 0.1]
batch_size = 4
[[chain]]
name = "SGD"
kind = "MinibatchSGD"
[[chain]]
name = "wild"
kind = "SVAG"
l = 2
"""


def made(text, folder, name="small"):
    (folder / f"{name}.toml").write_text(text)
    return run(folder / f"{name}.toml", folder / name, progress=False)


def wells():
    return ss.landscapes.TwoWells(sharp_curvature=8.0, flat_curvature=2.0, barrier=1.0)


@pytest.fixture(scope="module")
def occupancy(tmp_path_factory):
    """Run once; the folder must not be changed."""
    return made(OCCUPANCY, tmp_path_factory.mktemp("occupancy"))


class TestOccupancy:
    def test_a_cell_is_what_the_library_finds(self, occupancy):
        data, surface = occupancy.dataset, wells()
        regions = {"sharp": ss.regions.HalfSpace([1.0], -0.5), "flat": ss.regions.HalfSpace([-1.0], 0.5)}
        chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(surface, 1.2), 0.05)
        found = ss.occupancy(
            chain, surface.flat_minimum, regions=regions, times=[1.0, 20.0], trajectories=512, seed=cell_seed(0, 3)
        )
        cell = data.sel(start="right", temperature=1.2)
        for end, values in (("", found.probability.value), ("_low", found.probability.low)):
            np.testing.assert_array_equal(cell[f"probability{end}"], values)
        assert data.time.values.tolist() == [1.0, 20.0] and data.basin.values.tolist() == ["sharp", "flat"]
        assert (cell.trajectories, cell.diverged, str(cell.status.values)) == (512, 0, "complete")

    def test_the_exact_law_is_that_of_quadrature_and_is_seen(self, occupancy):
        """Shares at t = 20, long settled, within 4 standard errors; those of a temperature twice as high are not."""
        x = np.linspace(-5, 6, 11_001)
        loss = np.asarray([wells().loss(jnp.array([each])) for each in x[::10]])
        exact = []
        for temperature in (0.6, 1.2):
            law = np.exp(-np.interp(x, x[::10], loss) / temperature)
            exact.append(law[x < -0.5].sum() / law.sum())
        np.testing.assert_allclose(
            occupancy.dataset.probability_exact.sel(start="left", basin="sharp"), exact, atol=2e-3
        )
        seen = occupancy.dataset.probability.isel(time=-1).sel(basin="sharp")
        error = np.sqrt(0.3 * 0.7 / 512)
        # the chain's own law at dt = 0.05 is some percent off the SDE's
        assert np.all(abs(seen - np.array(exact)) < 4 * error + 0.02)
        # the first look is not the law's: the start is seen
        early = occupancy.dataset.probability.isel(time=0).sel(basin="sharp", temperature=0.6)
        assert abs(early.sel(start="left") - exact[0]) > 4 * error + 0.02
        assert (
            "shares at the last time, which may be before the law has settled, have the grid solver's"
            in occupancy.report
        )
        assert "Gibbs weights: it is for minima, and regions were given" in occupancy.report

    def test_its_table_and_figure(self, occupancy):
        table, last = occupancy.table, occupancy.dataset.isel(time=-1)
        assert table["T"].tolist() == [0.6, 1.2, 0.6, 1.2] and len(table) == 4
        assert table["sharp"].tolist() == last.probability.sel(basin="sharp").values.ravel().tolist()
        assert [path.name for path in occupancy.figures] == ["occupancy.png"]

    def test_over_a_window_between_minima(self, tmp_path):
        text = OCCUPANCY.split("[region.sharp]")[0].replace("times = [1.0, 20.0]", "horizon = 20.0")
        text = text.replace("temperature = [0.6, 1.2]", "temperature = 1.2").replace("512", "16")
        text = text.replace("dt = 0.05", 'dt = 0.05\nbasins = "nearest"\nsearch = [[-1.0], [1.0]]')
        outcome = made(text, tmp_path)
        data = outcome.dataset
        assert data.sizes["basin"] == 2 and "time" not in data.dims
        minima = [[-1.5], [1.5]]
        gibbs = ss.theory.gibbs_weights(ss.LangevinSGD.at_temperature(wells(), 1.2), minima)
        np.testing.assert_allclose(np.sort(data.probability_gibbs.values[0]), np.sort(gibbs), rtol=1e-5)
        assert abs(float(data.probability.sum("basin")[0]) - 1) < 1e-6


@pytest.fixture(scope="module")
def transitions(tmp_path_factory):
    """Run once; the folder must not be changed."""
    return made(TRANSITIONS, tmp_path_factory.mktemp("transitions"))


class TestTransitions:
    def test_a_cell_is_what_the_library_finds(self, transitions):
        surface = wells()
        diffusion = ss.LangevinSGD(surface, ss.noise.Isotropic(50.0), 0.1, 12.5)
        found = ss.transitions(
            ss.EulerMaruyama(diffusion, 0.02), {"sharp": surface.sharp_minimum, "flat": [1.4]}, rtol=0.3,
            method="direct", seed=cell_seed(0, 1),
        )  # fmt: skip
        cell = transitions.dataset.sel(batch_size=12.5)
        for end, values in (("", found.rates.value), ("_low", found.rates.low), ("_high", found.rates.high)):
            # times are steps of a float32 dt
            np.testing.assert_allclose(cell[f"rate{end}"], values, rtol=1e-7)
        np.testing.assert_allclose(cell.stationary, found.stationary.value, rtol=1e-7)
        np.testing.assert_allclose(cell.relaxation_time, found.relaxation_time.value, rtol=1e-7)
        assert str(cell.method.sel({"from": "sharp", "to": "flat"}).values) == "direct"

    def test_theory_stands_beside(self, transitions):
        data, surface = transitions.dataset, wells()
        for batch in (10.0, 12.5):
            diffusion = ss.LangevinSGD(surface, ss.noise.Isotropic(50.0), 0.1, batch)
            kramers = 1 / ss.theory.eyring_kramers(diffusion, surface.sharp_minimum, surface.saddle)
            cell = data.sel(batch_size=batch)
            np.testing.assert_allclose(
                cell.rate_eyring_kramers.sel({"from": "sharp", "to": "flat"}), kramers, rtol=1e-4
            )
            exact = 1 / ss.reference.FokkerPlanck(diffusion, (-4.0, 5.0, 400)).spectral_gap()
            np.testing.assert_allclose(cell.relaxation_time_exact, exact, rtol=1e-6)
            # two wells of one depth and curvatures 8 and 2
            np.testing.assert_allclose(cell.stationary_gibbs, [1 / 3, 2 / 3], atol=1e-3)
        # the low-temperature limit is far from exact here, but not from its order
        assert "times those of Eyring–Kramers" in transitions.report
        assert np.all(abs(np.log(data.relaxation_time / data.relaxation_time_exact)) < np.log(1.6))
        assert np.all(abs(np.log(data.relaxation_time * 3 / data.relaxation_time_exact)) > np.log(1.6))

    def test_its_table_and_figures(self, transitions):
        assert transitions.table["sharp→flat"].tolist() == transitions.dataset.rate.values[:, 0, 1].tolist()
        assert {path.name for path in transitions.figures} == {"rates.png", "relaxation_time.png"}


@pytest.fixture(scope="module")
def compare(tmp_path_factory):
    """Run once; the folder must not be changed."""
    return made(COMPARE, tmp_path_factory.mktemp("compare"))


class TestCompare:
    def test_a_cell_is_what_the_library_finds(self, compare, tmp_path):
        study = parse(COMPARE, "x")
        shared = study.prepare(tmp_path)
        risk = shared.risk(study.at({"learning_rate": 1}))
        chains = {"SGD": ss.MinibatchSGD(risk, 0.1, 4), "wild": ss.chains.SVAG(risk, 0.1, 4, 2)}
        found = ss.compare(
            risk, chains=chains, time=0.5, networks=40, measures=["loss", "norm"], permutations=99, seed=cell_seed(0, 1)
        )
        cell = compare.dataset.sel(learning_rate=0.1)
        # five iterations, so that five of eight looks are there; the last comes last
        assert len(found.times) == 5 and np.isnan(cell.look_time.values[:3]).all()
        np.testing.assert_allclose(cell.look_time.values[3:], found.times)
        np.testing.assert_allclose(cell.loss.values[:, 3:], found.mean("loss").value, rtol=1e-5)
        np.testing.assert_allclose(cell.p_value, found.p_value)
        np.testing.assert_allclose(cell.law_distance.values[:, 3:], found.distances, rtol=1e-3, atol=1e-6)
        assert str(cell.sentence.values) == found.sentence and found.sentence in compare.report
        assert compare.table["p wild"].tolist()[1] == found.p_value[0] and cell.trajectories == 80

    def test_its_figures(self, compare):
        assert {path.name for path in compare.figures} == {
            f"comparison-learning_rate-{number:03d}.png" for number in range(2)
        }


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
batch_size = [4, 2]
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
    def test_any_number_may_be_swept(self, escape):
        """A cell by hand: the same bits, over an axis of the noise, one of the horizon, and a set to avoid."""
        data, surface = escape.dataset, wells()
        assert list(data.probability.dims) == ["horizon", "beta", "start", "learning_rate", "batch_size"]
        study = parse(ESCAPE, "x")
        for cell in study.cells()[5::4]:
            values = study.values_at(cell.index)
            diffusion = ss.LangevinSGD(
                surface,
                ss.noise.Isotropic(values["noise.beta"]),
                jnp.asarray(0.1),
                jnp.asarray(values["sweep.batch_size"]),
            )
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
        assert len(escape.table) == 16 and "horizon" in escape.table and "beta" in escape.table

    def test_without_horizon_it_has_mean_times_alone(self, tmp_path):
        text = ESCAPE.replace("horizon = [1.0, 2.0]", 'method = "direct"').replace("[16, 40]", "40.0")
        text = text.split("[[start]]")[0].replace("[4, 2]", "[2]") + "[[start]]" + ESCAPE.split("[[start]]")[2]
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


MISTAKES = {
    (OCCUPANCY, "times = [1.0, 20.0]", ""): "give either times or a horizon",
    (OCCUPANCY, "temperature = [0.6, 1.2]", "learning_rate = 0.1"): "sweep must give learning_rate and batch_size",
    (OCCUPANCY, "temperature = [0.6, 1.2]", "learning_rate = 0.1\nbatch_size = 2"): "section noise is missing",
    (OCCUPANCY, "dt = 0.05", ""): "dt is missing",
    (OCCUPANCY, "dt = 0.05", "dt = 0.05\nsearch = [[1.0]]"): "give one of regions, minima, and a search",
    (OCCUPANCY, '"HalfSpace"', '"HalfSpce"'): "did you mean 'HalfSpace'",
    (OCCUPANCY, "grid = [-5.0, 6.0, 300]", "grid = [[-5, 6, 30], [-5, 6, 30]]"): "reference.grid does not fit",
    (OCCUPANCY, "[sweep]", "[chain]\nmomentum = 0.5\n[sweep]"): "chain.momentum is not for EulerMaruyama",
    (OCCUPANCY, "[sweep]", '[chain]\nkind = "MomentumSGD"\n[sweep]'): "chain.momentum is missing",
    (TRANSITIONS, "rtol = 0.3", 'rtol = 0.3\nneighbours = [["sharp", "falt"]]'): "neighbours must be names of minima",
    (TRANSITIONS, '[[minimum]]\nname = "flat"\npoint = [1.4]', ""): "give either at least two minima, or a search",
    (TRANSITIONS, "[noise]", '[chain]\nkind = "MinibatchSGD"\n[noise]'): "takes no noise model",
    (TRANSITIONS, "barrier = 1.0", "barrier = 1.0\npenalty = 0.1"): "landscape.penalty is for kind EmpiricalRisk",
    (COMPARE, "time = 0.5", "time = 0.5\ntimes = [0.5]"): "give either time or times",
    (COMPARE, '"MinibatchSGD"', '"MinibatchSGD"\nsubsteps = 2'): "chain 'SGD' is no SDE",
    (COMPARE, "batch_size = 4", "batch_size = 4.5"): "batch_size must be a whole number of examples, got 4.5",
    (COMPARE, '"norm"', '"nrm"'): "did you mean 'norm'",
    (COMPARE, "[landscape.network]\nhidden = []", ""): "needs landscape.data, and landscape.network",
    (COMPARE, "seed = 3", "seed = 3\nwidth = 3"): "unknown key in landscape of kind EmpiricalRisk 'width'",
}


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: MISTAKES[case][:40])
def test_mistakes_are_said_before_anything_runs(case, tmp_path):
    text, old, new = case
    assert old in text
    with pytest.raises(StudyError) as raised:
        parse(text.replace(old, new, 1), "bad").prepare(tmp_path)
    assert MISTAKES[case] in str(raised.value), raised.value


class TestPage:
    def test_it_is_up_to_date(self):
        page = (Path(__file__).parents[1] / "docs" / "study_files.md").read_text("utf-8")
        assert page == keys.keys_page(), "python -m sde_sgd.study.keys > docs/study_files.md"

    def test_every_key_has_a_meaning(self):
        empty = [
            (title, key) for title, rows in keys.chapters().items() for key, row in rows.items() if not row.meaning
        ]
        ours = [(title, key) for title, key in empty if hasattr(ss.study.kinds, title) or title.endswith("Spec")]
        assert not ours, ours

    @pytest.mark.parametrize("name", packaged())
    def test_every_key_of_a_packaged_study_is_on_it(self, name):
        known = keys.chapters()
        table = tomllib.loads(packaged_text(name))

        def check(title, value):
            for key, part in value.items():
                assert key in known[title], (title, key)
                below = known[title][key].type
                if "](#" in below:
                    section = below.split("[")[-1].split("]")[0]
                    parts = part if isinstance(part, list) else part.values() if "by name" in below else [part]
                    for each in parts:
                        if section in {part.__name__ for part in Part.__subclasses__()} and each["kind"] in known:
                            assert set(each) - {"kind"} <= set(known[each["kind"]]), each
                        else:
                            check(section, each)

        check(table["kind"], table)

    def test_swept_is_said_as_it_is(self):
        rows = keys.chapters()
        assert rows["escape"]["horizon"].swept == "list" and rows["escape"]["seed"].swept == "no"
        assert rows["occupancy"]["times"].swept == "no" and rows["NetworkSpec"]["hidden"].swept == "each"
        assert rows["TwoWells"]["barrier"].swept == "list" and rows["Quadratic"]["hessian"].swept == "each"


@pytest.mark.long
def test_a_training_study_over_penalties_and_seeds_of_the_data(tmp_path):
    """The first values have the bits of the study without them; the others train on another loss, or on other data."""
    text = """
    kind = "train"
    networks = 2
    loss = "squared_error"
    measures = ["train_loss"]
    penalty = PENALTY
    stop = {steps = 3}
    data = {name = "diabetes", examples = 20, held_out = 0.2, seed = SEED}
    network = {hidden = [2]}
    sweep = {learning_rate = 0.1, batch_size = 4}
    """
    plain = made(text.replace("PENALTY", "0.0").replace("SEED", "1"), tmp_path, "plain").dataset
    swept = made(text.replace("PENALTY", "[0.0, 1.0]").replace("SEED", "{each = [1, 2]}"), tmp_path, "swept").dataset
    assert list(swept.train_loss.dims) == ["seed", "penalty", "reading", "learning_rate", "batch_size"]
    np.testing.assert_array_equal(swept.train_loss_of_each.isel(penalty=0, seed=0), plain.train_loss_of_each)
    # the seeds of the cells' noise differ, and yet by less than what the penalty and the data do
    for other in ({"penalty": 1, "seed": 0}, {"penalty": 0, "seed": 1}):
        assert np.all(abs(swept.train_loss_of_each.isel(other).values - plain.train_loss_of_each.values) > 1e-3)


class TestSweepFigure:
    """Its data are those of the dataset; the axis is the longest numeric one, and every other place has a line."""

    DATA = xr.Dataset(
        {
            "rate": (
                ("basin", "temperature"),
                [[1.0, 2.0, 4.0], [0.0, 0.0, 0.0]],
                {"long_name": "rate", "units": "1 / s"},
            ),
            "rate_low": (("basin", "temperature"), [[0.5, 1.5, 3.0], [0.0, 0.0, 0.0]]),
            "rate_high": (("basin", "temperature"), [[1.5, 2.5, np.inf], [0.0, 0.0, 0.0]]),
            "rate_theory": (("basin", "temperature"), [[1.1, 2.1, 4.1], [np.nan, np.nan, np.nan]]),
        },
        {
            "basin": ["left", "right"],
            "temperature": ("temperature", [0.1, 0.2, 0.8], {"long_name": "T", "units": "loss"}),
        },
    )

    def test_it_shows_the_data(self):
        panel = ss.plotting.sweep_figure(self.DATA, "rate", {"rate_theory": "theory"}, log=True).axes[0]
        (bars,) = panel.containers
        assert bars.lines[0].get_xdata().tolist() == [0.1, 0.2, 0.8] and bars.get_label() == "basin left"
        assert bars.lines[0].get_ydata().tolist() == [1.0, 2.0, 4.0]
        ends = [segment[:, 1].tolist() for segment in bars.lines[2][0].get_segments()]
        assert ends == [[0.5, 1.5], [1.5, 2.5], [3.0, 4.0]]
        theory = [line for line in panel.get_lines() if line.get_label() == "_rate_theory"]
        assert [line.get_ydata().tolist() for line in theory] == [[1.1, 2.1, 4.1]]
        assert panel.get_yscale() == panel.get_xscale() == "log"
        assert panel.get_xlabel() == "T (loss)" and panel.get_ylabel() == "rate (1 / s)"
        assert [text.get_text() for text in panel.get_legend().get_texts()] == ["theory", "basin left"]

    def test_without_an_axis_of_numbers(self):
        panel = ss.plotting.sweep_figure(self.DATA.isel(temperature=0), "rate", {}).axes[0]
        assert [container.get_label() for container in panel.containers] == ["basin left"]
        with pytest.raises(ValueError, match="got 'time', which it lacks"):
            ss.plotting.sweep_figure(self.DATA, "time", {})
