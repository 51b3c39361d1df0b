"""Checks of paths, and files that are written completely or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hpo_core.errors import ArgumentError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_DATABASE: Final = b"SQLite format 3\0"


def require_path(argument: str, path: object) -> str:
    """Return a path as text, ``~`` expanded; a ``StorageError`` unless the operating system can take it."""
    text = os.path.expanduser(str(path))  # noqa: PTH111 - a Path would lose slashes
    try:
        good = isinstance(path, str | Path) and text not in ("", ".") and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        good = False
    if not good:
        raise StorageError(
            f"{argument} must be the path of a file, without NUL and lone surrogates, got {path!r}"
        )
    return text


def may(path: str | Path, what: int) -> bool:
    """Whether this process has a permission such as ``os.R_OK``."""
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)


@contextmanager
def written_whole(path: str, *, new: bool = False) -> Iterator[str]:
    """Give the path of another file in the same folder, which takes the place of ``path`` at the end.

    If the body raises, ``path`` is as it was. A device or a pipe is written to directly.

    Raises
    ------
    FileExistsError
        There is something at ``path``, and ``new`` was asked for.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    if target.exists() and not target.is_file() and not new:
        yield str(target)
        return
    if new and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {str(target.parent)!r}", path)
    if not may(target.parent, os.W_OK | os.X_OK):
        problem = f"there is no permission to make a file in the folder {str(target.parent)!r}"
        raise PermissionError(errno.EACCES, problem, path)
    part = target.with_name(f".hpo-core-{secrets.token_hex(8)}")
    try:
        yield str(part)
        if new:
            try:
                os.link(part, target)  # fails where another has been faster
            except FileExistsError:
                raise
            except OSError:  # not every file system has links
                part.rename(target)
        else:
            with suppress(FileNotFoundError):
                shutil.copymode(target, part)
            part.replace(target)
    finally:
        for ending in ("", "-journal", "-wal", "-shm"):  # what SQLite puts beside a file
            Path(f"{part}{ending}").unlink(missing_ok=True)


def refuse_databases(path: str, storage: str | None) -> None:
    """Raise ``ArgumentError`` if a file is part of a storage, under whatever name, or another database."""
    file = Path(path)
    if storage is not None:
        own = [Path(f"{os.path.realpath(storage)}{ending}") for ending in ("", "-wal", "-shm", "-journal")]
        if file.resolve() in own or (
            file.exists() and any(each.exists() and file.samefile(each) for each in own)
        ):
            raise ArgumentError(f"file {path!r} is part of the storage {storage!r}; choose another file")
    if file.is_file():
        with file.open("rb") as found:
            if found.read(len(_DATABASE)) == _DATABASE:
                raise ArgumentError(f"file {path!r} is a database; choose another file")
