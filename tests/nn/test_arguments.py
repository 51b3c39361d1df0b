"""Every argument of the training side has values that are refused, by an error that names it."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from nn.problems import mlp, objective, points
from torch import nn
from torch.utils.data import TensorDataset

import hpo_core as hpo
from hpo_core.nn import (
    Budget,
    Compression,
    LightNet,
    Trained,
    Training,
    TrainingObjective,
    decompose,
    measure_counts,
    measure_latency,
    prune,
    train_cohort,
)

X, Y = points(8, seed=0)
NOT_EXAMPLES = [
    None,
    3,
    (X,),
    (X, Y[:-1]),
    (X[:0], Y[:0]),
    ([], []),
    TensorDataset(X[:0], Y[:0]),
    (X, torch.tensor(1.0)),
    (["a"], [1]),
    (np.array([None]), [1]),
]
CONSTRUCTOR = {
    "build": [None, 3, nn.Linear(2, 2).weight],
    "train": NOT_EXAMPLES,
    "validation": NOT_EXAMPLES,
    "loss": ["mse", 3],
    "metric": ["accuracy", 3],
    "result": ["error", 3, {"error": 0.1}],
    "direction": ["min", None, "maximize"],
    "training": [{"lr": 0.1}, 3],
    "vary": ["dropout", None, 3, [1]],
    "timeout": [0, -1.0, "3", True, float("nan")],
    "device": ["abacus", 3.5],
    "folder": [3, b"x"],
}
SETTINGS = {
    "optimizer": ["lion", None, 3],
    "lr": [-0.1, float("nan"), float("inf"), "0.1", None, True],
    "momentum": [-0.1, 1.0, None],
    "nesterov": [None, "yes", 2],
    "beta1": [1.0, -0.1],
    "beta2": [1.0, "0.9"],
    "weight_decay": [-1.0, float("nan")],
    "label_smoothing": [-0.1, 1.1],
    "batch_size": [0, 1.5, True, None],
    "epochs": [0, -1, 2.0],
    "compile": [None, "yes"],
}
COHORT = {
    "objective": [None, mlp],
    "configurations": [None, 3, [3], {"lr": 0.1}],
    "seeds": [None, 3, [1, 2], [-1], [1.5], [True], [2**63]],
    "report": [3, "print"],
}


NET = LightNet((1, 8, 8), 10, stages=1)
ARCHITECTURE = {
    "activation": "relu", "stem_width": 4, "stem_kernel": 3, "stem_stride": 1, "stages": 1, "head": "pool",
    "stage1_block": "conv", "stage1_width": 8, "stage1_kernel": 3, "stage1_stride": 2, "stage1_repeats": 1,
}  # fmt: skip
MODEL, EXAMPLE = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), torch.zeros(1, 4)
SMALLER = Compression(MODEL, EXAMPLE)
WHOLE = {"prune.0": 0.5, "factor.0": "none", "factor.2": "none"}
TRAINED = Trained({}, 0.5, 0, (0.5,), MODEL.state_dict())
LIMITS = {name: [0, -1.0, "5", True, float("nan")] for name in ("params", "macs")}
NOT_COUNTS = ["flops", "Params", None, 3, ["params"]]
MEASURED = {"model": [None, "m", len], "example": [None, [1.0], torch.tensor(1.0), torch.zeros(0, 4)]}
NOT_PATHS = [None, 3]
# A callable, arguments that are fine, and what it refuses. A pair is a value and what its error names.
OTHERS = {
    "Budget": (Budget, {"of": NET}, {"of": [None, 3, "net"], **LIMITS}),
    "Compression": (Compression, {"model": MODEL, "example": EXAMPLE}, MEASURED),
    "Compression.apply": (SMALLER.apply, {"params": WHOLE}, {"params": [None, 3, ({}, "prune.0")]}),
    "Compression.budget": (SMALLER.budget, {}, LIMITS),
    "Compression.counts": (
        SMALLER.counts, {"params": WHOLE}, {"params": [None, 3, (WHOLE | {"prune.0": 0.95}, "prune.0")]},
    ),
    "Compression.counts_of": (SMALLER.counts_of, {"name": "macs"}, {"name": NOT_COUNTS}),
    "LightNet": (LightNet, {"shape": (1, 8, 8), "classes": 10}, {
        "shape": [None, (8, 8), (0, 8, 8), (1, 8, 8.5)],
        "classes": [0, True, None],
        "stages": [0, 9, 1.5],
        "max_width": [7, 4097],
        "max_repeats": [0, 17],
        "kernels": [3, (), (2,), (3, 3), ("3",)],
    }),
    "LightNet.budget": (NET.budget, {}, LIMITS),
    "LightNet.build": (
        NET.build, {"params": ARCHITECTURE}, {"params": [None, 3, (ARCHITECTURE | {"head": "no"}, "head")]},
    ),
    "LightNet.counts": (NET.counts, {"params": ARCHITECTURE}, {"params": [None, 3, ({}, "activation")]}),
    "LightNet.counts_of": (NET.counts_of, {"name": "params"}, {"name": NOT_COUNTS}),
    "Trained.load": (Trained.load, None, {"path": [*NOT_PATHS, __file__]}),
    "Trained.model": (TRAINED.model, {"build": lambda params: MODEL}, {
        "build": [None, "mlp", lambda params: None, lambda params: nn.Linear(4, 3)],
    }),
    "Trained.save": (TRAINED.save, None, {"path": NOT_PATHS}),
    "Training.updated": (Training().updated, {"params": {"lr": 1.0}}, {"params": [None, 3]}),
    "TrainingObjective.train": (objective().train, {"params": {"lr": 0.1, "epochs": 1}, "seed": 0}, {
        "params": [None, 3, ["lr"]],
        "seed": [None, -1, 2**63, 1.5, True],
    }),
    "decompose": (decompose, {"model": MODEL, "ranks": {"0": 2}}, {
        "model": MEASURED["model"],
        "ranks": [None, ["0"], {"9": 1}, {"1": 1}, {"0": 5}, {"0": 0}, {"0": 1.5}],
    }),
    "measure_counts": (measure_counts, {"model": MODEL, "example": EXAMPLE}, MEASURED),
    "measure_latency": (
        measure_latency, {"model": MODEL, "example": EXAMPLE}, {**MEASURED, "runs": [0, True, 1.5, None]},
    ),
    "prune": (prune, {"model": MODEL, "example": EXAMPLE, "ratios": {"0": 0.5}}, {
        **MEASURED, "ratios": [None, ["0"], {"9": 0.5}, {"2": 0.5}, {"0": 1.0}, {"0": "half"}],
    }),
}  # fmt: skip
RESULTS = {"Counts", "Trained"}  # made by the library


def public_callables():
    """Everything in ``hpo_core.nn`` that takes arguments, by name."""
    for name in hpo.nn.__all__:
        item = getattr(hpo.nn, name)
        if name not in RESULTS:
            yield name, item
        if isinstance(item, type) and not issubclass(item, tuple):
            methods = ((method, getattr(item, method)) for method in dir(item) if not method.startswith("_"))
            yield from (
                (f"{name}.{method}", member)
                for method, member in methods
                if inspect.isfunction(member) or inspect.ismethod(member)
            )


def test_every_argument_has_a_rejected_value():
    tables = {"TrainingObjective": CONSTRUCTOR, "Training": SETTINGS, "train_cohort": COHORT}
    tables |= {name: rejected for name, (_, _, rejected) in OTHERS.items()}
    signatures = {
        name: set(inspect.signature(item).parameters) - {"self"} for name, item in public_callables()
    }
    wanted = {name: arguments for name, arguments in signatures.items() if arguments}
    assert {name: set(table) for name, table in tables.items()} == wanted


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_arguments_are_accepted(name):
    call, valid, _ = OTHERS[name]
    if valid is not None:
        call(**valid)


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        pytest.param(name, argument, value, id=f"{name}-{argument}-{k}")
        for name, (_, _, rejected) in OTHERS.items()
        for argument, values in rejected.items()
        for k, value in enumerate(values)
    ],
)
def test_a_rejected_value_is_named(name, argument, value):
    call, valid, _ = OTHERS[name]
    words = argument
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], dict):
        value, words = value
    with pytest.raises(hpo.ArgumentError, match=rf"\b{re.escape(words)}"):
        call(**((valid or {}) | {argument: value}))


def cases(table):
    return [
        pytest.param(name, value, id=f"{name}-{k}")
        for name, values in table.items()
        for k, value in enumerate(values)
    ]


def refused(argument):
    return pytest.raises(hpo.ArgumentError, match=rf"\b{argument}\b")


@pytest.mark.parametrize(("argument", "value"), cases(CONSTRUCTOR))
def test_the_objective_names_what_it_refuses(argument, value):
    arguments = {"build": mlp, "train": (X, Y), "validation": (X, Y)} | {argument: value}
    with refused(argument):
        TrainingObjective(**arguments)


@pytest.mark.parametrize(("argument", "value"), cases(SETTINGS))
def test_settings_name_what_they_refuse(argument, value):
    with refused(argument):
        Training(**{argument: value})
    with refused(argument):
        objective().train({argument: value}, seed=0)


@pytest.mark.parametrize(("argument", "value"), cases(COHORT))
def test_cohorts_name_what_they_refuse(argument, value):
    arguments = {"objective": objective(), "configurations": [{"lr": 0.1}], "seeds": [0], "report": None}
    with refused(argument):
        train_cohort(**(arguments | {argument: value}))


def test_a_seed_out_of_range_is_refused():
    with refused("seeds"):
        objective().train({"lr": 0.1}, seed=-1)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    ("loss", "came"),
    [
        (
            lambda outputs, targets: nn.functional.cross_entropy(outputs, targets, reduction="none"),
            r"shape \(\d+,\)",
        ),
        (lambda outputs, targets: 1.0, "float"),
        (lambda outputs, targets: None, "NoneType"),
    ],
    ids=["vector", "number", "nothing"],
)
def test_a_loss_that_is_no_scalar_tensor_is_refused(loss, came, together):
    task = objective(loss=loss)
    settings = [{"lr": 0.1}, {"lr": 0.2}] if together else [{"lr": 0.1}]
    with pytest.raises(hpo.ArgumentError, match=f"loss must return a scalar tensor, got .*{came}"):
        train_cohort(task, settings, seeds=range(len(settings)))


@pytest.mark.parametrize("value", [torch.zeros(3), "good", None], ids=["vector", "string", "nothing"])
def test_a_metric_that_is_no_number_is_refused(value):
    with pytest.raises(hpo.ArgumentError, match="metric must return a number"):
        objective(metric=lambda outputs, targets: value).train({"lr": 0.1}, seed=0)


def test_a_factory_that_reads_no_parameter_is_refused():
    task = objective(lambda params: nn.Linear(2, 4))
    space = {"width": hpo.Int(2, 8), "depth": hpo.Int(1, 3), "lr": 0.1}
    study = hpo.Study(space, sampler="random", seed=0)
    with pytest.raises(hpo.ArgumentError, match=r"build reads no parameter of the trial.*'width', 'depth'"):
        study.optimize(task, n_trials=1)
    with pytest.raises(hpo.ArgumentError, match="build reads no parameter"):
        study.optimize(task, n_trials=4, batch_size=4, vectorized=True)


@pytest.mark.parametrize("read", [lambda p: p["width"], lambda p: dict(p)["width"], lambda p: p.get("width")])
def test_every_way_of_reading_counts(read):
    task = objective(lambda params: mlp({"width": read(params)}))
    assert task.train({"width": 4, "lr": 0.1}, seed=0).reason is None


def test_a_fixed_network_may_be_tuned():
    assert objective(lambda params: nn.Linear(2, 4)).train({"lr": 0.1, "epochs": 1}, seed=0).reason is None


@pytest.mark.parametrize("network", [None, 3, lambda inputs: inputs])
def test_a_factory_that_gives_no_network_is_refused(network):
    with pytest.raises(hpo.ArgumentError, match=r"build must return a torch.nn.Module"):
        objective(lambda params: network).train({"lr": 0.1}, seed=0)


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 4)

    def forward(self, inputs):
        return self.layer(inputs), None


@pytest.mark.parametrize("together", [False, True])
def test_a_network_that_returns_no_tensor_is_refused(together):
    task = objective(lambda params: Pair())
    settings = [{"lr": 0.1}, {"lr": 0.2}] if together else [{"lr": 0.1}]
    with pytest.raises(hpo.ArgumentError, match="build must give a network that returns a tensor"):
        train_cohort(task, settings, seeds=range(len(settings)))


@pytest.mark.parametrize("name", ["train", "validation"])
def test_targets_that_are_no_classes_need_a_loss(name):
    with pytest.raises(hpo.ArgumentError, match=rf"{name} must hold classes.*torch.float32.*give a loss"):
        objective(**{name: (X, X[:, 0])})
    task = objective(**{name: (X, X)}, loss=lambda outputs, targets: outputs.square().mean())
    assert task.train({"lr": 0.1}, seed=0).reason is None


def test_smoothing_needs_the_default_loss():
    task = objective(loss=nn.functional.cross_entropy)
    with pytest.raises(hpo.ArgumentError, match="label_smoothing must be 0"):
        task.train({"label_smoothing": 0.1}, seed=0)


def test_an_error_says_what_is_allowed():
    with pytest.raises(hpo.ArgumentError, match=re.escape("'sgd', 'adam' or 'adamw', got 'lion'")):
        Training(optimizer="lion")


def test_torch_is_loaded_only_when_it_is_used():
    code = "import hpo_core, sys; hpo_core.nn.Training(lr=0.1); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
