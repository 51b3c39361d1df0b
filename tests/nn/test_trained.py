"""Weights and configuration survive the disk."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from nn.problems import mlp, objective, points

import hpo_core as hpo
from hpo_core.nn import Trained


def test_a_training_survives_the_disk(tmp_path):
    params = {"width": np.int64(6), "lr": 0.1, "kind": "a", "skip": True, "nothing": None}
    trained = objective().train(params, seed=4)
    trained.save(tmp_path / "net.safetensors")
    loaded = Trained.load(tmp_path / "net.safetensors")
    assert loaded.params == params
    assert (loaded.value, loaded.epoch, loaded.values) == (trained.value, trained.epoch, trained.values)
    inputs = points(10, seed=2)[0]
    assert torch.equal(loaded.model(mlp)(inputs), trained.model(mlp)(inputs))
    assert not loaded.model(mlp).training


def test_tied_and_transposed_weights_survive_the_disk(tmp_path):
    weight = torch.randn(3, 4)
    trained = Trained({}, 1.0, 0, (1.0,), {"weight": weight.T, "scale": torch.tensor(2.0)})
    trained.save(tmp_path / "net.safetensors")
    torch.testing.assert_close(Trained.load(tmp_path / "net.safetensors").weights, trained.weights)


@pytest.mark.parametrize("batch", [{}, {"batch_size": 6, "vectorized": True}])
def test_a_folder_holds_the_weights_of_every_trial(tmp_path, batch):
    space = {"width": hpo.Ordinal([4, 8]), "lr": hpo.Float(1e-3, 0.3, log=True)}
    study = hpo.Study(space, sampler="random", seed=0)
    study.optimize(objective(folder=tmp_path / "nets"), n_trials=6, **batch)
    best = study.best_trial
    loaded = Trained.load(tmp_path / "nets" / f"trial-{best.number}.safetensors")
    assert (loaded.params, loaded.value) == (best.params, best.value)
    assert len(list((tmp_path / "nets").iterdir())) == 6


def test_a_failed_training_leaves_no_weights(tmp_path):
    study = hpo.Study({"width": hpo.Int(2, 4), "lr": 1e38, "optimizer": "sgd"}, sampler="random", seed=0)
    study.optimize(objective(folder=tmp_path / "nets"), n_trials=1)
    assert study.trials[0].reason == "diverged"
    assert not (tmp_path / "nets").exists()


def test_what_cannot_be_saved_or_loaded_is_refused(tmp_path):
    with pytest.raises(hpo.ArgumentError, match="params must be JSON"):
        Trained({"f": math.sin}, 0.0, 0, (), {}).save(tmp_path / "net.safetensors")
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"not weights at all")
    with pytest.raises(hpo.ArgumentError, match=r"Trained.save.*other"):
        Trained.load(other)
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(2)}, other)
    with pytest.raises(hpo.ArgumentError, match=r"Trained.save.*other"):
        Trained.load(other)
