"""The numbers that a grid of trainings or a sweep varies: their units, words and signs, wherever they are said."""

WORDS = {
    "learning_rate": {"units": "SDE time per iteration", "long_name": "learning rate γ"},
    "batch_size": {"units": "examples", "long_name": "batch size M"},
    "momentum": {"units": "1", "long_name": "momentum μ"},
}
"""Attributes of a coordinate, by its name."""

SIGNS = {name: words["long_name"].split()[-1] for name, words in WORDS.items()}
