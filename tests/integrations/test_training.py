"""Trainings of each framework report every step, learn of their horizon, and stop when they are told to."""

from __future__ import annotations

import doctest
import importlib
import itertools
import sys

import numpy as np
import pytest

import hpo_core as hpo
from hpo_core.integrations.reporting import Reporter
from hpo_core.log import Move
from hpo_core.schedulers import Scheduler, Verdict

N_STEPS = 6


class StopAt(Scheduler):
    """Stops every trial with an odd number at step 2."""

    name = "stop at"

    def start(self, *, seed):
        pass

    def decide(self, history, row):
        stops = row % 2 and history.last_step(row) == 2
        return Verdict(Move.STOP, -1, "odd") if stops else Verdict()


def digits():
    """Two classes of real digits: images and labels of train and validation."""
    from sklearn.datasets import load_digits

    x, y = load_digits(n_class=2, return_X_y=True)
    return (x[:200] / 16, y[:200]), (x[200:] / 16, y[200:])


def searched(objective, n_trials=2, **options):
    study = hpo.Study(
        {"lr": hpo.Float(0.05, 0.5, log=True)},
        **({"scheduler": StopAt(), "sampler": "random", "seed": 0} | options),
    )
    study.optimize(objective, n_trials=n_trials)
    return study


def assert_reported_and_stopped(study, curves, n_steps=N_STEPS):
    """Reports are what the framework itself has recorded; trial 1 stopped after step 2."""
    assert study.history.planned.tolist() == [n_steps, n_steps]
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "STOPPED"]
    assert study.trials[1].reason == "odd"
    for trial, curve, n in zip(study.trials, curves, (n_steps, 3), strict=True):
        assert len(curve) == n
        assert [step for step, _ in trial.reports] == list(range(n))
        np.testing.assert_allclose([value for _, value in trial.reports], curve, rtol=1e-6)
        assert np.ptp(curve) > 0


def assert_unknown_names_are_refused(train, there):
    """``train(trial, monitor)`` names what there is, and a similar name."""
    study = hpo.Study({"lr": hpo.Float(0.05, 0.5)}, sampler="random", seed=0)
    with pytest.raises(
        hpo.ArgumentError, match=rf"monitor must be one of .*'{there}'.*did you mean '{there}'"
    ):
        study.optimize(lambda trial: train(trial, there[:-1]), n_trials=1)
    assert study.trials[0].state.name == "FAILED"


def assert_several_metrics_are_reported(train, names):
    study = hpo.Study(
        {"lr": hpo.Float(0.05, 0.5)},
        metrics={"a": hpo.Minimize(), "b": hpo.Maximize()},
        sampler="random",
        seed=0,
    )
    study.optimize(
        lambda trial: (train(trial, dict(zip("ab", names, strict=True))), trial.reports[-1][1])[1], n_trials=1
    )
    curves = [[value[name] for _, value in study.trials[0].reports] for name in "ab"]
    assert [len(curve) for curve in curves] == [N_STEPS] * 2
    return curves


# XGBoost


def test_xgboost():
    import xgboost

    from hpo_core.integrations import xgboost as module

    assert doctest.testmod(module).failed == 0
    train, validation = (xgboost.DMatrix(*part) for part in digits())
    params = {"objective": "binary:logistic", "max_depth": 1, "nthread": 1, "eval_metric": ["logloss", "auc"]}
    logs = []

    def fit(trial, monitor="validation-logloss", steps=N_STEPS):
        logs.append({})
        report = module.ReportCallback(trial, monitor, steps=steps)
        return xgboost.train(
            params | {"eta": trial["lr"]}, train, N_STEPS, evals=[(train, "train"), (validation, "validation")],
            evals_result=logs[-1], verbose_eval=False, callbacks=[report],
        )  # fmt: skip

    def last_logloss(trial):
        fit(trial)
        return logs[-1]["validation"]["logloss"][-1]

    study = searched(last_logloss)
    assert_reported_and_stopped(study, [log["validation"]["logloss"] for log in logs])
    assert study.trials[1].value == pytest.approx(logs[1]["validation"]["logloss"][2])
    assert_unknown_names_are_refused(fit, "validation-logloss")
    a, b = assert_several_metrics_are_reported(fit, ("validation-logloss", "train-auc"))
    assert (a, b) == (logs[-1]["validation"]["logloss"], logs[-1]["train"]["auc"])

    # The estimators, cross-validation, and a model that is trained on
    def by_estimator(trial):
        report = module.ReportCallback(trial, "validation_0-logloss", steps=N_STEPS)
        model = xgboost.XGBClassifier(
            n_estimators=N_STEPS,
            max_depth=1,
            learning_rate=trial["lr"],
            n_jobs=1,
            eval_metric="logloss",
            callbacks=[report],
        )
        (x, y), held_out = digits()
        model.fit(x, y, eval_set=[held_out], verbose=False)
        logs.append(model.evals_result()["validation_0"]["logloss"])
        return logs[-1][-1]

    assert_reported_and_stopped(searched(by_estimator), logs[-2:])

    def by_cv(trial):
        report = module.ReportCallback(trial, "test-logloss", steps=N_STEPS)
        table = xgboost.cv(
            params | {"eta": trial["lr"]},
            train,
            N_STEPS,
            nfold=3,
            seed=0,
            callbacks=[report],
            as_pandas=False,
        )
        logs.append(table["test-logloss-mean"])
        return logs[-1][-1]

    assert_reported_and_stopped(searched(by_cv), logs[-2:])

    def in_two_parts(trial):
        first = fit(trial, steps=N_STEPS)
        report = module.ReportCallback(trial, "validation-logloss", steps=4)
        xgboost.train(
            params,
            train,
            4,
            evals=[(validation, "validation")],
            xgb_model=first,
            verbose_eval=False,
            callbacks=[report],
        )
        return 0.0

    study = searched(in_two_parts, n_trials=1, scheduler=None)
    assert [step for step, _ in study.trials[0].reports] == list(range(N_STEPS + 4))
    with pytest.raises(hpo.ArgumentError, match="steps must be an int >= 1 or None, got 0"):
        module.ReportCallback(study.ask(), "x", steps=0)


# LightGBM


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_lightgbm():
    import lightgbm

    from hpo_core.integrations import lightgbm as module

    assert doctest.testmod(module).failed == 0
    (x, y), (x_held_out, y_held_out) = digits()
    params = {
        "objective": "binary",
        "metric": ["binary_logloss", "auc"],
        "num_leaves": 2,
        "verbose": -1,
        "num_threads": 1,
    }
    logs, models = [], []

    def fit(trial, monitor="valid_0-binary_logloss", **options):
        train = lightgbm.Dataset(x, y)
        validation = lightgbm.Dataset(x_held_out, y_held_out, reference=train)
        logs.append({})
        callbacks = [
            lightgbm.early_stopping(1, verbose=False, min_delta=10.0)
            if options.pop("early", False)
            else None,
            lightgbm.record_evaluation(logs[-1]),
            module.ReportCallback(trial, monitor),
        ]
        models.append(
            lightgbm.train(
                params | {"learning_rate": trial["lr"]}, train, N_STEPS, valid_sets=[validation],
                callbacks=[each for each in callbacks if each], **options,
            )
        )  # fmt: skip
        return models[-1]

    def last_logloss(trial):
        fit(trial)
        return logs[-1]["valid_0"]["binary_logloss"][-1]

    study = searched(last_logloss)
    assert_reported_and_stopped(study, [log["valid_0"]["binary_logloss"] for log in logs])
    assert models[1].best_iteration == models[1].num_trees() == 3
    assert_unknown_names_are_refused(fit, "valid_0-binary_logloss")
    a, b = assert_several_metrics_are_reported(fit, ("valid_0-binary_logloss", "valid_0-auc"))
    assert (a, b) == (logs[-1]["valid_0"]["binary_logloss"], logs[-1]["valid_0"]["auc"])

    def by_estimator(trial):
        model = lightgbm.LGBMClassifier(
            n_estimators=N_STEPS, num_leaves=2, learning_rate=trial["lr"], n_jobs=1, verbose=-1
        )
        report = module.ReportCallback(trial, "valid_0-binary_logloss")
        model.fit(x, y, eval_X=x_held_out, eval_y=y_held_out, callbacks=[report])
        logs.append(model.evals_result_["valid_0"]["binary_logloss"])
        return logs[-1][-1]

    assert_reported_and_stopped(searched(by_estimator), logs[-2:])

    def by_cv(trial):
        report = module.ReportCallback(trial, "valid-auc")
        table = lightgbm.cv(
            params | {"learning_rate": trial["lr"]},
            lightgbm.Dataset(x, y),
            N_STEPS,
            nfold=3,
            callbacks=[report],
        )
        logs.append(table["valid auc-mean"])
        return logs[-1][-1]

    study = searched(by_cv, direction="maximize")
    assert [[step for step, _ in trial.reports] for trial in study.trials] == [[*range(N_STEPS)], [*range(3)]]
    assert logs[-2] == [value for _, value in study.trials[0].reports]

    def steps_of(train):
        (trial,) = searched(train, n_trials=1, scheduler=None).trials
        return [step for step, _ in trial.reports]

    assert steps_of(lambda trial: fit(trial, init_model=fit(trial)) and 0.0) == list(range(2 * N_STEPS))
    assert steps_of(lambda trial: fit(trial, early=True) and 0.0) == [0, 1]  # the round that ended it included


# Keras


def test_keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    import keras

    from hpo_core.integrations.keras import ReportCallback

    (x, y), held_out = digits()
    fits = []

    def fit(trial, monitor="val_loss", **options):
        keras.utils.set_random_seed(trial.seed % 1000)
        model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(1, activation="sigmoid")])
        model.compile(keras.optimizers.SGD(trial["lr"]), "binary_crossentropy", metrics=["accuracy"])
        report = ReportCallback(trial, monitor)
        fitted = model.fit(
            x,
            y,
            batch_size=100,
            epochs=N_STEPS,
            validation_data=held_out,
            callbacks=[report],
            verbose=0,
            **options,
        )
        fits.append(fitted.history)
        return fitted.history["val_loss"][-1]

    study = searched(fit)
    assert_reported_and_stopped(study, [history["val_loss"] for history in fits])
    assert_unknown_names_are_refused(fit, "val_loss")
    a, b = assert_several_metrics_are_reported(fit, ("loss", "val_accuracy"))
    assert (a, b) == (fits[-1]["loss"], fits[-1]["val_accuracy"])
    study = searched(lambda trial: fit(trial, initial_epoch=4), n_trials=1)
    assert [step for step, _ in study.trials[0].reports] == [4, 5]


# What they share


def reporter(monitor, **options):
    return Reporter(hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0, **options).ask(), monitor)


TWO = {"metrics": {"loss": hpo.Minimize(), "ms": hpo.AtMost(5.0)}}


@pytest.mark.parametrize(
    ("monitor", "options", "words"),
    [
        (
            3,
            {},
            "monitor must be the name of a value that the framework logs, or a function .*, got 3",
        ),
        ({"value": 3}, {}, "monitor must map metrics to names of values, got 3"),
        ({"loss": "val_loss"}, {}, "monitor must be the name"),
        ("val_loss", TWO, "monitor must be a mapping of the metrics 'loss', 'ms' to names .*got 'val_loss'"),
        ({"loss": "val_loss"}, TWO, "monitor must be a mapping"),
    ],
)
def test_monitors_that_do_not_fit_the_study_are_refused(monitor, options, words):
    with pytest.raises(hpo.ArgumentError, match=words):
        reporter(monitor, **options)


def test_a_trial_is_what_the_objective_got():
    with pytest.raises(hpo.ArgumentError, match="trial must be the Trial that the objective got, got 3"):
        Reporter(3, "val_loss")


def test_nothing_is_logged():
    with pytest.raises(
        hpo.ArgumentError, match="monitor must be a value that is logged, and none is, got 'a'"
    ):
        reporter("a").report(0, {})


def test_a_function_may_make_the_value_and_steps_go_up():
    study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0)
    trial = study.ask()
    report = Reporter(trial, lambda found: 1 - found["accuracy"])
    for step in (3, 3, 1, 4):
        assert report.report(step, {"accuracy": 0.75}) is False
    assert trial.reports == [(3, 0.25), (4, 0.25)]
    report.plan(float("inf"))
    report.plan(-1)
    report.plan(9)
    trial.report(5, 0.0)
    assert study.history.planned[0] == 9


@pytest.mark.parametrize(
    "name", ["keras", "lightgbm", "lightning", "mlflow", "tensorboard", "transformers", "wandb", "xgboost"]
)
def test_a_library_that_is_missing_is_named(name, monkeypatch):
    library = {"lightning": "pytorch_lightning"}.get(name, name)
    gone = [library, *(each for each in sys.modules if each.startswith(f"{library}."))]
    for each in itertools.chain(gone, ["keras.callbacks"] if name == "keras" else []):
        monkeypatch.setitem(sys.modules, each, None)
    monkeypatch.delitem(sys.modules, f"hpo_core.integrations.{name}", raising=False)
    with pytest.raises(ImportError, match=f"hpo_core.integrations.{name} needs .*: pip install"):
        importlib.import_module(f"hpo_core.integrations.{name}")
