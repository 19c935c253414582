"""Noise with the trace of another model and a shape of its own, and Zhu's comparison of six in a sharp valley."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parameters import quick
from statistical import agrees, binomial_error

import sde_sgd as ss
from sde_sgd.noise import DiagonalOf, HessianOf, IsotropicOf, LeadingOf

COVARIANCE = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.4]])


def factor(x):
    return jnp.stack([jnp.stack([1 + x[0], x[1], x[2] ** 2]), x**2 - 0.5], axis=1)


def loss(x):
    return jnp.sum(x**4) / 4 - x[0] ** 2 + x[0] * x[1] + x[1] ** 2 + jnp.sin(x[2])


SURFACE = ss.landscapes.Landscape(loss, 3)
WHOLE = ss.noise.FromFunction(factor)
# a Hessian of three positive curvatures, and one with a negative one
PLACES = (np.array([1.2, 0.6, -0.9]), np.array([0.3, -0.4, -1.1]))
KINDS = {
    "isotropic": IsotropicOf(WHOLE),
    "diagonal": DiagonalOf(WHOLE),
    "hessian": HessianOf(WHOLE),
    "leading": LeadingOf(WHOLE),
    "leading of the hessian": LeadingOf(WHOLE, "hessian"),
}


def expected(name, theta):
    """V written out, and Tr C."""
    sigma, hessian = (np.asarray(each(jnp.asarray(theta))) for each in (jax.jit(factor), jax.jit(jax.hessian(loss))))
    whole = sigma @ sigma.T
    trace = np.trace(whole)
    values, vectors = np.linalg.eigh(hessian)
    bent = (vectors * np.maximum(values, 0)) @ vectors.T
    first, second = np.linalg.eigh(whole)[1][:, -1], vectors[:, -1]
    return {
        "isotropic": trace / 3 * np.eye(3),
        "diagonal": np.diag(np.diag(whole)),
        "hessian": trace * bent / np.trace(bent),
        "leading": trace * np.outer(first, first),
        "leading of the hessian": trace * np.outer(second, second),
    }[name], trace


@eqx.filter_jit
def what_it_says(model, theta):
    """σ, V, the diagonal of V, and the gradient with 0.3 times the first column of σ, and without."""
    units = jnp.eye(model.noise_dim(SURFACE))
    sigma = jax.vmap(lambda unit: model.apply(SURFACE, theta, unit), out_axes=1)(units)
    drawn = model.noisy_gradient(SURFACE, theta, 0.3, units[0])
    return sigma, model.covariance(SURFACE, theta), model.diagonal(SURFACE, theta), drawn, SURFACE.gradient(theta)


@eqx.filter_jit
def trace(model, risk, theta):
    return jnp.trace(model.covariance(risk, theta))


@pytest.mark.parametrize("name", quick(KINDS, "diagonal", "hessian", "leading"))
def test_shape_and_trace_are_those_that_are_said(name, double_precision):
    """σσᵀ = V = the formula, and Tr V = Tr C, at two points; with the gradient beside it. Twin: the other point."""
    model = KINDS[name]
    model.check(SURFACE)
    for place, other in (PLACES, PLACES[::-1]):
        exact, total = expected(name, place)
        sigma, found, diagonal, drawn, gradient = map(np.asarray, what_it_says(model, jnp.asarray(place)))
        np.testing.assert_allclose(sigma @ sigma.T, exact, atol=1e-9)
        np.testing.assert_allclose(found, exact, atol=1e-9)
        np.testing.assert_allclose(diagonal, np.diag(exact), atol=1e-9)
        assert np.trace(found) == pytest.approx(total, rel=1e-9)
        assert np.abs(found - expected(name, other)[0]).max() > 0.05
        np.testing.assert_allclose(drawn, gradient + 0.3 * sigma[:, 0], atol=1e-9)


def test_what_they_say_of_themselves():
    """Constant and isotropic where the model behind is; a temperature where the trace is one number."""
    steady = [ss.noise.Isotropic(2.0), ss.noise.Diagonal([1.0, 3.0]), ss.noise.ConstantCovariance(COVARIANCE)]
    for model, mean in zip(steady, (2.0, 2.0, 3.4 / 3), strict=True):
        isotropic = IsotropicOf(model)
        assert isotropic.is_constant and DiagonalOf(model).is_constant and LeadingOf(model).is_constant
        assert not HessianOf(model).is_constant and not LeadingOf(model, "hessian").is_constant
        assert float(isotropic.isotropic_variance) == pytest.approx(mean)
        assert float(IsotropicOf(LeadingOf(model)).isotropic_variance) == pytest.approx(mean)
        assert HessianOf(model).isotropic_variance is None and LeadingOf(model).isotropic_variance is None
    assert DiagonalOf(steady[0]).isotropic_variance == 2.0 and DiagonalOf(steady[1]).isotropic_variance is None
    assert not IsotropicOf(WHOLE).is_constant and IsotropicOf(WHOLE).isotropic_variance is None
    warm = ss.LangevinSGD(ss.landscapes.Quadratic([1.0, 2.0]), IsotropicOf(steady[1]), 0.1, 5)
    assert float(warm.temperature) == pytest.approx(0.1 * 2.0 / 10)


def test_of_the_examples_gradients(double_precision):
    """The diagonal of V without V, and equal traces on a data set."""
    generator = np.random.default_rng(1)
    inputs, targets = (jnp.asarray(generator.normal(size=size)) for size in ((9, 2), 9))
    risk = ss.EmpiricalRisk(jnp.zeros(2), lambda w, x, y: (w @ x - y) ** 2 / 2, inputs, targets)
    theta, whole = jnp.array([0.7, -0.5]), ss.noise.PerExample()
    exact = np.asarray(whole.covariance(risk, theta))
    np.testing.assert_allclose(whole.diagonal(risk, theta), np.diag(exact), rtol=1e-9)
    for model in (IsotropicOf(whole), DiagonalOf(whole), HessianOf(whole), LeadingOf(whole)):
        assert float(trace(model, risk, theta)) == pytest.approx(np.trace(exact), rel=1e-9)
    with pytest.raises(ValueError, match="PerExample noise needs a landscape that is an EmpiricalRisk"):
        ss.LangevinSGD(SURFACE, IsotropicOf(whole), 0.1, 1)


def test_no_positive_curvature_is_no_shape():
    """At a maximum σ is not a number: a trajectory there counts as diverged, and is not silently without noise."""
    hill = ss.landscapes.Landscape(lambda x: -jnp.sum(x**2), 2)
    assert np.all(np.isnan(eqx.filter_jit(HessianOf(ss.noise.Isotropic(1.0)).apply)(hill, jnp.ones(2), jnp.ones(2))))


def test_what_is_no_model_is_refused():
    for make in (IsotropicOf, DiagonalOf, HessianOf, LeadingOf):
        with pytest.raises((ValueError, TypeError), match="noise"):
            make(1.0)
    with pytest.raises((ValueError, TypeError), match="direction"):
        LeadingOf(WHOLE, "loss")


TURN = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
SHARP, FLAT, LEVEL = 12.0, 1.0, 0.8
RATE, STEPS, RUNS = 0.05, 20, 4_000


def valley(x):
    a, b = jnp.asarray(TURN.T, x.dtype) @ x
    return (SHARP * a**2 + FLAT * b**2) / 2 + a**2 * b**2


def noise_of_valley(x):
    a, b = jnp.asarray(TURN.T, x.dtype) @ x
    return jnp.sqrt(1 + a**2 + b**2) * jnp.asarray([[3.0, 0.0], [-0.4, 1.2]], x.dtype)


def of_runs(kind, generator):
    """The share of 4,000 runs of x' = x − γ(∇L + σξ) that leave {L < level} within 20 steps, in NumPy."""
    x, inside = np.zeros((RUNS, 2)), np.ones(RUNS, bool)
    for _ in range(STEPS):
        a, b = (x @ TURN).T
        slope = np.stack([SHARP * a + 2 * a * b**2, FLAT * b + 2 * a**2 * b], axis=1) @ TURN.T
        bend = np.array([[SHARP + 2 * b**2, 4 * a * b], [4 * a * b, FLAT + 2 * a**2]]).transpose(2, 0, 1)
        whole = (1 + a**2 + b**2)[:, None, None] * (np.array([[3, 0], [-0.4, 1.2]]) @ np.array([[3, -0.4], [0, 1.2]]))
        trace = np.trace(whole, axis1=1, axis2=2)[:, None, None]
        hessian = TURN @ bend @ TURN.T
        if kind == "isotropic":
            whole = trace / 2 * np.eye(2)
        elif kind == "diagonal":
            whole = whole * np.eye(2)
        elif kind == "hessian":
            values, vectors = np.linalg.eigh(hessian)
            whole = (vectors * np.maximum(values, 0)[:, None, :]) @ vectors.transpose(0, 2, 1)
            whole *= trace / np.trace(whole, axis1=1, axis2=2)[:, None, None]
        elif kind.startswith("leading"):
            first = np.linalg.eigh(whole if kind == "leading" else hessian)[1][:, :, -1]
            whole = trace * first[:, :, None] * first[:, None, :]
        root = np.linalg.cholesky(whole + 1e-12 * np.eye(2))
        x = x - RATE * (slope + np.einsum("nij,nj->ni", root, generator.normal(size=(RUNS, 2))))
        a, b = (x @ TURN).T
        inside &= (SHARP * a**2 + FLAT * b**2) / 2 + a**2 * b**2 < LEVEL
    return 1 - inside.mean()


@pytest.mark.long
def test_success_of_leaving_a_sharp_valley():
    """Six kinds of noise of one trace: each as the same recursion in NumPy has it. Twin: the kind next to it."""
    surface = ss.landscapes.Landscape(valley, 2)
    whole = ss.noise.FromFunction(noise_of_valley)
    kinds = {
        "full": whole,
        "isotropic": IsotropicOf(whole),
        "diagonal": DiagonalOf(whole),
        "hessian": HessianOf(whole),
        "leading": LeadingOf(whole),
        "leading of the hessian": LeadingOf(whole, "hessian"),
    }
    generator = np.random.default_rng(4)
    region = ss.regions.Sublevel(surface, LEVEL)
    found, reference = {}, {}
    for name, model in kinds.items():
        chain = ss.EulerMaruyama(ss.LangevinSGD(surface, model, RATE, 1))
        passage = ss.escape(chain, [0.0, 0.0], region, STEPS * RATE, trajectories=RUNS, seed=2, method="direct")
        found[name], reference[name] = passage.probability.value, of_runs(name, generator)
    shares = np.array(list(reference.values()))
    ours = np.array(list(found.values()))
    error = np.sqrt(2) * binomial_error(shares, RUNS)
    assert agrees(ours, shares, error), (found, reference)
    assert not any(np.abs(np.roll(ours, 1) - shares) <= 4 * error), (found, reference)
    assert np.all((shares > 0.02) & (shares < 0.98)), reference
