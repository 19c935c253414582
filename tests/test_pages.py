"""What README and the pages of `docs/` show runs as it stands, and what they link to and name is there."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import sde_sgd as ss
from sde_sgd.cli import app

ROOT = Path(__file__).parents[1]
PACKAGE = Path(ss.__file__).parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "theory").glob("*.md"))]
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
# pages whose code takes long; that of README is the first of docs/start.md
LONG = {
    "README.md",
    "docs/fast.md",
    "docs/speed.md",
    "docs/training.md",
    "docs/theory/action.md",
    "docs/theory/crossings.md",
    "docs/theory/splitting.md",
}
# pages whose code needs a scheduler at an address, or extras, with which a test of their own runs it
NOT_RUN = {"docs/machines.md", "docs/interoperation.md"} & set(TEXTS)
# generated from the types, held to them by another test
NO_CODE = {"docs/study_files.md"}


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXTS[page], flags=re.MULTILINE | re.DOTALL)


def code_pages():
    for page in TEXTS:
        if blocks(page, "python") and page not in NOT_RUN | NO_CODE:
            yield pytest.param(page, marks=[pytest.mark.long] if page in LONG else [])


@pytest.mark.parametrize("page", list(code_pages()))
def test_python_blocks_run_in_order_in_one_namespace(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for number, block in enumerate(blocks(page, "python")):
        exec(compile(block, f"{page}, Python block {number}", "exec"), names)


@pytest.mark.parametrize("page", sorted(NOT_RUN))
def test_blocks_that_are_not_run_can_be_read(page):
    assert blocks(page, "python")
    for block in blocks(page, "python"):
        compile(block, page, "exec")


def test_the_study_file_is_one(tmp_path):
    """With a tenth of the precision, for time."""
    (loss,) = [block for block in blocks("docs/start.md", "python") if block.startswith("# my_loss.py")]
    (study,) = blocks("docs/start.md", "toml")
    assert "rtol = 0.1 " in study
    (tmp_path / "my_loss.py").write_text(loss, encoding="utf-8")
    (tmp_path / "my_study.toml").write_text(study.replace("rtol = 0.1 ", "rtol = 0.9 "), encoding="utf-8")
    result = CliRunner().invoke(app, ["run", str(tmp_path / "my_study.toml"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "dataset.zarr").is_dir()


def test_readme_is_a_page_with_the_example_of_start():
    text = TEXTS["README.md"]
    assert len(text.splitlines()) <= 150
    (example,) = blocks("README.md", "python")
    # alone, as there nothing comes before it: what runs there runs here
    assert example == blocks("docs/start.md", "python")[0]
    for command in ("pip install . && sde-sgd run escape", "pip install '.[test]' && python -m pytest"):
        assert text.count(command) == 1 and command in TEXTS["docs/start.md"]


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", text, flags=re.MULTILINE)[1] == ss.__version__
    assert re.search(r"^license: (.+)$", text, flags=re.MULTILINE)[1] == "Apache-2.0"


LINKS = [
    (page, link)
    for page, text in TEXTS.items()
    for link in dict.fromkeys(re.findall(r"\]\(([^)\s]+?)(?:#[^)\s]*)?\)", text))
    if not link.startswith(("http", "#"))
]


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_what_a_page_links_to_is_there(page, link):
    """But pages that the site makes of notebooks and of the rooms."""
    made = re.fullmatch(r"(?:\.\./)?(notebooks|api)/(\w+)\.(?:ipynb|rst|md)", link)
    if made and page.startswith("docs/"):
        home = ROOT / "notebooks" if made[1] == "notebooks" else PACKAGE
        assert made[2] == "index" or list(home.glob(f"{made[2]}*")), link
    else:
        assert (ROOT / page).parent.joinpath(link).exists(), link


NAMED = [
    (page, name)
    for page, text in TEXTS.items()
    for name in dict.fromkeys(re.findall(r"`((?:notebooks|benchmarks|docs|tests)/[\w./-]+)`", text))
]


@pytest.mark.parametrize(("page", "name"), NAMED)
def test_what_a_page_names_is_there(page, name):
    assert (ROOT / name).exists()


def test_what_the_package_names_is_there():
    """Files of the repository in docstrings and comments."""
    named = re.compile(r"\b(?:notebooks|benchmarks|docs|tests)/[\w/-]+\.(?:py|md|json|toml)\b")
    found = {name for path in PACKAGE.rglob("*.py") for name in named.findall(path.read_text(encoding="utf-8"))}
    assert "tests/test_splitting.py" in found
    assert [name for name in sorted(found) if not (ROOT / name).exists()] == []


def test_a_page_that_names_what_is_not_there_would_be_seen():
    assert {page for page, _ in LINKS} >= {"README.md", "docs/start.md", "docs/rare.md"}
    assert ("README.md", "docs/choose.md") in LINKS
    assert {page for page, _ in NAMED} >= {"docs/rare.md", "docs/speed.md"}
