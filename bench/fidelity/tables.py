"""Real learning curves: the surrogate of LCBench and the tables of TaskSet.

They are read from the folder that ``HPO_BENCH_DATA`` names, by default ``../shared/data`` beside the
checkout; its README says what they are. The surrogate needs ``onnxruntime``.

LCBench: 52 epochs of a network on a data set, validation cross entropy, and seconds as the surrogate has
them. TaskSet: 51 points of validation loss of a recurrent network. A configuration stands for the nearest
one of the table's 1,000, in the coordinates that they were drawn in: all are logarithmic, of beta1 and beta2
the distance from 1. A loss that is not a number, or more than ``DIVERGED`` times that of an untrained
network, counts as that bound, for every optimiser alike. The tables have no times: an epoch takes a second.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bench import ROOT
from bench.quality.spec import Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bench.quality.spec import Config

DIVERGED = 10.0
KEPT = 20_000  # curves that a task remembers

# OpenML tasks of LCBench; the other half of them judges releases.
LCBENCH = (
    "34539", "126026", "126029", "146212", "167104", "167161", "167181", "167201", "168330", "168335",
    "168868", "168910", "189865", "189873", "189905", "189906", "189909",
)  # fmt: skip
TASKSET = (
    "patch128_LSTM128_bs64", "patch32_GRU128_bs128", "patch32_GRU64_avg_bs128", "patch32_VRNN128_tanh_bs128",
    "patch32_VRNN64_relu_avg_bs128", "patch32_VRNN64_tanh_avg_bs128",
)  # fmt: skip
NAMES = (*(f"lcbench-{task}" for task in LCBENCH), *(f"taskset-{table}" for table in TASKSET))

NETWORK = (
    Parameter("batch_size", "int", 16, 512, log=True),
    Parameter("learning_rate", "float", 1e-4, 0.1, log=True),
    Parameter("momentum", "float", 0.1, 0.99),
    Parameter("weight_decay", "float", 1e-5, 0.1),
    Parameter("num_layers", "int", 1, 5),
    Parameter("max_units", "int", 64, 1024, log=True),
    Parameter("max_dropout", "float", 0.0, 1.0),
)
# In the order of the tables' columns.
ADAM = (
    Parameter("learning_rate", "float", 1e-8, 10.0, log=True),
    Parameter("one_minus_beta1", "float", 1e-4, 1.0, log=True),
    Parameter("one_minus_beta2", "float", 1e-6, 1.0, log=True),
    Parameter("epsilon", "float", 1e-10, 1e3, log=True),
    Parameter("l1", "float", 1e-8, 10.0, log=True),
    Parameter("l2", "float", 1e-8, 10.0, log=True),
    Parameter("linear_decay", "float", 1e-7, 1e-4, log=True),
    Parameter("exponential_decay", "float", 1e-6, 1e-3, log=True),
)


def folder() -> Path:
    return Path(os.environ.get("HPO_BENCH_DATA", ROOT.parent / "shared" / "data"))


def missing() -> str:
    """Why the curves cannot be read, in a line; empty if they can."""
    data = folder()
    if not (data / "lcbench" / "model.onnx").exists() or not (data / "taskset").is_dir():
        return (
            f"no learning curves in {data}: set HPO_BENCH_DATA to a folder with lcbench/ of "
            "slds-lmu/yahpo_data and taskset/ of releaunifreiburg/DyHPO (see bench/README.md)"
        )
    if importlib.util.find_spec("onnxruntime") is None:
        return "the surrogate of LCBench needs onnxruntime: pip install onnxruntime"
    return ""


class Task(Protocol):
    """Trainings of every configuration of a space.

    Attributes
    ----------
    epochs : int
        Of a full training.
    """

    name: str
    parameters: tuple[Parameter, ...]
    epochs: int

    def curve(self, config: Config) -> NDArray[np.float64]:
        """Validation loss after each epoch, (epochs,)."""

    def curves(self, configs: Sequence[Config]) -> NDArray[np.float64]:
        """The curves of many, (n, epochs)."""

    def seconds(self, config: Config) -> NDArray[np.float64]:
        """Seconds from the start of the training to the end of each epoch, (epochs,)."""


class LCBench:
    """A data set of LCBench, by the surrogate."""

    parameters = NETWORK
    epochs = 52

    def __init__(self, task: str) -> None:
        self.name = f"lcbench-{task}"
        codes = json.loads((folder() / "lcbench" / "tasks.json").read_text())
        self._code = int(codes[task])
        self._model = _model(str(folder() / "lcbench" / "model.onnx"))
        self._kept: dict[tuple[float, ...], NDArray[np.float64]] = {}

    def curve(self, config: Config) -> NDArray[np.float64]:
        return self.outputs([config])[0, 0]

    def curves(self, configs: Sequence[Config]) -> NDArray[np.float64]:
        return self.outputs(configs)[:, 0]

    def seconds(self, config: Config) -> NDArray[np.float64]:
        return self.outputs([config])[0, 1]

    def outputs(self, configs: Sequence[Config]) -> NDArray[np.float64]:
        """Loss and seconds, (n, 2, epochs)."""
        keys = [tuple(float(config[p.name]) for p in NETWORK) for config in configs]
        new = [key for key in dict.fromkeys(keys) if key not in self._kept]
        if len(self._kept) + len(new) > KEPT:
            self._kept.clear()
            new = list(dict.fromkeys(keys))
        for start in range(0, len(new), 64):
            block = new[start : start + 64]
            self._kept.update(zip(block, self._compute(np.array(block)), strict=True))
        return np.array([self._kept[key] for key in keys])

    def _compute(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        n = len(x)
        epoch = np.tile(np.arange(1.0, self.epochs + 1), n)[:, np.newaxis]
        continuous = np.hstack([epoch, np.repeat(x, self.epochs, axis=0)]).astype(np.float32)
        code = np.full((len(epoch), 1), self._code, np.int32)
        (given,) = self._model.run(None, {"x_cat": code, "x_cont": continuous})
        found = given.reshape(n, self.epochs, -1)[:, :, [2, 0]].transpose(0, 2, 1).astype(np.float64)
        found[:, 1] = np.maximum.accumulate(np.maximum(found[:, 1], 1e-3), axis=1)  # time does not go back
        kept: NDArray[np.float64] = found
        return kept


@functools.cache
def _model(path: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class TaskSet:
    """A table of TaskSet, by the nearest configuration."""

    parameters = ADAM
    epochs = 51

    def __init__(self, table: str) -> None:
        self.name = f"taskset-{table}"
        with np.load(folder() / "taskset" / f"{table}.npz") as held:
            given, losses = held["hp"].astype(np.float64), held["valid_loss"].astype(np.float64)
        given[:, 1:3] = 1 - given[:, 1:3]  # beta1, beta2
        self.points = np.column_stack([_unit(p, column) for p, column in zip(ADAM, given.T, strict=True)])
        bound = DIVERGED * float(np.median(losses[:, 0]))
        self.losses = np.minimum(np.nan_to_num(losses, nan=bound, posinf=bound), bound)

    def row(self, config: Config) -> int:
        """The nearest configuration of the table."""
        point = [float(_unit(p, config[p.name])) for p in ADAM]
        return int(((self.points - point) ** 2).sum(axis=1).argmin())

    def curve(self, config: Config) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self.losses[self.row(config)]
        return found

    def curves(self, configs: Sequence[Config]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self.losses[[self.row(config) for config in configs]]
        return found

    def seconds(self, config: Config) -> NDArray[np.float64]:  # noqa: ARG002 - alike for all
        return np.arange(1.0, self.epochs + 1)


def _unit(parameter: Parameter, value: Any) -> Any:
    """Fraction of a logarithmic range."""
    low, high = parameter.low, parameter.high
    return np.log(np.maximum(value, low) / low) / math.log(high / low)


@functools.cache
def get(name: str) -> Task:
    """The task ``name``, read when first asked for."""
    collection, _, which = name.partition("-")
    return LCBench(which) if collection == "lcbench" else TaskSet(which)
