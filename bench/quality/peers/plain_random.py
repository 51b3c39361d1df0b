"""Random search in ten lines of numpy: the floor that a sampler must rise above."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.quality.spec import Config, Problem, draw

if TYPE_CHECKING:
    from bench.quality.optimiser import Optimiser


class PlainRandom:
    def __init__(self, problem: Problem, seed: int) -> None:
        self._parameters = problem.parameters
        self._rng = np.random.default_rng(seed)

    def ask(self) -> tuple[None, Config]:
        return None, draw(self._parameters, self._rng)

    def tell(self, handle: None, value: float) -> None:
        pass

    def fail(self, handle: None) -> None:
        pass


def create(problem: Problem, seed: int, settings: dict[str, Any]) -> Optimiser:
    if settings:
        msg = f"plain-random has no settings, got {sorted(settings)}"
        raise ValueError(msg)
    return PlainRandom(problem, seed)
