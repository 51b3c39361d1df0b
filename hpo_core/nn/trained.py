"""The result of a training: its best weights, with their configuration."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from hpo_core.checks import as_json, shown
from hpo_core.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

_KEY = "hpo_core"  # of our entry in the metadata of a safetensors file


@dataclass(frozen=True)
class Trained:
    """The result of one training.

    Attributes
    ----------
    params : dict
        The configuration.
    value : float
        Value of the best epoch; NaN if there was none.
    epoch : int
        Number of the best epoch, from 0; -1 if there was none.
    values : tuple of float
        Value of each epoch.
    weights : dict of str to Tensor
        Parameters and buffers after the best epoch, on the CPU.
    reason : str or None
        Why the training failed: "diverged", "oom" or "timeout"; None if it did not.

    Examples
    --------
    >>> import tempfile, torch
    >>> from hpo_core.nn import Trained
    >>> trained = Trained({"width": 2}, 0.5, 0, (0.5,), {"weight": torch.ones(2, 2)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     trained.save(f"{folder}/best.safetensors")
    ...     Trained.load(f"{folder}/best.safetensors").params
    {'width': 2}
    """

    params: dict[str, Any]
    value: float
    epoch: int
    values: tuple[float, ...]
    weights: dict[str, Tensor]
    reason: str | None = None

    def model(self, build: Callable[[Mapping[str, Any]], nn.Module]) -> nn.Module:
        """Return the trained network, in evaluation mode on the CPU.

        Parameters
        ----------
        build : callable
            The function that built the network, as for ``TrainingObjective``.

        Returns
        -------
        torch.nn.Module

        Raises
        ------
        ArgumentError
            ``build`` does not return the network that was trained.
        """
        from torch import nn

        if not callable(build):
            raise ArgumentError(f"build must be callable, got {build!r}")
        model = build(self.params)
        if not isinstance(model, nn.Module):
            raise ArgumentError(f"build must return a torch.nn.Module, got {type(model).__name__}")
        try:
            model.load_state_dict(self.weights)
        except RuntimeError as error:
            raise ArgumentError(f"build must give the network that was trained: {error}") from error
        return model.eval()

    def save(self, path: str | PathLike[str]) -> None:
        """Write weights and configuration to a safetensors file.

        Parameters
        ----------
        path : path
            File to write; an existing file is replaced.

        Raises
        ------
        ArgumentError
            ``path`` is not a path, or the configuration has a value that JSON cannot express.
        """
        _check_path(path)
        from safetensors.torch import save_file

        try:
            params = as_json("params", self.params)
        except ArgumentError as error:
            raise ArgumentError(
                f"params must be JSON values to be saved, got {shown(self.params)}"
            ) from error
        about = {"params": params, "value": self.value, "epoch": self.epoch, "values": self.values}
        text = json.dumps(about)
        save_file({name: tensor.contiguous() for name, tensor in self.weights.items()}, path, {_KEY: text})

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Trained:
        """Read a file written by ``save``; tuples are returned as lists.

        Parameters
        ----------
        path : path

        Returns
        -------
        Trained

        Raises
        ------
        ArgumentError
            ``path`` is not a path, or the file was not written by ``save``.
        """
        _check_path(path)
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                about = json.loads((file.metadata() or {})[_KEY])
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            return cls(*_read(about), weights)
        except (*_UNREADABLE, SafetensorError) as error:
            raise ArgumentError(
                f"path must be a file that Trained.save wrote, got {shown(str(path))}: {error}"
            ) from error


# Exceptions that reading a damaged file, or a file of another program, may raise.
_UNREADABLE = (
    OSError, LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RuntimeError, MemoryError,
)  # fmt: skip


def _read(about: Any) -> tuple[dict[str, Any], float, int, tuple[float, ...]]:
    """Params, value, epoch and values of what ``save`` says about the weights."""
    if type(about) is not dict:
        raise ArgumentError(f"its metadata must be a JSON object, got {shown(about, 80)}")
    for field, kinds in _FIELDS.items():
        if type(about.get(field)) not in kinds:
            raise ArgumentError(
                f"field {field!r} must be {kinds[0].__name__}, got {shown(about.get(field), 80)}"
            )
    values = about["values"]
    if not all(type(value) in (float, int) for value in values):
        raise ArgumentError(f"field 'values' must hold numbers, got {shown(values, 80)}")
    if about["epoch"] < -1:
        raise ArgumentError(f"field 'epoch' must be an int >= -1, got {about['epoch']}")
    return about["params"], float(about["value"]), about["epoch"], tuple(map(float, values))


_FIELDS: dict[str, tuple[type, ...]] = {
    "params": (dict,),
    "value": (float, int),
    "epoch": (int,),
    "values": (list,),
}


def failed(params: Mapping[str, Any], reason: str, values: Sequence[float] = ()) -> Trained:
    """Return the result of a training that failed."""
    return Trained(dict(params), math.nan, -1, tuple(values), {}, reason)


def _check_path(path: object) -> None:
    if not isinstance(path, str | PathLike):
        raise ArgumentError(f"path must be a path, got {shown(path)}")
