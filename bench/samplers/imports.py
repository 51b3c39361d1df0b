"""Import time in fresh interpreters, and what an import must not load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench import ROOT, environments, machine

# Imported where they are used, never by ``import hpo_core``.
LATE = ("scipy", "numba", "torch", "pandas", "matplotlib", "sklearn", "tqdm", "concurrent.futures.process")
PROGRAM = """
import json, sys, time
start = time.perf_counter()
import {module}
seconds = time.perf_counter() - start
print(json.dumps([seconds, [m for m in {late!r} if m in sys.modules]]))
"""
REPEATS = 15


def _once(python: str, module: str) -> tuple[float, list[str]]:
    program = PROGRAM.format(module=module, late=LATE)
    with tempfile.TemporaryDirectory() as elsewhere:
        out = subprocess.run(
            [python, "-c", program], cwd=elsewhere, env=_environment(), stdout=subprocess.PIPE, check=True
        ).stdout
    seconds, loaded = json.loads(out)
    return float(seconds), list(loaded)


def _environment() -> dict[str, str]:
    """The checkout is on the path only where hpo_core is not installed."""
    import hpo_core

    installed = Path(hpo_core.__path__[0]).resolve().parent != ROOT
    return {**os.environ, "PYTHONPATH": "" if installed else str(ROOT)}


def measure() -> list[dict[str, Any]]:
    """Best and median seconds of importing numpy, hpo_core and Optuna, interleaved."""
    ours, peer = sys.executable, environments.interpreter("optuna")
    pairs = {"numpy": ours, "hpo_core": ours, "optuna": peer}
    seconds: dict[str, list[float]] = {module: [] for module in pairs}
    loaded: dict[str, list[str]] = {}
    for module, python in pairs.items():
        _once(python, module)  # compiles bytecode, fills the page cache
    for _ in range(REPEATS):
        for module, python in pairs.items():
            taken, loaded[module] = _once(python, module)
            seconds[module].append(taken)
    return [
        {
            "library": module,
            "best": round(min(taken), 4),
            "median": round(float(np.median(taken)), 4),
            "late_modules_loaded": loaded[module],
            "versions": machine.versions(module),
        }
        for module, taken in seconds.items()
    ]
