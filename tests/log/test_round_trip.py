"""What a study accepts is read back equal from any storage; what it refuses is named, and not written.

10,000 examples of each property in `make soak`, where PostgreSQL gets every fifth.
"""

from __future__ import annotations

import enum
import fractions
import functools
import itertools
import math
import string
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from studies import columns, fingerprint

import hpo_core as hpo
from hpo_core.space import Space
from hpo_core.storage import MemoryStorage, PostgresStorage, open_storage

SOAK = settings().max_examples > 1000
settings_here = settings(
    max_examples=10_000 if SOAK else 100,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
names = itertools.count()


@pytest.fixture(
    scope="module", params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.database)]
)
def storage(request, tmp_path_factory):
    """One storage for all the studies of a test."""
    if request.param == "memory":
        return MemoryStorage()
    if request.param == "sqlite":
        return open_storage(str(tmp_path_factory.mktemp("round") / "s.db"))
    return open_storage(request.getfixturevalue("postgres_database"))


def same(one, other):
    """Equal in value and type all the way down: NaN is equal to NaN, and -0.0 is not to 0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return repr(one) == repr(other)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same([*one.items()], [*other.items()])
    return one == other


def text(**options):
    return st.text(st.characters(exclude_categories=()), **options)  # NUL and halves of pairs too


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | text(max_size=9)
)
KEYS = (
    text(max_size=5)
    | st.sampled_from(["hpo_core:tuple", "hpo_core:", "tuple", "number"])
    | st.integers(-3, 3)
)
KEYS |= st.booleans() | st.none() | st.floats(allow_nan=False)
NOTES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)
CHOICES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)


def deep(levels, kind=list):
    value = 1
    for _ in range(levels):
        value = {"a": value} if kind is dict else kind([value])
    return value


class Odd:
    """An object whose own methods raise."""

    def __eq__(self, other):
        raise RuntimeError("eq")

    def __hash__(self):
        raise RuntimeError("hash")

    def __repr__(self):
        raise RuntimeError("repr")

    __str__ = __repr__
    __float__ = __index__ = __int__ = __iter__ = __len__ = __repr__

    def tolist(self):
        raise RuntimeError("tolist")


class OddText(str):
    __slots__ = ()
    __eq__ = __repr__ = __str__ = Odd.__repr__
    __hash__ = str.__hash__


CYCLE: list = []
CYCLE.append(CYCLE)


def thinned(test):
    """Leave PostgreSQL every fifth of very many examples: it takes thirty times as long."""

    @functools.wraps(test)
    def check(storage, **values):
        code = zlib.crc32(repr(values).encode("utf-8", "surrogatepass"))
        if not (SOAK and isinstance(storage, PostgresStorage) and code % 5):
            test(storage, **values)

    return check


def make(storage, space=None, **options):
    name = f"study {next(names)}"
    space = {"x": hpo.Float(0, 1)} if space is None else space
    return hpo.Study(space, **{"sampler": "random", "seed": 0, "name": name, "storage": storage} | options)


def reopened(storage, study):
    again = hpo.Study.open(storage, study.name)
    for (name, ours), theirs in zip(columns(study).items(), columns(again).values(), strict=True):
        np.testing.assert_array_equal(ours, theirs, name)
    for name in ("reasons", "tracebacks", "notes", "wanted", "position"):
        assert same(getattr(study.history, name), getattr(again.history, name)), name
    return again


@settings_here
@given(value=NOTES, name=text(min_size=1, max_size=5))
@example(value=deep(99), name="a")
@example(value=deep(99, tuple), name="a")
@example(value=deep(99, dict), name="a")
@example(value={"hpo_core:tuple": [1]}, name="hpo_core:dict")
@example(value=1, name="self")
@example(value="\ud83d\ude00", name="\ud83d\ude00")
@example(value={"\ud83d\ude00": {1: (True, 1.0, 1, -0.0)}}, name="\x00")
@thinned
def test_a_note_is_read_back_as_it_was_given(storage, value, name):
    study = make(storage)
    trial = study.ask()
    trial.note(**{name: value})
    again = reopened(storage, study).trials[0]
    assert same(trial.notes, {name: value})
    assert same(again.notes, {name: value})


REFUSED = [
    object(), math.sin, {1, 2}, b"x", 1j, Odd(), [Odd()], {"a": Odd()}, CYCLE, deep(100_000), deep(985),
    deep(101, tuple), deep(300, dict), {math.nan: 1}, {(1, 2): 3}, 10**5000, {10**5000: 1},
    fractions.Fraction(1, 3), np.array([1j]), np.array([b"x"]), range(3),
    np.datetime64("2020-01-01", "ns"), np.longdouble(1) / 3,
]  # fmt: skip


@pytest.mark.parametrize("value", REFUSED, ids=range(len(REFUSED)))
def test_a_refused_note_writes_nothing(storage, value):
    study = make(storage)
    trial = study.ask()
    before, written = fingerprint(study), len(storage.read(storage.studies()[study.name]))
    for holder in (trial, study.trials):
        with pytest.raises(hpo.TrialError, match="note 'n' must be a JSON value"):
            holder.note(fine=1, n=value if holder is trial else [value])
    assert fingerprint(study) == before
    assert len(storage.read(storage.studies()[study.name])) == written
    assert reopened(storage, study).trials[0].notes == {}


class Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.5), 0.5), (np.int8(3), 3), (np.bool_(True), True), (np.str_("a"), "a"),
        (np.arange(3), [0, 1, 2]), (np.array(2.5), 2.5), (Level.LOW, 1), (OddText("a"), "a"),
        ((np.int64(1), [np.float64(-0.0)]), (1, [-0.0])),
    ],
)  # fmt: skip
def test_numbers_and_texts_of_others_become_pythons(storage, value, plain):
    study = make(storage)
    study.ask().note(n=value)
    assert same(reopened(storage, study).trials[0].notes["n"], plain)
    assert same(study.trials[0].notes["n"], plain)


@settings_here
@given(reason=text(), traceback=st.none() | text())
@example(reason="\ud83d\ude00", traceback="\x00\ud800")
@thinned
def test_reasons_and_tracebacks_are_read_back(storage, reason, traceback):
    study = make(storage)
    study.fail(study.ask(), reason=reason, traceback=traceback)
    again = reopened(storage, study).trials[0]
    assert (again.reason, again.traceback) == (study.trials[0].reason, study.trials[0].traceback)
    assert (again.reason, again.traceback) == (reason, traceback)


def declared(kind, values, doc):
    if kind is Space:
        return {"c": values[0], "x": hpo.Float(0, 1, doc=doc)}
    if kind == "owners":
        return {
            "c": hpo.Categorical(
                {value: {f"x{k}": hpo.Float(0, 1)} for k, value in enumerate(values)}, doc=doc
            )
        }
    return {"c": kind(values, doc=doc)}


@settings_here
@given(
    kind=st.sampled_from([hpo.Categorical, hpo.Ordinal, "owners", Space]),
    values=st.lists(CHOICES, min_size=1, max_size=4),
    name=text(min_size=1, max_size=6),
    doc=text(max_size=6),
)
@example(kind=hpo.Categorical, values=[("constant", math.nan), ("mean", 0.0)], name="c", doc="")
@example(kind="owners", values=[("constant", math.nan), ("mean", 0.0)], name="c", doc="")
@example(kind=Space, values=[(math.nan, -0.0, [True, 1, 1.0])], name="c", doc="\ud83d\ude00")
@example(kind=hpo.Ordinal, values=["\ud83d\ude00", "\ud83d", "\x00"], name="\ud800", doc="\x00")
@example(kind=hpo.Ordinal, values=["x" * 2000, "y" * 3000, "short", ("x" * 500, 1.5)], name="c", doc="")
@example(kind=hpo.Categorical, values=[deep(99, tuple), 10**3000], name="c", doc="")
@thinned
def test_a_space_and_its_values_are_read_back(storage, kind, values, name, doc):
    try:
        space = Space(
            {(name if key == "c" else key): own for key, own in declared(kind, values, doc).items()}
        )
        text = space.to_json()
    except hpo.SpaceError:
        return
    assert Space.from_json(text) == space
    study = make(storage, space)
    batch = study.ask(4)
    study.enqueue({name: batch[0][name]})
    study.tell(study.ask(), 0.5)
    study.add(batch[-1].params, 0.25)
    again = reopened(storage, study)
    assert again.space == space
    assert repr(again.space) == repr(space)
    for old, new in zip(study.trials, again.trials, strict=True):
        assert same(old.params, new.params)
    allowed = [values[0]] if kind is Space else values
    for trial in again.trials:
        assert any(same(trial[name], value) for value in allowed)
    assert make(storage, space, name=study.name).history.position == study.history.position
    assert storage.descriptions(storage.studies()[study.name])[-1][0] == 0  # nothing was widened


HOSTILE_CHOICES = [
    math.nan, ("a", math.nan), (1, (2, math.nan)), deep(101, tuple), deep(100_000, tuple), [1], {}, Odd(),
    (Odd(),), hpo.param("a"), np.array([1, 2]),
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE_CHOICES, ids=range(len(HOSTILE_CHOICES)))
def test_what_is_no_choice_is_refused(value):
    for declaration in (hpo.Categorical([value, "b"]), hpo.Ordinal(["b", value])):
        with pytest.raises(hpo.SpaceError, match="'c'"):
            Space({"c": declaration})


NOT_STORED = [
    CYCLE,
    deep(101),
    deep(100_000),
    object(),
    Odd(),
    {1},
    10**5000,
    (1, Odd()),
    fractions.Fraction(1),
]


@pytest.mark.parametrize("value", NOT_STORED, ids=range(len(NOT_STORED)))
def test_a_refused_constant_writes_nothing(storage, value):
    before = storage.studies()
    with pytest.raises(hpo.SpaceError, match="'c'"):
        make(storage, {"c": value, "x": hpo.Float(0, 1)})
    assert storage.studies() == before


@pytest.mark.parametrize("value", [Odd(), 10**400, "1", [0.5, 1], deep(2000), CYCLE, math.nan, True, None])
def test_what_is_no_value_is_refused_and_changes_nothing(storage, value):
    space = {
        "x": hpo.Float(0, 1),
        "k": hpo.Int(0, 10**6),
        "i": hpo.Int(2, 5),
        "c": hpo.Categorical(["a", "b"]),
        "e": 10,
    }
    study = make(storage, space)
    good = study.ask().params
    before, written = fingerprint(study), len(storage.read(storage.studies()[study.name]))
    for name in space:
        for call in (study.enqueue, lambda params: study.add(params, 1.0)):
            with pytest.raises(hpo.SpaceError, match=rf"'{name}'"):
                call(good | {name: value})
    if type(value) is not float:
        for call in (
            lambda: study.tell(0, value),
            lambda: study.add(good, value),
            lambda: study.trials[0].report(1, value),
        ):
            with pytest.raises(hpo.TrialError):
                call()
    assert fingerprint(study) == before
    assert len(storage.read(storage.studies()[study.name])) == written


FLOATS = st.floats(allow_nan=True, allow_infinity=True)


@settings_here
@given(
    values=st.lists(FLOATS | st.integers(-(10**300), 10**300), min_size=1, max_size=6),
    steps=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3),
    direction=st.sampled_from(["minimize", "maximize"]),
)
@thinned
def test_results_and_reports_are_read_back(storage, values, steps, direction):
    study = make(storage, direction=direction)
    for value in values:
        trial = study.ask()
        for step in steps:
            trial.report(np.int64(step), value)
        study.tell(trial, value)
        study.add({"x": 0.5}, value)
    again = reopened(storage, study)
    for k, value in enumerate(values):
        for trial in (again.trials[2 * k], again.trials[2 * k + 1]):
            assert trial.value == (float(value) if math.isfinite(value) else None)
    reported = [float(value) for value in values for _ in steps]
    np.testing.assert_array_equal(again.metrics.sign[0] * again.history.reports.value, reported)
    np.testing.assert_array_equal(again.history.reports.step, steps * len(values))


def numbers_between(low, high, **options):
    near = st.sampled_from([low, high, low - 1, high + 1, 10**400, math.nan, math.inf, True, "3", None])
    return st.floats(low, high) | st.integers(math.floor(low), math.ceil(min(high, 10**7))) | near


OPTIONS = {
    hpo.AutoSampler: {"max_ms": numbers_between(1e-3, 3.6e6)},
    hpo.TPESampler: {
        "n_startup": numbers_between(2, 10**6),
        "n_candidates": numbers_between(1, 4096),
        "gamma": numbers_between(0.001, 0.999),
        "prior_weight": numbers_between(1e-6, 1e6),
        "min_bandwidth": numbers_between(1e-6, 1.0),
        "weigh_below": st.booleans() | st.none(),
        "max_above": numbers_between(256, 10**6),
    },
}


@settings_here
@given(
    data=st.data(),
    kind=st.sampled_from([*OPTIONS]),
    wrap=st.sampled_from([np.int64, np.float64, np.float32, None]),
)
@thinned
def test_the_options_of_a_sampler_are_read_back(storage, data, kind, wrap):
    name = data.draw(st.sampled_from([*OPTIONS[kind]]))
    value = data.draw(OPTIONS[kind][name])
    if wrap is not None and type(value) in (int, float) and abs(value) < 2**62:
        value = wrap(value)
    try:
        sampler = kind(**{name: value})
    except hpo.ArgumentError:
        return
    study = make(storage, sampler=sampler)
    again = reopened(storage, study)
    assert again.sampler.options() == sampler.options()
    assert make(storage, sampler=sampler, name=study.name).sampler.options() == sampler.options()


@pytest.mark.parametrize("kind", OPTIONS)
def test_an_object_whose_methods_raise_is_no_option(kind):
    for name in OPTIONS[kind]:
        with pytest.raises(hpo.ArgumentError, match=name):
            kind(**{name: Odd()})


def test_a_long_choice_is_written_once(storage):
    long, other = string.ascii_letters * 20_000, ("z" * 5000, 1)
    space = {"c": hpo.Categorical([long, other, "b"]), "o": hpo.Ordinal([1, long])}
    study = make(storage, space, allow_duplicates=True)
    batch = study.ask(50)
    study.enqueue({"c": long, "o": long})
    study.tell(study.ask(), 1.0)
    study.add({"c": other, "o": 1}, 2.0)
    assert len(batch["c"][0]) in (1, 2, len(long))
    size = [len(record[2]) for record in storage.read(storage.studies()[study.name])]
    assert len(long) < size[0] < 4 * len(long)
    assert max(size[1:]) < 10_000
    again = reopened(storage, study)
    assert again.trials[50]["c"] == again.trials[50]["o"] == long
    assert again.trials[51].params == {"c": other, "o": 1}
    wider = {"c": hpo.Categorical(["a", "b", other, long]), "o": hpo.Ordinal([0, 1, long, 3])}
    widened = make(storage, wider, name=study.name, allow_duplicates=True)
    assert [trial.params for trial in widened.trials] == [trial.params for trial in study.trials]


def test_long_choices_of_an_old_log_are_read():
    import json

    long = "x" * 1000
    storage = MemoryStorage()
    study = make(storage, {"c": hpo.Categorical([long, "b"])})
    with storage.transaction():
        asked = {"first": 0, "n": 2, "cursor": 0, "tier": "random", "time": 1.0, "params": {"c": [long, "b"]}}
        storage.append(storage.studies()[study.name], [("asked", json.dumps(asked))])
        storage.append(storage.studies()[study.name], [("enqueued", json.dumps({"params": {"c": long}}))])
    again = hpo.Study.open(storage, study.name)
    assert [trial["c"] for trial in again.trials] == [long, "b"]
    assert again.ask()["c"] == long
