"""What every storage promises, and how the SQLite file fares in a hostile world."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from places import sql

import hpo_core as hpo
from hpo_core import Categorical, Float, cli
from hpo_core.space.json import dump_value
from hpo_core.storage import MemoryStorage, PostgresStorage, SQLiteStorage, masked, open_storage
from hpo_core.storage.sqlite import SCHEMA

SPACE = {"x": Float(0, 1), "c": Categorical({"a": {"m": Float(0, 1)}, ("b", 1): {}})}
HOSTILE = ["it's", 'a"b', "x'; DROP TABLE events; --", "two\nlines", "\U0001f680", "%s {}", "e\u0301" * 200]


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.database)])
def storage(request, tmp_path):
    if request.param == "postgres":
        return PostgresStorage(request.getfixturevalue("postgres"))
    return MemoryStorage() if request.param == "memory" else SQLiteStorage(str(tmp_path / "s.db"))


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "s.db")


def grown(path, n=40, **options):
    study = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=path, **options)
    for k in range(n):
        study.tell(study.ask(), float(k))
    return study


def test_events_come_back_after_a_cursor(storage):
    with storage.transaction():
        one, other = storage.create("one"), storage.create("other")
        assert storage.append(one, [("created", "{}"), ("a", "1")]) == 2
        assert storage.append(other, [("created", "{}")]) == 1
        assert storage.append(one, [("b", "2")]) == 3
    assert [record[:3] for record in storage.read(one, 1)] == [(1, "a", "1"), (2, "b", "2")]
    assert [record[:3] for record in storage.read(one, 1, 1)] == [(1, "a", "1")]
    assert storage.read(one, 3) == []
    assert storage.descriptions(one) == storage.read(one, 0, 1)
    assert storage.studies() == {"one": one, "other": other}


def test_a_transaction_is_all_or_nothing(storage):
    with storage.transaction():
        key = storage.create("one")
        storage.append(key, [("created", "{}")])

    def broken():
        with storage.transaction():
            storage.append(key, [("a", "1")] * 5)
            storage.create("two")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert len(storage.read(key)) == 1
    assert list(storage.studies()) == ["one"]


def test_the_clock_is_the_storages_own(storage, monkeypatch):
    assert storage.now() == pytest.approx(time.time(), abs=5)
    with storage.transaction():  # inside one it does not stand still
        before = storage.now()
        time.sleep(0.05)
        assert storage.now() > before
    if storage.shared:
        monkeypatch.setattr(time, "time", lambda: 0.0)
        assert storage.now() > 1e9


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_only_a_name(storage, name):
    study = hpo.Study(SPACE, sampler="random", seed=0, name=name, storage=storage)
    study.ask()
    assert list(storage.studies()) == [name]
    assert len(hpo.Study.open(storage, name).trials) == 1


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "x" * 1025])
def test_a_name_that_no_file_can_hold_is_refused(storage, name):
    with pytest.raises(hpo.StudyError, match="name must be"):
        hpo.Study(SPACE, name=name, storage=storage)


def test_nothing_pickled_is_loaded(storage, monkeypatch):
    study = hpo.Study(SPACE, sampler="tpe", seed=0, name="s", storage=storage)
    study.ask().note(k=1)
    for name in ("load", "loads", "Unpickler", "_loads", "_Unpickler"):
        monkeypatch.setattr(pickle, name, None)
    assert hpo.Study.open(storage, "s").trials[0].notes == {"k": 1}


def test_the_view_shows_trials_to_people(place):
    study = hpo.Study(SPACE, sampler="random", seed=0, direction="maximize", name="s", storage=place)
    batch = study.ask(5)
    study.tell(batch[1:3], [4.0, 5.0])
    study.fail(batch[3], reason="oom")
    rows = sql(place, "SELECT number, state, value, reason, params FROM trials ORDER BY number")
    assert [row[:4] for row in rows] == [
        (0, "running", None, None),
        (1, "complete", 4.0, None),
        (2, "complete", 5.0, None),
        (3, "failed", None, "oom"),
        (4, "running", None, None),
    ]
    for row, trial in zip(rows, batch, strict=True):
        params = row[4] if isinstance(row[4], dict) else json.loads(row[4])  # PostgreSQL has a type for it
        assert params == {name: dump_value(value, name) for name, value in trial.params.items()}


def test_a_study_that_was_closed_goes_on(place):
    with hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=place) as study:
        storage = study._ledger.journal.storage
        trial = study.ask()
    assert (storage._session if "://" in place else storage)._connection is None
    study.tell(trial, 0.5)
    study.close()
    assert hpo.Study.open(place, "s").best_value == study.best_value == 0.5


@pytest.mark.parametrize(("durability", "level"), [("normal", 1), ("full", 2)])
def test_the_file_has_wal_and_durability(path, durability, level):
    study = grown(path, 1, durability=durability)
    connection = study._ledger.journal.storage._connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (level,)


def test_a_newer_file_is_refused(path):
    grown(path, 1)
    sql(path, "PRAGMA user_version = 7")
    with pytest.raises(hpo.StorageError, match=r"schema 7.*newer.*update"):
        hpo.Study.open(path, "s")


def test_an_older_file_is_migrated_whole(path):
    script = (Path(__file__).parent / "schema_1.sql").read_text()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    assert hpo.Study.open(path, "s").trials.state.tolist() == [1, 3, 0]
    study = hpo.Study(SPACE, sampler="tpe", seed=0, name="s", storage=path)
    assert study.best_trial.value == 3.5
    assert study.replay().checked >= 2  # the failure of trial 1 moves trial 2 since then
    study.tell(2, 1.5)
    assert hpo.Study.open(path, "s").best_value == 1.5
    assert sql(path, "PRAGMA user_version") == [(SCHEMA,)]
    new = str(Path(path).with_name("new.db"))
    grown(new, 1)
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    assert sql(path, schema) == sql(new, schema)
    rows = sql(path, "SELECT number, state, tier, params FROM trials ORDER BY number")
    assert [row[:3] for row in rows] == [
        (0, "complete", "sobol"), (1, "failed", "sobol"), (2, "complete", "sobol"),
    ]  # fmt: skip
    assert json.loads(rows[1][3]) == {"x": 0.8734926384640858, "c": "a", "m": 0.9397463131463155}
    assert json.loads(rows[2][3]) == {"x": 0.6465867076767609, "c": {"tuple": ["b", 1]}}


def test_files_of_others_are_refused_and_left_alone(path, tmp_path):
    sql(path, "CREATE TABLE mine (x)")
    with pytest.raises(hpo.StorageError, match="another program"):
        hpo.Study(SPACE, name="s", storage=path)
    assert sql(path, "SELECT name FROM sqlite_master") == [("mine",)]
    text = tmp_path / "notes.txt"
    text.write_text("not a database, " * 100)
    with pytest.raises(hpo.StorageError, match="not a database: it is not an SQLite file"):
        hpo.Study(SPACE, name="s", storage=text)
    assert text.read_text() == "not a database, " * 100


@pytest.mark.parametrize("before", [1, 2])
def test_a_file_being_made_is_ours(path, before):
    storage, connection = SQLiteStorage(path), sqlite3.connect(path)
    statements = iter(range(9))

    class Raced:
        """The connection, but another process makes the tables before one of the statements."""

        def execute(self, statement):
            if next(statements) == before:
                with SQLiteStorage(path).transaction():
                    pass
            row = connection.execute(statement).fetchone()
            return SimpleNamespace(fetchone=lambda: row)

    assert storage._version(Raced()) == 0
    assert storage._version(connection) == SCHEMA


@pytest.mark.parametrize(
    "lost", ["DELETE FROM events WHERE position = 9", "UPDATE events SET data = '{' WHERE position = 9"]
)
def test_a_damaged_event_is_named(place, lost):
    grown(place)
    sql(place, lost)
    with pytest.raises(hpo.StorageError, match=r"event 9 .* last good event is 8"):
        hpo.Study.open(place, "s")


@pytest.mark.parametrize("where", [0.05, 0.3, 0.6, 0.95])
def test_damage_anywhere_gives_a_prefix_or_is_named(path, where, tmp_path):
    study = grown(path, 150)
    whole = study.trials.value.tolist()
    study._ledger.journal.storage.close()
    data = bytearray(Path(path).read_bytes())
    start = int(where * len(data))
    data[start : start + 600] = b"\xa5" * 600
    Path(path).write_bytes(data)
    try:
        found = hpo.Study.open(path, "s").trials.value.tolist()
    except hpo.StorageError:
        return
    assert found == whole[: len(found)]


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.7, 0.999])
def test_a_wal_that_was_cut_gives_a_prefix(path, cut, tmp_path):
    study = grown(path, 60)
    whole = study.trials.value.tolist()
    copy = str(tmp_path / "copy.db")
    shutil.copy(path, copy)
    wal = Path(path + "-wal").read_bytes()
    Path(copy + "-wal").write_bytes(wal[: int(cut * len(wal))])
    try:
        found = hpo.Study.open(copy, "s").trials.value.tolist()
    except (hpo.StorageError, hpo.StudyError):
        assert cut < 0.3  # nothing had reached the file itself
        return
    assert [a for a in found if a == a] == whole[: len([a for a in found if a == a])]


def test_work_survives_a_full_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("a small file system needs root")
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", mount]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted: {done.stderr.decode().strip()}")
    try:
        study = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=mount / "s.db")
        filler = mount / "filler"
        filler.write_bytes(b"x" * 200_000)

        def fill():
            for _ in range(10_000):
                study.tell(study.ask(50), [1.0] * 50)

        with pytest.raises(hpo.StorageError, match=r"full|I/O"):
            fill()
        n = len(study.trials)
        filler.unlink()
        study.ask(2)
        assert len(hpo.Study.open(mount / "s.db", "s").trials) == n + 2
        study._ledger.journal.storage.close()
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


def test_a_commit_that_fails_puts_the_study_back(storage, monkeypatch):
    study = hpo.Study(SPACE, sampler="tpe", seed=0, name="s", storage=storage)
    twin = hpo.Study(SPACE, sampler="tpe", seed=0, name="s", storage=MemoryStorage())
    for each in (study, twin):
        each.tell(each.ask(20), range(20))
    with monkeypatch.context() as patch:
        patch.setattr(storage, "append", lambda key, events: (_ for _ in ()).throw(hpo.StorageError("full")))
        with pytest.raises(hpo.StorageError, match="full"):
            study.ask(3)
    assert len(study.trials) == 20
    assert study.ask(4).params["x"].tolist() == twin.ask(4).params["x"].tolist()


@pytest.mark.parametrize("url", ["mysql://me:s3cret@host/db", "redis://host/db?password=s3cret&x=1"])
def test_a_foreign_url_keeps_its_secret(url):
    with pytest.raises(hpo.StorageError, match="must be postgresql://") as caught:
        open_storage(url)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in masked(url)
    assert "host" in masked(url)


SECRET_URLS = [
    "mysql://me:s3cret@host/db",
    "http://s3cret@host/db",
    "https://me%3As3cret%40host/db",
    "postgres:/me:s3cret@host/db",
    "postgresql:me:s3cret@host/db",
    "postgresql+psycopg://me:s3cret/db@host",
    "mysql://me:a@s3cret?b#c@host/db",
    "redis://host/db?x=1&password=s3cret",
    "http://host/db?API_KEY=s3cret&sig=s3cret;access_token=s3cret",
    "http://host/db?pwd%3Ds3cret",
    "http://host/db?sslmode=require%20s3cret",
    "http://host/db?s3cret",
    "http://host/db;key=s3cret",
    "http://host/db#token=s3cret",
    "sqlite:///db?key=s3cret",
]
LIBPQ = [
    "host=localhost password=s3cret",
    "password=s3cret",
    "dbname = db password = 's3 s3cret'",
    "PASSWORD=s3cret",
    "application_name=x sslpassword=s3cret",
    "anything=1 password=s3cret",
]


@pytest.mark.parametrize("address", [*SECRET_URLS, *LIBPQ])
def test_no_address_shows_a_secret_or_becomes_a_file(address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "s3cret" not in masked(address)
    assert "s3cret" not in masked(f"could not connect to {address!r}")
    for opening in (open_storage, lambda storage: hpo.Study(SPACE, name="s", storage=storage)):
        with pytest.raises(hpo.StorageError, match="must be postgresql://") as caught:
            opening(address)
        assert "s3cret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_url_that_became_a_path_is_still_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(hpo.StorageError, match="must be postgresql://") as caught:
        open_storage(Path("postgresql://me:s3cret@host/db"))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("postgresql://host:5432,[::1]:5433/db?sslmode=require", None),
        ("postgresql://%2Fvar%2Frun/db?connect_timeout=5&application_name=sweep", None),
        ("postgresql://me:pw@host/db?sslmode=require&sig=x", "postgresql://me:***@host/db?sslmode=require&sig=***"),
        ("host=h password='p w' dbname=db", "host=h password=*** dbname=db"),
        ("runs/sweep.db", None),
    ],
)  # fmt: skip
def test_what_is_harmless_is_shown(address, expected):
    assert masked(address) == (expected or address)


@pytest.mark.parametrize("path", ["a\0b.db", "\ud800.db"])
def test_a_path_that_no_system_has_is_refused(path):
    for storage in (path, Path(path)):
        with pytest.raises(hpo.StorageError, match="must be the path of a file"):
            open_storage(storage)


def test_a_path_that_leads_nowhere_says_why(tmp_path):
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    reasons = {
        "": "it is a folder",
        "none/s.db": "there is no folder",
        "file/s.db": "Not a directory",
        "pipe": "not a regular file",
        "x" * 300: "name too long",
    }
    for name, reason in reasons.items():
        with pytest.raises(hpo.StorageError, match=f"storage '{tmp_path / name}': .*{reason}"):
            open_storage(tmp_path / name)


def test_reading_leaves_an_empty_file_empty(path):
    Path(path).touch()
    with pytest.raises(hpo.StorageError, match="file is empty"):
        hpo.Study.open(path, "s")
    assert Path(path).read_bytes() == b""
    grown(path, 1)  # which a study may be kept in all the same


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("~/s.db", "{home}/s.db"),
        ("sqlite:///s.db", "s.db"),
        ("sqlite:///sub/../s.db", "sub/../s.db"),
        ("sqlite:///{home}/s.db", "{home}/s.db"),
        ("SQLite:///~/s.db", "{home}/s.db"),
        ("./~/s.db", "./~/s.db"),
    ],
)
def test_paths_are_taken_as_people_write_them(given, path, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for folder in ("~", "sub"):
        (tmp_path / folder).mkdir()
    given, path = (each.format(home=tmp_path) for each in (given, path))
    study = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=given)
    study.tell(study.ask(), 1.0)
    assert str(open_storage(given)) == path
    assert hpo.Study.open(path, "s").best_value == hpo.Study.open(given, "s").best_value == 1.0
    assert cli.main(["ls", given]) == 0
    assert cli.main(["export", given, "s", "~/t.csv"]) == 0
    assert (tmp_path / "t.csv").is_file()
    study.backup("~/copy.db")
    assert cli.main(["backup", given, "~/second.db"]) == 0
    assert hpo.Study.open(Path("~/second.db"), "s").best_value == hpo.Study.open("~/copy.db", "s").best_value
    assert {each.name for each in tmp_path.iterdir()} >= {"copy.db", "second.db", "t.csv"}


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite://s.db",
        "sqlite:s.db",
        "sqlite:///:memory:",
        "sqlite:///s.db?a=b",
    ],
)
def test_another_url_of_sqlite_says_how_it_is_written(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for must_exist in (False, True):
        with pytest.raises(
            hpo.StorageError, match=r"must be .* sqlite:///relative/path\.db or sqlite:////absolute"
        ):
            open_storage(url, must_exist=must_exist)
    assert list(tmp_path.iterdir()) == []
