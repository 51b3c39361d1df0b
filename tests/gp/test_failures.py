"""Failures teach: searches keep away from where trials fail, whatever the reason; the model behind that."""

from __future__ import annotations

import numpy as np
import pytest

import hpo_core as hpo
from hpo_core.gp import failures
from hpo_core.gp.failures import FailureModel, have_failed, labelled
from hpo_core.log import State

SQUARE = hpo.Space({"x": hpo.Float(-5, 5), "y": hpo.Float(-5, 5)})
UNIT = hpo.Space({"x": hpo.Float(0, 1), "y": hpo.Float(0, 1)})
NETWORK = hpo.Space(
    {
        "width": hpo.Int(8, 4096, log=True),
        "batch": hpo.Int(8, 1024, log=True),
        "lr": hpo.Float(1e-5, 1, log=True),
        "optimizer": hpo.Categorical(
            {"adam": {"beta": hpo.Float(0.8, 0.999)}, "sgd": {"momentum": hpo.Float(0, 0.99)}}
        ),
    }
)
modelling = pytest.mark.parametrize("sampler", ["auto", "gp", "tpe"])
seeds = pytest.mark.parametrize("seed", [0, 1])


def beyond_the_edge(trial):
    """The optimum lies on the edge itself."""
    if trial["x"] + trial["y"] < 1:
        raise hpo.TrialFailed("oom")
    return (trial["x"] - 1) ** 2 + trial["y"] ** 2


def out_of_memory(trial):
    if trial["width"] * trial["batch"] > 16384:
        raise hpo.TrialFailed("oom")
    slow = (np.log10(trial["lr"]) + 2.5) ** 2
    return 0.3 * (np.log2(trial["width"]) - 9) ** 2 / 10 + 0.05 * (np.log2(trial["batch"]) - 5) ** 2 + slow


def bowl(trial):
    return (trial["x"] - 0.3) ** 2 + (trial["y"] - 0.6) ** 2


def searched(space, objective, sampler, n, seed=0):
    study = hpo.Study(space, sampler=sampler, seed=seed)
    study.optimize(objective, n_trials=n)
    return study


def n_failed(study):
    return len(study.trials.where("failed"))


class TestSearch:
    @seeds
    @pytest.mark.parametrize(
        ("sampler", "most", "best"), [("auto", 8, 1e-3), ("gp", 8, 1e-3), ("tpe", 18, 0.1)]
    )
    def test_an_edge_that_the_optimum_lies_on(self, sampler, most, best, seed):
        study = searched(SQUARE, beyond_the_edge, sampler, 60, seed)
        assert n_failed(study) <= most
        assert study.best_value < best

    @seeds
    def test_an_edge_in_a_conditional_space(self, seed):
        assert n_failed(searched(NETWORK, out_of_memory, "gp", 60, seed)) <= 12

    @pytest.mark.parametrize("sampler", ["auto", "gp"])
    def test_batches_keep_away_too(self, sampler):
        """Of three batches, of which the first two still run when the next is asked for, few trials fail."""
        n_bad = 0
        for seed in range(6):
            study = hpo.Study(SQUARE, sampler=sampler, seed=seed)
            study.optimize(beyond_the_edge, n_trials=24)
            batches = [study.ask(8) for _ in range(3)]
            n_bad += sum(trial["x"] + trial["y"] < 1 for batch in batches for trial in batch)
        assert n_bad <= 6 * 24 // 3

    @modelling
    def test_random_failures_leave_the_search_as_good(self, sampler):
        lost = np.random.default_rng(0).random(60) < 0.05

        def sometimes(trial):
            if lost[trial.number]:
                raise hpo.TrialFailed("node lost")
            return bowl(trial)

        study = searched(UNIT, sometimes, sampler, 60)
        assert n_failed(study) == lost.sum()
        assert study.best_value < (1e-4 if sampler != "tpe" else 1e-2)

    @modelling
    def test_the_reason_does_not_matter(self, sampler):
        def coordinates(reason):
            def objective(trial):
                if trial["x"] < 0.4:
                    raise hpo.TrialFailed(reason) if reason else ValueError
                return bowl(trial)

            study = hpo.Study(UNIT, sampler=sampler, seed=0)
            study.optimize(objective, n_trials=20, catch=(ValueError,))
            return study.history.x

        found = [coordinates(reason) for reason in ("oom", "diverged", "timeout", None)]
        assert all(np.array_equal(found[0], other) for other in found[1:])


class TestStart:
    @modelling
    def test_while_all_fails_it_looks_elsewhere(self, sampler):
        """A corner that alone works is found sooner than by Sobol points."""

        def tries(name, seed):
            study = hpo.Study(UNIT, sampler=name, seed=seed)
            while (trial := study.ask())["x"] + trial["y"] < 1.65:
                study.fail(trial)
            return trial.number + 1

        ours, plain = (np.mean([tries(name, seed) for seed in range(20)]) for name in (sampler, "sobol"))
        assert ours < 0.8 * plain

    @modelling
    def test_a_small_working_part_is_found(self, sampler):
        def objective(trial):
            if np.hypot(trial["x"] - 0.7, trial["y"] - 0.3) > 0.25:
                raise hpo.TrialFailed("diverged")
            return bowl(trial)

        study = searched(UNIT, objective, sampler, 50)
        assert n_failed(study) < n_failed(searched(UNIT, objective, "random", 50))

    @pytest.mark.parametrize("sampler", ["auto", "gp"])
    def test_what_was_broken_at_first_is_searched_again(self, sampler):
        """Twenty failures for no place's sake, then none: the optimum is found all the same."""

        def objective(trial):
            if trial.number < 20:
                raise hpo.TrialFailed("ImportError")
            return bowl(trial)

        regrets = [searched(UNIT, objective, sampler, 50, seed).best_value for seed in range(3)]
        assert max(regrets) < 1e-3

    @modelling
    def test_a_batch_before_any_model(self, sampler):
        study = hpo.Study(NETWORK, sampler=sampler, seed=0)
        for trial in study.ask(6):
            study.fail(trial)
        batch = study.ask(40)
        assert len(batch) == 40
        assert len({tuple(trial.params.items()) for trial in batch}) == 40

    @modelling
    def test_a_finite_space_of_which_all_fails_ends(self, sampler):
        space = hpo.Space({"a": hpo.Int(0, 4), "b": hpo.Categorical(["p", "q", "r"])})
        study = hpo.Study(space, sampler=sampler, seed=0)
        seen = set()
        for _ in range(15):
            trial = study.ask()
            seen.add((trial["a"], trial["b"]))
            study.fail(trial)
        assert len(seen) == 15
        with pytest.raises(hpo.SpaceExhausted):
            study.ask()


class TestModel:
    def history(self, n, fails):
        """Trials at random places, told in another order than they were asked for in."""
        study = hpo.Study(UNIT, sampler="random", seed=3)
        trials = [study.ask() for _ in range(n)]
        for k in np.random.default_rng(0).permutation(n):
            if fails(trials[k], k):
                study.fail(trials[k])
            else:
                study.tell(trials[k], bowl(trials[k]))
            yield study.history

    def test_there_is_none_where_nothing_failed(self, monkeypatch):
        monkeypatch.setattr(failures, "fit_failures", None)
        monkeypatch.setattr(failures, "Feasibility", None)
        model = FailureModel(UNIT.layout)
        for history in self.history(10, lambda trial, k: False):
            assert model.of(history) is None

    def test_moments_of_asking_do_not_matter(self):
        model, x = FailureModel(UNIT.layout), np.random.default_rng(1).random((2, 20))
        for n, history in enumerate(self.history(40, lambda trial, k: trial["x"] < 0.3)):
            found, fresh = model.of(history), FailureModel(UNIT.layout).of(history)
            if n % 5 == 0 and found is not None:
                np.testing.assert_array_equal(found.log_weight(x), fresh.log_weight(x))

    def test_its_size_is_bounded(self):
        *_, history = self.history(400, lambda trial, k: trial["x"] < 0.3)
        trials = history.finish_order[labelled(have_failed(history))]
        ok = history.state[trials] != State.FAILED
        assert (ok.sum(), (~ok).sum()) == (failures.MAX_LABELLED, failures.MAX_LABELLED)
        newest = history.finish_order[history.state[history.finish_order] == State.FAILED][-32:]
        assert np.isin(newest, trials).all()

    @pytest.mark.parametrize(("n_leading", "n_kept"), [(7, 30), (8, 22)])
    def test_many_failures_before_the_first_success_are_forgotten_then(self, n_leading, n_kept):
        order = np.random.default_rng(0).permutation(30)[:n_leading].tolist()
        *_, history = self.history(30, lambda trial, k: k in order)
        failed = have_failed(history)
        assert len(labelled(failed[:n_leading])) == n_leading
        assert len(labelled(failed)) == n_kept

    @pytest.mark.parametrize("first_fails", [True, False])
    def test_a_fit_has_the_first_trial_that_ends_otherwise(self, first_fails):
        order = np.random.default_rng(0).permutation(30)[:20].tolist()
        sizes, model = [], FailureModel(UNIT.layout)
        for history in self.history(30, lambda trial, k: (k in order) is first_fails):
            if model.of(history) is not None:
                sizes.append(model._fitted[0][0])
        assert failures.turn(have_failed(history)) == 20
        assert sizes[-10] == 21

    def test_an_ask_looks_for_failures_once(self, monkeypatch):
        study = searched(UNIT, bowl, "gp", 12)
        study.fail(study.ask())
        calls = []
        monkeypatch.setattr(failures, "have_failed", lambda h: (calls.append(h), have_failed(h))[1])
        study.ask()
        study.ask(3)
        assert len(calls) == 1
