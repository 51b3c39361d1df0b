"""Heartbeats: they come while the worker's process is there, whatever it does, and end with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from storage_workers import SPACE, hold_the_gil, leave_an_orphan

import hpo_core as hpo
from hpo_core.storage import SQLiteStorage, heartbeat
from hpo_core.study.stored import delete

SPAWN = multiprocessing.get_context("spawn")
linux = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads /proc")


def study_at(path, lease):
    study = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=path)
    study.lease_seconds = lease
    return study


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def renewals(study):
    journal = study._ledger.journal
    return sum(record[1] == heartbeat.RENEWED for record in journal.storage.read(journal.key))


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def busy(tmp_path):
    """A study, the worker process that claimed its trial 0, and the pid of that worker's heart."""
    started = []

    def start(target):
        study = study_at(tmp_path / "s.db", 1.0)
        reader, writer = SPAWN.Pipe(duplex=False)
        process = SPAWN.Process(target=target, args=(str(tmp_path / "s.db"), writer))
        process.start()
        started.append(process)
        return study, process, reader.recv()

    yield start
    for process in started:
        process.kill()
        process.join()


def test_they_come_while_an_objective_holds_the_gil(busy):
    study, process, _ = busy(hold_the_gil)
    for _ in range(30):  # three leases
        time.sleep(0.1)
        assert study.ask().number > 0
    assert renewals(study) >= 4
    process.join(30)
    study.sync()
    assert study.trials[0].value == 1.0
    assert study.trials[0].retries == []


@linux
@pytest.mark.parametrize("target", [hold_the_gil, leave_an_orphan], ids=lambda target: target.__name__)
def test_they_end_when_the_worker_is_killed(busy, target):
    study, process, heart = busy(target)
    wait_for(lambda: renewals(study) > 2)
    assert alive(heart)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    wait_for(lambda: not alive(heart), seconds=15)  # long before the orphan ends
    before = renewals(study)
    wait_for(lambda: study.ask().number == 0)
    assert renewals(study) == before
    assert len(study.trials[0].retries) == 1


@linux
@pytest.mark.parametrize("beats", [0, 1])
def test_the_trials_of_a_killed_worker_go_on_at_once(tmp_path, beats):
    study = study_at(tmp_path / "s.db", 60)
    script = (
        "import os, sys, time\nimport hpo_core as hpo\nstudy = hpo.Study.open(sys.argv[1], 's')\n"
        "study.lease_seconds = 0.3 if sys.argv[2] == '1' else 60\n"
        "def objective(trial):\n    time.sleep(0.5)\n    os.kill(os.getpid(), 9)\n"
        "study.optimize(objective, n_trials=1)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "s.db"), str(beats)]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    start = time.monotonic()
    study.optimize(lambda trial: 1.0, until=1)
    assert time.monotonic() - start < 20  # a lease is 60 s
    assert study.trials[0].value == 1.0
    assert len(study.trials[0].retries) == 1


def test_a_worker_killed_before_it_could_say_anything_leaves_no_traceback():
    command = [sys.executable, "-c", heartbeat._WAIT]
    done = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert done.stderr == b""


@linux
def test_a_living_worker_that_closes_its_pipes_keeps_its_lease(tmp_path):
    study = study_at(tmp_path / "s.db", 60)
    journal = study._ledger.journal
    heart = heartbeat.Heartbeat(journal.storage, journal.key, "w", 60)
    os.close(heart._process.stdin.fileno())
    heart._process.wait(30)
    heart.stop()
    assert renewals(study) == 0


@linux
def test_a_living_worker_keeps_its_lease_if_its_heart_is_started_by_a_launcher(tmp_path, monkeypatch):
    launcher = tmp_path / "python"
    launcher.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n')
    launcher.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(launcher))
    study = study_at(tmp_path / "s.db", 0.6)
    study.optimize(lambda trial: wait_for(lambda: renewals(study) > 3) or 1.0, n_trials=1)
    journal = study._ledger.journal
    texts = [record[2] for record in journal.storage.read(journal.key) if record[1] == heartbeat.RENEWED]
    assert all('"seconds":0.6' in text for text in texts)


@linux
def test_they_need_no_library_of_the_user(tmp_path):
    study = study_at(tmp_path / "s.db", 0.6)
    journal = study._ledger.journal
    heart = heartbeat.Heartbeat(journal.storage, journal.key, "w", 0.6)
    wait_for(lambda: renewals(study) > 1)
    mapped = Path(f"/proc/{heart._process.pid}/maps").read_text()
    heart.stop()
    assert "sqlite" in mapped
    assert "numpy" not in mapped
    assert not heart.beats


def test_they_reach_the_file_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = study_at("s.db", 0.3)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    study.optimize(lambda trial: wait_for(lambda: renewals(study) > 2) or 1.0, n_trials=1)
    assert list(Path().iterdir()) == []


def test_a_killed_heart_is_replaced(tmp_path):
    study = study_at(tmp_path / "s.db", 0.9)
    worker = study._claims()
    worker.claim(None, None)
    os.kill(worker._heart._process.pid, signal.SIGKILL)
    worker._heart._process.wait()
    worker.claim(None, None)
    before = renewals(study)
    wait_for(lambda: renewals(study) > before)
    worker.close()


def test_none_is_left_when_the_call_is_over(tmp_path):
    study, pids = study_at(tmp_path / "s.db", 60), []
    popen = subprocess.Popen
    subprocess.Popen = lambda *args, **options: pids.append(popen(*args, **options)) or pids[-1]
    try:
        study.optimize(lambda trial: 1.0, n_trials=3)
        with pytest.raises(ZeroDivisionError):
            study.optimize(lambda trial: 1 / 0, n_trials=3)
    finally:
        subprocess.Popen = popen
    assert [process.poll() for process in pids] == [-signal.SIGKILL] * 2


def test_a_failed_beat_is_said_and_survived(tmp_path, caplog):
    storage = SQLiteStorage(str(tmp_path / "later" / "s.db"))
    path = tmp_path / "s.db"
    path.write_text("no database" * 1000)
    storage = SQLiteStorage(str(path))
    answers = iter([False, True])

    def ended():
        if path.read_bytes().startswith(b"no"):
            path.unlink()
            study_at(path, 60)
        return next(answers)

    heartbeat.beat(storage, 1, "w", 60.0, ended)
    assert len(caplog.messages) == 1
    assert "the lease of worker w could not be renewed" in caplog.messages[0]
    assert [record[1] for record in storage.read(1)] == ["created", heartbeat.RENEWED]


def test_what_was_deleted_is_not_made_again(tmp_path):
    study_at(tmp_path / "s.db", 60)
    storage = SQLiteStorage(str(tmp_path / "s.db"))
    delete(storage, "s")
    gone = SQLiteStorage(str(tmp_path / "gone.db"))
    for each in (storage, gone):
        heartbeat.beat(each, 1, "w", 60.0, lambda: True)
        heartbeat.end(each, 1, "w", lambda: True)
    assert [record[1] for record in storage.read(1)] == ["created", "deleted"]
    assert not (tmp_path / "gone.db").exists()


def test_the_module_of_the_worker_is_not_loaded_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, time\nprint('loaded', flush=True)\nimport hpo_core as hpo\n"
        "study = hpo.Study({'x': hpo.Float(0, 1)}, name='s', storage=sys.argv[1])\n"
        "study.lease_seconds = 0.3\nstudy.optimize(lambda trial: time.sleep(1) or 1.0, n_trials=1)\n"
    )
    command = [sys.executable, str(script), str(tmp_path / "s.db")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("loaded\n", "")
    assert renewals(hpo.Study.open(tmp_path / "s.db", "s")) > 2


@pytest.mark.parametrize("executable", [None, "", "/nowhere/python", "frozen"])
def test_without_an_interpreter_a_thread_beats(tmp_path, monkeypatch, executable):
    if executable == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    else:
        monkeypatch.setattr(sys, "executable", executable)
    study = study_at(tmp_path / "s.db", 0.3)
    study.optimize(lambda trial: time.sleep(1.0) or 0.0, n_trials=1)
    assert renewals(study) >= 3
    assert len(study.trials.where("complete")) == 1
    wait_for(lambda: not any(thread.name == "hpo_core-heartbeat" for thread in threading.enumerate()))
