"""The latency bench's case of model-based samplers: its loop, and its table."""

from __future__ import annotations

from types import SimpleNamespace

from bench import environments
from bench.samplers import cases, loop, models, peer_side


def test_the_first_cycle_of_a_block_is_apart():
    told = []
    begun = []

    def begin():
        begun.append(1)
        return SimpleNamespace(
            ask=lambda: (len(told), {}), tell=lambda handle, value: told.append((handle, value))
        )

    record = loop.cycles(begin, [1.0, 2.0, 3.0], 2)
    assert len(begun) == 2
    assert told == list(enumerate([1.0, 2.0, 3.0] * 2))
    assert (record["first"]["n"], record["seconds"]["n"]) == (2, 4)
    assert record["seconds"]["max"] >= record["seconds"]["median"]


def test_every_side_of_the_case_has_an_environment():
    for name in models.CYCLES:
        assert (environments.REQUIREMENTS / f"{peer_side.PEERS[name].peer}.txt").exists()


def test_the_table_counts_times_ours_and_shows_failures():
    def record(sampler, mean, n=50):
        return {
            "sampler": sampler,
            "n": n,
            "cpu": mean,
            "seconds": dict.fromkeys(("mean", "median", "max"), mean),
        }

    held = [record("gp", 0.01), record("botorch", 2.0), {"sampler": "smac3", "n": 50, "error": "ended"}]
    lines = models.table(held).splitlines()
    assert lines[3].split("|")[-2].strip() == "200"
    assert "ended" in lines[4]


def test_histories_are_within_their_spaces():
    for name, parameters in cases.SPACES.items():
        configs, values = cases.history(name, 20)
        for config in configs:
            active = {p.name for p in parameters if p.when is None or p.when.holds(config)}
            assert config.keys() == active
        assert len(values) == 20
