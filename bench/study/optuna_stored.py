"""Studies of Optuna in each of its storages, as its documentation opens them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from bench import machine
from bench.quality.peers.optuna_study import suggest
from bench.samplers import cases
from bench.study import postgres
from bench.study.blocks import blocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STORAGES: dict[str, Callable[[Path], Any]] = {
    "memory": lambda _: None,
    "sqlite": lambda folder: f"sqlite:///{folder / 'study.db'}",
    "journal": lambda folder: JournalStorage(JournalFileBackend(str(folder / "study.log"))),
    "postgres": lambda _: postgres.url().replace("postgresql://", "postgresql+psycopg://"),
}


class Side:
    def __init__(self, space: str, storage: str, folder: Path) -> None:
        self.space = cases.SPACES[space]
        sampler = optuna.samplers.RandomSampler(seed=0)
        self.study = optuna.create_study(
            storage=STORAGES[storage](folder), sampler=sampler, study_name=folder.name
        )

    def cycles(self, n: int) -> None:
        for _ in range(n):
            trial = self.study.ask()
            self.study.tell(trial, cases.value({p.name: suggest(trial, p) for p in self.space}))

    def ask(self, n: int) -> None:
        self.trials = [self.study.ask() for _ in range(n)]
        for trial in self.trials:
            for p in self.space:
                suggest(trial, p)
        self.values = cases.results("mixed10", n)

    def tell(self) -> None:
        for trial, value in zip(self.trials, self.values, strict=True):
            self.study.tell(trial, value)

    def tells(self) -> None:
        raise NotImplementedError("Optuna tells one trial at a time")


def stored(space: str, storage: str, case: str, n: int) -> dict[str, Any]:
    versions = machine.versions("optuna", "sqlalchemy", "numpy")
    measured = blocks(case, n, lambda folder: Side(space, storage, folder))
    return measured | {"library": "optuna", "versions": versions, "threads": 1}
