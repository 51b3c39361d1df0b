"""Parameters and multiply-accumulates of architectures, as formulas over columns.

Glossary
--------
c, w        channels into and out of a block                     (n,)
k           kernel size, odd; padding is k // 2                  (n,)
m           channels inside a block                              (n,)
a, b        positions (height * width) at its input and output   (n,)
q           channels of the squeeze in an InvertedResidual       (n,)

A convolution of k x k from c to w channels has k^2 c w weights, each multiplied once per output
position; a depthwise one has k^2 c. Every convolution is followed by a batch norm with 2 parameters
per channel, and has no bias but in the squeeze. Norms, activations and pooling count no MACs, as in
``torch.utils.flop_counter``. ``blocks.py`` builds the networks counted here; the two change together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from hpo_core.nn.budget import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Column: TypeAlias = NDArray[np.int64]
    Columns: TypeAlias = Mapping[str, NDArray[Any]]

SQUEEZE = 4  # channels per channel of the squeeze, as in MobileNetV3


class Block(NamedTuple):
    """One block per row, by the symbols of the glossary, and the columns of what its kind owns."""

    c: Column
    w: Column
    k: Column
    a: Column
    b: Column
    own: dict[str, NDArray[Any]]

    def next(self) -> Block:
        """The block's repetition: from its own output to the same."""
        return self._replace(c=self.w, a=self.b)


def conv(c: Column, w: Column) -> Counts:
    """Parameters of a 1 x 1 convolution with its norm, and MACs per position."""
    weights = c * w
    return Counts(weights + 2 * w, weights)


def _conv_block(block: Block, changed: NDArray[np.bool_]) -> Counts:  # noqa: ARG001
    weights = block.k**2 * block.c * block.w
    return Counts(weights + 2 * block.w, weights * block.b)


def _depthwise_block(block: Block, changed: NDArray[np.bool_]) -> Counts:  # noqa: ARG001
    spatial, pointwise = block.k**2 * block.c, conv(block.c, block.w)
    return Counts(spatial + 2 * block.c + pointwise.params, (spatial + pointwise.macs) * block.b)


def _bottleneck_block(block: Block, changed: NDArray[np.bool_]) -> Counts:
    m = np.maximum(block.w // block.own["reduction"], 1)
    reduce, expand, shortcut = conv(block.c, m), conv(m, block.w), conv(block.c, block.w)
    spatial = block.k**2 * m**2
    params = reduce.params + spatial + 2 * m + expand.params + changed * shortcut.params
    macs = reduce.macs * block.a + (spatial + expand.macs + changed * shortcut.macs) * block.b
    return Counts(params, macs)


def _inverted_block(block: Block, changed: NDArray[np.bool_]) -> Counts:  # noqa: ARG001
    m = block.c * block.own["expansion"]
    q = np.maximum(m // SQUEEZE, 1)
    squeezed = block.own["squeeze"]
    expand, project = conv(block.c, m), conv(m, block.w)
    spatial = block.k**2 * m
    params = expand.params + spatial + 2 * m + project.params + squeezed * (2 * m * q + m + q)
    macs = expand.macs * block.a + (spatial + project.macs) * block.b + squeezed * (2 * m * q)
    return Counts(params, macs)


KINDS: dict[str, tuple[Callable[[Block, NDArray[np.bool_]], Counts], tuple[str, ...]]] = {
    "conv": (_conv_block, ()),
    "depthwise": (_depthwise_block, ()),
    "bottleneck": (_bottleneck_block, ("reduction",)),
    "inverted": (_inverted_block, ("expansion", "squeeze")),
}


def _halved(size: Column, stride: NDArray[np.int64]) -> Column:
    """Positions along an axis after a convolution with this stride and padding k // 2."""
    return (size - 1) // stride + 1


class Tally:
    """Costs of a network so far, and the channels and positions that its next layer sees, all (n,)."""

    def __init__(self, shape: tuple[int, int, int], n: int) -> None:
        self.c, self.height, self.width = (np.full(n, size, dtype=np.int64) for size in shape)
        self.params, self.macs = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)

    def stem(self, columns: Columns) -> None:
        """Add the first convolution."""
        w, k, stride = (columns[f"stem_{name}"] for name in ("width", "kernel", "stride"))
        self.height, self.width = _halved(self.height, stride), _halved(self.width, stride)
        weights = k**2 * self.c * w
        self.params += weights + 2 * w
        self.macs += weights * self.height * self.width
        self.c = w.astype(np.int64)

    def stage(self, columns: Columns, prefix: str, present: NDArray[np.bool_]) -> None:
        """Add a stage to the networks in which it is ``present``."""
        kinds = columns[f"{prefix}_block"]
        for kind, (formula, own) in KINDS.items():
            rows = np.flatnonzero(present & (kinds == kind))
            if rows.size:
                self._add(
                    rows, {name: columns[f"{prefix}_{name}"][rows] for name in (*COMMON, *own)}, formula
                )

    def head(self, columns: Columns, classes: int) -> None:
        """Add the convolution of the head, if there is one, and the classifier."""
        w = columns["head_width"]
        widened = columns["head"] == "conv"
        layer = conv(self.c, w)
        features = np.where(widened, w, self.c)
        self.params += widened * layer.params + (features + 1) * classes
        self.macs += widened * layer.macs * self.height * self.width + features * classes

    def _add(
        self, rows: NDArray[np.intp], own: dict[str, NDArray[Any]], formula: Callable[..., Counts]
    ) -> None:
        c, height, width, stride = self.c[rows], self.height[rows], self.width[rows], own["stride"]
        after = _halved(height, stride), _halved(width, stride)
        block = Block(c, own["width"], own["kernel"], height * width, after[0] * after[1], own)
        first = formula(block, (c != block.w) | (stride != 1))
        other = formula(block.next(), np.zeros(len(rows), dtype=np.bool_))
        self.params[rows] += first.params + (own["repeats"] - 1) * other.params
        self.macs[rows] += first.macs + (own["repeats"] - 1) * other.macs
        self.c[rows], self.height[rows], self.width[rows] = block.w, *after


COMMON = ("width", "kernel", "stride", "repeats")
