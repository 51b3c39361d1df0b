"""egobox's Egor at its defaults: ``suggest`` of all points so far, on floats in the unit cube."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import egobox
import numpy as np

from bench.quality.coordinates import decode, encode

if TYPE_CHECKING:
    from bench.quality.optimiser import Optimiser
    from bench.quality.spec import Config, Problem


class Egobox:
    def __init__(self, problem: Problem, seed: int) -> None:
        self._parameters = problem.parameters
        self._egor = egobox.Egor([[0.0, 1.0]] * len(problem.parameters), seed=seed)
        self._x: list[list[float]] = []
        self._y: list[list[float]] = []

    def load(self, configs: list[Config], values: list[float]) -> None:
        self._x += [encode(self._parameters, config) for config in configs]
        self._y += [[value] for value in values]

    def ask(self) -> tuple[Config, Config]:
        (point,) = self._egor.suggest(np.array(self._x), np.array(self._y)).tolist()
        config = decode(self._parameters, point)
        return config, config

    def tell(self, handle: Config, value: float) -> None:
        self.load([handle], [value])


def create(problem: Problem, seed: int, settings: dict[str, Any]) -> Optimiser:
    assert not settings
    assert all(p.kind == "float" for p in problem.parameters)
    return Egobox(problem, seed)
