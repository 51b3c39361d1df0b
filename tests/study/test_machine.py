"""Random calls on a study and on one dictionary per trial: nothing is lost, nothing else changes."""

from __future__ import annotations

import math
import pickle

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from studies import FULL, hashed_study

from hpo_core.errors import TrialError


class StudyMachine(RuleBasedStateMachine):
    """A study and its model."""

    @initialize(direction=st.sampled_from(["minimize", "maximize"]))
    def start(self, direction):
        self.study = hashed_study(direction=direction)
        self.better = min if direction == "minimize" else max
        self.trials: list[dict] = []
        self.queued: list[dict] = []
        self.told: list[int] = []

    def began(self, handles):
        for trial in handles:
            assert trial.number == len(self.trials)
            self.trials.append(
                {"params": trial.params, "state": "running", "value": None, "reason": None, "notes": {}}
            )
            if self.queued:
                wanted = self.queued.pop(0)
                assert trial.params | wanted == trial.params

    def running(self) -> list[int]:
        return [i for i, trial in enumerate(self.trials) if trial["state"] == "running"]

    def some_running(self, data) -> list[int]:
        return data.draw(st.lists(st.sampled_from(self.running()), min_size=1, max_size=8, unique=True))

    def finish(self, number, value):
        if math.isfinite(value):
            self.trials[number].update(state="complete", value=value)
            self.told.append(number)
        else:
            self.trials[number].update(state="failed", reason=f"the value told is {value}")

    @rule(n=st.sampled_from([None, 1, 2, 5, 70]))
    def ask(self, n):
        asked = self.study.ask() if n is None else self.study.ask(n)
        self.began([asked] if n is None else asked)

    @precondition(lambda self: self.trials)
    @rule(data=st.data())
    def repeat(self, data):
        number = data.draw(st.integers(0, len(self.trials) - 1))
        waiting, self.queued = self.queued, []
        self.began([self.study.ask(repeat=number)])
        self.queued = waiting
        assert self.trials[-1]["params"] == self.trials[number]["params"]

    @rule(params=st.sampled_from([{"depth": 3}, {"optimizer": "adam", "batch": 16}, FULL]))
    def enqueue(self, params):
        self.study.enqueue(params)
        self.queued.append(params)

    @rule(value=st.sampled_from([0.25, 1, math.nan]))
    def add(self, value):
        waiting, self.queued = self.queued, []
        trial = self.study.add(FULL, value)
        self.began([trial])
        self.queued = waiting
        self.finish(trial.number, value)

    @precondition(lambda self: self.running())
    @rule(data=st.data(), value=st.floats(-2, 2) | st.sampled_from([math.nan, math.inf]))
    def tell_one(self, data, value):
        number = data.draw(st.sampled_from(self.running()))
        self.study.tell(self.study.trials[number], value)
        self.finish(number, value)

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def tell_many(self, data):
        numbers = self.some_running(data)
        value = st.floats(-2, 2) | st.sampled_from([0.0, math.nan, math.inf, -math.inf])
        values = data.draw(st.lists(value, min_size=len(numbers), max_size=len(numbers)))
        self.study.tell(self.study.trials[numbers], values)
        for number, each in zip(numbers, values, strict=True):
            self.finish(number, each)

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def fail(self, data):
        numbers = self.some_running(data)
        self.study.fail(self.study.trials[numbers], reason="oom")
        for number in numbers:
            self.trials[number].update(state="failed", reason="oom")

    @precondition(lambda self: self.running())
    @rule(data=st.data(), value=st.floats(-2, 2), step=st.integers(0, 9))
    def report_and_note(self, data, value, step):
        numbers = self.some_running(data)
        part = self.study.trials[numbers]
        part.report(step, [value] * len(numbers))
        part.note(step=step)
        for number in numbers:
            self.trials[number].update(report=value, notes={"step": step})

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def end_early(self, data):
        numbers = self.some_running(data)
        self.study.stop_trials(numbers)
        for number in numbers:
            trial = self.trials[number]
            if "report" in trial:
                trial.update(state="stopped", value=trial["report"])
            else:
                trial.update(state="failed", reason="stopped without a finite report")

    @precondition(lambda self: self.trials)
    @rule(data=st.data())
    def refused(self, data):
        finished = [i for i in range(len(self.trials)) if i not in self.running()] + [len(self.trials)]
        numbers = [*self.running()[:2], data.draw(st.sampled_from(finished))]
        with pytest.raises(TrialError):
            self.study.tell(numbers, [0.0] * len(numbers))

    @rule()
    def pickled(self):
        self.study = pickle.loads(pickle.dumps(self.study))

    @invariant()
    def nothing_is_lost(self):
        trials = self.study.trials
        assert len(trials) == len(self.trials)
        for handle, trial in zip(trials, self.trials, strict=True):
            assert handle.params == trial["params"]
            assert handle.state.name.lower() == trial["state"]
            assert handle.value == trial["value"]
            assert handle.reason == trial["reason"]
            assert handle.notes == trial["notes"]
        if self.told:
            best = self.better(self.trials[number]["value"] for number in self.told)
            first = next(number for number in self.told if self.trials[number]["value"] == best)
            assert self.study.best_trial.number == first
            assert self.study.best_value == best

    def teardown(self):
        if hasattr(self, "study"):
            assert self.study.replay()


TestStudyMachine = StudyMachine.TestCase
