"""TPE as a sampler: when it starts, where it goes, what repels it. What it computes is in native/test_tpe.py.

Comparisons with chance have fixed seeds, and margins several times what the seeds make of it.
"""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from scipy.spatial.distance import pdist

import hpo_core as hpo
from hpo_core import Categorical, Float, Int, Ordinal, TPESampler, param

SQUARE = {"x": Float(0, 1), "y": Float(0, 1)}


def sphere(trial):
    return (trial["x"] - 0.7) ** 2 + (trial["y"] - 0.2) ** 2


def independent(study, n):
    """Suggestions of which none is tried, nor known to the next, (d, n)."""
    return np.concatenate([study.sampler.ask(study.history, 10_000 + k, 1).x for k in range(n)], axis=1)


def tiers(study):
    return [study.history.origins[tier] for tier in study.history.origin]


def searched(space, objective, sampler, seed, n):
    study = hpo.Study(space, sampler=sampler, seed=seed)
    study.optimize(objective, n_trials=n)
    return study


class TestStart:
    def test_ten_finished_trials_are_sobol_points(self):
        study = searched(SQUARE, sphere, "tpe", 3, 15)
        assert tiers(study) == ["sobol"] * 10 + ["tpe"] * 5
        points = hpo.Study(SQUARE, sampler="sobol", seed=3).ask(10)
        np.testing.assert_array_equal(study.history.x[:, :10], points._study.history.x)

    def test_running_trials_do_not_end_it(self):
        study = hpo.Study(SQUARE, sampler="tpe", seed=0)
        batch = study.ask(30)
        study.tell(batch[:9], np.arange(9.0))
        study.ask()
        study.tell(batch[9], 1.0)
        study.ask()
        assert tiers(study) == ["sobol"] * 31 + ["tpe"]

    @pytest.mark.parametrize("end", ["fail", "stop_trials"])
    def test_two_have_to_be_complete(self, end):
        study = hpo.Study(SQUARE, sampler="tpe", seed=0)
        for k in range(20):
            trial = study.ask()
            trial.report(0, float(k))
            getattr(study, end)(trial)
        study.tell(study.ask(), 1.0)
        study.tell(study.ask(), 2.0)
        study.ask()
        assert tiers(study) == ["sobol"] * 22 + ["tpe"]

    @pytest.mark.parametrize("n_startup", [2, 25])
    def test_its_length_is_an_option(self, n_startup):
        study = searched(SQUARE, sphere, TPESampler(n_startup=n_startup), 0, 30)
        assert tiers(study) == ["sobol"] * n_startup + ["tpe"] * (30 - n_startup)


BOUNDS = {
    "n_candidates": (1, 8192),
    "gamma": (0.001, 0.999),
    "prior_weight": (1e-6, 1e6),
    "min_bandwidth": (1e-6, 1.0),
    "weigh_below": (False, True),
    "max_above": (256, 10**6),
}


class TestOptions:
    @pytest.mark.parametrize(("name", "value"), [(name, v) for name, ends in BOUNDS.items() for v in ends])
    def test_the_ends_of_each_range_work(self, name, value):
        space = {"x": Float(0, 1), "k": Int(1, 9), "c": Categorical({"a": {"y": Float(0, 1)}, "b": {}})}
        study = hpo.Study(space, sampler=TPESampler(**{name: value}), seed=0)
        study.tell(study.ask(40), np.arange(40.0) % 7)
        batch = study.ask(30)
        assert all(study.space.contains(trial.params) for trial in batch)
        assert study.replay()

    @pytest.mark.parametrize(
        ("name", "value"), [(name, ends[0]) for name, ends in BOUNDS.items() if name != "max_above"]
    )
    def test_each_is_used_and_survives_copies(self, name, value):
        sampler = TPESampler(**{name: value})
        found = []
        for each in (sampler, pickle.loads(pickle.dumps(sampler)), copy.deepcopy(sampler), TPESampler()):
            study = searched(SQUARE, sphere, each, 0, 40)
            found.append(pickle.loads(pickle.dumps(study)).ask(20)["x"])
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])
        assert not np.array_equal(found[0], found[3])

    def test_g_past_its_kernels(self):
        study = hpo.Study(SQUARE, sampler=TPESampler(max_above=256), seed=0)
        whole = hpo.Study(SQUARE, sampler=TPESampler(max_above=1024), seed=0)
        for each in (study, whole):
            batch = each.ask(300)
            each.tell(batch, [sphere(trial) for trial in batch])
            for _ in range(300):
                trial = each.ask()
                each.tell(trial, sphere(trial))
        assert study.replay()
        assert study.best_value < 1e-3
        assert not np.array_equal(study.history.x, whole.history.x)


LOG = {"lr": Float(1e-6, 1, log=True), "k": Int(1, 64, log=True), "o": Ordinal([16, 32, 64, 128])}
CHOICES = {f"c{i}": Categorical([*"abcdef"]) for i in range(5)}
BRANCHES = {
    "kind": Categorical({name: {f"{name}{i}": Float(0, 1) for i in range(3)} for name in "pqrs"}),
    "depth": Int(1, 5),
    "late": Float(0, 1, when=param("depth") >= 4),
}
OBJECTIVES = {
    "sphere": (SQUARE, sphere),
    "log": (
        LOG,
        lambda t: abs(np.log10(t["lr"]) + 3) + abs(np.log2(t["k"]) - 4) + abs(np.log2(t["o"]) - 6),
    ),
    "categories": (CHOICES, lambda t: sum(t[name] != "d" for name in CHOICES)),
    "branches": (
        BRANCHES,
        lambda t: (
            sum(abs(t[f"{t['kind']}{i}"] - 0.3) for i in range(3))
            + (t["kind"] != "r")
            + abs(t["late"] - 0.6 if "late" in t else 1)
        ),
    ),
}


class TestSearch:
    @pytest.mark.parametrize(("space", "objective"), OBJECTIVES.values(), ids=OBJECTIVES.keys())
    def test_it_beats_random_search(self, space, objective):
        best = {
            sampler: [searched(space, objective, sampler, seed, 80).best_value for seed in range(12)]
            for sampler in ("tpe", "random")
        }
        assert np.median(best["tpe"]) < 0.5 * np.median(best["random"])
        assert np.greater(best["random"], best["tpe"]).sum() >= 9

    def test_it_stays_where_it_is_good(self):
        shares = []
        for seed in range(8):
            study = searched(SQUARE, sphere, "tpe", seed, 80)
            shares.append(np.mean([sphere(trial) < 0.15**2 for trial in study.trials[40:]]))
        assert np.mean(shares) > 0.4  # 0.07 of the square

    def test_it_maximizes(self):
        study = hpo.Study(SQUARE, sampler="tpe", direction="maximize", seed=0)
        study.optimize(lambda trial: -sphere(trial), n_trials=60)
        assert study.best_value > -0.01

    @pytest.mark.parametrize("exponent", [-960, 960])
    def test_only_the_ratios_of_differences_matter(self, exponent):
        plain = searched(SQUARE, sphere, "tpe", 0, 60)
        scaled = searched(SQUARE, lambda trial: 2.0**exponent * sphere(trial), "tpe", 0, 60)
        np.testing.assert_array_equal(plain.history.x, scaled.history.x)

    def test_weights_at_the_end_of_the_floats(self):
        def steep(top):
            return lambda trial: -top if trial.number == 3 else top * (sphere(trial) - 1) / 2

        plain, huge = (searched(SQUARE, steep(top), "tpe", 0, 60) for top in (2.0, 2.0**1023))
        np.testing.assert_array_equal(plain.history.x, huge.history.x)

    def test_an_outlier_does_not_blind_it(self):
        values = []
        for seed in range(8):
            study = searched(SQUARE, lambda t: 1e12 if t.number % 9 == 4 else sphere(t), "tpe", seed, 80)
            values.append(study.best_value)
        assert np.median(values) < 2e-3  # of random search: 0.004


class TestRepulsion:
    def test_failures_repel(self):
        shares = []
        for seed in range(8):
            study = hpo.Study(SQUARE, sampler="tpe", seed=seed)
            for _ in range(100):
                trial = study.ask()
                if trial["x"] > 0.5:
                    study.fail(trial, reason="oom")
                else:
                    study.tell(trial, trial["y"])
            shares.append(np.mean(study.trials["x"][20:] > 0.5))
        assert np.mean(shares) < 0.2  # random: 0.5

    def test_failures_in_a_category_repel(self):
        shares = []
        for seed in range(8):
            study = hpo.Study({"c": Categorical([*"abcd"]), "x": Float(0, 1)}, sampler="tpe", seed=seed)
            for _ in range(80):
                trial = study.ask()
                study.fail(trial) if trial["c"] in "ab" else study.tell(trial, trial["x"])
            shares.append(np.mean(np.isin(study.trials["c"][20:], ["a", "b"])))
        assert np.mean(shares) < 0.25  # random: 0.5

    def test_running_trials_repel(self):
        shares = {"before": [], "after": []}
        for seed in range(5):
            study = searched(SQUARE, sphere, "tpe", seed, 60)
            best = study.history.x[:, [study.best_trial.number]]
            for share in shares.values():
                near = np.hypot(*(independent(study, 40) - best)) < 0.05
                share.append(near.mean())
                for _ in range(150):
                    study.enqueue(study.best_params)
                study.ask(150)
        assert np.mean(shares["before"]) > 0.4
        assert np.mean(shares["after"]) < 0.1

    @pytest.mark.parametrize("batched", [True, False])
    def test_suggestions_keep_apart(self, batched):
        """Farther from each other than as many that know nothing of each other."""
        together, alone = [], []
        for seed in range(12):
            study = searched(SQUARE, sphere, "tpe", seed, 20)
            alone.append(pdist(independent(study, 20).T).mean())
            for _ in range(1 if batched else 20):
                study.ask(20 if batched else None)
            together.append(pdist(study.history.x[:, 20:].T).mean())
        assert np.mean(together) > 1.5 * np.mean(alone)

    def test_the_parts_of_a_large_batch_differ(self):
        study = searched(SQUARE, sphere, "tpe", 0, 60)
        x = study.ask(3000)._study.history.x[:, 60:]
        assert len(np.unique(x[0])) == 3000
        cells = [len(np.unique(np.floor(8 * part), axis=1).T) for part in np.split(x, [1024, 2048], axis=1)]
        assert min(cells) > 50  # of 64
