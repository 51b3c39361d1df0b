"""Logs in an SQLite file, which any number of processes of one machine may share."""

from __future__ import annotations

import contextlib
import os
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

from hpo_core.errors import StorageError
from hpo_core.storage.base import DELETED, Record, Storage, checksum, count_good
from hpo_core.storage.files import require_path, written_whole

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# What marks a file as ours: "hpoc" in ASCII.
APPLICATION_ID: Final = 0x68706F63
# NORMAL survives a crash of the process; only FULL also keeps the last events when the power fails.
DURABILITY: Final = {"normal": "NORMAL", "full": "FULL"}
# Seconds to wait for other writers: each holds the lock for one suggestion, and they may queue.
PATIENCE: Final = 120.0

# What each schema added to the one before: a new file goes through all of them, an old one through the rest.
_STEPS: Final[tuple[str, ...]] = (
    """
CREATE TABLE studies (key INTEGER PRIMARY KEY, name TEXT NOT NULL, deleted INTEGER NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX names ON studies (name) WHERE NOT deleted;
CREATE TABLE events (
    study INTEGER NOT NULL REFERENCES studies, position INTEGER NOT NULL, kind TEXT NOT NULL,
    data TEXT NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (study, position)
) WITHOUT ROWID;
CREATE VIEW trials AS
WITH asked AS (
    SELECT study, data, json_extract(data, '$.first') + n.key AS number, n.key AS k
    FROM events, json_each((SELECT c.value FROM json_each(data, '$.params') AS c LIMIT 1)) AS n
    WHERE kind = 'asked'
), ended AS (
    SELECT study, kind, r.value AS number, json_extract(data, '$.values[' || r.key || ']') AS value,
        json_extract(data, '$.cost[' || r.key || ']') AS seconds, json_extract(data, '$.reason') AS reason
    FROM events, json_each(json_extract(data, '$.rows')) AS r WHERE kind IN ('told', 'failed', 'stopped')
)
SELECT s.name AS study, a.number,
    CASE e.kind WHEN 'told' THEN 'complete' WHEN 'failed' THEN 'failed' WHEN 'stopped' THEN 'stopped'
        ELSE 'running' END AS state,
    e.value, e.seconds, e.reason,
    (SELECT json_group_object(p.key, json_extract(p.value, '$[' || a.k || ']'))
        FROM json_each(json_extract(a.data, '$.params')) AS p) AS params
FROM asked AS a JOIN studies AS s ON s.key = a.study AND NOT s.deleted
LEFT JOIN ended AS e ON e.study = a.study AND e.number = a.number;
""",
    "CREATE INDEX descriptions ON events (study, position) WHERE kind IN ('created', 'changed');",
)
SCHEMA: Final = len(_STEPS)

_STUDIES = "SELECT name, key FROM studies WHERE NOT deleted ORDER BY key"
_NOW = "SELECT (julianday('now') - 2440587.5) * 86400.0"  # the epoch as a Julian day
_EVENTS = """
SELECT position, kind, data, crc FROM events WHERE study = ? AND position >= ? ORDER BY position LIMIT ?
"""
_DESCRIPTIONS = """
SELECT position, kind, data, crc FROM events WHERE study = ? AND kind IN ('created', 'changed')
ORDER BY position
"""

# Events at a time, of all studies: they may hold much.
SCANNED: Final = 512
_SCAN = f"""
SELECT study, position, kind, data, crc FROM events
WHERE (study, position) > (?, ?) AND (SELECT NOT deleted FROM studies WHERE key = study)
ORDER BY study, position LIMIT {SCANNED}
"""


class SQLiteStorage(Storage):
    """Logs in an SQLite file, in WAL mode.

    Parameters
    ----------
    path : str
        Made if it is not there.
    durability : {"normal", "full"}, default "normal"
        Whether an acknowledged event survives the death of the process, or a power failure too.

    Raises
    ------
    StorageError
        The file cannot be used: another format, written by a newer version, damaged, or the disk is full.
    """

    def __init__(self, path: str, *, durability: str = "normal") -> None:
        self.path = path
        self._file = os.path.abspath(path)  # stays the same file wherever the process goes  # noqa: PTH100
        self.durability = durability
        self._connection: sqlite3.Connection | None = None
        self._process = 0

    def __str__(self) -> str:
        return self.path

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._file, self.durability)

    @contextmanager
    def transaction(self, key: int | None = None) -> Iterator[None]:  # noqa: ARG002 - one lock for all
        """Take the write lock; commit at the end, take everything back if the body raises."""
        with self._errors():
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            with self._errors():
                connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def studies(self) -> dict[str, int]:
        """Return the key of each study that is not deleted, by its name."""
        with self._errors():
            return dict(self._connected().execute(_STUDIES))

    def create(self, name: str) -> int:
        """Start an empty log and return its key."""
        with self._errors():
            key = self._connected().execute("INSERT INTO studies (name) VALUES (?)", (name,)).lastrowid
        return int(key or 0)

    def append(self, key: int, events: Sequence[tuple[str, str]]) -> int:
        """Append (kind, JSON text) pairs; return the length of the log."""
        with self._errors():
            connection = self._connected()
            query = "SELECT coalesce(max(position), -1) + 1 FROM events WHERE study = ?"
            (start,) = connection.execute(query, (key,)).fetchone()
            rows = [(key, i, *event, checksum(i, *event)) for i, event in enumerate(events, start)]
            connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", rows)
            if any(kind == DELETED for kind, _ in events):
                connection.execute("UPDATE studies SET deleted = 1 WHERE key = ?", (key,))
        return int(start) + len(events)

    def read(self, key: int, after: int = 0, limit: int | None = None) -> list[Record]:
        """Return the events from position ``after`` on, up to ``limit`` of them."""
        with self._errors():
            parameters = (key, after, -1 if limit is None else limit)
            records: list[Record] = self._connected().execute(_EVENTS, parameters).fetchall()
        self._require_good(key, records, after)
        return records

    def descriptions(self, key: int) -> list[Record]:
        """Return the events that say what the study is."""
        with self._errors():
            records: list[Record] = self._connected().execute(_DESCRIPTIONS, (key,)).fetchall()
        for record in records:
            self._require_good(key, [record], record[0])
        return records

    def count_good(self, key: int) -> int:
        """Return how many events can be read from the beginning on."""
        good = 0
        with contextlib.suppress(StorageError), self._errors():
            for record in self._connected().execute(_EVENTS, (key, 0, -1)):
                if not count_good([record], good):
                    break
                good += 1
        return good

    def now(self) -> float:
        """Seconds since the epoch by SQLite's clock, that of the one machine where the file is."""
        with self._errors():
            (seconds,) = self._connected().execute(_NOW).fetchone()
        return float(seconds)

    def check(self) -> str | None:
        """Return what SQLite finds wrong with the file, None if nothing is."""
        try:
            with self._errors():
                (found,) = self._connected().execute("PRAGMA integrity_check(1)").fetchone()
        except StorageError as error:  # too damaged to look for damage
            return str(error)
        return None if found == "ok" else str(found)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._connection is not None and self._process == os.getpid():
            self._connection.close()
        self._connection = None

    def _connected(self) -> sqlite3.Connection:
        # SQLite's connections must not cross a fork: the child opens its own.
        if self._connection is None or self._process != os.getpid():
            self._connection = self._connect()
            self._process = os.getpid()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        connection = sqlite3.connect(
            self._file, timeout=PATIENCE, isolation_level=None, check_same_thread=False, cached_statements=32
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        self._version(connection)
        _wait_for_wal(connection)
        connection.execute(f"PRAGMA synchronous = {DURABILITY[self.durability]}")
        if self._version(connection) < SCHEMA:
            connection.execute("BEGIN IMMEDIATE")
            for step in _STEPS[self._version(connection) :]:  # another process may have been first
                for statement in filter(str.strip, step.split(";\n")):
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
            connection.execute("COMMIT")

    def _version(self, connection: sqlite3.Connection) -> int:
        """Return the schema of the file, 0 if it is new; a ``StorageError`` if it is not for this version."""
        # The tables first: another process commits them and what marks them as ours together, at any moment.
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if tables and application != APPLICATION_ID:
            raise StorageError(f"storage {self.path!r} is a database of another program")
        if version > SCHEMA:
            raise StorageError(
                f"storage {self.path!r} has schema {version}, written by a newer hpo_core; this one "
                f"reads up to {SCHEMA}: update hpo_core"
            )
        return int(version) if tables else 0

    @contextmanager
    def _errors(self) -> Iterator[None]:
        import sqlite3

        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(f"storage {self.path!r}: {error}") from error

    def scan(self) -> Iterator[tuple[int, Record]]:
        """Give every event of every study that is not deleted, with the key of its study."""
        last = (-1, -1)
        while True:
            with self._errors():
                rows = self._connected().execute(_SCAN, last).fetchall()
            yield from ((row[0], row[1:]) for row in rows)
            if len(rows) < SCANNED:
                return
            last = rows[-1][:2]

    def backup(self, path: str | Path) -> None:
        """Write what is in the file now to a new one, while others go on writing."""
        import sqlite3

        require_path("path", str(path))
        try:
            with written_whole(str(path), new=True) as part, closing(sqlite3.connect(part)) as copy:
                self._connected().backup(copy)
        except FileExistsError as error:
            raise StorageError(f"path {str(path)!r} must not exist yet: nothing is written over") from error
        except OSError as error:
            raise StorageError(f"path {str(path)!r} cannot be written: {error.strerror}") from error
        except sqlite3.Error as error:
            raise StorageError(f"storage {self.path!r} cannot be copied to {str(path)!r}: {error}") from error


def _wait_for_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL. SQLite does not wait for its lock here, however long its timeout."""
    import sqlite3

    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _reopen(path: str, durability: str) -> SQLiteStorage:
    return SQLiteStorage(path, durability=durability)
