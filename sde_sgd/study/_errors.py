"""The one error that a study raises for a person's input, and the help it gives with names."""

import difflib
from collections.abc import Iterable


class StudyError(ValueError):
    """A study file, an output folder or a name that cannot be used; the message is one sentence."""


def choose(what: str, given: object, allowed: Iterable[str]) -> str:
    """The sentence for an unknown name: what was given, the nearest valid name, and all that is allowed."""
    names = sorted(allowed)
    lowered = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(given).lower(), list(lowered), n=1, cutoff=0.4)
    hint = f"; did you mean '{lowered[close[0]]}'?" if close else ";"
    return f"unknown {what} '{given}'{hint} allowed: {', '.join(names) if names else 'none'}"
