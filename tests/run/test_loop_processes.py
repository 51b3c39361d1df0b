"""``optimize`` with objectives in other processes, and what Ctrl-C leaves behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import objectives
import pytest
from studies import make_study, states

from hpo_core.errors import HpoError
from hpo_core.log import State

COMPLETE, STOPPED, FAILED = State.COMPLETE, State.STOPPED, State.FAILED


# Processes


def test_processes_find_what_one_thread_finds():
    alone, together = make_study(sampler="random"), make_study(sampler="random")
    alone.optimize(objectives.reporting, n_trials=6)
    together.optimize(objectives.reporting, n_trials=6, executor=2)
    np.testing.assert_array_equal(alone.trials["x"], together.trials["x"])  # Sobol's: whatever runs
    np.testing.assert_array_equal(alone.trials.value, together.trials.value)
    assert alone.trials.notes == together.trials.notes
    assert [trial.notes["seed"] for trial in together.trials] == together.trials.seed.tolist()
    assert len(together.history.reports.row) == 18


def test_trials_stop_and_fail_in_processes_as_they_do_here():
    study = make_study()
    study.optimize(objectives.stopping, n_trials=4, n_jobs=2)
    assert states(study) == [COMPLETE, STOPPED] * 2
    assert study.trials.value.tolist() == [1.0, 0.25] * 2
    study.optimize(objectives.out_of_memory, n_trials=1, n_jobs=2)
    assert study.trials[4].reason == "oom"


def test_a_dead_process_costs_its_own_trial_only():
    study = make_study()
    study.optimize(objectives.dying_at_three, n_trials=8, n_jobs=2)
    assert [trial.number for trial in study.trials.where("failed")] == [3]
    assert study.trials[3].reason == "the worker process died (killed by SIGKILL)"
    assert len(study.trials.where("complete")) == 7


def test_processes_that_die_again_and_again_end_the_call():
    study = make_study()
    with pytest.raises(HpoError, match="died in a row"):
        study.optimize(objectives.dying, n_trials=50, n_jobs=2)
    assert set(states(study)) == {FAILED}


def test_all_cpus(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {4, 7}, raising=False)
    study = make_study()
    study.optimize(objectives.process_id, n_trials=8, n_jobs=-1)
    assert 1 <= len({trial.notes["pid"] for trial in study.trials} - {os.getpid()}) <= 2


def test_a_script_without_a_main_guard_is_told_so(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(SCRIPT_HEAD + "study.optimize(parabola, n_trials=2, n_jobs=2)\n")
    done = subprocess.run(
        [sys.executable, script], env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert 'if __name__ == "__main__":' in done.stderr.splitlines()[-1]
    assert done.stderr.count("Traceback") == 1  # the workers say it in a line
    assert "\nhpo_core: a script" in f"\n{done.stderr}"


# Ctrl-C

SCRIPT_HEAD = """\
import hpo_core as hpo
from objectives import parabola, sleeping
study = hpo.Study({"x": hpo.Float(-2.0, 2.0)}, sampler="random", seed=3)
"""

SCRIPT = (
    SCRIPT_HEAD
    + """
if __name__ == "__main__":
    try:
        study.optimize(sleeping, n_trials=10, n_jobs=N_JOBS)
    except KeyboardInterrupt:
        print([(t.state.name, t.reason) for t in study.trials])
"""
)


def environment():
    """Of a script beside which the helpers of this folder can be imported."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


@contextlib.contextmanager
def running_script(folder, n_jobs, source=SCRIPT):
    """A process group of its own, in which every worker sleeps."""
    script = folder / "script.py"
    script.write_text(source.replace("N_JOBS", str(n_jobs)))
    process = subprocess.Popen(
        [sys.executable, script],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        for _ in range(n_jobs):
            assert process.stdout.readline() == "sleeping\n"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_keeps_what_has_finished(tmp_path, n_jobs):
    with running_script(tmp_path, n_jobs) as process:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers get it too
        out, err = process.communicate(timeout=30)
    expected = [("COMPLETE", None)] * 2 + [("FAILED", "interrupted")] * n_jobs
    assert out.strip() == repr(expected), err
    assert err == ""


def test_ctrl_c_while_workers_start_is_quiet(tmp_path):
    imported = (
        'import os, time\nif __name__ != "__main__":\n    os.write(1, b"sleeping\\n")\n    time.sleep(5)\n'
    )
    with running_script(tmp_path, 2, imported + SCRIPT) as process:
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert out.strip() == repr([("FAILED", "interrupted")] * 2)
    assert err == ""


def test_workers_do_not_outlive_a_killed_parent(tmp_path):
    with running_script(tmp_path, 2) as process:
        process.kill()
        process.communicate(timeout=30)  # until the last process that could write has gone


def interrupt(*_):
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("method", "expected"), [("ask", [COMPLETE, COMPLETE, FAILED]), ("tell", [COMPLETE, COMPLETE])]
)
def test_ctrl_c_waits_for_the_study_and_then_nothing_starts(monkeypatch, method, expected):
    study = make_study()
    place = study.sampler if method == "ask" else study
    original = getattr(place, method)

    def interrupted(*arguments):
        if len(study.trials) == 2:  # the third ask, the second tell
            interrupt()
        return original(*arguments)

    monkeypatch.setattr(place, method, interrupted)
    with pytest.raises(KeyboardInterrupt):
        study.optimize(objectives.parabola, n_trials=9)
    assert states(study) == expected
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_leaving_from_the_objective_fails_its_trial(error):
    study = make_study()

    def objective(trial):
        if trial.number == 2:
            raise error
        return 0.0

    with pytest.raises(error):
        study.optimize(objective, n_trials=9, catch=Exception)
    assert states(study) == [COMPLETE, COMPLETE, FAILED]
    assert study.trials[2].reason == "interrupted"


def test_ctrl_c_reaches_a_callback():
    study = make_study()
    with pytest.raises(KeyboardInterrupt):
        study.optimize(objectives.parabola, n_trials=1, callbacks=[interrupt])
    assert states(study) == [COMPLETE]


def test_the_users_handler_of_ctrl_c_is_called_and_restored():
    calls = []

    def handler(number, frame):
        calls.append(number)

    previous = signal.signal(signal.SIGINT, handler)
    try:
        study = make_study()
        study.optimize(lambda trial: interrupt() or 0.0, n_trials=2)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, previous)
    assert calls == [signal.SIGINT] * 2
    assert states(study) == [COMPLETE] * 2


def test_optimize_runs_in_any_thread():
    study = make_study()
    threads = [
        threading.Thread(target=study.optimize, args=(objectives.parabola,), kwargs={"n_trials": 20})
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states(study) == [COMPLETE] * 60
