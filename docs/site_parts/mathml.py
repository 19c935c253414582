"""Formulas as MathML, which browsers draw by themselves: no script, and nothing fetched from elsewhere."""

from docutils.nodes import SkipNode
from docutils.utils.math import MathError, latex2mathml
from sphinx.util import logging


def _inline(self, node):
    self.body.append(_drawn(node, as_block=False))
    # the formula's own text is not written again
    raise SkipNode


def _display(self, node):
    self.body.append(f'<div class="math">{_drawn(node, as_block=True)}</div>')
    raise SkipNode


def _drawn(node, as_block):
    try:
        return latex2mathml.tex2mathml(node.astext(), as_block=as_block)
    except MathError as error:
        logging.getLogger(__name__).warning("%s in %r", error, node.astext(), location=node)
        return ""


def setup(app):
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True}
