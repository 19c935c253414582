"""The one error that a study raises for a person's input."""


class StudyError(ValueError):
    """A study file, an output folder or a name that cannot be used; the message is one sentence."""
