"""Trials of ``optimize`` in stored studies: claimed, taken back from workers that died, counted once."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import threading
import time

import numpy as np
import pytest
from studies import Hashed, small_space

import hpo_core as hpo
from hpo_core import Float, Int
from hpo_core.log import State
from hpo_core.log.events import Retried
from hpo_core.storage import MemoryStorage

SPACE = {"x": Float(-1, 1)}


@pytest.fixture
def path(place):
    return place


def opened(path, *, retries=2, lease=60.0, **options):
    options = {"space": SPACE, "sampler": "random", "seed": 0, "name": "s", "storage": path} | options
    study = hpo.Study(**options)
    study.lease_seconds, study.max_retries = lease, retries
    return study


def dead_worker(study, n=None):
    """Claim trials for a worker that is never heard of again, its lease run out."""
    study.lease_seconds = 0.001
    worker = study._claims()
    trials = worker.claim(n, None)
    worker.close()
    time.sleep(0.01)
    return worker.worker, trials


def kinds(study):
    journal = study._ledger.journal
    return [record[1] for record in journal.storage.read(journal.key)]


def square(trial):
    return trial["x"] ** 2


def test_a_dead_workers_trial_comes_first(path):
    one, other = opened(path), opened(path)
    name, lost = dead_worker(one)
    began = lost._study.history.started[0]
    trial = other.ask()
    assert (trial.number, trial.params, trial.state) == (0, lost.params, State.RUNNING)
    assert trial.retries == [f"worker {name} died: its lease has ended"]
    assert other.history.started[0] > began
    assert other.ask().number == 1
    other.tell(trial, 0.5)
    again = hpo.Study.open(path, "s")
    assert again.trials.retries == [trial.retries, []]
    assert again.replay()


def test_a_batch_fills_up_with_new_trials(path):
    one, other = opened(path), opened(path)
    dead_worker(one, 3)
    assert other.ask(2).number.tolist() == [0, 1]
    assert other.ask(4).number.tolist() == [2, 3, 4, 5]
    assert [len(why) for why in other.trials.retries] == [1, 1, 1, 0, 0, 0]


def test_the_last_retry_leaves_a_reason(path):
    study = opened(path, retries=2)
    names = [dead_worker(study)[0] for _ in range(3)]
    assert len(study.trials) == 1
    assert study.ask().number == 1
    assert study.trials[0].reason == f"worker {names[-1]} died: its lease has ended, 3 attempts"
    assert study.trials[0].retries == [f"worker {name} died: its lease has ended" for name in names[:2]]
    study.max_retries = 0
    name, _ = dead_worker(study)
    study.ask()
    assert study.trials[2].reason == f"worker {name} died: its lease has ended, 1 attempt"
    assert study.trials[2].retries == []


def test_lacking_an_active_parameter_forbids_a_retry(path):
    name, _ = dead_worker(opened(path))
    wider = opened(path, space=SPACE | {"y": Float(0, 1)})
    wider.optimize(lambda trial: trial["x"] + trial["y"], n_trials=1)
    failed, complete = wider.trials
    assert (failed.state, complete.state) == (State.FAILED, State.COMPLETE)
    assert failed.reason == (
        f"worker {name} died: its lease has ended, and the space has a parameter that the trial does not have"
    )
    assert wider.replay()


def test_lacking_an_inactive_parameter_allows_a_retry(path):
    space = SPACE | {"kind": hpo.Categorical({"a": {}})}
    _, lost = dead_worker(opened(path, space=space))
    wider = opened(path, space=SPACE | {"kind": hpo.Categorical({"a": {}, "b": {"y": Float(0, 1)}})})
    assert wider.ask().params == lost.params


def test_a_trial_asked_by_hand_waits_for_its_result(path):
    one, other = opened(path), opened(path)
    dead_worker(one)
    one.ask()  # the dead worker's, by hand from now on
    one.ask()
    time.sleep(0.01)
    other.lease_seconds = 0.001
    other.optimize(square, n_trials=3)
    assert [trial.number for trial in other.trials.where("running")] == [0, 1]


@pytest.mark.parametrize("first", ["slow", "heir"])
def test_the_first_of_two_results_wins(path, first, caplog):
    slow, heir = opened(path), opened(path)
    _, lost = dead_worker(slow)
    heir.ask()
    for teller in (slow, heir) if first == "slow" else (heir, slow):
        teller.tell(0, 1.0 if teller is slow else 2.0)
    assert hpo.Study.open(path, "s").trials.value.tolist() == [1.0 if first == "slow" else 2.0]
    assert caplog.messages[-1].endswith("the first result counts, and this one is only kept in the log")
    assert kinds(heir)[-1] == "late"
    if first == "heir":
        lost.report(np.int64(3), 0.5)  # what it still says is no error: it does not know
        lost.note(a=1)
        slow.stop_trials(lost)
        slow.fail(lost, reason="late")
        assert kinds(heir)[-4:] == ["late"] * 4
        assert lost.notes == {}


def test_an_objective_that_others_have_finished_is_not_disturbed(path):
    other = opened(path)

    def objective(trial):
        if trial.number == 1:
            other.tell(1, 9.0)
        trial.report(0, 1.0)
        trial.note(a=1)
        if trial.number == 1:
            raise hpo.TrialStopped
        return 1.0

    opened(path).optimize(objective, n_trials=3)
    other.sync()
    assert other.trials.value.tolist() == [1.0, 9.0, 1.0]


def test_until_counts_what_others_run(path):
    one, other = opened(path), opened(path)
    one.ask(2)  # by hand: perhaps never told
    worker = one._claims()
    trials = worker.claim(4, 10)
    assert len(trials) == 4
    asker = other._claims()
    assert len(asker.claim(100, 10)) == 6
    assert asker.claim(1, 10) is None
    assert asker.waits(10)
    one.fail(trials, reason="counts as finished")
    assert asker.claim(1, 10) is None
    worker.close()
    asker.close()


@pytest.mark.parametrize("finite", [False, True])
def test_a_worker_waits_for_what_another_runs(path, finite):
    space = {"x": Int(1, 3)} if finite else SPACE
    one, other = opened(path, space=space), opened(path, space=space)
    worker = one._claims()
    trial = worker.claim(None, 3)
    thread = threading.Thread(target=other.optimize, args=(square,), kwargs={"until": 3})
    thread.start()
    time.sleep(0.5)
    assert thread.is_alive()
    one.tell(trial, 1.0)
    thread.join(10)
    worker.close()
    assert not thread.is_alive()
    assert other.n_finished == len(other.trials) == 3
    assert other.replay()


def test_a_worker_takes_over_what_another_leaves(path):
    one, other = opened(path), opened(path)
    dead_worker(one, 2)
    other.optimize(square, until=4)
    assert other.n_finished == len(other.trials) == 4
    assert [len(why) for why in other.trials.retries] == [1, 1, 0, 0]


def test_waiting_ends_at_the_timeout_and_on_stop(path):
    one, other = opened(path), opened(path)
    worker = one._claims()
    worker.claim(None, 2)  # its lease lasts a minute
    other.optimize(square, until=2, timeout=0.3)
    assert not any(other.trials.retries)  # it was over before the lease was
    thread = threading.Thread(target=other.optimize, args=(square,), kwargs={"until": 2})
    thread.start()
    time.sleep(0.2)
    other.stop()
    thread.join(10)
    worker.close()
    assert not thread.is_alive()


def test_ctrl_c_ends_the_wait(path):
    one, other = opened(path), opened(path)
    worker = one._claims()
    worker.claim(None, 2)
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        other.optimize(square, until=2)
    timer.join()
    worker.close()
    assert other.trials.state.tolist() == [State.RUNNING, State.COMPLETE]


def test_samplers_see_what_others_run(path):
    space = {"x": Int(1, 6)}
    one, other = opened(path, space=space), opened(path, space=space)
    batch = one.ask(3)
    other.optimize(square, n_trials=10)
    assert other.history.running.tolist() == [0, 1, 2]
    assert sorted(other.trials["x"]) == [1, 2, 3, 4, 5, 6]  # finite: what runs elsewhere is not proposed
    assert len(batch) == 3


def test_a_log_with_leases_replays(path):
    options = {"space": small_space(), "sampler": Hashed()}
    studies = [opened(path, **options) for _ in range(3)]
    for k in range(12):
        study = studies[k % 3]
        study.enqueue({"depth": 1 + k % 4})
        dead_worker(study, 1 + k % 2)
        trial = study.ask()
        study.tell(trial, k)
        study.lease_seconds = 60
        study.optimize(lambda trial: trial["lr"], n_trials=2)
    again = hpo.Study.open(path, "s", sampler=Hashed())
    assert again.replay(), str(again.replay())
    assert any(again.trials.retries)
    np.testing.assert_array_equal(again.history.x, studies[2].history.x)
    assert again.history.retries == studies[2].history.retries
    assert again.history.held() == studies[2].history.held()


def test_renewals_do_not_follow_trials(path):
    study = opened(path)
    study.optimize(square, n_trials=50)
    assert kinds(study).count("renewed") == 1  # and not once more: the call is shorter than a third of it
    study.lease_seconds = 0.6
    started = time.monotonic()

    def stop_after_three(study, trial):
        if kinds(study).count("renewed") > 3:
            study.stop()

    study.optimize(lambda trial: time.sleep(0.01) or 0.0, callbacks=[stop_after_three], n_trials=30_000)
    assert kinds(study).count("renewed") - 1 <= 2 + (time.monotonic() - started) / 0.2


def test_a_lost_renewal_comes_with_the_next_trial(path, monkeypatch):
    study = opened(path)
    worker = study._claims()

    def full(key, events):
        raise hpo.StorageError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(study._ledger.journal.storage, "append", full)
        with pytest.raises(hpo.StorageError, match="full"):
            worker.claim(None, None)
    worker.claim(None, None)
    worker.close()
    assert kinds(study) == ["created", "asked", "renewed"]


def test_a_worker_renews_after_waiting(path):
    study = opened(path, lease=0.6)
    worker = study._claims()
    study.tell(worker.claim(None, None), 0.0)
    worker.waits(9)
    time.sleep(0.5)
    assert not opened(path).history.held()
    worker.claim(None, None)
    worker.close()
    assert kinds(study).count("renewed") == 2


def test_in_memory_no_lease_is_needed():
    storage = MemoryStorage()
    study = opened(storage)
    _, trial = dead_worker(study)
    assert opened(storage).ask().number == 1
    assert study._claims().claim(None, 1) is None
    study.tell(trial, 0.0)
    assert kinds(study) == ["created", "asked", "asked", "told"]


def test_threads_of_one_process_claim_together():
    storage = MemoryStorage()
    study = opened(storage)
    calls = [threading.Thread(target=s.optimize, args=(square,), kwargs={"until": 60})
             for s in (study, study, opened(storage), opened(storage))]  # fmt: skip
    for call in calls:
        call.start()
    for call in calls:
        call.join(60)
    study.sync()
    assert study.n_finished == len(study.trials) == 60


@pytest.mark.parametrize(
    ("setting", "value"),
    [("lease_seconds", 0), ("lease_seconds", np.inf), ("lease_seconds", "1"), ("lease_seconds", True),
     ("max_retries", -1), ("max_retries", 1.5)],
)  # fmt: skip
def test_a_setting_outside_what_is_allowed_is_named(setting, value):
    study = hpo.Study(SPACE)
    setattr(study, setting, value)
    with pytest.raises(hpo.StudyError, match=setting):
        study.optimize(square, n_trials=1)
    assert len(study.trials) == 0


def asked_for(study, seconds):
    """Numbers of the trials that a study gives out during this time."""
    numbers, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        numbers.append(study.ask().number)
        time.sleep(0.05)
    return numbers


@pytest.mark.parametrize("jump", [600.0, -600.0])
def test_a_clock_jump_takes_no_living_workers_trial(path, jump, monkeypatch):
    one, other = opened(path, lease=3.0), opened(path)
    worker = one._claims()
    trial = worker.claim(None, None)
    storage = other._ledger.journal.storage
    now = storage.now
    monkeypatch.setattr(storage, "now", lambda: now() + jump)
    try:
        given = asked_for(other, 3.5)
    finally:
        worker.close()
    assert trial.number not in given
    if jump > 0:  # and once it is silent the trial comes back
        assert trial.number in asked_for(other, 4.0)


def test_a_worker_that_could_not_write_is_not_dead(place):
    if "://" in place:
        pytest.skip("a lock of another program is that of a file")
    one, other = opened(place, lease=0.9), opened(place)
    worker = one._claims()
    trial = worker.claim(None, None)
    with contextlib.closing(sqlite3.connect(place, isolation_level=None)) as program:
        program.execute("BEGIN IMMEDIATE")
        time.sleep(2.5)
    assert trial.number not in asked_for(other, 2.0)
    worker.close()


def test_one_look_after_a_pause_is_not_enough(path):
    study = opened(path)
    name, _ = dead_worker(study)
    leases = study._ledger.journal.leases
    leases._beat[name] = 60.0  # a lease of three minutes, long over
    assert [study.ask().number for _ in range(5)] == [1, 2, 3, 4, 5]
    leases._looked -= 600.0  # nobody ran for ten minutes
    assert study.ask().number == 6
    leases._looked -= 600.0
    assert study.ask().number == 0


def test_a_retry_that_was_not_committed_changes_nothing():
    study = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=MemoryStorage())
    ledger, retried = study._ledger, Retried(study.ask(1).number, "w", "died", 1.0)
    ledger.journal.taken_elsewhere = {0}

    def change():
        ledger.add(retried)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        ledger.transact(change)
    assert study.trials[0].should_stop()
    ledger.transact(ledger.add, retried)
    assert not study.trials[0].should_stop()
