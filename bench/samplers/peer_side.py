"""Peers' samplers, as the quality bench runs them; beside these, some that only this bench has."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from bench import machine, timing
from bench.quality.fronts import optimiser as fronts
from bench.quality.fronts import spec
from bench.quality.optimiser import ENTRIES, Entry
from bench.quality.spec import Problem
from bench.samplers import cases, loop

if TYPE_CHECKING:
    from bench.quality.optimiser import Resumable

PEERS = {name: entry for name, entry in ENTRIES.items() if entry.peer} | {
    "optuna-random": replace(ENTRIES["optuna-tpe"], settings={"sampler": "random"}),
    "sklearn-gp": Entry("bench.samplers.sklearn_gp", peer="sklearn", distributions=("scikit-learn", "numpy")),
    **{f"{name}-fronts": entry for name, entry in fronts.ENTRIES.items() if entry.peer == "optuna"},
    "rustuna-tpe": Entry("bench.samplers.rustuna_tpe", peer="rustuna", distributions=("rustuna",)),
    "hoptimal": Entry("bench.samplers.hoptimal_gp", peer="hoptimal", distributions=("hoptimal", "numpy")),
    "egobox": Entry("bench.samplers.egobox_ego", peer="egobox", distributions=("egobox", "numpy")),
}


def cycle(optimiser: str, space: str, n: int, cycles: int, n_blocks: int) -> dict[str, Any]:
    """Seconds of a cycle from n trials on."""
    history = cases.history(space, n)
    values = cases.results(space, cycles // n_blocks + 1)

    def begin() -> Resumable:
        started = _begin(optimiser, space)
        started.load(*history)
        return started

    return loop.cycles(begin, values, n_blocks) | stamp(optimiser)


def front_cycle(optimiser: str, space: str, n: int, cycles: int, n_blocks: int) -> dict[str, Any]:
    """Seconds of a cycle of two objectives from n trials on."""
    history = cases.front_history(space, n)
    outcomes = cases.front_history(space, cycles // n_blocks + 1)[1]
    problem = spec.Problem(
        space, cases.SPACES[space], ("first", "second"), (math.inf, math.inf), math.inf, cases.outcome
    )

    def begin() -> Any:
        started = cast("Any", PEERS[optimiser].create(cast("Any", problem), 0, {}))
        started.load(*history)
        return started

    return loop.cycles(begin, outcomes, n_blocks) | stamp(optimiser)


def one_by_one(optimiser: str, space: str, n: int) -> dict[str, Any]:
    """Trials a second over n trials from an empty study."""
    started = _begin(optimiser, space)

    def run() -> None:
        for _ in range(n):
            started.tell(started.ask()[0], 0.5)

    return {"per_second": n / timing.clock(run), **stamp(optimiser)}


def _begin(optimiser: str, space: str) -> Resumable:
    problem = Problem(space, "latency", cases.SPACES[space], cases.value, 0.0)
    return cast("Resumable", PEERS[optimiser].create(problem, 0, {}))


def stamp(optimiser: str) -> dict[str, Any]:
    return {
        "library": PEERS[optimiser].peer,
        "versions": machine.versions(*PEERS[optimiser].distributions),
        "threads": int(os.environ.get("OMP_NUM_THREADS", "0")),
    }
