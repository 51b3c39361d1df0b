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
{statement}
seconds = time.perf_counter() - start
print(json.dumps([seconds, [m for m in {late!r} if m in sys.modules]]))
"""
REPEATS = 15


# hpo_core loads a room when a name of it is first asked for: a user's first line pays for some of them.
EVERY_NAME = "hpo_core, every name"


def _once(python: str, statement: str) -> tuple[float, list[str]]:
    program = PROGRAM.format(statement=statement, late=LATE)
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
    """Best and median seconds of importing numpy, hpo_core (and all its names) and Optuna, interleaved."""
    ours, peer = sys.executable, environments.interpreter("optuna")
    programs = {
        "numpy": (ours, "import numpy"),
        "hpo_core": (ours, "import hpo_core"),
        EVERY_NAME: (ours, "from hpo_core import *"),
        "optuna": (peer, "import optuna"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    loaded: dict[str, list[str]] = {}
    for python, statement in programs.values():
        _once(python, statement)  # compiles bytecode, fills the page cache
    for _ in range(REPEATS):
        for name, program in programs.items():
            taken, loaded[name] = _once(*program)
            seconds[name].append(taken)
    return [
        {
            "library": name,
            "best": round(min(taken), 4),
            "median": round(float(np.median(taken)), 4),
            "late_modules_loaded": loaded[name],
            "versions": machine.versions(name.split(",")[0]),
        }
        for name, taken in seconds.items()
    ]
