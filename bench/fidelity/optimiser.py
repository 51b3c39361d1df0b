"""What an optimiser of trainings looks like to the worker, and which modules hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bench.fidelity import tables
from bench.quality.optimiser import Entry

if TYPE_CHECKING:
    from bench.quality.spec import Config


@dataclass(eq=False, slots=True)
class Training:
    """A configuration that is trained from ``done`` epochs to ``until``, unless it is told to end before."""

    handle: Any
    config: Config
    done: int
    until: int


class Optimiser(Protocol):
    """One optimisation of one task with one seed. A loss is the one after an epoch, as it is."""

    def ask(self) -> Training | None:
        """What a free worker trains; None if there is nothing until a running training reports."""

    def report(self, training: Training, loss: float) -> bool:
        """The loss after ``training.done`` epochs; whether the training goes on."""

    def end(self, training: Training, loss: float) -> None:
        """The training has ended, at ``until`` or because it was told to, with this last loss."""


# Tasks of optimisers whose runs take minutes each: every third, in the order of the names.
MINUTES_APART = tables.NAMES[::3]

_PEERS = "bench.fidelity.peers"
_SYNE = ("syne-tune", "numpy", "autograd")


def _plain(rule: str) -> Entry:
    return Entry(f"{_PEERS}.plain", {"rule": rule}, distributions=("numpy",), problems=tables.NAMES)


def _optuna(pruner: str) -> Entry:
    versions = ("optuna", "numpy")
    return Entry(f"{_PEERS}.optuna_pruners", {"pruner": pruner}, "optuna", versions, tables.NAMES)


def _syne(scheduler: str, tasks: tuple[str, ...] = tables.NAMES) -> Entry:
    return Entry(f"{_PEERS}.syne_tune_hyperband", {"scheduler": scheduler}, "syne", _SYNE, tasks)


def _ours(sampler: str, scheduler: str = "", **options: Any) -> Entry:
    settings = {"sampler": sampler, "scheduler": scheduler, **options}
    return Entry(f"{_PEERS}.hpo_core_study", settings, problems=tables.NAMES)


FULL = "gp"  # ours with full trainings: the row to beat

ENTRIES = {
    "plain-random": _plain("random"),
    "three-epochs": _plain("three-epochs"),
    "gp": _ours("gp"),
    "tpe": _ours("tpe"),
    "random+asha": _ours("random", "asha"),
    "tpe+asha": _ours("tpe", "asha"),
    "gp+asha": _ours("gp", "asha"),
    "auto+asha": _ours("auto", "asha"),
    "tpe+promote": _ours("tpe", "asha", mode="promote"),
    "gp+promote": _ours("gp", "asha", mode="promote"),
    "auto+promote": _ours("auto", "asha", mode="promote"),
    "tpe+hyperband": _ours("tpe", "hyperband"),
    "gp+hyperband": _ours("gp", "hyperband"),
    "auto+hyperband": _ours("auto", "hyperband"),
    "tpe+median": _ours("tpe", "median"),
    "gp+freeze-thaw": _ours("gp", "freeze-thaw"),
    "auto+freeze-thaw": _ours("auto", "freeze-thaw"),
    "optuna-tpe": _optuna("none"),
    "optuna-tpe+hyperband": _optuna("hyperband"),
    "optuna-tpe+halving": _optuna("halving"),
    "optuna-tpe+median": _optuna("median"),
    "smac3-hyperband": Entry(
        f"{_PEERS}.smac3_hyperband",
        peer="smac",
        distributions=("smac", "ConfigSpace", "scikit-learn", "numpy"),
        problems=tables.NAMES,
    ),
    "syne-asha": _syne("asha"),
    "syne-mobster": _syne("mobster", MINUTES_APART),
    "syne-hypertune": _syne("hypertune", MINUTES_APART),
}
