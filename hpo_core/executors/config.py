"""The settings that ``optimize`` takes as ``executor=``: the place of trials, and their limits."""

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
        """Make ready for trials; ``arguments`` returns the data to send for a trial."""


@dataclass(frozen=True)
class Processes:
    """Processes of this machine.

    Processes that the objective starts belong to the process group of its worker. They are killed together
    with the worker: by a time limit, by Ctrl-C, or because the process that called ``optimize`` was killed.

    Parameters
    ----------
    workers : int
        Number of processes; -1 is one per CPU. Each starts with CPUs / workers threads in
        ``OMP_NUM_THREADS`` and similar variables, unless one of them is set.
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

    Its trials cannot be killed: after Ctrl-C running trials continue, but their results are not used, and
    there is no ``trial_timeout``. Trials in threads can call ``should_stop``; in processes it is always
    False.

    Parameters
    ----------
    executor : concurrent.futures.Executor
    workers : int, optional
        Number of trials that it runs at the same time; required if the executor does not have this number.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="random", seed=0)
    >>> with ThreadPoolExecutor(2) as executor:
    ...     study.optimize(lambda trial: trial["x"] ** 2, n_trials=4, executor=Pool(executor))
    >>> len(study.trials.where("complete"))
    4
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

    Workers may join at any time. ``optimize`` occupies the threads that it uses until it returns. Ctrl-C and
    ``trial_timeout`` end a trial by killing its worker, which the nanny restarts; other tasks on that worker
    start over. The client's ``connection_limit`` (512) also limits the number of trials that run at once.

    Parameters
    ----------
    client : distributed.Client
    resources : mapping, optional
        Resources of a worker that a trial takes: with ``{"GPU": 1}``, workers that were started with
        ``--resources GPU=2`` run two trials at a time.
    trial_timeout : float, optional
        Seconds after which a trial is killed, and fails with the reason "timeout".

    Examples
    --------
    ::

        client = Client("scheduler:8786")
        study.optimize(objective, n_trials=100, executor=Dask(client, resources={"GPU": 1}))
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
        """Send the objective to all workers."""
        from hpo_core.executors.dask import DaskExecutor

        timeout = _seconds(self.trial_timeout)
        return DaskExecutor(
            payload, arguments, client=self.client, resources=self.resources, trial_timeout=timeout
        )


@dataclass(frozen=True, kw_only=True)
class Ray:
    """Actors on a Ray cluster: the cluster of this process, or the one that ``ray.init()`` finds.

    Parameters
    ----------
    num_cpus, num_gpus : float
        CPUs and GPUs that a trial takes: with ``num_gpus=0.25``, four trials share a GPU.
    resources : mapping, optional
        Custom resources of the cluster that a trial takes.
    workers : int, optional
        Number of trials that run at the same time; by default as many as fit on the cluster now. Give a
        number if the cluster grows on demand.
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
            raise ArgumentError("num_cpus, num_gpus or resources must be > 0, got 0 for all of them")
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
    """Simulated workers on a virtual clock, in this process and thread, to study large sweeps.

    A study takes the same course each time, and no longer than the calls of the objective and the study's own
    work. The times and costs of trials, and ``timeout``, are virtual; the clock starts at 0 in each call of
    ``optimize``.

    The objective is called when its trial starts, and a second time if the trial is told to stop or pause. It
    must depend on the trial only, end by itself, and save no checkpoints. If the scheduler pauses trials,
    give the study a folder for checkpoints: ``trial.steps`` then continues after the last report.

    Parameters
    ----------
    workers : int
        Number of trials that run at the same time.
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
    """Return the configuration of an executor, None for this thread.

    Parameters
    ----------
    executor : object
        As for ``Study.optimize``.

    Returns
    -------
    ExecutorConfig or None

    Raises
    ------
    ArgumentError
        ``executor`` is not one of the values that ``optimize`` accepts.
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
