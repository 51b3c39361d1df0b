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

# Both warn of things of their own: how few workers load the data, and deprecations within torch.
LIGHTNING = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)
TRANSFORMERS = LIGHTNING


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
            params | {"eta": trial["lr"]}, train, N_STEPS,
            evals=[(train, "train"), (validation, "validation")], evals_result=logs[-1],
            verbose_eval=False, callbacks=[report],
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
    assert steps_of(lambda trial: fit(trial, early=True) and 0.0) == [
        0,
        1,
    ]  # the round that ended it included


# Keras


def test_keras():
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


# PyTorch Lightning


@pytest.fixture
def lightning_fit(tmp_path):
    """A training of digits with Lightning: the callback is given, what was logged is returned."""
    import pytorch_lightning
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    class Classifier(pytorch_lightning.LightningModule):
        def __init__(self, lr):
            super().__init__()
            self.lr, self.layer, self.curve = lr, torch.nn.Linear(64, 1), []

        def loss(self, batch):
            x, y = batch
            return torch.nn.functional.binary_cross_entropy_with_logits(self.layer(x)[:, 0], y)

        def training_step(self, batch):
            loss = self.loss(batch)
            self.log("train_loss", loss, on_step=False, on_epoch=True)
            return loss

        def validation_step(self, batch):
            self.log("val_loss", self.loss(batch))

        def on_validation_epoch_end(self):
            if not self.trainer.sanity_checking:
                self.curve.append(self.trainer.callback_metrics["val_loss"].item())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), self.lr)

    train, validation = (
        DataLoader(TensorDataset(*(torch.tensor(part, dtype=torch.float32) for part in pair)), 50)
        for pair in digits()
    )

    def fit(callback, lr, **options):
        torch.manual_seed(0)
        model = Classifier(lr)
        trainer = pytorch_lightning.Trainer(
            callbacks=[callback], accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
            **({"max_epochs": N_STEPS} | options),
        )  # fmt: skip
        trainer.fit(model, train, validation if options.get("limit_val_batches") != 0 else None)
        return model.curve

    return fit


@LIGHTNING
def test_lightning(lightning_fit):
    from hpo_core.integrations.lightning import ReportCallback

    curves = []

    def fit(trial, monitor="val_loss", **options):
        curves.append(lightning_fit(ReportCallback(trial, monitor), trial["lr"], **options))
        return curves[-1][-1] if curves[-1] else 0.0

    assert_reported_and_stopped(searched(fit), curves)
    assert_unknown_names_are_refused(fit, "val_loss")
    a, b = assert_several_metrics_are_reported(fit, ("val_loss", "train_loss"))
    assert a == curves[-1]
    assert a != b


@LIGHTNING
@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"val_check_interval": 2}, [1, 3, 5, 7]),  # optimizer steps, two of which are an evaluation
        ({"check_val_every_n_epoch": 2, "max_epochs": 4}, [1, 3]),
        ({"limit_val_batches": 0, "max_epochs": 2}, [0, 1]),
    ],
)
def test_lightning_reports_when_there_is_something_new(options, steps, lightning_fit):
    from hpo_core.integrations.lightning import ReportCallback

    monitor = "train_loss" if "limit_val_batches" in options else "val_loss"

    def fit(trial):
        lightning_fit(ReportCallback(trial, monitor), trial["lr"], **({"max_epochs": 2} | options))
        return 0.0

    (trial,) = searched(fit, n_trials=1, scheduler=None).trials
    assert [step for step, _ in trial.reports] == steps


# Transformers


@pytest.fixture
def hugging_face(tmp_path):
    """``Trainer`` of a BERT of 3,000 weights that tells long rows of digits from short ones."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    config = BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=64, num_labels=2,
    )  # fmt: skip
    train, validation = (
        [
            {"input_ids": torch.tensor(row[:32] * 16).long(), "labels": torch.tensor(int(label))}
            for row, label in zip(*part, strict=True)
        ]
        for part in digits()
    )

    def make(callbacks=(), **options):
        arguments = TrainingArguments(
            str(tmp_path), eval_strategy="epoch", save_strategy="no", report_to=[], use_cpu=True, seed=0,
            disable_tqdm=True, per_device_train_batch_size=100, logging_strategy="no",
            **({"num_train_epochs": 3} | options),
        )  # fmt: skip
        return Trainer(
            model_init=lambda: BertForSequenceClassification(config), args=arguments,
            train_dataset=train, eval_dataset=validation, callbacks=[*callbacks],
        )  # fmt: skip

    return make


@TRANSFORMERS
def test_transformers(hugging_face):
    from hpo_core.integrations.transformers import ReportCallback

    curves = []

    def fit(trial, monitor="eval_loss"):
        trainer = hugging_face([ReportCallback(trial, monitor)], learning_rate=trial["lr"])
        trainer.train()
        curves.append([log["eval_loss"] for log in trainer.state.log_history if "eval_loss" in log])
        return trainer.evaluate()["eval_loss"]  # outside of the training: it is not reported

    class StopSoon(StopAt):
        def decide(self, history, row):
            return Verdict(Move.STOP, -1, "odd") if row % 2 else Verdict()

    study = searched(fit, scheduler=StopSoon())
    assert study.history.planned.tolist() == [3, 3]
    assert [[value for _, value in trial.reports] for trial in study.trials] == curves
    assert [len(curve) for curve in curves] == [3, 1]
    assert study.trials[0].value == curves[0][-1]
    assert_unknown_names_are_refused(fit, "eval_loss")


@TRANSFORMERS
def test_transformers_search_by_its_own_method(hugging_face):
    from hpo_core.integrations import transformers as module

    module.register()
    trainer = hugging_face(num_train_epochs=1)
    space = {"learning_rate": hpo.Float(1e-4, 1e-1, log=True), "weight_decay": hpo.Float(0, 0.1)}
    best = trainer.hyperparameter_search(backend="hpo_core", n_trials=2, hp_space=lambda _: space)
    study = best.run_summary
    assert best.objective == study.best_value == min(study.trials.value)
    assert best.hyperparameters == study.best_params
    assert trainer.args.learning_rate == 5e-5  # as before
    assert len(study.trials.where("complete")) == 2

    study = hpo.Study({"width": hpo.Ordinal([8, 16])}, sampler="random", seed=1)
    init, widths = trainer.model_init, []
    trainer.model_init = lambda trial: (widths.append(trial["width"] if trial else None), init())[1]
    assert module.search(trainer, study=study, n_trials=2).run_summary is study
    assert widths == study.trials["width"].tolist()
    trainer.model_init = init

    study = hpo.Study({"learning_rate": hpo.Float(1e-4, 1e-1, log=True)}, sampler="random", seed=1)
    assert module.search(trainer, study=study, n_trials=1).run_summary is study
    with pytest.raises(hpo.ArgumentError, match=r"'learning_rat' must be .* did you mean 'learning_rate'"):
        module.search(trainer, {"learning_rat": hpo.Float(0, 1)}, n_trials=1)
    trainer.model_init = None
    with pytest.raises(hpo.ArgumentError, match="trainer must have a model_init"):
        module.search(trainer, space, n_trials=1)


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
