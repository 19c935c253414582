"""The lists of small mistakes fit the package as it is; their tests are run by `python -m tests.mutants`, not here."""

import ast
import functools
from collections import Counter
from pathlib import Path

import pytest
from mutants.runner import ROOMS, Mutant, Workshop, fault, read

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


def test_a_workshop_tells_killed_from_survived(tmp_path):
    """Of mistakes in a package of two lines: one that a test sees, one that none sees, two that do not fit."""
    root = tmp_path / "root"
    (root / "sde_sgd").mkdir(parents=True)
    (root / "tests").mkdir()
    (root / "sde_sgd" / "__init__.py").write_text("def twice(x):\n    return 2 * x\n")
    (root / "tests" / "test_it.py").write_text(
        "from sde_sgd import twice\n\n\ndef test_twice():\n    assert twice(0) == 0\n    assert twice(1) > 1\n"
    )
    workshop = Workshop(root, tmp_path / "copy", tmp_path / "cache")

    def word(old, new, test="test_it.py::test_twice"):
        return workshop.run(Mutant("room", "__init__.py", old, new, (test,)), 60.0).word

    assert word("2 * x", "2 + x") == "killed"
    assert word("2 * x", "3 * x") == "survived"
    assert word("2 * y", "3 * y") == "stale"
    assert word("return 2", "retrun 2") == "broken"
    assert word("2 * x", "2 + x", "test_it.py::test_thrice") == "broken"
    # pytest may end with 1 too where it cannot even begin
    (tmp_path / "copy" / "pytest.ini").write_text("[pytest]\naddopts = -p no_such_plugin\n")
    assert word("2 * x", "2 + x") == "broken"
    assert (tmp_path / "copy" / "sde_sgd" / "__init__.py").read_text() == (root / "sde_sgd" / "__init__.py").read_text()
