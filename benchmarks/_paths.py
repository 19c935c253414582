"""Where results and figures land."""

from pathlib import Path

RESULTS = Path(__file__).parent / "results"
FIGURES = Path(__file__).parents[1] / "notebooks" / "figures"
