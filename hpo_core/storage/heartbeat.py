"""Heartbeats: a worker renews its lease for as long as its process lives.

They come from a process of their own, because a thread stands still while an objective holds the GIL.
That process knows the storage and nothing of studies; it loads neither numpy nor anything else of the
user's. It ends with the worker's process, however that ends: the pipe between them closes.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hpo_core.errors import StorageError
from hpo_core.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpo_core.storage.base import Storage

logger = logging.getLogger("hpo_core")

RENEWED: Final = "renewed"
# Two beats may be lost, to a busy machine or a lock, before the lease is.
BEATS_PER_LEASE: Final = 3

# Most calls of optimize end before the first beat is due: until then only the interpreter is loaded.
_WAIT = """
import os, sys, threading
pause, parent, size = sys.stdin.buffer.readline().split()
payload = sys.stdin.buffer.read(int(size))
closed = threading.Event()
threading.Thread(target=lambda: (os.read(0, 1), closed.set()), daemon=True).start()
def ended():
    # Another child of the worker may hold its end of the pipe open for longer than it lives.
    return closed.wait(float(pause)) or os.getppid() != int(parent)
if not ended():
    import pickle
    sys.path, beating = pickle.loads(payload)
    from hpo_core.storage.heartbeat import beat
    beat(*pickle.loads(beating), ended)
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
        root = str(Path(__file__).parents[2])
        payload = pickle.dumps(([*sys.path, root], pickle.dumps((storage, key, worker, seconds))))
        head = f"{seconds / BEATS_PER_LEASE} {os.getpid()} {len(payload)}\n"
        # A session of its own, because Ctrl-C is for the worker to answer.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WAIT],
            stdin=subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if not name.startswith("HPO_CORE_")},
            start_new_session=True,
        )
        pipe: Any = self._process.stdin
        pipe.write(head.encode() + payload)
        pipe.flush()

    @property
    def beats(self) -> bool:
        """Whether its process is there."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Renew no more."""
        self._process.kill()
        self._process.communicate()


def beat(storage: Storage, key: int, worker: str, seconds: float, ended: Callable[[], bool]) -> None:
    """Renew a lease now and after every wait of ``ended``, which says whether to go on."""
    while True:
        try:
            with storage.transaction(key):
                storage.append(key, [renewal(storage, worker, seconds)])
        except StorageError as error:  # the next beat may fare better
            logger.warning("the lease of worker %s could not be renewed: %s", worker, printable(str(error)))
        if ended():
            return


def renewal(storage: Storage, worker: str, seconds: float) -> tuple[str, str]:
    """Return the event that makes the lease of a worker end ``seconds`` from now."""
    until = round(storage.now() + seconds, 3)
    return RENEWED, json.dumps({"worker": worker, "until": until, "seconds": seconds}, separators=(",", ":"))
