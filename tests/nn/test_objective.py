"""One training: beside a plain loop, and every way it can end."""

from __future__ import annotations

import functools
import gc
import itertools
import math
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nn.problems import double_mlp, mlp, objective, points
from oracles import training as oracle
from torch import nn
from torch.utils.data import Dataset

import hpo_core as hpo
from hpo_core.nn import Training, TrainingObjective, trainer

STEPS = {"batch_size": 32, "epochs": 4}
SETTINGS = [
    {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
    {"optimizer": "adam", "lr": 0.02, "beta1": 0.8, "beta2": 0.99, "weight_decay": 0.01},
    {"optimizer": "adamw", "lr": 0.02, "weight_decay": 0.1, "label_smoothing": 0.2},
]
SPACE = {"width": hpo.Int(2, 16), "lr": hpo.Float(1e-3, 0.3, log=True)}


def study(space=None, **options):
    return hpo.Study(SPACE if space is None else space, sampler="random", seed=0, **options)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings["optimizer"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_training_is_what_the_plain_loop_does(settings, dropout):
    data = points(80, seed=0, dtype=torch.float64), points(40, seed=1, dtype=torch.float64)
    params = {**settings, **STEPS, "dropout": dropout}
    trained = objective(double_mlp, train=data[0], validation=data[1]).train(params, seed=3)
    losses, weights = oracle.train(double_mlp, params, *data, seed=3)
    np.testing.assert_allclose(trained.values, losses, rtol=1e-9)
    assert trained.value == min(trained.values)
    if trained.epoch == STEPS["epochs"] - 1:
        torch.testing.assert_close(trained.weights, dict(weights))


def test_value_and_weights_are_the_best_epochs():
    params = {"width": 16, "lr": 20.0, "optimizer": "sgd", "epochs": 8}
    trained = objective().train(params, seed=0)
    assert trained.epoch == np.argmin(trained.values) < 7
    inputs, targets = points(64, seed=1)
    loss = nn.functional.cross_entropy(trained.model(mlp)(inputs), targets)
    assert loss.item() == pytest.approx(trained.value, rel=1e-6)


def test_a_metric_is_maximised_over_the_whole_validation_set():
    sizes = []

    def accuracy(outputs, targets):
        sizes.append(len(targets))
        return (outputs.argmax(1) == targets).float().mean()

    task = objective(validation=points(600, seed=1), metric=accuracy, direction="maximize")
    trained = task.train({"lr": 0.05, "epochs": 4}, seed=0)
    assert trained.value == max(trained.values) > 0.5
    assert sizes == [600] * 4


def test_trials_report_every_epoch_and_repeat_themselves():
    task, searches = objective(), [study(), study()]
    for each in searches:
        each.optimize(task, n_trials=4)
    one, other = (each.trials.value for each in searches)
    np.testing.assert_array_equal(one, other)
    assert len(set(one)) == 4
    assert searches[0].history.reports.step.tolist() == [0, 1, 2] * 4
    trial = searches[0].best_trial
    again = task.train(trial.params, seed=trial.seed)
    assert again.value == trial.value
    assert task.train(trial.params, seed=trial.seed + 1).value != trial.value


def test_the_callers_random_numbers_are_left_alone():
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    objective().train({"lr": 0.1}, seed=5)
    assert torch.equal(torch.rand(3), wanted)


class Told:
    """A trial whose scheduler stops it after some reports."""

    number, seed = 0, 1
    folder = checkpoint = None

    def __init__(self, after):
        self.params = {"width": 4, "lr": 0.1}
        self.reports = []
        self.after = after

    def steps(self, n):
        return iter(range(n))

    def report(self, step, value):
        self.reports.append((step, value))

    def should_stop(self):
        return len(self.reports) >= self.after


def test_it_stops_when_told():
    trial = Told(after=2)
    with pytest.raises(hpo.TrialStopped):
        objective(training=Training(epochs=50))(trial)
    assert [step for step, _ in trial.reports] == [0, 1]


class Counting(nn.Module):
    """A network that counts its steps, and may break at one."""

    steps = 0

    def __init__(self, params, breaks_at=math.inf, outcome=None):
        super().__init__()
        self.layer = nn.Linear(2, 4 if params["width"] else 0)
        self.breaks_at, self.outcome = breaks_at, outcome

    def forward(self, inputs):
        if self.training:
            Counting.steps += 1
            if Counting.steps >= self.breaks_at:
                return self.outcome(self.layer(inputs))
        return self.layer(inputs)


def error_and_size(value, network):
    return {"loss": value, "weights": float(sum(each.numel() for each in network.parameters()))}


SEVERAL = {"loss": hpo.Minimize(), "weights": hpo.AtMost(60)}


@pytest.mark.parametrize("batches", [{}, {"batch_size": 4, "vectorized": True}], ids=["alone", "together"])
def test_a_result_of_several_metrics_is_made_of_value_and_network(batches):
    space = {"width": hpo.Ordinal([4, 8, 16]), "lr": hpo.Float(0.01, 0.1)}
    task, seen = objective(result=error_and_size), study(space, metrics=SEVERAL)
    seen.optimize(task, n_trials=8, **batches)
    trials = seen.trials
    assert trials.values["weights"].tolist() == [7 * width + 4 for width in trials["width"].tolist()]
    for trial in trials:
        alone = task.train(trial.params, seed=trial.seed)
        assert trial.values["loss"] == pytest.approx(alone.value, rel=1e-4)
        assert trial.reports == []
    assert seen.best_trial["width"] < 16


def test_the_network_of_a_result_is_that_of_the_best_epoch():
    found = {}

    def result(value, network):
        assert not network.training
        inputs, targets = points(64, seed=1)
        found[value] = nn.functional.cross_entropy(network(inputs), targets).item()
        return value

    task = objective(result=result, training=Training(epochs=6, lr=0.5))
    study({"lr": hpo.Float(1.0, 5.0)}).optimize(task, n_trials=3)
    assert list(found.values()) == pytest.approx(list(found), rel=1e-5)
    assert len(found) == 3


@pytest.mark.parametrize("batches", [{}, {"batch_size": 4, "vectorized": True}], ids=["alone", "together"])
def test_a_result_may_fail_its_trial(batches):
    def result(value, network):
        if len(network[0].weight) == 16:
            raise hpo.TrialFailed("too wide")
        return value

    seen = study({"width": hpo.Ordinal([4, 16]), "lr": hpo.Float(0.01, 0.1)})
    seen.optimize(objective(result=result), n_trials=8, **batches)
    assert {trial["width"]: trial.reason for trial in seen.trials} == {4: None, 16: "too wide"}


def test_one_measured_metric_beside_known_ones_needs_no_result():
    metrics = {"loss": hpo.Minimize(), "width": hpo.Minimize(known=lambda columns: columns["width"])}
    seen = study(metrics=metrics)
    seen.optimize(objective(), n_trials=3)
    seen.optimize(objective(), n_trials=6, batch_size=3, vectorized=True)
    assert seen.trials.values["width"].tolist() == seen.trials["width"].tolist()
    assert [len(trial.reports) for trial in seen.trials] == [3] * 9
    for trial in seen.trials:
        assert trial.values["loss"] == min(told["loss"] for _, told in trial.reports)


@pytest.fixture(autouse=True)
def no_steps():
    Counting.steps = 0


def breaking(at, outcome):
    return lambda params: Counting(params, at, outcome)


def test_a_non_finite_loss_ends_training():
    build = breaking(5, lambda outputs: outputs * math.nan)
    search = study()
    search.optimize(objective(build, training=Training(batch_size=8, epochs=10)), n_trials=1)
    assert search.trials[0].reason == "diverged"
    assert Counting.steps == 5  # of 120


def test_validation_that_is_not_finite_is_diverged_too():
    trained = objective(metric=lambda outputs, targets: math.inf).train({"lr": 0.1}, seed=0)
    assert trained.reason == "diverged"
    assert trained.values == ()


@pytest.mark.parametrize(
    "error",
    [
        (torch.OutOfMemoryError, "CUDA out of memory. Tried to allocate 20.00 GiB"),
        (RuntimeError, "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"),
        (MemoryError, ""),
    ],
    ids=lambda error: error[0].__name__,
)
def test_out_of_memory_fails_the_trial_and_releases_everything(error):
    def exhausted(outputs):
        held = torch.zeros(1000, requires_grad=True) * outputs.sum()
        raise error[0](error[1], held)

    def live():
        tensors = (item for item in gc.get_objects() if issubclass(type(item), torch.Tensor))
        return sum(tensor.numel() for tensor in tensors)

    task = objective(breaking(3, exhausted))
    assert task.task.device.type == "cpu"  # the data is where it stays
    search = study()
    gc.collect()
    before = live()
    search.optimize(task, n_trials=1)
    assert search.trials[0].reason == "oom"
    assert Counting.steps == 3
    assert live() == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_out_of_memory_frees_the_device():
    def build(params):
        return Counting(params, 3, lambda outputs: outputs.new_empty(2**44)).to("cuda")

    task = TrainingObjective(build, points(96, seed=0), points(64, seed=1), device="cuda")
    assert len(task.task.train) == 96  # the data is where it stays
    before = torch.cuda.memory_allocated()
    search = study()
    search.optimize(task, n_trials=2)
    assert {trial.reason for trial in search.trials} == {"oom"}
    assert torch.cuda.memory_allocated() == before


def test_a_tensor_beyond_all_memory_is_out_of_memory():
    search = study()
    search.optimize(objective(breaking(2, lambda outputs: outputs.new_empty(2**46))), n_trials=1)
    assert search.trials[0].reason == "oom"


def test_other_errors_are_raised_as_they_are():
    def broken(outputs):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        study().optimize(objective(breaking(2, broken)), n_trials=1)


def test_the_timeout_is_looked_at_before_each_step(monkeypatch):
    clock = itertools.count()  # a second passes whenever the training reads it
    monkeypatch.setattr(trainer, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    trained = objective(breaking(math.inf, None), timeout=5.5, training=Training(batch_size=8)).train(
        {"width": 4}, seed=0
    )
    assert trained.reason == "timeout"
    assert Counting.steps == 5


def test_a_slow_trial_fails_with_timeout():
    def slow(outputs):
        time.sleep(0.05)
        return outputs

    search = study()
    search.optimize(objective(breaking(1, slow), timeout=0.1, training=Training(batch_size=1)), n_trials=1)
    assert search.trials[0].reason == "timeout"
    assert Counting.steps <= 3


class Pairs(Dataset):
    """Examples read one by one."""

    def __init__(self, inputs, targets):
        self.inputs, self.targets = inputs, targets

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, row):
        return self.inputs[row], self.targets[row]


def test_arrays_tensors_and_datasets_are_the_same_to_it():
    inputs, targets = points(96, seed=0)
    params = {"lr": 0.1}
    wanted = objective().train(params, seed=0).values
    forms = [
        (inputs.double().numpy(), targets.int().numpy()),
        (inputs.tolist(), targets.tolist()),
        torch.utils.data.TensorDataset(inputs, targets),
        Pairs(inputs, targets),
    ]
    for form in forms:
        assert objective(train=form).train(params, seed=0).values == wanted


def test_cohorts_of_datasets_train_one_by_one():
    search = study()
    search.optimize(objective(train=Pairs(*points(96, seed=0))), n_trials=3, batch_size=3, vectorized=True)
    assert len(search.trials.where("complete")) == 3


def test_a_compiled_network_trains_the_same(monkeypatch):
    calls = []
    eager = functools.partial(torch.compile, backend="eager")
    monkeypatch.setattr(torch, "compile", lambda network: calls.append(network) or eager(network))
    values = [objective().train({"lr": 0.1, "compile": flag}, seed=0).values for flag in (False, True)]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-5)
    assert len(calls) == 1


def test_every_network_of_a_sweep_is_compiled(monkeypatch):
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    task = objective(training=Training(epochs=1, compile=True))
    compiled = []
    for width in range(4, 9):  # dynamo gives up after eight graphs of the same code
        task.train({"width": width}, seed=0)
        compiled.append(len(graphs))
    assert np.diff(compiled).min() > 0


def test_it_runs_in_worker_processes():
    task = objective()
    search = study()
    search.optimize(task, n_trials=4, n_jobs=2)
    for trial in search.trials:
        assert trial.value == pytest.approx(task.train(trial.params, seed=trial.seed).value, rel=1e-6)


def grown(n_trials, first):
    """Bytes by which resident memory grows from trial ``first`` to the last."""
    import resource
    from pathlib import Path

    resident = []

    def measure(study, trial):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        resident.append(pages * resource.getpagesize())

    search = study({"width": hpo.Int(64, 512), "lr": hpo.Float(1e-3, 0.3, log=True)})
    search.optimize(objective(), n_trials=n_trials, callbacks=[measure])
    return resident[-1] - resident[first]


@pytest.mark.parametrize(("n_trials", "first"), [(60, 20), pytest.param(201, 20, marks=pytest.mark.soak)])
def test_resident_memory_does_not_grow(n_trials, first):
    assert grown(n_trials, first) <= 20e6
