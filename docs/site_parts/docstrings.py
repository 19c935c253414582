"""Docstrings as this package writes them, plain text with `code`, made into what Sphinx reads.

A paragraph is text; a line that begins with `name: ` or `name, name: ` at the margin begins an item, to which the
indented lines below belong; a paragraph that is indented as a whole is kept as it stands (a formula, a table).
"""

import re

_ITEM = re.compile(r"\*{0,2}[A-Za-z_]\w*(, \*{0,2}[A-Za-z_]\w*)*,?: ")
_SENTENCE = re.compile(r"(Returns|Raises|Source:|Sources:|Examples?:|Intervals)\b")
_CODE = re.compile(r"(`+)(.+?)\1")


def to_rst(lines):
    """RST lines of a docstring's lines; no character of a text is markup but the backticks around code."""
    made = []
    for paragraph in _paragraphs(lines):
        if paragraph[0].startswith(" "):
            made += ["::", "", *(f"    {line}" for line in paragraph), ""]
            continue
        parts = _parts(paragraph)
        for is_item, text in parts:
            made += [("* " if is_item else "") + _escaped(text), ""]
    return made


def _paragraphs(lines):
    paragraph = []
    for line in [*lines, ""]:
        if line.strip():
            paragraph.append(line.rstrip())
        elif paragraph:
            yield paragraph
            paragraph = []


def _parts(paragraph):
    """(whether it is an item, its text) of a paragraph's items and sentences."""
    parts = []
    for line in paragraph:
        goes_on = line.startswith(" ") or not parts
        item = bool(_ITEM.match(line)) and not _SENTENCE.match(line)
        if not line.startswith(" ") and (item or _SENTENCE.match(line) or not parts or parts[-1][0]):
            # what follows a whole item at the margin is a sentence of its own, unless the item breaks within a line
            parts.append([item, line])
        elif goes_on or parts:
            parts[-1][1] += " " + line.strip()
    return parts


def _escaped(text):
    made, end = [], 0
    for found in _CODE.finditer(text):
        made += [_plain(text[end : found.start()]), f"\\ ``{found[2]}``\\ "]
        end = found.end()
    # an escaped space is nothing, and keeps the first word from being read as a mark
    return "\\ " + "".join([*made, _plain(text[end:])])


def _plain(text):
    return re.sub(r"([\\*|_`<>])", r"\\\1", text)


def setup(app):
    def process(app, what, name, item, options, lines):
        lines[:] = to_rst(lines)

    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True}
