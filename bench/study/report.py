"""Trials per second end to end, from the checked-in figures."""

from __future__ import annotations

from bench import records
from bench.report import Section, signed
from bench.study.command import FILE
from bench.tables import markdown


def section() -> Section:
    section = Section("A whole study")
    read = [r for r in records.read(FILE) if not r["error"]]
    if not read:
        return section
    good = records.of_one_machine(read)
    latest = {(r["sampler"], r["library"]): r for r in records.marked(good)}
    rows = [
        [s, library, f"{r['n']:,}", f"{r['per_second']:,.0f}" + " unstable" * r["unstable"]]
        for (s, library), r in latest.items()
    ]
    for sampler in {s for s, _ in latest}:
        pair = [latest.get((sampler, library)) for library in ("hpo_core", "optuna")]
        if None not in pair:
            ours, theirs = (r["per_second"] for r in pair if r)
            section.hold(
                met=ours >= theirs, otherwise=f"{sampler}: {ours:,.0f} trials/s, Optuna {theirs:,.0f}"
            )
    header = ["sampler", "library", "trials", "trials/s"]
    title = "`optimize` with a trivial objective, 10 parameters, in memory\n\n"
    section.body += signed([(title + markdown(header, rows), good)])
    return section
