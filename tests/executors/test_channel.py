"""The trial's end of the line, without anybody at the other."""

from __future__ import annotations

import copy
import os
import pickle
import threading
import time

import pytest
from studies import TRIALS

from hpo_core.errors import TrialError
from hpo_core.executors import Decision, Outcome, Question, Report, channel


@pytest.fixture
def said():
    return []


@pytest.fixture
def line(said, monkeypatch):
    monkeypatch.setattr(channel, "ANSWER_SECONDS", 0.05)
    return channel.QueueChannel(said.append)


@pytest.fixture
def trial(line):
    return TRIALS(line, 4, {"x": 3.0})


def ended(line):
    outcome = Outcome("complete", 1.0)
    line.close(outcome)
    return outcome


def test_a_question_follows_the_reports_told_before(trial, line, said):
    line.answers.put(Decision.CONTINUE)
    trial.report(0, 2)
    trial.report(1, 0.5)
    assert trial.should_stop() is False
    assert said == [Report(0, 2.0), Report(1, 0.5), Question()]
    assert ended(line).reports == []


def test_an_answer_holds_for_a_moment_or_until_the_next_report(trial, line, said, monkeypatch):
    monkeypatch.setattr(channel, "FRESH_SECONDS", 60.0)
    line.answers.put(Decision.CONTINUE)
    assert [trial.should_stop() for _ in range(100)] == [False] * 100
    assert said == [Question()]
    trial.report(0, 1.0)
    line.answers.put(Decision.STOP)
    assert [trial.should_stop() for _ in range(3)] == [True] * 3
    assert said == [Question(), Report(0, 1.0), Question()]
    trial.report(1, 1.0)
    assert trial.should_stop()  # there is no way back
    assert len(said) == 4


def test_an_answer_that_does_not_come_is_not_waited_for_twice(trial, line, said):
    assert trial.should_stop() is False
    started = time.monotonic()
    for step in range(200):
        trial.report(step, 0.0)
        assert trial.should_stop() is False
    assert time.monotonic() - started < 200 * channel.ANSWER_SECONDS
    assert said.count(Question()) == 1
    line.answers.put(Decision.STOP)
    assert trial.should_stop()


def test_a_late_answer_does_not_hold_for_later_reports(trial, line, said, monkeypatch):
    monkeypatch.setattr(channel, "FRESH_SECONDS", 60.0)
    trial.report(0, 0.0)
    assert trial.should_stop() is False  # nobody answers in time
    trial.report(1, 0.0)
    line.answers.put(Decision.CONTINUE)  # about the report of step 0

    def answer(message):
        said.append(message)
        if message == Question():
            line.answers.put(Decision.STOP)

    line._put = answer
    assert trial.should_stop() is True
    assert said == [Report(0, 0.0), Question(), Report(1, 0.0), Question()]


def test_a_late_answer_holds_for_a_moment_if_nothing_was_reported_since(trial, line, said, monkeypatch):
    monkeypatch.setattr(channel, "FRESH_SECONDS", 60.0)
    assert trial.should_stop() is False
    line.answers.put(Decision.CONTINUE)
    assert [trial.should_stop() for _ in range(10)] == [False] * 10
    assert said == [Question()]


@pytest.mark.parametrize("decision", [Decision.STOP, Decision.PAUSE])
def test_a_trial_that_is_to_pause_is_to_stop_here(trial, line, said, decision):
    line.answers.put(decision)
    trial.report(0, 1.0)
    assert trial.should_stop()
    trial.report(1, 1.0)
    assert trial.should_stop()  # there is no way back
    assert said.count(Question()) == 1


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda trial: pickle.loads(pickle.dumps(trial))])
def test_a_copy_has_no_part_in_the_conversation(trial, said, copied):
    trial.report(0, 1.0)
    twin = copied(trial)
    assert (twin.number, twin.params, twin.reports) == (4, {"x": 3.0}, [(0, 1.0)])
    twin.report(1, 2.0)
    assert twin.should_stop() is False
    assert said == [Report(0, 1.0)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_no_part_in_it_either(trial, line):
    reads, writes = os.pipe()
    line._put = lambda message: os.write(writes, b"said")
    child = os.fork()
    if child == 0:
        trial.report(0, 1.0)
        os.write(writes, repr(trial.should_stop()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reads, 99) == b"False"


def test_after_the_end_nothing_is_told(trial, line, said):
    trial.note(a=1)
    assert ended(line).notes == {"a": 1}
    for change in (lambda: trial.report(0, 1.0), lambda: trial.note(b=2)):
        with pytest.raises(TrialError, match=r"trial 4 has already finished \(complete\)"):
            change()
    assert trial.should_stop() is False
    assert (said, trial.reports, trial.notes) == ([], [], {"a": 1})


def test_threads_of_one_objective_may_all_report(trial, line):
    got = []
    line._put = got.append
    threads = [
        threading.Thread(target=lambda: [trial.report(step, 0.0) for step in range(100)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(report.step for report in got) == sorted([*range(100)] * 4)


@pytest.mark.parametrize(("step", "value"), [(-1, 1.0), (1.0, 1.0), (0, "1"), (0, None)])
def test_what_is_no_report_is_refused_at_once(trial, said, step, value):
    with pytest.raises(TrialError):
        trial.report(step, value)
    assert said == []
