"""A page for each room with all its public names: docstrings, and a runnable example of each; `docs/api`, made anew."""

import importlib
import inspect
import re
from pathlib import Path

# the rules of what is public are those that the tests hold docstrings to
import documentation

import sde_sgd

from . import examples
from .docstrings import to_rst

# a page would repeat what another one has
_ELSEWHERE = {"study.kinds"}


def rooms():
    """Rooms that have a page."""
    return [room for room in documentation.rooms() if room not in _ELSEWHERE]


def page(room):
    """The text of a room's page, in reStructuredText."""
    module = importlib.import_module(f"sde_sgd.{room}")
    public, shown = documentation.public(room), set()
    text = [room, "=" * len(room), "", *to_rst(inspect.getdoc(module).splitlines()), ""]
    for block in examples.blocks(room):
        names = [name for name in block.names if name not in shown]
        text += [line for name in names for line in _name(module, name, public[name])]
        text += ["", *_code(block.code), ""]
        shown |= set(names)
    text += [line for name in public if name not in shown for line in _name(module, name, public[name])]
    return "\n".join(text)


def _code(code):
    return [".. code-block:: python", "", *(f"    {line}" for line in code.splitlines())]


def _name(module, name, value):
    where = f"{module.__name__}.{name}"
    if inspect.isclass(value):
        return ["", f".. autoclass:: {where}", "    :members:", ""]
    if inspect.isfunction(inspect.unwrap(value)):
        return ["", f".. autofunction:: {where}", ""]
    if inspect.ismodule(value):
        return ["", f".. py:module:: {where}", ""]
    return ["", f".. py:data:: {where}", "", *(f"    {line}" for line in to_rst(comment(module, name))), ""]


def comment(module, name):
    """The lines that explain a constant or an alias: the comment above it, or the string below it."""
    source = inspect.getsource(module)
    found = re.search(rf"^from (\.[\w.]*) import .*\b{name}\b", source, flags=re.MULTILINE)
    if found:
        return comment(importlib.import_module(found[1], module.__name__), name)
    above = re.search(rf"((?:^#.*\n)+)^{name}\b.*?=(?:.*?  # (.*))?", source, flags=re.MULTILINE)
    if above:
        return [line.lstrip("# ") for line in above[1].splitlines()]
    below = re.search(rf'^{name}\b.*?=.*?\n"""(.*?)"""', source, flags=re.MULTILINE | re.DOTALL)
    return inspect.cleandoc(below[1]).splitlines() if below else []


def index():
    """The page that lists the rooms."""
    names = sorted(name for name in sde_sgd.__all__ if name not in rooms())
    text = ["Names", "=====", "", "Every public name, by room, with its docstring and an example that tests run."]
    text += [f"At the top of the package, ``ss``, are {', '.join(f'``{name}``' for name in names)}.", ""]
    return "\n".join([*text, ".. toctree::", "    :maxdepth: 1", "", *(f"    {room}" for room in rooms()), ""])


def write(folder):
    """Make the pages in a folder, where their text has changed."""
    folder.mkdir(exist_ok=True)
    pages = {"index.rst": index()} | {f"{room}.rst": page(room) for room in rooms()}
    for name, text in pages.items():
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text:
            (folder / name).write_text(text, encoding="utf-8")


def setup(app):
    app.connect("config-inited", lambda app, config: write(Path(app.srcdir) / "api"))
    return {"parallel_read_safe": True}
