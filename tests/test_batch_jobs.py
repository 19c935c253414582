"""The script of docs/machines.md for an array of jobs, as a scheduler runs it, and what a person does afterwards."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cheap_study
import pytest
from workers_cases import KEYS, environment, same_numbers, uninterrupted

from sde_sgd.study import init, resume, status

HERE = Path(__file__).parent
# blocks for a shell, of which the first is the script
BLOCKS = re.findall(
    r"```sh\n(.*?)```", (HERE.parent / "docs" / "machines.md").read_text().split("## An array")[1], re.S
)


@pytest.fixture
def cluster(tmp_path):
    """A folder where a person is, and the variables of a shell that finds `sde-sgd` and `sbatch`."""
    tools, home = tmp_path / "bin", tmp_path / "home"
    for folder in (tools, home):
        folder.mkdir()
    for name, call in (("sde-sgd", "-m sde_sgd.cli"), ("sbatch", f"{HERE / 'fake_sbatch.py'} wait")):
        (tools / name).write_text(f'#!/bin/sh\nexec {sys.executable} {call} "$@"\n')
        (tools / name).chmod(0o755)
    (home / "array.sh").write_text(BLOCKS[0])
    return home, environment() | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}


def shell(cluster, command):
    home, variables = cluster
    return subprocess.run(command, shell=True, cwd=home, env=variables, capture_output=True, text=True, timeout=300)


# the array of a study with a pilot does all that one without does
@pytest.mark.parametrize(
    "more",
    [pytest.param("", id="without a pilot", marks=pytest.mark.long), pytest.param("budget = 1.0\n", id="with a pilot")],
)
def test_an_array_of_jobs_computes_a_study(cluster, tmp_path, more):
    """One of whose tasks is killed; the last line of the page then finishes what is missing, with the same bits."""
    home, _ = cluster
    study = cheap_study.write(tmp_path / "study", more=more)
    folder = init(study, home / "DIR")
    assert "#SBATCH --array=0-31 " in BLOCKS[0] and "sde-sgd worker DIR" in BLOCKS[0]
    (study.parent / f"die-{'main-' if more else ''}000-002").write_text("1")
    found = shell(cluster, "sbatch --array=0-2 array.sh")
    assert (found.returncode, found.stdout) == (1, "Submitted batch job 41\n"), found.stderr
    done = {key.removeprefix("main-") for key, _ in cheap_study.begun(study.parent) if not more or "main" in key}
    # of the task that was killed what it began is lost, and what came after
    assert done == set(KEYS) - {"001-001"} and status(folder).finished == 6
    found = shell(cluster, BLOCKS[1])
    assert found.returncode == 0, found.stderr
    assert status(folder).finished == 8 and (folder / "report.txt").exists()
    whole = (
        uninterrupted(tmp_path / "other")
        if not more
        else resume(_whole(tmp_path / "other", more), progress=False).dataset
    )
    assert same_numbers(resume(folder, progress=False).dataset, whole)


def _whole(folder, more):
    return init(cheap_study.write(folder, more=more), folder / "out")
