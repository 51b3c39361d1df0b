"""A peer's own interpreter: a virtual environment per peer, made on demand from ``peers/NAME.txt``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench import ROOT

REQUIREMENTS = Path(__file__).parent / "peers"
ENVIRONMENTS = ROOT / ".venv-bench"


def interpreter(peer: str) -> str:
    """Python of the peer: ``HPO_BENCH_PEER_<NAME>`` where set, else that of ``.venv-bench/NAME``."""
    chosen = os.environ.get(f"HPO_BENCH_PEER_{peer.upper()}")
    if chosen:
        return chosen
    folder = ENVIRONMENTS / peer
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    complete = folder / "requirements.txt"
    wanted = (REQUIREMENTS / f"{peer}.txt").read_text()
    if not complete.exists() or complete.read_text() != wanted:
        _create(folder, python, REQUIREMENTS / f"{peer}.txt")
        complete.write_text(wanted)  # last, so that an interrupted installation starts again
    return str(python)


def _create(folder: Path, python: Path, requirements: Path) -> None:
    print(f"bench: creating {folder.relative_to(ROOT)} from {requirements.name}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    # The peer's pins are its own, whatever constrains the project's environment.
    environment = {k: v for k, v in os.environ.items() if k != "PIP_CONSTRAINT"}
    subprocess.run(
        [str(python), "-m", "pip", "install", "-q", "-r", str(requirements)], check=True, env=environment
    )


def child_environment(threads: int = 1) -> dict[str, str]:
    """Environment of a measured process: a fixed number of threads, and this checkout's bench."""
    count = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "OPENBLAS", "MKL", "RAYON")}
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}  # it would hide bench
    return {**kept, **count, "PYTHONHASHSEED": "0"}
