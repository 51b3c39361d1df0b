"""Expressions: building, printing, three-valued truth, and what is refused."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.space import OracleSpace
from space.strategies import conditions

from hpo_core.errors import SpaceError
from hpo_core.space import Categorical, Expression, Float, Int, Ordinal, Space, param

NAN = float("nan")
a, b = param("a"), param("b")
DECLARED = {
    "a": Int(1, 3),
    "b": Float(0, 2, step=0.5),
    "c": Categorical(["x", "y", None]),
    "o": Ordinal(["low", "mid", "high"]),
    "n": Ordinal([4, 1, 2]),
}


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (a >= 3, "param('a') >= 3"),
        ((a == "x") & ~(b < 1) | b, "(param('a') == 'x') & ~(param('b') < 1) | param('b')"),
        (~b.isin([1, 2]), "~param('b').isin([1, 2])"),
        ((a | b) & a, "(param('a') | param('b')) & param('a')"),
        (a - (b - 1) > 2 * a / -b, "param('a') - (param('b') - 1) > 2 * param('a') / -param('b')"),
        ((a + b) * 2 > 1, "(param('a') + param('b')) * 2 > 1"),
        (1 <= a, "param('a') >= 1"),  # noqa: SIM300
    ],
)  # fmt: skip
def test_repr_is_the_source(expression: Expression, text: str) -> None:
    assert repr(expression) == text
    assert eval(text, {"param": param}).key == expression.key
    assert str(a * 2 > b) == "a * 2 > b"


@given(conditions(DECLARED, depth=3))
def test_copies_have_the_same_structure(condition: Expression) -> None:
    assert eval(repr(condition), {"param": param}).key == condition.key
    assert pickle.loads(pickle.dumps(condition)).key == condition.key
    assert copy.deepcopy(condition).key == condition.key


@pytest.mark.parametrize(
    "use",
    [
        lambda: bool(a > 1),
        lambda: (a > 1) and (b > 1),
        lambda: not (a > 1),
        lambda: 1 <= a <= 3,
        lambda: a in [1, 2],
        lambda: [1, 2].index(a),
    ],
)
def test_truth_value_is_refused_with_advice(use) -> None:
    with pytest.raises(SpaceError, match=r"& \| ~.*isin"):
        use()


def test_expressions_are_hashable_though_equality_builds_one() -> None:
    first, second = a > 1, a > 1
    assert isinstance(a == b, Expression)
    assert len({first, second, first}) == 2
    assert {first: 1}[first] == 1


@pytest.mark.parametrize(
    "use",
    [
        lambda: (a > 1) + 1,
        lambda: -(a > 1),
        lambda: (a > 1) > 0,
        lambda: (a > 1) & 3,
        lambda: 3 | (a > 1),
        lambda: ~(a + 1),
        lambda: (a + 1) & (b > 1),
        lambda: (a > 1).isin([1]),
        lambda: a.isin("xy"),
        lambda: a.isin([]),
        lambda: a.isin(3),
        lambda: param(""),
        lambda: param(3),
    ],
)
def test_nonsense_is_refused_when_it_is_written(use) -> None:
    with pytest.raises(SpaceError):
        use()


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (param("zz") > 1, r"'zz'.*'a', 'b'"),
        (param("c") > "x", r"'c' is a Categorical.*Ordinal"),
        (param("c") == "z", r"'c' must be compared with one of 'x', 'y', None, got 'z'"),
        (param("c").isin(["x", 7]), "7"),
        (param("o") >= "lowest", "'lowest'"),
        (param("c") + 1 > 2, "'c' is not numeric"),
        (param("o") * 2 > 2, "'o' is not numeric"),
        (param("a") > "3", "'3'"),
        (param("a") == None, "None"),  # noqa: E711
        (param("a") > NAN, "nan"),
        (param("c") == param("o"), "'c' must be compared with one of 'x', 'y', None, got param"),
        (param("a") & (param("b") > 1), "'a' is not a bool"),
        (param("c"), "'c' is not a bool"),
        (param("k") > 2, "cannot compare 'word' > 2"),
        (param("hidden") == 1, "'hidden' is a constant of a sub-space"),
    ],
)
@pytest.mark.parametrize("role", ["when of 'dependent'", "forbid[0]"])
def test_conditions_that_cannot_be_evaluated(condition, words, role) -> None:
    tree = DECLARED | {"k": "word", "branch": Categorical({1: {"hidden": 1}, 2: {}})}
    arguments = {"parameters": tree, "forbid": [condition]}
    if role == "when of 'dependent'":
        arguments = {"parameters": tree | {"dependent": Int(0, 1, when=condition)}}
    with pytest.raises(SpaceError, match=words) as caught:
        Space(**arguments)
    assert str(caught.value).startswith(role)


@given(conditions(DECLARED, depth=3), st.integers(0, 1000))
def test_truth_equals_the_oracle(condition: Expression, seed: int) -> None:
    """Parameters hang on switches, so that any of them may be inactive and its comparisons unknown."""
    switches = {
        f"has_{name}": Categorical({True: {name: domain}, False: {}}) for name, domain in DECLARED.items()
    }
    space = Space(switches | {"dependent": Int(0, 1, when=condition)})
    forbidding = Space(switches, forbid=[condition])
    oracle = OracleSpace(forbidding.to_json())
    columns = space.sample(20, seed=seed)
    lists = {name: columns[name].tolist() for name in space.names}
    truths = [oracle.forbidden({name: lists[name][k] for name in lists}) for k in range(20)]
    x = space.encode(columns)
    assert (~np.isnan(x[-1])).tolist() == truths
    assert forbidding.forbidden_mask(x[:-1]).tolist() == truths


UNKNOWN, TRUE, FALSE = param("b") > 0, param("a") >= 1, param("a") > 9


@pytest.mark.parametrize(
    ("condition", "forbids"),
    [
        (UNKNOWN, False),
        (~UNKNOWN, False),
        (UNKNOWN | ~UNKNOWN, False),
        (UNKNOWN & FALSE, False),
        (~(UNKNOWN & FALSE), True),
        (UNKNOWN & TRUE, False),
        (~(UNKNOWN & TRUE), False),
        (UNKNOWN | TRUE, True),
        (~(UNKNOWN | TRUE), False),
        (UNKNOWN | FALSE, False),
        (~(UNKNOWN | FALSE), False),
        (param("b") != param("b"), False),
        (param("b") * 0 == 0, False),
    ],
)
def test_logic_over_an_inactive_parameter(condition: Expression, forbids: bool) -> None:
    space = Space({"a": Int(1, 2), "b": Int(1, 2, when=param("a") > 1)}, forbid=[condition])
    assert space.forbidden_mask(space.encode({"a": [1], "b": [1]})).tolist() == [forbids]


def test_division_by_zero_is_infinite_or_unknown() -> None:
    space = Space({"a": Int(0, 2), "b": Int(0, 2)}, forbid=[param("a") / param("b") > 1])
    columns = space.decode(space.enumerate())
    permitted = set(zip(columns["a"].tolist(), columns["b"].tolist(), strict=True))
    assert permitted == {(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)}


def test_labels_compare_by_rank_and_numbers_as_numbers() -> None:
    labels = Space({"o": Ordinal(["low", "mid", "high"])}, forbid=[param("o") >= "mid"])
    assert labels.decode(labels.enumerate())["o"].tolist() == ["low"]
    numbers = Space({"n": Ordinal([4, 1, 2])}, forbid=[param("n") >= 2])
    assert numbers.decode(numbers.enumerate())["n"].tolist() == [1]


def test_parameters_with_the_same_labels_compare() -> None:
    space = Space(
        {"o": Ordinal(["low", "high"]), "p": Ordinal(["low", "high"])}, forbid=[param("o") > param("p")]
    )
    assert space.enumerate().shape == (2, 3)
    twins = Space(
        {"o": Categorical(["x", "y"]), "p": Categorical(["x", "y"])}, forbid=[param("o") == param("p")]
    )
    assert twins.enumerate().shape == (2, 2)


def test_a_bool_choice_is_a_condition_by_itself() -> None:
    space = Space({"flag": Categorical([False, True]), "p": Int(1, 2, when=param("flag"))})
    assert space.default() == {"flag": False}
    assert space.contains({"flag": True, "p": 2})
