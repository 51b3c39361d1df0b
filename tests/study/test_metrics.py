"""Studies with several objectives, bounds and known formulas: what can be told, and what comes back."""

from __future__ import annotations

import copy
import json
import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from objectives import results, with_reports
from studies import assert_same, fingerprint

import hpo_core as hpo
from hpo_core import AtLeast, AtMost, Maximize, Minimize
from hpo_core.errors import ArgumentError, StudyError, TrialError
from hpo_core.executors import Pool
from hpo_core.metrics import Metrics
from hpo_core.storage import MemoryStorage, open_storage
from hpo_core.study.stored import ReadOnlyStudy

SPACE = {
    "x": hpo.Float(0, 1),
    "width": hpo.Int(1, 100),
    "kind": hpo.Categorical({"plain": {}, "deep": {"depth": hpo.Int(1, 5)}}),
}


def size(columns):
    """Parameters of a network; depth has its default where it is inactive."""
    return 10 * columns["width"] * np.where(columns["kind"] == "deep", columns["depth"], 1)


def metrics():
    """One of each kind, not in the order of the rows."""
    return {
        "latency": AtMost(5.0),
        "error": Minimize(),
        "size": Minimize(known=size),
        "accuracy": Maximize(reference=0.0),
        "share": AtLeast(0.25),
    }


def several(**options):
    return hpo.Study(SPACE, **{"metrics": metrics(), "sampler": "random", "seed": 1} | options)


def expected(trial):
    return results(trial) | {"size": 10.0 * trial["width"] * trial.params.get("depth", 1)}


def test_what_was_told_comes_back_by_name():
    study = several()
    study.optimize(with_reports, n_trials=15)
    for trial in study.trials:
        assert trial.values == expected(trial)
        assert [*trial.values] == [*metrics()]
        steps = [(step, results(trial) | {"error": trial["x"] + 1 / (step + 1)}) for step in range(3)]
        assert trial.reports == steps
    for name, column in study.trials.values.items():
        assert column.tolist() == [trial.values[name] for trial in study.trials]
    width = study.trials["width"]
    np.testing.assert_array_equal(study.trials.feasible, (width <= 50) & (width >= 25))


def test_the_history_is_signed_and_its_rows_are_objectives_first():
    study = several()
    trial = study.ask()
    study.tell(trial, {"error": 0.5, "latency": 6.0, "accuracy": 0.75, "share": 0.2})
    assert study.metrics.rows == ("error", "size", "accuracy", "latency", "share")
    assert study.history.outcomes[:, 0].tolist() == [0.5, trial.values["size"], -0.75, 6.0, -0.2]
    assert study.history.y[:, 0].tolist() == [0.5, trial.values["size"], -0.75]
    assert study.history.violation[:, 0].tolist() == [1.0, 0.25 - 0.2]


@pytest.mark.parametrize(
    "form",
    [
        lambda found: found,
        lambda found: tuple(found.values()),
        lambda found: np.array([*found.values()]),
        lambda found: {name: np.float32(value) for name, value in found.items()},
    ],
    ids=["mapping", "tuple", "array", "numpy numbers"],
)
def test_one_result_has_several_forms(form):
    study = several()
    study.tell(study.ask(), form({"latency": 1.0, "error": 0.5, "accuracy": 0.75, "share": 0.5}))
    assert study.trials[0].values["error"] == 0.5
    assert study.trials[0].values["accuracy"] == 0.75


@pytest.mark.parametrize("form", ["columns", "array", "mappings", "tuples"])
def test_a_batch_has_several_forms(form):
    study, rng = several(), np.random.default_rng(0)
    table = {name: rng.random(6) for name in ("latency", "error", "accuracy", "share")}
    array = np.stack([*table.values()], axis=1)
    rows = [dict(zip(table, row, strict=True)) for row in array.tolist()]
    forms = {"columns": table, "array": array, "mappings": rows, "tuples": [*map(tuple, array.tolist())]}
    study.tell(study.ask(6), forms[form])
    for name, column in table.items():
        np.testing.assert_array_equal(study.trials.values[name], column)


def test_added_columns_hold_none_where_there_is_no_value():
    study = hpo.Study({"x": hpo.Float(0, 1)}, metrics={"f": Minimize(), "g": Minimize()}, sampler="random")
    x = {"x": [0.1, 0.2, 0.3, 0.4]}
    study.add(
        x,
        {"f": [1.0, None, None, None], "g": [2.0, None, None, 5.0]},
        reason=[None, "oom", None, None],
        state=[None, None, "stopped", "failed"],
        reports=[None, None, {1: {"f": 3.0, "g": 4.0}}, None],
    )
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAILED", "STOPPED", "FAILED"]
    assert [trial.values for trial in study.trials[:3]] == [{"f": 1.0, "g": 2.0}, None, {"f": 3.0, "g": 4.0}]
    assert study.trials.reason == [None, "oom", None, "failed"]
    with pytest.raises(TrialError, match="'g': value must be a number for a complete trial, got None"):
        study.add(x, {"f": [1.0] * 4, "g": [2.0, None, 3.0, 4.0]})
    assert len(study.trials) == 4
    one = hpo.Study({"x": hpo.Float(0, 1)}, metrics={"f": Minimize()}, sampler="random")
    one.add({"x": [0.1, 0.2]}, {"f": [1.0, None]}, reason=[None, "oom"])
    assert one.trials.reason == [None, "oom"]


def test_tables_of_pandas_are_read_by_name():
    pd = pytest.importorskip("pandas")
    study = hpo.Study(SPACE, metrics={"a": Minimize(), "b": Minimize()}, sampler="random", seed=0)
    study.optimize(lambda _: pd.Series({"b": 100.0, "a": 1.0}), n_trials=1)
    study.tell(study.ask(2), pd.DataFrame({"b": [3.0, 4.0], "a": [1.0, 2.0]}))
    study.tell(study.ask(2), [np.array([1.0, 3.0]), np.array([2.0, 4.0])])
    study.add({"x": 0.5, "width": 3, "kind": "plain"}, np.array([7.0, 8.0]))
    assert study.trials.values["a"].tolist() == [1.0, 1.0, 2.0, 1.0, 2.0, 7.0]
    assert study.trials.values["b"].tolist() == [100.0, 3.0, 4.0, 3.0, 4.0, 8.0]
    study.tell(study.ask(3)[:0], [])


def test_nothing_is_told_where_all_metrics_are_known(tmp_path):
    known = {"size": Minimize(known=size), "width": Maximize(known=lambda columns: columns["width"])}
    study = hpo.Study(SPACE, metrics=known, sampler="tpe", seed=0)
    trial = study.ask()
    trial.report(1, {})
    study.tell(trial, {})
    study.tell(study.ask(2), {})
    study.optimize(lambda batch: [{}] * len(batch), n_trials=4, batch_size=2, vectorized=True)
    study.optimize(lambda _: (), n_trials=8)
    assert trial.reports == [(1, {})]
    assert (study.trials.values["width"] == study.trials["width"]).all()
    with pytest.raises(TrialError, match="an empty mapping: every metric is known"):
        study.tell(study.ask(), None)
    pytest.importorskip("pandas")
    assert len(study.to_pandas()) == 16


def test_another_formula_on_resuming_is_told(tmp_path, caplog):
    def study(factor):
        known = Minimize(known=lambda columns: factor * columns["width"])
        return several(metrics={"error": Minimize(), "size": known}, storage=str(tmp_path / "s.db"), name="s")

    study(10.0).optimize(lambda trial: trial["x"], n_trials=3)
    study(10.0)
    assert not caplog.records
    study(-1.0)
    assert "known gives" in caplog.text
    assert "'size'" in caplog.text


def test_a_single_measured_metric_is_told_as_a_number():
    study = hpo.Study(SPACE, metrics={"error": Minimize(), "size": Minimize(known=size)}, sampler="random")
    study.tell(study.ask(), 0.5)
    study.tell(study.ask(), {"error": 0.25})
    study.tell(study.ask(2), [0.5, 0.75])
    study.optimize(lambda trial: trial["x"], n_trials=2)
    assert study.trials.values["error"][:4].tolist() == [0.5, 0.25, 0.5, 0.75]
    assert (study.trials.values["size"] > 0).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_trial_fails_if_one_of_its_values_is_not_finite(value):
    study = several()
    study.tell(study.ask(), {"error": 0.5, "latency": value, "accuracy": 1.0, "share": 1.0})
    assert study.trials[0].reason == f"the value of 'latency' told is {value}"
    assert study.trials[0].values is None
    good = {"error": [0.5, 0.25], "latency": [1.0, value], "accuracy": [1.0, value], "share": [1.0, 1.0]}
    study.tell(study.ask(2), good)
    assert [trial.state.name for trial in study.trials] == ["FAILED", "COMPLETE", "FAILED"]
    assert study.trials[2].reason == f"the value of 'latency' told is {value}"


BAD_RESULTS = [
    ({"error": 0.5, "latency": 1.0, "accuracy": 1.0}, "'share' is missing"),
    ({"error": 0.5, "latency": 1.0, "accuracy": 1.0, "share": 1.0, "loss": 2.0}, "got 'loss' as well"),
    ({"error": 0.5, "latency": 1.0, "accuracy": 1.0, "share": 1.0, "size": 2.0}, "'size' must be left out"),
    ({"error": "low", "latency": 1.0, "accuracy": 1.0, "share": 1.0}, "a number for 'error', got 'low'"),
    ((0.5, 1.0, 1.0), "4 numbers in this order, got"),
    ((0.5, 1.0, 1.0, 1.0, 2.0), "4 numbers in this order, got"),
    (0.5, "a mapping with 'latency', 'error', 'accuracy', 'share'"),
    (None, "a mapping with"),
    ("abcd", "a mapping with"),
    ([0.5, 1.0, 1.0, None], "a number for 'share', got None"),
    (np.zeros((2, 2)), "a mapping with"),
]


@pytest.mark.parametrize(("bad", "message"), BAD_RESULTS, ids=str)
def test_a_result_that_cannot_be_told_changes_nothing(bad, message):
    study = several()
    trial = study.ask()
    before = fingerprint(study)
    with pytest.raises(TrialError, match=re.escape(message)):
        study.tell(trial, bad)
    with pytest.raises(TrialError, match=re.escape(message)):
        trial.report(1, bad)
    assert fingerprint(study) == before
    with pytest.raises(TrialError, match=f"the objective must return .*{re.escape(message)}"):
        several().optimize(lambda _: bad, n_trials=1)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            {"error": [0.5, 1.0], "latency": [1.0], "accuracy": [1, 2], "share": [1, 2]},
            "'latency': values must be",
        ),
        ({"error": [0.5, 1.0], "accuracy": [1, 2], "share": [1, 2]}, "'latency' is missing"),
        (np.zeros((3, 4)), r"of shape \(2, 4\), got shape \(3, 4\)"),
        (np.zeros(2), r"of shape \(2, 4\), got shape \(2,\)"),
        ([(1, 2, 3, 4)], "one entry for each of 2 trials, got 1"),
        ([(1, 2, 3, 4), (1, 2, 3)], r"values\[1\] must be a mapping"),
        ([0.5, 1.0], "columns by name"),
        (0.5, "columns by name"),
    ],
    ids=str,
)
def test_a_batch_that_cannot_be_told_changes_nothing(bad, message):
    study = several()
    batch = study.ask(2)
    before = fingerprint(study)
    with pytest.raises(TrialError, match=message):
        study.tell(batch, bad)
    assert fingerprint(study) == before


@pytest.mark.parametrize(
    ("given_metrics", "message"),
    [
        ({}, "must hold an objective"),
        ({"latency": AtMost(1.0)}, "must hold an objective"),
        ({"error": "minimize"}, r"metrics\['error'\] must be Minimize\(\)"),
        ({"error": Minimize}, "got the class"),
        ({1: Minimize()}, "names of 1 to 256 characters, got 1"),
        ({"": Minimize()}, "names of 1 to 256 characters"),
        (["error"], "a mapping of names to metrics"),
        ({f"y{i}": Minimize() for i in range(65)}, "at most 64, got 65"),
    ],
    ids=str,
)
def test_metrics_that_mean_nothing_are_refused(given_metrics, message):
    with pytest.raises(StudyError, match=message):
        hpo.Study(SPACE, metrics=given_metrics)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Minimize(reference=np.nan), "reference must be a finite number or None, got nan"),
        (lambda: Maximize(reference="1"), "reference must be a finite number or None, got '1'"),
        (lambda: Minimize(known=3), "known must be a function of columns or None, got 3"),
        (lambda: AtMost(np.inf), "bound must be a finite number, got inf"),
        (lambda: AtLeast(None), "bound must be a finite number, got None"),
        (lambda: AtMost(1.0, known="f"), "known must be a function of columns or None, got 'f'"),
    ],
)
def test_a_metric_checks_its_arguments(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (lambda columns: columns["width"][:1], "k|known must return 2 finite numbers, one per row"),
        (lambda _: 3.0, "known must return 2 finite numbers"),
        (
            lambda columns: columns["width"] * np.nan,
            "known must return 2 finite numbers, one per row, got nan at",
        ),
        (lambda columns: columns["breadth"], "but it raised KeyError"),
        (lambda columns: columns["kind"], "known must return 2 finite numbers"),
    ],
)
def test_a_known_function_that_does_not_fit_is_noticed_before_the_first_trial(known, message):
    with pytest.raises(StudyError, match=message):
        hpo.Study(SPACE, metrics={"error": Minimize(), "size": Minimize(known=known)})


def test_a_known_function_that_fails_later_starts_no_trial():
    def moody(columns):
        if (columns["width"] > 90).any():
            raise RuntimeError("too wide")
        return columns["width"]

    metrics = {"error": Minimize(), "size": Minimize(known=moody)}
    study = hpo.Study({"width": hpo.Int(1, 100)}, metrics=metrics, sampler="random", seed=0)
    study.enqueue({"width": 95})
    with pytest.raises(StudyError, match=r"metrics\['size'\].* raised RuntimeError"):
        study.ask()
    assert len(study.trials) == 0
    with pytest.raises(StudyError, match="raised RuntimeError"):
        study.add({"width": 99}, 0.5)
    assert len(study.trials) == 0


def test_one_value_is_asked_of_several_objectives():
    study = several()
    study.tell(study.ask(), results(study.trials[0]))
    for what in ("best_trial", "best_value", "best_params", "direction"):
        with pytest.raises(StudyError, match=rf"{what}: the study has 3 objectives .*front\(\)"):
            getattr(study, what)
    with pytest.raises(TrialError, match="values has every metric"):
        study.trials[0].value  # noqa: B018
    with pytest.raises(TrialError, match="values has every metric"):
        study.trials.value  # noqa: B018
    with pytest.raises(StudyError, match="direction must be left out"):
        hpo.Study(SPACE, metrics=metrics(), direction="maximize")


def test_one_objective_with_bounds_has_a_best_trial_that_keeps_them():
    study = hpo.Study(SPACE, metrics={"error": Minimize(), "latency": AtMost(5.0)}, sampler="random", seed=0)
    study.tell(study.ask(2), {"error": [1.0, 2.0], "latency": [9.0, 7.0]})
    assert study.best_trial.number == 1  # violates least
    assert study.best_trials.number.tolist() == [1]
    assert len(study.front()) == 0
    study.tell(study.ask(3), {"error": [4.0, 3.0, 0.5], "latency": [1.0, 5.0, 6.0]})
    assert study.best_trial.number == 3
    assert study.best_value == 3.0
    assert study.front().number.tolist() == study.best_trials.number.tolist() == [3]
    assert study.direction == "minimize"


def dominates(a, b):
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 4), max_size=12))
def test_the_front_is_its_definition(rows):
    metrics = {"a": Minimize(), "b": Maximize(), "c": Minimize(), "bound": AtLeast(1.0)}
    study = hpo.Study(SPACE, metrics=metrics, sampler="random", seed=0)
    for row in rows:
        study.tell(study.ask(), row)
    signed = {k: (a, -b, c) for k, (a, b, c, bound) in enumerate(rows) if bound >= 1}
    front = {k for k, y in signed.items() if not any(dominates(other, y) for other in signed.values())}
    assert set(study.front().number.tolist()) == front
    values = study.front().values["a"]
    assert (np.diff(values) >= 0).all()


def test_the_hypervolume_of_a_front():
    metrics = {"f": Minimize(), "g": Maximize()}
    study = hpo.Study(SPACE, metrics=metrics, sampler="random", seed=0)
    assert study.hypervolume() == 0.0
    study.tell(study.ask(3), {"f": [1.0, 2.0, 3.0], "g": [5.0, 9.0, 7.0]})
    assert study.hypervolume({"f": 4.0, "g": 0.0}) == 3 * 5 + 2 * 4
    # A tenth of the range beyond the worst of the front: f up to 2.1, g down to 4.6.
    assert study.hypervolume() == pytest.approx(1.1 * 0.4 + 0.1 * 4.0)
    given_both = {"f": Minimize(reference=4.0), "g": Maximize(reference=0.0)}
    other = hpo.Study(SPACE, metrics=given_both, sampler="random", seed=0)
    other.tell(other.ask(2), {"f": [1.0, 2.0], "g": [5.0, 9.0]})
    assert other.hypervolume() == 23.0
    with pytest.raises(StudyError, match="reference must be worse than some trial in every objective"):
        other.hypervolume({"f": 0.5})
    with pytest.raises(StudyError, match=r"reference must name objectives \('f', 'g'\), got 'h'"):
        other.hypervolume({"h": 0.5})
    with pytest.raises(StudyError, match=r"reference\['f'\] must be a finite number, got nan"):
        other.hypervolume({"f": np.nan})


def test_a_recommendation_is_the_knee_or_follows_weights():
    metrics = {"f": Minimize(), "g": Minimize(), "bound": AtMost(1.0)}
    study = hpo.Study({"x": hpo.Int(0, 9)}, metrics=metrics, sampler="random", seed=0)
    points = [(0, 100, 0), (1, 20, 0), (5, 5, 0), (10, 0, 0), (0, 0, 2), (9, 90, 0)]
    for x, point in enumerate(points):
        study.add({"x": x}, point)
    assert study.front().params["x"].tolist() == [0, 1, 2, 3]
    assert study.recommend() == {"x": 1}
    assert study.recommend(weights={"f": 1.0}) == {"x": 0}
    assert study.recommend(weights={"f": 1.0, "g": 1.0}) in ({"x": 2}, {"x": 3})
    assert study.recommend(weights={"g": 1}) == {"x": 3}
    for weights, message in [
        ({"f": -1.0}, r"weights\['f'\] must be a finite number >= 0, got -1.0"),
        ({"bound": 1.0}, "weights must name objectives"),
        ({"f": 0.0}, "weights must hold a number > 0"),
        ([1.0, 2.0], "weights must be a mapping of objectives to numbers"),
    ]:
        with pytest.raises(StudyError, match=message):
            study.recommend(weights=weights)


def test_without_a_feasible_trial_the_least_violation_is_best_and_recommended():
    metrics = {"f": Minimize(), "g": Minimize(), "a": AtMost(0.0), "b": AtMost(0.0)}
    study = hpo.Study({"x": hpo.Int(0, 9)}, metrics=metrics, sampler="random", seed=0)
    for x, point in enumerate([(0, 0, 10, 0), (9, 9, 1, 0), (1, 1, 0, 100)]):
        study.add({"x": x}, point)
    assert study.best_trials.number.tolist() == [1]
    assert study.recommend() == {"x": 1}
    assert study.recommend(weights={"f": 1}) == {"x": 1}
    assert len(study.front()) == 0
    assert study.hypervolume() == 0.0


def test_weights_of_one_objective_change_nothing():
    study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="gp", seed=0)
    rng = np.random.default_rng(0)
    study.optimize(lambda trial: trial["x"] ** 2 + 0.3 * rng.normal(), n_trials=25)
    assert study.recommend(weights={"value": 1}) == study.recommend()


def test_a_known_metric_need_not_exist_where_the_space_forbids():
    a, b = hpo.param("a"), hpo.param("b")
    space = hpo.Space({"a": hpo.Float(0, 1), "b": hpo.Float(0, 1)}, forbid=[a <= b])

    def root(columns):
        with np.errstate(invalid="ignore"):
            return np.sqrt(columns["a"] - columns["b"])

    study = hpo.Study(space, metrics={"f": Minimize(), "s": Minimize(known=root)}, sampler="random", seed=0)
    study.optimize(lambda trial: trial["b"], n_trials=20)
    assert np.isfinite(study.trials.values["s"]).all()


def grow(study):
    """Trials in every state, a batch, reports and an added result."""
    study.optimize(with_reports, n_trials=6)
    batch = study.ask(3)
    study.tell(batch[:2], {name: [results(t)[name] for t in batch[:2]] for name in results(batch[0])})
    study.fail(batch[2], reason="oom")
    trial = study.ask()
    trial.report(4, {"error": np.nan, "latency": np.inf, "accuracy": 1.0, "share": 1.0})
    trial.report(5, results(trial))
    study.stop_trials(trial)
    params = {"x": 0.5, "width": 40, "kind": "plain"}
    study.add(params, (4.0, 0.5, 0.75, 0.5), reports={1: (1.0, 2.0, 3.0, 4.0)})
    study.add([params, params], {"error": [1, 2], "latency": [1, 2], "accuracy": [1, 2], "share": [1, 2]})
    study.add([params, params], [(1, 2, 3, 4), None], reason=[None, "oom"])
    study.ask()


def test_a_stored_study_comes_back_as_it_was(place):
    study = several(storage=place, name="s")
    grow(study)
    for again in (
        several(storage=place, name="s"),
        ReadOnlyStudy(open_storage(place), "s"),
        pickle.loads(pickle.dumps(study)),
        copy.deepcopy(study),
    ):
        assert_same(again, study)
        assert str(again.trials.reports) == str(study.trials.reports)  # NaN is not NaN
    assert study.replay()
    assert several(storage=place, name="s").replay()


def test_the_log_holds_the_values_as_they_were_told():
    storage = MemoryStorage()
    study = several(storage=storage, name="s")
    trial = study.ask()
    trial.report(2, {"error": np.nan, "latency": 1.0, "accuracy": 0.75, "share": 0.5})
    study.tell(trial, {"error": 0.1, "latency": 4.1, "accuracy": 0.75, "share": 0.5})
    written = {kind: json.loads(text) for _, kind, text, _ in storage.read(0)}
    size_told = trial.values["size"]
    assert written["told"]["values"] == [[4.1, 0.1, size_told, 0.75, 0.5]]
    assert written["reported"]["values"] == [[1.0, "nan", size_told, 0.75, 0.5]]
    assert written["created"]["metrics"] == [
        {"name": "latency", "kind": "at_most", "bound": 5.0},
        {"name": "error", "kind": "minimize"},
        {"name": "size", "kind": "minimize", "known": True},
        {"name": "accuracy", "kind": "maximize", "reference": 0.0},
        {"name": "share", "kind": "at_least", "bound": 0.25},
    ]
    assert "directions" not in written["created"]


def test_metrics_round_trip_through_json():
    own = Metrics(metrics())
    again = Metrics.from_json(json.loads(json.dumps(own.to_json())))
    assert again.to_json() == own.to_json()
    assert again.rows == own.rows
    with pytest.raises(StudyError, match="no storage keeps functions"):
        again.known_values(hpo.Space(SPACE), np.array([[0.5], [0.5], [0.0], [np.nan]]))


@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"metrics": {"error": Minimize()}}, "metrics"),
        ({"metrics": metrics() | {"latency": AtMost(6.0)}}, "metrics"),
        ({"metrics": metrics() | {"size": Minimize()}}, "metrics"),
        ({"metrics": dict(reversed(metrics().items()))}, "metrics"),
        ({"metrics": None, "direction": "minimize"}, "metrics"),
    ],
)
def test_a_stored_study_keeps_its_metrics(change, argument, tmp_path):
    path = str(tmp_path / "s.db")
    several(storage=path, name="s").ask()
    with pytest.raises(StudyError, match=rf"{argument}: study 's' was created with"):
        several(**{"storage": path, "name": "s"} | change)


def test_a_study_opened_without_its_functions_says_so(tmp_path):
    path = str(tmp_path / "s.db")
    grow(several(storage=path, name="s"))
    with pytest.raises(StudyError, match=r"no storage keeps functions: .*Study\(space, metrics=\.\.\."):
        hpo.Study.open(path, "s")
    unknown = {name: metric for name, metric in metrics().items() if name != "size"}
    hpo.Study(SPACE, metrics=unknown, sampler="random", seed=0, storage=path, name="other").ask()
    assert [*hpo.Study.open(path, "other").metrics] == [*unknown]


def test_replay_of_a_widened_space_knows_the_formula_of_earlier_trials(tmp_path):
    path = str(tmp_path / "s.db")

    default = hpo.Space({"depth": hpo.Int(1, 4)}).default()["depth"]

    def sizes(columns):
        return columns["x"] * default

    first = hpo.Study(
        {"x": hpo.Float(0, 1)}, metrics={"e": Minimize(), "s": Minimize(known=sizes)},
        sampler="gp", seed=0, storage=path, name="s",
    )  # fmt: skip
    first.optimize(lambda trial: (trial["x"] - 0.5) ** 2, n_trials=9)
    first.close()

    def with_depth(columns):
        return columns["x"] * columns["depth"]

    space = {"x": hpo.Float(0, 1), "depth": hpo.Int(1, 4)}
    metrics = {"e": Minimize(), "s": Minimize(known=with_depth)}
    second = hpo.Study(space, metrics=metrics, sampler="gp", seed=0, storage=path, name="s")
    second.optimize(lambda trial: (trial["x"] - 0.5) ** 2, n_trials=3)
    assert second.replay().checked == 12


@pytest.mark.parametrize("executor", [2, "pool"], ids=str)
def test_workers_return_several_values_and_reports(executor):
    from concurrent.futures import ThreadPoolExecutor

    study = several()
    if executor == "pool":
        with ThreadPoolExecutor(2) as threads:
            study.optimize(with_reports, n_trials=8, executor=Pool(threads))
    else:
        study.optimize(with_reports, n_trials=8, executor=executor)
    assert len(study.trials.where("complete")) == 8
    for trial in study.trials:
        assert trial.values == expected(trial)
        assert [value["error"] for _, value in trial.reports] == [trial["x"] + 1 / k for k in (1, 2, 3)]


def test_a_batch_objective_returns_columns():
    def train(batch):
        width = batch["width"]
        batch.report(1, np.stack([width / 10, batch["x"], batch["x"], width / 100], axis=1))
        return {"error": batch["x"], "latency": width / 10, "accuracy": batch["x"], "share": width / 100}

    study = several()
    study.optimize(train, n_trials=12, batch_size=6, vectorized=True)
    np.testing.assert_array_equal(study.trials.values["error"], study.trials["x"])
    assert study.trials[3].reports[0][1]["latency"] == study.trials[3].values["latency"]

    def some(batch):
        found = [*map(results, batch)]
        return [hpo.TrialFailed("oom"), *found[1:-1], hpo.TrialFailed("oom")]

    study.optimize(some, n_trials=6, batch_size=6, vectorized=True)
    assert [trial.state.name for trial in study.trials[12:]] == ["FAILED", *["COMPLETE"] * 4, "FAILED"]
