"""Studies for tests of the report and of the live page, and what is in their messages."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

import hpo_core as hpo

HOSTILE = "<script>alert(1)</script></script><img src=x onerror=alert(2)>\u2028<b>'\"&amp;"

SPACE = {
    "lr": hpo.Float(1e-5, 1e-1, log=True),
    "batch": hpo.Ordinal([16, 32, 64, 128]),
    "optimizer": hpo.Categorical({"sgd": {"momentum": hpo.Float(0, 0.99)}, "adam": {}}),
    "layers": hpo.Int(1, 6),
}


def bytes_of(column: dict[str, str]) -> bytes:
    (text,) = column.values()
    return base64.b64decode(text)


def numbers(column: dict[str, str]) -> Any:
    """A column of a message as an array."""
    (kind,) = column
    return np.frombuffer(bytes_of(column), f"<{kind}")


def train(trial: hpo.Trial) -> float:
    """A training that fails now and then, on a conditional space."""
    if trial.number % 11 == 7:
        raise ValueError(f"loss is not finite at step {trial.number % 2}")
    level = abs(np.log10(trial["lr"]) + 3) + 0.1 * trial["layers"] + trial.params.get("momentum", 0.5)
    value = level
    for step in trial.steps(9):
        value = level + 2.0 * 0.6**step
        trial.report(step, value)
        if trial.should_stop():
            break
    return value


def learning_study(n: int = 40, **options: Any) -> hpo.Study:
    """A study with stopped and failed trials; one with a storage goes on."""
    study = hpo.Study(
        SPACE, **({"sampler": "random", "scheduler": "asha", "seed": 0, "name": "digits"} | options)
    )
    study.optimize(train, n_trials=n, catch=ValueError)
    return study


def measure(trial: hpo.Trial) -> dict[str, float]:
    """A wide layer is accurate, slow and large."""
    width = trial["width"]
    return {"error": 1 / width + 0.01 * (trial["act"] == "relu"), "speed": 500 / width, "memory": width / 10}


def front_study(n: int = 60, **options: Any) -> hpo.Study:
    """A study with two objectives and a bound."""
    metrics = {"error": hpo.Minimize(), "speed": hpo.Maximize(), "memory": hpo.AtMost(40.0)}
    space = {"width": hpo.Int(8, 512, log=True), "act": hpo.Categorical(["relu", "gelu"])}
    study = hpo.Study(
        space, metrics=metrics, **({"sampler": "random", "seed": 0, "name": "fronts"} | options)
    )
    study.optimize(measure, n_trials=n)
    return study
