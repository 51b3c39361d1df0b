"""How much of the fronts is found, from the checked-in runs: ranks, regret, what knowing is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.quality import statistics
from bench.quality.fronts import problems, rows
from bench.quality.tables import rank_table
from bench.section import Section, provenance
from bench.tables import markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bench.quality.statistics import Runs

MODELLING = ("auto", "gp", "tpe")  # ours that model what they have seen
FIRST = "gp"  # the row that is to be first in mean rank
KNOWN = {f"{name}+known": name for name in ("gp", "tpe")}


def section() -> Section:
    section = Section("Several objectives: hypervolume regret")
    runs, held = rows.recorded()
    if not runs:
        return section
    section.body += [tables(runs, problems.NAMES), _missing(runs), provenance(held)]
    for cohort in cohorts(runs):
        _hold_first(section, cohort)
    for name in MODELLING:
        for other in (r for r in runs if r not in rows.OURS):
            if name in runs and (behind := _behind(runs[name], runs[other])):
                section.hold(met=False, otherwise=f"{name} beside {other}: {behind}")
    for name, without in KNOWN.items():
        if {name, without} <= runs.keys():
            _hold_known(section, runs[name], runs[without])
    broken = {name: r.failed for name, r in runs.items() if r.failed}
    section.hold(met=not broken, otherwise=f"runs that ended with an error: {broken}")
    return section


def tables(runs: Mapping[str, Runs], names: Sequence[str]) -> str:
    asked = {name: kept for name, r in runs.items() if (kept := _of_problems(r, names)).regret}
    parts = [
        rank_table(cohort, {c: f"after {c}" for c in statistics.checkpoints(*cohort)}, "problem")
        for cohort in cohorts(asked)
    ]
    parts += [_by_problem(asked, names, checkpoint) for checkpoint in statistics.CHECKPOINTS]
    parts += [_pairs(asked), _known(asked)]
    return "\n\n".join(filter(None, parts))


def _missing(runs: Mapping[str, Runs]) -> str:
    """Rows that have not all of their runs."""
    wanted = {name: rows.jobs(name, problems.NAMES, range(rows.seeds(name)), {}) for name in rows.ENTRIES}
    counts = {name: len(runs[name].regret) if name in runs else 0 for name in wanted}
    short = [
        f"{name} {counts[name]} of {len(jobs)}" for name, jobs in wanted.items() if counts[name] < len(jobs)
    ]
    return f"Runs still to be made (`python -m bench fronts`): {', '.join(short)}." if short else ""


def _of_problems(runs: Runs, names: Sequence[str]) -> Runs:
    kept = {cell: regret for cell, regret in runs.regret.items() if cell[0] in names}
    return statistics.Runs(runs.label, kept, runs.failed)


def cohorts(runs: Mapping[str, Runs]) -> list[list[Runs]]:
    """Rows that are told all outcomes: those with the most runs, then with each that has fewer."""
    even = [r for name, r in runs.items() if name not in KNOWN]
    return statistics.cohorts(even)


def _hold_first(section: Section, cohort: Sequence[Runs]) -> None:
    """Among a cohort ``FIRST`` is first, or second to another of ours."""
    among = f"among {len(cohort)} over {len(statistics.shared_cells(*cohort))} pairs"
    for checkpoint in statistics.checkpoints(*cohort):
        ranks = statistics.mean_ranks(cohort, checkpoint)
        best = min(ranks, key=lambda label: ranks[label])
        if FIRST in ranks:
            section.hold(
                met=ranks[FIRST] <= ranks[best] or best in MODELLING,
                otherwise=f"{FIRST} has mean rank {ranks[FIRST]:.2f} after {checkpoint}, {best}"
                f" {ranks[best]:.2f}, {among}",
            )


def _hold_known(section: Section, knowing: Runs, measuring: Runs) -> None:
    """Who knows an objective is to be ahead."""
    pair = f"{knowing.label} beside {measuring.label}"
    cells = statistics.shared_cells(knowing, measuring)
    last = statistics.checkpoints(knowing, measuring)[-1]
    ahead = statistics.rank_difference(knowing, measuring, cells, last)
    section.hold(met=ahead.high < 0, otherwise=f"{pair}: not ahead, rank {ahead} after {last}")
    behind = _behind(knowing, measuring)
    section.hold(met=not behind, otherwise=f"{pair}: {behind}")


def _by_problem(runs: Mapping[str, Runs], names: Sequence[str], checkpoint: int) -> str:
    reached = {name: r for name, r in runs.items() if max(statistics.checkpoints(r)) >= checkpoint}
    if not reached:
        return ""
    shown = []
    for problem in names:
        means = {name: _mean(r, problem, checkpoint) for name, r in reached.items()}
        if not all(np.isnan(list(means.values()))):
            least = f"{np.nanmin(list(means.values())):.4f}"
            texts = ("" if np.isnan(mean) else f"{mean:.4f}" for mean in means.values())
            shown.append([problem, *(f"**{text}**" if text == least else text for text in texts)])
    seeds = ["seeds", *(_span([len(_cells(r, p)) for p in names]) for r in reached.values())]
    title = f"Hypervolume regret after {checkpoint} trials, mean over seeds (0: the whole front)"
    return f"{title}\n\n" + markdown(["problem", *reached], [*shown, seeds])


def _span(counts: Sequence[int]) -> str:
    held = [n for n in counts if n]
    return f"{min(held)}-{max(held)}" if min(held) < max(held) else str(held[0])


def _cells(runs: Runs, problem: str) -> list[statistics.Cell]:
    return [cell for cell in runs.regret if cell[0] == problem]


def _mean(runs: Runs, problem: str, checkpoint: int) -> float:
    cells = _cells(runs, problem)
    return statistics.mean_regret(runs, cells, checkpoint) if cells else float("nan")


def _pairs(runs: Mapping[str, Runs]) -> str:
    shown = []
    for name in (name for name in MODELLING if name in runs):
        for other in (other for other in runs if other not in rows.OURS):
            ours, theirs = runs[name], runs[other]
            if not (cells := statistics.shared_cells(ours, theirs)):
                continue
            last = statistics.checkpoints(ours, theirs)[-1]
            worse = statistics.greater(_differences(ours, theirs, last))
            ranks = [str(statistics.rank_difference(ours, theirs, cells, c)) for c in (25, 50, last)]
            shown.append([name, other, str(len(cells)), *ranks, str(last), ", ".join(worse) or "none"])
    if not shown:
        return ""
    header = [
        "ours",
        "beside",
        "pairs",
        "rank, ours - theirs at 25",
        "at 50",
        "at the end",
        "the end",
        "worse on",
    ]
    title = "Each pair (95 % bootstrap intervals; problems by Wilcoxon's signed ranks, Holm-corrected)"
    return f"{title}\n\n" + markdown(header, shown)


def _differences(ours: Runs, theirs: Runs, checkpoint: int) -> dict[str, NDArray[np.float64]]:
    """Regret of ours minus theirs by problem, over the seeds of both."""
    cells = statistics.shared_cells(ours, theirs)
    difference = statistics.at(ours, cells, checkpoint) - statistics.at(theirs, cells, checkpoint)
    of_problem = np.array([problem for problem, _ in cells])
    return {str(p): difference[of_problem == p] for p in dict.fromkeys(of_problem)}


def _behind(ours: Runs, theirs: Runs) -> str:
    """The problems where our mean regret shows the greater at the last checkpoint of both."""
    cells = statistics.shared_cells(ours, theirs)
    if not cells:
        return ""
    last, found = statistics.checkpoints(ours, theirs)[-1], []
    for problem in dict.fromkeys(problem for problem, _ in cells):
        own = [cell for cell in cells if cell[0] == problem]
        shown = [f"{statistics.mean_regret(r, own, last):.4f}" for r in (ours, theirs)]
        if shown[0] > shown[1]:
            found.append(f"{problem} {shown[0]} / {shown[1]}")
    return f"higher mean regret after {last} on {', '.join(found)}" if found else ""


def _known(runs: Mapping[str, Runs]) -> str:
    """What an objective given as a formula is worth: regret with it over regret without."""
    shown = []
    for name, without in KNOWN.items():
        if not {name, without} <= runs.keys():
            continue
        pair = runs[name], runs[without]
        cells = statistics.shared_cells(*pair)
        for problem in [*dict.fromkeys(p for p, _ in cells), "all"]:
            own = [cell for cell in cells if problem in (cell[0], "all")]
            means = [[statistics.mean_regret(r, own, c) for r in pair] for c in statistics.CHECKPOINTS]
            ranks = statistics.rank_difference(*pair, own, statistics.CHECKPOINTS[-1])
            shown.append([name, problem, *(f"{a:.4f} / {b:.4f}" for a, b in means), str(ranks)])
    if not shown:
        return ""
    title = "An objective known as a formula / measured by the same sampler: mean regret"
    header = [
        "sampler",
        "problem",
        *(f"after {c}" for c in statistics.CHECKPOINTS),
        "rank, with - without at 100",
    ]
    return f"{title}\n\n" + markdown(header, shown)
