"""A lane as its worker sees it."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from hpo_core.executors.base import Outcome
from hpo_core.executors.worker import load, unpack_and_perform

if TYPE_CHECKING:
    from collections.abc import Callable


RELEASE_SECONDS = 0.1  # until a lane that nobody wants any more gives its thread back


class Desk:
    """Where the engine's messages, in its event loop, meet the thread that evaluates.

    The next trial is in the inbox before the last outcome has left: nothing lies between two objectives
    but a queue.
    """

    def __init__(self) -> None:
        self._opened: Future[Outcome | None] = Future()
        self._inbox: SimpleQueue[tuple[bytes, Future[Outcome]]] = SimpleQueue()

    async def opened(self) -> Outcome | None:
        """Wait until the objective is loaded; how every trial ends if it cannot be."""
        return await asyncio.wrap_future(self._opened)

    async def evaluate(self, packed: bytes) -> Outcome:
        """Have one trial evaluated, given the pickled arguments of its handle."""
        future: Future[Outcome] = Future()
        self._inbox.put((packed, future))
        return await asyncio.wrap_future(future)

    def serve(self, packed: bytes, is_wanted: Callable[[], bool]) -> bool:
        """Load the payload and evaluate what comes, in the calling thread; whether it could be loaded."""
        payload = load(packed)
        if isinstance(payload, Outcome):
            self._opened.set_result(payload)
            return False
        self._opened.set_result(None)
        while is_wanted():
            try:
                task, future = self._inbox.get(timeout=RELEASE_SECONDS)
            except Empty:
                continue
            future.set_result(unpack_and_perform(payload, task))
        return True
