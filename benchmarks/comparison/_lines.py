"""Lines that a person writes: of all that a contender's answer needs, however it is laid out."""

import ast
import inspect
import textwrap
from pathlib import Path
from typing import Any

RULE = (
    "lines of the contender's file, and of what else its answer needs from other files here, as Python itself lays the "
    "code out (`ast.unparse`), without docstrings, comments and blank lines. The loop until the precision is there "
    "counts; the numbers of the problem, and V' that rivals share, do not"
)
_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def lines_of(*parts: Path | Any) -> int:
    """Of files, classes and functions together."""
    return sum(_count(part) for part in parts)


def _count(part: Path | Any) -> int:
    source = part.read_text(encoding="utf-8") if isinstance(part, Path) else inspect.getsource(part)
    tree = ast.parse(textwrap.dedent(source))
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and node.body and _is_string(node.body[0]):
            # an empty class or function needs a statement
            node.body = node.body[1:] or ([] if isinstance(node, ast.Module) else [ast.Pass()])
    return len([line for line in ast.unparse(tree).splitlines() if line.strip()])


def _is_string(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
