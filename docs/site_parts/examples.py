"""Examples of public names: `docs/examples/ROOM.py` has blocks, `# %% name, name` and the code that uses them.

Blocks of a room run in order in one namespace. A block without names is what those below it begin with. A line that
ends with `# → text` is an expression, and the text is what it prints as, numbers to the digits that are written.
"""

import ast
import math
import re
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parents[1] / "examples"
_HEAD = re.compile(r"^# %%(.*)\n", flags=re.MULTILINE)
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+\.?\d*(?:e[-+]?\d+)?(?!\w)")


class Block(NamedTuple):
    """names: those that it is an example of. code: to run, and to show. line: where the code begins in the file."""

    names: tuple[str, ...]
    code: str
    line: int


def blocks(room):
    """The blocks of a room's examples, none where it has no file."""
    path = FOLDER / f"{room}.py"
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    heads = list(_HEAD.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    return [
        Block(
            tuple(name.strip() for name in head[1].split(",") if name.strip()),
            text[head.end() : end].strip("\n"),
            text[: head.end()].count("\n"),
        )
        for head, end in zip(heads, ends, strict=True)
    ]


def run(block, names, where):
    """Run a block in a namespace; AssertionError where a line prints as something else than it says."""
    lines = block.code.splitlines()
    for node in ast.parse(block.code).body:
        said = lines[node.end_lineno - 1].partition("  # → ")[2]
        # line numbers of the file, for the traceback
        ast.increment_lineno(node, block.line)
        if said and isinstance(node, ast.Expr):
            value = eval(compile(ast.Expression(node.value), where, "eval"), names)
            assert agree(said, str(value)), f"{where}:{node.end_lineno}: {value} is not {said}"
        else:
            assert not said, f"{where}:{node.end_lineno}: not an expression"
            exec(compile(ast.Module([node], []), where, "exec"), names)


def agree(said, printed):
    """Whether what is printed is what was said: the same words, and numbers equal in the digits that are written."""
    said, printed = (" ".join(text.split()) for text in (said, printed))
    numbers, found = _NUMBER.findall(said), _NUMBER.findall(printed)
    # brackets are printed with blanks that depend on the digits
    words, found_words = (_NUMBER.sub("#", text).replace(" ]", "]").replace("[ ", "[") for text in (said, printed))
    return words == found_words and all(map(_equal, numbers, found))


def _equal(said, found):
    mantissa, _, exponent = said.partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return math.isclose(float(said), float(found), rel_tol=1e-9, abs_tol=0.5001 * unit)
