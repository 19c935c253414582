"""Who answers: its module, what a person has to write for it, and which questions it is asked."""

import ast
import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..speed.rivals import _splitting
from ._lines import lines_of
from .problem import TEMPERATURES

_HERE = Path(__file__).parent
_UNTIL = _HERE / "rivals" / "_until.py"
# of the splitting rival's functions, those that one population takes
_POPULATION = (_splitting.Event, _splitting.adaptive_splitting, _splitting._dies, _splitting._branches, _splitting._run)


@dataclass(frozen=True)
class Contender:
    """name, module: what it is called, and its file here. needs: packages, named where they are missing.

    parts: files and functions beside its own file that its answer takes. questions: those that it is asked.
    """

    name: str
    module: str
    needs: tuple[str, ...] = ()
    parts: tuple[Any, ...] = ()
    questions: tuple[str, ...] = tuple(TEMPERATURES)
    why_not: str = ""

    def load(self) -> ModuleType:
        return importlib.import_module(f".{self.module}", __package__)

    @property
    def lines(self) -> int:
        return lines_of(_HERE / self.file, *self.parts)

    @property
    def file(self) -> str:
        """Its path in this folder."""
        return self.module.replace(".", "/") + ".py"

    @property
    def takes(self) -> list[str]:
        """What its file takes from the problem's."""
        tree = ast.parse((_HERE / self.file).read_text(encoding="utf-8"))
        lines = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "problem"]
        return sorted(alias.name for node in lines for alias in node.names)

    @property
    def is_direct(self) -> bool:
        """Whether it draws independent trajectories in batches; else it comes to an interval by itself."""
        return _UNTIL in self.parts


CONTENDERS = (
    Contender("sde_sgd", "ours"),
    Contender("numba", "rivals.numba_", ("numba",), (_UNTIL,)),
    Contender("NumPy", "rivals.numpy_", (), (_UNTIL,)),
    Contender("diffrax", "rivals.diffrax_", ("diffrax",), (_UNTIL,)),
    Contender("torchsde", "rivals.torchsde_", ("torch", "torchsde"), (_UNTIL,)),
    Contender(
        "NumPy, splitting", "rivals.splitting_", (), _POPULATION, ("1e-3", "1e-6"),
        "direct simulation is what one takes where a tenth leave",
    ),
)  # fmt: skip
