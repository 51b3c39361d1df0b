"""Kernels beside the machine's limits, from the checked-in figures."""

from __future__ import annotations

from bench import records
from bench.native.command import FILE, LEVELS
from bench.report import Section, provenance
from bench.tables import markdown

OVER_LIMIT = 2.0


def section() -> Section:
    section = Section("Native kernels")
    good = [r for r in records.read(FILE) if not r["error"]]
    if not good:
        return section
    rates = {r["level"]: r for r in good if r["case"] == "rates"}
    rows = [
        [LEVELS[level], f"{1e9 / r['fma_per_second']:.4f}", f"{1e9 / r['exp_per_second']:.3f}", r["compiler"]]
        for level, r in sorted(rates.items())
    ]
    header = ["SIMD level", "ns per multiply-add", "ns per exp", "compiler"]
    section.body += ["One core\n\n" + markdown(header, rows), _parzen(section, good), provenance(good)]
    return section


def _parzen(section: Section, good: list[records.Record]) -> str:
    latest = {(r["d"], r["candidates"]): r for r in good if r["case"] == "parzen"}
    names = ("d", "candidates", "ns_per_pair", "limit_ns", "over_limit", "numpy_ns")
    header = ["d", "candidates", "ns per (candidate, kernel)", "limit ns", "over the limit", "SciPy ns"]
    rows = [[str(r[name]) for name in names] for _, r in sorted(latest.items())]
    for (d, m), r in sorted(latest.items()):
        over = f"Parzen log-density, d = {d}, {m} candidates: {r['over_limit']:.2f}x the limit, target 2x"
        section.hold(met=r["over_limit"] <= OVER_LIMIT, otherwise=over)
    return "Parzen log-density, float64, one thread\n\n" + markdown(header, rows)
