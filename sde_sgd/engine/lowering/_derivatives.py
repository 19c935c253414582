"""Functions with a derivative rule of their own (custom JVP) that holds for derivatives of any order.

`jax.custom_jvp` drops its rule where a scan is differentiated in reverse: the values that the backward pass needs are
computed by the plain function, and a second derivative then goes through its bits and is 0. A primitive stays.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.core import eval_jaxpr
from jax.extend.core import Jaxpr, Primitive
from jax.interpreters import ad, batching, mlir

BODIES: dict[Primitive, Callable] = {}
"""What each primitive of ours computes, for a compiler of kernels, which knows JAX's own only."""


def elementwise_primitive(name: str, function: Callable, *rules: Callable | None) -> Primitive:
    """A primitive that computes `function`, elementwise in its first argument; the others are scalars.

    rules: for every argument a function (tangent, *arguments) → tangent of the result, or None for no derivative.
    """
    primitive = Primitive(name)
    BODIES[primitive] = function
    primitive.def_impl(jax.jit(function))
    primitive.def_abstract_eval(lambda first, *_: first)
    ad.defjvp(primitive, *rules)
    batching.primitive_batchers[primitive] = functools.partial(_map_elementwise, primitive, function)
    mlir.register_lowering(primitive, mlir.lower_fun(function, multiple_results=False))
    return primitive


def _map_elementwise(primitive, function, arguments, axes):
    if all(axis is None for axis in axes[1:]):
        return primitive.bind(*arguments), axes[0]
    return jax.vmap(function, axes)(*arguments), 0


Rule = Callable[[Sequence[Any], Sequence[Any]], tuple[Sequence[Any], Sequence[Any]]]
"""(arguments, tangents) → (results, tangents of the results)."""


def with_rule(function: Callable[..., Sequence[Any]], rule: Rule, arguments: Sequence[Any]) -> list[Any]:
    """function(*arguments), all floating, with a derivative rule; what the function closes over has no derivative."""
    # what is closed over may be traced, so it becomes an argument
    closed = jax.make_jaxpr(function)(*arguments)
    return _WITH_RULE.bind(*closed.consts, *arguments, jaxpr=closed.jaxpr, rule=rule, fixed=len(closed.consts))


def _evaluate(*arguments, jaxpr: Jaxpr, rule: Rule, fixed: int) -> list[Any]:
    consts = len(jaxpr.constvars)
    return eval_jaxpr(jaxpr, arguments[:consts], *arguments[consts:])


def _differentiate(primals, tangents, *, jaxpr: Jaxpr, rule: Rule, fixed: int):
    given = [ad.instantiate_zeros(tangent) for tangent in tangents[fixed:]]
    results, changes = rule(list(primals[fixed:]), given)
    return list(results), list(changes)


def _map(arguments, axes, *, jaxpr: Jaxpr, rule: Rule, fixed: int):
    plain = functools.partial(_evaluate, jaxpr=jaxpr, rule=rule, fixed=fixed)
    closed = jax.make_jaxpr(jax.vmap(plain, tuple(axes)))(*arguments)
    results = _WITH_RULE.bind(
        *closed.consts,
        *arguments,
        jaxpr=closed.jaxpr,
        rule=jax.vmap(rule, (list(axes[fixed:]),) * 2),
        fixed=fixed + len(closed.consts),
    )
    return results, [0] * len(results)


_WITH_RULE = Primitive("with_rule")
_WITH_RULE.multiple_results = True
BODIES[_WITH_RULE] = _evaluate
_WITH_RULE.def_impl(_evaluate)
_WITH_RULE.def_abstract_eval(lambda *_, jaxpr, rule, fixed: [variable.aval for variable in jaxpr.outvars])
ad.primitive_jvps[_WITH_RULE] = _differentiate
batching.primitive_batchers[_WITH_RULE] = _map
mlir.register_lowering(_WITH_RULE, mlir.lower_fun(_evaluate, multiple_results=True))
