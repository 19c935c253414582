"""Parameters of which some are run always and the others, a second and dearer witness, with the long tests."""

import pytest


def quick(values, *always):
    """All `values`, marked long but for these of them."""
    assert set(always) <= set(values), set(always) - set(values)
    return [pytest.param(value, marks=[] if value in always else [pytest.mark.long]) for value in values]
