"""What a study says of its numbers: tables as text, and the whole study as one HTML file."""

from ..._exports import names_in as _names_in
from ._report import report as report
from ._report import rows as rows
from ._text_table import Column as Column

__all__ = _names_in(vars())
