"""What the examples print, write and promise; the demo shortened. Without PyTorch it fails, not skips."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.image import imread

import hpo_core as hpo

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def demo():
    module = load("tune_digits")
    module.EPOCHS = 1
    module.RETRAININGS = 2
    return module


def test_splits_are_disjoint_and_cover_the_data(demo):
    parts = [demo.splits()[name] for name in ("train", "validation", "test")]
    images = np.concatenate([part.images.cpu().numpy().reshape(-1, 64) for part in parts])
    assert len(images) == 1797
    assert len(np.unique(images, axis=0)) == 1797
    assert len(demo.splits()["train+validation"].digits) == len(parts[0].digits) + len(parts[1].digits)
    for part in parts:
        assert torch.bincount(part.digits).min() > 0.09 * len(part.digits)


def test_every_configuration_of_the_space_trains(demo):
    batch = hpo.Study(demo.search_space(), sampler="random", seed=0).ask(30)
    assert {trial["optimizer"] for trial in batch} == {"sgd", "adam", "adamw"}
    assert {trial["depth"] for trial in batch} == {1, 2, 3, 4}
    for trial in batch:
        assert sum(name.startswith("width_") for name in trial.params) == trial["depth"]
        network = demo.build_network(trial.params)
        convolutions = [layer for layer in network if isinstance(layer, torch.nn.Conv2d)]
        widths = [trial[f"width_{k}"] for k in range(1, trial["depth"] + 1)]
        assert [layer.out_channels for layer in convolutions] == widths
        demo.build_optimizer(network, trial.params)


def test_training_repeats_itself(demo):
    params = demo.search_space().default()
    runs = [
        demo.evaluate(demo.train(params, demo.splits()["train"], seed=seed), demo.splits()["validation"])
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1] != runs[2]
    assert math.isfinite(runs[0][0])


def test_demo_reports(demo, tmp_path, capsys):
    demo.main(["--trials", "6", "--seeds", "2", "--jobs", "1", "--out", str(tmp_path)])
    output = capsys.readouterr().out
    assert len(re.findall(r"^(?:auto|random) +seed [01]: validation loss ", output, flags=re.MULTILINE)) == 4
    assert "best configuration (" in output
    trials = pd.read_csv(tmp_path / "trials.csv")
    counts = trials.groupby(["sampler", "seed"]).size().to_dict()
    assert counts == {(sampler, seed): 6 for sampler in ("auto", "random") for seed in (0, 1)}
    assert (trials["width_4"].notna() == (trials["depth"] >= 4)).all()
    best = trials[trials["sampler"] == "auto"].groupby("seed")["value"].min()
    row = rf"^validation loss +{best.median():.3f} \({best.min():.3f} to {best.max():.3f}\) "
    assert re.search(row, output, flags=re.MULTILINE)
    for label in ("test loss", "test accuracy", "time in the sampler"):
        assert re.search(rf"^{label} +\d", output, flags=re.MULTILINE)
    image = imread(tmp_path / "report.png")
    assert image.shape == imread(EXAMPLES / "report.png").shape
    assert image[..., :3].std() > 0.1  # something is drawn


def test_the_demo_imports_what_its_extra_installs():
    project = tomllib.loads((EXAMPLES.parent / "pyproject.toml").read_text())["project"]
    (extra,) = project["optional-dependencies"]["demo"]
    extras = re.fullmatch(r"hpo-core\[(.+)\]", extra)[1].split(",")
    installed = [
        *project["dependencies"],
        *(each for name in extras for each in project["optional-dependencies"][name]),
    ]
    names = {re.match(r"[\w-]+", each)[0].replace("scikit-learn", "sklearn") for each in installed}
    source = (EXAMPLES / "tune_digits.py").read_text()
    imported = (
        set(re.findall(r"^(?:import|from) (\w+)", source, flags=re.MULTILINE)) - sys.stdlib_module_names
    )
    assert imported - {"hpo_core"} <= names
    assert names - imported == {"safetensors", "scipy"}  # of the extra "torch", and of hpo_core itself


def test_the_picture_of_one_dimension(tmp_path, capsys):
    module = load("one_dimension")
    module.main(["--out", str(tmp_path / "picture.png")])
    assert "best value -0.60" in capsys.readouterr().out
    image = imread(tmp_path / "picture.png")
    assert image.shape == imread(EXAMPLES / "one_dimension.png").shape
    assert image[..., :3].std() > 0.1


def test_each_trial_stands_where_improvement_was_greatest():
    module = load("one_dimension")
    study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="sobol", seed=0)
    study.optimize(lambda trial: float(module.objective(trial["x"])), n_trials=4)
    axes = np.array(module.draw(study).axes).reshape(2, module.N_STEPS)
    following = study.trials["x"][4:]
    for bottom, x in zip(axes[1], following, strict=True):
        curve, marker = bottom.get_lines()
        assert curve.get_xdata()[curve.get_ydata().argmax()] == marker.get_xdata()[0]
        np.testing.assert_allclose(x, marker.get_xdata()[0])
    assert np.ptp(following) > 0.5  # it explores
    assert study.best_value == pytest.approx(module.objective(module.GRID).min(), abs=0.01)  # and finds


def test_the_cohort_sweep_reports(tmp_path, capsys):
    module = load("cohort_sweep")
    module.EPOCHS, module.BATCH, module.PLAIN_TRAININGS, module.WIDTHS = 1, 12, 1, (8, 16)
    module.LONG_EPOCHS, module.SCHEDULERS = 3, {"all epochs": (None, 6), "asha": ("asha", 12)}
    module.main(["--trials", "24", "--seconds", "0.01", "--out", str(tmp_path / "picture.png")])
    output = capsys.readouterr().out
    for label in (
        "best configuration",
        "trainings/s in cohorts",
        "trainings/s, plain loop",
        "time in the sampler",
    ):
        assert label in output
    assert re.search(r"^trainings +24 +12$", output, flags=re.MULTILINE)
    assert re.search(r"^epochs trained +all epochs +18$", output, flags=re.MULTILINE)  # 6 x 3
    assert int(re.search(r"^epochs trained +asha +(\d+)$", output, flags=re.MULTILINE)[1]) < 30  # of 12 x 3
    image = imread(tmp_path / "picture.png")
    assert image.shape == imread(EXAMPLES / "cohort_sweep.png").shape
    assert image[..., :3].std() > 0.1


def test_the_plain_loop_trains_what_the_cohorts_train():
    module = load("cohort_sweep")
    data = module.splits()
    objective = module.TrainingObjective(
        module.build,
        data["train"],
        data["validation"],
        training=module.Training(epochs=module.EPOCHS),
        device="cpu",
    )
    params = {"width": 32, "lr": 0.1, "optimizer": "sgd", "momentum": 0.5, "weight_decay": 1e-4}
    params |= {"dropout": 0.1, "label_smoothing": 0.1}
    plain = [module.train_plainly(params, data, seed=seed) for seed in range(3)]
    ours = [trained.value for trained in module.hpo.nn.train_cohort(objective, [params] * 3, seeds=range(3))]
    assert np.mean(ours) == pytest.approx(np.mean(plain), rel=0.15)  # other shuffles of the same examples


def test_a_scheduler_beside_full_trainings_reports(tmp_path, capsys, monkeypatch):
    module = load("asha_digits")
    module.EPOCHS, module.MAX_DEPTH = 3, 1
    monkeypatch.setattr(module, "ProcessPoolExecutor", lambda *_, **__: ThreadPoolExecutor(1))
    module.main(["--seconds", "0.2", "--seeds", "2", "--out", str(tmp_path / "picture.png")])
    output = capsys.readouterr().out
    for label in ("configurations", "epochs", "validation loss", "test accuracy"):
        for name in ("asha", "all epochs"):
            assert re.search(rf"^{label} +{name}( +[\d.,%]+){{2}}$", output, flags=re.MULTILINE)
    assert re.search(r"^asha is ahead on \d of 2 seeds$", output, flags=re.MULTILINE)
    image = imread(tmp_path / "picture.png")
    assert image.shape == imread(EXAMPLES / "asha_digits.png").shape
    assert image[..., :3].std() > 0.05


def test_the_choice_of_a_model_reports(tmp_path, capsys):
    module = load("cash_sklearn")
    module.main(["--trials", "14", "--out", str(tmp_path / "picture.png")])
    output = capsys.readouterr().out
    assert re.search(r"^svm +\d+ +0\.99\d+ +0\.99\d+ +C=", output, flags=re.MULTILINE)
    assert "chosen: " in output
    image = imread(tmp_path / "picture.png")
    assert image.shape == imread(EXAMPLES / "cash_sklearn.png").shape
    assert image[..., :3].std() > 0.1


@pytest.mark.parametrize("model", ["svm", "forest", "boosting", "mlp"])
def test_every_model_of_the_space_can_be_built(model):
    module = load("cash_sklearn")
    study = hpo.Study(module.search_space(), sampler="random", seed=0)
    study.enqueue({"model": model})
    params = study.ask().params
    estimator = module.build(params)
    given = {name.split("__")[-1]: value for name, value in estimator.get_params().items()}
    for name in params.keys() - {"model", "width"}:
        assert given[name] == params[name]
