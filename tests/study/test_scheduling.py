"""Studies with a scheduler: what is decided, recorded, continued, replayed."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import hpo_core as hpo
from hpo_core.log import Move, State
from hpo_core.samplers import RandomSampler, Suggestion
from hpo_core.schedulers import Scheduler, Verdict
from hpo_core.storage import MemoryStorage
from hpo_core.study import stored
from hpo_core.trial import checkpoints

SPACE = {"x": hpo.Float(0, 1)}
COLUMNS = ("state", "decision", "rung", "planned", "continued", "last_report", "spent", "cost", "outcomes")


class StopAt(Scheduler):
    """Stops trials whose value at a step is above a bound."""

    name = "stop at"

    def __init__(self, step=2, bound=0.5):
        self.step, self.bound = step, bound

    def start(self, *, seed):
        pass

    def decide(self, history, row):
        last = history.last_report.item(row)
        above = history.reports.value[..., last].max() > self.bound
        if history.last_step(row) == self.step and above:
            return Verdict(Move.STOP, 0, "it is above the bound")
        return Verdict()


class PauseAt(Scheduler):
    """Pauses every trial at some steps; continues those below a bound, the least first."""

    name = "pause at"
    pauses = True

    def __init__(self, steps=(1, 3), bound=0.5):
        self.steps, self.bound = steps, bound

    def start(self, *, seed):
        pass

    def decide(self, history, row):
        step = history.last_step(row)
        return Verdict(Move.PAUSE, self.steps.index(step), "all do") if step in self.steps else Verdict()

    def resume(self, history, n):
        value = history.reports.value[history.last_report[history.paused]]
        return history.paused[np.argsort(value)][: min(n, np.count_nonzero(value < self.bound))].tolist()


class Training:
    """An objective whose state lives in its checkpoints alone; it notes the steps that it trains."""

    def __init__(self, n_steps=6, save=True):
        self.n_steps, self.save, self.trained = n_steps, save, []

    def __call__(self, trial):
        done = 0
        if trial.checkpoint is not None:
            done = int((trial.checkpoint / "state").read_text())
        assert trial.resumed == (done > 0)
        for step in trial.steps(self.n_steps):
            done += 1
            self.trained.append((trial.number, step))
            assert done == step + 1
            if self.save:
                with trial.save_checkpoint(step) as folder:
                    (folder / "state").write_text(str(done))
            trial.report(step, trial["x"])
            if trial.should_stop():
                break
        return trial["x"]


def same(one, other):
    """Whether two histories are the same, apart from clocks."""
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for a, b in zip((*one.moves, *one.reports), (*other.moves, *other.reports), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one.why, one.reasons, repr(one)) == (other.why, other.reasons, repr(other))
    np.testing.assert_array_equal(one.finish_order, other.finish_order)
    np.testing.assert_array_equal(one.running, other.running)
    np.testing.assert_array_equal(one.paused, other.paused)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_trial_that_is_told_to_stop_is_stopped(direction):
    sign = 1 if direction == "minimize" else -1
    study = hpo.Study(SPACE, scheduler=StopAt(), direction=direction, sampler="random", seed=0)

    def train(trial):
        for step in trial.steps(6):
            trial.report(step, sign * trial["x"])
            if trial.should_stop():
                return sign * (trial["x"] + 1)
        return sign * trial["x"]

    study.optimize(train, n_trials=20)
    for trial in study.trials:
        above = trial["x"] > 0.5
        assert trial.state == (State.STOPPED if above else State.COMPLETE)
        assert [step for step, _ in trial.reports] == [*range(3 if above else 6)]
        assert trial.value == sign * (trial["x"] + above)  # what it returned, not its last report
        assert trial.reason == ("it is above the bound" if above else None)
    assert study.best_trial.state == State.COMPLETE
    assert study.replay()


def test_a_trial_that_did_all_its_steps_is_complete():
    study = hpo.Study(SPACE, scheduler=StopAt(bound=-1.0), sampler="random", seed=0)

    def deaf(trial):
        for step in trial.steps(4):
            trial.report(step, trial["x"])
        return trial["x"]

    study.optimize(deaf, n_trials=3)
    assert (study.trials.state == State.COMPLETE).all()
    assert len(study.history.moves.row) == 3


def test_raising_is_a_way_out():
    study = hpo.Study(SPACE, scheduler=PauseAt(bound=-1.0), sampler="random", seed=0)

    def train(trial):
        for step in trial.steps(4):
            trial.report(step, trial["x"])
            if trial.should_stop():
                raise hpo.TrialStopped
        return 0.0

    study.optimize(train, n_trials=3)
    assert (study.trials.state == State.PAUSED).all()
    assert study.trials.value.tolist() == study.trials["x"].tolist()
    study.stop_trials(study.trials[0])
    study.fail(study.trials[1], reason="not worth it")
    assert [trial.state.name for trial in study.trials] == ["STOPPED", "FAILED", "PAUSED"]
    with pytest.raises(hpo.TrialError, match="trial 2 is paused"):
        study.tell(study.trials[2], 0.5)
    assert study.trials.where("paused").number.tolist() == [2]


@pytest.mark.parametrize("place", ["memory", "stored"])
def test_paused_trials_go_on_from_their_checkpoints(place, tmp_path):
    kept = {"storage": MemoryStorage(), "name": "s"} if place == "stored" else {}
    study = hpo.Study(
        SPACE, scheduler=PauseAt(), sampler="random", seed=0, checkpoints=tmp_path / "kept", **kept
    )
    train, paused = Training(), []
    study.optimize(train, n_trials=12, callbacks=[lambda _, trial: paused.append(trial.state)])
    x = study.trials["x"]
    assert len(set(train.trained)) == len(train.trained)
    np.testing.assert_array_equal(study.trials.state, np.where(x < 0.5, State.COMPLETE, State.PAUSED))
    assert [len(trial.reports) for trial in study.trials] == np.where(x < 0.5, 6, 2).tolist()
    assert State.PAUSED not in paused
    folders = {path.name for path in (tmp_path / "kept" / (study.name or "study")).iterdir()}
    assert folders == {f"trial-{k}" for k in np.flatnonzero(x >= 0.5)}
    assert study.replay()
    if place == "stored":
        again = hpo.Study.open(kept["storage"], "s", scheduler=PauseAt())
        same(again.history, study.history)
        assert again.replay()
    same(pickle.loads(pickle.dumps(study)).history, study.history)


def test_without_checkpoints_a_trial_trains_again_and_says_so_once(caplog):
    study = hpo.Study(SPACE, scheduler=PauseAt(), sampler="random", seed=0)
    with caplog.at_level(logging.WARNING):
        study.optimize(Training(save=False), n_trials=12)
    assert sum("report is dropped" in record.message for record in caplog.records) == 1
    for trial in study.trials.where("complete"):
        assert [step for step, _ in trial.reports] == [*range(6)]


@pytest.mark.parametrize(("scheduler", "reports"), [("asha", True), ("asha", False), (None, False)])
def test_only_a_scheduler_that_heard_no_report_says_so(scheduler, reports, caplog):
    def train(trial):
        if reports:
            trial.report(0, 1.0)
        return 1.0

    hpo.Study(SPACE, sampler="random", scheduler=scheduler, seed=0).optimize(train, n_trials=3)
    expected = scheduler is not None and not reports
    assert ("no trial has reported: call trial.report" in caplog.text) == expected


def test_a_scheduler_misses_no_report_of_trials_that_failed_before_it(caplog):
    study = hpo.Study(SPACE, sampler="random", scheduler="asha", seed=0)
    study.optimize(lambda trial: 1 / 0, n_trials=3, catch=ZeroDivisionError)
    assert "no trial has reported" not in caplog.text


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_report_that_is_not_finite_fails_the_trial(wrong):
    study = hpo.Study(SPACE, scheduler=StopAt(), direction="maximize", sampler="random", seed=0)

    def train(trial):
        for step in trial.steps(6):
            trial.report(step, wrong if step == 1 else 0.5)
            if trial.should_stop():
                return 0.25
        return 1.0

    study.optimize(train, n_trials=1)
    trial = study.trials[0]
    assert (trial.state, trial.reason) == (State.FAILED, f"the report of step 1 is {wrong}")
    assert len(trial.reports) == 2
    assert study.replay()


@pytest.mark.parametrize("executor", [None, ThreadPoolExecutor])
def test_a_plain_return_is_a_way_out(executor):
    study = hpo.Study(SPACE, scheduler=StopAt(), sampler="random", seed=0)

    def train(trial):
        for step in trial.steps(6):
            trial.report(step, trial["x"])
            if trial.should_stop():
                return None
        return trial["x"]

    with contextlib.ExitStack() as stack:
        pool = None if executor is None else stack.enter_context(executor(2))
        study.optimize(train, n_trials=12, executor=pool)
    above = study.trials["x"] > 0.5
    np.testing.assert_array_equal(study.trials.state, np.where(above, State.STOPPED, State.COMPLETE))
    assert study.trials.value.tolist() == study.trials["x"].tolist()


def test_a_later_call_continues_what_an_earlier_one_left(tmp_path):
    study = hpo.Study(SPACE, scheduler=PauseAt(), sampler="random", seed=0, checkpoints=tmp_path)

    def leave(study, trial):
        study.stop()

    study.optimize(Training(), n_trials=50, callbacks=[leave])
    before = study.history.count(State.PAUSED)
    assert before > 0
    study.optimize(Training(), n_trials=1)
    assert study.history.count(State.COMPLETE) > 1
    assert not study.scheduler.resume(study.history, 1)


def test_until_counts_paused_trials():
    study = hpo.Study(SPACE, scheduler=PauseAt(bound=-1.0), sampler="random", seed=0)
    study.optimize(Training(save=False), until=7)
    assert len(study.trials) == study.history.count(State.PAUSED) == 7
    study.optimize(Training(save=False), until=7)
    assert len(study.trials) == 7


def test_interrupting_a_trial_that_went_on_pauses_it_again(tmp_path):
    study = hpo.Study(SPACE, scheduler=PauseAt(steps=(1,)), sampler="random", seed=0, checkpoints=tmp_path)
    train = Training()

    def interrupted(trial):
        if trial.resumed:
            raise KeyboardInterrupt
        return train(trial)

    with pytest.raises(KeyboardInterrupt):
        study.optimize(interrupted, n_trials=30)
    assert study.history.count(State.FAILED) == 0
    study.optimize(train, n_trials=1)
    assert len(set(train.trained)) == len(train.trained)
    assert study.replay()


def test_asking_by_hand(tmp_path):
    study = hpo.Study(SPACE, scheduler=PauseAt(steps=(0,), bound=2.0), seed=0, checkpoints=tmp_path)
    trial = study.ask()
    assert (trial.resumed, trial.last_step, trial.checkpoint) == (False, None, None)
    trial.report(0, 0.3)
    assert trial.should_stop()
    assert trial.state == State.RUNNING
    (trial.folder / "state").write_text("of my own")
    study.tell(trial, 0.3)
    assert (trial.state, trial.value, trial.reason) == (State.PAUSED, 0.3, "all do")
    again = study.ask()
    assert again == trial
    assert (again.state, again.resumed, again.last_step) == (State.RUNNING, True, 0)
    assert [*again.steps(3)] == [1, 2]
    study.tell(again, 0.1)
    assert (again.state, again.value) == (State.COMPLETE, 0.1)


def test_costs_leave_pauses_out(monkeypatch, tmp_path):
    now = [100.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    study = hpo.Study(SPACE, scheduler=PauseAt(steps=(0,), bound=2.0), seed=0, checkpoints=tmp_path)
    trial = study.ask()
    now[0] += 3
    trial.report(0, 0.5)
    study.tell(trial, 0.5)
    now[0] += 1000
    study.ask()
    now[0] += 4
    study.tell(trial, 0.5)
    assert study.history.cost.tolist() == [7.0]


def test_batches(tmp_path):
    study = hpo.Study(SPACE, scheduler=StopAt(step=1), sampler="random", seed=0)

    def train(batch):
        values, alive = np.full(len(batch), np.nan), np.arange(len(batch))
        for step in batch.steps(4):
            values[alive] = batch["x"][alive]
            batch[alive].report(step, values[alive])
            alive = alive[~batch[alive].should_stop()]
        return values

    study.optimize(train, n_trials=16, batch_size=8, vectorized=True)
    above = study.trials["x"] > 0.5
    np.testing.assert_array_equal(study.trials.state, np.where(above, State.STOPPED, State.COMPLETE))
    assert [len(trial.reports) for trial in study.trials] == np.where(above, 2, 4).tolist()
    assert study.replay()


def test_several_metrics_are_decided_together():
    metrics = {"error": hpo.Minimize(), "size": hpo.AtMost(3.0)}
    study = hpo.Study(SPACE, metrics=metrics, scheduler=StopAt(bound=2.5), sampler="random", seed=0)

    def train(trial):
        told = {"error": trial["x"], "size": 2.0 + trial["x"]}
        for step in trial.steps(4):
            trial.report(step, told)
            if trial.should_stop():
                break
        return told

    study.optimize(train, n_trials=12)
    stopped = study.trials["x"] > 0.5
    np.testing.assert_array_equal(study.trials.state == State.STOPPED, stopped)
    assert study.replay()


@pytest.mark.parametrize("where", ["memory", "sqlite"])
def test_a_change_that_breaks_off_leaves_nothing(where, tmp_path):
    kept = {"storage": tmp_path / "s.db", "name": "s"} if where == "sqlite" else {}
    study = hpo.Study(SPACE, scheduler=PauseAt(), sampler="random", seed=0, checkpoints=tmp_path, **kept)
    study.optimize(Training(), n_trials=8)
    trial = study.ask()
    trial.report(0, 0.9)
    before = pickle.dumps(study.history)
    ledger, rows = study._ledger, np.array([trial.number])
    paused = study.trials.where("paused")

    def broken():
        study._recorder.reported(rows, 1, np.array([[0.9]]), 6)
        study._recorder.ended_early(rows)
        study._asking._resume([paused[0].number], "w", study.history.position)
        study._recorder.failed(np.array([paused[1].number]), "gone")
        study._recorder.failed(np.array([paused[0].number]), "gone")
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        ledger.transact(broken)
    assert pickle.dumps(study.history) == before
    trial.report(1, 0.9)
    assert trial.should_stop()
    study.tell(trial, 0.9)
    assert trial.state == State.PAUSED
    assert study.replay()


def test_a_log_is_the_same_read_at_once_or_event_by_event(tmp_path):
    storage = MemoryStorage()
    study = hpo.Study(
        SPACE, scheduler=PauseAt(), sampler="random", seed=3, checkpoints=tmp_path, storage=storage, name="s"
    )
    study.optimize(Training(), n_trials=20)
    study.fail(study.trials.where("paused")[:2], reason="enough")
    study.ask()
    whole = stored.ReadOnlyStudy(storage, "s")
    same(whole.history, study.history)
    events = [record[1] for record in storage.read(0)]
    assert {"decided", "paused", "resumed", "reported"} <= set(events)
    data = json.loads(next(record[2] for record in storage.read(0) if record[1] == "reported"))
    assert data["steps"] == 6


def test_a_stored_study_keeps_its_scheduler(tmp_path):
    path = tmp_path / "s.db"
    hpo.Study(SPACE, scheduler=hpo.ASHA(factor=4), storage=path, name="s", seed=0)
    assert hpo.Study.open(path, "s").scheduler.options()["factor"] == 4
    assert hpo.Study(SPACE, scheduler=hpo.ASHA(factor=4), storage=path, name="s").seed == 0
    with pytest.raises(hpo.StudyError, match="scheduler: study 's' was created with"):
        hpo.Study(SPACE, storage=path, name="s")
    hpo.Study(SPACE, scheduler=StopAt(), storage=path, name="mine")
    with pytest.raises(hpo.StudyError, match="scheduler 'stop at' is not one of hpo_core's"):
        hpo.Study.open(path, "mine")
    assert hpo.Study.open(path, "mine", scheduler=StopAt()).scheduler.name == "stop at"


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ({"scheduler": "ahsa"}, "scheduler must be .*got 'ahsa'; did you mean 'asha'"),
        ({"scheduler": hpo.ASHA}, r"scheduler must be an instance, ASHA\(\)"),
        ({"scheduler": 3}, "scheduler must be"),
        ({"checkpoints": 3}, "checkpoints must be a path or None, got 3"),
        ({"keep_checkpoints": "yes"}, "keep_checkpoints must be"),
    ],
)
def test_a_wrong_argument_is_named(argument, words):
    with pytest.raises(hpo.HpoError, match=words):
        hpo.Study(SPACE, **argument)


def test_a_decision_that_replay_does_not_derive_is_named():
    study = hpo.Study(SPACE, scheduler=StopAt(), sampler="random", seed=0)
    study.optimize(Training(save=False), n_trials=12)
    assert study.replay()
    study.scheduler.bound = 0.9
    found = study.replay()
    assert not found
    assert "decided was" in str(found)


def test_reports_from_elsewhere_decide_nothing():
    study = hpo.Study(SPACE, scheduler=StopAt(), sampler="random", seed=0)
    study.add({"x": 0.9}, 0.9, reports=dict.fromkeys(range(6), 0.9))
    assert not len(study.history.moves.row)
    assert study.trials[0].state == State.COMPLETE
    assert study.replay()


def test_checkpoints_appear_whole_or_not_at_all(tmp_path):
    study = hpo.Study(SPACE, checkpoints=tmp_path, seed=0)
    trial = study.ask()
    with trial.save_checkpoint(3) as folder:
        (folder / "a").write_text("3")
    with pytest.raises(ZeroDivisionError), trial.save_checkpoint(4) as folder:
        (folder / "a").write_text(str(1 // 0))
    assert [path.name for path in trial.folder.iterdir()] == ["step-000000003"]
    with trial.save_checkpoint(3) as folder:
        (folder / "a").write_text("again")
    assert (trial.folder / "step-000000003" / "a").read_text() == "again"
    assert trial.checkpoint is None  # of no earlier run
    with pytest.raises(hpo.TrialError, match="step must be"):
        trial.save_checkpoint(-1)
    study.tell(trial, 1.0)
    assert not (tmp_path / "study" / "trial-0").exists()
    kept = hpo.Study(SPACE, checkpoints=tmp_path, keep_checkpoints=True, seed=0)
    trial = kept.ask()
    with trial.save_checkpoint(0):
        pass
    kept.tell(trial, 1.0)
    assert (tmp_path / "study" / "trial-0" / "step-000000000").exists()


def test_a_worker_that_was_given_up_leaves_newer_checkpoints_alone(tmp_path, monkeypatch):
    study = hpo.Study(SPACE, checkpoints=tmp_path, seed=0)
    trial = study.ask()
    with trial.save_checkpoint(0):
        for step in (0, 1, 2):
            with trial.save_checkpoint(step) as folder:
                (folder / "state").write_text(str(step))
    assert {path.name for path in trial.folder.iterdir()} == {"step-000000000", "step-000000002"}
    killed = trial.save_checkpoint(3)
    killed.__enter__()
    with trial.save_checkpoint(3):
        pass
    assert len([*trial.folder.glob("partial-*")]) == 1
    monkeypatch.setattr(checkpoints, "ABANDONED_SECONDS", -1.0)
    with trial.save_checkpoint(4):
        pass
    assert [path.name for path in trial.folder.iterdir()] == ["step-000000004"]


def test_no_folder_without_checkpoints():
    trial = hpo.Study(SPACE, seed=0).ask()
    assert trial.folder is None
    with pytest.raises(hpo.TrialError, match="checkpoints"):
        trial.save_checkpoint(0)
    for wrong in (0, 1.5, "9"):
        with pytest.raises(hpo.TrialError, match="n must be"):
            trial.steps(wrong)


@pytest.mark.parametrize("others", [0, 1])
def test_a_report_about_a_trial_that_was_ended_elsewhere_is_set_aside(others, caplog):
    kept = {"scheduler": "asha", "sampler": "random", "seed": 0, "storage": MemoryStorage(), "name": "s"}
    slow, fast = hpo.Study(SPACE, **kept), hpo.Study(SPACE, **kept)
    trial = slow.ask()
    for other in slow.ask(2)[:others]:
        other.report(0, 0.1)
    fast.fail(fast.trials[0], reason="gone")
    trial.report(0, 0.5)
    assert "was already finished elsewhere" in caplog.text
    assert (trial.reports, trial.reason, trial.should_stop()) == ([], "gone", True)
    assert slow.replay()


def test_a_value_that_is_not_finite_says_so_though_something_else_was_decided_before():
    study = hpo.Study(SPACE, scheduler=StopAt(step=0, bound=-1.0), sampler="random", seed=0)
    trial = study.ask()
    trial.report(0, 0.5)
    trial.report(1, math.nan)
    study.tell(trial, 0.5)
    assert (trial.state, trial.reason) == (State.FAILED, "the report of step 1 is nan")


def test_paused_trials_go_on_after_a_space_is_exhausted():
    study = hpo.Study({"x": hpo.Int(0, 1)}, scheduler=PauseAt(bound=9.0), sampler="random", seed=0)

    def train(trial):
        time.sleep(0.1)  # the third worker finds nothing: no new configuration, and no paused trial yet
        for step in trial.steps(6):
            trial.report(step, float(trial["x"]))
            if trial.should_stop():
                break
        return float(trial["x"])

    with ThreadPoolExecutor(3) as pool:
        study.optimize(train, n_trials=50, executor=pool)
    assert study.trials.state.tolist() == [State.COMPLETE] * 2


def test_an_interrupted_trial_goes_on_once_and_takes_one_place():
    study = hpo.Study(SPACE, scheduler=hpo.ASHA(mode="promote", max_steps=9), sampler="random", seed=0)
    for value in (5.0, 0.0, 1.0, 2.0, 3.0, 4.0):
        trial = study.ask()
        trial.report(0, value)
        study.tell(trial, value)
        if len(study.trials) == 3:
            first = study.ask()
            assert first.number == 1
    study._pause_running(first)
    assert study.ask(2).number.tolist() == [1, 2]  # the best two of six
    study._pause_running(study.trials.where("running"))
    assert study.scheduler.resume(study.history, 4) == [1, 2]
    assert study.replay()


def test_a_trial_that_lacks_a_parameter_fails_where_the_scheduler_would_let_it_go_on(tmp_path):
    kept = {"scheduler": PauseAt(bound=9.0), "sampler": "random", "storage": tmp_path / "s.db", "name": "s"}
    study = hpo.Study(SPACE, seed=0, **kept)
    for trial in study.ask(2):
        for step in (0, 1):
            trial.report(step, 0.1)
        study.tell(trial, 0.1)
    wider = hpo.Study(SPACE | {"y": hpo.Float(0, 1)}, **kept)
    assert wider.ask().number == 2
    assert wider.trials[0].reason == "the space has a parameter that the trial does not have"
    assert wider.trials.state.tolist() == [State.FAILED, State.FAILED, State.RUNNING]
    assert wider.replay()


def test_each_trial_of_a_batch_may_plan_other_steps():
    study = hpo.Study(SPACE, scheduler=StopAt(), sampler="random", seed=0)
    batch = study.ask(3)
    for trial, steps in zip(batch, (4, 9, 4), strict=True):
        trial.steps(steps)
    batch.report(0, [0.1, 0.2, 0.3])
    assert study.history.planned.tolist() == [4, 9, 4]
    assert study.replay()


def test_a_plan_is_kept_if_a_report_is_refused():
    study = hpo.Study(SPACE, scheduler=StopAt(), sampler="random", seed=0)
    trial = study.ask()
    trial.steps(4)
    with pytest.raises(hpo.TrialError, match="step must be"):
        trial.report(-1, 0.5)
    trial.report(0, 0.5)
    assert study.history.planned.tolist() == [4]


def test_what_a_sampler_lets_go_on_is_checked():
    class Wrong(RandomSampler):
        name = "wrong"
        continues = True

        def ask(self, history, first, n):
            return Suggestion(np.empty((1, 0)), "wrong", resume=0)

    study = hpo.Study(SPACE, sampler=Wrong(), seed=0)
    with pytest.raises(hpo.StudyError, match=r"sampler 'wrong': resume must be -1, or .*, got 0"):
        study.ask()


def test_studies_of_different_names_have_different_folders(tmp_path):
    names = ["", "a b", "a_b", "a/b", "..", ".", "x" * 300, "x" * 301]
    folders = {hpo.Study(SPACE, name=name, checkpoints=tmp_path, seed=0).ask().folder for name in names}
    assert len(folders) == len(names)
    assert {folder.resolve().parent.parent for folder in folders} == {tmp_path.resolve()}
