"""Regret beside the peers, from the checked-in runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench import records
from bench.quality import statistics, tables
from bench.quality.command import PEERS
from bench.quality.optimiser import ENTRIES
from bench.quality.statistics import CHECKPOINTS, Runs
from bench.section import Section, provenance
from bench.tables import markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Ours that model what they have seen; random and sobol are what peers are measured against, too.
BATCH, WORSE_IN_BATCHES = 8, 1.15  # the target: at most this many times the regret, plus 0.005
OURS = tuple(name for name in ("auto", "gp", "tpe") if name in ENTRIES)


def recorded() -> tuple[dict[str, Runs], list[records.Record]]:
    """Every optimiser on file with its defaults, and the records of them."""
    files = sorted(records.RESULTS.glob("quality-*.jsonl"))
    held = [
        r for path in files for r in records.read(path) if not r["settings"] and r["optimiser"] in ENTRIES
    ]
    return statistics.collect(held), held


def section() -> Section:
    section = Section("Regret on the development suite")
    runs, held = recorded()
    ours = [runs[name] for name in OURS if name in runs]
    peers = [runs[name] for name in PEERS if name in runs]
    if not ours:
        return section
    section.body.append(_ranks(list(runs.values())))
    section.body += filter(None, [_recommendations(list(runs.values()))])
    section.body.append(_overview(ours, peers))
    for own in ours:
        for peer in peers:
            _losses(section, own, peer)
            summary = f"<details><summary>{own.label} beside {peer.label}</summary>"
            section.body.append(f"{summary}\n\n{tables.comparison(own, peer)}\n\n</details>")
    failed = {label: r.failed for label, r in runs.items() if r.failed}
    section.hold(met=not failed, otherwise=f"failed runs: {failed}")
    section.body += [_batches(section, runs), _ablation(), provenance(held)]
    return section


def _batches(section: Section, runs: Mapping[str, Runs]) -> str:
    """Asked for eight at a time beside one by one, after as many trials: mean regret by problem."""
    held = records.read(records.RESULTS / "quality-hpo_core.jsonl")
    batched = statistics.collect(r for r in held if r["settings"] == {"batch": BATCH})
    tables = []
    for name, eights in ((r.label.split()[0], r) for r in batched.values()):
        checkpoints = statistics.checkpoints(eights, runs[name])
        cells = statistics.shared_cells(eights, runs[name])
        groups = {problem: [c for c in cells if c[0] == problem] for problem, _ in cells} | {"mean": cells}
        rows = []
        for problem, own in groups.items():
            pairs = [[statistics.mean_regret(r, own, c) for r in (eights, runs[name])] for c in checkpoints]
            rows.append([problem, *(f"{a:.4f} / {b:.4f}" for a, b in pairs)])
            over = [
                f"{c} trials {a:.4f} / {b:.4f}"
                for c, (a, b) in zip(checkpoints, pairs, strict=True)
                if a > WORSE_IN_BATCHES * b + 0.005
            ]
            section.hold(
                met=not over, otherwise=f"{name} in batches of {BATCH}, {problem}: {', '.join(over)}"
            )
        title = f"`{name}` asked for {BATCH} at a time / one by one, {len(cells)} pairs, mean regret"
        tables.append(f"{title}\n\n" + markdown(["problem", *(f"after {c}" for c in checkpoints)], rows))
    return "\n\n".join(tables)


def _ranks(runs: Sequence[Runs]) -> str:
    """Among those with the most runs; and among all, where some ran the whole suite with fewer seeds."""
    most = max(len(r.regret) for r in runs)
    suite = {problem for r in runs for problem, _ in r.regret}
    full = [r for r in runs if len(r.regret) == most]
    everyone = [r for r in runs if {problem for problem, _ in r.regret} == suite]
    both = [_rank_table(full)] + ([_rank_table(everyone)] if len(everyone) > len(full) else [])
    return "\n\n".join(both)


def _recommendations(runs: Sequence[Runs]) -> str:
    """Of those that ran the whole suite."""
    suite = {problem for r in runs for problem, _ in r.regret}
    return tables.recommendations([r for r in runs if {problem for problem, _ in r.regret} == suite])


def _rank_table(runs: Sequence[Runs]) -> str:
    """Mean ranks over the cells that all share, the best at the end first."""
    checkpoints = statistics.checkpoints(*runs)
    by_checkpoint = [statistics.mean_ranks(runs, c) for c in checkpoints]
    order = sorted(runs, key=lambda r: by_checkpoint[-1][r.label])
    rows = [[r.label, *(f"{ranks[r.label]:.2f}" for ranks in by_checkpoint)] for r in order]
    title = f"Mean rank over {len(statistics.shared_cells(*runs))} pairs of problem and seed (1 is best)"
    return f"{title}\n\n" + markdown(["optimiser", *(f"after {c}" for c in checkpoints)], rows)


def _overview(ours: Sequence[Runs], peers: Sequence[Runs]) -> str:
    rows = []
    for own in ours:
        for peer in peers:
            if not (cells := statistics.shared_cells(own, peer)):
                continue
            last = statistics.checkpoints(own, peer)[-1]
            ranks = statistics.rank_difference(own, peer, cells, last)
            found = statistics.reach(own, peer, cells)
            rows.append(
                [
                    own.label,
                    peer.label,
                    str(len(cells)),
                    str(ranks),
                    tables.trials(found, last),
                    f"{found.own:.0f}",
                ]
            )
    header = [
        "ours",
        "peer",
        "pairs",
        "rank, ours - theirs at the end",
        "trials to reach their last",
        "they needed",
    ]
    return "Each pair (95 % bootstrap intervals; trials: median of pairs)\n\n" + markdown(header, rows)


def _losses(section: Section, ours: Runs, theirs: Runs) -> None:
    worse = [
        f"{test.family} after {checkpoint} (p = {test.p:.2g})"
        for checkpoint in statistics.checkpoints(ours, theirs)
        for test in statistics.family_tests(ours, theirs, checkpoint)
        if test.verdict == "WORSE"
    ]
    pair = f"{ours.label} beside {theirs.label}"
    section.hold(met=not worse, otherwise=f"{pair}: worse on {', '.join(worse)}")
    behind = []
    cells, last = statistics.shared_cells(ours, theirs), statistics.checkpoints(ours, theirs)[-1]
    for problem in dict.fromkeys(problem for problem, _ in cells):
        own = [cell for cell in cells if cell[0] == problem]
        a, b = (statistics.mean_regret(runs, own, last) for runs in (ours, theirs))
        if a > b:
            behind.append(f"{problem} {a:.4f} / {b:.4f}")
    section.hold(
        met=not behind,
        otherwise=f"{pair}: higher mean regret after {last} on {', '.join(behind)} (tests below)",
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
            r["optimiser"],
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
        "sampler",
        "setting",
        "seeds",
        f"rank - defaults at {last}",
        f"rank - Optuna TPE at {last}",
        "regret 25/50/100",
        "date",
    ]
    return "Ablations that chose the defaults (one option at a time)\n\n" + markdown(header, lines)
