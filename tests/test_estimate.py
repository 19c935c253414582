"""The time left of a study, by a simulated clock; and what is shown of it in a terminal and where there is none."""

import heapq
import io
import sys

import numpy as np
import pytest

from sde_sgd.study._kind import Cell
from sde_sgd.study._units import Unit
from sde_sgd.study.running._estimate import Spent, in_words, path_steps_a_second, rate, time_left, workers_at_work
from sde_sgd.study.running._progress_bar import ProgressBar


def a_study(number, spread, seed=0):
    """Units whose work differs by the factor `spread`."""
    works = np.exp(np.random.default_rng(seed).uniform(0, np.log(spread), number)) if spread > 1 else np.ones(number)
    return [Unit(str(k), (Cell(str(k), {"place": k}, k, float(work)),)) for k, work in enumerate(works)]


def simulate(units, workers, compiling=0.0, every=None, prepare=0.0, noise=0.0, known=True):
    """Run the units in turn on so many workers by a simulated clock of 3 seconds for one of work.

    compiling: seconds in the first unit of each worker, and in each `every`-th; prepare: seconds in the first that no
    compiler counts. Returns the estimates: share of the work done, time left as said, as it was, without compiling.
    """
    now, random = [0.0], np.random.default_rng(1)
    bar = ProgressBar("study", units, 0, workers if known else None, show=False, now=lambda: now[0])
    free = [(0.0, place) for place in range(workers)]
    running, begun, told, pending = [], set(), [], list(units)
    while pending or running:
        while pending and free:
            start, place = heapq.heappop(free)
            unit = pending.pop(0)
            bar.begun(unit)
            extra = compiling if place not in begun or (every and int(unit.key) % every == 0) else 0.0
            seconds = 3.0 * unit.work * np.exp(noise * random.normal()) + extra + prepare * (place not in begun)
            account = {"wall_seconds": seconds, "compile_seconds": extra, "is_first": place not in begun}
            begun.add(place)
            heapq.heappush(running, (max(start, now[0]) + seconds, int(unit.key), place, unit, account))
        end, _, place, unit, account = heapq.heappop(running)
        now[0] = end
        bar.finished(unit, account)
        left = [each for *_, each, _ in running] + pending
        told.append((bar.share, bar.seconds_left(), end, sum(each.work for each in left)))
        heapq.heappush(free, (end, place))
    return [(share, said, now[0] - at) for share, said, at, _ in told]


def worst(told):
    """Largest factor by which the estimate is off between a fifth of the work and the last tenth."""
    return max(max(said / true, true / said) for share, said, true in told if 0.2 <= share <= 0.9)


class TestTimeLeft:
    @pytest.mark.parametrize("workers", [1, 2, 4, 16])
    @pytest.mark.parametrize("spread", [1, 30])
    def test_right_within_a_factor_after_a_fifth(self, workers, spread):
        """Units of unequal work, the first one of each worker slow by compiling and by preparing."""
        units = a_study(12 * workers, spread)
        assert worst(simulate(units, workers, compiling=40.0, prepare=20.0, noise=0.1)) < 1.5

    @pytest.mark.parametrize("workers", [2, 4])
    def test_of_an_executor_that_does_not_say_how_many_it_runs(self, workers):
        told = simulate(a_study(20 * workers, 3), workers, compiling=10.0, known=False)
        assert worst(told) < 1.5

    def test_broken_twins_are_worse(self):
        """Cells counted in the place of work; compiling and first units within the rate."""
        units = sorted(a_study(24, 30), key=lambda unit: unit.work)
        told = simulate(units, 1, compiling=60.0, prepare=20.0)
        assert worst(told) < 1.5
        by_cells = [(k, 3.0 * unit.work + (80.0 if k == 0 else 0.0)) for k, unit in enumerate(units)]
        seconds = np.array([each for _, each in by_cells])
        done = next(k for k in range(24) if sum(u.work for u in units[: k + 1]) >= 0.2 * sum(u.work for u in units))
        true = seconds[done + 1 :].sum()
        assert true / (seconds[: done + 1].mean() * (23 - done)) > 1.5
        with_compiling = [Spent(u.work, s) for u, s in zip(units[: done + 1], seconds, strict=False)]
        said = time_left(with_compiling, [(u.work, 0.0) for u in units[done + 1 :]], 1.0)
        assert said is not None and said / true > 1.5

    def test_it_counts_down_within_a_unit_and_no_further(self):
        now = [0.0]
        units = a_study(5, 1)
        bar = ProgressBar("study", units, 0, 1, show=False, now=lambda: now[0])
        bar.begun(units[0])
        assert bar.seconds_left() is None
        now[0] = 10.0
        bar.finished(units[0], {"wall_seconds": 10.0})
        bar.begun(units[1])
        assert bar.seconds_left() == 40.0
        now[0] = 15.0
        assert bar.seconds_left() == 35.0
        now[0] = 99.0
        assert bar.seconds_left() == 30.0

    def test_the_largest_unit_bounds_it(self):
        spent = [Spent(1.0, 2.0)]
        assert time_left(spent, [(1.0, 0.0), (1.0, 0.0), (10.0, 0.0)], 4.0) == 20.0
        assert time_left(spent, [(10.0, 15.0), (1.0, 3.0)], 4.0) == 5.0
        assert time_left(spent, [(1.0, 0.0)] * 12, 4.0) == 6.0
        # five equal ones on four workers take as long as eight
        assert time_left(spent, [(1.0, 0.0)] * 5, 4.0) == 4.0
        assert time_left(spent, [(1.0, 0.0)] * 100_001, 4.0) == pytest.approx(50_000, rel=1e-3)
        assert time_left(spent, [], 4.0) == 0.0 and time_left([], [(1.0, 0.0)], 4.0) is None

    def test_the_rate_leaves_out_what_is_no_work(self):
        first = Spent(1.0, 100.0, 60.0, is_first=True)
        assert rate([first]) == 40.0
        assert rate([first, Spent(2.0, 5.0, 1.0)]) == 2.0
        assert rate([]) is None


class TestOthers:
    def test_workers_are_counted_by_their_seconds(self):
        spent = [Spent(1.0, 10.0, ended=10.0 + 10.0 * (k // 4)) for k in range(40)]
        assert workers_at_work(spent) == 4.0
        assert workers_at_work([]) == 1.0

    def test_a_clock_that_jumps_back_makes_no_number(self):
        assert workers_at_work([Spent(1.0, 10.0, ended=-1e9), Spent(1.0, 10.0, ended=0.0)]) == 1.0
        assert workers_at_work([Spent(1.0, 0.0, ended=5.0)]) == 1.0

    def test_path_steps(self):
        spent = [Spent(1.0, 12.0, 2.0, path_steps=1e6)] * 3
        assert path_steps_a_second(spent, 2.0) == pytest.approx(2e5)
        assert path_steps_a_second([Spent(1.0, 1.0)], 2.0) is None

    def test_words(self):
        given = [None, 0.0, 42.4, 725.0, 11400.0, 190000.0]
        assert [in_words(each) for each in given] == ["?", "0:00", "0:42", "12:05", "3:10:00", "2 days 4:46:40"]


class TestShown:
    def run(self, monkeypatch, watched, units=20, seconds=1.0):
        now = [0.0]
        stream = io.StringIO()
        monkeypatch.setattr(stream, "isatty", lambda: watched)
        monkeypatch.setattr(sys, "stderr", stream)
        listed = a_study(units, 1)
        with ProgressBar("study", listed, 10, 1, show=True, now=lambda: now[0]) as bar:
            for place, unit in enumerate(listed):
                now[0] += seconds
                bar.tick()
                bar.begun(unit)
                bar.finished(unit, {"wall_seconds": seconds, "path_steps": 3e6, "widest": 0.3 - 0.01 * place})
        return stream.getvalue()

    def test_a_line_for_every_tenth_where_there_is_no_terminal(self, monkeypatch):
        lines = self.run(monkeypatch, watched=False).splitlines()
        assert len(lines) == 10
        assert lines[0] == "study: 12/30 cells, 10 %, 3e+06 path-steps/s, widest ±30 %, 0:02 elapsed, 0:18 left"
        assert lines[-1] == "study: 30/30 cells, 100 %, 3e+06 path-steps/s, widest ±30 %, 0:20 elapsed"

    def test_a_line_after_thirty_seconds(self, monkeypatch):
        lines = self.run(monkeypatch, watched=False, units=100, seconds=31.0).splitlines()
        assert len(lines) >= 100

    def test_one_bar_in_a_terminal(self, monkeypatch):
        text = self.run(monkeypatch, watched=True)
        assert text.count("\n") == 1 and "study: 30/30 cells 100%|" in text and "path-steps/s" in text

    def test_the_widest_interval_is_that_of_all_that_is_on_the_disk(self):
        """Of what was finished before, here and by another run."""
        units = a_study(3, 1)
        with ProgressBar("study", units, 5, 1, show=False, widest=0.4) as bar:
            assert bar.text().startswith("widest ±40 %, ")
            bar.finished(units[0], {"wall_seconds": 1.0, "widest": 0.2})
            bar.finished(units[1], {"wall_seconds": 1.0, "widest": None})
            assert "widest ±40 %" in bar.text()
            bar.elsewhere(units[2], {"wall_seconds": 1.0, "widest": 0.5})
            assert "widest ±50 %" in bar.text()

    def test_silence(self, monkeypatch):
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        units = a_study(3, 1)
        with ProgressBar("study", units, 0, 1, show=False) as bar:
            bar.waiting(2)
            bar.finished(units[0], {"wall_seconds": 1.0})
        assert stream.getvalue() == ""
