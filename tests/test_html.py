"""The HTML report of a study: one file that fetches nothing and escapes everything."""

import html
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from html_cases import RECORD, marked_page
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from parameters import quick
from study_cases import SMALL, fake_dataset

from sde_sgd import plotting
from sde_sgd.study import StudyError, combine, report_html
from sde_sgd.study._units import units
from sde_sgd.study.reporting._html import page
from sde_sgd.study.reporting._html_parts import Markup, element, inline_svg
from sde_sgd.study.store._store import Store

EVIL = """</script></pre></style><script>document.title = "owned"</script>"'><img src=x onerror=alert(1)>&lt;--"""


class Parsed(HTMLParser):
    """Elements of a page with their attributes, and its texts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def attributes(self, name):
        return [attributes[name] for _, attributes in self.elements if name in attributes]


def is_harmless(text):
    """Whether a page has no script but its own, no image, and no attribute that is a script."""
    parsed = Parsed(text)
    scripts = [each for each in parsed.of("script") if each.get("type") != "application/json"]
    handlers = [name for _, attributes in parsed.elements for name in attributes if name.startswith("on")]
    return len(scripts) == 1 and not parsed.of("img") and not handlers


def fetched(text):
    """What a page would fetch: addresses that are neither of itself nor data."""
    parsed = Parsed(text)
    links = [link for name in ("src", "href", "xlink:href", "data", "action") for link in parsed.attributes(name)]
    links += re.findall(r"url\(\s*['\"]?([^)'\"]+)", text) + re.findall(r"@import\s+(\S+)", text)
    return [link for link in links if not link.startswith(("#", "data:"))]


@pytest.fixture(scope="module")
def marked():
    return marked_page()


class TestPage:
    def test_it_is_one_file_that_fetches_nothing(self, marked):
        *_, text = marked
        assert text.startswith("<!DOCTYPE html>") and fetched(text) == []
        policies = [each["content"] for each in Parsed(text).of("meta") if "http-equiv" in each]
        assert len(policies) == 1 and "default-src 'none'" in policies[0] and "script-src 'sha256-" in policies[0]
        assert fetched(text.replace("</body>", '<img src="https://example.org/x.png"></body>')) != []

    def test_it_says_what_the_study_was_and_where_its_numbers_come_from(self, marked):
        study, _, text = marked
        words = " ".join(Parsed(text).texts)
        for said in ("0123abcd", "0.10.1", "continuous monitoring", "largest_curvature", "start sharp: a note"):
            assert said in words
        assert SMALL in words
        pairs = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text))
        assert pairs["wall time (s)"] == "4, over 2 units" and pairs["cells finished"] == "4 of 4"
        assert pairs["path-steps"] == "5.00e+06, over 2 units" and pairs["device of the units"] == "one; other"
        assert pairs["versions.jax of the units"] == "0.10.1"
        assert "beyond 2/λ_max, where gradient descent is unstable: start sharp, γ = 0.08<" in text
        assert pairs["seed"] == "0" and pairs["versions.jax"] == "0.10.1"
        for column in study.columns():
            assert column.header == "start" or html.unescape(pairs[column.title]) == column.meaning

    def test_ids_are_unique_and_references_find_them(self, marked):
        *_, text = marked
        names = Parsed(text).attributes("id")
        assert len(set(names)) == len(names)
        found = re.findall(r"url\(#([^)]+)\)", text) + re.findall(r'href="#([^"]+)"', text)
        assert len(found) > 20 and set(found) <= set(names)
        # the same figure twice, as matplotlib writes it, would share ids
        figure = Figure()
        figure.subplots().plot([0, 1])
        assert set(ids(inline_svg(figure, "a", ""))) & set(ids(inline_svg(figure, "b", ""))) == set()
        assert ids(inline_svg(figure, "a", "")) == ids(inline_svg(figure, "a", ""))

    def test_figures_and_tables_have_words_beside_them(self, marked):
        *_, text = marked
        parsed = Parsed(text)
        figures = parsed.of("svg")
        assert len(figures) == 2 and all(each["role"] == "img" for each in figures)
        assert "P(no exit by t) against SDE time" in figures[0]["aria-label"] and "sharp" in figures[0]["aria-label"]
        assert len(parsed.of("caption")) == 2 and len(parsed.of("figcaption")) == 2
        assert parsed.of("html")[0]["lang"] == "en" and "viewport" in [each.get("name") for each in parsed.of("meta")]

    def test_the_table_has_the_numbers_to_sort_by_unrounded(self, marked):
        _, data, text = marked
        body = re.search(r'<table class="sortable">.*?<tbody>(.*?)</tbody>', text, re.DOTALL).group(1)
        rows = [re.findall(r'data-value="([^"]*)"', line) for line in body.split("<tr>")[1:]]
        assert [row[0] for row in rows] == ["sharp"] * 4
        np.testing.assert_array_equal([float(row[4]) for row in rows], data.probability.values.ravel())

    def test_a_study_of_another_kind_has_no_phase_diagram(self):
        from sde_sgd.study import parse

        study = parse('kind = "digits"\nratios = [[0.1, 10], [0.2, 10]]', "other")
        values = {f"{name}{end}": 0.5 for name in ("probability", "mean_exit_iterations") for end in ENDS}
        cells = {cell.key: cell_of(values) for cell in study.cells()}
        text = page(study, combine(study, cells).assign_attrs(parameters=3, minimum_loss=0.1), {}, {}, "")
        assert 'id="figures"' in text and 'id="phase' not in text


ENDS = ("", "_low", "_high")


def cell_of(values):
    import xarray as xr

    return xr.Dataset({name: ((), value) for name, value in values.items()})


def ids(text):
    return Parsed(text).attributes("id")


WRITTEN = ["name", "description", "text", "notes", "record", "start", "status", "units"]


class TestEscaping:
    @pytest.mark.parametrize("where", quick(WRITTEN, "name", "record", "status"))
    def test_what_a_person_wrote_is_text(self, where):
        """The twin: the same page with one of its texts left as it is."""
        study, _, data = fake_dataset()
        record, text = dict(RECORD), SMALL
        if where in ("name", "description"):
            study = study.model_copy(update={where: EVIL})
        elif where == "text":
            text = f"{SMALL}# {EVIL}\n"
        elif where == "notes":
            data = data.assign_attrs(notes=EVIL)
        elif where == "record":
            record |= {EVIL: EVIL, "source": EVIL}
        elif where == "start":
            data = data.assign_coords(start=("start", [EVIL]))
        elif where == "status":
            data["status"] = data["status"].astype(object).where(False, EVIL).astype(str)
        else:
            data["probability"].attrs |= {"units": EVIL, "long_name": EVIL}
        whole = page(study, data, record, {EVIL: {EVIL: EVIL}}, text)
        assert is_harmless(whole)
        assert EVIL in " ".join(Parsed(whole).texts)
        twin = whole.replace(html.escape(EVIL, quote=False), EVIL, 1)
        assert twin != whole and not is_harmless(twin)

    def test_an_element_escapes_all_but_markup(self):
        made = element(
            "p", "<b>", Markup("<i>x</i>"), ["&", None], 3, class_='a"b', data_x="<", hidden=True, title=None
        )
        assert made == '<p class="a&quot;b" data-x="&lt;" hidden>&lt;b&gt;<i>x</i>&amp;3</p>'

    def test_data_for_the_script_cannot_end_its_element(self):
        study, _, data = fake_dataset()
        data = data.assign_coords(start=("start", [EVIL]))
        text = page(study, data, {}, {}, "")
        (inside,) = re.findall(r'<script type="application/json" id="phase-data">(.*?)</script>', text, re.DOTALL)
        assert "<" not in inside
        assert json.loads(inside)["cells"][0]["title"] == f"start: {EVIL}, γ = 0.04, M = 16"


class TestPhaseDiagram:
    def cells(self, text):
        return re.findall(r'<button type="button"([^>]*data-cell="(\d+)"[^>]*)>', text)

    def data(self, text):
        (inside,) = re.findall(r'<script type="application/json" id="phase-data">(.*?)</script>', text, re.DOTALL)
        return json.loads(inside)

    def test_cells_that_are_not_precise_are_hatched_and_unstable_ones_marked(self, marked):
        *_, text = marked
        found = {}
        for attributes, number in self.cells(text):
            title = self.data(text)["cells"][int(number)]["title"]
            found[title] = re.search(r'class="([^"]*)"', attributes)
            words = re.search(r'aria-label="([^"]*)"', attributes).group(1)
            assert title in words
            assert ("not precise" in words) == (title == "start: sharp, γ = 0.04, M = 16")
        classes = {title: match.group(1) if match else "" for title, match in found.items()}
        assert classes == {
            "start: sharp, γ = 0.04, M = 8": "",
            "start: sharp, γ = 0.04, M = 16": "imprecise",
            "start: sharp, γ = 0.08, M = 8": "beyond",
            "start: sharp, γ = 0.08, M = 16": "beyond",
        }
        legend = re.search(r'<p class="legend">(.*)', text).group(1)
        assert "swatch imprecise" in legend and "swatch beyond" in legend and "2/λ_max" in legend

    def test_letters_stand_out_from_their_cells(self, marked):
        *_, text = marked
        found = re.findall(r"--[pm]:(#\w{6});--[pm]-ink:(#\w{3})", text)
        assert len(found) == 8
        for colour, ink in found:
            assert (ink == "#000") == (np.dot(to_rgb(colour), [0.2126, 0.7152, 0.0722]) > 0.6)

    def test_a_cell_has_its_survival_curve(self, marked):
        _, data, text = marked
        known = self.data(text)
        np.testing.assert_allclose(known["times"], data.time, rtol=1e-4)
        assert len(known["cells"]) == 4
        for cell in known["cells"]:
            rate, batch = map(float, re.findall(r"= ([0-9.]+)", cell["title"]))
            here = data.sel(start="sharp", learning_rate=rate, batch_size=batch)
            for name, expected in {
                "value": here.survival, "low": here.survival_low, "high": here.survival_high,
                "exact": 1 - here.exit_exact, "linear": 1 - here.exit_linearised,
            }.items():  # fmt: skip
                np.testing.assert_allclose(cell[name], expected, rtol=1e-4, atol=1e-9)

    def test_cells_that_were_not_run_or_have_no_number_are_no_curves(self):
        study, cells, _ = fake_dataset()
        cells.pop("sharp-000-000")
        cells["sharp-001-000"]["survival"][:] = np.nan
        cells["sharp-001-000"]["probability"] = np.nan
        text = page(study, combine(study, cells), {}, {}, "")
        known = self.data(text)["cells"]
        assert len(known) == len(self.cells(text)) == 3 and text.count('class="missing"') == 1
        lost = next(cell for cell in known if cell["title"].endswith("γ = 0.08, M = 8"))
        assert lost["value"] == [None] * 60 and ["note", "no number"] in lost["facts"]

    def test_the_first_curve_is_that_of_a_probability_near_one_half(self, marked):
        """Of 0.63, 0.39, 0.86 and 0.63 by the horizon: 0.39."""
        *_, text = marked
        known = self.data(text)
        assert known["cells"][known["first"]]["title"] == "start: sharp, γ = 0.04, M = 16"


class TestFolder:
    def test_the_page_is_written_into_the_folder(self, tmp_path):
        study, cells, _ = fake_dataset()
        store = Store.create(tmp_path / "out", SMALL, "fake", "f" * 64, str(tmp_path))
        with pytest.raises(StudyError, match="no finished cell"):
            report_html(tmp_path / "out")
        store.bind(study)
        for unit in units(study):
            store.save_unit(unit, [cells[cell.key] for cell in unit.cells], {"wall_seconds": 1.0})
        path = report_html(tmp_path / "out")
        assert path == tmp_path / "out" / "report.html"
        text = path.read_text("utf-8")
        assert text.count("data-cell=") == 4 and "f" * 64 in text
        # the same page again, bit for bit
        assert report_html(tmp_path / "out").read_text("utf-8") == text


def test_words_of_a_figure_are_those_of_its_panels():
    from sde_sgd.study.reporting._html_parts import figure_words

    start = '[[start]]\nname = "flat"\npoint = "flat_minimum"\nsaddle = "saddle"\n'
    _, _, data = fake_dataset(SMALL.replace("[reference]", start + "[reference]"))
    what = "P(no exit by t) against SDE time t = γ · iterations"
    assert figure_words(plotting.survival_curves(data)) == f"start: sharp: {what}; start: flat: {what}"
