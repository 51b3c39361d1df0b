"""Studies of hpo_core in each of its storages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hpo_core as hpo
from bench.quality.peers.hpo_core_study import declare
from bench.samplers import cases
from bench.samplers.hpo_core_side import stamp
from bench.study import postgres
from bench.study.blocks import blocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STORAGES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "memory": lambda _: {},
    "sqlite": lambda folder: {"storage": folder / "study.db"},
    "sqlite full": lambda folder: {"storage": folder / "study.db", "durability": "full"},
    "postgres": lambda _: {"storage": postgres.url()},
}


class Side:
    def __init__(self, space: str, storage: str, folder: Path) -> None:
        declared = hpo.Space({p.name: declare(p) for p in cases.SPACES[space]})
        options = STORAGES[storage](folder)
        self.study = hpo.Study(declared, sampler="random", seed=0, name=folder.name, **options)

    def cycles(self, n: int) -> None:
        for _ in range(n):
            trial = self.study.ask()
            self.study.tell(trial, cases.value(trial.params))

    def ask(self, n: int) -> None:
        self.batch = self.study.ask(n)
        self.values = cases.results("mixed10", n)

    def tell(self) -> None:
        for trial, value in zip(self.batch, self.values, strict=True):
            self.study.tell(trial, value)

    def tells(self) -> None:
        for start in range(0, len(self.batch), 1000):
            self.study.tell(self.batch[start : start + 1000], self.values[start : start + 1000])


def stored(space: str, storage: str, case: str, n: int) -> dict[str, Any]:
    return blocks(case, n, lambda folder: Side(space, storage, folder)) | stamp()
