"""Workers that end while what their objective has started lives on, and workers whose parent is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import objectives
import pytest
from studies import make_study, states
from waiting import is_alive, wait_for

from hpo_core.executors import Processes
from hpo_core.log import State

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

COMPLETE, FAILED = State.COMPLETE, State.FAILED


@pytest.fixture
def file(tmp_path):
    """Where an objective names its processes; none of them survives the test."""
    file = tmp_path / "pids"
    yield file
    for pid in pids(file):
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def pids(file):
    return [int(pid) for pid in file.read_text().split()] if file.exists() else []


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("end", [objectives.die, objectives.die_while_sending])
def test_a_dead_worker_is_noticed_and_what_it_started_ends(file, end, ignored):
    previous = signal.signal(signal.SIGCHLD, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        study = make_study()
        study.optimize(objectives.Forking(file, end), n_trials=6, n_jobs=2)
    finally:
        signal.signal(signal.SIGCHLD, previous)
    assert states(study) == [COMPLETE] * 3 + [FAILED] + [COMPLETE] * 2
    assert "the worker process died" in study.trials[3].reason
    wait_for(lambda: not any(map(is_alive, pids(file))))


def test_a_child_that_left_its_group_keeps_nobody_waiting(file):
    study = make_study()
    study.optimize(objectives.Forking(file, objectives.die, session=True), n_trials=6, n_jobs=2)
    assert study.trials[3].reason == "the worker process died (killed by SIGKILL)"


def test_a_time_limit_ends_what_the_objective_started(file):
    study = make_study()
    study.optimize(
        objectives.Forking(file, objectives.sleep_long), n_trials=6, executor=Processes(2, trial_timeout=1.0)
    )
    assert study.trials[3].reason == "timeout"
    wait_for(lambda: not any(map(is_alive, pids(file))))


def test_ctrl_c_ends_what_the_objective_started(file):
    study = make_study()

    def interrupt():
        wait_for(lambda: pids(file))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        study.optimize(objectives.Forking(file, objectives.sleep_long), n_trials=6, n_jobs=2)
    thread.join()
    assert study.trials[3].reason == "interrupted"
    wait_for(lambda: not any(map(is_alive, pids(file))))


DRIVER = """\
from pathlib import Path
import hpo_core as hpo
import objectives
study = hpo.Study({"x": hpo.Float(-2.0, 2.0)}, sampler="random", seed=3)
if __name__ == "__main__":
    study.optimize(OBJECTIVE, n_trials=10, n_jobs=2)
"""


@pytest.mark.parametrize("objective", ["Holding(Path(FILE))", "Forking(Path(FILE), objectives.hold_the_gil)"])
def test_a_killed_driver_leaves_nothing_running(file, tmp_path, objective):
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.replace("OBJECTIVE", f"objectives.{objective}").replace("FILE", repr(str(file))))
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    driver = subprocess.Popen([sys.executable, script], env=os.environ | {"PYTHONPATH": path})
    try:
        wait_for(lambda: pids(file))
        time.sleep(0.3)  # the objective holds the GIL by now
    finally:
        driver.kill()
        driver.wait()
    wait_for(lambda: not any(map(is_alive, pids(file))), seconds=10)


def test_a_worker_is_told_when_to_end_and_leaves_what_it_started(file):
    study = make_study()
    study.optimize(objectives.Forking(file, lambda trial: 0.0), n_trials=6, n_jobs=2)
    assert states(study) == [COMPLETE] * 6
    worker, child = pids(file)
    assert not is_alive(worker)
    assert is_alive(child)


ORPHANS = """
import os, signal, subprocess, sys
from hpo_core.executors.guard import Guard

guard = Guard()
for _ in range(3):
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    guard.toggle(child.pid)
    print(child.pid)
    guard._process.kill()
    guard._process.wait()
guard.toggle(0)
guard.toggle(0)
sys.stdout.flush()
os._exit(0)
"""


def test_a_guard_that_was_killed_is_replaced():
    found = subprocess.run([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, text=True, check=True)
    orphans = [*map(int, found.stdout.split())]
    assert len(orphans) == 3
    wait_for(lambda: not any(map(is_alive, orphans)))
