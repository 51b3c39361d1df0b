from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import objectives
import pytest
from studies import make_study, states

from hpo_core.errors import ArgumentError, HpoError
from hpo_core.executors import Pool
from hpo_core.log import State


@pytest.fixture(scope="module")
def processes():
    """Two processes of the standard library."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


def test_threads_take_what_cannot_be_pickled():
    lock, seen = threading.Lock(), set()

    def objective(trial):
        with lock:
            seen.add(threading.current_thread().name)
        time.sleep(0.01)
        trial.report(0, 1.0)
        return trial["x"]

    study = make_study()
    with ThreadPoolExecutor(3, "mine") as pool:
        study.optimize(objective, n_trials=20, executor=pool)
    assert states(study) == [State.COMPLETE] * 20
    assert all(name.startswith("mine") for name in seen)
    assert len(study.history.reports.row) == 20


def test_processes_find_what_one_thread_finds(processes):
    alone, together = make_study(sampler="sobol"), make_study(sampler="sobol")
    alone.optimize(objectives.reporting, n_trials=6)
    together.optimize(objectives.reporting, n_trials=6, executor=processes)
    assert alone.trials["x"].tolist() == together.trials["x"].tolist()
    assert alone.trials.notes == together.trials.notes


def test_the_objective_is_sent_once_to_each_process(processes):
    study = make_study()
    study.optimize(objectives.Loaded(), n_trials=30, executor=processes)
    loaded = {}
    for note in study.trials.notes:
        loaded.setdefault(note["pid"], set()).add(note["loaded"])
    # The first trials carry it, and both may land in one process.
    assert sum(map(len, loaded.values())) <= 4


def test_a_process_that_joins_later_is_sent_it_too():
    study = make_study()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), max_tasks_per_child=4) as pool:
        study.optimize(objectives.Loaded(), n_trials=20, executor=pool)
    assert states(study) == [State.COMPLETE] * 20
    assert len({note["pid"] for note in study.trials.notes}) >= 5


def test_a_function_of_joblibs_loky():
    loky = pytest.importorskip("joblib.externals.loky")
    offset = 4.0
    pool = loky.ProcessPoolExecutor(max_workers=2)
    try:
        study = make_study()
        study.optimize(lambda trial: trial["x"] + offset, n_trials=6, executor=pool)
    finally:
        pool.shutdown(kill_workers=True)
    assert study.trials.value.tolist() == [x + 4.0 for x in study.trials["x"].tolist()]


def test_a_dead_process_breaks_the_pool_and_that_is_said():
    study = make_study()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        with pytest.raises(HpoError, match="the executor is broken") as caught:
            study.optimize(objectives.dying, n_trials=50, executor=pool)
        assert isinstance(caught.value.__cause__, BrokenExecutor)
        assert set(states(study)) == {State.FAILED}
        assert len(study.trials) <= 2
        with pytest.raises(HpoError, match="the executor is broken"):
            study.optimize(objectives.parabola, n_trials=1, executor=pool)


def test_a_pool_that_was_shut_down_is_an_error():
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        make_study().optimize(objectives.parabola, n_trials=1, executor=pool)


def test_an_objective_that_does_not_load_leaves_the_pool_whole(processes):
    study = make_study()
    with pytest.raises(HpoError, match="could not load the objective: ValueError: this machine"):
        study.optimize(objectives.UNLOADABLE, n_trials=5, executor=processes)
    study.optimize(objectives.parabola, n_trials=2, executor=processes)


def test_what_cannot_be_sent_is_an_error(processes):
    lock = threading.Lock()
    with pytest.raises(ArgumentError, match=r"objective .* cannot be sent"):
        make_study().optimize(lambda trial: lock, n_trials=1, executor=processes)


def test_ctrl_c_takes_back_what_has_not_begun():
    release, begun = threading.Event(), []

    def objective(trial):
        begun.append(trial.number)
        os.kill(os.getpid(), signal.SIGINT)
        release.wait(30)
        return 0.0

    study = make_study()
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(KeyboardInterrupt):
            study.optimize(objective, n_trials=9, executor=Pool(pool, workers=3))
        release.set()
    assert begun == [0]
    assert [trial.reason for trial in study.trials] == ["interrupted"] * 3


class Immediate(Executor):
    """Runs what it is given at once, and does not say how many workers it has."""

    def submit(self, function, /, *arguments, **keywords):
        future = Future()
        future.set_result(function(*arguments, **keywords))
        return future


def test_a_pool_that_does_not_say_its_size_must_be_given_one():
    with pytest.raises(ArgumentError, match="does not say how many workers"):
        make_study().optimize(objectives.parabola, n_trials=1, executor=Immediate())
    study = make_study()
    study.optimize(objectives.parabola, n_trials=5, executor=Pool(Immediate(), workers=2))
    assert states(study) == [State.COMPLETE] * 5
