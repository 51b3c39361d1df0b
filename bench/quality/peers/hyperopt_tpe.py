"""Hyperopt's ``tpe.suggest`` at its defaults (20 random trials first), as ``fmin`` calls it.

A parameter on which others depend is a ``hp.choice`` whose options hold them, Hyperopt's way of
writing a condition; the integer depth of a network loses its order by it. Other integers, and the
index of an ordinal's choice, are ``hp.uniformint``, which keeps the order.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from hyperopt import JOB_STATE_DONE, STATUS_OK, Trials, hp, space_eval, tpe
from hyperopt.base import Domain
from hyperopt.pyll import scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.quality.optimiser import Optimiser
    from bench.quality.spec import Config, Parameter, Problem

logging.getLogger("hyperopt").setLevel(logging.ERROR)


def leaf(p: Parameter) -> Any:
    match p.kind:
        case "float" if p.log:
            return hp.loguniform(p.name, math.log(p.low), math.log(p.high))
        case "float":
            return hp.uniform(p.name, p.low, p.high)
        case "int" if p.log:
            return scope.int(hp.qloguniform(p.name, math.log(p.low), math.log(p.high), 1))
        case "int":
            return hp.uniformint(p.name, int(p.low), int(p.high))
        case "ordinal":
            return scope.getitem(list(p.choices), hp.uniformint(p.name, 0, len(p.choices) - 1))
        case "categorical":
            return hp.choice(p.name, list(p.choices))


def search_space(parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Parameters without a condition; a parent is a choice of dicts: its value, and what that activates."""
    nodes: dict[str, Any] = {}
    for p in reversed(parameters):  # children first: one node serves all options that activate it
        children = [c for c in parameters if c.when is not None and c.when.parent == p.name]
        nodes[p.name] = _choice(p, children, nodes) if children else leaf(p)
    return {p.name: nodes[p.name] for p in parameters if p.when is None}


def _choice(p: Parameter, children: Sequence[Parameter], nodes: dict[str, Any]) -> Any:
    values = p.choices or range(int(p.low), int(p.high) + 1)
    return hp.choice(
        p.name,
        [
            {"value": value, **{c.name: nodes[c.name] for c in children if _activates(p, value, c)}}
            for value in values
        ],
    )


def _activates(parent: Parameter, value: Any, child: Parameter) -> bool:
    return child.when is not None and child.when.holds({parent.name: value})


def flat(nested: dict[str, Any]) -> Config:
    """The configuration in a point of the space."""
    config: Config = {}
    for name, value in nested.items():
        if isinstance(value, dict):
            config[name] = value["value"]
            config |= flat({k: v for k, v in value.items() if k != "value"})
        else:
            config[name] = value
    return config


def labelled(p: Parameter, value: Any) -> Any:
    """What a trial's document holds of a value."""
    return p.choices.index(value) if p.choices else value


class HyperoptTPE:
    def __init__(self, problem: Problem, seed: int) -> None:
        self._parameters = {p.name: p for p in problem.parameters}
        self._space = search_space(problem.parameters)
        self._domain = Domain(None, self._space)
        self._trials = Trials()
        self._rng = np.random.default_rng(seed)

    def load(self, configs: list[Config], values: list[float]) -> None:
        ids = self._trials.new_trial_ids(len(configs))
        misc = []
        for tid, config in zip(ids, configs, strict=True):
            vals = {name: [labelled(self._parameters[name], v)] for name, v in config.items()}
            empty: dict[str, list[Any]] = {name: [] for name in self._parameters if name not in config}
            idxs = {name: [tid] for name in config}
            misc.append({"tid": tid, "cmd": None, "idxs": {**empty, **idxs}, "vals": {**empty, **vals}})
        results = [{"loss": value, "status": STATUS_OK} for value in values]
        documents = self._trials.new_trial_docs(ids, [None] * len(ids), results, misc)
        self._trials.insert_trial_docs([{**d, "state": JOB_STATE_DONE} for d in documents])
        self._trials.refresh()

    def ask(self) -> tuple[dict[str, Any], Config]:
        ids = self._trials.new_trial_ids(1)
        self._trials.refresh()
        (document,) = tpe.suggest(ids, self._domain, self._trials, self._rng.integers(2**31 - 1))
        self._trials.insert_trial_doc(document)
        point = {label: values[0] for label, values in document["misc"]["vals"].items() if len(values)}
        return document, flat(space_eval(self._space, point))

    def tell(self, handle: dict[str, Any], value: float) -> None:
        self._trials.refresh()
        document = next(t for t in self._trials._dynamic_trials if t["tid"] == handle["tid"])
        document["state"] = JOB_STATE_DONE
        document["result"] = {"loss": value, "status": STATUS_OK}
        self._trials.refresh()


def create(problem: Problem, seed: int, settings: dict[str, Any]) -> Optimiser:
    if settings:
        msg = f"hyperopt has no settings, got {sorted(settings)}"
        raise ValueError(msg)
    return HyperoptTPE(problem, seed)
