"""A study of the command's tests, how the command is called, and what a mistake looks like."""

from typer.testing import CliRunner

from sde_sgd.cli import app

STUDY = """
kind = "escape"
horizon = 1.0
trajectories = 50
[landscape]
kind = "TwoWells"
[noise]
kind = "Isotropic"
beta = 32.0
[sweep]
learning_rate = [0.04]
batch_size = [8]
[[start]]
name = "sharp"
point = "sharp_minimum"
saddle = "saddle"
"""


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def assert_one_line(result, *parts):
    """Exit status 2, one line on stderr with every part in it, no traceback."""
    assert result.exit_code == 2, (result.exit_code, result.output, result.exception)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), result.stderr
    assert "Traceback" not in result.output
    for part in parts:
        assert part in lines[0], lines[0]
