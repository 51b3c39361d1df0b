"""Latency, throughput, memory and import time, from the checked-in figures."""

from __future__ import annotations

from bench import records
from bench.report import Section, provenance
from bench.samplers import models
from bench.samplers.command import FILE, milliseconds
from bench.tables import markdown

# Targets: n -> (milliseconds, ratio to Optuna).
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
    by_case = {case: [r for r in good if r["case"] == case] for case in {r["case"] for r in good}}
    for case, write in (
        ("cycle", _cycle),
        ("model", _model),
        ("batch", _batch),
        ("growth", _growth),
        ("memory", _memory),
        ("random", _random),
        ("import", _import),
    ):
        if case in by_case:
            write(section, by_case[case])
    if good:
        section.body.append(provenance(good))
    return section


def _by(held: list[records.Record], *keys: str) -> dict[tuple[object, ...], records.Record]:
    return {tuple(r.get(k) for k in keys): r for r in held}


def _cycle(section: Section, held: list[records.Record]) -> None:
    latest = _by(held, "n", "library")
    rows = []
    for n, (target, target_ratio) in CYCLE.items():
        ours, theirs = latest.get((n, "hpo_core")), latest.get((n, "optuna"))
        if ours is None or theirs is None:
            continue
        mean, ratio = 1e3 * ours["seconds"]["mean"], theirs["seconds"]["mean"] / ours["seconds"]["mean"]
        rows.append([f"{n:,}", milliseconds(ours), milliseconds(theirs), f"{ratio:,.0f}"])
        what = f"TPE cycle at n = {n:,}"
        section.hold(met=mean <= target, otherwise=f"{what}: {mean:.3g} ms, target {target}")
        section.hold(met=ratio >= target_ratio, otherwise=f"{what}: {ratio:.0f}x, target {target_ratio}x")
        for r in (ours, theirs):
            disturbed = r["seconds"]["mean"] > DISTURBED * r["cpu"]
            section.hold(
                met=not disturbed, otherwise=f"{what}, {r['library']}: unstable, the machine was busy"
            )
    header = ["n", "hpo_core ms: mean (median, p10-p90; CPU)", "Optuna ms", "ratio of means"]
    title = "TPE ask -> tell, d = 20 mixed, mean of 200 cycles, all parameters read\n\n"
    section.body.append(title + markdown(header, rows))


def _model(section: Section, held: list[records.Record]) -> None:
    for space in dict.fromkeys(r["space"] for r in held):
        latest = _by([r for r in held if r["space"] == space], "n", "sampler")
        rows = [latest[key] for key in sorted(latest, key=lambda key: (key[0], key[1] != "gp"))]
        title = f"Ask -> tell of samplers that fit a model, {space}: ours over a whole refit cycle"
        section.body.append(f"{title}\n\n{models.table(rows)}")
        for (n, sampler), r in latest.items():
            ours = latest.get((n, "gp"))
            if ours is None or sampler not in MODEL_RATIO:
                continue
            ratio = r["seconds"]["mean"] / ours["seconds"]["mean"]
            slow = f"gp cycle at n = {n:,}, {space}: {ratio:.0f}x {sampler}, target {MODEL_RATIO[sampler]}x"
            section.hold(met=ratio >= MODEL_RATIO[sampler], otherwise=slow)


def _batch(section: Section, held: list[records.Record]) -> None:
    rows = []
    for (n,), r in _by(held, "n").items():
        speed, tell = r["per_second"], r["tell"]["median"]
        rows.append([f"{n:,}", f"{speed:,.0f}", f"{1e3 * tell:.3g}"])
        if n == 10_000:
            slow = f"ask(1000): {speed:,.0f} suggestions/s, target {ASK_1000_PER_SECOND:,}"
            section.hold(met=speed >= ASK_1000_PER_SECOND, otherwise=slow)
            late = f"tell of 1,000: {1e3 * tell:.3g} ms, target {1e3 * TELL_1000_SECONDS:.0f}"
            section.hold(met=tell <= TELL_1000_SECONDS, otherwise=late)
    table = markdown(["n", "suggestions/s", "tell ms"], rows)
    section.body.append("`ask(1000)` and telling the 1,000\n\n" + table)


def _growth(section: Section, held: list[records.Record]) -> None:
    latest = {r["n"]: r for r in held}
    rows = [[f"{n:,}", milliseconds(r)] for n, r in sorted(latest.items())]
    if {10_000, 100_000} <= latest.keys():
        growth = latest[100_000]["seconds"]["median"] / latest[10_000]["seconds"]["median"]
        over = f"the cycle grows {growth:.1f}x from n = 10,000 to 100,000"
        section.hold(met=growth <= GROWTH_PER_DECADE, otherwise=over)
    table = markdown(["n", "ms: mean (median, p10-p90; CPU)"], rows)
    section.body.append("Growth of the cycle with n\n\n" + table)


def _memory(section: Section, held: list[records.Record]) -> None:
    r = held[-1]
    study, sampler = r["study_over_columns"], r["sampler_over_columns"]
    rows = [[f"{r['n']:,}", f"{r['columns'] / 2**20:.1f}", f"{study:.2f}", f"{sampler:.2f}"]]
    header = ["n", "columns MiB", "whole study / columns", "sampler / columns"]
    over = f"memory: {study:.1f}x the history's columns, target {MEMORY_OVER_COLUMNS:.0f}x"
    section.hold(met=study <= MEMORY_OVER_COLUMNS, otherwise=over)
    section.body.append("Resident memory\n\n" + markdown(header, rows))


def _random(section: Section, held: list[records.Record]) -> None:
    rows = []
    for (library, how), r in _by(held, "library", "how").items():
        speed = r["per_second"]
        rows.append([str(library), str(how).replace("_", " "), f"{speed:,.0f}"])
        if library == "hpo_core":
            target = RANDOM_PER_SECOND[str(how)]
            slow = f"random, {how}: {speed:,.0f} trials/s, target {target:,}"
            section.hold(met=speed >= target, otherwise=slow)
    header = ["library", "how", "trials/s"]
    section.body.append("`random` ask + tell, 10 parameters\n\n" + markdown(header, rows))


def _import(section: Section, held: list[records.Record]) -> None:
    latest = {library: r for (library,), r in _by(held, "library").items()}
    rows = [[str(k), f"{1e3 * r['best']:.0f}", f"{1e3 * r['median']:.0f}"] for k, r in latest.items()]
    if {"numpy", "hpo_core"} <= latest.keys():
        extra = latest["hpo_core"]["best"] - latest["numpy"]["best"]
        section.hold(
            met=extra <= IMPORT_SECONDS, otherwise=f"import: numpy + {1e3 * extra:.0f} ms, target + 30 ms"
        )
        late = latest["hpo_core"]["late_modules_loaded"]
        section.hold(met=not late, otherwise=f"import loads {', '.join(late)}")
    section.body.append(
        "import in fresh interpreters\n\n" + markdown(["library", "best ms", "median ms"], rows)
    )
