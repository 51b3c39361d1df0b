"""A log says which reader it needs; an older one refuses it by name and leaves it as it is."""

from __future__ import annotations

import json

import pytest

import hpo_core as hpo
from hpo_core import cli
from hpo_core.log import events
from hpo_core.schedulers.base import GO_ON, Scheduler
from hpo_core.storage import MemoryStorage, open_storage
from hpo_core.study import stored

SPACE = {"x": hpo.Float(0, 1)}
SEVERAL = {"error": hpo.Minimize(), "size": hpo.AtMost(3.0)}


class Never(Scheduler):
    """A scheduler that stops nothing."""

    name = "never"

    def start(self, *, seed):
        pass

    def decide(self, history, row):
        return GO_ON


def newer(path):
    """A study whose log needs the reader of tomorrow."""
    study = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=path)
    study.tell(study.ask(), 0.5)
    kept = study._ledger.storage.read(1)
    study.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpo_core.study.description.READER", events.READER + 1)
        hpo.Study(SPACE, scheduler=Never(), sampler="random", seed=0, name="tomorrow", storage=path).ask()
    return kept


@pytest.mark.parametrize(
    ("goal", "needed"),
    [({"direction": "maximize"}, 1), ({"metrics": SEVERAL}, 2), ({"scheduler": Never()}, 3)],
)
def test_a_study_says_which_reader_it_needs(goal, needed):
    storage = MemoryStorage()
    hpo.Study(SPACE, name="s", storage=storage, **goal)
    assert json.loads(storage.read(0)[0][2])["reader"] == needed <= events.READER


def test_a_log_without_a_reader_is_read():
    storage = MemoryStorage()
    hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=storage).ask()
    records = [record[1:3] for record in storage.read(0)]
    data = json.loads(records[0][1])
    del data["reader"]
    old = MemoryStorage()
    with old.transaction():
        old.append(old.create("s"), [("created", json.dumps(data)), *records[1:]])
    assert len(hpo.Study.open(old, "s").trials) == 1


OPENINGS = {
    "open": lambda path: hpo.Study.open(path, "tomorrow"),
    "resume": lambda path: hpo.Study(
        SPACE, metrics=SEVERAL, sampler="random", seed=0, name="tomorrow", storage=path
    ),
    "show": lambda path: stored.ReadOnlyStudy(open_storage(path), "tomorrow"),
}


@pytest.mark.parametrize("opening", OPENINGS)
def test_a_newer_log_is_refused_by_name(opening, tmp_path):
    path = str(tmp_path / "s.db")
    newer(path)
    storage = open_storage(path)
    before = storage.read(2)
    with pytest.raises(hpo.StorageError, match=r"'tomorrow'.* a newer hpo_core .* update hpo_core"):
        OPENINGS[opening](path)
    assert storage.read(2) == before


def test_other_studies_of_the_storage_are_listed(tmp_path, capsys):
    path = str(tmp_path / "s.db")
    kept = newer(path)
    assert cli.main(["ls", path]) in (0, 1)
    shown = capsys.readouterr()
    assert "a newer hpo_core" in shown.out + shown.err
    assert "s " in shown.out
    assert open_storage(path).read(1) == kept


@pytest.mark.parametrize("needed", [True, "1", None, 1.0, 10**30])
def test_a_reader_must_be_a_version(needed):
    with pytest.raises(hpo.StorageError, match="field 'reader'"):
        events.require_reader({"reader": needed})


def test_the_build_goes_on_record_with_the_first_suggestion_after_opening(tmp_path):
    path = str(tmp_path / "s.db")
    study = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=path)
    study.enqueue({"x": 0.5})
    study.ask(2)
    study.ask()
    study.close()
    again = hpo.Study.open(path, "s")
    again.ask()
    build = hpo.native.build_id()
    assert again.history.builds == {1: build, 3: build}
    assert hpo.Study.open(path, "s").history.builds == {1: build, 3: build}
    asked = [json.loads(text) for _, kind, text, _ in again._ledger.storage.read(1) if kind == "asked"]
    assert [data.get("build") for data in asked] == [None, build, None, build]


def test_a_build_that_was_not_committed_is_not_on_record(tmp_path, monkeypatch):
    study = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=str(tmp_path / "s.db"))
    with monkeypatch.context() as patch:
        patch.setattr(study._ledger.storage, "append", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            study.ask()
    assert study.history.builds == {}
    study.ask()
    assert study.history.builds == {0: hpo.native.build_id()}


def test_fitted_hyperparameters_go_on_record(tmp_path):
    path = str(tmp_path / "s.db")
    study = hpo.Study(
        {"x": hpo.Float(0, 1), "y": hpo.Float(0, 1)}, sampler="gp", seed=0, name="s", storage=path
    )
    study.optimize(lambda trial: (trial["x"] - 0.3) ** 2 + trial["y"], n_trials=60)
    fits = study.history.fits
    chosen = [trial.number for trial in study.trials if trial.origin == "gp"]
    assert min(fits) == min(chosen)
    assert 1 < len(fits) < len(chosen)
    for fit in fits.values():
        assert len(fit["lengthscale"]) == 2
        assert fit["noise"] > 0.0
    assert hpo.Study.open(path, "s").history.fits == fits


def test_opening_and_reading_need_no_build(tmp_path, monkeypatch):
    path = str(tmp_path / "s.db")
    hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=path).add({"x": 0.5}, 1.0)
    monkeypatch.setattr("hpo_core.study.asking.build_id", lambda: 1 / 0)
    assert hpo.Study.open(path, "s").best_value == 1.0
    assert stored.ReadOnlyStudy(open_storage(path), "s").best_value == 1.0
