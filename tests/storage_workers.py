"""What runs in worker processes of the tests of storage."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sqlite3
import subprocess
import time
from functools import partial

import hpo_core as hpo
from hpo_core import Float, Int

SPACE = {"x": Float(-1, 1), "k": Int(1, 9)}


def value_of(trial):
    return trial["x"] ** 2 + trial["k"]


def work(path, start, n, acknowledged=None):
    study = hpo.Study(SPACE, sampler="tpe", seed=0, name="s", storage=path)
    start.wait(60)
    for _ in range(n):
        trial = study.ask()
        value = value_of(trial)
        study.tell(trial, value)
        if acknowledged is not None:
            acknowledged.send((trial.number, value))


def slow_value_of(trial, seconds):
    time.sleep(seconds)
    return value_of(trial)


def optimize_until(
    path, until, *, start=None, skew=0.0, acknowledged=None, n_jobs=1, lease=60.0, seconds=0.0
):
    """Work on a shared study, the clock of this process wrong by ``skew`` seconds."""
    true_time = time.time
    time.time = lambda: true_time() + skew
    study = hpo.Study(SPACE, sampler="tpe", seed=0, name="s", storage=path)
    study.lease_seconds = lease
    if start is not None:
        start.wait(60)

    def acknowledge(_, trial):
        if acknowledged is not None:
            acknowledged.send((trial.number, trial.value))

    objective = partial(slow_value_of, seconds=seconds)
    study.optimize(objective, until=until, callbacks=[acknowledge], n_jobs=n_jobs)


def _busy(path, ready, run):
    study = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=path)
    study.lease_seconds = 1.0
    make, hearts = subprocess.Popen, []
    subprocess.Popen = lambda *args, **options: hearts.append(make(*args, **options)) or hearts[-1]

    def objective(trial):
        subprocess.Popen = make
        ready.send(hearts[0].pid)
        run()
        return 1.0

    study.optimize(objective, n_trials=1)


def hold_the_gil(path, ready):
    _busy(path, ready, lambda: ctypes.PyDLL(None).sleep(4))


def leave_an_orphan(path, ready):
    """Fork a child that holds what this process has open, and outlives it."""

    def run():
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        time.sleep(60)

    _busy(path, ready, run)


def optimize_for(path, start, seconds, queue):
    """Optimize from the moment when all are ready; tell how many trials this process has finished."""
    warm = hpo.Study({"x": Float(-1, 1)}, sampler="gp", seed=0)
    warm.optimize(lambda trial: trial["x"] ** 2, n_trials=8)  # loads what a suggestion needs
    study = hpo.Study.open(path, "s")
    mine = 0

    def objective(trial):
        nonlocal mine
        mine += 1
        return sum(trial[f"x{i}"] ** 2 for i in range(4))

    start.wait(120)
    study.optimize(objective, timeout=seconds)
    queue.put(mine)


def tell_for(path, start, seconds, queue):
    """Tell one trial after the other; say how long each took."""
    study = hpo.Study.open(path, "s")
    start.wait(120)
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        for trial in study.ask(20):
            before = time.monotonic()
            study.tell(trial, 0.5)
            times.append(time.monotonic() - before)
    queue.put(times)


N_STEPS = 9


def state_after(seed, n):
    """State of a training after ``n`` steps: each follows from the one before, and from nothing else."""
    state = seed
    for _ in range(n):
        state = (1103515245 * state + 12345) % 2**31
    return state


def training(trial, seconds=0.0):
    """Steps that can only go on from a checkpoint, which is written before the report."""
    state, checkpoint = trial.seed, trial.checkpoint
    if checkpoint is not None:
        state = int((checkpoint / "state").read_text())
    value = state / 2**31  # a worker may have died after the last step
    for step in trial.steps(N_STEPS):
        time.sleep(seconds)
        state = state_after(state, 1)
        with trial.save_checkpoint(step) as folder:
            (folder / "state").write_text(str(state))
        value = state / 2**31
        time.sleep(seconds)
        trial.report(step, value)
        if trial.should_stop():
            break
    return value


def promoting(path, folder):
    """Open a study whose trials pause after 1 and 3 of 9 steps."""
    scheduler = hpo.ASHA(mode="promote", max_steps=N_STEPS)
    options = {"storage": path, "name": "s", "checkpoints": folder}
    study = hpo.Study(SPACE, sampler="random", scheduler=scheduler, seed=0, **options)
    study.max_retries = 1000
    return study


def train_until(path, folder, until, *, start=None, lease=60.0, n_jobs=1, seconds=0.0):
    study = promoting(path, folder)
    study.lease_seconds = lease
    if start is not None:
        start.wait(120)
    study.optimize(partial(training, seconds=seconds), until=until, n_jobs=n_jobs)


def die_when_told(path, folder, scheduler):
    """Train until the study says that the trial is to stop or to pause, and be killed before saying so."""
    study = hpo.Study(
        SPACE, sampler="random", scheduler=scheduler, seed=0, name="s", storage=path, checkpoints=folder
    )
    study.lease_seconds = 0.3

    def objective(trial):
        training(trial)
        os.kill(os.getpid(), signal.SIGKILL)

    study.optimize(objective, n_trials=1)


def read_and_close(path):
    """Be the last to close the file, as far as SQLite can see."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT count(*) FROM events").fetchone()
