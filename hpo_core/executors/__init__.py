"""Where objectives run: in this thread or in worker processes."""

from hpo_core.executors.base import Executor, Job, Outcome
from hpo_core.executors.processes import ProcessExecutor, available_cpus
from hpo_core.executors.serial import SerialExecutor

__all__ = ["Executor", "Job", "Outcome", "ProcessExecutor", "SerialExecutor", "available_cpus"]
