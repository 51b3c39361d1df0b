"""Space: activity, conversion of configurations and columns, counting, and what cannot be a space."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracles.space import OracleSpace
from space.strategies import spaces

from hpo_core.errors import InfeasibleSpaceError, SpaceError
from hpo_core.space import Categorical, Float, Int, Ordinal, Space, param

MAX_PRODUCT = 3000


def training_space(**options) -> Space:
    return Space(
        {
            "lr": Float(1e-5, 1e-1, log=True),
            "batch_size": Ordinal([16, 32, 64, 128]),
            "optimizer": Categorical(
                {
                    "sgd": {"momentum": Float(0.0, 0.99), "schedule": "cosine"},
                    "adam": {"beta": Float(0.8, 0.999)},
                    "adamw": {"beta": Float(0.8, 0.999), "weight_decay": Float(1e-6, 1e-1, log=True)},
                }
            ),
            "depth": Int(1, 4, doc="hidden layers"),
            "width_4": Int(8, 256, log=True, when=param("depth") >= 4),
            "epochs": 10,
        },
        **options,
    )


@given(spaces(forbid=False), st.integers(0, 99))
def test_activity_equals_the_oracle(space: Space, seed: int) -> None:
    oracle = OracleSpace(space.to_json())
    columns = space.sample(16, seed=seed)
    x = space.encode(columns)
    lists = {name: column.tolist() for name, column in columns.items()}
    for k in range(16):
        active = oracle.active({name: lists[name][k] for name in lists})
        assert {name for name in space.parameters if space.codec.active(name, x)[k]} == active
        assert set(space.codec.decode_params(x[:, k])) == active


@given(spaces(forbid=False), st.integers(0, 99))
def test_columns_round_trip(space: Space, seed: int) -> None:
    columns = space.sample(16, seed=seed)
    x = space.encode(columns)
    back = space.decode(x)
    again = space.encode(back)
    assert np.array_equal(np.isnan(x), np.isnan(again))
    assert np.nanmax(np.abs(x - again), initial=0) <= 1e-12
    for name, column in columns.items():
        active = space.codec.active(name, x)
        if column.dtype == np.float64:
            assert np.allclose(back[name][active], column[active], rtol=1e-12, atol=1e-13)
        else:
            assert back[name].tolist() == column.tolist()
        assert back[name].dtype == column.dtype


@given(spaces(forbid=False), st.integers(0, 99))
def test_one_configuration_equals_its_column(space: Space, seed: int) -> None:
    x = space.encode(space.sample(8, seed=seed))
    columns = space.decode(x)
    lists = {name: column.tolist() for name, column in columns.items()}
    for k in range(8):
        params = space.codec.decode_params(x[:, k])
        assert params == {name: lists[name][k] for name in columns if space.codec.active(name, x)[k]}
        assert np.array_equal(
            space.codec.encode_params(params)[0], space.encode(columns)[:, k], equal_nan=True
        )
        assert space.contains(params)
        for row, name in enumerate(space.names):
            if name in params:
                assert space.codec.value(x[row, k], row) == params[name]


def test_inactive_entries_hold_the_default_and_are_not_looked_at() -> None:
    space = training_space()
    columns = space.decode(space.encode({
        "lr": [1e-3, 1e-3], "batch_size": [16, 128], "optimizer": ["sgd", "adam"], "momentum": [0.9, None],
        "beta": ["?", 0.9], "schedule": ["cosine", object()], "depth": [4, 1], "width_4": [8, math.nan],
    }))  # fmt: skip
    assert columns["momentum"].tolist() == pytest.approx([0.9, 0.495])
    assert columns["beta"].tolist() == pytest.approx([0.8995, 0.9])
    assert columns["weight_decay"].tolist() == pytest.approx([10**-3.5] * 2)
    assert columns["width_4"].tolist() == [8, 44]
    assert columns["schedule"].tolist() == ["cosine", "cosine"]
    assert columns["epochs"].tolist() == [10, 10]


def test_column_dtypes() -> None:
    columns = training_space().sample(3)
    kinds = {name: column.dtype.kind for name, column in columns.items()}
    assert kinds == {
        "lr": "f", "batch_size": "i", "optimizer": "U", "momentum": "f", "schedule": "U", "beta": "f",
        "weight_decay": "f", "depth": "i", "width_4": "i", "epochs": "i",
    }  # fmt: skip
    assert {type(value) for value in training_space().default().values()} == {float, int, str}


def test_column_of_one_row_of_coordinates() -> None:
    space = training_space()
    assert space.codec.column("depth", np.array([0.1, 0.9])).tolist() == [1, 4]
    with pytest.raises(SpaceError, match="shape"):
        space.codec.column("depth", np.zeros((2, 2)))


def test_branch_constants_exist_with_their_branch() -> None:
    space = training_space()
    params = space.default()
    assert params["schedule"] == "cosine"
    other = {"lr": 0.01, "batch_size": 16, "optimizer": "adam", "beta": 0.9, "depth": 1}
    assert "schedule" not in space.codec.decode_params(*space.codec.encode_params(other))
    with pytest.raises(SpaceError, match=r"constant 'schedule' must be 'cosine', got 'step'"):
        space.codec.encode_params(params | {"schedule": "step"})


# -- configurations given by users -------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lr": 1.0}, r"'lr' must be a number from 1e-05 to 0.1, got 1.0"),
        ({"optimizer": "rmsprop"}, r"'optimizer' must be one of 'sgd', 'adam', 'adamw', got 'rmsprop'"),
        ({"zz": 1}, "unknown parameter 'zz'"),
        ({"weight_decay": 0.01}, "'weight_decay' is not active"),
        ({"optimizer": "adam"}, "'beta' is missing"),
        ({"epochs": 11}, "constant 'epochs' must be 10, got 11"),
    ],
)
def test_encode_params_refuses(change, words) -> None:
    space = training_space()
    params = space.default() | change
    with pytest.raises(SpaceError, match=words):
        space.codec.encode_params(params)
    assert not space.contains(params)


def test_contains_asks_the_constraints() -> None:
    space = Space(
        {"a": Int(1, 3), "b": Int(1, 3)},
        forbid=[param("a") == param("b")],
        feasible=lambda c: c["a"] + c["b"] < 5,
    )
    columns = space.decode(space.enumerate())
    assert set(zip(columns["a"].tolist(), columns["b"].tolist(), strict=True)) == {
        (1, 2),
        (2, 1),
        (1, 3),
        (3, 1),
    }
    assert space.contains({"a": 1, "b": 2})
    assert not space.contains({"a": 2, "b": 2})
    assert not space.contains({"a": 2, "b": 3})
    assert not space.contains(3)


def test_partial_leaves_the_rest_open_and_implies_the_branch() -> None:
    space = training_space()
    x = dict(zip(space.names, space.codec.partial({"momentum": 0.99, "epochs": 10})[0].tolist(), strict=True))
    assert {name for name, value in x.items() if not math.isnan(value)} == {"momentum", "optimizer"}
    assert x["momentum"] == 1.0
    assert x["optimizer"] == 0.0
    beta, _ = space.codec.partial({"beta": 0.9})  # in two branches: which one stays open
    assert np.isnan(beta[space.names.index("optimizer")])
    with pytest.raises(SpaceError, match="'momentum' is not active"):
        space.codec.partial({"momentum": 0.5, "optimizer": "adam"})
    with pytest.raises(SpaceError, match="'width_4' is not active"):
        space.codec.partial({"width_4": 9, "depth": 2})


def test_partial_implies_a_chain_of_branches() -> None:
    space = Space({"a": Categorical({"x": {}, "y": {"b": Categorical({"u": {}, "v": {"c": Int(1, 2)}})}})})
    assert space.codec.partial({"c": 2})[0].tolist() == [1.0, 1.0, 0.75]


@given(spaces(forbid=False), st.integers(0, 99), st.data())
def test_impose_overwrites_and_settles(space: Space, seed: int, data) -> None:
    columns = space.sample(8, seed=seed)
    x = space.encode(columns)
    before = x.copy()
    source = space.encode(space.sample(1, seed=seed + 1))[:, 0]
    keep = data.draw(st.lists(st.booleans(), min_size=len(source), max_size=len(source)))
    fixed = np.where(keep, source, np.nan)
    imposed = space.impose(x, fixed)
    assert np.array_equal(x, before, equal_nan=True)
    given_rows = ~np.isnan(fixed)
    assert (np.isnan(imposed[given_rows]) | (imposed[given_rows] == fixed[given_rows, None])).all()
    oracle = OracleSpace(space.to_json())
    values = {
        name: column.tolist()
        for name, column in space.decode(np.where(given_rows[:, None], fixed[:, None], x)).items()
    }
    for k in range(8):
        active = oracle.active({name: values[name][k] for name in values})
        assert set(space.codec.decode_params(imposed[:, k])) == active
    fresh = np.isnan(x) & ~np.isnan(imposed) & ~given_rows[:, None]
    assert (imposed == space.layout.default[:, None])[fresh].all()


# -- the whole space ---------------------------------------------------------------------------


@given(spaces(max_parameters=6, finite=True, max_levels=4))
def test_enumeration_and_size_equal_the_oracle(space: Space) -> None:
    oracle = OracleSpace(space.to_json())
    assume(oracle.product() <= MAX_PRODUCT)
    x = space.enumerate()
    found = [
        frozenset(
            (name, repr(value))
            for name, value in space.codec.decode_params(x[:, k]).items()
            if name in space.names
        )
        for k in range(x.shape[1])
    ]
    assert len(set(found)) == len(found)
    if not any("float" in domain for domain in oracle.domains.values()):  # 0.1 steps differ in the last bit
        assert set(found) == oracle.configurations()
    assert len(found) == len(oracle.configurations())
    oracle.forbid = []
    assert space.size == len(oracle.configurations())


def test_size_of_large_and_infinite_spaces() -> None:
    layer = {f"op{k}": Categorical({"conv": {f"width{k}": Int(1, 9)}, "skip": {}}) for k in range(30)}
    assert Space(layer).size == 10**30
    assert Space({"arch": Categorical({"cells": layer, "plain": {}})}).size == 10**30 + 1
    assert Space({"a": Int(1, 4), "b": Float(0, 1, when=param("a") > 3)}).size == math.inf
    widths = {f"w{k}": Int(1, 4, when=param("n") >= k) for k in range(1, 6)}
    assert Space({"n": Int(1, 5)} | widths).size == sum(4**n for n in range(1, 6))
    tied = {f"p{k}": Int(1, 100) for k in range(4)}
    bounded = Space(tied | {"q": Int(1, 2, when=param("p0") + param("p1") + param("p2") > param("p3"))})
    assert 10**8 * 2 <= bounded.size <= 10**8 * 3


def test_size_of_a_tied_parameter_that_owns_others_and_may_be_inactive() -> None:
    owner = Categorical({"x": {"b": Int(1, 5)}, "y": {}}, when=param("a") > 1)
    space = Space({"a": Int(1, 2), "o": owner, "c": Int(1, 3, when=(param("o") == "x") & (param("a") > 1))})
    assert space.size == 1 + (5 * 3 + 1) == space.enumerate().shape[1]


def test_enumerate_refuses_what_is_too_large() -> None:
    with pytest.raises(SpaceError, match="inf"):
        Space({"a": Float(0, 1)}).enumerate()
    with pytest.raises(SpaceError, match=str(1025**3)):
        Space({name: Int(0, 1024) for name in "abc"}).enumerate()


def test_feasible_gets_columns_and_must_return_a_mask() -> None:
    seen = []
    space = training_space(feasible=lambda columns: seen.append(columns) or columns["lr"] < 1e-3)
    x = training_space().encode(training_space().sample(50))
    mask = space.feasible_mask(x)
    assert np.array_equal(mask, space.decode(x)["lr"] < 1e-3)
    assert list(seen[0]) == list(space.parameters)
    assert space.feasible is not None
    assert training_space().feasible is None
    assert training_space().feasible_mask(x).all()
    for wrong in (True, np.ones(3, bool), np.ones(50), None):
        with pytest.raises(SpaceError, match="feasible must return 50 bools"):
            training_space(feasible=lambda columns, wrong=wrong: wrong).feasible_mask(x)


@pytest.mark.parametrize(
    ("feasible", "message"),
    [
        (lambda c: c["dpeth"] > 1, r"KeyError\('dpeth'\); its columns are .*'depth'.*did you mean 'depth'\?"),
        (lambda c: c["nothing like it"] > 1, r"its columns are 'lr'.*'depth'[^?]*$"),
        (lambda c: c["depth"] > 1 and c["lr"] < 1, r"ValueError.*write & for `and`.*np.where"),
        (lambda c: 1 if c["lr"] < 1e-3 else 0, r"write & for `and`.*np.where"),
        (lambda c: 0 < c["lr"] < 1e-3, r"write & for `and`"),
        (lambda c: {}["mine"], r"KeyError\('mine'\); its columns are"),
        (lambda c: 1 // 0, r"ZeroDivisionError.*It gets columns as NumPy arrays"),
        (lambda c: math.sqrt(c["lr"]) < 1, r"TypeError.*It gets columns as NumPy arrays"),
    ],
)
def test_a_feasible_that_raises_is_told_what_it_gets(feasible, message) -> None:
    space = training_space(feasible=feasible)
    with pytest.raises(SpaceError, match=f"feasible must return a mask of its columns.*{message}") as raised:
        space.sample(5)
    assert raised.value.__cause__ is not None


def test_sample_is_seeded_permitted_and_gives_up() -> None:
    space = training_space(forbid=[param("depth") > 1])
    first, second, third = (space.sample(100, seed=seed) for seed in (1, 1, 2))
    assert set(first["depth"].tolist()) == {1}
    assert (first["lr"] == second["lr"]).all()
    assert (first["lr"] != third["lr"]).all()
    assert len(space.sample(0)["lr"]) == 0
    with pytest.raises(InfeasibleSpaceError, match="rejected 65,536 draws in a row"):
        training_space(forbid=[param("depth") > 0]).sample(1)
    for wrong in (-1, 1.5, True, "3"):
        with pytest.raises(SpaceError, match="n must be"):
            space.sample(wrong)


def test_default_is_the_centre_and_the_first_choice() -> None:
    params = training_space().default()
    assert params.pop("lr") == pytest.approx(1e-3)
    chosen = {"batch_size": 32, "optimizer": "sgd", "momentum": 0.495, "schedule": "cosine", "depth": 2}
    assert params == chosen | {"epochs": 10}


def test_repr_shows_the_tree() -> None:
    space = training_space(forbid=[(param("batch_size") == 128) & (param("depth") == 4)], feasible=len)
    assert (
        repr(space)
        == """Space(
    lr: Float(1e-05, 0.1, log=True)
    batch_size: Ordinal([16, 32, 64, 128])
    optimizer: Categorical
        'sgd':
            momentum: Float(0.0, 0.99)
            schedule: 'cosine'
        'adam':
            beta: Float(0.8, 0.999)
        'adamw':
            beta: Float(0.8, 0.999)
            weight_decay: Float(1e-06, 0.1, log=True)
    depth: Int(1, 4)  # hidden layers
    width_4: Int(8, 256, log=True) when depth >= 4
    epochs: 10
    forbid (batch_size == 128) & (depth == 4)
    feasible len
)"""
    )
    assert space._repr_html_().startswith("<pre>Space(")
    assert "&gt;=" in space._repr_html_()


@given(spaces())
def test_pickles_and_copies_are_equal(space: Space) -> None:
    for other in (pickle.loads(pickle.dumps(space)), copy.deepcopy(space)):
        assert other == space
        assert hash(other) == hash(space)
        assert repr(other) == repr(space)
        assert np.array_equal(other.layout.program, space.layout.program)


def test_equality_tells_types_conditions_and_constraints_apart() -> None:
    base = Space({"a": Int(1, 2), "b": Categorical([1, 2])})
    others = [
        Space({"a": Int(1, 3), "b": Categorical([1, 2])}),
        Space({"a": Int(1, 2), "b": Categorical([1.0, 2.0])}),
        Space({"a": Int(1, 2), "b": Categorical([1, 2], when=param("a") > 1)}),
        Space({"a": Int(1, 2), "b": Categorical([1, 2])}, forbid=[param("a") > 1]),
        Space({"a": Int(1, 2), "b": Categorical([1, 2])}, feasible=len),
    ]
    assert all(base != other for other in others)
    assert base == Space({"a": Int(1, 2), "b": Categorical([1, 2])})
    assert base != 3


def test_a_space_does_not_follow_changes_of_its_mapping() -> None:
    branch = {"b": Int(1, 2)}
    tree = {"a": Categorical({"x": branch, "y": {}})}
    space = Space(tree)
    text = repr(space)
    branch["c"] = Int(1, 2)
    tree["d"] = Int(1, 2)
    assert repr(space) == text
    assert pickle.loads(pickle.dumps(space)).names == ("a", "b")


def test_pandas_columns_are_taken() -> None:
    pandas = pytest.importorskip("pandas")
    space = training_space()
    columns = space.sample(20)
    x = space.encode(columns)
    frame = pandas.DataFrame(columns)
    frame.loc[~space.codec.active("momentum", x), "momentum"] = math.nan
    assert np.array_equal(space.encode(dict(frame)), x, equal_nan=True)


def test_a_space_of_constants_alone_is_sampled() -> None:
    space = Space({"epochs": 3, "name": "net"})
    assert {name: column.tolist() for name, column in space.sample(2).items()} == {
        "epochs": [3, 3],
        "name": ["net", "net"],
    }
    assert space.contains(space.default())
