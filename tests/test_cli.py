from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys

import pytest

import hpo_core
from hpo_core import cli, native
from hpo_core.errors import BackendError


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
def stored(tmp_path):
    """A storage with one study, as a path; three complete trials, one failed, one running."""
    path = str(tmp_path / "s.db")
    space = {"x": hpo_core.Float(0, 1), "c": hpo_core.Categorical({"a": {"m": hpo_core.Int(1, 3)}, "b": {}})}
    study = hpo_core.Study(space, sampler="sobol", seed=0, name="it's; DROP", storage=path)
    batch = study.ask(5)
    study.tell(batch[:3], [3.0, 1.0, 2.0])
    study.fail(batch[3], reason="oom")
    return path


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
    with contextlib.closing(sqlite3.connect(stored)) as connection, connection:
        connection.execute("UPDATE events SET data = replace(data, '3.0', '4.0') WHERE position = 2")
    status, found = printed(capsys, "doctor", stored)
    assert status == 1
    assert found["studies"][0]["last_good"] == 1
    assert "event 2" in found["studies"][0]["problem"]
    assert cli.main(["doctor", stored]) == 1
    assert "last good event 1" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_not_made(tmp_path, capsys):
    assert cli.main(["ls", str(tmp_path / "none.db")]) == 1
    assert "no such file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
