"""PostgreSQL databases whose encoding lacks most characters, and roles with limits of their own."""

from __future__ import annotations

import secrets
import threading
from urllib.parse import urlsplit

import pytest

import hpo_core as hpo
from hpo_core.storage.postgres_tables import LOCKS

psycopg = pytest.importorskip("psycopg")
WORDS = ["größe", "学習率", "\U0001f680", "a\x00b", "\ud800", "\\u20ac"]


@pytest.fixture
def admin(postgres):
    with psycopg.connect(postgres, autocommit=True) as connection:
        yield connection


@pytest.fixture(params=["SQL_ASCII", "LATIN1", "EUC_JP", "UTF8"])
def database(request, admin, postgres):
    name = f"encoded_{secrets.token_hex(4)}"
    admin.execute(f"CREATE DATABASE {name} ENCODING '{request.param}' TEMPLATE template0 LOCALE 'C'")
    yield urlsplit(postgres)._replace(path=f"/{name}").geturl()
    admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_every_encoding_keeps_what_was_told(database):
    space = {"x": hpo.Float(-1, 1), "word": hpo.Categorical(WORDS)}
    study = hpo.Study(space, sampler="random", seed=0, name="s", storage=database)
    for word in WORDS:
        study.enqueue({"word": word})
        trial = study.ask()
        trial.note(word=word)
        study.fail(trial, reason=word)
    again = hpo.Study.open(database, "s")
    assert list(again.trials["word"]) == WORDS
    assert [trial.notes["word"] for trial in again.trials] == WORDS
    assert again.replay()
    with psycopg.connect(database, client_encoding="UTF8") as connection:
        rows = connection.execute("SELECT number, state, reason, params FROM hpo_core.trials").fetchall()
    assert len(rows) == len(WORDS)
    assert {row[1] for row in rows} == {"failed"}


def test_a_name_is_kept_or_refused_by_the_database(database):
    space, name = {"x": hpo.Float(-1, 1)}, "学習率"
    with psycopg.connect(database) as connection:
        ((encoding,),) = connection.execute("SHOW server_encoding").fetchall()
    if encoding == "LATIN1":
        with pytest.raises(hpo.StorageError, match="LATIN1"):
            hpo.Study(space, sampler="random", name=name, storage=database)
    else:
        hpo.Study(space, sampler="random", name=name, storage=database)
        assert hpo.Study.open(database, name).name == name


@pytest.mark.parametrize("limit", ["statement_timeout", "lock_timeout", "idle_session_timeout"])
def test_limits_of_the_role_end_no_wait(postgres, admin, limit):
    role = f"limited_{secrets.token_hex(4)}"
    admin.execute(f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'x'")
    admin.execute(f"ALTER ROLE {role} SET {limit} = '200ms'")
    parts = urlsplit(postgres)
    url = parts._replace(netloc=f"{role}:x@{parts.netloc.rpartition('@')[2]}").geturl()
    study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="random", seed=0, name="s", storage=url)
    trial = study.ask()
    with psycopg.connect(postgres) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCKS, study._ledger.journal.key))
        timer = threading.Timer(1.0, other.rollback)
        timer.start()
        study.tell(trial, 0.5)  # it waits for the lock
        timer.join()
    assert hpo.Study.open(postgres, "s").best_value == 0.5
    study._ledger.journal.storage.close()
    admin.execute(f"DROP OWNED BY {role} CASCADE")
