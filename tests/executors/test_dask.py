"""What only Dask has: resources, nannies, workers that join, a scheduler that outlives its clients."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cloudpickle
import objectives
import pytest
from distributed import Client, LocalCluster
from studies import TRIALS, make_study

from hpo_core.errors import ArgumentError
from hpo_core.executors import Dask, Job, Payload
from hpo_core.executors.dask import _opened, _serve

pytestmark = pytest.mark.cluster


@contextlib.contextmanager
def threads(**options):
    """A cluster in this process: quick to start, and without nannies."""
    with (
        LocalCluster(processes=False, dashboard_address=":0", **options) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("resources", "expected"), [({}, 3), ({"GPU": 1}, 2), ({"GPU": 2}, 1), ({"GPU": 0.5}, 3)]
)
def test_a_worker_runs_what_its_threads_and_resources_allow(resources, expected):
    study = make_study()
    with threads(n_workers=1, threads_per_worker=3, resources={"GPU": 2}) as client:
        study.optimize(objectives.thread_name, n_trials=20, executor=Dask(client, resources=resources))
    assert len({note["thread"] for note in study.trials.notes}) == expected


def test_a_client_is_all_that_is_needed(dask_client):
    study = make_study()
    study.optimize(objectives.address_of_worker, n_trials=8, executor=dask_client)
    assert {note["address"] for note in study.trials.notes} <= set(dask_client.nthreads())


def test_workers_that_join_take_part():
    with threads(n_workers=1, threads_per_worker=1) as client:
        study = make_study()

        def join(study, trial):
            if trial.number == 5:
                client.cluster.scale(2)
            if len({note.get("address") for note in study.trials.notes} - {None}) == 2:
                study.stop()

        study.optimize(objectives.address_of_worker, timeout=60, executor=client, callbacks=[join])
        assert len({note.get("address") for note in study.trials.notes} - {None}) == 2


def test_a_worker_of_many_threads_dies_but_once(tmp_path):
    options = {"n_workers": 1, "threads_per_worker": 6, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        study = make_study()
        study.optimize(objectives.dying_at_three, n_trials=20, executor=client)
        assert study.n_finished == 20
        assert 1 <= len(study.trials.where("failed")) <= 6  # what ran beside it
        study, file = make_study(), tmp_path / "pid"
        study.optimize(objectives.Hanging(file), n_trials=20, executor=Dask(client, trial_timeout=1.0))
        assert [(trial.number, trial.reason) for trial in study.trials.where("failed")] == [(3, "timeout")]
        assert len(study.trials.where("complete")) == 19


def test_why_an_objective_did_not_load_is_kept_until_the_client_asks(dask_client):
    """The question may come when the task that loads is over."""
    packed = cloudpickle.dumps(objectives.UNLOADABLE)
    address = next(iter(dask_client.nthreads()))
    dask_client.submit(_serve, "late", packed, workers=[address], pure=False).result()
    causes = [
        dask_client.run(_opened, "late", workers=[address])[address],
        dask_client.run(lambda: sys.modules[_opened.__module__]._inboxes, workers=[address])[address],
    ]
    assert "this machine will not do" in causes[0].reason
    assert "late" not in causes[1]


def test_a_worker_that_leaves_does_not_hide_that_the_others_cannot_load():
    with threads(n_workers=2, threads_per_worker=1) as client:
        leaving = next(iter(client.nthreads()))
        client.submit(time.sleep, 2.0, workers=[leaving], key="in the way")
        payload = Payload(Job(objectives.UNLOADABLE, objectives.unchanged), TRIALS)
        with contextlib.closing(Dask(client).start(payload, tuple)) as executor:
            executor.submit((0, {"x": 3.0}))
            executor.wait()
            assert executor.collect() == []  # the other worker may be able to
            client.retire_workers([leaving])
            executor.wait()
            [(_, outcome)] = executor.collect()
            assert "could not load" in outcome.reason


def test_an_objective_may_wait_for_a_cluster_without_workers():
    with threads(n_workers=0) as client:
        study = make_study()
        timer = threading.Timer(0.3, client.cluster.scale, (1,))
        timer.start()
        study.optimize(objectives.parabola, n_trials=3, executor=client)
        assert study.n_finished == 3
        timer.join()


def test_a_time_limit_needs_a_nanny():
    with threads(n_workers=1) as client, pytest.raises(ArgumentError, match="trial_timeout needs Dask"):
        make_study().optimize(objectives.parabola, n_trials=1, executor=Dask(client, trial_timeout=1.0))


def test_what_is_no_client_is_refused():
    with pytest.raises(ArgumentError, match=r"client must be a distributed\.Client"):
        Dask("tcp://127.0.0.1:8786")


SCRIPT = """\
import sys
from distributed import Client
import hpo_core as hpo
from objectives import napping

if __name__ == "__main__":
    study = hpo.Study({"x": hpo.Float(-2.0, 2.0)}, sampler="random")
    study.optimize(
        napping, n_trials=100_000, executor=Client(sys.argv[1]),
        callbacks=[lambda study, trial: trial.number == 5 and print("running", flush=True)],
    )
"""


def test_a_killed_client_leaves_the_workers_free(dask_client, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    address = dask_client.scheduler.address
    path = [str(Path(objectives.__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    with subprocess.Popen(
        [sys.executable, script, address],
        env={"PYTHONPATH": os.pathsep.join(path)}, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGKILL)
    futures = [
        dask_client.submit(abs, -k, workers=[worker], pure=False)
        for k, worker in enumerate(dask_client.nthreads())
    ]
    assert [future.result(timeout=30) for future in futures] == list(range(len(futures)))
