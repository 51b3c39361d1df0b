"""Every tracker keeps the same of the same search; its own tools read it, or a reader of its file format."""

from __future__ import annotations

import functools
import importlib
import json
import math
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import ClassVar, NamedTuple

import objectives
import pytest
from objectives import ODD_METRICS, ODD_NAMES
from waiting import wait_for

import hpo_core as hpo
from hpo_core.executors import Simulated
from hpo_core.log import Move
from hpo_core.printable import printable
from hpo_core.schedulers import Scheduler, Verdict

# MLflow's own, with SQLAlchemy 2.1.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

STUDY = "a study/<b> of 'ours' \x1b[2J"
SPACE = {
    ODD_NAMES["lr"]: hpo.Float(1e-5, 1e-1, log=True),
    ODD_NAMES["width"]: hpo.Int(1, 9),
    ODD_NAMES["kind"]: hpo.Categorical(["<script>alert(1)</script>", "b\x00\ud800\n", None, True]),
    ODD_NAMES["text"]: "const\x1b",
}
METRICS = {ODD_METRICS[0]: hpo.Minimize(), ODD_METRICS[1]: hpo.AtMost(5.0)}


class Run(NamedTuple):
    """What a tracker holds of a trial: parameters as text, curves by metric, how it ended, and other text."""

    params: dict[str, str]
    curves: dict[str, list[tuple[int, float]]]
    status: str
    about: dict[str, str]


@functools.cache
def tables():
    """A database of MLflow without runs: to make its tables takes two seconds."""
    from mlflow import MlflowClient

    file = Path(tempfile.mkdtemp()) / "empty.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


class MLflow:
    statuses: ClassVar = {
        "complete": "FINISHED",
        "stopped": "KILLED",
        "failed": "FAILED",
        "paused": "SCHEDULED",
    }

    def __init__(self, folder):
        from mlflow import MlflowClient

        from hpo_core.integrations.mlflow import _allowed
        from hpo_core.integrations.tracking import unique

        shutil.copy(tables(), folder / "runs.db")
        self.uri = f"sqlite:///{folder}/runs.db"
        self.client = MlflowClient(self.uri)
        self.shown = lambda name: unique([name], _allowed)[name]

    def tracker(self):
        from hpo_core.integrations.mlflow import MLflowTracker

        return MLflowTracker(self.uri)

    def runs(self):
        ids = [each.experiment_id for each in self.client.search_experiments()]
        return self.client.search_runs(ids, max_results=1000)

    def read(self):
        found = {}
        for run in self.runs():
            tags = run.data.tags
            if "hpo_core.trial" in tags:
                curves = {
                    name: sorted(
                        (each.step, each.value)
                        for each in self.client.get_metric_history(run.info.run_id, name)
                    )
                    for name in run.data.metrics
                }
                about = {name: text for name, text in tags.items() if not name.startswith("mlflow.")}
                assert int(tags["hpo_core.trial"]) not in found
                found[int(tags["hpo_core.trial"])] = Run(run.data.params, curves, run.info.status, about)
        return found


class TensorBoard:
    statuses: ClassVar = {
        "complete": "STATUS_SUCCESS",
        "stopped": "STATUS_SUCCESS",
        "failed": "STATUS_FAILURE",
        "paused": "",
    }
    shown = staticmethod(printable)

    def __init__(self, folder):
        self.folder = folder

    def tracker(self):
        from hpo_core.integrations.tensorboard import TensorBoardTracker

        return TensorBoardTracker(self.folder)

    def read(self):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.plugins.hparams import api_pb2, metadata

        found = {}
        for folder in self.folder.glob("*/trial-*"):
            events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
            curves, about = {}, {}
            for tag in events.Tags()["scalars"]:
                curves[tag] = [(each.step, each.value) for each in events.Scalars(tag)]
            for tag in events.Tags()["tensors"]:
                if events.SummaryMetadata(tag).plugin_data.plugin_name == "text":
                    about[tag] = events.Tensors(tag)[-1].tensor_proto.string_val[0].decode()
            content = events.PluginTagToContent("hparams")
            start = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG])
            end = content.get(metadata.SESSION_END_INFO_TAG)
            status = end and api_pb2.Status.Name(metadata.parse_session_end_info_plugin_data(end).status)
            params = {
                name: "" if (kind := value.WhichOneof("kind")) is None else str(getattr(value, kind))
                for name, value in start.hparams.items()
            }
            found[int(folder.name.split("-")[1])] = Run(params, curves, status or "", about)
        return found


class Wandb:
    statuses: ClassVar = {"complete": "0", "stopped": "0", "failed": "1", "paused": "0"}
    shown = staticmethod(printable)

    def __init__(self, folder):
        self.folder = folder

    def tracker(self):
        from hpo_core.integrations.wandb import WandbTracker

        return WandbTracker("tests", dir=str(self.folder), mode="offline")

    def records(self, path):
        """The records of an offline run: blocks of 32 KiB, as LevelDB writes its logs."""
        from wandb.proto import wandb_internal_pb2

        data, at, record = path.read_bytes(), 7, b""
        assert data[:4] == b":W&B"
        while at + 7 <= len(data):
            if 32768 - at % 32768 < 7:
                at += 32768 - at % 32768
                continue
            length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
            if at + 7 + length > len(data):  # not all written yet
                return
            record += data[at + 7 : at + 7 + length]
            at += 7 + length
            if kind in (1, 4):  # whole, or the last part
                message = wandb_internal_pb2.Record()
                message.ParseFromString(record)
                record = b""
                yield message

    def is_finished(self, path):
        return any(record.WhichOneof("record_type") == "exit" for record in self.records(path))

    def read_run(self, path):
        """The number of the trial and what its run holds."""
        number, params, curves, about, status = -1, {}, {}, {}, ""
        for record in self.records(path):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                config = values_of(record.run.config.update)
                number = config.get("trial", number)
                params |= {name: str(value) for name, value in config.get("params", {}).items()}
            elif kind == "history":
                row = values_of(record.history.item)
                for name in row.keys() - {"trial_step"}:
                    if not name.startswith("_"):
                        curves.setdefault(name, []).append((row["trial_step"], float(row[name])))
            elif kind == "summary":
                about |= values_of(record.summary.update)
            elif kind == "exit":
                status = str(record.exit.exit_code)
        return number, Run(params, curves, status, about)

    def read(self):
        found, files = {}, [*self.folder.glob("wandb/offline-run-*/*.wandb")]
        wait_for(lambda: all(map(self.is_finished, files)))  # a process of its own writes them
        for path in sorted(files, key=lambda path: path.stat().st_mtime_ns):
            number, run = self.read_run(path)
            if number in found:  # the trial had paused
                before = found[number].curves
                run = run._replace(curves={name: before[name] + curve for name, curve in run.curves.items()})
            found[number] = run
        return found


def values_of(items):
    return {
        item.nested_key[0] if item.nested_key else item.key: json.loads(item.value_json) for item in items
    }


@pytest.fixture(params=[MLflow, TensorBoard, Wandb], ids=lambda kind: kind.__name__.lower())
def store(request, tmp_path):
    return request.param(tmp_path)


def same(a, b):
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-6)


def assert_tracked(study, store):
    found = store.read()
    assert found.keys() == set(study.trials.number.tolist())
    for trial in study.trials:
        run, state = found[trial.number], trial.state.name.lower()
        assert run.status == store.statuses[state]
        assert run.about["state"] == state
        assert run.about["reason"] == printable(trial.reason or "")
        assert {store.shown(name) for name in trial.params} == set(run.params)
        for name, value in trial.params.items():
            text = run.params[store.shown(name)]
            if isinstance(value, float):
                assert same(float(text), value)
            else:
                assert text in (printable(str(value)), str(float(value)) if isinstance(value, int) else text)
        expected = {}
        for step, value in trial.reports:
            values = value if isinstance(value, dict) else {"value": value}
            for name, each in values.items():
                expected.setdefault(store.shown(name), []).append((step, each))
        if trial.state.name in ("COMPLETE", "STOPPED"):
            for name, each in trial.values.items():
                last = max((step for step, _ in trial.reports), default=0)
                expected.setdefault(store.shown(name), []).append((last, each))
        assert run.curves.keys() == expected.keys()
        for name, curve in expected.items():
            got = run.curves[name]
            assert len(got) == len(curve)
            for (step, value), (at, told) in zip(
                sorted(got, key=order), sorted(curve, key=order), strict=True
            ):
                assert step == at
                assert same(value, told)


def order(point):
    step, value = point
    return step, math.isnan(value), value


def test_a_search_with_odd_names_on_two_workers_is_kept_as_it_was(store):
    study = hpo.Study(SPACE, metrics=METRICS, sampler="random", seed=1, name=STUDY)
    tracker, most = store.tracker(), []

    class Watch(hpo.callbacks.Callback):
        def on_reported(self, study, trial, step, values):
            most.append(len(tracker._runs))

    at_once = Simulated(2, seconds=lambda trial, step: 1.0 + trial.number)
    study.optimize(objectives.tracked, n_trials=6, executor=at_once, callbacks=[tracker, Watch()])
    assert max(most) == 2
    assert not tracker._runs
    assert [state.name for state in map(study.trials[0].state.__class__, study.trials.state)].count(
        "FAILED"
    ) == 1
    assert_tracked(study, store)
    assert all("notes" in "".join(run.about) for run in store.read().values())


class PauseAtOne(Scheduler):
    """Pauses every trial after step 1; the better half goes on at the end."""

    name, pauses = "pause at one", True

    def start(self, *, seed):
        pass

    def decide(self, history, row):
        return Verdict(Move.PAUSE, 0, "all do") if history.last_step(row) == 1 else Verdict()

    def resume(self, history, n):
        value = history.reports.value[history.last_report[history.paused]]
        return history.paused[value < 0.5][:n].tolist()


def test_a_trial_that_pauses_goes_on_in_its_run(store, tmp_path):
    study = hpo.Study(
        {"x": hpo.Float(0, 1)},
        scheduler=PauseAtOne(),
        sampler="random",
        seed=0,
        checkpoints=tmp_path / "kept",
    )
    study.optimize(objectives.training_of_x, n_trials=4, callbacks=[store.tracker()])
    assert {"PAUSED", "COMPLETE"} == {trial.state.name for trial in study.trials}
    assert_tracked(study, store)


def test_ctrl_c_leaves_no_run_open(store):
    study, tracker = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0), store.tracker()

    def objective(trial):
        trial.report(0, trial["x"])
        if trial.number == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return trial["x"]

    with pytest.raises(KeyboardInterrupt):
        study.optimize(objective, n_trials=5, callbacks=[tracker])
    assert not tracker._runs
    assert study.trials[1].reason == "interrupted"
    assert_tracked(study, store)


# MLflow


def test_a_study_that_goes_on_goes_on_in_its_run(tmp_path):
    store = MLflow(tmp_path)

    def search(n):
        with hpo.Study(
            {"x": hpo.Float(0, 1)}, sampler="random", seed=0, name="s", storage=tmp_path / "s.db"
        ) as study:
            study.optimize(lambda trial: trial["x"], n_trials=n, callbacks=[store.tracker()])
            return study.best_value

    search(2)
    best = search(2)
    assert sorted(store.read()) == [0, 1, 2, 3]
    parents = [run for run in store.runs() if "hpo_core.study" in run.data.tags]
    assert len(parents) == 1
    assert parents[0].info.status == "FINISHED"
    assert parents[0].info.run_name == "s"
    assert parents[0].data.metrics == {"best_value": pytest.approx(best)}
    children = [run for run in store.runs() if "hpo_core.trial" in run.data.tags]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parents[0].info.run_id}
    hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0, name="s").optimize(
        lambda trial: trial["x"], n_trials=1, callbacks=[store.tracker()]
    )
    assert sum("hpo_core.study" in run.data.tags for run in store.runs()) == 2  # another study of that name


def test_many_long_parameters_and_notes_fit(tmp_path):
    store = MLflow(tmp_path)
    space = {f"{'p' * 200}{k}": "v" * 9000 if k == 0 else k for k in range(150)} | {"x": hpo.Float(0, 1)}

    def objective(trial):
        trial.note(**{f"note {k}": "n" * 9000 for k in range(150)})
        return trial["x"]

    hpo.Study(space, sampler="random", seed=0).optimize(objective, n_trials=1, callbacks=[store.tracker()])
    run = store.read()[0]
    assert len(run.params) == 151
    assert sum(name.startswith("notes.") for name in run.about) == 150


@pytest.mark.parametrize(
    "name", ["a", "a/b", "/a", "a//b", "..", ".", "../x", "a:b", " ", "ü" * 300, "a\x00", "%"]
)
def test_names_are_ones_that_mlflow_takes(name):
    from mlflow.utils.validation import _validate_metric_name

    from hpo_core.integrations.mlflow import _allowed
    from hpo_core.integrations.tracking import unique

    found = unique([name, "b"], _allowed)
    assert found["b"] == "b"
    _validate_metric_name(found[name])
    assert len(found[name]) <= 250


# TensorBoard


def test_hparams_has_the_columns_and_rows_of_the_study(tmp_path):
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

    store = TensorBoard(tmp_path)
    study = hpo.Study(SPACE, metrics=METRICS, sampler="random", seed=1, name="squares")
    study.optimize(objectives.tracked, n_trials=4, callbacks=[store.tracker()])
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(tmp_path / "squares")).Reload()
    provider = MultiplexerDataProvider(multiplexer, str(tmp_path))
    context, of_request = backend_context.Context(TBContext(data_provider=provider)), RequestContext()
    request = api_pb2.GetExperimentRequest()
    experiment = get_experiment.Handler(of_request, context, "", request).run()
    assert {each.name for each in experiment.hparam_infos} == set(map(printable, study.space.parameters))
    assert [each.name.tag for each in experiment.metric_infos] == [*map(printable, METRICS)]
    every = [api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE]
    rows = list_session_groups.Handler(
        of_request,
        context,
        "",
        api_pb2.ListSessionGroupsRequest(
            allowed_statuses=every,
            col_params=[
                api_pb2.ColParams(metric=each.name, include_in_result=True)
                for each in experiment.metric_infos
            ],
            start_index=0,
            slice_size=9,
        ),
    ).run()
    assert rows.total_size == 4
    values = {
        row.name: {each.name.tag: each.value for each in row.metric_values} for row in rows.session_groups
    }
    assert values["trial 0"][printable(ODD_METRICS[0])] == pytest.approx(study.trials[0]["lr"], rel=1e-6)


# What is refused


@pytest.mark.parametrize(
    ("module", "name", "arguments", "words"),
    [
        ("mlflow", "MLflowTracker", {"experiment": ""}, "experiment must be a name or None, got ''"),
        ("mlflow", "MLflowTracker", {"experiment": 3}, "experiment must be"),
        ("wandb", "WandbTracker", {"project": ""}, "project must be a name, got ''"),
        ("wandb", "WandbTracker", {"group": "g"}, "group must be left out"),
        ("tensorboard", "TensorBoardTracker", {"folder": None}, "folder must be a path, got None"),
    ],
)
def test_wrong_arguments_are_refused(module, name, arguments, words):
    tracker = getattr(importlib.import_module(f"hpo_core.integrations.{module}"), name)
    with pytest.raises(hpo.ArgumentError, match=words):
        tracker(**arguments)
