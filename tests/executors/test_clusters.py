"""What holds on Dask and on Ray alike, on a real cluster of each."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading

import objectives
import pytest
from studies import TRIALS, make_study
from waiting import is_alive, wait_for

from hpo_core.errors import ArgumentError, HpoError
from hpo_core.executors import Dask, Job, Outcome, Payload, Ray

pytestmark = pytest.mark.cluster


@pytest.fixture(params=["dask", "ray"])
def place(request):
    """Makes the choice of an engine, with options."""
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
        return Ray
    client = request.getfixturevalue("dask_client")
    client.wait_for_workers(2)  # another test may have killed one
    return lambda **options: Dask(client, **options)


@contextlib.contextmanager
def started(choice, objective):
    executor = choice.start(Payload(Job(objective, objectives.unchanged), TRIALS), lambda task: task)
    try:
        yield executor
    finally:
        executor.close(cancel=True)


def task(number, x=3.0):
    return (number, {"x": x})


def run_all(executor, numbers):
    """Outcomes by number, of tasks submitted as the executor takes them."""
    waiting, outcomes = list(numbers), {}
    while waiting or executor.running:
        while waiting and len(executor.running) < executor.capacity:
            executor.submit(task(waiting.pop(0)))
        executor.wait()
        collected = executor.collect()
        outcomes |= {trial[0]: each for trial, each in collected if isinstance(each, Outcome)}
    return outcomes


def test_a_cluster_finds_what_one_thread_finds(place):
    alone, together = make_study(sampler="sobol"), make_study(sampler="sobol")
    alone.optimize(objectives.reporting, n_trials=6)
    together.optimize(objectives.reporting, n_trials=6, executor=place())
    assert alone.trials["x"].tolist() == together.trials["x"].tolist()
    assert alone.trials.value.tolist() == together.trials.value.tolist()
    assert alone.trials.notes == together.trials.notes
    assert len(together.history.reports.row) == 18


def test_how_trials_end_is_known(place):
    with started(place(), objectives.ending) as executor:
        outcomes = run_all(executor, range(6))
    assert outcomes[0].state == "stopped"
    assert outcomes[1].reason == "oom"
    assert isinstance(outcomes[2].error, ValueError)
    assert "in ending" in outcomes[2].traceback
    assert isinstance(outcomes[3].error, SystemExit)  # the worker goes on
    assert outcomes[4].value == outcomes[5].value == 3.0


def test_the_objective_is_loaded_once_by_each_worker(place):
    study = make_study()
    study.optimize(objectives.Loaded(), n_trials=30, executor=place())
    loaded = {(note["pid"], note["loaded"]) for note in study.trials.notes}
    assert 1 <= len(loaded) == len({pid for pid, _ in loaded}) <= 2


def utilisation(study):
    """Objective seconds by worker seconds, from the start of the first trial to the end of the last."""
    notes = study.trials.notes
    assert len({note["pid"] for note in notes}) == 2
    wall = max(note["end"] for note in notes) - min(note["start"] for note in notes)
    return sum(note["end"] - note["start"] for note in notes) / (2 * wall)


@pytest.mark.soak
def test_workers_have_always_something_to_do(place):
    """Without a trial that waits at each worker it is 0.4 to 0.8."""
    seen = [0.0]
    while len(seen) < 6 and max(seen) < 0.9:  # other programs may be in the way
        study = make_study(sampler="tpe")
        study.optimize(objectives.napping, n_trials=1000, executor=place())
        seen.append(utilisation(study))
    assert max(seen) >= 0.9, seen


def test_only_brief_trials_wait_at_a_worker(place):
    with started(place(), objectives.slow_from_forty) as executor:
        assert len(run_all(executor, range(40))) == 40
        assert executor.capacity in (4, 6)
        run_all(executor, range(40, 44))
        assert executor.capacity == 2


def test_a_worker_killed_half_way_costs_the_trial_that_it_ran(place):
    study = make_study()
    study.optimize(objectives.dying_at_three, n_trials=12, executor=place())
    assert [trial.number for trial in study.trials.where("failed")] == [3]
    assert "worker died" in study.trials[3].reason
    assert len(study.trials.where("complete")) == 11


def test_a_trial_whose_time_is_up_is_killed(place, tmp_path):
    study, file = make_study(), tmp_path / "pid"
    study.optimize(objectives.Hanging(file), n_trials=12, executor=place(trial_timeout=1.0))
    assert [trial.number for trial in study.trials.where("failed")] == [3]
    assert study.trials[3].reason == "timeout"
    wait_for(lambda: not is_alive(int(file.read_text())))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_dead_worker_is_noticed_while_what_it_started_lives(place, tmp_path):
    study, file = make_study(), tmp_path / "pids"
    study.optimize(objectives.Forking(file, objectives.die), n_trials=8, executor=place())
    assert [trial.number for trial in study.trials.where("failed")] == [3]
    for pid in map(int, file.read_text().split()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_ctrl_c_reaches_the_worker(place, tmp_path):
    study, file = make_study(), tmp_path / "pid"

    def interrupt():
        wait_for(lambda: file.exists() and file.read_text())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        study.optimize(objectives.Hanging(file), n_trials=1_000_000, executor=place())
    thread.join()
    assert len(study.trials.where("running")) == 0
    assert study.trials[3].reason == "interrupted"
    wait_for(lambda: not is_alive(int(file.read_text())))
    study.optimize(objectives.parabola, n_trials=4, executor=place())  # the cluster is as good as before
    assert study.trials[-1].state.name == "COMPLETE"


def test_an_objective_that_does_not_load_says_so(place):
    study = make_study()
    with pytest.raises(HpoError, match="could not load the objective: ValueError: this machine"):
        study.optimize(objectives.UNLOADABLE, n_trials=5, executor=place())
    assert [trial.state.name for trial in study.trials] == ["FAILED"]


def test_a_trial_that_comes_after_every_worker_has_failed_to_load_says_so_too(place):
    with started(place(), objectives.UNLOADABLE) as executor:
        wait_for(lambda: not (executor.collect() or executor._opening))
        outcomes = run_all(executor, [0, 1])
    assert [type(outcome.error) for outcome in outcomes.values()] == [HpoError, HpoError]


def test_what_cannot_be_sent_is_an_error(place):
    lock = threading.Lock()
    with pytest.raises(ArgumentError, match=r"objective .* cannot be sent"):
        make_study().optimize(lambda trial: lock, n_trials=1, executor=place())
    with started(place(), objectives.parabola) as executor:
        executor.submit(task(0, x=(item for item in ())))
        while not (collected := executor.collect()):
            executor.wait()
        assert isinstance(collected[0][1].error, ArgumentError)
        assert run_all(executor, [1])[1].value == 4.0


@pytest.mark.soak
def test_workers_that_die_again_and_again_end_the_call(place):
    study = make_study()
    with pytest.raises(HpoError, match="died in a row"):
        study.optimize(objectives.dying, n_trials=50, executor=place())
    assert len(study.trials.where("failed")) == len(study.trials) <= 6


@pytest.mark.parametrize("seconds", [0, -1, "1", True, math.nan])
def test_a_time_limit_is_a_number_of_seconds(place, seconds):
    with pytest.raises(ArgumentError, match="trial_timeout"):
        place(trial_timeout=seconds)


@pytest.mark.parametrize("resources", [3, {"GPU": 0}, {"GPU": "1"}, {1: 1}])
def test_resources_are_numbers_by_name(place, resources):
    with pytest.raises(ArgumentError, match="resources"):
        place(resources=resources)
