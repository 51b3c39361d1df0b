"""Reading a file makes and changes nothing, and needs no right to."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from studies import make_study

import hpo_core as hpo
from hpo_core import cli
from hpo_core.storage import SQLiteStorage

NOBODY = 65534


def written(path):
    """A closed file with one study."""
    storage = SQLiteStorage(str(path))
    study = make_study(name="s", storage=storage)
    study.tell(study.ask(3), [3.0, 1.0, 2.0])
    storage.close()


def reading(path, out):
    """Every command that reads a study."""
    words = [["ls", path], ["show", path, "s"], ["best", path, "s"], ["doctor", path]]
    return [*words, ["export", path, "s", out, "--format", "csv"]]


def program(*words):
    """The exit status of a command that has a process of its own, which closes what it has opened."""
    command = [sys.executable, "-m", "hpo_core.cli", *words]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode


def contents(folder):
    return {each.name: each.read_bytes() for each in sorted(Path(folder).iterdir())}


def test_reading_leaves_the_folder_as_it_was(tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    written(folder / "s.db")
    before = contents(folder)
    for words in reading(str(folder / "s.db"), str(tmp_path / "t.csv")):
        assert program(*words) == 0
        assert contents(folder) == before
    storage = SQLiteStorage(str(folder / "s.db"))
    assert hpo.Study.open(storage, "s").best_value == 1.0
    storage.close()
    assert contents(folder) == before


def test_reading_brings_no_schema_up_to_date(tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    with contextlib.closing(sqlite3.connect(folder / "s.db")) as connection:
        connection.executescript((Path(__file__).parents[1] / "storage" / "schema_1.sql").read_text())
    before = contents(folder)
    for words in reading(str(folder / "s.db"), str(tmp_path / "t.csv")):
        assert program(*words) == 0
        assert contents(folder) == before


@pytest.mark.parametrize("what", ["nothing", "empty", "text", "folder", "other"])
def test_what_is_no_storage_is_left_alone(what, tmp_path, capsys):
    folder, path = tmp_path / "kept", tmp_path / "kept" / "s.db"
    folder.mkdir()
    if what == "empty":
        path.touch()
    elif what == "text":
        path.write_text("not a database, " * 100)
    elif what == "other":
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE mine (x)")
    else:
        (folder / "other").touch()
    before = contents(folder)
    target = str(folder if what == "folder" else path)
    copying = [["delete", target, "s"], ["backup", target, str(tmp_path / "copy.db")]]
    for words in [*reading(target, str(tmp_path / "t.csv")), *copying]:
        assert cli.main(words) == 1
        assert capsys.readouterr().err.startswith(f"hpo-core: storage {target!r}") or words[0] == "doctor"
        assert contents(folder) == before
    assert not (tmp_path / "copy.db").exists()


@contextlib.contextmanager
def read_only_mount():
    """A file in a file system that nobody can write to."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"no file system can be mounted: {done.stderr.decode().strip()}")
        try:
            written(Path(folder) / "s.db")
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
            yield folder
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


@contextlib.contextmanager
def no_permission():
    """A file that this process may read and nothing else, in a folder likewise."""
    folder = Path(tempfile.mkdtemp())
    try:
        written(folder / "s.db")
        written(folder / "loaded.db")
        for words in reading(str(folder / "loaded.db"), str(folder / "t.csv")):
            cli.main(words)  # loads the modules that nobody else may read
        (folder / "s.db").chmod(0o444)
        folder.chmod(0o555)
        with unprivileged():
            yield str(folder)
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


@contextlib.contextmanager
def unprivileged():
    """Permissions do not bind root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.name != "posix" or not hasattr(os, "geteuid"), reason="POSIX permissions")
@pytest.mark.parametrize("kind", [read_only_mount, no_permission])
def test_a_file_that_cannot_be_written_can_be_read(kind, capsys):
    if kind is read_only_mount and os.geteuid() != 0:
        pytest.skip("to mount needs root")
    with kind() as folder:
        path = f"{folder}/s.db"
        for words in reading(path, "/dev/null"):
            assert cli.main(words) == 0, words
        assert "best 1" in capsys.readouterr().out
        storage = SQLiteStorage(path)
        study = hpo.Study.open(storage, "s")
        assert study.best_value == 1.0
        assert len(study.trials) == 3
        with tempfile.TemporaryDirectory() as elsewhere:
            storage.backup(f"{elsewhere}/copy.db")
            assert hpo.Study.open(f"{elsewhere}/copy.db", "s").best_value == 1.0
        with pytest.raises(hpo.StorageError, match=r"s\.db.*no permission to write to the file"):
            study.ask()
        assert len(study.trials) == 3
        assert cli.main(["delete", path, "s"]) == 1
        storage.close()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX permissions")
def test_a_path_without_permission_says_so():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written(folder / "s.db")
        (folder / "s.db").chmod(0)
        with unprivileged(), pytest.raises(hpo.StorageError, match=r"permission|Permission"):
            hpo.Study.open(folder / "s.db", "s")
        folder.chmod(0o555)
        with unprivileged(), pytest.raises(hpo.StorageError, match="permission to make a file"):
            make_study(name="s", storage=folder / "new.db")
        (folder / "s.db").chmod(0o644)
        with unprivileged(), pytest.raises(hpo.StorageError, match="permission to make a file"):
            SQLiteStorage(str(folder / "s.db")).backup(folder / "copy.db")
        folder.chmod(0o644)
        with unprivileged(), pytest.raises(hpo.StorageError, match="Permission denied"):
            hpo.Study.open(folder / "s.db", "s")
        folder.chmod(0o755)


def test_a_missing_file_is_not_copied(tmp_path):
    storage = SQLiteStorage(str(tmp_path / "s.db"))
    with pytest.raises(hpo.StorageError, match="no such file"):
        storage.backup(tmp_path / "copy.db")
    written(tmp_path / "s.db")
    study = hpo.Study.open(storage, "s")
    (tmp_path / "s.db").rename(tmp_path / "moved.db")
    with pytest.raises(hpo.StorageError, match="deleted or moved"):
        study.backup(tmp_path / "copy.db")
    storage.close()
    assert not {"s.db", "copy.db"} & {each.name for each in tmp_path.iterdir()}
