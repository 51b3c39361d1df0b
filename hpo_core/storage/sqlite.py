"""Logs in an SQLite file, which any number of processes of one machine may share."""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import threading
import time
import weakref
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from hpo_core.errors import StorageError, StorageRefusedError
from hpo_core.storage.base import (
    DELETED,
    TURN_PATIENCE,
    Record,
    Storage,
    checksum,
    count_good,
)
from hpo_core.storage.files import require_path, written_whole
from hpo_core.storage.turns import QUEUES, Turn, forget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

# What marks a file as ours: "hpoc" in ASCII.
APPLICATION_ID: Final = 0x68706F63
# Seconds that SQLite itself waits, deaf to signals; we then try again.
_BUSY: Final = 0.05
_PAUSE: Final = 0.001  # between our tries, so that readers come in
# Seconds a fork waits for another thread's statement to end.
_FORK_PATIENCE: Final = 5.0


def _as_written(data: str, path: str) -> str:
    """SQL for a JSON value with all digits it was written with, as json() takes it.

    Older SQLite has no operator for that, and rounds numbers to 15 digits when it makes JSON of them. Two
    paths give an array of both values as they stand, [v,v], of which this takes the first.
    """
    both = f"json_extract({data}, {path}, {path})"
    return f"substr({both}, 2, (length({both}) - 3) / 2)"


def _is_none(name: str) -> str:
    """SQL for whether the null of a trial is the choice None; older logs do not record this."""
    none = "json_each(a.data, '$.none') AS o, json_each(o.value) AS i"
    return f"EXISTS (SELECT 1 FROM {none} WHERE o.key = {name} AND i.value = a.k)"


# One row per trial, for people and other programs. A parameter that is inactive is no key of params. The
# results of a study with a direction are those of one metric, "value". Values of several metrics are lists in
# the log, so that the path to one of them has a second index.
_VIEW: Final = f"""
CREATE VIEW trials AS
WITH RECURSIVE asked AS (
    SELECT study, data, json_extract(data, '$.first') + n.key AS number, n.key AS k
    FROM events,
        json_each('[0' || replace(hex(zeroblob(json_extract(data, '$.n') - 1)), '00', ',0') || ']') AS n
    WHERE kind = 'asked'
), named AS (
    SELECT e.study, json_extract(m.value, '$.name') AS name, json_extract(m.value, '$.kind') AS kind,
        json_extract(m.value, '$.bound') AS bound, json_extract(m.value, '$.known') AS known,
        CASE json_array_length(e.metrics) WHEN 1 THEN '' ELSE '[' || m.key || ']' END AS path
    FROM (
        SELECT study, coalesce(json_extract(data, '$.metrics'), '[{{"name": "value", "kind": "minimize"}}]')
            AS metrics
        FROM events WHERE position = 0 AND kind = 'created'
    ) AS e, json_each(e.metrics) AS m
), objectives AS (
    SELECT study, CASE count(*) WHEN 1 THEN max(path) END AS path
    FROM named WHERE kind IN ('minimize', 'maximize') GROUP BY study
), placed AS (
    SELECT study, number, kind, seconds, max(position)
    FROM (
        SELECT study, position, kind, r.value AS number,
            json_extract(data, '$.cost[' || r.key || ']') AS seconds
        FROM events, json_each(data, '$.rows') AS r
        WHERE kind IN ('paused', 'resumed', 'told', 'failed', 'stopped')
    ) GROUP BY study, number
), advised AS (
    SELECT study, number, reason, max(position)
    FROM (
        SELECT study, position, r.value AS number, json_extract(data, '$.reason') AS reason
        FROM events, json_each(data, '$.rows') AS r WHERE kind IN ('decided', 'resumed')
    ) GROUP BY study, number
), ended AS (
    SELECT e.study, e.kind, r.value AS number, {_as_written("data", "'$.values[' || r.key || ']'")} AS told,
        json_extract(data, '$.values[' || r.key || ']' || o.path) AS value,
        json_extract(data, '$.cost[' || r.key || ']') AS seconds, json_extract(data, '$.reason') AS reason
    FROM events AS e JOIN objectives AS o ON o.study = e.study, json_each(data, '$.rows') AS r
    WHERE e.kind IN ('told', 'failed', 'stopped')
    UNION ALL
    SELECT study, 'paused', number, told, value, seconds, NULL
    FROM (
        SELECT e.study, r.value AS number, {_as_written("data", "'$.values[' || r.key || ']'")} AS told,
            json_extract(data, '$.values[' || r.key || ']' || o.path) AS value, p.seconds, max(e.position)
        FROM events AS e JOIN objectives AS o ON o.study = e.study, json_each(data, '$.rows') AS r
        JOIN placed AS p ON p.study = e.study AND p.number = r.value
        WHERE e.kind = 'reported' AND e.study IN (SELECT study FROM events WHERE kind = 'paused')
            AND p.kind = 'paused' GROUP BY e.study, r.value
    )
), again AS (
    SELECT study, number, time,
        json_group_array(json(reason)) FILTER (WHERE kind = 'retried') AS retries, max(position)
    FROM (
        SELECT study, position, kind, r.value AS number, json_extract(data, '$.time') AS time,
            {_as_written("data", "'$.reason'")} AS reason
        FROM events, json_each(data, '$.rows') AS r WHERE kind IN ('retried', 'resumed')
        ORDER BY study, position
    ) GROUP BY study, number
), reported AS (
    SELECT study, number, json_group_array(json(report)) AS reports
    FROM (
        SELECT e.study, r.value AS number, '[' || json_extract(data, '$.step') || ',' || CASE n.several
            WHEN 0 THEN {_as_written("data", "'$.values[' || r.key || ']'")}
            ELSE (
                SELECT json_group_object(
                    name, json({_as_written("data", "'$.values[' || r.key || ']' || m.path")})
                ) FROM named AS m WHERE m.study = e.study AND m.known IS NULL
            ) END || ']' AS report
        FROM events AS e JOIN (SELECT study, max(path) <> '' AS several FROM named GROUP BY study) AS n
            ON n.study = e.study, json_each(data, '$.rows') AS r
        WHERE e.kind = 'reported' ORDER BY e.study, position
    ) GROUP BY study, number
), noted AS (
    SELECT study, number, json_group_object(name, json(note)) AS notes
    FROM (
        SELECT study, r.value AS number, n.key AS name, max(position), CASE
            WHEN n.type = 'real' AND n.key NOT GLOB '*["\\]*' THEN {_as_written("data", "n.fullkey")}
            WHEN n.type IN ('real', 'integer', 'text') THEN json_quote(n.value)
            WHEN n.type IN ('true', 'false', 'null') THEN n.type ELSE n.value END AS note
        FROM events, json_each(data, '$.rows') AS r, json_each(data, '$.notes[' || r.key || ']') AS n
        WHERE kind = 'noted' GROUP BY study, number, name
    ) GROUP BY study, number
), spaces AS (
    SELECT study, NULL AS owner, NULL AS choice, json_extract(data, '$.space.space') AS space
    FROM (SELECT study, data, max(position) FROM events WHERE kind IN ('created', 'changed') GROUP BY study)
    UNION ALL
    SELECT s.study, p.key, json({_as_written("p.value", "'$.categorical[' || b.key || ']'")}), b.value
    FROM spaces AS s, json_each(s.space) AS p, json_each(p.value, '$.spaces') AS b
), constants AS (
    SELECT s.study, s.owner, s.choice, p.key AS name, {_as_written("p.value", "'$.constant'")} AS value
    FROM spaces AS s, json_each(s.space) AS p WHERE json_type(p.value, '$.constant') IS NOT NULL
)
SELECT s.name AS study, a.number,
    CASE e.kind WHEN 'told' THEN 'complete' WHEN 'failed' THEN 'failed'
        WHEN 'stopped' THEN 'stopped' WHEN 'paused' THEN 'paused' ELSE 'running' END AS state,
    e.value, e.seconds,
    strftime('%Y-%m-%dT%H:%M:%fZ', coalesce(r.time, json_extract(a.data, '$.time')), 'unixepoch') AS started,
    json_extract(a.data, '$.tier') AS tier, coalesce(e.reason, d.reason) AS reason,
    coalesce(r.retries, '[]') AS retries, coalesce(p.reports, '[]') AS reports,
    (SELECT json_group_object(name, json(value)) FROM (
        SELECT c.key AS name, {_as_written("c.value", "'$[' || a.k || ']'")} AS value
        FROM json_each(a.data, '$.params') AS c
        WHERE json_type(c.value, '$[' || a.k || ']') <> 'null' OR {_is_none("c.key")}
        UNION
        SELECT k.name, k.value FROM constants AS k WHERE k.study = a.study AND (k.owner IS NULL OR EXISTS (
            SELECT 1 FROM json_each(a.data, '$.params') AS c
            WHERE c.key = k.owner AND json({_as_written("c.value", "'$[' || a.k || ']'")}) = k.choice
                AND (k.choice <> 'null' OR {_is_none("c.key")})))
    )) AS params,
    coalesce(n.notes, '{{}}') AS notes,
    (SELECT json_group_object(m.name, json({_as_written("e.told", "'$' || m.path")})) FROM named AS m
        WHERE m.study = a.study AND e.kind <> 'failed') AS metrics,
    coalesce(e.kind IN ('told', 'stopped'), 0) AND NOT EXISTS (
        SELECT 1 FROM named AS m WHERE m.study = a.study AND CASE m.kind
            WHEN 'at_most' THEN json_extract(e.told, '$' || m.path) > m.bound
            WHEN 'at_least' THEN json_extract(e.told, '$' || m.path) < m.bound END
    ) AS feasible
FROM asked AS a JOIN studies AS s ON s.key = a.study AND NOT s.deleted
LEFT JOIN ended AS e ON e.study = a.study AND e.number = a.number
LEFT JOIN advised AS d ON d.study = a.study AND d.number = a.number
LEFT JOIN again AS r ON r.study = a.study AND r.number = a.number
LEFT JOIN reported AS p ON p.study = a.study AND p.number = a.number
LEFT JOIN noted AS n ON n.study = a.study AND n.number = a.number;
"""

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
    "",  # other views, which the last one replaced
    "",
    f"DROP VIEW trials;\n{_VIEW}",
)
SCHEMA: Final = len(_STEPS)

_LENGTH = "SELECT coalesce(max(position), -1) + 1 FROM events WHERE study = ?"
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

    All storages of a process on the same file share one connection. Reading does not wait for writers, and
    neither creates nor changes a file; a read-only file in a read-only folder can be read.

    Parameters
    ----------
    path : str
        If the file does not exist, the first change creates it.
    durability : {"normal", "full"}, default "normal"
        With "normal", recorded events survive the death of the process; with "full", a power failure as well.

    Raises
    ------
    StorageError
        The file has another format, was written by a newer version, is damaged, or was deleted or replaced
        while it was open, or the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> storage = SQLiteStorage(f"{tempfile.mkdtemp()}/sweep.db")
    >>> with storage.transaction():
    ...     key = storage.create("digits")
    >>> storage.studies()
    {'digits': 1}
    """

    def __init__(self, path: str, *, durability: str = "normal") -> None:
        self.path = path
        self._absolute = os.path.abspath(path)  # stays the same file wherever the process goes  # noqa: PTH100
        self.durability = durability
        self._kept: _Connection | None = None
        self._lengths: dict[int, int] = {}  # of the logs that this transaction has read to their ends

    def __str__(self) -> str:
        return self.path

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._absolute, self.durability)

    def transaction(self, key: int | None = None) -> AbstractContextManager[None]:  # noqa: ARG002 - one lock for all
        """Take the write lock; commit at the end, or undo everything if the body raises."""
        return _Transaction(self)

    def turn(self, key: int) -> AbstractContextManager[None]:
        """Wait for the suggestions that other processes began to compute before."""
        return _Suggesting(self, 1 + key % (QUEUES - 1))

    def studies(self) -> dict[str, int]:
        """Return the key of each study that is not deleted, by its name."""
        return dict(self._rows(_STUDIES))

    def create(self, name: str) -> int:
        """Start an empty log and return its key."""
        with self._errors():
            key = self._writing().execute("INSERT INTO studies (name) VALUES (?)", (name,)).lastrowid
        self._lengths[int(key or 0)] = 0
        return int(key or 0)

    def append(self, key: int, events: Sequence[tuple[str, str]]) -> int:
        """Append (kind, JSON text) pairs; return the length of the log."""
        if key not in self._lengths:
            ((self._lengths[key],),) = self._rows(_LENGTH, (key,))
        start = self._lengths[key]
        rows = [(key, i, *event, checksum(i, *event)) for i, event in enumerate(events, start)]
        connection = self._writing()
        try:
            connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", rows)
            if any(kind == DELETED for kind, _ in events):
                connection.execute("UPDATE studies SET deleted = 1 WHERE key = ?", (key,))
        except sqlite3.Error as error:
            raise self._error(error) from error
        self._lengths[key] = start + len(events)
        return self._lengths[key]

    def read(self, key: int, after: int = 0, limit: int | None = None) -> list[Record]:
        """Return the events from position ``after`` on, up to ``limit`` of them."""
        records: list[Record] = self._rows(_EVENTS, (key, after, -1 if limit is None else limit))
        if records:
            self._require_good(key, records, after)
        if limit is None or len(records) < limit:
            shared = self._shared()
            shared.known[key] = after + len(records)
            if shared.writer is not None and shared.writer[0] is self:
                self._lengths[key] = after + len(records)
        return records

    def descriptions(self, key: int) -> list[Record]:
        """Return the events that describe the study."""
        records: list[Record] = self._rows(_DESCRIPTIONS, (key,))
        for record in records:
            self._require_good(key, [record], record[0])
        return records

    def count_good(self, key: int) -> int:
        """Return how many events can be read from the beginning on."""
        good = 0
        with contextlib.suppress(StorageError), self._errors(), self._shared().lock:
            connection = self._shared().reading(self)
            for record in connection.execute(_EVENTS, (key, 0, -1)) if connection is not None else ():
                if not count_good([record], good):
                    break
                good += 1
        return good

    def now(self) -> float:
        """Seconds since the epoch by SQLite's clock, that of the one machine where the file is."""
        with self._errors(), self._shared().lock:
            connection = self._shared().reading(self)
            if connection is None:
                return time.time()
            (seconds,) = connection.execute(_NOW).fetchone()
        return float(seconds)

    def check(self) -> str | None:
        """Return the damage that SQLite finds in the file, or None."""
        try:
            found = self._rows("PRAGMA integrity_check(1)")
        except StorageError as error:  # too damaged to look for damage
            return str(error)
        return None if found in ([], [("ok",)]) else str(found[0][0])

    def close(self) -> None:
        """Close the file, for every storage of this process that has it open; the next use opens it again."""
        if self._kept is not None:
            self._kept.close()
            self._kept.leave_queues()

    def reset(self) -> None:
        """Release the lock and undo uncommitted changes, wherever an exception was raised."""
        shared = self._kept
        if shared is None:
            return
        if shared.writer == (self, threading.get_ident()):
            shared.roll_back()
            shared.writer = None
        lock: Any = shared.lock
        while lock._is_owned():
            lock.release()
        shared.turn(0).give()

    def _shared(self) -> _Connection:
        """The connection of this process to the file."""
        if self._kept is None or self._kept.forgotten:
            key = (self._absolute, self.durability)
            found = _open.get(key)
            if found is None or found.forgotten or found.is_gone():
                _open[key] = found = _Connection(self._absolute, self.durability)
            self._kept = found
        return self._kept

    @property
    def _connection(self) -> sqlite3.Connection | None:
        return self._shared().connection

    def _begin(self) -> None:
        shared, own, deadline = self._shared(), (self, threading.get_ident()), math.inf
        if shared.writer is not None and shared.writer[1] == own[1]:
            raise StorageError(
                f"storage {self.path!r}: inside the change of a study, no other study in this file can be "
                "changed; end the first change before the next"
            )
        try:
            shared.turn(0).take(self.deadline)
            while True:
                shared.lock.acquire()
                try:
                    connection = shared.writing(self)
                    shared.writer = own
                    connection.execute("BEGIN IMMEDIATE")
                    break
                except sqlite3.OperationalError as error:
                    deadline = min(deadline, self.deadline())
                    if not _is_busy(error) or time.monotonic() > deadline:
                        raise
                shared.writer = None
                shared.lock.release()
                time.sleep(_PAUSE)
            self._lengths = {}
        except sqlite3.Error as error:
            self.reset()
            raise self._error(error) from error
        except BaseException:
            self.reset()
            raise

    def _finish(self, *, commit: bool) -> None:
        try:
            if commit:
                self._writing().execute("COMMIT")
                self._shared().known.update(self._lengths)
        except sqlite3.Error as error:
            raise self._error(error) from error
        finally:
            self.reset()

    def _writing(self) -> sqlite3.Connection:
        """The connection, inside a transaction of this thread."""
        shared = self._shared()
        if shared.connection is None or shared.writer != (self, threading.get_ident()):
            raise StorageError(f"storage {self.path!r}: writes must be inside transaction()")
        return shared.connection

    def _rows(self, query: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Every row of a query; none if there is no file, or nothing in it."""
        shared, deadline = self._shared(), None
        while True:
            try:
                with shared.lock:
                    connection = shared.reading(self)
                    return [] if connection is None else connection.execute(query, parameters).fetchall()
            except sqlite3.Error as error:
                # A reader waits only for a file that is being repaired or put away.
                deadline = self.deadline() if deadline is None else deadline
                if not _is_busy(error) or time.monotonic() > deadline:
                    raise self._error(error) from error

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

    def _error(self, error: sqlite3.Error) -> StorageError:
        advice = ""
        if _is_busy(error):
            advice = ": another program has kept the file locked; nothing of this change was written"
        elif _code(error) == sqlite3.SQLITE_READONLY:
            advice = ": there is no permission to write to the file, or to make files beside it"
        elif _code(error) == sqlite3.SQLITE_NOTADB:
            advice = ": it is not an SQLite file"
        kind = StorageRefusedError if _may_pass(error) else StorageError
        return kind(f"storage {self.path!r}: {error}{advice}")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._error(error) from error

    def scan(self) -> Iterator[tuple[int, Record]]:
        """Give every event of every study that is not deleted, with the key of its study."""
        last = (-1, -1)
        while True:
            rows = self._rows(_SCAN, last)
            yield from ((row[0], row[1:]) for row in rows)
            if len(rows) < SCANNED:
                return
            last = rows[-1][:2]

    def backup(self, path: str | Path) -> None:
        """Copy the contents of the file to a new one, while others continue to write."""
        target = require_path("path", path)
        self.studies()  # an error if the file is another program's, or no longer the one that was opened
        if _identity(self._absolute) is None:
            raise StorageError(f"storage {self.path!r}: there is no such file")
        try:
            with (
                written_whole(target, new=True) as part,
                closing(sqlite3.connect(part)) as copy,
                closing(self._shared()._connect()) as source,
            ):
                source.backup(copy)
        except FileExistsError as error:
            raise StorageError(f"path must be a file that does not exist yet, got {target!r}") from error
        except OSError as error:
            raise StorageError(f"path {target!r} cannot be written: {error.strerror}") from error
        except sqlite3.Error as error:
            raise StorageError(f"storage {self.path!r} cannot be copied to {target!r}: {error}") from error


class _Transaction:
    """A class, because a signal cannot come between its beginning and the body, as it can in a generator."""

    def __init__(self, storage: SQLiteStorage) -> None:
        self._storage = storage

    def __enter__(self) -> None:
        storage = self._storage
        storage.waiting = True
        try:
            storage._begin()
        finally:
            storage.waiting = False

    def __exit__(self, kind: object, *_: object) -> None:
        self._storage._finish(commit=kind is None)


class _Suggesting:
    """A turn to compute a suggestion."""

    def __init__(self, storage: SQLiteStorage, queue: int) -> None:
        self._storage, self._turn = storage, storage._shared().turn(queue)

    def _deadline(self) -> float:
        return min(self._storage.latest, time.monotonic() + TURN_PATIENCE)

    def __enter__(self) -> None:
        self._storage.waiting = True
        try:
            self._turn.take(self._deadline)
        except BaseException:
            self._turn.give()
            raise
        finally:
            self._storage.waiting = False

    def __exit__(self, *_: object) -> None:
        self._turn.give()


class _Connection:
    """The one connection of this process to a file.

    Attributes
    ----------
    lock : RLock
        Held for a statement, and by the thread that writes for a whole transaction.
    writer : (SQLiteStorage, int) or None
        Whose transaction is open, and in which thread.
    known : dict of int to int
        Lengths of logs that this process has seen or written.
    broken : str
        Why it can be used no more.
    forgotten : bool
        Whether the process was forked since; SQLite's connections must not cross a fork.
    """

    def __init__(self, path: str, durability: str) -> None:
        self.path, self.durability = path, durability
        self._wal_path = f"{path}-wal"
        self.lock = threading.RLock()
        self.connection: sqlite3.Connection | None = None
        self.writer: tuple[SQLiteStorage, int] | None = None
        self.known: dict[int, int] = {}
        self.forgotten, self.broken = False, ""
        self._identity: tuple[int, int] | None = None
        self._wal: tuple[int, int] | None = None
        self._has_tables = self._ready = False  # ready for writing
        self._turns: dict[int, Turn] = {}
        self._process = os.getpid()
        _all.add(self)

    def __del__(self, getpid: Callable[[], int] = os.getpid) -> None:  # at the end, modules are empty
        # A connection is part of a circle of Python's own, which the garbage collector would have to find.
        if self.connection is not None and self._process == getpid():
            self.connection.close()

    def turn(self, queue: int) -> Turn:
        """The place of this process in a queue: 0 for writing."""
        if queue not in self._turns:
            device, inode = _identity(self.path) or (0, hash(self.path) & 0xFFFFFFFF)
            self._turns[queue] = Turn(f"{device:x}-{inode:x}", queue)
        return self._turns[queue]

    def leave_queues(self) -> None:
        """Close the file of the queues, unless this process is at work."""
        with self.lock:
            if self.writer is None:
                self._turns = {}

    def reading(self, storage: SQLiteStorage) -> sqlite3.Connection | None:
        """The connection, to read; None if there is no file, or nothing in it."""
        if self.writer is not None and self.connection is not None:
            return self.connection  # this thread has the lock: the transaction is its own
        if self._identity is None and _identity(self.path) is None:
            return None
        connection = self._connected(storage)
        self._has_tables = self._has_tables or storage._version(connection) > 0
        return connection if self._has_tables else None

    def writing(self, storage: SQLiteStorage) -> sqlite3.Connection:
        """The connection, to begin a transaction: the tables are there, and as this version has them."""
        if self._ready and self.connection is not None and not self.is_gone() and self.has_its_log():
            return self.connection
        connection = self._connected(storage)
        if not self._ready:
            self._prepare(storage, connection)
            self._wal = _identity(self._wal_path)
            self._ready = True
        return connection

    def has_its_log(self) -> bool:
        """Whether the file next to the database that holds the newest events is the one that was opened."""
        return self._wal is None or _identity(self._wal_path) == self._wal

    def is_gone(self) -> bool:
        """Whether another file, or none, has the name of the one that was opened."""
        return self._identity is not None and _identity(self.path) != self._identity

    def roll_back(self) -> None:
        """Undo uncommitted changes."""
        connection = self.connection
        with contextlib.suppress(sqlite3.Error):
            if connection is not None and connection.in_transaction:
                connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        with self.lock:
            connection, self.connection = self.connection, None
            self._wal, self._ready = None, False
            if connection is not None:
                connection.close()

    def _connected(self, storage: SQLiteStorage) -> sqlite3.Connection:
        if self.broken:
            raise StorageError(f"storage {storage.path!r}: {self.broken}")
        if self._identity is not None:
            self._require_same(storage)
        if self.connection is None:
            self.connection, self._has_tables = self._connect(), False
            self._identity = _identity(self.path)
            if self._missing(storage, self.connection):
                self.broken = (
                    "events that were in it are gone: it has been put back to an earlier state, or its -wal "
                    "file is lost; open the study again, and copy files in use with hpo-core backup"
                )
                raise StorageError(f"storage {storage.path!r}: {self.broken}")
        return self.connection

    def _require_same(self, storage: SQLiteStorage) -> None:
        """Raise if the file is another one than was opened; open it again if only its -wal is."""
        if self.is_gone():
            what = "deleted or moved" if _identity(self.path) is None else "replaced by another"
            raise StorageError(
                f"storage {storage.path!r}: the file has been {what} since it was opened, so nothing more "
                "can be written to it; put it back, or open the study again"
            )
        if self.connection is not None and self.writer is None and not self.has_its_log():
            self._save_log()
            self.close()

    def _save_log(self) -> None:
        """Put the events of a -wal that has been deleted or replaced into the database, if nobody has.

        SQLite deletes it when the last connection closes. Another part of this process that opens and closes
        the database file makes the system forget our locks, and SQLite takes us for gone.
        """
        with contextlib.suppress(sqlite3.Error):
            if self.connection is not None:
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _missing(self, storage: SQLiteStorage, connection: sqlite3.Connection) -> bool:
        """Whether a log is shorter than it was known to be."""
        if storage._version(connection) == 0:
            return any(self.known.values())
        try:
            lengths = {key: connection.execute(_LENGTH, (key,)).fetchone()[0] for key in self.known}
        except sqlite3.DatabaseError:  # damaged: whoever reads it will be told
            return False
        return any(lengths[key] < length for key, length in self.known.items())

    def _connect(self) -> sqlite3.Connection:
        try:
            return _usable(self.path)
        except sqlite3.OperationalError as error:
            code = _code(error)
            if code not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) or _identity(self.path) is None:
                raise
            return self._connect_to_read(error)

    def _connect_to_read(self, error: sqlite3.Error) -> sqlite3.Connection:
        """Open a file that cannot be written, whose -wal and -shm may not be made either."""
        uri = f"file:{quote(self.path)}?mode=ro"
        with contextlib.suppress(sqlite3.OperationalError):
            return _usable(uri, uri=True)
        wal = Path(f"{self.path}-wal")
        if wal.exists() and wal.stat().st_size:
            raise error  # without it the newest events would be missing
        return _usable(f"{uri}&immutable=1", uri=True)

    def _prepare(self, storage: SQLiteStorage, connection: sqlite3.Connection) -> None:
        storage._version(connection)
        _wait_for_wal(connection, storage.deadline())
        connection.execute(f"PRAGMA synchronous = {self.durability}")
        if storage._version(connection) < SCHEMA:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for step in _STEPS[storage._version(connection) :]:  # another process may have been first
                    for statement in filter(str.strip, step.split(";\n")):
                        connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA}")
                connection.execute("COMMIT")
            finally:
                self.roll_back()


_open: weakref.WeakValueDictionary[tuple[str, str], _Connection] = weakref.WeakValueDictionary()
_all: weakref.WeakSet[_Connection] = weakref.WeakSet()


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - twice as fast, and asked for each transaction
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _usable(path: str, *, uri: bool = False) -> sqlite3.Connection:
    """A connection that has read something."""
    connection = sqlite3.connect(
        path, timeout=_BUSY, isolation_level=None, check_same_thread=False, cached_statements=32, uri=uri
    )
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except UnicodeDecodeError as error:  # the message quotes damaged text
        connection.close()
        raise sqlite3.DatabaseError("malformed database schema") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _code(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return code


def _is_busy(error: sqlite3.Error) -> bool:
    return _code(error) == sqlite3.SQLITE_BUSY


def _leave(connection: sqlite3.Connection) -> None:
    """Never close a connection: closing it would delete a -wal that now belongs to others."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _may_pass(error: sqlite3.Error) -> bool:
    """Whether what failed may succeed later: locks end, disks are cleared, file servers come back."""
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def _wait_for_wal(connection: sqlite3.Connection, deadline: float) -> None:
    """Switch to WAL. SQLite does not wait for its lock here, however long its timeout."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _reopen(path: str, durability: str) -> SQLiteStorage:
    return SQLiteStorage(path, durability=durability)


_held_for_fork: list[_Connection] = []


def _before_fork() -> None:
    """Close connections: what SQLite knows of them is copied to the child, but not their locks."""
    for each in list(_all):
        if each.lock.acquire(timeout=_FORK_PATIENCE):
            _held_for_fork.append(each)
            if each.writer is None:
                each.close()


def _after_fork_in_parent() -> None:
    while _held_for_fork:
        _held_for_fork.pop().lock.release()


def _after_fork_in_child() -> None:
    forget()
    _open.clear()
    _held_for_fork.clear()
    for each in list(_all):
        each.forgotten = True
        if each.connection is not None:
            _leave(each.connection)
            each.lock, each.forgotten = threading.RLock(), False
            each.broken = (
                "this process was forked while another thread was changing a study in this file; start it "
                "with the method 'spawn'"
            )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )
