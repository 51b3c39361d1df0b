"""The trials of a study as a file for other programs: CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from numbers import Number
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hpo_core.errors import ArgumentError
from hpo_core.printable import printable
from hpo_core.storage.files import require_path, written_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpo_core.study import StoredResults

# A spreadsheet takes a cell that begins so for a formula; the full-width forms too.
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_DATABASE: Final = b"SQLite format 3\0"


def export(study: StoredResults, path: str, kind: str, *, storage: str) -> None:
    """Write one row per trial; a file that is there already is replaced at the end, or stays as it was.

    Parameters
    ----------
    study : StoredResults
    path : str
    kind : {"csv", "json", "parquet"}
    storage : str
        Where the study is kept, which must not be written over.

    Raises
    ------
    ArgumentError
        The file cannot be written, or is a database.
    """
    require_path("file", path)
    try:
        _refuse_databases(path, storage)
        with written_whole(path) as part:
            WRITERS[kind](study, part)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ArgumentError(f"file {path!r} cannot be written: {error.strerror}") from error


def _refuse_databases(path: str, storage: str) -> None:
    """Raise if the file is part of the study's storage, under whatever name, or of another one."""
    file = Path(path)
    own = [Path(f"{os.path.realpath(storage)}{ending}") for ending in ("", "-wal", "-shm", "-journal")]
    if file.resolve() in own or (
        file.exists() and any(each.exists() and file.samefile(each) for each in own)
    ):
        raise ArgumentError(
            f"file {path!r} is part of the storage {storage!r}: give the name of another file"
        )
    if file.is_file():
        with file.open("rb") as found:
            if found.read(len(_DATABASE)) == _DATABASE:
                raise ArgumentError(f"file {path!r} is a database: give the name of another file")


def _rows(study: StoredResults) -> list[dict[str, Any]]:
    return [
        {
            "number": trial.number,
            "state": trial.state.name.lower(),
            "value": trial.value,
            "reason": study.history.reasons.get(trial.number),
            **{f"params.{name}": value for name, value in trial.params.items()},
        }
        for trial in study.trials
    ]


def _write_csv(study: StoredResults, path: str) -> None:
    names = ["number", "state", "value", "reason", *(f"params.{name}" for name in study.space.parameters)]
    with open(path, "w", newline="", encoding="utf-8") as file:  # noqa: PTH123
        writer = csv.writer(file)
        writer.writerow(map(printable, names))
        writer.writerows([_cell(row.get(name)) for name in names] for row in _rows(study))


def _cell(value: object) -> object:
    """Return a value as a sheet may hold it: text that would be run as a formula gets an apostrophe."""
    if value is None or isinstance(value, Number):
        return value
    text = printable(str(value), keep="\n\t")
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or text.startswith(("\n", "\t")) else text


def _write_json(study: StoredResults, path: str) -> None:
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(plain(_rows(study)), file, indent=1)


def plain(value: Any) -> Any:
    """Return a value as any reader of JSON takes it: numbers that JSON lacks as text."""
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, str | int | None) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def _write_parquet(study: StoredResults, path: str) -> None:
    try:
        frame = study.to_pandas()
        frame.columns = [printable(name) for name in frame.columns]
        for name, column in frame.items():
            if not _has_one_type(column):
                frame[name] = column.map(lambda value: printable(str(value)), na_action="ignore")
        frame.to_parquet(path, engine="pyarrow")
    except ImportError as error:
        raise ArgumentError("parquet needs pandas and pyarrow: pip install 'hpo-core[parquet]'") from error


def _has_one_type(column: Any) -> bool:
    """Whether Parquet has a type for a column: not for mixed ones, empty mappings or very large integers."""
    import pyarrow as pa

    if len(set(map(type, column.dropna()))) > 1:
        return False
    try:
        column.to_frame("one").to_parquet(io.BytesIO(), engine="pyarrow")
    except (pa.ArrowException, UnicodeError, OverflowError):
        return False
    return True


WRITERS: Final[dict[str, Callable[[StoredResults, str], None]]] = {
    "csv": _write_csv,
    "json": _write_json,
    "parquet": _write_parquet,
}
