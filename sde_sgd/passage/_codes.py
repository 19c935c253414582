"""Why a trajectory stops, and the purposes that random numbers of a first passage serve."""

RUNNING = 0
TARGET, AVOID, LEVEL_CROSSED, FELL_BACK, IN_BOTH_SETS = 2, 3, 4, 5, 6
"""Codes of a stop: of the passage; of splitting; and that of a state in two sets that should not overlap."""

# numbers of the keys that one seed yields: no two purposes share their random numbers
PILOT, LEVELS, REPETITIONS, EQUILIBRATION, EXCURSIONS, LINGERERS = 0, 1, 2, 3, 5, 6
