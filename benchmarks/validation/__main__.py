"""The command `python -m benchmarks.validation NAME`."""

import ast
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

NAMES = ("splitting", "scores", "stationary", "minimum_action", "battery", "choices", "random_stream", "normal_error")


def main(arguments: Sequence[str] | None = None) -> None:
    name, *others = (sys.argv[1:] if arguments is None else list(arguments)) or [""]
    if name in NAMES:
        importlib.import_module(f"{__package__}.{name}").main(others)
        return
    print("python -m benchmarks.validation NAME [--help]; the names are\n")
    for each in NAMES:
        source = Path(__file__).with_name(f"{each}.py").read_text(encoding="utf-8")
        print(f"  {each:14} {(ast.get_docstring(ast.parse(source)) or '').splitlines()[0]}")
    if name not in ("", "-h", "--help"):
        raise SystemExit(f"\nunknown name '{name}'")


if __name__ == "__main__":
    main()
