"""Whatever a log says, it opens or ends as a ``StorageError`` that names the event and its field.

The fuzzer takes valid logs apart and changes them event by event and field by field: 10,000 logs in
`make soak`, 100 otherwise. The JSON parser must make no difference, nor how many events are read at a time.
"""

from __future__ import annotations

import copy
import json
import math
import random
import re
import sys
import time

import numpy as np
import pytest
from log.test_blocks import grown
from studies import columns

import hpo_core as hpo
from hpo_core.log import State, decode, journal
from hpo_core.log.events import KINDS as KINDS_OF_EVENTS
from hpo_core.storage import MemoryStorage, open_storage
from hpo_core.study import stored

SPACE = {
    "x": hpo.Float(0, 1),
    "g": hpo.Float(0, 1, step=0.1),
    "k": hpo.Int(1, 9, log=True),
    "c": hpo.Categorical({"a": {"m": hpo.Float(1e-3, 1, log=True)}, "b": {}, ("t", 1): {}}),
    "o": hpo.Ordinal([1, 2.5, True * 4]),
}
SECONDS = 5.0  # of this process, for one damaged log


def rich_log():
    """Events of every kind."""
    storage = MemoryStorage()
    study = hpo.Study(SPACE, sampler="random", seed=1, name="s", storage=storage)
    study.enqueue({"x": 0.5, "c": ("t", 1)})
    batch = study.ask(4)
    batch.report(1, [0.5, np.nan, -np.inf, 2.0])
    batch[0].note(path=("a", 1), table={1: "x"})
    study.note(why="damage", table={1: "x"})
    study.stop_trials(batch[0])
    study.tell(batch[[2, 1]], [1.0, 2.0])
    study.fail(batch[3], reason="\ud83d\ude00", traceback="line 1")
    study.add({"x": 0.25, "g": 0.3, "k": 3, "c": "b", "o": 2.5}, 0.5)
    study.ask(repeat=1)
    with storage.transaction():
        storage.append(
            0,
            [
                ("renewed", json.dumps({"worker": "w", "until": 1e9})),
                ("retried", json.dumps({"rows": [5], "worker": "w", "reason": "died", "time": 2.5})),
                ("late", json.dumps({"rows": [1], "values": [1.0]})),
                ("decided", json.dumps({"rows": [5], "move": 2, "rung": 0, "reason": "waits"})),
                ("paused", json.dumps({"rows": [5], "cost": [1.5]})),
                ("resumed", json.dumps({"rows": [5], "cursor": 3, "time": 4.0, "worker": "w"})),
            ],
        )
    study.sync()
    return [record[1:3] for record in storage.read(0)]


def nested_log():
    storage = MemoryStorage()
    grown(storage)
    return [record[1:3] for record in storage.read(0)]


def staged_log():
    """Trials that pause, go on and end."""
    storage = MemoryStorage()
    scheduler = hpo.ASHA(factor=2, mode="promote")
    study = hpo.Study(
        {"x": hpo.Float(0, 1)}, scheduler=scheduler, sampler="random", seed=1, name="s", storage=storage
    )

    def train(trial):
        for step in trial.steps(4):
            trial.report(step, trial["x"])
            if trial.should_stop():
                break
        return trial["x"]

    study.optimize(train, n_trials=5)
    study.stop_trials(study.trials.where("paused")[0])
    return [record[1:3] for record in storage.read(0)]


LOGS = {"rich": rich_log(), "nested": nested_log(), "staged": staged_log()}


def opened(events):
    """What a log of these events says: columns and more, or the error it ends with."""
    storage = MemoryStorage()
    with storage.transaction():
        storage.append(storage.create("s"), events)
    start = time.process_time()
    try:
        study = hpo.Study.open(storage, "s")
    except hpo.StorageError as error:
        assert time.process_time() - start < SECONDS
        return str(error)
    except hpo.StudyError as error:
        if re.search("deleted|no study|is not one of hpo_core's", str(error)):
            return "deleted"
        raise
    history = study.history
    assert np.isfinite(
        history.y[:, (history.state == State.COMPLETE) | (history.state == State.STOPPED)]
    ).all()
    assert len(repr(study.trials)) < 10_000
    return columns(study) | {"notes": history.notes, "reasons": history.reasons, "retries": history.retries}


def plain(found):
    return found if isinstance(found, str) else {name: repr(column) for name, column in found.items()}


DEEP = "[" * 5000 + "]" * 5000
HOSTILE = [
    None, True, False, 0, 1, -1, 2, 3.5, -0.5, 0.0, 10**12, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400,
    math.nan, math.inf, "", "3", "nan", "a", "\ud800", "x" * 1000, [], [0], [1, 2], ["a"], [None],
    [[0]], [3.5], ["3"], [-1], [10**12], [math.nan], [True], {}, {"a": 1}, {"tuple": [1]}, {"list": 3},
    {"number": "nan"}, {"choice": "x"}, {"choice": [1]}, {"hpo_core:dict": [[], 1]}, {"hpo_core:text": [1]},
    {"hpo_core:tuple": 3}, {"hpo_core:what": []}, {"hpo_core:dict": [1]}, json.loads("[" * 400 + "]" * 400),
]  # fmt: skip
KINDS = [
    "asked", "told", "failed", "stopped", "reported", "noted", "enqueued", "retried", "renewed", "late",
    "created", "changed", "deleted", "decided", "paused", "resumed", "cloned", "", "\x00",
]  # fmt: skip


def paths(value, path=()):
    """Every place in a JSON value, itself first."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*path, key))


def changed(rng, data):
    """The value with one place of it replaced, left out, repeated or renamed."""
    data = copy.deepcopy(data)
    *way, last = rng.choice([path for path in paths(data) if path] or [(None,)])
    if last is None:
        return rng.choice(HOSTILE)
    holder = data
    for key in way:
        holder = holder[key]
    what = rng.choice(["replace", "replace", "replace", "remove", "more", "rename"])
    if what == "replace":
        holder[last] = copy.deepcopy(rng.choice(HOSTILE))
    elif what == "remove":
        del holder[last]
    elif isinstance(holder, list):
        holder.insert(last, copy.deepcopy(rng.choice([holder[last], *HOSTILE])))
    else:
        holder[rng.choice([f"{last}s", "rows", "tuple", "hpo_core:x"])] = (
            holder.pop(last) if what == "rename" else holder[last]
        )
    return data


def mutated(rng, events):
    """A valid log with one to three things wrong with it."""
    events = list(events)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at = rng.randrange(len(events))
        kind, text = events[at]
        what = rng.choice(["field"] * 8 + ["kind", "remove", "again", "move", "text", "whole", "deep"])
        if what == "field":
            try:
                events[at] = kind, json.dumps(changed(rng, json.loads(text)))
            except (ValueError, RecursionError):  # a text that was changed before
                events[at] = kind, "{}"
        elif what == "kind":
            events[at] = rng.choice(KINDS), text
        elif what == "remove" and len(events) > 1:
            del events[at]
        elif what == "again":
            events.insert(rng.randrange(len(events) + 1), events[at])
        elif what == "move":
            events.insert(rng.randrange(len(events)), events.pop(at))
        elif what == "text":
            cut = rng.randrange(len(text) + 1)
            events[at] = (
                kind,
                text[:cut] + rng.choice(["", "]", "}", ",", "0", '"', "\\", "\x00"]) + text[cut + 1 :],
            )
        elif what == "whole":
            events[at] = kind, json.dumps(rng.choice(HOSTILE))
        else:
            events[at] = kind, text.replace("[", f"[{DEEP},", 1)
    return events


def check(seed, monkeypatch):
    rng = random.Random(seed)
    events = mutated(rng, LOGS[rng.choice([*LOGS])])
    found = opened(events)
    with monkeypatch.context() as patch:
        patch.setattr(journal, "PAGE", 1)
        decode._parser.cache_clear()
        patch.setitem(sys.modules, "msgspec", None)
        again = opened(events)
    decode._parser.cache_clear()
    assert isinstance(found, str) == isinstance(again, str), (found, again)
    if not isinstance(found, str):
        assert plain(found) == plain(again)
    elif found != "deleted":
        assert "event" in found, found
        assert "Error(" not in found, found
    return isinstance(found, str)


def test_a_changed_log_opens_or_names_the_damage(soak, monkeypatch, capsys):
    total, damaged = 10_000 if soak else 100, 0
    start = time.perf_counter()
    for seed in range(total):
        try:
            damaged += check(seed, monkeypatch)
        except Exception as error:
            raise AssertionError(f"log of seed {seed}") from error
    assert total // 2 < damaged < total  # it knows both ends
    if soak:
        with capsys.disabled():
            print(f"\n{total:,} changed logs, {damaged:,} damaged: {time.perf_counter() - start:.0f} s")


DEEP_LIST = json.loads("[" * 300 + "]" * 300)
# A change of the last event of a kind, and how the message names it.
FORGED = {
    "more trials than memory": ("asked", {"n": 10**12}, "'params.x'"),
    "no trials": ("asked", {"n": 0}, "'n'"),
    "half a trial": ("asked", {"n": 1.5}, "'n'"),
    "an early number": ("asked", {"first": 0}, "'first'"),
    "a number beyond all": ("asked", {"first": 2**70}, "'first'"),
    "a cursor ahead": ("asked", {"cursor": 10**6}, "'cursor'"),
    "a cursor beyond all": ("asked", {"cursor": 10**400}, "'cursor'"),
    "a tier that is none": ("asked", {"tier": 3}, "'tier'"),
    "nothing enqueued": ("asked", {"tier": "enqueued"}, "'tier'"),
    "a time as text": ("asked", {"time": "now"}, "'time'"),
    "a time beyond all": ("asked", {"time": 10**400}, "'time'"),
    "fewer wanted than given": ("asked", {"wanted": 0}, "'wanted'"),
    "no worker": ("asked", {"worker": 3}, "'worker'"),
    "params as text": ("asked", {"params": "x"}, "'params'"),
    "no params": ("asked", {"params": {}}, "'params'"),
    "unknown params": ("asked", {"params": {"zz": [1]}}, "'params'"),
    "a value as text": ("asked", {"params.x": ["0.5"]}, "'params.x'"),
    "a value as a bool": ("asked", {"params.x": [True]}, "'params.x'"),
    "a value that is missing": ("asked", {"params.x": []}, "'params.x'"),
    "a value that is null": ("asked", {"params.x": [None]}, "'params.x'"),
    "a value that is NaN": ("asked", {"params.x": [math.nan]}, "'params.x'"),
    "a value beyond all": ("asked", {"params.x": [10**400]}, "'params.x'"),
    "a value outside": ("asked", {"params.x": [7], "tier": "random"}, "'params.x'"),
    "a value between levels": ("asked", {"params.g": [0.25], "tier": "random"}, "'params.g'"),
    "characters as choices": ("asked", {"params.c": "a"}, "'params.c'"),
    "a list as a choice": ("asked", {"params.c": [["a"]]}, "'params.c'"),
    "an unknown long choice": ("asked", {"params.c": [{"choice": "?"}]}, "'params.c'"),
    "a deep choice": ("asked", {"params.c": [DEEP_LIST]}, "'params.c'"),
    "half a row": ("told", {"rows": [3.5]}, "'rows'"),
    "a row as text": ("told", {"rows": ["3"]}, "'rows'"),
    "a row as a bool": ("told", {"rows": [True]}, "'rows'"),
    "a negative row": ("told", {"rows": [-1]}, "'rows'"),
    "an unknown row": ("told", {"rows": [99]}, "'rows'"),
    "a row beyond all": ("told", {"rows": [2**64]}, "'rows'"),
    "a result as text": ("told", {"values": ["3"]}, "'values'"),
    "a result that is nan": ("told", {"values": ["nan"]}, "'values'"),
    "a result that is NaN": ("told", {"values": [math.nan]}, "'values'"),
    "a result that is inf": ("told", {"values": [math.inf]}, "'values'"),
    "a result beyond all": ("told", {"values": [10**400]}, "'values'"),
    "two results": ("told", {"values": [1.0, 2.0]}, "'values'"),
    "no results": ("told", {"values": None}, "'values'"),
    "a cost as text": ("told", {"cost": ["1"]}, "'cost'"),
    "no costs": ("told", {"cost": []}, "'cost'"),
    "a reason that is none": ("failed", {"reason": 3}, "'reason'"),
    "a reason of numbers": ("failed", {"reason": [3]}, "'reason'"),
    "a traceback that is none": ("failed", {"traceback": {}}, "'traceback'"),
    "half a step": ("reported", {"step": 1.5}, "'step'"),
    "a negative step": ("reported", {"step": -1}, "'step'"),
    "a step beyond all": ("reported", {"step": 2**63}, "'step'"),
    "a report as text": ("reported", {"values": ["3", 0, 0, 0]}, "'values'"),
    "a report of nobody": ("reported", {"rows": [7, 1, 2, 3]}, "'rows'"),
    "a note of nobody": ("noted", {"rows": [99]}, "'rows'"),
    "a note that is none": ("noted", {"notes": [3]}, "'notes'"),
    "two notes": ("noted", {"notes": [{}, {}]}, "'notes'"),
    "a note of a strange mark": ("noted", {"notes": [{"hpo_core:set": []}]}, "'notes'"),
    "a retry of nobody": ("retried", {"rows": [-1]}, "'rows'"),
    "a retry of what has ended": ("retried", {"rows": [1]}, "'rows'"),
    "a retry without a time": ("retried", {"time": None}, "'time'"),
    "a lease without an end": ("renewed", {"until": "never"}, "'until'"),
    "a lease for ever": ("renewed", {"until": math.inf}, "'until'"),
    "a lease beyond all": ("renewed", {"until": 10**400}, "'until'"),
    "a lease of nobody": ("renewed", {"worker": None}, "'worker'"),
    "an outside wish": ("enqueued", {"params": {"x": 7}}, "'x'"),
    "a wish as text": ("enqueued", {"params": {"x": "0.5"}}, "'x'"),
    "a wish of unknown name": ("enqueued", {"params": {"zz": 1}}, "'zz'"),
    "a wish that is none": ("enqueued", {"params": [1]}, "'params'"),
    "a seed that is none": ("created", {"seed": -1}, "'seed'"),
    "no direction": ("created", {"directions": ["up"]}, "'directions'"),
    "a sampler without a name": ("created", {"sampler": {}}, "'sampler'"),
    "options of no sampler": ("created", {"sampler": {"name": "tpe", "options": {"magic": 1}}}, "'sampler'"),
    "a space that is none": ("created", {"space": 3}, "'space'"),
    "a space without bounds": ("created", {"space.space.x": {"float": []}}, "'x'"),
    "a space beyond all": ("created", {"space.space.x": {"int": [0, 10**400]}}, "'x'"),
    "a space of deep values": ("created", {"space.space.x": {"constant": DEEP_LIST}}, "'x'"),
    "a space of a strange name": ("created", {"space.space": {"": {"int": [1, 2]}}}, "name"),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_is_wrong_is_named(what):
    kind, change, words = FORGED[what]
    events = list(LOGS["rich"])
    at = max(k for k, event in enumerate(events) if event[0] == kind)
    data = json.loads(events[at][1])
    for path, value in change.items():
        *way, last = path.split(".")
        holder = data
        for key in way:
            holder = holder[key]
        holder[last] = value
    events[at] = kind, json.dumps(data)
    found = opened(events)
    assert isinstance(found, str), found
    assert re.search(rf"event {at}, '?{kind}'?: .*{words}", found), found


@pytest.mark.parametrize(
    "field", [(k, f) for k in (*KINDS_OF_EVENTS, "renewed") for f in decode._required(k)]
)
def test_a_missing_or_mistyped_field_is_named(field):
    kind, name = field
    events = list(LOGS["rich"])
    at = max(k for k, event in enumerate(events) if event[0] == kind)
    data = json.loads(events[at][1])
    del data[name]
    for value in (
        {},
        {name: [] if decode._required(kind)[name].types == (dict,) else {"a": {}}},
        {name: None},
    ):
        events[at] = kind, json.dumps(data | value)
        assert re.search(rf"event {at}, '{kind}': .*'{name}", opened(events)), value


def test_more_that_no_log_says():
    events = list(LOGS["rich"])
    told = next(event for event in events if event[0] == "told")
    for extra, words in (
        (("cloned", "{}"), "unknown to this version"),
        (("created", events[0][1]), "must be the first"),
        (told, "ended before"),
        (("told", "[" * 100_000), "nested too deeply"),
        (("told", '{"rows":' + "[" * 100_000 + "]" * 100_000 + "}"), "nested too deeply"),
        (("told", "1" * 100_000), "not JSON"),
        (("noted", '{"rows":[6],"notes":[{"a":' + "1" * 5000 + "}]}"), "not JSON"),
    ):
        found = opened([*events, extra])
        assert isinstance(found, str)
        assert re.search(rf"event {len(events)}, '{extra[0]}': .*{words}", found), found
    assert opened([*events, ("deleted", "{}"), told]) == "deleted"
    assert "event 1, 'told': field 'rows': trial 2 was never asked" in opened([events[0], told, *events[1:]])


@pytest.mark.parametrize("what", ["a space beyond all", "a result beyond all", "half a row"])
def test_a_damaged_study_hides_no_other(what, place):
    kind, change, _ = FORGED[what]
    good = hpo.Study(SPACE, sampler="random", seed=0, name="good", storage=place)
    good.tell(good.ask(), 1.0)
    events = [(k, t) if k != kind else (k, json.dumps(json.loads(t) | change)) for k, t in LOGS["rich"]]
    storage = open_storage(place)
    with storage.transaction():
        storage.append(storage.create("bad"), events)
    assert hpo.Study.open(place, "good").best_value == 1.0
    assert [*storage.studies()] == ["good", "bad"]
    found = [stored.check(storage, name, key) for name, key in storage.studies().items()]
    assert found[0]["problem"] is None
    if "." not in next(iter(change)):
        assert "event" in found[1]["problem"]
    good.tell(good.ask(), 0.5)
    assert hpo.Study.open(place, "good").best_value == 0.5
