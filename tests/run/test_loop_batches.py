"""``optimize`` with objectives of whole batches."""

from __future__ import annotations

import numpy as np
import pytest
from studies import make_study, states

import hpo_core as hpo
from hpo_core.errors import TrialError, TrialFailed, TrialStopped
from hpo_core.log import State

COMPLETE, STOPPED, FAILED = State.COMPLETE, State.STOPPED, State.FAILED


def test_a_vectorised_objective_gets_batches_of_the_size_asked_for():
    study, sizes = make_study(), []

    def objective(batch):
        sizes.append(len(batch))
        return batch["x"] ** 2

    study.optimize(objective, n_trials=20, batch_size=8, vectorized=True)
    assert sizes == [8, 8, 4]
    np.testing.assert_array_equal(study.trials.value, study.trials["x"] ** 2)
    study.optimize(objective, until=25, batch_size=8, vectorized=True)
    assert sizes == [8, 8, 4, 5]


def test_nan_in_a_batch_fails_that_trial_alone():
    study, seen = make_study(), []
    study.optimize(
        lambda batch: np.where(batch.number % 3 == 0, np.nan, 1.0),
        n_trials=6, batch_size=6, vectorized=True, callbacks=[lambda study, trial: seen.append(trial.number)],
    )  # fmt: skip
    assert states(study) == [FAILED, COMPLETE, COMPLETE] * 2
    assert seen == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("form", [list, tuple, lambda ends: np.array(ends, np.object_)])
def test_the_members_of_a_batch_end_each_in_its_own_way(form):
    ends = [0.5, TrialFailed("oom"), TrialStopped(), TrialFailed("oom"), np.nan, TrialFailed(), np.float32(2)]

    def objective(batch):
        batch.report(3, batch.number + 10.0)
        return form(ends)

    study = make_study()
    study.optimize(objective, n_trials=7, batch_size=7, vectorized=True)
    assert states(study) == [COMPLETE, FAILED, STOPPED, FAILED, FAILED, FAILED, COMPLETE]
    assert study.trials.reason == [None, "oom", None, "oom", "the value told is nan", "TrialFailed", None]
    assert study.trials.value[[0, 2, 6]].tolist() == [0.5, 12.0, 2.0]


@pytest.mark.parametrize("end", [TrialFailed("oom"), TrialStopped()])
def test_a_batch_in_which_nothing_completes(end):
    study = make_study()
    study.optimize(lambda batch: [end] * len(batch), n_trials=3, batch_size=3, vectorized=True)
    assert states(study) == [FAILED] * 3  # nothing was reported, so there is nothing to stop at


def test_other_exceptions_in_the_place_of_values_are_no_results():
    study = make_study()
    with pytest.raises(TrialError, match="the objective must return a number for each trial"):
        study.optimize(lambda batch: [1.0, ValueError("bad")], n_trials=2, batch_size=2, vectorized=True)


def test_a_finite_space_shortens_the_last_batch():
    study, sizes = hpo.Study({"k": hpo.Int(1, 10)}, sampler="random", seed=3), []

    def objective(batch):
        sizes.append(len(batch))
        return batch["k"]

    study.optimize(objective, batch_size=8, vectorized=True)
    assert sizes == [8, 2]


@pytest.mark.parametrize("result", [None, 1.0, [1.0, 2.0], "abc", np.ones((3, 1))])
def test_a_result_of_the_wrong_shape_fails_the_batch(result):
    study = make_study()
    with pytest.raises(TrialError, match="the objective must return a number for each trial"):
        study.optimize(lambda batch: result, n_trials=3, batch_size=3, vectorized=True)
    assert states(study) == [FAILED] * 3


def test_an_exception_fails_the_batch():
    def objective(batch):
        raise TrialFailed("oom") if batch.number[0] == 0 else ValueError("bad")

    study = make_study()
    study.optimize(objective, n_trials=6, batch_size=3, vectorized=True, catch=ValueError)
    assert study.trials.reason == ["oom"] * 3 + ["ValueError: bad"] * 3


def test_a_stopped_batch_keeps_the_last_reports():
    def objective(batch):
        batch.report(1, batch["x"] + 9.0)
        batch.report(2, batch["x"])
        raise TrialStopped

    study = make_study()
    study.optimize(objective, n_trials=4, batch_size=4, vectorized=True)
    assert states(study) == [STOPPED] * 4
    np.testing.assert_array_equal(study.trials.value, study.trials["x"])
