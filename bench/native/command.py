"""``python -m bench native``: every kernel beside NumPy and SciPy, and beside what the machine can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import isolate, machine, records
from bench.native import machine_rates
from bench.native.kernels import TOPICS, kernels
from bench.tables import markdown

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

FILE = records.RESULTS / "native.jsonl"
LEVELS = ("baseline", "x86-64-v3", "x86-64-v4")
RATES = ("fma", "exp", "log", "uniform", "bytes_near", "bytes_middle", "bytes_far")
SIZES = ("n", "k", "m", "d")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--topics", nargs="+", choices=TOPICS, default=list(TOPICS))
    parser.add_argument("--record", action="store_true", help="append the figures to results/native.jsonl")


def run(arguments: argparse.Namespace) -> int:
    status = max(_measure(arguments) for _ in range(2 if arguments.record else 1))
    if arguments.record:
        records.keep_passes(FILE)
    return status


def _measure(arguments: argparse.Namespace) -> int:
    """One pass over what is not on file twice."""
    topics = [topic for topic in arguments.topics if not (arguments.record and _on_file(topic))]
    if not topics:
        return 0
    levels, blas = machine_rates.levels(), isolate.call("bench.native.machine_rates", "blas")
    if blas.get("error"):
        print(blas["error"])
        return 1
    for rate in levels:
        _file(arguments, "rates", rate)
    _file(arguments, "blas", blas)
    print(f"One core\n\n{rates_table(levels)}\n\n{blas_line(blas)}\n")
    rates = {name: levels[-1][name] for name in RATES} | {name: blas[name] for name in ("gemm", "trsm")}
    failed = False
    for topic in topics:
        answer = isolate.call("bench.native.measure", "measure", topic=topic, rates=rates)
        rows = answer.get("rows", [{"topic": topic, **answer}])
        for row in rows:
            _file(arguments, "kernel", row)
        failed |= any(row.get("error") for row in rows)
        print(f"{topic}, one thread\n\n{table(rows)}\n", flush=True)
    return int(failed)


def _on_file(topic: str) -> bool:
    versions = machine.versions("hpo_core", "numpy", "scipy")
    held = records.read(FILE)
    rows = [{"topic": topic, "kernel": k.name, **size} for k in kernels(topic) for size in k.sizes]
    return all(records.is_done(held, row, versions) for row in rows)


def _file(arguments: argparse.Namespace, case: str, record: records.Record) -> None:
    if arguments.record:
        records.append(FILE, isolate.stamped("native", case, record))


def rates_table(levels: Iterable[records.Record]) -> str:
    """Nanoseconds of each operation, and GB/s."""
    header = [
        "SIMD level",
        "ns: multiply-add",
        "exp",
        "log",
        "uniform",
        "GB/s: first cache",
        "second",
        "beyond",
    ]
    rows = [
        [
            LEVELS[r["level"]],
            *(f"{1e9 / r[k]:.3g}" for k in RATES[:4]),
            *(f"{r[k] / 1e9:.3g}" for k in RATES[4:]),
        ]
        for r in levels
    ]
    return markdown(header, rows)


def blas_line(blas: records.Record) -> str:
    gemm, trsm = (blas[name] / 1e9 for name in ("gemm", "trsm"))
    return f"BLAS, one thread: matrix product {gemm:.3g} GFLOP/s, triangular solve {trsm:.3g} GFLOP/s"


def table(rows: Iterable[records.Record]) -> str:
    lines = []
    for r in rows:
        size = ", ".join(f"{k} = {r[k]:,}" for k in SIZES if k in r)
        if r.get("error"):
            lines.append([r.get("kernel", "-"), size, r["error"], "-", "-", "-", "-"])
            continue
        ns, limit, reference = r["ns"], r["limit_ns"], r["reference_ns"]
        share = f"{limit / ns:.0%}" if limit else "-"
        lines.append(
            [
                r["kernel"],
                size,
                f"{ns:,.4g}" + " unstable" * r.get("unstable", False),
                f"{limit:.3g}",
                share,
                f"{reference:,.4g}",
                f"{reference / ns:,.1f}",
            ]
        )
    header = ["kernel", "size", "ns per item", "limit", "of the limit", "NumPy or SciPy", "times faster"]
    return markdown(header, lines)
