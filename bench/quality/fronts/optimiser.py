"""What an optimiser of several objectives looks like to the worker, and which modules hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from bench.quality.fronts.problems import KNOWN, NAMES, WITHOUT_CONSTRAINTS
from bench.quality.optimiser import Entry

if TYPE_CHECKING:
    from bench.quality.spec import Config


class Optimiser(Protocol):
    """One optimisation of one problem with one seed."""

    def ask(self) -> tuple[Any, Config]:
        """A handle, and a configuration of the active parameters."""

    def tell(self, handle: Any, outcome: list[float]) -> None:
        """The observed objectives, minimised, then the constraints, which hold at 0 and below."""


# What BoTorch is run on: a suggestion takes it from five seconds to fifteen.
MINUTES_APART = (
    "zdt1_6",
    "zdt3_6",
    "kursawe",
    "bnh",
    "naval_propulsion",
    "parkinsons_telemonitoring",
    "dtlz2",
)

_PEERS = "bench.quality.fronts.peers"


def _ours(sampler: str, problems: tuple[str, ...] = NAMES, **settings: Any) -> Entry:
    return Entry(f"{_PEERS}.hpo_core_study", {"sampler": sampler, **settings}, problems=problems)


def _optuna(sampler: str, *distributions: str) -> Entry:
    versions = ("optuna", "numpy", *distributions)
    return Entry(f"{_PEERS}.optuna_study", {"sampler": sampler}, "optuna", versions, NAMES)


ENTRIES = {
    "auto": _ours("auto"),
    "gp": _ours("gp"),
    "gp+known": _ours("gp", KNOWN, known=True),
    "tpe": _ours("tpe"),
    "tpe+known": _ours("tpe", KNOWN, known=True),
    "random": _ours("random"),
    "plain-random": Entry("bench.quality.peers.plain_random", distributions=("numpy",), problems=NAMES),
    "optuna-gp": _optuna("gp", "scipy", "torch"),
    "optuna-tpe": _optuna("tpe"),
    "optuna-nsga2": _optuna("nsga2"),
    "botorch-nehvi": Entry(
        f"{_PEERS}.botorch_nehvi",
        peer="botorch",
        distributions=("botorch", "gpytorch", "torch", "scipy", "numpy"),
        problems=MINUTES_APART,
    ),
    "smac3-parego": Entry(
        f"{_PEERS}.smac3_parego",
        {"n_trials": 100},
        "smac",
        ("smac", "ConfigSpace", "scikit-learn", "numpy"),
        WITHOUT_CONSTRAINTS,
    ),
}
