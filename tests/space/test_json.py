"""A space as JSON text."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from space.strategies import spaces

from hpo_core.errors import SpaceError
from hpo_core.space import Categorical, Float, Int, Ordinal, Space, param


@given(spaces())
def test_round_trip(space: Space) -> None:
    text = space.to_json()
    again = Space.from_json(text)
    assert again == space
    assert again.to_json() == text
    assert repr(again) == repr(space)
    assert again.layout.names == space.layout.names
    assert (again.layout.program == space.layout.program).all()


def test_every_option_and_value_is_kept() -> None:
    space = Space(
        {
            "a": Float(1e-5, 0.1, log=True, doc="rate"),
            "b": Float(0.0, 1.0, step=1.0),
            "c": Int(1, 9, step=2, when=(param("a") * 2 > 1e-3) & ~param("e").isin(["x", None])),
            "d": Ordinal([1, 2.5, math.inf]),
            "e": Categorical({"x": {"f": Int(1, 2)}, None: {"k": (1, ("two", 3.0))}, (1, True): {}}),
            "listed": [1, "two"],
        },
        forbid=[-param("c") / 2 < param("f")],
    )
    again = Space.from_json(space.to_json())
    assert again == space
    assert again.parameters["a"].doc == "rate"
    assert again.parameters["k"] == (1, ("two", 3.0))
    assert [type(choice) for choice in again.parameters["e"].choices] == [str, type(None), tuple]


def test_text_is_compact_and_standard() -> None:
    text = Space({"a": Int(1, 4), "b": Float(0.0, 1.0, when=param("a") >= 3)}).to_json()
    assert (
        text
        == '{"hpo_core":1,"space":{"a":{"int":[1,4]},"b":{"float":[0.0,1.0],"when":[">=",["param","a"],3]}}}'
    )
    json.loads(Space({"a": Ordinal([0, math.inf])}).to_json(), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (
            Space({"a": Int(1, 2)}, feasible=lambda columns: columns["a"] > 1),
            "feasible must be None.*functions, got",
        ),
        (Space({"a": Categorical([math.sin, math.cos])}), "'a'.*sin.*JSON"),
        (Space({"a": Int(1, 2), "k": math.sin}), "'k'.*sin"),
        (Space({"a": Categorical({"x": {"b": Ordinal([frozenset()])}})}), "'b'.*frozenset"),
    ],
)
def test_what_json_cannot_hold_is_named(space, words) -> None:
    with pytest.raises(SpaceError, match=words):
        space.to_json()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        None,
        3,
        '{"hpo_core":2,"space":{}}',
        '{"hpo_core":1}',
        '{"hpo_core":1,"space":3}',
        '{"hpo_core":1,"space":{"a":3}}',
        '{"hpo_core":1,"space":{"a":{}}}',
        '{"hpo_core":1,"space":{"a":{"int":[1]}}}',
        '{"hpo_core":1,"space":{"a":{"int":[1,4],"colour":1}}}',
        '{"hpo_core":1,"space":{"a":{"complex":[1,4]}}}',
        '{"hpo_core":1,"space":{"a":{"int":[1,4],"when":["^",1,2]}}}',
        '{"hpo_core":1,"space":{"a":{"int":[1,4],"when":["&",1,2]}}}',
        '{"hpo_core":1,"space":{"a":{"int":[1,4]}},"forbid":["a"]}',
        '{"hpo_core":1,"space":{"a":{"categorical":["x"],"spaces":[{},{}]}}}',
        '{"hpo_core":1,"space":{"a":{"categorical":[{"weird":1}]}}}',
    ],
)
def test_other_text_is_refused(text) -> None:
    with pytest.raises(SpaceError):
        Space.from_json(text)
