"""Where objectives run: this thread, processes, somebody's pool, the workers of Dask or Ray.

``Study.optimize(..., executor=...)`` takes None, a number of processes, a ``concurrent.futures.Executor``,
a Dask ``Client`` or "ray"; ``Processes``, ``Pool``, ``Dask`` and ``Ray`` say the same with options.
"""

from hpo_core.executors.base import Executor, Job, Outcome
from hpo_core.executors.config import Choice, Dask, Pool, Processes, Ray, choose
from hpo_core.executors.serial import SerialExecutor
from hpo_core.executors.worker import Payload

__all__ = [
    "Choice",
    "Dask",
    "Executor",
    "Job",
    "Outcome",
    "Payload",
    "Pool",
    "Processes",
    "Ray",
    "SerialExecutor",
    "choose",
]
