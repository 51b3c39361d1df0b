"""Running, resuming and recording, with the optimiser that needs nothing else."""

from __future__ import annotations

import argparse
import sys
from types import SimpleNamespace

import pytest

from bench import environments, isolate, records, report
from bench.quality import ablation, command, problems, runner, statistics, worker
from bench.section import Section

JOBS = runner.jobs("plain-random", {}, ["branin", "training_curve"], range(2), 10)


def test_a_worker_process_answers_and_the_file_is_resumed(tmp_path):
    path = tmp_path / "runs.jsonl"
    assert runner.run(JOBS, path, n_workers=2) == 0
    held = records.read(path)
    assert len(held) == len(JOBS) == 4
    assert all(r["error"] is None and r["seconds"] > 0 and r["versions"] for r in held)
    assert runner.missing(JOBS, path, None) == []
    assert len(runner.missing(runner.jobs("plain-random", {}, ["branin"], range(3), 10), path, None)) == 1
    assert len(runner.missing(JOBS, path, {"numpy": "0"})) == 4, "other versions do not count"


def test_runs_repeat_bit_for_bit():
    first, second = (worker.run(JOBS[1]) for _ in range(2))
    assert first["curve"] == second["curve"]
    values = [v for _, v in first["curve"]]
    assert len(values) > 1


def test_the_incumbent_is_chosen_by_what_was_observed():
    problem = SimpleNamespace(
        fails=lambda c, n, u: False, observed=lambda c, u: -c["x"], true_value=lambda c: c["x"]
    )
    asked = iter([1, 3, 2])
    optimiser = SimpleNamespace(ask=lambda: (None, {"x": next(asked)}), tell=lambda h, v: None)
    outcome = worker.Outcome()
    worker.optimise(optimiser, problem, [0.5] * 3, outcome)
    assert outcome.curve == [(1, 1), (2, 3)]
    assert outcome.recommended == [], "it recommends nothing of its own"
    optimiser.recommend, asked = lambda: {"x": 2}, iter([1, 3, 2])
    worker.optimise(optimiser, problem, [0.5] * 3, outcome)
    assert outcome.recommended == [(3, 2)], "the true value of what is recommended after the last trial"


def test_recommendations_are_recorded_at_checkpoints():
    noisy, quiet = (
        worker.run(runner.jobs("gp", {}, [name], [0], 30)[0]) for name in ("training_curve", "branin")
    )
    for record in (noisy, quiet):
        assert [number for number, _ in record["recommended"]] == [25, 30]
        assert all(value >= problems.get(record["problem"]).best for _, value in record["recommended"])
    assert dict(quiet["recommended"])[30] == quiet["curve"][-1][1], "without noise the best observed one"


def test_an_exception_and_a_dead_worker_are_records(tmp_path):
    failed = worker.run({**JOBS[0], "settings": {"nonsense": 1}})
    assert "no settings" in failed["error"]
    dead = runner.Worker(str(tmp_path / "no-python"))
    with pytest.raises(OSError, match="no-python"):
        dead.run(JOBS[0])
    dead = runner.Worker(sys.executable)
    dead._start = lambda: __import__("subprocess").Popen(
        [sys.executable, "-c", "raise SystemExit(3)"], stdin=-1, stdout=-1, text=True
    )
    assert "status 3" in dead.run(JOBS[0])["error"]


def test_compacting_drops_torn_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"k":1,"v":1}\n{"k":1,"v"')
    records.append(path, {"k": 1, "v": 2})
    records.append(path, {"k": 2, "v": 3})
    assert records.read(path) == [{"k": 1, "v": 1}, {"k": 1, "v": 2}, {"k": 2, "v": 3}]
    records.compact(path, "k")
    assert records.read(path) == [{"k": 1, "v": 2}, {"k": 2, "v": 3}]


def test_settings_are_literals_or_strings():
    assert command.parse_settings(["a=0.5", "b=x", "c=None"]) == {"a": 0.5, "b": "x", "c": None}
    assert ablation.variations(["a=1,2", "b=x"]) == [{"a": 1}, {"a": 2}, {"b": "x"}]
    with pytest.raises(SystemExit, match="KEY=VALUE"):
        command.parse_settings(["a"])


def test_peers_interpreter_can_be_named(monkeypatch):
    monkeypatch.setenv("HPO_BENCH_PEER_OPTUNA", "/somewhere/python")
    assert environments.interpreter("optuna") == "/somewhere/python"


def test_an_isolated_failure_is_a_record():
    assert "ended with status 1" in isolate.call("bench.timing", "nothing_of_that_name")["error"]


def test_checked_in_peer_runs_are_complete_and_sound():
    held = records.read(command.results_file("optuna-tpe"))
    cells = {(r["optimiser"], r["problem"], r["seed"]) for r in held if r["seed"] < command.SEEDS}
    assert sum(name.startswith("optuna-tpe") for name, _, _ in cells) == 14 * 20 + 2 * 20
    for runs in statistics.collect(held).values():
        assert runs.failed == 0
        assert all((regret >= 0).all() for regret in runs.regret.values())


def test_without_against_nothing_of_the_peers_is_run(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "results_file", lambda name: tmp_path / f"{name}.jsonl")
    monkeypatch.setattr(command, "SCRATCH", tmp_path / "runs.jsonl")
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = ["--optimiser", "plain-random", "--problems", "branin", "--seeds", "2", "--trials", "10"]
    assert command.run(parser.parse_args(words)) == 0
    assert "share no run" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["runs.jsonl"]


def test_report_says_first_where_we_lose():
    section = Section("Speed", ["a table", ""])
    section.hold(met=True, otherwise="not said")
    section.hold(met=False, otherwise="too slow")
    page = report.render([section, Section("Empty")])
    assert "- Speed: too slow" in page
    assert page.index("too slow") < page.index("a table")
    assert "not said" not in page
    assert "Empty" not in page
