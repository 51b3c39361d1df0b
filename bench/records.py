"""Results are JSON lines: one measurement a line, appended as it is made, so a bench can resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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


UNSTABLE = 0.1  # medians of two runs of a row differ by more
NO_NAME = ("date", "load", "error", "best")  # what a row is not named by


def row(record: Record) -> str:
    """What a record measured: its words and whole numbers; figures are floats, or named ``best``."""
    plain = {k: v for k, v in record.items() if isinstance(v, str | int) and k not in NO_NAME}
    return json.dumps(plain, sort_keys=True)


def figure(record: Record) -> float | None:
    """The figure a row stands for: median seconds, trials a second, or nanoseconds; None if it has none."""
    spread = record.get("seconds", record.get("ask"))
    if isinstance(spread, dict):
        return float(spread["median"])
    found = next((record[k] for k in ("per_second", "seconds", "ns_per_pair", "ns") if k in record), None)
    return None if found is None else float(found)


def passes(held: Iterable[Record]) -> dict[str, list[Record]]:
    """The last two records of each row by equal code on an equal machine, the latest last."""
    rows: dict[str, list[Record]] = {}
    for record in held:
        before = rows.get(row(record), [])
        same = [r for r in before if all(r.get(k) == record.get(k) for k in ("versions", "machine"))]
        rows[row(record)] = [*same[-1:], record]
    return rows


def drift(pair: Sequence[Record]) -> float | None:
    """How far the figures of two passes are apart, as a share of the lesser; None for a single pass."""
    figures = [f for f in map(figure, pair) if f]
    return max(figures) / min(figures) - 1.0 if len(figures) == 2 else None


def marked(held: Iterable[Record]) -> list[Record]:
    """The last record of each row, with ``unstable`` set where the two passes differ."""
    last = []
    for pair in passes(held).values():
        apart = drift(pair)
        last.append({**pair[-1], "unstable": apart is not None and apart > UNSTABLE})
    return last


def of_one_machine(held: Iterable[Record]) -> list[Record]:
    """The records of the machine that made the last of them: a ratio of two machines' figures is none."""
    listed = list(held)
    return [r for r in listed if r.get("machine") == listed[-1].get("machine")]


def is_done(held: Iterable[Record], wanted: Record, versions: dict[str, str] | None) -> bool:
    """Whether two good passes of a row are on file, by this machine: of these versions, or of any."""
    good = [
        r
        for r in held
        if not r["error"]
        and r.get("machine") == machine.describe()
        and all(r.get(k) == v for k, v in wanted.items())
        and (versions is None or all(r.get("versions", {}).get(k) == v for k, v in versions.items()))
    ]
    return len(good) >= 2


def compact(path: Path, *keys: str) -> None:
    """Keep the last record of each combination of ``keys``."""
    held = read(path)
    kept = list(latest(held, *keys).values())
    if len(kept) < len(held):
        _rewrite(path, kept)


def keep_passes(path: Path) -> None:
    """Keep the last two passes of each row."""
    held = read(path)
    rows = passes(held)
    kept = [r for r in held if any(r is p for p in rows[row(r)])]
    if len(kept) < len(held):
        _rewrite(path, kept)


def _rewrite(path: Path, kept: Iterable[Record]) -> None:
    partial = path.with_suffix(".tmp")
    partial.write_text("".join(json.dumps(r, separators=(",", ":")) + "\n" for r in kept))
    partial.replace(path)
