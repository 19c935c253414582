"""One budget for a study: a pilot, then trajectories where intervals would be widest; the same bits whoever runs it."""

import numpy as np
import pytest
import xarray as xr
from study_cases import SMALL

import sde_sgd as ss
from sde_sgd.study import EscapeStudy, StudyError, init, parse, resume, run, status, worker
from sde_sgd.study._kind import cell_seed
from sde_sgd.study.kinds._budget import allocation

BUDGET = """
kind = "escape"
name = "spent"
horizon = 2.0
dt = 0.1
trajectories = 512
budget = 400000
method = "direct"
"""
# higher than that of the small study, from the same start
BUDGET += SMALL[SMALL.index("[landscape]") : SMALL.index("[reference]")].replace("barrier = 0.1", "barrier = 0.25")
BUDGET = BUDGET.replace("learning_rate = [0.04, 0.08]", "learning_rate = 0.1")


class TestAllocation:
    def test_relative_widths_are_equal_and_the_budget_is_spent(self):
        """√((1 − p)/(p n)) of all cells; a twin with equal numbers has one 10 times another, at the same cost."""
        chance, of, steps = np.array([0.5, 0.09, 0.01]), np.full(3, 1e4), np.array([1e4, 4e4, 5e4])
        found = allocation(chance, of, steps, 2e6)
        p = (chance * of + 0.5) / (of + 1)
        widths = np.sqrt((1 - p) / p / found)
        np.testing.assert_allclose(widths, widths[0], rtol=1e-3)
        spent = steps.sum() + found @ (steps / of)
        assert 2e6 - 3 * 10 < spent <= 2e6
        equal = np.sqrt((1 - p) / p)
        assert equal[2] > 9.9 * equal[0] and found.dtype == np.int64

    def test_cells_without_an_exit_or_a_number(self):
        """None seen in 100 is as 1 in 202; where every trajectory diverged more of them tell nothing."""
        found = allocation(np.array([[0.0, 0.5], [np.nan, 0.5]]), np.full((2, 2), 100.0), np.full((2, 2), 1e3), 1e6)
        assert found.shape == (2, 2) and found[1, 0] == 1 and found[0, 1] == found[1, 1]
        assert found[0, 0] == pytest.approx(201 * found[0, 1], rel=1e-2)

    def test_the_order_of_cells_does_not_matter(self):
        generator = np.random.default_rng(0)
        chance, steps = generator.uniform(0.01, 0.9, 50), generator.uniform(1, 9, 50) * 1e3
        order = generator.permutation(50)
        one = allocation(chance, np.full(50, 64.0), steps, 1e7)
        np.testing.assert_array_equal(allocation(chance[order], np.full(50, 64.0), steps[order], 1e7), one[order])

    def test_a_budget_that_the_pilot_spends(self):
        with pytest.raises(StudyError, match="budget must be at least 2020 path-steps, for the pilot and one traject"):
            allocation(np.full(2, 0.5), np.full(2, 100.0), np.full(2, 1e3), 2e3)


@pytest.fixture(scope="module")
def spent(tmp_path_factory):
    """Run once; the folder must not be changed."""
    return run(study(), tmp_path_factory.mktemp("budget") / "out", progress=False)


def study(text=BUDGET):
    return parse(text, "spent")


class TestStudy:
    def test_cells_have_the_trajectories_that_the_pilot_tells(self, spent):
        """Others than the pilot's, so that their number does not depend on them; the widths come out alike."""
        pilot = xr.open_zarr(spent.folder / "pilot" / "dataset.zarr").load()
        data = spent.dataset.isel(start=0, learning_rate=0)
        names = ("probability", "trajectories", "path_steps")
        numbers = allocation(*(pilot[name].values for name in names), 4e5).ravel()
        np.testing.assert_array_equal(data.trajectories, numbers)
        assert numbers[1] > 1.5 * numbers[0] and pilot.trajectories.values.tolist() == [[[512.0, 512.0]]]
        whole = float(data.path_steps.sum() + pilot.path_steps.sum())
        assert abs(whole / 4e5 - 1) < 0.1
        widths = ((data.probability_high - data.probability_low) / data.probability).values
        assert max(widths) < 1.2 * min(widths), widths
        seen = pilot.probability.values.ravel()
        equal = np.sqrt((1 - seen) / seen)
        assert max(equal) > 1.2 * min(equal)
        one = study()
        assert isinstance(one, EscapeStudy)
        shared = one.prepare(spent.folder)
        surface, start = shared.surface(one), shared.starts(one)[0]
        found = ss.escape(
            one.at({"start": 0, "learning_rate": 0, "batch_size": 1}).chain_of(surface), start.point, start.region, 2.0,
            trajectory_ids=512 + np.arange(numbers[1]), seed=cell_seed(0, 1), method="direct",
        )  # fmt: skip
        assert float(data.probability[1]) == float(found.probability)
        assert "budget: 400000 path-steps, of which the cells took" in spent.report

    def test_what_is_left_is_known_by_the_pilot(self, spent):
        """Of a bar and of `status`: work goes as the path-steps. Without a pilot both cells would be as large."""
        from sde_sgd.study.running._task import held, weigh

        store, one, _ = held(spent.folder)
        units, steps = store.bind(one).units, spent.dataset.path_steps.values.ravel()
        assert len({unit.work for unit in units.values()}) == 1 and max(steps) > 1.4 * min(steps)
        weigh(store, one)
        np.testing.assert_allclose([unit.work for unit in units.values()], steps, rtol=0.1)

    @pytest.mark.long
    def test_processes_have_the_same_bits(self, spent, tmp_path):
        outcome = run(study(), tmp_path / "out", executor=2, progress=False)
        xr.testing.assert_identical(outcome.dataset, spent.dataset)

    def test_workers_and_who_resumes_have_the_same_bits(self, spent, tmp_path):
        """One worker helps with the pilot and does its share, is looked at, and another process finishes."""
        folder = init(study(), tmp_path / "out")
        assert worker(folder, (0, 2), progress=False) == 3
        found = status(folder)
        assert (found.name, found.finished, found.cells) == ("spent", 1, 2)
        outcome = resume(folder, progress=False)
        assert outcome.complete and outcome.computed == 1
        xr.testing.assert_identical(outcome.dataset, spent.dataset)

    def test_a_pilot_that_is_not_finished(self, tmp_path):
        """`status` tells of it, and no cell is run on what is not known."""
        folder = init(study(), tmp_path / "out")
        one = study()
        pilot = one.pilot()
        assert pilot is not None and pilot.pilot() is None and status(folder).finished == 0
        init(pilot, folder / "pilot")
        assert status(folder).name == "spent-pilot" and f"resume {folder}" in str(status(folder))
        from sde_sgd.study.running._task import open_folder, run_unit

        with pytest.raises(StudyError, match=r"the pilot in .* is not finished; run: sde-sgd resume"):
            run_unit(str(folder), next(iter(open_folder(folder).units)))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('method = "direct"', 'method = "auto"', "budget needs the trajectories of its pilot, a horizon, and method"),
        ("horizon = 2.0", "max_steps = 100", "budget needs the trajectories of its pilot, a horizon, and method"),
        ("trajectories = 512", "rtol = 0.1", "budget needs the trajectories of its pilot, a horizon, and method"),
        ("budget = 400000", "budget = [1e5, 1e6]", "budget must be one value for the whole study"),
    ],
)
def test_mistakes_are_said(old, new, words):
    with pytest.raises(StudyError, match=words):
        study(BUDGET.replace(old, new))
