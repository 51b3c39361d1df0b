"""Two problems with conditional parameters, of our own design.

Coupled branches
    Shared coordinates u, v; three branches with two coordinates of their own, whose best values
    depend on (u, v), so that a branch cannot be solved apart from what it shares. Each branch has
    its best (u, v) and its own floor. The deepest floor lies in a nested branch, a sixth of random
    draws; the widest basin, in another, has a floor 0.15 above.

        f = floor + slope ((u - u*)^2 + (v - v*)^2) + stiffness |z - z*(u, v)|^2

Training curve
    Validation error of a network after ``EPOCHS``, by an analytic model of training with SGD, Adam
    or AdamW. In decades of the *effective* rate (learning rate after momentum, scaled by the square
    root of the batch, in units of the optimizer), speed is a bell around a best rate that falls
    with depth; above a critical rate training diverges. Capacity, from depth and widths, sets the
    fitting floor and the generalisation gap; widths want to taper; dropout and decoupled decay
    narrow the gap; small batches give more steps, but noisier ones. An observation adds seed noise
    of standard deviation ``NOISE``.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from bench.quality.spec import Config, Parameter, Problem, When

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Branch:
    floor: float
    slope: float
    stiffness: float
    center: tuple[float, float]
    target: Callable[[float, float], tuple[float, float]]

    def value(self, u: float, v: float, p: float, q: float) -> float:
        best_p, best_q = self.target(u, v)
        shared = (u - self.center[0]) ** 2 + (v - self.center[1]) ** 2
        return self.floor + self.slope * shared + self.stiffness * ((p - best_p) ** 2 + (q - best_q) ** 2)


BRANCHES = {
    "linear": Branch(0.15, 0.5, 1.0, (0.3, 0.7), lambda u, v: (0.2 + 0.6 * u, 0.9 - 0.7 * v)),
    "curved": Branch(
        0.08, 2.0, 2.0, (0.75, 0.2), lambda u, v: (0.5 + 0.4 * math.sin(2 * math.pi * u), u * v)
    ),
    "split": Branch(0.30, 1.0, 1.5, (0.6, 0.85), lambda u, v: (v * v, 1 - u)),
}
# The nested branch refines "split" by up to this much, best where log10 of its rate meets the target.
FINE_GAIN = 0.30


def coupled_branches(config: Config) -> float:
    name, u, v = config["branch"], config["u"], config["v"]
    value = BRANCHES[name].value(u, v, config[f"{name}_p"], config[f"{name}_q"])
    if config.get("split_mode") == "fine":
        miss = math.log10(config["split_rate"]) + 1 + 3 * u  # best rate 10^(-1 - 3u)
        value -= FINE_GAIN / (1 + miss * miss)
    return value


def _coupled_parameters() -> tuple[Parameter, ...]:
    own = [Parameter(f"{name}_{z}", "float", when=When("branch", (name,))) for name in BRANCHES for z in "pq"]
    return (
        Parameter("u", "float"),
        Parameter("v", "float"),
        Parameter("branch", "categorical", choices=tuple(BRANCHES)),
        *own,
        Parameter("split_mode", "categorical", choices=("plain", "fine"), when=When("branch", ("split",))),
        Parameter("split_rate", "float", 1e-5, 1.0, log=True, when=When("split_mode", ("fine",))),
    )


EPOCHS = 30
SAMPLES = 20_000
NOISE = 0.004
CHANCE = 0.9  # error of guessing among ten classes
BEST_DECADE = {"sgd": -1.0, "adam": -2.8, "adamw": -2.8}  # best log10 effective rate at depth 1, batch 16
SPEED = {"sgd": 0.8, "adam": 1.0, "adamw": 1.0}


def _decade(config: Config) -> tuple[float, float]:
    """log10 of the effective rate, and how far momentum or the betas slow the run down."""
    optimizer = config["optimizer"]
    decade = math.log10(config["lr"]) - 0.5 * math.log10(config["batch_size"] / 16)
    if optimizer == "sgd":
        momentum: float = config["momentum"]
        overshoot = 0.15 if config["nesterov"] else 0.35
        return decade - math.log10(1 - momentum), 1 + overshoot * (momentum / 0.9) ** 8 - 0.3 * momentum
    if optimizer == "adam":
        memory = math.log10(config["one_minus_beta1"]) + 1.0  # best 0.1
        second = math.log10(config["one_minus_beta2"]) + 2.5  # best 0.003
        return decade, 1 + 0.3 * memory**2 + 0.08 * second**2
    return decade, 1.1


def training_curve(config: Config) -> float:
    optimizer: str = config["optimizer"]
    depth: int = config["depth"]
    widths: list[float] = [config[f"width_{i}"] for i in range(1, depth + 1)]
    decade, drag = _decade(config)
    miss = decade - BEST_DECADE[optimizer] + 0.25 * (depth - 1)
    divergence = 1 / (1 + math.exp(-12 * (miss - 0.9)))  # smooth, but a cliff at this scale

    bits = [math.log2(w / 8) for w in widths]
    dropout: float = config["dropout"]
    used = (sum(bits) / (1 + 0.15 * (depth - 1)) + 1.5 * math.log2(depth)) * (1 - 0.15 * dropout)
    fitting_floor = 0.02 + 0.45 * math.exp(-0.33 * used) + 0.005 * (depth - 3) ** 2
    taper = 0.008 * sum((after - before + 0.5) ** 2 for before, after in itertools.pairwise(bits))

    decay = 0.0
    if optimizer == "adamw":  # best weight decay falls with the rate: only their product acts
        product = math.log10(config["weight_decay"] * config["lr"]) + 5.2
        decay = math.exp(-0.5 * product * product)
    gap = 0.0006 * used * used * (1 - 0.8 * dropout) * (1 - 0.5 * decay) + 0.15 * max(0.0, dropout - 0.3) ** 2
    noise_scale = 0.01 * math.log2(config["batch_size"] / 64) ** 2

    steps = EPOCHS * SAMPLES / config["batch_size"] / 10_000
    rate = SPEED[optimizer] * math.exp(-0.5 * (miss / 0.6) ** 2) / drag / (1 + 0.1 * dropout + 0.1 * depth)
    trained = math.exp(-3.0 * rate * steps**0.6)
    error = fitting_floor + taper + gap + noise_scale + (CHANCE - fitting_floor) * trained
    return min(CHANCE, error + (CHANCE - error) * divergence)


def _observe_training(config: Config, luck: float) -> float:
    return training_curve(config) + NOISE * NormalDist().inv_cdf(luck)


def _training_parameters() -> tuple[Parameter, ...]:
    sgd, adam, adamw = (When("optimizer", (name,)) for name in ("sgd", "adam", "adamw"))
    return (
        Parameter("lr", "float", 1e-5, 1.0, log=True),
        Parameter("batch_size", "ordinal", choices=(16, 32, 64, 128, 256)),
        Parameter("dropout", "float", 0.0, 0.6),
        Parameter("optimizer", "categorical", choices=("sgd", "adam", "adamw")),
        Parameter("momentum", "float", 0.0, 0.99, when=sgd),
        Parameter("nesterov", "categorical", choices=(False, True), when=sgd),
        Parameter("one_minus_beta1", "float", 0.01, 0.5, log=True, when=adam),
        Parameter("one_minus_beta2", "float", 1e-4, 0.1, log=True, when=adam),
        Parameter("weight_decay", "float", 1e-6, 1.0, log=True, when=adamw),
        Parameter("depth", "int", 1, 4),
        *(
            Parameter(
                f"width_{i}", "int", 8, 256, log=True, when=When("depth", at_least=i) if i > 1 else None
            )
            for i in range(1, 5)
        ),
    )


# Differential evolution over every optimizer and depth, widths continuous, found 0.1076297 (AdamW, depth 3).
TRAINING_BEST = 0.107629


def problems() -> list[Problem]:
    return [
        Problem("coupled_branches", "conditional", _coupled_parameters(), coupled_branches, 0.0),
        Problem(
            "training_curve",
            "conditional",
            _training_parameters(),
            training_curve,
            TRAINING_BEST,
            _observe_training,
        ),
    ]
