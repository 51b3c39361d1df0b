"""``Compression``: the ways to prune and decompose a model, as a search space with its costs.

Glossary
--------
c, w        channels into and out of a layer, after pruning    (n,)
a, b        positions at its input and output, all calls       int
k           entries of its kernel, 1 for a Linear              int
r           rank, of a kernel on either side                   (n,)
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from hpo_core.errors import ArgumentError
from hpo_core.nn.budget import CostedSpace, Counts
from hpo_core.nn.compress.decompose import channels, decomposable, decompose, is_matrix
from hpo_core.nn.compress.prune import groups, remove, removed_channels
from hpo_core.nn.measure import check_example, check_model, evaluating, measure_counts
from hpo_core.space import Categorical, Float

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_RATIO = 0.9
LOW_RANK = (0.1, 0.9)


@dataclass(frozen=True)
class Layer:
    """A Linear or ungrouped Conv2d of the given model, by the symbols of the glossary."""

    c: int
    w: int
    k: int
    a: int
    b: int
    bias: bool
    matrix: bool

    def dense(self, c: Any, w: Any) -> Counts:
        """Costs with ``c`` and ``w`` channels left."""
        weights = self.k * c * w
        return Counts(weights + self.bias * w, weights * self.b)

    def thin(self, c: Any, w: Any, ratio: Any) -> Counts:
        """Costs decomposed, at this share of the full rank."""
        if self.matrix:
            r = rank_of(ratio, np.minimum(c, w))
            return Counts(r * (c + w) + self.bias * w, r * (c + w) * self.b)
        inner, outer = rank_of(ratio, c), rank_of(ratio, w)
        params = c * inner + self.k * inner * outer + outer * w + self.bias * w
        return Counts(params, c * inner * self.a + (self.k * inner + w) * outer * self.b)


@dataclass(frozen=True)
class Tied:
    """A layer whose channels pass through, a norm or a depthwise convolution: costs per channel."""

    channels: int
    params: int
    macs: int


class Compression(CostedSpace):
    """A search space of smaller versions of a model, derived by inspection.

    A layer ``conv1`` whose channels can be removed has the parameter ``prune.conv1``, the share to remove;
    layers that are tied together share one. A layer with more than one channel on either side has
    ``factor.conv1``, whether to decompose it after pruning, and if so ``rank.conv1``, the share of the full
    rank to keep.

    Parameters
    ----------
    model : torch.nn.Module
        It must have an ungrouped ``Conv2d`` or a ``Linear`` that is not its output. It is copied.
    example : torch.Tensor
        An input with a batch of 1: counts are those of its forward pass.

    Raises
    ------
    ArgumentError
        An argument has another type, or the model has nothing to compress.
    ModuleNotFoundError
        torch-pruning is not installed.

    Examples
    --------
    >>> import torch, hpo_core as hpo
    >>> from torch import nn
    >>> from hpo_core.nn import Compression
    >>> model = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2))
    >>> compression = Compression(model, torch.zeros(1, 8))
    >>> list(compression.parameters())
    ['prune.0', 'factor.0', 'factor.2']
    >>> space = hpo.Space(compression.parameters(), feasible=compression.budget(macs=30))
    >>> params = {"prune.0": 0.5, "factor.0": "none", "factor.2": "none"}
    >>> space.contains(params), compression.counts(params), compression.before
    (True, Counts(params=35, macs=30), Counts(params=68, macs=60))
    >>> compression.apply(params)[0]
    Linear(in_features=8, out_features=3, bias=True)
    """

    def __init__(self, model: nn.Module, example: Any) -> None:
        check_model(model)
        check_example(example)
        self._model, self._example = copy.deepcopy(model), example
        self._groups = groups(self._model, example)
        self._layers, self._tied = _inspect(self._model, example)
        if not self._layers:
            raise ArgumentError("model must have a Linear or an ungrouped Conv2d to compress, got none")
        self.before = measure_counts(self._model, example)
        self._other = self._constant()

    def __repr__(self) -> str:
        return f"Compression({type(self._model).__name__}, {len(self._layers)} layers)"

    def parameters(self) -> dict[str, Any]:
        """Return declarations for a ``Space``; parameters of the fine-tuning may be added to them.

        Returns
        -------
        dict of str to parameter
        """
        declared: dict[str, Any] = {f"prune.{group.name}": Float(0.0, MAX_RATIO) for group in self._groups}
        for name in self._thinnable():
            thin = {f"rank.{name}": Float(*LOW_RANK)}
            declared[f"factor.{name}"] = Categorical({"none": {}, "low_rank": thin})
        return declared

    def apply(self, params: Mapping[str, Any]) -> nn.Module:
        """Prune and decompose a copy of the model. Fine-tune the copy before you evaluate it.

        Parameters
        ----------
        params : mapping
            A configuration.

        Returns
        -------
        torch.nn.Module

        Raises
        ------
        SpaceError
            A parameter is missing or outside its domain.
        """
        own = self._space.codec.decode_params(self._encoded(params)[:, 0])
        removed = {
            group.name: int(removed_channels(own[f"prune.{group.name}"], group.channels))
            for group in self._groups
        }
        pruned = remove(self._model, self._example, removed)
        ranks = {
            name: _ranks(pruned.get_submodule(name), own[f"rank.{name}"])
            for name in self._thinnable()
            if own[f"factor.{name}"] == "low_rank"
        }
        return decompose(pruned, ranks)

    def _thinnable(self) -> list[str]:
        return [name for name, layer in self._layers.items() if min(layer.c, layer.w) > 1]

    def _count(self, columns: Mapping[str, Any]) -> Counts:
        known = self._known(columns)
        return Counts(self._other.params + known.params, self._other.macs + known.macs)

    def _known(self, columns: Mapping[str, Any]) -> Counts:
        """Costs of the layers that can shrink."""
        made, fed = self._lost(columns)
        params = macs = np.zeros(len(next(iter(columns.values()))), dtype=np.int64)
        for name, layer in self._layers.items():
            c, w = layer.c - fed.get(name, 0), layer.w - made.get(name, 0)
            cost = layer.dense(c, w)
            if f"factor.{name}" in columns:
                thin = layer.thin(c, w, columns[f"rank.{name}"])
                chosen = columns[f"factor.{name}"] == "low_rank"
                cost = Counts(*(np.where(chosen, *pair) for pair in zip(thin, cost, strict=True)))
            params, macs = params + cost.params, macs + cost.macs
        for name, tied in self._tied.items():
            left = tied.channels - made.get(name, 0)
            params, macs = params + tied.params * left, macs + tied.macs * left
        return Counts(params, macs)

    def _lost(self, columns: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Channels that each layer loses at its output and at its input, (n,)."""
        made: dict[str, Any] = {}
        fed: dict[str, Any] = {}
        for group in self._groups:
            gone = removed_channels(columns[f"prune.{group.name}"], group.channels)
            for side, losses in ((made, group.outputs), (fed, group.inputs)):
                for name, times in losses.items():
                    side[name] = side.get(name, 0) + times * gone
        return made, fed

    def _constant(self) -> Counts:
        """Costs that no parameter changes."""
        untouched: dict[str, Any] = {name: np.zeros(1) for name in self._space.names}
        untouched |= {f"factor.{name}": np.array(["none"]) for name in self._thinnable()}
        known = self._known(untouched)
        return Counts(self.before.params - int(known.params[0]), self.before.macs - int(known.macs[0]))


def rank_of(ratio: Any, full: Any) -> Any:
    """Rank for a share of the full one, numbers or arrays; at least 1."""
    return np.maximum(np.rint(np.asarray(ratio, dtype=np.float64) * full), 1).astype(np.int64)


def _ranks(module: nn.Module, ratio: float) -> int | tuple[int, int]:
    c, w = channels(module)
    if is_matrix(module):
        return int(rank_of(ratio, min(c, w)))
    return int(rank_of(ratio, c)), int(rank_of(ratio, w))


def _inspect(model: nn.Module, example: torch.Tensor) -> tuple[dict[str, Layer], dict[str, Tied]]:
    """Layers by name, from one forward pass."""
    positions: dict[nn.Module, list[int]] = {}

    def note(module: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        seen = positions.setdefault(module, [0, 0])
        dims = module.weight.ndim - 2  # a Linear has its channels last, a convolution before its dims
        for side, tensor in enumerate((inputs[0], output)):
            seen[side] += tensor.numel() // tensor.shape[-1 - dims]

    candidates = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    handles = [module.register_forward_hook(note) for module in candidates]
    with evaluating(model), torch.no_grad():
        model(example)
    for handle in handles:
        handle.remove()
    layers: dict[str, Layer] = {}
    tied: dict[str, Tied] = {}
    for name, module in model.named_modules():
        a, b = positions.get(module, (0, 0))
        if decomposable(module):
            layers[name] = _layer(module, a, b)
        elif isinstance(getattr(module, "weight", None), torch.Tensor):
            tied[name] = _tied(module, b)
    return layers, tied


def _layer(module: Any, a: int, b: int) -> Layer:
    c, w = channels(module)
    return Layer(c, w, module.weight[0, 0].numel(), a, b, module.bias is not None, is_matrix(module))


def _tied(module: Any, b: int) -> Tied:
    n = len(module.weight)
    weights = sum(weights.numel() for weights in module.parameters(recurse=False))
    macs = module.weight[0].numel() * b if isinstance(module, nn.Conv2d) else 0
    return Tied(n, weights // n, macs)
