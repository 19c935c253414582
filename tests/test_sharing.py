"""Several runs on one folder, its shares for an array of jobs, and Ctrl-C."""

import signal
import subprocess
import sys
import threading
import time
from typing import ClassVar

import cheap_study
import pytest
from workers_cases import KEYS, alive, environment, eventually, same_numbers, uninterrupted, waited_for

from sde_sgd.study import StudyError, init, resume, status, worker
from sde_sgd.study.running._shard import shard_of


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return uninterrupted(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def study(tmp_path):
    """A study file; cells look beside it for what to do."""
    return cheap_study.write(tmp_path / "study")


class TestSharing:
    def test_two_runs_at_once_share_the_units(self, study, tmp_path, whole):
        """Each computes some, none is computed twice, both end with all of them."""
        (study.parent / "slow").write_text("0.1")
        code = "import sys, cheap_study, sde_sgd.study as s; s.resume(sys.argv[1], progress=False)"
        folder = init(study, tmp_path / "out")
        other = subprocess.Popen([sys.executable, "-c", code, folder], env=environment())
        waited_for(study.parent)
        outcome = resume(folder, progress=False)
        assert other.wait(60) == 0
        assert outcome.complete and same_numbers(outcome.dataset, whole)
        begun = cheap_study.begun(study.parent)
        assert sorted(key for key, _ in begun) == KEYS
        assert len({process for _, process in begun}) == 2 and 0 < outcome.computed < 8

    def test_who_waits_takes_over_from_the_dead(self, study, tmp_path, capfd):
        """It says in one line that it waits; the owner is killed; the last unit is computed here."""
        (study.parent / "wait-001-003").touch()
        code = "import sys, cheap_study, sde_sgd.study as s; s.resume(sys.argv[1], progress=False)"
        folder = init(study, tmp_path / "out")
        other = subprocess.Popen([sys.executable, "-c", code, folder], env=environment())
        waited_for(study.parent, "001-003")
        found = status(folder)
        assert found.finished == 7 and found.claimed == ("001-003",) and "; being computed: 001-003; " in str(found)

        def kill():
            time.sleep(1.5)
            other.kill()
            other.wait()
            (study.parent / "wait-001-003").unlink()

        threading.Thread(target=kill).start()
        outcome = resume(folder, progress=True)
        assert outcome.complete and outcome.computed == 1
        assert capfd.readouterr().err.count("waiting for 1 unit that another run computes") == 1

    def test_shares_cover_everything_once(self, study, tmp_path, whole, capfd):
        folder = init(study, tmp_path / "out")
        assert [worker(folder, (place, 3)) for place in range(3)] == [3, 3, 2]
        told = capfd.readouterr().err
        assert all(f"cheap ({place}/3): {size}/{size} cells, 100 %" in told for place, size in enumerate((3, 3, 2)))
        begun = [key for key, _ in cheap_study.begun(study.parent)]
        assert begun == KEYS[0::3] + KEYS[1::3] + KEYS[2::3]
        outcome = resume(folder, progress=False)
        assert outcome.computed == 0 and same_numbers(outcome.dataset, whole)

    def test_a_worker_may_help_the_others(self, study, tmp_path):
        folder = init(study, tmp_path / "out")
        assert worker(folder, "1/3", help_others=True, progress=False) == 8
        begun = [key for key, _ in cheap_study.begun(study.parent)]
        assert begun[:3] == KEYS[1::3] and begun[3] == KEYS[6]


class TestShares:
    SLURM: ClassVar = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "3",
             "SLURM_ARRAY_TASK_MAX": "7", "SLURM_ARRAY_TASK_STEP": "2"}  # fmt: skip
    SGE: ClassVar = {"SGE_TASK_ID": "4", "SGE_TASK_FIRST": "2", "SGE_TASK_LAST": "8", "SGE_TASK_STEPSIZE": "2"}

    def test_schedulers_say_it(self):
        assert shard_of(None, self.SLURM) == (2, 3)
        assert shard_of(
            None, {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "8"} | {"SLURM_ARRAY_TASK_MIN": "0"}
        ) == (5, 8)
        assert shard_of(None, self.SGE) == (1, 4)
        assert shard_of(None, {"LSB_JOBINDEX": "3", "LSB_JOBINDEX_END": "10"}) == (2, 10)
        assert shard_of(None, {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}) == (0, 4)
        # an array comes before the processes of one of its jobs
        assert shard_of(None, self.SLURM | {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}) == (2, 3)
        assert shard_of("1/2", self.SLURM) == (1, 2)

    def test_pbs_says_which_but_not_of_how_many(self):
        with pytest.raises(StudyError, match=r"gives the number 3 of this job.*--shard /n"):
            shard_of(None, {"PBS_ARRAY_INDEX": "3"})
        # numbers from 1 or from 0: each share has one job
        for first in (0, 1):
            numbers = range(first, first + 4)
            assert {shard_of("/4", {"PBS_ARRAY_INDEX": str(k)})[0] for k in numbers} == {0, 1, 2, 3}

    @pytest.mark.parametrize("given", ["2/2", "0/0", "1", "a/b", "-1/2", "/3", (3, 2), None])
    def test_what_is_no_share(self, given):
        # jobs that are in no array
        with pytest.raises(StudyError, match="shard"):
            shard_of(given, {"SGE_TASK_ID": "undefined", "LSB_JOBINDEX": "0"})


class TestCtrlC:
    """The shell's command in a process of its own, as a terminal would interrupt it."""

    # a job in the background, such as these tests may be, has its interrupts ignored, and its children's
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"

    def start(self, study, out, *options):
        code = f"{self.heard}import cheap_study, sde_sgd.cli as cli; cli.main()"
        command = [sys.executable, "-c", code, "run", str(study), "--out", str(out), *options]
        return subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @pytest.mark.parametrize("options", [(), pytest.param(("--processes", "1"), marks=pytest.mark.long)])
    def test_once(self, options, study, tmp_path, whole):
        """What is finished is kept, and nobody is left; exit status 130."""
        (study.parent / "wait-000-002").touch()
        (study.parent / "wait-000-003").touch()
        shell = self.start(study, tmp_path / "out", *options)
        waited_for(study.parent, "000-002")
        assert eventually(lambda: status(tmp_path / "out").finished == 2)
        shell.send_signal(signal.SIGINT)
        _, said = shell.communicate(timeout=60)
        assert shell.returncode == 130 and "Traceback" not in said and "finished cells are kept" in said
        assert not any(alive(process) for _, process in cheap_study.begun(study.parent))
        assert "not finished: 2 of 8 cells" in (tmp_path / "out" / "report.txt").read_text()
        for key in KEYS[2:4]:
            (study.parent / f"wait-{key}").unlink()
        assert same_numbers(resume(tmp_path / "out", progress=False).dataset, whole)

    def test_twice(self, study, tmp_path):
        """At once, in the middle of what the first one had it do, without a word of Python's."""
        (study.parent / "wait-000-002").touch()
        code = (
            f"{self.heard}import time, cheap_study, sde_sgd.cli as cli, sde_sgd.study.running._outcome as r\n"
            "r.report = lambda *a: [print('reporting', flush=True), time.sleep(60)]\n"
            "cli.main()"
        )
        command = [sys.executable, "-c", code, "run", str(study), "--out", str(tmp_path / "out")]
        shell = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        waited_for(study.parent, "000-002")
        shell.send_signal(signal.SIGINT)
        assert shell.stdout is not None
        while "reporting" not in shell.stdout.readline():
            assert shell.poll() is None
        began = time.monotonic()
        shell.send_signal(signal.SIGINT)
        _, said = shell.communicate(timeout=60)
        assert shell.returncode == 130 and time.monotonic() - began < 5
        assert "Traceback" not in said and said.endswith("ended at once; finished cells are kept\n")
        assert status(tmp_path / "out").finished == 2
