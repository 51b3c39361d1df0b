"""How a network is trained: the settings, each of which may be a parameter of the search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from numbers import Integral
from typing import Any

import numpy as np

from hpo_core.errors import ArgumentError

OPTIMIZERS = ("sgd", "adam", "adamw")

# What may differ between the members of a cohort: numbers that enter a step, and when it ends.
PER_MEMBER = frozenset({"lr", "momentum", "beta1", "beta2", "weight_decay", "label_smoothing", "epochs"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """Settings of a training. A parameter of the trial that has the name of one takes its place.

    Parameters
    ----------
    optimizer : {"adamw", "adam", "sgd"}
        Those of ``torch.optim``.
    lr : float
        Learning rate, at least 0.
    momentum : float
        In [0, 1), of "sgd".
    nesterov : bool
        Of "sgd"; has no effect without momentum.
    beta1, beta2 : float
        In [0, 1), of "adam" and "adamw".
    weight_decay : float
        At least 0; decoupled from the gradient in "adamw", added to it in the others.
    label_smoothing : float
        In [0, 1], of the default loss. Validation does not smooth.
    batch_size : int
        At least 1. An epoch is cut into the fewest batches of at most this many examples, of sizes
        that differ by one at most.
    epochs : int
        At least 1.
    compile : bool
        Whether ``torch.compile`` is applied to the network; cohorts do without.

    Raises
    ------
    ArgumentError
        A setting is outside what is allowed.

    Examples
    --------
    >>> from hpo_core.nn import Training
    >>> Training(batch_size=64).updated({"lr": 0.1, "width": 32}).lr
    0.1
    """

    optimizer: str = "adamw"
    lr: float = 1e-3
    momentum: float = 0.0
    nesterov: bool = False
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    batch_size: int = 32
    epochs: int = 10
    compile: bool = False

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ArgumentError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {self.optimizer!r}")
        _check_range(self, ("lr", "weight_decay"), high=math.inf)
        _check_range(self, ("momentum", "beta1", "beta2"), high=1.0)
        _check_range(self, ("label_smoothing",), high=math.nextafter(1.0, 2.0))
        for name in ("nesterov", "compile"):
            if getattr(self, name) not in (False, True):
                raise ArgumentError(f"{name} must be True or False, got {getattr(self, name)!r}")
        for name in ("batch_size", "epochs"):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
                raise ArgumentError(f"{name} must be an int of at least 1, got {value!r}")

    def updated(self, params: Mapping[str, Any]) -> Training:
        """Return the settings with those of ``params`` that are named like one in their place.

        Raises
        ------
        ArgumentError
            One of them is outside what is allowed.
        """
        if not isinstance(params, Mapping):
            raise ArgumentError(f"params must be a mapping of names to values, got {params!r}")
        return replace(self, **{name: params[name] for name in SETTINGS if name in params})


SETTINGS = tuple(field.name for field in fields(Training))


def _check_range(settings: Training, names: tuple[str, ...], *, high: float) -> None:
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value < high:
            limit = "1 or less" if 1.0 < high < math.inf else f"below {high:g}"
            raise ArgumentError(f"{name} must be a number of at least 0 and {limit}, got {value!r}")
