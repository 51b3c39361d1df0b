"""The examples on MNIST, shortened; the long run holds them to what they promise."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.image import imread

import hpo_core as hpo
from hpo_core.nn import measure_counts

torch.set_num_threads(1)

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module", autouse=True)
def _examples_import_each_other():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        yield


@pytest.fixture
def mnist():
    return importlib.import_module("mnist")


@pytest.fixture
def light():
    return importlib.import_module("light_search")


@pytest.fixture
def fronts():
    return importlib.import_module("light_front")


@pytest.fixture
def shrink():
    return importlib.import_module("compress_cnn")


@pytest.fixture
def small(mnist, monkeypatch):
    """A tenth of the images."""
    few = {name: mnist.Split(part.images[::10], part.digits[::10]) for name, part in mnist.splits().items()}
    monkeypatch.setattr(mnist, "splits", lambda: few)


def test_splits_are_disjoint_and_cover_the_images(mnist):
    parts = [mnist.splits()[name] for name in ("train", "validation", "test")]
    assert [len(part.digits) for part in parts] == [2_000, 1_000, 2_000]
    images = np.concatenate([part.images.cpu().numpy() for part in parts])
    assert len({image.tobytes() for image in images}) == 5_000
    assert abs(images.mean()) < 0.05
    assert abs(images.std() - 1) < 0.05
    for part in parts:
        assert torch.bincount(part.digits).min() >= 0.09 * len(part.digits)


def test_the_hand_made_net_is_its_table(light, mnist):
    counts = measure_counts(light.hand_made(), torch.zeros(1, *mnist.SHAPE))
    assert counts == (36_874, 922_336)
    assert counts.macs < light.MACS


def test_light_search_reports(light, small, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(light, "EPOCHS", 1)
    monkeypatch.setattr(light, "RETRAININGS", 2)
    monkeypatch.setattr(light, "BUDGETS", (5_000, 50_000))
    light.main(["--trials", "2", "--jobs", "1", "--out", str(tmp_path)])
    output = capsys.readouterr().out
    for label in ("hand-made", "auto", "random", "test_accuracy", "spent choosing"):
        assert label in output
    table = pd.read_csv(tmp_path / "light.csv")
    searched = table[table.net != "hand-made"]
    assert len(table) == 5
    assert (searched.parameters <= searched.budget).all()
    assert (table.macs <= light.MACS).all()
    assert table.test_accuracy.between(0.02, 1).all()
    assert imread(tmp_path / "light.png").std() > 0.05


def test_light_front_reports(fronts, small, monkeypatch, tmp_path, capsys):
    fronts.split.cache_clear()
    monkeypatch.setattr(fronts, "EPOCHS", 1)
    monkeypatch.setattr(fronts, "RETRAININGS", 1)
    fronts.main(["--trials", "8", "--jobs", "1", "--out", str(tmp_path)])
    fronts.split.cache_clear()
    output = capsys.readouterr().out
    for label in (
        "parameters",
        "test error",
        "one search",
        "four searches",
        "random search",
        "spent choosing",
    ):
        assert label in output
    table = pd.read_csv(tmp_path / "light_front.csv")
    tried = table[table.kind == "tried"]
    assert tried.groupby("way").size().to_dict() == dict.fromkeys(fronts.COLOURS, 8)
    assert (tried.parameters <= fronts.BUDGETS[-1]).all()
    four = tried[tried.way == "four searches"].parameters.to_numpy().reshape(-1, len(fronts.BUDGETS))
    assert (four <= fronts.BUDGETS).all()
    for _, rows in table.groupby(["way", "kind"]):
        better = (rows.error.to_numpy() <= rows.error.to_numpy()[:, None]) & (
            rows.parameters.to_numpy() <= rows.parameters.to_numpy()[:, None]
        )
        beaten = (better & ~better.T).any(axis=1)
        assert (rows.front == ~beaten).all()
    assert imread(tmp_path / "light_front.png").std() > 0.05


def test_the_known_metric_is_the_logarithm_of_the_networks_built(fronts):
    space = fronts.search_space(8_000)
    batch = hpo.Study(space, sampler="random", seed=0).ask(10)
    image = torch.zeros(1, *fronts.LIGHT.shape)
    sizes = [measure_counts(fronts.LIGHT.build(trial.params), image).params for trial in batch]
    known = fronts.log10_params({name: batch[name] for name in space.names})
    np.testing.assert_allclose(10**known, sizes, rtol=1e-12)
    assert max(sizes) <= 8_000


def test_compression_reports(shrink, small, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(shrink, "EPOCHS", 1)
    monkeypatch.setattr(shrink, "FINE_TUNING", 1)
    shrink.main(["--trials", "3", "--out", str(tmp_path)])
    output = capsys.readouterr().out
    for label in ("original", "accuracy", "share", "on the front"):
        assert label in output
    trials = pd.read_csv(tmp_path / "compress.csv")
    assert len(trials) == 3
    assert (trials.macs <= 7_539_584 / 2).all()
    assert trials.accuracy.between(0, 1).all()
    assert imread(tmp_path / "compress.png").std() > 0.05


@pytest.mark.soak
def test_searched_nets_beat_random_ones(light):
    table = light.compare(trials=40, seeds=range(5), jobs=2)
    print(light.summary(table).to_string())
    accuracy = table.groupby(["net", "budget"]).test_accuracy.mean()
    assert (accuracy["auto"] > accuracy["random"]).all()
    made = table[table.net == "hand-made"]
    searched = table[table.net == "auto"]
    small = searched[searched.parameters <= 0.3 * made.parameters.iloc[0]]
    assert (small.test_accuracy >= 0.98 * made.test_accuracy.mean()).any()


@pytest.mark.soak
def test_one_search_finds_more_than_four_and_than_random_search(fronts):
    means = fronts.summary(fronts.compare(64, range(5), jobs=2)).groupby("way")[["found", "judged"]].mean()
    print(means.to_string())
    for other in ("four searches", "random search"):
        assert (means.loc["one search"] > means.loc[other]).all()


@pytest.mark.soak
def test_quartering_work_costs_a_point(shrink):
    torch.set_num_threads(1)
    table, *_ = shrink.compress(trials=30, seed=0)
    print(table.to_string())
    assert table.MACs["within 25.00%"] <= 0.25 * table.MACs["original"]
    assert table.accuracy["within 25.00%"] >= table.accuracy["original"] - 0.01
