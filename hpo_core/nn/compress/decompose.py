"""Low-rank decomposition of layers: SVD of matrices, Tucker-2 of convolution kernels.

Glossary
--------
W       weight of a Linear (w, c), of a Conv2d (w, c, k, k)
c, w    channels into and out of the layer
r       rank of a matrix; r_in, r_out of a kernel

A matrix becomes two thinner ones, W ~ (U sqrt(S)) (sqrt(S) V), its best approximation of rank r.
A kernel becomes W ~ G x_1 A x_2 B with A (w, r_out) and B (c, r_in) orthonormal: a 1 x 1 convolution
B', the core G (r_out, r_in, k, k) with the stride and padding of the layer, a 1 x 1 convolution A.
Kim et al., Compression of deep convolutional neural networks for fast and low power mobile
applications, ICLR 2016; the factors are refined by alternating SVDs (HOOI).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from hpo_core.checks import check_int
from hpo_core.errors import ArgumentError
from hpo_core.nn.measure import check_model

SWEEPS = 5  # of HOOI; it starts from the truncated HOSVD and gains little after the second


def decompose(model: nn.Module, ranks: Mapping[str, Any]) -> nn.Module:
    """Return a copy of a model with some layers replaced by sequences of thinner ones.

    Parameters
    ----------
    model : torch.nn.Module
        It is not changed.
    ranks : mapping of str to int or (int, int)
        By the names of ``model.named_modules()``: the rank of a ``Linear`` or of a 1 x 1 ``Conv2d``, from
        1 to the smaller of its channel counts; (in, out) of a larger ``Conv2d``, each from 1 to the
        channels on its side. With full ranks the outputs of the model stay the same.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    ArgumentError
        There is no such layer, it cannot be decomposed, or a rank is above the channel count.

    Examples
    --------
    >>> import torch
    >>> from hpo_core.nn import decompose
    >>> decompose(torch.nn.Sequential(torch.nn.Linear(8, 6)), {"0": 2})
    Sequential(
      (0): Sequential(
        (0): Linear(in_features=8, out_features=2, bias=False)
        (1): Linear(in_features=2, out_features=6, bias=True)
      )
    )
    """
    check_model(model)
    if not isinstance(ranks, Mapping):
        raise ArgumentError(f"ranks must be a mapping of layer names to ranks, got {ranks!r}")
    result = copy.deepcopy(model)
    layers = dict(result.named_modules())
    thinner = {layers[name]: _decomposed(layers[name], rank) for name, rank in checked(layers, ranks)}
    if result in thinner:
        return thinner[result]
    for parent in list(result.modules()):
        for name, child in parent.named_children():
            if child in thinner:
                setattr(parent, name, thinner[child])
    return result


def decomposable(module: nn.Module) -> bool:
    """Whether a layer is a plain matrix or kernel; subclasses may have their weight read elsewhere."""
    return type(module) is nn.Linear or (type(module) is nn.Conv2d and module.groups == 1)


def is_matrix(module: Any) -> bool:
    """Whether one rank says it all."""
    return isinstance(module, nn.Linear) or module.kernel_size == (1, 1)


def checked(layers: Mapping[str, nn.Module], ranks: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Names and ranks, or ``ArgumentError`` naming the first that cannot be."""
    for name, rank in ranks.items():
        if name not in layers:
            raise ArgumentError(f"ranks must name layers of the model, got {name!r}; it has {sorted(layers)}")
        module = layers[name]
        if not decomposable(module):
            raise ArgumentError(f"ranks must name a Linear or an ungrouped Conv2d, got {name!r}: {module}")
        sides = channels(module)
        limits = (min(sides),) if is_matrix(module) else sides
        given = (rank,) if is_matrix(module) else rank
        if not isinstance(given, list | tuple) or len(given) != len(limits):
            raise ArgumentError(f"ranks[{name!r}] must be a pair of ints (in, out), got {rank!r}")
        for one, limit in zip(given, limits, strict=True):
            check_int(f"ranks[{name!r}]", one, 1, limit)
    return list(ranks.items())


def channels(module: Any) -> tuple[int, int]:
    """Channels into and out of a layer."""
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    return module.in_channels, module.out_channels


@torch.no_grad()
def _decomposed(layer: Any, rank: Any) -> nn.Sequential:
    if isinstance(layer, nn.Linear):
        parts = _split_linear(layer, rank)
    else:
        parts = _split_pointwise(layer, rank) if is_matrix(layer) else _split_kernel(layer, *rank)
    thinner = nn.Sequential(*parts).train(layer.training).requires_grad_(layer.weight.requires_grad)
    if layer.bias is not None:
        parts[-1].bias.copy_(layer.bias).requires_grad_(layer.bias.requires_grad)
    return thinner


def _halves(matrix: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Factors (w, r) and (r, c), of equal norm, so that both learn at one rate."""
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    root = s[:rank].sqrt()
    return u[:, :rank] * root, root[:, None] * v[:rank]


def _split_linear(layer: nn.Linear, rank: int) -> list[Any]:
    like = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    first = nn.Linear(layer.in_features, rank, bias=False, **like)
    last = nn.Linear(rank, layer.out_features, bias=layer.bias is not None, **like)
    left, right = _halves(layer.weight, rank)
    first.weight.copy_(right)
    last.weight.copy_(left)
    return [first, last]


def _split_pointwise(layer: nn.Conv2d, rank: int) -> list[Any]:
    first = _conv(layer, layer.in_channels, rank, core=True)
    last = _conv(layer, rank, layer.out_channels, bias=layer.bias is not None)
    left, right = _halves(layer.weight[:, :, 0, 0], rank)
    first.weight.copy_(right[:, :, None, None])
    last.weight.copy_(left[:, :, None, None])
    return [first, last]


def _split_kernel(layer: nn.Conv2d, rank_in: int, rank_out: int) -> list[Any]:
    core, a, b = tucker2(layer.weight, rank_in, rank_out)
    parts = [
        _conv(layer, layer.in_channels, rank_in),
        _conv(layer, rank_in, rank_out, core=True),
        _conv(layer, rank_out, layer.out_channels, bias=layer.bias is not None),
    ]
    weights = (b.T[:, :, None, None], core, a[:, :, None, None])
    for part, weight in zip(parts, weights, strict=True):
        part.weight.copy_(weight)
    return parts


def tucker2(
    kernel: torch.Tensor, rank_in: int, rank_out: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Core (r_out, r_in, k, k) and orthonormal factors A (w, r_out), B (c, r_in) of a kernel (w, c, k, k)."""
    b = _basis(kernel.transpose(0, 1), rank_in)
    for _ in range(SWEEPS):
        a = _basis(torch.einsum("wcij,cr->wrij", kernel, b), rank_out)
        b = _basis(torch.einsum("wcij,wr->crij", kernel, a), rank_in)
    return torch.einsum("wcij,wo,cr->orij", kernel, a, b), a, b


def _basis(tensor: torch.Tensor, rank: int) -> torch.Tensor:
    """The ``rank`` leading left singular vectors of the unfolding along the first axis."""
    unfolded = tensor.flatten(1)
    lacking = max(rank - unfolded.shape[1], 0)  # with columns of zeros there are singular vectors enough
    vectors: torch.Tensor = torch.linalg.svd(nn.functional.pad(unfolded, (0, lacking)), full_matrices=False)[
        0
    ]
    return vectors[:, :rank]


def _conv(layer: nn.Conv2d, c: int, w: int, *, core: bool = False, bias: bool = False) -> nn.Conv2d:
    """1 x 1, or with the geometry of the layer."""
    geometry: dict[str, Any] = {}
    if core:
        names = ("stride", "padding", "dilation", "padding_mode")
        geometry = {name: getattr(layer, name) for name in names}
    size: Any = layer.kernel_size if core else 1
    weight = layer.weight
    return nn.Conv2d(c, w, size, bias=bias, device=weight.device, dtype=weight.dtype, **geometry)
