"""A space and a sampler for tests of the study, small, conditional and sensitive to what it is shown; and
what can happen to a study.
"""

from __future__ import annotations

import pickle
import zlib
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from contracts.cases import value_of

from hpo_core.executors.channel import Channel
from hpo_core.log import Move
from hpo_core.metrics import PLAIN, AtMost, Metrics, Minimize
from hpo_core.samplers.base import Sampler, Suggestion
from hpo_core.schedulers import Scheduler, Verdict
from hpo_core.space import Categorical, Float, Int, Ordinal, Space
from hpo_core.study import Study
from hpo_core.trial.remote import RemoteTrials

# Columns of exports, and of the views of SQL, before those of the parameters.
ABOUT = ["number", "state", "value", "seconds", "started", "tier", "reason", "retries", "reports"]

if TYPE_CHECKING:
    from hpo_core.trial import Trial

# A configuration of the space below, its constant left out. The least lr makes an exact round trip.
FULL = {"lr": 1e-5, "batch": 32, "optimizer": "sgd", "momentum": 0.5, "depth": 2}


def small_space(**options: Any) -> Space:
    return Space(
        {
            "lr": Float(1e-5, 1e-1, log=True),
            "batch": Ordinal([16, 32, 64]),
            "optimizer": Categorical({"sgd": {"momentum": Float(0.0, 0.99)}, "adam": {}}),
            "depth": Int(1, 4),
            "epochs": 10,
        },
        **options,
    )


def make_study(**options: Any) -> Study:
    """A study of one number, as ``objectives`` take it."""
    return Study({"x": Float(-2.0, 2.0)}, **({"sampler": "random", "seed": 3} | options))


# What makes the trials of workers, for a study of one number x.
TRIALS = RemoteTrials(("x",), seed=17, metrics=PLAIN)


def remote_trial(params: dict[str, Any], number: int = 0) -> Trial:
    """A trial as a worker has it, which nobody listens to."""
    return RemoteTrials(tuple(params), seed=17, metrics=PLAIN)(Channel(), number, params)


def several(m: int, c: int = 0) -> Metrics:
    """Metrics with m objectives to minimise and c bounds of 0."""
    objectives = {f"y{i}": Minimize() for i in range(m)}
    return Metrics({**objectives, **{f"bound{i}": AtMost(0.0) for i in range(c)}})


def states(study: Study) -> list[int]:
    return study.trials.state.tolist()


class Hashed(Sampler):
    """Draws from the prior with a seed that hashes everything a sampler may look at.

    Any change in finish order, values or running set changes every later suggestion, so that a
    replay or a restart that shows the sampler something else is caught.
    """

    name = "hashed"

    def start(self, space, *, seed, allow_duplicates=False):
        self.space, self.seed = space, seed

    def __getstate__(self):
        return {}

    def ask(self, history, first, n):
        parts = (history.finish_order, history.y, history.fidelity, history.running, history.reports.value)
        digest = zlib.crc32(f"{self.seed} {first} {n} {len(history)} {history.position}".encode())
        for part in parts:
            digest = zlib.crc32(part.tobytes(), digest)
        return Suggestion(self.space.encode(self.space.sample(n, seed=digest)), "hashed")


def hashed_study(**options: Any) -> Study:
    options = {"sampler": Hashed(), "seed": 0} | options
    return Study(options.pop("space", None) or small_space(), **options)


def fingerprint(study: Study) -> bytes:
    """Everything a refused call must leave alone."""
    return pickle.dumps(study.history)


def step(study, k):
    """One thing that can happen to a study, another for each k."""
    if k % 7 == 3:
        batch = study.ask(3)
        study.tell(batch[[2, 0]], [value_of(batch[2]), value_of(batch[0])])
        return
    trial = study.ask()
    trial.report(1, np.nan if k % 4 == 0 else k / 3)
    trial.note(k=k)
    if k % 5 == 4:
        study.fail(trial, reason="oom", traceback="line 7")
    elif k % 6 != 1:
        study.tell(trial, np.inf if k == 10 else value_of(trial))


def columns(study):
    history = study.history
    names = (
        "x",
        "outcomes",
        "violation",
        "state",
        "cost",
        "cursor",
        "started",
        "last_report",
        "finish_order",
        "finish_position",
    )
    found = {name: getattr(history, name).copy() for name in names} | {"reports": np.vstack(history.reports)}
    return found | {"given": np.array(np.nan) if history.given is None else history.given.copy()}


def assert_same(one, other):
    for (name, ours), theirs in zip(columns(one).items(), columns(other).values(), strict=True):
        np.testing.assert_array_equal(ours, theirs, name)
    assert one.history.position == other.history.position
    for name in ("reasons", "tracebacks", "notes", "study_notes", "wanted"):
        assert getattr(one.history, name) == getattr(other.history, name)
    assert [one.history.origins[t] for t in one.history.origin] == [
        other.history.origins[t] for t in other.history.origin
    ]


class Scripted(Scheduler):
    """Decides by a table: for a trial and its depth the letter of a move, "s" or "p", and its rung.

    ``let_go_on`` holds the paused trials that go on next.
    """

    name = "scripted"
    pauses = True

    def __init__(self, script: dict[tuple[int, int], str] | None = None) -> None:
        self.script = script or {}
        self.let_go_on: list[int] = []

    def start(self, *, seed: int) -> None:
        pass

    def decide(self, history: Any, row: int) -> Verdict:
        depth = int(history.reports.step[history.last_report[row]]) + 1
        told = self.script.get((row, depth))
        if told is None:
            return Verdict()
        move, rung = {"s": Move.STOP, "p": Move.PAUSE}[told[0]], int(told[1:] or -1)
        return Verdict(move, rung, f"{told} after {depth}")

    def resume(self, history: Any, n: int) -> list[int]:
        rows, self.let_go_on = self.let_go_on[:n], self.let_go_on[n:]
        return rows


def advance(study: Study, trial: Any, depth: int, *, n: int = 9, offset: float = 0.0) -> None:
    """Let a trial of ``n`` steps go on to a depth; if it is to end or pause before, tell its last value."""
    value = 0.0
    for step in trial.steps(n):
        if step < len(trial.reports):
            continue
        if step == depth:
            return
        value = trial.number + 1 / (step + 1) + offset
        measured = study.metrics.reader.measured
        trial.report(step, value if len(measured) == 1 else dict.fromkeys(measured, value))
        if trial.should_stop():
            break
    study.tell(trial, value if len(measured) == 1 else dict.fromkeys(measured, value))


SCRIPT = {
    (0, 1): "p0", (1, 1): "p0", (2, 1): "p0", (4, 1): "p0", (9, 1): "p0", (1, 3): "p1", (3, 3): "s1",
    (5, 1): "s0",
}  # fmt: skip


def study_with_pauses(**options: Any) -> Study:
    """Trials 0 paused, 1 resumed and paused again, 2 resumed and running, 3 stopped after 3 steps of 9,
    4 paused and then stopped by hand, 5 stopped after one, 6 complete, 7 running, 8 failed after 2, 9 resumed
    and complete.
    """
    study = make_study(**options, scheduler=Scripted(SCRIPT))
    batch = study.ask(10)
    for k in (0, 1, 2, 3, 4, 5, 6, 9):
        advance(study, batch[k], 9)
    advance(study, batch[7], 2)
    advance(study, batch[8], 2)
    study.fail(batch[8], reason="oom")
    study.scheduler.let_go_on = [1, 2, 9]
    for trial in [*study.ask(3)]:
        advance(study, trial, 2 if trial.number == 2 else 9)
    study.stop_trials(4)
    return study


def noisy_study(direction: Literal["minimize", "maximize"] = "minimize", **options: Any) -> Study:
    """A study by ``gp`` of a smooth function under noise; its best observed trial was lucky."""
    sign, rng = 1.0 if direction == "minimize" else -1.0, np.random.default_rng(3)
    study = Study(
        {"x": Float(-1.0, 1.0), "y": Float(-1.0, 1.0)}, sampler="gp", seed=0, direction=direction, **options
    )
    for x, y in rng.uniform(-1.0, 1.0, (40, 2)).tolist():
        study.add({"x": x, "y": y}, sign * (x * x + y * y + 0.3 * rng.standard_normal()))
    return study
