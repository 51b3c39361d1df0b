"""Objectives that worker processes import: ``ProcessExecutor`` sends functions of modules by name."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection

from hpo_core import Trial
from hpo_core.errors import TrialError, TrialFailed, TrialStopped


class TwoArgumentError(Exception):
    """Pickles, but cannot be unpickled: its arguments are not those of its constructor."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")


def unloadable():
    raise ValueError("this machine will not do")


class Unloadable:
    """Can be sent to another process, but not received there."""

    def __call__(self, trial):
        return 0.0

    def __reduce__(self):
        return unloadable, ()


UNLOADABLE = Unloadable()


class SlowToLoad:
    """Takes longer to receive than a trial may take."""

    def __call__(self, trial):
        return 0.0

    def __reduce__(self):
        return load_slowly, ()


def load_slowly():
    time.sleep(1.0)
    return SlowToLoad()


SLOW_TO_LOAD = SlowToLoad()


def unchanged(result, trial):
    return result


def parabola(trial):
    return (trial["x"] - 1.0) ** 2


def index(trial):
    return float(trial["k"])


def slow(trial):
    time.sleep(0.2)
    return trial["x"]


def slow_first(trial):
    time.sleep(3.0 if trial.number == 0 else 0.0)
    return trial["x"]


def process_id(trial):
    trial.note(pid=os.getpid())
    return 0.0


def thread_limit(trial):
    return float(os.environ["OMP_NUM_THREADS"])


def reporting(trial):
    for step in range(3):
        trial.report(step, trial["x"] + step)
    trial.note(seed=trial.seed, number=trial.number)
    if trial.should_stop():
        return float("nan")
    return trial["x"]


def reporting_and_napping(trial):
    for step in range(20):
        trial.report(step, trial["x"] + step)
        time.sleep(0.02)
    return trial["x"]


def reporting_from_threads(trial):
    def report(first):
        for step in range(first, first + 50):
            trial.report(step, 0.5)

    threads = [threading.Thread(target=report, args=(50 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0.5


def stopping(trial):
    if trial.number % 2:
        trial.report(5, 0.25)
        raise TrialStopped
    return 1.0


def out_of_memory(trial):
    raise TrialFailed("oom")


def raising(trial):
    raise KeyError(trial.number)


def raising_at_two(trial):
    if trial.number == 2:
        raise ValueError("two is bad")
    time.sleep(0.05)
    return trial["x"]


def raising_unportable(trial):
    raise TwoArgumentError(7, "no way home")


def interrupted(trial):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)  # for the signal to arrive
    return 1.0


def leaving(trial):
    sys.exit(3)


def dying_at_three(trial):
    if trial.number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return trial["x"]


def dying_afterwards(trial):
    trial.note(pid=os.getpid())
    if trial.number == 0:
        threading.Timer(0.1, os._exit, (1,)).start()
    return float(trial.number)


def dying(trial):
    os._exit(11)


def returning_none(trial):
    return None


def sleeping(trial):
    """Say that the trial runs, then sleep; trials 0 and 1 finish."""
    if trial.number > 1:
        os.write(1, b"sleeping\n")  # in one piece, whoever else writes
        time.sleep(60)
    return trial["x"]


def returning_text(trial):
    return "0.5"


def napping(trial):
    started = time.time()
    time.sleep(0.01)
    trial.note(pid=os.getpid(), start=started, end=time.time())
    return trial["x"]


class Hanging:
    """Trial 3 writes its process to a file and does not end."""

    def __init__(self, file):
        self.file = file

    def __call__(self, trial):
        if trial.number == 3:
            self.file.write_text(str(os.getpid()))
            time.sleep(600)
        return trial["x"]


N_LOADED = 0  # in this process


def load():
    global N_LOADED  # noqa: PLW0603 - what the test is about
    N_LOADED += 1
    return Loaded()


class Loaded:
    """Notes how often this process has unpickled such an objective."""

    def __call__(self, trial):
        time.sleep(0.02)
        trial.note(pid=os.getpid(), loaded=N_LOADED)
        return trial["x"]

    def __reduce__(self):
        return load, ()


def visible_gpus(trial):
    time.sleep(0.3)
    trial.note(pid=os.getpid(), gpus=os.environ.get("CUDA_VISIBLE_DEVICES"), end=time.time())
    return trial["x"]


def address_of_worker(trial):
    from distributed import get_worker

    time.sleep(0.02)
    trial.note(address=get_worker().address)
    return trial["x"]


def thread_name(trial):
    time.sleep(0.05)
    trial.note(thread=threading.current_thread().name)
    return trial["x"]


def slow_from_forty(trial):
    time.sleep(0.01 if trial.number < 40 else 0.2)
    return trial["x"]


def ending(trial):
    """Ends in another way for each of the first trials."""
    if trial.number == 0:
        trial.report(5, 0.25)
        raise TrialStopped
    if trial.number == 1:
        raise TrialFailed("oom")
    if trial.number == 2:
        raise ValueError("two is bad")
    if trial.number == 3:
        sys.exit(3)
    return trial["x"]


def tuned(config):
    """A trainable of Ray Tune: three reports, the last of them the best."""
    from ray import tune

    if config["n"] == 2:
        raise ValueError("two is bad")
    assert config["model"]["fixed"] == 7
    for step in range(3):
        tune.report({"loss": (config["model"]["x"] - 1.0) ** 2 + 2 - step})


class Forking:
    """Trial 3 starts a process that outlives it, and ends as it is told; ``file`` names both processes."""

    def __init__(self, file, end, *, session=False):
        self.file, self.end, self.session = file, end, session

    def __call__(self, trial):
        if trial.number != 3:
            return trial["x"]
        child = os.fork()  # it holds every pipe of its parent
        if child == 0:
            if self.session:
                os.setsid()
            time.sleep(600)
            os._exit(0)
        note_processes(self.file, os.getpid(), child)
        return self.end(trial)


def note_processes(file, *pids):
    part = file.with_suffix(f".{os.getpid()}")
    part.write_text(" ".join(map(str, pids)))
    part.replace(file)


def die(trial):
    os.kill(os.getpid(), signal.SIGKILL)


def die_while_sending(trial):
    """Be killed with half of the result on its way."""
    Connection._send = send_half
    return 0.0


def send_half(connection, message):
    os.write(connection.fileno(), message[: len(message) // 2])
    os.kill(os.getpid(), signal.SIGKILL)


def sleep_long(trial):
    time.sleep(600)


def hold_the_gil(trial):
    """Compute in one call that lets no other thread run."""
    sum(range(10**12))


class Holding:
    """Names its process in a file and holds the GIL."""

    def __init__(self, file):
        self.file = file

    def __call__(self, trial):
        note_processes(self.file, os.getpid())
        hold_the_gil(trial)


def failing_at_length(trial):
    raise TrialFailed("x" * 9_000)


def noting_a_lock(trial):
    trial.note(lock=threading.Lock())
    return 0.0


def reporting_until_told(trial):
    """Trial 0 reports until it is told to stop."""
    limit = time.monotonic() + (60.0 if trial.number == 0 else 0.0)
    step = 0
    while time.monotonic() < limit and not trial.should_stop():
        time.sleep(0.01)
        trial.report(step, step + 0.5)
        step += 1
    return 1.0


def reporting_much(trial):
    for step in range(500):
        trial.report(step, trial["x"] + step)
    return trial["x"]


def reporting_ten_thousand_first(trial):
    for step in range(10_000 if trial.number == 0 else 0):
        trial.report(step, trial["x"])
    return trial["x"]


class ReportingLate:
    """Notes what a trial says to a report, when the next one runs in its process."""

    last = None

    def __call__(self, trial):
        kind = type(self)
        if kind.last is not None:
            said = {_refusal(kind.last.report, 0, 1.0), _refusal(kind.last.note, a=1)}
            (text,) = said
            trial.note(said=f"report, note: {text.replace(f' {kind.last.number} ', ' ')}")
        kind.last = trial
        return trial["x"]


def _refusal(change, *arguments, **options):
    try:
        change(*arguments, **options)
    except TrialError as error:
        return str(error)
    return "nothing"


def describing(trial):
    trial.note(
        kind=isinstance(trial, Trial),
        tier=trial.tier,
        before=[
            trial.number,
            trial.state.name,
            trial.value,
            trial.reason,
            trial.traceback,
            trial.retries,
            trial.notes,
            trial.reports,
        ],
    )
    trial.report(3, 0.5)
    trial.note(after=[trial.reports, sorted(trial.notes)])
    return trial["x"]


def reporting_and_dying(trial):
    """Trial 1 reports twice, hears that this has arrived, and is killed."""
    if trial.number == 1:
        trial.report(0, 0.5)
        trial.report(1, 0.25)
        assert not trial.should_stop()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return trial["x"]


def asking_first(trial):
    """Trial 0 asks until it is told to stop."""
    limit = time.monotonic() + 30.0
    while trial.number == 0 and not trial.should_stop():
        if time.monotonic() > limit:
            raise TrialFailed("nobody said stop")
        time.sleep(0.01)
    return 0.25


def results(trial):
    """Results of several metrics, for ``tests/study/test_metrics.py``."""
    width = trial["width"]
    return {"error": trial["x"], "latency": width / 10, "accuracy": 1 - trial["x"] ** 2, "share": width / 100}


def with_reports(trial):
    found = results(trial)
    for step in range(3):
        trial.report(step, found | {"error": found["error"] + 1 / (step + 1)})
    return found


class InOrder:
    """Trains as a simulation had it: a report waits for the answer to the one before, in any process."""

    def __init__(self, order, folder):
        self.order = order  # of reports: number and step
        self.folder = folder

    def __call__(self, trial):
        for step in trial.steps(9):
            place = self.order.index((trial.number, step))
            while place and not (self.folder / str(place - 1)).exists():
                time.sleep(0.002)
            loss = trial["x"] + 1 / (1 + step)
            trial.report(step, loss)
            is_told = trial.should_stop()
            (self.folder / str(place)).touch()
            if is_told:
                break
        return loss


def training(trial):
    """Five steps whose state is in the checkpoint alone; notes where each run of the trial began."""
    state, before = 0.0, trial.checkpoint
    if before is not None:
        state = float((before / "state").read_text())
    runs = trial.notes.get("runs", [])
    folder = None if trial.folder is None else str(trial.folder)
    trial.note(runs=[*runs, [trial.resumed, trial.last_step, folder]])
    for step in trial.steps(5):
        state += trial["x"] * (step + 1)
        if folder is not None:
            with trial.save_checkpoint(step) as there:
                (there / "state").write_text(repr(state))
        trial.report(step, state)
        if trial.should_stop():
            break
    return state


def training_of_x(trial):
    """Six steps that report x, saved at each."""
    for step in trial.steps(6):
        with trial.save_checkpoint(step):
            pass
        trial.report(step, trial["x"])
        if trial.should_stop():
            break
    return trial["x"]


ODD_NAMES = {"lr": "lr", "width": "grö\u00dfe/µ.. <b>", "kind": "kind\x1b[2J", "text": "a=b, 'c' `d`; --"}
ODD_METRICS = ("err%\n<script>", "ms")


def tracked(trial):
    """Three reports of two metrics; trial 1 fails, trial 2 is stopped, both with notes."""
    error, ms = ODD_METRICS
    trial.note(**{"why not\x07": "<i>"})
    for step in range(3):
        trial.report(10 * step, {error: trial["lr"] + step, ms: float("nan") if step == 1 else 1.0})
        time.sleep(0.02)
    if trial.number == 1:
        raise TrialFailed("no <b>\x1b[2J 'such' \ud800 thing")
    if trial.number == 2:
        raise TrialStopped
    return {error: trial["lr"], ms: 2.0}


def written_for_optuna(trial):
    return (trial.suggest_float("x", -5, 5) - 2) ** 2
