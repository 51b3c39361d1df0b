"""Ranks, intervals, tests and tables on runs whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from bench.quality import problems, statistics, tables
from bench.quality.statistics import Runs
from bench.tables import markdown


def record(
    problem="branin", seed=0, *, optimiser="a", curve=((1, 2.0), (3, 1.0)), trials=5, error=None, **settings
):
    return {
        "problem": problem,
        "optimiser": optimiser,
        "settings": settings,
        "seed": seed,
        "trials": trials,
        "curve": curve,
        "error": error,
    }


def runs(label, shift, problems=("branin", "coupled_branches"), n_seeds=20):
    rng = np.random.default_rng(0)
    noise = rng.random((len(problems), n_seeds, 100))
    cells = {(p, s): noise[i, s] + shift for i, p in enumerate(problems) for s in range(n_seeds)}
    return Runs(label, cells, 0)


def test_expand_holds_the_incumbent():
    assert np.array_equal(statistics.expand([(2, 5.0), (4, 3.0)], 5), [np.nan, 5, 5, 3, 3], equal_nan=True)


def test_the_last_record_of_a_cell_counts():
    collected = statistics.collect([record(curve=[(1, 9.0)]), record(curve=[(1, 1.0)])])
    assert np.all(collected["a"].regret["branin", 0] < 0.1)


def test_recommendations_stand_beside_what_was_observed():
    of = problems.get("training_curve").regret
    said = record("training_curve", curve=[(1, 0.9)], trials=50) | {"recommended": [(25, 0.4), (50, 0.3)]}
    silent = record("training_curve", optimiser="b", curve=[(1, 0.5)], trials=50)
    ours, theirs = statistics.collect([said, silent]).values()
    judged = ours.as_recommended()
    assert [judged.regret["training_curve", 0][c - 1] for c in (25, 50)] == [of(0.4), of(0.3)]
    assert np.all(ours.regret["training_curve", 0] == of(0.9)), "what was observed stays"
    assert theirs.as_recommended().regret["training_curve", 0][24] == of(0.5)
    rows = [
        [cell.strip() for cell in row.split("|")[1:-1]]
        for row in tables.recommendations([theirs, ours]).splitlines()[4:]
    ]
    shown = {row[0]: row[1:] for row in rows}
    observed, recommended = f"{of(0.9):.4f}", [f"{of(v):.4f}" for v in (0.4, 0.3)]
    assert shown["a"] == [observed, observed, *recommended, "1.00", "1.00"]
    assert shown["b"] == [f"{of(0.5):.4f}"] * 2 + ["", "", "2.00", "2.00"]
    assert tables.recommendations([theirs]) == tables.recommendations([runs("c", 0.0)]) == ""


def test_settings_are_part_of_the_label():
    assert statistics.label(record(gamma=0.1)) == "a gamma=0.1"


def test_a_failed_run_has_the_worst_regret():
    bad = record(seed=1, curve=[], error="boom")
    collected = statistics.collect([record(curve=[(1, 300.0)]), bad])["a"]
    assert collected.failed == 1
    assert np.all(collected.regret["branin", 1] == collected.regret["branin", 0].max())


def test_rank_difference_signs_and_certainty():
    better, worse = runs("a", 0.0), runs("b", 0.1)
    cells = statistics.shared_cells(better, worse)
    interval = statistics.rank_difference(better, worse, cells, 100)
    assert (interval.estimate, interval.low, interval.high) == (-1, -1, -1)
    assert statistics.rank_difference(better, better, cells, 100).estimate == 0


def test_bootstrap_interval_has_the_width_of_its_standard_error():
    rng = np.random.default_rng(1)
    a, b = (Runs(n, {("branin", s): rng.random(1) for s in range(400)}, 0) for n in "ab")
    interval = statistics.rank_difference(a, b, statistics.shared_cells(a, b), 1)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / 20, rel=0.1)


def descending(label, last, n_seeds=20, trials=100):
    """Regret falls in equal steps from 1 to ``last`` at the end."""
    return Runs(label, {("branin", s): np.linspace(1.0, last, trials) for s in range(n_seeds)}, 0)


def test_trials_to_reach_the_peers_final_regret():
    fast, slow = descending("a", 0.0), descending("b", 0.5)
    cells = statistics.shared_cells(fast, slow)
    found = statistics.reach(fast, slow, cells)
    assert (found.trials.estimate, found.trials.low, found.trials.high) == (51, 51, 51)
    assert (found.share, found.own) == (1.0, 100)
    behind = statistics.reach(slow, fast, cells)
    assert behind.trials.estimate == behind.trials.high == np.inf
    assert behind.share == 0.0
    assert "b needs > 100 [> 100, > 100] trials" in tables.comparison(slow, fast)
    assert "a needs 51 [51, 51] trials to reach b's regret after 100; b itself 100" in tables.comparison(
        fast, slow
    )


def test_reach_is_a_median_with_an_interval():
    rng = np.random.default_rng(2)
    starts = rng.integers(1, 101, 200)
    ours = Runs(
        "a", {("branin", s): np.where(np.arange(1, 101) < t, 1.0, 0.0) for s, t in enumerate(starts)}, 0
    )
    theirs = Runs("b", {("branin", s): np.full(100, 0.5) for s in range(200)}, 0)
    found = statistics.reach(ours, theirs, statistics.shared_cells(ours, theirs))
    assert found.trials.estimate == np.sort(starts)[99]
    assert found.trials.low < found.trials.estimate < found.trials.high
    assert found.trials.high - found.trials.low == pytest.approx(2 * 1.96 * 0.5 * 100 / 200**0.5, rel=0.4)


def test_mean_ranks_share_ties():
    first, second = runs("a", 0.0), runs("b", 0.0)
    assert statistics.mean_ranks([first, second, runs("c", 1.0)], 50) == {"a": 1.5, "b": 1.5, "c": 3.0}


def test_holm_by_hand():
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.6, 0.7]) == [1.0, 1.0]


def test_family_tests_find_the_better_and_only_it():
    tests = statistics.family_tests(runs("a", 0.0), runs("b", 0.1), 100)
    assert {t.family: t.verdict for t in tests} == {"synthetic": "better", "conditional": "better"}
    assert [t.verdict for t in statistics.family_tests(runs("b", 0.1), runs("a", 0.0), 100)] == ["WORSE"] * 2
    same = statistics.family_tests(runs("a", 0.0), runs("b", 0.0), 100)
    assert [(t.win, t.tie, t.loss, t.p) for t in same] == [(0, 20, 0, 1.0)] * 2


def test_comparison_shows_failures():
    text = tables.comparison(runs("a", 0.0), Runs("b", runs("b", 0.1).regret, 3))
    assert "3 failed runs of b" in text
    assert "20/0/0" in text


def test_markdown_lines_up():
    lines = markdown(["a", "b"], [["x", "1"], ["longer", "22"]]).splitlines()
    assert len({len(line) for line in lines}) == 1
