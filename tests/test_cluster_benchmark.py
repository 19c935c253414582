"""The model of what it costs to spread a study, against what is known of its two limits; and its page."""

import json

import pytest

from benchmarks._paths import RESULTS
from benchmarks.cluster import _page
from benchmarks.cluster._model import Costs, makespan, overhead, smallest_unit


def test_one_worker_loses_what_each_unit_costs():
    """The next unit is there when one is done: what is lost is the writing."""
    lost = overhead(Costs(dispatch=1e-3, travel=1e-3, store=0.1), 1.0, 1, rounds=2_000)
    assert lost == pytest.approx(0.1 / 1.1, rel=0.01)
    # broken twin: a worker that waits for the runner between two units
    assert lost != pytest.approx(0.103 / 1.103, rel=0.01)


def test_a_runner_that_is_asked_too_often_sets_the_pace():
    """Then a unit takes the runner's time, however many workers there are."""
    ends, works = makespan(Costs(dispatch=0.01, travel=0.0, store=0.0), 1.0, 1_000, rounds=20)
    assert ends.max() == pytest.approx(20_000 * 0.01, rel=0.02) and works.sum() == pytest.approx(20_000, rel=0.01)
    lost = overhead(Costs(dispatch=0.01, travel=0.0, store=0.0), 1.0, 1_000, rounds=40)
    assert lost == pytest.approx(1 - 1 / 10, abs=0.01)


def test_the_smallest_unit_grows_with_the_workers_once_the_runner_is_busy():
    costs = Costs(dispatch=1e-3, travel=1e-3, store=5e-3)
    few, many = smallest_unit(costs, 2, rounds=100), smallest_unit(costs, 1_000, rounds=20)
    # 5 ms of writing are 5 % of 95 ms; a thousand workers ask 1 ms of the runner each
    assert few == pytest.approx(0.095, rel=0.1) and many == pytest.approx(1.0, rel=0.2)


def test_nothing_is_lost_without_costs():
    assert overhead(Costs(0.0, 0.0, 0.0), 1.0, 50) == pytest.approx(0.0, abs=1e-12)


def test_the_page_has_the_numbers_of_the_record():
    """Which the command writes; a record that is measured anew changes it."""
    record = json.loads((RESULTS / "cluster.json").read_text("utf-8"))
    text = _page.PAGE.read_text("utf-8").partition(_page.TITLE)[2]
    assert text == _page.section(record)
    other = record | {"constants": record["constants"] | {"store": 2 * record["constants"]["store"]}}
    assert _page.section(other) != text
    assert all(len(line) <= 120 for line in text.splitlines())
