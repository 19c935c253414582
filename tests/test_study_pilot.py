"""A study with a pilot: kills within it and after it, other processes, shares, and who looks at it while it runs."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import cheap_study
import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner
from workers_cases import KEYS, environment, eventually, same_numbers, waited_for

from sde_sgd.cli import app
from sde_sgd.study import StudyError, export, init, redraw, report_html, resume, run, status, worker
from sde_sgd.study._kind import cell_seed
from sde_sgd.study.store._folder import read_record

BUDGET = "budget = 1.0\n"
RUN = "import sys, cheap_study, sde_sgd.study as s; s.run(sys.argv[1], sys.argv[2], progress=False)"
WORKER = "import sys, cheap_study, sde_sgd.study as s; s.worker(sys.argv[1], sys.argv[2], progress=False)"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The dataset of a run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    return run(cheap_study.write(folder / "study", more=BUDGET), folder / "out", progress=False).dataset


@pytest.fixture
def study(tmp_path):
    """A study file; cells look beside it for what to do."""
    return cheap_study.write(tmp_path / "study", more=BUDGET)


def other(code, *arguments):
    """Another process."""
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], env=environment())


def begun(study):
    """Keys of the pilot's cells that were begun, and of the study's own."""
    keys = [key for key, _ in cheap_study.begun(study.parent)]
    own = [key.removeprefix("main-") for key in keys if key.startswith("main-")]
    return [key for key in keys if not key.startswith("main-")], own


def test_its_numbers_are_by_the_pilot(whole):
    draws = np.array([np.random.default_rng(cell_seed(0, number)).normal() for number in range(8)]).reshape(2, 4)
    np.testing.assert_allclose(whole["value"], draws + draws.mean(), rtol=1e-15)


class TestExecutors:
    @pytest.mark.parametrize("executor", [pytest.param(2, marks=pytest.mark.long), "threads"])
    def test_numbers_do_not_depend_on_who_computes(self, executor, study, tmp_path, whole):
        """Two processes compute both, each of which is started once."""
        if executor == 2:
            outcome = run(study, tmp_path / "out", executor=2, progress=False)
        else:
            with ThreadPoolExecutor(3) as pool:
                outcome = run(study, tmp_path / "out", executor=pool, progress=False)
        assert outcome.complete and outcome.computed == 8 and same_numbers(outcome.dataset, whole)
        assert [sorted(keys) for keys in begun(study)] == [KEYS, KEYS]
        others = {process for _, process in cheap_study.begun(study.parent)} - {os.getpid()}
        assert len(others) in ({1, 2} if executor == 2 else {0})

    @pytest.mark.long
    def test_processes_that_die_in_either(self, study, tmp_path, whole):
        for key in ("000-002", "main-001-001"):
            (study.parent / f"die-{key}").write_text("1")
        outcome = run(study, tmp_path / "out", executor=2, progress=False)
        assert outcome.complete and same_numbers(outcome.dataset, whole)
        assert [len(keys) for keys in begun(study)] == [9, 9]

    def test_a_cell_of_the_pilot_that_fails_is_named(self, study, tmp_path, whole):
        """Nothing is run on what is not known; when it is mended all goes on."""
        (study.parent / "fail-000-001").touch()
        with pytest.raises(StudyError, match=r"^cell 000-001 of study cheap-pilot: value must be above 0"):
            run(study, tmp_path / "out", progress=False)
        assert begun(study) == (KEYS, []) and status(tmp_path / "out").finished == 7
        (study.parent / "fail-000-001").unlink()
        assert same_numbers(resume(tmp_path / "out", progress=False).dataset, whole)
        assert begun(study) == ([*KEYS, "000-001"], KEYS)


class TestKilled:
    def test_within_the_pilot(self, study, tmp_path, whole):
        """While it runs, and after it was killed, all that look at it tell how far the pilot is."""
        (study.parent / "wait-000-002").touch()
        runner, folder = other(RUN, study, tmp_path / "out"), tmp_path / "out"
        waited_for(study.parent, "000-002")
        found = status(folder)
        assert (found.name, found.finished, found.cells, found.claimed) == ("cheap-pilot", 2, 8, ("000-002",))
        for look, purpose in ((redraw, "draw"), (report_html, "report"), (export, "export")):
            words = rf"no finished cell to {purpose}, and its pilot 2 of 8 cells; run: sde-sgd resume {folder}$"
            with pytest.raises(StudyError, match=words):
                look(folder)
        runner.kill()
        runner.wait()
        told = f"cheap-pilot (cheap): 2 of 8 cells finished; to finish it: sde-sgd resume {folder}"
        assert eventually(lambda: str(status(folder)).startswith(told))
        (study.parent / "wait-000-002").unlink()
        outcome = resume(folder, progress=False)
        assert outcome.complete and same_numbers(outcome.dataset, whole)
        assert begun(study) == (KEYS[:3] + KEYS[2:], KEYS)
        assert status(folder).name == "cheap" and report_html(folder).exists()

    def test_between_the_pilot_and_the_study(self, study, tmp_path, whole):
        (study.parent / "wait-main-000-000").touch()
        runner, folder = other(RUN, study, tmp_path / "out"), tmp_path / "out"
        waited_for(study.parent, "main-000-000")
        found = status(folder)
        assert (found.name, found.finished, found.claimed) == ("cheap", 0, ("000-000",))
        with pytest.raises(StudyError, match=r"no finished cell to report; run: sde-sgd resume"):
            report_html(folder)
        runner.kill()
        runner.wait()
        (study.parent / "wait-main-000-000").unlink()
        outcome = resume(folder, progress=False)
        assert outcome.computed == 8 and same_numbers(outcome.dataset, whole)
        assert begun(study) == (KEYS, ["000-000", *KEYS])


class TestShares:
    def test_workers_at_once(self, study, tmp_path, whole):
        """They share the pilot, and then each has its own; none is computed twice."""
        (study.parent / "slow").write_text("0.1")
        folder = init(study, tmp_path / "out")
        helper = other(WORKER, folder, "1/2")
        waited_for(study.parent)
        # cells of the pilot are not among them
        computed = worker(folder, "0/2", progress=False)
        assert helper.wait(60) == 0 and computed == 4
        pilot, own = begun(study)
        assert sorted(pilot) == KEYS and sorted(own) == KEYS
        mine = [key for key, process in cheap_study.begun(study.parent) if process == os.getpid()]
        assert [key for key in mine if key.startswith("main-")] == [f"main-{key}" for key in KEYS[0::2]]
        outcome = resume(folder, progress=False)
        assert outcome.computed == 0 and same_numbers(outcome.dataset, whole)
        assert worker(folder, "0/2", progress=False) == 0

    def test_what_a_worker_says_is_what_status_counts(self, study, tmp_path):
        folder = init(study, tmp_path / "out")
        said = CliRunner().invoke(app, ["worker", str(folder), "--shard", "0/2"]).stdout
        assert "4 cells computed, and 8 of its pilot; table and figures: sde-sgd resume" in said
        assert "4 of 8 cells finished" in str(status(folder))
        said = CliRunner().invoke(app, ["worker", str(folder), "--shard", "1/2"]).stdout
        assert "4 cells computed; table and figures" in said

    def test_who_waits_in_the_pilot_takes_over_from_the_dead(self, study, tmp_path, whole):
        (study.parent / "wait-001-003").touch()
        folder = init(study, tmp_path / "out")
        helper = other(WORKER, folder, "1/2")
        waited_for(study.parent, "001-003")

        def kill():
            time.sleep(1.0)
            helper.kill()
            helper.wait()
            (study.parent / "wait-001-003").unlink()

        threading.Thread(target=kill).start()
        worker(folder, "0/2", progress=False)
        assert begun(study)[0].count("001-003") == 2
        assert same_numbers(resume(folder, progress=False).dataset, whole)


class TestFolder:
    def test_another_budget_keeps_the_pilot(self, study, tmp_path):
        (study.parent / "fail-main-000-000").touch()
        with pytest.raises(StudyError, match="cell 000-000 of study cheap: value"):
            run(study, tmp_path / "out", progress=False)
        (study.parent / "fail-main-000-000").unlink()
        corrected = cheap_study.write(study.parent, more="budget = 2.0\n")
        assert run(corrected, tmp_path / "out", progress=False).computed == 8
        assert begun(study)[0] == KEYS

    def test_another_study_does_not_take_its_place(self, study, tmp_path):
        """What the pilot has is not lost, and nothing is changed."""
        (study.parent / "fail-main-000-000").touch()
        with pytest.raises(StudyError, match="cell 000-000 of study cheap: value"):
            run(study, tmp_path / "out", progress=False)
        before = (tmp_path / "out" / "study.json").read_bytes()
        longer = cheap_study.write(study.parent, rows=3, more=BUDGET)
        with pytest.raises(StudyError, match="a different study, 'cheap-pilot': key rows was 2 and is 3; give another"):
            run(longer, tmp_path / "out", progress=False)
        assert (tmp_path / "out" / "study.json").read_bytes() == before

    def test_modules_that_have_moved(self, study, tmp_path, whole):
        """Processes that are given no more than the pilot's folder find them too."""
        (study.parent / "fail-000-001").touch()
        with pytest.raises(StudyError, match="cell 000-001"):
            run(study, tmp_path / "out", progress=False)
        (study.parent / "fail-000-001").unlink()
        (tmp_path / "moved").mkdir()
        outcome = resume(tmp_path / "out", source=tmp_path / "moved", progress=False)
        for folder in (tmp_path / "out", tmp_path / "out" / "pilot"):
            assert read_record(folder)["source"] == str((tmp_path / "moved").resolve())
        assert same_numbers(outcome.dataset, whole)

    def test_a_pilot_that_is_lost_is_computed_again(self, study, tmp_path, whole):
        """Where the study is whole nothing needs it; where a unit is damaged its numbers come out as they were."""
        from sde_sgd.study.store._files import remove_tree

        folder = run(study, tmp_path / "out", progress=False).folder
        remove_tree(folder / "pilot")
        assert resume(folder, progress=False).computed == 0 and not (folder / "pilot").exists()
        (folder / "units" / "001-002.json").unlink()
        assert same_numbers(resume(folder, progress=False).dataset, whole)
        with xr.open_zarr(folder / "dataset.zarr") as stored:
            np.testing.assert_array_equal(stored["value"], whole["value"])
        assert begun(study) == (KEYS * 2, [*KEYS, "001-002"])
