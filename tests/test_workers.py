"""Units of a study on this process, on others, on executors made by hand, on Dask and submitit."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cheap_study
import pytest
from workers_cases import KEYS, alive, environment, eventually, same_numbers, uninterrupted, waited_for

from sde_sgd.study import StudyError, init, resume, run, status
from sde_sgd.study.running._executors import TRIES, workers
from sde_sgd.study.running._processes import Processes, _share
from sde_sgd.study.running._task import run_unit


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return uninterrupted(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def study(tmp_path):
    """A study file; cells look beside it for what to do."""
    return cheap_study.write(tmp_path / "study")


class ByHand:
    """An executor with the least that one can have: futures that only say whether they are done, and what came out."""

    class Later:
        def __init__(self, function, arguments, looks):
            self._call, self._looks = (function, arguments), looks

        def done(self):
            self._looks -= 1
            return self._looks < 0

        def result(self):
            function, arguments = self._call
            return function(*arguments)

    def __init__(self):
        self.submitted = []

    def submit(self, function, *arguments):
        self.submitted.append(arguments)
        # every second one is late
        return self.Later(function, arguments, looks=3 * (len(self.submitted) % 2))


class TestExecutors:
    def test_a_task_is_two_strings(self, study, tmp_path, whole):
        """Anyone who has them can compute a unit; the folder is whole when all are done."""
        folder = init(study, tmp_path / "out")
        assert status(folder).finished == 0 and cheap_study.begun(study.parent) == []
        accounts = [run_unit(str(folder), key) for key in KEYS]
        assert all(account["path_steps"] == 100 and account["wall_seconds"] > 0 for account in accounts)
        assert [account["is_first"] for account in accounts] == [True] + [False] * 7
        outcome = resume(folder, progress=False)
        assert outcome.computed == 0 and same_numbers(outcome.dataset, whole)
        with pytest.raises(StudyError, match="has no unit 'nobody'"):
            run_unit(str(folder), "nobody")

    # that processes of ours have the same numbers is what is seen where one dies, too
    @pytest.mark.parametrize(
        "kind",
        ["threads", "by hand", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("processes", "pool"))],
    )
    def test_numbers_do_not_depend_on_who_computes(self, kind, study, tmp_path, whole):
        if kind == "processes":
            outcome = run(study, tmp_path / "out", executor=2, progress=False)
        elif kind == "by hand":
            executor = ByHand()
            outcome = run(study, tmp_path / "out", executor=executor, progress=False)
            assert executor.submitted == [(str((tmp_path / "out").resolve()), key) for key in KEYS]
        else:
            pool = ProcessPoolExecutor(2, mp_context=get_context("spawn")) if kind == "pool" else ThreadPoolExecutor(3)
            with pool:
                outcome = run(study, tmp_path / "out", executor=pool, progress=False)
        assert outcome.complete and outcome.computed == 8 and same_numbers(outcome.dataset, whole)
        begun = cheap_study.begun(study.parent)
        assert sorted(key for key, _ in begun) == KEYS
        others = {process for _, process in begun} - {os.getpid()}
        assert len(others) in {"processes": (1, 2), "pool": (1, 2)}.get(kind, (0,))

    def test_several_cells_to_a_unit(self, study, tmp_path, whole):
        executor = ByHand()
        outcome = run(study, tmp_path / "out", executor=executor, progress=False, cells_per_unit=3)
        assert same_numbers(outcome.dataset, whole)
        units = [unit for _, unit in executor.submitted]
        assert units == ["000-000..000-002", "000-003", "001-000..001-002", "001-003"]

    def test_what_is_no_executor(self, study, tmp_path):
        for given in ("four", 0, -1, True, object()):
            with pytest.raises(StudyError, match=r"executor must have a method submit|whole number of at least 1"):
                run(study, tmp_path / "out", executor=given, progress=False)
            assert not (tmp_path / "out").exists()

    def test_few_are_in_flight(self, study, tmp_path):
        """Units are asked for as workers are free: a study of a million fills no scheduler."""
        most = 0

        class Watched(ThreadPoolExecutor):
            def submit(self, function, *arguments):
                nonlocal most
                most = max(most, self._work_queue.qsize())
                return super().submit(function, *arguments)

        (study.parent / "slow").write_text("0.01")
        path = cheap_study.write(study.parent, rows=4, length=10)
        with Watched(2) as pool:
            assert run(path, tmp_path / "out", executor=pool, progress=False).computed == 40
        assert most <= 4


class TestDeaths:
    def test_a_process_that_dies_is_replaced(self, study, tmp_path, whole):
        """Nobody else takes harm, and nothing is computed here."""
        (study.parent / "die-000-002").write_text("1")
        outcome = run(study, tmp_path / "out", executor=2, progress=False)
        assert outcome.complete and outcome.computed == 8 and same_numbers(outcome.dataset, whole)
        begun, processes = zip(*cheap_study.begun(study.parent), strict=True)
        assert begun.count("000-002") == 2 and len(begun) == 9
        assert len(set(processes)) in (2, 3) and os.getpid() not in processes

    def test_a_unit_that_always_kills_is_named_and_the_others_are_kept(self, study, tmp_path):
        (study.parent / "die-001-001").write_text("99")
        with pytest.raises(StudyError, match=r"unit 001-001: .*died, 3 times.*what was finished is kept"):
            run(study, tmp_path / "out", executor=1, progress=False)
        assert TRIES == 3 and [key for key, _ in cheap_study.begun(study.parent)].count("001-001") == 3
        assert status(tmp_path / "out").finished == 7
        (study.parent / "die-001-001").unlink()
        assert resume(tmp_path / "out", progress=False).computed == 1

    def test_a_pool_of_ones_own_that_is_broken_is_said(self, study, tmp_path, whole):
        (study.parent / "die-000-000").write_text("1")
        pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        with pool, pytest.raises(StudyError, match="the executor takes no more units"):
            run(study, tmp_path / "out", executor=pool, progress=False)
        assert same_numbers(resume(tmp_path / "out", progress=False).dataset, whole)

    def test_nobody_outlives_a_killed_parent(self, study, tmp_path):
        """And its claims are free at once."""
        (study.parent / "wait-000-000").touch()
        code = "import sys, cheap_study, sde_sgd.study as s; s.run(sys.argv[1], sys.argv[2], executor=1)"
        parent = subprocess.Popen([sys.executable, "-c", code, study, tmp_path / "out"], env=environment())
        child = next(process for key, process in waited_for(study.parent, "000-000") if key == "000-000")
        parent.kill()
        parent.wait()
        assert eventually(lambda: not alive(child))
        (study.parent / "wait-000-000").unlink()
        assert resume(tmp_path / "out", progress=False).complete


class TestMistakes:
    def test_a_cell_that_fails_is_one_sentence_that_names_it(self, study, tmp_path):
        """Where nothing has been finished the study stops with it, and leaves no folder that is in the way."""
        (study.parent / "fail-000-000").touch()
        with pytest.raises(StudyError, match=r"^cell 000-000 of study cheap: value must be above 0, got -1; ") as found:
            run(study, tmp_path / "out", progress=False)
        assert isinstance(found.value, ValueError)
        assert [key for key, _ in cheap_study.begun(study.parent)] == ["000-000"]

    # how a mistake comes back from another process is seen with Dask, and in TestProcesses
    @pytest.mark.parametrize("executor", [None, pytest.param(2, marks=pytest.mark.long)])
    def test_one_bad_cell_of_many_stops_no_other(self, executor, study, tmp_path):
        (study.parent / "bug-001-000").touch()
        with pytest.raises(StudyError, match="cell 001-000 of study cheap: TypeError: a bug"):
            run(study, tmp_path / "out", executor=executor, progress=False)
        assert status(tmp_path / "out").finished == 7
        assert "not finished: 7 of 8 cells" in (tmp_path / "out" / "report.txt").read_text()

    def test_more_bad_than_good_stops(self, study, tmp_path):
        for key in KEYS[1:]:
            (study.parent / f"fail-{key}").touch()
        with pytest.raises(StudyError, match=r"cell 000-001 .* \(and 1 more\)"):
            run(study, tmp_path / "out", progress=False)
        assert len(cheap_study.begun(study.parent)) == 3

    @pytest.mark.parametrize("executor", [None, ThreadPoolExecutor(1)])
    def test_a_full_disk_is_not_the_cells_fault(self, executor, study, tmp_path, monkeypatch):
        """Nothing more is computed for it, however much was finished before."""
        from sde_sgd.study.store import _files

        write = _files.write

        def full(path, data):
            if str(path).endswith("chunk value") and len(cheap_study.begun(study.parent)) > 3:
                raise OSError(28, "No space left on device")
            return write(path, data)

        monkeypatch.setattr(_files, "write", full)
        with pytest.raises(StudyError, match=r"^folder .* cannot be written .*No space left on device"):
            run(study, tmp_path / "out", executor=executor, progress=False)
        assert len(cheap_study.begun(study.parent)) <= 6
        assert status(tmp_path / "out").finished == 3


UNGUARDED = [
    "from sde_sgd.study.running._processes import Processes",
    "with Processes(1) as processes:",
    "    processes.submit(abs, -1).result()",
]
UNGUARDED_STUDY = ["import sde_sgd as ss", "ss.study.run('occupancy', executor=2, progress=False)"]


class TestProcesses:
    def test_cores_are_shared_out(self, monkeypatch):
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(10, 17)), raising=False)
        shares = [_share(place, 3) for place in range(3)]
        assert set.union(*shares) == set(range(10, 17)) and sum(map(len, shares)) == 7
        assert [_share(place, 9) for place in (0, 8)] == [{10}, {11}]

    def test_calls_that_cannot_be_sent(self):
        with Processes(1) as processes:
            with pytest.raises(Exception, match=r"pickle|local"):
                processes.submit(lambda: None).result(60)
            assert processes.submit(os.getpid).result(60) != os.getpid()
            with pytest.raises(ZeroDivisionError) as found:
                processes.submit(divmod, 1, 0).result(60)
            assert "Traceback" in found.value.__notes__[0]
            with pytest.raises(StudyError, match="cannot be sent"):
                processes.submit(threading.Lock).result(60)

    @pytest.mark.parametrize("lines", [UNGUARDED, pytest.param(UNGUARDED_STUDY, marks=pytest.mark.long)])
    def test_a_script_without_a_guard_is_told(self, lines, tmp_path):
        """Each process imports the script anew; of a study it would wait for the units that the first one gave it."""
        script = tmp_path / "unguarded.py"
        script.write_text("\n".join(lines))
        command = [sys.executable, script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment(), cwd=tmp_path)
        said = done.stderr.splitlines()[-1]
        assert done.returncode == 1 and "ended while it started" in said
        assert 'must do so behind `if __name__ == "__main__":`' in said

    def test_a_call_that_was_called_back_is_not_made(self, tmp_path):
        with Processes(1) as processes:
            slow = processes.submit(time.sleep, 0.3)
            future = processes.submit(os.mkdir, str(tmp_path / "made"))
            assert future.cancel() and slow.result(60) is None
        assert not (tmp_path / "made").exists()


@pytest.mark.filterwarnings("ignore")
class TestDask:
    """A cluster of processes, as a person has one; its own warnings are not ours."""

    @pytest.fixture(scope="class")
    def client(self):
        distributed = pytest.importorskip("distributed")
        paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, dashboard_address=None, env={"PYTHONPATH": os.pathsep.join(paths)}
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client

    def test_one_worker_is_killed_and_the_rest_finish_with_the_same_bits(self, client, study, tmp_path, whole):
        assert workers(client) == 2
        (study.parent / "die-000-003").write_text("1")
        outcome = run(study, tmp_path / "out", executor=client, progress=False)
        assert outcome.complete and outcome.computed == 8 and same_numbers(outcome.dataset, whole)
        begun = cheap_study.begun(study.parent)
        assert [key for key, _ in begun].count("000-003") == 2 and len({process for _, process in begun}) >= 2

    def test_a_client_that_has_seen_the_folder_computes_it_again(self, client, study, tmp_path, monkeypatch):
        """Dask has the answer to equal arguments while anyone keeps it; the folder is another one by the same name."""
        kept, submit = [], client.submit

        def submitted(*given, pure=True):
            kept.append(submit(*given, pure=pure))
            return kept[-1]

        monkeypatch.setattr(client, "submit", submitted)
        for _ in range(2):
            assert run(study, tmp_path / "out", executor=client, progress=False).complete
            (tmp_path / "out").rename(tmp_path / f"out-{time.monotonic_ns()}")
        assert len(kept) == len(cheap_study.begun(study.parent)) == 16

    def test_mistakes_arrive_as_sentences(self, client, study, tmp_path):
        (study.parent / "fail-000-002").touch()
        with pytest.raises(StudyError, match="cell 000-002 of study cheap: value must be above 0, got -1"):
            run(study, tmp_path / "out", executor=client, progress=False)
        assert status(tmp_path / "out").finished >= 1


@pytest.mark.filterwarnings("ignore")
def test_submitit(study, tmp_path, whole, monkeypatch):
    """Its executor of this machine, which is that of SLURM but for the queue."""
    submitit = pytest.importorskip("submitit")
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    executor = submitit.LocalExecutor(folder=tmp_path / "jobs")
    executor.update_parameters(timeout_min=2)
    path = cheap_study.write(study.parent, rows=1, length=1)
    outcome = run(path, tmp_path / "out", executor=executor, progress=False)
    assert outcome.complete and same_numbers(outcome.dataset, whole.isel(row=[0], place=[0]))
    assert os.getpid() not in {process for _, process in cheap_study.begun(study.parent)}
