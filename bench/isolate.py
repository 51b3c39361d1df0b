"""One measurement in one fresh process: ``call`` here, ``main`` there.

A measured function takes and returns JSON. It lives in a module that imports one library alone, so
that neither side pays for, or profits from, what the other loads.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from typing import Any

from bench import ROOT, environments, machine, records


def call(module: str, function: str, /, *, peer: str | None = None, **arguments: Any) -> records.Record:
    """``module.function(**arguments)`` in a fresh interpreter: the peer's, or this one."""
    python = sys.executable if peer is None else environments.interpreter(peer)
    done = subprocess.run(
        [python, "-m", "bench.isolate", module, function, json.dumps(arguments)],
        cwd=ROOT,
        env=environments.child_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        return {"error": f"{module}.{function} ended with status {done.returncode}"}
    return dict(json.loads(done.stdout))


def stamped(bench: str, case: str, record: records.Record) -> records.Record:
    """A record as it goes on file: what was measured, on what, when, and how busy that was."""
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    context = {"machine": machine.describe(), "load": load, "date": machine.today()}
    return {"bench": bench, "case": case, "error": None, **record, **context}


def main() -> None:
    module, function, arguments = sys.argv[1:]
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    result = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    json.dump(result, answers)


if __name__ == "__main__":
    main()
