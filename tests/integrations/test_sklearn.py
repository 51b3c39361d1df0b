"""``HpoSearchCV`` passes scikit-learn's own checks of estimators, and does what its own searches do."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GroupKFold, KFold, RandomizedSearchCV, ShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

import hpo_core as hpo
from hpo_core.integrations.sklearn import HpoSearchCV, _Splits

C = {"C": hpo.Float(1e-2, 1e2, log=True)}
QUICK = {"n_trials": 3, "cv": 2, "random_state": 0}


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x[:600], y[:600]


def search(estimator=None, space=C, **options):
    return HpoSearchCV(SVC() if estimator is None else estimator, space, **{**QUICK, **options})


# scikit-learn's own checks


@pytest.mark.filterwarnings("ignore")  # the checks expect what they warn of
@parametrize_with_checks(
    [
        HpoSearchCV(Ridge(), {"alpha": hpo.Float(0.1, 10, log=True)}, **QUICK),
        HpoSearchCV(
            make_pipeline(StandardScaler(), LogisticRegression()),
            {"logisticregression__C": C["C"], "standardscaler__with_std": [True, False]},
            **QUICK,
        ),
    ]
)
def test_estimator_checks(estimator, check):
    check(estimator)


# The space


class Constant(ClassifierMixin, BaseEstimator):
    """Predicts 0 whatever its parameters are."""

    def __init__(self, anything=None, inner=None):
        self.anything = anything
        self.inner = inner

    def fit(self, X, y):  # noqa: N803
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):  # noqa: N803
        return np.zeros(len(X), int)


@pytest.mark.parametrize(
    ("written", "parameter"),
    [
        ([1, 2, 4], hpo.Categorical([1, 2, 4])),
        ((None, "balanced"), hpo.Categorical([None, "balanced"])),
        (np.arange(3), hpo.Categorical([0, 1, 2])),
        (range(2, 4), hpo.Categorical([2, 3])),
        (stats.uniform(1, 3), hpo.Float(1.0, 4.0)),
        (stats.uniform(loc=-1, scale=2), hpo.Float(-1.0, 1.0)),
        (stats.loguniform(1e-3, 1e1), hpo.Float(1e-3, 1e1, log=True)),
        (stats.reciprocal(1e-3, 1e1), hpo.Float(1e-3, 1e1, log=True)),
        (stats.randint(1, 5), hpo.Int(1, 4)),
        (stats.randint(1, 5, loc=2), hpo.Int(3, 6)),
        (hpo.Ordinal([1, 3]), hpo.Ordinal([1, 3])),
        (
            {"a": {"inner": [1, 2]}, "b": {}},
            hpo.Categorical({"a": {"inner": hpo.Categorical([1, 2])}, "b": {}}),
        ),
        ("rbf", "rbf"),
        (None, None),
    ],
)
def test_ways_to_write_a_parameter(iris, written, parameter):
    found = search(Constant(), {"anything": written}, n_trials=20).fit(*iris).study_
    assert repr(found.space) == repr(hpo.Space({"anything": parameter}))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"C": stats.norm()}, "parameter 'C' must be .* got norm"),
        ({"C": stats.loguniform(1, 2, loc=1)}, "loguniform .with loc=0. .* got loguniform"),
        ({"C": []}, "parameter 'C'"),
        ({"C": pd.Series([1, 2])}, "(?s)parameter 'C' must be .* a list of choices, .* list.. makes"),
        ({"C": {1, 2}}, "parameter 'C' must be .* got {1, 2}"),
        ({"C": iter([1, 2])}, "parameter 'C' must be"),
        ([{"C": [1]}], "space must be a Space or a mapping .* own parameters"),
        ({"C": {"a": hpo.Float(0, 1)}}, "sub-space of choice 'a' must be a mapping"),
        (None, "space must be"),
    ],
)
def test_a_space_that_is_refused(iris, space, message):
    with pytest.raises(hpo.ArgumentError, match=message):
        search(space=space).fit(*iris)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": C, "n_iter": 9}, "write n_trials=9"),
        ({"param_distributions": C}, "the space comes second, as in HpoSearchCV"),
        ({}, "write HpoSearchCV.estimator, space, "),
    ],
)
def test_names_of_scikit_learns_searches_get_ours(arguments, message):
    with pytest.raises(TypeError, match=message):
        HpoSearchCV(SVC(), **arguments)


def test_choices_that_cannot_be_hashed_or_compared(iris):
    weights = [{0: 1.0, 1: 2.0}, None, [1], float("nan"), np.ones(2), pd.NA]

    found = search(Constant(), {"anything": weights}, n_trials=9).fit(*iris)
    seen = [params["anything"] for params in found.cv_results_["params"]]
    assert sorted(map(repr, seen)) == sorted(map(repr, weights))
    assert "_Choice" not in repr(found.study_.trials)


def test_conditional_parameters_are_masked_and_estimators_are_choices(digits):
    pipeline = make_pipeline(MinMaxScaler(), LogisticRegression())
    space = {
        "logisticregression": {
            SVC(): {"logisticregression__gamma": hpo.Float(1e-3, 1, log=True)},
            LogisticRegression(max_iter=2000): {},
        },
        "logisticregression__C": C["C"],
        "minmaxscaler": ["passthrough", MinMaxScaler()],
    }
    found = search(pipeline, space, n_trials=8).fit(*digits)
    gamma = found.cv_results_["param_logisticregression__gamma"]
    is_svc = [type(params["logisticregression"]) is SVC for params in found.cv_results_["params"]]
    assert 0 < sum(is_svc) < 8
    assert np.array_equal(~np.ma.getmaskarray(gamma), is_svc)
    assert type(found.best_estimator_[-1]) is type(found.best_params_["logisticregression"])
    assert not hasattr(found.best_params_["logisticregression"], "classes_")  # it was cloned


def test_a_space_that_is_used_up_ends_the_search(iris):
    found = search(space={"C": [1, 2, 4]}, n_trials=50).fit(*iris)
    assert sorted(params["C"] for params in found.cv_results_["params"]) == [1, 2, 4]


def test_constraints_hold(iris):
    space = hpo.Space(
        {"C": hpo.Int(1, 4), "gamma": hpo.Float(0.1, 1)},
        forbid=[(hpo.param("C") > 2) & (hpo.param("gamma") > 0.5)],
    )
    found = search(space=space, n_trials=12).fit(*iris)
    assert all(params["C"] <= 2 or params["gamma"] <= 0.5 for params in found.cv_results_["params"])


# Results


def test_results_are_those_of_scikit_learns_own_search(iris):
    ours = search(return_train_score=True).fit(*iris)
    theirs = RandomizedSearchCV(SVC(), {"C": [1.0]}, n_iter=1, cv=2, return_train_score=True).fit(*iris)
    assert ours.cv_results_.keys() == theirs.cv_results_.keys()
    assert {len(column) for column in ours.cv_results_.values()} == {3}
    public = {name for name in vars(theirs) if name.endswith("_")}
    assert {name for name in vars(ours) if name.endswith("_")} == public | {"study_"}


def test_scores_are_cross_validated_and_told_to_the_study(iris):
    found = search(n_trials=6, cv=3).fit(*iris)
    scores = found.cv_results_["mean_test_score"]
    for params, score in zip(found.cv_results_["params"], scores, strict=True):
        assert score == pytest.approx(cross_val_score(SVC(**params), *iris, cv=3).mean(), abs=1e-12)
    assert [trial.value for trial in found.study_.trials] == pytest.approx(list(scores), abs=1e-12)
    assert found.best_score_ == scores.max() == found.study_.best_value
    assert found.best_params_ == found.study_.best_params == found.cv_results_["params"][found.best_index_]
    assert found.score(*iris) == found.best_estimator_.score(*iris)


def test_the_best_of_many_trials_is_better_than_random(digits):
    space = {"C": hpo.Float(1e-3, 1e3, log=True), "gamma": hpo.Float(1e-6, 1e1, log=True)}
    model = [
        search(space=space, n_trials=16, random_state=seed).fit(*digits).best_score_ for seed in range(3)
    ]
    random = [
        search(space=space, n_trials=20, sampler="random", random_state=seed).fit(*digits).best_score_
        for seed in range(3)
    ]
    assert np.mean(model) > np.mean(random)


def test_a_seed_gives_the_same_search_whatever_the_number_of_processes(iris):
    one, two = (search(n_trials=6, n_jobs=n_jobs).fit(*iris) for n_jobs in (1, 2))
    assert one.cv_results_["params"] == two.cv_results_["params"]
    assert one.cv_results_["params"] != search(n_trials=6, random_state=1).fit(*iris).cv_results_["params"]
    assert len(search(n_trials=5, n_jobs=4).fit(*iris).cv_results_["params"]) == 5  # two at once


def test_random_splits_are_the_same_for_all_configurations(iris):
    found = search(
        DecisionTreeClassifier(random_state=0), {"max_depth": [9, 10, 11]}, cv=ShuffleSplit(12)
    ).fit(*iris)
    assert np.ptp([found.cv_results_[f"split{k}_test_score"] for k in range(12)], axis=1) == pytest.approx(0)
    assert np.ptp([found.cv_results_[f"split{k}_test_score"][0] for k in range(12)]) > 0


def test_without_refit(iris):
    found = search(refit=False).fit(*iris)
    assert found.best_params_ == found.cv_results_["params"][found.best_index_]
    assert not hasattr(found, "best_estimator_")
    assert not hasattr(found, "classes_")
    assert not hasattr(found, "predict")


def test_refit_as_a_function_chooses(iris):
    found = search(refit=lambda results: int(np.argmin(results["mean_test_score"]))).fit(*iris)
    assert found.best_index_ == np.argmin(found.cv_results_["mean_test_score"])
    with pytest.raises(TypeError, match="integer"):
        search(refit=lambda results: 0.5).fit(*iris)
    with pytest.raises(IndexError, match="out of range"):
        search(refit=lambda results: 9).fit(*iris)


def test_cloned_pickled_and_shown(iris):
    found = search().fit(*iris)
    again = pickle.loads(pickle.dumps(found))
    assert np.array_equal(again.predict(iris[0]), found.predict(iris[0]))
    assert again.study_.best_value == found.study_.best_value
    assert clone(found).get_params()["estimator__gamma"] == "scale"
    assert "HpoSearchCV" in found._repr_html_()
    found.set_params(estimator__gamma=0.5, n_trials=2)
    assert len(found.fit(*iris).cv_results_["params"]) == 2
    assert found.best_estimator_.gamma == 0.5


# Data


def test_kinds_of_data(iris):
    x, y = iris
    expected = search().fit(x, y).cv_results_["mean_test_score"]
    for like in (x.tolist(), pd.DataFrame(x, columns=list("abcd")), scipy.sparse.csr_matrix(x)):
        found = search().fit(like, y.tolist())
        assert found.cv_results_["mean_test_score"] == pytest.approx(expected, abs=0.02)
    assert list(search().fit(pd.DataFrame(x, columns=list("abcd")), y).feature_names_in_) == list("abcd")
    kernel = search(SVC(kernel="precomputed")).fit(rbf_kernel(x, gamma=0.1), y)
    assert kernel.best_score_ > 0.9


def test_without_labels(iris):
    found = search(KMeans(n_init=1, random_state=0), {"n_clusters": hpo.Int(2, 6)}, n_trials=5).fit(iris[0])
    assert found.best_params_["n_clusters"] == max(p["n_clusters"] for p in found.cv_results_["params"])
    assert found.transform(iris[0]).shape[0] == 150


def test_several_outputs(iris):
    x, y = iris
    both = np.column_stack([y < 1, y == 1]).astype(int)
    for scheduler in (None, "asha"):
        found = search(DecisionTreeClassifier(), {"max_depth": hpo.Int(1, 4)}, scheduler=scheduler).fit(
            x, both
        )
        assert found.predict(x).shape == (150, 2)


def test_groups_weights_and_routed_metadata(iris):
    x, y = iris
    groups = np.arange(150) % 5
    found = search(cv=GroupKFold(5)).fit(x, y, groups=groups)
    assert found.n_splits_ == 5
    with pytest.raises(ValueError, match="groups"):
        search(cv=GroupKFold(5)).fit(x, y)
    weights = np.where(y == 2, 0, 1)
    weighted = search(LogisticRegression(max_iter=500)).fit(x, y, sample_weight=weights)
    assert 2 not in weighted.predict(x)
    with config_context(enable_metadata_routing=True):
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        estimator = LogisticRegression(max_iter=500).set_fit_request(sample_weight=True)
        routed = search(estimator, scoring=scorer).fit(x, y, sample_weight=weights)
        assert 2 not in routed.predict(x)
        estimator = clone(estimator).set_score_request(sample_weight=False)
        unweighted = search(estimator).fit(x, y, sample_weight=weights)
        assert routed.best_score_ > 0.9 > unweighted.best_score_  # class 2 no longer counts


# Scores that are missing


class Fails(LogisticRegression):
    """Raises where C is above 1."""

    def fit(self, X, y):  # noqa: N803
        if self.C > 1:
            raise ValueError("C is too large")
        return super().fit(X, y)


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
@pytest.mark.parametrize("error_score", [np.nan, 0.25])
def test_a_configuration_whose_fits_fail_is_a_row_and_a_trial(iris, error_score):
    space = {"C": [10.0, 0.1, 100.0, 1.0]}
    with pytest.warns(FitFailedWarning, match="C is too large"):
        found = search(Fails(max_iter=500), space, n_trials=4, error_score=error_score).fit(*iris)
    scores = found.cv_results_["mean_test_score"]
    for trial, params, score in zip(found.study_.trials, found.cv_results_["params"], scores, strict=True):
        assert trial.params == params
        if params["C"] <= 1:
            assert score == trial.value > 0.8
        elif error_score == 0.25:
            assert score == trial.value == 0.25
        else:
            assert np.isnan(score)
            assert trial.state.name == "FAILED"
    assert found.best_params_["C"] <= 1


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
@pytest.mark.filterwarnings("ignore:Scoring failed")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.parametrize("seed", range(3))  # of which some begin with a failure
@pytest.mark.parametrize("scoring", ["accuracy", ["accuracy", "f1_macro"], lambda *_: {"a": 1.0, "b": 2.0}])
def test_failures_beside_several_metrics(iris, scoring, seed):
    options = {"scoring": scoring, "refit": False, "error_score": 0.0, "random_state": seed}
    found = search(Fails(max_iter=500), {"C": [10.0, 0.1, 20.0, 1.0]}, n_trials=4, **options).fit(*iris)
    for name in (name for name in found.cv_results_ if name.startswith("mean_test_")):
        column = dict(
            zip((p["C"] for p in found.cv_results_["params"]), found.cv_results_[name], strict=True)
        )
        assert column[10.0] == column[20.0] == 0.0
        assert column[0.1] > 0.5
        told = (
            [trial.values[name.removeprefix("mean_test_")] for trial in found.study_.trials]
            if found.multimetric_
            else []
        )
        assert told == list(found.cv_results_[name])[: len(told)]
    assert [trial.params for trial in found.study_.trials] == found.cv_results_["params"]


def test_errors_that_end_the_search(iris):
    with pytest.raises(ValueError, match="C is too large"):
        search(Fails(max_iter=500), error_score="raise", n_trials=9).fit(*iris)
    with pytest.raises(ValueError, match="Invalid parameter 'unknown'"):
        search(space={"unknown": [1, 2]}).fit(*iris)
    with pytest.warns(FitFailedWarning), pytest.raises(ValueError, match="fits failed"):
        search(Fails(max_iter=500), {"C": [2, 3]}).fit(*iris)


# Several metrics


def both(estimator, X, y):  # noqa: N803
    accuracy = estimator.score(X, y)
    return {"accuracy": accuracy, "smooth": -estimator.C}


@pytest.mark.parametrize(
    "scoring", [["accuracy", "f1_macro"], {"accuracy": "accuracy", "f1_macro": "f1_macro"}]
)
def test_refit_names_the_metric_to_maximise(iris, scoring):
    found = search(n_trials=6, scoring=scoring, refit="f1_macro").fit(*iris)
    alone = search(n_trials=6, scoring="f1_macro").fit(*iris)
    assert found.multimetric_
    assert np.array_equal(found.cv_results_["mean_test_f1_macro"], alone.cv_results_["mean_test_score"])
    assert found.best_params_ == alone.best_params_
    assert found.study_.best_value == found.best_score_
    assert set(found.scorer_) == {"accuracy", "f1_macro"}


@pytest.mark.parametrize("scoring", [["accuracy", "f1_macro"], both])
@pytest.mark.parametrize("scheduler", [None, "asha"])
def test_without_a_name_the_front_is_searched(digits, scoring, scheduler):
    found = search(n_trials=5, scoring=scoring, refit=False, scheduler=scheduler).fit(*digits)
    assert len(found.study_.trials) == 5
    names = [name.removeprefix("mean_test_") for name in found.cv_results_ if name.startswith("mean_test_")]
    assert list(found.study_.metrics) == names
    assert not hasattr(found, "best_index_")
    if scheduler is None:
        for name in names:
            told = [trial.values[name] for trial in found.study_.trials]
            assert told == pytest.approx(list(found.cv_results_[f"mean_test_{name}"]), abs=1e-12)


def test_a_function_for_scoring(iris):
    single = search(scoring=lambda estimator, x, y: estimator.score(x, y)).fit(*iris)
    assert np.array_equal(
        single.cv_results_["mean_test_score"], search().fit(*iris).cv_results_["mean_test_score"]
    )
    named = search(scoring=both, refit="smooth").fit(*iris)
    assert named.best_params_["C"] == min(params["C"] for params in named.cv_results_["params"])
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        search(scoring=both).fit(*iris)
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        search(scoring=both, refit="unknown").fit(*iris)


# Schedulers


@pytest.mark.parametrize(
    "scheduler", ["asha", "hyperband", "freeze-thaw", hpo.schedulers.ASHA(mode="promote")]
)
def test_only_the_best_get_the_whole_resource(digits, scheduler):
    space = {"C": hpo.Float(1e-3, 1e3, log=True), "gamma": hpo.Float(1e-6, 1e1, log=True)}
    found = search(space=space, n_trials=15, scheduler=scheduler).fit(*digits)
    results = found.cv_results_
    amounts, counts = np.unique(results["n_resources"], return_counts=True)
    assert amounts[0] < 100
    assert amounts[-1] <= 600
    assert counts[0] == 15
    assert np.all(np.diff(counts) <= 0)
    assert counts[-1] < 10
    steps = set(zip(results["trial"], results["iter"], strict=True))
    assert len(steps) == len(results["trial"])  # no rung is evaluated twice
    most = results["n_resources"] == amounts[-1]
    assert found.best_score_ == results["mean_test_score"][most].max()
    assert most[found.best_index_]


@pytest.mark.parametrize("scheduler", ["freeze-thaw", hpo.schedulers.ASHA(mode="promote", factor=2)])
def test_paused_configurations_go_on_after_the_last_has_begun(iris, scheduler):
    options = {"scheduler": scheduler, "resource": "n_estimators", "n_trials": 9}
    found = search(RandomForestClassifier(27, random_state=0), {"max_depth": hpo.Int(1, 9)}, **options).fit(
        *iris
    )
    study = hpo.Study({"max_depth": hpo.Int(1, 9)}, scheduler=scheduler, direction="maximize", seed=0)
    study.optimize(lambda trial: train(trial, 27), n_trials=9)
    assert (found.study_.n_finished > 0) == (study.n_finished > 0)
    assert len(found.study_.trials) == 9
    assert not found.study_.scheduler.resume(found.study_.history, 1)


def train(trial, steps):
    for step in trial.steps(steps):
        value = -abs(trial["max_depth"] - 4) - 1 / (1 + step)
        trial.report(step, value)
        if trial.should_stop():
            break
    return value


def test_an_int_parameter_as_the_resource(iris):
    forest = RandomForestClassifier(27, random_state=0)
    options = {"scheduler": "asha", "resource": "n_estimators", "n_trials": 8}
    found = search(forest, {"max_depth": hpo.Int(1, 8)}, **options).fit(*iris)
    given = [params["n_estimators"] for params in found.cv_results_["params"]]
    assert set(given) <= {1, 3, 9, 27}
    assert np.array_equal(given, found.cv_results_["n_resources"])
    assert found.best_estimator_.n_estimators == 27
    larger = search(forest, {"max_depth": hpo.Int(1, 8)}, max_resources=54, **options).fit(*iris)
    assert larger.best_estimator_.n_estimators == 54


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheduler": "median"}, "scheduler must have rungs"),
        ({"resource": "trees"}, "resource must be .* 'trees', which is not of the estimator"),
        ({"resource": "C"}, "resource must be .* 'C', which is also in the space"),
        ({"resource": "kernel"}, "max_resources must be an int above 0"),
        ({"max_resources": 151}, "max_resources must be an int from 1 to 150"),
        ({"max_resources": 0}, "max_resources must be"),
        ({"max_resources": "all"}, "max_resources must be .* got 'all'"),
    ],
)
def test_a_resource_that_is_refused(iris, options, message):
    with pytest.raises(hpo.ArgumentError, match=message):
        search(**{"scheduler": "asha", **options}).fit(*iris)


@given(
    sizes=st.lists(st.integers(2, 40), min_size=1, max_size=5),
    shares=st.lists(st.floats(0.05, 1), min_size=2, max_size=4),
    stratify=st.booleans(),
    seed=st.integers(0, 9),
)
def test_parts_of_the_samples(sizes, shares, stratify, seed):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    x = np.zeros((len(y), 1))
    splits = _Splits(KFold(2, shuffle=True), len(y), stratify, seed)
    whole = [*splits.part(1.0, x, y, {})]
    before = [(np.array([], int), test) for _, test in whole]
    for share in sorted(shares):
        parts = [*splits.part(share, x, y, {})]
        for (train, test), (all_of_it, same), (fewer, _) in zip(parts, whole, before, strict=True):
            assert np.array_equal(test, same)
            assert len(train) == max(1, round(share * len(all_of_it)))
            assert set(fewer) <= set(train) <= set(all_of_it)
            assert np.all(np.diff(train) > 0)
            if stratify:
                of = np.bincount(y[all_of_it], minlength=len(sizes)) * len(train) / len(all_of_it)
                assert np.all(np.abs(np.bincount(y[train], minlength=len(sizes)) - of) <= 1 + len(sizes) / 2)
        before = parts


def test_regression_on_parts_of_the_samples():
    x, y = load_diabetes(return_X_y=True)
    found = search(Ridge(), {"alpha": hpo.Float(1e-3, 1e2, log=True)}, n_trials=9, scheduler="asha").fit(x, y)
    assert found.best_score_ > 0.4
    assert set(found.cv_results_["n_resources"]) == {17, 50, 148, 442}
