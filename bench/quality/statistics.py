"""From records to comparisons: regret curves, ranks with intervals, paired tests.

Glossary
--------
cell        one (problem, seed); optimisers are compared within cells
regret      (true value of the incumbent - best) / (median of random draws - best)
checkpoint  number of trials after which regret is read: 25, 50, 100
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from bench.quality import problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from bench.records import Record

CHECKPOINTS = (25, 50, 100)
RESAMPLES = 10_000
LEVEL = 0.05  # of tests, after Holm's correction, and 1 - coverage of intervals

Cell = tuple[str, int]


@dataclass(frozen=True)
class Runs:
    """One optimiser's runs.

    Attributes
    ----------
    label : str
    regret : of the incumbent, (trials,) per cell
    failed : how many runs failed
    failed_trials : per cell
    recommended : regret of what was recommended by checkpoint, per cell; without those that recommend nothing
    """

    label: str
    regret: Mapping[Cell, NDArray[np.float64]]
    failed: int
    failed_trials: Mapping[Cell, int] = field(default_factory=dict)
    recommended: Mapping[Cell, Mapping[int, float]] = field(default_factory=dict)

    def as_recommended(self) -> Runs:
        """The same runs judged by what was recommended, at the checkpoints; by the incumbent without that."""
        regret = {cell: curve.copy() for cell, curve in self.regret.items()}
        for cell, found in self.recommended.items():
            for number, value in found.items():
                regret[cell][number - 1] = value
        return replace(self, regret=regret)


def label(record: Record) -> str:
    settings = " ".join(f"{k}={v}" for k, v in sorted(record["settings"].items()))
    return f"{record['optimiser']} {settings}".strip()


def expand(curve: Sequence[tuple[int, float]], trials: int) -> NDArray[np.float64]:
    """Value of the incumbent after each trial; NaN before the first."""
    values = np.full(trials, np.nan)
    for number, value in curve:
        values[number - 1 :] = value
    return values


def collect(records: Iterable[Record]) -> dict[str, Runs]:
    """Runs by label, the last record of a cell counting.

    A failed run keeps the incumbent it had; with none, it has the worst regret of its problem.
    """
    latest = {(label(r), r["problem"], r["seed"], r["trials"]): r for r in records}
    curves: dict[str, dict[Cell, NDArray[np.float64]]] = {}
    failures: dict[str, int] = {}
    trials_failed: dict[str, dict[Cell, int]] = {}
    recommended: dict[str, dict[Cell, dict[int, float]]] = {}
    for (name, problem, seed, trials), record in latest.items():
        of = problems.get(problem).regret
        curves.setdefault(name, {})[problem, seed] = of(expand(record["curve"], trials))
        said = {number: float(of(value)) for number, value in record.get("recommended", ())}
        recommended.setdefault(name, {}).update({(problem, seed): said} if said else {})
        trials_failed.setdefault(name, {})[problem, seed] = len(record.get("failures", ()))
        failures[name] = failures.get(name, 0) + (record["error"] is not None)
    _fill_with_worst(curves)
    return {
        name: Runs(name, cells, failures[name], trials_failed[name], recommended[name])
        for name, cells in curves.items()
    }


def _fill_with_worst(curves: dict[str, dict[Cell, NDArray[np.float64]]]) -> None:
    worst: dict[str, float] = {}
    for cells in curves.values():
        for (problem, _), regret in cells.items():
            worst[problem] = np.fmax(worst.get(problem, 1.0), np.nanmax(regret, initial=1.0))
    for cells in curves.values():
        for (problem, _), regret in cells.items():
            regret[np.isnan(regret)] = worst[problem]


def on(runs: Runs, cells: Sequence[Cell]) -> Runs:
    """The same optimiser on some of its cells."""
    return replace(runs, regret={cell: runs.regret[cell] for cell in cells})


def at(runs: Runs, cells: Sequence[Cell], checkpoint: int) -> NDArray[np.float64]:
    return np.array([runs.regret[cell][checkpoint - 1] for cell in cells])


def checkpoints(*runs: Runs) -> tuple[int, ...]:
    """The checkpoints that every run reached."""
    trials = min(len(regret) for r in runs for regret in r.regret.values())
    return tuple(c for c in CHECKPOINTS if c <= trials) or (trials,)


def shared_cells(*runs: Runs) -> list[Cell]:
    return sorted(set.intersection(*(set(r.regret) for r in runs)))


def cohorts(rows: Sequence[Runs]) -> list[list[Runs]]:
    """Rows to be ranked together: those with the most runs, then all with at least as many as each other."""
    found: list[list[Runs]] = []
    for least in sorted({len(r.regret) for r in rows}, reverse=True):
        cohort = [r for r in rows if len(r.regret) >= least]
        if len(cohort) > 1 and shared_cells(*cohort):
            found.append(cohort)
    return found


@dataclass(frozen=True)
class Interval:
    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def rank_difference(ours: Runs, theirs: Runs, cells: Sequence[Cell], checkpoint: int) -> Interval:
    """Mean rank of ours minus theirs, from -1 (always ahead) to 1, ties 0."""
    return mean_sign(at(ours, cells, checkpoint) - at(theirs, cells, checkpoint), cells)


def mean_sign(difference: NDArray[np.float64], cells: Sequence[Cell]) -> Interval:
    return mean_difference(np.sign(difference), cells)


def mean_difference(difference: NDArray[np.float64], cells: Sequence[Cell]) -> Interval:
    """The interval is a bootstrap over seeds within each problem: the suite is fixed, the seeds are
    the sample.
    """
    low, high = np.quantile(_resampled(difference, cells).mean(axis=1), [LEVEL / 2, 1 - LEVEL / 2])
    return Interval(float(difference.mean()), float(low), float(high))


def _resampled(values: NDArray[np.float64], cells: Sequence[Cell]) -> NDArray[np.float64]:
    """Values of ``cells`` with seeds drawn anew within each problem, (RESAMPLES, cells)."""
    names = np.array([problem for problem, _ in cells])
    rng = np.random.default_rng(0)
    samples = (values[names == name] for name in np.unique(names))
    return np.concatenate([rng.choice(s, (RESAMPLES, len(s))) for s in samples], axis=1)


@dataclass(frozen=True)
class Reach:
    """Trials until our regret is no more than the peer's last one of the same cell.

    Attributes
    ----------
    trials : median over cells, inf where it is not reached in half of them, with its interval
    share : cells in which it is reached at all
    own : median trials after which the peer itself had it
    """

    trials: Interval
    share: float
    own: float


def reach(ours: Runs, theirs: Runs, cells: Sequence[Cell]) -> Reach:
    """How soon ours is where the peer ends; the interval is the bootstrap of ``rank_difference``."""
    goal = [theirs.regret[cell][-1] for cell in cells]
    needed, own = (
        np.array([_first(r.regret[cell], g) for cell, g in zip(cells, goal, strict=True)])
        for r in (ours, theirs)
    )
    low, high = np.quantile(
        _median(_resampled(needed, cells)), [LEVEL / 2, 1 - LEVEL / 2], method="inverted_cdf"
    )
    estimate = Interval(float(_median(needed)), float(low), float(high))
    return Reach(estimate, float(np.isfinite(needed).mean()), float(_median(own)))


def _first(regret: NDArray[np.float64], goal: float) -> float:
    """Number of the first trial with at most this regret; inf if there is none."""
    there = np.flatnonzero(regret <= goal)
    return float(there[0] + 1) if len(there) else np.inf


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lower median along the last axis: a value that occurs, also beside inf."""
    return np.quantile(values, 0.5, axis=-1, method="inverted_cdf")


def mean_ranks(runs: Sequence[Runs], checkpoint: int) -> dict[str, float]:
    """Mean rank among all of ``runs`` over the cells they share; 1 is best."""
    return {r.label: float(ranks.mean()) for r, ranks in zip(runs, _ranks(runs, checkpoint), strict=True)}


def rank_intervals(runs: Sequence[Runs], checkpoint: int) -> dict[str, Interval]:
    """``mean_ranks`` with the interval of ``mean_difference``."""
    cells = shared_cells(*runs)
    ranks = _ranks(runs, checkpoint)
    return {r.label: mean_difference(own, cells) for r, own in zip(runs, ranks, strict=True)}


def _ranks(runs: Sequence[Runs], checkpoint: int) -> NDArray[np.float64]:
    """Rank of each in each cell they share, (runs, cells); ties have their mean."""
    from scipy.stats import rankdata

    cells = shared_cells(*runs)
    return np.asarray(rankdata(np.array([at(r, cells, checkpoint) for r in runs]), axis=0))


@dataclass(frozen=True)
class FamilyTest:
    """Paired Wilcoxon signed-rank test over a family's cells at one checkpoint."""

    family: str
    win: int
    tie: int
    loss: int
    p: float  # two-sided, corrected
    ahead: bool  # sign of the rank sum

    @property
    def verdict(self) -> str:
        return "no difference" if self.p >= LEVEL else "better" if self.ahead else "WORSE"


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction."""
    order = np.argsort(p)
    corrected = np.empty(len(p))
    factors = np.arange(len(p), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(np.asarray(p)[order] * factors), 1.0)
    return corrected.tolist()


def family_tests(ours: Runs, theirs: Runs, checkpoint: int) -> list[FamilyTest]:
    families: dict[str, list[Cell]] = {}
    for cell in shared_cells(ours, theirs):
        families.setdefault(problems.get(cell[0]).family, []).append(cell)
    differences = {
        family: at(ours, cells, checkpoint) - at(theirs, cells, checkpoint)
        for family, cells in families.items()
    }
    corrected = holm([_wilcoxon(d) for d in differences.values()])
    return [
        FamilyTest(
            family, int((d < 0).sum()), int((d == 0).sum()), int((d > 0).sum()), p, _signed_ranks(d) < 0
        )
        for (family, d), p in zip(differences.items(), corrected, strict=True)
    ]


def greater(differences: Mapping[str, NDArray[np.float64]]) -> list[str]:
    """Those of the paired differences that are above 0, by signed ranks after Holm's correction."""
    corrected = holm([_wilcoxon(d) for d in differences.values()])
    return [
        name
        for (name, d), p in zip(differences.items(), corrected, strict=True)
        if p < LEVEL and _signed_ranks(d) > 0
    ]


def _wilcoxon(difference: NDArray[np.float64]) -> float:
    from scipy.stats import wilcoxon

    return float(wilcoxon(difference).pvalue) if np.any(difference) else 1.0


def _signed_ranks(difference: NDArray[np.float64]) -> float:
    from scipy.stats import rankdata

    d = difference[difference != 0]
    return float(np.sum(np.sign(d) * rankdata(np.abs(d))))


def mean_regret(runs: Runs, cells: Sequence[Cell], checkpoint: int) -> float:
    return float(np.mean(at(runs, cells, checkpoint)))
