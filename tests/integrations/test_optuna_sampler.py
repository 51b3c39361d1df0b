"""``HpoSampler`` passes the suites that Optuna ships for its own samplers; and what they do not ask."""

from __future__ import annotations

import math
import pickle
import warnings

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)
from optuna.trial import TrialState

import hpo_core as hpo
from hpo_core.integrations.optuna import HpoSampler
from hpo_core.integrations.optuna.discovery import Discovery, Rule
from hpo_core.integrations.optuna.mirror import Mirror
from hpo_core.log import State

EVERY = ["auto", "tpe", "gp", "random", "sobol"]


@pytest.fixture(autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    yield
    optuna.logging.set_verbosity(before)


class TestBasic(BasicSamplerTestCase):
    @pytest.fixture(params=EVERY)
    def sampler(self, request):
        return lambda: HpoSampler(request.param, seed=0)


class TestRelative(RelativeSamplerTestCase):
    @pytest.fixture(params=EVERY)
    def sampler(self, request):
        return lambda: HpoSampler(request.param, seed=0)


class TestMultiObjective(MultiObjectiveSamplerTestCase):
    @pytest.fixture(params=EVERY)
    def sampler(self, request):
        return lambda: HpoSampler(request.param, seed=0)


class TestSingleOnly(SingleOnlySamplerTestCase):
    """A sampler whose ``metrics`` are one objective refuses a study of two."""

    @pytest.fixture(params=EVERY)
    def sampler(self, request):
        return lambda: HpoSampler(request.param, metrics={"loss": hpo.Maximize()}, seed=0)


def layers(trial):
    """The space of many objectives: a number of layers, and a width for each."""
    n = trial.suggest_int("n_layers", 1, 4)
    kind = trial.suggest_categorical("optimizer", ["adam", "sgd"])
    momentum = trial.suggest_float("momentum", 0.0, 0.99) if kind == "sgd" else 0.5
    widths = [trial.suggest_int(f"width_{k}", 8, 256, log=True) for k in range(n)]
    return (momentum - 0.9) ** 2 + abs(n - 3) + sum(abs(np.log2(each) - 6) for each in widths)


def studied(sampler, n=40, objective=layers, **options):
    study = optuna.create_study(sampler=sampler, **options)
    study.optimize(objective, n_trials=n)
    return study


def suggested(study, sampler=None):
    """What a sampler suggests for a new trial, which is left running."""
    sampler = sampler or study.sampler
    trial = study._storage.get_trial(study._storage.create_new_trial(study._study_id))
    return sampler.sample_relative(study, trial, sampler.infer_relative_search_space(study, trial))


def test_conditions_are_found_and_searched():
    study = studied(HpoSampler("tpe", seed=0), n=60)
    space = study.sampler._view._mirror.codec.space
    conditions = {name: str(space.parameters[name].when) for name in space.names[2:]}
    assert conditions == {
        "momentum": "optimizer.isin([1])",
        "width_0": "None",
        "width_1": "n_layers >= 2",
        "width_2": "n_layers >= 3",
        "width_3": "n_layers >= 4",
    }
    found = suggested(study)
    assert set(found) >= {"n_layers", "optimizer", "width_0"}
    assert ("momentum" in found) == (found["optimizer"] == "sgd")
    assert sum(name.startswith("width") for name in found) == found["n_layers"]


def test_a_rule_that_a_trial_contradicts_is_replaced():
    found = Discovery()
    domains = {
        "a": CategoricalDistribution(["x", "y"]),
        "n": IntDistribution(1, 9),
        "p": FloatDistribution(0, 1),
    }

    def trial(**params):
        found.observe(params, {name: domains[name] for name in params}, complete=True)

    trial(a="x", n=5, p=0.5)
    trial(a="y", n=3)
    assert found.rules["p"].owner == "n"  # the nearest of two that explain it as plainly
    trial(a="x", n=2, p=0.5)
    assert found.rules["p"].owner == "a"
    assert found.rules["p"].holds({"a": "x"})
    assert not found.rules["p"].holds({"a": "y"})
    trial(a="y", n=2, p=0.5)
    assert found.rules["p"] == Rule("n", without=(3,))
    trial(a="y", n=3, p=0.5)
    assert found.rules["p"] is None


@pytest.mark.parametrize("name", ["tpe", "random", "sobol"])
def test_following_trials_one_by_one_is_as_reading_them_all_at_once(name):
    study = studied(HpoSampler(name, seed=3), n=40)
    at_once = pickle.loads(pickle.dumps(study.sampler))
    trial = study._storage.get_trial(study._storage.create_new_trial(study._study_id))
    space = study.sampler.infer_relative_search_space(study, trial)
    assert at_once.infer_relative_search_space(study, trial) == space
    followed, fresh = study.sampler._view._mirror._history, at_once._view._mirror._history
    np.testing.assert_array_equal(followed.x, fresh.x)
    np.testing.assert_array_equal(followed.y, fresh.y)
    assert study.sampler.sample_relative(study, trial, space) == at_once.sample_relative(study, trial, space)


def test_the_same_seed_gives_the_same_study():
    one, other = (studied(HpoSampler("auto", seed=5), n=25) for _ in range(2))
    assert [trial.params for trial in one.trials] == [trial.params for trial in other.trials]
    drawn = studied(HpoSampler("auto", seed=6), n=25)
    assert [trial.params for trial in one.trials] != [trial.params for trial in drawn.trials]


def test_reseeding_changes_what_comes_next():
    sampler = HpoSampler("random", seed=0)
    study = studied(sampler, n=3)
    before = sampler._seed
    sampler.reseed_rng()
    assert sampler._seed != before
    assert suggested(study)


def test_each_trial_is_taken_in_once(monkeypatch):
    rows = []
    finish = Mirror.finish
    monkeypatch.setattr(
        Mirror, "finish", lambda self, trials: (rows.append(len(trials)), finish(self, trials))
    )
    studied(HpoSampler("random", seed=0), n=300, objective=lambda t: t.suggest_float("x", 0, 1))
    assert sum(rows) == 299  # the last trial has not been read
    assert max(rows) == 1


def test_ranges_grow_with_what_is_asked_for():
    sampler = HpoSampler("tpe", seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: trial.suggest_int("n", 0, 10, step=5), n_trials=3)
    study.optimize(lambda trial: trial.suggest_int("n", 0, 30, step=3), n_trials=12)
    assert all(trial.params["n"] % 3 == 0 for trial in study.trials[3:])
    assert suggested(study)["n"] <= 30
    assert sampler._view.domains()["n"] == IntDistribution(0, 30)


def test_running_trials_count_as_pending():
    sampler = HpoSampler("gp", seed=0)
    study = studied(sampler, n=15, objective=lambda t: (t.suggest_float("x", 0, 1) - 0.4) ** 2)
    points = [study.ask().suggest_float("x", 0, 1) for _ in range(4)]
    assert sampler._view._mirror._history.count(State.RUNNING) == 3
    assert len({round(point, 4) for point in points}) == 4


def test_a_running_trial_has_the_values_that_it_was_given():
    study = studied(HpoSampler("tpe", seed=0), n=12, objective=lambda t: t.suggest_float("x", 0, 1))
    study.enqueue_trial({"x": 0.123})
    study.ask().suggest_float("x", 0, 1)
    suggested(study)
    history = study.sampler._view._mirror._history
    np.testing.assert_allclose(history.x[:, history.running], [[0.123]])


def test_fixed_values_decide_about_the_others():
    study = studied(HpoSampler("tpe", seed=0), n=60)
    for n in (1, 4):
        study.enqueue_trial({"n_layers": n, "optimizer": "sgd"})
        trial = study.ask()
        assert trial.suggest_int("n_layers", 1, 4) == n
        assert set(trial.relative_params) == {
            "n_layers", "optimizer", "momentum", *(f"width_{k}" for k in range(n))
        }  # fmt: skip
        study.tell(trial, layers(trial))


@pytest.mark.parametrize("bad", [{"x": 7.0}, {"zz": 1}])
def test_fixed_values_outside_the_space_do_no_harm(bad):
    study = studied(HpoSampler("tpe", seed=0), n=12, objective=lambda t: t.suggest_float("x", 0, 1))
    study.enqueue_trial(bad)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's, about the range
        study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=2)
    assert len(study.trials) == 14


@pytest.mark.parametrize("name", ["auto", "tpe"])
def test_threads_share_a_sampler(name):
    study = optuna.create_study(sampler=HpoSampler(name, seed=0))
    study.optimize(layers, n_trials=40, n_jobs=4)
    assert len(study.trials) == 40
    assert all(trial.state is TrialState.COMPLETE for trial in study.trials)


def test_failed_pruned_and_infinite_trials():
    def objective(trial):
        x = trial.suggest_float("x", -1, 1)
        if trial.number % 5 == 1:
            return float("nan")
        if trial.number % 5 == 2:
            trial.report(x**2 + 1, 3)
            raise optuna.TrialPruned
        if trial.number % 5 == 3:
            raise optuna.TrialPruned  # without a report
        if trial.number % 10 == 4:
            return float("inf")
        return x**2

    study = studied(HpoSampler("auto", seed=0), n=40, objective=objective)
    suggested(study)
    history = study.sampler._view._mirror._history
    n = {state: history.count(state) for state in State}
    assert n[State.COMPLETE] == 12
    assert n[State.STOPPED] == 8
    assert n[State.FAILED] == 20
    np.testing.assert_array_equal(history.fidelity[history.state == State.STOPPED], 3)
    assert study.best_value < 0.01


def test_a_trial_that_fails_before_it_suggests_is_left_out():
    def objective(trial):
        if trial.number < 3:
            raise ValueError
        return trial.suggest_float("x", 0, 1)

    study = optuna.create_study(sampler=HpoSampler("tpe", seed=0))
    study.optimize(objective, n_trials=8, catch=ValueError)
    suggested(study)
    assert len(study.sampler._view._mirror._history) == 5


def test_a_trial_that_fails_with_nothing_but_a_suggestion_does_not_stay_pending():
    study = studied(HpoSampler("tpe", seed=0), n=5, objective=lambda t: t.suggest_float("x", 0, 1))
    trial, other = study.ask(), study.ask()
    assert trial.relative_params
    assert other.relative_params
    history = study.sampler._view._mirror._history
    assert history.count(State.RUNNING) == 1
    study.tell(trial, state=TrialState.FAIL)
    study.tell(other, state=TrialState.FAIL)
    suggested(study)
    assert history.count(State.RUNNING) == 0


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution:UserWarning")
def test_a_choice_that_cannot_be_hashed_may_decide():
    def objective(trial):
        layers = trial.suggest_categorical("layers", [[32], [32, 32]])
        return trial.suggest_float("dropout", 0, 1) if len(layers) == 2 else 1.0

    study = studied(HpoSampler("tpe", seed=0), n=20, objective=objective)
    found = suggested(study)
    assert ("dropout" in found) == (found["layers"] == [32, 32])


def test_a_finite_space_is_searched_without_repetition_and_then_again():
    study = optuna.create_study(sampler=HpoSampler("auto", seed=0))
    study.optimize(lambda t: t.suggest_int("n", 1, 3) * t.suggest_categorical("k", [1, 2]), n_trials=9)
    first = [tuple(trial.params.values()) for trial in study.trials[:6]]
    assert len(set(first)) == 6
    assert len(study.trials) == 9


def test_several_objectives_with_a_reference():
    metrics = {"error": hpo.Minimize(reference=4.0), "gain": hpo.Maximize(reference=-4.0)}
    study = optuna.create_study(
        directions=["minimize", "maximize"], sampler=HpoSampler("gp", metrics=metrics, seed=0)
    )

    def objective(trial):
        x, y = trial.suggest_float("x", -2, 2), trial.suggest_float("y", -2, 2)
        return x**2 + y**2, -((x - 1) ** 2) - y**2

    study.optimize(objective, n_trials=30)
    assert len(study.best_trials) > 8
    assert study.sampler._view._mirror._history.metrics["gain"].reference == -4.0


@pytest.mark.parametrize("how", ["func", "set"])
def test_constraints(how):
    def objective(trial):
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        if how == "set":
            trial.set_constraint("sum", 1.2 - x - y)
        return x + y

    def constraints(trial):
        return (1.2 - trial.params["x"] - trial.params["y"],)

    sampler = HpoSampler("gp", seed=0, constraints_func=constraints if how == "func" else None)
    study = studied(sampler, n=30, objective=objective)
    best = min(trial.value for trial in study.trials if all(c <= 0 for c in trial.constraints.values()))
    assert 1.2 <= best < 1.22
    assert len(sampler._view._mirror._history.metrics.constraints) == 1


def test_a_declared_space_keeps_its_conditions_and_constraints():
    space = hpo.Space(
        {
            "optimizer": hpo.Categorical({"sgd": {"momentum": hpo.Float(0.0, 0.99)}, "adam": {}}),
            "batch": hpo.Ordinal([16, 32, 64]),
            "lr": hpo.Float(1e-4, 1e-1, log=True),
        },
        forbid=[(hpo.param("batch") == 64) & (hpo.param("optimizer") == "sgd")],
    )

    def objective(trial):
        kind = trial.suggest_categorical("optimizer", ["sgd", "adam"])
        if kind == "sgd":
            trial.suggest_float("momentum", 0.0, 0.99)
        trial.suggest_float("elsewhere", 0, 1)
        return trial.suggest_categorical("batch", [16, 32, 64]) * trial.suggest_float(
            "lr", 1e-4, 0.1, log=True
        )

    study = studied(HpoSampler("tpe", space=space, seed=0), n=60, objective=objective)
    assert not any(t.params["batch"] == 64 and t.params["optimizer"] == "sgd" for t in study.trials)
    first = study.trials[0].params  # known beforehand: the first point of a Sobol sequence, not a draw
    ours = hpo.Study(space, sampler="tpe", seed=0).ask().params
    assert {name: first[name] for name in ours} == ours


@pytest.mark.parametrize("name", EVERY)
def test_over_a_declared_space_it_suggests_what_our_own_study_does(name):
    space = hpo.Space(
        {
            "x": hpo.Float(-5.0, 10.0),
            "kind": hpo.Categorical({"a": {"rate": hpo.Float(1e-3, 1.0, log=True)}, "b": {}}),
            "n": hpo.Int(1, 9),
        }
    )

    def value(params):
        return (params["x"] - 2) ** 2 + (params.get("rate", 0.4) - 0.2) ** 2 + abs(params["n"] - 4)

    def define_by_run(trial):
        trial.suggest_float("x", -5.0, 10.0)
        if trial.suggest_categorical("kind", ["a", "b"]) == "a":
            trial.suggest_float("rate", 1e-3, 1.0, log=True)
        trial.suggest_int("n", 1, 9)
        return value(trial.params)

    theirs = studied(HpoSampler(name, space=space, seed=3), n=30, objective=define_by_run)
    ours = hpo.Study(space, sampler=name, seed=3, name="s", storage=hpo.storage.MemoryStorage())
    ours.optimize(lambda trial: value(trial.params), n_trials=30)
    assert [trial.params for trial in theirs.trials] == [trial.params for trial in ours.trials]


@pytest.mark.parametrize("name", EVERY)
def test_a_space_without_conditions_that_it_finds_is_as_good_as_declared(name):
    def define_by_run(trial):
        x = trial.suggest_float("x", -5.0, 10.0)
        return (x - 2) ** 2 + trial.suggest_int("n", 1, 9) * (
            trial.suggest_categorical("k", ["a", "b"]) == "a"
        )

    space = hpo.Space({"x": hpo.Float(-5.0, 10.0), "n": hpo.Int(1, 9), "k": hpo.Categorical(["a", "b"])})
    found, declared = (
        studied(HpoSampler(name, space=each, seed=3), n=25, objective=define_by_run) for each in (None, space)
    )
    assert [trial.params for trial in found.trials] == [trial.params for trial in declared.trials]


def test_what_is_declared_is_suggested_from_the_first_trial_on():
    mapping = {"x": FloatDistribution(0, 1), "k": CategoricalDistribution(["a", None, 3])}
    study = optuna.create_study(sampler=HpoSampler("sobol", space=mapping, seed=0))
    trial = study.ask()
    assert trial.suggest_categorical("k", ["a", None, 3]) in ("a", None, 3)
    assert trial.relative_params.keys() == {"x", "k"}


def test_choices_may_be_what_a_space_refuses():
    study = studied(
        HpoSampler("random", seed=0),
        n=40,
        objective=lambda t: float(t.suggest_categorical("k", [1, True, math.nan, "1", None]) is None),
    )
    assert {type(trial.params["k"]) for trial in study.trials} == {int, float, str, type(None)}


def test_ranges_too_large_for_a_model_are_drawn():
    study = studied(
        HpoSampler("tpe", seed=0),
        n=20,
        objective=lambda t: t.suggest_int("n", -(2**60), 2**60) * 0 + t.suggest_float("x", -1e308, 1e308) * 0,
    )
    assert suggested(study) == {}


def test_a_sampler_may_serve_one_study_after_another():
    sampler = HpoSampler("tpe", seed=0)
    for _ in range(2):
        study = studied(sampler, n=12, objective=lambda t: t.suggest_float("x", 0, 1))
        assert len(study.trials) == 12
    suggested(study)
    assert len(sampler._view._mirror._history) == 12


def test_hyperband_prunes_with_our_sampler():
    def objective(trial):
        x = trial.suggest_float("x", -1, 1)
        for step in range(9):
            trial.report(x**2 + 1 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return x**2

    study = optuna.create_study(
        sampler=HpoSampler("tpe", seed=0), pruner=optuna.pruners.HyperbandPruner(max_resource=9)
    )
    study.optimize(objective, n_trials=40)
    assert any(trial.state is TrialState.PRUNED for trial in study.trials)


def test_two_processes_share_a_storage(tmp_path):
    url = f"sqlite:///{tmp_path / 'o.db'}"
    one = optuna.create_study(study_name="s", storage=url, sampler=HpoSampler("tpe", seed=0))
    other = optuna.load_study(study_name="s", storage=url, sampler=HpoSampler("tpe", seed=0))
    for study in (one, other) * 6:
        study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=1)
    assert len({trial.params["x"] for trial in one.trials}) == 12
    suggested(other)
    assert len(other.sampler._view._mirror._history) == 12


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"sampler": "cmaes"}, "sampler"),
        ({"space": 3}, "space"),
        ({"space": {3: FloatDistribution(0, 1)}}, "space"),
        ({"metrics": {"loss": 3}}, "loss"),
        ({"metrics": {"loss": hpo.Minimize(), "ms": hpo.AtMost(3)}}, "metrics"),
        ({"constraints_func": 3}, "constraints_func"),
        ({"seed": -1}, "seed"),
    ],
)
def test_refused_arguments_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        HpoSampler(**arguments)


def test_constraints_that_are_no_numbers_are_refused():
    sampler = HpoSampler("random", constraints_func=lambda trial: (float("nan"),), seed=0)
    with pytest.raises(ValueError, match="constraints_func"):
        studied(sampler, n=1, objective=lambda t: t.suggest_float("x", 0, 1))
