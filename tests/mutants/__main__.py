"""Mutation testing of the numerics: `python -m tests.mutants [room …] [--jobs 2] [--only TEXT]`.

From the top folder of the repository. Each small mistake of the lists beside this file is put into a copy of the
package, one at a time, and the tests that it names are run: they must fail. Prints what became of each and exits with
1 if fewer than 95 % die, or if a mistake no longer fits the text or its tests fail without it.
"""

import argparse
import sys
from pathlib import Path

from .runner import ROOMS, run_all


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("rooms", nargs="*", metavar="room", help=f"of {', '.join(ROOMS)}; all by default")
    parser.add_argument("--jobs", type=int, default=2, help="how many run side by side (2)")
    parser.add_argument("--only", default="", help="only mistakes with this text in their file, old or new text")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for the tests of one mistake (300)")
    given = parser.parse_args()
    unknown = set(given.rooms) - set(ROOMS)
    if unknown:
        parser.error(f"unknown room {', '.join(sorted(unknown))}; there are {', '.join(ROOMS)}")
    root = Path(__file__).resolve().parents[2]
    return run_all(root, given.rooms or ROOMS, given.jobs, given.only, given.timeout)


sys.exit(main())
