"""Replay: the log comes back out of the columns, and every suggestion out of the log."""

from __future__ import annotations

import math

import numpy as np
import pytest
from studies import Hashed, hashed_study, small_space

from hpo_core.errors import SpaceExhausted
from hpo_core.log import History
from hpo_core.log.events import Asked, Enqueued, Noted, Told
from hpo_core.samplers.base import Suggestion
from hpo_core.space import param
from hpo_core.study.replay import log, replay


def busy_study(**options):
    """A study that has seen every kind of event, trials running while others are asked."""
    study = hashed_study(**options)
    study.enqueue({"depth": 3})
    waiting = study.ask(4)
    for i in range(30):
        trial = study.ask()
        trial.report(i, i / 7)
        trial.report(i + 1, i / 9)
        trial.note(i=i)
        if i % 5 == 0:
            study.fail(trial, reason="oom", traceback="line 7")
        elif i % 7 == 0:
            study.stop_trials(trial)
        else:
            study.tell(trial, math.inf if i == 11 else trial["lr"])
        if i == 12:
            study.tell(waiting[[2, 0]], [0.5, math.nan])
            study.enqueue({"optimizer": "adam"})
            study.ask(3)
    study.add({"lr": 0.01, "batch": 32, "optimizer": "adam", "depth": 1}, 0.3)
    study.ask(2, repeat=5)
    study.tell(study.ask(50), np.linspace(1, 0, 50))
    study.ask()
    return study


@pytest.fixture(scope="module")
def study():
    return busy_study()


def test_every_suggestion_comes_out_again(study):
    result = study.replay()
    assert result
    assert result.number is None
    assert result.checked == len(study.trials) - 3  # one was added, two were repeats
    assert str(result) == f"{result.checked} suggestions came out again"


def test_replay_does_not_disturb_the_study():
    study, twin = busy_study(), busy_study()
    position = study.history.position
    study.replay()
    assert study.history.position == position
    np.testing.assert_array_equal(study.ask(5)["lr"], twin.ask(5)["lr"])


def test_the_log_rebuilds_the_history(study):
    again = History(study.history.layout)
    for position, event in log(study.history):
        if not isinstance(event, Enqueued):
            again.position = position
        again.apply(event)
    history = study.history
    for name in ("x", "y", "state", "cost", "cursor", "fidelity", "started", "origin", "last_report",
                 "finish_order", "finish_position", "running"):  # fmt: skip
        np.testing.assert_array_equal(getattr(again, name), getattr(history, name), name)
    for one, other in zip(again.reports, history.reports, strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.reasons == history.reasons
    assert again.tracebacks == history.tracebacks
    assert again.origins == history.origins


def test_the_log_has_the_recorded_events_in_their_order():
    study = hashed_study()
    recorded = []
    apply = History.apply

    class Spy(History):
        __slots__ = ()

        def apply(self, event):
            recorded.append((self.position, type(event)))
            apply(self, event)

        def begin(self, *arguments):  # without the event, as complete
            recorded.append((self.position, Asked))
            super().begin(*arguments)

        def complete(self, *arguments):
            recorded.append((self.position, Told))
            super().complete(*arguments)

    study.history.__class__ = Spy
    batch = study.ask(3)
    batch.report(1, [1.0, 2.0, 3.0])
    batch[0].note(a=1)
    study.tell(batch, [1.0, math.nan, 2.0])
    study.ask()
    study.tell(3, 1.0)
    read = [(position, type(event)) for position, event in log(study.history)]
    assert read == [entry for entry in recorded if entry[1] is not Noted]


def test_another_seed_differs_at_the_first_suggestion(study):
    result = replay(study.space, study.history, study.sampler, seed=1)
    assert not result
    assert result.number == 0
    assert result.checked == 0
    assert result.parameter in study.space.names
    assert result.recorded != result.derived
    assert result.recorded == study.trials[0].params.get(result.parameter)
    assert f"trial 0: {result.parameter} was {result.recorded!r}, came out as {result.derived!r}" == str(
        result
    )


def test_replay_finds_where_a_sampler_changed():
    class Late(Hashed):
        late = False

        def ask(self, history, first, n):
            suggestion = super().ask(history, first, n)
            if self.late and first <= 17 < first + n:
                suggestion.x[0, 17 - first] = 0.125
            return suggestion

    study = hashed_study(sampler=Late())
    study.tell(study.ask(10), np.arange(10.0))
    study.ask(10)
    Late.late = True
    result = study.replay()
    assert (result.number, result.parameter, result.checked) == (17, study.space.names[0], 17)


def test_an_unexplained_choice_comes_from_the_record():
    class Timed(Hashed):
        tiers = iter(["slow", "fast", "fast", "slow", "slow", "fast"])

        def ask(self, history, first, n):
            return self.ask_again(history, first, n, next(self.tiers))

        def ask_again(self, history, first, n, tier):
            x = super().ask(history, first, n).x
            return Suggestion(x if tier == "slow" else np.ascontiguousarray(x[:, ::-1]), tier)

    study = hashed_study(sampler=Timed())
    study.enqueue({"depth": 3})  # its completion is not for ``ask`` to choose
    for _ in range(6):
        study.ask(2)
    assert set(study.trials.tier) == {"enqueued", "slow", "fast"}
    assert study.replay().checked == 12


def test_what_the_sampler_was_shown_matters():
    """The sampler notices results that arrived in another order, so the tests here can fail."""
    study = busy_study()
    order = study.history._finishes.write["row"]
    order[[3, 5]] = order[[5, 3]]
    assert not study.replay()


def test_the_end_of_a_finite_space_comes_out_again():
    class Finite(Hashed):
        def ask(self, history, first, n):
            if len(history) >= 7:
                raise SpaceExhausted("seven is all")
            return Suggestion(super().ask(history, first, n).x[:, : 7 - len(history)], "finite")

    study = hashed_study(sampler=Finite())
    study.ask(5)
    assert len(study.ask(5)) == 2  # the hash includes that five were wanted
    assert study.replay().checked == 7


def test_fewer_suggestions_than_recorded_is_a_difference():
    study = hashed_study()
    study.ask(3)

    class Exhausted(Hashed):
        def ask(self, history, first, n):
            raise SpaceExhausted("nothing")

    result = replay(study.space, study.history, Exhausted(), seed=0)
    assert (result.number, result.parameter) == (0, None)
    assert str(result) == "trial 0: no configuration came out"


def test_a_failed_completion_comes_out_again():
    study = hashed_study(space=small_space(forbid=[param("batch") == 32]))
    study.enqueue({"batch": 32})
    study.ask(2)
    assert study.replay().checked == 3


def test_an_empty_study_replays():
    assert hashed_study().replay().checked == 0
