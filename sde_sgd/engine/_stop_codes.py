"""Why a trajectory was stopped: one enumeration for the engine and for every monitor."""

import enum


class StopCode(enum.IntEnum):
    """What ended a trajectory; a monitor returns 0 to go on or one of those from TARGET on, up to 7."""

    RUNNING = 0
    """Nothing: it had steps left, or its budget was spent."""
    DIVERGED = 1
    """Its state stopped being finite; the engine says so, no monitor needs to."""
    TARGET = 2
    """It reached the target."""
    AVOID = 3
    """It reached the set to be avoided."""
    LEVEL_CROSSED = 4
    """Its score crossed a level, on the way to the target."""
    FELL_BACK = 5
    """Its score fell back below a level."""
    IN_BOTH_SETS = 6
    """It was found in the target and in the set to be avoided at once."""


DIVERGED = StopCode.DIVERGED
"""The code of a trajectory whose state stopped being finite."""
CODES = 8
"""One more than the largest code: marks are (steps)·8 + code."""
