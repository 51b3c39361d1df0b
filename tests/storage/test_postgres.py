"""What is PostgreSQL's own: locks, settings, rights, versions of the schema, secrets in its messages."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
from urllib.parse import urlsplit

import pytest
from places import sql
from psycopg import ClientCursor

import hpo_core as hpo
from hpo_core import Categorical, Float, cli
from hpo_core.storage import PostgresStorage, open_storage, postgres_tables
from hpo_core.storage.postgres import _EVENTS, PAGE

SPACE = {"x": Float(0, 1)}


def created(storage, name="one"):
    with storage.transaction():
        key = storage.create(name)
        storage.append(key, [("created", "{}")])
    return key


def with_options(url, options):
    return urlsplit(url)._replace(query=f"options={options}").geturl()


def as_role(url, role):
    """URL of the same database for another role, with the password ``pw``."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{role}:pw@{parts.netloc.rpartition('@')[2]}").geturl()


@pytest.fixture
def role(postgres):
    """A role that may connect and nothing else."""
    name = "hpo_core_test_role"
    sql(postgres, f"CREATE ROLE {name} LOGIN PASSWORD 'pw'")
    yield name
    sql(postgres, f"DROP SCHEMA IF EXISTS hpo_core CASCADE; DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.mark.parametrize("options", ["", "-cdefault_transaction_isolation%3Dserializable"])
def test_a_late_commit_hides_from_no_reader(postgres, options):
    url = with_options(postgres, options)
    early, late, reader = PostgresStorage(url), PostgresStorage(url), PostgresStorage(url)
    key = created(early)
    late.read(key)
    held = threading.Event()

    def hold():
        with early.transaction(key):
            early.append(key, [("early", "1")])
            early.read(key)  # has what was appended sent, and not committed
            held.set()
            time.sleep(0.5)

    def follow():
        held.wait(10)
        with late.transaction(key):
            assert [record[1] for record in late.read(key, 1)] == ["early"]
            late.append(key, [("late", "2")])

    threads = [threading.Thread(target=each) for each in (hold, follow)]
    for thread in threads:
        thread.start()
    seen = []
    deadline = time.monotonic() + 20
    while len(seen) < 3 and time.monotonic() < deadline:
        seen += reader.read(key, len(seen))
    for thread in threads:
        thread.join()
    assert [record[1] for record in seen] == ["created", "early", "late"]


def test_writers_of_other_studies_are_not_kept_out(postgres):
    one, other = PostgresStorage(postgres), PostgresStorage(postgres)
    first, second = created(one, "first"), created(one, "second")
    with one.transaction(first):
        one.append(first, [("a", "1")])
        with other.transaction(second):
            other.append(second, [("b", "1")])
        other._session.connected().execute("SET lock_timeout = '100ms'")
        for key in (first, None):
            with pytest.raises(hpo.StorageError, match="lock timeout"), other.transaction(key):
                other.append(first, [("c", "1")])
    assert [record[1] for record in other.read(first)] == ["created", "a"]
    assert [record[1] for record in other.read(second)] == ["created", "b"]


def test_a_long_log_is_checked_in_pages(postgres, monkeypatch):
    storage = PostgresStorage(postgres)
    key = created(storage)
    with storage.transaction(key):
        storage.append(key, [("a", str(k)) for k in range(1, 25)])
    monkeypatch.setattr("hpo_core.storage.postgres.PAGE", 5)
    assert storage.count_good(key) == 25
    sql(postgres, "DELETE FROM events WHERE position = 10")
    assert storage.count_good(key) == 10


def test_a_broken_command_costs_its_connection(postgres):
    storage = PostgresStorage(postgres)
    key = created(storage)
    storage._session.connected().pgconn.send_query(b"SELECT 1")  # and nobody reads the answer
    assert [record[1] for record in storage.read(key)] == ["created"]
    storage._session.connected().pgconn.send_query(b"SELECT 1")
    with storage.turn(key), storage.transaction(key):
        storage.append(key, [("a", "1")])
    with contextlib.suppress(KeyboardInterrupt), storage.transaction(key):
        storage.append(key, [("b", "1")])
        storage._transaction.connection.pgconn.send_query(b"SELECT 1")
        raise KeyboardInterrupt
    assert [record[1] for record in storage.read(key)] == ["created", "a"]


def test_pages_are_read_without_sorting(postgres):
    storage = PostgresStorage(postgres)
    key = created(storage)
    with storage.transaction(key):
        storage.append(key, [("a", str(k)) for k in range(20_000)])
    ask = ClientCursor(storage._session.connected()).execute(f"EXPLAIN {_EVENTS}", [key, 10, PAGE])
    plan = "".join(line for (line,) in ask.fetchall())
    assert "events_pkey" in plan
    assert "Sort" not in plan


def test_a_command_of_another_thread_is_left_alone(postgres):
    session = PostgresStorage(postgres)._session
    connection, begun = session.connected(), threading.Event()

    def run():
        begun.set()
        connection.execute("SELECT pg_sleep(1)")

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait(10)
    while thread.is_alive():
        assert session.connected() is connection
    thread.join()
    assert not connection.closed


def test_threads_share_a_study(postgres):
    study = hpo.Study({"x": Float(-5, 5)}, sampler="gp", seed=0, storage=postgres, name="s")

    def work():
        for _ in range(10):
            trial = study.ask()
            study.tell(trial, trial["x"] ** 2)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert study.n_finished == 30
    assert study.replay()


def test_commits_are_durable_whatever_the_default(postgres):
    storage = PostgresStorage(with_options(postgres, "-csynchronous_commit%3Doff"))
    assert storage._session.connected().execute("SHOW synchronous_commit").fetchall() == [("on",)]
    storage = PostgresStorage(with_options(postgres, "-csynchronous_commit%3Dremote_apply"))
    assert storage._session.connected().execute("SHOW synchronous_commit").fetchall() == [("remote_apply",)]


def test_the_clock_is_the_server_s(postgres):
    before = time.time()
    storage = PostgresStorage(postgres)
    now = storage.now()
    with storage.transaction():
        time.sleep(0.05)
        later = storage.now()
    assert before - 1 < now < later - 0.05 < time.time() + 1


def test_a_newer_schema_is_refused(postgres):
    created(PostgresStorage(postgres))
    sql(postgres, "UPDATE version SET schema = 7")
    with pytest.raises(hpo.StorageError, match=r"schema 7.*newer.*update"):
        hpo.Study.open(postgres, "s")


def test_an_older_schema_is_brought_up_to_date(postgres, monkeypatch):
    study = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=postgres)
    study.tell(study.ask(3), [1.0, 2.0, 3.0])
    step = "ALTER TABLE hpo_core.studies ADD COLUMN owner text; COMMENT ON TABLE hpo_core.studies IS 'two'"
    monkeypatch.setattr(postgres_tables, "STEPS", (*postgres_tables.STEPS, step))
    assert hpo.Study.open(postgres, "s").trials.value.tolist() == [1.0, 2.0, 3.0]
    assert sql(postgres, "SELECT schema FROM version") == [(len(postgres_tables.STEPS),)]
    assert sql(postgres, "SELECT name, owner FROM studies") == [("s", None)]
    study.ask()  # who had it open goes on


@pytest.mark.parametrize("before", [1, 2])
def test_an_older_view_is_replaced(postgres, monkeypatch, role, before):
    with monkeypatch.context() as patch:
        patch.setattr(postgres_tables, "STEPS", postgres_tables.STEPS[:before])
        study = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=postgres)
        study.ask(2)[0].note(k=0.1)
    sql(postgres, f"GRANT USAGE ON SCHEMA hpo_core TO {role}; GRANT SELECT ON trials TO {role}")
    sql(postgres, "CREATE VIEW mine AS SELECT number, params FROM trials")
    hpo.Study.open(postgres, "s")
    rows = sql(as_role(postgres, role), "SELECT number, params, notes, tier FROM trials ORDER BY number")
    assert rows == [
        (0, study.trials[0].params, {"k": 0.1}, "random"),
        (1, study.trials[1].params, {}, "random"),
    ]
    assert sql(postgres, "SELECT count(*) FROM mine") == [(2,)]


def test_a_schema_may_be_made_beforehand(postgres, role):
    with pytest.raises(hpo.StorageError, match="permission denied"):
        PostgresStorage(as_role(postgres, role)).studies()
    sql(postgres, f"CREATE SCHEMA hpo_core AUTHORIZATION {role}")
    study = hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=as_role(postgres, role))
    study.ask()
    assert sql(postgres, "SELECT number FROM trials") == [(0,)]


def test_the_view_reads_what_text_cannot_hold(postgres):
    space = {"a\0b": Float(0, 1), "c": Categorical(["\ud800", "\U0001f680", "\\u0000"])}
    study = hpo.Study(space, sampler="random", seed=0, name="s", storage=postgres)
    study.ask(12)
    reasons = ["\0\0", "\ud83d", "\ude80\ud83d", "\U0001f680", "\\u0000", "a\\\0", 'x"y']
    for k, reason in enumerate(reasons):
        study.fail(k, reason=reason)
    rows = sql(postgres, "SELECT reason, params FROM trials ORDER BY number")
    assert [row[0] for row in rows[:7]] == ["??", "?", "??", "\U0001f680", "\\u0000", "a\\?", 'x"y']
    assert {row[1]["c"] for row in rows} == {"?", "\U0001f680", "\\u0000"}
    assert hpo.Study.open(postgres, "s").trials["c"].tolist() == study.trials["c"].tolist()


def test_pages_that_were_damaged_are_named(own_postgres_server, postgres, capsys):
    server = own_postgres_server
    hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=postgres).ask(10)
    ((path,),) = sql(postgres, "SELECT pg_relation_filepath('events')")
    server.stop()
    file = server.home / "data" / path
    page = bytearray(file.read_bytes())
    page[5000:5100] = b"\xa5" * 100
    file.write_bytes(page)
    server.start()
    assert cli.main(["doctor", postgres]) == 1
    assert "invalid page" in capsys.readouterr().out
    assert "checksum" in PostgresStorage(postgres).check()
    sql(postgres, "SELECT pg_stat_reset()")


WRONG = {
    "wrong": "postgresql://{user}:s3-other@{host}/{database}",
    "unreachable": "postgresql://me:s3-other@127.0.0.1:1/db",
    "@ in it": "postgresql://me:s3@other@127.0.0.1:1/db",
    "/ in it": "postgresql://me:s3/other@127.0.0.1:1/db",
    "% in it": "postgresql://me:s3%other@127.0.0.1:1/db",
    "as an option": "postgresql://127.0.0.1:1/db?password=s3&other",
}


@pytest.mark.parametrize("case", WRONG)
def test_a_password_is_never_shown(case, postgres, caplog, capsys):
    parts = urlsplit(postgres)
    where = {"user": parts.username, "host": parts.netloc.rpartition("@")[2], "database": parts.path[1:]}
    caplog.set_level(logging.DEBUG)
    with pytest.raises(hpo.StorageError) as caught:
        hpo.Study(SPACE, name="s", storage=WRONG[case].format(**where))
    shown = "".join(traceback.format_exception(caught.value)[-1:]) + repr(caught.value.__cause__)
    cli.main(["ls", WRONG[case].format(**where)])
    shown += caplog.text + "".join(capsys.readouterr())
    assert "postgresql://" in shown
    assert "s3" not in shown
    assert "other" not in shown


def test_driver_errors_keep_secrets():
    psycopg = pytest.importorskip("psycopg")
    storage = PostgresStorage(
        "postgresql://me:s3%0Acret@host/db?sslpassword=other&options=-c%20a.token%3Dt0k3n"
    )
    with pytest.raises(hpo.StorageError, match="host") as caught, storage._session.errors():
        raise psycopg.OperationalError("host: s3\ncret, other and -c a.token=t0k3n")
    for secret in ("s3", "cret", "other", "t0k3n"):
        assert secret not in str(caught.value)


def test_the_password_of_a_good_url_is_never_shown(postgres):
    storage = open_storage(postgres)
    study = hpo.Study(SPACE, name="s", storage=storage)
    shown = f"{storage} {storage!r} {study!r}"
    with pytest.raises(hpo.StudyError, match="no study 'other'") as caught:
        hpo.Study.open(storage, "other")
    assert urlsplit(postgres).password not in shown + str(caught.value)
    assert ":***@" in shown


def test_without_psycopg_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(hpo.StorageError, match=r"pip install 'hpo-core\[postgres\]'"):
        open_storage("postgresql://host/db")


def test_nothing_is_written_outside_a_transaction(postgres):
    storage = PostgresStorage(postgres)
    key = created(storage)
    with pytest.raises(hpo.StorageError, match="inside transaction"):
        storage.append(key, [("a", "1")])


def test_bytes_that_are_no_server_are_an_error():
    def hang_up():
        nobody.accept()[0].close()

    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(hpo.StorageError, match="closed the connection"):
            PostgresStorage(f"postgresql://me@127.0.0.1:{port}/db").studies()


def test_psycopg_itself_is_not_loaded_by_the_package():
    script = "import sys, hpo_core.storage; assert 'psycopg' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_forked_child_leaves_its_parent_s_session_alone(postgres):
    storage = PostgresStorage(postgres)

    def session():
        return storage._query("SELECT pg_backend_pid()")[0][0]

    own = session()
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            storage.close()
            os.write(writer, f"{session()}".encode())
        finally:
            os._exit(0)
    os.wait()
    assert int(os.read(reader, 20)) != own
    assert session() == own
