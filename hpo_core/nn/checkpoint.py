"""Checkpoints of trainings: all that the next epoch depends on, in one file.

key          what
about        the training it belongs to, as text
values       value of each epoch that is done
value, epoch of the best one
best         parameters and buffers after the best epoch, by name
weights      those after the last epoch
moments      what ``torch.optim`` keeps for a parameter, such as "exp_avg", by the parameter's name
order        state of the generator of the order of examples
generators   states of torch's own generators, by kind of device

It is the same for a network that was trained alone and for a member of a cohort, so that either may go on
as the other. Settings have no schedule of the learning rate, so there is none to save.
"""

from __future__ import annotations

import warnings
import zipfile
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from hpo_core.errors import ArgumentError
from hpo_core.printable import displayed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn

    from hpo_core.nn.training import Training

    Checkpoint: TypeAlias = dict[str, Any]

_FILE = "training.pt"
_KEYS = frozenset({"about", "values", "value", "epoch", "best", "weights", "moments", "order", "generators"})
_PLAIN = (bool, int, float, str, type(None))


def about(params: Mapping[str, Any], settings: Training, seed: int) -> str:
    """Return a training as text, without its number of epochs, which may grow.

    Choices that are objects are left out: their text may differ between processes.
    """
    plain = sorted((name, value) for name, value in params.items() if isinstance(value, _PLAIN))
    own = {name: getattr(settings, name) for name in settings.__slots__ if name != "epochs"}
    return f"seed {seed}, {own}, {plain}"


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write the file of a checkpoint into an empty folder."""
    torch.save(checkpoint, folder / _FILE)


def read_checkpoint(folder: Path, wanted: str) -> Checkpoint | None:
    """Read the checkpoint of the training that ``about`` describes, on the CPU.

    None, with a warning, if there is no such checkpoint: the training then begins again, which costs its
    epochs but spoils nothing.
    """
    path = folder / _FILE
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not look at the checksums
            damaged = archive.testzip()
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has no list of what a damaged file may raise
        _warn(path, f"cannot be read: {type(error).__name__}: {error}")
        return None
    if damaged is not None:
        _warn(path, f"cannot be read, because the checksum of {damaged} is wrong")
        return None
    if not isinstance(checkpoint, dict) or checkpoint.keys() != _KEYS:
        _warn(path, "was not written by a TrainingObjective")
        return None
    if checkpoint["about"] != wanted:
        _warn(path, f"belongs to another training: it has {checkpoint['about']}, this one {wanted}")
        return None
    return checkpoint


def _warn(path: Path, why: str) -> None:
    warnings.warn(
        displayed(f"checkpoint {path} {why}; the training begins again at epoch 0"),
        RuntimeWarning,
        stacklevel=2,
    )


def load_weights(network: nn.Module, checkpoint: Checkpoint) -> None:
    """Give a network the weights of a checkpoint."""
    try:
        network.load_state_dict(checkpoint["weights"])
    except RuntimeError as error:
        raise ArgumentError(
            f"build must give the network of the checkpoint, got another one: {error}; if it was changed on "
            f"purpose, begin a new study or delete the checkpoints"
        ) from error
