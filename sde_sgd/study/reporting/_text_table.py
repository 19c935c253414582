"""Columns of a table with their meaning, how numbers and intervals are written, and tables of a given width."""

import itertools
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..._precision import is_wide

if TYPE_CHECKING:
    import pandas as pd

# characters that a table may be wide
WIDTH = 100
# after an interval that is wider than its value
WIDE_MARK = "?"
_GAP = "  "


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


def number_texts(values: Sequence[Any], digits: int = 4) -> list[str]:
    """A column of numbers, or words, in one format: with an exponent or without, as many decimals in all.

    digits: significant ones of the smallest; decimals that are 0 in all are left out.
    """
    if any(isinstance(value, str) for value in values):
        return [number_text(value) for value in values]
    from ...statistics import plain_decimals

    numbers = [float(value) for value in values]
    known = [abs(each) for each in numbers if math.isfinite(each) and each]
    if not known:
        return [number_text(each) for each in numbers]
    smallest = math.floor(math.log10(min(known)))
    plain, decimals = plain_decimals(max(known), max(digits - 1 - smallest, 0))
    style = "f" if plain and smallest >= -4 else "e"
    decimals = decimals if style == "f" else digits - 1
    exact = [float(f"{each:.{decimals}{style}}") for each in known]
    while decimals and exact == [float(f"{each:.{decimals - 1}{style}}") for each in known]:
        decimals -= 1
    spec = f".{decimals}{style}"
    return [format(each, spec) if math.isfinite(each) and each else number_text(each) for each in numbers]


def interval_texts(intervals: Sequence[tuple[float, float, float]]) -> list[str]:
    """A column of values with their bounds (value, low, high), all in one format.

    A dash stands for what is not known, and "?" behind an interval that is wider than its value.
    """
    from ...statistics import down_a_column

    numbers = [(float(value), float(low), float(high)) for value, low, high in intervals]
    texts = []
    for each, parts in zip(numbers, down_a_column(numbers), strict=True):
        mark = f" {WIDE_MARK}" if is_wide(*each) else ""
        text = "{} [{}, {}]".format(*parts).replace("nan", "–") + mark
        texts.append("–" if np.isnan(each[:2]).all() else text)
    # intervals stand below each other whether they are marked or not
    marked = any(text.endswith(WIDE_MARK) for text in texts)
    return [text if not marked or text.endswith(WIDE_MARK) else text + "  " for text in texts]


def written(columns: list[Column], rows: "pd.DataFrame") -> list[list[str]]:
    """The entries of each column as text, each column in one format. rows: as `study.rows` returns them."""
    entries = []
    for column in columns:
        title = column.title
        if column.interval:
            bounds = (rows[title + suffix] for suffix in ("", " low", " high"))
            entries.append(interval_texts(list(zip(*bounds, strict=True))))
        else:
            entries.append(number_texts(list(rows[title]), column.digits))
    return entries


def text_table(columns: list[Column], rows: "pd.DataFrame", width: int | None = WIDTH) -> str:
    """Rows of numbers as lines of text: columns wide enough for their entries, numbers to the right, words to the left.

    rows: as `study.rows` returns them. width: characters that a line may have, None for any number. Where a table is
    wider, what is the same in all rows is said once above it; where it still is, its last columns come below, beside
    the columns that tell the rows apart.
    """
    table = [
        _Drawn(column, entries, bool(len(rows)) and isinstance(rows[column.title].iloc[0], str))
        for column, entries in zip(columns, written(columns, rows), strict=True)
    ]
    if width is None or _width(table) <= width:
        return _lines(table)
    above, table = _without_repeats(table)
    keys = _keys(table)
    blocks, block = [], list(keys)
    for group in _groups(table[len(keys) :]):
        if len(block) > len(keys) and _width([*block, *group]) > width:
            blocks.append(block)
            block = list(keys)
        block += group
    return "\n\n".join([*above, *map(_lines, [*blocks, block])])


class _Drawn(NamedTuple):
    """A column with its entries as text. words: whether they stand to the left."""

    column: Column
    entries: list[str]
    words: bool

    @property
    def width(self) -> int:
        return max(map(len, (*self.column.header.split("\n"), *self.entries)))


def _width(table: list[_Drawn]) -> int:
    return sum(each.width for each in table) + len(_GAP) * (len(table) - 1)


def _without_repeats(table: list[_Drawn]) -> tuple[list[str], list[_Drawn]]:
    """A line that says what all rows have alike, if anything, and the other columns."""
    repeated = [each for each in table if len(each.entries) > 1 and len(set(each.entries)) == 1]
    if not repeated or len(repeated) == len(table):
        return [], table
    said = ", ".join(f"{each.column.title} {each.entries[0].strip()}" for each in repeated)
    return [f"in all rows: {said}"], [each for each in table if each not in repeated]


def _keys(table: list[_Drawn]) -> list[_Drawn]:
    """The first columns without intervals, as few as tell the rows apart."""
    plain = list(itertools.takewhile(lambda each: not each.column.interval, table[:-1]))
    for count in range(1, len(plain)):
        rows = list(zip(*(each.entries for each in plain[:count]), strict=True))
        if len(set(rows)) == len(rows):
            return plain[:count]
    return plain


def _groups(table: list[_Drawn]) -> list[list[_Drawn]]:
    """Neighbours whose headers begin with the same line, such as P by several ways, stay together."""
    groups: list[list[_Drawn]] = []
    for each in table:
        first, *rest = each.column.header.split("\n")
        if rest and groups and groups[-1][0].column.header.split("\n")[0] == first:
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups


def _lines(table: list[_Drawn]) -> str:
    height = max(each.column.header.count("\n") for each in table) + 1
    headers = [each.column.header.split("\n") for each in table]
    headers = [[""] * (height - len(header)) + header for header in headers]
    widths = [each.width for each in table]

    def line(entries):
        aligned = [
            entry.ljust(width) if each.words else entry.rjust(width)
            for each, entry, width in zip(table, entries, widths, strict=True)
        ]
        return _GAP.join(aligned).rstrip()

    rule = ["-" * width for width in widths]
    return "\n".join(
        map(line, [*zip(*headers, strict=True), rule, *zip(*(each.entries for each in table), strict=True)])
    )
