"""The trials of a study as a file for other programs: CSV, JSON or Parquet.

==========  =====================  ==================  =====================================================
file        inactive parameter,    choice that is      other values
            note that is not there  None
==========  =====================  ==================  =====================================================
CSV         empty cell             ``None``            numbers with all digits; lists and mappings as JSON,
                                                       tuples as in Python; an apostrophe before text that
                                                       looks like any of these, or like a formula, or begins
                                                       with one
JSON        no such key            ``null``            tuples as lists; NaN and inf as text
Parquet     null                   ``None`` as text    as in pandas; columns of mixed types as CSV cells
==========  =====================  ==================  =====================================================

Reports are a file of their own, a row for each: see ``hpo_core.trial.table``.
"""

from __future__ import annotations

import csv
import io
import json
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from hpo_core.errors import ArgumentError
from hpo_core.printable import printable
from hpo_core.storage.files import refuse_databases, require_path, written_whole
from hpo_core.trial.table import ABSENT, report_columns, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from hpo_core.study import ReadOnlyStudy

# A spreadsheet takes a cell that begins so for a formula; the full-width forms too. Some skip blanks first.
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_BLANK: Final = ("\t", "\r", "\n")


def export(study: ReadOnlyStudy, path: str, kind: str, *, storage: str, reports: bool = False) -> None:
    """Write one row per trial; a file that is there already is replaced at the end, or stays as it was.

    Parameters
    ----------
    study : ReadOnlyStudy
    path : str
    kind : {"csv", "json", "parquet"}
    storage : str
        Where the study is kept, which must not be written over.
    reports : bool
        Write one row per report instead.

    Raises
    ------
    ArgumentError
        The file cannot be written, or is a database.
    """
    path = require_path("file", path)
    try:
        refuse_databases(path, storage)
        with written_whole(path) as part:
            (REPORT_WRITERS if reports else WRITERS)[kind](study, part)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ArgumentError(f"file {path!r} cannot be written: {error.strerror}") from error


def _write_csv(study: ReadOnlyStudy, path: str) -> None:
    columns = table(study.trials)
    _write_rows({name: map(_cell_of(name), column) for name, column in columns.items()}, path)


def _write_csv_of_reports(study: ReadOnlyStudy, path: str) -> None:
    _write_rows({name: column.tolist() for name, column in report_columns(study.trials).items()}, path)


def _write_rows(cells: Mapping[str, Iterable[Any]], path: str) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:  # noqa: PTH123
        writer = csv.writer(file)
        writer.writerow([_harmless(printable(name)) for name in cells])
        writer.writerows(zip(*cells.values(), strict=True))


def _cell_of(name: str) -> Callable[[Any], Any]:
    """Return the function that turns values of a column into cells."""
    if name in ("retries", "reports"):
        return lambda value: _json(value) if value else ""
    return _cell if name.startswith(("params_", "notes_")) else _text_or_number


def _text_or_number(value: Any) -> Any:
    return _harmless(printable(value, keep="\n\t")) if isinstance(value, str) else value


def _cell(value: Any) -> Any:
    """Return a value as a spreadsheet may hold it, empty if there is none; the cell shows its type.

    Text that looks like another type gets an apostrophe, which is how spreadsheets mark text.
    """
    if value is ABSENT:
        return ""
    if not isinstance(value, str):
        return printable(_json(value) if isinstance(value, list | dict) else repr(value))
    text = printable(value, keep="\n\t")
    return f"'{text}" if text.startswith("'") or _looks_otherwise(text) else _harmless(text)


def _looks_otherwise(text: str) -> bool:
    """Whether a text looks like nothing, a number, None, a bool, or several values."""
    if text in ("", "None", "True", "False") or text.startswith(("[", "{", "(")):
        return True
    try:
        complex(text)
    except ValueError:
        return False
    return True


def _harmless(text: str) -> str:
    """Return text with an apostrophe in front if a sheet would run it as a formula."""
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or text.startswith(_BLANK) else text


def _write_json(study: ReadOnlyStudy, path: str) -> None:
    columns = table(study.trials)
    rows = [
        {name: value for name, value in zip(columns, row, strict=True) if value is not ABSENT}
        for row in zip(*columns.values(), strict=True)
    ]
    _dump(rows, path)


def _write_json_of_reports(study: ReadOnlyStudy, path: str) -> None:
    columns = report_columns(study.trials)
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    _dump([dict(zip(columns, row, strict=True)) for row in rows], path)


def _dump(rows: list[dict[str, Any]], path: str) -> None:
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(plain(rows), file, indent=1, allow_nan=False)


def plain(value: Any) -> Any:
    """Return a value as any reader of JSON takes it: numbers that JSON lacks as text."""
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, str | int | None) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def _json(value: Any) -> str:
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def _write_parquet(study: ReadOnlyStudy, path: str) -> None:
    with _needing_pandas():
        frame = _described_frame(study)
        frame["reports"] = [
            [{"step": step, "value": value} for step, value in each] for each in frame["reports"]
        ]
        frame.columns = [printable(name) for name in frame.columns]
        for name, column in frame.items():
            has_none = name.startswith(("params_", "notes_")) and any(value is None for value in column)
            if has_none or not _has_one_type(column):  # Parquet cannot tell None from a missing value
                frame[name] = [None if _is_missing(value) else str(_cell(value)) for value in column]
        frame.to_parquet(path, engine="pyarrow")


def _write_parquet_of_reports(study: ReadOnlyStudy, path: str) -> None:
    with _needing_pandas():
        frame = _described_frame(study, reports=True)
        frame.columns = [printable(name) for name in frame.columns]
        frame.to_parquet(path, engine="pyarrow")


@contextmanager
def _needing_pandas() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ArgumentError("parquet needs pandas and pyarrow: pip install 'hpo-core[parquet]'") from error


def _described_frame(study: ReadOnlyStudy, *, reports: bool = False) -> Any:
    """Return a table with a description of the metrics, which ``read_parquet`` restores."""
    frame = study.to_pandas(reports=reports)
    if study.metrics.direction is None:
        frame.attrs["metrics"] = study.metrics.to_json()
    return frame


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return value is pd.NA


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


WRITERS: Final[dict[str, Callable[[ReadOnlyStudy, str], None]]] = {
    "csv": _write_csv,
    "json": _write_json,
    "parquet": _write_parquet,
}
REPORT_WRITERS: Final[dict[str, Callable[[ReadOnlyStudy, str], None]]] = {
    "csv": _write_csv_of_reports,
    "json": _write_json_of_reports,
    "parquet": _write_parquet_of_reports,
}
