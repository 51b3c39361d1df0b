"""How problems are put to peers, without the peers; where a peer is installed, that it answers in kind."""

from __future__ import annotations

import os

import numpy as np
import pytest

from bench import environments, records
from bench.quality import command, coordinates, failures, problems, runner
from bench.quality.fronts import rows
from bench.quality.fronts.optimiser import ENTRIES as FRONTS
from bench.quality.optimiser import ENTRIES
from bench.quality.spec import Parameter, draw

PEERS = sorted({entry.peer for entry in ENTRIES.values() if entry.peer})


@pytest.mark.parametrize("name", problems.CONDITIONAL)
def test_a_point_gives_its_configuration_back(name):
    parameters = problems.get(name).parameters
    rng = np.random.default_rng(0)
    for _ in range(100):
        config = draw(parameters, rng)
        again = coordinates.decode(parameters, coordinates.encode(parameters, config))
        assert again.keys() == config.keys()
        for key, value in config.items():
            assert again[key] == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value)


@pytest.mark.parametrize(
    ("parameter", "ends"),
    [
        (Parameter("x", "float", -2, 3), (-2, 3)),
        (Parameter("x", "float", 1e-5, 1e-1, log=True), (1e-5, 1e-1)),
        (Parameter("x", "int", 8, 256, log=True), (8, 256)),
        (Parameter("x", "ordinal", choices=(1, 2, 4)), (1, 4)),
    ],
    ids=str,
)
def test_the_unit_interval_is_the_range(parameter, ends):
    assert [coordinates.coordinate(parameter, v) for v in ends] == [0, 1]
    assert [coordinates.value_at(parameter, u) for u in (0, 1)] == pytest.approx(ends)
    middle = coordinates.value_at(parameter, 0.5)
    assert ends[0] < middle < ends[1]


def test_an_inactive_parameter_has_a_place():
    parameters = problems.get("coupled_branches").parameters
    config = {"u": 0.1, "v": 0.2, "branch": "linear", "linear_p": 0.3, "linear_q": 0.4}
    assert coordinates.encode(parameters, config) == pytest.approx(
        [0.1, 0.2, 0, 0.3, 0.4, *[0.5] * 4, 0, 0.5]
    )


@pytest.mark.parametrize("peer", PEERS)
def test_every_peer_is_pinned(peer):
    lines = (environments.REQUIREMENTS / f"{peer}.txt").read_text().splitlines()
    assert lines
    assert all(line.count("==") == 1 for line in lines)
    names = [name for name, entry in ENTRIES.items() if entry.peer == peer]
    assert len({command.results_file(name) for name in names}) == 1


def skip_unless_installed(peer):
    named = f"HPO_BENCH_PEER_{peer.upper()}" in os.environ
    if not named and not (environments.ENVIRONMENTS / peer / "requirements.txt").exists():
        pytest.skip(f"{peer} is not installed")


@pytest.mark.parametrize("name", [n for n, entry in ENTRIES.items() if entry.peer])
def test_an_installed_peer_answers_with_valid_configurations(name, tmp_path):
    skip_unless_installed(ENTRIES[name].peer)
    jobs = runner.jobs(name, {}, problems.CONDITIONAL, range(1), 12)
    runner.run(jobs, path := tmp_path / "runs.jsonl", n_workers=1)
    held = records.read(path)
    assert [r["error"] for r in held] == [None] * len(jobs)  # a wrong value is a KeyError of the objective


@pytest.mark.parametrize("name", [n for n, row in failures.ROWS.items() if ENTRIES[row.optimiser].peer])
def test_a_peer_that_is_installed_hears_of_failures(name, tmp_path):
    row = failures.ROWS[name]
    skip_unless_installed(ENTRIES[row.optimiser].peer)
    jobs = runner.jobs(row.optimiser, row.settings, ["oom", "all_fail_20"], range(1), 22)
    runner.run(jobs, path := tmp_path / "runs.jsonl", n_workers=1)
    memory, first = records.read(path)
    assert [memory["error"], first["error"]] == [None, None]
    assert memory["failures"]
    assert first["failures"] == list(range(1, 21))


@pytest.mark.parametrize("name", [n for n, entry in FRONTS.items() if entry.peer])
def test_an_installed_peer_takes_several_objectives_and_constraints(name, tmp_path):
    entry = FRONTS[name]
    skip_unless_installed(entry.peer)
    names = [n for n in ("bnh", "naval_propulsion", "dtlz2") if n in entry.problems]
    jobs = [{**job, "trials": 22} for job in rows.jobs(name, names, range(1), {})]
    runner.run(jobs, path := tmp_path / "runs.jsonl", n_workers=1, entries=FRONTS, module=rows.WORKER)
    held = records.read(path)
    assert [r["error"] for r in held] == [None] * len(names)
    assert all(r["feasible"] > 0 for r in held)
