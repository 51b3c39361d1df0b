"""Heartbeats: a worker renews its lease for as long as its process lives.

They come from a process of their own, because a thread stands still while an objective holds the GIL; from
a thread all the same where no such process can be started.
That process knows the storage and nothing of studies; it loads neither numpy nor anything else of the
user's. It ends with the worker's process, however that ends: the pipe between them closes. If the worker was
killed, it ends the lease first, so that the trials go on at once.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hpo_core.errors import StorageError
from hpo_core.printable import printable
from hpo_core.storage.base import RENEWED

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpo_core.storage.base import Storage

logger = logging.getLogger("hpo_core")

# Two beats may be lost, to a busy machine or a lock, before the lease is.
BEATS_PER_LEASE: Final = 3
DYING: Final = 1.0  # seconds from the end of a process's pipes to that of the process, at most
AT_ONCE: Final = 0.001  # seconds of a lease that nobody has to wait for

# Most calls of optimize end before the first beat is due: until then only the interpreter is loaded.
_WAIT = """
import os, sys, threading
pause, parent, own, size = sys.stdin.buffer.readline().split() or sys.exit()
payload = sys.stdin.buffer.read(int(size))
closed = threading.Event()
threading.Thread(target=lambda: (os.read(0, 1), closed.set()), daemon=True).start()
# Not so through the launcher of a virtual environment on Windows, nor in another namespace.
is_child = os.getpid() == int(own)
def orphaned():
    return is_child and os.getppid() != int(parent)
def ended():
    # Another child of the worker may hold its end of the pipe open for longer than it lives.
    return closed.wait(float(pause)) or orphaned()
early = ended()
import pickle
sys.path, beating = pickle.loads(payload)
from hpo_core.storage.heartbeat import beat, end
beating = pickle.loads(beating)
if not early:
    beat(*beating, ended)
end(*beating[:3], orphaned)
"""


class Heartbeat:
    """Renews the lease of one worker, until ``stop`` or the end of this process.

    Parameters
    ----------
    storage : Storage
        One that is ``shared``.
    key : int
        Of the study.
    worker : str
    seconds : float
        Length of the lease; a third of it passes between two beats, and before the first.
    """

    def __init__(self, storage: Storage, key: int, worker: str, seconds: float) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()
        beating = pickle.dumps((storage, key, worker, seconds))
        try:
            self._start_process(beating, seconds / BEATS_PER_LEASE)
        except OSError as error:
            self._stopped.clear()
            logger.info("the heartbeats of %s come from a thread: %s", worker, printable(str(error)))
            self._start_thread(beating, seconds / BEATS_PER_LEASE)

    def _start_process(self, beating: bytes, pause: float) -> None:
        # In a program that embeds Python there may be no interpreter, and a frozen one would start itself.
        if not sys.executable or getattr(sys, "frozen", False):
            raise FileNotFoundError("sys.executable names no Python interpreter")
        root = str(Path(__file__).parents[2])
        payload = pickle.dumps(([*sys.path, root], beating))
        # A session of its own, because Ctrl-C is for the worker to answer.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WAIT],
            stdin=subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if not name.startswith("HPO_CORE_")},
            start_new_session=True,
        )
        try:
            pipe: Any = self._process.stdin
            pids = f"{os.getpid()} {self._process.pid}"
            pipe.write(f"{pause} {pids} {len(payload)}\n".encode() + payload)
            pipe.flush()
        except BaseException:
            self.stop()
            self._process = None
            raise

    def _start_thread(self, beating: bytes, pause: float) -> None:
        def ended() -> bool:
            return self._stopped.wait(pause)

        def run() -> None:
            if not ended():
                storage, key, worker, seconds = pickle.loads(beating)
                beat(storage, key, worker, seconds, ended)

        threading.Thread(target=run, name="hpo_core-heartbeat", daemon=True).start()

    @property
    def beats(self) -> bool:
        """Whether its process is there."""
        return self._process is None or self._process.poll() is None

    def stop(self) -> None:
        """Renew no more."""
        self._stopped.set()
        if self._process is not None:
            self._process.kill()
            pipe: Any = self._process.stdin
            with suppress(OSError):  # what was written only in part, or the objective has closed everything
                pipe.close()
            self._process.wait()


def beat(storage: Storage, key: int, worker: str, seconds: float, ended: Callable[[], bool]) -> None:
    """Renew a lease now and after every wait of ``ended``, which says whether to go on."""
    while True:
        try:
            renew(storage, key, worker, seconds)
        except StorageError as error:  # the next beat may fare better
            logger.warning("the lease of worker %s could not be renewed: %s", worker, printable(str(error)))
        if ended():
            return


def end(storage: Storage, key: int, worker: str, orphaned: Callable[[], bool]) -> None:
    """End the lease of a worker if its process is dead; a living one may have closed the pipe.

    On Windows nobody can tell, and the lease runs out.
    """
    deadline = time.monotonic() + DYING
    while not orphaned():
        if time.monotonic() > deadline:
            return
        time.sleep(0.01)
    with suppress(StorageError):
        renew(storage, key, worker, AT_ONCE)


def renew(storage: Storage, key: int, worker: str, seconds: float) -> None:
    """Renew a lease if its study is still there: a change would make a deleted file again."""
    if key in storage.studies().values():
        with storage.transaction(key):
            storage.append(key, [renewal(storage, worker, seconds)])


def renewal(storage: Storage, worker: str, seconds: float) -> tuple[str, str]:
    """Return the event that makes the lease of a worker end ``seconds`` from now."""
    until = round(storage.now() + seconds, 3)
    return RENEWED, json.dumps({"worker": worker, "until": until, "seconds": seconds}, separators=(",", ":"))
