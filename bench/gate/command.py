"""``python -m bench gate``: what must not get slower; ``--record`` after a change on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.gate import counts, growth, ratios
from bench.tables import markdown

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--record", action="store_true", help="make today's instruction counts the baseline")
    parser.add_argument("--only-counts", action="store_true", help="leave out what a clock measures")


def run(arguments: argparse.Namespace) -> int:
    failures = _counts(record=arguments.record)
    if not arguments.only_counts:
        failures += _ratios()
    print("\n" + "\n".join([f"slower, or changed: {line}" for line in failures] or ["unchanged"]))
    return int(bool(failures))


def _counts(*, record: bool) -> list[str]:
    if reason := counts.unavailable():
        print(f"instructions not counted: {reason}")
        return []
    key, measured = counts.measure()
    expected = counts.baseline(key) or {}
    if record:
        counts.record(key, measured)
    rows = [
        [name, f"{n:,}", f"{n / expected[name] - 1:+.2%}" if name in expected else "-"]
        for name, n in measured.items()
    ]
    print(f"{key}\n\n" + markdown(["case", "instructions", "beside the baseline"], rows))
    print(f"\nask and tell at 10,000 over 1,000 trials, instructions: {counts.growth(measured):.2f}\n")
    return [] if record else counts.deviations(measured, expected)


def _ratios() -> list[str]:
    from hpo_core import native

    rows, failures = [], []
    for index, level in enumerate(native.simd_levels()):
        with native.simd_level(level):
            for pair in ratios.pairs():
                pair.check()
                ratio = ratios.measure(pair.ours, pair.numpy)
                rows.append([pair.name, level, f"{ratio:.3f}", str(pair.bounds[index])])
                if ratio > pair.bounds[index]:
                    failures.append(f"{pair.name} at {level}: {ratio:.3f}, at most {pair.bounds[index]}")
    print(markdown(["native over NumPy", "SIMD level", "ratio", "at most"], rows))
    ratio = growth.measure()
    print(f"\nask and tell at 10,000 over 1,000 trials, seconds: {ratio:.2f}, at most {growth.AT_MOST}")
    return failures + ([f"growth with n: {ratio:.2f}"] if ratio > growth.AT_MOST else [])
