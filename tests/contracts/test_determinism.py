"""Suggestions are a function of the seed and of what came back, wherever and however they are computed."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from contracts.cases import CASES, Case, every_sampler, many, value_of, values_of

import hpo_core as hpo
from hpo_core import Categorical, Float, Int
from hpo_core.native import get_num_threads

TESTS = Path(__file__).parents[1]
NAMES = ["float", "categorical", "expressions", "forbidden", "finite tree", "wide"]
MIXED = Case({"x": Float(0, 1), "y": Float(1e-6, 1, log=True), "k": Int(1, 30), "c": Categorical([*"abcde"])})


def session(case, sampler, seed=0):
    """Single trials and batches, some finished late, some failed."""
    study = case.study(sampler, seed=seed)
    for k in range(24):
        trial = study.ask()
        if k % 6 == 5:
            study.fail(trial)
        elif k % 6 != 4:
            study.tell(trial, value_of(trial))
    batch = study.ask(12)
    study.tell(batch[::2], values_of(batch[::2]))
    study.ask(8)
    return study


def coordinates(study):
    return study.history.x.copy()


def digest(name, sampler):
    return zlib.crc32(session(CASES[name], sampler).history.x.tobytes())


@every_sampler
@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_suggestions(sampler, name):
    first, again, other = (coordinates(session(CASES[name], sampler, seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other, equal_nan=True)


@every_sampler
def test_a_fresh_process_gives_the_same_suggestions(sampler):
    script = (
        f"import sys; sys.path.insert(0, {str(TESTS)!r})\n"
        "from contracts.test_determinism import NAMES, digest\n"
        f"print(*(digest(name, {sampler!r}) for name in NAMES))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "77"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=60,
    )
    assert [int(word) for word in done.stdout.split()] == [digest(name, sampler) for name in NAMES]


@every_sampler
@pytest.mark.parametrize("name", NAMES)
def test_pickling_at_any_moment_changes_nothing(sampler, name):
    case = CASES[name]
    study, moved = case.study(sampler), case.study(sampler)
    for k in range(26):
        moved = pickle.loads(pickle.dumps(moved))
        for each in (study, moved):
            trial = each.ask()
            each.fail(trial) if k % 6 == 5 else each.tell(trial, value_of(trial))
    np.testing.assert_array_equal(study.history.x, moved.history.x)


@every_sampler
@pytest.mark.parametrize("name", NAMES)
def test_a_sampler_that_joins_late_proposes_the_same(sampler, name):
    study = session(CASES[name], sampler)
    late = hpo.Study(study.space, sampler=sampler, seed=0).sampler  # has seen nothing yet
    first, history = len(study.history), study.history
    for n in (1, 9):
        ours, theirs = (each.ask(history, first, n) for each in (study.sampler, late))
        np.testing.assert_array_equal(ours.x, theirs.x)
        assert ours.origin == theirs.origin


@every_sampler
def test_asking_leaves_no_trace(sampler):
    study = session(MIXED, sampler)
    first = len(study.history)
    before = study.sampler.ask(study.history, first, 4).x
    for n in (1, 40, many(sampler, 1100)):
        study.sampler.ask(study.history, first, n)
    np.testing.assert_array_equal(study.sampler.ask(study.history, first, 4).x, before)


@pytest.fixture
def threads():
    before = get_num_threads()
    yield hpo.set_num_threads
    hpo.set_num_threads(before)


@every_sampler
@pytest.mark.parametrize(
    "case", [MIXED, CASES["expressions"], CASES["feasible"]], ids=["mixed", "tree", "feasible"]
)
def test_any_number_of_threads_gives_the_same_suggestions(sampler, case, threads, soak):
    found = []
    for n in (1, 2, 3, 7) if soak else (1, 3):
        threads(n)
        study = session(case, sampler)
        batch = study.ask(many(sampler, 1000))
        study.tell(batch, values_of(batch))
        study.ask(many(sampler, 1500))
        found.append(coordinates(study))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


@every_sampler
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [14, 29])
def test_results_may_be_told_in_any_portions(sampler, name, n):
    """One by one, in two batches, all at once, asking in between: the order of finishing is what counts."""
    order = np.random.default_rng(n).permutation(n)
    following = []
    for portions in (list(order[:, None]), [order[:5], order[5:]], [order]):
        study = CASES[name].study(sampler)
        values = np.array(values_of(study.ask(n)))
        for k, portion in enumerate(portions):
            study.tell(study.trials[portion], values[portion])
            if k % 3 == 0:
                study.sampler.ask(study.history, len(study.history), 2)
        study.ask()
        study.ask(6)
        following.append(coordinates(study)[:, n:])
    for other in following[1:]:
        np.testing.assert_array_equal(following[0], other)


@every_sampler
@pytest.mark.parametrize("name", NAMES)
def test_maximizing_is_minimizing_the_negative(sampler, name):
    least, greatest = (CASES[name].study(sampler, direction=each) for each in ("minimize", "maximize"))
    least.optimize(value_of, n_trials=26)
    greatest.optimize(lambda trial: -value_of(trial), n_trials=26)
    np.testing.assert_array_equal(least.history.x, greatest.history.x)
    assert greatest.best_value == -least.best_value


@every_sampler
def test_replay_finds_a_value_that_was_changed(sampler):
    study = session(MIXED, sampler)
    assert study.replay().checked == len(study.trials)
    study.history._trials.write["x"][0, 17] += 1e-9
    assert study.replay().number == 17


def test_replay_finds_a_result_that_was_changed():
    study = session(MIXED, "tpe")
    best = study.best_trial.number
    study.history._trials.write["outcomes"][0, best] = 1e6
    assert study.replay().number > best


@every_sampler
def test_notes_and_reports_do_not_matter(sampler):
    quiet, busy = MIXED.study(sampler), MIXED.study(sampler)
    for _ in range(20):
        for study in (quiet, busy):
            trial = study.ask()
            if study is busy:
                trial.report(0, 5.0)
                trial.note(loud=True)
            study.tell(trial, value_of(trial))
    np.testing.assert_array_equal(quiet.history.x, busy.history.x)
