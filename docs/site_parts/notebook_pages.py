"""Every `notebooks/*.py` as a page, executed in its quick size: `docs/notebooks`, made anew at each build.

A notebook is a script of percent cells (`# %%`, `# %% [markdown]`) that runs in seconds with `--quick`.
"""

from pathlib import Path

import jupytext
import nbformat

HERE = Path(__file__).resolve().parents[1]
NOTEBOOKS = HERE.parent / "notebooks"
# what a notebook is told, where the command line would have told it
_SETTINGS = "%matplotlib inline\nimport sys\nsys.argv = [{name!r}, '--quick']"
# what a reader is told below the title
_SIZE = "*What is shown here is of the quick size: intervals are wide.* `python notebooks/{name}` *runs it in full.*"


def page(path):
    """The notebook of a script, which asks for the quick size in a hidden cell, and says so below its title."""
    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    hidden = nbformat.v4.new_code_cell(_SETTINGS.format(name=path.name), metadata={"tags": ["remove-cell"]})
    title = next((place for place, cell in enumerate(notebook.cells) if cell.cell_type == "markdown"), -1) + 1
    notebook.cells[title:title] = [nbformat.v4.new_markdown_cell(_SIZE.format(name=path.name)), hidden]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    # the same text gives the same page, so that an execution is not made twice
    for place, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{place}"
    return notebook


def write(folder):
    """Make the pages of all notebooks in a folder; those of notebooks that are gone go."""
    folder.mkdir(exist_ok=True)
    pages = {f"{path.stem}.ipynb": page(path) for path in sorted(NOTEBOOKS.glob("*.py"))}
    for path in folder.glob("*.ipynb"):
        if path.name not in pages:
            path.unlink()
    for name, notebook in pages.items():
        text = nbformat.writes(notebook)
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text:
            (folder / name).write_text(text, encoding="utf-8")


def setup(app):
    app.connect("config-inited", lambda app, config: write(Path(app.srcdir) / "notebooks"))
    return {"parallel_read_safe": True}
