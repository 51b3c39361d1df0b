"""Trials per second end to end, in memory and in storages, from the checked-in figures."""

from __future__ import annotations

from bench import records
from bench.section import Section, signed
from bench.study import stored
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


def durable() -> Section:
    """What each storage manages, and where ours misses what it promises or is behind Optuna's."""
    section = Section("A stored study")
    read = [r for r in records.read(stored.FILE) if not r["error"]]
    if not read:
        return section
    latest = records.marked(records.of_one_machine(read))
    speeds = {(r["library"], r["storage"], r["case"]): stored.per_second(r) for r in latest}
    for (storage, case), least in stored.TARGETS.items():
        speed = speeds.get(("hpo_core", storage, case), least)
        what = f"{storage}, {stored.CASES[case]}"
        section.hold(met=speed >= least, otherwise=f"{what}: {speed:,.0f}/s, promised {least:,}")
    for (library, storage, case), theirs in speeds.items():
        ours = speeds.get(("hpo_core", storage, case), theirs)
        section.hold(
            met=library == "hpo_core" or ours >= theirs,
            otherwise=f"{storage}, {stored.CASES[case]}: {ours:,.0f}/s, Optuna {theirs:,.0f}",
        )
    title = "10 parameters, `random`, a new storage for each block of trials\n\n"
    section.body += signed([(title + stored.table(latest), latest)])
    return section
