"""Ends the workers of a process that was killed.

An objective that holds the GIL keeps every thread of its worker from noticing that the parent is gone, and
processes that the objective started do not notice it either. A small separate process therefore watches.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

# Each line names a group that must end with the parent; naming it a second time takes it off the list. The
# pipe does not close with the parent if another child holds it too, hence the check of the parent's id.
_WATCH = """
import os, signal, sys, threading
groups, parent = set(), int(sys.argv[1])
def read():
    for line in sys.stdin:
        groups.symmetric_difference_update({int(line)})
reader = threading.Thread(target=read, daemon=True)
reader.start()
while reader.is_alive() and os.getppid() == parent:
    reader.join(0.5)
reader.join(0.5)  # the parent may have died before its last lines were read
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


def lead_group() -> None:
    """Let this process lead its own group, to which the processes that it starts will belong."""
    if hasattr(os, "setpgid") and os.getpgrp() != os.getpid():
        os.setpgid(0, 0)


class Guard:
    """Kills process groups if this process dies. Does nothing on systems without them, such as Windows."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()

    def toggle(self, group: int) -> None:
        """Start to watch a group, or stop if it is watched already."""
        # The executable of a frozen program runs that program.
        if not hasattr(os, "killpg") or getattr(sys, "frozen", False) or not sys.executable:
            return
        self._groups ^= {group}
        try:
            self._tell([group] if self._process is not None else self._groups)
        except OSError:  # it has been killed: another one takes its place
            self.stop()
            self._tell(self._groups)

    def _tell(self, groups: Iterable[int]) -> None:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _WATCH, str(os.getpid())],
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
        pipe: Any = self._process.stdin
        pipe.write(b"".join(b"%d\n" % group for group in groups))
        pipe.flush()

    def stop(self) -> None:
        """Watch nothing any more."""
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(OSError):  # it has not read everything
                self._process.communicate()
            self._process = None
