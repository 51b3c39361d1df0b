"""The settings that ``optimize`` takes as ``executor=``: where trials run, and under which limits."""

from __future__ import annotations

import concurrent.futures
import math
import sys
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from hpo_core.checks import as_int, check_mapping, check_number, shown
from hpo_core.errors import ArgumentError
from hpo_core.executors.processes import ProcessExecutor
from hpo_core.machine import available_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hpo_core.executors.base import Executor
    from hpo_core.executors.worker import Payload

    Arguments = Callable[[Any], tuple[Any, ...]]


class ExecutorConfig(Protocol):
    """A place where trials can run."""

    def start(self, payload: Payload, arguments: Arguments) -> Executor[Any]:
        """Make ready for trials; ``arguments`` gives what is sent for one of them."""


@dataclass(frozen=True)
class Processes:
    """Processes of this machine.

    Processes that the objective starts belong to the process group of its worker. They are killed with the
    worker: by a time limit, by Ctrl-C, or because the process that called ``optimize`` was killed.

    Parameters
    ----------
    workers : int
        How many; -1 is one per CPU. Each starts with CPUs / workers threads in ``OMP_NUM_THREADS`` and
        its kin, unless one is set.
    trial_timeout : float, optional
        Seconds after which a trial's process is killed, and the trial fails with the reason "timeout".

    Examples
    --------
    >>> Processes(4, trial_timeout=60)
    Processes(workers=4, trial_timeout=60)
    """

    workers: int
    _: KW_ONLY
    trial_timeout: float | None = None

    def __post_init__(self) -> None:
        _take_workers(self)
        _check_timeout(self.trial_timeout)

    def start(self, payload: Payload, arguments: Arguments) -> Executor[Any]:
        """Make ready; a process starts with its first trial."""
        workers = available_cpus() if self.workers == -1 else int(self.workers)
        timeout = _seconds(self.trial_timeout)
        return ProcessExecutor(payload, arguments, workers=workers, trial_timeout=timeout)


@dataclass(frozen=True)
class Pool:
    """A ``concurrent.futures.Executor`` of your own, which stays open.

    Nothing can kill a trial that it runs: after Ctrl-C such trials go on, unheard, and there is no
    ``trial_timeout``. Trials in threads are told to stop if they ask; trials in processes cannot ask.

    Parameters
    ----------
    executor : concurrent.futures.Executor
    workers : int, optional
        How many trials it runs at the same time; needed if the executor does not say.
    """

    executor: concurrent.futures.Executor
    _: KW_ONLY
    workers: int | None = None

    SIZES: ClassVar = ("_max_workers", "num_workers")  # of the standard library and loky, of mpi4py

    def __post_init__(self) -> None:
        if not isinstance(self.executor, concurrent.futures.Executor):
            raise ArgumentError(f"executor must be a concurrent.futures.Executor, got {self.executor!r}")
        if self.workers is not None:
            _take_workers(self)

    def start(self, payload: Payload, arguments: Arguments) -> Executor[Any]:
        """Make ready."""
        from hpo_core.executors.pool import PoolExecutor

        sizes = (getattr(self.executor, name, None) for name in self.SIZES)
        workers = self.workers or next((size for size in sizes if size), None)
        if workers is None:
            raise ArgumentError(
                f"executor {self.executor!r} does not say how many workers it has: "
                "pass hpo_core.executors.Pool(executor, workers=...)"
            )
        return PoolExecutor(payload, arguments, pool=self.executor, workers=workers)


@dataclass(frozen=True)
class Dask:
    """The workers of a Dask cluster, one trial for each of their threads.

    Workers may join at any time. ``optimize`` holds the threads that it uses until it returns. Ctrl-C and
    ``trial_timeout`` end a trial by killing its worker, which the nanny starts again; other tasks that ran
    there start over. The client's ``connection_limit`` (512) also limits how many trials run at once.

    Parameters
    ----------
    client : distributed.Client
    resources : mapping, optional
        Resources of a worker that a trial takes: with ``{"GPU": 1}``, workers that were started with
        ``--resources GPU=2`` run two at a time.
    trial_timeout : float, optional
        Seconds after which a trial is killed, and fails with the reason "timeout".
    """

    client: Any
    _: KW_ONLY
    resources: Mapping[str, float] = field(default_factory=dict)
    trial_timeout: float | None = None

    def __post_init__(self) -> None:
        if not is_dask_client(self.client):
            raise ArgumentError(f"client must be a distributed.Client, got {self.client!r}")
        _check_resources(self.resources)
        _check_timeout(self.trial_timeout)

    def start(self, payload: Payload, arguments: Arguments) -> Executor[Any]:
        """Send the objective to every worker."""
        from hpo_core.executors.dask import DaskExecutor

        timeout = _seconds(self.trial_timeout)
        return DaskExecutor(
            payload, arguments, client=self.client, resources=self.resources, trial_timeout=timeout
        )


@dataclass(frozen=True, kw_only=True)
class Ray:
    """Actors on a Ray cluster: the one this process is connected to, or else the one ``ray.init()`` finds.

    Parameters
    ----------
    num_cpus, num_gpus : float
        CPUs and GPUs that a trial takes: with ``num_gpus=0.25``, four trials share a GPU.
    resources : mapping, optional
        Custom resources of the cluster that a trial takes.
    workers : int, optional
        How many trials run at the same time. The default is as many as the cluster has room for; a
        cluster that grows on demand must be asked for more.
    trial_timeout : float, optional
        Seconds after which a trial is killed, and fails with the reason "timeout".

    Examples
    --------
    >>> Ray(num_gpus=0.25).num_cpus
    1
    """

    num_cpus: float = 1
    num_gpus: float = 0
    resources: Mapping[str, float] = field(default_factory=dict)
    workers: int | None = None
    trial_timeout: float | None = None

    def __post_init__(self) -> None:
        _check_resources(self.resources)
        for name in ("num_cpus", "num_gpus"):
            check_number(name, getattr(self, name), "a finite number >= 0", lambda n: 0 <= n < math.inf)
        if self.num_cpus == self.num_gpus == 0 and not self.resources:
            raise ArgumentError("num_cpus, num_gpus and resources must not all be 0: a trial takes nothing")
        if self.workers is not None:
            _take_workers(self)
        _check_timeout(self.trial_timeout)

    def start(self, payload: Payload, arguments: Arguments) -> Executor[Any]:
        """Connect to Ray, and start an actor for each trial that there is room for."""
        from hpo_core.executors.ray import RayExecutor

        needs = {"CPU": self.num_cpus, "GPU": self.num_gpus, **self.resources}
        timeout = _seconds(self.trial_timeout)
        return RayExecutor(payload, arguments, needs=needs, workers=self.workers, trial_timeout=timeout)


@dataclass(frozen=True)
class Simulated:
    """Workers of a simulation, in this process and thread and on a virtual clock: to study large sweeps.

    The course of a study is the same each time. It takes as long as the calls of the objective and the
    study's own work. The times and costs of trials, and ``timeout``, are virtual; the clock starts at 0 in
    each call of ``optimize``.

    The objective is called when its trial starts, and a second time if the trial is told to stop or pause. It
    must depend on the trial alone, end without being told to, and save no checkpoints. If the scheduler
    pauses trials, give the study a folder for checkpoints: ``trial.steps`` goes on after the last report.

    Parameters
    ----------
    workers : int
        How many trials run at the same time.
    seconds : float or callable of (trial, step), default 1.0
        Seconds from the start of a trial, or from its last report, to its report of a step. A trial that does
        not report takes the seconds of its step 0.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> def train(trial):
    ...     for epoch in trial.steps(9):
    ...         trial.report(epoch, trial["x"] / (epoch + 1))
    ...         if trial.should_stop():
    ...             break
    ...     return trial["x"] / (epoch + 1)
    >>> study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", scheduler="asha", seed=0)
    >>> study.optimize(train, n_trials=200, executor=Simulated(100, seconds=60))
    >>> float(study.history.cost.max())
    540.0
    """

    workers: int
    _: KW_ONLY
    seconds: float | Callable[[Any, int], float] = 1.0

    def __post_init__(self) -> None:
        _take_workers(self)
        if not callable(self.seconds):
            rule = "a finite number >= 0 or a function of (trial, step)"
            check_number("seconds", self.seconds, rule, lambda s: 0 <= s < math.inf)

    def start(self, payload: Payload, arguments: Arguments) -> Executor[Any]:
        """Set the clock to 0."""
        from hpo_core.executors.simulated import SimulatedExecutor

        given = self.seconds
        seconds = given if callable(given) else lambda _, __: given
        return SimulatedExecutor(payload, arguments, workers=self.workers, seconds=seconds)


def choose(executor: object) -> ExecutorConfig | None:
    """Return where trials run, None for this thread.

    Raises
    ------
    ArgumentError
        The argument of ``optimize`` is none of what it takes.
    """
    processes = as_int(executor)
    if processes is not None and (processes >= 1 or processes == -1):
        return None if processes == 1 else Processes(processes)
    if executor is None:
        return None
    if isinstance(executor, Processes | Pool | Dask | Ray | Simulated):
        return executor
    if isinstance(executor, concurrent.futures.Executor):
        return Pool(executor)
    if is_dask_client(executor):
        return Dask(executor)
    if executor == "ray":
        return Ray()
    raise ArgumentError(
        "executor must be None, a number of processes (-1: one per CPU), a concurrent.futures.Executor, a "
        "Dask Client, 'ray', or one of hpo_core.executors: Processes, Pool, Dask, Ray, Simulated, "
        f"got {executor!r}"
    )


def is_dask_client(value: object) -> bool:
    """Whether this is a ``distributed.Client``; whoever has one has imported distributed."""
    distributed = sys.modules.get("distributed")
    return distributed is not None and isinstance(value, distributed.Client)


def _take_workers(config: Processes | Pool | Ray | Simulated) -> None:
    """Check how many workers a configuration has, and have it as a Python int."""
    workers = as_int(config.workers)
    if workers is None or not (workers >= 1 or (workers == -1 and isinstance(config, Processes))):
        also = " or -1" if isinstance(config, Processes) else ""
        raise ArgumentError(f"workers must be an int >= 1{also}, got {shown(config.workers)}")
    object.__setattr__(config, "workers", workers)


def _check_timeout(seconds: object) -> None:
    if seconds is not None:
        rule = "a finite number of seconds > 0 or None"
        check_number("trial_timeout", seconds, rule, lambda s: 0 < s < math.inf)


def _check_resources(resources: object) -> None:
    for name, need in check_mapping("resources", resources, "a mapping of names to numbers > 0").items():
        if not isinstance(name, str):
            raise ArgumentError(
                f"resources must be a mapping of names to numbers > 0, got the name {shown(name)}"
            )
        check_number(f"resources[{name!r}]", need, "a finite number > 0", lambda n: 0 < n < math.inf)


def _seconds(timeout: float | None) -> float:
    return math.inf if timeout is None else float(timeout)
