"""Structured pruning: channels of small norm are removed together with everything that depends on them.

The dependencies come from torch-pruning's dependency graph; a ``Group`` is one of its groups.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from hpo_core.checks import check_number
from hpo_core.errors import ArgumentError
from hpo_core.nn.measure import check_example, check_model, evaluating

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Group:
    """Channels that can only be removed together.

    ``outputs`` and ``inputs`` say how many channels each layer loses, on that side, per channel of the
    group: more than one where a Linear follows a flattened image.
    """

    name: str  # of the first layer that makes them
    channels: int
    outputs: dict[str, int] = field(default_factory=dict)
    inputs: dict[str, int] = field(default_factory=dict)


def prune(model: nn.Module, example: Any, ratios: Mapping[str, float]) -> nn.Module:
    """Return a copy of a model without the channels of smallest norm.

    A layer's channels are removed together with those of the layers that it is tied to, along a shortcut or
    by a depthwise convolution, and with the matching inputs of the layers that follow. Norms are Euclidean,
    over all weights of a channel in all layers of its group.

    Parameters
    ----------
    model : torch.nn.Module
        It is not changed.
    example : torch.Tensor
        An input, with which dependencies between layers are traced.
    ratios : mapping of str to float
        By the names of ``model.named_modules()``: the share of a layer's output channels to remove, in
        [0, 1), rounded to a number of channels; one always stays. Of several tied layers, name only one.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    ArgumentError
        There is no such layer, its channels are outputs of the model or cannot be removed, two layers are
        tied together, or a ratio is outside its range.
    ModuleNotFoundError
        torch-pruning is not installed.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from hpo_core.nn import prune
    >>> prune(nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2)), torch.zeros(1, 8), {"0": 0.5})
    Sequential(
      (0): Linear(in_features=8, out_features=3, bias=True)
      (1): ReLU()
      (2): Linear(in_features=3, out_features=2, bias=True)
    )
    """
    check_model(model)
    check_example(example)
    if not isinstance(ratios, Mapping):
        raise ArgumentError(f"ratios must be a mapping of layer names to shares, got {ratios!r}")
    removed = _checked(model, groups(model, example), ratios)
    return remove(model, example, removed)


def removed_channels(ratio: Any, channels: int) -> Any:
    """Whole channels for a share of them, a number or an array; one always stays."""
    return np.minimum(np.rint(np.asarray(ratio, dtype=np.float64) * channels), channels - 1).astype(np.int64)


def remove(model: nn.Module, example: torch.Tensor, removed: Mapping[str, int]) -> nn.Module:
    """Copy of a model without ``removed`` channels of the groups that these layers are in."""
    result = copy.deepcopy(model)
    with _traced(result, example) as graph:
        layers = dict(result.named_modules())
        for name, count in removed.items():
            if count > 0:
                norms = _importance()(_group_of(graph, layers[name]))
                gone = norms.argsort(stable=True)[:count].tolist()
                _group_of(graph, layers[name], sorted(gone)).prune()
    return result


def groups(model: nn.Module, example: torch.Tensor) -> list[Group]:
    """Every group whose channels can be removed without changing the shape of the output, in model order."""
    found: list[Group] = []
    seen: set[str] = set()
    with _traced(copy.deepcopy(model), example) as graph:
        names = {module: name for name, module in graph.model.named_modules()}
        for layer, name in names.items():
            if name not in seen and _is_prunable(layer):
                group = _read(graph, layer, name, names)
                seen |= set(group.outputs)
                if _is_safe(model, example, group):
                    found.append(group)
    return found


def _is_prunable(layer: nn.Module) -> bool:
    if type(layer) is nn.Linear:
        return layer.out_features > 1
    return type(layer) is nn.Conv2d and layer.groups == 1 and layer.out_channels > 1


def _read(graph: Any, layer: Any, name: str, names: Mapping[nn.Module, str]) -> Group:
    channels = len(layer.weight)
    group = Group(name, channels)
    touched: dict[tuple[str, bool], set[int]] = {}
    for dependency, indices in _group_of(graph, layer, list(range(channels))):
        module = dependency.target.module
        if module in names and next(module.parameters(recurse=False), None) is not None:
            made = not _has_sides(module) or graph.is_out_channel_pruning_fn(dependency.handler)
            touched.setdefault((names[module], made), set()).update(indices)
    for (target, made), indices in touched.items():
        (group.outputs if made else group.inputs)[target] = len(indices) // channels
    return group


def _has_sides(module: nn.Module) -> bool:
    """Whether channels in and channels out are different things."""
    if isinstance(module, nn.Linear):
        return True
    return isinstance(module, nn.Conv2d) and module.groups == 1


def _is_safe(model: nn.Module, example: torch.Tensor, group: Group) -> bool:
    """Whether the model without one channel of the group still maps the example to the same shape."""
    with evaluating(model), torch.no_grad():
        wanted = _shapes(model(example))
    try:
        thinner = remove(model, example, {group.name: 1})
        with evaluating(thinner), torch.no_grad():
            return bool(_shapes(thinner(example)) == wanted)
    except Exception:
        return False


def _shapes(output: Any) -> Any:
    """Shapes of whatever tensors a model returns."""
    if isinstance(output, torch.Tensor):
        return tuple(output.shape)
    if isinstance(output, Mapping):
        return {key: _shapes(value) for key, value in output.items()}
    if isinstance(output, list | tuple):
        return [_shapes(value) for value in output]
    return None


@contextlib.contextmanager
def _traced(model: nn.Module, example: torch.Tensor) -> Iterator[Any]:
    """Dependency graph of a model, which must be the caller's own: weights are made to require gradients."""
    frozen = [name for name, weights in model.named_parameters() if not weights.requires_grad]
    with evaluating(model), torch.enable_grad():
        model.requires_grad_(True)
        yield _torch_pruning().DependencyGraph().build_dependency(model, example_inputs=example)
    for name, weights in model.named_parameters():
        weights.requires_grad_(name not in frozen)


def _group_of(graph: Any, layer: Any, indices: list[int] | None = None) -> Any:
    """Group that removes ``indices`` of a layer's output channels; all of them if None."""
    pruning = _torch_pruning()
    function = (
        pruning.prune_linear_out_channels if isinstance(layer, nn.Linear) else pruning.prune_conv_out_channels
    )
    every = list(range(len(layer.weight)))
    return graph.get_pruning_group(layer, function, idxs=every if indices is None else indices)


def _importance() -> Any:
    return _torch_pruning().importance.GroupMagnitudeImportance(p=2)


def _torch_pruning() -> Any:
    try:
        import torch_pruning
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("pruning needs torch-pruning: pip install 'hpo-core[compress]'") from error
    return torch_pruning


def _checked(model: nn.Module, known: list[Group], ratios: Mapping[str, float]) -> dict[str, int]:
    """Channels to remove by layer, or ``ArgumentError`` naming the first that cannot be."""
    layers = dict(model.named_modules())
    removed: dict[str, int] = {}
    taken: dict[str, str] = {}
    for name, ratio in ratios.items():
        if name not in layers:
            raise ArgumentError(
                f"ratios must name layers of the model, got {name!r}; it has {sorted(layers)}"
            )
        group = next((group for group in known if name in group.outputs), None)
        if group is None or not _is_prunable(layers[name]):
            raise ArgumentError(
                f"ratios must name layers whose channels can be removed, got {name!r}, whose channels cannot "
                f"be removed; those of {[group.name for group in known]} can"
            )
        if group.name in taken:
            raise ArgumentError(
                f"ratios must name one of several tied layers, got {name!r} and {taken[group.name]!r}"
            )
        check_number(f"ratios[{name!r}]", ratio, "a number >= 0 and < 1", lambda x: 0 <= x < 1)
        taken[group.name] = name
        removed[group.name] = int(removed_channels(ratio, group.channels))
    return removed
