from __future__ import annotations

import json
import subprocess
import sys

import pandas as pd
import pytest
from places import sql

import hpo_core
from hpo_core import cli, native
from hpo_core.errors import BackendError
from hpo_core.storage import SQLiteStorage, open_storage


def test_info_prints_every_fact(capsys):
    assert cli.main(["info"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["hpo_core"] == hpo_core.__version__
    assert lines["backend"] == native.backend()
    assert lines["blas"] == native.info()["blas"]
    assert list(lines) == list(native.info())


def test_info_as_json_is_what_native_says(capsys):
    assert cli.main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == native.info()


def test_missing_extensions_are_named_with_their_reason(capsys, monkeypatch):
    facts = {
        "backend": "numba",
        "simd": None,
        "simd_levels": [],
        "missing_extensions": {"_tpe": "no compiler"},
    }
    monkeypatch.setattr(native, "info", lambda: facts)
    cli.main(["info"])
    assert capsys.readouterr().out.splitlines() == [
        "backend             numba",
        "simd                -",
        "simd_levels         none",
        "missing_extensions  _tpe (no compiler)",
    ]


def test_an_error_is_one_line_and_a_status(capsys, monkeypatch):
    def broken():
        raise BackendError("install numba")

    monkeypatch.setattr(native, "info", broken)
    assert cli.main(["info"]) == 1
    assert capsys.readouterr().err == "hpo-core: install numba\n"


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["info", "--nonsense"]])
def test_wrong_usage_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(arguments)
    assert exit_info.value.code == 2
    assert "usage: hpo-core" in capsys.readouterr().err


def test_the_module_runs():
    done = subprocess.run(
        [sys.executable, "-m", "hpo_core.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == hpo_core.__version__


@pytest.fixture
def stored(place):
    """Where a storage with one study is; three complete trials, one failed, one running."""
    space = {"x": hpo_core.Float(0, 1), "c": hpo_core.Categorical({"a": {"m": hpo_core.Int(1, 3)}, "b": {}})}
    study = hpo_core.Study(space, sampler="sobol", seed=0, name="it's; DROP", storage=place)
    batch = study.ask(5)
    study.tell(batch[:3], [3.0, 1.0, 2.0])
    study.fail(batch[3], reason="oom")
    return place


def printed(capsys, *arguments):
    """What a command prints with --json, and its status."""
    status = cli.main([*arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_ls_show_and_best_say_what_is_there(stored, capsys):
    assert printed(capsys, "ls", stored)[1][0]["name"] == "it's; DROP"
    facts = printed(capsys, "show", stored, "it's; DROP")[1]
    assert (facts["trials"], facts["complete"], facts["failed"], facts["running"]) == (5, 3, 1, 1)
    assert facts["best_value"] == 1.0
    best = printed(capsys, "best", stored, "it's; DROP")[1]
    assert (best["number"], best["value"]) == (1, 1.0)
    assert best["params"] == hpo_core.Study.open(stored, "it's; DROP").best_params
    for arguments in (["ls", stored], ["show", stored, "it's; DROP"], ["best", stored, "it's; DROP"]):
        assert cli.main(arguments) == 0
        assert "1" in capsys.readouterr().out


def test_export_writes_every_trial(stored, capsys, tmp_path):
    trials = hpo_core.Study.open(stored, "it's; DROP").trials
    for kind in ("csv", "json"):
        file = str(tmp_path / f"trials.{kind}")
        assert printed(capsys, "export", stored, "it's; DROP", file) == (0, {"file": file, "trials": 5})
    rows = json.loads((tmp_path / "trials.json").read_text())
    assert [row["value"] for row in rows] == [3.0, 1.0, 2.0, None, None]
    assert [row["params.x"] for row in rows] == trials["x"].tolist()
    lines = (tmp_path / "trials.csv").read_text().splitlines()
    assert lines[0] == "number,state,value,reason,params.x,params.c,params.m"
    assert lines[4].startswith("3,failed,,oom,")
    assert cli.main(["export", stored, "it's; DROP", "trials.xml"]) == 1
    assert "csv, json, parquet" in capsys.readouterr().err


def test_export_to_parquet_reads_back_with_its_types(stored, capsys, tmp_path):
    file = str(tmp_path / "trials.parquet")
    assert printed(capsys, "export", stored, "it's; DROP", file) == (0, {"file": file, "trials": 5})
    frame = pd.read_parquet(file)
    trials = hpo_core.Study.open(stored, "it's; DROP").trials
    assert frame["state"].tolist() == ["complete"] * 3 + ["failed", "running"]
    assert frame["params_x"].tolist() == trials["x"].tolist()
    assert frame["params_m"].isna().tolist() == (~trials.active("m")).tolist()


def test_parquet_holds_choices_of_several_types_as_text(tmp_path, capsys):
    path, file = str(tmp_path / "s.db"), str(tmp_path / "trials.parquet")
    space = {"c": hpo_core.Categorical([("a", 1), 2.5, None, "b"])}
    hpo_core.Study(space, sampler="random", seed=0, name="s", storage=path).ask(4)
    assert cli.main(["export", path, "s", file]) == 0
    assert sorted(pd.read_parquet(file)["params_c"].fillna("None")) == ["('a', 1)", "2.5", "None", "b"]


def test_parquet_without_pyarrow_says_what_to_install(stored, capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert cli.main(["export", stored, "it's; DROP", str(tmp_path / "trials.parquet")]) == 1
    assert capsys.readouterr().err == (
        "hpo-core: parquet needs pandas and pyarrow: pip install 'hpo-core[parquet]'\n"
    )


def commands(path, name, file):
    """Every command that reads a storage."""
    return [
        ["ls", path],
        ["show", path, name],
        ["best", path, name],
        ["export", path, name, file],
        ["doctor", path],
    ]


@pytest.mark.parametrize(
    "name",
    [
        "it's",
        'a"b',
        "x'; DROP TABLE events; --",
        "two\nlines",
        "\U0001f680",
        "%s {}",
        "--json",
        "a/../b",
        "\x1b[2J",
    ],
)
def test_every_command_takes_any_name(name, tmp_path, capsys):
    path, file = str(tmp_path / "s.db"), str(tmp_path / "trials.csv")
    study = hpo_core.Study({"x": hpo_core.Float(0, 1)}, sampler="random", seed=0, name=name, storage=path)
    study.tell(study.ask(), 0.5)
    for command, *words in [*commands(path, name, file), ["delete", path, name]]:
        assert cli.main([command, "--", *words]) == 0
        out = capsys.readouterr().out
        assert out
        assert "\x1b" not in out  # nothing that a terminal would obey
    assert printed(capsys, "ls", path) == (0, [])


def test_every_command_prints_json(stored, capsys, tmp_path):
    for words in [*commands(stored, "it's; DROP", str(tmp_path / "t.csv")), ["delete", stored, "it's; DROP"]]:
        assert printed(capsys, *words)[0] == 0


class Own(hpo_core.RandomSampler):
    """A sampler of the user's."""

    name = "own"


def test_reading_needs_neither_sampler_nor_function_of_the_user(tmp_path, capsys):
    path, file = str(tmp_path / "s.db"), str(tmp_path / "trials.json")
    space = hpo_core.Space({"x": hpo_core.Float(0, 1)}, feasible=lambda columns: columns["x"] < 0.5)
    study = hpo_core.Study(space, sampler=Own(), seed=0, name="s", storage=path)
    study.tell(study.ask(3), [0.5, 0.25, 0.75])
    for words in commands(path, "s", file):
        assert printed(capsys, *words)[0] == 0
    assert printed(capsys, "show", path, "s")[1]["sampler"] == "own"
    assert printed(capsys, "best", path, "s")[1]["value"] == 0.25


def test_reading_waits_for_no_writer(stored, capsys):
    storage = open_storage(stored)
    with storage.transaction():
        storage.studies()
        assert printed(capsys, "best", stored, "it's; DROP")[1]["value"] == 1.0


def test_delete_frees_the_name_and_tells_who_has_it_open(stored, capsys):
    study = hpo_core.Study.open(stored, "it's; DROP")
    assert printed(capsys, "delete", stored, "it's; DROP") == (0, {"deleted": "it's; DROP"})
    assert printed(capsys, "ls", stored) == (0, [])
    with pytest.raises(hpo_core.StudyError, match="has been deleted"):
        study.ask()
    assert cli.main(["best", stored, "it's; DROP"]) == 1
    assert "no study" in capsys.readouterr().err


def test_doctor_names_the_last_good_event(stored, capsys):
    assert printed(capsys, "doctor", stored)[0] == 0
    sql(stored, "UPDATE events SET data = replace(data, '3.0', '4.0') WHERE position = 2")
    status, found = printed(capsys, "doctor", stored)
    assert status == 1
    assert found["studies"][0]["last_good"] == 1
    assert "event 2" in found["studies"][0]["problem"]
    assert cli.main(["doctor", stored]) == 1
    assert "last good event 1" in capsys.readouterr().out


@pytest.mark.parametrize("where", [0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 0.99])
def test_doctor_says_what_is_left_of_a_damaged_file(where, tmp_path, capsys):
    file = tmp_path / "s.db"
    study = hpo_core.Study({"x": hpo_core.Float(0, 1)}, sampler="random", seed=0, name="s", storage=file)
    for k in range(150):
        study.tell(study.ask(), float(k))
    whole = study._ledger.journal.storage.read(1)
    study._ledger.journal.storage.close()
    data = bytearray(file.read_bytes())
    start = int(where * len(data))
    data[start : start + 400] = b"\xa5" * 400
    file.write_bytes(data)
    status = cli.main(["doctor", str(file), "--json"])
    out, err = capsys.readouterr()
    if not out:  # not even the studies can be listed
        assert err.startswith(f"hpo-core: storage '{file}': ")
        return
    found = json.loads(out)
    (each,) = found["studies"]
    left = SQLiteStorage(str(file)).read(1, 0, each["last_good"] + 1)
    assert left == whole[: each["last_good"] + 1]
    assert status == (1 if found["file"] or each["problem"] else 0)
    assert status == 1 or left == whole  # what was hit was not in use


def test_a_file_that_is_not_there_is_not_made(tmp_path, capsys):
    assert cli.main(["ls", str(tmp_path / "none.db")]) == 1
    assert "no such file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_studies_gets_no_tables(postgres, capsys):
    assert cli.main(["ls", postgres]) == 1
    assert "no schema hpo_core" in capsys.readouterr().err
    assert sql(postgres, "SELECT 1 FROM pg_namespace WHERE nspname = 'hpo_core'") == []
