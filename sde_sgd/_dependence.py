"""Data-flow analysis of a traced function: whether its outputs depend on an argument."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import Literal

# a primitive that evaluates one jaxpr on its own operands, in their order
_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
}


def depends_on(function: Callable[..., Any], *arguments: jax.ShapeDtypeStruct, on: int) -> bool:
    """Whether any output of `function` can depend on the value of argument number `on`.

    arguments: shape and dtype of each. The function is traced and not run: shapes do not count, nor what is computed
    and not returned, nor what is multiplied by a literal 0. True where a value passes a primitive that is not known
    (a call to the host, say): the answer "no" is certain, "yes" may be too careful.
    """
    jaxpr = jax.make_jaxpr(function)(*arguments).jaxpr
    marks = [number == on for number in range(len(arguments))]
    if jaxpr.effects:
        # a value may travel through a reference, which the data flow does not show
        return any(jaxpr.invars[on] in equation.invars for equation in jaxpr.eqns) or any(_marked(jaxpr, marks))
    return any(_marked(jaxpr, marks))


def _marked(jaxpr: Any, marks: Sequence[bool]) -> list[bool]:
    """Which outputs depend on the inputs that are marked."""
    reached = {variable for variable, mark in zip(jaxpr.invars, marks, strict=True) if mark}

    def is_marked(variable: Any) -> bool:
        return not isinstance(variable, Literal) and variable in reached

    for equation in jaxpr.eqns:
        inputs = [is_marked(variable) for variable in equation.invars]
        if any(inputs):
            outputs = _through(equation, inputs)
            reached.update(v for v, mark in zip(equation.outvars, outputs, strict=True) if mark)
    return [is_marked(variable) for variable in jaxpr.outvars]


def _through(equation: Any, marks: list[bool]) -> list[bool]:
    """Which results of one equation depend on its marked operands."""
    name, parameters = equation.primitive.name, equation.params
    if name in _RULES:
        return _RULES[name](equation, marks)
    inner = parameters.get(_CALLS.get(name, ""))
    if inner is not None:
        jaxpr = _open(inner)
        if len(jaxpr.invars) == len(marks) and len(jaxpr.outvars) == len(equation.outvars):
            return _marked(jaxpr, marks)
    vanishes = name == "mul" and any(_is_zero(variable) for variable in equation.invars)
    return [not vanishes] * len(equation.outvars)


def _open(jaxpr: Any) -> Any:
    """The jaxpr itself, of one that is closed over its constants too."""
    return getattr(jaxpr, "jaxpr", jaxpr)


def _is_zero(variable: Any) -> bool:
    return isinstance(variable, Literal) and bool(variable.val == 0)


def _scan(equation: Any, marks: list[bool]) -> list[bool]:
    body = _open(equation.params["jaxpr"])
    # what is scanned over or stacked has one axis more outside; versions of JAX count the others each in a way
    scanned, stacked = (
        sum(within.aval.ndim != outside.aval.ndim for within, outside in zip(*pair, strict=True))
        for pair in ((body.invars, equation.invars), (body.outvars, equation.outvars))
    )
    carries = len(equation.outvars) - stacked
    consts = len(marks) - scanned - carries
    while True:
        outputs = _marked(body, marks)
        carried = [a or b for a, b in zip(marks[consts : consts + carries], outputs[:carries], strict=True)]
        if carried == marks[consts : consts + carries]:
            return [*carried, *outputs[carries:]]
        marks = [*marks[:consts], *carried, *marks[consts + carries :]]


def _while(equation: Any, marks: list[bool]) -> list[bool]:
    parameters = equation.params
    condition, body = _open(parameters["cond_jaxpr"]), _open(parameters["body_jaxpr"])
    tested, used = parameters["cond_nconsts"], parameters["body_nconsts"]
    carried = marks[tested + used :]
    while True:
        if any(_marked(condition, [*marks[:tested], *carried])):
            # how often the body runs, and so everything that it carries
            return [True] * len(carried)
        outputs = _marked(body, [*marks[tested : tested + used], *carried])
        grown = [a or b for a, b in zip(carried, outputs, strict=True)]
        if grown == carried:
            return carried
        carried = grown


def _cond(equation: Any, marks: list[bool]) -> list[bool]:
    branches = [_marked(_open(branch), marks[1:]) for branch in equation.params["branches"]]
    return [marks[0] or any(outputs) for outputs in zip(*branches, strict=True)]


_RULES: dict[str, Callable[[Any, list[bool]], list[bool]]] = {"scan": _scan, "while": _while, "cond": _cond}
