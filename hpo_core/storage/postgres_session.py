"""A connection to a PostgreSQL server that comes back when the server does."""

from __future__ import annotations

import os
import random
import re
import time
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import unquote

from hpo_core.errors import StorageError, StorageRefusedError
from hpo_core.storage.base import PATIENCE
from hpo_core.storage.masking import HARMLESS, masked
from hpo_core.storage.postgres_tables import bring_up_to_date, run, version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
# Workers that lost one server must not come back in step, nor draw from the user's generator.
_DICE: Final = random.SystemRandom()
# The server ends the session: it stops, has crashed, is starting, or the transaction stood still.
_ENDED: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03"})
# Dead machines close no connection. Both ends notice in a minute; what the URL says goes first.
_OPTIONS: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "application_name": "hpo_core",
}
# A writer that holds a log's lock and stands still is waited for: then the server ends its session. Limits
# that the role or the database sets for other programs would end a wait that is part of the plan.
# Without statistics the planner sorts the rest of a log for each page of it: the index has it in order.
_SETTINGS: Final = f"""
SELECT set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false),
    set_config('tcp_keepalives_count', '3', false), set_config('enable_sort', 'off', false),
    set_config('idle_in_transaction_session_timeout', '{PATIENCE:.0f}s', false);
SELECT set_config(name, '0', false) FROM pg_settings
    WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_session_timeout');
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""


class Session:
    """One connection at a time, never the one of a parent process.

    Parameters
    ----------
    url : str
    met : bool
        Whether the server is known to be there: it is then waited for, an unknown one is not.

    Raises
    ------
    StorageError
        psycopg is missing, or the URL cannot be read.
    """

    def __init__(self, url: str, *, met: bool = False) -> None:
        self.url = url
        self.met = met
        self._connection: Any = None
        self._process = 0
        self._finish: Any = None
        self._options = _read(url)

    def __str__(self) -> str:
        return masked(self.url)

    def patiently(self, attempt: Callable[[Any], T], deadline: float) -> T:
        """Return what an attempt gives that may be made again, once the server is there."""
        pause = _FIRST_PAUSE
        while True:
            try:
                return attempt(self.connected())
            except driver().Error as error:
                if not self.is_lost(error) or time.monotonic() > deadline:
                    raise
            time.sleep(_DICE.uniform(0.0, pause))
            pause = min(2.0 * pause, _LONGEST_PAUSE)

    def connected(self) -> Any:
        """Return the connection, a new one if there is none or if a signal broke off its last command."""
        if self._process != os.getpid():
            self._connection = None
        elif self._connection is not None and _in_mid_command(self._connection):
            self.close()
        if self._connection is None:
            self._connection = self._prepared()
            self._process = os.getpid()
            # Registered there, it outlives a fork untouched: its end in the child would end it here.
            self._finish = weakref.finalize(self, _close, self._connection, self._process)
            self.met = True
        return self._connection

    def _prepared(self) -> Any:
        connection = self._connect()
        try:
            run(connection, _SETTINGS)
            bring_up_to_date(connection, str(self))
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self) -> Any:
        psycopg = driver()
        return psycopg.connect(self._options, autocommit=True, cursor_factory=psycopg.ClientCursor)

    def has_tables(self) -> bool:
        """Whether the tables exist."""
        with self._connect() as connection:
            return version(connection, str(self)) > 0

    def is_lost(self, error: Any) -> bool:
        """Whether an error means that there is no connection any more."""
        if self._connection is None:
            return self.met
        if self._connection.closed or error.sqlstate in _ENDED:
            self.close()
            return True
        return False

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        if self._finish is not None:
            self._finish()
        self._connection = self._finish = None

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn errors of the database into a ``StorageError`` that keeps secrets, which libpq repeats."""
        try:
            yield
        except driver().Error as error:
            text = " ".join(str(error).split())
            for secret in _secrets(self._options):
                text = text.replace(secret, "***")
            # Locks, full disks and servers that are away are no errors of the query.
            may_pass = isinstance(error, driver().OperationalError)
            kind = StorageRefusedError if may_pass else StorageError
            raise kind(f"storage {str(self)!r}: {text}") from None


def driver() -> Any:
    """Return psycopg."""
    try:
        import psycopg
    except ImportError as error:
        raise StorageError("PostgreSQL needs psycopg: pip install 'hpo-core[postgres]'") from error
    return psycopg


def _read(url: str) -> str:
    """Return a URL with our options, checked without showing its contents."""
    psycopg = driver()
    secret = re.search(r"://[^/?#\s:]*:(.*)@", url, re.DOTALL)
    try:
        given = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        given = None
    # A password with an @ or a / in it would be taken for the server's name, and shown as such.
    if given is None or (secret is not None and unquote(secret[1]) != given.get("password")):
        raise StorageError(
            "storage must be postgresql://user:password@host:port/database with special characters "
            "percent-encoded, got a URL that cannot be read; it is not shown, since it may hold a password"
        )
    return str(psycopg.conninfo.make_conninfo(**(_OPTIONS | given | {"client_encoding": "UTF8"})))


def _secrets(options: str) -> list[str]:
    """Values of a connection string that may be secret, and as one line, the longest first."""
    given = driver().conninfo.conninfo_to_dict(options)
    values = {str(value) for name, value in given.items() if name not in HARMLESS and value}
    return sorted(values | {" ".join(value.split()) for value in values}, key=len, reverse=True)


def _in_mid_command(connection: Any) -> bool:
    """Whether a command was sent and nobody reads its answer: the connection takes no other.

    Another thread that runs a command holds the lock of the connection.
    """
    if not connection.lock.acquire(blocking=False):
        return False
    try:
        return bool(connection.pgconn.transaction_status == driver().pq.TransactionStatus.ACTIVE)
    finally:
        connection.lock.release()


def _close(connection: Any, process: int) -> None:
    if process == os.getpid():
        connection.close()
