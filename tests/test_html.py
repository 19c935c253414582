"""The HTML report of a study: one file that fetches nothing, escapes everything, and works in a browser."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure
from study_cases import SMALL, fake_dataset

from sde_sgd import plotting
from sde_sgd.study import StudyError, combine, report_html
from sde_sgd.study._units import units
from sde_sgd.study.reporting._html import page
from sde_sgd.study.reporting._html_parts import Markup, element, inline_svg
from sde_sgd.study.store._store import Store

EVIL = """</script></pre></style><script>document.title = "owned"</script>"'><img src=x onerror=alert(1)>&lt;--"""
RECORD = {"format": 2, "fingerprint": "0123abcd", "versions": {"jax": "0.10.1"}, "source": "/somewhere"}
ACCOUNT = {
    "sharp-000-000": {"wall_seconds": 1.5, "path_steps": 2e6, "device": "one", "versions": {"jax": "0.10.1"}},
    "sharp-000-001": {"wall_seconds": 2.5, "path_steps": 3e6, "device": "other", "versions": {"jax": "0.10.1"}},
}


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
    """A study of which one cell is not precise and γ = 0.08 lies beyond 2/λ_max, and its page."""
    study, _, data = fake_dataset()
    data["largest_curvature"] = data["probability"] * 0 + 40.0
    data["probability_high"].values[0, 0, 1] = 3 * data["probability"].values[0, 0, 1]
    data = data.assign_attrs(notes="start sharp: a note\nanother")
    return study, data, page(study, data, RECORD, ACCOUNT, SMALL)


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


class TestEscaping:
    @pytest.mark.parametrize("where", ["name", "description", "text", "notes", "record", "start", "status", "units"])
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


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOOK = """<script>window.failures = [];
addEventListener("error", (event) => failures.push(String(event.message || event.target)), true);
addEventListener("securitypolicyviolation", (event) => failures.push(event.violatedDirective));
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium")
class TestBrowser:
    """In headless Chromium."""

    def dom(self, folder, path):
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=4000",
            "--window-size=1300,900",
        ]
        command = [CHROMIUM, *options, f"--user-data-dir={folder / 'profile'}", "--dump-dom", path.as_uri()]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout

    def asked(self, folder, text, width, question):
        """What JavaScript sees in the page at a width in pixels. question: the body of a function that returns it."""
        # in a frame: the window of headless Chromium has a least width
        text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', HOOK, text)
        assert HOOK in text
        script = f"""<script>addEventListener("load", () => {{
          const answer = (() => {{ {question} }})();
          parent.postMessage(JSON.stringify({{answer, failures}}), "*");
        }});</script>"""
        (folder / "inner.html").write_text(text.replace("</body>", script + "</body>"), "utf-8")
        outer = f"""<!DOCTYPE html><pre id="told"></pre><script>addEventListener("message", (event) => {{
          document.getElementById("told").textContent = event.data;
        }});</script><iframe src="inner.html" style="width:{width}px;height:800px;border:0"></iframe>"""
        (folder / "outer.html").write_text(outer, "utf-8")
        told = re.search(r'<pre id="told">(.*?)</pre>', self.dom(folder, folder / "outer.html"), re.DOTALL).group(1)
        return json.loads(html.unescape(told))

    @pytest.mark.parametrize("width", [1200, 360])
    def test_a_click_shows_a_curve_and_nothing_overflows(self, marked, tmp_path, width):
        *_, text = marked
        question = """
          const seen = () => [document.getElementById("cell-title").textContent,
            document.querySelector("#chart path.curve").getAttribute("d"),
            document.querySelectorAll("#chart circle.exact").length];
          const buttons = document.querySelectorAll("button[data-cell]");
          const before = seen();
          buttons[2].click();
          const clicked = seen();
          buttons[2].dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
          const moved = seen();
          document.querySelector("input[value=m]").click();
          const shown = [...buttons[0].children].map((each) => getComputedStyle(each).display);
          const column = () => [...document.querySelectorAll("table.sortable tbody tr")].map(
            (row) => row.children[2].dataset.value);
          const first = column();
          document.querySelectorAll("table.sortable th button")[2].click();
          const up = column();
          document.querySelectorAll("table.sortable th button")[2].click();
          const scrolled = document.documentElement;
          return {before, clicked, moved, shown, first, up, down: column(),
            width: innerWidth, needed: scrolled.scrollWidth,
            facts: document.getElementById("cell-facts").textContent};"""
        told = self.asked(tmp_path, text, width, question)
        assert told["failures"] == []
        answer = told["answer"]
        assert answer["width"] == width and answer["needed"] <= width
        titles = [answer[name][0] for name in ("before", "clicked", "moved")]
        assert titles == [
            f"start: sharp, γ = {rate}, M = {batch}" for rate, batch in ((0.04, 16), (0.04, 8), (0.08, 8))
        ]
        assert len({answer[name][1] for name in ("before", "clicked", "moved")}) == 3
        assert answer["clicked"][1].startswith("M") and "NaN" not in answer["clicked"][1]
        assert answer["clicked"][2] > 5
        assert answer["shown"][0] == "none" and answer["shown"][1] != "none"
        assert [float(each) for each in answer["first"]] == [8, 16, 8, 16]
        assert [float(each) for each in answer["up"]] == [8, 8, 16, 16]
        assert [float(each) for each in answer["down"]] == [16, 16, 8, 8]
        assert "complete" in answer["facts"]

    def test_a_page_that_is_too_wide_or_fails_is_seen(self, marked, tmp_path):
        """The twins of the test above."""
        *_, text = marked
        wide = text.replace("<main>", '<main><div style="width:900px">wide</div>', 1)
        assert self.asked(tmp_path, wide, 360, "return document.documentElement.scrollWidth")["answer"] > 360
        broken = text.replace("JSON.parse(holder.textContent)", "JSON.parse(holder.textContnt)")
        assert broken != text and self.asked(tmp_path, broken, 360, "return 1")["failures"] != []

    def test_the_curve_is_a_path_of_the_data(self, marked, tmp_path):
        """Read back from the path and the frame around it, as a person reads a logarithmic axis."""
        _, data, text = marked
        question = """
          document.querySelectorAll("button[data-cell]")[0].click();
          const frame = document.querySelector("#chart rect.frame");
          const sides = ["x", "y", "width", "height"];
          const box = Object.fromEntries(sides.map((name) => [name, +frame.getAttribute(name)]));
          return {...box, path: document.querySelector("#chart path.curve").getAttribute("d")};"""
        answer = self.asked(tmp_path, text, 1200, question)["answer"]
        points = np.array([[*map(float, each.split())] for each in re.split("[ML]", answer["path"])[1:]])
        inside = json.loads(re.search(r'id="phase-data">(.*?)</script>', text, re.DOTALL).group(1))
        floor, curve = inside["floors"][0], np.array(inside["cells"][0]["value"])
        times = (points[:, 0] - answer["x"]) / answer["width"] * data.time.values[-1]
        survival = floor ** ((points[:, 1] - answer["y"]) / answer["height"])
        np.testing.assert_allclose(times, data.time, atol=0.01)
        np.testing.assert_allclose(survival, curve, atol=0.01)

    def test_its_own_script_runs_under_its_policy_and_no_other_does(self, marked, tmp_path):
        *_, text = marked
        (tmp_path / "page.html").write_text(
            text.replace("</body>", '<script>document.title = "owned"</script></body>'), "utf-8"
        )
        dom = self.dom(tmp_path, tmp_path / "page.html")
        assert '<path class="curve"' in dom and "<title>owned" not in dom

    def test_a_large_sweep_fits_a_phone(self, tmp_path):
        rates = [float(f"{x:.3g}") for x in np.geomspace(0.01, 0.3, 12)]
        batches = [float(round(x)) for x in np.geomspace(8, 400, 12)]
        study, _, data = fake_dataset(SMALL.replace("[0.04, 0.08]", str(rates)).replace("[8, 16]", str(batches)))
        text = page(study, data, {}, {}, SMALL)
        answer = self.asked(tmp_path, text, 360, LARGE)["answer"]
        assert answer["needed"] <= 360 and answer["cells"] == 144 and answer["spilled"] == []


LARGE = """
  const buttons = [...document.querySelectorAll("button[data-cell]")];
  const spilled = buttons.filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.textContent);
  return {needed: document.documentElement.scrollWidth, cells: buttons.length, spilled};"""


def test_words_of_a_figure_are_those_of_its_panels():
    from sde_sgd.study.reporting._html_parts import figure_words

    start = '[[start]]\nname = "flat"\npoint = "flat_minimum"\nsaddle = "saddle"\n'
    _, _, data = fake_dataset(SMALL.replace("[reference]", start + "[reference]"))
    what = "P(no exit by t) against SDE time t = γ · iterations"
    assert figure_words(plotting.survival_curves(data)) == f"start: sharp: {what}; start: flat: {what}"
