"""Opening a storage from the argument ``storage=``."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any, Final

from hpo_core.errors import StorageError
from hpo_core.storage.base import DURABILITY, Storage
from hpo_core.storage.files import may, require_path
from hpo_core.storage.masking import HARMLESS, masked

# A URL, or what a path makes of one; and what libpq takes instead. Neither may become a file of that name.
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]+:/|(postgres(ql)?|sqlite):", re.IGNORECASE)
_SQLITE: Final = re.compile(r"sqlite:///(?!:memory:)([^?]+)", re.IGNORECASE | re.DOTALL)
_LIBPQ: Final = re.compile(
    rf"\s*(?:{'|'.join(sorted(HARMLESS))}|options|\w*password)\s*=|.*\spassword\s*=",
    re.IGNORECASE | re.DOTALL,
)
_ALLOWED: Final = (
    "postgresql://user@host:port/database or the path of an SQLite file, also written as "
    "sqlite:///relative/path.db or sqlite:////absolute/path.db"
)

_OBSTACLES: Final[dict[type, str]] = {
    PermissionError: "there is no permission to enter a folder on its path",
    NotADirectoryError: "a folder on its path is a file",
}


def open_storage(storage: Any, *, durability: str = "normal", must_exist: bool = False) -> Storage:
    """Return the storage at a path or URL, or the given storage itself.

    Parameters
    ----------
    storage : path, URL or Storage
        In a path, ``~`` is the home folder; ``sqlite:///x.db`` is the path ``x.db``, as in SQLAlchemy.
    durability : {"normal", "full"}, default "normal"
        As for ``Study``.
    must_exist : bool, default False
        Whether to raise if the storage does not exist yet.

    Returns
    -------
    Storage

    Raises
    ------
    StorageError
        ``storage`` is neither a path, a URL of PostgreSQL nor a ``Storage``, or it does not exist and must.

    Examples
    --------
    >>> import tempfile
    >>> storage = open_storage(f"{tempfile.mkdtemp()}/sweep.db")
    >>> storage.studies()
    {}
    """
    if durability not in DURABILITY:
        raise StorageError(f"durability must be 'normal' or 'full', got {durability!r}")
    if isinstance(storage, Storage):
        return storage
    if not isinstance(storage, str | Path) or str(storage) in ("", ".", ":memory:"):
        raise StorageError(f"storage must be a path, a URL or a Storage, got {masked(repr(storage))}")
    text = str(storage)
    if (url := _SQLITE.fullmatch(text)) is not None:
        text = url[1]
    if _URL.match(text):
        return _on_server(text, must_exist=must_exist)
    if isinstance(storage, str) and _LIBPQ.match(text):
        raise StorageError(f"storage must be {_ALLOWED}, got the libpq string {masked(text)!r}")
    text = require_path("storage", text)
    _require_file(text, must_exist=must_exist)
    from hpo_core.storage.sqlite import SQLiteStorage

    return SQLiteStorage(text, durability=durability)


def _require_file(path: str, *, must_exist: bool) -> None:
    """Raise unless there is a file to read, or a folder for a new one: SQLite does not say which is wrong."""
    folder = os.path.dirname(path) or "."  # noqa: PTH120 - the path as given
    problem = None
    try:
        found = os.stat(path)  # noqa: PTH116
    except FileNotFoundError:
        if must_exist:
            problem = "there is no such file"
        elif not os.path.isdir(folder):  # noqa: PTH112
            problem = f"there is no folder {folder!r}"
        elif not may(folder, os.W_OK | os.X_OK):
            problem = f"there is no permission to make a file in the folder {folder!r}"
    except OSError as error:
        problem = f"{_OBSTACLES.get(type(error), 'the path cannot be followed')}: {error.strerror}"
    else:
        if not stat.S_ISREG(found.st_mode):
            problem = "it is a folder" if stat.S_ISDIR(found.st_mode) else "it is not a regular file"
        elif not may(path, os.R_OK):
            problem = "there is no permission to read it"
        elif must_exist and found.st_size == 0:
            problem = "the file is empty: it holds no studies"
    if problem is not None:
        raise StorageError(f"storage {path!r}: {problem}")


def _on_server(url: str, *, must_exist: bool) -> Storage:
    if not url.startswith(("postgresql://", "postgres://")):
        raise StorageError(f"storage must be {_ALLOWED}, got {masked(url)!r}")
    from hpo_core.storage.postgres import PostgresStorage

    storage = PostgresStorage(url)
    if must_exist and not storage.exists():
        raise StorageError(
            f"storage {str(storage)!r}: the database has no schema hpo_core, so it holds no studies"
        )
    return storage
