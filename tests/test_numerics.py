"""The numerical ground floor: validators, up-casting, programs by structure, and reads outside an array."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss
from sde_sgd import _errors, _numerics

TABLE = jnp.arange(5.0)


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (lambda x: x[3], "index 3 on an axis of 2"),
        (lambda x: x[0] + x[-3], "index -3 on an axis of 2"),
        (lambda x: x[2] ** 2, "index 2 on an axis of 2"),
        (lambda x: jnp.sum(x[jnp.array([0, 3])]), "index 3 on an axis of 2"),
        (lambda x: jnp.take(x, 3), "index 3 on an axis of 2"),
        (jax.jit(lambda x: x[5]), "index 5 on an axis of 2"),
        (lambda x: jnp.stack([x, x])[1, 3], "index 3 on an axis of 2"),
        (lambda x: TABLE[7] * x[0], "index 7 on an axis of 5"),
    ],
)
def test_a_loss_that_reads_outside_is_refused(loss, told):
    """JAX clamps the index: L would be another function than the person wrote."""
    with pytest.raises(ValueError, match=f"fn, for dim = 2, must not read outside its arrays, got {told}"):
        ss.landscapes.Landscape(loss, 2)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: x[0] + x[1] + x[-1] + x[-2],
        lambda x: jnp.sum(x[1:5]),
        lambda x: jnp.sum(x[jnp.array([0, 1])]),
        lambda x: x.at[3].get(mode="fill", fill_value=0.0) + x[0],
        lambda x: x.at[3].get(mode="clip"),
        lambda x: x[jnp.argmax(x)],
        lambda x: jnp.interp(x[0], TABLE, TABLE) + jnp.polyval(TABLE, x[1]),
        lambda x: jax.lax.fori_loop(0, 2, lambda i, total: total + x[i], 0.0),
        lambda x: jnp.sum(jnp.outer(x, x)[jnp.triu_indices(2)]) + jnp.linalg.slogdet(jnp.outer(x, x) + jnp.eye(2))[1],
        lambda x: jnp.sum(jnp.roll(x, 1) * jnp.sort(x)) + jnp.median(x) + jnp.convolve(x, x)[2],
        lambda x: jnp.sum(jax.vmap(lambda i: x[i])(jnp.arange(2))),
    ],
)
def test_a_loss_that_reads_inside_is_taken(loss):
    """No false alarm: indices from the end, slices that end early, what the person asked for, data-dependent ones."""
    assert ss.landscapes.Landscape(loss, 2).dim == 2


def test_coefficients_that_read_outside_are_refused():
    with pytest.raises(ValueError, match=r"drift must not read outside its arrays, got index 2 on an axis of 2"):
        ss.diffusions.ItoDiffusion(lambda x, t: -x * x[2], lambda x, t: jnp.ones(2), 2)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: np.sin(x[0]),
        lambda x: x[0] if x[0] > 0 else -x[0],
        lambda x: float(x[0]) ** 2,
        lambda x: TABLE[int(x[0])],
    ],
)
def test_a_loss_that_is_not_jax_gets_one_sentence(loss):
    with pytest.raises(ValueError, match="fn, for dim = 1, must be made of JAX operations") as raised:
        ss.landscapes.Landscape(loss, 1)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 300


@pytest.mark.parametrize("value", [0, 1, 10, -0.1, np.nan, np.inf, "tight", None, True, [0.1]])
def test_what_is_no_tolerance(value):
    with pytest.raises(ValueError, match="rtol must be a finite number above 0 and below 1, got"):
        _errors.tolerance("rtol", value)
    with pytest.raises(ValueError, match="share must lie strictly between 0 and 1, got"):
        _errors.fraction("share", value)


def test_what_is_a_tolerance():
    for value in (0.1, np.float32(0.5), np.float64(0.999), jnp.asarray(0.2)):
        _errors.tolerance("rtol", value)
        _errors.fraction("share", value)


def test_a_point_is_float64_and_real():
    class Located:
        location = np.array([1.0, 2.0], np.float32)

    for given in ([1, 2], Located(), jnp.array([1.0, 2.0])):
        taken = _errors.point("start", given, 2)
        assert taken.dtype == np.float64 and taken.tolist() == [1.0, 2.0]
    assert _errors.points("starts", [1, 2], 2).shape == (1, 2)
    given = np.ones((3, 2))
    assert _errors.points("starts", given, 2) is not given
    for bad, told in (
        ([1 + 2j, 0], "must be real numbers"),
        ("ab", "must be real numbers"),
        ([1.0], r"must have shape \(2,\), got shape \(1,\)"),
        ([[1.0, 2.0]], r"must have shape \(2,\), got shape \(1, 2\)"),
        ([1.0, np.inf], "must be finite"),
    ):
        with pytest.raises(ValueError, match=f"start {told}"):
            _errors.point("start", bad, 2)
    for bad, told in (([1j, 0], "must be real numbers"), (np.ones((2, 3)), "must be of shape"), ([], "must be of")):
        with pytest.raises(ValueError, match=f"starts {told}"):
            _errors.points("starts", bad, 2)


def test_times_in_whole_steps():
    """A time meant as a whole number of steps is one, whatever floating point makes of the quotient."""
    for steps in (1, 3, 7, 1000, 123_457):
        for dt in (0.1, 1e-3, 0.3, 1 / 3):
            assert _numerics.steps_until(steps * dt, dt) == steps
            assert _errors.whole_steps("horizon", steps * dt, dt, 2**32) == steps
    assert _errors.whole_steps("horizon", 0.99, 0.1, 2**32) == 9
    for bad, told in (
        (0.05, "must be at least one step dt = 0.1"),
        (0, "must be a positive number of SDE time"),
        (np.inf, "must be a positive number"),
        (True, "must be a positive number"),
        (1e10, r"must be at most 2\*\*32 steps of dt = 0.1"),
    ):
        with pytest.raises(ValueError, match=f"horizon {told}"):
            _errors.whole_steps("horizon", bad, 0.1, 2**32)


def _loss(landscape, point):
    _loss.traced += 1
    return landscape.loss(point)


def test_one_program_serves_all_parameters():
    """A sweep over arrays and Python floats alike traces once; another structure, or function, anew."""
    _loss.traced = 0

    def fn(x, p):
        return p["a"] * x[0] ** 2 + p["b"]

    with jax.enable_x64(True):
        for a, b in ((1.0, 2.0), (3.0, -1.0), (0.5, np.float32(4.0))):
            landscape = _numerics.as_float64(ss.landscapes.Landscape(fn, 1, {"a": a, "b": b}))
            value = _numerics.bound(_loss, landscape)(jnp.asarray([2.0]))
            assert value.dtype == jnp.float64 and float(value) == 4 * a + float(b)
        assert _loss.traced == 1
        other = _numerics.as_float64(ss.landscapes.Landscape(lambda x, p: p["b"] - x[0], 1, {"b": 1.0}))
        assert float(_numerics.bound(_loss, other)(jnp.asarray([2.0]))) == -1.0
    assert _loss.traced == 2


def test_float32_numbers_are_widened_as_they_are():
    tree = {"a": jnp.float32(0.1), "b": np.arange(3), "c": 0.1, "d": "name", "e": np.array([True]), "n": 4}
    wide = _numerics.as_float64(tree)
    assert wide["a"].dtype == np.float64 and wide["a"] == np.float64(np.float32(0.1)) != 0.1
    assert wide["b"].dtype == tree["b"].dtype and wide["c"].dtype == np.float64 and wide["c"] == 0.1
    assert wide["d"] == "name" and wide["e"].dtype == bool and wide["n"] == 4


def test_a_method_of_many_and_its_slope():
    """Of ½θᵀdiag(1, 4)θ by hand; each name has one function, and both scales one program, so that programs are kept."""
    thetas, functions = jnp.array([[1.0, 2.0], [3.0, -1.0]]), [_numerics.of_each("loss"), _numerics.with_slope("loss")]
    assert functions == [_numerics.of_each("loss"), _numerics.with_slope("loss")]
    sizes = set()
    for scale in (1.0, 2.0):
        many, one = (
            _numerics.bound(function, ss.landscapes.Quadratic(scale * jnp.array([1.0, 4.0]))) for function in functions
        )
        assert many(thetas).tolist() == [8.5 * scale, 6.5 * scale]
        value, slope = one(thetas[1])
        assert value == 6.5 * scale and slope.tolist() == [3 * scale, -4 * scale]
        # other calls may have left programs of other shapes
        sizes.add((many.func._cache_size(), one.func._cache_size()))
    assert len(sizes) == 1


def test_blocks_of_one_shape_are_what_one_call_makes():
    """Of rows fewer, as many and more than a block has, and of none; and the call sees one shape."""
    shapes = set()

    def call(points, numbers):
        shapes.add((points.shape, numbers.shape))
        return {"sum": points.sum(axis=1) + numbers, "pair": np.stack([numbers, -numbers], axis=1)}

    for rows in (0, 1, 4, 5, 11):
        points, numbers = np.arange(3.0 * rows).reshape(rows, 3), np.arange(rows)
        found = _numerics.in_blocks(call, 4, points, numbers)
        assert np.array_equal(found["sum"], points.sum(axis=1) + numbers)
        assert np.array_equal(found["pair"], np.stack([numbers, -numbers], axis=1))
    assert shapes == {((4, 3), (4,))}


@pytest.mark.parametrize(
    "program",
    [
        lambda x: x[jnp.arange(2) * 2 - 1] == jnp.arange(2.0),
        lambda x: jnp.where(x < jnp.eye(2), x.astype(jnp.int32), jnp.arange(4).reshape(2, 2)),
        lambda x: jnp.concatenate([x * jnp.float32(0.1), (x - 3).astype(jnp.bool_).astype(jnp.float16)]),
        lambda x: jax.grad(lambda y: y[0] * y[-1])(x),
        lambda x: jnp.uint32(2**32 - 1) + jnp.uint32(7) * x[0].astype(jnp.uint32) + jnp.float32(3e38) * 10 * x[1],
    ],
)
@pytest.mark.parametrize("wide", [False, True])
def test_known_values_are_what_jax_makes_of_them(program, wide):
    """Equation by equation, with its type: a small known array is not worth a compiler."""
    with jax.enable_x64(wide):
        x = jnp.asarray([2.5, 0.1])
        closed = jax.make_jaxpr(program)(x)
        todo, tried = [(closed.jaxpr, [*closed.consts], [x])], 0
        while todo:
            jaxpr, consts, inputs = todo.pop()
            env = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs], strict=True))
            for equation in jaxpr.eqns:
                values = [atom.val if hasattr(atom, "val") else env[atom] for atom in equation.invars]
                inner = equation.params.get("jaxpr")
                if inner is not None:
                    todo.append((inner.jaxpr, inner.consts, values))
                given = equation.primitive.get_bind_params(equation.params)
                results = equation.primitive.bind(*values, **given)
                results = results if equation.primitive.multiple_results else [results]
                env.update(zip(equation.outvars, results, strict=True))
                known = None if inner is not None else _numerics.by_numpy(equation, values)
                if known is not None:
                    tried += 1
                    assert known.dtype == results[0].dtype and np.array_equal(known, results[0])
        assert tried > 2


def test_whether_a_set_holds_a_point():
    """In float64, whatever the set is made of; a point on the boundary is outside."""
    ball = ss.regions.Ball(np.zeros(2, np.float32), 1.0)
    for region, held in ((ball, [True, False, False]), (~ball, [False, True, True])):
        points = ([1 - 1e-12, 0.0], [1.0, 0.0], [0.0, 1 + 1e-12])
        assert _numerics.contained(region, np.array(points)).tolist() == held
