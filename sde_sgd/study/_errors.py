"""What a study raises for a person's input, and where its folder cannot be written."""


class StudyError(ValueError):
    """A study file, an output folder or a name that cannot be used; the message is one sentence."""


class WriteError(StudyError):
    """A folder that cannot be written, of which a full disk is one: no unit's fault, and no use to go on."""
