"""A section of the report, and the line under a table that says what it was measured on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.records import Record


@dataclass
class Section:
    """A part of the report, and the sentences that say where we lose or miss a target."""

    title: str
    body: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)

    def hold(self, *, met: bool, otherwise: str) -> None:
        if not met:
            self.losses.append(otherwise)


def signed(tables: Iterable[tuple[str, Sequence[Record]]]) -> list[str]:
    """Tables with what they were measured on: a line for all of one machine, else a line each."""
    listed = list(tables)
    held = [r for _, records_of in listed for r in records_of]
    if len({machine_of(r) for r in held}) < 2:
        return [*(table for table, _ in listed), provenance(held)]
    return [f"{table}\n\n{provenance(records_of)}" for table, records_of in listed]


def machine_of(record: Record) -> str:
    m = record["machine"]
    return f"{m['cpu']}, {m['cores']} cores, {m['memory_gib']} GiB, {m['system']}, Python {m['python']}"


def provenance(held: Iterable[Record], *, versions: bool = True) -> str:
    """Machine, versions, threads and dates of the records, each distinct value once."""
    listed = list(held)
    machines = {machine_of(r) for r in listed if "machine" in r}
    packages = {f"{k} {v}" for r in listed for k, v in r.get("versions", {}).items() if k != "code"}
    threads = {str(r["threads"]) for r in listed if "threads" in r}
    dates = sorted({r["date"] for r in listed})
    span = dates[0] if dates[:1] == dates[-1:] else f"{dates[0]} to {dates[-1]}"
    parts = ["; ".join(sorted(machines)), f"threads {'/'.join(sorted(threads))}", span]
    if not versions:
        return ". ".join(parts)
    return f"<sub>{'. '.join([parts[0], ', '.join(sorted(packages)), *parts[1:]])}.</sub>"
