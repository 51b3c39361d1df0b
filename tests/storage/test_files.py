"""The file of a study under everyday accidents: forks, deleted and replaced files, other programs' locks."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import multiprocessing
import os
import pickle
import shutil
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from storage_workers import read_and_close

import hpo_core as hpo
from hpo_core.storage import SQLiteStorage

SPACE = {"x": hpo.Float(-1, 1)}
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "s.db")


def opened(path, **options):
    return hpo.Study(SPACE, **({"sampler": "random", "seed": 0, "name": "s", "storage": path} | options))


def tell(study, n):
    for _ in range(n):
        trial = study.ask()
        study.tell(trial, trial["x"])


def in_child(work):
    """Run in a forked process; return its exit code once it has ended."""
    pid = os.fork()
    if pid == 0:
        code = 1
        with contextlib.suppress(BaseException):
            work()
            code = 0
        os._exit(code)
    return pid


def ended(pid, seconds=30.0):
    """Exit code of a child; it is killed if it hangs."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return "hangs"


def test_a_forks_results_survive_its_parent(path):
    reader, writer = os.pipe()
    study = opened(path)
    tell(study, 3)

    def work():
        tell(study, 5)
        os.read(reader, 1)  # until the parent has let go of the file
        tell(study, 5)

    pid = in_child(work)
    time.sleep(0.3)
    study._ledger.journal.storage.close()
    os.write(writer, b"x")
    assert ended(pid) == 0
    assert len(opened(path).trials) == opened(path).n_finished == 13
    tell(study, 1)
    assert hpo.Study.open(path, "s").replay()


@pytest.mark.parametrize("stored", [False, True], ids=["memory", "sqlite"])
def test_a_fork_amid_changes_goes_on(path, stored):
    study = opened(path if stored else None)
    done = threading.Event()

    def work():
        while not done.is_set():
            tell(study, 1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        children = []
        for _ in range(20):
            time.sleep(0.005)
            children.append(in_child(lambda: (tell(study, 2), study.best_value)))
        assert [ended(child) for child in children] == [0] * 20
    finally:
        done.set()
        thread.join()
    assert study.replay()
    if stored:
        assert hpo.Study.open(path, "s").n_finished == len(study.trials)


def test_a_pool_of_forked_processes_shares_the_study(path):
    study = opened(path)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=tell, args=(study, 20)) for _ in range(4)]
    for worker in workers:
        worker.start()
    tell(study, 20)
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert study.n_finished == len(study.trials) == 100
    assert study.replay()


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced", "its folder deleted"])
def test_a_missing_file_is_named(tmp_path, how):
    folder = tmp_path / "results"
    folder.mkdir()
    path = str(folder / "s.db")
    study = opened(path)
    trial = study.ask()
    if how == "deleted":
        Path(path).unlink()
    elif how == "moved":
        Path(path).rename(folder / "other.db")
    elif how == "replaced":
        shutil.copy(path, folder / "copy.db")
        (folder / "copy.db").replace(path)
    else:
        shutil.rmtree(folder)
    for _ in range(2):
        with pytest.raises(hpo.StorageError, match=r"deleted or moved|replaced by another"):
            study.tell(trial, 1.0)
    assert study.history.state.tolist() == [0]
    if how == "moved":
        (folder / "other.db").rename(path)
        study.tell(trial, 1.0)
        assert hpo.Study.open(path, "s").best_value == 1.0
    elif how == "deleted":
        assert len(opened(path).trials) == 0  # a new study, in a new file


@pytest.mark.parametrize("replaced", [False, True])
def test_a_replaced_wal_loses_nothing(path, replaced):
    study = opened(path)
    tell(study, 5)
    wal = Path(path + "-wal")
    content = wal.read_bytes()
    wal.unlink()
    if replaced:
        wal.write_bytes(content[: len(content) // 2])
    tell(study, 5)
    assert study.n_finished == 10
    study._ledger.journal.storage.close()
    assert hpo.Study.open(path, "s").n_finished == 10


def test_missing_events_are_an_error(path, tmp_path):
    study = opened(path)
    tell(study, 2)
    before = hpo.Study.open(path, "s").backup(tmp_path / "before.db")
    tell(study, 3)
    study._ledger.journal.storage.close()
    with Path(path).open("r+b") as file:  # the same file, as it was
        file.truncate()
        file.write((tmp_path / "before.db").read_bytes())
    with pytest.raises(hpo.StorageError, match="events that were in it are gone"):
        tell(study, 1)
    assert before is None
    assert study.n_finished == 5


def test_copying_an_open_file_costs_nothing(path, tmp_path):
    """Opening and closing it makes the system forget SQLite's locks: who closes next deletes the -wal."""
    study = opened(path)
    for k in range(25):
        tell(study, 1)
        shutil.copy(path, tmp_path / "copy.db")
        other = multiprocessing.get_context("spawn").Process(target=read_and_close, args=(path,))
        if k % 8 == 0:
            other.start()
            other.join(60)
            assert other.exitcode == 0
        tell(study, 1)
    assert hpo.Study.open(path, "s").n_finished == 50


def descriptors():
    return len([*Path("/proc/self/fd").iterdir()])


def test_reading_makes_no_file_and_writes_none(path):
    storage = SQLiteStorage(path)
    assert storage.studies() == {}
    assert storage.read(0) == storage.descriptions(0) == []
    assert storage.count_good(0) == 0
    assert storage.check() is None
    assert not Path(path).exists()
    Path(path).touch()
    assert storage.studies() == {}
    assert Path(path).stat().st_size == 0


def test_readers_do_not_wait_for_a_writer(path):
    study = opened(path)
    tell(study, 3)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert study.n_finished == len(study.trials) == 3
        study.sync()
        assert hpo.Study.open(path, "s").best_value == study.best_value
        assert study.replay()


def test_results_of_others_are_seen(path):
    one, other = opened(path), opened(path)
    tell(one, 3)
    assert other.n_finished == 3
    tell(one, 1)
    assert len(other.trials) == 4
    one.tell(one.ask(), -9.0)
    assert other.best_value == -9.0
    one.tell(one.ask(), -10.0)
    assert other.best_trial.number == 5
    assert other.best_params == one.best_params


def test_a_foreign_lock_ends_a_change(path):
    study = opened(path)
    trial = study.ask()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        study._ledger.journal.storage.latest = time.monotonic() + 0.5
        with pytest.raises(hpo.StorageError, match="locked"):
            study.tell(trial, 1.0)
        assert time.monotonic() > study._ledger.journal.storage.latest - 0.2
    study._ledger.journal.storage.latest = float("inf")
    study.tell(trial, 1.0)
    assert study.best_value == 1.0


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files in /proc")
def test_many_studies_of_one_file_share_a_connection(path):
    gc.collect()
    before = descriptors()
    studies = [opened(path, name=f"study {k}") for k in range(50)]
    assert descriptors() <= before + 5
    del studies
    assert descriptors() <= before  # nothing waits for the garbage collector


def test_threads_change_studies_of_one_file_at_once(path):
    studies = [opened(path, name=f"study {k % 3}") for k in range(6)]
    threads = [threading.Thread(target=tell, args=(study, 30)) for study in studies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for study in studies:
        assert study.n_finished == len(study.trials) == 60
        assert study.replay()


def test_nested_changes_of_one_file_are_refused(path):
    other = opened(path, name="other")

    def feasible(columns):
        other.ask()
        return columns["x"] > -2

    study = hpo.Study(hpo.Space(SPACE, feasible=feasible), sampler="tpe", seed=0, storage=path, name="s")
    with pytest.raises(hpo.StorageError, match="inside the change of a study"):
        study.ask()
    assert len(study.trials) == 0
    tell(other, 1)


def test_durability_is_remembered(path):
    opened(path, durability="full")
    level = "PRAGMA synchronous"
    for study in (hpo.Study.open(path, "s"), opened(path)):
        tell(study, 1)
        assert study._ledger.journal.storage._connection.execute(level).fetchone() == (2,)
    study = hpo.Study.open(path, "s", durability="normal")
    tell(study, 1)
    assert study._ledger.journal.storage._connection.execute(level).fetchone() == (1,)


def interrupted(trial):
    raise KeyboardInterrupt


def failing(trial):
    raise ValueError("no")


def called_back(study, trial):
    raise ValueError("no")


def text(trial):
    return "no number"


LIVES = {
    "nothing": lambda study: None,
    "ask and tell": lambda study: tell(study, 2),
    "optimize": lambda study: study.optimize(
        lambda trial: trial["x"], n_trials=3, callbacks=[lambda *_: None]
    ),
    "until": lambda study: study.optimize(lambda trial: trial["x"], until=2, timeout=60),
    "batches": lambda study: study.optimize(
        lambda batch: batch["x"], n_trials=4, batch_size=2, vectorized=True
    ),
    "an objective that raises": lambda study: study.optimize(failing, n_trials=2),
    "an objective that raises, in threads": lambda study: study.optimize(failing, n_trials=2, executor=POOL),
    "a batch that raises": lambda study: study.optimize(failing, n_trials=2, batch_size=2, vectorized=True),
    "a callback that raises": lambda study: study.optimize(
        lambda trial: trial["x"], n_trials=2, callbacks=[called_back]
    ),
    "no number": lambda study: study.optimize(text, n_trials=2),
    "Ctrl-C": lambda study: study.optimize(interrupted, n_trials=2),
    "a refusal": lambda study: study.tell(99, 1.0),
    "another space": lambda study: hpo.Study(
        {"y": hpo.Int(0, 1)}, name="s", storage=study._ledger.journal.storage
    ),
    "a copy": lambda study: pickle.loads(pickle.dumps(study)).ask(),
    "results": lambda study: (tell(study, 2), study.best_trial, study.replay(), study.recommend()),
}
POOL = concurrent.futures.ThreadPoolExecutor(1)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not list open files")
@pytest.mark.parametrize("life", LIVES)
def test_studies_that_are_dropped_leave_no_file_open(life, tmp_path):
    POOL.submit(int).result()
    gc.collect()
    gc.disable()  # no circle may keep them
    try:
        before = descriptors()
        for k in range(20 if life == "ask and tell" else 4):
            study = opened(str(tmp_path / f"{k}.db"))
            with contextlib.suppress(ValueError, TypeError, KeyboardInterrupt):
                LIVES[life](study)
            del study
        POOL.submit(int).result()  # lets go of its last call
        assert descriptors() <= before
    finally:
        gc.enable()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not list open files")
def test_close_closes_and_the_next_use_opens_again(path):
    gc.collect()
    before = descriptors()
    with opened(path) as study:
        tell(study, 2)
        assert descriptors() > before
    assert descriptors() <= before
    study.close()  # once more
    tell(study, 1)
    assert descriptors() > before
    other = opened(path)
    study.close()
    tell(other, 1)
    assert len(study.trials) == 4
    with pytest.raises(ZeroDivisionError), study:
        1 / 0  # noqa: B018
    other.close()
    assert descriptors() <= before


def test_close_in_a_transaction_of_another_thread_waits(path):
    study, other = opened(path), opened(path)
    with other._ledger.journal.storage.transaction():
        closing = threading.Thread(target=study.close)
        closing.start()
        closing.join(0.1)
        assert closing.is_alive()
    closing.join()
    tell(other, 1)
    assert len(study.trials) == 1


def test_closing_a_study_in_memory_does_nothing():
    with hpo.Study(SPACE, sampler="random", seed=0) as study:
        tell(study, 1)
    study.close()
    tell(study, 1)
    assert len(study.trials) == 2


def test_a_study_that_outlives_the_modules_ends_in_silence(path, monkeypatch):
    study = opened(path)
    connection = study._ledger.journal.storage._shared()
    tell(study, 1)
    with monkeypatch.context() as end:
        end.setattr("hpo_core.storage.sqlite.os", None)  # as when the interpreter ends
        connection.__del__()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.connection.execute("SELECT 1")
