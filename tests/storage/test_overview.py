"""The overview of a storage says what its studies say; one that is damaged does not stop it."""

from __future__ import annotations

import json
import math
import sys
import time

import numpy as np
import pytest
from places import sql
from studies import make_study, step, study_with_pauses

import hpo_core as hpo
from hpo_core import cli
from hpo_core.storage import MemoryStorage, SQLiteStorage, open_storage
from hpo_core.study import delete, overview


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.database)])
def storage(request, tmp_path):
    if request.param == "memory":
        return MemoryStorage()
    return open_storage(
        request.getfixturevalue("postgres") if request.param == "postgres" else str(tmp_path / "s.db")
    )


def said_by(study):
    kinds = ("running", "paused", "complete", "stopped", "failed")
    states = {state: len(study.trials.where(state)) for state in kinds}
    best = study.best_value if states["complete"] else None
    about = {
        "name": study.name,
        "sampler": study.sampler.name,
        "direction": study.direction,
        "seed": study.seed,
    }
    return about | {"trials": len(study.trials), **states, "best_value": best}


def test_the_overview_is_what_the_studies_say(storage):
    studies = [
        make_study(name=f"s{k}", storage=storage, direction=("minimize", "maximize")[k % 2]) for k in range(5)
    ]
    for k, study in enumerate(studies):
        for j in range(7 * k):
            step(study, j)
    trial = studies[1].ask()
    trial.report(1, 0.25)
    studies[1].stop_trials(trial)
    studies[2].tell(studies[2].ask(3), [math.inf, -1e308, 1e308])
    studies[3].enqueue({"x": 0.5})
    make_study(name="gone", storage=storage).ask()
    delete(storage, "gone")
    assert overview(storage) == [said_by(study) for study in studies]


def test_paused_trials_are_counted(storage, capsys):
    study = study_with_pauses(name="s", storage=storage)
    (found,) = overview(storage)
    assert found == said_by(study) | {"scheduler": "scripted"}
    assert (found["running"], found["paused"], found["stopped"]) == (2, 2, 3)


SEVERAL = {
    "slow": hpo.AtMost(0.75),
    "error": hpo.Minimize(reference=2.0),
    "size": hpo.Maximize(known=lambda columns: np.round(columns["x"], 1)),
}


def of_several(study):
    """What the overview says of the results of a study."""
    front = study.front()
    error, size = front.values["error"].tolist(), front.values["size"].tolist()
    return {
        "feasible": int(study.trials.where("complete").feasible.sum()),
        "front": len(front),
        "best_values": {"error": min(error, default=None), "size": max(size, default=None)},
    }


def test_the_overview_of_several_metrics_is_what_the_study_says(storage, monkeypatch):
    monkeypatch.setattr(sys.modules[overview.__module__], "_MANY", 16)
    study = hpo.Study(
        {"x": hpo.Float(0, 1)}, metrics=SEVERAL, sampler="random", seed=0, name="s", storage=storage
    )
    (empty,) = overview(storage)
    assert empty["metrics"] == study.metrics.to_json()
    assert "direction" not in empty
    assert {name: empty[name] for name in of_several(study)} == of_several(study)
    for k in range(6):
        batch = study.ask(20)
        batch[0].report(1, (0.0, 0.0))
        study.stop_trials(batch[0])  # not on the front, however good
        study.fail(batch[1])
        x = batch["x"][2:]
        study.tell(
            batch[2:], {"slow": (x * 7) % 1, "error": np.round(x + 0.3 * ((x * 31) % 1), 1)}
        )  # with ties
        (found,) = overview(storage)
        assert {name: found[name] for name in of_several(study)} == of_several(study)
        assert (found["trials"], found["complete"], found["stopped"]) == (20 * (k + 1), 18 * (k + 1), k + 1)
    assert 2 < found["front"] < 50


def test_the_best_of_one_objective_keeps_the_bounds(storage):
    metrics = {"accuracy": hpo.Maximize(), "latency": hpo.AtMost(5.0)}
    study = hpo.Study({"x": hpo.Float(0, 1)}, metrics=metrics, seed=0, name="s", storage=storage)
    study.tell(study.ask(2), {"accuracy": [0.9, 0.8], "latency": [6.0, 7.0]})
    assert [overview(storage)[0][name] for name in ("feasible", "best_value")] == [0, None]
    study.tell(study.ask(3), {"accuracy": [0.5, 0.6, 0.7], "latency": [1.0, 5.0, 5.1]})
    assert [overview(storage)[0][name] for name in ("feasible", "best_value")] == [2, 0.6]
    assert study.best_value == 0.6


def test_the_overview_goes_over_many_pages(storage):
    studies = [make_study(name=f"s{k}", storage=storage) for k in range(3)]
    for study, n in zip(studies, (270, 1, 270), strict=True):
        for k in range(n):
            study.tell(study.ask(), float(-k))
    assert overview(storage) == [said_by(study) for study in studies]


DAMAGE = {
    "an event lost": "DELETE FROM events WHERE study = 2 AND position = 1",
    "the first event lost": "DELETE FROM events WHERE study = 2 AND position = 0",
    "every event lost": "DELETE FROM events WHERE study = 2",
    "an event changed": "UPDATE events SET data = '{' WHERE study = 2 AND position = 2",
    "a checksum changed": "UPDATE events SET crc = 1 WHERE study = 2 AND position = 2",
    "a kind changed": "UPDATE events SET kind = 'stopped' WHERE study = 2 AND position = 2",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_study_is_named_and_hides_no_other(damage, place, capsys):
    for name in ("one", "two\x1b[2J", "three"):
        study = make_study(name=name, storage=place)
        study.tell(study.ask(), 1.0)
    sql(place, DAMAGE[damage])
    assert cli.main(["ls", place]) == 1
    out, err = capsys.readouterr()
    assert [line.split("  ")[1][:7] for line in out.splitlines()] == ["random,", "damaged", "random,"]
    assert "1 of 3 studies are damaged" in err
    assert "two" in err
    assert "\x1b" not in out + err
    assert cli.main(["ls", place, "--json"]) == 1
    one, two, three = json.loads(capsys.readouterr().out)
    assert "problem" in two
    assert one["best_value"] == three["best_value"] == 1.0
    for command in ("show", "best"):
        assert cli.main([command, place, "two\x1b[2J"]) == 1
        assert cli.main([command, place, "three"]) == 0
    assert cli.main(["doctor", place]) == 1
    assert capsys.readouterr().out.count("good; last good event") == 2


FORGED = [
    ("created", "[]"),
    ("created", '{"directions": ["minimize"]}'),
    ("created", '{"directions": 3, "sampler": {"name": "tpe"}, "seed": 1}'),
    ("asked", '{"n": "3"}'),
    ("asked", '{"n": 1e400}'),
    ("asked", '{"n": -1}'),
    ("asked", "null"),
    ("asked", "[" * 100_000),
    ("told", '{"rows": [0], "values": ["3"]}'),
    ("told", '{"rows": [0], "values": [NaN]}'),
    ("told", '{"rows": 3, "values": [1]}'),
    ("told", '{"rows": [0], "values": [1' + "0" * 400 + "]}"),
    ("told", '{"rows": [0, 0, 0], "values": [1, 1, 1]}'),
    ("failed", "{}"),
    ("paused", '{"rows": 3}'),
    ("paused", '{"rows": [[]]}'),
    ("resumed", "null"),
]


def created(*metrics):
    """The first event of a study with one objective and these metrics."""
    return json.dumps(
        {"metrics": [{"name": "y", "kind": "minimize"}, *metrics], "sampler": {"name": "tpe"}, "seed": 1}
    )


Z = {"name": "z", "kind": "at_most", "bound": 1}


@pytest.mark.parametrize(
    ("metrics", "values"),
    [
        ([Z | {"kind": "between"}], "[[1, 2]]"),
        ([Z | {"name": "y"}], "[[1, 2]]"),
        ([Z | {"bound": "1"}], "[[1, 2]]"),
        ([Z], "[1]"),
        ([Z], "[[1]]"),
        ([Z], "[[1, 2, 3]]"),
        ([Z], '[[1, "2"]]'),
        ([], "[[1]]"),
    ],
)
def test_a_forged_result_is_a_damaged_study(metrics, values):
    storage = MemoryStorage()
    events = [
        ("created", created(*metrics)),
        ("asked", '{"n": 1}'),
        ("told", f'{{"rows": [0], "values": {values}}}'),
    ]
    with storage.transaction():
        storage.append(storage.create("forged"), events)
    assert list(overview(storage)[0]) == ["name", "problem"]


@pytest.mark.parametrize(("kind", "data"), FORGED)
def test_a_forged_event_is_a_damaged_study(kind, data, tmp_path, capsys):
    storage = SQLiteStorage(str(tmp_path / "s.db"))
    with storage.transaction():
        storage.append(storage.create("forged"), [(kind, data)])
    make_study(name="good", storage=storage).ask()
    forged, good = overview(storage)
    assert list(forged) == ["name", "problem"]
    assert good["trials"] == 1
    for command in (["ls", storage.path], ["show", storage.path, "forged"], ["doctor", storage.path]):
        assert cli.main(command) == 1
    assert "'good': good" in capsys.readouterr().out


def test_a_damaged_page_hides_only_what_is_on_it(tmp_path, capsys):
    path = tmp_path / "s.db"
    storage = SQLiteStorage(str(path))
    studies = [make_study(name=f"s{k}", storage=storage) for k in range(3)]
    for study in studies:
        study.tell(study.ask(400), [1.0] * 400)
        study.tell(study.ask(400), [1.0] * 400)
    storage.close()
    data = path.read_bytes()
    at = data.rindex(b'"params"') // 4096 * 4096
    path.write_bytes(data[:at] + b"\xa5" * 4096 + data[at + 4096 :])
    assert cli.main(["ls", str(path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert len(found) == 3
    assert 0 < sum("problem" in each for each in found) < 3


def test_three_thousand_studies_are_listed_in_a_moment(tmp_path, capsys):
    storage = SQLiteStorage(str(tmp_path / "s.db"))
    study = make_study(name="model", storage=storage)
    for k in range(4):
        study.tell(study.ask(), float(k))
    events = [record[1:3] for record in storage.read(1)]
    with storage.transaction():
        for k in range(3000):
            storage.append(storage.create(f"s{k}"), events)
    started = time.process_time()
    assert cli.main(["ls", storage.path]) == 0
    assert time.process_time() - started < 3  # 0.4 s where nothing else runs
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "'s2999'  random, minimize, 4 trials, best 0"
