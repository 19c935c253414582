"""Each addition of CONTRIBUTING is made as it is written, in a copy of the package, and its test runs there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sde_sgd as ss

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ADDITIONS = dict(re.findall(r"^## (?:A|An) ([\w ]+)\n(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL))
# the first line of a block: a new file, or what to add to one that is there
_HEAD = re.compile(r"# ([\w/]+\.py)(, one line more|, below what is there)?")


def blocks(section):
    """Path, whether it is there already, and text of each file that a section writes."""
    for block in re.findall(r"^```python\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL):
        first, rest = block.split("\n", 1)
        head = _HEAD.fullmatch(first)
        assert head, f"a block must begin with the path of its file, got {first!r}"
        yield head[1], bool(head[2]), rest


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A folder with the package and all additions in it, made once."""
    folder = tmp_path_factory.mktemp("contributing")
    shutil.copytree(Path(ss.__file__).parent, folder / "sde_sgd", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tests").mkdir()
    for name in ("conftest.py", "statistical.py", "documentation.py", "sourceless.py"):
        shutil.copy(ROOT / "tests" / name, folder / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for section in ADDITIONS.values():
        for path, exists, text in blocks(section):
            file = folder / path
            assert file.exists() == exists, path
            there = file.read_text(encoding="utf-8") if exists else ""
            if file.name == "__init__.py" and "\n__all__ =" in there:
                imports, names = there.split("\n__all__ =")
                file.write_text(f"{imports}{text}\n__all__ ={names}", encoding="utf-8")
            else:
                file.write_text(f"{there}\n\n{text}" if exists else text, encoding="utf-8")
    return folder


def test_an_addition_is_one_file_one_line_and_its_test():
    for name, section in ADDITIONS.items():
        files = list(blocks(section))
        new = [path for path, exists, _ in files if not exists]
        assert any(path.startswith("tests/test_") for path in new), name
        assert len(new) <= 2 and len(files) <= 3, (name, [path for path, *_ in files])
    expected = {"landscape", "noise model", "chain", "region", "score", "kind of increments", "method"}
    expected |= {"reduction", "basin rule", "study kind"}
    assert expected <= set(ADDITIONS)


@pytest.mark.long
def test_each_works_as_it_is_written(copy):
    command = [sys.executable, "-m", "pytest", "-n", "0", "-v", "--tb=short", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    written = sum(text.count("\ndef test_") for section in ADDITIONS.values() for _, _, text in blocks(section))
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= written


@pytest.mark.long
def test_each_is_documented_as_all_that_is_public(copy):
    """The names that the additions export, by the rules for those of the package."""
    code = (
        "import sys; sys.path.insert(0, 'tests'); import documentation\n"
        "print(*{name for room in documentation.rooms() for name in documentation.public(room)})\n"
        "print(*[line for room in documentation.rooms() for line in documentation.missing(room)], sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, check=True)
    names, missing = done.stdout.split("\n", 1)
    for name, section in ADDITIONS.items():
        source = "\n".join(text for path, _, text in blocks(section) if not path.startswith("tests/"))
        added = re.findall(r"^(?:class|def) ([A-Za-z]\w*)", source, flags=re.MULTILINE)
        assert set(added) & set(names.split()), name
    assert not missing.strip(), missing
