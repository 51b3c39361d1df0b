"""Threads that share a study, a pool or the library; without the global lock they run at the same time."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from studies import small_space

import hpo_core as hpo

SAMPLERS = ("random", "sobol", "tpe", "gp", "auto")
N_THREADS = 4


def together(*calls):
    """Run calls in threads that begin at the same time; what they return, in order."""
    barrier = threading.Barrier(len(calls), timeout=60)

    def begin(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [running.result() for running in [pool.submit(begin, call) for call in calls]]


def loss(params):
    return params["depth"] + abs(np.log10(params["lr"]) + 3)


def test_the_extensions_leave_the_global_lock_off():
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        hpo.Study(small_space(), sampler="gp", seed=0).optimize(lambda t: loss(t.params), n_trials=30)
        assert not sys._is_gil_enabled()


@pytest.mark.parametrize("stored", [False, True], ids=["memory", "sqlite"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_shared_study_keeps_every_result(sampler, stored, tmp_path, soak):
    place = str(tmp_path / "s.db") if stored else None
    study = hpo.Study(small_space(), sampler=sampler, seed=0, storage=place, name="s")
    told: dict[int, float] = {}

    def work():
        for k in range(200 if soak else 12):
            trials = study.ask(3) if k % 4 == 0 else [study.ask()]
            for trial in trials:
                trial.report(0, 1.0)
                trial.note(k=k)
                told[trial.number] = loss(trial.params)
                study.tell(trial, told[trial.number])

    def read():
        for _ in range(20):
            assert len(study.trials.where("complete")) <= len(study.trials)
            if study.trials.where("complete"):
                assert np.isfinite(study.best_value)

    together(*[work] * N_THREADS, read)
    trials = study.trials
    assert sorted(told) == list(range(len(trials))) == trials.number.tolist()
    assert trials.value.tolist() == [told[number] for number in range(len(trials))]
    assert study.best_value == min(told.values())
    assert study.replay()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_studies_in_threads_are_those_of_one_thread(sampler):
    def search(seed):
        study = hpo.Study(small_space(), sampler=sampler, seed=seed)
        study.optimize(lambda trial: loss(trial.params), n_trials=25)
        return study.trials["lr"].tolist()

    alone = [search(seed) for seed in range(N_THREADS)]
    assert together(*[lambda seed=seed: search(seed) for seed in range(N_THREADS)]) == alone


def test_a_shared_pool_keeps_every_result():
    pool = hpo.StudyPool({"x": hpo.Float(-1, 1), "k": hpo.Int(0, 9)}, 40, seed=0)

    def work(mine):
        for _ in range(25):
            batch = pool.ask(mine)
            pool.tell(batch, batch["x"] ** 2)

    together(*[lambda first=first: work(range(first, 40, N_THREADS)) for first in range(N_THREADS)])
    assert not len(pool.running)
    assert pool.n_trials.tolist() == [25] * 40
    np.testing.assert_array_equal(pool.trials.value, pool.trials["x"] ** 2)
    alone = hpo.StudyPool({"x": hpo.Float(-1, 1), "k": hpo.Int(0, 9)}, 40, seed=0)
    for _ in range(25):
        batch = alone.ask()
        alone.tell(batch, batch["x"] ** 2)
    np.testing.assert_array_equal(alone.best_values, pool.best_values)
