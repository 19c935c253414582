"""A person's own modules: what of their text decides numbers, as digests of syntax trees, and how they are imported.

Comments, docstrings and formatting decide nothing. Modules beside the one that a study names count as far as `import`
statements lead to them; what a module imports by a name that it computes is not seen.
"""

import ast
import contextlib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ._errors import StudyError

# what begins the part of a file in the text of several
_HEADER = "# file "
# this package is told by its version
_OURS = __name__.partition(".")[0]
# fields of a syntax tree that say nothing of what it does
_SILENT = ("ctx", "kind", "type_comment", "type_ignores")
# file and digest of the modules that `imported` has loaded, by name
_loaded: dict[str, tuple[Path, str]] = {}


def code_of(name: str, folder: Path) -> str:
    """Everything that decides numbers in the module `name` and in those beside it that it imports.

    name: as in "package.module". folder: where it is looked for before Python's path.
    Each file is a part of the text, which `digests` takes apart; "" for a module without source text.
    Raises StudyError for a file that is not Python.
    """
    # called as seen from the folder of the outermost package
    ends = {"__init__.py": "/__init__.py"}
    files = {each.replace(".", "/") + ends.get(file.name, ".py"): file for each, file in _files(name, folder).items()}
    return "\n".join(f"{_HEADER}{file}\n{_written(_tree(path))}" for file, path in sorted(files.items()))


def code_with(thing: Any) -> str:
    """As `code_of`, of the module that a function, or what was made of one, is from; "" where there is none."""
    while inner := getattr(thing, "__wrapped__", None) or (isinstance(thing, functools.partial) and thing.func):
        thing = inner
    module = inspect.getmodule(thing)
    path = getattr(module, "__file__", None)
    if module is None or path is None:
        return ""
    file = Path(path)
    return code_of(module.__name__, file.parents[module.__name__.count(".") + (file.name == "__init__.py")])


def digests(code: str) -> dict[str, str]:
    """Hexadecimal digests by file, of what `code_of` returned; text of another origin is one, called "code"."""
    first, *parts = re.split(rf"^{_HEADER}(.*)\n", code, flags=re.MULTILINE)
    named = dict(zip(parts[::2], parts[1::2], strict=True))
    if first.strip():
        named["code"] = first
    return {file: hashlib.sha256(text.strip().encode()).hexdigest() for file, text in named.items()}


def imported(name: str, folder: Path) -> ModuleType:
    """The module `name`, from `folder` if it is there; read anew where the one that is loaded is not what is there.

    Python keeps a module by its name alone: a second study's `my_loss` would be the first one's, and a file edited
    while a notebook lives would run as it was. Raises what importing it raises, but StudyError where it ends Python.
    """
    files = _files(name, folder)
    now = {module: (file, _digest(file)) for module, file in files.items()}
    if any(_is_stale(module, *there) for module, there in now.items()):
        for module in now:
            sys.modules.pop(module, None)
    importlib.invalidate_caches()
    with on_the_path(folder):
        try:
            module = importlib.import_module(name)
        # no Exception, so that it would end the command without a word
        except SystemExit as error:
            raise StudyError(
                f"importing module '{name}' must not end the process, got SystemExit({error.code!r})"
            ) from None
    _loaded.update({each: there for each, there in now.items() if each in sys.modules})
    return module


@contextlib.contextmanager
def on_the_path(folder: Path) -> Iterator[None]:
    """While the block runs, modules in `folder` come before all others of Python's path."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))


def _is_stale(name: str, file: Path, digest: str) -> bool:
    module = sys.modules.get(name)
    path = getattr(module, "__file__", None)
    if module is None or path is None:
        return False
    return Path(path).resolve() != file or _loaded.get(name, (file, digest)) != (file, digest)


def _files(name: str, folder: Path) -> dict[str, Path]:
    """The file of the module `name`, and those beside it that it leads to, by the module's name."""
    root = folder.resolve()
    first = _file_in(root, name)
    if first is None:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            return {}
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            return {}
        first = Path(spec.origin).resolve()
        root = first.parents[name.count(".") + (first.name == "__init__.py")]
    # what is installed is a person's own as far as its own package goes
    within = name.partition(".")[0] if _is_installed(root) else ""
    found: dict[str, Path] = {}
    _follow(name, first, root, within, found)
    return found


def _follow(name: str, file: Path, root: Path, within: str, found: dict[str, Path]) -> None:
    found[name] = file
    for each in _imports(_tree(file), name if file.name == "__init__.py" else name.rpartition(".")[0]):
        # importing a.b runs a/__init__.py too
        for end in range(1, each.count(".") + 2):
            inner = ".".join(each.split(".")[:end])
            there = _file_in(root, inner)
            top = inner.partition(".")[0]
            if there is not None and inner not in found and top != _OURS and top == (within or top):
                _follow(inner, there, root, within, found)


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Names of modules that a module's import statements may mean, also of those within functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*filter(None, parts), *filter(None, [node.module])])
            yield from filter(None, [base, *(f"{base}.{alias.name}".strip(".") for alias in node.names)])


def _file_in(root: Path, name: str) -> Path | None:
    path = root.joinpath(*name.split("."))
    for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
        if file.is_file():
            return file.resolve()
    return None


def _is_installed(root: Path) -> bool:
    places = {sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    return any(Path(place).resolve() in (root, *root.parents) for place in places if place)


def _tree(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError) as error:
        raise StudyError(f"module {file} is not Python: {error}") from None


def _written(node: Any) -> str:
    """A syntax tree as text, without comments, docstrings, formatting and what differs between Pythons."""
    if isinstance(node, list):
        return f"[{' '.join(map(_written, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    # an empty field is not written: later Pythons have more of them
    fields = [
        f"{name}={_written(_body(node, value) if name == 'body' else value)}"
        for name, value in ast.iter_fields(node)
        if name not in _SILENT and value is not None and value != []
    ]
    return f"{type(node).__name__}({' '.join(fields)})"


def _body(node: ast.AST, body: Any) -> Any:
    documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    first = body[0] if documented and body else None
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return body[1:] if is_text else body


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
