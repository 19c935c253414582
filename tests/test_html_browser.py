"""The HTML report in headless Chromium: it shows curves, sorts, keeps to its policy, and fits a phone."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from html_cases import marked_page
from study_cases import SMALL, fake_dataset

from sde_sgd.study.reporting._html import page


@pytest.fixture(scope="module")
def marked():
    return marked_page()


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOOK = """<script>window.failures = [];
addEventListener("error", (event) => failures.push(String(event.message || event.target)), true);
addEventListener("securitypolicyviolation", (event) => failures.push(event.violatedDirective));
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium")
class TestBrowser:
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
