"""The functions of the compiled extensions once more, in numba: compiled at the first call and cached.

Numba keeps what it has compiled beside this file, or in the user's cache directory if that is not writable.
"""

from __future__ import annotations

import logging
import os
import stat
import tempfile
import time
from pathlib import Path
from typing import Any

import numba
from numba.core import event

logger = logging.getLogger("hpo_core")

# Compiling all that a study needs takes a minute or so: a line now and then says that it goes on.
SECONDS_BETWEEN_LINES = 10.0


class _Announcer(event.Listener):
    """Says that a function is compiled, which is otherwise a program that stands still."""

    def __init__(self) -> None:
        self._n, self._said = 0, -SECONDS_BETWEEN_LINES

    def on_start(self, event: Any) -> None:
        function = event.data["dispatcher"]
        if not function.py_func.__module__.startswith(f"{__name__}."):
            return
        now = time.monotonic()
        if now - self._said >= SECONDS_BETWEEN_LINES:
            where = getattr(function._cache, "cache_path", None)
            so_far = f" ({self._n} done so far)" if self._n else ""
            logger.warning("compiling kernels, once: numba keeps them in %s%s", where, so_far)
            self._said = now
        self._n += 1

    def on_end(self, event: Any) -> None:
        pass


def _private_folder() -> str:
    """A folder for temporary files that no other user can write to: code is loaded from it."""
    if not hasattr(os, "getuid"):  # Windows has one for each user
        return str(Path(tempfile.gettempdir()) / "hpo_core-numba")
    folder = Path(tempfile.gettempdir()) / f"hpo_core-numba-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
        return str(folder)
    return tempfile.mkdtemp(prefix="hpo_core-numba-")


def _can_be_cached() -> bool:
    try:
        numba.njit(cache=True)(_can_be_cached)
    except RuntimeError:  # neither place can be written to
        return False
    return True


if not _can_be_cached():
    numba.config.CACHE_DIR = _private_folder()  # type: ignore[attr-defined]
event.register("numba:compile", _Announcer())  # type: ignore[no-untyped-call]
