"""Notebooks in jupytext's percent form: each begins with a question, ends with a picture, and has a quick size."""

import ast
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
FILES = sorted(FOLDER.glob("*.py"))
# as jupytext writes it, of any version
HEADER = re.compile(
    r"# ---\n# jupyter:\n#   jupytext:\n#     text_representation:\n#       extension: \.py\n"
    r"#       format_name: percent\n#       format_version: '1\.3'\n#       jupytext_version: [\d.]+\n"
    r"#   kernelspec:\n#     display_name: Python 3\n#     language: python\n#     name: python3\n# ---\n\n"
)


def cells(text):
    """(kind, source) of each cell of a notebook, which has nothing before, between or beside them; else ValueError."""
    header = HEADER.match(text)
    if header is None:
        raise ValueError("the header is not that of a percent notebook")
    before, *rest = re.split(r"^# %%(.*)\n", text[header.end() :], flags=re.MULTILINE)
    if before:
        raise ValueError(f"there is {before!r} before the first cell")
    found = []
    for kind, source in zip(rest[::2], rest[1::2], strict=True):
        if kind not in ("", " [markdown]"):
            raise ValueError(f"a cell is of no known kind: {kind!r}")
        lines = source.rstrip().split("\n")
        if kind and not all(line == "#" or line.startswith("# ") for line in lines):
            raise ValueError(f"a cell of words has other lines: {source!r}")
        if not kind:
            ast.parse(source)
        found.append(("words", "\n".join(line[2:] for line in lines)) if kind else ("code", source))
    return found


def draws(source):
    """Whether code makes a picture, which a notebook then shows below the cell."""
    called = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    of = [ast.unparse(each) for each in called]
    last = ast.parse(source).body[-1]
    by_itself = any(name == "plt.subplots" or name.endswith(".plot") for name in of)
    # whole figures are shown where they are the cell's value
    return by_itself or (any("plotting." in name for name in of) and isinstance(last, ast.Expr))


def test_there_are_seven_of_which_each_answers_another_question():
    questions = {cells(path.read_text(encoding="utf-8"))[0][1] for path in FILES}
    assert len(FILES) == len(questions) == 7


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_goes_from_a_question_to_the_picture_that_answers_it(path):
    found = cells(path.read_text(encoding="utf-8"))
    kind, question = found[0]
    assert kind == "words" and question.startswith("# ") and question.endswith("?")
    (before, words), (last, source) = found[-2:]
    assert (before, last) == ("words", "code") and words.startswith("The picture that answers:") and draws(source)
    # in a terminal and where a notebook is executed; what Jupyter gives a kernel on its command line is neither
    assert any('"--quick" in sys.argv' in each and "SDE_SGD_QUICK" in each for _, each in found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_figures_that_it_draws_are_kept(path):
    drawn = re.findall(r'savefig\("([\w.]+)"', path.read_text(encoding="utf-8"))
    assert drawn and all((FOLDER / "figures" / name).exists() for name in drawn)


def test_what_is_no_notebook_is_rejected():
    good = FILES[0].read_text(encoding="utf-8")
    for bad in (
        good.replace("percent", "light"),
        good.replace("# %% [markdown]\n", "import os\n\n# %% [markdown]\n", 1),
        good.replace("# %% [markdown]\n", "# %% [raw]\n", 1),
        good.replace("# %% [markdown]\n", "# %% [markdown]\nwords\n", 1),
    ):
        with pytest.raises(ValueError, match=r"header|before|kind|lines"):
            cells(bad)
    assert not draws("print(ss.plan(chain))") and not draws("figure = ss.plotting.phase_diagram(data)")
    assert draws("figure = ss.plotting.phase_diagram(data)\nfigure") and draws("axes = found.plot()")
