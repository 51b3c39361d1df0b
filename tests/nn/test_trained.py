"""Weights and configuration survive the disk."""

from __future__ import annotations

import json
import math
import pickle
import struct

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


GOOD = {"params": {"width": 2}, "value": 0.5, "epoch": 0, "values": [0.5]}
HOSTILE = {
    "no metadata": None,
    "empty metadata": {},
    "another key": {"other": "{}"},
    "no JSON": {"hpo_core": "{"},
    "deep JSON": {"hpo_core": "[" * 100_000},
    "a digit too many": {"hpo_core": '{"epoch":' + "1" * 5000 + "}"},
    "a list": {"hpo_core": "[]"},
    "null": {"hpo_core": "null"},
    "no params": {"params": None},
    "params as a list": {"params": [1]},
    "value as text": {"value": "0.5"},
    "value as a bool": {"value": True},
    "value beyond all": {"value": 10**400},
    "epoch as a float": {"epoch": 0.5},
    "epoch before all": {"epoch": -2},
    "values as text": {"values": "12"},
    "values of text": {"values": ["0.5"]},
    "values of lists": {"values": [[0.5]]},
    "values beyond all": {"values": [10**400]},
    "values as an object": {"values": {}},
    "no epoch": {"epoch": None},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused(tmp_path, what):
    from safetensors.torch import save_file

    metadata = HOSTILE[what]
    if metadata and metadata.keys() <= GOOD.keys():
        metadata = {"hpo_core": json.dumps(GOOD | metadata)}
    save_file({"weight": torch.zeros(2)}, tmp_path / "net", metadata)
    with pytest.raises(hpo.ArgumentError, match=r"path must be a file that Trained\.save wrote, got '.*net'"):
        Trained.load(tmp_path / "net")


def pickled(folder):
    class Evil:
        def __reduce__(self):
            return (folder / "executed").touch, ()

    return pickle.dumps(Evil())


RAW = {
    "nothing": lambda _: b"",
    "zeros": lambda _: bytes(64),
    "a pickle": pickled,
    "text": lambda _: b"hello " * 100,
    "a header beyond all": lambda _: struct.pack("<Q", 2**62) + b"{}",
    "a header cut off": lambda _: struct.pack("<Q", 100) + b"{",
    "a header that is none": lambda _: struct.pack("<Q", 4) + b"[[[[",
    "a tensor beyond the end": lambda _: struct.pack("<Q", len(CUT)) + CUT,
    "a tensor of an unknown type": lambda _: struct.pack("<Q", len(ODD)) + ODD,
}
CUT = b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
ODD = b'{"w":{"dtype":"F3","shape":[0],"data_offsets":[0,0]}}'


@pytest.mark.parametrize("what", RAW)
def test_bytes_of_anything_else_are_refused_and_never_executed(tmp_path, what):
    (tmp_path / "net").write_bytes(RAW[what](tmp_path))
    with pytest.raises(hpo.ArgumentError, match="path must be a file"):
        Trained.load(tmp_path / "net")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["missing", ".", "a\0b"])
def test_a_path_that_leads_nowhere_is_refused(tmp_path, name):
    with pytest.raises(hpo.ArgumentError, match="path must be"):
        Trained.load(f"{tmp_path}/{name}")


def test_any_change_of_a_byte_loads_or_is_refused(tmp_path, soak):
    rng = np.random.default_rng(0)
    Trained(GOOD["params"], 0.5, 0, (0.5,), {"weight": torch.ones(2, 2)}).save(tmp_path / "net")
    good = (tmp_path / "net").read_bytes()
    for _ in range(10_000 if soak else 300):
        data = bytearray(good)
        for at in rng.integers(len(data), size=rng.integers(1, 4)):
            data[at] = rng.integers(256)
        (tmp_path / "net").write_bytes(data[: rng.integers(len(data)) if rng.random() < 0.2 else None])
        try:
            loaded = Trained.load(tmp_path / "net")
        except hpo.ArgumentError:
            continue
        assert type(loaded.params) is dict
        assert type(loaded.value) is float
        assert type(loaded.epoch) is int


@pytest.mark.parametrize("value", [[[]], {1, 2}, 10**5000], ids=["cycle", "set", "digits"])
def test_params_that_cannot_be_loaded_are_not_saved(tmp_path, value):
    if value == [[]]:
        value[0].append(value)
    with pytest.raises(hpo.ArgumentError, match="params must be JSON"):
        Trained({"p": value}, 0.0, 0, (), {}).save(tmp_path / "net.safetensors")
    assert not (tmp_path / "net.safetensors").exists()


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
