"""The battery's truths where two independent ways give them, what it covers, and that a wrong answer is seen."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss
from benchmarks.validation import _exact, battery
from benchmarks.validation._problems import critical, slope
from sde_sgd.reference import ChainExit, ChainFork

DT, NOISE = 0.02, np.sqrt(0.02)


def bowl(x):
    return x * (1 - DT)


def test_what_is_asked():
    """At least 30 problems, each of its own name, of all the kinds and dimensions that a person may come with."""
    listed = [*battery.exact(), *battery.on_surfaces(), *battery.hidden()]
    known = battery.problems()
    assert len(known) == len(listed) >= 30
    assert {1, 2, 4, 10, 50} <= {problem.dim for problem in listed}
    kinds = {kind for problem in listed for kind in problem.kinds}
    assert kinds >= {
        "behind", "beside", "between", "channels", "entropic", "plateau", "ring", "heavy-tailed", "multiplicative",
        "anisotropic", "sets", "momentum", "tiny", "ball", "high", "soft", "far", "near", "large",
    }  # fmt: skip
    assert {problem.dim for problem in listed if "channels" in problem.kinds} >= {2, 4, 10}
    for problem in listed:
        asked = problem.ask()
        assert asked.chain.dim == problem.dim == len(asked.start)
        assert not asked.target.contains(jnp.asarray(asked.start))


def test_the_kernel_is_that_of_the_reference():
    """At the same nodes."""
    exits = ChainExit(bowl, NOISE, 0.0, 2.92, -4.0, 120)
    kernel = _exact.on_a_line(bowl, NOISE, 0.0, 2.92, -4.0, 120)
    assert kernel.within(300) == pytest.approx(exits.exits(300)[-1], rel=1e-10)
    assert kernel.ends()[1] == pytest.approx(exits.mean_steps(), rel=1e-10)
    fork = ChainFork(bowl, NOISE, 0.0, -2.0, 2.5, 120)
    chance, steps = _exact.on_a_line(bowl, NOISE, 0.0, 2.5, -2.0, 120, avoid=True).ends()
    assert chance == pytest.approx(fork.probability(), rel=1e-10)
    assert steps == pytest.approx(fork.mean_steps(), rel=1e-10)
    # and either way round, with nodes that lie elsewhere
    turned = _exact.on_a_line(bowl, NOISE, 0.0, -2.92, 4.0, 200, stretched=True)
    assert turned.ends()[1] == pytest.approx(exits.mean_steps(), rel=1e-5)


def test_watched_between_steps_it_is_the_diffusion():
    """By kernels of two steps and by quadrature, with the target on the barrier: what lies between falls as they do."""
    well = critical(4.0, -1.0, 0.0, 1.0)
    force, law = slope(well), ss.Langevin(ss.landscapes.Landscape(well, 1), 0.15)
    grid = ss.reference.FokkerPlanck(law, (-2.4, 1.0, 400))
    exact = grid.mean_passage_time(~ss.regions.HalfSpace([1.0], 0.0), [-1.0])

    def off(dt, bridged=True):
        kernel = _exact.on_a_line(lambda x: x - dt * force(x), np.sqrt(0.3 * dt), -1.0, 0.0, -2.4, 250, bridged=bridged)
        return kernel.ends()[1] * dt / exact - 1

    assert abs(off(0.004)) < 0.02 and off(0.002) == pytest.approx(off(0.004) / 2, rel=0.1)
    assert off(0.004, bridged=False) > 0.05


def test_the_quadrature_is_that_of_the_grid_solver():
    """To 1e-7; and without a slope it is (target − start)·(target + start − 2·lowest)/(2T)."""
    well = critical(4.0, -1.0, 0.0, 1.0)
    grid = ss.reference.FokkerPlanck(ss.Langevin(ss.landscapes.Landscape(well, 1), 0.15), (-2.4, 1.0, 1000))
    exact = grid.mean_passage_time(~ss.regions.HalfSpace([1.0], 0.5), [-1.0])
    assert _exact.by_quadrature(well, 0.15, -1.0, 0.5, -2.4) == pytest.approx(exact, rel=1e-7)
    flat = _exact.by_quadrature(lambda x: 0 * x[0], 0.5, 1.0, 3.0, -4.0)
    assert flat == pytest.approx(2 * (3 + 1 + 8) / (2 * 0.5), rel=1e-4)


def test_along_a_radius():
    """In one dimension it is an interval; in three the angle-free diffusion of that radius as the steps get small."""
    both = _exact.on_a_line(bowl, NOISE, 0.0, 2.5, -2.5, 150, avoid=True).ends()[1]
    radius = _exact.along_a_radius(bowl, lambda r: NOISE + 0 * r, 1, 0.0, 2.5, 0.0, 150)
    assert radius.ends()[1] == pytest.approx(both, rel=1e-6)
    whole = radius.inside.sum(axis=1) + radius.reached
    np.testing.assert_allclose(whole[:-1], 1, atol=1e-3)
    dim, start = 50, 5.0
    steep = _exact.along_a_radius(bowl, lambda r: NOISE + 0 * r, dim, start, 7.0, 1.0, 150)
    # E|x'|² = m² + dim·s², to be read off the rows as the chain is far from its boundary
    unit, _ = np.polynomial.legendre.leggauss(150)
    points = 1 + 3 * (unit + 1)
    mean = steep.inside[-1] @ points**2
    assert mean == pytest.approx(bowl(start) ** 2 + dim * NOISE**2, rel=1e-9)


def test_the_first_of_several():
    """Of two alike it is the survival squared, added up."""
    one = _exact.on_a_line(bowl, NOISE, 0.0, 0.8, -5.0, 170)
    survival = 1 - np.append(0.0, one.flux(25_000))
    assert survival[-1] < 1e-9
    assert _exact.independent([one, one], 500) == pytest.approx(np.sum(survival**2), rel=1e-8)


def test_what_steps_do_is_taken_into_account():
    """Against the exact kernel of the steps, with the target past the barrier: a tenth of the bias is left."""
    well, dt = critical(4.0, -1.0, 0.0, 1.0), 0.004
    law = ss.Langevin(ss.landscapes.Landscape(well, 1), 0.15)
    target, force = ~ss.regions.HalfSpace([1.0], 0.6), slope(well)
    kernel = _exact.on_a_line(lambda x: x - dt * force(x), np.sqrt(0.3 * dt), -1.0, 0.6, -2.4, 250, bridged=True)
    exact = kernel.ends()[1] * dt

    def off(law):
        return abs(ss.reference.FokkerPlanck(law, (-2.4, 2.0, 400)).mean_passage_time(target, [-1.0]) / exact - 1)

    assert off(_exact.stepped(law, dt)) < 0.15 * off(law)


# The score of an answer


def run(value, low, high, status="complete", seed=0):
    return {"seed": seed, "answer": [value, low, high], "status": status, "reasons": [], "seconds": 1.0}


def test_a_wrong_answer_is_seen():
    truth = {"value": 100.0, "error": 0.0}
    right, edge, off = run(104, 95, 114), run(112, 102, 123), run(125, 113, 138)
    assert [battery.distance(each, truth) <= 1 for each in (right, edge, off)] == [True, False, False]
    assert [battery.wrong(each, truth) for each in (right, edge, off)] == [False, False, True]
    # who does not say complete is not wrong; a truth that is not known so well is no reproach
    assert not battery.wrong(run(125, 113, 138, "not settled"), truth)
    assert not battery.wrong(off, {"value": 100.0, "error": 0.15})
    # neither end helps on its other side, and no value is no answer
    assert battery.wrong(run(50, 5, 52), truth) and battery.wrong(run(None, None, None), truth)
    assert not battery.wrong(run(None, None, None, "stopped"), truth)


def test_what_all_runs_come_to():
    record = {
        "truths": {"one": {"value": 100.0, "error": 0.0}, "other": {"value": 1.0, "error": 0.0}},
        "runs": {
            "one": {"0": run(104, 95, 114), "1": run(125, 113, 138, seed=1)},
            "other": {
                "0": {**run(1.0, 0.9, 1.1), "seconds": 5.0},
                "1": {**run(1.5, 1.4, 1.6, "not settled", 1), "seconds": 9.0},
            },
        },
    }
    found = battery.summary(record)
    assert found["answered"] == 0.5 and found["wrong"] == ["one, seed 1"] and found["complete_runs"] == 3
    assert found["coverage"] == pytest.approx(2 / 3)
    assert found["median_seconds"] == 3.0 and found["worst_seconds"] == 9.0
    shown = battery.table(record)
    assert "one **(1 wrong)**" in shown and "- other: not settled" in shown and "1 complete runs outside" in shown


def test_what_the_record_has_is_not_run_again(tmp_path, monkeypatch, capsys):
    """A run that takes too long is stopped and recorded as that, as are further seeds; then nothing is left to do."""
    name, path = "ball in 10-D", tmp_path / "battery.json"
    path.write_text(json.dumps({"truths": {name: {"value": 1.0, "error": 0.0, "by": "x"}}, "runs": {}}))
    words = ["--only", name, "--seeds", "2", "--limit", "0.05", "--out", str(path)]
    battery.main(words)
    runs = json.loads(path.read_text())["runs"]
    assert set(runs) >= {name} and {row["status"] for row in runs[name].values()} == {"stopped"}
    monkeypatch.setattr(battery, "in_a_process", lambda *_: pytest.fail("run again"))
    capsys.readouterr()
    battery.main(words)
    assert "0 of 1" in capsys.readouterr().out
    monkeypatch.setattr(battery, "in_a_process", lambda command, limit, each: each(run(1.0, 0.9, 1.1)))
    battery.main([*words[:2], "--seeds", "1", "--again", *words[4:]])
    assert json.loads(path.read_text())["runs"][name]["0"]["status"] == "complete"
