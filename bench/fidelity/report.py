"""What trainings that stop early find, from the checked-in runs: ranks, regret, epochs saved."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import machine
from bench.fidelity import rows
from bench.fidelity.optimiser import FULL
from bench.quality import statistics
from bench.quality.tables import rank_table
from bench.section import Section, provenance
from bench.tables import markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.quality.statistics import Cell, Interval, Runs
    from bench.records import Record

SAVED = 3  # times fewer epochs than full trainings is the aim
FAMILIES = ("lcbench", "taskset")
TITLE = "Early stopping: the best training against epochs spent"


def section() -> Section:
    section = Section(TITLE)
    held = [r for r in rows.on_file() if set(r["settings"]) <= set(rows.MANY)]
    if not held:
        return section
    section.body += [tables(held), missing(held), provenance(held)]
    known = rows.best(held)
    runs = rows.collect(held, {}, known)
    for cohort in statistics.cohorts([*runs.values()]):
        _hold_first(section, cohort, "")
    for cohort in statistics.cohorts([*rows.collect(held, rows.MANY, known).values()]):
        _hold_first(section, cohort, " with 16 workers")
    _hold_saved(section, runs)
    broken = {name: r.failed for name, r in runs.items() if r.failed}
    section.hold(met=not broken, otherwise=f"runs that ended with an error: {broken}")
    return section


def record() -> str:
    """A dated record: what was lost first, then the tables."""
    made = section()
    lost = "\n".join(f"- {line}" for line in made.losses) or "Nothing."
    body = "\n\n".join(made.body)
    return f"# {TITLE}, {machine.today()}\n\n## Where we lose, or miss a target\n\n{lost}\n\n{body}\n"


def tables(held: Sequence[Record], settings: Mapping[str, Any] | None = None) -> str:
    """All tables: of one worker, also with ``settings`` of ours, then of 16."""
    known = rows.best(held)
    runs = rows.collect(held, {}, known)
    for name, changed in rows.collect(held, settings, known).items() if settings else ():
        label = statistics.label({"optimiser": name, "settings": settings})
        runs[label] = statistics.Runs(label, changed.regret, changed.failed)
    if not runs:
        return "Nothing is on file."
    parts = _ranks(runs, "epochs")
    parts += [_saved_table(runs), _regret_table(runs), _effort_table(held), _by_task(runs)]
    many = rows.collect(held, rows.MANY, known)
    if many:
        parts.append(
            "**16 workers**: simulated seconds, in which 16 workers train 2,600 epochs of random trials"
        )
        parts += _ranks(many, "of 2,600 parts of the time")
        parts.append(_regret_table(many))
    return "\n\n".join(filter(None, parts))


def missing(held: Sequence[Record]) -> str:
    """Rows that have not all of their runs."""
    counts = Counter(r["optimiser"] for r in held if r["settings"] == {})
    wanted = {
        name: len(rows.jobs(name, entry.problems, range(rows.seeds(name)), {}))
        for name, entry in rows.ENTRIES.items()
    }
    short = [f"{name} {counts[name]} of {n}" for name, n in wanted.items() if counts[name] < n]
    return f"Runs still to be made (`python -m bench fidelity`): {', '.join(short)}." if short else ""


def checkpoints(cohort: Sequence[Runs]) -> list[int]:
    """Those that every run reached."""
    epochs = min(len(regret) for r in cohort for regret in r.regret.values())
    return [c for c in rows.CHECKPOINTS if c <= epochs]


def _ranks(runs: Mapping[str, Runs], unit: str) -> list[str]:
    return [
        rank_table(cohort, {c: f"{c} {unit}" for c in checkpoints(cohort)}, "task")
        for cohort in statistics.cohorts([*runs.values()])
    ]


def _regret_table(runs: Mapping[str, Runs]) -> str:
    """Mean over tasks of the mean over seeds, for each family."""
    shown = []
    for name, r in runs.items():
        row = [name]
        for family in FAMILIES:
            cells = [cell for cell in r.regret if cell[0].startswith(family)]
            row += [_number(_mean(r, cells, c)) for c in rows.CHECKPOINTS]
        shown.append(
            [*row, str(len({seed for _, seed in r.regret})), str(len({task for task, _ in r.regret}))]
        )
    header = [
        "optimiser",
        *(f"{family} {c}" for family in FAMILIES for c in rows.CHECKPOINTS),
        "seeds",
        "tasks",
    ]
    title = "Mean normalised regret (0: the best loss known, 1: the median of random full trainings)"
    return f"{title}\n\n" + markdown(header, shown)


def _number(mean: float) -> str:
    return "" if np.isnan(mean) else f"{mean:.4f}"


def _mean(runs: Runs, cells: Sequence[Cell], checkpoint: int) -> float:
    """NaN if the runs are shorter, or there are none."""
    by_task: dict[str, list[float]] = {}
    for cell in cells:
        if len(runs.regret[cell]) < checkpoint:
            return float("nan")
        by_task.setdefault(cell[0], []).append(float(runs.regret[cell][checkpoint - 1]))
    return float(np.mean([np.mean(v) for v in by_task.values()])) if by_task else float("nan")


def _by_task(runs: Mapping[str, Runs]) -> str:
    last = rows.CHECKPOINTS[-1]
    whole = {name: r for name, r in runs.items() if checkpoints([r])[-1:] == [last]}
    shown = []
    for task in dict.fromkeys(task for r in whole.values() for task, _ in r.regret):
        means = [_mean(r, [c for c in r.regret if c[0] == task], last) for r in whole.values()]
        least = _number(float(np.nanmin(means)))
        shown.append([task, *(f"**{text}**" if text == least else text for text in map(_number, means))])
    if not shown:
        return ""
    return f"Mean normalised regret after {last} epochs\n\n" + markdown(["task", *whole], shown)


def _saved_table(runs: Mapping[str, Runs]) -> str:
    """Epochs after which each row is where our full trainings end."""
    shown = []
    for name, r in runs.items():
        if name == FULL or FULL not in runs or not (cells := statistics.shared_cells(r, runs[FULL])):
            continue
        reach = statistics.reach(r, runs[FULL], cells)
        shown.append(
            [name, _epochs(reach.trials, cells), f"{reach.share:.0%}", f"{reach.own:.0f}", str(len(cells))]
        )
    if not shown:
        return ""
    title = f"Epochs until a row is where `{FULL}` with full trainings ends (median, 95 % interval)"
    header = ["optimiser", "epochs", "share of pairs that reach it", f"{FULL} itself", "pairs"]
    return f"{title}\n\n" + markdown(header, shown)


def _epochs(reached: Interval, cells: Sequence[Cell]) -> str:
    """The interval is over seeds, and is left out where a task has one."""

    def text(n: float) -> str:
        return f"{n:.0f}" if np.isfinite(n) else "not in half of them"

    if min(Counter(task for task, _ in cells).values()) < 2:
        return text(reached.estimate)
    return f"{text(reached.estimate)} [{text(reached.low)}, {text(reached.high)}]"


def _effort_table(held: Sequence[Record]) -> str:
    shown = []
    for name in rows.ENTRIES:
        own = [r for r in held if r["optimiser"] == name and not r["settings"]]
        if own:
            mean = {
                k: float(np.mean([r[k] or 0.0 for r in own]))
                for k in ("trainings", "full", "suggest_seconds")
            }
            seconds = f"{mean['suggest_seconds']:.3g}"
            load = f"{np.median([r['load'] for r in own]):.0f}"
            shown.append([name, f"{mean['trainings']:.0f}", f"{mean['full']:.0f}", seconds, load])
    header = [
        "optimiser",
        "trainings started",
        "to the end",
        "seconds in the optimiser",
        "load of the machine",
    ]
    return "Means of a run\n\n" + markdown(header, shown)


def _hold_first(section: Section, cohort: Sequence[Runs], where: str) -> None:
    """One of ours that stops early is first."""
    among = f"among {len(cohort)} over {len(statistics.shared_cells(*cohort))} pairs{where}"
    stopping = {name for name in rows.OURS if "+" in name}
    if not stopping & {r.label for r in cohort}:
        return
    for checkpoint in checkpoints(cohort):
        ranks = statistics.mean_ranks(cohort, checkpoint)
        best = min(ranks, key=lambda label: ranks[label])
        ours = min(stopping & ranks.keys(), key=lambda label: ranks[label])
        section.hold(
            met=best in stopping,
            otherwise=f"after {checkpoint} {best} has mean rank {ranks[best]:.2f}, our best that stops "
            f"early, {ours}, {ranks[ours]:.2f}, {among}",
        )


def _hold_saved(section: Section, runs: Mapping[str, Runs]) -> None:
    """The best of ours needs a third of the epochs of our full trainings."""
    goal = rows.EPOCHS / SAVED
    stopping = [name for name in runs if name in rows.OURS and "+" in name and FULL in runs]
    cells = {name: statistics.shared_cells(runs[name], runs[FULL]) for name in stopping}
    needed = {name: statistics.reach(runs[name], runs[FULL], cells[name]).trials for name in stopping}
    if needed:
        best = min(needed, key=lambda name: needed[name].estimate)
        section.hold(
            met=needed[best].estimate <= goal,
            otherwise=f"{best} needs {_epochs(needed[best], cells[best])} epochs for the final loss of "
            f"{FULL} with full trainings, more than {goal:.0f}",
        )
