"""Spaces and expressions of any depth: what is accepted works from any reasonable stack."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import hpo_core as hpo
from hpo_core.checks import MAX_DEPTH
from hpo_core.space import Categorical, Expression, Float, Ordinal, Space, param
from hpo_core.space.expressions import MAX_HEIGHT
from hpo_core.storage import MemoryStorage

STACK = 450  # frames above a call


def nested(levels):
    space = {"x": Float(0, 1)}
    for k in range(levels):
        space = {f"c{k}": Categorical({"a": space, "b": {}})}
    return space


def chain(n, step, start=None):
    made = param("x") if start is None else start
    for _ in range(n):
        made = step(made)
    return made


IS = param("x") > 0.5
DEEP = {
    "a sum": lambda n: chain(n, lambda e: e + param("y")) > 3,
    "a difference": lambda n: chain(n, lambda e: e - 1) < 3,
    "negatives": lambda n: chain(n, lambda e: -e) > 0,
    "negations": lambda n: chain(n, lambda e: ~e, IS),
    "and, or": lambda n: chain(n // 2, lambda e: (e & (param("y") > 0.1)) | (param("x") < 0.9), IS),
    "many and": lambda n: chain(3 * n, lambda e: e & (param("y") > 0.1), IS),
    "a long isin": lambda n: param("o").isin([0] * 3 * n),
}
HOLDS = {"x": Float(0, 1), "y": Float(0, 1), "o": Ordinal([0, 1])}


def from_below(frames, call):
    return call() if frames == 0 else from_below(frames - 1, call)


def check_space(make):
    space = make()
    assert Space.from_json(space.to_json()) == space
    assert pickle.loads(pickle.dumps(space)) == space
    assert copy.deepcopy(space) == space == make()
    assert hash(copy.copy(space)) == hash(space)
    assert len(str(space)) == len(repr(space)) > 20
    assert len(space._repr_html_()) > 20
    assert space.size > 0
    assert space.contains(space.default())
    assert len(space.sample(3)["x"]) == 3
    storage = MemoryStorage()
    study = hpo.Study(space, sampler="random", seed=0, storage=storage, name="s", allow_duplicates=True)
    study.tell(study.ask(), 1.0)
    study.enqueue(study.best_params)
    assert hpo.Study.open(storage, "s").space == space
    alone = hpo.Study(space, sampler="random", seed=0)
    assert copy.deepcopy(alone).ask().params == alone.ask().params


@pytest.mark.parametrize("levels", [30, MAX_DEPTH])
def test_a_space_may_be_nested_so_deep(levels):
    check_space(lambda: Space(nested(levels)))
    from_below(STACK, lambda: check_space(lambda: Space(nested(levels))))


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 300, 2000])
def test_a_space_that_is_deeper_is_refused_with_the_limit(levels):
    with pytest.raises(hpo.SpaceError, match=f"nested more than {MAX_DEPTH} deep"):
        Space(nested(levels))
    text = '{"x":{"float":[0.0,1.0]}}'
    for k in range(levels):
        text = f'{{"c{k}":{{"categorical":["a"],"spaces":[{text}]}}}}'
    with pytest.raises(hpo.SpaceError, match="nested"):
        Space.from_json(f'{{"hpo_core":1,"space":{text}}}')


def test_a_declaration_of_any_depth_can_be_shown_copied_and_pickled():
    declaration = nested(2000)["c1999"]
    assert "Categorical(" in repr(declaration)
    for each in (pickle.loads(pickle.dumps(declaration)), copy.deepcopy(declaration)):
        depth, copied = 0, each
        while isinstance(copied, Categorical):
            (copied,) = copied.choices["a"].values()
            depth += 1
        assert depth == 2000
    loop: dict = {}
    loop["c"] = Categorical({"a": loop})
    for call in (lambda: pickle.dumps(loop["c"]), lambda: copy.deepcopy(loop["c"]), lambda: Space(loop)):
        with pytest.raises(hpo.SpaceError, match="itself"):
            call()
    assert len(repr(loop["c"])) > 10


def test_a_declaration_is_copied_as_it_is():
    space = {"c": Categorical({"a": {"x": Float(0, 1, when=param("d") > 1)}, "b": None}, doc="d", when=IS)}
    again = copy.deepcopy(space)["c"]
    assert repr(again) == repr(space["c"])
    assert again.doc == "d"
    assert repr(again.when) == repr(IS)
    assert type(pickle.loads(pickle.dumps(Categorical(("a", "b")))).choices) is tuple


@pytest.mark.parametrize("what", DEEP)
@pytest.mark.parametrize("n", [3, 400])
def test_a_condition_may_have_so_many_operators(what, n):
    condition = DEEP[what](n)

    def make():
        return Space(HOLDS | {"z": Float(0, 1, when=condition)}, forbid=[condition & (param("y") > 0.99)])

    def check():
        check_space(make)
        again = pickle.loads(pickle.dumps(condition))
        assert again.key == condition.key == copy.deepcopy(condition).key
        assert repr(again) == repr(condition)
        assert str(again) == str(condition)
        assert condition.names <= HOLDS.keys()

    check()
    from_below(STACK, check)


@pytest.mark.parametrize("what", ["a sum", "a difference", "negatives", "negations"])
def test_an_expression_that_is_deeper_is_refused_with_the_limit(what):
    for n in (MAX_HEIGHT + 1, 100_000):
        with pytest.raises(hpo.SpaceError, match=f"up to {MAX_HEIGHT} deep"):
            DEEP[what](n)
    right = param("x")
    for _ in range(100):
        right = param("y") + right
    with pytest.raises(hpo.SpaceError, match="more than 32 operands deep"):
        Space(HOLDS, forbid=[right > 1])
    deep = '["~",' * 3000 + '[">",["param","x"],0]' + "]" * 3000
    with pytest.raises(hpo.SpaceError, match="deep"):
        Space.from_json(f'{{"hpo_core":1,"space":{{"x":{{"float":[0,1]}}}},"forbid":[{deep}]}}')


def test_what_an_expression_says_is_the_same_at_any_depth():
    rng = np.random.default_rng(0)
    for _ in range(50):
        value: Expression = param("x")
        text = "x"
        for _ in range(rng.integers(1, 60)):
            op, number = rng.choice(["+", "-", "*", "neg"]), float(rng.integers(1, 3))
            if op == "neg":
                value, text = -value, f"-({text})"
            else:
                made = {"+": value + number, "-": value - number, "*": value * number}
                value, text = made[op], f"({text}) {op} {number}"
        space = Space({"x": Float(0, 1)}, forbid=[value > 0.5])
        assert eval(str(value), {"x": 0.3}) == eval(text, {"x": 0.3})
        x = rng.random((1, 20))
        expected = [eval(text, {"x": space.codec.value(each, 0)}) > 0.5 for each in x[0]]
        np.testing.assert_array_equal(space.forbidden_mask(x), expected)


@pytest.mark.parametrize("order", [1, -1])
def test_a_long_chain_of_conditions_is_a_space(order):
    n = 1500
    space = {"p0": Categorical(["a", "b"])}
    space |= {f"p{k}": Categorical(["a", "b"], when=param(f"p{k - 1}") == "a") for k in range(1, n)}
    made = Space(dict([*space.items()][::order]))
    assert made.size == n + 1
    assert Space.from_json(made.to_json()) == made
    assert copy.deepcopy(made) == made


NUMBERS = [10**400, -(10**400), float("inf"), float("nan"), np.float64("inf")]


@pytest.mark.parametrize("value", NUMBERS, ids=["int", "negative", "inf", "nan", "numpy"])
def test_numbers_beyond_floats_are_refused(value):
    for make in (
        lambda: Space({"a": Float(0, value)}),
        lambda: Space({"a": Float(value, 1)}),
        lambda: Space({"a": Float(0, 1, step=value)}),
        lambda: Space({"a": hpo.Int(0, value)}),
        lambda: Space({"a": hpo.Int(0, 4, step=value)}),
        lambda: Space({"a": Float(0, 1)}).codec.encode_params({"a": value}),
        lambda: Space({"a": Float(0, 1)}).codec.partial({"a": value}),
        lambda: Space({"a": hpo.Int(0, 10**6)}).encode({"a": [value, 1]}),
        lambda: Space({"a": hpo.Int(0, 6)}).encode({"a": [value, 1]}),
    ):
        with pytest.raises(hpo.SpaceError, match="'a'"):
            make()
    if isinstance(value, int):
        with pytest.raises(hpo.SpaceError, match="beyond all floats"):
            Space({"a": Float(0, 1)}, forbid=[param("a") > value])
    assert not Space({"a": Float(0, 1)}).contains({"a": value})
