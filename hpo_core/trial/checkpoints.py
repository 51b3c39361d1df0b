"""Checkpoints of trials: folders that appear completely or not at all.

A study with ``checkpoints=`` has a folder there for each trial. A complete checkpoint is a folder in it named
``step-000000012`` after the step whose state it holds.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hpo_core.checks import shown
from hpo_core.errors import StudyError

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMPLETE: Final = re.compile(r"step-(\d+)")
_PARTIAL: Final = "partial-"
# After so long a partial checkpoint is not written any more: its process has been killed.
ABANDONED_SECONDS: Final = 3600.0
_UNNAMED: Final = "study"  # folder of a study without a name
_LONGEST_NAME: Final = 50  # characters: at most 200 bytes, and file systems allow 255


def read_folder(checkpoints: Any) -> Path | None:
    """Return the argument ``checkpoints`` of a study as an absolute path."""
    if checkpoints is None:
        return None
    try:
        return Path(os.fspath(checkpoints)).absolute()
    except (TypeError, ValueError):
        raise StudyError(f"checkpoints must be a path or None, got {shown(checkpoints)}") from None


def folder_of(checkpoints: Path, study: str, number: int) -> Path:
    """Return the folder of a trial; studies of other names in the same place have other folders."""
    name = re.sub(r"[^\w.-]", "_", study).lstrip(".")[:_LONGEST_NAME]
    if not study:
        name = _UNNAMED
    elif name in {"", _UNNAMED} or name != study:
        digest = hashlib.sha256(study.encode(errors="surrogatepass")).hexdigest()
        name = f"{name or _UNNAMED}-{digest[:8]}"
    return checkpoints / name / f"trial-{number}"


def holds_anything(folder: Path) -> bool:
    """Return whether there is anything in the folder of a trial apart from checkpoints that broke off."""
    try:
        return any(not path.name.startswith(_PARTIAL) for path in folder.iterdir())
    except OSError:
        return False


def newest(folder: Path) -> tuple[int, Path] | None:
    """Return step and path of the newest complete checkpoint of a trial, None if there is none."""
    try:
        paths = [*folder.iterdir()]
    except OSError:
        return None
    found = [(int(match[1]), path) for path in paths if (match := _COMPLETE.fullmatch(path.name))]
    return max(found, default=None)


@contextmanager
def saving(folder: Path, step: int) -> Iterator[Path]:
    """Yield an empty folder that becomes the checkpoint of ``step`` at the end; older ones are removed.

    A worker that was given up may be alive, and save an early step when another one is further.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{_PARTIAL}{secrets.token_hex(4)}"
    partial.mkdir()
    try:
        yield partial
        final, old = folder / f"step-{step:09d}", None
        if final.exists():
            old = final.rename(folder / f"{_PARTIAL}{secrets.token_hex(4)}")
        partial.rename(final)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    for path in [*folder.iterdir()]:
        match = _COMPLETE.fullmatch(path.name)
        if (match and int(match[1]) < step) or (path.name.startswith(_PARTIAL) and _is_abandoned(path)):
            shutil.rmtree(path, ignore_errors=True)


def _is_abandoned(path: Path) -> bool:
    """Whether the process that wrote a partial checkpoint must be dead."""
    with suppress(OSError):
        return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
    return False


def remove(folder: Path) -> None:
    """Remove the folder of a trial with everything in it."""
    shutil.rmtree(folder, ignore_errors=True)
