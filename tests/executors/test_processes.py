from __future__ import annotations

import contextlib
import math
import os
import re
import subprocess
import sys
from multiprocessing import spawn
from types import ModuleType

import objectives
import pytest
from studies import TRIALS, make_study
from waiting import is_alive, wait_for

from hpo_core.errors import ArgumentError, HpoError
from hpo_core.executors import Decision, Job, Outcome, Payload, Question, Report, pickling
from hpo_core.executors.base import MAX_DEATHS_IN_A_ROW
from hpo_core.executors.processes import THREAD_VARIABLES, ProcessExecutor
from hpo_core.seeds import trial_seed

# A process needs half a second to start on a busy machine, so each test has few of them.


@contextlib.contextmanager
def executor_of(objective, *, n_jobs=2, catch=(), trial_timeout=math.inf):
    executor = ProcessExecutor(
        Payload(Job(objective, objectives.unchanged, catch), TRIALS),
        lambda task: task,
        workers=n_jobs,
        trial_timeout=trial_timeout,
    )
    try:
        yield executor
    finally:
        executor.close(cancel=True)


def task(number, x=3.0):
    return (number, {"x": x})


def next_outcomes(executor):
    executor.wait()
    return [(trial, each) for trial, each in executor.collect() if isinstance(each, Outcome)]


def run_all(executor, numbers):
    """Outcomes by number, of tasks submitted as workers become free."""
    waiting, outcomes = list(numbers), {}
    while waiting or executor.running:
        while waiting and len(executor.running) < executor.capacity:
            executor.submit(task(waiting.pop(0)))
        outcomes |= {ended[0]: outcome for ended, outcome in next_outcomes(executor)}
    return outcomes


def test_tasks_run_in_as_many_processes_as_there_are_workers():
    with executor_of(objectives.process_id) as executor:
        outcomes = run_all(executor, range(6))
    processes = {outcome.notes["pid"] for outcome in outcomes.values()}
    assert sorted(outcomes) == list(range(6))
    assert 1 <= len(processes) <= 2
    assert os.getpid() not in processes


def test_reports_a_question_notes_and_seed_travel():
    arrived = []
    with executor_of(objectives.reporting, n_jobs=1) as executor:
        executor.submit(task(4))
        while executor.running:
            executor.wait()
            for trial, message in executor.collect():
                arrived.append(message)
                if isinstance(message, Question):
                    executor.answer(trial, Decision.STOP)
    *said, outcome = arrived
    assert said == [Report(0, 3.0), Report(1, 4.0), Report(2, 5.0), Question()]
    assert outcome.reports == []
    assert outcome.notes == {"seed": trial_seed(TRIALS.seed, 4), "number": 4}
    assert math.isnan(outcome.value)  # it was told to stop


def test_an_answer_that_comes_after_the_end_is_not_taken_for_a_trial():
    with executor_of(objectives.reporting, n_jobs=1) as executor:
        executor.submit(task(0))
        wait_for(lambda: executor._arrived and isinstance(executor._arrived[-1][1], Outcome))
        executor.answer(task(0), Decision.STOP)
        assert [type(message) for _, message in executor.collect()] == [*[Report] * 3, Question, Outcome]
        executor.submit(task(1))
        wait_for(lambda: executor._arrived and isinstance(executor._arrived[-1][1], Outcome))
        assert executor.collect()[-1][1].value == 3.0


def test_a_free_worker_is_found_while_another_is_busy():
    with executor_of(objectives.slow_first) as executor:
        executor.submit(task(0))
        executor.submit(task(1))
        ((ended, _),) = next_outcomes(executor)
        assert ended[0] == 1
        executor.submit(task(2))
        ((ended, _),) = next_outcomes(executor)
        assert ended[0] == 2
        assert [running[0] for running in executor.running] == [0]


def test_errors_come_home_with_their_traceback():
    with executor_of(objectives.raising, n_jobs=1) as executor:
        outcome = run_all(executor, [5])[5]
    assert isinstance(outcome.error, KeyError)
    assert outcome.reason == "KeyError: 5"
    assert "in raising" in outcome.traceback


def test_a_caught_error_stays_in_the_worker():
    with executor_of(
        objectives.raising_unportable, n_jobs=1, catch=(objectives.TwoArgumentError,)
    ) as executor:
        outcome = run_all(executor, [0])[0]
    assert (outcome.state, outcome.error) == ("failed", None)
    assert outcome.reason == "TwoArgumentError: 7: no way home"


def test_an_error_that_cannot_be_built_from_its_arguments_comes_home():
    with executor_of(objectives.raising_unportable, n_jobs=1) as executor:
        outcomes = run_all(executor, [0, 1])
    for outcome in outcomes.values():
        assert type(outcome.error) is objectives.TwoArgumentError
        assert str(outcome.error) == "7: no way home"


def test_ctrl_c_is_not_for_workers():
    with executor_of(objectives.interrupted, n_jobs=1) as executor:
        assert run_all(executor, [0])[0].value == 1.0


def test_an_objective_that_exits_fails_its_trial():
    with executor_of(objectives.leaving, n_jobs=1) as executor:
        outcome = run_all(executor, [0])[0]
    assert outcome.state == "failed"
    assert isinstance(outcome.error, SystemExit)


def test_only_the_trial_of_a_dead_process_fails():
    with executor_of(objectives.dying_at_three) as executor:
        outcomes = run_all(executor, range(8))
    assert sorted(outcomes) == list(range(8))
    assert {number for number, outcome in outcomes.items() if outcome.state == "failed"} == {3}
    assert outcomes[3].reason == "the worker process died (killed by SIGKILL)"
    assert outcomes[3].error is None


def test_a_process_that_died_while_idle_is_replaced():
    with executor_of(objectives.dying_afterwards, n_jobs=1) as executor:
        outcome = run_all(executor, [0])[0]
        os.waitid(os.P_PID, outcome.notes["pid"], os.WEXITED | os.WNOWAIT)
        assert run_all(executor, [1])[1].value == 1.0


def test_deaths_in_a_row_are_an_error():
    with executor_of(objectives.dying, n_jobs=1) as executor:
        outcomes = run_all(executor, range(MAX_DEATHS_IN_A_ROW))
    reasons = {outcome.reason for outcome in outcomes.values()}
    errors = [outcome.error for outcome in outcomes.values()]
    assert reasons == {"the worker process died (exit code 11)"}
    assert errors[:-1] == [None] * (MAX_DEATHS_IN_A_ROW - 1)
    assert isinstance(errors[-1], HpoError)


def test_a_trial_whose_time_is_up_is_killed(tmp_path):
    file = tmp_path / "pid"
    with executor_of(objectives.Hanging(file), trial_timeout=1.0) as executor:
        outcomes = run_all(executor, range(8))
        assert outcomes.pop(3).reason == "timeout"
        assert {outcome.state for outcome in outcomes.values()} == {"complete"}
        with pytest.raises(ProcessLookupError):  # the pool has waited for it
            os.kill(int(file.read_text()), 0)


def test_the_time_a_process_takes_to_start_is_not_the_trials():
    with executor_of(objectives.SLOW_TO_LOAD, n_jobs=1, trial_timeout=0.5) as executor:
        assert run_all(executor, [0])[0].value == 0.0


def test_an_objective_that_does_not_load_in_the_worker_says_so():
    with executor_of(objectives.UNLOADABLE, n_jobs=1) as executor:
        outcome = run_all(executor, [0])[0]
    assert outcome.state == "failed"
    assert isinstance(outcome.error, HpoError)
    assert "could not load the objective: ValueError" in str(outcome.error)


def test_cancelling_ends_working_processes(tmp_path):
    file = tmp_path / "pid"
    with executor_of(objectives.Hanging(file)) as executor:
        executor.submit(task(3))
        wait_for(lambda: file.exists() and file.read_text())
        executor.close(cancel=True)
        assert [running[0] for running in executor.running] == [3]
        wait_for(lambda: not is_alive(int(file.read_text())))


@pytest.mark.parametrize("choice", [None, "3"])
def test_workers_share_the_cores_unless_the_user_chose(monkeypatch, choice):
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    if choice:
        monkeypatch.setenv("OMP_NUM_THREADS", choice)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(12), raising=False)
    with executor_of(objectives.thread_limit, n_jobs=2) as executor:
        outcome = run_all(executor, [0])[0]
    assert outcome.value == float(choice or 6)
    assert os.environ.get("OMP_NUM_THREADS") == choice
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_a_local_function_goes_through_cloudpickle():
    pytest.importorskip("cloudpickle")
    offset = 4.0
    with executor_of(lambda trial: trial["x"] + offset, n_jobs=1) as executor:
        assert run_all(executor, [0])[0].value == 7.0


def test_without_cloudpickle_a_local_function_is_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    expected = pytest.raises(ArgumentError, match=r"module.*pip install 'hpo-core\[parallel\]'")
    with expected, executor_of(lambda trial: 0.0):
        pass


def test_what_cannot_be_sent_at_all_is_an_error():
    pytest.importorskip("cloudpickle")
    handle = (item for item in ())
    with pytest.raises(ArgumentError, match="cannot be sent"):
        pickling.pack(lambda: handle, what="objective")


def test_a_function_of_an_interactive_main_goes_by_value(monkeypatch):
    cloudpickle = pytest.importorskip("cloudpickle")
    main = ModuleType("__main__")
    exec("def objective(trial):\n    return 2.5", main.__dict__)
    monkeypatch.setitem(sys.modules, "__main__", main)
    packed = pickling.pack(main.objective, what="objective")
    monkeypatch.undo()
    assert cloudpickle.loads(packed)(None) == 2.5


SCRIPT = """
import sys
import hpo_core as hpo

class Settings:
    power = 2

def needs_main(trial):
    return scale * trial["x"] ** 2

def run(objective):
    study = hpo.Study({"x": hpo.Float(2, 4)}, sampler="random", seed=0)
    study.optimize(objective, n_trials=1, executor=2)
    assert 4 <= study.best_value <= 16

if __name__ == "__main__":
    scale = 1

    def objective(trial):
        return trial["x"] ** Settings.power

    run(needs_main if "needs main" in sys.argv else objective)
    print("fine")
"""
WITHOUT = "import sys; sys.modules['cloudpickle'] = None"


def run_script(path, script, *arguments, stdin=False):
    path.write_text(script)
    command = [sys.executable, *(["-"] if stdin else [str(path)]), *arguments]
    with path.open() if stdin else contextlib.nullcontext() as file:
        return subprocess.run(command, stdin=file, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("stdin", "arguments"), [(False, ()), (False, ("needs main",)), (True, ())])
def test_what_is_defined_under_the_guard_goes_by_value(tmp_path, stdin, arguments):
    pytest.importorskip("cloudpickle")
    ended = run_script(tmp_path / "script.py", SCRIPT, *arguments, stdin=stdin)
    assert ended.stdout == "fine\n", ended.stderr


@pytest.mark.parametrize(
    ("stdin", "arguments", "advice"),
    [
        (False, (), "it needs objective, defined under .*Move the definition above that line, or install"),
        (False, ("needs main",), "it needs scale, defined under"),
        (True, (), "standard input, which a worker cannot import. Move it to a module, or install"),
    ],
)
def test_without_cloudpickle_the_advice_fits_the_program(tmp_path, stdin, arguments, advice):
    ended = run_script(tmp_path / "script.py", WITHOUT + SCRIPT, *arguments, stdin=stdin)
    assert re.search(advice, ended.stderr), ended.stderr


def test_a_value_that_cannot_be_sent_fails_its_trial():
    with executor_of(objectives.parabola, n_jobs=1) as executor:
        executor.submit(task(0, x=(item for item in ())))
        ((_, outcome),) = next_outcomes(executor)
        assert isinstance(outcome.error, ArgumentError)
        assert run_all(executor, [1])[1].value == 4.0


def test_without_an_interpreter_nothing_is_asked(monkeypatch):
    monkeypatch.setattr(spawn, "_python_exe", None)
    study = make_study()
    with pytest.raises(ArgumentError, match=r"need a Python interpreter, .* multiprocessing.set_executable"):
        study.optimize(objectives.parabola, n_trials=3, n_jobs=2)
    assert len(study.trials) == 0


@pytest.mark.parametrize("executable", [None, ""])
def test_processes_start_with_the_interpreter_that_multiprocessing_knows(monkeypatch, executable):
    monkeypatch.setattr(sys, "executable", executable)
    study = make_study()
    study.optimize(objectives.parabola, n_trials=2, n_jobs=2)
    assert len(study.trials.where("complete")) == 2
