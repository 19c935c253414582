"""Lists of small mistakes, one TOML file a room, and what puts them into a copy of the package and runs their tests."""

import itertools
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOMS = sorted(path.stem for path in HERE.glob("*.toml"))
PACKAGE = "sde_sgd"
LEAST = 0.95
# what tests read of the repository
_COPIED = (PACKAGE, "tests", "benchmarks", "notebooks", "docs", "pyproject.toml", "README.md")
# pytest: all passed, some failed
_PASSED, _FAILED = 0, 1
# how pytest names a test that failed
_NAMED = re.compile(r"^(FAILED|ERROR) tests", re.MULTILINE)


class Mutant(NamedTuple):
    """A mistake: `old`, which is in `file` of the package once, becomes `new`, and one of `tests` must fail.

    file: below the package, such as "statistics.py". tests: node ids without "tests/". keyword: of pytest's -k, or "".
    """

    room: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    keyword: str = ""

    @property
    def title(self) -> str:
        """Where it is and what it does, on one line."""
        return f"{self.room:<12} {self.file}: {_first_difference(self.old, self.new)}"


class Outcome(NamedTuple):
    """word: "killed", "survived", "stale" or "broken" (no test ran: it does not import, or is not there)."""

    mutant: Mutant
    word: str
    seconds: float
    detail: str = ""


def _first_difference(old: str, new: str) -> str:
    """The first line of each that is not in the other."""
    before, after = old.strip().splitlines(), new.strip().splitlines()
    gone = next((line.strip() for line in before if line not in after), "")
    come = next((line.strip() for line in after if line not in before), "")
    return f"{gone or '(nothing)'}  →  {come or '(nothing)'}"


def read(room: str, folder: Path = HERE) -> list[Mutant]:
    """The mistakes of a room."""
    with (folder / f"{room}.toml").open("rb") as file:
        entries = tomllib.load(file)["mutant"]
    return [
        Mutant(room, each["file"], each["old"], each["new"], tuple(each["tests"]), each.get("keyword", ""))
        for each in entries
    ]


def fault(mutant: Mutant, package: Path) -> str:
    """Why a mistake does not fit the package, or ""."""
    path = package / mutant.file
    if not path.is_file():
        return f"there is no {mutant.file}"
    found = path.read_text("utf-8").count(mutant.old)
    if found != 1:
        return f"its text occurs {found} times"
    if mutant.old == mutant.new:
        return "it changes nothing"
    return ""


class Workshop:
    """A copy of the repository in which mistakes are made one at a time."""

    def __init__(self, root: Path, folder: Path, cache: Path):
        self.folder, self._changes = folder, itertools.count(1)
        folder.mkdir(parents=True)
        for name in _COPIED:
            source = root / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.zarr"))
            elif source.exists():
                shutil.copy2(source, folder / name)
        # programs that a mistake does not touch are compiled once
        self._environment = os.environ | {
            "PYTHONPATH": str(folder),
            # what the checks of shapes and types make of all modules is written once; to read it again takes 3 s less
            "PYTHONDONTWRITEBYTECODE": "",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }

    def python(self, *arguments: str, timeout: float) -> subprocess.CompletedProcess[str]:
        """Python with the copy as its package."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self._environment,
            timeout=timeout,
            text=True,
            encoding="utf-8",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    def imported(self) -> Path:
        """Which package tests see here."""
        out = self.python("-c", f"import {PACKAGE}; print({PACKAGE}.__file__)", timeout=120).stdout.split()
        return Path(out[-1]).resolve().parent if out else Path()

    def tests(self, mutant: Mutant, timeout: float) -> tuple[int | None, str]:
        """Exit code of the tests of a mistake, None where they take too long, and what they printed."""
        nodes = [f"tests/{node}" for node in mutant.tests]
        keyword = ["-k", mutant.keyword] if mutant.keyword else []
        options = ["-q", "-x", "-n", "0", "-p", "no:cacheprovider", "--tb=line", "-rfE"]
        try:
            done = self.python("-m", "pytest", *options, *keyword, *nodes, timeout=timeout)
        except subprocess.TimeoutExpired:
            return None, "took too long"
        return done.returncode, done.stdout

    def run(self, mutant: Mutant, timeout: float) -> Outcome:
        """Make the mistake, run its tests, take it back."""
        began = time.perf_counter()
        why = fault(mutant, self.folder / PACKAGE)
        if why:
            return Outcome(mutant, "stale", 0.0, why)
        path = self.folder / PACKAGE / mutant.file
        whole = path.read_text("utf-8")
        try:
            self._write(path, whole.replace(mutant.old, mutant.new))
            code, printed = self.tests(mutant, timeout)
        finally:
            self._write(path, whole)
        word = {None: "killed", _FAILED: "killed", _PASSED: "survived"}.get(code, "broken")
        if code == _FAILED and not _NAMED.search(printed):
            # pytest itself gave up: no test has seen anything
            word = "broken"
        return Outcome(mutant, word, time.perf_counter() - began, "" if word == "killed" else printed)

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text, "utf-8")
        # compiled files know their source by its second and its size
        second = 1_000_000_000 + 10 * next(self._changes)
        os.utime(path, (second, second))


def unharmed(workshop: Workshop, mutants: Sequence[Mutant], timeout: float) -> str:
    """What goes wrong where no mistake was made, or "". A test that fails by itself would kill everything."""
    nodes = sorted({f"tests/{node}" for each in mutants for node in each.tests})
    done = workshop.python("-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *nodes, timeout=timeout)
    return "" if done.returncode == _PASSED else done.stdout


def run_all(
    root: Path, rooms: Sequence[str], jobs: int, only: str = "", timeout: float = 300.0, folder: Path = HERE
) -> int:
    """Run the mistakes of these rooms and print what became of each; 0 if at least 95 % died and all of them fit."""
    everything = [each for room in rooms for each in read(room, folder)]
    mutants = [each for each in everything if any(only in text for text in (each.file, each.old, each.new))]
    if not mutants:
        print("no mutants")
        return 1
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mutants-") as temporary:
        place = Path(temporary)
        workshops = [Workshop(root, place / str(number), place / "cache") for number in range(max(jobs, 1))]
        seen = workshops[0].imported()
        if seen != workshops[0].folder.resolve() / PACKAGE:
            print(f"tests would see {seen}, not the copy")
            return 1
        print(f"{len(mutants)} mutants; first their tests without them", flush=True)
        wrong = unharmed(workshops[0], mutants, 20 * timeout)
        if wrong:
            print(wrong)
            print("tests fail without any mutant")
            return 1
        print(f"pass, {time.perf_counter() - began:.0f} s", flush=True)
        outcomes = _in_turn(workshops, mutants, timeout)
    return _summary(outcomes, time.perf_counter() - began)


def _in_turn(workshops: list[Workshop], mutants: Sequence[Mutant], timeout: float) -> list[Outcome]:
    """Each workshop takes the next mistake when it is done with one."""
    waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    for each in mutants:
        waiting.put(each)
    outcomes: list[Outcome] = []
    lock = threading.Lock()

    def work(workshop: Workshop) -> None:
        while True:
            try:
                mutant = waiting.get_nowait()
            except queue.Empty:
                return
            outcome = workshop.run(mutant, timeout)
            with lock:
                outcomes.append(outcome)
                print(f"{outcome.word:<9} {outcome.seconds:5.1f} s  {mutant.title}", flush=True)

    threads = [threading.Thread(target=work, args=(each,)) for each in workshops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def _summary(outcomes: list[Outcome], seconds: float) -> int:
    bad = [each for each in outcomes if each.word != "killed"]
    for each in bad:
        print(f"\n{each.word}: {each.mutant.title}\n  tests: {' '.join(each.mutant.tests)}")
        if each.word == "stale":
            print(f"  {each.detail}")
        if each.word == "broken":
            print("\n".join(f"  {line}" for line in each.detail.strip().splitlines()[-15:]))
    print()
    for room in sorted({each.mutant.room for each in outcomes}):
        mine = [each for each in outcomes if each.mutant.room == room]
        print(f"{room:<12} {sum(each.word == 'killed' for each in mine):3} of {len(mine):3} killed")
    killed = sum(each.word == "killed" for each in outcomes)
    misfits = sum(each.word in ("stale", "broken") for each in outcomes)
    share = killed / len(outcomes)
    print(f"all          {killed:3} of {len(outcomes):3} killed ({share:.1%}) in {seconds:.0f} s; {misfits} do not fit")
    return 0 if share >= LEAST and not misfits else 1
