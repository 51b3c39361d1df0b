"""Importance: shares that are known, what changes nothing, which trials count, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

import hpo_core as hpo
from hpo_core.analysis import importance
from hpo_core.errors import StudyError
from hpo_core.native import _backend
from hpo_core.study import ReadOnlyStudy

UNIT = {name: hpo.Float(0.0, 1.0) for name in "abc"}
# Of the authors of conditional PED-ANOVA: c decides whether x or y is there.
BRANCHES = {
    "c": hpo.Float(0.0, 1.0),
    "x": hpo.Float(-5.0, -2.0, when=hpo.param("c") < 0.5),
    "y": hpo.Float(2.0, 5.0, when=hpo.param("c") >= 0.5),
}


def branches(batch):
    return np.where(batch["c"] < 0.5, batch["x"], batch["y"])


def study_of(space, f, n, *, seed=0, **options):
    """A study of n random configurations with the values ``f(batch)``."""
    study = hpo.Study(space, sampler="random", seed=seed, **options)
    batch = study.ask(n)
    study.tell(batch, f(batch))
    return study


def assert_shares(found, expected, **tolerance):
    assert sum(found.values()) == pytest.approx(1.0, abs=1e-12)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert found == pytest.approx(expected, **tolerance)


def share_of_corner(weights, top, n=1500):
    """Shares of two parameters in the best ``top`` of sum_i weights_i x_i, by the densities on a grid."""
    x = (np.arange(n) + 0.5) / n
    y = weights[0] * x[:, None] + weights[1] * x
    best = y <= np.quantile(y, top)
    density = [best.mean(axis=1 - axis) / best.mean() for axis in (0, 1)]
    found = np.array([np.mean((p - 1.0) ** 2) for p in density])
    return found / found.sum()


# --- ped-anova: known answers -----------------------------------------------------------------------------


@pytest.mark.parametrize("top", [0.1, 0.3])
def test_additive_functions_have_the_shares_of_the_densities(top):
    study = study_of(UNIT, lambda batch: 2.0 * batch["a"] + batch["b"], 20_000)
    a, b = share_of_corner([2.0, 1.0], top)
    found = importance(study, target_quantile=top)
    assert_shares(found, {"a": a, "b": b, "c": 0.0}, abs=0.01)


def test_a_conditional_parameter_has_what_it_does_where_it_is_active():
    """The best tenth: c is below 0.5, D = 1; x is in its lowest fifth, alpha^2 / beta D = 1 / 0.5 (5 - 1)."""
    found = importance(study_of(BRANCHES, branches, 5000))
    assert_shares(found, {"x": 8 / 9, "c": 1 / 9, "y": 0.0}, abs=0.01)
    assert found["y"] == 0.0  # it is inactive in all of the best tenth


def test_what_decides_between_branches_is_important_and_the_branches_are_not():
    """The best half is the half with c < 0.5, wherever x is in it."""
    found = importance(study_of(BRANCHES, branches, 5000), target_quantile=0.5)
    assert_shares(found, {"c": 1.0, "x": 0.0, "y": 0.0}, abs=0.02)


def test_a_better_region_is_looked_at_by_itself():
    """Among the best half, only x is left to set trials apart."""
    found = importance(study_of(BRANCHES, branches, 5000), target_quantile=0.1, region_quantile=0.5)
    assert_shares(found, {"x": 1.0, "c": 0.0, "y": 0.0}, abs=0.02)


def test_categories_and_levels():
    space = {
        "kind": hpo.Categorical(list("abcde")),
        "k": hpo.Int(1, 10),
        "other": hpo.Categorical(["u", "v"]),
    }
    study = study_of(
        space, lambda batch: 10.0 * (batch["kind"] != "c") + batch["k"], 20_000, allow_duplicates=True
    )
    # The best 7 % and their equals are "c", D = 5 - 1, with k from 1 to 4, D = 10 / 4 - 1.
    found = importance(study, target_quantile=0.07)
    assert_shares(found, {"kind": 4 / 5.5, "k": 1.5 / 5.5, "other": 0.0}, abs=0.02)


def test_a_parameter_that_does_nothing_has_no_share_even_with_few_trials_and_many_choices():
    space = {"a": hpo.Float(0, 1), "noise": hpo.Categorical([f"n{k}" for k in range(20)])}
    shares = [
        importance(study_of(space, lambda batch: batch["a"], 60, seed=seed))["noise"] for seed in range(20)
    ]
    assert np.mean(shares) < 0.03  # without the correction it is 0.3


def test_a_search_that_settles_does_not_hide_what_matters():
    """TPE comes to one batch size by chance; the rate, which it finds in the same time, is not lost to it."""
    space = {"lr": hpo.Float(1e-5, 0.1, log=True), "batch": hpo.Categorical([16, 32, 64, 128, 256])}
    for seed in range(5):
        study = hpo.Study(space, sampler="tpe", seed=seed)
        study.optimize(lambda trial: math.log10(trial["lr"] / 1e-3) ** 2, n_trials=150)
        found = importance(study)
        assert found["lr"] > 0.4, seed


def test_if_nothing_matters_all_shares_are_equal():
    study = hpo.Study({"a": hpo.Categorical(["u", "v"]), "b": hpo.Categorical(["u", "v"])}, seed=0)
    study.add({"a": ["u", "v"] * 10, "b": ["u", "v"] * 10}, [0.0, 0.0] * 3 + [1.0, 1.0] * 7)
    assert importance(study) == {"a": 0.5, "b": 0.5}


# --- what changes nothing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("monotone", [np.exp, lambda y: y**3, lambda y: np.where(y > 1.0, 1e300, y)])
def test_ped_anova_sees_only_the_order(monotone):
    def value(batch):
        return batch["a"] ** 2 + 0.3 * batch["b"]

    plain = importance(study_of(UNIT, value, 300))
    assert importance(study_of(UNIT, lambda batch: monotone(value(batch)), 300)) == plain
    assert importance(study_of(UNIT, lambda batch: -value(batch), 300, direction="maximize")) == plain


@pytest.mark.parametrize("evaluator", ["ped-anova", "fanova"])
def test_the_order_of_the_trials_does_not_count(evaluator):
    rng = np.random.default_rng(0)
    x, order = rng.random((2, 80)), rng.permutation(80)
    y = np.round(x[0] * 8) + x[1] // 0.3  # with ties
    found = []
    for rows in (np.arange(80), order):
        study = hpo.Study({"a": hpo.Float(0, 1), "b": hpo.Float(0, 1)}, seed=0)
        study.add({"a": x[0, rows], "b": x[1, rows]}, y[rows])
        found.append(importance(study, evaluator=evaluator))
    assert found[0] == pytest.approx(found[1], rel=1e-9 if evaluator == "ped-anova" else 1e-4)


@pytest.mark.parametrize("evaluator", ["ped-anova", "fanova"])
def test_both_backends_say_the_same(evaluator):
    pytest.importorskip("numba")
    study, found = study_of(BRANCHES, branches, 60), []
    for name in ("native", "numba"):
        with _backend.use(name):
            found.append(importance(study, evaluator=evaluator))
    assert found[0] == pytest.approx(found[1], rel=1e-6, abs=1e-9)


# --- which trials count -----------------------------------------------------------------------------------


def test_stopped_trials_come_after_complete_ones_and_shallow_after_deep_ones():
    """All values are equal: only how far trials went says which are good, and "a" decides that."""
    rng = np.random.default_rng(1)
    study = hpo.Study(UNIT, seed=0)
    a, b, c = rng.random((3, 400))
    steps = np.ceil(a * 10).astype(int)
    study.add(
        [dict(zip("abc", each, strict=True)) for each in zip(a, b, c, strict=True)],
        [1.0 if step == 10 else None for step in steps],
        state=["complete" if step == 10 else "stopped" for step in steps],
        reports=[[(k, 1.0) for k in range(step)] for step in steps],
    )
    for metric in (None, "value"):
        assert importance(study, metric)["a"] > 0.98
        assert importance(study, metric, target_quantile=0.5)["a"] > 0.98


def test_failed_paused_and_running_trials_are_left_out():
    study = study_of(UNIT, lambda batch: batch["a"], 40)
    before = importance(study)
    study.fail(study.ask(30))
    study.ask(5)
    assert importance(study) == before


@pytest.mark.parametrize("evaluator", ["ped-anova", "fanova"])
def test_any_metric_has_importances_of_its_own(evaluator):
    metrics = {"error": hpo.Minimize(), "score": hpo.Maximize(), "ms": hpo.AtMost(0.5)}
    study = study_of(
        UNIT,
        lambda batch: {"error": batch["a"], "score": -batch["b"], "ms": batch["c"]},
        100,
        metrics=metrics,
    )
    for metric, parameter in zip(metrics, "abc", strict=True):
        assert importance(study, metric, evaluator=evaluator)[parameter] > 0.95


def test_by_default_bounds_come_first_and_then_fronts():
    metrics = {"f": hpo.Minimize(), "g": hpo.Minimize(), "ms": hpo.AtMost(0.4)}
    study = study_of(
        UNIT, lambda batch: {"f": batch["a"], "g": batch["b"], "ms": batch["c"]}, 500, metrics=metrics
    )
    within = importance(study, target_quantile=0.4)  # what sets the feasible trials apart
    assert within["c"] > 0.95
    best = importance(study, target_quantile=0.1, region_quantile=0.4)
    assert best["c"] < 0.1
    assert min(best["a"], best["b"]) > 0.2


def test_a_trial_older_than_a_parameter_says_nothing_of_it(tmp_path):
    path = tmp_path / "s.db"
    with hpo.Study({"a": hpo.Float(0, 1)}, sampler="random", seed=0, storage=path, name="s") as study:
        batch = study.ask(300)
        study.tell(batch, batch["a"])
    wider = {"a": hpo.Float(0, 1), "b": hpo.Float(0, 1)}
    with hpo.Study(wider, sampler="random", seed=0, storage=path, name="s") as study:
        assert importance(study) == {"a": 1.0, "b": 0.0}


def test_a_study_opened_for_reading_has_importances(tmp_path):
    path = tmp_path / "s.db"
    with hpo.Study(UNIT, sampler="random", seed=0, storage=path, name="s") as study:
        batch = study.ask(50)
        study.tell(batch, batch["b"])
        reader = ReadOnlyStudy(hpo.storage.open_storage(path), "s")
        assert reader.importance() == study.importance() == importance(study)
        batch = study.ask(50)
        study.tell(batch, batch["a"])
        assert reader.importance() == study.importance()
        reader.close()


# --- what is refused --------------------------------------------------------------------------------------


def test_too_few_trials_are_an_error():
    study = study_of(UNIT, lambda batch: batch["a"], 9)
    with pytest.raises(StudyError, match="at least 10 trials with results, got 9"):
        importance(study)
    with pytest.raises(StudyError, match="at least 10 trials with values of 'value', got 9"):
        importance(study, "value")
    study.tell(study.ask(), 0.0)
    importance(study)


def test_equal_trials_are_an_error():
    study = study_of(UNIT, lambda batch: 0.0 * batch["a"], 30)
    with pytest.raises(StudyError, match="must differ, got 30 that are equally good"):
        importance(study)
    with pytest.raises(StudyError, match="must differ in 'value', got 30 equal values"):
        importance(study, evaluator="fanova")


def test_refused_arguments_say_what_is_allowed():
    metrics = {"error": hpo.Minimize(), "cost": hpo.Minimize()}
    study = study_of(UNIT, lambda batch: {"error": batch["a"], "cost": batch["b"]}, 20, metrics=metrics)
    with pytest.raises(StudyError, match=r"metric must be one of.*got 'eror'; did you mean 'error'"):
        study.importance("eror")
    with pytest.raises(StudyError, match="evaluator must be 'ped-anova' or 'fanova', got 'shap'"):
        study.importance(evaluator="shap")
    with pytest.raises(StudyError, match="metric must be one of 'error', 'cost' for 'fanova'"):
        study.importance(evaluator="fanova")
    with pytest.raises(StudyError, match=r"target_quantile must be < region_quantile, got 0.5 and 0.4"):
        study.importance(target_quantile=0.5, region_quantile=0.4)
    with pytest.raises(StudyError, match="must be left out for 'fanova'"):
        study.importance("error", evaluator="fanova", target_quantile=0.2)
    with pytest.raises(StudyError, match="study must be a Study, got 3"):
        importance(3)
    with pytest.raises(StudyError, match="must have parameters, got a space of constants"):
        importance(hpo.Study({"x": 3}))
