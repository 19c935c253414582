"""The report of the reproduction as one HTML file: verdicts, and for each claim its picture, numbers and studies."""

from typing import TYPE_CHECKING

import numpy as np

from ..statistics import Estimate
from ..study.reporting._html import document
from ..study.reporting._html_parts import Markup, element, figure_words, inline_svg, join, pairs, scrolling, sortable
from ..study.reporting._text_table import Column
from ._claim import Size, study_file
from ._judgement import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from ._run import Judged

_INTRODUCTION = (
    "The claims of the abstract of Dai and Zhu, Towards Theoretical Understanding of Large Batch Training in "
    "Stochastic Gradient Descent (arXiv 1812.00542), and of its successor on momentum (arXiv 2112.00987), each "
    "measured anew. The verdicts are computed from the intervals: supported where all lie where the claim has them, "
    "not supported where one lies wholly elsewhere, undecided otherwise."
)


def page(judged: "Sequence[Judged]", sections: "Sequence[Markup]", size: Size) -> str:
    """The whole page. judged: the claims so far. sections: of each, as `section` makes it. size: of their studies."""
    from .. import __version__

    parts = {"verdicts": ("Verdicts", _overview(judged))}
    for each, content in zip(judged, sections, strict=True):
        parts[f"claim-{each.claim.number}"] = (f"{each.claim.number}. {each.claim.title}", content)
    confidence = {float(data.attrs["confidence"]) for each in judged for data in each.data.values()}
    facts = [
        ("size", size.value),
        ("confidence of each interval", ", ".join(f"{value:g}" for value in sorted(confidence))),
        ("written by", f"sde_sgd {__version__}"),
    ]
    title = "The paper's claims, measured"
    header = [element("h1", title), element("p", _INTRODUCTION), element("div", pairs(facts), class_="amounts")]
    return document(title, header, parts)


def _overview(judged: "Sequence[Judged]") -> Markup:
    lines = [
        element(
            "li",
            element("a", f"{each.claim.number}. {each.claim.title}", href=f"#claim-{each.claim.number}"),
            ": ",
            element("b", str(each.verdict.answer)),
            f", because {each.verdict.because}.",
        )
        for each in judged
    ]
    return element("ul", *lines)


def section(judged: "Judged", figure: "Figure") -> Markup:
    """All that is said of one claim. figure: its own, as `AbstractClaim.figure` makes it."""
    claim = judged.claim
    words = figure_words(figure)
    drawn = scrolling(inline_svg(figure, f"claim{claim.number}", words), f"figure of claim {claim.number}")
    listed = [
        element(
            "li",
            element("b", f"{verdict.answer}: "),
            f"{finding.claim}. {verdict.because[:1].upper()}{verdict.because[1:]}.",
        )
        for finding, verdict in judged.findings
    ]
    files = [
        element("details",
                element("summary", f"Study {name}: {data.attrs['cells_finished']} cells, {name}/dataset.zarr"),
                scrolling(element("pre", study_file(name).read_text("utf-8")), f"study file {name}"))
        for name, data in judged.data.items()
    ]  # fmt: skip
    remarks = [element("h3", "Beside it"), element("ul", *(element("li", line) for line in judged.remarks))]
    return join(
        [
            element("blockquote", claim.words),
            element("p", claim.question),
            element("p", element("b", f"Verdict: {judged.verdict.answer}"), f", because {judged.verdict.because}."),
            element("figure", drawn, element("figcaption", words)),
            element("h3", "What must hold, and does it"),
            element("ul", *listed),
            remarks if judged.remarks else None,
            element("h3", "Numbers"),
            _table([finding for finding, _ in judged.findings], claim.number),
            files,
        ]
    )


def _table(findings: list[Finding], number: int) -> Markup:
    """Each number of the findings on a line, with its interval and what is predicted."""
    import pandas as pd

    columns = [
        Column("number of", "quantity"),
        Column("at", "where"),
        Column("measured", "value", "with its interval", True),
        Column("predicted", "predicted", "by theory or an exact solver"),
        Column("by", "by"),
        Column("from", "low", "lower end of where the claim has it"),
        Column("to", "high", "upper end of where the claim has it"),
    ]
    rows = [
        (finding.quantity, finding.cells.where[place], *_three(finding.cells.estimates[place]),
         np.nan if finding.cells.predicted is None else float(finding.cells.predicted[place]),
         finding.by if finding.cells.predicted is not None else "", finding.low, finding.high)
        for finding in findings for place in range(len(finding.cells.where))
    ]  # fmt: skip
    titles = ["number of", "at", "measured", "measured low", "measured high", "predicted", "by", "from", "to"]
    return sortable(columns, pd.DataFrame(rows, columns=titles), f"Numbers of claim {number}")


def _three(estimate: Estimate) -> tuple[float, float, float]:
    return float(estimate.value), float(estimate.low), float(estimate.high)
