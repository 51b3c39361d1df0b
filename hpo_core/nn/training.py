"""How a network is trained: the settings, each of which may be a parameter of the search."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from hpo_core.checks import check_int, check_mapping, check_number, check_one_of
from hpo_core.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        check_one_of("optimizer", self.optimizer, OPTIMIZERS)
        for name in ("lr", "weight_decay"):
            check_number(name, getattr(self, name), "a finite number >= 0", lambda x: 0 <= x < math.inf)
        for name in ("momentum", "beta1", "beta2"):
            check_number(name, getattr(self, name), "a number >= 0 and < 1", lambda x: 0 <= x < 1)
        check_number("label_smoothing", self.label_smoothing, "a number from 0 to 1", lambda x: 0 <= x <= 1)
        for name in ("nesterov", "compile"):
            if getattr(self, name) not in (False, True):  # a number that equals one of them is fine too
                raise ArgumentError(f"{name} must be True or False, got {getattr(self, name)!r}")
        for name in ("batch_size", "epochs"):
            check_int(name, getattr(self, name), 1)

    def updated(self, params: Mapping[str, Any]) -> Training:
        """Return the settings with those of ``params`` that are named like one in their place.

        Raises
        ------
        ArgumentError
            One of them is outside what is allowed.
        """
        check_mapping("params", params)
        return replace(self, **{name: params[name] for name in SETTINGS if name in params})


SETTINGS = tuple(field.name for field in fields(Training))
