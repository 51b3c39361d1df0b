"""A server that goes away and comes back: nothing is lost, nothing is there twice."""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import random
import threading
import time
from urllib.parse import urlsplit

import pytest
from places import sql
from postgres_proxy import Proxy
from storage_workers import SPACE, work

import hpo_core as hpo
from hpo_core.storage import PostgresStorage
from hpo_core.storage.base import ChangeLostError

END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hpo_core'"
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def proxy(postgres):
    with contextlib.closing(Proxy(urlsplit(postgres).hostname, urlsplit(postgres).port or 5432)) as proxy:
        yield proxy


@pytest.fixture
def way(proxy, postgres):
    """URL of the database by way of the proxy."""
    parts = urlsplit(postgres)
    user = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{user}@127.0.0.1:{proxy.port}").geturl()


def kinds(storage, key):
    return [record[1] for record in storage.read(key)]


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_commit_without_an_answer_is_there_once(cut, proxy, way):
    storage = PostgresStorage(way)
    with storage.transaction():
        key = storage.create("one")
        storage.append(key, [("created", "{}")])
    for read_first in (True, False):
        proxy.cut = cut
        with storage.transaction(key):
            if read_first:
                storage.read(key)
            storage.append(key, [("a", "1"), ("b", "2")])
        assert proxy.cut is None
    assert kinds(storage, key) == ["created", "a", "b", "a", "b"]


def test_a_commit_without_answer_is_recognised(proxy, way, postgres):
    storage, other = PostgresStorage(way), PostgresStorage(postgres)
    with storage.transaction():
        key = storage.create("one")
        storage.append(key, [("created", "{}")])

    def write():
        with other.transaction(key):
            other.append(key, [("theirs", "1")])

    proxy.cut, proxy.meanwhile = "after", write
    with storage.transaction(key):
        storage.append(key, [("ours", "1")])
    assert kinds(storage, key) == ["created", "ours", "theirs"]
    proxy.cut = "before"
    with pytest.raises(ChangeLostError, match="make it again"), storage.transaction(key):
        storage.append(key, [("ours", "2")])
    assert kinds(storage, key) == ["created", "ours", "theirs", "theirs"]


def test_a_creation_without_answer_is_settled(proxy, way):
    storage = PostgresStorage(way)
    assert storage.studies() == {}
    for cut in ("after", "before"):
        proxy.cut = cut
        with contextlib.ExitStack() as stack:
            if cut == "before":
                stack.enter_context(pytest.raises(ChangeLostError))
            with storage.transaction():
                storage.append(storage.create(cut), [("created", "{}")])
    assert list(storage.studies()) == ["after"]
    proxy.cut = "before"
    assert hpo.Study(SPACE, name="study", storage=way).name == "study"
    assert list(storage.studies()) == ["after", "study"]


@pytest.mark.parametrize("cut", ["before", "after"])
def test_changes_during_a_cut_are_seen(cut, proxy, way, postgres):
    here = hpo.Study(SPACE, sampler="tpe", seed=0, name="s", storage=way)
    there = hpo.Study.open(postgres, "s")
    trial = here.ask()
    taken = []
    proxy.meanwhile = lambda: taken.append(there.ask().number)
    for change in (lambda: here.tell(trial, 3.0), lambda: taken.append(here.ask().number)):
        proxy.cut = cut
        change()
    assert sorted(taken) == [1, 2, 3]
    assert len(hpo.Study.open(postgres, "s").trials) == 4
    assert hpo.Study.open(postgres, "s").trials.value[0] == 3.0
    assert here.replay()


def test_a_result_overtaken_during_a_cut_is_late(proxy, way, postgres):
    here = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=way)
    there = hpo.Study.open(postgres, "s")
    trials = here.ask(2)
    proxy.cut, proxy.meanwhile = "before", lambda: there.tell(1, 2.0)
    here.tell(trials, [1.0, 5.0])
    assert here.trials.value.tolist() == [1.0, 2.0]
    assert hpo.Study.open(postgres, "s").trials.value.tolist() == [1.0, 2.0]
    assert kinds(there._ledger.journal.storage, there._ledger.journal.key)[-3:] == ["told", "late", "told"]


def test_a_session_that_was_ended_is_replaced(postgres):
    study = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=postgres)
    for k in range(3):
        assert sql(postgres, END)
        assert study.ask().number == k


def test_a_writer_that_stands_still_loses_its_turn(postgres):
    still, other = PostgresStorage(postgres), PostgresStorage(postgres)
    with still.transaction():
        key = still.create("one")
        still.append(key, [("created", "{}")])
    still._session.connected().execute("SET idle_in_transaction_session_timeout = '100ms'")

    def stand_still():
        with still.transaction(key):
            still.read(key)
            still.append(key, [("ours", "1")])
            with other.transaction(key):
                other.append(key, [("theirs", "1")])

    with pytest.raises(ChangeLostError):
        stand_still()
    assert kinds(still, key) == ["created", "theirs"]


def test_what_follows_a_break_is_not_written(postgres):
    storage = PostgresStorage(postgres)
    with storage.transaction():
        key = storage.create("one")
        storage.append(key, [("created", "{}")])

    def broken():
        with storage.transaction(key):
            storage.append(key, [("a", "1")])
            sql(postgres, END)
            with contextlib.suppress(ChangeLostError):
                storage.now()
            storage.append(key, [("b", "1")])

    with pytest.raises(ChangeLostError):
        broken()
    assert kinds(storage, key) == ["created"]


def test_a_claim_is_made_anew_as_a_whole(postgres):
    study = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=postgres)
    breaks = iter([True, False])

    class Breaking(hpo.RandomSampler):
        def ask(self, history, first, n):
            if next(breaks, False):
                sql(postgres, END)
            return super().ask(history, first, n)

    study.sampler.__class__ = Breaking
    study.optimize(lambda trial: trial["x"], n_trials=3)
    assert study.n_finished == len(study.trials) == 3
    assert len(hpo.Study.open(postgres, "s").trials) == 3


def test_only_a_known_server_is_waited_for(own_postgres_server, postgres, monkeypatch):
    storage = PostgresStorage(postgres)
    now = storage.now()
    own_postgres_server.stop()
    again = threading.Timer(1.0, own_postgres_server.start)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(time, "sleep", lambda seconds: pytest.fail("waited"))
            with pytest.raises(hpo.StorageError, match="refused"):
                PostgresStorage(postgres).now()
    finally:  # other tests need it
        again.start()
    assert pickle.loads(pickle.dumps(storage)).now() > now + 1.0
    assert storage.now() > now + 1.0
    again.join()


def test_workers_go_on_while_the_server_is_restarted(own_postgres_server, postgres, soak):
    workers, n, restarts = 4, 400 if soak else 60, 12 if soak else 4
    start, dice = SPAWN.Event(), random.Random(5)
    pipes = [SPAWN.Pipe(duplex=False) for _ in range(workers)]
    processes = [SPAWN.Process(target=work, args=(postgres, start, n, pipe)) for _, pipe in pipes]
    for process in processes:
        process.start()
    hpo.Study(SPACE, sampler="tpe", seed=0, name="s", storage=postgres)
    start.set()
    acknowledged = [reader.recv() for reader, _ in pipes]
    for k in range(restarts):
        time.sleep(dice.uniform(0.2, 0.8))
        own_postgres_server.restart(["QUIT", "INT"][k % 2])
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0] * workers
    acknowledged += [reader.recv() for reader, _ in pipes for _ in range(n - 1)]
    study = hpo.Study.open(postgres, "s")
    assert len(acknowledged) == len(dict(acknowledged)) == len(study.trials) == study.n_finished
    assert dict(enumerate(study.trials.value.tolist())) == dict(acknowledged)
    assert study.replay()
