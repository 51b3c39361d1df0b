"""Exceptions and results that raise when they are printed, read, pickled or built, in every executor."""

from __future__ import annotations

import pickle
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import misbehaving
import pytest
from studies import make_study, states

from hpo_core.errors import TrialError
from hpo_core.executors.base import Outcome
from hpo_core.executors.failures import (
    REASON_LENGTH,
    TRACEBACK_LENGTH,
    clip,
    describe,
    pack_error,
    trace,
    unpack_error,
)
from hpo_core.log import State

QUICK = ["serial", "threads", "processes", "pool"]
CLUSTERS = [pytest.param(name, marks=pytest.mark.cluster) for name in ("dask", "ray")]


@pytest.fixture(scope="module", params=QUICK)
def executor(request):
    """What ``optimize`` takes, one of each kind; clusters only where a test asks for them."""
    if request.param == "threads":
        with ThreadPoolExecutor(2) as pool:
            yield pool
    elif request.param == "pool":
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            yield pool
    elif request.param == "dask":
        yield request.getfixturevalue("dask_client")
    elif request.param == "ray":
        request.getfixturevalue("ray_cluster")
        yield "ray"
    else:
        yield {"serial": None, "processes": 2}[request.param]


@pytest.mark.parametrize("executor", [*QUICK, *CLUSTERS], indirect=True)
def test_every_misbehaviour_fails_its_own_trial_and_is_caught(executor):
    study, n = make_study(), len(misbehaving.CASES)
    study.optimize(misbehaving.in_turn, n_trials=n + 1, executor=executor, catch=Exception)
    assert states(study) == [State.FAILED] * n + [State.COMPLETE]
    for trial, name in zip(study.trials, [*misbehaving.RAISING, *misbehaving.RETURNING], strict=False):
        assert name in trial.reason, trial.reason[:200]
        assert len(trial.reason) <= REASON_LENGTH
        assert len(trial.traceback or "") <= TRACEBACK_LENGTH
    assert "in misbehave" in study.trials[0].traceback


@pytest.mark.parametrize(
    ("objective", "catch"),
    [
        (misbehaving.RAISING["HoldingError"], (misbehaving.HoldingError,)),
        (misbehaving.RAISING["MissingError"], OSError),
        (misbehaving.RAISING["NestedError"], misbehaving.Outer.NestedError),
        (misbehaving.RAISING["RefusingError"], (misbehaving.RefusingError, KeyError)),
        (misbehaving.RETURNING["RuntimeError"], RuntimeError),
        (misbehaving.RETURNING["RuntimeError"], TrialError),
    ],
)
def test_catch_goes_by_the_real_class(executor, objective, catch):
    study = make_study()
    study.optimize(objective, n_trials=1, executor=executor, catch=catch)
    assert states(study) == [State.FAILED]
    with pytest.raises(Exception):  # noqa: B017 - whatever came
        study.optimize(objective, n_trials=1, executor=executor, catch=(ZeroDivisionError,))
    assert states(study) == [State.FAILED] * 2


@pytest.mark.parametrize("executor", [*QUICK, *CLUSTERS], indirect=True)
def test_a_local_class_is_caught_and_raised_as_itself(executor):
    class LocalError(Exception):
        def __init__(self, *, code):
            super().__init__(code)
            self.code = code

    def objective(trial):
        raise LocalError(code=5)

    study = make_study()
    study.optimize(objective, n_trials=2, executor=executor, catch=LocalError)
    assert study.trials.reason == ["LocalError: 5"] * 2
    with pytest.raises(LocalError) as caught:
        study.optimize(objective, n_trials=1, executor=executor)
    assert caught.value.code == 5


@pytest.mark.parametrize("what", ["lock", "a b"])
def test_a_note_that_is_no_json_is_named(executor, what):
    study = make_study()
    with pytest.raises(TrialError, match=f"note '{what}' must be a JSON value"):
        study.optimize(misbehaving.Noting(what), n_trials=1, executor=executor)
    assert what in study.trials[0].reason
    assert "worker died" not in study.trials[0].reason
    study.optimize(misbehaving.Noting(what), n_trials=1, executor=executor, catch=TrialError)


# What travels, without a journey


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("outcome", "named"),
    [
        (Outcome("complete", 1.0, notes={"a": 1, "lock": threading.Lock()}), "note 'lock'"),
        (Outcome("complete", 1.0, notes={"deep": nested(100_000)}), "note 'deep'"),
        (Outcome("complete", threading.Lock()), "the result"),
    ],
)
def test_an_outcome_that_cannot_be_pickled_arrives_as_a_failure_that_names_it(outcome, named):
    arrived = pickle.loads(pickle.dumps(outcome))
    assert arrived.state == "failed"
    assert arrived.reason.startswith(f"{named} cannot be sent from the worker")
    assert isinstance(arrived.error, TrialError)


def errors():
    """One of each kind in ``misbehaving`` and of the interpreter's own."""
    for function in misbehaving.RAISING.values():
        try:
            function(None)
        except Exception as error:
            yield error
    yield from [SystemExit(3), KeyboardInterrupt(), StopIteration(4), ImportError("m", name="n", path="p")]
    yield UnicodeEncodeError("utf-8", "\udc80", 0, 1, "why")
    yield FileNotFoundError(2, "gone", "/a", None, "/b")
    noted = KeyError("k")
    noted.add_note("a note")
    yield noted


@pytest.mark.parametrize("error", list(errors()), ids=lambda error: type(error).__name__)
def test_an_error_arrives_as_what_it_was(error):
    arrived = unpack_error(pack_error(error))
    assert type(error).__name__ in describe(arrived)
    if isinstance(error, ExceptionGroup):
        return  # what is in it cannot travel as it is
    assert type(arrived) is type(error)
    files, others = (
        ("errno", "strerror", "filename", "filename2"),
        ("name", "path", "code", "value", "object"),
    )
    for name in [*files, *others, "__notes__", "kept"]:
        assert getattr(arrived, name, None) == getattr(error, name, None)


def test_an_error_of_an_unknown_class_arrives_as_its_closest_base(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)

    class LocalError(PermissionError):
        pass

    class OtherError(Exception):
        pass

    arrived = unpack_error(pack_error(LocalError("not you")))
    assert type(arrived) is PermissionError
    assert str(arrived) == "LocalError: not you"
    arrived = unpack_error(pack_error(OtherError("not you")))
    assert type(arrived) is RuntimeError
    assert str(arrived) == "OtherError: not you"


@pytest.mark.parametrize("length", [0, 1, 99, 100, 101, 10_000])
def test_a_long_text_keeps_its_ends(length):
    text = "".join(chr(ord("a") + k % 26) for k in range(length))
    kept = clip(text, 100)
    assert len(kept) <= 100
    if length <= 100:
        assert kept == text
    else:
        assert kept[:20] == text[:20]
        assert kept[-20:] == text[-20:]
        assert "characters left out" in kept


def test_a_traceback_that_cannot_be_printed_is_the_description(monkeypatch):
    def broken(*_):
        raise ValueError

    monkeypatch.setattr("hpo_core.executors.failures.format_exception", broken)
    assert trace(KeyError("k")) == "KeyError: 'k'"
