"""Objectives in actors of a Ray cluster."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from hpo_core.errors import ArgumentError
from hpo_core.executors.cluster import Slot, SlotExecutor, how_many_fit
from hpo_core.executors.failures import reason_of
from hpo_core.executors.guard import Guard, lead_group
from hpo_core.executors.inbox import WorkerInbox
from hpo_core.executors.pickling import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from hpo_core.executors.base import Message, Outcome
    from hpo_core.executors.channel import Decision
    from hpo_core.executors.worker import Payload

T = TypeVar("T")


class RayExecutor(SlotExecutor[T, "_RaySlot[T]"]):
    """One actor for each trial that runs at the same time; it serves one trial after another.

    Parameters
    ----------
    payload : Payload
    arguments : callable of a trial
    needs : mapping
        Resource of each trial by its name: "CPU", "GPU" or one of the cluster's own.
    workers : int or None
        Trials that run at the same time; None is as many as the cluster has room for.
    trial_timeout : float

    Raises
    ------
    ArgumentError
        Ray is not installed, the cluster has no room, or the objective cannot be sent.
    """

    def __init__(
        self,
        payload: Payload,
        arguments: Callable[[T], tuple[Any, ...]],
        *,
        needs: Mapping[str, float],
        workers: int | None,
        trial_timeout: float,
    ) -> None:
        ray = _import_ray()
        packed = pack(payload, what=f"objective {payload.job.objective!r}", here=False)
        if not ray.is_initialized():
            ray.init()
        self._ray = ray
        self._payload = ray.put(packed)
        self._needs = {name: need for name, need in needs.items() if need > 0}
        self._workers = workers
        own = {name: need for name, need in self._needs.items() if name not in ("CPU", "GPU")}
        self._actor = ray.remote(_Actor).options(
            num_cpus=needs["CPU"], num_gpus=needs["GPU"], resources=own, max_restarts=0
        )
        super().__init__(arguments, trial_timeout)
        if not self._opening:
            raise ArgumentError(
                f"executor: no node of the Ray cluster has {self._needs}; it has {ray.cluster_resources()}"
            )

    def _refresh(self) -> None:
        room = self._room() if self._workers is None else self._workers
        for _ in range(room - len(self._slots) - len(self._opening) - len(self._load_failures)):
            self._open(_RaySlot(self._actor.remote(), self._payload))

    def _room(self) -> int:
        nodes = (node["Resources"] for node in self._ray.nodes() if node["Alive"])
        return int(sum(how_many_fit(node, self._needs) for node in nodes))

    def _kill(self, slot: _RaySlot[T]) -> None:
        self._ray.kill(slot.worker)

    def _why_lost(self, error: BaseException) -> str:
        return f"the Ray worker died ({type(error).__name__}: {reason_of(error).splitlines()[0]})"

    def close(self, *, cancel: bool = False) -> None:  # noqa: ARG002 - an actor is of no use to others
        """End every actor."""
        for slot in [*self._slots, *self._opening]:
            self._ray.kill(slot.worker)


class _RaySlot(Slot[T]):
    def __init__(self, actor: Any, payload: Any) -> None:
        super().__init__(actor)
        self.opened = actor.start.remote(payload).future()

    def submit(self, key: int, packed: bytes) -> Future[list[Message]]:
        future: Future[list[Message]] = self.worker.work.remote(key, packed).future()
        return future

    def resume(self, key: int, answer: Decision | None) -> Future[list[Message]]:
        future: Future[list[Message]] = self.worker.resume.remote(key, answer).future()
        return future


class _Actor:
    """The worker's side of a slot."""

    def __init__(self) -> None:
        self._inbox = WorkerInbox()
        # Ray notices the end of an actor when its sockets close; processes forked by an objective hold them.
        lead_group()
        self._guard = Guard()
        self._guard.toggle(os.getpid())

    async def start(self, packed: bytes) -> Outcome | None:
        threading.Thread(target=self._inbox.serve, args=(packed, lambda: True), daemon=True).start()
        return await self._inbox.opened()

    async def work(self, key: int, packed: bytes) -> list[Message]:
        return await self._inbox.evaluate(key, packed)

    async def resume(self, key: int, answer: Decision | None) -> list[Message]:
        return await self._inbox.resume(key, answer)


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ArgumentError("executor='ray' needs Ray: pip install 'hpo-core[ray]'") from error
    return ray
