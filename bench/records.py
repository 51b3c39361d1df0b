"""Results are JSON lines: one measurement a line, appended as it is made, so a bench can resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

RESULTS = Path(__file__).parent / "results"

Record = dict[str, Any]


def read(path: Path) -> list[Record]:
    """Every complete line; the torn last line of a run that was killed is left out."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text().splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def append(path: Path, record: Record) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(record, separators=(",", ":"))
    with path.open("a+b") as file:
        file.seek(0, 2)
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":  # a torn line stays a line of its own
                file.write(b"\n")
        file.write(line.encode() + b"\n")


def latest(records: Iterable[Record], *keys: str) -> dict[tuple[str, ...], Record]:
    """The last record of each combination of the fields ``keys``."""
    return {tuple(json.dumps(r.get(k), sort_keys=True) for k in keys): r for r in records}


def compact(path: Path, *keys: str) -> None:
    """Keep the last record of each combination of ``keys``."""
    held = read(path)
    kept = latest(held, *keys).values()
    if len(kept) == len(held):
        return
    partial = path.with_suffix(".tmp")
    partial.write_text("".join(json.dumps(r, separators=(",", ":")) + "\n" for r in kept))
    partial.replace(path)
