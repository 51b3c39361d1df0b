"""Costs of a model, measured on the model itself: parameters, multiply-accumulates, seconds."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hpo_core.checks import check_int
from hpo_core.errors import ArgumentError
from hpo_core.nn.budget import Counts

WARM_UP = 3  # the first passes allocate, choose algorithms and fill caches


def measure_counts(model: nn.Module, example: Any) -> Counts:
    """Count the parameters of a model and the multiply-accumulates of a forward pass.

    Parameters
    ----------
    model : torch.nn.Module
        It is run once in evaluation mode, and its mode is restored.
    example : torch.Tensor
        An input; its first dimension is the batch, and MACs are those of the batch.

    Returns
    -------
    Counts
        ``params`` and ``macs``.

    Raises
    ------
    ArgumentError
        An argument has another type.

    Examples
    --------
    >>> import torch
    >>> from hpo_core.nn import measure_counts
    >>> measure_counts(torch.nn.Linear(8, 4), torch.zeros(1, 8))
    Counts(params=36, macs=32)
    """
    check_model(model)
    check_example(example)
    counter = FlopCounterMode(display=False)
    with evaluating(model), torch.no_grad(), counter:
        model(example)
    return Counts(sum(weights.numel() for weights in model.parameters()), counter.get_total_flops() // 2)


def measure_latency(model: nn.Module, example: Any, *, runs: int = 30) -> float:
    """Measure the median time of a forward pass, after three passes that do not count.

    Parameters
    ----------
    model : torch.nn.Module
        It is run in evaluation mode, without gradients, and its mode is restored.
    example : torch.Tensor
        Input on the model's device; a batch of the size to be timed.
    runs : int, default 30
        Number of passes that count, at least 1.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ArgumentError
        An argument is not allowed.

    Examples
    --------
    >>> import torch
    >>> from hpo_core.nn import measure_latency
    >>> 0 < measure_latency(torch.nn.Linear(8, 4), torch.zeros(1, 8)) < 1
    True
    """
    check_model(model)
    check_example(example)
    runs = check_int("runs", runs, 1)
    with evaluating(model), torch.no_grad():
        seconds = [_timed(model, example) for _ in range(WARM_UP + runs)]
    return float(np.median(seconds[WARM_UP:]))


class evaluating:  # noqa: N801 - reads as what it does in a with statement
    """Evaluation mode within the block; every submodule gets its own mode back."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._training = {module: module.training for module in model.modules()}

    def __enter__(self) -> None:
        self._model.eval()

    def __exit__(self, *_: object) -> None:
        for module, training in self._training.items():
            module.training = training


def check_model(model: Any) -> None:
    """Raise ``ArgumentError`` unless this is a module."""
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"model must be a torch.nn.Module, got {model!r}")


def check_example(example: Any) -> None:
    """Raise ``ArgumentError`` unless this is a batch."""
    if not isinstance(example, torch.Tensor) or example.ndim == 0 or example.shape[0] == 0:
        got = tuple(example.shape) if isinstance(example, torch.Tensor) else repr(example)
        raise ArgumentError(f"example must be a tensor with a batch of at least one item, got {got}")


def _timed(model: nn.Module, example: torch.Tensor) -> float:
    _synchronise(example.device)
    started = time.perf_counter()
    model(example)
    _synchronise(example.device)
    return time.perf_counter() - started


def _synchronise(device: torch.device) -> None:
    """Wait for work that was only queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
