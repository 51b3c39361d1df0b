"""Runs a list of jobs on worker processes and appends each record as it comes."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from bench import ROOT, environments, machine, records
from bench.quality import tabular
from bench.quality.optimiser import ENTRIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from bench.quality.optimiser import Entry

Job = dict[str, Any]
WORKER = "bench.quality.worker"
KEYS = ("problem", "optimiser", "settings", "seed", "trials")


def jobs(
    optimiser: str,
    settings: dict[str, Any],
    names: Sequence[str],
    seeds: Iterable[int],
    trials: int,
    entries: Mapping[str, Entry] = ENTRIES,
) -> list[Job]:
    """Every run of one optimiser, seeds outermost: a bench cut short has covered all problems."""
    return [
        {"problem": name, "optimiser": optimiser, "settings": settings, "seed": seed, "trials": trials}
        for seed in seeds
        for name in names
        if name in entries[optimiser].problems
    ]


def missing(wanted: Sequence[Job], path: Path, versions: dict[str, str] | None) -> list[Job]:
    """The jobs without a record of the same versions (None: of any) in the file."""
    held = records.latest(records.read(path), *KEYS)
    done = {key for key, record in held.items() if versions is None or record.get("versions") == versions}
    return [job for job in wanted if next(iter(records.latest([job], *KEYS))) not in done]


class Worker:
    """A child interpreter that answers jobs; replaced by a new one when it dies."""

    def __init__(self, python: str, module: str = WORKER) -> None:
        self._command = [python, "-m", module]
        self._process: subprocess.Popen[str] | None = None

    def run(self, job: Job) -> records.Record:
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if answer:
            return dict(json.loads(answer))
        error = f"worker ended with status {self.close()}"
        return {**job, "curve": [], "error": error, "date": machine.today()}

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=environments.child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> int | None:
        """End the child, if there is one, and return its exit status."""
        if self._process is None:
            return None
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()
        status, self._process = self._process.returncode, None
        return status


def run(
    wanted: Sequence[Job],
    path: Path,
    *,
    n_workers: int,
    entries: Mapping[str, Entry] = ENTRIES,
    module: str = WORKER,
) -> int:
    """Run the jobs of one optimiser, append their records to ``path``, return how many failed."""
    if not wanted:
        return 0
    tabular.prepare()
    peer = entries[wanted[0]["optimiser"]].peer
    python = sys.executable if peer is None else environments.interpreter(peer)
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in wanted:
        waiting.put(job)
    progress = Progress(len(wanted), path)
    threads = [
        threading.Thread(target=_serve, args=(Worker(python, module), waiting, progress), daemon=True)
        for _ in range(min(n_workers, len(wanted)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return progress.failed


class Progress:
    """Writes records one at a time and shows how far the bench is."""

    def __init__(self, total: int, path: Path) -> None:
        self._total, self._path, self._lock = total, path, threading.Lock()
        self._done = self.failed = 0

    def add(self, record: records.Record) -> None:
        with self._lock:
            records.append(self._path, record)
            self._done += 1
            if record["error"] is not None:
                self.failed += 1
                print(
                    f"\nfailed: {record['problem']} seed {record['seed']}: {record['error']}", file=sys.stderr
                )
            end = "\n" if self._done == self._total else ""
            if sys.stderr.isatty() or end:
                print(
                    f"\r{record['optimiser']}: {self._done}/{self._total}",
                    end=end,
                    file=sys.stderr,
                    flush=True,
                )


def _serve(worker: Worker, waiting: queue.SimpleQueue[Job], progress: Progress) -> None:
    while True:
        try:
            job = waiting.get_nowait()
        except queue.Empty:
            break
        progress.add(worker.run(job))
    worker.close()
