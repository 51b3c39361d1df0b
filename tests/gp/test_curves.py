"""The model of curves: against a dense oracle, whatever the order, and what it decides."""

from __future__ import annotations

import math

import numpy as np
import pytest

import hpo_core as hpo
from hpo_core.gp.chain import ChainModel
from hpo_core.gp.fit import GPSettings
from hpo_core.gp.horizon import Promise, promise
from hpo_core.log import Move, State
from hpo_core.native.covariance import Structure
from hpo_core.samplers.curves import ladder, read
from tests.oracles import curves as oracle

SPACE = {"u": hpo.Float(0, 1), "v": hpo.Float(0, 1)}
STEPS = 12


def curve(params, step):
    """Falls towards a level that is lowest at (0.3, 0.6); fast learners end higher."""
    u, v = params["u"], params["v"]
    return (u - 0.3) ** 2 + (v - 0.6) ** 2 + 0.5 * math.exp(-step * (0.2 + u)) + 0.1 * u


def train(trial, steps=STEPS):
    value = math.nan
    for step in range(trial.last_step + 1 if trial.last_step is not None else 0, steps):
        value = curve(trial.params, step)
        trial.report(step, value)
        if trial.should_stop():
            break
    return value


def finished(n=18, seed=0, **options):
    options.setdefault("sampler", "gp")
    options.setdefault("scheduler", hpo.FreezeThaw(max_steps=STEPS, min_steps=2))
    study = hpo.Study(options.pop("space", SPACE), seed=seed, **options)
    study.optimize(train, n_trials=n)
    return study


@pytest.fixture(scope="module")
def study():
    return finished()


def chain_of(study):
    history = study.history
    curves = read(history, ladder(history))
    model = ChainModel(Structure(history.layout), GPSettings())
    return model.of(curves, float(curves.best.min()))


def test_values_at_rungs_are_those_of_plain_loops():
    scheduler = hpo.Threshold(upper=100.0)
    study = hpo.Study(SPACE, scheduler=scheduler, sampler="random", seed=0)
    rng, reports, complete = np.random.default_rng(3), [], {}
    for i in range(40):
        trial = study.ask()
        steps = np.flatnonzero(rng.random(16) < rng.choice([0.1, 0.5, 1.0]))[: rng.integers(0, 17)]
        reports.append([(int(step), float(rng.normal())) for step in steps])
        for step, value in reports[-1]:
            trial.report(step, value)
        if i % 3 == 0:
            complete[i] = float(rng.normal())
            study.tell(trial, complete[i])
    depths = np.array([2, 5, 9, 16])
    curves = read(study.history, depths)
    values, levels = oracle.at_rungs(reports, depths.tolist(), complete)
    kept = np.flatnonzero((levels >= 0) & np.array([bool(each) for each in reports]))
    np.testing.assert_array_equal(curves.rows, kept)
    np.testing.assert_array_equal(curves.level, levels[kept])
    np.testing.assert_array_equal(curves.values, values[kept])


def test_prediction_at_the_horizon_is_that_of_one_dense_gaussian(study):
    """Known values of all curves at all rungs, jointly, against one process per rung."""
    chain = chain_of(study)
    curves = chain.curves
    new = np.random.default_rng(0).random((2, 5))
    x = np.concatenate([curves.x, new], axis=1)
    posteriors = [step.posterior for step in chain.steps]
    assert all(posterior is not None for posterior in posteriors)
    kernels = np.array([_correlations(posterior, x) for posterior in posteriors])
    noises = np.array([posterior.hyper.noise + posterior.jitter for posterior in posteriors])
    mean, covariance = oracle.dense(
        kernels,
        np.array([posterior.mu for posterior in posteriors]),
        np.array([posterior.s2 for posterior in posteriors]),
        np.array([step.slope for step in chain.steps]),
        noises,
    )
    values = np.full((x.shape[1], len(chain.steps)), np.nan)
    values[: len(curves.rows)] = chain.z
    expected, variance = oracle.at_last_rung(mean, covariance, values)
    level = np.concatenate([curves.level, np.full(5, -1)])
    z = np.concatenate([chain.z[np.arange(len(curves.rows)), curves.level], np.zeros(5)])
    got, got_variance = chain.at_horizon(x, level, z)
    ours = np.flatnonzero(level < len(chain.steps) - 1)
    np.testing.assert_allclose(got[ours], expected[ours], rtol=1e-5, atol=1e-6)
    own = np.sum(chain.weights**2 * np.array([posterior.s2 for posterior in posteriors]) * noises)
    extra = np.where(level < 0, -own, 0.0)  # a new curve is judged without what is its own
    np.testing.assert_allclose(got_variance[ours], (variance + extra)[ours], rtol=1e-4, atol=1e-7)


def _correlations(posterior, x):
    joint = posterior.covariance(x) / posterior.s2
    columns = posterior.columns(x)
    return joint + columns.T @ columns


def test_gradient_of_the_promise_is_that_of_central_differences(study):
    criterion = Promise(chain_of(study))
    x = np.random.default_rng(1).uniform(0.1, 0.9, (2, 6))
    _, gradient = criterion.gradient(x)
    for i in range(2):
        step = np.zeros((2, 1))
        step[i] = 1e-5
        difference = (criterion.value(x + step) - criterion.value(x - step)) / 2e-5
        np.testing.assert_allclose(gradient[i], difference, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("sampler", ["gp", "auto", "tpe"])
def test_suggestions_are_the_same_from_a_cache_and_from_scratch(sampler):
    study = finished(12, sampler=sampler)
    fresh = {"gp": hpo.GPSampler, "auto": hpo.AutoSampler, "tpe": hpo.TPESampler}[sampler]()
    fresh.start(study.space, seed=0)
    first = len(study.history)
    one = fresh.ask(study.history, first, 1)
    other = study.ask()
    assert one.resume == (other.number if other.number < first else -1)
    if one.resume < 0:
        np.testing.assert_array_equal(one.x[:, 0], study.history.x[:, -1])


@pytest.mark.parametrize("sampler", ["gp", "auto", "tpe"])
def test_replay_derives_every_suggestion_and_continuation_again(sampler):
    study = finished(14, sampler=sampler)
    assert np.count_nonzero(study.history.moves.kind == Move.RESUMED) > 3
    assert study.replay()


def test_the_model_continues_trials_that_the_rule_does_not_and_leaves_most_paused(study):
    history = study.history
    assert history.count(State.PAUSED) > 0
    depth = history.reports.step[history.last_report] + 1
    assert depth.max() == STEPS
    assert np.median(depth) < STEPS


def test_a_good_curve_goes_on_and_after_bad_ones_a_new_one_begins():
    """All that differs between two studies is how low the last curve lies."""
    went_on = []
    for value in (-0.5, 5.0):
        study = hpo.Study(SPACE, sampler="gp", scheduler=hpo.FreezeThaw(max_steps=12, min_steps=3), seed=0)
        trials = [study.ask() for _ in range(10)]
        for i, trial in enumerate(trials):
            last = 12 if i < 4 else 3
            level = value if i == 9 else 1.0 + trial.params["u"]
            for step in range(last):
                trial.report(step, level + 1.0 / (1 + step))
                if trial.should_stop() and i >= 4:
                    study.tell(trial, level)
                    break
            else:
                study.tell(trial, level)
        chain = chain_of(study)
        paused = np.flatnonzero(chain.curves.level < len(chain.curves.depths) - 1)
        z = chain.z[paused, chain.curves.level[paused]]
        promised = promise(chain, chain.curves.x[:, paused], chain.curves.level[paused], z)
        new = promise(chain, np.random.default_rng(0).random((2, 64)), np.full(64, -1), np.zeros(64)).max()
        last = promised[chain.curves.rows[paused] == 9][0]
        went_on.append(last > new)
    assert went_on == [True, False]


@pytest.mark.parametrize(
    "options",
    [
        {"direction": "maximize"},
        {"sampler": "auto"},
        {"scheduler": hpo.ASHA(max_steps=STEPS, min_steps=2)},
        {"scheduler": hpo.ASHA(max_steps=STEPS, min_steps=2, mode="promote")},
        {"scheduler": hpo.Median()},
        {
            "space": {
                "u": hpo.Float(0, 1),
                "kind": hpo.Categorical({"a": {"v": hpo.Float(0, 1)}, "b": {"w": hpo.Float(0, 1)}}),
            }
        },
        {"space": {"u": hpo.Ordinal([0.0, 0.5, 1.0]), "v": hpo.Ordinal([0.0, 0.5, 1.0])}},
    ],
    ids=["maximize", "auto", "stop", "promote", "median", "branches", "finite"],
)
def test_every_kind_of_study_runs_and_replays(options):
    def objective(trial):
        params = {"u": trial.params["u"], "v": trial.params.get("v", 0.4)}
        sign = -1.0 if options.get("direction") == "maximize" else 1.0
        value = math.nan
        for step in range(trial.last_step + 1 if trial.last_step is not None else 0, STEPS):
            if trial.number % 7 == 5 and step == 1:
                raise hpo.TrialFailed("oom")
            value = sign * curve(params, step)
            trial.report(step, value)
            if trial.should_stop():
                break
        return value

    options = {"sampler": "gp", "scheduler": hpo.FreezeThaw(max_steps=STEPS, min_steps=2), **options}
    study = hpo.Study(options.pop("space", SPACE), seed=1, **options)
    study.optimize(objective, n_trials=14)
    assert study.history.count(State.RUNNING) == 0
    assert study.replay()


def test_several_metrics_are_left_to_the_rule():
    metrics = {"loss": hpo.Minimize(), "size": hpo.Minimize()}
    study = hpo.Study(
        SPACE, metrics=metrics, sampler="gp", scheduler=hpo.FreezeThaw(max_steps=4, min_steps=1), seed=0
    )

    def objective(trial):
        told = {}
        for step in range(trial.last_step + 1 if trial.last_step is not None else 0, 4):
            told = {"loss": curve(trial.params, step), "size": trial.params["u"]}
            trial.report(step, told)
            if trial.should_stop():
                break
        return told

    study.optimize(objective, n_trials=16)
    assert np.count_nonzero(study.history.moves.kind == Move.RESUMED) > 0
    assert study.replay()


def test_running_trials_are_spread_and_batches_are_new():
    study = finished(12)
    batch = study.ask(6)
    again = [study.ask() for _ in range(4)]
    assert len({tuple(x) for x in study.history.x.T}) == len(study.history)
    assert len({trial.number for trial in again} | set(batch.number.tolist())) == 10


def test_trials_without_reports_are_modelled_as_without_a_scheduler():
    studies = [
        hpo.Study(SPACE, sampler="gp", scheduler=scheduler, seed=0)
        for scheduler in (None, hpo.FreezeThaw(max_steps=STEPS))
    ]
    for each in studies:
        each.optimize(lambda trial: curve(trial.params, STEPS), n_trials=12)
    np.testing.assert_array_equal(studies[0].history.x, studies[1].history.x)
