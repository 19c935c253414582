"""What a docstring has to say, as rules that a program can check; `missing` lists what a public name leaves out.

The rules ask for traces (a parameter's name, a shape, a year), for a program cannot tell whether a sentence is good.
They are cheap to satisfy honestly, and catch the usual decay: a parameter that was added later, a field without a word,
a ValueError that nobody is told of.

    everything      has a docstring; a constant or alias a comment or a string beside it
    a call          names each parameter (θ for `theta`); a shape where it takes or returns arrays whose annotation has
                    none; "SDE time" or "SDE times" where it takes times; "ValueError" where its body raises one or
                    checks arguments; a method that overrides another is described by that one's docstring too
    a class         names what it is made of, in its docstring or in a string below the field; its public methods are
                    calls, its properties have a docstring; members of an enum have a `meaning`, a string below them, or
                    are named
    a source        a call or class says where it comes from or when it holds: a year, "Source: ", or a sentence that
                    begins with "Exact" or "Valid where", "By definition"; of noise, what V is. A class says so in its
                    own docstring. None is asked of an enum, a named tuple, an exception, an abstract base, and of the
                    names in `sourceless`, where a new name is put on purpose; one that is not needed there is told too
"""

import ast
import enum
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from sourceless import SOURCELESS

import sde_sgd as ss

# classes of modules whose names begin so are described here; those of others by their authors
OURS = ("sde_sgd",)
# a year ends a reference, or is followed by the rest of it: "at most 2000 steps" is none
_YEAR = r"\b(1[6-9]|20)\d\d(?=[,;:)]|\.(?!\d)|$)"
_SOURCE = re.compile(
    rf"{_YEAR}|\bSource: \w|\bExact\b|\b[Bb]y definition\b|\bValid (as|at|for|if|in|to|where|while)\b|^V(\(θ\))? = ",
    re.MULTILINE,
)
_SHAPE = re.compile(r"\(\s*(…|\.\.\.|\*?\w+)\s*(,\s*[\w….*+\- ]*)+\)|\bshape\b|\bscalar\b|\bnumber\b", re.IGNORECASE)
_TIMES = {"burn_in", "dt", "horizon", "time", "times"}
# an array whose annotation says nothing of its shape
_BARE_ARRAY = re.compile(r"\b(np\.ndarray|jax\.Array|Array|ArrayLike|Estimate)\b(?!\s*,\s*['\"])")
_SYMBOLS = {"beta": "β", "learning_rate": "γ", "theta": "θ", "xi": "ξ"}
_ERRORS = Path(ss.__file__).with_name("_errors.py")
_CHECKS = {
    node.name
    for node in ast.parse(_ERRORS.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and "ValueError" in (ast.get_docstring(node) or "")
}


def rooms() -> list[str]:
    """The modules that the top level exports, and those of the kinds of study."""
    return [*(name for name in ss.__all__ if isinstance(getattr(ss, name), ModuleType)), "study.kinds"]


def public(room: str) -> dict[str, Any]:
    """What a room exports, by name."""
    module = importlib.import_module(f"sde_sgd.{room}")
    if hasattr(module, "__all__"):
        names = list(module.__all__)
    elif hasattr(module, "__path__"):
        lines = [line for line in _tree(module).body if isinstance(line, ast.ImportFrom)]
        names = [alias.asname or alias.name for line in lines for alias in line.names]
    else:
        names = [name for name, each in vars(module).items() if getattr(each, "__module__", "") == module.__name__]
    return {name: getattr(module, name) for name in names if not name.startswith("_")}


def missing(room: str) -> list[str]:
    """What the docstrings of a room leave out, a line each."""
    module = importlib.import_module(f"sde_sgd.{room}")
    found = [] if module.__doc__ else [f"{room}: no docstring"]
    for name, value in public(room).items():
        where = f"{room}.{name}"
        if inspect.isclass(value) and value.__module__.startswith(OURS):
            found += [f"{where}{each}" for each in of_class(value)]
        elif not inspect.isclass(value) and hasattr(inspect.unwrap(value), "__code__"):
            found += [f"{where}: {each}" for each in of_call(value)]
        elif not inspect.ismodule(value) and not _is_explained(module, name):
            found.append(f"{where}: no comment above it and no string below it")
    return found + [f"{room}.{each}" for each in of_sources(public(room), SOURCELESS.get(room, ()))]


def of_sources(values: dict[str, Any], sourceless: Iterable[str]) -> Iterator[str]:
    """Names without a source that are not said to need none, and those that are said so in vain."""
    without = {name for name, value in values.items() if is_sourceless(value)}
    yield from (
        f"{name}: no source: a year, Source:, Exact, Valid where, by definition" for name in without - {*sourceless}
    )
    yield from (f"{name}: said to need no source, and is no name or has one" for name in {*sourceless} - without)


def is_sourceless(value: Any) -> bool:
    if not inspect.isclass(value):
        return hasattr(inspect.unwrap(value), "__code__") and not _SOURCE.search(inspect.getdoc(value) or "")
    needs_none = issubclass(value, enum.Enum | BaseException) or hasattr(value, "_fields")
    if needs_none or value.__name__.startswith("Abstract") or not value.__module__.startswith(OURS):
        return False
    return not _SOURCE.search(ast.get_docstring(_class(value)) or "")


def of_call(call: Any, text: str = "") -> Iterator[str]:
    """What the docstring of a function or method leaves out. text: what else describes it."""
    text = f"{inspect.getdoc(call) or ''}\n{text}".strip()
    if not text:
        yield "no docstring"
        return
    names = [name for name in inspect.signature(call).parameters if name not in ("self", "cls")]
    yield from (f"parameter `{name}` is not named" for name in names if not _names(text, name))
    tree = _function(call)
    # beartype's and equinox's wrappers hide the annotations that a person wrote
    arguments = [*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs]
    written = {each.arg: ast.unparse(each.annotation) for each in arguments if each.annotation}
    returned = ast.unparse(tree.returns) if tree.returns else ""
    if not _SHAPE.search(text):
        bare = [f"`{name}`" for name, words in written.items() if _BARE_ARRAY.search(words)]
        bare += ["what it returns"] if _BARE_ARRAY.search(returned) else []
        yield from (f"no shape of {each}" for each in bare)
    if _TIMES & set(names) and not re.search(r"\bSDE[- ]times?\b", text):
        yield f"times ({', '.join(sorted(_TIMES & set(names)))}) without a unit: say that they are in SDE time"
    if _raises(tree) and "ValueError" not in text:
        yield "raises, and does not say ValueError"


def of_class(cls: type) -> Iterator[str]:
    """What the docstrings of a class leave out, each line beginning after its name."""
    trees = [_class(base) for base in cls.__mro__ if base.__module__.startswith(OURS)]
    text = "\n".join(ast.get_docstring(tree) or "" for tree in trees)
    if not ast.get_docstring(trees[0]) or not text:
        yield ": no docstring"
    if issubclass(cls, enum.Enum):
        strings = _fields(trees[0], described=True)
        members = [each.name for each in cls if not getattr(each, "meaning", "") and each.name not in strings]
        yield from (f".{name}: no meaning" for name in members if not _names(text, name))
        return
    described = {name for tree in trees for name in _fields(tree, described=True)}
    described |= {name for base in cls.__mro__ for name, each in vars(base).items() if _is_explained_property(each)}
    made_of = {name for tree in trees for name in _fields(tree)} | _parameters(cls)
    yield from (
        f".{name}: not described" for name in sorted(made_of - described)
        if not name.startswith("_") and not _names(text, name)
    )  # fmt: skip
    if _check(trees[0]) and "ValueError" not in text:
        yield ": raises when it is made, and does not say ValueError"
    for name, value in _members(cls):
        if isinstance(value, property):
            if name not in described and not _names(text, name):
                yield f".{name}: no docstring"
        else:
            above = "\n".join(inspect.getdoc(vars(base)[name]) or "" for base in cls.__mro__ if name in vars(base))
            yield from (f".{name}: {each}" for each in of_call(getattr(cls, name), text=above))


def _is_explained_property(value: Any) -> bool:
    # of a property that is deprecated `inspect.getdoc` makes a warning
    return isinstance(value, property) and bool(value.__doc__)


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that the class itself defines."""
    for name, value in vars(cls).items():
        if name.startswith("_") or name in _fields(_class(cls)):
            continue
        if isinstance(value, property | classmethod | staticmethod) or callable(value):
            yield name, value


def _parameters(cls: type) -> set[str]:
    written = vars(cls).get("__init__")
    if not isinstance(written, FunctionType) or written.__code__.co_filename != _file(cls):
        return set()
    return {name for name in inspect.signature(written).parameters if name != "self"}


def _fields(tree: ast.ClassDef, described: bool = False) -> set[str]:
    """Annotated names of a class body; `described`: those with a string on the next line."""
    names = set()
    for line, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
        if isinstance(line, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name):
            explained = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            in_place = line.value is not None and "description=" in ast.unparse(line.value)
            if explained or in_place or (not described and isinstance(line, ast.AnnAssign)):
                names.add(target.id)
    return names


def _check(tree: ast.ClassDef) -> bool:
    made = [line for line in tree.body if isinstance(line, ast.FunctionDef)]
    return any(_raises(line) for line in made if line.name in ("__init__", "__check_init__", "__post_init__"))


def _raises(tree: ast.AST) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None and "ValueError" in ast.unparse(node.exc):
            return True
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in _CHECKS:
            return True
    return False


def _names(text: str, name: str) -> bool:
    words = "|".join(re.escape(word) for word in (name, _SYMBOLS.get(name, name)))
    return re.search(rf"(?<![^\W_])({words})(?![^\W_])", text) is not None


def _is_explained(module: ModuleType, name: str) -> bool:
    """Whether a constant has a comment above it, or a string below it, where it is assigned."""
    home = module
    for line in _tree(module).body:
        if isinstance(line, ast.ImportFrom) and name in [alias.asname or alias.name for alias in line.names]:
            home = importlib.import_module("." * line.level + (line.module or ""), module.__name__)
    if home is not module:
        return _is_explained(home, name)
    source = inspect.getsource(module).splitlines()
    body = _tree(module).body
    for line, after in zip(body, [*body[1:], None], strict=True):
        targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            string = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            return string or source[line.lineno - 2].lstrip().startswith("#") or "#" in source[line.lineno - 1]
    return False


def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


def _file(cls: type) -> str:
    return inspect.getfile(cls)


def _class(cls: type) -> ast.ClassDef:
    for node in ast.walk(ast.parse(Path(_file(cls)).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
            return node
    raise LookupError(f"no class {cls.__name__} in {_file(cls)}")


def _function(call: Any) -> ast.FunctionDef:
    code = inspect.unwrap(getattr(call, "__func__", call)).__code__
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(code))).body
    assert isinstance(node, ast.FunctionDef)
    return node
