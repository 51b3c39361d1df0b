"""Instructions of the cases of ``driver.c``, counted by callgrind, beside the counts on file.

A count moves with the compiler and with the SIMD level that the CPU shows to valgrind (which knows no
AVX-512), so a baseline is kept for each pair of them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench import compiling

HERE = Path(__file__).parent
BASELINE = HERE / "baseline.json"
TOLERANCE = 0.05
# 1.0 if no cost of an ask followed n; that of a bigger l and a fuller g is in it. Linear growth would be 10.
GROWTH = 1.5

Counts = dict[str, int]

KERNELS = (
    "normal.c", "domain.c", "sobol.c", "parzen.c", "tpe.c", "tpe_ask.c", "covariance.c", "improvement.c",
    "solve.c",
)  # fmt: skip


def unavailable() -> str | None:
    """Why instructions cannot be counted here; None where they can."""
    if compiling.compiler() is None:
        return "no C compiler"
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    return None if compiling.finds("valgrind/callgrind.h") else "valgrind's headers are not installed"


def measure() -> tuple[str, Counts]:
    """What the counts belong to (compiler and SIMD level), and the count of each case."""
    sources = [
        HERE / "driver.c",
        HERE / "model.c",
        HERE / "process.c",
        *(compiling.CSRC / name for name in KERNELS),
    ]
    driver = compiling.program("driver", sources, cache=HERE / ".cache")
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "-q"]
        command += [f"--callgrind-out-file={folder}/counts", str(driver)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        dumps = [path.read_text() for path in Path(folder).glob("counts.*")]
    return f"{compiling.version()}, {done.stdout.strip()}", dict(sorted(map(parse, dumps)))


def parse(dump: str) -> tuple[str, int]:
    """Name and instructions of one callgrind dump."""
    name = re.search(r"^desc: Trigger: Client Request: (\w+)$", dump, re.MULTILINE)
    count = re.search(r"^summary: (\d+)$", dump, re.MULTILINE)
    if name is None or count is None:
        msg = f"not a dump of the driver: {dump[:200]!r}"
        raise ValueError(msg)
    return name[1], int(count[1])


def baseline(key: str, path: Path = BASELINE) -> Counts | None:
    """The counts on file for a compiler and level."""
    held: dict[str, Counts] = json.loads(path.read_text()) if path.exists() else {}
    return held.get(key)


def record(key: str, counts: Counts, path: Path = BASELINE) -> None:
    held = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**held, key: counts}, indent=1, sort_keys=True) + "\n")


def deviations(counts: Counts, expected: Counts) -> list[str]:
    """A sentence for each case that is off its baseline by more than the tolerance, or on one side only."""
    lines = []
    for name in sorted(counts.keys() | expected.keys()):
        if name not in counts or name not in expected:
            lines.append(f"{name}: {'no longer counted' if name in expected else 'not in the baseline'}")
            continue
        change = counts[name] / expected[name] - 1.0
        if abs(change) > TOLERANCE:
            lines.append(f"{name}: {change:+.1%}, {expected[name]:,} to {counts[name]:,} instructions")
    return lines


def growth(counts: Counts) -> float:
    """Instructions of ask and tell at 10,000 trials over those at 1,000."""
    return counts["ask_at_10000"] / counts["ask_at_1000"]
