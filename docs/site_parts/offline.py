"""A page that would fetch something from elsewhere is a warning, and so an error where warnings are."""

import re
from pathlib import Path

from sphinx.util import logging

_FETCHED = re.compile(r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=[\"']?((?:https?:)?//[^\"'\s>]+)")
_LINK = re.compile(r"<link\b[^>]*>")
_IN_STYLE = re.compile(r"(?:@import\s+|url\()[\"']?((?:https?:)?//[^\"')\s]+)")


def fetched(text, style=False):
    """Addresses that a browser fetches by itself for an HTML page, or for a style sheet."""
    found = _IN_STYLE.findall(text)
    if not style:
        found += _FETCHED.findall(text)
        links = [link for link in _LINK.findall(text) if not re.search(r"rel=[\"']?(canonical|alternate)", link)]
        found += [each for link in links for each in re.findall(r"href=[\"']?((?:https?:)?//[^\"'\s>]+)", link)]
    return found


def setup(app):
    def finished(app, exception):
        if exception is not None or app.builder.format != "html":
            return
        for kind in ("*.html", "*.css"):
            for path in sorted(Path(app.outdir).rglob(kind)):
                for address in fetched(path.read_text(encoding="utf-8"), style=kind == "*.css"):
                    logging.getLogger(__name__).warning("%s fetches %s", path.relative_to(app.outdir), address)

    app.connect("build-finished", finished)
    return {"parallel_read_safe": True}
