"""Syne Tune's asynchronous schedulers, called as its tuner calls them.

Its simulator needs tables in its own format, and a blackbox package that wants another numpy; the calls are
the same: suggest, ``on_trial_add``, ``on_trial_result`` with its decision, ``on_trial_remove`` and
``on_trial_complete``. ``scheduler`` names one of ``SCHEDULERS``. Two settings are not its defaults: ``type``
is "promotion", which pauses and continues (the default stops for good), and Hyper-Tune has four brackets,
since it is made to choose between several (the default is one). Neither was compared with its default.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Any

from syne_tune import config_space
from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer.baselines import ASHA, MOBSTER, HyperTune
from syne_tune.optimizer.scheduler import SchedulerDecision

from bench.fidelity.optimiser import Training

if TYPE_CHECKING:
    from bench.fidelity.optimiser import Optimiser
    from bench.fidelity.tables import Task
    from bench.quality.spec import Parameter

logging.getLogger().setLevel(logging.ERROR)

SCHEDULERS = {"asha": ASHA, "mobster": MOBSTER, "hypertune": HyperTune}
BRACKETS = {"hypertune": 4}  # Hyper-Tune samples brackets
LAST, RESOURCE, METRIC = "epochs", "epoch", "loss"
NO_TIME = dt.datetime(2000, 1, 1)


def declare(p: Parameter) -> Any:
    low, high = p.low, p.high
    if p.kind == "int":
        return (config_space.lograndint if p.log else config_space.randint)(int(low), int(high))
    return (config_space.loguniform if p.log else config_space.uniform)(low, high)


class SyneTune:
    def __init__(self, task: Task, seed: int, settings: dict[str, Any]) -> None:
        self._task = task
        options = dict(settings)
        name = options.pop("scheduler")
        space = {p.name: declare(p) for p in task.parameters}
        self._scheduler = SCHEDULERS[name](
            {**space, LAST: task.epochs},
            metric=METRIC,
            mode="min",
            resource_attr=RESOURCE,
            max_resource_attr=LAST,
            type=options.pop("type", "promotion"),
            brackets=BRACKETS.get(name, 1),
            random_seed=seed,
            search_options={} if name == "asha" else {"debug_log": False},
            **options,
        )
        self._trials: list[Trial] = []
        self._done: dict[int, int] = {}
        self._told: dict[int, str] = {}

    def ask(self) -> Training | None:
        number = len(self._trials)
        suggestion = self._scheduler.suggest(number)
        if suggestion is None:
            return None
        if suggestion.spawn_new_trial_id:
            trial = Trial(number, suggestion.config, NO_TIME)
            self._trials.append(trial)
            self._scheduler.on_trial_add(trial)
        else:
            number = int(suggestion.checkpoint_trial_id)
            trial = self._trials[number]
            if suggestion.config is not None:
                trial = self._trials[number] = Trial(number, suggestion.config, NO_TIME)
        config = {p.name: trial.config[p.name] for p in self._task.parameters}
        return Training(trial, config, self._done.get(number, 0), int(trial.config[LAST]))

    def report(self, training: Training, loss: float) -> bool:
        trial = training.handle
        self._done[trial.trial_id] = training.done
        decision = self._scheduler.on_trial_result(trial, {METRIC: loss, RESOURCE: training.done})
        self._told[trial.trial_id] = decision
        return bool(decision == SchedulerDecision.CONTINUE)

    def end(self, training: Training, loss: float) -> None:
        trial = training.handle
        if self._told[trial.trial_id] == SchedulerDecision.CONTINUE:
            self._scheduler.on_trial_complete(trial, {METRIC: loss, RESOURCE: training.done})
        else:
            self._scheduler.on_trial_remove(trial)


def create(task: Task, seed: int, settings: dict[str, Any]) -> Optimiser:
    return SyneTune(task, seed, settings)
