"""``HpoSearch`` as Ray Tune calls it, and under real runs of it."""

from __future__ import annotations

import math

import objectives
import pytest
from ray import tune
from ray.tune.search import ConcurrencyLimiter, Searcher

import hpo_core as hpo
from hpo_core.errors import ArgumentError, SpaceError
from hpo_core.integrations.ray import HpoSearch

CHOICES = [[32, 32], [64]]
PARAM_SPACE = {
    "model": {"x": tune.uniform(-2.0, 2.0), "layers": tune.choice(CHOICES), "fixed": 7},
    "n": tune.randint(0, 3),
}


def fit(search, folder, n):
    return tune.Tuner(
        objectives.tuned,
        param_space=PARAM_SPACE,
        tune_config=tune.TuneConfig(
            search_alg=search, num_samples=n, metric="loss", mode="min", reuse_actors=True
        ),
        run_config=tune.RunConfig(storage_path=str(folder), name="run", verbose=0),
    ).fit()


def test_a_tuner_runs_with_it(ray_cluster, tmp_path, soak):
    n = 60 if soak else 4
    search = HpoSearch(seed=0)
    results = fit(ConcurrencyLimiter(search, 2), tmp_path, n)
    study = search.study
    assert len(results) == len(study.trials) == n
    assert len(results.errors) == len(study.trials.where("failed"))
    assert (study.trials.where("failed")["n"] == 2).all()
    assert len(study.trials.where("complete")) == n - len(results.errors) > 0
    best = results.get_best_result()
    assert best.metrics["loss"] == study.best_value
    assert best.config["model"]["x"] == study.best_params["model/x"]
    assert best.config["model"]["layers"] in CHOICES
    assert len(study.history.reports.row) == 3 * len(study.trials.where("complete"))
    restored = HpoSearch()
    restored.restore_from_dir(str(tmp_path / "run"))
    assert restored.study.best_value == study.best_value


def started(space=None, **options):
    return HpoSearch(space or {"x": hpo.Float(-1.0, 1.0)}, "loss", "min", **options)


def test_results_reach_the_study():
    search = started(seed=0)
    for name, loss in (("a", 1.0), ("b", math.nan), ("c", None), ("d", None), ("e", None)):
        assert set(search.suggest(name)) == {"x"}
        if loss is not None:
            search.on_trial_complete(name, {"loss": loss})
    search.on_trial_complete("c", error=True)
    search.on_trial_result("d", {"loss": 0.5, "training_iteration": 1})
    search.on_trial_result("d", {"other": 0.5, "training_iteration": 2})
    search.on_trial_complete("d")
    trials = search.study.trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAILED", "FAILED", "STOPPED", "RUNNING"]
    assert [trial.value for trial in trials] == [1.0, None, None, 0.5, None]
    assert trials.reason[2] == "error in Ray Tune"


def test_a_trial_is_suggested_once_and_finishes_once(caplog):
    search = started(seed=0)
    assert search.suggest("a") == search.suggest("a")
    search.on_trial_complete("a", {"loss": 1.0})
    search.on_trial_complete("a", {"loss": 0.0})
    search.on_trial_result("zz", {"loss": 0.0, "training_iteration": 1})
    assert search.study.best_value == 1.0
    assert "trial zz of Tune is unknown" in caplog.text


def test_the_greatest_value_is_found():
    search = HpoSearch({"x": hpo.Float(-1.0, 1.0)}, "score", "max", seed=0)
    for name in "abcd":
        search.on_trial_complete(name, {"score": search.suggest(name)["x"]})
    assert search.study.best_value == search.study.trials["x"].max()


def test_a_saved_search_goes_on_unchanged(tmp_path):
    search = started(seed=0, sampler="tpe")
    for k in range(20):
        search.on_trial_complete(str(k), {"loss": search.suggest(str(k))["x"] ** 2})
    search.suggest("running")
    search.save(str(tmp_path / "state"))
    other = HpoSearch()
    other.restore(str(tmp_path / "state"))
    assert other.suggest("next") == search.suggest("next")
    other.on_trial_complete("running", {"loss": 0.0})
    assert other.study.best_value == 0.0


def test_a_finite_space_ends_the_run():
    search = started({"k": tune.choice(["a", "b"])}, seed=0)
    assert {search.suggest(name)["k"] for name in "ab"} == {"a", "b"}
    assert search.suggest("c") == Searcher.FINISHED


def test_conditional_spaces_give_what_is_active():
    space = hpo.Space(
        {"optimizer/name": hpo.Categorical({"sgd": {"optimizer/momentum": hpo.Float(0, 1)}, "adam": {}})}
    )
    search = started(space, seed=0)
    seen = [search.suggest(str(k))["optimizer"] for k in range(20)]
    assert {config["name"]: set(config) for config in seen} == {"sgd": {"name", "momentum"}, "adam": {"name"}}


def test_points_come_first():
    points = [{"model": {"x": 0.5, "layers": [64]}, "n": 1}, {"n": 2}]
    search = HpoSearch(PARAM_SPACE, "loss", "min", points, seed=0)
    assert search.suggest("a") == {"model": {"x": 0.5, "layers": [64]}, "n": 1}
    assert search.suggest("b")["n"] == 2
    search.add_evaluated_point({"model": {"x": 1.0, "layers": [32, 32]}, "n": 0}, 0.25)
    search.add_evaluated_point({"model": {"x": 1.0, "layers": [32, 32]}, "n": 0}, 0.0, error=True)
    assert search.study.best_value == 0.25
    assert search.study.trials[-1].state.name == "FAILED"


@pytest.mark.parametrize(
    ("domain", "parameter"),
    [
        (tune.uniform(-1.0, 2.0), hpo.Float(-1.0, 2.0)),
        (tune.loguniform(1e-4, 1e-1), hpo.Float(1e-4, 1e-1, log=True)),
        (tune.quniform(0.5, 2.0, 0.5), hpo.Float(0.5, 2.0, step=0.5)),
        (tune.qloguniform(0.5, 8.0, 0.5), hpo.Float(0.5, 8.0, log=True)),
        (tune.randint(1, 10), hpo.Int(1, 9)),
        (tune.lograndint(1, 1000), hpo.Int(1, 999, log=True)),
        (tune.qrandint(1, 100, 10), hpo.Int(10, 100, step=10)),
        (tune.qlograndint(8, 129, 8), hpo.Int(8, 128, log=True)),
        (tune.choice(["a", 1, None, (2, 3)]), hpo.Categorical(["a", 1, None, (2, 3)])),
    ],
)
def test_tunes_parameters_have_counterparts(domain, parameter):
    search = started({"a": {"b": domain}, "constant": 3}, seed=0)
    assert search.study.space == hpo.Space({"a/b": parameter})
    drawn = [search.suggest(str(k)) for k in range(2)]
    assert all(domain.is_valid(config["a"]["b"]) for config in drawn)
    steps = getattr(domain.get_sampler(), "q", None)
    assert steps is None or all(config["a"]["b"] % steps == 0 for config in drawn)
    assert {*drawn[0]} == {"a"}  # constants stay with the tuner


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"a": tune.grid_search([1, 2])}, "'a' must be .* got tune.grid_search"),
        ({"a": tune.sample_from(lambda spec: 1.0)}, "'a' must be .* got Function"),
        ({"a": tune.randn(0.0, 1.0)}, "'a' must be .* got Float of Normal"),
        ({"a": [tune.uniform(0, 1), 2]}, "'a' must be a dictionary"),
        (3, "space must be"),
    ],
)
def test_what_has_no_counterpart_is_refused(space, words):
    with pytest.raises(ArgumentError, match=words):
        HpoSearch(space, "loss", "min")


@pytest.mark.parametrize(
    "arguments",
    [
        {"mode": "minimize"},
        {"metric": 3},
        {"mode": ["min", "max"], "metric": "ab"},
        {"mode": "min", "metric": ["a", "b"]},
        {"mode": ["min", "max"], "metric": ["a"]},
        {"mode": ["min", "max"], "metric": ["a", "a"]},
        {"mode": ["min", "obs"], "metric": ["a", "b"]},
        {"mode": ["min", "max"], "metric": ["a", 3]},
        {"mode": [], "metric": []},
        {"metrics": {"a": hpo.Minimize()}, "metric": "a", "mode": "min"},
    ],
)
def test_metrics_have_modes(arguments):
    with pytest.raises(ArgumentError, match=r"mode must|metric must"):
        HpoSearch({"x": hpo.Float(0, 1)}, **arguments)


def test_several_metrics_reach_the_study():
    search = HpoSearch({"x": hpo.Float(-1.0, 1.0)}, ["loss", "score"], ("min", "max"), seed=0)
    assert (search.metric, search.mode) == (["loss", "score"], ["min", "max"])
    results = {
        "a": {"loss": 1.0, "score": 2.0, "other": 9.0},
        "b": {"loss": 1.0, "score": math.nan},
        "c": {"loss": 1.0},
        "d": {"loss": 1.0, "score": None},
    }
    for name, result in results.items():
        search.suggest(name)
        if name == "d":
            search.on_trial_result(name, {"loss": 0.5, "score": 0.25, "training_iteration": 1})
            search.on_trial_result(name, {"loss": 0.5, "training_iteration": 2})
        search.on_trial_complete(name, result)
    trials = search.study.trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAILED", "FAILED", "STOPPED"]
    assert trials[0].values == {"loss": 1.0, "score": 2.0}
    assert trials[3].values == {"loss": 0.5, "score": 0.25}
    search.add_evaluated_point({"x": 0.5}, {"loss": 0.5, "score": 3.0})
    search.add_evaluated_point({"x": 0.25}, 0.0, error=True)
    assert search.study.front().number.tolist() == [4]
    assert search.study.trials[-1].reason == "error in Ray Tune"
    assert (
        search.study.metrics
        == hpo.Study({"x": 1.0}, metrics={"loss": hpo.Minimize(), "score": hpo.Maximize()}).metrics
    )


def test_bounds_and_known_metrics(tmp_path):
    metrics = {
        "loss": hpo.Minimize(),
        "size": hpo.Minimize(known=lambda columns: 10 * columns["n"]),
        "ms": hpo.AtMost(5.0),
    }
    search = HpoSearch(metrics=metrics, seed=0, sampler="tpe")
    assert search.set_search_properties("loss", "min", PARAM_SPACE)  # for the scheduler
    for k in range(15):
        config = search.suggest(str(k))
        search.on_trial_complete(str(k), {"loss": config["model"]["x"] ** 2, "ms": 4.0 + config["n"]})
    assert search.study.trials.values["size"].tolist() == (10 * search.study.trials["n"]).tolist()
    assert search.study.trials.feasible.tolist() == (search.study.trials["n"] <= 1).tolist()
    search.save(str(tmp_path / "state"))  # with the function
    other = HpoSearch()
    other.restore(str(tmp_path / "state"))
    assert other.suggest("next") == search.suggest("next")


@pytest.mark.parametrize(
    "goal",
    [
        {"metric": "value", "mode": "min"},
        {"metric": ["value"], "mode": ["min"]},
        {"metrics": {"value": hpo.Minimize()}},
    ],
)
def test_a_metric_may_be_called_value(goal):
    search = HpoSearch(seed=0, **goal)
    search.set_search_properties("other", "max", PARAM_SPACE)
    search.suggest("a")
    search.on_trial_result("a", {"value": 2.0, "other": 9.0, "training_iteration": 1})
    search.on_trial_complete("a", {"value": 1.0, "other": 9.0})
    trial = search.study.trials[0]
    assert (trial.state.name, trial.value, trial.reports) == ("COMPLETE", 1.0, [(1, 2.0)])


def test_a_tuner_runs_with_several_metrics(ray_cluster, tmp_path):
    search = HpoSearch(
        metrics={"loss": hpo.Minimize(), "n": hpo.Minimize(known=lambda columns: columns["n"])}, seed=0
    )
    results = tune.Tuner(
        objectives.tuned,
        param_space=PARAM_SPACE,
        tune_config=tune.TuneConfig(
            search_alg=ConcurrencyLimiter(search, 2), num_samples=4, reuse_actors=True
        ),
        run_config=tune.RunConfig(storage_path=str(tmp_path), name="run", verbose=0),
    ).fit()
    assert len(results) == len(search.study.trials) == 4
    assert len(results.errors) == len(search.study.trials.where("failed"))
    complete = search.study.trials.where("complete")
    assert sorted(complete.values["loss"]) == sorted(
        each.metrics["loss"] for each in results if not each.error
    )
    assert complete.values["n"].tolist() == complete["n"].tolist()


def test_what_the_tuner_says_completes_what_is_given():
    search = HpoSearch({"x": hpo.Float(0, 1)})
    with pytest.raises(ArgumentError, match="nothing to search"):
        search.suggest("a")
    assert not search.set_search_properties("loss", "max", {"constant": 3})  # it has a space of its own
    assert (search.metric, search.mode, search.study.direction) == ("loss", "max", "maximize")
    own = HpoSearch(metric=["loss", "score"], mode=["min", "max"])
    assert own.set_search_properties("other", "min", PARAM_SPACE)
    assert (own.metric, own.mode) == (["loss", "score"], ["min", "max"])
    assert own.study.metrics.objectives == ("loss", "score")
    named = HpoSearch(metric="loss")
    assert named.set_search_properties("other", "max", PARAM_SPACE)
    assert (named.metric, named.mode) == ("loss", "max")
    with pytest.raises(ArgumentError, match="metric and mode must be lists"):
        HpoSearch(metric="loss").set_search_properties(["a", "b"], ["min", "min"], PARAM_SPACE)
    with pytest.raises(ArgumentError, match="mode must"):
        HpoSearch().set_search_properties("loss", None, PARAM_SPACE)
    with pytest.raises(SpaceError):
        HpoSearch().set_search_properties("loss", "min", {})


def test_a_scheduler_belongs_to_tune():
    with pytest.raises(hpo.ArgumentError, match=r"scheduler must be None, got .*tune\.TuneConfig"):
        HpoSearch(scheduler="asha")
