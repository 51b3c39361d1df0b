"""From what a user gives as ``storage=`` to a storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpo_core.errors import StorageError
from hpo_core.storage.base import Storage, masked
from hpo_core.storage.sqlite import DURABILITY, SQLiteStorage


def open_storage(storage: Any, *, durability: str = "normal", must_exist: bool = False) -> Storage:
    """Return the storage at a path, or the one given.

    Raises
    ------
    StorageError
        It is neither, it is a URL of something that is not supported, or a file is not there that must be.
    """
    if durability not in DURABILITY:
        raise StorageError(f"durability must be 'normal' or 'full', got {durability!r}")
    if isinstance(storage, Storage):
        return storage
    if not isinstance(storage, str | Path) or str(storage) in ("", ".", ":memory:"):
        raise StorageError(f"storage must be a path or a Storage, got {masked(repr(storage))}")
    text = str(storage)
    if "://" in text:
        raise StorageError(
            f"storage {masked(text)!r} is a URL; databases on servers are not supported yet, "
            "allowed: the path of an SQLite file"
        )
    if must_exist and not Path(text).is_file():
        raise StorageError(f"storage {text!r}: there is no such file")
    return SQLiteStorage(text, durability=durability)
