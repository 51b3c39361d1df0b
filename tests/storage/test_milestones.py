"""Trials that pause and go on in many processes: each milestone is decided once, whoever is killed."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from deciding import PauseOnce, StopAbove
from storage_workers import N_STEPS, SPACE, die_when_told, promoting, state_after, train_until, training
from teams import SPAWN, run_to_their_ends, with_children

import hpo_core as hpo
from hpo_core.log import Move, State

DEPTHS, FACTOR = [1, 3], 3  # of the rungs
LEASE = 0.5
CYCLE = [Move.PAUSE, Move.PAUSED, Move.RESUMED]


def check(study):
    """Nothing twice, nothing lost, nothing from a wrong state; return how many steps lack their report."""
    history, lacking = study.history, 0
    decided, went_on = Counter(), Counter()
    for trial in study.trials:
        row, steps = trial.number, [step for step, _ in trial.reports]
        values = [state_after(trial.seed, step + 1) / 2**31 for step in range(N_STEPS)]
        assert trial.reports == [(step, values[step]) for step in steps]
        assert steps == sorted(set(steps))
        mine = history.moves.row == row
        kinds, rungs = history.moves.kind[mine].tolist(), history.moves.rung[mine].tolist()
        assert kinds == (CYCLE * len(kinds))[: len(kinds)]
        decided.update((row, rung) for rung in rungs[::3])
        went_on.update(rung for rung, kind in zip(rungs[::3], kinds[2::3], strict=False))
        if trial.state == State.COMPLETE:
            # A worker that hears nothing for a second goes on, and may be done before it is told to pause.
            assert (trial.value, len(kinds) % 3 < 2) == (values[-1], True)
            n = N_STEPS
        elif trial.state == State.FAILED:
            assert re.match(
                "the worker process died|a worker process ended before it could start", trial.reason
            )
            n = len(steps)
        else:
            assert (trial.state, kinds[-1]) == (State.PAUSED, Move.PAUSED)
            n = int(trial.checkpoint.name.removeprefix("step-")) + 1 if trial.checkpoint else steps[-1] + 1
            assert n >= DEPTHS[rungs[-2]]
        lacking += n - len(steps)
    assert set(decided.values()) <= {1}
    for rung, depth in enumerate(DEPTHS):
        arrived = {int(row) for row in history.reports.row[history.reports.step + 1 >= depth]}
        assert went_on[rung] <= len(arrived) // FACTOR
    assert study.replay()
    return lacking


def test_processes_that_pause_and_continue_decide_each_milestone_once(place, tmp_path, soak):
    n, until = (16, 2000) if soak else (4, 60)
    start = SPAWN.Event()
    arguments = place, str(tmp_path / "checkpoints"), until
    run_to_their_ends(
        [SPAWN.Process(target=train_until, args=arguments, kwargs={"start": start}) for _ in range(n)], start
    )
    study = hpo.Study.open(place, "s")
    assert len(study.trials) == until
    assert check(study) == 0


class Team:
    """Processes that optimize without end; whoever dies is replaced."""

    def __init__(self, place, folder, dice):
        self.place, self.folder, self.dice = place, folder, dice
        self.members = []

    def fill(self):
        self.members = [member for member in self.members if member.is_alive()]
        while len(self.members) < 4:
            options = {"lease": LEASE, "n_jobs": self.dice.choice([1, 1, 2]), "seconds": 0.005}
            arguments = self.place, self.folder, 10**9
            self.members.append(SPAWN.Process(target=train_until, args=arguments, kwargs=options))
            self.members[-1].start()

    def at_work(self, study, n_reports):
        """Wait for some more reports; return the members that hold a trial then."""
        deadline, enough = time.monotonic() + 120, len(study.history.reports.row) + n_reports
        while True:
            self.fill()
            history = study._ledger.latest()
            holders = {int(worker.split("-")[-2]) for worker in history.held().values()}
            found = [member for member in self.members if member.pid in holders]
            if found and len(history.reports.row) >= enough:
                return found
            assert time.monotonic() < deadline, "nobody works"
            time.sleep(0.01)

    def end(self):
        for member in self.members:
            member.kill()
            member.join()


@pytest.mark.parametrize("scheduler", [StopAbove(), PauseOnce()], ids=["stop", "pause"])
def test_what_was_decided_holds_if_the_worker_dies_before_it_is_done(place, tmp_path, scheduler):
    folder = str(tmp_path / "checkpoints")
    dying = SPAWN.Process(target=die_when_told, args=(place, folder, scheduler))
    dying.start()
    dying.join()
    study = hpo.Study(
        SPACE, sampler="random", scheduler=scheduler, name="s", storage=place, checkpoints=folder
    )
    assert (study.trials[0].state, len(study.history.moves.row)) == (State.RUNNING, 1)
    study.optimize(training, until=2)
    first, second = study.trials
    reports = [(step, state_after(first.seed, step + 1) / 2**31) for step in range(N_STEPS)]
    assert first.retries == []
    if isinstance(scheduler, StopAbove):
        assert (first.state, first.reports, first.value) == (State.STOPPED, reports[:3], reports[2][1])
        assert study.history.moves.kind.tolist() == [Move.STOP] * 2
    else:
        assert (first.state, first.reports, first.value) == (State.COMPLETE, reports, reports[-1][1])
        assert study.history.moves.kind[study.history.moves.row == 0].tolist() == CYCLE
    assert second.state == first.state
    assert study.replay()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds child processes in /proc")
def test_no_milestone_is_lost_or_decided_twice_whoever_is_killed(place, tmp_path, soak):
    dice, folder, n_kills = random.Random(7), str(tmp_path / "checkpoints"), 200 if soak else 10
    study = promoting(place, folder)
    team, n_inside = Team(place, folder, dice), 0
    try:
        for _ in range(n_kills):
            member = dice.choice(team.at_work(study, n_reports=dice.randrange(5, 15)))
            victim = dice.choice(with_children(member.pid))
            n_inside += victim != member.pid
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
    finally:
        team.end()
    n = len(study._ledger.latest())
    study.lease_seconds = LEASE
    study.optimize(training, until=n)
    assert len(study.trials) == n
    assert study.history.count(State.COMPLETE) > 0
    # A process that loses a worker process fails its trial, or all of its trials if it could not start one.
    assert study.history.count(State.FAILED) <= 2 * n_inside
    assert check(study) <= 2 * (n_kills + len(team.members))
    assert any(study.trials.retries)
