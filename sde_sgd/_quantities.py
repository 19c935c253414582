"""How quantities are said: units, words and signs of what a grid of trainings or a sweep varies; bytes and seconds."""

WORDS = {
    "learning_rate": {"units": "SDE time per iteration", "long_name": "learning rate γ"},
    "batch_size": {"units": "examples", "long_name": "batch size M"},
    "momentum": {"units": "1", "long_name": "momentum μ"},
}
"""Attributes of a coordinate, by its name."""

# not told by a reading's name: a person may give it any
TO_A_LOSS = {"units": "1", "long_name": "whether networks end at a loss"}
"""Attributes of the coordinate `to_a_loss`."""

SIGNS = {name: words["long_name"].split()[-1] for name, words in WORDS.items()}


def bytes_in_words(number: int) -> str:
    """Such as 512 B, 1.5 MiB or 24 GiB."""
    size = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{size:.3g} {unit}"


def time_in_words(seconds: float) -> str:
    """Such as 0.42 s, 35 min or 7.5 h: for what is extrapolated."""
    if seconds < 120:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
