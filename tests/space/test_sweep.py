"""Sweep dictionaries and JSON Schemas as spaces."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hpo_core.errors import SpaceError
from hpo_core.space import Categorical, Float, Int, Ordinal, Space


@pytest.mark.parametrize(
    ("written", "declared"),
    [
        ({"value": 3}, 3),
        ({"distribution": "constant", "value": [1, 2]}, [1, 2]),
        ({"values": [16, 32, 64]}, Ordinal([16, 32, 64])),
        ({"values": [0.3, 0.1]}, Ordinal([0.3, 0.1])),
        ({"values": [32, 16, 64]}, Categorical([32, 16, 64])),
        ({"values": [True, False]}, Categorical([True, False])),
        ({"values": [5]}, Categorical([5])),
        ({"values": ["adam", None, [3, [4]]]}, Categorical(["adam", None, (3, (4,))])),
        ({"distribution": "categorical", "values": [1, 2]}, Categorical([1, 2])),
        ({"min": 1, "max": 5}, Int(1, 5)),
        ({"min": 1, "max": 5.0}, Float(1, 5)),
        ({"distribution": "uniform", "min": 1, "max": 5}, Float(1, 5)),
        ({"distribution": "int_uniform", "min": -2, "max": 5}, Int(-2, 5)),
        ({"distribution": "q_uniform", "min": 16, "max": 100, "q": 16}, Int(16, 96, step=16)),
        ({"distribution": "q_uniform", "min": 0.6, "max": 3.4}, Int(1, 3)),
        ({"distribution": "q_uniform", "min": 0, "max": 0.93, "q": 0.1}, Float(0, 0.9, step=0.1)),
        ({"distribution": "log_uniform_values", "min": 1e-5, "max": 0.1}, Float(1e-5, 0.1, log=True)),
        ({"distribution": "log_uniform", "min": -3, "max": 2}, Float(math.exp(-3), math.exp(2), log=True)),
        (
            {"distribution": "inv_log_uniform", "min": -2, "max": 3},
            Float(math.exp(-3), math.exp(2), log=True),
        ),
        ({"distribution": "inv_log_uniform_values", "min": 0.5, "max": 3}, Float(0.5, 3, log=True)),
        (
            {"distribution": "q_log_uniform", "min": math.log(32), "max": math.log(256), "q": 1},
            Int(32, 256, log=True),
        ),
        ({"distribution": "q_log_uniform_values", "min": 1, "max": 1000}, Int(1, 1000, log=True)),
    ],
)
def test_every_distribution(written, declared):
    assert Space.from_sweep({"parameters": {"x": written}}) == Space({"x": declared})


def formulas(low: float, high: float) -> dict[str, Any]:
    """Value at a quantile, as the documentation of the sweeps gives it."""
    u = stats.uniform(low, high - low)
    return {
        "uniform": u.ppf,
        "log_uniform": lambda p: np.exp(u.ppf(p)),
        "inv_log_uniform": lambda p: np.exp(-u.ppf(1 - p)),
        "log_uniform_values": lambda p: stats.loguniform(low, high).ppf(p),
        "inv_log_uniform_values": lambda p: 1 / stats.loguniform(1 / high, 1 / low).ppf(1 - p),
    }


@given(st.sampled_from(sorted(formulas(1, 2))), st.floats(0.01, 5), st.floats(0.1, 5))
def test_a_distribution_has_the_quantiles_of_a_sweep(kind, low, width):
    space = Space.from_sweep({"parameters": {"x": {"distribution": kind, "min": low, "max": low + width}}})
    p = np.linspace(0.0, 1.0, 11)
    np.testing.assert_allclose(
        space.decode(p[np.newaxis])["x"], formulas(low, low + width)[kind](p), rtol=1e-9
    )


@given(st.integers(-50, 50), st.integers(0, 90), st.sampled_from([1, 3, 0.1, 0.25, 2.5]))
def test_q_uniform_has_the_values_of_a_sweep(low, width, q):
    low, high = low / 10, (low + width) / 10
    space = Space.from_sweep(
        {"parameters": {"x": {"distribution": "q_uniform", "min": low, "max": high, "q": q}}}
    )
    rounded = np.unique(np.round(np.linspace(low, high, 20_001) / q)) * q
    ours = space.decode(space.enumerate())["x"] if space.names else [space.parameters["x"]]
    np.testing.assert_allclose(ours, rounded, atol=1e-12)


def test_nested_parameters_are_named_by_their_path():
    space = Space.from_sweep(
        {
            "method": "bayes",
            "metric": {"name": "loss", "goal": "minimize"},
            "parameters": {
                "epochs": {"value": 3},
                "optimizer": {
                    "parameters": {
                        "lr": {"min": 0.0, "max": 1.0},
                        "adam": {"parameters": {"b": {"value": 1}}},
                    }
                },
            },
        }
    )
    assert space == Space({"epochs": 3, "optimizer.lr": Float(0, 1), "optimizer.adam.b": 1})


@pytest.mark.parametrize(
    ("written", "declared"),
    [
        ({"type": "number", "minimum": 0, "maximum": 1.5}, Float(0, 1.5)),
        ({"type": "number", "minimum": 0.05, "maximum": 0.3, "multipleOf": 0.1}, Float(0.1, 0.3, step=0.1)),
        ({"type": "integer", "minimum": 1, "maximum": 8}, Int(1, 8)),
        ({"type": "integer", "minimum": 1.5, "maximum": 8.5}, Int(2, 8)),
        ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 8}, Int(1, 7)),
        ({"type": "integer", "minimum": 1, "maximum": 100, "multipleOf": 16}, Int(16, 96, step=16)),
        ({"type": "boolean"}, Categorical([False, True])),
        ({"type": "boolean", "default": True}, Categorical([True, False])),
        ({"type": "string", "enum": ["a", "b"], "default": "b"}, Categorical(["b", "a"])),
        ({"enum": [1, 2, 3], "default": 2}, Ordinal([1, 2, 3])),
        ({"min": np.int64(0), "max": np.int64(5)}, Int(0, 5)),
        ({"const": "fixed"}, "fixed"),
    ],
)
def test_json_schema(written, declared):
    assert Space.from_sweep({"properties": {"x": written}}) == Space({"x": declared})


def test_a_schema_nests_and_documents():
    space = Space.from_sweep(
        {
            "type": "object",
            "properties": {
                "net": {
                    "type": "object",
                    "required": ["depth"],
                    "properties": {
                        "depth": {"type": "integer", "minimum": 1, "maximum": 3, "description": "layers"}
                    },
                }
            },
        }
    )
    assert space.names == ("net.depth",)
    assert space.parameters["net.depth"].doc == "layers"


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (3, "must be a mapping"),
        ({}, "must have 'value'"),
        ({"min": 1}, "must have 'value'"),
        ({"distribution": "uniform", "min": 1}, "must have 'max'"),
        ({"distribution": "uniform", "min": 2, "max": 1}, "min must be <= max"),
        ({"distribution": "uniform", "min": "0", "max": 1}, "min must be a finite number"),
        ({"distribution": "uniform", "min": 0, "max": math.inf}, "max must be a finite number"),
        ({"distribution": "uniform", "min": 0, "max": 1, "q": 1}, "'min', got 'q'"),
        ({"distribution": "unifrom", "min": 0, "max": 1}, "did you mean 'uniform'"),
        ({"min": 0, "mx": 1}, "must have"),
        ({"min": 0, "max": 1, "log": True}, "'min', got 'log'"),
        ({"distribution": "int_uniform", "min": 0, "max": 1.5}, "must be ints"),
        ({"distribution": "log_uniform", "min": 0, "max": 1000}, "exponents of e"),
        ({"distribution": "log_uniform_values", "min": 0, "max": 1}, "min must be > 0"),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0}, "q must be > 0"),
        ({"distribution": "q_log_uniform_values", "min": 1, "max": 9, "q": 2}, "got q=2 from 1"),
        ({"distribution": "q_log_uniform", "min": -3, "max": 2}, "got q=1 from 0"),
        ({"distribution": "q_uniform", "min": -1e308, "max": 1e308}, "high - low must be a finite float"),
        ({"enum": [1, True, "a"], "default": 1}, "equal in Python"),
        ({"values": [1, 2], "probabilities": [0.5, 0.5]}, "leave out 'probabilities'"),
        ({"distribution": "categorical_w_probabilities", "values": [1, 2]}, "leave out 'probabilities'"),
        ({"values": "adam"}, "values must be a list"),
        ({"values": [{}]}, "hashable"),
        ({"values": []}, "at least one"),
        ({"distribution": "normal", "mu": 0, "sigma": 1}, "'normal' .* use 'uniform'"),
        ({"distribution": "q_normal", "mu": 0, "sigma": 1}, "'q_normal' .* use 'uniform'"),
        ({"distribution": "log_normal", "mu": 0, "sigma": 1}, "use 'log_uniform_values'"),
        ({"distribution": "q_log_normal", "mu": 0, "sigma": 1}, "use 'log_uniform_values'"),
        ({"distribution": "beta", "a": 1, "b": 2}, "'beta' .* use 'uniform'"),
        ({"distribution": 3}, "distribution must be one of"),
        ({"distribution": "constant"}, "must have 'value'"),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, "write 'minimum' and 'maximum'"),
        ({"type": "number", "minimum": 0}, "must have 'maximum'"),
        ({"type": "integer", "minimum": 0, "exclusiveMinimum": 0, "maximum": 3}, "got both"),
        ({"type": "integer", "minimum": 0, "maximum": 3, "multipleOf": 1.5}, "multipleOf must be an int"),
        ({"type": "number", "minimum": 1.1, "maximum": 1.9, "multipleOf": 1}, "a multiple of 1"),
        ({"type": "string"}, "type must be"),
        ({"type": ["integer", "null"], "minimum": 1, "maximum": 2}, "type must be"),
        ({"type": "number", "minimum": 0, "maximum": 1, "oneOf": []}, "got 'oneOf'"),
        ({"enum": 3}, "enum must be a list"),
        ({"parameters": {"y": {"value": 1}}, "value": 3}, "got 'value'"),
        ({"parameters": 3}, "must be a mapping of names"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(written, words):
    with pytest.raises(SpaceError, match=f"(?s)'x'.*{words}|{words}.*'x'"):
        Space.from_sweep({"parameters": {"x": written}})


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        (None, "must be a mapping"),
        ({}, "must have the key"),
        ({"parameters": {"a": {"value": 1}}, "properties": {"b": {"value": 1}}}, "got both"),
        ({"parameters": {3: {"value": 1}}}, "name must be a str"),
        (
            {"parameters": {"a.b": {"value": 1}, "a": {"parameters": {"b": {"value": 1}}}}},
            "'a.b' occurs twice",
        ),
    ],
)
def test_what_is_no_sweep_is_refused(sweep, words):
    with pytest.raises(SpaceError, match=words):
        Space.from_sweep(sweep)


WORDS = [
    "distribution", "value", "values", "min", "max", "q", "probabilities", "parameters", "properties", "type",
    "enum", "const", "minimum", "maximum", "exclusiveMinimum", "multipleOf", "default", "description",
]  # fmt: skip
LEAVES = st.sampled_from(
    [None, True, 0, 1, -3, 0.5, 1e308, 5e-324, math.nan, math.inf, 10**400, "number", "integer", "boolean",
     "uniform", "q_uniform", "log_uniform", "q_log_uniform_values", "inv_log_uniform", [1, 2], ["a", {}], b""]
)  # fmt: skip


@given(
    st.dictionaries(
        st.just("x"),
        st.recursive(
            st.dictionaries(st.sampled_from(WORDS), LEAVES, max_size=5),
            lambda inner: st.dictionaries(st.sampled_from(WORDS), inner | LEAVES, max_size=4),
            max_leaves=5,
        ),
    ),
)
def test_whatever_comes_is_a_space_or_refused(parameters):
    try:
        space = Space.from_sweep({"parameters": parameters})
    except SpaceError:
        return
    space.sample(3)


def test_deep_nesting_is_refused():
    sweep: dict[str, Any] = {"value": 1}
    for _ in range(5000):
        sweep = {"parameters": {"x": sweep}}
    with pytest.raises(SpaceError, match="nested more than"):
        Space.from_sweep(sweep)
