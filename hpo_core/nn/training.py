"""Settings of a training, each of which may be a parameter of the search."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from hpo_core.checks import check_int, check_mapping, check_number, check_one_of
from hpo_core.errors import ArgumentError
from hpo_core.hints import hinting_class

if TYPE_CHECKING:
    from collections.abc import Mapping

OPTIMIZERS = ("sgd", "adam", "adamw")

# Settings that may differ between the members of a cohort: numbers that enter a step, and its end.
PER_MEMBER = frozenset({"lr", "momentum", "beta1", "beta2", "weight_decay", "label_smoothing", "epochs"})


@hinting_class
@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """Settings of a training. A parameter of the trial with the name of a setting replaces it.

    Parameters
    ----------
    optimizer : {"adamw", "adam", "sgd"}
        An optimizer of ``torch.optim``.
    lr : float
        Learning rate, at least 0.
    momentum : float
        In [0, 1), for "sgd".
    nesterov : bool
        For "sgd"; it has no effect without momentum.
    beta1, beta2 : float
        In [0, 1), for "adam" and "adamw".
    weight_decay : float
        At least 0; decoupled from the gradient in "adamw", added to it in the others.
    label_smoothing : float
        In [0, 1], for the default loss; not applied in validation.
    batch_size : int
        At least 1. An epoch is divided into the fewest batches of at most this many examples; their sizes
        differ by at most one.
    epochs : int
        Number of epochs, at least 1.
    compile : bool
        Whether to apply ``torch.compile`` to the network; cohorts ignore it.

    Raises
    ------
    ArgumentError
        A setting is not allowed.

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
        """Return the settings, replaced by parameters of the same names.

        Parameters
        ----------
        params : mapping
            A configuration; other names are ignored.

        Returns
        -------
        Training

        Raises
        ------
        ArgumentError
            A value is not allowed.
        """
        check_mapping("params", params)
        return replace(self, **{name: params[name] for name in SETTINGS if name in params})


SETTINGS = tuple(field.name for field in fields(Training))
