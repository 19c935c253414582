"""Parts of an HTML page that escape by default: elements, tables that sort, inline SVG figures, data for scripts."""

import html
import io
import json
import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ._text_table import Column, written

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_VOID = ("meta", "input", "br")


class Markup(str):
    """Text that is HTML already. Any other text is escaped where it enters an element."""

    __slots__ = ()


def element(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """An element with its children: Markup as it is, all else escaped; lists are taken apart, None is left out.

    attributes: `class_` is written class, `data_value` data-value; True is one without a value, None and False none.
    """
    written_attributes = "".join(
        f" {key}" if value is True else f' {key}="{html.escape(str(value), quote=True)}"'
        for key, value in ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
        if value is not None and value is not False
    )
    if name in _VOID:
        return Markup(f"<{name}{written_attributes}>")
    return Markup(f"<{name}{written_attributes}>{join(children)}</{name}>")


def join(children: Iterable[Any], between: str = "") -> Markup:
    """Children as one piece of HTML, escaped where they are not Markup."""
    pieces = []
    for child in children:
        if isinstance(child, Markup):
            pieces.append(child)
        elif isinstance(child, list | tuple):
            pieces.append(join(child))
        elif child is not None:
            pieces.append(html.escape(str(child), quote=False))
    return Markup(between.join(pieces))


def pairs(entries: Iterable[tuple[Any, Any]]) -> Markup:
    """Names with what belongs to them, as a description list."""
    return element("dl", *(element("div", element("dt", name), element("dd", value)) for name, value in entries))


def scrolling(content: Markup, label: str) -> Markup:
    """A box that scrolls by itself, by keyboard too, so that the page stays as narrow as the screen."""
    return element("div", content, class_="scrolling", role="region", aria_label=label, tabindex="0")


def sortable(columns: list[Column], rows: "pd.DataFrame", caption: str) -> Markup:
    """The table of a study; a click on a header sorts by it. rows: as `study.rows` returns them."""
    words = [any(isinstance(value, str) for value in rows[column.title]) for column in columns]
    heads = [
        element(
            "th",
            element("button", *_lines(column.header), type="button", title=column.meaning or None),
            scope="col",
            class_="words" if is_words else None,
            data_numbers=not is_words,
        )
        for column, is_words in zip(columns, words, strict=True)
    ]
    texts = zip(*written(columns, rows), strict=True)
    values = zip(*(rows[column.title] for column in columns), strict=True)
    lines = [
        element(
            "tr",
            *(
                element("td", _in_two(text), data_value=_sort_key(value), class_="words" if is_words else None)
                for text, value, is_words in zip(line, line_values, words, strict=True)
            ),
        )
        for line, line_values in zip(texts, values, strict=True)
    ]
    table = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *heads)),
        Markup("\n"),
        element("tbody", join(lines, "\n")),
        class_="sortable",
    )
    return scrolling(table, caption)


def _lines(header: str) -> list[Any]:
    first, *others = header.split("\n")
    return [first, *(part for other in others for part in (element("br"), other))]


def _in_two(text: str) -> Any:
    """An entry; of one with an interval the interval stands behind."""
    value, bracket, interval = text.strip().partition(" [")
    return [value, element("span", bracket, interval, class_="interval")] if bracket else value


def _sort_key(value: Any) -> str:
    if isinstance(value, str):
        return value
    value = float(value)
    return "" if math.isnan(value) else f"{value!r}".replace("inf", "Infinity")


def inline_svg(figure: "Figure", prefix: str, words: str) -> Markup:
    """A matplotlib figure as an SVG element whose ids begin with `prefix`, so that no two figures of a page share one.

    words: the text alternative. Letters are drawn as outlines: the figure looks alike where its font is missing.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": prefix, "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>{prefix}-", text)
    label = html.escape(words, quote=True)
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).strip())


def figure_words(figure: "Figure") -> str:
    """What a figure shows, from its titles and the labels of its axes."""
    panels, up = [], ""
    for axes in figure.axes:
        across = axes.get_xlabel()
        # panels beside each other share the label of the first
        up = axes.get_ylabel() or (up if across else "")
        shown = f"{up} against {across}" if across and up else across or up
        panels.append(": ".join(part for part in (axes.get_title(), shown) if part))
    title = [figure.get_suptitle()] if figure.get_suptitle() else []
    return "; ".join(" ".join(part.split()) for part in dict.fromkeys([*title, *filter(None, panels)]))


def data_script(name: str, data: Any) -> Markup:
    """Data for scripts as a JSON element with the id `name`; nothing in it can end the element. NaN becomes null."""
    text = json.dumps(_without_nan(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(f'<script type="application/json" id="{html.escape(name)}">{text}</script>')


def _without_nan(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without_nan(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
