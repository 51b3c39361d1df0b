"""The modules that ``counts.py`` counts: blocks, stages, and a network of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import torch
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("networks need PyTorch: pip install 'hpo-core[torch]'") from error
from torch import nn

from hpo_core.nn.light.counts import SQUEEZE

if TYPE_CHECKING:
    from collections.abc import Mapping

_ACTIVATIONS = {"relu": nn.ReLU, "hardswish": nn.Hardswish, "silu": nn.SiLU}


def conv_norm(
    c: int,
    w: int,
    kernel: int = 1,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] = nn.Identity,
) -> nn.Sequential:
    """Convolution, batch norm, activation; the size is kept up to the stride."""
    layer = nn.Conv2d(c, w, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(w), activation())


class SqueezeExcitation(nn.Module):
    """Scale each channel by a gate computed from all channels' means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(channels // SQUEEZE, 1)
        self.squeeze = nn.Linear(channels, squeezed)
        self.excite = nn.Linear(squeezed, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (n, channels, height, width) to the same shape."""
        gate = torch.relu(self.squeeze(x.mean((2, 3))))
        return x * nn.functional.hardsigmoid(self.excite(gate))[:, :, None, None]


class Residual(nn.Module):
    """``after(body(x) + shortcut(x))``."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut, self.after = body, shortcut, after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images to images."""
        result: torch.Tensor = self.after(self.body(x) + self.shortcut(x))
        return result


def conv_block(c: int, own: Mapping[str, Any], stride: int, activation: type[nn.Module]) -> nn.Module:
    """A convolution."""
    return conv_norm(c, own["width"], own["kernel"], stride=stride, activation=activation)


def depthwise_block(c: int, own: Mapping[str, Any], stride: int, activation: type[nn.Module]) -> nn.Module:
    """A convolution per channel, then one across channels (MobileNet)."""
    return nn.Sequential(
        conv_norm(c, c, own["kernel"], stride=stride, groups=c, activation=activation),
        conv_norm(c, own["width"], activation=activation),
    )


def bottleneck_block(c: int, own: Mapping[str, Any], stride: int, activation: type[nn.Module]) -> nn.Module:
    """Reduce, convolve, expand, beside a shortcut (ResNet)."""
    width = own["width"]
    inner = max(width // own["reduction"], 1)
    body = nn.Sequential(
        conv_norm(c, inner, activation=activation),
        conv_norm(inner, inner, own["kernel"], stride=stride, activation=activation),
        conv_norm(inner, width),
    )
    same = c == width and stride == 1
    return Residual(body, nn.Identity() if same else conv_norm(c, width, stride=stride), activation())


def inverted_block(c: int, own: Mapping[str, Any], stride: int, activation: type[nn.Module]) -> nn.Module:
    """Expand, convolve per channel, squeeze-excite, project (MobileNetV2 and V3)."""
    inner, width = c * own["expansion"], own["width"]
    body = nn.Sequential(
        conv_norm(c, inner, activation=activation),
        conv_norm(inner, inner, own["kernel"], stride=stride, groups=inner, activation=activation),
        SqueezeExcitation(inner) if own["squeeze"] else nn.Identity(),
        conv_norm(inner, width),
    )
    return Residual(body, nn.Identity(), nn.Identity()) if c == width and stride == 1 else body


_BLOCKS = {
    "conv": conv_block,
    "depthwise": depthwise_block,
    "bottleneck": bottleneck_block,
    "inverted": inverted_block,
}


def stage_of(c: int, own: Mapping[str, Any], activation: type[nn.Module]) -> nn.Sequential:
    """The stage's blocks; its stride and its change of width are the first one's."""
    make = _BLOCKS[own["block"]]
    first = make(c, own, own["stride"], activation)
    others = [make(own["width"], own, 1, activation) for _ in range(1, own["repeats"])]
    return nn.Sequential(first, *others)


def build(params: Mapping[str, Any], channels: int, classes: int) -> nn.Sequential:
    """Build the network of a checked configuration."""
    activation = _ACTIVATIONS[params["activation"]]
    c, kernel, stride = params["stem_width"], params["stem_kernel"], params["stem_stride"]
    layers = [("stem", conv_norm(channels, c, kernel, stride=stride, activation=activation))]
    for stage in range(1, params["stages"] + 1):
        prefix = f"stage{stage}_"
        own = {name.removeprefix(prefix): params[name] for name in params if name.startswith(prefix)}
        layers.append((f"stage{stage}", stage_of(c, own, activation)))
        c = own["width"]
    if params["head"] == "conv":
        layers.append(("head", conv_norm(c, params["head_width"], activation=activation)))
        c = params["head_width"]
    network = nn.Sequential()
    for name, layer in layers:
        network.add_module(name, layer)
    network.add_module("pool", nn.AdaptiveAvgPool2d(1))
    network.add_module("flatten", nn.Flatten())
    network.add_module("classifier", nn.Linear(c, classes))
    return network
