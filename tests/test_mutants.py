"""The lists of small mistakes fit the package as it is; their tests are run by `python -m tests.mutants`, not here."""

import ast
import contextlib
import functools
from collections import Counter
from pathlib import Path

import pytest
from mutants.runner import ROOMS, Mutant, Workshop, fault, read, shares, unharmed

import sde_sgd

PACKAGE = Path(sde_sgd.__file__).parent
TESTS = Path(__file__).parent


@functools.cache
def functions(file):
    """Names of the tests in a file, "Class::name" for methods."""
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    names = {each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.ClassDef)}
    for group in [each for each in tree.body if isinstance(each, ast.ClassDef)]:
        names |= {f"{group.name}::{each.name}" for each in group.body if isinstance(each, ast.FunctionDef)}
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_every_mistake_fits(room):
    """Its text is there once, what it becomes is Python, and the tests that must see it exist."""
    mutants = read(room)
    assert mutants
    for mutant in mutants:
        assert fault(mutant, PACKAGE) == "", mutant.title
        source = (PACKAGE / mutant.file).read_text("utf-8")
        ast.parse(source.replace(mutant.old, mutant.new))
        assert mutant.tests, mutant.title
        for node in mutant.tests:
            file, _, name = node.partition("::")
            assert not name or name.partition("[")[0] in functions(file), (node, mutant.title)


def test_no_mistake_is_listed_twice():
    seen = Counter((each.file, each.old, each.new) for room in ROOMS for each in read(room))
    assert not [key for key, count in seen.items() if count > 1]


def test_tests_are_dealt_out_once_and_files_stay_whole():
    """What is run without any mistake is all that the lists name, once; a file's fixtures are made once."""
    mutants = [each for room in ROOMS for each in read(room)]
    parts = shares(mutants, 8)
    assert len(parts) == 8 and len(shares(mutants[:1], 8)) == 1
    dealt = Counter(pair for part in parts for pair in part)
    assert set(dealt) == {(node, each.keyword) for each in mutants for node in each.tests}
    assert set(dealt.values()) == {1}
    files = [{node.partition("::")[0] for node, _ in part} for part in parts]
    assert sum(map(len, files)) == len(set.union(*files))


@pytest.fixture
def root(tmp_path):
    """A package of two lines with a test of it, and one of nothing."""
    for folder in ("sde_sgd", "tests"):
        (tmp_path / "root" / folder).mkdir(parents=True)
    for name, text in {
        "sde_sgd/__init__.py": "def twice(x):\n    return 2 * x\n",
        "tests/test_it.py": "from sde_sgd import twice\n\n\ndef test_twice():\n    assert twice(0) == 0\n"
        "    assert twice(1) > 1\n",
        "tests/test_other.py": "import pytest\n\n\ndef test_fine():\n    pass\n\n\n"
        "@pytest.mark.parametrize('x', [1, 2])\ndef test_odd(x):\n    assert x % 2\n",
    }.items():
        (tmp_path / "root" / name).write_text(text)
    return tmp_path / "root"


@pytest.fixture
def opened():
    """What takes a workshop and closes it when the test has ended."""
    with contextlib.ExitStack() as stack:
        yield lambda workshop: stack.enter_context(contextlib.closing(workshop))


def mistake(old="2 * x", new="2 + x", test="test_it.py::test_twice", keyword=""):
    return Mutant("room", "__init__.py", old, new, (test,), keyword)


def test_what_fails_by_itself_is_told(root, tmp_path, opened):
    """Whichever workshop has it, and what another one has passes; of what has a keyword, that alone is run."""
    workshops = [opened(Workshop(root, tmp_path / name, tmp_path / "cache")) for name in ("one", "two")]
    odd = "test_other.py::test_odd"
    fine = [mistake(), mistake(test="test_other.py::test_fine"), mistake(test=odd, keyword="1 and not 2")]
    assert unharmed(workshops, fine, 60.0) == ""
    for more in (mistake(test=odd), mistake(test=odd, keyword="2")):
        told = unharmed(workshops, [*fine, more], 60.0)
        assert "FAILED tests/test_other.py::test_odd[2]" in told and "test_it" not in told
    assert unharmed(workshops, fine, 1e-3).count("took too long") == 2


def test_a_workshop_tells_killed_from_survived(root, tmp_path, opened):
    """Of mistakes in a package of two lines: one that a test sees, one that none sees, two that do not fit."""
    workshop = opened(Workshop(root, tmp_path / "copy", tmp_path / "cache"))

    def word(*given):
        return workshop.run(mistake(*given), 60.0).word

    assert word() == "killed"
    assert word("2 * x", "3 * x") == "survived"
    assert word("2 * y", "3 * y") == "stale"
    assert word("return 2", "retrun 2") == "broken"
    assert word("2 * x", "2 + x", "test_it.py::test_thrice") == "broken"
    # pytest may end with 1 too where it cannot even begin
    (tmp_path / "copy" / "pytest.ini").write_text("[pytest]\naddopts = -p no_such_plugin\n")
    assert word() == "broken"
    assert (tmp_path / "copy" / "sde_sgd" / "__init__.py").read_text() == (root / "sde_sgd" / "__init__.py").read_text()
