"""A space and a sampler for tests of the study, small, conditional and sensitive to what it is shown; and
what can happen to a study.
"""

from __future__ import annotations

import pickle
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from contracts.cases import value_of

from hpo_core.executors.channel import Channel
from hpo_core.metrics import PLAIN, AtMost, Metrics, Minimize
from hpo_core.samplers.base import Sampler, Suggestion
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
