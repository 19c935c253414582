"""What every result says of itself: its status, its verdict, where it came from, and how it prints."""

import html.parser
import time
from importlib import metadata

import equinox as eqx
import jax
import pytest
import xarray as xr

from sde_sgd._errors import names_options
from sde_sgd.results import AbstractResult, Provenance, Status, Verdict


class Answer(AbstractResult):
    """A result with one line of answers."""

    verdict: Verdict
    provenance: Provenance
    answer: str = eqx.field(static=True, default="0.5 [0.4, 0.6]")

    def _answers(self):
        return [("probability", self.answer), ("n", "12")]

    def to_dataset(self):
        return xr.Dataset()

    def plot(self, ax=None):
        return ax


def provenance(**changes):
    known = {
        "seed": 7,
        "method": "direct",
        "path_steps": 1_234_567,
        "devices": "2 × cpu",
        "seconds": 1.25,
        "versions": (("sde_sgd", "0.1.0"), ("jax", "0.10.1")),
    }
    return Provenance(**(known | changes))


# Status


def test_a_status_is_its_word_and_knows_what_it_means():
    assert Status.BUDGET_SPENT == "budget spent" and str(Status.BUDGET_SPENT) == "budget spent"
    assert Status("not settled") is Status.NOT_SETTLED
    assert f"{Status.COMPLETE}" == "complete"
    with pytest.raises(ValueError, match="nonsense"):
        Status("nonsense")


def test_every_status_has_a_meaning_of_its_own():
    meanings = [status.meaning for status in Status]
    assert len(set(meanings)) == len(meanings) == len({status.value for status in Status})
    for status in Status:
        assert len(status.meaning.split()) > 4 and status.meaning != status.value
        assert not status.meaning.endswith(".") and status.value == status.value.lower()


# Verdict


def test_a_verdict_without_findings_is_fine():
    assert Verdict().status is Status.COMPLETE and Verdict().reasons == () and str(Verdict()) == "complete"
    converged = Verdict(fine=Status.CONVERGED)
    assert converged.status is Status.CONVERGED and str(converged) == "converged"


def test_the_first_finding_is_the_status_and_all_are_told():
    verdict = Verdict(fine=Status.CONVERGED).also(Status.BUDGET_SPENT, "3 of 5").also(Status.DIVERGED, "2 of 5")
    assert verdict.status is Status.BUDGET_SPENT
    assert verdict.reasons == ("3 of 5", "2 of 5")
    assert str(verdict) == "budget spent: 3 of 5; diverged: 2 of 5"
    assert verdict.fine is Status.CONVERGED
    # the one it was made from is as it was
    first = Verdict().also(Status.UNEVEN, "one holds all")
    assert first.also(Status.DIVERGED, "x") is not first and first.reasons == ("one holds all",)


# Provenance


def test_provenance_of_a_run():
    began = time.perf_counter() - 2.0
    told = Provenance.of(5, "splitting", 77, began, jax.local_devices()[:1])
    assert (told.seed, told.method, told.path_steps) == (5, "splitting", 77)
    assert 2.0 <= told.seconds < 3.0
    assert dict(told.versions) == {"sde_sgd": metadata.version("sde-sgd"), "jax": jax.__version__}
    assert told.devices == f"1 × {jax.local_devices()[0].device_kind}"
    everything = Provenance.of(5, "splitting", 77, began)
    assert everything.devices == f"{len(jax.local_devices())} × {jax.local_devices()[0].device_kind}"
    assert everything.devices.startswith("2 ×")


def test_devices_of_two_kinds_are_told_apart():
    class Device:
        def __init__(self, device_kind):
            self.device_kind = device_kind

    devices = [Device("b"), Device("a"), Device("b")]
    assert Provenance.of(0, "direct", 1, time.perf_counter(), devices).devices == "2 × b, 1 × a"


def test_provenance_in_words():
    words = str(provenance())
    assert words == ("direct, 1.23e+06 path-steps in 1.25 s on 2 × cpu; seed 7; sde_sgd 0.1.0, jax 0.10.1")


# Results


def test_a_result_prints_its_answer_its_verdict_and_where_it_came_from():
    result = Answer(Verdict().also(Status.UNDECIDED, "3 of 12 still run"), provenance())
    lines = repr(result).splitlines()
    assert lines == [
        "Answer",
        "  probability  0.5 [0.4, 0.6]",
        "  n            12",
        "  status       undecided: 3 of 12 still run",
        f"  by           {provenance()}",
    ]
    assert str(result) == repr(result) == f"{result}"
    assert result.status is Status.UNDECIDED and result.reasons == ("3 of 12 still run",)
    assert result.result == "undecided: 3 of 12 still run"
    fine = Answer(Verdict(), provenance())
    assert fine.result == "complete" and fine.status is Status.COMPLETE and fine.reasons == ()


class Cells(html.parser.HTMLParser):
    """The text of each cell of a table, and the tags that were met."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.cells, self._open = [], [], False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._open = tag in ("th", "td", "caption")
        if self._open:
            self.cells.append("")

    def handle_endtag(self, tag):
        self._open = False

    def handle_data(self, data):
        assert self._open, data
        self.cells[-1] += data


def test_a_result_in_a_notebook_is_a_table_and_nothing_in_it_is_markup():
    """Answers and reasons come from names that a person chose: they are text, whatever they hold."""
    nasty = '<script>alert("1 < 2 & 3")</script>'
    result = Answer(Verdict().also(Status.INCOMPLETE, nasty), provenance(method="<b>direct</b>"), nasty)
    page = result._repr_html_()
    table = Cells(page)
    assert "<script" not in page and "<b>" not in page
    assert table.tags == ["table", "caption"] + ["tr", "th", "td"] * 4
    assert table.cells == [
        "Answer", "probability", nasty, "n", "12", "status", f"incomplete: {nasty}",
        "by", str(provenance(method="<b>direct</b>")),
    ]  # fmt: skip


# Options


@names_options
def call(start, *, trajectories: int = 1, seed: int = 0, **options):
    """A call."""
    return start, trajectories, seed, options


def test_a_misspelt_option_gets_the_nearest_name():
    assert call(1, seed=3) == (1, 1, 3, {}) and call(start=2, trajectories=4) == (2, 4, 0, {})
    with pytest.raises(ValueError, match=r"unknown option 'trajectorys'; did you mean 'trajectories'\?"):
        call(1, trajectorys=3)
    with pytest.raises(ValueError, match=r"unknown option 'zzz'; allowed: seed, start, trajectories"):
        call(1, zzz=3)


def test_the_signature_stays_visible():
    import inspect

    assert list(inspect.signature(call).parameters) == ["start", "trajectories", "seed", "options"]
    assert call.__doc__ == "A call." and call.__name__ == "call"
