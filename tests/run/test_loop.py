from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import objectives
import pytest
from hypothesis import given
from hypothesis import strategies as st
from studies import make_study, states

import hpo_core as hpo
from hpo_core.errors import (
    ArgumentError,
    InfeasibleSpaceError,
    TrialError,
    TrialFailed,
    TrialStopped,
)
from hpo_core.log import State

COMPLETE, STOPPED, FAILED = State.COMPLETE, State.STOPPED, State.FAILED


def make_finite_study(size=6, **options):
    return hpo.Study({"k": hpo.Int(1, size)}, sampler="random", seed=3, **options)


# Limits


def test_n_trials_counts_what_the_call_finishes():
    study = make_study()
    study.optimize(objectives.parabola, n_trials=4)
    study.optimize(objectives.parabola, n_trials=3)
    assert states(study) == [COMPLETE] * 7
    np.testing.assert_array_equal(study.trials.value, (study.trials["x"] - 1.0) ** 2)


def test_until_counts_what_the_study_holds_finished():
    study = make_study()
    study.add({"x": 0.5}, 1.0)
    study.fail(study.ask(2), reason="by hand")
    study.ask()  # runs elsewhere
    study.optimize(objectives.parabola, until=8)
    assert study.n_finished == 8
    study.optimize(objectives.parabola, until=8)
    study.optimize(objectives.parabola, until=3)
    assert study.n_finished == 8
    assert len(study.trials) == 9
    study.optimize(objectives.slow, until=11, n_jobs=2)
    assert study.n_finished == 11


@pytest.mark.parametrize(("limits", "expected"), [({"n_trials": 5, "until": 3}, 3), ({"n_trials": 0}, 0)])
def test_the_tightest_limit_holds(limits, expected):
    study = make_study()
    study.optimize(objectives.parabola, timeout=60, **limits)
    assert study.n_finished == expected


def test_after_the_timeout_nothing_starts_and_what_runs_is_awaited():
    study = make_study()
    study.optimize(objectives.slow, timeout=0.3)
    assert len(study.trials) >= 1
    assert set(states(study)) == {COMPLETE}
    study = make_study()
    study.optimize(objectives.slow, timeout=0)
    assert len(study.trials) == 0


@pytest.mark.parametrize("limits", [{}, {"n_trials": 50}])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_finite_space_ends_the_call_when_it_is_used_up(limits, n_jobs):
    study = make_finite_study(size=6)
    study.optimize(objectives.index, n_jobs=n_jobs, **limits)
    assert sorted(study.trials["k"]) == [1, 2, 3, 4, 5, 6]
    assert states(study) == [COMPLETE] * 6


@pytest.mark.parametrize("study", [make_study(), make_finite_study(allow_duplicates=True)])
def test_a_space_without_end_needs_a_limit(study):
    with pytest.raises(ArgumentError, match="n_trials, until or timeout"):
        study.optimize(objectives.parabola)


# How trials end

Ending = st.one_of(
    st.floats(-5, 5),
    st.sampled_from([float("nan"), float("inf"), -float("inf"), np.float32(2), 3, np.array(4.0)]),
    st.sampled_from([TrialFailed("oom"), TrialStopped(), ZeroDivisionError("caught")]),
)


def ended_as(ending, report):
    """What the study is expected to say of one trial: state, value, reason."""
    if isinstance(ending, TrialStopped):
        return (
            (STOPPED, report, None)
            if report is not None
            else (FAILED, None, "stopped without a finite report")
        )
    if isinstance(ending, TrialFailed):
        return FAILED, None, "oom"
    if isinstance(ending, ZeroDivisionError):
        return FAILED, None, "ZeroDivisionError: caught"
    if not np.isfinite(ending):
        return FAILED, None, f"the value told is {float(ending)}"
    return COMPLETE, float(ending), None


@given(st.lists(st.tuples(Ending, st.one_of(st.none(), st.floats(-5, 5))), max_size=8))
def test_every_ending_is_recorded(endings):
    study = make_study(direction="maximize")

    def objective(trial):
        ending, report = endings[trial.number]
        if report is not None:
            trial.report(1, report)
        if isinstance(ending, Exception):
            raise ending
        return ending

    study.optimize(objective, n_trials=len(endings), catch=ZeroDivisionError)
    found = [(trial.state, trial.value, trial.reason) for trial in study.trials]
    for (state, value, reason), (ending, report) in zip(found, endings, strict=True):
        assert (state, reason) == ended_as(ending, report)[::2]
        if state != FAILED:
            assert value == ended_as(ending, report)[1]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_exception_fails_its_trial_and_is_raised(n_jobs):
    study = make_study()
    with pytest.raises(ValueError, match="two is bad") as caught:
        study.optimize(objectives.raising_at_two, n_trials=9, n_jobs=n_jobs)
    assert study.trials[2].reason == "ValueError: two is bad"
    assert "in raising_at_two" in study.trials[2].traceback
    assert study.n_finished == len(study.trials) <= 4
    assert [trial.number for trial in study.trials.where("failed")] == [2]
    if n_jobs == 2:
        assert "in raising_at_two" in caught.value.__notes__[0]


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("catch", [KeyError, (ValueError, LookupError)])
def test_a_caught_exception_fails_its_trial_and_the_call_goes_on(n_jobs, catch, caplog):
    study = make_study()
    study.optimize(objectives.raising, n_trials=3, n_jobs=n_jobs, catch=catch)
    assert states(study) == [FAILED] * 3
    assert study.trials.reason == ["KeyError: 0", "KeyError: 1", "KeyError: 2"]
    assert all("in raising" in text for text in study.trials.traceback)
    assert "KeyError: 1" in caplog.text


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("objective", [objectives.returning_none, objectives.returning_text])
def test_a_result_that_is_no_number_fails_the_trial_and_is_raised(n_jobs, objective):
    study = make_study()
    got = r"(None; is there a return\?|'0\.5')"
    with pytest.raises(TrialError, match=rf"^the objective must return a number, got {got}$"):
        study.optimize(objective, n_trials=1, n_jobs=n_jobs)
    assert states(study) == [FAILED]
    assert "the objective must return a number" in study.trials[0].reason
    study.optimize(objective, n_trials=2, n_jobs=n_jobs, catch=TrialError)
    assert states(study) == [FAILED] * 3


def test_an_error_of_the_sampler_is_raised_after_what_ran_is_told():
    space = hpo.Space({"x": hpo.Float(0, 1)}, feasible=lambda columns: np.zeros(len(columns["x"]), bool))
    study = hpo.Study(space, sampler="random", seed=0)
    with pytest.raises(InfeasibleSpaceError):
        study.optimize(objectives.parabola, n_trials=3)


# Callbacks


def test_callbacks_see_every_finished_trial_in_turn():
    study, seen = make_study(), []

    def first(of, trial):
        assert of is study
        seen.append(("first", trial.number, trial.state))

    def second(of, trial):
        seen.append(("second", trial.number, of.n_finished))

    study.optimize(
        lambda trial: float("nan") if trial.number == 1 else 0.0, n_trials=2, callbacks=[first, second]
    )
    assert seen == [("first", 0, COMPLETE), ("second", 0, 1), ("first", 1, FAILED), ("second", 1, 2)]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_stop_in_a_callback_ends_the_call_and_only_this_one(n_jobs):
    study = make_study()

    def stop_at_three(study, trial):
        if study.n_finished >= 3:
            study.stop()

    study.optimize(objectives.parabola, n_trials=100, n_jobs=n_jobs, callbacks=[stop_at_three])
    assert 3 <= study.n_finished == len(study.trials) <= 2 + n_jobs
    before = study.n_finished
    study.optimize(objectives.parabola, n_trials=2)
    assert study.n_finished == before + 2


def test_an_error_in_a_callback_is_raised_and_the_trial_is_kept():
    study = make_study()
    with pytest.raises(ZeroDivisionError):
        study.optimize(objectives.parabola, n_trials=5, callbacks=[lambda study, trial: 1 / 0])
    assert states(study) == [COMPLETE]


# Progress


def test_the_progress_bar_shows_best_value_rate_and_share(capsys):
    pytest.importorskip("tqdm")
    study = make_study()
    study.optimize(objectives.parabola, n_trials=30, progress=True)
    shown = capsys.readouterr().err
    assert "30/30" in shown
    assert " trials/s" in shown
    assert f"best {study.best_value:.6g}" in shown
    assert "suggesting" in shown


def test_the_progress_bar_copes_without_a_best_value_and_a_total(capsys):
    pytest.importorskip("tqdm")
    study = make_finite_study(size=3)
    study.optimize(objectives.out_of_memory, progress=True)
    assert "best none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metrics", "ms", "shown"),
    [
        ({"a": hpo.Minimize(), "b": hpo.Maximize()}, None, "3 on the front"),
        ({"a": hpo.Minimize(), "b": hpo.Maximize(), "ms": hpo.AtMost(5.0)}, 9.0, "none feasible"),
        ({"a": hpo.Minimize(), "ms": hpo.AtMost(5.0)}, 9.0, "none feasible"),
        ({"a": hpo.Minimize(), "ms": hpo.AtMost(5.0)}, 1.0, "best 0"),
    ],
)
def test_the_progress_bar_of_several_metrics(metrics, ms, shown, capsys):
    pytest.importorskip("tqdm")
    study = make_study(metrics=metrics)
    study.optimize(
        lambda trial: {name: ms if name == "ms" else trial.number for name in metrics},
        n_trials=3,
        progress=True,
    )
    assert f" {shown}, suggesting" in capsys.readouterr().err


def test_progress_counts_paused_trials(capsys):
    pytest.importorskip("tqdm")
    study = make_study(scheduler=hpo.ASHA(mode="promote"))

    def objective(trial):
        for step in trial.steps(3):
            trial.report(step, trial["x"])
            if trial.should_stop():
                break
        return trial["x"]

    study.optimize(objective, n_trials=4, progress=True)
    assert f", {len(study.trials.where('paused'))} paused, suggesting" in capsys.readouterr().err


def test_without_tqdm_the_progress_bar_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    study = make_study()
    with pytest.raises(ArgumentError, match=r"pip install 'hpo-core\[progress\]'"):
        study.optimize(objectives.parabola, n_trials=1, progress=True)
    assert len(study.trials) == 0


# Arguments


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("objective", 3),
        ("n_trials", -1),
        ("n_trials", 2.0),
        ("n_trials", True),
        ("until", -1),
        ("until", "3"),
        ("timeout", -1.0),
        ("timeout", float("nan")),
        ("timeout", "1"),
        ("timeout", True),
        ("n_jobs", 0),
        ("n_jobs", -2),
        ("n_jobs", 1.5),
        ("executor", 0),
        ("executor", -2),
        ("executor", True),
        ("executor", 2.0),
        ("executor", "dask"),
        ("callbacks", print),
        ("callbacks", [3]),
        ("catch", "ValueError"),
        ("catch", (ValueError, 3)),
        ("catch", KeyboardInterrupt),
        ("progress", 1),
        ("batch_size", 0),
        ("batch_size", 2.5),
        ("batch_size", 8),
        ("vectorized", "yes"),
        ("vectorized", True),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_is_asked(name, value):
    study = make_study()
    arguments = {"objective": objectives.parabola, "n_trials": 2, name: value}
    with pytest.raises(ArgumentError, match=name):
        study.optimize(arguments.pop("objective"), **arguments)
    assert len(study.trials) == 0


def test_a_vectorised_objective_runs_in_this_process():
    with pytest.raises(ArgumentError, match="executor must be None"):
        make_study().optimize(lambda batch: batch["x"], n_trials=4, batch_size=2, vectorized=True, n_jobs=2)


def test_where_trials_run_is_said_once():
    with pytest.raises(ArgumentError, match="n_jobs must be left out if executor is given"):
        make_study().optimize(objectives.parabola, n_trials=4, executor=2, n_jobs=2)


def test_free_workers_get_one_batch(monkeypatch):
    study, asked = make_study(), []
    original = study.sampler.ask
    monkeypatch.setattr(study.sampler, "ask", lambda *args: asked.append(args[2]) or original(*args))
    with ThreadPoolExecutor(3) as pool:
        study.optimize(objectives.parabola, n_trials=3, executor=pool)
    assert asked == [3]
    assert states(study) == [COMPLETE] * 3
