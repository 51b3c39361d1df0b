"""Paused trials in awkward places: interrupted, outgrown by the space, ended, told other numbers of steps."""

from __future__ import annotations

import logging
import math
from concurrent.futures import ThreadPoolExecutor

import pytest

import hpo_core as hpo
from hpo_core.log import Move, State
from hpo_core.trial.checkpoints import folder_of

SPACE = {"x": hpo.Float(0, 1)}
PROMOTE = hpo.ASHA(mode="promote", factor=2, max_steps=9)


def paused_study(values, **options):
    """A study in which a trial of each value has paused at the first rung."""
    study = hpo.Study(SPACE, scheduler=PROMOTE, sampler="random", seed=0, **options)
    for trial, value in zip(study.ask(len(values)), values, strict=True):
        trial.report(0, value)
        study.tell(trial, value)
    return study


def test_a_promoted_trial_that_was_interrupted_keeps_its_place():
    study = paused_study([0.0, 1.0, 2.0, 3.0])
    assert [study.ask().number, study.ask().number] == [0, 1]
    study._pause_running([0, 1])
    assert study.ask(3).number.tolist() == [0, 1, 4]
    moves = study.history.moves
    promoted = {row for row, kind in zip(moves.row.tolist(), moves.kind.tolist(), strict=True) if kind == 4}
    assert promoted == {0, 1}
    assert study.replay()


def test_the_place_of_an_interrupted_trial_is_not_given_away():
    study = paused_study([1.0, 2.0])
    assert study.ask().number == 0
    study._pause_running([0])
    for value in (0.5, 3.0):  # better than the trial that has the first place
        trial = study.ask(repeat=0)
        trial.report(0, value)
        study.tell(trial, value)
    assert study.ask(2).number.tolist() == [0, 2]
    assert study.replay()


def test_trials_that_were_told_to_leave_do_so_after_ctrl_c():
    study = hpo.Study(SPACE, scheduler=PROMOTE, sampler="random", seed=0)

    def interrupted(trial):
        trial.report(0, math.nan if trial.number == 1 else 0.5)
        if trial.number:
            raise KeyboardInterrupt
        return 0.5

    with pytest.raises(KeyboardInterrupt):
        study.optimize(interrupted, n_trials=2)
    assert study.trials.state.tolist() == [State.PAUSED, State.FAILED]
    assert study.trials[1].reason == "the report of step 0 is nan"


def test_trials_that_the_space_has_outgrown_hold_up_no_others(tmp_path):
    place = {"storage": str(tmp_path / "s.db"), "name": "s"}
    paused_study([0.0, 1.0, 2.0, 3.0], **place).close()
    space = {**SPACE, "y": hpo.Float(0, 1)}
    with hpo.Study(space, scheduler=PROMOTE, sampler="random", seed=0, **place) as study:
        trials = study.ask(4)
        assert trials.number.tolist() == [4, 5, 6, 7]
        assert study.trials[0].state == State.FAILED
        assert study.trials[0].reason == "the space has a parameter that the trial does not have"
        for trial in trials:
            trial.report(0, 0.5)
            study.tell(trial, 0.5)
        assert study.ask().number == 4
        assert study.replay()


def test_a_space_that_runs_out_holds_up_no_paused_trials():
    study = hpo.Study({"x": hpo.Int(0, 17)}, scheduler=PROMOTE, sampler="random", seed=0)

    def train(trial):
        for step in trial.steps(9):
            trial.report(step, trial["x"])
            if trial.should_stop():
                break
        return trial["x"]

    with ThreadPoolExecutor(4) as pool:
        study.optimize(train, n_trials=100, executor=pool)
    assert len(study.trials) == 18
    assert study.scheduler.resume(study.history, 18) == []


def test_the_value_of_a_trial_that_pauses_does_not_matter():
    study = hpo.Study(SPACE, scheduler=PROMOTE, sampler="random", seed=0)
    trial = study.ask()
    trial.report(0, 0.25)
    study.tell(trial, math.nan)
    assert (trial.state, trial.value) == (State.PAUSED, 0.25)


@pytest.mark.parametrize("mode", ["stop", "promote"])
def test_a_trial_that_did_all_steps_of_the_scheduler_is_complete(mode):
    scheduler = hpo.ASHA(mode=mode, max_steps=4)
    study = hpo.Study(SPACE, scheduler=scheduler, sampler="random", seed=0)

    def deaf(trial):
        for step in range(4):
            trial.report(step, trial["x"])
        return trial["x"]

    study.optimize(deaf, n_trials=6)
    assert (study.trials.state == State.COMPLETE).all()


def test_costs_of_trials_that_end_while_paused(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    study = hpo.Study(SPACE, scheduler=PROMOTE, seed=0)
    trial = study.ask()
    now[0] += 3
    trial.report(0, 0.5)
    study.tell(trial, 0.5)
    now[0] += 1000
    study.stop_trials(trial)
    assert study.history.cost.tolist() == [3.0]


@pytest.mark.parametrize("rule", [hpo.Hyperband(), hpo.Hyperband(mode="promote"), hpo.Median(min_trials=1)])
def test_the_first_number_of_steps_counts(rule, caplog):
    study = hpo.Study(SPACE, scheduler=rule, sampler="random", seed=0)

    def train(trial):
        for step in trial.steps(9):
            trial.steps(27 if trial.number % 2 else 3)
            trial.report(step, trial["x"])
            if trial.should_stop():
                break
        return trial["x"]

    def fickle(trial):
        for step in trial.steps(9):
            trial.report(step, trial["x"])
            trial.steps(27 if trial.number % 2 else 3)
            if trial.should_stop():
                break
        return trial["x"]

    for objective in (train, fickle):
        with caplog.at_level(logging.WARNING):
            study.optimize(objective, n_trials=20)
    assert "the first number counts" in caplog.text
    assert set(study.history.planned[20:].tolist()) == {9}
    moves = study.history.moves
    decided = [
        (row, rung)
        for row, kind, rung in zip(moves.row.tolist(), moves.kind.tolist(), moves.rung.tolist(), strict=True)
        if kind <= Move.PAUSE and rung >= 0
    ]
    assert len(set(decided)) == len(decided)
    assert study.replay()


def test_folders_of_studies_stay_apart_and_inside(tmp_path):
    names = ["", "study", ".", "..", "a/b", "a_b", "../../x", "é/ü", "x" * 300, "\ud800"]
    folders = [folder_of(tmp_path, name, 0) for name in names]
    assert len(set(folders)) == len(names)
    for folder in folders:
        assert folder.parent.parent == tmp_path
        assert folder.parent.name not in {".", ".."}
        folder.mkdir(parents=True)


def test_a_folder_without_anything_in_it_is_no_state(tmp_path):
    study = paused_study([0.0, 1.0], checkpoints=tmp_path)
    trial = study.ask()
    assert (trial.number, trial.resumed, [*trial.steps(3)]) == (0, False, [0, 1, 2])
    (trial.folder / "mine.txt").write_text("state")
    assert (trial.resumed, trial.last_step, [*trial.steps(3)]) == (True, 0, [1, 2])
