"""Examples to train and validate on, wherever they come from, as batches on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch.utils.data import Dataset, TensorDataset, default_collate

from hpo_core.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    Batch: TypeAlias = tuple[Tensor, Tensor]


class Examples:
    """Inputs and targets, by row number.

    Attributes
    ----------
    tensors : pair of tensors or None
        All inputs (n, ...) and targets (n, ...); None for a ``Dataset`` that is read item by item.
    """

    def __init__(self, tensors: Batch | None, dataset: Any = None) -> None:
        self.tensors = tensors
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset) if self.tensors is None else len(self.tensors[0])

    def to(self, device: torch.device) -> Examples:
        """Return the examples, with data in memory moved to a device."""
        if self.tensors is None:
            return self
        inputs, targets = self.tensors
        return Examples((inputs.to(device), targets.to(device)))

    def shuffled(self, generator: torch.Generator, device: torch.device) -> Tensor:
        """Return the row numbers in random order, where ``take`` wants them."""
        order = torch.randperm(len(self), generator=generator)
        return order if self.tensors is None else order.to(device)

    def take(self, rows: Tensor, device: torch.device) -> Batch:
        """Inputs and targets of some rows, an index array of any shape for tensors, on the device."""
        if self.tensors is not None:
            inputs, targets = self.tensors
            rows = rows.to(device)
            return _rows_of(inputs, rows), _rows_of(targets, rows)
        inputs, targets = default_collate([self._dataset[row] for row in rows.tolist()])
        return _moved(inputs, device), _moved(targets, device)

    def in_order(self, size: int, device: torch.device) -> Iterator[Batch]:
        """Yield all examples in batches of ``size``, on the device."""
        if self.tensors is not None:
            yield from zip(*(torch.split(part, size) for part in self.tensors), strict=True)
        else:
            for rows in torch.split(torch.arange(len(self)), size):
                yield self.take(rows, device)


def read_examples(name: str, given: Any, *, classes: bool) -> Examples:
    """Read a pair of arrays or tensors, or a map-style ``Dataset`` of pairs.

    Arrays of floats become the default dtype of torch, integer targets int64; tensors of floats stay
    as they are. With ``classes``, targets must be integers.
    """
    if isinstance(given, TensorDataset):
        given = given.tensors
    if isinstance(given, Dataset):
        examples = Examples(None, given)
    elif isinstance(given, tuple | list) and len(given) == 2:
        inputs, targets = (_tensor(name, part) for part in given)
        if not targets.is_floating_point():
            targets = targets.long()
        elif classes:
            raise ArgumentError(
                f"{name} must hold classes (integers) as targets for cross-entropy, got {targets.dtype}; "
                f"give a loss for other targets"
            )
        if len(inputs) != len(targets):
            raise ArgumentError(
                f"{name} must hold one target for each input, "
                f"got {len(inputs)} inputs and {len(targets)} targets"
            )
        examples = Examples((inputs, targets))
    else:
        raise ArgumentError(
            f"{name} must be a pair (inputs, targets) or a Dataset, got {type(given).__name__}"
        )
    if len(examples) == 0:
        raise ArgumentError(f"{name} must hold at least one example, got an empty dataset")
    return examples


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    # From pinned memory CUDA copies while the host goes on to read the next examples.
    pinned = tensor.pin_memory() if device.type == "cuda" else tensor
    return pinned.to(device, non_blocking=device.type == "cuda")


def _rows_of(tensor: Tensor, rows: Tensor) -> Tensor:
    # Several times faster than tensor[rows].
    return tensor.index_select(0, rows.flatten()).reshape(*rows.shape, *tensor.shape[1:])


def _tensor(name: str, part: Any) -> Tensor:
    if not isinstance(part, torch.Tensor):
        array = np.asarray(part)
        if array.dtype.kind not in "fiub":
            raise ArgumentError(f"{name} must hold arrays or tensors of numbers, got {part!r:.60}")
        part = torch.as_tensor(array)
        part = part.to(torch.get_default_dtype()) if array.dtype.kind == "f" else part
    if part.ndim == 0:
        raise ArgumentError(f"{name} must hold arrays with a row per example, got a scalar")
    tensor: Tensor = part.detach()
    return tensor
