"""The sides of a comparison, each measured in a process of its own, one after the other in one run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench import isolate, machine, records
from bench.samplers.peer_side import PEERS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

FILE = records.RESULTS / "samplers.jsonl"
OURS, THEIRS = "bench.samplers.hpo_core_side", "bench.samplers.peer_side"


@dataclass(frozen=True)
class Side:
    """A function of our side, or of a peer's where ``peer`` names one of ``PEERS``, and its arguments.

    ``named`` goes on file too: what tells the row from others.
    """

    function: str
    options: dict[str, Any]
    peer: str | None = None
    named: dict[str, Any] = field(default_factory=dict)

    @property
    def row(self) -> records.Record:
        library = PEERS[self.peer].peer if self.peer else "hpo_core"
        return {**self.named, **self.options, "library": library}

    def measure(self) -> records.Record:
        if self.peer is None:
            answer = isolate.call(OURS, self.function, **self.options)
        else:
            peer = PEERS[self.peer].peer
            answer = isolate.call(THEIRS, self.function, peer=peer, optimiser=self.peer, **self.options)
        return {**self.row, **answer}


def measure(arguments: argparse.Namespace, case: str, sides: Sequence[Side]) -> Iterator[records.Record]:
    """A record of each side, filed as it is made; what is on file twice is taken from there.

    A comparison with anything to measure is measured whole: its sides belong to one run.
    """
    wanted = [s for s in sides if not (arguments.only_ours and s.peer)]
    if arguments.record and all(_on_file(case, side) for side in wanted):
        for side in wanted:
            yield next(r for r in reversed(records.read(FILE)) if matches(r, {"case": case, **side.row}))
        return
    for side in wanted:
        record = side.measure()
        put(arguments, case, record)
        yield record


def put(arguments: argparse.Namespace, case: str, record: records.Record) -> None:
    if arguments.record:
        records.append(FILE, isolate.stamped("samplers", case, record))


def matches(record: records.Record, row: records.Record) -> bool:
    return not record["error"] and all(record.get(k) == v for k, v in row.items())


def _on_file(case: str, side: Side) -> bool:
    """Twice by this machine: ours by the same code, a peer's whatever its date."""
    versions = None if side.peer else machine.versions("hpo_core", "numpy")
    return records.is_done(records.read(FILE), {"case": case, **side.row}, versions)


def milliseconds(record: records.Record) -> str:
    if "seconds" not in record:
        return record.get("error") or "-"
    mean, median, p10, p90 = (1e3 * record["seconds"][k] for k in ("mean", "median", "p10", "p90"))
    text = f"{mean:.3g} ({median:.3g}, {p10:.3g}-{p90:.3g}; {1e3 * record['cpu']:.3g})"
    return text + " unstable" * record.get("unstable", False)
