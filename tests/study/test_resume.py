"""A study that is stopped anywhere goes on as if it never had been."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from contracts.cases import CASES, Case, every_sampler
from studies import Hashed, assert_same, small_space, step

import hpo_core as hpo
from hpo_core import Categorical, Float, Int, Ordinal, param
from hpo_core.storage import MemoryStorage

TESTS = Path(__file__).parents[1]
NAMES = ["float", "categorical", "stepped", "nested", "finite tree"]


@every_sampler
@pytest.mark.parametrize("name", NAMES)
def test_stopping_anywhere_changes_no_suggestion(sampler, name, place, soak):
    if "://" in place and name != "nested" and not soak:
        pytest.skip("long: run by `make soak`")
    case = CASES[name]
    options = {"seed": 4, "storage": place, "direction": "maximize"}
    whole = case.study(sampler, name="whole", **options)
    parts = case.study(sampler, name="parts", **options)
    for k in range(21):
        step(whole, k)
        step(parts, k)
        if k in (0, 3, 8, 9, 15):
            parts = hpo.Study.open(place, "parts")
    np.testing.assert_array_equal(whole.history.x, parts.history.x)
    assert_same(hpo.Study.open(place, "parts"), parts)
    assert parts.replay().checked == len(parts.trials)


@every_sampler
def test_another_process_goes_on_with_the_same_suggestions(sampler, place):
    study = CASES["nested"].study(sampler, seed=1, name="s", storage=place)
    for k in range(16):
        step(study, k)
    script = (
        f"import sys; sys.path.insert(0, {str(TESTS)!r})\n"
        "import hpo_core as hpo\nfrom contracts.cases import value_of\n"
        "study = hpo.Study.open(sys.argv[1], 's')\n"
        "for _ in range(6):\n    trial = study.ask()\n    study.tell(trial, value_of(trial))\n"
    )
    command = [sys.executable, "-c", script, place]
    before = len(study.trials)
    subprocess.run(command, check=True, timeout=60, env=os.environ | {"PYTHONHASHSEED": "3"})
    assert len(study.trials) == before + 6
    assert study.replay(), str(study.replay())  # every suggestion of the other process comes out here


def test_every_detail_survives_reopening(place):
    options = {"sampler": Hashed(), "seed": 0, "storage": place}
    whole = hpo.Study(small_space(), name="whole", **options)
    parts = hpo.Study(small_space(), name="parts", **options)
    for k in range(20):
        for study in (whole, parts):
            study.enqueue({"depth": 3, "lr": 0.003})
            step(study, k)
        parts = hpo.Study.open(place, "parts", sampler=Hashed())
    whole.add({"lr": 0.01, "batch": 32, "optimizer": "adam", "depth": 1}, 0.3)
    whole.ask(2, repeat=5)
    np.testing.assert_array_equal(whole.history.x[:, : len(parts.trials)], parts.history.x)
    assert_same(hpo.Study.open(place, "whole", sampler=Hashed()), whole)
    assert whole.replay()


def test_choices_of_every_kind_come_back_as_they_are(place):
    study = CASES["categorical"].study("random", seed=0, name="s", storage=place)
    batch = study.ask(200)
    again = hpo.Study.open(place, "s").trials
    assert [repr(trial.params) for trial in batch] == [repr(trial.params) for trial in again]


def test_a_pickled_study_goes_on_with_its_storage(place):
    study = Case({"x": Float(0, 1)}).study("random", name="s", storage=place)
    study.ask(3)
    copy = pickle.loads(pickle.dumps(study))
    copy.ask()
    copy.tell([0, 1], [0.5, 0.25])
    study.sync()
    assert len(study.trials) == 4
    assert study.best_trial.number == 1


def test_until_counts_what_the_study_holds(place):
    for until, expected in ((5, 5), (5, 5), (8, 8)):
        study = Case({"x": Float(0, 1)}).study("tpe", name="s", storage=place)
        study.optimize(lambda trial: trial["x"], until=until)
        assert len(study.trials) == expected


@pytest.mark.parametrize(
    "changed",
    [
        {"sampler": "sobol"},
        {"sampler": hpo.TPESampler(n_startup=11)},
        {"seed": 1},
        {"direction": "maximize"},
        {"allow_duplicates": True},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_argument_than_the_stored_one_is_refused(changed):
    options = {"sampler": "tpe", "seed": 0, "name": "s", "storage": MemoryStorage()}
    hpo.Study({"x": Float(0, 1)}, **options)
    with pytest.raises(hpo.StudyError, match=next(iter(changed))):
        hpo.Study({"x": Float(0, 1)}, **options | changed)


def test_stored_seed_wins_and_names_may_clash():
    options = {"sampler": "tpe", "name": "s", "storage": MemoryStorage()}
    seed = hpo.Study({"x": Float(0, 1)}, **options).seed
    assert hpo.Study({"x": Float(0, 1)}, **options).seed == seed
    with pytest.raises(hpo.StudyError, match=r"if_exists='error', got 's'"):
        hpo.Study({"x": Float(0, 1)}, if_exists="error", **options)


def is_low(columns):
    return np.asarray(columns["x"]) < 0.4


def test_resuming_passes_the_feasible_function_again(tmp_path):
    options = {"sampler": "tpe", "seed": 0, "name": "s"}
    whole = hpo.Study(hpo.Space({"x": Float(0, 1)}, feasible=is_low), storage=tmp_path / "a.db", **options)
    for k in range(24):
        space = hpo.Space({"x": Float(0, 1)}, feasible=is_low)
        parts = hpo.Study(space, storage=tmp_path / "b.db", **options)
        for study in (whole, parts):
            study.tell(study.ask(), k % 5)
    np.testing.assert_array_equal(whole.history.x, parts.history.x)
    assert is_low(parts.trials).all()
    assert parts.replay()
    with pytest.raises(hpo.StudyError, match=r"space: .*'s' was created with .*Study\(space, storage="):
        hpo.Study.open(tmp_path / "a.db", "s")
    wider = hpo.Study(hpo.Space({"x": Float(-1, 1)}, feasible=is_low), storage=tmp_path / "a.db", **options)
    assert len(wider.trials) == 24
    plain = {"sampler": "tpe", "name": "p", "storage": tmp_path / "a.db"}
    hpo.Study({"x": Float(0, 1)}, **plain)
    with pytest.raises(hpo.StudyError, match="created without a feasible= function, got a space with one"):
        hpo.Study(space, **plain)


BASE = {
    "x": Float(0, 1),
    "k": Int(2, 8, step=2),
    "o": Ordinal([1, 2, 4]),
    "c": Categorical({"a": {"m": Float(0, 1)}, "b": {}}),
    "fixed": 3,
}
WIDER = {
    "x": {"x": Float(-1, 2)},
    "k": {"k": Int(0, 10, step=2)},
    "o": {"o": Ordinal([1, 2, 3, 4])},
    "choice": {"c": Categorical({"z": {"n": Int(1, 3)}, "a": {"m": Float(0, 2)}, "b": {"q": Float(0, 1)}})},
    "parameter": {"new": Float(5, 7), "wing": Categorical(["u", "v"])},
    "doc": {"x": Float(0, 1, doc="more")},
}
OTHER = {
    "narrower": {"x": Float(0, 0.5)},
    "log": {"k": Int(2, 8, log=True)},
    "step": {"k": Int(1, 9, step=2)},
    "kind": {"x": Int(0, 1)},
    "order": {"o": Ordinal([2, 1, 4])},
    "choice": {"c": Categorical({"a": {"m": Float(0, 1)}})},
    "branch": {"c": Categorical({"a": {}, "b": {}})},
    "constant": {"fixed": 4},
    "condition": {"x": Float(0, 1, when=param("k") >= 4)},
    "missing": {"fixed": None},
}


def spaces_study(space, storage):
    return hpo.Study(space, sampler="tpe", seed=0, name="s", storage=storage)


@pytest.mark.parametrize("change", WIDER)
def test_a_wider_space_keeps_every_trial(change, place):
    study = spaces_study(BASE, place)
    study.tell(study.ask(30), np.arange(30.0))
    wider = spaces_study(BASE | WIDER[change], place)
    for was, now in zip(study.trials, wider.trials, strict=True):
        known = {name: value for name, value in now.params.items() if name in was.params}
        assert known == pytest.approx(was.params, abs=1e-12)
        assert was.value == now.value
    wider.tell(wider.ask(30), np.arange(30.0))
    again = hpo.Study.open(place, "s")
    assert again.space == wider.space
    np.testing.assert_array_equal(again.history.x, wider.history.x)
    if change != "doc":
        with pytest.raises(hpo.StudyError, match="changed the space"):
            study.ask()


@pytest.mark.parametrize("change", OTHER)
def test_another_space_is_refused_and_both_are_shown(change):
    storage = MemoryStorage()
    spaces_study(BASE, storage)
    with pytest.raises(hpo.StudyError, match=r"(?s)space of study 's'.*Stored: Space\(.*Given: Space\("):
        spaces_study(BASE | OTHER[change], storage)
    assert len(storage.read(0)) == 1
