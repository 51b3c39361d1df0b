"""Comparisons of optimisers as tables."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bench.quality import problems, statistics
from bench.tables import markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.quality.statistics import Runs


def comparison(ours: Runs, theirs: Runs) -> str:
    """Regret of each problem, tests of each family and the overall rank: ours beside theirs."""
    cells = statistics.shared_cells(ours, theirs)
    if not cells:
        return f"{ours.label} and {theirs.label} share no run"
    failed = "".join(f"; {r.failed} failed runs of {r.label}" for r in (ours, theirs) if r.failed)
    title = (
        f"{ours.label} beside {theirs.label}: {len(cells)} paired runs{failed}. Mean normalised regret"
        " (0 best known, 1 median of random draws), ours / theirs."
    )
    ranks = "Mean rank, ours - theirs (95 % bootstrap): " + _ranks(ours, theirs, cells)
    reached = f"{_reach(ours, theirs, cells)}\n{_reach(theirs, ours, cells)}"
    return "\n\n".join([title, _problems(ours, theirs, cells), _families(ours, theirs), ranks, reached])


def rank_table(cohort: Sequence[Runs], heads: Mapping[int, str], what: str) -> str:
    """Mean ranks at checkpoints, which ``heads`` names, the best at the end first; ``what`` is a problem."""
    cells = statistics.shared_cells(*cohort)
    by_checkpoint = [statistics.rank_intervals(cohort, c) for c in heads]
    n_seeds = Counter(problem for problem, _ in cells)
    spread = min(n_seeds.values()) > 1  # a bootstrap over one seed says nothing
    ordered = sorted(by_checkpoint[-1], key=lambda label: by_checkpoint[-1][label].estimate)
    shown = [[label, *(_rank(ranks[label], spread=spread) for ranks in by_checkpoint)] for label in ordered]
    title = (
        f"Mean rank over {len(cells)} pairs of {what} and seed, {len(n_seeds)} {what}s (1 is best"
        f"{'; 95 % bootstrap intervals' if spread else ''})"
    )
    return f"{title}\n\n" + markdown(["optimiser", *heads.values()], shown)


def recommendations(cohort: Sequence[Runs]) -> str:
    """Where observations are noisy: the best observed trial beside what was recommended, the best last.

    "" if nobody recommends anything. Whoever does not is judged by the best observed trial.
    """
    cells = [cell for cell in statistics.shared_cells(*cohort) if problems.get(cell[0]).observe is not None]
    if not cells or not any(r.recommended for r in cohort):
        return ""
    checkpoints = statistics.checkpoints(*cohort)
    judged = [statistics.on(r.as_recommended(), cells) for r in cohort]
    ranks = [statistics.mean_ranks(judged, c) for c in checkpoints]
    rows = [
        [
            observed.label,
            *(f"{statistics.mean_regret(observed, cells, c):.4f}" for c in checkpoints),
            *(f"{statistics.mean_regret(own, cells, c):.4f}" if own.recommended else "" for c in checkpoints),
            *(f"{by_label[own.label]:.2f}" for by_label in ranks),
        ]
        for observed, own in sorted(
            zip(cohort, judged, strict=True), key=lambda pair: ranks[-1][pair[0].label]
        )
    ]
    heads = [f"{what} {c}" for what in ("observed", "recommended", "rank") for c in checkpoints]
    title = (
        f"Noisy observations, {len(cells)} pairs of problem and seed: mean true regret of the best observed"
        " trial and of what the optimiser recommends, and mean rank by the latter (by the former if it"
        " recommends nothing of its own)"
    )
    return f"{title}\n\n" + markdown(["optimiser", *heads], rows)


def _rank(mean: statistics.Interval, *, spread: bool) -> str:
    return f"{mean.estimate:.2f}" + (f" [{mean.low:.2f}, {mean.high:.2f}]" if spread else "")


def _problems(ours: Runs, theirs: Runs, cells: list[statistics.Cell]) -> str:
    checkpoints = statistics.checkpoints(ours, theirs)
    rows = []
    for name in dict.fromkeys(problem for problem, _ in cells):
        own = [cell for cell in cells if cell[0] == name]
        figures = [
            f"{statistics.mean_regret(ours, own, c):.4f} / {statistics.mean_regret(theirs, own, c):.4f}"
            for c in checkpoints
        ]
        sign = statistics.at(ours, own, checkpoints[-1]) - statistics.at(theirs, own, checkpoints[-1])
        rows.append([name, *figures, f"{(sign < 0).sum()}/{(sign == 0).sum()}/{(sign > 0).sum()}"])
    return markdown(
        ["problem", *(f"after {c}" for c in checkpoints), f"win/tie/loss at {checkpoints[-1]}"], rows
    )


def _families(ours: Runs, theirs: Runs) -> str:
    checkpoints = statistics.checkpoints(ours, theirs)
    by_checkpoint = [statistics.family_tests(ours, theirs, c) for c in checkpoints]
    rows = [
        [tests[-1].family, *(f"{t.win}/{t.tie}/{t.loss} p={t.p:.2g} {t.verdict}" for t in tests)]
        for tests in zip(*by_checkpoint, strict=True)
    ]
    return markdown(["family (Wilcoxon, Holm)", *(f"after {c}" for c in checkpoints)], rows)


def _ranks(ours: Runs, theirs: Runs, cells: list[statistics.Cell]) -> str:
    return ", ".join(
        f"{c}: {statistics.rank_difference(ours, theirs, cells, c)}"
        for c in statistics.checkpoints(ours, theirs)
    )


def trials(found: statistics.Reach, last: int) -> str:
    """Median and interval of the trials needed; what lies beyond the last one is only known to."""
    figures = (found.trials.estimate, found.trials.low, found.trials.high)
    median, low, high = (f"{t:.0f}" if t <= last else f"> {last}" for t in figures)
    return f"{median} [{low}, {high}]"


def _reach(ours: Runs, theirs: Runs, cells: list[statistics.Cell]) -> str:
    found = statistics.reach(ours, theirs, cells)
    last = min(len(theirs.regret[cell]) for cell in cells)
    return (
        f"- {ours.label} needs {trials(found, last)} trials to reach {theirs.label}'s regret after {last};"
        f" {theirs.label} itself {found.own:.0f} (medians, 95 % bootstrap; reached in {found.share:.0%})."
    )
