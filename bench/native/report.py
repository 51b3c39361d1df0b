"""Kernels beside the machine's limits and beside NumPy, from the checked-in figures."""

from __future__ import annotations

from bench import records
from bench.native.command import FILE, SIZES, blas_line, rates_table, table
from bench.native.kernels import TOPICS
from bench.section import Section, signed

NOTES = {
    "tpe": ", where the reference of `observe` computes the final state only, that of `choose` an arg max",
    "domain": ", where the reference of `sobol_draws` has another scramble and no prior transform",
}
OVER_LIMIT = 2.0  # the target of the Parzen log-density


def section() -> Section:
    section = Section("Native kernels")
    good = [r for r in records.read(FILE) if not r["error"]]
    limits = records.of_one_machine(r for r in good if r["case"] in ("rates", "blas"))
    rates = {r["level"]: r for r in limits if r["case"] == "rates"}
    blas = next((r for r in reversed(limits) if r["case"] == "blas"), None)
    if not rates or blas is None:
        return section
    listed = [rate for _, rate in sorted(rates.items())]
    text = f"One core ({listed[-1]['compiler']})\n\n{rates_table(listed)}\n\n{blas_line(blas)}"
    tables = [(text, limits)]
    section.body.append(
        "Nanoseconds per item (value, pair or suggestion), the answer checked equal first. The limit is what"
        " the formula cannot do without at the measured rates: its arithmetic or its bytes, the longer of the"
        " two. A small call pays for the door, too."
    )
    for topic in TOPICS:
        rows = records.marked(records.of_one_machine(r for r in good if r.get("topic") == topic))
        if rows:
            tables.append((f"**{topic}**{NOTES.get(topic, '')}\n\n" + table(rows), rows))
            _losses(section, topic, rows)
    section.body += signed(tables)
    return section


def _losses(section: Section, topic: str, rows: list[records.Record]) -> None:
    slower = [_name(r) for r in rows if r["ns"] > r["reference_ns"]]
    section.hold(met=not slower, otherwise=f"{topic}: slower than NumPy or SciPy: {'; '.join(slower)}")
    for r in rows:
        over = r["ns"] / r["limit_ns"] if r["limit_ns"] else 0.0
        if r["kernel"] == "log_density":
            section.hold(
                met=over <= OVER_LIMIT,
                otherwise=f"{topic} {_name(r)}: {over:.2f}x the limit, target {OVER_LIMIT}x",
            )


def _name(r: records.Record) -> str:
    size = ", ".join(f"{k} = {r[k]:,}" for k in SIZES if k in r)
    return f"{r['kernel']} ({size}) {r['ns'] / r['reference_ns']:.2f}x"
