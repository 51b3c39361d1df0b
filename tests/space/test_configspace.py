"""Spaces of ConfigSpace, both ways: what is legal in one is legal in the other, and nothing else."""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from space.strategies import configuration_spaces, spaces

from hpo_core.errors import InfeasibleSpaceError, SpaceError
from hpo_core.space import Categorical, Float, Int, Ordinal, Space, param

if TYPE_CHECKING:
    from collections.abc import Iterator

library = pytest.importorskip("ConfigSpace")

N = 20  # configurations drawn from either space


def accepts(cs: Any, params: dict[str, Any]) -> bool:
    """Whether ConfigSpace takes the configuration as it is."""
    try:
        library.Configuration(cs, values=params)
    except (ValueError, library.exceptions.IllegalValueError):
        return False
    return True


def drawn(space: Space) -> list[dict[str, Any]]:
    """Configurations of ours."""
    try:
        columns = space.sample(N)
    except InfeasibleSpaceError:
        return []
    x = space.encode(columns)
    return [space.codec.decode_params(x[:, k]) for k in range(N)]


def theirs(cs: Any) -> list[dict[str, Any]]:
    """Configurations of ConfigSpace that its own check accepts: samples of deep conditions may fail it."""
    samples = [dict(each) for each in cs.sample_configuration(N)]
    return [each for each in samples if accepts(cs, each)]


def altered(configurations: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Configurations with a value of another, with one value fewer, or with one more."""
    rng = random.Random(0)
    for one in configurations:
        other = rng.choice(configurations)
        name = rng.choice(sorted(other))
        yield one | {name: other[name]}
        yield {key: value for key, value in one.items() if key != name}


def check_legality(space: Space, cs: Any) -> None:
    """Each accepts what the other draws, and they agree on configurations that are nearly legal."""
    ours, from_cs = drawn(space), theirs(cs)
    for params in ours:
        assert accepts(cs, params), params
    for params in from_cs:
        assert space.contains(params), params
    constants = space.parameters.keys() - set(space.names)
    if not all(constants <= params.keys() for params in ours + from_cs):
        return  # those of a branch may be there without it to us, and those of the space be left out
    for params in altered(ours + from_cs):
        if constants <= params.keys():
            assert space.contains(params) == accepts(cs, params), params


@given(configuration_spaces())
def test_what_configspace_permits_is_what_the_space_permits(cs: Any) -> None:
    space = Space.from_configspace(cs)
    check_legality(space, cs)


@given(spaces())
def test_what_the_space_permits_is_what_configspace_permits(space: Space) -> None:
    try:
        cs = space.to_configspace()
    except (SpaceError, InfeasibleSpaceError):
        assume(False)
    check_legality(space, cs)


@given(configuration_spaces())
def test_there_and_back_permits_the_same(cs: Any) -> None:
    space = Space.from_configspace(cs)
    try:
        again = Space.from_configspace(space.to_configspace())
    except (SpaceError, InfeasibleSpaceError):
        assume(False)
    assert again.parameters.keys() == space.parameters.keys()
    for params in drawn(space):
        assert again.contains(params)
    for params in drawn(again):
        assert space.contains(params)


def configuration_space(*parts: Any) -> Any:
    cs = library.ConfigurationSpace(seed=0)
    cs.add(*parts)
    return cs


def test_every_hyperparameter_and_its_default():
    cs = configuration_space(
        library.UniformFloatHyperparameter("lr", 1e-5, 0.1, log=True, meta={"doc": "rate"}),
        library.UniformIntegerHyperparameter("n", 1, 9),
        library.UniformIntegerHyperparameter("width", 8, 256, log=True),
        library.CategoricalHyperparameter("act", ["relu", "tanh", None], default_value="tanh"),
        library.OrdinalHyperparameter("size", ["s", "m", "l"], default_value="l"),
        library.Constant("epochs", 10),
    )
    space = Space.from_configspace(cs)
    assert space == Space(
        {
            "act": Categorical(["tanh", "relu", None]),
            "epochs": 10,
            "lr": Float(1e-5, 0.1, log=True),
            "n": Int(1, 9),
            "size": Ordinal(["s", "m", "l"]),
            "width": Int(8, 256, log=True),
        }
    )
    assert space.parameters["lr"].doc == "rate"
    assert space.default()["act"] == "tanh"
    again = space.to_configspace()
    assert set(again) == set(cs)
    assert all(again[name] == cs[name] for name in ("act", "epochs", "n"))
    assert (again["lr"].lower, again["lr"].upper, again["lr"].log) == (1e-5, 0.1, True)
    assert again["lr"].meta == {"doc": "rate"}


def test_a_space_keeps_its_default_and_its_branches():
    space = Space(
        {
            "optimizer": Categorical({"sgd": {"momentum": Float(0.0, 0.99)}, "adam": {"amsgrad": True}}),
            "depth": Int(1, 4, doc="layers"),
            "width_4": Int(8, 4000, log=True, when=param("depth") >= 4),
            "rate": Float(0.0, 0.3, step=0.1),
        },
        forbid=[(param("optimizer") == "adam") & (param("depth") * 2 > 7)],
    )
    cs = space.to_configspace()
    assert dict(cs.get_default_configuration()) == space.default()
    assert {str(each) for each in cs.conditions} == {
        "momentum | optimizer == 'sgd'",
        "amsgrad | optimizer == 'adam'",
        "width_4 | depth == 4",
    }
    assert [str(each) for each in cs.forbidden_clauses] == [
        "(Forbidden: optimizer == 'adam' && Forbidden: depth == 4)"
    ]
    assert cs["rate"].sequence == (0.0, 0.1, 0.2, 0.3)


def test_a_forbidden_default_is_replaced_by_a_permitted_one():
    space = Space({"a": Int(1, 9), "b": Float(0, 1)}, forbid=[param("a") == 5, param("b") == 0.5])
    default = dict(space.to_configspace().get_default_configuration())
    assert default["a"] != 5
    assert space.contains(default)


def test_comparisons_of_long_ranges_are_written_as_they_stand():
    space = Space(
        {
            "a": Float(0, 1),
            "b": Float(0, 1, when=param("a") <= 0.25),
            "c": Float(0, 1, when=~(param("a") <= 0.25) & (param("b") < 7)),
            "n": Int(1, 100_000),
            "m": Int(1, 100_000, when=~param("n").isin([3, 5])),
            "k": Int(1, 3, when=param("n") > 100.5),
        },
        forbid=[param("a") > param("b"), param("n") == param("m")],
    )
    cs = space.to_configspace()
    assert {str(each) for each in cs.conditions} == {
        "(b | a < 0.25 || b | a == 0.25)",
        "(c | a > 0.25 && (c | b < 1.0 || c | b == 1.0))",
        "((m | n < 3 || m | n > 3) && (m | n < 5 || m | n > 5))",
        "k | n > 100",
    }
    check_legality(space, cs)


def test_a_condition_on_an_inactive_parent_that_must_differ():
    """To ConfigSpace, c exists where b does not; to "not equal" here, it would not."""
    a, b = library.Categorical("a", ["x", "y"]), library.Categorical("b", ["p", "q"])
    c = library.Float("c", (0.0, 1.0))
    cs = configuration_space(
        a, b, c, library.EqualsCondition(b, a, "x"), library.NotEqualsCondition(c, b, "q")
    )
    space = Space.from_configspace(cs)
    assert accepts(cs, {"a": "y", "c": 0.5})
    assert space.contains({"a": "y", "c": 0.5})
    assert not space.contains({"a": "y"})
    check_legality(space, cs)


def test_a_conditional_constant_is_an_ordinal_of_one_value():
    a, k = library.Categorical("a", ["x", "y"]), library.Constant("k", "fixed")
    cs = configuration_space(a, k, library.EqualsCondition(k, a, "y"))
    assert Space.from_configspace(cs).parameters["k"].values == ("fixed",)


@pytest.mark.parametrize(
    ("hp", "words"),
    [
        (lambda: library.NormalFloatHyperparameter("x", 0, 1, lower=-1, upper=1), "'x' is a NormalFloat"),
        (lambda: library.NormalIntegerHyperparameter("x", 0, 1, lower=-1, upper=1), "'x' is a NormalInt"),
        (lambda: library.BetaFloatHyperparameter("x", 2, 3, lower=0, upper=1), "'x' is a BetaFloat"),
        (lambda: library.BetaIntegerHyperparameter("x", 2, 3, lower=0, upper=3), "'x' is a BetaInt"),
        (lambda: library.CategoricalHyperparameter("x", ["a", "b"], weights=[1, 2]), "'x' has weights"),
    ],
)
def test_priors_are_refused_by_name_with_what_to_do(hp, words):
    cs = configuration_space(hp())
    with pytest.raises(SpaceError, match=f"parameter {words}.*remove_hyperparameter_priors"):
        Space.from_configspace(cs)
    assert Space.from_configspace(cs.remove_hyperparameter_priors()).names == ("x",)


def test_equal_weights_are_no_weights():
    cs = configuration_space(library.CategoricalHyperparameter("x", ["a", "b"], weights=[2, 2]))
    assert Space.from_configspace(cs) == Space({"x": Categorical(["a", "b"])})


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (Space({"x": Float(1e-15, 1e-9, log=True)}), "'x': ConfigSpace keeps 13 decimals"),
        (Space({"x": Float(1.0, 1e300, log=True)}), "'x': ConfigSpace has no bound as large as"),
        (Space({"x": Float(0, 1, step=1e-4)}), "'x': ConfigSpace has no steps"),
        (Space({"x": Int(0, 10_000, step=5)}), "'x': ConfigSpace has no steps"),
        (Space({"x": Categorical([True, 3])}), "'x': .* bools into numbers"),
        (
            Space({"a": Float(0, 1), "b": Float(0, 1), "x": Int(1, 2, when=param("a") > param("b"))}),
            "'x': a condition of ConfigSpace compares",
        ),
        (
            Space({"x": Float(0, 1), "b": Float(0, 1)}, forbid=[param("x") * 2 > param("b")]),
            "on 'b', 'x': ConfigSpace has no arithmetic",
        ),
        (Space({"a": Int(1, 2), "x": Int(1, 2, when=param("a") > 2)}), "'x' is never active"),
        (
            Space({"x": Int(1, 2)}, feasible=lambda columns: columns["x"] > 0),
            "feasible must be None for ConfigSpace",
        ),
        (
            Space(
                {
                    "a": Int(1, 2),
                    "b": Int(1, 2),
                    "x": Int(1, 2, when=(param("a") == 1) & (param("b") == 1)),
                    "y": Int(1, 2, when=(param("a") == 1) | (param("b") == 1)),
                }
            ),
            "'x' and 'y': ConfigSpace cannot tell their conditions apart",
        ),
    ],
)
def test_what_configspace_cannot_say_is_refused_by_name(space, words):
    with pytest.raises(SpaceError, match=words):
        space.to_configspace()


def test_a_relation_without_an_order_is_refused_by_name():
    k, a = library.Categorical("k", ["n", "y"]), library.Categorical("a", ["x", "y"])
    b = library.Float("b", (0.0, 1.0))
    inactive_by_default = library.EqualsCondition(a, k, "y")
    cs = configuration_space(k, a, b, inactive_by_default, library.ForbiddenLessThanRelation(a, b))
    with pytest.raises(SpaceError, match="'a' and 'b': a forbidden relation compares"):
        Space.from_configspace(cs)


def test_without_configspace_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ConfigSpace", None)
    with pytest.raises(ImportError, match=r"hpo-core\[configspace\]"):
        Space({"x": Float(0, 1)}).to_configspace()
    with pytest.raises(ImportError, match=r"hpo-core\[configspace\]"):
        Space.from_configspace({})


@pytest.mark.parametrize("cs", [None, {}, Space({"x": Float(0, 1)})])
def test_what_is_no_configuration_space_is_refused(cs):
    with pytest.raises(SpaceError, match="cs must be a ConfigSpace"):
        Space.from_configspace(cs)
