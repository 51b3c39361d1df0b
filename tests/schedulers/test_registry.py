"""Schedulers by name; what pickling and descriptions keep."""

from __future__ import annotations

import pickle

import pytest
from studies import small_space

import hpo_core as hpo
from hpo_core import schedulers
from hpo_core.errors import ArgumentError
from hpo_core.schedulers import BY_NAME, resolve

CHOSEN = [
    hpo.ASHA(min_steps=2, max_steps=50, factor=4, mode="promote", brackets=2),
    hpo.ASHA(mode="promote", grow=True),
    hpo.Hyperband(min_steps=3, max_steps=40, factor=2, mode="promote"),
    hpo.Median(min_trials=3, warmup_steps=2, metric="loss"),
    hpo.Percentile(10, min_trials=3, warmup_steps=2, metric="loss"),
    hpo.Patience(4, min_delta=0.5, metric="loss"),
    hpo.Threshold(upper=3.0, lower=-2.0, after=4, metric="loss"),
]


def test_names_are_those_of_the_classes():
    for name, kind in BY_NAME.items():
        assert kind.name == name
        assert getattr(hpo, kind.__name__) is getattr(schedulers, kind.__name__) is kind
        if name != "threshold":
            assert type(resolve(name)) is kind
    assert resolve(None) is None
    with pytest.raises(ArgumentError, match="upper or lower must be a number"):
        resolve("threshold")


@pytest.mark.parametrize("scheduler", CHOSEN, ids=lambda scheduler: scheduler.name)
def test_options_make_the_scheduler_again(scheduler):
    options = scheduler.options()
    assert type(scheduler)(**options).options() == options
    scheduler.start(seed=3)
    copy = pickle.loads(pickle.dumps(scheduler))
    assert (type(copy), copy.options(), copy.pauses) == (type(scheduler), options, scheduler.pauses)
    default = type(scheduler)(**({"upper": 0.0} if scheduler.name == "threshold" else {})).options()
    assert sum(options[name] != default[name] for name in options) >= 2


@pytest.mark.parametrize(
    "scheduler",
    [
        "asha",
        "hyperband",
        "median",
        "percentile",
        hpo.Threshold(upper=0.3, after=2),
        hpo.Patience(1),
        hpo.ASHA(brackets=2, factor=2),
        hpo.ASHA(mode="promote"),
        hpo.ASHA(mode="promote", grow=True),
        hpo.Hyperband(mode="promote"),
    ],
    ids=lambda scheduler: getattr(scheduler, "name", scheduler),
)
def test_a_study_with_each_of_them_replays(scheduler):
    """A stored study decides again what it decided, also after its cache was built from the log."""

    def train(trial):
        for step in trial.steps(9):
            loss = trial["lr"] + (trial.number % 5) / 10 + 0.1 * ((step * 7 + trial.number) % 3) / (step + 1)
            trial.report(step, loss)
            if trial.should_stop():
                break
        return loss

    storage = hpo.storage.MemoryStorage()
    for n in (12, 18):
        study = hpo.Study(
            small_space(), scheduler=scheduler, sampler="random", seed=1, name="s", storage=storage
        )
        study.optimize(train, n_trials=n)
    assert study.history.why
    study.replay()
