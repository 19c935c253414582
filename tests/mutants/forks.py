"""What the runner starts once for many runs of pytest: the libraries are imported here, and each run is a fork.

A line on standard input is JSON: the arguments of pytest, a file for what it prints, and its seconds. A line with the
exit code comes back, or with null where it took too long. The package itself is imported by each run anew.
"""

import contextlib
import importlib
import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Sequence

# not one of these asks for a device, which would start threads that a fork has not
_LIBRARIES = ("numpy", "scipy.optimize", "scipy.special", "xarray", "jax", "equinox", "optax", "beartype", "pytest")
_LOOK = 0.01


def main() -> None:
    for name in _LIBRARIES:
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        asked = json.loads(line)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            child = os.fork()
        if child == 0:
            _run(asked["arguments"], asked["prints"])
        _alone(child)
        print(json.dumps(_code(child, asked["seconds"])), file=answers, flush=True)


def _run(arguments: Sequence[str], prints: str) -> None:
    """Pytest in a group of its own, so that what it starts ends with it."""
    import pytest

    _alone(0)
    out = os.open(prints, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    importlib.invalidate_caches()
    try:
        # what is imported here has its asserts as they are
        code = int(pytest.main(["-W", "ignore::pytest.PytestAssertRewriteWarning", *arguments]))
    except BaseException:
        traceback.print_exc()
        code = 3
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _alone(process: int) -> None:
    """In a group of its own; both say so, for neither knows who comes first."""
    with contextlib.suppress(OSError):
        os.setpgid(process, process)


def _code(child: int, seconds: float) -> int | None:
    """How it ended; None where it had to be ended."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(_LOOK)


main()
