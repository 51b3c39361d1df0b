"""A log read in pages of any length gives the columns that were there when it was written."""

from __future__ import annotations

import dataclasses
import json
import math
import sys

import numpy as np
import pytest
from contracts.cases import CASES
from studies import assert_same, columns, step

import hpo_core as hpo
from hpo_core.log import decode, journal
from hpo_core.log.codec import Codec
from hpo_core.metrics import Metrics
from hpo_core.storage import MemoryStorage, SQLiteStorage


def grown(storage, name="nested"):
    """A study in which everything happens that a log can say."""
    study = CASES[name].study("tpe", seed=2, name="s", storage=storage, direction="maximize")
    for k in range(30):
        if k % 6 == 2:
            study.enqueue({"x": 0.25})
            study.enqueue({"x": 0.5})
        if k % 9 == 8:
            trial = study.ask()
            for epoch in range(k % 4):
                trial.report(epoch, epoch - k / 7)
            study.stop_trials(trial)
        if k % 11 == 5:
            study.note(k=k, at=("step", k))
        if k == 20:
            study.add({"a": "r", "x": 0.75}, 100.0)
            study.ask(2, repeat=3)
        step(study, k)
    study.fail(study.trials.where("running")[:2], reason="lost")
    return study


@pytest.mark.parametrize("page", [1, 2, 3, 7, 50, 8192])
def test_pages_of_any_length_give_the_same_columns(page, monkeypatch):
    storage = MemoryStorage()
    study = grown(storage)
    monkeypatch.setattr(journal, "PAGE", page)
    again = hpo.Study.open(storage, "s")
    assert_same(again, study)
    ours, theirs = again.history, study.history
    assert ours.fixed.keys() == theirs.fixed.keys()
    for one, other in zip(
        [*ours.queue, *ours.fixed.values()], [*theirs.queue, *theirs.fixed.values()], strict=True
    ):
        np.testing.assert_array_equal(one.fixed, other.fixed)
        np.testing.assert_array_equal(one.given, other.given)
    assert repr(again.history) == repr(study.history)
    assert again.notes == study.notes == {"k": 27, "at": ("step", 27)}
    assert again.replay()


def test_later_events_read_as_from_the_beginning(tmp_path):
    storage = SQLiteStorage(str(tmp_path / "s.db"))
    early = CASES["nested"].study("tpe", seed=2, name="s", storage=storage, direction="maximize")
    study = grown(storage)
    early.sync()
    assert_same(early, study)


ODD = {"time": math.nan, "half a pair": "\ud800", "long": 2**70, "far": 1e300, "zero": -0.0}


@pytest.mark.parametrize("note", [{}, ODD])
def test_a_log_reads_the_same_without_msgspec(note, monkeypatch):
    storage = MemoryStorage()
    grown(storage)
    records = [*storage.read(0), (0, "noted", json.dumps({"rows": [0], "notes": [note]}), 0)]
    codec = Codec(CASES["nested"].study("tpe").space, Metrics.of("maximize"))
    found = decode.read(codec, records)
    decode._parser.cache_clear()
    monkeypatch.setitem(sys.modules, "msgspec", None)
    plain = decode.read(codec, records)
    decode._parser.cache_clear()
    assert repr(note) in repr(plain.events)
    for (one, at), (other, place) in zip(found.events, plain.events, strict=True):
        np.testing.assert_array_equal(at, place)
        for field in dataclasses.fields(one):
            ours, theirs = getattr(one, field.name), getattr(other, field.name)
            assert repr(ours) == repr(theirs), field.name


BROKEN = {
    "a trial comes twice": ("asked", lambda data: data | {"first": data["first"] - 1}),
    "a trial ends twice": ("told", lambda data: data | {"rows": [0]}),
    "a trial was never asked": ("told", lambda data: data | {"rows": [99]}),
    "a trial is negative": ("told", lambda data: data | {"rows": [-1]}),
    "a value is missing": ("told", lambda data: data | {"values": []}),
    "a value is text": ("told", lambda data: data | {"values": ["much"]}),
    "a parameter has two values": ("asked", lambda data: data | {"params": {"x": [0.1, 0.2]}}),
    "a parameter is outside its range": ("asked", lambda data: data | {"params": {"x": [7.0]}}),
    "there are no rows": ("told", lambda _: {}),
    "it is no object": ("told", lambda _: [1]),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_log_that_contradicts_itself_is_refused(what):
    storage = MemoryStorage()
    study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0, name="s", storage=storage)
    for k in range(3):
        study.tell(study.ask(), float(k))
    before = columns(study)
    kind, change = BROKEN[what]
    last = [record for record in storage.read(0) if record[1] == kind][-1]
    with storage.transaction():
        storage.append(0, [(kind, json.dumps(change(json.loads(last[2]))))])
    for read in (lambda: hpo.Study.open(storage, "s"), study.sync):
        with pytest.raises(hpo.StorageError, match=r"events \d to 7 of study 's' cannot be read"):
            read()
    for name, column in columns(study).items():
        np.testing.assert_array_equal(column, before[name], name)
