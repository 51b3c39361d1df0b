"""Which figures repeat: every timed row is measured twice, and one whose passes differ is marked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench import records
from bench.section import Section
from bench.tables import markdown

if TYPE_CHECKING:
    from bench.records import Record

TIMED = ("samplers.jsonl", "fit.jsonl", "study.jsonl", "stored.jsonl", "native.jsonl")
SILENT = ("bench", "n_blocks", "compiler", "threads", "kernels")  # said elsewhere


def section() -> Section:
    section = Section("Repeatability")
    held = [r for name in TIMED for r in records.read(records.RESULTS / name) if not r["error"]]
    found = records.passes(held)
    drifts = {name: drift for name, pair in found.items() if (drift := records.drift(pair)) is not None}
    unstable = {name: drift for name, drift in drifts.items() if drift > records.UNSTABLE}
    if not held:
        return section
    once = sum(len(pair) == 1 and records.figure(pair[0]) is not None for pair in found.values())
    section.body.append(
        f"{len(drifts)} rows were measured twice by the same code on the same machine; the two medians of"
        f" {len(drifts) - len(unstable)} agree within {records.UNSTABLE:.0%}. {once} were measured once."
    )
    section.hold(met=not unstable, otherwise=f"{len(unstable)} rows are unstable, see the table of them")
    if unstable:
        rows = [
            [
                describe(found[name][-1]),
                *(f"{records.figure(r):.4g} ({r.get('load')})" for r in found[name]),
                f"{drift:.0%}",
            ]
            for name, drift in sorted(unstable.items(), key=lambda item: -item[1])
        ]
        section.body.append(
            markdown(["unstable row", "first (load of the machine)", "second", "apart"], rows)
        )
    return section


def describe(record: Record) -> str:
    """A row in words."""
    named = json.loads(records.row(record))
    return ", ".join(
        f"{k} {v}" if k not in ("case", "library") else str(v) for k, v in named.items() if k not in SILENT
    )
