"""Many processes on one file: nothing twice, nothing lost, whoever is killed."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from storage_workers import SPACE, optimize_until, value_of, work
from teams import SPAWN, run_to_their_ends, with_children

import hpo_core as hpo


def test_eight_processes_share_one_study(place, soak):
    n = 2000 if soak else 100
    start = SPAWN.Event()
    workers = [SPAWN.Process(target=work, args=(place, start, n)) for _ in range(8)]
    run_to_their_ends(workers, start)
    study = hpo.Study.open(place, "s")
    assert len(study.trials) == study.n_finished == 8 * n  # the history refuses a number that comes twice
    x, k = study.trials["x"], study.trials["k"]
    np.testing.assert_allclose(study.trials.value, x**2 + k, rtol=1e-14)
    assert study.best_value == min(study.trials.value)
    assert study.replay()


def test_eight_processes_end_together_whatever_their_clocks_say(place, soak):
    until = 16_000 if soak else 800
    start = SPAWN.Event()
    skews = [0, 0, 0, 0, 0, 0, 36_000, -36_000]
    options = [{"start": start, "skew": skew} for skew in skews]
    workers = [SPAWN.Process(target=optimize_until, args=(place, until), kwargs=each) for each in options]
    run_to_their_ends(workers, start)
    study = hpo.Study.open(place, "s")
    assert len(study.trials) == study.n_finished == until
    assert not any(study.trials.retries)  # nobody's lease ran out by another's clock
    skewed = np.abs(study.history.started - time.time()) > 30_000
    assert 0 < np.count_nonzero(skewed) < until
    assert max(study.history.cost) < 1000
    assert study.replay()


class Member:
    """A process that optimizes without end, and tells of each result once it has been told."""

    def __init__(self, path, n_jobs):
        self.known = {}
        self.reader, writer = SPAWN.Pipe(duplex=False)
        options = {"acknowledged": writer, "n_jobs": n_jobs, "lease": 1.0, "seconds": 0.02}
        self.process = SPAWN.Process(target=optimize_until, args=(path, 10**9), kwargs=options)
        self.process.start()
        writer.close()

    def listen(self):
        with contextlib.suppress(EOFError, OSError):
            while self.reader.poll():
                self.known.update([self.reader.recv()])
        return self.known

    def bury(self):
        self.process.kill()
        self.process.join()
        return self.listen()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds child processes in /proc")
def test_whoever_is_killed_others_finish_what_was_begun(place, soak):
    dice = random.Random(5)
    hpo.Study(SPACE, sampler="tpe", seed=0, name="s", storage=place)
    team, known, buried = [], {}, 0
    for _ in range(200 if soak else 6):
        while len(team) < 4:
            team.append(Member(place, n_jobs=dice.choice([1, 1, 2])))
        time.sleep(dice.uniform(0, 0.3))
        deadline = time.monotonic() + 120
        while not (at_work := [member for member in team if member.listen()]):
            assert time.monotonic() < deadline, "nobody has finished a trial"
            time.sleep(0.01)
        member = dice.choice(at_work)
        victim = dice.choice(with_children(member.process.pid))
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        if victim == member.process.pid:
            known.update(member.bury())
            team.remove(member)
            buried += 1
    for member in team:
        known.update(member.bury())
        buried += 1
    study = hpo.Study.open(place, "s")  # the history refuses a number that comes twice
    begun, finished = len(study.trials), study.n_finished
    told = [None if value != value else value for value in study.trials.value.tolist()]
    assert {number: told[number] for number in known} == known
    assert 0 <= finished - len(known) <= 2 * buried  # at most what was in flight at each death
    assert finished < begun
    study.optimize(value_of, until=begun)
    assert study.n_finished == len(study.trials) == begun
    complete = study.trials.where("complete")
    np.testing.assert_allclose(complete.value, complete["x"] ** 2 + complete["k"], rtol=1e-14)
    reasons = set(study.trials.where("failed").reason)
    killed = "the worker process died|a worker process ended before it could start|worker .*, 3 attempts"
    assert all(re.match(killed, reason) for reason in reasons)
    assert any(study.trials.retries)
    assert study.replay()


def test_workers_that_are_killed_leave_every_acknowledged_result(place, soak):
    dice = random.Random(3)
    known = {}
    n_kills = 200 if soak else 5
    for _ in range(n_kills):
        start = SPAWN.Event()
        reader, writer = SPAWN.Pipe(duplex=False)
        worker = SPAWN.Process(target=work, args=(place, start, 100_000, writer))
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
    study = hpo.Study.open(place, "s")
    told = dict(enumerate(study.trials.value.tolist()))
    assert {number: told[number] for number in known} == known
    assert study.n_finished - len(known) <= n_kills  # at most what was in flight at each death
    assert study.replay()


def test_later_results_are_kept_as_late(place, caplog):
    here = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=place)
    here.ask(4)
    there = hpo.Study.open(place, "s")
    there.tell([0, 1], [5.0, 6.0])
    here.tell(0, 1.0)
    here.tell([1, 2], [2.0, 3.0])
    assert here.trials.value[:3].tolist() == [5.0, 6.0, 3.0]
    there.fail(2, reason="slow")
    assert [record.message.split(": ")[1] for record in caplog.records] == [
        f"trial {k} was already finished elsewhere; the first result counts, and this one is only kept in "
        "the log"
        for k in (0, 1, 2)
    ]
    late = [record[2] for record in there._ledger.journal.storage.read(1) if record[1] == "late"]
    assert late == [
        '{"rows": [0], "values": [1.0]}',
        '{"rows": [1], "values": [2.0]}',
        '{"rows": [2], "reason": "slow"}',
    ]
    with pytest.raises(hpo.TrialError, match="already finished"):
        hpo.Study.open(place, "s").tell(0, 1.0)


def test_a_forked_child_opens_a_connection_of_its_own(place):
    study = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=place)
    study.ask()
    pid = os.fork()
    if pid == 0:
        try:
            study.ask(2)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert study.ask().number == 3
