"""Lists of small mistakes, one TOML file a room, and what puts them into a copy of the package and runs their tests."""

import contextlib
import itertools
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple, TypeVar

Task, Result = TypeVar("Task"), TypeVar("Result")

HERE = Path(__file__).resolve().parent
ROOMS = sorted(path.stem for path in HERE.glob("*.toml"))
PACKAGE = "sde_sgd"
LEAST = 0.95
# so many runs of pytest for each workshop, where no mistake was made: enough that none waits long for another
_SHARES = 4
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
        self._forks: subprocess.Popen[str] | None = None
        self._prints = folder / "prints"
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

    def tests(self, nodes: Sequence[str], *options: str, timeout: float) -> tuple[int | None, str]:
        """Exit code of tests, None where they take too long, and what they printed."""
        always = ["-q", "-n", "0", "-p", "no:cacheprovider", "--tb=line", "-rfE"]
        places = [f"tests/{node}" for node in nodes]
        code = self._pytest([*always, *options, *places], timeout)
        if code is None:
            return None, f"took too long: {' '.join(places)}\n"
        return code, self._prints.read_text("utf-8", "replace")

    def _pytest(self, arguments: Sequence[str], timeout: float) -> int | None:
        """Exit code of a run in a fork of one process for all, which takes 2 s less than a process of its own."""
        if self._forks is None or self._forks.poll() is not None:
            self._forks = subprocess.Popen(
                [sys.executable, str(HERE / "forks.py")], cwd=self.folder, env=self._environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        assert self._forks.stdin is not None and self._forks.stdout is not None
        asked = {"arguments": arguments, "prints": str(self._prints), "seconds": timeout}
        print(json.dumps(asked), file=self._forks.stdin, flush=True)
        return json.loads(self._forks.stdout.readline())

    def close(self) -> None:
        """End the process that forks."""
        if self._forks is not None:
            self._forks.communicate()

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
            keyword = ["-k", mutant.keyword] if mutant.keyword else []
            code, printed = self.tests(mutant.tests, "-x", *keyword, timeout=timeout)
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


def in_turn(
    workshops: Sequence[Workshop], do: Callable[[Workshop, Task], Result], tasks: Sequence[Task]
) -> Iterator[Result]:
    """What becomes of each task, as it comes: a workshop takes the next one when it is done with one."""
    free: queue.SimpleQueue[Workshop] = queue.SimpleQueue()
    for each in workshops:
        free.put(each)

    def done(task: Task) -> Result:
        workshop = free.get()
        try:
            return do(workshop, task)
        finally:
            free.put(workshop)

    pool = ThreadPoolExecutor(len(workshops))
    try:
        for future in as_completed([pool.submit(done, task) for task in tasks]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def shares(mutants: Sequence[Mutant], number: int) -> list[list[tuple[str, str]]]:
    """All tests of these mistakes, node and keyword, in so many parts or fewer; a file's are in one, for its fixtures.

    Files of one room are much alike, and beside each other: each part has some of every room.
    """
    asked = sorted({(node, each.keyword) for each in mutants for node in each.tests})
    files = [list(group) for _, group in itertools.groupby(asked, key=lambda pair: pair[0].partition("::")[0])]
    return [list(itertools.chain(*files[place::number])) for place in range(min(number, len(files)))]


def _chosen(node: str, keyword: str) -> str:
    """For pytest's -k in a run of many nodes: the tests of this one that have the keyword, and maybe others."""
    name = node.partition("[")[0].rpartition("::")[2]
    return f"{name} and ({keyword})" if keyword else name


def unharmed(workshops: Sequence[Workshop], mutants: Sequence[Mutant], timeout: float) -> str:
    """What goes wrong where no mistake was made, or "". A test that fails by itself would kill everything."""

    def failures(workshop: Workshop, part: list[tuple[str, str]]) -> str:
        chosen = " or ".join(_chosen(*pair) for pair in part)
        code, printed = workshop.tests(list(dict.fromkeys(node for node, _ in part)), "-k", chosen, timeout=timeout)
        return "" if code == _PASSED else printed

    return "".join(in_turn(workshops, failures, shares(mutants, _SHARES * len(workshops))))


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
    with tempfile.TemporaryDirectory(prefix="mutants-") as temporary, contextlib.ExitStack() as opened:
        place = Path(temporary)
        made = (Workshop(root, place / str(number), place / "cache") for number in range(max(jobs, 1)))
        workshops = [opened.enter_context(contextlib.closing(each)) for each in made]
        seen = workshops[0].imported()
        if seen != workshops[0].folder.resolve() / PACKAGE:
            print(f"tests would see {seen}, not the copy")
            return 1
        print(f"{len(mutants)} mutants; first their tests without them", flush=True)
        wrong = unharmed(workshops, mutants, 20 * timeout)
        if wrong:
            print(wrong)
            print("tests fail without any mutant")
            return 1
        print(f"pass, {time.perf_counter() - began:.0f} s", flush=True)
        outcomes = []
        for outcome in in_turn(workshops, lambda workshop, mutant: workshop.run(mutant, timeout), mutants):
            outcomes.append(outcome)
            print(f"{outcome.word:<9} {outcome.seconds:5.1f} s  {outcome.mutant.title}", flush=True)
    return _summary(outcomes, time.perf_counter() - began)


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
