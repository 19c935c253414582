"""The report of a study as one HTML file: question, verdicts, tables that sort, figures, notes, provenance, variables.

It needs no server and no network. What a person or a study file wrote is escaped (`_html_parts.element`), and the
page's own policy lets no script run but the one that this file puts there.
"""

import base64
import hashlib
import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._precision import FINE, beyond_stability
from ._html_parts import Markup, element, figure_words, inline_svg, join, pairs, scrolling, sortable
from ._html_phase import has_phase_diagram, phase_section
from ._report import closing_lines, rows, shown_columns, where
from ._text_table import number_text

if TYPE_CHECKING:
    import xarray as xr

    from .._kind import AbstractStudy

# entries of the record that are more than this many are counted, not listed
_LISTED = 24
# what the units' accounts are summed over
_SUMMED = ("wall_seconds", "seconds", "path_steps")
_WORDS = {
    "fingerprint": "fingerprint (of all that decides the numbers)",
    "source": "folder of the study file",
    "format": "format of the folder",
    "path_steps": "path-steps",
    "seconds": "wall time (s)",
    "wall_seconds": "wall time (s)",
}


def page(
    study: "AbstractStudy",
    dataset: "xr.Dataset",
    record: Mapping[str, Any],
    account: Mapping[str, Mapping[str, Any]],
    text: str,
) -> str:
    """The whole page. dataset: of the finished cells. record: of the folder, as `study.json` has it.

    account: of each finished unit, by its key: `wall_seconds`, `path_steps`, device and the like. text: the study file.
    """
    sections = {
        "question": ("Question", _question(study, dataset, text)),
        "verdicts": ("Verdicts", _verdicts(study, dataset)),
        "phase-diagram": ("Phase diagram", phase_section(dataset) if has_phase_diagram(dataset) else None),
        "numbers": ("Numbers", _numbers(study, dataset)),
        "figures": ("Figures", _figures(study, dataset)),
        "notes": ("Notes", _notes(dataset)),
        "provenance": ("Provenance", _provenance(study, dataset, record, account)),
        "dataset": ("Dataset", _variables(dataset)),
    }
    header = [element("h1", study.name), element("p", study.description), _amounts(study, dataset)]
    return document(f"{study.name}: report of a study", header, sections)


def document(title: str, header: list[Markup], sections: Mapping[str, tuple[str, Markup | None]]) -> str:
    """A whole page that opens anywhere. sections: by id, their titles and contents; those without are left out."""
    shown = {name: (words, content) for name, (words, content) in sections.items() if content}
    # of a numbered section its number
    links = [element("a", words.split(". ")[0], href=f"#{name}") for name, (words, _) in shown.items()]
    parts = [
        element("section", element("h2", words, id=f"{name}-title"), content, id=name, aria_labelledby=f"{name}-title")
        for name, (words, content) in shown.items()
    ]
    script = _file("report.js")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        element("title", title),
        element("style", Markup(_file("report.css"))),
    )
    body = element(
        "body",
        element("header", *header),
        element("nav", *links, aria_label="sections"),
        element("main", join(parts, "\n")),
        element("script", Markup(script)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, Markup(chr(10)), body, lang='en')}\n"


def _file(name: str) -> str:
    return (importlib.resources.files("sde_sgd.study.reporting") / "page" / name).read_text("utf-8")


def _policy(script: str) -> str:
    """Nothing is fetched, and no script runs but ours, whatever else got into the page."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"


def _amounts(study: "AbstractStudy", dataset: "xr.Dataset") -> Markup:
    """What the eye falls on first: how much was run, and of which precision."""
    attributes = dataset.attrs
    entries = [("cells finished", f"{attributes['cells_finished']:,} of {attributes['cells']:,}")]
    for name, words in (("trajectories", study.counted[1]), ("path_steps", "path-steps")):
        if name in dataset and np.isfinite(dataset[name].values).any():
            entries.append((words, number_text(float(np.nansum(dataset[name].values)), 3)))
    entries.append(("confidence of intervals", f"{study.confidence:.4g}"))
    return element("div", pairs(entries), class_="amounts")


def _question(study: "AbstractStudy", dataset: "xr.Dataset", text: str) -> Markup:
    purpose = (type(study).__doc__ or "").strip().split("\n")[0]
    meanings = [(column.title, column.meaning) for column in shown_columns(study, dataset) if column.meaning]
    return join(
        [
            element("p", purpose),
            [element("p", line) for line in study.heading(dataset)],
            element("h3", "What the columns mean"),
            pairs(meanings),
            element("details", element("summary", "The study file"), scrolling(element("pre", text), "study file")),
        ]
    )


def _verdicts(study: "AbstractStudy", dataset: "xr.Dataset") -> Markup:
    """What the study's kind says, then what is to be said of the cells, its notes apart."""
    said = closing_lines(study, dataset.assign_attrs(notes=""))
    unstable = _unstable(dataset)
    if unstable:
        said.append(f"beyond 2/λ_max, where gradient descent is unstable: {'; '.join(unstable)}")
    if "status" in dataset:
        names, counts = np.unique(dataset["status"].values[dataset["status"].values != ""], return_counts=True)
        # fine ones first, then by how many
        order = sorted(zip(names, counts, strict=True), key=lambda each: (each[0] not in FINE, -each[1]))
        said.append("status of the cells: " + ", ".join(f"{name} {count}" for name, count in order))
    return element("ul", *(element("li", line) for line in [*study.sentences(dataset), *said]))


def _unstable(dataset: "xr.Dataset") -> list[str]:
    """For each start, the learning rates above its 2/λ_max, if there are any."""
    beyond = beyond_stability(dataset)
    if beyond is None or beyond.dims[-1] != "learning_rate":
        return []
    lines = []
    for place in np.ndindex(beyond.shape[:-1]):
        index = dict(zip(map(str, beyond.dims), place, strict=False))
        rates = ", ".join(f"{rate:g}" for rate in beyond["learning_rate"].values[beyond.values[place]])
        start = {dim: dataset[dim].values[number] for dim, number in index.items() if dim in dataset.coords}
        lines += [", ".join(filter(None, [where(start), f"γ = {rates}"]))] if rates else []
    return lines


def _numbers(study: "AbstractStudy", dataset: "xr.Dataset") -> Markup:
    table = sortable(shown_columns(study, dataset), rows(study, dataset), f"Table of study {study.name}")
    hint = "A click on a header sorts; – is what could not be had, ? an interval that is wider than its value."
    return join([element("p", hint, class_="quiet"), table])


def _figures(study: "AbstractStudy", dataset: "xr.Dataset") -> Markup | None:
    figures = []
    for number, (name, figure) in enumerate(study.figures(dataset).items()):
        words = figure_words(figure)
        drawn = inline_svg(figure, f"figure{number}", words)
        caption = element("figcaption", element("b", Path(name).stem.replace("_", " ")), f" {words}")
        figures.append(element("figure", scrolling(drawn, Path(name).stem), caption))
    return join(figures) if figures else None


def _notes(dataset: "xr.Dataset") -> Markup | None:
    notes = str(dataset.attrs["notes"]).splitlines()
    return element("ul", *(element("li", note) for note in notes)) if notes else None


def _provenance(
    study: "AbstractStudy",
    dataset: "xr.Dataset",
    record: Mapping[str, Any],
    account: Mapping[str, Mapping[str, Any]],
) -> Markup:
    """Where the numbers come from: the record of the folder, and the sums of what its units took."""
    from ... import __version__

    entries = {"study": study.name, "kind": study.kind, "seed": study.seed} | _flat(record, "study")
    if "path_steps" in dataset:
        entries["path_steps"] = number_text(float(np.nansum(dataset["path_steps"].values)), 3)
    entries |= taken(account)
    entries["this report"] = f"written by sde_sgd {__version__}"
    return pairs((_WORDS.get(name, name), value) for name, value in entries.items())


def taken(account: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Of what is told of each unit: seconds and steps in sum; of the rest what all of them say, such as the device."""
    found: dict[str, list[Any]] = {}
    for unit in account.values():
        for name, value in _flat(unit, "").items():
            found.setdefault(name, []).append(value)
    entries = {}
    for name, values in found.items():
        if name in _SUMMED:
            entries[name] = f"{number_text(float(np.sum(values)), 3)}, over {len(values):,} units"
        elif not all(isinstance(value, float) for value in values):
            distinct = list(dict.fromkeys(map(str, values)))
            shown = distinct if len(distinct) <= _LISTED else [f"{len(distinct):,} of them"]
            entries[f"{name} of the units"] = "; ".join(shown)
    return entries


def _flat(record: Mapping[str, Any], without: str) -> dict[str, Any]:
    """A record without what lies within what: "versions.jax"; long parts are counted."""
    entries: dict[str, Any] = {}
    for name, value in record.items():
        if name in (without, "name"):
            continue
        if isinstance(value, Mapping) and len(value) <= _LISTED:
            entries |= {f"{name}.{inner}": each for inner, each in _flat(value, without).items()}
        elif isinstance(value, Mapping | list | tuple) and len(value) > _LISTED:
            entries[name] = f"{len(value):,} entries"
        else:
            entries[name] = value
    return entries


def _variables(dataset: "xr.Dataset") -> Markup:
    heads = element("tr", *(element("th", name, scope="col") for name in ("variable", "over", "unit", "what it is")))
    lines = [
        element(
            "tr",
            element("th", element("code", name), scope="row"),
            *(
                element("td", part)
                for part in (
                    ", ".join(map(str, entry.dims)) or "–",
                    entry.attrs.get("units", ""),
                    entry.attrs.get("long_name", ""),
                )
            ),
        )
        for name, entry in [*dataset.coords.items(), *dataset.data_vars.items()]
    ]
    caption = "Variables of dataset.zarr beside this file; xarray.open_zarr opens it"
    table = element("table", element("caption", caption), element("thead", heads), element("tbody", *lines))
    return scrolling(element("div", table, class_="variables"), caption)
