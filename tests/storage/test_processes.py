"""Many processes on one file: nothing twice, nothing lost, whoever is killed."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time

import numpy as np
import pytest
from storage_workers import SPACE, work

import hpo_core as hpo

SPAWN = multiprocessing.get_context("spawn")


def test_eight_processes_share_one_study(tmp_path):
    path, n = str(tmp_path / "s.db"), 200
    start = SPAWN.Event()
    workers = [SPAWN.Process(target=work, args=(path, start, n)) for _ in range(8)]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 8
    study = hpo.Study.open(path, "s")
    assert len(study.trials) == study.n_finished == 8 * n  # the history refuses a number that comes twice
    x, k = study.trials["x"], study.trials["k"]
    np.testing.assert_allclose(study.trials.value, x**2 + k, rtol=1e-14)
    assert study.best_value == min(study.trials.value)
    assert study.replay()


def test_workers_that_are_killed_leave_every_acknowledged_result(tmp_path):
    path, dice = str(tmp_path / "s.db"), random.Random(3)
    known = {}
    for _ in range(10):
        start = SPAWN.Event()
        reader, writer = SPAWN.Pipe(duplex=False)
        worker = SPAWN.Process(target=work, args=(path, start, 100_000, writer))
        worker.start()
        writer.close()
        start.set()
        known.update([reader.recv()])
        time.sleep(dice.uniform(0, 0.1))
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        while True:
            try:
                known.update([reader.recv()])
            except (EOFError, OSError):
                break
        reader.close()
    study = hpo.Study.open(path, "s")
    told = dict(enumerate(study.trials.value.tolist()))
    assert {number: told[number] for number in known} == known
    assert study.n_finished - len(known) <= 10  # at most what was in flight at each death
    assert study.replay()


def test_the_first_result_counts_and_a_later_one_is_kept(tmp_path, caplog):
    here = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=tmp_path / "s.db")
    here.ask(4)
    there = hpo.Study.open(tmp_path / "s.db", "s")
    there.tell([0, 1], [5.0, 6.0])
    here.tell(0, 1.0)
    here.tell([1, 2], [2.0, 3.0])
    assert here.trials.value[:3].tolist() == [5.0, 6.0, 3.0]
    there.fail(2, reason="slow")
    assert [record.message.split(": ")[1] for record in caplog.records] == [
        f"trial {k} was already finished elsewhere; the first result counts, this one is kept in the log"
        for k in (0, 1, 2)
    ]
    late = [record[2] for record in there._journal.storage.read(1) if record[1] == "late"]
    assert late == [
        '{"rows": [0], "values": [1.0]}',
        '{"rows": [1], "values": [2.0]}',
        '{"rows": [2], "reason": "slow"}',
    ]
    with pytest.raises(hpo.TrialError, match="already finished"):
        hpo.Study.open(tmp_path / "s.db", "s").tell(0, 1.0)


def test_a_forked_child_opens_a_connection_of_its_own(tmp_path):
    study = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=tmp_path / "s.db")
    study.ask()
    pid = os.fork()
    if pid == 0:
        try:
            study.ask(2)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert study.ask().number == 3
