"""Executors, which run objectives: this thread, processes, a pool of your own, the workers of Dask or Ray.

``Study.optimize(..., executor=...)`` takes None, a number of processes, a ``concurrent.futures.Executor``,
a Dask ``Client`` or "ray"; ``Processes``, ``Pool``, ``Dask`` and ``Ray`` are the same with options.
"""

from hpo_core.executors.base import Executor, Job, Message, Outcome
from hpo_core.executors.channel import Decision, Question, Report
from hpo_core.executors.config import Dask, ExecutorConfig, Pool, Processes, Ray, Simulated, choose
from hpo_core.executors.serial import SerialExecutor
from hpo_core.executors.worker import Payload

__all__ = [
    "Dask",
    "Decision",
    "Executor",
    "ExecutorConfig",
    "Job",
    "Message",
    "Outcome",
    "Payload",
    "Pool",
    "Processes",
    "Question",
    "Ray",
    "Report",
    "SerialExecutor",
    "Simulated",
    "choose",
]
