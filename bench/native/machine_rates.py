"""The limits of one core: multiply-adds and exps per second, measured by ``rates.c``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

from bench import ROOT

HERE = Path(__file__).parent
CACHE = HERE / ".cache"
FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")  # as setup.py


def compiler() -> str:
    name = (sysconfig.get_config_var("CC") or "cc").split()[0]
    return name if shutil.which(name) else "cc"


@cache
def rates() -> list[dict[str, Any]]:
    """A record per SIMD level, lowest first; the compiler's version is part of it."""
    CACHE.mkdir(exist_ok=True)
    program = CACHE / "rates"
    includes = ("-I", str(ROOT / "csrc"), "-I", str(HERE))
    subprocess.run([compiler(), *FLAGS, *includes, str(HERE / "rates.c"), "-o", str(program)], check=True)
    lines = subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    version = subprocess.run([compiler(), "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [{**json.loads(line), "compiler": version.splitlines()[0]} for line in lines]
