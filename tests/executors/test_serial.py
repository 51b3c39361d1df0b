from __future__ import annotations

import pytest

from hpo_core.errors import TrialError, TrialFailed, TrialStopped
from hpo_core.executors import Job, SerialExecutor


def keep(result, trial):
    return result


def run(objective, trial="trial", convert=keep, catch=()):
    executor = SerialExecutor(Job(objective, convert, catch))
    executor.submit(trial)
    executor.wait()
    ((ended, outcome),) = executor.collect()
    assert ended is trial
    assert executor.running == []
    return outcome


def raising(error):
    def objective(trial):
        raise error

    return objective


def test_a_result_is_converted_with_its_trial():
    outcome = run(lambda trial: 2, trial="t", convert=lambda result, trial: (result, trial))
    assert (outcome.state, outcome.value, outcome.error) == ("complete", (2, "t"), None)


def test_an_exception_becomes_a_failure_with_the_users_traceback():
    error = ValueError("bad")
    outcome = run(raising(error))
    assert (outcome.state, outcome.reason, outcome.error) == ("failed", "ValueError: bad", error)
    assert "in objective" in outcome.traceback
    assert "evaluate" not in outcome.traceback


def test_a_caught_exception_is_recorded_and_not_handed_on():
    outcome = run(raising(KeyError("k")), catch=(LookupError,))
    assert (outcome.state, outcome.reason, outcome.error) == ("failed", "KeyError: 'k'", None)


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (TrialStopped(), "stopped", ""),
        (TrialFailed("oom"), "failed", "oom"),
        (TrialFailed(), "failed", "TrialFailed"),
    ],
)
def test_what_an_objective_raises_on_purpose_is_never_an_error(error, state, reason):
    outcome = run(raising(error))
    assert (outcome.state, outcome.reason, outcome.error, outcome.traceback) == (state, reason, None, None)


def test_a_result_that_cannot_be_converted_fails_the_trial():
    def convert(result, trial):
        raise TrialError("not a number")

    outcome = run(lambda trial: "text", convert=convert)
    assert (outcome.state, outcome.reason) == ("failed", "not a number")
    assert isinstance(outcome.error, TrialError)
    assert run(lambda trial: "text", convert=convert, catch=(TrialError,)).error is None


def test_an_interrupted_trial_is_still_running():
    executor = SerialExecutor(Job(raising(KeyboardInterrupt()), keep))
    executor.submit("trial")
    with pytest.raises(KeyboardInterrupt):
        executor.wait()
    assert executor.collect() == []
    assert executor.running == ["trial"]
