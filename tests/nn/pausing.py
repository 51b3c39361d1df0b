"""Trials that pause, and their trainings, which other processes can load."""

from __future__ import annotations

import contextlib

import torch
from nn.problems import mlp, objective
from torch import nn

import hpo_core as hpo
from hpo_core.nn import Training

EPOCHS = 7


def normalised(params):
    width = params["width"]
    return nn.Sequential(
        nn.Linear(2, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 4)
    )


class Paused:
    """A trial that is paused after some epochs, with its checkpoints in a folder."""

    number, seed = 3, 11

    def __init__(self, params, folder, pauses=()):
        self.params, self.folder, self.pauses = params, folder, pauses
        self.planned = None
        self.told = []
        self.saved = []

    @property
    def checkpoint(self):
        found = sorted(self.folder.glob("step-*")) if self.folder is not None else []
        return found[-1] if found else None

    def steps(self, n):
        self.planned = n
        first = 0 if self.checkpoint is None else int(self.checkpoint.name.removeprefix("step-")) + 1
        return iter(range(first, n))

    @contextlib.contextmanager
    def save_checkpoint(self, step):
        self.saved.append(step)
        folder = self.folder / f"step-{step:09}"
        folder.mkdir()
        yield folder

    def report(self, step, value):
        self.told.append((step, value))

    def should_stop(self):
        return self.told[-1][0] in self.pauses


TRAININGS = {
    "momentum": (mlp, {"optimizer": "sgd", "lr": 0.2, "momentum": 0.9, "dropout": 0.3, "nesterov": True}),
    "adamw": (mlp, {"optimizer": "adamw", "lr": 0.05, "weight_decay": 0.1, "dropout": 0.3}),
    "buffers": (normalised, {"optimizer": "adam", "lr": 0.05, "width": 6, "label_smoothing": 0.1}),
}
SETTINGS = Training(epochs=EPOCHS, batch_size=20)


def train_until(name, folder, pauses):
    """What the trial reports until its next pause, and its value if it has none."""
    build, params = TRAININGS[name]
    trial = Paused(params, folder, pauses)
    value = None
    with contextlib.suppress(hpo.TrialStopped):
        value = objective(build, training=SETTINGS)(trial)
    assert trial.planned == EPOCHS
    return trial.told, value


def train_all_until(folder, pauses):
    torch.set_num_threads(1)
    return {name: train_until(name, folder / name, pauses) for name in TRAININGS}
