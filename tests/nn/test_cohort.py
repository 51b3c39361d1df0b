"""A cohort does what each of its members would do alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from nn.problems import double_mlp, mlp, objective, points
from oracles import training as oracle
from torch import nn

import hpo_core as hpo
from hpo_core.nn import Training, train_cohort
from hpo_core.nn.cohort import cohorts
from hpo_core.nn.epochs import Member

TRAIN, VALIDATION = points(64, seed=0, dtype=torch.float64), points(64, seed=1, dtype=torch.float64)
STEPS = {"batch_size": 16, "epochs": 5}  # 20 steps

SGD = [
    {"lr": 0.1, "momentum": 0.0},
    {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1},
    {"lr": 0.3, "momentum": 0.5, "label_smoothing": 0.2},
]
ADAM = [
    {"lr": 0.01},
    {"lr": 0.1, "beta1": 0.0, "beta2": 0.9, "weight_decay": 0.01},
    {"lr": 0.03, "beta1": 0.8, "beta2": 0.9999, "label_smoothing": 0.1},
]
KINDS = {
    "sgd": [{"optimizer": "sgd", **each} for each in SGD],
    "nesterov": [{"optimizer": "sgd", "nesterov": True, **each} for each in SGD[1:]],
    "adam": [{"optimizer": "adam", **each} for each in ADAM],
    "adamw": [{"optimizer": "adamw", **each} for each in ADAM],
}


def double_objective(build=double_mlp, **options):
    return objective(build, train=TRAIN, validation=VALIDATION, training=Training(**STEPS), **options)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_those_of_torch_optim(kind):
    settings = [{**STEPS, **each} for each in KINDS[kind]]
    seeds = [11, 12, 13][: len(settings)]
    together = train_cohort(double_objective(), settings, seeds=seeds)
    for member, params, seed in zip(together, settings, seeds, strict=True):
        losses, _ = oracle.train(double_mlp, params, TRAIN, VALIDATION, seed=seed)
        np.testing.assert_allclose(member.values, losses, rtol=1e-9)
        assert member.value == min(member.values)
        assert losses[-1] != pytest.approx(losses[0], rel=1e-2)  # they do train


def build_convolutional(params):
    return nn.Sequential(
        nn.Unflatten(1, (1, 4, 4)),
        nn.Conv2d(1, 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(12, 4),
    ).double()


def test_convolutions_and_batch_normalisation_keep_their_own_statistics():
    x = torch.randn(48, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    data = x, x[:, :4].argmax(1)
    settings = [{"optimizer": "sgd", "lr": lr, "batch_size": 16, "epochs": 3} for lr in (0.01, 0.2)]
    task = objective(build_convolutional, train=data, validation=data)
    together = train_cohort(task, settings, seeds=[1, 2])
    for member, params, seed in zip(together, settings, (1, 2), strict=True):
        losses, weights = oracle.train(build_convolutional, params, data, data, seed=seed)
        np.testing.assert_allclose(member.values, losses, rtol=1e-6)
        assert member.epoch == 2
        for name, tensor in weights.items():
            torch.testing.assert_close(member.weights[name], tensor)


class Idle(nn.Module):
    """Has a weight that no output depends on."""

    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(2, 4).double(), nn.Parameter(torch.ones(3).double())

    def forward(self, inputs):
        return self.used(inputs)


def test_a_weight_without_a_gradient_hurts_nobody():
    task = double_objective(lambda params: Idle())
    settings = [{"lr": lr, "weight_decay": 0.1} for lr in (0.01, 0.1)]
    for k, member in enumerate(train_cohort(task, settings, seeds=[0, 1])):
        np.testing.assert_allclose(member.values, task.train(settings[k], seed=k).values, rtol=1e-9)


class Tied(nn.Module):
    """Has a weight under two names."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(2, 2).double(), nn.Linear(2, 2).double()
        self.outer.weight = self.inner.weight
        self.last = nn.Linear(2, 4).double()

    def forward(self, inputs):
        return self.last(self.outer(self.inner(inputs).tanh()))


def test_weights_that_layers_share_stay_shared():
    task = double_objective(lambda params: Tied())
    settings = [{"lr": lr} for lr in (0.01, 0.1)]
    for k, member in enumerate(train_cohort(task, settings, seeds=[0, 1])):
        alone = task.train(settings[k], seed=k)
        np.testing.assert_allclose(member.values, alone.values, rtol=1e-9)
        assert member.weights.keys() == alone.weights.keys()
        assert torch.equal(member.weights["inner.weight"], member.weights["outer.weight"])


def test_no_configurations_give_no_trainings():
    assert train_cohort(objective(), [], seeds=[]) == []


def test_a_diverging_member_hurts_nobody():
    fine = [{"optimizer": "sgd", "lr": lr} for lr in (0.1, 0.2)]
    task = double_objective()
    alone = train_cohort(task, fine, seeds=[1, 2])
    wild = {"optimizer": "sgd", "lr": 1e308}
    mixed = train_cohort(task, [fine[0], wild, fine[1]], seeds=[1, 9, 2])
    assert mixed[1].reason == "diverged"
    assert math.isnan(mixed[1].value)
    for k, j in ((0, 0), (1, 2)):
        np.testing.assert_allclose(mixed[j].values, alone[k].values, rtol=1e-9)
        assert mixed[j].reason is None


def test_members_end_when_their_epochs_do():
    seen = []
    settings = [{"lr": 0.1, "epochs": n} for n in (1, 4, 2)]
    task = double_objective()
    results = train_cohort(
        task,
        settings,
        seeds=[1, 2, 3],
        report=lambda epoch, members, values: seen.append((epoch, members.tolist())),
    )
    assert [len(each.values) for each in results] == [1, 4, 2]
    assert seen == [(0, [0, 1, 2]), (1, [1, 2]), (2, [1]), (3, [1])]
    for result, params, seed in zip(results, settings, (1, 2, 3), strict=True):
        np.testing.assert_allclose(result.values, task.train(params, seed=seed).values, rtol=1e-9)


def test_a_stopped_member_keeps_its_result():
    def stop_second(epoch, members, values):
        return (members == 1) & (epoch == 1)

    results = train_cohort(double_objective(), [{"lr": 0.1}] * 3, seeds=[1, 2, 3], report=stop_second)
    assert [len(each.values) for each in results] == [5, 2, 5]
    assert results[1].value == min(results[1].values)


def test_best_weights_give_the_best_value():
    task = objective(training=Training(epochs=6, lr=0.5))
    settings = [{"width": 5, "lr": 0.5}, {"width": 5, "lr": 20.0}, {"width": 5, "lr": 0.01}]
    results = train_cohort(task, settings, seeds=[1, 2, 3])
    inputs, targets = points(64, seed=1)
    assert {each.epoch for each in results} != {5}  # some are best before they end
    for each in results:
        loss = nn.functional.cross_entropy(each.model(mlp)(inputs), targets)
        assert loss.item() == pytest.approx(each.value, rel=1e-5)


def test_a_metric_is_that_of_each_member_alone():
    def accuracy(outputs, targets):
        return (outputs.argmax(1) == targets).double().mean()

    task = double_objective(metric=accuracy, direction="maximize")
    settings = [{"optimizer": "sgd", "lr": lr} for lr in (0.01, 0.5, 1e308)]
    results = train_cohort(task, settings, seeds=[1, 2, 3])
    for k in (0, 1):
        assert results[k].values == task.train(settings[k], seed=k + 1).values
        assert results[k].value == max(results[k].values)
    assert results[2].reason == "diverged"


def test_each_member_has_its_own_dropout():
    task = double_objective()
    results = train_cohort(task, [{"dropout": p, "lr": 0.05} for p in (0.0, 1.0)], seeds=[5, 5])
    np.testing.assert_allclose(
        results[0].values, task.train({"dropout": 0.0, "lr": 0.05}, seed=5).values, rtol=1e-9
    )
    weight = results[1].weights["3.weight"]
    with torch.random.fork_rng():
        torch.manual_seed(5)
        start = double_mlp({})[3].weight.detach()
    # Nothing passes a layer with p = 1: its weights only decay (here: not), its bias learns.
    torch.testing.assert_close(weight, start)
    assert np.ptp(results[1].values) > 0


def test_dropout_keeps_the_expected_activation():
    from hpo_core.nn.stack import Dropout

    torch.manual_seed(0)
    dropped = Dropout(0.3)(torch.ones(100_000))
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)


def test_cohorts_group_by_what_is_static():
    configurations = [
        {"width": 8, "lr": 0.1, "dropout": 0.1},
        {"width": 16, "lr": 0.1, "dropout": 0.1},
        {"width": 8, "lr": 0.2, "dropout": 0.5},
        {"width": 8, "lr": 0.2, "optimizer": "sgd", "momentum": 0.9},
        {"width": 8.0, "lr": 0.1},
    ]
    members = [Member(params, 0) for params in configurations]
    assert [rows.tolist() for rows in cohorts(members, {"dropout"})] == [[0, 2], [1], [3], [4]]
    assert len(cohorts(members, set())) == 5


def test_a_batch_is_told_in_one_call():
    space = {
        "width": hpo.Ordinal([4, 8]),
        "optimizer": hpo.Categorical({"sgd": {"momentum": hpo.Float(0.0, 0.9)}, "adam": {}}),
        "lr": hpo.Float(1e-3, 1e-1, log=True),
    }
    study = hpo.Study(space, sampler="random", seed=0)
    task = objective()
    study.optimize(task, n_trials=24, batch_size=24, vectorized=True)
    assert len(study.trials.where("complete")) == 24
    for trial in study.trials[:4]:
        again = task.train(trial.params, seed=trial.seed)
        assert trial.value == pytest.approx(again.value, rel=1e-4)
    reports = study.history.reports
    assert len(reports.value) == 24 * 3
    assert study.best_value < 1.0 < study.trials.value.max()


def test_failures_of_a_batch_have_their_reasons():
    study = hpo.Study({"lr": hpo.Float(1e-3, 1e-1), "optimizer": "sgd"}, sampler="random", seed=0)
    study.enqueue({"lr": 0.05})

    def explosive(outputs, targets):
        return nn.functional.cross_entropy(outputs, targets) * 1e300

    study.optimize(objective(loss=explosive), n_trials=3, batch_size=3, vectorized=True)
    assert [trial.state.name for trial in study.trials] == ["FAILED"] * 3
    assert [trial.reason for trial in study.trials] == ["diverged"] * 3


def test_members_that_are_told_to_stop_end_as_stopped(monkeypatch):
    monkeypatch.setattr(hpo.TrialBatch, "should_stop", lambda batch: batch.number % 2 == 0)
    study = hpo.Study({"width": hpo.Ordinal([4, 8]), "lr": 0.1}, sampler="random", seed=0)
    study.optimize(objective(), n_trials=2, batch_size=2, vectorized=True)
    assert [trial.state.name for trial in study.trials] == ["STOPPED", "COMPLETE"]
    assert len(study.history.reports.value) == 1 + 3
    assert study.trials.value[0] == study.history.reports.value[0]


def test_a_cohort_too_large_for_memory_is_halved():
    sizes = []

    def narrow(inputs, targets):
        return nn.functional.cross_entropy(inputs, targets)

    task = objective(loss=narrow)
    from hpo_core.nn import cohort as module

    class Small(module.Stack):
        def __init__(self, networks):
            sizes.append(len(networks))
            if len(networks) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            super().__init__(networks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "Stack", Small)
        results = train_cohort(task, [{"lr": lr} for lr in (0.1, 0.2, 0.3, 0.4, 0.5)], seeds=range(5))
    assert sizes == [5, 3, 2, 1, 2]
    reference = train_cohort(task, [{"lr": lr} for lr in (0.1, 0.2, 0.3, 0.4, 0.5)], seeds=range(5))
    for one, other in zip(results, reference, strict=True):
        np.testing.assert_allclose(one.values, other.values, rtol=1e-5)


@pytest.mark.parametrize(
    ("configurations", "words"),
    [
        ([{"width": 4}, {"width": 8}], "'width'.*may differ"),
        ([{"optimizer": "sgd"}, {"optimizer": "adam"}], "'optimizer'"),
        ([{"batch_size": 4}, {"batch_size": 8}], "'batch_size'"),
    ],
)
def test_configurations_of_two_cohorts_are_refused(configurations, words):
    with pytest.raises(hpo.ArgumentError, match=words):
        train_cohort(objective(), configurations, seeds=[0, 1])


def test_shapes_that_differ_in_a_cohort_are_refused():
    task = objective(vary=("width",))
    with pytest.raises(
        hpo.ArgumentError, match=r"configurations\[1\] gives '.*' the shape \(8.*one architecture"
    ):
        train_cohort(task, [{"width": 4}, {"width": 8}], seeds=[0, 1])


def test_layers_that_differ_in_a_cohort_are_refused():
    def build(params):
        return nn.Sequential(nn.Linear(2, 4), nn.ReLU() if params["relu"] else nn.Tanh())

    with pytest.raises(hpo.ArgumentError, match=r"configurations\[1\].*other layers"):
        train_cohort(objective(build, vary=("relu",)), [{"relu": True}, {"relu": False}], seeds=[0, 1])
