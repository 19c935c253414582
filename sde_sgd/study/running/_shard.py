"""The share of one of many workers, k of n: as it is asked for, or from the variables of an array of jobs."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from .._errors import StudyError


class Share(NamedTuple):
    """What a worker computes: the units k with k mod count = place; and whether it then goes on with the others'."""

    place: int = 0
    count: int = 1
    help_others: bool = True


WHOLE = Share()


class _Array(NamedTuple):
    """Variables of a scheduler's array of jobs: the number of this one, the first, the last, the step; or how many."""

    index: str
    first: str = ""
    last: str = ""
    step: str = ""
    count: str = ""


# PBS says which job of an array this is and not of how many; an array of one job has no numbers
_ARRAYS = {
    "SLURM array": _Array(
        "SLURM_ARRAY_TASK_ID",
        "SLURM_ARRAY_TASK_MIN",
        "SLURM_ARRAY_TASK_MAX",
        "SLURM_ARRAY_TASK_STEP",
        "SLURM_ARRAY_TASK_COUNT",
    ),
    "SGE array": _Array("SGE_TASK_ID", "SGE_TASK_FIRST", "SGE_TASK_LAST", "SGE_TASK_STEPSIZE"),
    "LSF array": _Array("LSB_JOBINDEX", "", "LSB_JOBINDEX_END", "LSB_JOBINDEX_STEP"),
    "PBS array": _Array("PBS_ARRAY_INDEX"),
    "Torque array": _Array("PBS_ARRAYID"),
    "SLURM step": _Array("SLURM_PROCID", count="SLURM_NTASKS"),
}


def shard_of(given: str | tuple[int, int] | None, variables: Mapping[str, str] | None = None) -> tuple[int, int]:
    """The share (i, n) of a worker, 0 <= i < n: units k with k mod n = i.

    given: "i/n"; "/n", where the scheduler says which one this is and not of how many; a pair; None asks the scheduler.
    variables: the environment, by default this process's.
    Raises StudyError for what is none, and where the scheduler does not say.
    """
    if isinstance(given, tuple):
        return _checked(*given)
    variables = os.environ if variables is None else variables
    if given is not None:
        place, slash, count = given.partition("/")
        if not slash or not count.isdecimal() or (place and not place.isdecimal()):
            raise StudyError(f"shard must read i/n with 0 <= i < n, or /n in an array of jobs, got '{given}'")
        if place:
            return _checked(int(place), int(count))
        number = next((_number(variables, each.index) for each in _ARRAYS.values() if each.index in variables), None)
        if number is None:
            raise StudyError(f"shard '{given}' needs the number of a job in an array, and no scheduler gives one here")
        return _checked(number % max(int(count), 1), int(count))
    for name, array in _ARRAYS.items():
        number = _number(variables, array.index)
        if number is None or (name == "LSF array" and number == 0):
            continue
        found = _from(array, number, variables)
        if found is None:
            raise StudyError(
                f"the {name} gives the number {number} of this job and not of how many: --shard /n, n being how many"
            )
        return found
    raise StudyError("a worker needs its share: --shard i/n with 0 <= i < n, or an array of jobs that says it")


def _from(array: _Array, number: int, variables: Mapping[str, str]) -> tuple[int, int] | None:
    step = _number(variables, array.step) or 1
    first = _number(variables, array.first)
    if first is None:
        # LSF counts from 1, and a step's processes from 0
        first = 0 if array.count and not array.last else 1
    last, count = _number(variables, array.last), _number(variables, array.count)
    if count is None:
        count = None if last is None else (last - first) // step + 1
    return None if count is None else _checked((number - first) // step, count)


def _number(variables: Mapping[str, str], name: str) -> int | None:
    text = variables.get(name, "") if name else ""
    return int(text) if text.isdecimal() else None


def _checked(place: int, count: int) -> tuple[int, int]:
    if not 0 <= place < count:
        raise StudyError(f"shard must be i/n with 0 <= i < n, got {place}/{count}")
    return place, count
