"""Real tables with two objectives each: the loss beside the model's size, or beside its latency.

An observation is one replicate of the loss, chosen by the trial's luck; its true value is the mean of all.
Size and latency are the same for every replicate. The size is a formula over columns, which gives what the
table holds: of HPOLib's networks without exception, of NAS-Bench-201 but for replicates of another size in
204 of 15,625 architectures.

The front is that of the whole table, and the reference lies a tenth of the front's range beyond its worst.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.quality import tabular
from bench.quality.fronts import hypervolume
from bench.quality.fronts.spec import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.quality.fronts.spec import Known
    from bench.quality.spec import Config

# Library, data set and second objective; what is known of it.
TABLES = {
    "naval_propulsion": ("hpolib", "naval_propulsion", "model_size"),
    "parkinsons_telemonitoring": ("hpolib", "parkinsons_telemonitoring", "model_size"),
    "cifar10_latency": ("nasbench201", "cifar10", "latency"),
    "cifar10_size": ("nasbench201", "cifar10", "model_size"),
}
INPUTS = {"naval_propulsion": 15, "parkinsons_telemonitoring": 20}  # columns of the data sets
# Millions of weights: without operations, and of each convolution.
CELL, CONVOLUTIONS = 0.073306, {"nor_conv_1x1": 0.028, "nor_conv_3x3": 0.24304}


def network_weights(columns: Mapping[str, Any], inputs: int) -> Any:
    """Weights and biases of ``inputs`` - n_units_1 - n_units_2 - 1, and a last one for the noise."""
    first, second = (np.asarray(columns[f"n_units_{i}"]) for i in (1, 2))
    return (inputs + 1.0) * first + (first + 1) * second + second + 1


def cell_weights(columns: Mapping[str, Any]) -> Any:
    operations = [np.asarray(columns[f"Op{i}"]) for i in range(6)]
    return CELL + sum(
        weight * (operation == name) for operation in operations for name, weight in CONVOLUTIONS.items()
    )


def _size(library: str, data_set: str) -> Known:
    if library == "nasbench201":
        return cell_weights
    return lambda columns: network_weights(columns, INPUTS[data_set])


def _latency(table: tabular.Table) -> Callable[[Config], float]:
    replicates = tabular.load("nasbench201", "cifar10", "latency")
    column = replicates[:, 0].tolist()
    return lambda config: column[table.row(config)]


def problem(name: str) -> Problem:
    library, data_set, second = TABLES[name]
    parameters = tabular.SPACES[library]
    table = tabular.Table(parameters, tabular.load(library, data_set))
    known: dict[str, Known] = {} if second == "latency" else {second: _size(library, data_set)}
    if known:
        formula = known[second]

        def cost(config: Config) -> float:
            return float(formula(config))
    else:
        cost = _latency(table)

    def true_outcome(config: Config) -> list[float]:
        return [table.true_value(config), cost(config)]

    rows = product(*(p.choices for p in parameters))
    names = [p.name for p in parameters]
    held = np.array([true_outcome(dict(zip(names, row, strict=True))) for row in rows])
    front = hypervolume.front(held)
    reference = hypervolume.nadir(front)
    return Problem(
        name,
        parameters,
        (tabular.METRIC[library][0], second),
        reference,
        hypervolume.hypervolume(front, reference),
        true_outcome,
        lambda config, luck: [table.observe(config, luck), cost(config)],
        known=known,
    )
