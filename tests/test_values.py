"""What was written is what comes back: from the trial, its batch, the log, every constraint, and replay."""

from __future__ import annotations

import enum
import json
import math
import sqlite3
from contextlib import closing
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import hpo_core as hpo
from hpo_core.errors import SpaceError, SpaceExhausted, StudyError, TrialError
from hpo_core.storage.base import checksum

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)
SAMPLERS = ("random", "sobol", "tpe", "gp", "auto")


@st.composite
def ranges(draw) -> hpo.Float | hpo.Int:
    """A range of any size and kind."""
    kind = draw(st.sampled_from(["float", "log", "step", "int", "log int"]))
    if kind == "float":
        low, high = sorted([draw(st.floats(-1e150, 1e150)), draw(st.floats(-1e150, 1e150))])
        return hpo.Float(low, high)
    if kind == "log":
        low, high = sorted([draw(st.floats(1e-300, 1e300)), draw(st.floats(1e-300, 1e300))])
        return hpo.Float(low, high, log=True)
    if kind == "step":
        step, k = draw(st.sampled_from([0.1, 0.25, 0.003, 5.0, 1e-7])), draw(st.integers(0, 5000))
        first = draw(st.integers(-50, 50))
        return hpo.Float(float(f"{first * step:.10g}"), float(f"{(first + k) * step:.10g}"), step=step)
    top = 2**40 if kind == "log int" else 2**53
    low = draw(st.integers(1 if kind == "log int" else -top, top))
    high = draw(st.integers(low, top))
    return hpo.Int(low, high, log=kind == "log int")


@st.composite
def parameters_with_values(draw) -> tuple[hpo.Float | hpo.Int, float]:
    """A range and one of its values, often one of its ends."""
    declared = draw(ranges())
    low, high = declared.low, declared.high
    ends = st.sampled_from([low, high])
    if isinstance(declared, hpo.Int):
        return declared, draw(ends | st.integers(low, high))
    if declared.step is None:
        return declared, draw(ends | st.floats(low, high))
    levels = round((high - low) / declared.step)
    k = draw(st.integers(0, levels))
    return declared, float(f"{low + k * declared.step:.10g}") if k < levels else high


def same(a: object, b: object) -> bool:
    return type(a) is type(b) and a == b


@settings(max_examples=200)
@given(parameters_with_values())
@example((hpo.Float(1e-5, 1e-1, log=True), 1e-3))
@example((hpo.Float(-5, 5), 0.1))
@example((hpo.Float(0, 200, step=0.1), 0.3))
@example((hpo.Float(1e-300, 1e300, log=True), 1e-300))
@example((hpo.Int(0, 2**53), 2**53 - 1))
@example((hpo.Float(0.01, 0.01), 0.01))
@example((hpo.Int(3, 3), 3))
def test_constraints_read_given_values(case) -> None:
    declared, value = case
    seen = []

    def feasible(columns):
        seen.extend(columns["a"].tolist())
        return np.ones(len(columns["a"]), np.bool_)

    exists = {"b": hpo.Int(0, 9, when=(hpo.param("a") >= value) & (hpo.param("a") <= value))}
    space = hpo.Space({"a": declared} | exists, forbid=[hpo.param("a") != value], feasible=feasible)
    params = {"a": value, "b": 4}
    assert space.contains(params)
    study = hpo.Study(space, sampler="random", seed=0)
    added = study.add(params, 1.0)
    study.enqueue(params)
    asked = study.ask()
    copy = study.ask(repeat=asked)
    for trial in (added, asked, copy):
        assert same(trial["a"], value)
        assert trial.params == params
    assert study.trials["a"].tolist() == [value] * 3
    assert study.trials.active("b").all()
    assert all(same(each, value) for each in seen)
    assert study.recommend() == params


@settings(max_examples=50)
@given(st.lists(parameters_with_values(), min_size=1, max_size=4), st.sampled_from(["random", "tpe"]))
def test_a_log_gives_values_back_to_the_last_digit(tmp_path_factory, cases, sampler) -> None:
    path = tmp_path_factory.mktemp("log") / "s.db"
    space = {f"p{i}": declared for i, (declared, _) in enumerate(cases)}
    params = {f"p{i}": value for i, (_, value) in enumerate(cases)}
    study = hpo.Study(space, sampler=sampler, seed=0, name="s", storage=path, allow_duplicates=True)
    study.add(params, 1.0)
    study.enqueue(params)
    study.enqueue({"p0": params["p0"]})
    for trial in study.ask(12):
        study.tell(trial, 2.0)
    again = hpo.Study.open(path, "s")
    for here, there in zip(study.trials, again.trials, strict=True):
        assert here.params == there.params
        assert [*map(type, here.params.values())] == [*map(type, there.params.values())]
    assert again.trials[0].params == again.trials[1].params == params
    assert again.trials[2]["p0"] == params["p0"]
    assert again.replay(), str(again.replay())
    np.testing.assert_array_equal(study.history.x, again.history.x)


@given(ranges(), st.sampled_from(SAMPLERS))
@settings(max_examples=60, deadline=None)
def test_proposals_lie_in_range_with_both_ends(declared, sampler) -> None:
    study = hpo.Study({"a": declared}, sampler=sampler, seed=0, allow_duplicates=True)
    batch = study.ask(20)
    assert (batch["a"] >= declared.low).all()
    assert (batch["a"] <= declared.high).all()
    space = hpo.Space({"a": declared})
    ends = space.decode(np.array([[0.0, 1.0]]))["a"].tolist()
    assert ends == [declared.low, declared.high]


def test_a_wide_log_range_meets_its_low_end() -> None:
    low = 2.220446049250313e-16
    space = hpo.Space({"a": hpo.Float(low, 2.2520475589595338e288, log=True)})
    assert space.decode(np.array([[0.0]]))["a"].tolist() == [low]


@pytest.mark.parametrize("step", [0.1, 0.01, 0.001, 1e-7])
@pytest.mark.parametrize("levels", [11, 2001, 100_001])
def test_grids_of_any_size_are_decimal(step, levels) -> None:
    high = float(f"{(levels - 1) * step:.12g}")
    space = hpo.Space({"g": hpo.Float(0, high, step=step)})
    values = space.decode(space.enumerate())["g"]
    assert values.tolist() == [float(f"{k * step:.12g}") for k in range(levels)]


def test_conditions_read_decimals_in_every_backend() -> None:
    space = {"g": hpo.Float(0, 200, step=0.1), "z": hpo.Int(0, 9, when=hpo.param("g") <= 0.3)}
    study = hpo.Study(space, sampler="random", seed=0)
    study.enqueue({"g": 0.3})
    assert "z" in study.ask()
    batch = study.ask(5000)
    assert ((batch["g"] <= 0.3) == batch.active("z")).all()


@pytest.mark.parametrize(
    "value", [np.float32(0.1), 0.1 + 1e-17, math.nextafter(0.1, 1), np.nextafter(0.1, 0)]
)
def test_rounding_beside_a_bound_is_no_error(value) -> None:
    study = hpo.Study({"a": hpo.Float(0.01, 0.1), "b": hpo.Float(0.1, 0.3, step=0.1)}, seed=0)
    study.enqueue({"a": value, "b": value})
    trial = study.ask()
    assert 0.01 <= trial["a"] <= 0.1
    assert trial["a"] == pytest.approx(0.1, rel=1e-7)
    assert trial["b"] == 0.1
    with pytest.raises(SpaceError, match=r"must be a number from 0\.01 to 0\.1, got 0\.1001"):
        study.enqueue({"a": 0.1001})


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        (hpo.Float(1e-8, 1e9, log=True), 1e-9),
        (hpo.Float(1e-8, 1e9, log=True), 0.0),
        (hpo.Float(1e-300, 1e300, log=True), -5.0),
        (hpo.Int(0, 2**53), -1),
        (hpo.Int(0, 2**53), 2**53 + 1),
        (hpo.Int(0, 2**24), 2**24 + 1),
        (hpo.Int(1, 10**9, log=True), 0),
        (hpo.Float(0, 8e8, step=1e-7), -1e-7),
    ],
)
def test_a_number_beyond_a_bound_is_outside(declared, value) -> None:
    space = hpo.Space({"v": declared})
    assert not space.contains({"v": value})
    with pytest.raises(SpaceError, match=r"'v' must be .*, got "):
        space.encode({"v": [value]})


@pytest.mark.parametrize("bounds", [(0, 2**53 + 1), (-(2**53) - 1, 0)])
def test_a_range_of_ints_ends_where_floats_hold_them(bounds) -> None:
    with pytest.raises(SpaceError, match=r"within 2\*\*53 steps of 0"):
        hpo.Space({"n": hpo.Int(*bounds)})


def test_ints_beyond_floats_are_not_rounded() -> None:
    study = hpo.Study({"n": hpo.Int(0, 10)}, seed=0)
    with pytest.raises(SpaceError, match=r"'n' must be .*, got 9007199254740993"):
        study.add({"n": 2**53 + 1}, 1.0)
    assert study.add({"n": 2**53}, 1.0).params == {"n": 2**53}


def test_what_came_is_said_as_it_came() -> None:
    with pytest.raises(SpaceError, match=r"must be a number, got \[0\.1\]$"):
        hpo.Study({"x": hpo.Float(0, 1)}, seed=0).enqueue({"x": [0.1]})


class TestOutside:
    """Results outside today's space: learnt from, never proposed, never recommended."""

    @pytest.mark.parametrize("sampler", SAMPLERS)
    def test_is_kept_and_never_proposed(self, sampler, tmp_path) -> None:
        space = hpo.Space(
            {"x": hpo.Float(-1, 1), "n": hpo.Int(1, 8), "lr": hpo.Float(1e-3, 1e-1, log=True)},
            forbid=[hpo.param("n") == 3],
        )
        study = hpo.Study(space, sampler=sampler, seed=0, name="s", storage=tmp_path / "s.db")
        best = study.add({"x": 7.5, "n": 12, "lr": -2.0}, -9.0)
        study.add({"x": 0.1, "n": 3, "lr": 0.01}, -8.0)
        study.add({"x": 0.1, "n": 4, "lr": 0.01}, 5.0)
        study.tell(study.ask(30), np.arange(30.0))
        assert best.params == {"x": 7.5, "n": 12, "lr": -2.0}
        assert study.best_trial == best
        batch = study.trials[3:]
        assert (np.abs(batch["x"]) <= 1).all()
        assert (batch["n"] != 3).all()
        assert space.contains(study.recommend())
        again = hpo.Study.open(tmp_path / "s.db", "s")
        assert again.trials[0].params == best.params
        assert again.replay(), str(again.replay())

    def test_a_finite_space_is_not_used_up_by_it(self) -> None:
        study = hpo.Study({"n": hpo.Int(1, 3)}, sampler="random", seed=0)
        study.add({"n": 5}, 1.0)
        assert sorted(study.ask(9)["n"].tolist()) == [1, 2, 3]

    def test_where_all_is_outside_nothing_is_recommended(self) -> None:
        study = hpo.Study({"n": hpo.Int(1, 3)}, seed=0)
        study.add({"n": 5}, 1.0)
        with pytest.raises(StudyError, match="best_params"):
            study.recommend()

    @pytest.mark.parametrize("value", [math.nan, math.inf, 3.5, "5"])
    def test_what_is_no_number_of_the_kind_is_refused(self, value) -> None:
        study = hpo.Study({"n": hpo.Int(1, 3)}, seed=0)
        with pytest.raises(SpaceError, match="'n'"):
            study.add({"n": value}, 1.0)
        with pytest.raises(SpaceError, match="'n'"):
            study.enqueue({"n": 5})


class TestChangedSpace:
    """A study resumed in a wider space."""

    FIRST: ClassVar = {"lr": hpo.Float(1e-4, 1e-1, log=True), "y": hpo.Float(-1, 1), "n": hpo.Int(1, 4)}
    WIDER: ClassVar = {"lr": hpo.Float(1e-6, 1.0, log=True), "y": hpo.Float(-3, 1), "n": hpo.Int(1, 9)}
    NEW: ClassVar = {
        "drop": hpo.Float(0.0, 0.5),
        "act": hpo.Categorical({"relu": {}, "elu": {"alpha": hpo.Float(0.1, 2.0)}}),
    }

    @pytest.mark.parametrize("sampler", SAMPLERS)
    def test_changes_no_past_value_and_replays(self, tmp_path, sampler) -> None:
        path = tmp_path / "s.db"

        def run(space):
            study = hpo.Study(space, sampler=sampler, seed=3, name="s", storage=path)
            study.enqueue({"lr": 1e-3, "y": 0.1})
            for _ in range(14):
                trial = study.ask()
                study.tell(trial, (trial["y"] - 0.3) ** 2 + trial["n"])
            return study

        first = run(self.FIRST)
        was = [trial.params for trial in first.trials]
        wider = run(self.WIDER)
        assert [trial.params for trial in wider.trials[: len(was)]] == was
        grown = run(self.WIDER | self.NEW)
        assert [trial.params for trial in grown.trials[: len(was)]] == was
        assert not grown.trials.active("drop")[: len(was)].any()
        assert grown.trials.active("drop")[-14:].all()
        found = grown.replay()
        assert found, str(found)
        assert found.checked == len(grown.trials)
        frame = grown.to_pandas()
        assert frame["params_drop"].isna().tolist() == [True] * 28 + [False] * 14
        copy = grown.ask(repeat=0)
        assert {"drop", "act"} <= copy.params.keys()

    @pytest.mark.parametrize(
        ("first", "wider", "values"),
        [
            (hpo.Float(0, 1, step=0.1), hpo.Float(0, 2, step=0.1), [1.3, 1.35, 1.1 + 2.2 - 2.0, 1.9999999]),
            (hpo.Float(0, 1, step=0.1), hpo.Float(-900, 900, step=0.1), [0.3, 1.15, -2.0000000001]),
            (hpo.Float(0.1, 0.1, step=0.1), hpo.Float(0, 1, step=0.1), [0.35]),
            (hpo.Int(0, 10, step=5), hpo.Int(0, 30, step=5), [15, 16]),
            (hpo.Int(0, 10, step=5), hpo.Int(0, 3_000_000, step=5), [15, 16]),
            (hpo.Int(0, 10), hpo.Int(0, 2**53), [-1, 11]),
            (hpo.Float(0, 1), hpo.Float(0, 1e6), [-1e-10, 1.5]),
            (hpo.Float(0, 1), hpo.Float(0, 1.00000045), [1.0000005]),
            (hpo.Float(1e-8, 1, log=True), hpo.Float(1e-8, 1e9, log=True), [1e-9, 0.0, 5.0]),
        ],
    )
    def test_what_was_outside_stays_as_it_was(self, tmp_path, first, wider, values) -> None:
        path = tmp_path / "s.db"
        study = hpo.Study({"v": first}, sampler="random", seed=0, name="s", storage=path)
        study.add({"v": values}, [-1.0] * len(values))
        for declared in (wider, wider):
            study = hpo.Study({"v": declared}, sampler="random", seed=0, name="s", storage=path)
            assert [trial["v"] for trial in study.trials[: len(values)]] == values
            copies = [study.ask(repeat=row) for row in range(len(values))]
            assert [copy["v"] for copy in copies] == values
            study.tell(study.ask(), 1.0)
        assert study.replay()
        assert study.space.contains(study.recommend())

    @pytest.mark.parametrize(
        "new",
        [
            {"act": hpo.Categorical({"elu": {"alpha": hpo.Float(0.1, 2.0), "kind": hpo.Ordinal([1, 2])}})},
            {"act": hpo.Int(1, 3), "alpha": hpo.Ordinal([1, 2], when=hpo.param("act") >= 1)},
        ],
    )
    def test_a_copy_has_what_depends_on_younger_parameters(self, tmp_path, new) -> None:
        path = tmp_path / "s.db"
        hpo.Study(self.FIRST, sampler="random", seed=3, name="s", storage=path).ask(3)
        grown = hpo.Study(self.FIRST | new, sampler="random", seed=3, name="s", storage=path)
        copies = grown.ask(2, repeat=1)
        assert copies[0].params == copies[1].params
        assert copies[0].params.items() >= grown.trials[1].params.items()
        assert {"act", "alpha"} <= copies[0].params.keys()
        assert grown.space.contains(copies[0].params)
        again = hpo.Study.open(path, "s")
        assert [trial.params for trial in again.trials] == [trial.params for trial in grown.trials]

    def test_a_constraint_may_read_what_is_younger(self, tmp_path) -> None:
        def run(space, **options):
            study = hpo.Study(
                hpo.Space(space, **options), sampler="random", seed=3, name="s", storage=tmp_path / "s.db"
            )
            study.tell(study.ask(5), np.zeros(5))
            return study

        run(self.FIRST, feasible=lambda columns: columns["n"] <= 3)
        grown = run(self.FIRST | self.NEW, feasible=lambda c: (c["n"] <= 3) & (c["drop"] < 0.4))
        assert grown.replay(), str(grown.replay())

    def test_a_difference_in_an_earlier_space_is_found(self, tmp_path) -> None:
        path = tmp_path / "s.db"
        hpo.Study(self.FIRST, sampler="random", seed=3, name="s", storage=path).ask(3)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            query = "SELECT position, kind, data FROM events WHERE kind = 'asked'"
            position, kind, text = connection.execute(query).fetchone()
            event = json.loads(text)
            event["params"]["n"] = [1, 1, 1]
            text = json.dumps(event)
            crc = checksum(position, kind, text)
            connection.execute("UPDATE events SET data = ?, crc = ? WHERE kind = 'asked'", (text, crc))
        study = hpo.Study(self.WIDER, sampler="random", seed=3, name="s", storage=path)
        study.ask(3)
        found = study.replay()
        assert not found
        assert (found.parameter, found.recorded) == ("n", 1)


class Names(enum.StrEnum):
    ADAM = "adam"


class TestConstants:
    def test_a_list_is_each_trials_own(self) -> None:
        written = [8, 8]
        study = hpo.Study(
            {"x": hpo.Float(0, 1), "hidden": written, "pair": ([1], 2)}, sampler="random", seed=0
        )
        written.append(9)
        first, second = study.ask(), study.ask()
        first["hidden"].append(1)
        first.params["pair"][0].append(1)
        assert second["hidden"] == [8, 8]
        assert study.trials[0].params["hidden"] == [8, 8]
        assert study.ask()["pair"] == ([1], 2)

    @pytest.mark.parametrize("value", [[8, 8], ([8], 2), np.array([8, 8])])
    def test_what_an_objective_changes_is_its_own(self, value) -> None:
        def last(value):
            return value[0] if isinstance(value, tuple) else value

        study = hpo.Study({"x": hpo.Float(0, 1), "c": value}, sampler="random", seed=0)
        space, batch = study.space, study.ask(2)
        for found in (
            *batch["c"],
            batch.params["c"][0],
            space.parameters["c"],
            space.default()["c"],
            space.sample(1, seed=0)["c"][0],
            study.to_pandas()["params_c"].iloc[0],
        ):
            last(found)[0] = 99
        assert last(batch[1].params["c"])[0] == 8
        assert last(study.ask()["c"])[0] == 8
        assert last(batch["c"][0])[0] == 8

    @pytest.mark.parametrize(
        ("value", "plain"),
        [(np.float64(0.5), 0.5), (np.int64(3), 3), (np.str_("a"), "a"), (Names.ADAM, "adam")],
    )
    def test_are_plain_values(self, tmp_path, value, plain) -> None:
        space = {"x": hpo.Float(0, 1), "c": value, "k": hpo.Categorical([value, None])}
        study = hpo.Study(space, sampler="random", seed=0, name="s", storage=tmp_path / "s.db")
        study.enqueue({"k": value})
        trial = study.ask()
        assert same(trial["c"], plain)
        assert same(trial["k"], plain)
        assert hpo.Study(space, sampler="random", seed=0, name="s", storage=tmp_path / "s.db").n_finished == 0
        assert hpo.Study.open(tmp_path / "s.db", "s").trials[0].params == trial.params

    @pytest.mark.parametrize("sampler", SAMPLERS)
    def test_alone_are_one_configuration(self, sampler) -> None:
        study = hpo.Study({"a": 1, "b": "x"}, sampler=sampler, seed=0)
        assert study.space.size == 1
        study.tell(study.ask(), 1.0)
        assert study.recommend() == {"a": 1, "b": "x"}
        with pytest.raises(SpaceExhausted):
            study.ask()


class TestAddMany:
    SPACE: ClassVar = {
        "lr": hpo.Float(1e-4, 1e-1, log=True),
        "opt": hpo.Categorical({"sgd": {"m": hpo.Float(0, 1)}, "adam": {}}),
    }
    COLUMNS: ClassVar = {"lr": [1e-3, 1e-2, 0.05], "opt": ["sgd", "adam", "sgd"], "m": [0.9, None, 0.5]}
    ROWS: ClassVar = [
        {"lr": 1e-3, "opt": "sgd", "m": 0.9},
        {"lr": 1e-2, "opt": "adam"},
        {"lr": 0.05, "opt": "sgd", "m": 0.5},
    ]

    @pytest.mark.parametrize("params", [COLUMNS, ROWS], ids=["columns", "rows"])
    @pytest.mark.parametrize("direction", ["minimize", "maximize"])
    def test_states_reasons_and_reports(self, tmp_path, params, direction) -> None:
        study = hpo.Study(
            self.SPACE, sampler="random", seed=0, direction=direction, name="s", storage=tmp_path / "s.db"
        )
        batch = study.add(
            params,
            [0.5, None, None],
            state=[None, "failed", "stopped"],
            reason=[None, "oom", None],
            reports=[None, None, {1: 0.9, 3: 0.7}],
        )
        for each in (batch, hpo.Study.open(tmp_path / "s.db", "s").trials):
            assert [trial.params for trial in each] == self.ROWS
            assert [trial.state.name for trial in each] == ["COMPLETE", "FAILED", "STOPPED"]
            np.testing.assert_array_equal(each.value, [0.5, math.nan, 0.7])
            assert each.reason == [None, "oom", None]
        assert study.history.reports.step.tolist() == [1, 3]

    @pytest.mark.parametrize("many", [False, True])
    def test_a_default_of_a_constant_is_the_constant(self, many) -> None:
        study = hpo.Study({"x": hpo.Float(0, 1), "epochs": 7}, seed=0)
        params, value = ({"x": [0.5]}, [1.0]) if many else ({"x": 0.5}, 1.0)
        study.add(params, value, defaults={"epochs": 7})
        with pytest.raises(SpaceError, match="constant 'epochs' must be 7, got 99"):
            study.add(params, value, defaults={"epochs": 99})

    def test_a_default_for_what_an_old_study_lacks(self) -> None:
        study = hpo.Study(self.SPACE | {"drop": hpo.Float(0, 1)}, sampler="random", seed=0)
        assert study.add(self.COLUMNS, [1.0, 2.0, 3.0], defaults={"drop": 0.1})["drop"].tolist() == [0.1] * 3
        assert study.add(self.ROWS[0], 1.0, defaults={"drop": 0.3})["drop"] == 0.3
        with pytest.raises(SpaceError, match="'drop' is missing"):
            study.add(self.COLUMNS, [1.0, 2.0, 3.0])

    def test_a_wrong_row_is_located(self) -> None:
        study = hpo.Study(self.SPACE, sampler="random", seed=0)
        rows = self.ROWS * 50
        assert [trial.params for trial in study.add(rows, np.arange(150.0))] == rows
        for wrong, words in (
            ({"lr": 1e-2, "opt": "adam", "m": 0.5}, r"params\[7\]: parameter 'm' is not active"),
            ({"lr": "x", "opt": "adam"}, r"params\[7\]: parameter 'lr'"),
            ({"lr": 1e-2}, "'opt' is missing"),
            (3, "params must be a mapping"),
        ):
            with pytest.raises(SpaceError, match=words):
                study.add([*rows[:7], wrong, *rows[:7], wrong], np.arange(16.0))
        assert len(study.trials) == 150

    def test_a_grown_table_goes_into_another(self) -> None:
        space = self.SPACE | {"n": hpo.Int(1, 8), "kind": hpo.Categorical(["a", None])}
        columns = self.COLUMNS | {"n": [3, None, math.nan], "kind": ["a", None, "a"]}
        study = hpo.Study(space, sampler="random", seed=0)
        batch = study.add(columns, [1.0, 2.0, 3.0], defaults={"n": 8, "kind": "a"})
        assert batch["n"].tolist() == [3, 8, 8]
        assert batch["kind"].tolist() == ["a", None, "a"]
        frame = study.to_pandas()
        again = hpo.Study(space, sampler="random", seed=0)
        names = {name: frame[f"params_{name}"] for name in ("lr", "opt", "m", "n", "kind")}
        again.add(names, frame["value"], defaults={"m": 0.25})
        assert [trial.params for trial in again.trials] == [trial.params for trial in study.trials]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"value": [1.0, 2.0]}, "3"),
            ({"value": [1.0] * 3, "state": "complete", "reason": "late"}, "reason must be None"),
            ({"value": [1.0, 2.0, "x"]}, "number"),
            ({"value": [1.0, 2.0, None]}, "value must be a number"),
            ({"value": [1.0] * 3, "state": "done"}, "state must be one of complete, stopped, failed"),
            ({"value": [1.0] * 3, "reason": ["a", 3, None]}, "reason must be a string"),
            ({"value": [1.0] * 3, "reports": [{-1: 0.5}, None, None]}, "step must be"),
            ({"value": [1.0] * 3, "reports": [[(2, 0.5), (1, 0.5)], None, None]}, "order of their steps"),
            ({"value": [1.0] * 3, "reports": [7, None, None]}, "reports must be pairs"),
            ({"value": [1.0] * 3, "defaults": 3}, "defaults must be a mapping"),
            ({"value": [1.0] * 3, "defaults": {"nope": 3}}, "'nope'"),
        ],
        ids=str,
    )
    def test_what_is_wrong_adds_nothing(self, arguments, words) -> None:
        study = hpo.Study(self.SPACE, sampler="random", seed=0)
        with pytest.raises((SpaceError, TrialError), match=words):
            study.add(self.COLUMNS, **arguments)
        assert len(study.trials) == 0


class TestSkipIfExists:
    def test_what_waits_or_was_tried_is_skipped(self) -> None:
        study = hpo.Study(
            {"lr": hpo.Float(1e-5, 1e-1, log=True), "n": hpo.Int(1, 4)}, sampler="random", seed=0
        )
        for _ in range(3):
            study.enqueue({"lr": 1e-3, "n": 2}, skip_if_exists=True)
            study.enqueue({"lr": 1e-3}, skip_if_exists=True)
        assert study.ask().params == {"lr": 1e-3, "n": 2}
        assert study.ask().tier == "random"
        study.enqueue({"lr": study.ask()["lr"]}, skip_if_exists=True)
        assert study.ask().tier == "random"
        study.enqueue({"lr": 1e-3, "n": 2})
        assert study.ask().tier == "enqueued"
