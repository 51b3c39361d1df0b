"""Which sampler answers when, that it is on record, and that replay follows the record."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from studies import noisy_study

import hpo_core as hpo
from hpo_core import Categorical, Float
from hpo_core.samplers import auto
from hpo_core.samplers.auto import Clock

SQUARE = {"x": Float(-1, 1), "y": Float(-1, 1)}


def sphere(trial):
    return trial["x"] ** 2 + trial["y"] ** 2


def values(batch):
    return batch["x"] ** 2 + batch["y"] ** 2


def searched(sampler, n, seed=0):
    study = hpo.Study(SQUARE, sampler=sampler, seed=seed)
    study.optimize(sphere, n_trials=n)
    return study


def told(n):
    """A study of n trials at once."""
    study = hpo.Study(SQUARE, sampler="auto", seed=0)
    batch = study.ask(n)
    study.tell(batch, values(batch))
    return study


def test_small_studies_are_those_of_the_gaussian_process():
    ours, gp = searched("auto", 25), searched("gp", 25)
    np.testing.assert_array_equal(ours.history.x, gp.history.x)
    assert ours.trials.tier.tolist() == gp.trials.tier.tolist()
    assert ours.trials[-1].tier == "gp"


def test_tpe_takes_over_where_trials_or_picks_are_many(monkeypatch):
    monkeypatch.setattr(auto, "MAX_TRIALS", 40)
    study = told(40)
    assert study.ask().tier == "gp"
    assert set(study.ask(auto.MAX_BATCH).tier) == {"gp"}
    assert set(study.ask(auto.MAX_BATCH + 1).tier) == {"tpe"}
    study.tell(study.ask(), 0.5)
    assert set(study.ask(2).tier) == {"tpe"}
    assert study.replay()


def long_search(sampler="auto", n=80, **options):
    study = hpo.Study(SQUARE, sampler=sampler, seed=0, **options)
    study.optimize(sphere, n_trials=n)
    return study


def test_a_long_search_is_refined_in_turns(monkeypatch):
    monkeypatch.setattr(auto, "MAX_TRIALS", 40)
    monkeypatch.setattr(auto, "MAX_LOCAL_TRIALS", 70)
    study = long_search(n=100)
    origins = study.trials.origin.tolist()
    assert origins[12:41] == ["gp"] * 29
    assert set(origins[41:71]) == {"tpe", "gp", "cma"}
    assert set(origins[71:]) == {"tpe", "cma"}
    replay = study.replay()
    assert replay, str(replay)
    again = pickle.loads(pickle.dumps(study))
    for _ in range(3):
        ours, its = study.ask(), again.ask()
        assert ours.params == its.params
        assert ours.origin == its.origin


def test_a_long_search_with_several_trials_running_is_replayed(monkeypatch):
    monkeypatch.setattr(auto, "MAX_TRIALS", 20)
    study, running = told(20), []
    for k in range(60):
        running.append(study.ask())
        if k % 6 == 0:
            study.enqueue({"x": 0.25})
        if len(running) == 4:
            trial = running.pop((7 * k) % 4)
            if k % 9 == 4:
                study.fail(trial)
            else:
                study.tell(trial, sphere(trial))
    assert {"gp", "cma", "tpe", "enqueued"} <= set(study.trials.origin[21:])
    replay = study.replay()
    assert replay, str(replay)


def test_wide_long_searches_take_turns_without_a_gaussian_process(monkeypatch):
    monkeypatch.setattr(auto, "MAX_TRIALS", 20)
    monkeypatch.setattr(auto, "MAX_LOCAL", 1)
    assert set(long_search(n=50).trials.origin[22:]) == {"tpe", "cma"}


def test_a_long_search_among_categories_alone_has_no_cma(monkeypatch):
    monkeypatch.setattr(auto, "MAX_TRIALS", 15)
    space = {name: Categorical([*"abcdefg"]) for name in "xyz"}
    study = hpo.Study(space, sampler="auto", seed=0)
    study.optimize(lambda trial: sum(ord(trial[name]) for name in "xyz"), n_trials=40)
    assert set(study.trials.origin[17:]) == {"tpe", "gp"}


def test_turns_are_for_one_objective_without_a_scheduler(monkeypatch):
    monkeypatch.setattr(auto, "MAX_TRIALS", 20)
    two = {"a": hpo.Minimize(), "b": hpo.Minimize()}
    several = hpo.Study(SQUARE, metrics=two, sampler="auto", seed=0)
    several.optimize(lambda trial: (trial["x"] ** 2, trial["y"] ** 2), n_trials=26)
    stopping = long_search(n=26, scheduler=hpo.schedulers.Median(min_trials=30))
    timed = long_search(hpo.AutoSampler(max_ms=1e6), n=26)
    for study in (several, stopping, timed):
        assert set(study.trials.origin[22:]) == {"tpe"}


def test_a_long_search_goes_on_getting_better(monkeypatch):
    """TPE alone stays where it is; with the others it finds the valley's floor."""
    monkeypatch.setattr(auto, "MAX_TRIALS", 60)

    def valley(trial):
        x, y = 2 * trial["x"], 2 * trial["y"]
        return 100 * (y - x * x) ** 2 + (1 - x) ** 2

    found, by_turns = {}, auto.LongSearch.next
    for name, whose in (("turns", by_turns), ("tpe", lambda *_: "tpe")):
        monkeypatch.setattr(auto.LongSearch, "next", whose)
        values = []
        for seed in range(3):
            study = hpo.Study(SQUARE, sampler="tpe", seed=seed)
            study.optimize(valley, n_trials=61)
            longer = hpo.Study(SQUARE, sampler="auto", seed=seed)
            longer.add(study.trials.params, study.trials.values)
            longer.optimize(valley, n_trials=150)
            values.append(longer.best_value)
        found[name] = np.mean(np.log10(values))
    assert found["turns"] < found["tpe"] - 1


def test_branches_are_searched_by_the_gaussian_process():
    branches = {"kind": Categorical({"a": {"x": Float(-1, 1)}, "b": {"y": Float(-1, 1)}})}
    ours, gp = (hpo.Study(branches, sampler=name, seed=0) for name in ("auto", "gp"))
    for study in (ours, gp):
        study.enqueue({"kind": "a"})
        study.optimize(lambda trial: trial.params.get("x", 0.1) ** 2, n_trials=21)
    np.testing.assert_array_equal(ours.history.x, gp.history.x)
    assert ours.trials.tier.tolist() == gp.trials.tier.tolist()
    assert ours.trials.tier.tolist()[4:] == ["gp"] * 17
    assert set(ours.ask(8).tier) == {"gp"}
    assert ours.replay()


def test_trials_that_run_do_not_count(monkeypatch):
    monkeypatch.setattr(auto, "MAX_TRIALS", 40)
    study = told(40)
    study.ask(60)
    assert study.ask().tier == "gp"


def test_wide_spaces_are_given_up_earlier():
    assert auto.is_affordable(1000, 200, 1)
    assert not auto.is_affordable(1000, 201, 1)
    assert auto.is_affordable(100, 5000, 64)
    assert not auto.is_affordable(1001, 1, 1)


def test_several_models_are_given_up_earlier_and_what_is_known_is_none(monkeypatch):
    assert auto.is_affordable(707, 1, 1, models=2)
    assert not auto.is_affordable(708, 1, 1, models=2)
    assert not auto.is_affordable(500, 500, 1, models=2)
    monkeypatch.setattr(auto, "MAX_TRIALS", 20)
    tiers = []
    for second in (hpo.Minimize(known=lambda columns: columns["x"]), hpo.Minimize()):
        study = hpo.Study(SQUARE, metrics={"a": hpo.Minimize(), "b": second}, sampler="auto", seed=0)
        told = sphere if second.known else (lambda t: (sphere(t), t["x"]))
        study.optimize(told, n_trials=16)
        tiers.append(study.ask().tier)
    assert tiers == ["gp", "tpe"]


def test_estimates_are_those_of_the_gaussian_process_while_it_is_affordable(monkeypatch):
    study = hpo.Study(SQUARE, metrics={"a": hpo.Minimize(), "b": hpo.Minimize()}, sampler="auto", seed=0)
    study.optimize(lambda trial: (sphere(trial), sphere(trial) * trial["x"]), n_trials=16)
    gp = hpo.GPSampler()
    gp.start(study.space, seed=0)
    for ours, theirs in zip(study.sampler.estimates(study.history), gp.estimates(study.history), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    monkeypatch.setattr(auto, "MAX_TRIALS", 10)
    rows, outcomes = study.sampler.estimates(study.history)
    np.testing.assert_array_equal(outcomes, study.history.outcomes[:, rows])


def test_it_recommends_what_gp_does_past_the_trials_that_it_affords_too(monkeypatch):
    study = hpo.Study(SQUARE, sampler="auto", seed=0)
    noisy = noisy_study()
    study.add(noisy.trials.params, noisy.trials.value)
    assert study.recommend() == noisy.recommend() != study.best_params
    monkeypatch.setattr(auto, "MAX_TRIALS", 20)
    assert study.recommend() == noisy.recommend()


def test_what_tpe_proposes_is_what_it_would_alone(monkeypatch):
    monkeypatch.setattr(auto, "MAX_TRIALS", 12)
    ours, tpe = (hpo.Study(SQUARE, sampler=name, seed=0) for name in ("auto", "tpe"))
    for study in (ours, tpe):
        for k in range(40):
            study.add({"x": k / 40, "y": -k / 40}, k % 7)
    np.testing.assert_array_equal(ours.ask(5)["x"], tpe.ask(5)["x"])


class Slow:
    """Stands in for the time that passes: each look at it is ``step`` later."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def perf_counter(self):
        self.now += self.step
        return self.now


@pytest.mark.parametrize(("seconds", "tier"), [(1e-4, "gp"), (30.0, "tpe")])
def test_a_budget_holds_by_measured_time(monkeypatch, seconds, tier):
    monkeypatch.setattr(auto, "time", Slow(seconds))
    study = searched(hpo.AutoSampler(max_ms=10_000), 40)
    assert set(study.trials.tier[-15:]) == {tier}
    assert "gp" in study.trials.tier


def test_a_budget_is_per_suggestion(monkeypatch):
    monkeypatch.setattr(auto, "time", Slow(2.0))
    study = searched(hpo.AutoSampler(max_ms=1000), 40)
    assert study.ask().tier == "tpe"
    assert study.ask(50).tier[0] == "gp"


def test_a_budget_too_small_for_any_fit():
    study = searched(hpo.AutoSampler(max_ms=0.001), 30)
    assert study.trials.tier.tolist() == ["sobol"] * 10 + ["tpe"] * 20
    assert study.replay()


def test_replay_follows_the_record_not_the_clock(monkeypatch):
    sampler = hpo.AutoSampler(max_ms=1000)
    study = hpo.Study(SQUARE, sampler=sampler, seed=0)
    seconds = iter([0.001] * 18 + [60.0] * 60 + [0.001] * 100)

    class Clock:
        now = 0.0

        def perf_counter(self):
            Clock.now += next(seconds)
            return Clock.now

    monkeypatch.setattr(auto, "time", Clock())
    for k in range(60):
        if k % 7 == 5:
            study.enqueue({"x": 0.25})
        trial = study.ask()
        study.tell(trial, sphere(trial))
    assert {"sobol", "gp", "tpe", "enqueued"} <= set(study.trials.tier)
    for step in (1e-5, 1e3):
        monkeypatch.setattr(auto, "time", Slow(step))
        replay = study.replay()
        assert replay, str(replay)
        assert pickle.loads(pickle.dumps(study)).replay()


def test_the_clock_outvotes_a_busy_moment():
    clock = Clock()
    before = clock.predict(0.1)
    clock.record(0.1, 90.0)
    assert clock.predict(0.1) == before
    for _ in range(9):
        clock.record(0.1, 0.3)
    assert clock.predict(0.2) == pytest.approx(2 * 3 * before)


def test_expectations_grow():
    grown = [auto.expected_seconds(n, 20, 1) for n in (5, 20, 64, 200, 1000)]
    assert grown == sorted(grown)
    assert auto.expected_seconds(200, 50, 1) > auto.expected_seconds(200, 5, 1)
    assert auto.expected_seconds(200, 5, 16) > auto.expected_seconds(200, 5, 1)


@pytest.mark.parametrize("wrong", [0, -1.0, 1e9, "1", True, float("nan")])
def test_budgets_outside_the_range_are_refused(wrong):
    with pytest.raises(hpo.ArgumentError, match="max_ms"):
        hpo.AutoSampler(max_ms=wrong)


def test_options_survive_pickling():
    assert pickle.loads(pickle.dumps(hpo.AutoSampler(max_ms=5))).max_ms == 5
