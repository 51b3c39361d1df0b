"""A slot as its worker sees it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from hpo_core.executors.base import Outcome
from hpo_core.executors.channel import QueueChannel
from hpo_core.executors.worker import load, unpack_and_perform

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpo_core.executors.base import Message
    from hpo_core.executors.channel import Decision

RELEASE_SECONDS = 0.1  # until a slot that is no longer wanted returns its thread


class WorkerInbox:
    """Passes messages between the engine's event loop and the thread that evaluates.

    The next trial is in the inbox before the last outcome has left, so that there is nothing but a queue
    between two objectives. ``evaluate`` takes a trial and returns its first messages, and each ``resume``
    returns more, up to the outcome: a trial that neither reports nor asks costs one call.
    """

    def __init__(self) -> None:
        self._opened: Future[Outcome | None] = Future()
        self._inbox: SimpleQueue[tuple[bytes, _Conversation]] = SimpleQueue()
        self._conversations: dict[int, _Conversation] = {}

    async def opened(self) -> Outcome | None:
        """Wait until the objective is loaded; return the outcome of every trial if it cannot be."""
        return await asyncio.wrap_future(self._opened)

    async def evaluate(self, key: int, packed: bytes) -> list[Message]:
        """Have one trial evaluated, given the pickled arguments of its handle; return its first messages."""
        self._conversations[key] = conversation = _Conversation()
        self._inbox.put((packed, conversation))
        return await self.resume(key, None)

    async def resume(self, key: int, answer: Decision | None) -> list[Message]:
        """Answer the trial if it has asked, and wait for its next messages; the outcome comes last."""
        conversation = self._conversations[key]
        if answer is not None:
            conversation.channel.answers.put(answer)
        messages = await conversation.listen()
        if isinstance(messages[-1], Outcome):
            del self._conversations[key]
        return messages

    def serve(self, packed: bytes, is_wanted: Callable[[], bool]) -> bool:
        """Load the payload, and evaluate trials in the calling thread; return whether it could be loaded."""
        payload = load(packed)
        if isinstance(payload, Outcome):
            self._opened.set_result(payload)
            return False
        self._opened.set_result(None)
        while is_wanted():
            try:
                task, conversation = self._inbox.get(timeout=RELEASE_SECONDS)
            except Empty:
                continue
            conversation.put(unpack_and_perform(payload, task, conversation.channel))
        return True


class _Conversation:
    """The messages of a trial that have not been fetched yet."""

    def __init__(self) -> None:
        self.channel = QueueChannel(self.put)
        self._lock = threading.Lock()
        self._said: list[Message] = []
        self._bell: Future[None] = Future()

    def put(self, message: Message) -> None:
        with self._lock:
            self._said.append(message)
            if not self._bell.done():
                self._bell.set_result(None)

    async def listen(self) -> list[Message]:
        """Wait until there are messages, and take them."""
        await asyncio.wrap_future(self._bell)
        with self._lock:
            said, self._said, self._bell = self._said, [], Future()
        return said
