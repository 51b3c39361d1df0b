"""The limits of one core: ``rates.c`` at each SIMD level, matrix product and triangular solve of BLAS."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import compiling, timing

if TYPE_CHECKING:
    from bench.native.kernels import Work

HERE = Path(__file__).parent
NEAR, MIDDLE = 16 << 10, 512 << 10  # bytes that rates.c streams through each cache
ORDER = 1024  # of the matrices


def levels() -> list[dict[str, Any]]:
    """A record per SIMD level, lowest first; the compiler's version is part of it."""
    program = compiling.program("rates", [HERE / "rates.c"], cache=HERE / ".cache")
    lines = subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return [{**json.loads(line), "compiler": compiling.version()} for line in lines]


def blas() -> dict[str, Any]:
    """Floating-point operations a second of C = A B and of a triangular solve, on one thread."""
    import numpy as np
    from scipy.linalg.blas import dgemm, dtrsm

    from bench import machine

    rng = np.random.default_rng(0)
    a, b = (np.asfortranarray(rng.random((ORDER, ORDER))) for _ in range(2))
    lower = np.asfortranarray(np.tril(a) + ORDER * np.eye(ORDER))
    gemm = timing.best_time(lambda: dgemm(1.0, a, b), repeats=7)
    trsm = min(  # L X = B and X L = B: they are two kernels of a BLAS
        timing.best_time(lambda: dtrsm(1.0, lower, b, lower=1), repeats=7),
        timing.best_time(lambda: dtrsm(1.0, lower, b, lower=1, side=1), repeats=7),
    )
    figures = {"gemm": float(2 * ORDER**3 / gemm), "trsm": float(ORDER**3 / trsm)}
    return {**figures, "versions": machine.versions("numpy", "scipy"), "threads": 1}


def limit(work: Work, rates: dict[str, float]) -> float:
    """Seconds the machine needs for the work: arithmetic shares the units, memory runs beside it."""
    arithmetic = sum(
        getattr(work, name) / rates[name] for name in ("fma", "exp", "log", "uniform", "gemm", "trsm")
    )
    place = "near" if work.bytes <= NEAR else "middle" if work.bytes <= MIDDLE else "far"
    return float(max(arithmetic, work.bytes / rates[f"bytes_{place}"]))
