"""``python -m bench native``: kernels beside the machine's multiply-add and exp rates."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from bench import isolate, records
from bench.native import machine_rates
from bench.tables import markdown

if TYPE_CHECKING:
    import argparse

FILE = records.RESULTS / "native.jsonl"
DIMENSIONS = (1, 5, 20)
CANDIDATES = (24, 1032)  # of one suggestion, and of a batch, whose blocks are never a multiple of 64 wide
LEVELS = ("baseline", "x86-64-v3", "x86-64-v4")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--record", action="store_true", help="append the figures to results/native.jsonl")


def run(arguments: argparse.Namespace) -> int:
    rates = machine_rates.rates()
    rows = []
    for rate in rates:
        _file(arguments, "rates", rate)
        fma, exp = 1e9 / rate["fma_per_second"], 1e9 / rate["exp_per_second"]
        rows.append([LEVELS[rate["level"]], f"{fma:.4f}", f"{exp:.3f}"])
    print("One core\n\n" + markdown(["SIMD level", "ns per multiply-add", "ns per exp"], rows) + "\n")
    return _parzen(arguments, rates[-1])


def _parzen(arguments: argparse.Namespace, rate: records.Record) -> int:
    failed, rows = False, []
    names = ("d", "candidates", "ns_per_pair", "limit_ns", "over_limit", "numpy_ns")
    for d, candidates in itertools.product(DIMENSIONS, CANDIDATES):
        record = isolate.call("bench.native.parzen", "measure", d=d, candidates=candidates, rate=rate)
        _file(arguments, "parzen", record)
        failed |= record.get("error") is not None
        rows.append([str(record.get(name, "-")) for name in names])
    header = ["d", "candidates", "ns per (candidate, kernel)", "limit ns", "over the limit", "SciPy ns"]
    print("Parzen log-density, float64, one thread\n\n" + markdown(header, rows))
    return int(failed)


def _file(arguments: argparse.Namespace, case: str, record: records.Record) -> None:
    if arguments.record:
        records.append(FILE, isolate.stamped("native", case, record))
