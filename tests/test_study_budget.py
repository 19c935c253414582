"""One budget for a study: a pilot, then more where intervals would be widest; the same bits whoever runs it."""

from typing import Any

import numpy as np
import pytest
import xarray as xr
from study_cases import OCCUPANCY, SMALL, TRANSITIONS

import sde_sgd as ss
from sde_sgd.study import EscapeStudy, StudyError, init, parse, resume, run, status, worker
from sde_sgd.study._kind import cell_seed
from sde_sgd.study.kinds._budget import allocation, cost_of_a_watch

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


def allotted(spread, each, budget, spent=0.0, enough: Any = np.inf, **more):
    spread = np.asarray(spread, float)
    full = (np.full(spread.shape, float(value)) if np.ndim(value) == 0 else value for value in (each, enough))
    return allocation(spread, *full, float(budget), np.array([float(spent)]), **more)


class TestAllocation:
    def test_by_hand(self):
        """Spreads 1, 4, 16 at costs 1, 2, 4, 730 to spend: n = 10, 40, 160. Twin: √(spread/cost), of the least sum."""
        spread, each = np.array([1.0, 4.0, 16.0]), np.array([1.0, 2.0, 4.0])
        assert allotted(spread, each, 1_000, 270).tolist() == [10, 40, 160]
        assert allotted(spread, each, 999, 270).tolist() != [10, 40, 160]
        least_sum = np.sqrt(spread / each) * 730 / np.sum(np.sqrt(spread * each))
        assert max(spread / least_sum) > 1.25 * max(spread / [10, 40, 160])

    def test_no_other_numbers_have_a_narrower_widest_interval(self):
        """All of three cells that the budget allows, looked through; twin: those of another spread are not the best."""
        spread, each, left = np.array([1.0, 3.0, 7.0]), np.array([3.0, 1.0, 2.0]), 60.0
        numbers = np.stack(np.meshgrid(*[np.arange(1, 61)] * 3), -1).reshape(-1, 3)
        best = np.min(np.max(spread / numbers[numbers @ each <= left], axis=1))
        found = allotted(spread, each, left)
        # whole numbers are rounded down
        assert found @ each <= left and best <= max(spread / found) <= best * (1 + 1 / min(found))
        assert max(spread / allotted([1.0, 3.0, 1.0], each, left)) > 1.5 * best

    def test_what_is_precise_enough_leaves_its_part_to_the_others(self):
        assert allotted([1.0, 4.0, 16.0], 1.0, 210).tolist() == [10, 40, 160]
        assert allotted([1.0, 4.0, 16.0], 1.0, 162, enough=np.array([50.0, 50.0, 100.0])).tolist() == [12, 50, 100]
        # and all of it, where all are
        assert allotted([1.0, 4.0, 16.0], 1.0, 1e9, enough=np.array([50.0, 60.0, 70.0])).tolist() == [50, 60, 70]

    def test_cells_of_which_more_tell_nothing(self):
        assert allotted([[0.0, 1.0], [0.0, 3.0]], 1.0, 402, least=1).tolist() == [[1, 100], [1, 300]]

    def test_the_order_of_cells_does_not_matter(self):
        generator = np.random.default_rng(0)
        spread, each, order = generator.uniform(0.1, 9, 50), generator.uniform(1, 9, 50), generator.permutation(50)
        one = allotted(spread, each, 1e5)
        np.testing.assert_array_equal(allotted(spread[order], each[order], 1e5), one[order])

    def test_a_budget_that_the_pilot_spends(self):
        with pytest.raises(
            StudyError, match="budget must be at least 2040 path-steps, for the pilot and 2 more in each"
        ):
            allotted(np.ones(2), 10.0, 2e3, 2e3, least=2)

    def test_what_a_watch_costs_is_bounded_by_two_standard_errors(self):
        """Of steps that are 0 or 100, whose variance is the bound; watched to the end there is nothing to add."""
        assert cost_of_a_watch(np.array([2_000.0]), 100, np.array([100.0])) == 20 + 2 * np.sqrt(20 * 80 / 100)
        assert cost_of_a_watch(np.array([1e4]), 100, np.array([100.0])) == 100


@pytest.fixture(scope="module")
def spent(tmp_path_factory):
    """Run once; the folder must not be changed."""
    return run(study(), tmp_path_factory.mktemp("budget") / "out", progress=False)


def study(text=BUDGET):
    return parse(text, "spent")


class TestEscape:
    def test_cells_have_the_trajectories_that_the_pilot_tells(self, spent):
        """With other noise than the pilot's, on which their number depends; the widths come out alike."""
        pilot = xr.open_zarr(spent.folder / "pilot" / "dataset.zarr").load()
        data = spent.dataset.isel(start=0, learning_rate=0)
        seen, steps = pilot.probability.values.ravel(), pilot.path_steps.values.ravel()
        p = (512 * seen + 0.5) / 513
        each = cost_of_a_watch(steps, 512, np.full(2, 20.0))
        numbers = allotted((1 - p) / p, each, 4e5, steps.sum())
        assert np.max(np.abs(data.trajectories.values - numbers)) <= 1 and numbers[1] > 1.5 * numbers[0]
        assert pilot.trajectories.values.tolist() == [[[512.0, 512.0]]]
        assert 0.9 < float(data.path_steps.sum() + pilot.path_steps.sum()) / 4e5 <= 1
        widths = ((data.probability_high - data.probability_low) / data.probability).values
        assert max(widths) < 1.2 * min(widths), widths
        equal = np.sqrt((1 - seen) / seen)
        assert max(equal) > 1.2 * min(equal)
        one = study()
        assert isinstance(one, EscapeStudy)
        shared = one.prepare(spent.folder)
        surface, start = shared.surface(one), shared.starts(one)[0]
        found = ss.escape(
            one.at({"start": 0, "learning_rate": 0, "batch_size": 1}).chain_of(surface), start.point, start.region, 2.0,
            trajectories=int(data.trajectories[1]), seed=cell_seed(0, 1), method="direct",
        )  # fmt: skip
        assert float(data.probability[1]) == float(found.probability)
        assert int(pilot.cell_seed.values.ravel()[1]) == cell_seed(2**31, 1)
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
    def test_cells_that_are_precise_enough_take_no_more(self, tmp_path):
        """Of a budget that is ample some is left; with one that is not the cells say what they have not reached."""
        text = BUDGET.replace("budget = 400000", "budget = 1000000\nrtol = 0.1")
        data = run(study(text), tmp_path / "ample", progress=False).dataset.isel(start=0, learning_rate=0)
        widths = ((data.probability_high - data.probability_low) / 2 / data.probability).values
        assert data.status.values.tolist() == ["complete", "complete"] and min(widths) > 0.07 and max(widths) <= 0.1
        assert float(data.path_steps.sum()) < 300_000
        text = text.replace("1000000", "150000")
        data = run(study(text), tmp_path / "short", progress=False).dataset.isel(start=0, learning_rate=0)
        assert data.status.values.tolist() == ["budget spent", "budget spent"]
        assert "M = 8: budget spent: an interval is 0.1" in data.notes and "asked for 0.1" in data.notes

    @pytest.mark.long
    def test_processes_have_the_same_bits(self, spent, tmp_path):
        outcome = run(study(), tmp_path / "out", executor=2, progress=False)
        xr.testing.assert_identical(outcome.dataset, spent.dataset)

    def test_workers_and_who_resumes_have_the_same_bits(self, spent, tmp_path):
        """One worker helps with the pilot and does its share, is looked at, and another process finishes."""
        folder = init(study(), tmp_path / "out")
        assert worker(folder, (0, 2), progress=False) == 1
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


DIRECT = "budget needs the trajectories of its pilot, a horizon, and method = 'direct'"


@pytest.mark.parametrize(
    ("text", "old", "new", "words"),
    [
        (BUDGET, 'method = "direct"', 'method = "auto"', DIRECT),
        (BUDGET, "horizon = 2.0", "max_steps = 100", DIRECT),
        (BUDGET, "trajectories = 512", "rtol = 0.1", DIRECT),
        (BUDGET, "horizon = 2.0", "horizon = 2.0\nrtol = 0.1\nmax_trajectories = 9", "give either max_traj"),
        (BUDGET, "budget = 400000", "budget = [1e5, 1e6]", "budget must be one value for the whole study"),
        (BUDGET, "trajectories = 512", "trajectories = [8, 9]", "trajectories must be one value where a budget"),
        (OCCUPANCY, "dt = 0.05", "dt = 0.05\natol = 0.1", "atol is what a budget is spent for, which is not given"),
        (TRANSITIONS, "dt = 0.02", "dt = 0.02\nbudget = 1e9", "budget is not for a study of kind transitions"),
    ],
)  # fmt: skip
def test_mistakes_are_said(text, old, new, words):
    with pytest.raises(StudyError, match=words):
        study(text.replace(old, new))
