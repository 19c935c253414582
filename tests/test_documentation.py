"""Public names say what a person needs: parameters, shapes, units, errors, sources, and each field of a result."""

import enum
import importlib
import inspect
import pydoc
import re

import documentation
import equinox as eqx
import numpy as np
import pytest
from jaxtyping import Array, Float

import sde_sgd as ss


@pytest.mark.parametrize("room", documentation.rooms())
def test_every_public_name_says_what_it_takes_and_gives(room):
    missing = documentation.missing(room)
    assert not missing, "\n".join(missing)


def test_every_room_has_names():
    for room in documentation.rooms():
        assert documentation.public(room), room


def without_docstring(theta):
    return theta


def with_all(theta, horizon: float, weights: np.ndarray) -> np.ndarray:
    """θ after `horizon`, in SDE time, weighted by `weights` of shape (n,).

    Returns shape (n,). Raises ValueError for a horizon of 0.
    """
    if not horizon:
        raise ValueError("horizon must not be 0")
    return weights


def with_little(theta, horizon: float, weights: np.ndarray) -> np.ndarray:
    """Something after a while."""
    if not horizon:
        raise ValueError("horizon must not be 0")
    return weights


def with_a_misleading_name(rate):
    """It separates and integrates."""


def with_shapes_in_annotations(states: Float[Array, "n dim"]) -> Float[Array, " n"]:
    """The first component of the states."""
    return states[:, 0]


def test_a_call_that_says_all_passes_and_one_that_says_little_does_not():
    assert list(documentation.of_call(without_docstring)) == ["no docstring"]
    assert not list(documentation.of_call(with_all))
    assert not list(documentation.of_call(with_shapes_in_annotations))
    assert list(documentation.of_call(with_a_misleading_name)) == ["parameter `rate` is not named"]
    found = " | ".join(documentation.of_call(with_little))
    expected = ["`theta` is not named", "`horizon` is not named", "`weights` is not named", "no shape of `weights`"]
    for words in [*expected, "no shape of what it returns", "SDE time", "ValueError"]:
        assert words in found, words


class Result(eqx.Module):
    """What came out. told: a field in the docstring."""

    told: int
    below: int
    """A field with a string below it."""
    untold: int

    @property
    def derived(self):
        return self.told

    def call(self, argument):
        """Nothing is said of it."""

    def __check_init__(self):
        if self.told < 0:
            raise ValueError("told must not be negative")


class Kind(enum.Enum):
    """What there is: ONE thing."""

    ONE = 1
    TWO = 2
    THREE = 3
    """With a string below it."""


class Derived(Result):
    """Another. told and untold as above; raises ValueError."""

    def call(self, argument):
        return argument


def test_a_class_describes_its_fields_properties_methods_and_errors(monkeypatch):
    monkeypatch.setattr(documentation, "OURS", (__name__,))
    assert list(documentation.of_class(Result)) == [
        ".untold: not described",
        ": raises when it is made, and does not say ValueError",
        ".derived: no docstring",
        ".call: parameter `argument` is not named",
    ]
    assert list(documentation.of_class(Derived)) == [".call: parameter `argument` is not named"]
    assert list(documentation.of_class(Kind)) == [".TWO: no meaning"]


def saying(text):
    def call():
        """Replaced."""

    call.__doc__ = text
    return call


SOURCES = [
    "A chain (Kloeden and Platen 1992, chapter 9.6).", "After Imhof 1961.", "It tends to e. Source: Euler, 1748",
    "Its mean. Exact for a quadratic loss.", "A rate. Valid where exits are rare.", "{θ: |θ| < 1}, by definition.",
    "V(θ) = βI.",
]  # fmt: skip
NO_SOURCES = [
    "", "At most 2000 steps, in 1.5 s; 2048 more.", "All valid values of exactly one key.", "Valid names are these.",
    "The exact Hessian, by a definition of one's own.", "source: as of `run`.", "It holds V(θ) = σσᵀ of a model.",
]  # fmt: skip


def test_a_word_that_is_there_by_chance_is_no_source():
    assert not [text for text in SOURCES if documentation.is_sourceless(saying(text))]
    assert not [text for text in NO_SOURCES if not documentation.is_sourceless(saying(text))]


class Sourced:
    """A scheme (Euler 1768)."""


class Inherits(Sourced):
    """A scheme that leaves it to another class."""


def test_a_name_without_a_source_is_found_and_so_is_one_excused_in_vain(monkeypatch):
    monkeypatch.setattr(documentation, "OURS", (__name__,))
    values = {"Sourced": Sourced, "Inherits": Inherits, "Kind": Kind, "with_little": with_little}
    assert not list(documentation.of_sources(values, ["Inherits", "with_little"]))
    (found,) = documentation.of_sources(values, ["with_little"])
    assert found.startswith("Inherits: no source")
    stale = sorted(documentation.of_sources(values, ["Inherits", "with_little", "Sourced", "Kind", "gone"]))
    assert [line.split(": ")[0] for line in stale] == ["Kind", "Sourced", "gone"]


def test_names_are_excused_in_rooms_that_there_are():
    assert set(documentation.SOURCELESS) <= set(documentation.rooms())


def test_a_source_that_is_that_of_another_name_is_there():
    values = [each for room in documentation.rooms() for each in documentation.public(room).items()]
    sourced = {name for name, value in values if not documentation.is_sourceless(value)}
    others = {
        other for _, value in values for other in re.findall(r"Source: as (?:of|for) `(\w+)`", str(value.__doc__))
    }
    assert others and others <= sourced, others - sourced


@pytest.mark.parametrize("room", documentation.rooms())
def test_help_of_a_room_lists_its_names(room):
    text = pydoc.render_doc(importlib.import_module(f"sde_sgd.{room}"), renderer=pydoc.plaintext)
    listed = set(re.findall(r"^    (?:class )?(\w+)(?:\(| = |$)", text, flags=re.MULTILINE))
    left_out = set(documentation.public(room)) - listed
    assert not left_out, left_out


@pytest.mark.parametrize("name", ["escape", "first_passage", "simulate", "reduce", "occupancy", "histogram", "plan"])
def test_help_of_a_call_shows_every_option(name):
    call = getattr(ss, name)
    heading = pydoc.render_doc(call, renderer=pydoc.plaintext).split("\n    ")[0]
    options = set(inspect.signature(inspect.unwrap(call)).parameters)
    assert {"chain", "start", "chunk", "devices"} <= options
    left_out = [option for option in options if not re.search(rf"\b{option}\b[:=,]", heading)]
    assert not left_out and "**" not in heading, heading
