"""What a figure was measured on: machine, versions, threads and date, without host name or paths."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
from functools import cache
from pathlib import Path
from typing import Any


def today() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%d")


@cache
def describe() -> dict[str, Any]:
    """CPU model, cores, memory in GiB and operating system."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _memory_gib() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (ValueError, OSError, AttributeError):
        return None


def versions(*distributions: str) -> dict[str, str]:
    """Version of each distribution that is installed; hpo_core comes with its code and backend."""
    found = {}
    for name in distributions:
        if name == "hpo_core":
            found.update(_hpo_core())
            continue
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@cache
def _hpo_core() -> dict[str, str]:
    import hpo_core

    found = {"hpo_core": hpo_core.__version__, "code": _code_id(Path(hpo_core.__path__[0]))}
    try:
        from hpo_core.native import _backend
    except ImportError:  # a checkout without the native room has no backend to name
        return found
    return {**found, "backend": _backend.backend(), "simd": str(_backend.simd())}


def _code_id(package: Path) -> str:
    """Digest of what is imported, sources and extensions: two runs with equal ids ran equal code."""
    digest = hashlib.sha1(usedforsecurity=False)
    for path in sorted([*package.rglob("*.py"), *package.rglob("*.so"), *package.rglob("*.pyd")]):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:10]
