"""A whole figure that pyplot does not know of: for a file, or for a notebook, which shows it as a cell's value."""

import io

from matplotlib import figure


class Figure(figure.Figure):
    """matplotlib's figure, which goes when nobody holds it; a notebook shows it whatever backend it has."""

    def _repr_png_(self) -> bytes:
        """What IPython asks a value for."""
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()
