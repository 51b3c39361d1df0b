"""Regret beside the peers, from the checked-in runs."""

from __future__ import annotations

import json

from bench import records
from bench.quality import statistics, tables
from bench.quality.command import PEERS, results_file
from bench.quality.statistics import CHECKPOINTS, Runs
from bench.report import Section, provenance
from bench.tables import markdown

OURS = "tpe"


def section() -> Section:
    section = Section("Regret on the development suite")
    files = {results_file(name) for name in (OURS, "plain-random", *PEERS)}
    held = [r for path in sorted(files) for r in records.read(path) if not r["settings"]]
    runs = statistics.collect(held)
    if OURS not in runs:
        return section
    everywhere = [runs[name] for name in ("optuna-tpe", "random", "plain-random") if name in runs]
    section.body.append(_ranks([runs[OURS], *everywhere]))
    for peer in PEERS:
        if peer in runs:
            section.body.append(tables.comparison(runs[OURS], runs[peer]))
            _losses(section, runs[OURS], runs[peer])
    failed = {label: r.failed for label, r in runs.items() if r.failed}
    section.hold(met=not failed, otherwise=f"failed runs: {failed}")
    section.body += [_ablation(), provenance(held)]
    return section


def _ranks(runs: list[Runs]) -> str:
    by_checkpoint = [statistics.mean_ranks(runs, c) for c in CHECKPOINTS]
    rows = [[r.label, *(f"{ranks[r.label]:.2f}" for ranks in by_checkpoint)] for r in runs]
    return "Mean rank over problems and seeds (1 is best)\n\n" + markdown(
        ["optimiser", *(f"after {c}" for c in CHECKPOINTS)], rows
    )


def _losses(section: Section, ours: Runs, theirs: Runs) -> None:
    cells = statistics.shared_cells(ours, theirs)
    for checkpoint in CHECKPOINTS:
        for test in statistics.family_tests(ours, theirs, checkpoint):
            section.hold(
                met=test.verdict != "WORSE",
                otherwise=f"{test.family} after {checkpoint}: worse than {theirs.label} (p = {test.p:.2g})",
            )
    for problem in dict.fromkeys(problem for problem, _ in cells):
        own = [cell for cell in cells if cell[0] == problem]
        a, b = (statistics.mean_regret(runs, own, CHECKPOINTS[-1]) for runs in (ours, theirs))
        section.hold(
            met=a <= b,
            otherwise=f"{problem}: mean regret {a:.4f}, {theirs.label} {b:.4f} (test of its family below)",
        )


def _ablation() -> str:
    """The recorded ablations: the last line of each variation."""
    rows = records.latest(
        records.read(records.RESULTS / "ablation.jsonl"), "optimiser", "settings", "seeds"
    ).values()
    if not rows:
        return ""
    last = str(CHECKPOINTS[-1])
    lines = [
        [
            json.dumps(r["settings"]) if r["settings"] else "defaults",
            f"{r['seeds'][0]}-{r['seeds'][1]}",
            *(
                "{:+.3f} [{:+.3f}, {:+.3f}]".format(*r[key][last])
                for key in ("rank_minus_base", "rank_minus_peer")
            ),
            "/".join(f"{v:.4f}" for v in r["regret"].values()),
            r["date"],
        ]
        for r in rows
    ]
    header = [
        "setting",
        "seeds",
        f"rank - defaults at {last}",
        f"rank - Optuna at {last}",
        "regret 25/50/100",
        "date",
    ]
    return "Ablations that chose the defaults (one option at a time)\n\n" + markdown(header, lines)
