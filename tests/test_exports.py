"""What a trial says is what every export gives back: CSV, JSON, Parquet, pandas, and the views in SQL."""

from __future__ import annotations

import ast
import csv
import itertools
import json
import math
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from places import sql
from space.strategies import spaces
from studies import ABOUT, study_with_pauses

import hpo_core as hpo
from hpo_core.exports import REPORT_WRITERS, WRITERS, plain
from hpo_core.space.json import dump_value
from hpo_core.trial.table import ABSENT

pd = pytest.importorskip("pandas")

SOAK = settings().max_examples > 1000
settings_here = settings(
    max_examples=1000 if SOAK else 25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
names = itertools.count()

AWKWARD = [
    None, "", "None", "null",
    "'", "'=1", "=1+1", " =1", "+1", "-1.5", -1.5, "@x", "\t=1", "\n=1", "3", 3, "1e5",
    "nan", "inf", math.inf, True, "True", "[1]", "(1,)", (1, 2.5), ("a", None), "{}", "a,b", 'a"b',
    "größe", 2**70, 0.1,
]  # fmt: skip


def written(study, kind, folder):
    file = folder / f"t.{kind}"
    WRITERS[kind](study, str(file))
    return file


def from_cell(cell):
    """What a cell of a parameter or a note stands for, by the rules that are documented in exports."""
    if cell == "":
        return ABSENT
    if cell.startswith("'"):
        return cell[1:]
    if cell in ("None", "True", "False") or cell.startswith("("):
        return ast.literal_eval(cell)
    if cell.startswith(("[", "{")):
        return json.loads(cell)
    for number in (int, float):
        try:
            return number(cell)
        except ValueError:
            pass
    return cell


def same(one, other):
    return type(one) is type(other) and (one == other or (one != one and other != other))


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


def rows_of_csv(study, folder):
    with written(study, "csv", folder).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for name, cell in row.items():
            if name.startswith(("params_", "notes_")):
                row[name] = from_cell(cell)
    return rows


def rows_of_json(study, folder):
    text = written(study, "json", folder).read_text(encoding="utf-8")
    return json.loads(text, parse_constant=refuse)


def rows_of_view(place, study, more=()):
    columns = [*ABOUT, "params", "notes", *more]
    rows = []
    for row in sql(
        place, f"SELECT {', '.join(columns)} FROM trials WHERE study = '{study.name}' ORDER BY number"
    ):
        found = dict(zip(columns, row, strict=True))
        for name in ("retries", "reports", "params", "notes", "metrics"):  # PostgreSQL has a type for them
            if isinstance(found.get(name), str):
                found[name] = json.loads(found[name], parse_constant=refuse)
        rows.append(found)
    return rows


def split(row, prefix):
    return {name[len(prefix) :]: value for name, value in row.items() if name.startswith(prefix)}


def check_params(study, folder, place):
    """Compare what every export gives back with what the trials say."""
    trials, frame = list(study.trials), study.to_pandas()
    exports = zip(
        rows_of_csv(study, folder), rows_of_json(study, folder), rows_of_view(place, study), strict=True
    )
    for trial, (from_csv, from_json, from_view) in zip(trials, exports, strict=True):
        params = trial.params
        cells = split(from_csv, "params_")
        assert cells.keys() == study.space.parameters.keys()
        cells = {name: value for name, value in cells.items() if value is not ABSENT}
        assert cells.keys() == params.keys()
        assert all(same(cells[name], params[name]) for name in params), (cells, params)
        assert split(from_json, "params_") == plain(params)
        assert from_view["params"] == {name: dump_value(value, name) for name, value in params.items()}
        for name in study.space.parameters:
            value = frame.at[trial.number, f"params_{name}"]
            if name in params:
                value = value.item() if isinstance(value, np.generic) else value
                assert same(value, params[name]), (name, value, params[name])
            else:
                assert value is not None
                assert pd.isna(value)
    check_columns(trials, study.to_dict())


def check_columns(trials, columns):
    """Compare lists with what the trials say of their parameters, types included."""
    for name in trials[0].params.keys() | trials[-1].params.keys() if trials else ():
        for trial, value in zip(trials, columns[f"params_{name}"], strict=True):
            assert same(value, trial.params.get(name)), (name, value)


@settings_here
@given(data=st.data(), space=spaces(max_parameters=6))
def test_params_come_back_from_every_export(tmp_path, data, space):
    place = str(tmp_path / "s.db")
    study = hpo.Study(
        space, sampler="random", seed=data.draw(st.integers(0, 99)), name=f"{next(names)}", storage=place
    )
    try:
        study.ask(data.draw(st.integers(1, 5)))
        study.ask()
    except (hpo.InfeasibleSpaceError, hpo.SpaceExhausted):
        pass
    check_params(study, tmp_path, place)


def test_awkward_choices_come_back_from_every_export(tmp_path, place):
    space = {
        "c": hpo.Categorical(
            {choice: {f"of {k}": (k, None)} for k, choice in enumerate(AWKWARD)}
            | {"owner": {"d": hpo.Categorical(AWKWARD)}, "no one": {"d": hpo.Categorical(AWKWARD)}}
        ),
        "none": None,
        "x": hpo.Float(-2, 2),
    }
    study = hpo.Study(space, sampler="random", seed=0, name="s", storage=place)
    for choice in AWKWARD:
        study.add({"c": choice, "x": -1.5}, 0.1 + 0.2)
        study.add({"c": "owner", "d": choice, "x": 1e-3}, -1e300)
    check_params(study, tmp_path, place)
    assert [row["value"] for row in rows_of_view(place, study)] == study.trials.value.tolist()
    assert [float(row["value"]) for row in rows_of_csv(study, tmp_path)] == study.trials.value.tolist()
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        for cell in itertools.chain.from_iterable(csv.reader(file)):
            try:
                float(cell)
            except ValueError:
                assert not cell.lstrip().startswith(("=", "+", "-", "@"))
                assert not cell.startswith(("\t", "\r", "\n"))


@pytest.fixture
def told(place):
    """Trials in every state, with reports, notes and a retry."""
    space = {"x": hpo.Float(0, 1), "c": hpo.Categorical({None: {"m": hpo.Int(1, 2**48)}, "b": {}})}
    study = hpo.Study(space, sampler="random", seed=0, direction="maximize", name="s", storage=place)
    batch = study.ask(8)
    batch[0].note(n=1, nothing=None, text="=1", deep={"a": [0.1 + 0.2, None]}, **{'"': 0.1})
    batch[0].note(n=2**53 + 1, t=(1, 0.1))
    batch[1].note(n=3, flag=True, real=0.1)
    for step, value in enumerate([0.1 + 0.2, math.nan, -1.0]):
        batch[0].report(step, value)
    batch.report(7, np.arange(8.0))
    study.tell(batch[:2], [0.1 + 0.2, 1e-300])
    study.fail(batch[2], reason="=cmd")
    return study


def test_everything_known_of_a_trial_returns(told, place, tmp_path):
    from_csv, from_json = rows_of_csv(told, tmp_path), rows_of_json(told, tmp_path)
    from_view = rows_of_view(place, told)
    frame = told.to_pandas()
    assert [*frame.reset_index().columns[: len(ABOUT)]] == ABOUT == [*from_csv[0]][: len(ABOUT)]
    assert set(frame.reset_index()) == set(from_csv[0])
    assert set().union(*from_json) == set(from_csv[0])
    for trial, cells, row, seen in zip(told.trials, from_csv, from_json, from_view, strict=True):
        reports = [[step, value if math.isfinite(value) else str(value)] for step, value in trial.reports]
        assert (
            row["reports"]
            == seen["reports"]
            == reports
            == json.loads(cells["reports"], parse_constant=refuse)
        )
        assert split(row, "notes_") == seen_notes(seen) == plain(trial.notes)
        notes = {name: note for name, note in split(cells, "notes_").items() if note is not ABSENT}
        assert notes.keys() == trial.notes.keys()
        assert plain(notes) == plain(trial.notes)
        for name in ("number", "state", "value", "seconds", "tier", "reason", "retries"):
            assert row[name] == seen[name], name
            assert cells[name] in ("", f"'{row[name]}", str(row[name])), name
        assert row["value"] == trial.value
        assert row["started"] == cells["started"]
        started = pd.Timestamp(row["started"])
        assert abs((started - frame.at[trial.number, "started"]).total_seconds()) < 1e-5
        assert abs((started - pd.Timestamp(seen["started"])).total_seconds()) < 1e-3
        assert frame.at[trial.number, "reports"] is not None
    assert from_csv[2]["reason"] == "'=cmd"
    assert from_csv[0]["retries"] == ""


def seen_notes(row):
    return {name: note["hpo_core:tuple"] if name == "t" else note for name, note in row["notes"].items()}


def test_pandas_keeps_ints_and_nones(told):
    frame = told.to_pandas()
    assert frame["params_m"].dtype == "Int64"
    assert frame["notes_n"].dtype == "Int64"
    assert frame["notes_n"][0] == 2**53 + 1
    assert frame["notes_flag"].dtype == "boolean"
    assert frame["notes_nothing"][0] is None
    assert frame["notes_nothing"][1] is pd.NA
    assert frame["notes_real"].dtype == np.float64
    assert frame["notes_deep"][0] == {"a": [0.1 + 0.2, None]}
    assert told.trials[2:].to_pandas().dtypes["params_m"] == "Int64"  # whatever the trials
    assert told.trials[:0].to_pandas()["params_m"].dtype == "Int64"
    every = hpo.Study({"m": hpo.Int(1, 3)}, sampler="random", seed=0)
    every.ask(3)
    assert every.to_pandas()["params_m"].dtype == np.int64


def test_lists_hold_what_the_trials_say(told):
    columns, batch = told.to_dict(), told.trials
    assert [*columns] == [*told.to_pandas().reset_index()]
    assert {*map(len, columns.values())} == {8}
    assert json.loads(json.dumps(columns["started"])) == columns["started"]
    for k, trial in enumerate(batch):
        assert columns["number"][k] == trial.number
        assert columns["state"][k] == trial.state.name.lower()
        assert columns["value"][k] == trial.value
        assert repr(columns["reports"][k]) == repr(trial.reports)
        assert columns["reason"][k] == trial.reason
        assert [columns[f"notes_{name}"][k] for name in trial.notes] == [*trial.notes.values()]
    assert told.trials[[3, 0]].to_dict()["number"] == [3, 0]
    reports = told.to_dict(reports=True)
    assert repr([*map(list, zip(*reports.values(), strict=True))]) == repr(reports_of(told))
    assert {*map(len, told.trials[:0].to_dict().values())} == {0}


def test_polars_has_the_same_columns_as_pandas(told):
    pl = pytest.importorskip("polars")
    frame, lists = told.to_polars(), told.to_dict()
    assert frame.columns == [*lists]
    for name, values in lists.items():
        found = frame[name].to_list()
        if name == "started":
            found = [each and each.isoformat() for each in found]
        elif name == "reports":
            found = [[(report["step"], report["value"]) for report in each] for each in found]
        assert repr(found) == repr(values), name
    types = {
        "number": pl.Int64, "state": pl.String, "value": pl.Float64, "started": pl.Datetime("us", "UTC"),
        "retries": pl.List(pl.String), "params_m": pl.Int64, "params_x": pl.Float64, "notes_n": pl.Int64,
        "notes_flag": pl.Boolean, "notes_real": pl.Float64, "notes_t": pl.Object, "notes_text": pl.String,
        "reports": pl.List(pl.Struct({"step": pl.Int64, "value": pl.Float64})),
    }  # fmt: skip
    assert {name: frame.schema[name] for name in types} == types
    empty = told.trials[:0].to_polars()
    assert len(empty) == 0
    assert empty.schema["reports"] == types["reports"]
    assert empty.schema["params_m"] == pl.Int64
    again = told.trials[[1, 0, 1]].to_polars()
    assert [len(each) for each in again["reports"]] == [1, 4, 1]


def test_parquet_tells_none_from_nothing(told, tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.read_parquet(written(told, "parquet", tmp_path))
    assert frame["params_m"].tolist() == told.to_pandas()["params_m"].tolist()
    assert frame["params_c"].tolist() == [str(trial["c"]) for trial in told.trials]
    assert frame["notes_nothing"][0] == "None"
    assert pd.isna(frame["notes_nothing"][1])
    assert [(each["step"], each["value"]) for each in frame["reports"][1]] == [(7, 1.0)]
    assert frame["value"].tolist()[:2] == [0.1 + 0.2, 1e-300]


def test_reports_and_reasons_of_a_retried_trial(place, tmp_path):
    study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0, name="s", storage=place)
    journal = study._ledger.journal
    study.ask(2)
    again = {"rows": [1], "worker": "w", "reason": "it's gone", "time": 1.8e9}
    with journal.storage.transaction(journal.key):
        journal.storage.append(journal.key, [("retried", json.dumps(again))])
    study.sync()
    for rows in (rows_of_view(place, study), rows_of_json(study, tmp_path)):
        assert [row["retries"] for row in rows] == [[], ["it's gone"]]
        assert pd.Timestamp(rows[1]["started"]) == pd.Timestamp(1.8e9, unit="s", tz="UTC")


@example(steps=[(3, 0.5), (3, -0.0), (1, math.inf)], direction="maximize")
@given(
    steps=st.lists(st.tuples(st.integers(0, 9), st.floats())),
    direction=st.sampled_from(["minimize", "maximize"]),
)
@settings_here
def test_reports_have_the_direction_of_the_study(steps, direction):
    study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0, direction=direction)
    batch = study.ask(3)
    for step, value in steps:
        batch[1].report(step, value)
        batch[2].report(step, value)
    reports = batch[[2, 0, 1]].reports
    assert repr(reports) == repr([batch[2].reports, [], steps])
    assert repr(batch[1].reports) == repr(steps)
    batch[1].reports.clear()
    assert len(batch[1].reports) == len(steps)


METRICS = {
    "latency_ms": hpo.AtMost(5.0),
    "error": hpo.Minimize(reference=2.0),
    'si"ze': hpo.Maximize(known=lambda columns: columns["x"] / 3),
    "share": hpo.AtLeast(0.25),
}


def study_of(place, metrics=METRICS):
    """Trials in every state with those metrics, with reports; some break a bound, others are just inside."""
    study = hpo.Study(
        {"x": hpo.Float(0, 1)}, metrics=metrics, sampler="random", seed=0, name="s", storage=place
    )
    batch = study.ask(8)
    measured = study.metrics.reader.measured
    told = {
        "latency_ms": [5.0, math.nextafter(5.0, 9.0), 1e-300, 0.1 + 0.2, 2.0],
        "error": [0.1 + 0.2, -1e300, 3.0, 1 / 3, 0.0],
        "share": [0.25, 1.0, math.nextafter(0.25, 0.0), 0.5, 2.0],
    }
    batch[0].report(3, dict.fromkeys(measured, math.nan))
    batch[5].report(1, {name: told[name][0] for name in measured})
    study.tell(batch[:4], {name: told[name][:4] for name in measured})
    study.tell(batch[4], {name: told[name][4] for name in measured})
    study.stop_trials(batch[5])
    study.fail(batch[6], reason="oom")
    return study


def test_every_metric_comes_back_from_every_export(place, tmp_path):
    study = study_of(place)
    columns = [f"values_{name}" for name in METRICS]
    about = [*ABOUT[:2], *columns, "feasible", *ABOUT[3:]]
    from_csv, from_json, frame = (
        rows_of_csv(study, tmp_path),
        rows_of_json(study, tmp_path),
        study.to_pandas(),
    )
    assert [*frame.reset_index().columns[: len(about)]] == about == [*from_csv[0]][: len(about)]
    assert all(frame[name].dtype == np.float64 for name in columns)
    assert frame["feasible"].dtype == np.bool_
    assert frame["feasible"].tolist() == [True, False, False, True, True, True, False, False]
    for trial, cells, row, seen in zip(
        study.trials, from_csv, from_json, rows_of_view(place, study, ("metrics", "feasible")), strict=True
    ):
        values = trial.values or {}
        assert seen["value"] is None
        assert seen["metrics"] == values
        for name in METRICS:
            assert row[f"values_{name}"] == values.get(name)
            assert cells[f"values_{name}"] == str(values.get(name, ""))
            seen_by_pandas = frame.at[trial.number, f"values_{name}"]
            assert seen_by_pandas == values[name] if values else math.isnan(seen_by_pandas)
        feasible = bool(frame.at[trial.number, "feasible"])
        assert row["feasible"] == trial.feasible == feasible == bool(seen["feasible"])
        assert cells["feasible"] == str(feasible)
        reports = plain(trial.reports)
        assert row["reports"] == seen["reports"] == reports == json.loads(cells["reports"] or "[]")
    assert from_json[5]["reports"] == [[1, {"latency_ms": 5.0, "error": 0.1 + 0.2, "share": 0.25}]]


def test_parquet_holds_every_metric_and_what_is_wanted_of_it(tmp_path):
    pytest.importorskip("pyarrow")
    study = study_of(str(tmp_path / "s.db"))
    frame = pd.read_parquet(written(study, "parquet", tmp_path))
    for name in METRICS:
        np.testing.assert_array_equal(frame[f"values_{name}"], study.trials.values[name])
    assert frame["feasible"].tolist() == study.trials.feasible.tolist()
    assert frame["reports"][5][0]["value"] == {"latency_ms": 5.0, "error": 0.1 + 0.2, "share": 0.25}
    assert frame.attrs["metrics"] == study.metrics.to_json()


@pytest.mark.parametrize(
    ("metrics", "value"),
    [
        ({"error": hpo.Maximize()}, "error"),
        ({"latency_ms": hpo.AtMost(5.0), "error": hpo.Minimize()}, "error"),
        ({"error": hpo.Minimize(), "latency_ms": hpo.Minimize()}, None),
    ],
)
def test_a_view_has_the_value_of_one_objective(place, metrics, value):
    study = study_of(place, metrics)
    rows = rows_of_view(place, study, ("metrics", "feasible"))
    for trial, row in zip(study.trials, rows, strict=True):
        assert row["metrics"] == (trial.values or {})
        assert row["value"] == (trial.values or {}).get(value)
        assert row["feasible"] == study.trials.feasible[trial.number]


def test_a_view_has_studies_of_every_kind(place):
    study_of(place)
    plain_study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0, name="plain", storage=place)
    plain_study.tell(plain_study.ask(2)[0], 0.1 + 0.2)
    first, second = rows_of_view(place, plain_study, ("metrics", "feasible"))
    assert (first["value"], first["metrics"], first["feasible"]) == (0.1 + 0.2, {"value": 0.1 + 0.2}, True)
    assert (second["value"], second["metrics"], second["feasible"]) == (None, {}, False)


def test_metrics_of_any_name_are_exported(tmp_path):
    names = ["\ud800", "=1+1", "feasible", "two\nlines", "größe"]
    study = hpo.Study({"x": hpo.Float(0, 1)}, metrics=dict.fromkeys(names, hpo.Minimize()), seed=0)
    study.tell(study.ask(2), [[1, 2, 3, 4, 5], [5, 4, 3, 2, 1]])
    assert [row["values_\ud800"] for row in rows_of_json(study, tmp_path)] == [1, 5]
    assert len(study.to_pandas()) == len(rows_of_csv(study, tmp_path)) == 2
    pytest.importorskip("polars")
    assert study.to_polars()["values_\\ud800"].to_list() == study.to_dict()["values_\ud800"] == [1, 5]
    assert len(pd.read_parquet(written(study, "parquet", tmp_path))) == 2


@pytest.mark.parametrize("metrics", [None, METRICS])
def test_paused_trials_are_the_same_in_every_export(metrics, place, tmp_path):
    study = study_with_pauses(metrics=metrics, name="s", storage=place)
    states = [
        "paused",
        "paused",
        "running",
        "stopped",
        "stopped",
        "stopped",
        "complete",
        "running",
        "failed",
        "complete",
    ]
    reasons = [
        "p0 after 1",
        "p1 after 3",
        None,
        "s1 after 3",
        "p0 after 1",
        "s0 after 1",
        None,
        None,
        "oom",
        None,
    ]
    frame = study.to_pandas()
    assert frame["state"].tolist() == states
    assert [trial.reason for trial in study.trials] == reasons
    more = ("metrics", "feasible")
    rows = zip(
        study.trials, rows_of_csv(study, tmp_path), rows_of_json(study, tmp_path),
        rows_of_view(place, study, more), strict=True,
    )  # fmt: skip
    for trial, cells, row, seen in rows:
        values = trial.values or {}
        assert seen["metrics"] == values
        assert bool(seen["feasible"]) == trial.feasible
        for name in ("number", "state", "seconds", "reason", "retries", "reports"):
            assert row[name] == seen[name], name
        assert cells["state"] == row["state"] == trial.state.name.lower()
        assert row["reason"] == trial.reason
        assert (row["seconds"] is None) == (trial.state.name == "RUNNING")
        started = pd.Timestamp(row["started"])
        assert abs((started - pd.Timestamp(seen["started"])).total_seconds()) < 1e-3
        if metrics is None:
            assert row["value"] == seen["value"] == trial.value
        else:
            assert {name: row[f"values_{name}"] for name in METRICS} == {
                name: values.get(name) for name in METRICS
            }
    started = frame["started"]
    assert (started[[1, 2, 9]] > started[0]).all()  # they went on
    assert len(study.trials.where("paused")) == 2


def reports_of(study):
    """Number, step and value of every report, as the trials have them."""
    return [[trial.number, step, value] for trial in study.trials for step, value in trial.reports]


@pytest.mark.parametrize("metrics", [None, METRICS, {"error": hpo.Maximize()}])
def test_reports_come_back_from_every_export(metrics, tmp_path):
    study = hpo.Study({"x": hpo.Float(0, 1)}, metrics=metrics, sampler="random", seed=0)
    if metrics is None:
        study = hpo.Study({"x": hpo.Float(0, 1)}, direction="maximize", sampler="random", seed=0)
    measured = study.metrics.reader.measured
    batch = study.ask(5)
    for step, value in ((0, 0.1 + 0.2), (1, math.nan), (1, -0.0), (7, math.inf), (3, 1e300)):
        for k in (3, 0, 4):
            told = dict.fromkeys(measured, value + k)
            batch[k].report(step, value + k if len(measured) == 1 else told)
    frame = study.to_pandas(reports=True)
    columns = ["value"] if len(study.metrics) == 1 else [f"values_{name}" for name in measured]
    assert [*frame.columns] == ["number", "step", *columns]
    assert [*frame.dtypes] == [np.int64, np.int64] + [np.float64] * len(columns)
    expected = [
        [number, step, *(value.values() if isinstance(value, dict) else [value])]
        for number, step, value in reports_of(study)
    ]
    assert repr(frame.astype(object).to_numpy().tolist()) == repr(expected)
    assert batch[[4, 1, 0]].to_pandas(reports=True)["number"].tolist() == [4] * 5 + [0] * 5
    assert batch[1:3].to_pandas(reports=True).shape == (0, len(frame.columns))
    polars = pytest.importorskip("polars")
    table = study.to_polars(reports=True)
    assert table.columns == [*frame.columns]
    assert repr([list(row) for row in table.rows()]) == repr(expected)
    fields = table.schema["step"], *[polars.Float64] * len(columns)
    assert [field.dtype for field in study.to_polars().schema["reports"].inner.fields] == [*fields]
    for kind, write in REPORT_WRITERS.items():
        if kind == "parquet":
            pytest.importorskip("pyarrow")
        write(study, str(tmp_path / f"r.{kind}"))
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    assert names == [*frame.columns]
    assert repr([[int(row[0]), int(row[1]), *map(float, row[2:])] for row in rows]) == repr(expected)
    rows = json.loads((tmp_path / "r.json").read_text(), parse_constant=refuse)
    assert [[*row.values()] for row in rows] == plain(expected)
    assert [*rows[0]] == names
    stored = pd.read_parquet(tmp_path / "r.parquet")
    pd.testing.assert_frame_equal(stored, frame)
    assert stored.attrs.get("metrics") == (None if metrics is None else study.metrics.to_json())


def test_a_table_of_many_reports_is_made_without_a_loop():
    study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0)
    batch = study.ask(1000)
    for step in range(50):
        batch.report(step, np.arange(1000.0) + step)
    started = time.process_time()
    frame = study.to_pandas(reports=True)
    assert time.process_time() - started < 0.05  # 0.003 s where nothing else runs
    assert frame["number"].tolist() == np.repeat(np.arange(1000), 50).tolist()
    with pytest.raises(hpo.ArgumentError, match="reports must be True or False, got 1"):
        study.to_pandas(reports=1)
