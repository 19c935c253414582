"""Columns of a table with their meaning, and how numbers and intervals are written, at the very end."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


class Column(NamedTuple):
    """A column of a study's table.

    header: above it, on several lines where it has newlines. variable: of the dataset, a coordinate too.
    meaning: one line that explains it, "" where the header says it all.
    interval: whether `variable`_low and `variable`_high stand beside it.
    digits: significant ones of a number without interval.
    at: position along an axis that the table's lines do not run over, such as {"time": -1} for the last time.
    """

    header: str
    variable: str
    meaning: str = ""
    interval: bool = False
    at: Mapping[str, int] = MappingProxyType({})
    digits: int = 4

    @property
    def title(self) -> str:
        """The header on one line, as rows of data are called."""
        return self.header.replace("\n", " ")


def number_text(value: Any, digits: int = 4) -> str:
    """A few significant digits in at most nine characters; a dash for what is not known; words as they are."""
    if isinstance(value, str):
        return value or "–"
    value = float(value)
    if np.isnan(value):
        return "–"
    if np.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    return f"{value:.{digits}g}" if 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"


def interval_text(value: float, low: float, high: float) -> str:
    """A value with its interval, all three in one format; a dash for what is not known."""
    from ..statistics import in_one_format

    if np.isnan(value) and np.isnan(low):
        return "–"
    text = "{} [{}, {}]".format(*in_one_format(float(value), float(low), float(high)))
    return text.replace("nan", "–")


def text_table(columns: list[Column], rows: "pd.DataFrame") -> str:
    """Rows of numbers as lines of text: columns wide enough for their entries, numbers to the right, words to the left.

    rows: as `AbstractStudy.rows` returns them.
    """
    cells = [_written(column, rows) for column in columns]
    left = [bool(len(rows)) and isinstance(rows[column.title].iloc[0], str) for column in columns]
    height = max(column.header.count("\n") for column in columns) + 1
    headers = [column.header.split("\n") for column in columns]
    headers = [[""] * (height - len(header)) + header for header in headers]
    widths = [max(map(len, (*header, *entries))) for header, entries in zip(headers, cells, strict=True)]

    def line(entries):
        aligned = [
            entry.ljust(width) if words else entry.rjust(width)
            for entry, width, words in zip(entries, widths, left, strict=True)
        ]
        return "  ".join(aligned).rstrip()

    rule = ["-" * width for width in widths]
    return "\n".join(map(line, [*zip(*headers, strict=True), rule, *zip(*cells, strict=True)]))


def _written(column: Column, rows: "pd.DataFrame") -> list[str]:
    title = column.title
    if not column.interval:
        return [number_text(value, column.digits) for value in rows[title]]
    bounds = (rows[title + suffix] for suffix in ("", " low", " high"))
    return [interval_text(*values) for values in zip(*bounds, strict=True)]
