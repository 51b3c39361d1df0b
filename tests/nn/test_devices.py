"""What an accelerator would be made to do, as far as a machine without one can tell.

The meta device computes nothing, so that to read a number on it is an error: what gets through on it
does not make the host wait.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nn.problems import mlp, points
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from hpo_core.nn import Training, TrainingObjective, train_cohort
from hpo_core.nn.task import Task, seeded

TRAIN, VALIDATION = points(96, seed=0), points(64, seed=1)
STEPS = 24


class Copies(TorchDispatchMode):
    """Counts tensors that are moved to the meta device."""

    def __init__(self):
        super().__init__()
        self.number = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is torch.ops.aten._to_copy.default and args[0].device.type == "cpu":
            self.number += torch.device(kwargs.get("device") or "cpu").type == "meta"
        return function(*args, **kwargs)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("members", [1, 3])
def test_nothing_waits_for_a_device_within_an_epoch(members, optimizer):
    steps = []
    copies = []

    def loss(outputs, targets):
        assert outputs.device.type == targets.device.type == "meta"
        steps.append(len(targets))
        copies.append(counted.number)
        return nn.functional.cross_entropy(outputs, targets)

    training = Training(optimizer=optimizer, momentum=0.5, weight_decay=0.1, batch_size=96 // STEPS)
    task = TrainingObjective(mlp, TRAIN, VALIDATION, loss=loss, training=training, device="meta")
    configurations = [{"lr": 0.1 * (k + 1)} for k in range(members)]
    with Copies() as counted, pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        train_cohort(task, configurations, seeds=range(members))
    assert len(steps) == STEPS
    assert copies[0] > 0
    assert len(set(copies)) == 1, "a step copies from the host"


@pytest.fixture
def in_bfloat16(monkeypatch):
    """Mixed precision as on CUDA, on the CPU."""
    monkeypatch.setattr(Task, "autocast", lambda _: torch.autocast("cpu", torch.bfloat16))


@pytest.mark.usefixtures("in_bfloat16")
def test_mixed_precision_trains_the_same_alone_and_together():
    training = Training(epochs=4, optimizer="sgd", batch_size=16)
    task = TrainingObjective(mlp, TRAIN, VALIDATION, training=training, device="cpu")
    settings = [{"lr": lr} for lr in (0.05, 0.5)]
    together = train_cohort(task, settings, seeds=[1, 2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "autocast", lambda _: torch.autocast("cpu", enabled=False))
        exact = [task.train(params, seed=k).values for k, params in enumerate(settings, 1)]
    for k, (params, member) in enumerate(zip(settings, together, strict=True), 1):
        for trained in (task.train(params, seed=k), member):
            assert list(trained.values) != list(exact[k - 1])  # bfloat16 was at work
            np.testing.assert_allclose(trained.values, exact[k - 1], rtol=0.02)
            assert {tensor.dtype for tensor in trained.weights.values()} == {torch.float32}
        assert exact[k - 1][-1] < 0.95 * exact[k - 1][0]


@pytest.mark.usefixtures("in_bfloat16")
@pytest.mark.parametrize("members", [1, 2])
def test_own_losses_and_metrics_get_float32(members):
    seen = set()

    def loss(outputs, targets):
        seen.add(outputs.dtype)
        return nn.functional.cross_entropy(outputs, targets)

    def metric(outputs, targets):
        return (outputs.argmax(1).numpy() == targets.numpy()).mean() + 0 * outputs.numpy().sum()

    task = TrainingObjective(
        mlp, TRAIN, VALIDATION, loss=loss, metric=metric, direction="maximize", device="cpu"
    )
    results = train_cohort(task, [{"lr": 0.05, "epochs": 2}] * members, seeds=range(members))
    assert all(0 < each.value <= 1 for each in results)
    assert seen == {torch.float32}


def test_a_training_seeds_its_own_device_only(monkeypatch):
    generators = tuple(torch.Generator().manual_seed(7) for _ in range(2))
    monkeypatch.setattr(torch.cuda, "default_generators", generators)
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: torch.no_grad())
    with seeded(3, torch.device("cuda", 1)):
        assert [each.initial_seed() for each in generators] == [7, 3]
        assert torch.initial_seed() == 3
        assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.deterministic
