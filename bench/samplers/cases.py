"""Spaces and histories of the latency bench; the same numbers on every side.

A history is drawn from the prior with a fixed seed. Its values have structure (a bowl in the unit
cube and a little noise), so that the good trials cluster as they do in practice.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.quality.spec import Config, Parameter, When, draw


def mixed(floats: int, logs: int, ints: int, categories: int) -> tuple[Parameter, ...]:
    return (
        *(Parameter(f"f{i}", "float", -1.0, 1.0) for i in range(floats)),
        *(Parameter(f"l{i}", "float", 1e-5, 1e-1, log=True) for i in range(logs)),
        *(Parameter(f"i{i}", "int", 1, 64) for i in range(ints)),
        *(Parameter(f"c{i}", "categorical", choices=("a", "b", "c", "d")) for i in range(categories)),
    )


def floats(d: int) -> tuple[Parameter, ...]:
    return mixed(d, 0, 0, 0)


def conditional() -> tuple[Parameter, ...]:
    """Five parameters always, of which one category activates five others, another five more."""
    a, b = (
        tuple(
            replace(p, name=f"{p.name}{c}", when=When("c0", (c,)))
            for p in (*mixed(2, 1, 1, 0), Parameter("cc", "categorical", choices=("a", "b", "c", "d")))
        )
        for c in ("a", "b")
    )
    return (*mixed(2, 1, 1, 1), *a, *b)


SPACES = {"float5": floats(5), "float20": floats(20), "float50": floats(50)}
SPACES |= {"mixed50": mixed(20, 10, 10, 10), "mixed20": mixed(8, 4, 4, 4)}
SPACES |= {"mixed10": mixed(4, 2, 2, 2), "mixed5": mixed(2, 1, 1, 1), "conditional": conditional()}


def value(config: Config) -> float:
    """A bowl over the active numeric parameters, and a category that is better."""
    total = 0.0
    for name, v in config.items():
        if name[0] == "f":
            total += (v - 0.3) ** 2
        elif name[0] == "l":
            total += (np.log10(v) / 2 + 1.5) ** 2
        elif name[0] == "i":
            total += (v / 64 - 0.4) ** 2
        else:
            total += 0.1 * (v != "b")
    return float(total)


def second_value(config: Config) -> float:
    """A bowl over the floats elsewhere than ``value``'s: the two objectives of the case fronts."""
    return float(sum((v + 0.3) ** 2 for name, v in config.items() if name[0] == "f"))


def outcome(config: Config) -> list[float]:
    return [value(config), second_value(config)]


def history(space: str, n: int) -> tuple[list[Config], list[float]]:
    rng = np.random.default_rng(0)
    configs = [draw(SPACES[space], rng) for _ in range(n)]
    return configs, [
        value(c) + 0.1 * e for c, e in zip(configs, rng.standard_normal(n).tolist(), strict=True)
    ]


def front_history(space: str, n: int) -> tuple[list[Config], list[list[float]]]:
    rng = np.random.default_rng(0)
    configs = [draw(SPACES[space], rng) for _ in range(n)]
    noise = 0.1 * rng.standard_normal((n, 2))
    return configs, (np.array([outcome(c) for c in configs]) + noise).tolist()


def results(space: str, n: int) -> list[float]:
    """What the timed trials are told: more of the same distribution, ready before the clock starts."""
    return history(space, 2 * n)[1][n:]
