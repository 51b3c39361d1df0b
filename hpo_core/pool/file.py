"""The file of a pool: columns of its trials in NumPy's npz format, and a description as JSON."""

from __future__ import annotations

import json
import os
import secrets
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_core.errors import StorageError
from hpo_core.samplers.base import misplaced

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hpo_core.space import Space

VERSION = 1
COLUMNS = ("study", "x", "finished", "value")


def write(path: str | Path, about: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]) -> None:
    """Write a file in the place of the one that is there, once it is on disk."""
    if not isinstance(path, str | os.PathLike):
        raise StorageError(f"path must be a path, got {path!r}")
    target = Path(path).resolve()  # what a link points to is replaced, not the link
    beside = target.with_name(f"{target.name}.{secrets.token_hex(8)}.part")
    text = json.dumps({"version": VERSION, **about})
    try:
        with beside.open("wb") as file:
            np.savez(file, allow_pickle=False, about=np.frombuffer(text.encode(), np.uint8), **columns)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error}") from error
    finally:
        beside.unlink(missing_ok=True)


def read(path: str | Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the description and the columns of a file."""
    if not isinstance(path, str | os.PathLike):
        raise StorageError(f"path must be a path, got {path!r}")
    try:
        # numpy does not close what it opened if it is no archive.
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as held:
            about = json.loads(bytes(held["about"]))
            columns = {name: held[name] for name in COLUMNS}
    except FileNotFoundError as error:
        raise StorageError(f"path must be the file of a pool, got {str(path)!r}: no such file") from error
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise StorageError(f"path must be the file of a pool, got {str(path)!r}, which is not one") from error
    if (version := about.pop("version", None)) != VERSION:
        raise StorageError(
            f"{path} has version {version} of the pool format, but this hpo_core reads version {VERSION}: "
            "update hpo_core"
        )
    return about, columns


def check_columns(
    space: Space,
    n_studies: int,
    study: NDArray[Any],
    x: NDArray[Any],
    finished: NDArray[Any],
    value: NDArray[Any],
) -> None:
    """Raise ValueError unless the columns are those of trials of a pool."""
    n = study.size
    ours = study.shape == (n,) and study.dtype.kind == "i" and np.all((study >= 0) & (study < n_studies))
    if not ours:
        raise ValueError(f"study must be {n} indices of {n_studies} studies")
    if value.shape != (n,) or value.dtype != np.float64:
        raise ValueError(f"value must be {n} numbers")
    once = finished.ndim == 1 and finished.dtype.kind == "i" and len(np.unique(finished)) == len(finished)
    if not once or not np.all((finished >= 0) & (finished < n)):
        raise ValueError(f"finished must be different indices of {n} trials")
    layout = space.layout
    if x.shape != (layout.size, n) or x.dtype != np.float64:
        raise ValueError(f"x must be numbers of shape ({layout.size}, {n})")
    if misplaced(space, x)[0].any():
        raise ValueError("x must be configurations of the space")
