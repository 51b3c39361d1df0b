from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest
from places import sql
from studies import ABOUT

import hpo_core
from hpo_core import cli, native
from hpo_core.errors import BackendError
from hpo_core.storage import MemoryStorage, SQLiteStorage, open_storage


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
        "missing_extensions": {"_tpe": "no compiler", "_climb": "not compiled"},
    }
    monkeypatch.setattr(native, "info", lambda: facts)
    cli.main(["info"])
    assert capsys.readouterr().out.splitlines() == [
        "backend             numba",
        "simd                -",
        "simd_levels         none",
        "missing_extensions  _tpe (no compiler)",
        "                    _climb (not compiled)",
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


METRICS = {
    "error": hpo_core.Minimize(reference=2.0),
    "size": hpo_core.Maximize(known=lambda columns: columns["x"]),
    "ms": hpo_core.AtMost(5.0),
}


@pytest.fixture
def several(place):
    """Where a storage with a study of two objectives and a bound is."""
    space = {"x": hpo_core.Float(0, 1)}
    study = hpo_core.Study(space, metrics=METRICS, sampler="sobol", seed=0, name="s", storage=place)
    study.add({"x": [0.25, 0.5, 0.75, 1.0]}, {"error": [0.1, 0.2, 0.3, 0.4], "ms": [5.0, 1.0, 9.0, 2.0]})
    return place


def test_a_front_is_a_table(several, capsys):
    assert cli.main(["best", several, "s"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "number  error  size  ms  params",
        "0       0.1    0.25  5   x=0.25",
        "1       0.2    0.5   1   x=0.5",
        "3       0.4    1     2   x=1.0",
    ]
    status, found = printed(capsys, "best", several, "s")
    assert status == 0
    assert [row["number"] for row in found] == [0, 1, 3]
    assert found[1] == {
        "number": 1, "values": {"error": 0.2, "size": 0.5, "ms": 1.0}, "feasible": True, "params": {"x": 0.5},
    }  # fmt: skip


def test_metrics_are_said_in_words(several, capsys, tmp_path):
    assert cli.main(["ls", several]) == 0
    assert capsys.readouterr().out == (
        "'s'  sobol, minimize error (reference 2), maximize size (known), ms <= 5, 4 trials, 3 on the front\n"
    )
    assert cli.main(["show", several, "s"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if "  " in line)
    assert lines["metrics"] == "minimize error (reference 2), maximize size (known), ms <= 5"
    assert lines["best_values"] == "error=0.1, size=1.0"
    assert (lines["feasible"], lines["front"]) == ("3", "3")
    metrics = [
        {"name": "error", "kind": "minimize", "reference": 2.0},
        {"name": "size", "kind": "maximize", "known": True},
        {"name": "ms", "kind": "at_most", "bound": 5.0},
    ]
    assert printed(capsys, "show", several, "s")[1]["metrics"] == metrics
    assert printed(capsys, "export", several, "s", str(tmp_path / "t.csv"))[1]["metrics"] == metrics


def test_the_best_while_no_bound_is_kept(place, capsys):
    study = hpo_core.Study({"x": hpo_core.Float(0, 1)}, metrics=METRICS, seed=0, name="s", storage=place)
    assert cli.main(["best", place, "s"]) == 1
    assert capsys.readouterr().err == "hpo-core: study 's': no trial has completed yet\n"
    study.add({"x": [0.25, 0.5]}, {"error": [0.1, 0.2], "ms": [7.0, 6.0]})
    assert cli.main(["best", place, "s"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[1:] == ["1       0.2    0.5   6   x=0.5"]
    assert err == "hpo-core: no trial keeps all bounds; this one violates them least\n"
    assert not printed(capsys, "best", place, "s")[1][0]["feasible"]


def test_one_objective_with_a_bound(place, capsys):
    metrics = {"loss": hpo_core.Minimize(), "ms": hpo_core.AtLeast(5.0)}
    study = hpo_core.Study({"x": hpo_core.Float(0, 1)}, metrics=metrics, seed=0, name="s", storage=place)
    for value, said in (((0.5, 4.0), "none feasible"), ((0.75, 5.0), "best 0.75")):
        study.add({"x": 0.25}, value)
        assert cli.main(["ls", place]) == 0
        assert capsys.readouterr().out.endswith(
            f", minimize loss, ms >= 5, {len(study.trials)} trials, {said}\n"
        )
    assert printed(capsys, "best", place, "s")[1] == {
        "number": 1, "value": 0.75, "values": {"loss": 0.75, "ms": 5.0}, "feasible": True,
        "params": {"x": 0.25},
    }  # fmt: skip
    assert cli.main(["best", place, "s"]) == 0
    assert capsys.readouterr().out.splitlines()[1:4] == [
        "value     0.75", "values    loss=0.75, ms=5.0", "feasible  True",
    ]  # fmt: skip


def test_notes_of_a_study_are_shown_and_exported(tmp_path, capsys):
    path = str(tmp_path / "s.db")
    study = hpo_core.Study({"x": hpo_core.Float(0, 1)}, sampler="random", seed=0, name="s", storage=path)
    cli.main(["show", path, "s"])
    assert "notes" not in capsys.readouterr().out
    study.note(data="digits", shape=(8, 8))
    cli.main(["show", path, "s"])
    assert capsys.readouterr().out.endswith("notes       data='digits', shape=(8, 8)\n")
    notes = {"data": "digits", "shape": [8, 8]}
    assert printed(capsys, "show", path, "s")[1]["notes"] == notes
    assert printed(capsys, "export", path, "s", str(tmp_path / "t.csv"))[1]["notes"] == notes


def test_export_writes_every_trial(stored, capsys, tmp_path):
    trials = hpo_core.Study.open(stored, "it's; DROP").trials
    for kind in ("csv", "json"):
        file = str(tmp_path / f"trials.{kind}")
        assert printed(capsys, "export", stored, "it's; DROP", file) == (0, {"file": file, "trials": 5})
    rows = json.loads((tmp_path / "trials.json").read_text())
    assert [row["value"] for row in rows] == [3.0, 1.0, 2.0, None, None]
    assert [row["params_x"] for row in rows] == trials["x"].tolist()
    lines = (tmp_path / "trials.csv").read_text().splitlines()
    assert lines[0] == ",".join([*ABOUT, "params_x", "params_c", "params_m"])
    assert lines[4].startswith("3,failed,,")
    assert ",sobol,oom,," in lines[4]
    assert cli.main(["export", stored, "it's; DROP", "trials.xml"]) == 1
    assert ".csv, .json, .parquet" in capsys.readouterr().err


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


def test_delete_frees_the_name(stored, capsys):
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


TEXTS = [
    "\x1b[2J",
    "a\rb",
    "\u202eb",
    "$\\frac$",
    "=1+1|' /C calc'!A0",
    "größe\U0001f680",
    "<script>",
    "a\tb\n+1",
    "@x",
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A file whose names, choices and reasons are all of those texts."""
    path = str(tmp_path_factory.mktemp("hostile") / "s.db")
    space = {text: hpo_core.Categorical([text, f" {text}", (text, 1)], doc=text) for text in TEXTS}
    for text in TEXTS:
        study = hpo_core.Study(space, sampler="random", seed=0, name=text, storage=path)
        study.add({name: name for name in TEXTS}, 1.0)
        study.fail(study.ask(2), reason=text)
    return path


def program(*arguments, **options):
    """Run the command line as a program of its own."""
    options = {"capture_output": True, "text": True, "timeout": 60} | options
    return subprocess.run([sys.executable, "-m", "hpo_core.cli", *arguments], check=False, **options)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_gets_nothing_to_obey(encoding, hostile, tmp_path):
    environment = os.environ | {"PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    name = TEXTS[5]
    for words in [*commands(hostile, name, str(tmp_path / "t.csv")), ["best", hostile, "\x1b[2J none"]]:
        done = program(*words, env=environment, text=False)
        text = (done.stdout + done.stderr).decode(encoding)
        assert "Traceback" not in text
        assert text
        assert all(line.isprintable() for line in text.split("\n"))
        assert done.returncode == ("none" in words[-1])


def test_wrong_usage_is_escaped_too(capsys):
    with pytest.raises(SystemExit):
        cli.main(["info", "\x1b[2J"])
    assert "\x1b" not in capsys.readouterr().err


def test_a_sheet_runs_no_text_and_keeps_its_numbers(hostile, tmp_path, capsys):
    file = tmp_path / "t.csv"
    assert cli.main(["export", hostile, "@x", str(file)]) == 0
    with file.open(newline="", encoding="utf-8") as opened:
        head, *rows = csv.reader(opened)
    assert head[: len(ABOUT)] == ABOUT
    assert len(head) == len(ABOUT) + len(TEXTS)
    assert [row[2] for row in rows] == ["1.0", "", ""]
    assert rows[0][len(ABOUT) + TEXTS.index("größe\U0001f680")] == "größe\U0001f680"
    for cell in [cell for row in rows for cell in row] + head:
        assert not cell.lstrip().startswith(("=", "+", "-", "@"))
        assert all(c.isprintable() or c in "\n\t" for c in cell)


def test_numbers_below_zero_stay_numbers_in_a_sheet(tmp_path, capsys):
    path, file = str(tmp_path / "s.db"), tmp_path / "t.csv"
    study = hpo_core.Study({"x": hpo_core.Float(-2, -1), "c": "-1"}, seed=0, name="s", storage=path)
    study.add({"x": -1.5, "c": "-1"}, -3.5)
    assert cli.main(["export", path, "s", str(file)]) == 0
    line = file.read_text().splitlines()[1]
    assert line.startswith("0,complete,-3.5,")
    assert line.endswith(",added,,,,-1.5,'-1")


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_exports_for_programs_hold_every_text_as_it_is(kind, hostile, tmp_path, capsys):
    file = tmp_path / f"t.{kind}"
    assert cli.main(["export", hostile, "@x", str(file)]) == 0
    if kind == "json":
        row = json.loads(file.read_text())[0]
        assert [row[f"params_{text}"] for text in TEXTS] == TEXTS
    else:
        assert len(pd.read_parquet(file)) == 3


def test_columns_unknown_to_parquet_are_text(tmp_path, capsys):
    path, file = str(tmp_path / "s.db"), tmp_path / "t.parquet"
    space = {"big": hpo_core.Categorical([2**70, 1]), "c": hpo_core.Categorical([(1, 2), (3,)])}
    study = hpo_core.Study(space, sampler="random", seed=0, name="s", storage=path)
    for note in ({"a": {}}, {"a": [1, "b"]}, {"b": {"c": [1, {}]}}):
        study.ask().note(**note)
    assert cli.main(["export", path, "s", str(file)]) == 0
    assert pd.read_parquet(file)["params_big"].isin(["1", str(2**70)]).all()


def test_exports_take_lone_surrogates(tmp_path, capsys):
    path, half = str(tmp_path / "s.db"), "\ud800"
    try:
        space = {half: hpo_core.Categorical([half, "y"]), "t": hpo_core.Categorical([(half, 1), "z"])}
        study = hpo_core.Study(space, sampler="random", seed=0, name="s", storage=path)
        study.add({half: half, "t": (half, 1)}, 1.0)
        study.ask().note(**{half: half})
    except hpo_core.HpoError:
        return  # refused, nothing to show
    for kind in ("csv", "json", "parquet"):
        assert cli.main(["export", path, "s", str(tmp_path / f"t.{kind}")]) == 0
    assert study.to_pandas()["params_\\ud800"][0] == "\\ud800"


def test_json_holds_no_number_that_json_lacks(tmp_path, capsys):
    path, file = str(tmp_path / "s.db"), tmp_path / "t.json"
    study = hpo_core.Study({"c": hpo_core.Categorical([float("inf"), 1.0])}, seed=0, name="s", storage=path)
    study.add({"c": float("inf")}, 1.0)
    assert cli.main(["export", path, "s", str(file)]) == 0
    out = printed(capsys, "best", path, "s")[1] if capsys.readouterr() else None
    for found in (json.loads(file.read_text())[0]["params_c"], out["params"]["c"]):
        assert found == "inf"


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_a_failed_export_leaves_the_old_file(kind, stored, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "out"
    folder.mkdir()
    file = folder / f"t.{kind}"
    file.write_text("old")
    file.chmod(0o640)

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(csv, "writer", fail)
        patch.setattr(json, "dump", fail)
        patch.setattr(pd.DataFrame, "to_parquet", fail)
        assert cli.main(["export", stored, "it's; DROP", str(file)]) == 1
    assert "No space left" in capsys.readouterr().err
    assert file.read_text() == "old"
    assert list(folder.iterdir()) == [file]
    assert cli.main(["export", stored, "it's; DROP", str(file)]) == 0
    assert file.stat().st_mode & 0o777 == 0o640
    assert list(folder.iterdir()) == [file]


def test_an_export_follows_links_and_devices(stored, tmp_path, capsys):
    link, file = tmp_path / "link.csv", tmp_path / "real.csv"
    file.touch()
    link.symlink_to(file)
    assert cli.main(["export", stored, "it's; DROP", str(link)]) == 0
    assert link.is_symlink()
    assert file.read_text().startswith("number,")
    assert cli.main(["export", stored, "it's; DROP", "/dev/null", "--format", "csv"]) == 0
    assert cli.main(["export", stored, "it's; DROP", "/dev/full", "--format", "csv"]) == 1
    assert "'/dev/full' cannot be written: No space left" in capsys.readouterr().err
    for wrong in (str(tmp_path), str(tmp_path / "none" / "t.csv"), "a\0b.csv"):
        assert cli.main(["export", stored, "it's; DROP", wrong, "--format", "csv"]) == 1
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "way", ["itself", "another path", "symlink", "hard link", "-wal", "-shm", "other storage"]
)
def test_an_export_never_writes_over_a_storage(way, tmp_path, capsys, monkeypatch):
    path, other = tmp_path / "s.db", tmp_path / "other.csv"
    study = hpo_core.Study({"x": hpo_core.Float(0, 1)}, seed=0, name="s", storage=path)
    study.tell(study.ask(), 1.0)
    (tmp_path / "folder").mkdir()
    if way == "symlink":
        other.symlink_to(path)
    elif way == "hard link":
        other.hardlink_to(path)
    elif way == "other storage":
        hpo_core.Study({"x": hpo_core.Float(0, 1)}, seed=0, name="s", storage=other)
    target = {
        "itself": path,
        "another path": tmp_path / "folder" / ".." / "s.db",
        "-wal": tmp_path / "s.db-wal",
        "-shm": tmp_path / "s.db-shm",
    }.get(way, other)
    for kind in ("csv", "json", "parquet"):
        assert cli.main(["export", str(path), "s", str(target), "--format", kind]) == 1
        assert "choose another file" in capsys.readouterr().err
    assert hpo_core.Study.open(path, "s").best_value == 1.0
    study.tell(study.ask(), 0.5)
    assert hpo_core.Study.open(path, "s").best_value == 0.5


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_ends_it_quietly(unbuffered, hostile, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    for words in (["ls", hostile], ["show", hostile, "@x", "--json"], ["info"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = program(*words, stdout=writing, stderr=subprocess.PIPE, capture_output=False)
        os.close(writing)
        assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_device_is_one_line(unbuffered, hostile, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    for words in (["ls", hostile], ["show", hostile, "@x"], ["info", "--json"]):
        with Path("/dev/full").open("w") as full:
            done = program(*words, stdout=full, stderr=subprocess.PIPE, capture_output=False)
        message = "hpo-core: standard output cannot be used: No space left on device\n"
        assert (done.returncode, done.stderr) == (1, message)


def test_without_any_output_it_still_runs(hostile):
    command = [sys.executable, "-m", "hpo_core.cli", "ls", hostile]
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *command], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_best_prints_values_as_they_are_written_in_python(tmp_path, capsys):
    path = str(tmp_path / "s.db")
    space = {"k": hpo_core.Categorical(["a", "b"]), "t": hpo_core.Categorical([(1, 2), None])}
    hpo_core.Study(space, seed=0, name="s", storage=path).add({"k": "a", "t": (1, 2)}, 0.5)
    assert cli.main(["best", path, "s"]) == 0
    assert capsys.readouterr().out == "number  0\nvalue   0.5\nparams  k='a', t=(1, 2)\n"


@pytest.mark.parametrize("target", ["copy.db", "./copy.db"])
def test_backup_includes_the_wal(target, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = hpo_core.Study({"x": hpo_core.Float(0, 1)}, sampler="random", seed=0, name="s", storage="s.db")
    study.tell(study.ask(5), range(5))
    assert (tmp_path / "s.db-wal").stat().st_size > 0
    assert printed(capsys, "backup", "s.db", target) == (0, {"copied": "s.db", "to": target})
    study.tell(study.ask(), -1.0)
    copy = hpo_core.Study.open("copy.db", "s")
    assert copy.trials.value.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert copy.replay()
    copy.tell(copy.ask(), 9.0)
    assert list(tmp_path.glob(".*")) == []
    study.backup(tmp_path / "other.db")
    assert hpo_core.Study.open("other.db", "s").best_value == -1.0


def test_a_copy_made_while_others_write_is_whole(tmp_path):
    path = str(tmp_path / "s.db")
    study = hpo_core.Study({"x": hpo_core.Float(0, 1)}, sampler="tpe", seed=0, name="s", storage=path)
    writers = [
        threading.Thread(target=each.optimize, args=(lambda trial: trial["x"],), kwargs={"n_trials": 60})
        for each in (study, hpo_core.Study.open(path, "s"))
    ]
    for writer in writers:
        writer.start()
    for k in range(5):
        (study if k % 2 else hpo_core.Study.open(path, "s")).backup(tmp_path / f"{k}.db")
    for writer in writers:
        writer.join()
    lengths = []
    for k in range(5):
        copy = hpo_core.Study.open(tmp_path / f"{k}.db", "s")
        assert copy.replay()
        lengths.append(len(copy.trials))
    assert lengths == sorted(lengths)
    assert len(hpo_core.Study.open(path, "s").trials) == 120


def test_backup_writes_over_nothing_and_leaves_nothing_behind(tmp_path, capsys, monkeypatch):
    path = tmp_path / "s.db"
    study = hpo_core.Study({"x": hpo_core.Float(0, 1)}, sampler="random", seed=0, name="s", storage=path)
    study.tell(study.ask(), 0.5)
    (tmp_path / "old").write_text("old")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.iterdir())
    for target in (
        "s.db",
        "old",
        "dangling",
        "folder",
        "none/copy.db",
        "folder/../s.db",
        "a\0b",
        "/dev/null",
    ):
        assert cli.main(["backup", str(path), str(tmp_path / target)]) == 1
        assert capsys.readouterr().err.startswith("hpo-core: path ")
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "old").read_text() == "old"
    assert hpo_core.Study.open(path, "s").best_value == 0.5


def test_only_files_are_copied(postgres, tmp_path, capsys):
    study = hpo_core.Study({"x": hpo_core.Float(0, 1)}, seed=0, name="s", storage=postgres)
    assert cli.main(["backup", postgres, str(tmp_path / "copy.db")]) == 1
    assert "pg_dump" in capsys.readouterr().err
    kept = {"pg_dump": study, "only SQLite": None, "in memory": hpo_core.Study({"x": hpo_core.Float(0, 1)})}
    kept["only SQLite"] = hpo_core.Study({"x": hpo_core.Float(0, 1)}, name="s", storage=MemoryStorage())
    for reason, each in kept.items():
        with pytest.raises(hpo_core.StorageError, match=reason):
            each.backup(tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "hpo_core", "info"], capture_output=True, text=True, check=True
    )
    assert "backend" in done.stdout
