"""C programs of the bench, compiled as the extensions are, and kept until a source changes."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING

from bench import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CSRC = ROOT / "csrc"
FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")  # as setup.py


@cache
def compiler() -> str | None:
    """The compiler Python was built with, else cc; None where there is neither."""
    names = ((sysconfig.get_config_var("CC") or "cc").split()[0], "cc")
    return next((name for name in names if shutil.which(name)), None)


@cache
def version() -> str:
    """Its first line about itself."""
    done = subprocess.run([str(compiler()), "--version"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()[0]


def finds(header: str) -> bool:
    """Whether a header is installed."""
    command = [str(compiler()), "-E", "-x", "c", "-", "-o", "-"]
    done = subprocess.run(command, input=f"#include <{header}>\n".encode(), capture_output=True, check=False)
    return done.returncode == 0


def program(name: str, sources: Sequence[Path], *, cache: Path) -> Path:
    """The program ``name`` of these C files, whose headers are beside them or in csrc."""
    folders = sorted({path.parent for path in sources} | {CSRC})
    digest = hashlib.sha1(version().encode() + " ".join(FLAGS).encode(), usedforsecurity=False)
    for path in (*sources, *(header for folder in folders for header in sorted(folder.glob("*.h")))):
        digest.update(path.read_bytes())
    built = cache / f"{name}-{digest.hexdigest()[:12]}"
    if built.exists():
        return built
    cache.mkdir(parents=True, exist_ok=True)
    for old in cache.glob(f"{name}-*"):
        old.unlink()
    objects = [cache / f"{name}-{path.stem}.o" for path in sources]
    common = [str(compiler()), *FLAGS, *(f"-I{folder}" for folder in folders)]
    with ThreadPoolExecutor(2) as pool:
        pairs = zip(sources, objects, strict=True)
        list(pool.map(lambda pair: _run([*common, "-c", str(pair[0]), "-o", str(pair[1])]), pairs))
    _run([*common, *map(str, objects), "-lm", "-o", str(built)])
    return built


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True)
