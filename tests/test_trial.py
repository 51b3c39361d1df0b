"""Trial and TrialBatch as a user holds them."""

from __future__ import annotations

import math
import pickle
import sys

import numpy as np
import pytest
from studies import hashed_study, remote_trial

import hpo_core as hpo
from hpo_core.errors import SpaceError, TrialError
from hpo_core.log import State


@pytest.fixture
def study():
    return hashed_study()


@pytest.fixture
def batch(study):
    return study.ask(40)


def test_a_trial_shows_active_parameters_and_constants(batch):
    for trial in batch:
        sgd = trial["optimizer"] == "sgd"
        assert ("momentum" in trial) == sgd
        assert set(trial.params) == {"lr", "batch", "optimizer", "depth", "epochs"} | (
            {"momentum"} if sgd else set()
        )
        assert all(trial[name] == value for name, value in trial.params.items())
        assert trial["epochs"] == 10
        assert type(trial["lr"]) is float
        assert type(trial["depth"]) is int


def test_inactive_is_not_unknown(batch):
    trial = next(trial for trial in batch if trial["optimizer"] == "adam")
    with pytest.raises(TrialError, match=f"'momentum' is inactive in trial {trial.number}"):
        trial["momentum"]
    with pytest.raises(TrialError, match="'momentun' is not in the space"):
        trial["momentun"]


def test_params_is_a_new_dictionary_each_time(study):
    trial = study.ask()
    trial.params.clear()
    assert trial["epochs"] == 10


def test_columns_agree_with_single_trials(batch):
    for name in ("lr", "batch", "optimizer", "depth", "epochs", "momentum"):
        mask = batch.active(name)
        assert mask.tolist() == [name in trial for trial in batch]
        column = batch[name]
        assert len(column) == len(batch)
        assert [v for v, on in zip(column, mask, strict=True) if on] == [t[name] for t in batch if name in t]
        np.testing.assert_array_equal(batch.params[name], column)


@pytest.mark.parametrize(
    "key",
    [
        slice(3, 30, 4),
        slice(None, None, -1),
        np.arange(40) % 3 == 0,
        [5, 2, 39],
        np.array([7, -1]),
        [],
        [True] * 40,
        np.zeros(40, bool),
    ],
    ids=str,
)
def test_indexing_follows_numpy(batch, key):
    part = batch[key]
    expected = (
        np.arange(40)[np.array(key, int) if key == [] else key]
        if isinstance(key, list)
        else np.arange(40)[key]
    )
    assert part.number.tolist() == expected.tolist()
    np.testing.assert_array_equal(part["lr"], batch["lr"][expected])


def test_an_int_gives_a_trial(study, batch):
    assert batch[3] == study.trials[3]
    assert batch[np.int64(-1)].number == 39
    with pytest.raises(IndexError):
        batch[40]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (np.ones(39, bool), "a mask must have the length of the batch, 40, got 39"),
        (1.5, "got float"),
        (None, "got NoneType"),
        (np.array([0.0, 1.0]), "dtype float64"),
        (np.zeros((2, 2), int), r"shape \(2, 2\)"),
        (True, "got bool"),
    ],
)
def test_what_cannot_index_is_refused(batch, key, message):
    with pytest.raises(TrialError, match=message):
        batch[key]


def test_unknown_columns_are_refused(batch):
    for read in (batch.__getitem__, batch.active):
        with pytest.raises(SpaceError, match="lrr"):
            read("lrr")


def test_handles_are_equal_when_they_mean_the_same_trial(study):
    other = hashed_study()
    trial, foreign = study.ask(), other.ask()
    assert trial == study.trials[0]
    assert hash(trial) == hash(study.trials[0])
    assert trial != foreign
    assert trial != 0
    assert len({trial, study.trials[0], foreign}) == 2


def test_a_pickled_handle_keeps_its_study(study):
    trial = study.ask()
    again, same = pickle.loads(pickle.dumps((study, trial)))
    again.tell(same, 0.5)
    assert same.value == 0.5
    assert trial.value is None


def test_state_value_and_reason_follow_the_study(study, batch):
    study.tell(batch[:2], [1.0, 2.0])
    study.fail(batch[2], reason="oom", traceback="line 7")
    batch[3].report(0, 4.0)
    study.stop_trials(batch[3:5])
    part = batch[:6]
    states = [State.COMPLETE, State.COMPLETE, State.FAILED, State.STOPPED, State.FAILED, State.RUNNING]
    assert part.state.tolist() == states == [trial.state for trial in part]
    np.testing.assert_array_equal(part.value, [1.0, 2.0, np.nan, 4.0, np.nan, np.nan])
    assert [trial.value for trial in part] == [1.0, 2.0, None, 4.0, None, None]
    assert part.reason == [None, None, "oom", None, "stopped without a finite report", None]
    assert part.traceback == [None, None, "line 7", None, None, None]


def test_tier_names_what_chose_the_configuration(study, batch):
    study.enqueue({"lr": 1e-3})
    single, row = study.ask(), {"lr": 1e-2, "batch": 32, "optimizer": "adam", "depth": 1}
    added, repeated = study.add(row, 1.0), study.ask(repeat=3)
    assert [trial.tier for trial in (batch[0], single, added, repeated)] == [
        "hashed", "enqueued", "added", "repeated",
    ]  # fmt: skip
    tier = study.trials.tier
    assert tier.tolist() == [trial.tier for trial in study.trials]
    assert study.trials[tier != "hashed"].number.tolist() == [40, 41, 42]
    assert hashed_study().trials.tier.shape == (0,)


def test_where_filters_by_state(study, batch):
    study.tell(batch[::2], np.ones(20))
    assert study.trials.where("complete").number.tolist() == list(range(0, 40, 2))
    assert study.trials.where(State.RUNNING).number.tolist() == list(range(1, 40, 2))
    for wrong in ("done", 1, None):
        with pytest.raises(TrialError, match="running, complete, stopped, failed"):
            study.trials.where(wrong)


def test_shown_notes_are_copies(study):
    trial = study.ask()
    trial.note(sizes=[3, {"k": [4]}])
    study.note(sizes=[3, {"k": [4]}])
    for notes in (trial.notes, study.trials.notes[0], study.notes):
        notes["sizes"].append(5)
        notes["sizes"][1]["k"].append(5)
    assert trial.notes == study.trials.notes[0] == study.notes == {"sizes": [3, {"k": [4]}]}


def test_notes_are_json_and_private_copies(study):
    trial = study.ask()
    layers = [8, 16]
    trial.note(layers=layers, flops=np.int64(3), curve=np.array([0.5, 0.25]), tag=None)
    layers.append(32)
    trial.note(tag="late")
    assert trial.notes == {"layers": [8, 16], "flops": 3, "curve": [0.5, 0.25], "tag": "late"}
    with pytest.raises(TrialError, match="note 'model' must be a JSON value"):
        trial.note(fine=1, model=object())
    assert "fine" not in trial.notes
    loop = []
    loop.append(loop)
    with pytest.raises(TrialError, match="note 'loop'"):
        trial.note(loop=loop)


def test_batches_are_noted_by_columns(batch):
    part = batch[:3]
    part.note(tag="run 7", size=np.array([1, 2, 3]), path=["a", "b", "c"])
    assert part.notes == [
        {"tag": "run 7", "size": i, "path": p} for i, p in zip((1, 2, 3), "abc", strict=True)
    ]
    with pytest.raises(TrialError, match="note 'size' must hold 3 values, one per trial, got 2"):
        part.note(size=[1, 2])


def test_reports_keep_arrival_order_and_the_users_direction():
    study = hashed_study(direction="maximize")
    batch = study.ask(3)
    batch.report(1, [0.1, 0.2, 0.3])
    batch[1].report(2, 0.5)
    batch[2].report(2, math.nan)
    reports = study.history.reports
    assert reports.row.tolist() == [0, 1, 2, 1, 2]
    assert reports.step.tolist() == [1, 1, 1, 2, 2]
    np.testing.assert_array_equal(-reports.value, [0.1, 0.2, 0.3, 0.5, math.nan])
    study.stop_trials(batch)
    np.testing.assert_array_equal(batch.value, [0.1, 0.5, math.nan])
    assert batch.state.tolist() == [State.STOPPED, State.STOPPED, State.FAILED]
    assert study.history.fidelity.tolist() == [1, 2, -math.inf]


@pytest.mark.parametrize("step", [-1, 1.0, None, True, 2**63, "1"])
def test_a_step_is_a_count(study, step):
    trial = study.ask()
    with pytest.raises(TrialError, match="step must be an int from 0"):
        trial.report(step, 0.5)
    assert len(study.history.reports.row) == 0


def test_a_finished_trial_does_not_change(study):
    batch = study.ask(2)
    trial = batch[0]
    study.tell(trial, 0.5)
    for change in (
        lambda: trial.report(0, 1.0),
        lambda: trial.note(a=1),
        lambda: batch.report(0, [1.0, 1.0]),
        lambda: batch.note(a=1),
    ):
        with pytest.raises(TrialError, match="trial 0 has already finished \\(complete\\)"):
            change()
    assert batch.notes == [{}, {}]


def test_seeds_differ_between_trials_and_studies(study, batch):
    assert batch.seed.tolist() == [trial.seed for trial in batch]
    assert len(set(batch.seed.tolist())) == 40
    assert hashed_study(seed=1).ask().seed != batch[0].seed


def test_nothing_should_stop_without_a_scheduler(study):
    batch = study.ask(3)
    assert batch[0].should_stop() is False
    assert batch.should_stop().tolist() == [False] * 3


def test_to_pandas_masks_inactive_parameters(study):
    pytest.importorskip("pandas")
    batch = study.ask(30)
    study.tell(batch[:20], batch[:20]["lr"])
    batch[20].note(tag="x")
    frame = batch.to_pandas()
    assert frame.index.tolist() == list(range(30))
    assert frame["state"].tolist() == ["complete"] * 20 + ["running"] * 10
    np.testing.assert_array_equal(frame["value"], batch.value)
    assert frame["params_momentum"].isna().tolist() == (~batch.active("momentum")).tolist()
    np.testing.assert_array_equal(frame["params_lr"], batch["lr"])
    assert frame["params_optimizer"].tolist() == list(batch["optimizer"])
    assert frame["tier"].unique().tolist() == ["hashed"]
    assert frame["notes_tag"][20] == "x"
    assert frame["notes_tag"].notna().sum() == 1
    assert (frame["seconds"][:20] >= 0).all()
    assert frame["started"].dt.tz is not None


def test_to_pandas_of_nothing_has_the_columns(study):
    pytest.importorskip("pandas")
    frame = study.to_pandas()
    assert len(frame) == 0
    assert "params_momentum" in frame


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_without_a_library_the_message_names_the_extra(study, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"to_{library} needs {library}: .*hpo-core\[{library}\]"):
        getattr(study, f"to_{library}")()


def test_representations_are_short(study, batch):
    study.tell(batch[0], 0.125)
    assert repr(batch[0]).startswith("Trial(0, complete, value=0.125, params={'lr': ")
    assert repr(batch) == "TrialBatch(40 trials, numbers 0 to 39)"
    assert repr(batch[[0, 3]]) == "TrialBatch(2 trials, numbers between 0 and 3)"
    assert repr(batch[[0, 1, 1, 3]]) == "TrialBatch(4 trials, numbers between 0 and 3)"
    assert repr(batch[[2, 0, 1, 1]]) == "TrialBatch(4 trials, numbers 0 to 2)"
    assert repr(batch[5:6]) == "TrialBatch(1 trial, number 5)"
    assert repr(batch[:0]) == "TrialBatch(0 trials)"


def test_a_note_may_have_any_name():
    study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0)
    for owner in (study, study.ask(), study.ask(2), remote_trial({"x": 1})):
        owner.note(self=1, notes=2)
    assert study.notes == study.trials[0].notes == study.trials[2].notes == {"self": 1, "notes": 2}


@pytest.mark.parametrize("stored", [False, True])
def test_added_results_may_have_notes_and_times(stored):
    where = {"name": "s", "storage": hpo.storage.MemoryStorage()} if stored else {}
    study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0, **where)
    one = study.add({"x": 0.5}, 1.0, notes={"host": "a"}, started=1000.0, seconds=2.5)
    study.add(
        {"x": [0.1, 0.2, 0.3]},
        [1.0, None, None],
        state=["complete", "failed", "stopped"],
        reports=[None, None, {0: 0.5}],
        notes=[None, {"host": "b"}, {}],
        started=[2000.0, 2001.0, 2002.0],
        seconds=[1.0, 0.5, 4.0],
    )
    late = study.add({"x": 0.9}, 2.0, started=3000.0)
    study = hpo.Study.open(where["storage"], "s") if stored else study
    assert study.history.started.tolist() == [1000.0, 2000.0, 2001.0, 2002.0, 3000.0]
    assert study.history.cost.tolist() == [2.5, 1.0, 0.5, 4.0, 0.0]
    assert study.trials.notes == [{"host": "a"}, {}, {"host": "b"}, {}, {}]
    assert [trial.state.name for trial in study.trials] == [
        "COMPLETE", "COMPLETE", "FAILED", "STOPPED", "COMPLETE"
    ]  # fmt: skip
    assert (one.number, late.number) == (0, 4)
