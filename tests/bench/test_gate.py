"""Nothing got slower: instructions beside their baseline, native beside NumPy, 10,000 trials beside 1,000."""

from __future__ import annotations

import os

import pytest

from bench import compiling
from bench.gate import counts, growth, ratios
from hpo_core import native
from hpo_core.native import _backend

LEVELS = native.simd_levels()


@pytest.fixture(scope="module")
def counted():
    if reason := counts.unavailable():
        pytest.skip(f"instructions cannot be counted: {reason}")
    return counts.measure()


@pytest.mark.gate
def test_instruction_counts_stay_within_five_percent(counted):
    key, measured = counted
    expected = counts.baseline(key)
    if expected is None and os.environ.get("HPO_CORE_REQUIRE_NATIVE") != "1":
        pytest.skip(f"no baseline for {key}: python -m bench gate --record")
    assert expected, f"no baseline for {key}, and CI counts: python -m bench gate --record"
    lines = counts.deviations(measured, expected)
    assert not lines, "changed on purpose? python -m bench gate --record\n" + "\n".join(lines)


@pytest.mark.gate
def test_an_ask_does_not_grow_with_the_history(counted):
    assert counts.growth(counted[1]) < counts.GROWTH


@pytest.mark.gate
@pytest.mark.parametrize("level", LEVELS)
def test_native_keeps_its_distance_to_numpy(level):
    with _backend.use("native"), native.simd_level(level):
        for pair in ratios.pairs():
            pair.check()
            ratio, bound = ratios.measure(pair.ours, pair.numpy), pair.bounds[LEVELS.index(level)]
            assert ratio < bound, f"{pair.name}: {ratio:.3f} of NumPy's time, at most {bound}"


@pytest.mark.gate
def test_seconds_of_an_ask_stay_constant():
    assert growth.measure() < growth.AT_MOST


@pytest.mark.skipif(compiling.compiler() is None, reason="no C compiler")
def test_what_is_not_installed_is_a_reason_to_skip(monkeypatch):
    assert compiling.finds("stdio.h")
    assert not compiling.finds("no/such/header.h")
    monkeypatch.setattr(compiling, "finds", lambda header: False)
    assert counts.unavailable() is not None
    monkeypatch.setattr(counts.shutil, "which", lambda name: None)
    assert counts.unavailable() == "valgrind is not installed"


def test_deviations_name_what_is_off_and_what_is_missing():
    expected = {"same": 100, "slower": 100, "faster": 100, "gone": 100}
    lines = counts.deviations({"same": 104, "slower": 106, "faster": 94, "new": 1}, expected)
    assert [line.split(":")[0] for line in lines] == ["faster", "gone", "new", "slower"]
    assert "+6.0%" in lines[3]


def test_only_a_dump_is_parsed():
    dump = "desc: Trigger: Client Request: exps\nfn=(1)\n1 2\nsummary: 12345\n"
    assert counts.parse(dump) == ("exps", 12345)
    with pytest.raises(ValueError, match="not a dump"):
        counts.parse("summary: 3\n")


def test_baselines_are_kept_apart(tmp_path):
    path = tmp_path / "baseline.json"
    counts.record("gcc 1, v3", {"a": 1}, path)
    counts.record("gcc 2, v3", {"a": 2}, path)
    counts.record("gcc 1, v3", {"a": 3}, path)
    assert counts.baseline("gcc 1, v3", path) == {"a": 3}
    assert counts.baseline("gcc 2, v3", path) == {"a": 2}
    assert counts.baseline("gcc 3, v3", path) is None


@pytest.mark.gate
def test_a_ratio_is_of_the_two_functions():
    def spin(n):
        return lambda: sum(range(n))

    assert 2.0 < ratios.measure(spin(4000), spin(1000), rounds=10) < 8.0
