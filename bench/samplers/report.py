"""Latency, throughput, memory and import time, from the checked-in figures."""

from __future__ import annotations

from typing import Any

from bench import records
from bench.samplers import models
from bench.samplers.command import CYCLE_HEADER, CYCLE_PEERS, CYCLES, cycle_row
from bench.samplers.sides import FILE, milliseconds
from bench.section import Section, signed
from bench.tables import markdown

# Targets: n -> (milliseconds, ratio to Optuna).
TARGET_SPACE = "mixed20"
CYCLE = {100: (0.06, 300), 1000: (0.12, 500), 10_000: (0.75, 500)}
MODEL_RATIO = {"optuna-gp": 100, "botorch": 100}
ASK_1000_PER_SECOND, TELL_1000_SECONDS = 10_000, 2e-3
MEMORY_OVER_COLUMNS, GROWTH_PER_DECADE = 3.0, 10.0
DISTURBED = 1.3  # wall-clock over CPU time
RANDOM_PER_SECOND = {"one_by_one": 20_000, "batches": 500_000}
IMPORT_SECONDS = 0.03


def section() -> Section:
    section = Section("Latency, throughput and memory")
    good = [r for r in records.read(FILE) if not r["error"]]
    tables = []
    for case, write in (
        ("cycle", _cycle),
        ("model", _model),
        ("batch", _batch),
        ("growth", _growth),
        ("memory", _memory),
        ("random", _random),
        ("import", _import),
    ):
        held = records.marked(records.of_one_machine(r for r in good if r["case"] == case))
        if held:
            tables.append((write(section, held), held))
    if tables:
        section.body += signed(tables)
    return section


def _by(held: list[records.Record], *keys: str) -> dict[tuple[Any, ...], records.Record]:
    return {tuple(r.get(k) for k in keys): r for r in held}


def _cycle(section: Section, held: list[records.Record]) -> str:
    latest = _by(held, "space", "n", "library")
    tables = []
    for space in dict.fromkeys(r["space"] for r in held):
        rows = []
        for n in sorted({r["n"] for r in held if r["space"] == space}):
            found = {library: latest.get((space, n, library)) for library in ("hpo_core", *CYCLE_PEERS)}
            ours, theirs = found["hpo_core"], {name: r for name, r in found.items() if r is not None}
            if ours is not None and "optuna" in theirs:
                rows.append(cycle_row(ours, theirs)[:-1])
                _hold_cycle(section, ours, theirs["optuna"])
        title = f"TPE ask -> tell, {space}, mean of {CYCLES} cycles, all parameters read\n\n"
        tables.append(title + markdown(CYCLE_HEADER[:-1], rows))
    return "\n\n".join(tables)


def _hold_cycle(section: Section, ours: records.Record, theirs: records.Record) -> None:
    mean, ratio = 1e3 * ours["seconds"]["mean"], theirs["seconds"]["mean"] / ours["seconds"]["mean"]
    what = f"TPE cycle at n = {ours['n']:,}, {ours['space']}"
    if ours["space"] == TARGET_SPACE and ours["n"] in CYCLE:
        target, target_ratio = CYCLE[ours["n"]]
        section.hold(met=mean <= target, otherwise=f"{what}: {mean:.3g} ms, target {target}")
        section.hold(met=ratio >= target_ratio, otherwise=f"{what}: {ratio:.0f}x, target {target_ratio}x")
    section.hold(met=ratio >= 1.0, otherwise=f"{what}: slower than Optuna, {ratio:.2f}x")
    for r in (ours, theirs):
        disturbed = r["seconds"]["mean"] > DISTURBED * r["cpu"]
        section.hold(met=not disturbed, otherwise=f"{what}, {r['library']}: unstable, the machine was busy")


def _model(section: Section, held: list[records.Record]) -> str:
    tables = []
    for space in dict.fromkeys(r["space"] for r in held):
        latest = _by([r for r in held if r["space"] == space], "n", "sampler")
        rows = [latest[key] for key in sorted(latest, key=lambda key: (key[0], key[1] != "gp"))]
        title = f"Ask -> tell of samplers that fit a model, {space}: ours over a whole refit cycle"
        tables.append(f"{title}\n\n{models.table(rows)}")
        for (n, sampler), r in latest.items():
            ours = latest.get((n, "gp"))
            if ours is None or sampler not in MODEL_RATIO:
                continue
            ratio = r["seconds"]["mean"] / ours["seconds"]["mean"]
            slow = f"gp cycle at n = {n:,}, {space}: {ratio:.0f}x {sampler}, target {MODEL_RATIO[sampler]}x"
            section.hold(met=ratio >= MODEL_RATIO[sampler], otherwise=slow)
    return "\n\n".join(tables)


def _batch(section: Section, held: list[records.Record]) -> str:
    rows = []
    for (n,), r in _by(held, "n").items():
        speed, tell = r["per_second"], r["tell"]["median"]
        rows.append([f"{n:,}", f"{speed:,.0f}" + " unstable" * r["unstable"], f"{1e3 * tell:.3g}"])
        if n == 10_000:
            slow = f"ask(1000): {speed:,.0f} suggestions/s, target {ASK_1000_PER_SECOND:,}"
            section.hold(met=speed >= ASK_1000_PER_SECOND, otherwise=slow)
            late = f"tell of 1,000: {1e3 * tell:.3g} ms, target {1e3 * TELL_1000_SECONDS:.0f}"
            section.hold(met=tell <= TELL_1000_SECONDS, otherwise=late)
    table = markdown(["n", "suggestions/s", "tell ms"], rows)
    return "`ask(1000)` and telling the 1,000\n\n" + table


def _growth(section: Section, held: list[records.Record]) -> str:
    latest = _by(held, "n", "library")
    rows = [[f"{n:,}", library, milliseconds(r)] for (n, library), r in sorted(latest.items())]
    before, after = (latest.get((n, "hpo_core")) for n in (10_000, 100_000))
    if before and after:
        growth = after["seconds"]["median"] / before["seconds"]["median"]
        over = f"the cycle grows {growth:.1f}x from n = 10,000 to 100,000"
        section.hold(met=growth <= GROWTH_PER_DECADE, otherwise=over)
    table = markdown(["n", "library", "ms: mean (median, p10-p90; CPU)"], rows)
    return "Growth of the cycle with n\n\n" + table


def _memory(section: Section, held: list[records.Record]) -> str:
    r = held[-1]
    study, sampler = r["study_over_columns"], r["sampler_over_columns"]
    rows = [[f"{r['n']:,}", f"{r['columns'] / 2**20:.1f}", f"{study:.2f}", f"{sampler:.2f}"]]
    header = ["n", "columns MiB", "whole study / columns", "sampler / columns"]
    over = f"memory: {study:.1f}x the history's columns, target {MEMORY_OVER_COLUMNS:.0f}x"
    section.hold(met=study <= MEMORY_OVER_COLUMNS, otherwise=over)
    return "Resident memory\n\n" + markdown(header, rows)


def _random(section: Section, held: list[records.Record]) -> str:
    rows = []
    for (library, how), r in _by(held, "library", "how").items():
        speed = r["per_second"]
        rows.append([str(library), str(how).replace("_", " "), f"{speed:,.0f}" + " unstable" * r["unstable"]])
        if library == "hpo_core":
            target = RANDOM_PER_SECOND[str(how)]
            slow = f"random, {how}: {speed:,.0f} trials/s, target {target:,}"
            section.hold(met=speed >= target, otherwise=slow)
    header = ["library", "how", "trials/s"]
    return "`random` ask + tell, 10 parameters\n\n" + markdown(header, rows)


def _import(section: Section, held: list[records.Record]) -> str:
    latest = {library: r for (library,), r in _by(held, "library").items()}
    rows = [[str(k), f"{1e3 * r['best']:.0f}", f"{1e3 * r['median']:.0f}"] for k, r in latest.items()]
    if {"numpy", "hpo_core"} <= latest.keys():
        extra = latest["hpo_core"]["best"] - latest["numpy"]["best"]
        section.hold(
            met=extra <= IMPORT_SECONDS, otherwise=f"import: numpy + {1e3 * extra:.0f} ms, target + 30 ms"
        )
        late = latest["hpo_core"]["late_modules_loaded"]
        section.hold(met=not late, otherwise=f"import loads {', '.join(late)}")
    return "import in fresh interpreters\n\n" + markdown(["library", "best ms", "median ms"], rows)
