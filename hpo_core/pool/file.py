"""The file of a pool: columns of its trials in NumPy's npz format, and a description as JSON."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_core.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

VERSION = 1
COLUMNS = ("study", "x", "finished", "value")


def write(path: str | Path, about: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]) -> None:
    """Write a file in the place of the one that is there, once it is on disk."""
    if not isinstance(path, str | os.PathLike):
        raise StorageError(f"path must be a path, got {path!r}")
    target = Path(path)
    beside = target.with_name(f"{target.name}.{os.getpid()}.part")
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
        raise StorageError(f"path must be the file of a pool, got {str(path)!r}, which is none") from error
    if (version := about.pop("version", None)) != VERSION:
        raise StorageError(
            f"{path} has format {version} of pools; this hpo_core reads {VERSION}: update hpo_core"
        )
    return about, columns
