"""Bad arguments from Python: one sentence that names the argument, what was given and what is allowed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import pytest
from bad_input_cases import BAD

import sde_sgd as ss


@pytest.fixture(scope="module")
def raised():
    """What each bad call raises in a process of its own, where the suite's type checks do not come first."""
    program = Path(__file__).with_name("bad_input_cases.py")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", BAD, ids=list(BAD))
def test_one_clear_error(case, raised):
    kind, message = raised[case]
    assert kind in ("ValueError", "StudyError"), (kind, message)
    assert re.search(BAD[case][1], message), message


def test_a_covariance_that_is_only_rounded_is_accepted():
    """The check of definiteness leaves room for float32, and for a direction without noise."""
    direction = jnp.array([1.0, 1e3, 1e-3])
    assert isinstance(ss.noise.ConstantCovariance(jnp.outer(direction, direction)), eqx.Module)
