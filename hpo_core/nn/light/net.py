"""``LightNet``: a search space of light convolutional networks, their costs, and the networks."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_core.checks import check_int
from hpo_core.errors import ArgumentError
from hpo_core.nn.budget import CostedSpace, Counts
from hpo_core.nn.light.counts import Tally
from hpo_core.space import Categorical, Int, Ordinal, param

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from hpo_core.space import Expression

MIN_WIDTH = 4
MAX_WIDTH = 4096  # with it, no count of a network of 8 stages overflows an int64
MAX_STAGES = 8
ACTIVATIONS = ("relu", "hardswish", "silu")


@dataclass(frozen=True)
class LightNet(CostedSpace):
    """Convolutional networks for small budgets: a stem, stages of one kind of block each, a head.

    A stage repeats a ``Conv``, ``DepthwiseConv``, ``Bottleneck`` or ``InvertedResidual`` (with
    squeeze-excitation as an option); the first block has the stage's stride. Parameters of one kind of block,
    such as a reduction or an expansion, are active only if that kind is chosen. Every convolution is
    followed by a batch norm; the head pools globally, optionally after a 1 x 1 convolution.

    Parameters
    ----------
    shape : (int, int, int)
        Channels, height and width of an image; each 1 to 4,096.
    classes : int
        Outputs of the network, 1 to 1,000,000.
    stages : int, default 3
        Largest number of stages, 1 to 8; the number itself is searched.
    max_width : int, default 64
        Largest width of stages and head, 8 to 4,096 channels; the smallest is 4. The stem has at most half of
        it.
    max_repeats : int, default 3
        Largest number of blocks in a stage, 1 to 16.
    kernels : sequence of int, default (3, 5)
        Kernel sizes to choose from, odd, 1 to 31.

    Raises
    ------
    ArgumentError
        An argument is outside its range.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from hpo_core.nn import LightNet
    >>> net = LightNet((1, 28, 28), 10)
    >>> space = hpo.Space(net.parameters(), feasible=net.budget(params=5_000, macs=5e6))
    >>> columns = space.sample(100, seed=0)
    >>> counts = net.counts(columns)
    >>> bool(counts.params.max() <= 5_000), bool(counts.macs.max() <= 5e6)
    (True, True)
    >>> net = LightNet((1, 8, 8), 10, stages=1)
    >>> stem = {"activation": "relu", "stem_width": 4, "stem_kernel": 3, "stem_stride": 1, "stages": 1}
    >>> stage = {"block": "conv", "width": 8, "kernel": 3, "stride": 2, "repeats": 1}
    >>> net.counts(stem | {f"stage1_{name}": value for name, value in stage.items()} | {"head": "pool"})
    Counts(params=438, macs=6992)
    """

    shape: tuple[int, int, int]
    classes: int
    _: KW_ONLY
    stages: int = 3
    max_width: int = 64
    max_repeats: int = 3
    kernels: Sequence[int] = (3, 5)

    def __post_init__(self) -> None:
        shape = self.shape
        if not isinstance(shape, list | tuple) or len(shape) != 3:
            raise ArgumentError(f"shape must be (channels, height, width), got {shape!r}")
        sizes = tuple(check_int("each size in shape", size, 1, MAX_WIDTH) for size in shape)
        object.__setattr__(self, "shape", sizes)
        check_int("classes", self.classes, 1, 1_000_000)
        check_int("stages", self.stages, 1, MAX_STAGES)
        check_int("max_width", self.max_width, 2 * MIN_WIDTH, MAX_WIDTH)
        check_int("max_repeats", self.max_repeats, 1, 16)
        object.__setattr__(self, "kernels", _kernels(self.kernels))

    def parameters(self) -> dict[str, Any]:
        """Return declarations for a ``Space``; parameters of the training may be added to them.

        ``stage1_block``, ``stage1_width`` and so on belong to the first stage.

        Returns
        -------
        dict of str to parameter
        """
        head = {"head_width": Int(MIN_WIDTH, self.max_width, log=True)}
        declared = {
            "activation": Categorical(ACTIVATIONS),
            "stem_width": _width(self.max_width // 2),
            "stem_kernel": Ordinal(self.kernels),
            "stem_stride": Ordinal([1, 2]),
            "stages": _upto(self.stages),
        }
        for stage in range(1, self.stages + 1):
            declared |= self._stage(stage)
        return declared | {"head": Categorical({"pool": {}, "conv": head})}

    def build(self, params: Mapping[str, Any]) -> nn.Module:
        """Build the network of one configuration, on the CPU, with PyTorch's default initialisation.

        Parameters
        ----------
        params : mapping
            A configuration; other parameters are ignored.

        Returns
        -------
        torch.nn.Module
            It maps images (n, channels, height, width) to logits (n, classes).

        Raises
        ------
        SpaceError
            A parameter of the architecture is missing or outside its domain.
        """
        from hpo_core.nn.light.blocks import build

        return build(
            self._space.codec.decode_params(self._encoded(params)[:, 0]), self.shape[0], self.classes
        )

    def _stage(self, stage: int) -> dict[str, Any]:
        """Declarations of one stage; those after the first exist if the network is that deep."""
        name = f"stage{stage}"
        when = param("stages") >= stage if stage > 1 else None
        blocks = {
            "conv": {},
            "depthwise": {},
            "bottleneck": {f"{name}_reduction": Ordinal([2, 4, 8])},
            "inverted": {
                f"{name}_expansion": Ordinal([2, 3, 4, 6]),
                f"{name}_squeeze": Categorical([False, True]),
            },
        }
        return {
            f"{name}_block": Categorical(blocks, when=when),
            f"{name}_width": Int(MIN_WIDTH, self.max_width, log=True, when=when),
            f"{name}_kernel": Ordinal(self.kernels, when=when),
            f"{name}_stride": Ordinal([1, 2], when=when),
            f"{name}_repeats": _upto(self.max_repeats, when=when),
        }

    def _count(self, columns: Mapping[str, Any]) -> Counts:
        own = {name: np.asarray(columns[name]) for name in self._space.names}
        lengths = {column.shape for column in own.values()}
        if len(lengths) != 1:
            raise ArgumentError(f"params must hold columns of one length, got shapes {sorted(lengths)}")
        tally = Tally(self.shape, lengths.pop()[0])
        tally.stem(own)
        for stage in range(1, self.stages + 1):
            tally.stage(own, f"stage{stage}", own["stages"] >= stage)
        tally.head(own, self.classes)
        return Counts(tally.params, tally.macs)


def _kernels(kernels: Any) -> tuple[int, ...]:
    if not isinstance(kernels, list | tuple) or not kernels:
        raise ArgumentError(f"kernels must be a list of odd ints, got {kernels!r}")
    sizes = tuple(check_int("each of kernels", size, 1, 31) for size in kernels)
    if any(size % 2 == 0 for size in sizes) or len(set(sizes)) < len(sizes):
        raise ArgumentError(f"kernels must be distinct odd ints, got {kernels!r}")
    return sizes


def _width(high: int) -> Any:
    """Widths up to ``high``; a constant if there is only one."""
    return Int(MIN_WIDTH, high, log=True) if high > MIN_WIDTH else Ordinal([MIN_WIDTH])


def _upto(high: int, *, when: Expression | None = None) -> Ordinal:
    return Ordinal(tuple(range(1, high + 1)), when=when)
