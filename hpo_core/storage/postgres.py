"""Logs in a PostgreSQL database, which workers on any number of machines may share."""

from __future__ import annotations

import math
import secrets
import time
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NoReturn

from hpo_core.errors import StorageError
from hpo_core.storage.base import (
    DELETED,
    TURN_PATIENCE,
    ChangeLostError,
    Storage,
    checksum,
    count_good,
)
from hpo_core.storage.postgres_session import Session, driver
from hpo_core.storage.postgres_tables import BEGIN, EXCLUSIVE, LOCKS, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from hpo_core.storage.base import Record

# Events that a check reads at a time.
PAGE: Final = 1000

_STUDIES = "SELECT name, key FROM hpo_core.studies WHERE NOT deleted ORDER BY key"
_EVENTS = """
SELECT position, kind, data, crc FROM hpo_core.events
WHERE study = %s AND position >= %s ORDER BY position LIMIT %s
"""
_DESCRIPTIONS = """
SELECT position, kind, data, crc FROM hpo_core.events
WHERE study = %s AND kind IN ('created', 'changed') ORDER BY position
"""
_SCAN = f"""
SELECT study, position, kind, data, crc FROM hpo_core.events
WHERE (study, position) > (%s, %s) AND study IN (SELECT key FROM hpo_core.studies WHERE NOT deleted)
ORDER BY study, position LIMIT {PAGE}
"""
_LENGTH = "SELECT coalesce(max(position), -1) + 1 FROM hpo_core.events WHERE study = %s"
_TOKEN = "SELECT token FROM hpo_core.events WHERE study = %s AND position >= %s ORDER BY position LIMIT 1"
_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"
_CHECKSUMS = "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()"


@dataclass
class _Transaction:
    """The reads and writes of a transaction, sent in as few messages as possible.

    It begins with the first query, and what is appended goes with the next query or the commit.
    """

    key: int | None
    lock_seconds: float = math.inf  # for which the lock is waited for
    token: int = field(default_factory=lambda: secrets.randbits(63))  # says whose events they are
    connection: Any = None  # once it has begun
    lengths: dict[int, int] = field(default_factory=dict)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    sent: int = 0
    plain: bool = True  # it only appends, and can be done again
    lost: bool = False

    def beginning(self) -> str:
        """Statements that begin it and keep the others out: of one log, or of all."""
        begin = BEGIN
        if self.lock_seconds < math.inf:
            begin += f"; SET LOCAL lock_timeout = {max(1, round(1000 * self.lock_seconds))}"
        if self.key is None:
            return f"{begin}; {EXCLUSIVE}; "
        own = f"pg_advisory_xact_lock({LOCKS}, {self.key:d})"
        return f"{begin}; SELECT pg_advisory_xact_lock_shared({LOCKS}, 0), {own}; "

    def rest(self) -> tuple[str, list[Any]]:
        """Statement that writes what has not been sent, and its values."""
        rows = self.rows[self.sent :]
        if not rows:
            return "", []
        places = ", ".join(["(%s, %s, %s, %s, %s, %s)"] * len(rows))
        return (
            f"INSERT INTO hpo_core.events (study, position, kind, data, crc, token) VALUES {places}; ",
            list(chain.from_iterable(rows)),
        )


class PostgresStorage(Storage):
    """Logs in the schema ``hpo_core`` of a PostgreSQL database.

    A commit is always durable. If the server goes away, the storage waits up to two minutes for it, and then
    raises. Afterwards the work continues, and nothing is lost or written twice.

    Parameters
    ----------
    url : str
        ``postgresql://user:password@host:port/database``, with the options of libpq. Better keep the password
        in ``~/.pgpass``; it is never shown.

    Raises
    ------
    StorageError
        psycopg is missing, the URL cannot be read, the server cannot be reached or refuses, or the tables
        are of a newer version.
    """

    def __init__(self, url: str) -> None:
        self._session = Session(url)
        self._transaction: _Transaction | None = None

    def __str__(self) -> str:
        return str(self._session)

    def __repr__(self) -> str:
        return f"PostgresStorage({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._session.url, self._session.met)

    def transaction(self, key: int | None = None) -> AbstractContextManager[None]:
        """Keep other writers out; commit at the end, or undo everything if the body raises."""
        return _InTransaction(self, _Transaction(key, self.latest - time.monotonic()))

    def turn(self, key: int) -> AbstractContextManager[None]:
        """Wait for the suggestions that other processes began to compute before."""
        return _Suggesting(self._session, key)

    def reset(self) -> None:
        """Undo uncommitted changes, wherever an exception was raised."""
        if self._transaction is not None:
            self._roll_back(self._transaction)
            self._transaction = None

    def studies(self) -> dict[str, int]:
        """Return the key of each study that is not deleted, by its name."""
        return dict(self._query(_STUDIES))

    def create(self, name: str) -> int:
        """Start an empty log and return its key."""
        transaction = self._inside()
        transaction.plain = False
        ((key,),) = self._query("INSERT INTO hpo_core.studies (name) VALUES (%s) RETURNING key", [name])
        transaction.lengths[key] = 0
        return int(key)

    def append(self, key: int, events: Sequence[tuple[str, str]]) -> int:
        """Append (kind, JSON text) pairs; return the length of the log."""
        transaction = self._inside()
        if key not in transaction.lengths:
            ((transaction.lengths[key],),) = self._query(_LENGTH, [key])
        for position, event in enumerate(events, transaction.lengths[key]):
            transaction.rows.append((key, position, *event, checksum(position, *event), transaction.token))
        if any(kind == DELETED for kind, _ in events):
            transaction.plain = False
            self._query("UPDATE hpo_core.studies SET deleted = true WHERE key = %s", [key])
        transaction.lengths[key] += len(events)
        return transaction.lengths[key]

    def read(self, key: int, after: int = 0, limit: int | None = None) -> list[Record]:
        """Return the events from position ``after`` on, up to ``limit`` of them."""
        records: list[Record] = self._query(_EVENTS, [key, after, limit])
        self._require_good(key, records, after)
        if self._transaction is not None and (limit is None or len(records) < limit):
            self._transaction.lengths[key] = after + len(records)
        return records

    def descriptions(self, key: int) -> list[Record]:
        """Return the events that describe the study."""
        records: list[Record] = self._query(_DESCRIPTIONS, [key])
        for record in records:
            self._require_good(key, [record], record[0])
        return records

    def scan(self) -> Iterator[tuple[int, Record]]:
        """Give every event of every study that is not deleted, with the key of its study."""
        last = [-1, -1]
        while rows := self._query(_SCAN, last):
            yield from ((row[0], row[1:]) for row in rows)
            last = list(rows[-1][:2])

    def count_good(self, key: int) -> int:
        """Return how many events can be read from the beginning on."""
        good, page = 0, PAGE
        while page == PAGE:
            try:
                page = count_good(self._query(_EVENTS, [key, good, PAGE]), good)
            except StorageError:
                break
            good += page
        return good

    def now(self) -> float:
        """Seconds since the epoch by the server's clock."""
        ((seconds,),) = self._query(_NOW)
        return float(seconds)

    def check(self) -> str | None:
        """Return the damage that the server has found in the pages of the database, or None."""
        ((failures,),) = self._query(_CHECKSUMS)
        return f"{failures} pages of the database failed their checksum" if failures else None

    def exists(self) -> bool:
        """Whether the database has the tables of hpo_core, which any other use creates."""
        with self._session.errors():
            return self._session.has_tables()

    def backup(self, path: str | Path) -> NoReturn:  # noqa: ARG002
        """Raise an error: PostgreSQL has its own programs for backups."""
        raise StorageError(
            f"storage {str(self)!r} is a PostgreSQL database: copy it with pg_dump -n hpo_core"
        )

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        self._session.close()

    def _inside(self) -> _Transaction:
        if self._transaction is None:
            raise StorageError(f"storage {str(self)!r}: writes must be inside transaction()")
        return self._transaction

    def _query(self, text: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run a query, in the transaction if there is one."""
        transaction, session = self._transaction, self._session
        with session.errors():
            if transaction is None:
                return session.patiently(lambda connection: run(connection, text, values), self.deadline())
            if transaction.connection is None:
                return self._begin(transaction, text, values)
            rest, own = transaction.rest()
            try:
                rows = run(transaction.connection, rest + text, [*own, *values])
            except driver().Error as error:
                if session.is_lost(error):
                    transaction.lost = True
                    raise self._change_lost() from None
                raise
            transaction.sent = len(transaction.rows)
            return rows

    def _begin(self, transaction: _Transaction, text: str, values: Sequence[Any]) -> list[Any]:
        def attempt(connection: Any) -> list[Any]:
            transaction.connection = connection
            return run(connection, transaction.beginning() + text, values)

        self.waiting = True
        try:
            return self._session.patiently(attempt, self.deadline())
        finally:
            self.waiting = False

    def _commit(self, transaction: _Transaction) -> None:
        if transaction.lost:
            raise self._change_lost()
        if transaction.connection is None:
            return
        text, values = transaction.rest()
        try:
            run(transaction.connection, text + "COMMIT", values)
        except driver().Error as error:
            if not self._session.is_lost(error):
                raise
            self._settle(transaction)

    def _settle(self, transaction: _Transaction) -> None:
        """Find out whether a commit came through whose connection broke; if not, do it again.

        The lock waits for what the old connection left running at the server. Under it, the first event
        after what the transaction had read is ours, that of another writer, or not there.
        """
        while transaction.rows or not transaction.plain:
            transaction.sent = 0
            first = transaction.rows[0][:2] if transaction.rows else (0, 0)
            found = self._begin(transaction, _TOKEN, first)
            if found == [(transaction.token,)]:
                self._roll_back(transaction)
                return
            if found or not transaction.plain:
                raise self._change_lost()
            text, values = transaction.rest()
            try:
                run(transaction.connection, text + "COMMIT", values)
                return
            except driver().Error as error:
                if not self._session.is_lost(error):
                    raise

    def _roll_back(self, transaction: _Transaction) -> None:
        connection = transaction.connection
        if connection is None or connection.closed:
            return
        try:
            run(connection, "ROLLBACK")
        except driver().Error:
            self._session.close()

    def _change_lost(self) -> ChangeLostError:
        return ChangeLostError(
            f"storage {str(self)!r}: the connection broke, so this change was not written; make it "
            "again, because others may have written since"
        )


class _InTransaction:
    """A class, because a signal cannot come between its beginning and the body, as it can in a generator."""

    def __init__(self, storage: PostgresStorage, transaction: _Transaction) -> None:
        self._storage, self._transaction = storage, transaction

    def __enter__(self) -> None:
        self._storage._transaction = self._transaction

    def __exit__(self, kind: object, *_: object) -> None:
        storage = self._storage
        try:
            if kind is None:
                with storage._session.errors():
                    storage._commit(self._transaction)
                storage._transaction = None
        finally:
            storage.reset()


class _Suggesting:
    """A turn to compute a suggestion; where the server does not give one in time, only the order is lost."""

    def __init__(self, session: Session, key: int) -> None:
        self._session, self._own = session, f"{LOCKS + 1}, {key:d}"

    def __enter__(self) -> None:
        patience = f"SELECT set_config('lock_timeout', '{TURN_PATIENCE:.0f}s', false)"
        text = (
            f"{patience}; SELECT pg_advisory_lock({self._own}); SELECT set_config('lock_timeout', '0', false)"
        )
        self._run(text)

    def __exit__(self, *_: object) -> None:
        self._run(f"SELECT pg_advisory_unlock({self._own})")

    def _run(self, text: str) -> None:
        try:
            run(self._session.connected(), text)
        except driver().Error:
            pass
        except BaseException:
            self._session.close()  # the server gives the lock to the next
            raise


def _reopen(url: str, met: bool) -> PostgresStorage:  # noqa: FBT001 - called by pickle
    storage = PostgresStorage(url)
    storage._session.met = met
    return storage
