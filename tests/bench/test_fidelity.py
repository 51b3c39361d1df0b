"""Early stopping: the virtual clock, the learning curves, our own rows, and what the report says."""

from __future__ import annotations

import argparse
import itertools
import json

import numpy as np
import pytest

import hpo_core as hpo
from bench import records
from bench.__main__ import parser
from bench.fidelity import clock, command, report, rows, tables, worker
from bench.fidelity.optimiser import ENTRIES, Training
from bench.fidelity.peers import hpo_core_study, plain
from bench.quality import runner, statistics
from bench.quality.spec import Parameter, draw
from hpo_core.executors import Simulated


class Falling:
    """Losses that fall from x + 1 towards x; no two trainings take the same time."""

    name, epochs = "falling", 9
    parameters = (Parameter("x", "float", 0.0, 1.0),)

    def curve(self, config):
        return config["x"] + 1 / (1 + np.arange(self.epochs))

    def curves(self, configs):
        return np.array([self.curve(config) for config in configs])

    def seconds(self, config):
        return (1 + 0.1 * config["x"]) * np.arange(1, self.epochs + 1) ** 1.01


def trained(optimiser, *, workers=1, horizon=100.0, task=None):
    task, found = task or Falling(), clock.Found()
    ends = clock.unit_epochs(task) if workers == 1 else task.seconds
    clock.train(optimiser, task, found, workers=workers, ends=ends, horizon=horizon)
    return found


def test_one_worker_spends_the_budget_in_epochs():
    found = trained(plain.PlainRandom(Falling(), 0))
    assert (found.epochs, found.trainings, found.full) == (100, 12, 11)
    rng = np.random.default_rng(0)
    full = [draw(Falling.parameters, rng)["x"] + 1 / 9 for _ in range(11)]
    assert found.curve[-1][1] == pytest.approx(min(full))
    assert all(at <= 100 for at, _ in found.curve)
    assert [loss for _, loss in found.curve] == sorted((loss for _, loss in found.curve), reverse=True)


def test_many_workers_share_the_time():
    found = trained(plain.PlainRandom(Falling(), 0), workers=16, horizon=30.0)
    assert 16 * 25 < found.epochs < 16 * 30
    assert found.trainings == found.full + 16


def test_the_horizon_of_many_workers_is_what_random_trainings_take():
    horizon = clock.horizon(Falling(), 900, 16)
    found = trained(plain.PlainRandom(Falling(), 1), workers=16, horizon=horizon)
    assert found.epochs == pytest.approx(900, rel=0.1)


def test_three_epochs_continues_the_best_of_each_round():
    class Watched(plain.ThreeEpochs):
        asked: list[Training] = []  # noqa: RUF012

        def ask(self):
            self.asked.append(super().ask())
            return self.asked[-1]

    optimiser = Watched(Falling(), 0)
    trained(optimiser, horizon=200.0)
    first, (best, *_) = optimiser.asked[: plain.WIDTH], optimiser.asked[plain.WIDTH :]
    assert [t.until for t in first] == [3] * plain.WIDTH
    assert best.config == min((t.config for t in first), key=lambda c: c["x"])
    assert best.until == 9
    later = [t.config["x"] for t in optimiser.asked if t.until == 9]
    assert len(later) == len(set(later)) >= 2


OURS = [
    {"scheduler": "", "sampler": "random"},
    {"scheduler": "asha", "sampler": "random"},
    {"scheduler": "asha", "sampler": "tpe", "mode": "promote"},
    {"scheduler": "hyperband", "sampler": "gp"},
    {"scheduler": "median", "sampler": "tpe", "n_candidates": 8},
]


@pytest.mark.parametrize("settings", OURS, ids=lambda s: s["scheduler"] or "full")
@pytest.mark.parametrize("workers", [1, 4])
def test_our_rows_run(settings, workers):
    optimiser = hpo_core_study.create(Falling(), 0, settings)
    found = trained(optimiser, workers=workers)
    assert found.full > 1
    if settings["scheduler"] in ("", "median"):  # losses that never cross: whoever is worse is seldom so late
        assert found.trainings <= found.full + workers + 5
    else:
        assert found.trainings > found.full + workers
    assert found.curve[-1][1] < 0.5


@pytest.mark.parametrize("mode", ["stop", "promote"])
def test_the_simulated_executor_has_the_course_of_this_clock(mode, tmp_path):
    task = Falling()
    scheduled = hpo_core_study.create(task, 3, {"scheduler": "asha", "sampler": "random", "mode": mode})
    trained(scheduled, workers=5, horizon=60.0)

    def train(trial):
        losses = task.curve(trial.params)
        for step in trial.steps(task.epochs):
            trial.report(step, losses[step])
            if trial.should_stop():
                break
        return losses[step]

    def seconds(trial, step):
        return float(np.diff(task.seconds(trial.params), prepend=0.0)[step])

    study = hpo.Study(
        {"x": hpo.Float(0, 1)},
        sampler="random",
        scheduler=hpo.ASHA(mode=mode),
        seed=3,
        checkpoints=tmp_path,
    )
    study.optimize(train, n_trials=200, executor=Simulated(5, seconds=seconds))
    here, there = (s.history.reports for s in (scheduled._study, study))
    n = len(here.row)
    assert 150 < n < len(there.row)
    for column in ("row", "step", "value"):
        assert np.array_equal(getattr(here, column), getattr(there, column)[:n])
    k = len(scheduled._study.history.moves.row)
    assert k > 50
    assert np.array_equal(scheduled._study.history.moves.row, study.history.moves.row[:k])


def test_records_keep_what_the_checkpoints_read():
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 2600, 400))
    curve = [*zip(times.tolist(), np.sort(rng.random(400))[::-1].tolist(), strict=True)]
    thin = worker.thinned(curve, 1.0)
    assert len(thin) <= 200
    expanded = statistics.expand(thin, rows.EPOCHS)
    for checkpoint in rows.CHECKPOINTS:
        exact = min(loss for at, loss in curve if at <= checkpoint)
        assert expanded[checkpoint - 1] == pytest.approx(exact, rel=1e-5)
    assert worker.thinned([(0.5, 1.0), (1.0, 0.5)], 2600.0) == [(1300, 1.0), (2600, 0.5)]


curves_are_here = pytest.mark.skipif(bool(tables.missing()), reason=tables.missing() or "they are here")


@curves_are_here
@pytest.mark.parametrize("name", [tables.NAMES[0], tables.NAMES[-1]])
def test_curves_are_the_same_alone_and_together(name):
    task, rng = tables.get(name), np.random.default_rng(0)
    configs = [draw(task.parameters, rng) for _ in range(5)]
    together = task.curves(configs)
    assert together.shape == (5, task.epochs)
    assert np.allclose(together[3], task.curve(configs[3]))
    assert np.isfinite(together).all()
    assert np.all(np.diff(task.seconds(configs[0])) >= 0)
    least, median = rows.scale()[name]
    assert least < median < together.max()


@curves_are_here
def test_a_tables_own_configurations_are_found():
    task = tables.get(tables.NAMES[-1])
    for row in (0, 17, 999):
        units = zip(task.parameters, task.points[row], strict=True)
        config = {p.name: p.low * (p.high / p.low) ** u for p, u in units}
        assert task.row(config) == row
        assert np.array_equal(task.curve(config), task.losses[row])


@curves_are_here
def test_a_job_is_run_and_repeats():
    jobs = rows.jobs("three-epochs", tables.NAMES[-1:], range(1), rows.MANY)
    first, second = (worker.run({**job, "trials": 260}) for job in (*jobs, *jobs))
    assert first["error"] is None
    assert first["curve"] == second["curve"] != []
    failed = worker.run({**jobs[0], "settings": {"nonsense": 1}})
    assert "no settings" in failed["error"]


def test_without_curves_nothing_is_run_and_nothing_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HPO_BENCH_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    assert command.run(parser().parse_args(["fidelity"])) == 0
    assert "HPO_BENCH_DATA" in capsys.readouterr().out


def test_the_scale_knows_every_task():
    assert set(json.loads(rows.SCALE.read_text())) == set(tables.NAMES)
    assert all(least < median for least, median in rows.scale().values())


def made(name, task, seed, loss, settings=None, error=None):
    """A record whose loss falls by half of what is left at each checkpoint."""
    least, median = rows.scale()[task]
    curve = [(c, least + loss * (median - least) / 2**k) for k, c in enumerate((13, *rows.CHECKPOINTS))]
    (job,) = rows.jobs(name, [task], [seed], settings or {}) or [None]
    counts = {"trainings": 60, "full": 20, "suggest_seconds": 1.0, "load": 1.0}
    about = {"versions": {"x": "1"}, "threads": 1, "date": "2026-11-29", "machine": MACHINE}
    return {**job, "curve": curve, **counts, **about, "error": error}


MACHINE = {"cpu": "c", "cores": 2, "memory_gib": 1, "system": "s", "python": "3"}


@pytest.fixture
def on_file(tmp_path, monkeypatch):
    """Records of three rows: ours that stops early is behind full trainings, and ahead of a peer's."""
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    for name, loss in (("gp", 0.2), ("gp+asha", 0.3), ("optuna-tpe+hyperband", 0.9)):
        for task, seed in itertools.product(tables.NAMES[:2], range(2)):
            records.append(rows.results_file(name), made(name, task, seed, loss))
    return tmp_path


def test_regret_is_of_the_best_loss_known(on_file):
    held = rows.on_file()
    known = rows.best(held)
    runs = rows.collect(held, {}, known)
    assert [*runs] == ["gp", "gp+asha", "optuna-tpe+hyperband"]
    regret = runs["gp"].regret[tables.NAMES[0], 0]
    assert len(regret) == rows.EPOCHS
    assert np.isinf(regret[0])
    assert regret[[259, 649, 1299, 2599]] == pytest.approx([0.1, 0.05, 0.025, 0.0125], rel=1e-3)
    least, median = rows.scale()[tables.NAMES[0]]
    better = {**held[0], "curve": [(13, least - (median - least))]}
    assert rows.best([better])[better["problem"]] == better["curve"][0][1]


def test_losses_stand_first(on_file):
    section = report.section()
    assert len(section.losses) == 5  # four checkpoints, and the epochs that are saved
    assert "after 260 gp has mean rank 1.00, our best that stops early, gp+asha, 2.00" in section.losses[0]
    assert "gp+asha needs" in section.losses[-1]
    text = report.record()
    assert text.index("Where we lose") < text.index("Mean rank") < text.index("Mean normalised regret")
    assert "still to be made" in text


def test_rows_with_other_settings_are_tables_of_their_own(on_file):
    for seed in range(2):
        for name, loss in (("gp", 0.2), ("gp+asha", 0.1)):
            records.append(rows.results_file(name), made(name, tables.NAMES[0], seed, loss, rows.MANY))
    held = rows.on_file()
    text = report.tables(held)
    assert "16 workers" in text
    changed = made("gp+asha", tables.NAMES[0], 0, 0.05, {"factor": 4})
    assert "gp+asha factor=4" in report.tables([*held, changed], {"factor": 4})
    assert not any("16 workers" in line for line in report.section().losses)


def test_every_row_is_a_command():
    arguments = parser().parse_args(["fidelity", "--rows", *ENTRIES, "--workers", "16"])
    assert isinstance(arguments, argparse.Namespace)
    for name, entry in ENTRIES.items():
        assert rows.jobs(name, entry.problems, range(1), {})
        assert rows.results_file(name).name.startswith("fidelity-")
    assert len(runner.jobs("gp", {}, tables.NAMES, range(2), 2600, ENTRIES)) == 2 * len(tables.NAMES)
