"""Every public name has an example in `docs/examples` that uses it, and each says what it prints."""

import ast

import documentation
import matplotlib.pyplot as plt
import pytest
from parameters import quick
from site_parts import examples

# their names are those of `study`
ROOMS = [room for room in documentation.rooms() if room != "study.kinds"]
# rooms whose examples take more than some six seconds
LONG = {"chains", "engine", "landscapes", "noise", "passage", "plotting", "random", "reproduction", "stationary"}
LONG |= {"results", "scores", "study", "theory", "training"}


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_has_an_example(room):
    public, given = set(documentation.public(room)), [name for block in examples.blocks(room) for name in block.names]
    assert sorted(given) == sorted(public), (public - set(given), set(given) - public)


@pytest.mark.parametrize("room", ROOMS)
def test_an_example_uses_the_names_that_it_is_of(room):
    for block in examples.blocks(room):
        tree = ast.parse(block.code)
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert set(block.names) <= used, (room, set(block.names) - used)


@pytest.mark.parametrize("room", quick(ROOMS, *set(ROOMS) - LONG))
def test_examples_run_and_print_what_they_say(room):
    names = {"__name__": f"examples of {room}"}
    for block in examples.blocks(room):
        examples.run(block, names, f"docs/examples/{room}.py")
    plt.close("all")


@pytest.mark.parametrize(
    ("said", "printed", "right"),
    [
        ("60.64", "60.6433", True),
        ("60.64", "60.6512", False),
        ("1e-06", "1.2e-06", True),
        ("1e-06", "2e-06", False),
        ("[8. 4.]", "[8.0000001 4.0000000]", True),
        ("[8. 4.]", "[8. 4. 1.]", False),
        ("complete", "complete", True),
        ("complete", "complete: but", False),
        ("(2, 'a')", "(2, 'b')", False),
        ("-1", "1", False),
    ],
)
def test_what_is_said_is_told_from_what_is_printed(said, printed, right):
    assert examples.agree(said, printed) is right


def test_a_line_that_says_something_else_fails():
    wrong = examples.Block(("a",), "x = 2\nx + 1  # → 4", 10)
    with pytest.raises(AssertionError, match="examples:12: 3 is not 4"):
        examples.run(wrong, {}, "examples")
    with pytest.raises(AssertionError, match="not an expression"):
        examples.run(examples.Block((), "x = 2  # → 2", 0), {}, "examples")
