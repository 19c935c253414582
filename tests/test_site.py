"""The documentation's site: pages say what there is, and what the site's builder lacks does what it says."""

import re
from pathlib import Path

import pytest
from site_parts import docstrings

import sde_sgd as ss
from sde_sgd.engine import StopCode
from sde_sgd.passage import OUTCOMES
from sde_sgd.study.store._recovery import State

DOCS = Path(__file__).parents[1] / "docs"
STATUSES = (DOCS / "statuses.md").read_text(encoding="utf-8")


def section(text, heading):
    found = re.search(rf"^### {re.escape(heading)}\n(.*?)(?=^##|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def is_told(status, text=STATUSES):
    """Whether the page has the status, with its meaning and what to do, which is more than a word."""
    told = " ".join(section(text, status.value).split()).lower()
    return f"*{status.meaning}.*" in told and len(told.partition("**what to do:**")[2].split()) >= 5


@pytest.mark.parametrize("status", ss.Status)
def test_every_status_is_told_with_what_to_do(status):
    assert is_told(status)
    assert not is_told(status, STATUSES.replace("**What to do:**", ""))
    assert not is_told(status, STATUSES.replace(f"### {status.value}\n", "### other\n"))


def test_the_page_has_no_status_that_there_is_not():
    assert re.findall(r"^### (.*)$", STATUSES, flags=re.MULTILINE) == [status.value for status in ss.Status]


def rows(heading):
    """First two cells of each row of the table below a heading."""
    text = STATUSES.split(f"## {heading}\n")[1].split("\n## ")[0]
    table = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert all(all(row[2:]) for row in table)
    return [tuple(row[:2]) for row in table[2:]]


def test_what_ends_a_trajectory_and_what_a_unit_may_be_are_told():
    names = {code: name for name, code in OUTCOMES.items()}
    assert rows("Of one trajectory") == [(code.name, names.get(code, "")) for code in StopCode]
    assert [row[0] for row in rows("Of a study's folder")] == [state.value for state in State]


def test_docstrings_keep_their_words_and_become_items_and_code():
    text = """P(‖Θ_t − θ*‖ ≥ |r|) of `chain`, a number.

    theta: θ (dim,); see `other`
        and more of it.
    horizon, dt: SDE times.
    Raises ValueError for others.

        x' = x + b dt
    """
    lines = docstrings.to_rst(re.sub(r"^ {4}", "", text, flags=re.MULTILINE).splitlines())
    made = [line for line in lines if line]
    assert made[0] == r"\ P(‖Θ\_t − θ\*‖ ≥ \|r\|) of \ ``chain``\ , a number."
    assert made[1] == r"* \ theta: θ (dim,); see \ ``other``\  and more of it."
    assert made[2] == r"* \ horizon, dt: SDE times."
    assert made[3:] == [r"\ Raises ValueError for others.", "::", "        x' = x + b dt"]


def test_what_a_page_would_fetch_is_seen():
    pytest.importorskip("sphinx")
    from site_parts.offline import fetched

    here = (
        '<script src="_static/a.js"></script><a href="https://arxiv.org">x</a><link rel="canonical" href="https://a.b">'
    )
    assert fetched(here) == []
    for there in (
        '<script src="https://cdn.x/a.js">',
        '<link rel="stylesheet" href="//cdn.x/a.css">',
        "<img alt='a' src='http://x/a.png'>",
        "<style>@import url(https://x/font.css)</style>",
    ):
        assert len(fetched(there)) == 1, there
    assert fetched("src: url('https://x/a.woff2')", style=True) == ["https://x/a.woff2"]


def test_a_notebook_is_executed_in_its_quick_size(tmp_path):
    pytest.importorskip("jupytext")
    from site_parts import notebook_pages

    notebook_pages.write(tmp_path / "pages")
    pages = sorted((tmp_path / "pages").glob("*.ipynb"))
    assert [page.stem for page in pages] == sorted(path.stem for path in notebook_pages.NOTEBOOKS.glob("*.py"))
    for path in notebook_pages.NOTEBOOKS.glob("*.py"):
        title, size, hidden, *rest = notebook_pages.page(path).cells
        assert title.cell_type == "markdown" and title.source.startswith("# ")
        assert size.cell_type == "markdown" and f"`python notebooks/{path.name}`" in size.source
        assert "'--quick'" in hidden.source and hidden.metadata["tags"] == ["remove-cell"]
        assert any(cell.cell_type == "code" for cell in rest)


def test_fractions_have_braces():
    """The site's MathML reads `\\frac12` otherwise than TeX does."""
    for page in sorted((DOCS / "theory").glob("*.md")):
        assert not re.search(r"\\t?frac[^{]", page.read_text(encoding="utf-8")), page
