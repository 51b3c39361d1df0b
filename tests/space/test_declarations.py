"""Which mappings are a space: names in several places, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from hpo_core.errors import SpaceError
from hpo_core.space import Categorical, Float, Int, Space, param

# -- names in several places -------------------------------------------------------------------


def test_a_shared_name_is_one_parameter_active_in_either_branch() -> None:
    beta = {"beta": Float(0.8, 0.999)}
    space = Space({"optimizer": Categorical({"sgd": {}, "adam": beta, "adamw": beta})})
    assert space.names.count("beta") == 1
    x = space.encode(space.sample(200))
    optimizer = x[space.names.index("optimizer")]
    assert np.array_equal(space.codec.active("beta", x), optimizer >= 1)


def test_a_name_also_at_the_top_level_is_always_active() -> None:
    space = Space({"a": Categorical({"x": {"b": Int(1, 2)}, "y": {}}), "b": Int(1, 2)})
    assert space.size == 4


def test_whole_branches_may_be_shared() -> None:
    inner = {"lr": Float(0, 1), "decay": Categorical({"on": {"rate": Float(0, 1)}, "off": {}})}
    space = Space({"a": Categorical({"x": inner, "y": dict(inner), "z": {}})})
    assert space.names == ("a", "lr", "decay", "rate")
    assert space.layout.n_groups == 3


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (
            {"a": Categorical({"x": {"b": Int(1, 2)}, "y": {"b": Int(1, 3)}})},
            r"'b' is Int\(1, 2\) in a='x' and Int\(1, 3\) in a='y'",
        ),
        (
            {"b": Float(0, 1), "a": Categorical({"x": {"b": 3}})},
            r"'b' is Float\(0.0, 1.0\) at the top level and 3 in a='x'",
        ),
        ({"a": Categorical({"x": {"k": 1}, "y": {"k": 2}})}, "'k' is 1 in a='x' and 2 in a='y'"),
        ({"a": Categorical({"x": {"a": Int(1, 2)}})}, r"'a' is Int\(1, 2\) in a='x' and Categorical"),
    ],
)
def test_clashing_names_say_both_places(tree, words) -> None:
    with pytest.raises(SpaceError, match=words):
        Space(tree)


# -- what cannot be a space --------------------------------------------------------------------


def contains_itself() -> dict:
    tree: dict = {}
    tree["a"] = Categorical({"x": tree})
    return tree


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({}, "at least one parameter or constant, got none"),
        (
            {"k": [1, Int(8, 64)]},
            r"constant 'k' must be a plain value without parameters in it, got Int\(8, 64\) inside it",
        ),
        (
            {"k": ((Categorical(["a"]),),)},
            r"constant 'k' must be a plain value without parameters in it, got .* inside it",
        ),
        ([], "mapping"),
        ({"": Int(1, 2)}, "1 to 256 characters, got 0 characters"),
        ({"x" * 257: Int(1, 2)}, "got 257 characters"),
        ({3: Int(1, 2)}, "must be a str.*got 3"),
        ({"a": Categorical({"x": {None: Int(1, 2)}})}, "got None in a='x'"),
        ({"a": Float}, "'a' must be a plain value, got the class Float; call it"),
        ({"a": {"b": Int(1, 2)}}, "'a' must be a plain value, got a mapping"),
        ({"a": param("b")}, "'a'.*expression"),
        ({"a": Int(1, 2, when=param("b") > 1), "b": Int(1, 2, when=param("a") > 1)}, "'a' -> 'b' -> 'a'"),
        ({"a": Int(1, 2, when=param("a") > 1)}, "cycle: 'a' -> 'a'"),
        (
            {
                "a": Categorical({"x": {"b": Int(1, 2)}, "y": {}}, when=param("c") > 1),
                "c": Int(1, 2, when=param("b") > 1),
            },
            "'a' -> 'c' -> 'b' -> 'a'",
        ),
        ({"a": Int(1, 2, when=param("zz") > 1)}, "when of 'a': unknown parameter 'zz'; the space has 'a'"),
        (contains_itself(), "contain itself"),
    ],
    ids=str,
)
def test_refusals(tree, words) -> None:
    with pytest.raises(SpaceError, match=words):
        Space(tree)


@pytest.mark.parametrize("forbid", [3, param("a") > 1, "a", [3], [param("a") + 1], [True]])
def test_forbid_takes_a_list_of_conditions(forbid) -> None:
    with pytest.raises(SpaceError, match="forbid"):
        Space({"a": Int(1, 2)}, forbid=forbid)


def test_a_parameter_of_256_characters_is_fine() -> None:
    assert Space({"x" * 256: Int(1, 2)}).size == 2
