"""What failures cost, from the checked-in runs: failed trials and best values, ours beside each peer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.quality import failure_rows, problems, statistics
from bench.section import Section, provenance
from bench.tables import markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from bench.quality.statistics import Cell, Runs

MODELLING = ("auto", "gp", "tpe")  # ours that model what they have seen
DEFAULT = "auto"
MOST_ON_HALFPLANE = 8  # failed trials of 60: the target
EVEN, SHAKEN = "no_failures", "flaky"


@dataclass(frozen=True)
class Measure:
    """Less is better. ``of`` gives a number a run, ``shown`` a problem's numbers as the tables have them."""

    title: str
    of: Callable[[Runs, Sequence[Cell]], NDArray[np.float64]]
    shown: Callable[[str, NDArray[np.float64]], str]


FAILED = Measure(
    f"Failed trials of {failure_rows.TRIALS}, mean over seeds",
    lambda runs, cells: np.array([runs.failed_trials[cell] for cell in cells], dtype=float),
    lambda _, values: f"{np.mean(values):.1f}",
)
BEST = Measure(
    f"Best feasible value after {failure_rows.TRIALS} trials, median over seeds",
    lambda runs, cells: statistics.at(runs, cells, failure_rows.TRIALS),
    lambda problem, regret: f"{problems.get(problem).value(float(np.median(regret))):.4g}",
)


def section() -> Section:
    section = Section("Where trials fail")
    runs, held = failure_rows.recorded()
    if DEFAULT not in runs:
        return section
    section.body += [tables(runs, problems.FAILURES), provenance(held)]
    _hold_targets(section, runs)
    for name, theirs in runs.items():
        if name not in (*MODELLING, "random"):
            behind = [_behind(runs[DEFAULT], theirs, measure) for measure in (FAILED, BEST)]
            section.hold(
                met=not any(behind), otherwise=f"{DEFAULT} beside {name}: " + "; ".join(filter(None, behind))
            )
    broken = {name: r.failed for name, r in runs.items() if r.failed}
    section.hold(met=not broken, otherwise=f"runs that ended with an error: {broken}")
    return section


def _hold_targets(section: Section, runs: Mapping[str, Runs]) -> None:
    ours = runs[DEFAULT]
    on_halfplane = float(np.mean(FAILED.of(ours, _cells("halfplane", ours))))
    section.hold(
        met=on_halfplane <= MOST_ON_HALFPLANE,
        otherwise=f"{DEFAULT} fails {on_halfplane:.1f} trials of {failure_rows.TRIALS} on halfplane, at most"
        f" {MOST_ON_HALFPLANE} is the target",
    )
    for name in MODELLING:
        if name in runs and (shaken := _cost_of_accidents(runs[name])):
            section.hold(met=False, otherwise=f"{name} and accidents: {shaken}")


def _cost_of_accidents(runs: Runs) -> str:
    """What it finds with and without one failure in twenty trials, if the first is worse to be seen."""
    if not {SHAKEN, EVEN} <= set(_shared(runs)):
        return ""
    shaken, even = (BEST.of(runs, _cells(name, runs)) for name in (SHAKEN, EVEN))
    shown = [BEST.shown(EVEN, values) for values in (shaken, even)]
    if shown[0] == shown[1] or not statistics.greater({SHAKEN: shaken - even}):
        return ""
    return "a median of {} with one in twenty, {} without".format(*shown)


def _behind(ours: Runs, theirs: Runs, measure: Measure) -> str:
    """The problems where ours shows the greater figure."""
    found = []
    for problem in _shared(ours, theirs):
        cells = _cells(problem, ours, theirs)
        own, other = (measure.of(runs, cells) for runs in (ours, theirs))
        shown = [measure.shown(problem, values) for values in (own, other)]
        if float(shown[0]) > float(shown[1]):
            found.append(f"{problem} {shown[0]} / {shown[1]}")
    return f"{measure.title.split(',')[0].lower()}: {', '.join(found)}" if found else ""


def tables(runs: Mapping[str, Runs], names: Sequence[str]) -> str:
    """Failed trials and best values by problem, then ours beside each other row."""
    cut = [name for name in names if problems.get(name).infeasible is not None]
    parts = [_by_problem(runs, cut, FAILED), _by_problem(runs, names, BEST), _pairs(runs, names)]
    return "\n\n".join(parts)


def _by_problem(runs: Mapping[str, Runs], names: Sequence[str], measure: Measure) -> str:
    rows = []
    for problem in names:
        shown = [
            measure.shown(problem, measure.of(r, cells)) if (cells := _cells(problem, r)) else ""
            for r in runs.values()
        ]
        least = min((float(text) for text in shown if text), default=None)
        rows.append([problem, *(f"**{text}**" if text and float(text) == least else text for text in shown)])
    seeds = ["seeds", *(str(len({seed for _, seed in r.regret})) for r in runs.values())]
    return f"{measure.title}\n\n" + markdown(["problem", *runs], [*rows, seeds])


def _pairs(runs: Mapping[str, Runs], names: Sequence[str]) -> str:
    rows = []
    for name in (name for name in MODELLING if name in runs):
        for other in (other for other in runs if other not in MODELLING):
            ours, theirs = runs[name], runs[other]
            cells = [cell for cell in statistics.shared_cells(ours, theirs) if cell[0] in names]
            if cells:
                rows.append([name, other, str(len(cells)), *_compared(ours, theirs, cells)])
    header = [
        "ours",
        "beside",
        "pairs",
        "failed trials, ours - theirs",
        "more on",
        "rank by best value, ours - theirs",
        "worse on",
    ]
    title = "Each pair (95 % bootstrap intervals; problems by Wilcoxon's signed ranks, Holm-corrected)"
    return f"{title}\n\n" + markdown(header, rows)


def _compared(ours: Runs, theirs: Runs, cells: Sequence[Cell]) -> list[str]:
    figures = []
    for measure, whole in ((FAILED, statistics.mean_difference), (BEST, statistics.mean_sign)):
        difference = measure.of(ours, cells) - measure.of(theirs, cells)
        of_problem = np.array([problem for problem, _ in cells])
        by_problem = {p: difference[of_problem == p] for p in problems.FAILURES if p in of_problem}
        figures += [str(whole(difference, cells)), ", ".join(statistics.greater(by_problem)) or "none"]
    return figures


def _shared(*runs: Runs) -> list[str]:
    cells = statistics.shared_cells(*runs)
    return [name for name in problems.FAILURES if any(problem == name for problem, _ in cells)]


def _cells(name: str, *runs: Runs) -> list[Cell]:
    return [cell for cell in statistics.shared_cells(*runs) if cell[0] == name]
