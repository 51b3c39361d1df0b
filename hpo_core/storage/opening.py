"""From what a user gives as ``storage=`` to a storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpo_core.errors import StorageError
from hpo_core.storage.base import DURABILITY, Storage, masked


def open_storage(storage: Any, *, durability: str = "normal", must_exist: bool = False) -> Storage:
    """Return the storage at a path or URL, or the one given.

    Raises
    ------
    StorageError
        It is neither, a URL of something else than PostgreSQL, or what must be there is not.
    """
    if durability not in DURABILITY:
        raise StorageError(f"durability must be 'normal' or 'full', got {durability!r}")
    if isinstance(storage, Storage):
        return storage
    if not isinstance(storage, str | Path) or str(storage) in ("", ".", ":memory:"):
        raise StorageError(f"storage must be a path, a URL or a Storage, got {masked(repr(storage))}")
    text = str(storage)
    if "://" in text:
        return _on_server(text, must_exist=must_exist)
    if must_exist and not Path(text).is_file():
        raise StorageError(f"storage {text!r}: there is no such file")
    from hpo_core.storage.sqlite import SQLiteStorage

    return SQLiteStorage(text, durability=durability)


def _on_server(url: str, *, must_exist: bool) -> Storage:
    if not url.startswith(("postgresql://", "postgres://")):
        raise StorageError(
            f"storage {masked(url)!r} is a URL of something else; "
            "allowed: postgresql://... or the path of an SQLite file"
        )
    from hpo_core.storage.postgres import PostgresStorage

    storage = PostgresStorage(url)
    if must_exist and not storage.exists():
        raise StorageError(f"storage {str(storage)!r}: the database has no schema hpo_core, no studies")
    return storage
