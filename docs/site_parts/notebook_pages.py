"""Every `notebooks/*.py` as a page, executed in its quick size: `docs/notebooks`, made anew at each build.

A notebook is a script of percent cells (`# %%`, `# %% [markdown]`) that runs in seconds with `--quick`. One without
cells is one cell below its docstring, and shows the figures of `notebooks/figures` that it names.
"""

import ast
import re
from pathlib import Path

import jupytext
import nbformat

HERE = Path(__file__).resolve().parents[1]
NOTEBOOKS = HERE.parent / "notebooks"
# what a notebook is told, where the command line would have told it
_SETTINGS = "%matplotlib inline\nimport sys\nsys.argv = [{name!r}, '--quick']"


def page(path):
    """The notebook of a script, with a hidden cell that asks for the quick size."""
    text = path.read_text(encoding="utf-8")
    if re.search(r"^# %%", text, flags=re.MULTILINE):
        notebook = jupytext.reads(text, fmt="py:percent")
    else:
        notebook = _of_script(path.stem, text)
    hidden = nbformat.v4.new_code_cell(_SETTINGS.format(name=path.name), metadata={"tags": ["remove-cell"]})
    title = next((place for place, cell in enumerate(notebook.cells) if cell.cell_type == "markdown"), -1) + 1
    notebook.cells.insert(title, hidden)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    # the same text gives the same page, so that an execution is not made twice
    for place, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{place}"
    return notebook


def _of_script(stem, text):
    docstring = ast.get_docstring(ast.parse(text)) or ""
    code = text.split('"""', 2)[2].strip("\n") if text.startswith('"""') else text
    figures = [name for name in dict.fromkeys(re.findall(r"[\w-]+\.png", text)) if (NOTEBOOKS / "figures" / name).exists()]
    shown = "\n\n".join(f"![{name}](../../notebooks/figures/{name})" for name in figures)
    heading = f"# {stem.replace('_', ' ').capitalize()}\n\n{docstring}\n\n{shown}"
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(heading), nbformat.v4.new_code_cell(code)])


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
