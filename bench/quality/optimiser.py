"""What every optimiser under test looks like to the runner, and which modules hold them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bench.quality.problems import CONDITIONAL, CONTINUOUS, FAILURES, NAMES, NOISY

if TYPE_CHECKING:
    from bench.quality.spec import Config, Problem

ALL = (*NAMES, *NOISY, *FAILURES)


class Optimiser(Protocol):
    """One optimisation of one problem with one seed."""

    def ask(self) -> tuple[Any, Config]:
        """A handle, and a configuration of the active parameters."""

    def tell(self, handle: Any, value: float) -> None:
        """The observed value, minimised."""


class FailureAware(Optimiser, Protocol):
    """One that is told of failures, as the problems of the family *failures* want it."""

    def fail(self, handle: Any) -> None: ...


class Recommending(Optimiser, Protocol):
    """One that says what to use, which need not be the best that it was told."""

    def recommend(self) -> Config: ...


class Resumable(Optimiser, Protocol):
    """One that the latency bench gives a history before its first ask."""

    def load(self, configs: list[Config], values: list[float]) -> None: ...


@dataclass(frozen=True)
class Entry:
    """An optimiser's module, its fixed settings, the peer environment that runs it, what it is run on."""

    module: str
    settings: dict[str, Any] = field(default_factory=dict)
    peer: str | None = None
    distributions: tuple[str, ...] = ("hpo_core", "numpy")
    problems: tuple[str, ...] = ALL

    def create(self, problem: Problem, seed: int, settings: dict[str, Any]) -> FailureAware:
        module = importlib.import_module(self.module)
        optimiser: FailureAware = module.create(problem, seed, {**self.settings, **settings})
        return optimiser


_OURS = "bench.quality.peers.hpo_core_study"
_OPTUNA = "bench.quality.peers.optuna_study"


def _optuna(sampler: str, *distributions: str, problems: tuple[str, ...] = ALL, **settings: Any) -> Entry:
    versions = ("optuna", "numpy", *distributions)
    return Entry(_OPTUNA, {"sampler": sampler, **settings}, "optuna", versions, problems)


def _smac(facade: str, problems: tuple[str, ...] = ALL) -> Entry:
    versions = ("smac", "ConfigSpace", "scikit-learn", "numpy")
    settings = {"facade": facade, "n_trials": 100}
    return Entry("bench.quality.peers.smac3", settings, "smac", versions, problems)


# Optuna 5.0: the defaults are what its documentation recommends (multivariate for one objective).
# ``group`` is its own answer to conditional spaces, off by default and marked experimental; elsewhere
# it is ``optuna-tpe``.
ENTRIES = {
    "auto": Entry(_OURS, {"sampler": "auto"}),
    "gp": Entry(_OURS, {"sampler": "gp"}),
    "tpe": Entry(_OURS, {"sampler": "tpe"}),
    "random": Entry(_OURS, {"sampler": "random"}),
    "sobol": Entry(_OURS, {"sampler": "sobol"}),
    "plain-random": Entry("bench.quality.peers.plain_random", distributions=("numpy",)),
    "optuna-tpe": _optuna("tpe"),
    "optuna-tpe-group": _optuna("tpe", multivariate=True, group=True, problems=CONDITIONAL),
    "optuna-gp": _optuna("gp", "scipy", "torch"),
    "optuna-cma": _optuna("cma", "cmaes"),
    "botorch": Entry(
        "bench.quality.peers.botorch_ei",
        peer="botorch",
        problems=NAMES,
        distributions=("botorch", "gpytorch", "torch", "scipy", "numpy"),
    ),
    "smac3": _smac("forest"),
    "smac3-gp": _smac("gp", problems=CONTINUOUS),
    "hyperopt": Entry(
        "bench.quality.peers.hyperopt_tpe",
        peer="hyperopt",
        distributions=("hyperopt", "numpy"),
        problems=NAMES,
    ),
}
