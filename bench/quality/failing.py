"""Problems in which trials fail: what a sampler has to learn is where, and from where it comes back.

Halfplane
    A bowl whose least feasible point lies on the border of a half-plane that fails.

Out of memory
    The error of a network after training. It falls with the width, is best at batches of 64, and
    ``width * batch > 16384`` fails; the rate has its best decade by optimizer and batch. The optimum
    lies at the limit. Half of random draws fail.

Branin, Hartmann-6
    Each with a half-space, a ball and a shell that fail. Branin keeps at least one of its three
    minima in each, close to the border (a second one of the ball and the shell is far from it, or
    on an island in the middle of it); Hartmann-6 loses its minimum to the half-space and the ball,
    so that the best lies on their border, and has it on the inner side of the shell.

Edge
    Training diverges above a learning rate; the best rate is the last one that does not.

Islands
    A checkerboard of nine cells, five of them feasible and apart. The bowl's centre is in a cell
    that fails, the best point on the border of another.

Table
    HPOBench *credit_g*, in which ``width * batch_size > 4096`` fails, its best row too.

Accidents
    Branin, on which each twentieth trial fails wherever it is (``flaky``), or the first twenty.
"""

from __future__ import annotations

import dataclasses
import math
from itertools import product
from typing import TYPE_CHECKING

from bench.quality import synthetic, tabular
from bench.quality.spec import Config, Parameter, Problem, When

if TYPE_CHECKING:
    from collections.abc import Callable

FAMILY = "failures"
MEMORY = 16_384  # of width * batch
TABLE, TABLE_NAME, TABLE_MEMORY = ("hpobench", "credit_g"), "credit_g_oom", 4096


def _halfplane() -> Problem:
    return Problem(
        "halfplane",
        FAMILY,
        (Parameter("x", "float", -5, 5), Parameter("y", "float", -5, 5)),
        lambda c: float((c["x"] - 1) ** 2 + c["y"] ** 2),
        best=0.0,
        infeasible=lambda c: bool(c["x"] + c["y"] < 1),
    )


BEST_RATE = {"sgd": -1.5, "adam": -3.0, "adamw": -2.8}  # log10 at batches of 64
BEST_MOMENTUM, BEST_DECAY = 0.9, -2.0


def training_error(c: Config) -> float:
    """A bowl around each optimizer's best rate, over what width and batch allow."""
    optimizer, octaves = c["optimizer"], math.log2(c["batch"] / 64)
    underfit = 0.35 * math.exp(-0.45 * math.log2(c["width"] / 8))
    miss = math.log10(c["lr"]) - BEST_RATE[optimizer] - 0.15 * octaves
    own = {
        "sgd": lambda: 0.01 + 0.1 * (c["momentum"] - BEST_MOMENTUM) ** 2,
        "adam": lambda: 0.01,
        "adamw": lambda: 0.004 * (math.log10(c["weight_decay"]) - BEST_DECAY) ** 2,
    }[optimizer]()
    error: float = 0.05 + underfit + 0.012 * octaves**2 + own + min(0.05 * miss**2, 0.4)
    return error


def _best_training_error() -> float:
    """AdamW at its best, over every width and batch at the limit."""

    def at(batch: int) -> float:
        rate = 10 ** (BEST_RATE["adamw"] + 0.15 * math.log2(batch / 64))
        width = min(MEMORY // batch, 4096)
        own = {"optimizer": "adamw", "lr": rate, "weight_decay": 10**BEST_DECAY}
        return training_error({**own, "width": width, "batch": batch})

    return min(at(batch) for batch in range(8, 1025))


def _out_of_memory() -> Problem:
    parameters = (
        Parameter("width", "int", 8, 4096, log=True),
        Parameter("batch", "int", 8, 1024, log=True),
        Parameter("lr", "float", 1e-5, 1.0, log=True),
        Parameter("optimizer", "categorical", choices=("sgd", "adam", "adamw")),
        Parameter("momentum", "float", 0.0, 0.99, when=When("optimizer", ("sgd",))),
        Parameter("weight_decay", "float", 1e-6, 1.0, log=True, when=When("optimizer", ("adamw",))),
    )
    return Problem(
        "oom",
        FAMILY,
        parameters,
        training_error,
        _best_training_error(),
        infeasible=lambda c: bool(c["width"] * c["batch"] > MEMORY),
    )


def _squared_distance(c: Config, *center: float) -> float:
    return sum((c[f"x{i}"] - at) ** 2 for i, at in enumerate(center))


# Of each: where a trial fails, and the least feasible value where the free minimum is not feasible
# (SLSQP from 150 points, rounded down).
_CUTS: dict[str, tuple[Callable[[Config], bool], float | None]] = {
    "branin_half": (lambda c: c["x0"] + 0.1 * c["x1"] > 3.5, None),
    "branin_disc": (lambda c: _squared_distance(c, 5, 5) < 4.9**2, None),
    "branin_ring": (lambda c: 2.5**2 < _squared_distance(c, 3.5, 4) < 6.5**2, None),
    "hartmann6_half": (lambda c: c["x2"] + c["x3"] + c["x4"] < 1.15, -3.27256996),
    "hartmann6_disc": (lambda c: _squared_distance(c, *[0.5] * 6) < 0.42, -3.22804085),
    "hartmann6_ring": (lambda c: 0.40 < _squared_distance(c, *[0.5] * 6) < 0.60, None),
}


def _cut(name: str) -> Problem:
    infeasible, best = _CUTS[name]
    free = _free(name.split("_", maxsplit=1)[0])
    return dataclasses.replace(
        free, name=name, best=free.best if best is None else best, infeasible=infeasible
    )


def _free(name: str) -> Problem:
    problem = next(p for p in synthetic.problems() if p.name == name)
    return dataclasses.replace(problem, family=FAMILY)


def _edge() -> Problem:
    return Problem(
        "edge",
        FAMILY,
        (Parameter("lr", "float", 1e-5, 10.0, log=True),),
        lambda c: (math.log10(c["lr"]) + 0.8) ** 2 / 4,
        best=0.01,  # at 0.1, the last rate that does not diverge
        infeasible=lambda c: bool(c["lr"] > 0.1),
    )


def _cell(u: float) -> int:
    return min(int(3 * u), 2)


def _islands() -> Problem:
    return Problem(
        "islands",
        FAMILY,
        (Parameter("x", "float"), Parameter("y", "float")),
        lambda c: float((c["x"] - 0.6) ** 2 + (c["y"] - 0.75) ** 2),
        best=(2 / 3 - 0.6) ** 2,  # at (2/3, 0.75)
        infeasible=lambda c: bool((_cell(c["x"]) + _cell(c["y"])) % 2),
    )


def table() -> Problem:
    """The table with its limit; read when first asked for."""
    free = tabular.problem(*TABLE)
    names = [p.name for p in free.parameters]
    rows = (dict(zip(names, row, strict=True)) for row in product(*(p.choices for p in free.parameters)))
    best = min(free.true_value(row) for row in rows if not _over(row))
    return dataclasses.replace(free, name=TABLE_NAME, family=FAMILY, best=best, infeasible=_over)


def _over(c: Config) -> bool:
    return bool(c["width"] * c["batch_size"] > TABLE_MEMORY)


def problems() -> list[Problem]:
    """All but the table; the last has no failures, for the accidents to stand beside."""
    branin = _free("branin")
    return [
        _halfplane(),
        _out_of_memory(),
        *map(_cut, _CUTS),
        _edge(),
        _islands(),
        dataclasses.replace(branin, name="flaky", accident=lambda _, luck: luck < 0.05),
        dataclasses.replace(branin, name="all_fail_20", accident=lambda number, _: number <= 20),
        dataclasses.replace(branin, name="no_failures"),
    ]
