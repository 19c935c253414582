"""From where training stopped to a critical point of a known kind, and on from saddles; kinks of ReLU networks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parameters import quick

import sde_sgd as ss
from sde_sgd.landscapes import Landscape, _kinks, _polish, find_minima, polish

WELLS = Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 2, 2)


def test_a_saddle_is_told_and_left_when_asked():
    saddle = polish(WELLS, [0.0, 0.3])
    assert saddle.kind == "saddle" and not saddle.is_minimum and saddle.saddles_left == 0
    np.testing.assert_allclose(saddle.location, 0, atol=1e-12)
    np.testing.assert_allclose(saddle.eigenvalues, [-4, 2], rtol=1e-12)
    minimum = polish(WELLS, [0.0, 0.3], leave_saddles=True)
    assert minimum.kind == "minimum" and minimum.saddles_left == 1
    np.testing.assert_allclose(np.abs(minimum.location), [1, 0], atol=1e-12)
    np.testing.assert_allclose(minimum.eigenvalues, [2, 8], rtol=1e-12)
    assert minimum.loss < 1e-20 and minimum.gradient_norm < 1e-12 and "minimum after 1 saddle:" in str(minimum)
    # both wells, by way of a point of index 2
    hills = Landscape(lambda x: jnp.sum((x**2 - 1) ** 2), 3)
    down = polish(hills, np.zeros(3), leave_saddles=True)
    assert down.kind == "minimum" and down.saddles_left >= 1
    assert polish(hills, np.zeros(3), leave_saddles=True, most_saddles=1).kind in ("saddle", "minimum")


@pytest.mark.parametrize("dense", quick([True, False], True))
def test_a_minimum_is_that_of_find_minima(monkeypatch, dense):
    """By the whole Hessian and by products with it."""
    generator = np.random.RandomState(0)
    inputs = generator.normal(size=(20, 3)).astype(np.float32)
    model = eqx.nn.MLP(3, "scalar", 4, 1, activation=jnp.tanh, key=jax.random.key(0))
    risk = ss.EmpiricalRisk(model, ss.landscapes.squared_error, inputs, np.sin(inputs[:, 0]), penalty=1e-2)
    if not dense:
        monkeypatch.setattr(_polish, "_DENSE", 1)
    found = polish(risk, risk.initial, leave_saddles=True, k=3)
    assert found.kind == "minimum"
    (exact,) = find_minima(risk, found.location + 1e-4)
    np.testing.assert_allclose(found.location, exact.location, atol=1e-8)
    np.testing.assert_allclose(found.eigenvalues, exact.eigenvalues[:3], atol=1e-6)
    assert found.largest_eigenvalue == pytest.approx(exact.largest_eigenvalue, rel=1e-5)
    assert found.gradient_norm <= 1e-10 * max(1, exact.largest_eigenvalue)


def test_degenerate_points_and_slopes():
    flat = polish(Landscape(lambda x: x[0] ** 4 + x[1] ** 2, 2), [0.7, 0.3])
    assert flat.kind == "degenerate" and np.abs(flat.location).max() < 1e-3
    with pytest.raises(ValueError, match=r"theta must lead down to .*, but the loss descends without bound"):
        polish(Landscape(lambda x: x[0] + x[1] ** 2, 2), [0.0, 1.0])
    with pytest.raises(ValueError, match="theta must have a finite loss, got"):
        polish(Landscape(lambda x: jnp.log(x[0]), 1), [-1.0])
    # a slope that never ends but never falls far
    assert polish(Landscape(lambda x: jnp.exp(-x[0]), 1), [0.0]).kind in ("unfinished", "degenerate")


def test_a_kink_is_told():
    """max(x, −2x) + (y − 1)² + xy/10 is least at (0, 1), where the first component of the gradient jumps by 3."""
    kink = Landscape(lambda x: jax.nn.relu(x[0]) + 2 * jax.nn.relu(-x[0]) + (x[1] - 1) ** 2 + x[0] * x[1] / 10, 2)
    ends = []
    for seed in (0, 1):
        found = polish(kink, [0.7, 0.3], seed=seed)
        assert found.kind == "kink" and found.gradient_norm < 1e-5
        np.testing.assert_allclose(found.location, [0, 1], atol=1e-6)
        ends.append(tuple(found.location))
    # by other points around the kink
    assert ends[0] != ends[1]
    # by JAX's convention the gradient is 0 just on the kink, which must not make it a smooth point
    assert polish(Landscape(lambda x: jnp.sum(jnp.abs(x) + x**2), 2), [0.0, 0.0]).kind == "kink"
    # a bend of the second derivative is no kink
    bend = Landscape(lambda x: jnp.sum(jax.nn.relu(x) ** 2 + x**2), 2)
    assert polish(bend, [0.3, 0.4]).kind == "degenerate"
    assert polish(Landscape(lambda x: bend.loss(x) - x[0] - 2 * x[1], 2), [0.3, 0.4]).kind == "minimum"


def test_the_shortest_mean_of_gradients():
    np.testing.assert_allclose(_kinks.shortest_mean(np.array([[1.0, 1.0], [-3.0, 1.0]])), [0, 1], atol=1e-12)
    np.testing.assert_allclose(_kinks.shortest_mean(np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 3.0]])), [0.5, 0.5])
    np.testing.assert_allclose(_kinks.shortest_mean(np.array([[2.0, 1.0], [3.0, 5.0]])), [2, 1])
    np.testing.assert_allclose(_kinks.shortest_mean(np.eye(3) - 1 / 3), 0, atol=1e-12)


@pytest.mark.long
@pytest.mark.parametrize("seed", [0])
def test_a_relu_network_that_stops_find_minima(seed):
    """The way on: without a penalty to a point without negative curvature, which rescaling makes degenerate."""
    generator = np.random.RandomState(0)
    inputs = generator.normal(size=(30, 3)).astype(np.float32)
    model = eqx.nn.MLP(3, 1, 6, 1, key=jax.random.key(seed))
    risk = ss.EmpiricalRisk(model, ss.landscapes.squared_error, inputs, np.sin(2 * inputs[:, :1]))
    with pytest.raises(ValueError, match="must lead down to a minimum"):
        find_minima(risk, risk.initial)
    found = polish(risk, risk.initial, leave_saddles=True)
    assert found.kind == "degenerate" and found.gradient_norm < 1e-9
    assert found.eigenvalues[0] > -1e-10 and found.loss < float(risk.loss(risk.initial)) / 10


@pytest.mark.long
def test_a_relu_network_with_decay_ends_on_a_kink():
    generator = np.random.RandomState(0)
    inputs = generator.normal(size=(30, 3)).astype(np.float32)
    model = eqx.nn.MLP(3, 1, 6, 1, key=jax.random.key(0))
    risk = ss.EmpiricalRisk(model, ss.landscapes.squared_error, inputs, np.sin(2 * inputs[:, :1]), penalty=1e-2)
    found = polish(risk, risk.initial, leave_saddles=True)
    assert found.kind == "kink"
    with jax.enable_x64(True):
        gradient = np.asarray(jax.grad(risk.loss)(jnp.asarray(found.location)))
        directions = np.random.RandomState(1).normal(size=(200, risk.dim))
        directions *= 1e-4 / np.linalg.norm(directions, axis=1, keepdims=True)
        around = np.asarray(jax.vmap(risk.loss)(jnp.asarray(found.location + directions)))
    # the gradient is large, and yet nothing around is lower by what the gradient would give, and hardly by anything
    assert np.linalg.norm(gradient) > 100 * found.gradient_norm
    assert found.loss - around.min() < 1e-4 * 10 * found.gradient_norm


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"theta must have shape \(2,\)"):
        polish(WELLS, [0.0])
    with pytest.raises(ValueError, match="k must be a whole number"):
        polish(WELLS, [0.0, 0.0], k=0)
    with pytest.raises(ValueError, match="most_saddles must be a whole number"):
        polish(WELLS, [0.0, 0.0], most_saddles=0)
