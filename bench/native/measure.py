"""One kernel at one size: check the answer, then the nanoseconds of both sides and of the machine's limit."""

from __future__ import annotations

from typing import Any

from bench import machine, timing
from bench.native import kernels, machine_rates

REFERENCE_REPEATS = 3


def measure(topic: str, rates: dict[str, float]) -> dict[str, Any]:
    """Every kernel of a topic on its grid; one that fails is a row with an error."""
    from hpo_core import native

    native.set_num_threads(1)
    if reason := kernels.missing(topic):
        return {"error": f"{topic} is not built: {reason}"}
    stamp = {"versions": machine.versions("hpo_core", "numpy", "scipy"), "threads": 1}
    rows = [
        {**_row(kernel, size, rates), **stamp} for kernel in kernels.kernels(topic) for size in kernel.sizes
    ]
    return {"rows": rows}


def _row(kernel: kernels.Kernel, size: kernels.Size, rates: dict[str, float]) -> dict[str, Any]:
    named = {"topic": kernel.topic, "kernel": kernel.name, **size}
    prepared = kernel.prepare(**size)
    try:
        prepared.verify()
    except AssertionError as error:
        return {**named, "error": f"the answer is not the reference's: {str(error).strip().splitlines()[-1]}"}
    scale = 1e9 / prepared.work.items
    seconds = timing.best_time(prepared.run)
    return {
        **named,
        "ns": _round(scale * seconds),
        "limit_ns": _round(scale * machine_rates.limit(prepared.work, rates)),
        "reference_ns": _round(scale * timing.best_time(prepared.reference, repeats=REFERENCE_REPEATS)),
    }


def _round(value: float) -> float:
    return float(f"{value:.4g}")
