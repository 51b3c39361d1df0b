"""Objectives on the workers of a Dask cluster.

A Dask task per trial would cost the scheduler and the worker several milliseconds. A slot is therefore one
lasting task, one for each thread of a worker or as many as its resources allow. Trials reach it by messages
that Dask's own scheduling does not see.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from hpo_core.errors import ArgumentError
from hpo_core.executors.cluster import Slot, SlotExecutor, how_many_fit
from hpo_core.executors.failures import describe
from hpo_core.executors.inbox import WorkerInbox
from hpo_core.executors.pickling import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from hpo_core.executors.base import Message, Outcome
    from hpo_core.executors.channel import Decision
    from hpo_core.executors.worker import Payload

DIED = "the Dask worker died"

T = TypeVar("T")

logger = logging.getLogger("hpo_core")


class DaskExecutor(SlotExecutor[T, "_DaskSlot[T]"]):
    """A slot for each thread of each worker. Workers may join later.

    Parameters
    ----------
    payload : Payload
    arguments : callable of a trial
    client : distributed.Client
    resources : mapping
        Resources of a worker that a trial needs, by name.
    trial_timeout : float
        Seconds after which the worker of a trial is restarted; workers then need a nanny.

    Raises
    ------
    ArgumentError
        The client is asynchronous, a worker cannot be restarted, or the objective cannot be sent.
    """

    def __init__(
        self,
        payload: Payload,
        arguments: Callable[[T], tuple[Any, ...]],
        *,
        client: Any,
        resources: Mapping[str, float],
        trial_timeout: float,
    ) -> None:
        if client.asynchronous:
            raise ArgumentError("executor must be a synchronous Dask client, got an asynchronous one")
        self._client = client
        self._payload = pack(payload, what=f"objective {payload.job.objective!r}", here=False)
        self._resources = dict(resources)
        self._known: dict[str, bool] = {}  # whether a nanny watches the worker, by address
        self._killed: set[str] = set()  # addresses that the scheduler may still count
        super().__init__(arguments, trial_timeout)

    def _refresh(self) -> None:
        present = self._client.nthreads().keys()
        self._killed &= present
        addresses = present - self._killed
        for slot in [*self._slots, *self._opening]:
            if slot.worker not in addresses and slot in self._slots | self._opening:
                self._lose(slot, DIED)
        if not addresses <= self._known.keys():
            workers = self._client.scheduler_info(n_workers=-1)["workers"]
            for address in addresses & workers.keys() - self._known.keys():
                self._welcome(address, workers[address])
        self._known = {address: nanny for address, nanny in self._known.items() if address in addresses}

    def _welcome(self, address: str, worker: Mapping[str, Any]) -> None:
        self._known[address] = worker["nanny"] is not None
        if not self._known[address] and self._trial_timeout < math.inf:
            raise ArgumentError(f"trial_timeout needs Dask workers with a nanny; {address} has none")
        for _ in range(int(min(worker["nthreads"], how_many_fit(worker["resources"], self._resources)))):
            self._open(_DaskSlot(self._client, address, self._payload, self._resources))

    def _kill(self, slot: _DaskSlot[T]) -> None:
        self._killed.add(slot.worker)
        _on_loop(self._client, self._kill_workers, [slot.worker])

    async def _kill_workers(self, addresses: list[str]) -> None:
        # `restart_workers` would let the objectives run for four more seconds.
        await self._client.run(_kill_worker, workers=addresses, nanny=True)

    def _why_lost(self, error: BaseException) -> str:
        return DIED if isinstance(error, OSError) else f"{DIED} ({describe(error)})"

    def close(self, *, cancel: bool = False) -> None:
        """Give the threads back; with ``cancel``, kill the busy workers."""
        busy = {slot.worker for slot in self._slots if slot.tasks}
        for slot in [*self._slots, *self._opening]:
            slot.serving.release()
        watched = [address for address in busy if self._known.get(address)]
        if cancel and watched:
            _on_loop(self._client, self._kill_workers, watched).exception()  # one may be dead already
        if cancel and len(watched) < len(busy):
            logger.warning(
                "trials go on in Dask workers that have no nanny to restart them; their results are not used"
            )


class _DaskSlot(Slot[T]):
    def __init__(self, client: Any, address: str, payload: bytes, resources: dict[str, float]) -> None:
        super().__init__(address)
        self._client = client
        self._name = f"hpo_core-slot-{uuid.uuid4().hex}"
        self.serving = client.submit(
            _serve, self._name, payload, key=self._name, workers=[address], resources=resources
        )
        self.opened = self._call(_opened)

    def submit(self, key: int, packed: bytes) -> Future[list[Message]]:
        return self._call(_evaluate, key, packed)

    def resume(self, key: int, answer: Decision | None) -> Future[list[Message]]:
        return self._call(_resume, key, answer)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        async def call() -> Any:
            replies = await self._client.run(function, self._name, *arguments, workers=[self.worker])
            return replies[self.worker]

        return _on_loop(self._client, call)


def _on_loop(client: Any, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
    return asyncio.run_coroutine_threadsafe(function(*arguments), client.loop.asyncio_loop)


# On the worker and its nanny


def _kill_worker(dask_worker: Any) -> None:
    import psutil  # Dask needs it too

    worker = psutil.Process(dask_worker.pid)
    started = worker.children(recursive=True)  # by objectives
    worker.kill()
    for process in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


_inboxes: dict[str, WorkerInbox] = {}  # made by a message or by the task, whichever comes first


async def _opened(name: str) -> Outcome | None:
    failure = await _inboxes.setdefault(name, WorkerInbox()).opened()
    if failure is not None:
        del _inboxes[name]
    return failure


async def _evaluate(name: str, key: int, packed: bytes) -> list[Message]:
    return await _inboxes[name].evaluate(key, packed)


async def _resume(name: str, key: int, answer: Decision | None) -> list[Message]:
    return await _inboxes[name].resume(key, answer)


def _serve(name: str, packed: bytes) -> None:
    """Be a slot for as long as the client wants it."""
    from distributed import get_worker

    tasks = get_worker().state.tasks
    # Its state is "cancelled" once the client has let go, or is gone.
    if _inboxes.setdefault(name, WorkerInbox()).serve(packed, lambda: tasks[name].state == "executing"):
        del _inboxes[name]  # otherwise `_opened` may not have come yet
