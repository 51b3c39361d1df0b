"""Choice of the backend, what info() says, and the thread pool."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from interrupts import interrupt
from waiting import wait_for

import hpo_core
from hpo_core import native
from hpo_core.errors import ArgumentError
from hpo_core.native import _backend

IMPORT = "from hpo_core import native; "
needs_native = pytest.mark.skipif(not native.simd_levels(), reason="the extensions are not compiled")


def python(code, **environment):
    """Run code in a new interpreter; the environment decides the backend there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HPO_CORE_")}
    return subprocess.run(
        [sys.executable, "-c", code], env=kept | environment, capture_output=True, text=True, check=False
    )


def without(*modules):
    """Source that makes modules impossible to import."""
    return f"import sys; sys.modules.update(dict.fromkeys({modules!r})); "


NO_EXTENSION = without("hpo_core.native._domain")
# find_spec refuses a module that is None, hence a finder that does not know numba.
NO_NUMBA = (
    "import importlib.util as u; found = u.find_spec; "
    "u.find_spec = lambda name, *rest: None if name == 'numba' else found(name, *rest); "
)


@needs_native
def test_native_is_the_default():
    assert python(IMPORT + "print(native.backend())").stdout.strip() == "native"


def test_numba_on_request():
    pytest.importorskip("numba")
    code = IMPORT + "from hpo_core.native import normal; print(native.backend(), normal.ndtr(40.0))"
    assert python(code, HPO_CORE_BACKEND="numba").stdout.split() == ["numba", "1.0"]


def test_numba_serves_if_one_extension_is_missing():
    pytest.importorskip("numba")
    code = NO_EXTENSION + IMPORT + "print(native.backend(), *native.info()['missing_extensions'])"
    backend, *missing = python(code).stdout.split()
    assert backend == "numba"
    assert "_domain" in missing  # and with it those that build on it


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners of files")
def test_numba_compiles_once_without_a_writable_home(tmp_path):
    pytest.importorskip("numba")
    package, temporary = tmp_path / "site" / "hpo_core", tmp_path / "temporary"
    shutil.copytree(Path(hpo_core.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "native" / "numba_backend" / "__pycache__").write_text("no folder")
    temporary.mkdir()
    nowhere = dict.fromkeys(("HOME", "XDG_CACHE_HOME"), "/dev/null/none")
    places = {"PYTHONPATH": str(package.parent), "TMPDIR": str(temporary), "NUMBA_CACHE_DIR": "", **nowhere}
    code = IMPORT + "from hpo_core.native import normal; print(native.__file__, normal.ndtr(40.0))"
    first, second = (python(code, HPO_CORE_BACKEND="numba", **places) for _ in range(2))
    assert first.stdout.split() == [str(package / "native" / "__init__.py"), "1.0"], first.stderr
    assert f"compiling kernels, once: numba keeps them in {temporary}" in first.stderr
    assert "compiling" not in second.stderr


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners of files")
def test_no_cache_is_loaded_from_a_shared_folder(tmp_path, monkeypatch):
    numba_backend = pytest.importorskip("hpo_core.native.numba_backend")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = Path(numba_backend._private_folder())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert numba_backend._private_folder() == str(folder)
    folder.chmod(0o777)
    assert Path(numba_backend._private_folder()).stat().st_mode & 0o777 == 0o700
    assert numba_backend._private_folder() != str(folder)


def test_running_without_compiled_code_is_told():
    pytest.importorskip("numba")
    said = python(NO_EXTENSION + IMPORT + "native.backend(); native.backend()").stderr
    assert said.count("without its compiled code") == said.count(_backend.CURE) == 1
    assert python(IMPORT + "native.backend()", HPO_CORE_BACKEND="numba").stderr == ""


@pytest.mark.parametrize(
    ("code", "environment", "message"),
    [
        (IMPORT, {"HPO_CORE_BACKEND": "cuda"}, "HPO_CORE_BACKEND must be native or numba, got 'cuda'"),
        (NO_EXTENSION + IMPORT, {"HPO_CORE_BACKEND": "native"}, "_domain"),
        (NO_EXTENSION + NO_NUMBA + IMPORT, {}, "pip install 'hpo-core[numba]'"),
        (NO_EXTENSION + NO_NUMBA + IMPORT, {}, _backend.CURE),
        (NO_NUMBA + IMPORT, {"HPO_CORE_BACKEND": "numba"}, "numba is not installed"),
        ("import sys; sys.frozen = True\n" + NO_EXTENSION + IMPORT, {}, "--collect-submodules hpo_core"),
    ],
)
def test_no_backend_is_an_error_with_advice(code, environment, message):
    result = python(code + "native.backend()", **environment)
    assert "BackendError" in result.stderr
    assert message in result.stderr


def test_a_release_insists_on_every_extension_at_import():
    result = python(NO_EXTENSION + "import hpo_core", HPO_CORE_REQUIRE_NATIVE="1")
    assert "BackendError" in result.stderr
    assert "_domain" in result.stderr
    assert python(NO_EXTENSION + "import hpo_core", HPO_CORE_REQUIRE_NATIVE="0").returncode == 0


def test_choosing_and_asking_imports_no_heavy_package():
    code = IMPORT + (
        "import json, sys; native.info(); native.build_id(); heavy = ('scipy', 'numba', 'torch', 'pandas'); "
        "print(json.dumps([name for name in heavy if name in sys.modules]))"
    )
    assert json.loads(python(code).stdout) == []


def test_use_restores_the_backend_after_an_error():
    pytest.importorskip("numba")
    before = native.backend()
    with _backend.use("numba"):
        assert native.backend() == "numba"
        assert _backend.module("normal").__name__.endswith("numba_backend.normal")
    assert native.backend() == before
    with contextlib.suppress(ZeroDivisionError), _backend.use("numba"):
        raise ZeroDivisionError
    assert native.backend() == before


def test_names_are_checked():
    with pytest.raises(ArgumentError, match="name must be 'native' or 'numba', got 'cuda'"):
        _backend.use("cuda").__enter__()
    with pytest.raises(ArgumentError, match=r"name must be .*, got 'sse9'"):
        native.simd_level("sse9").__enter__()


@needs_native
def test_every_simd_level_of_this_cpu_can_be_held():
    before = native.info()["simd"]
    assert native.simd_levels()[0] == "baseline"
    with _backend.use("native"):
        for level in native.simd_levels():
            with native.simd_level(level):
                assert native.info()["simd"] == level
                assert level in native.build_id()
    assert native.info()["simd"] == before


def test_info_names_what_serves():
    facts = native.info()
    assert facts["hpo_core"] == hpo_core.__version__
    assert facts["backend"] in ("native", "numba")
    assert facts["threads"] == native.get_num_threads()
    assert set(_backend.OPTIONAL) < set(facts)
    json.dumps(facts)


def test_the_build_id_tells_the_backends_apart():
    pytest.importorskip("numba")
    with _backend.use("numba"):
        jit = native.build_id()
    assert jit.startswith(hpo_core.__version__)
    assert "numba" in jit
    if native.simd_levels():
        with _backend.use("native"):
            assert native.build_id() != jit


@pytest.fixture
def threads():
    before = native.get_num_threads()
    yield native.set_num_threads
    native.set_num_threads(before)


@pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
@pytest.mark.parametrize("n_items", [0, 1, 63, 64, 65, 1000, 4096])
def test_parallel_covers_every_item_once(threads, n_threads, n_items):
    threads(n_threads)
    ranges = []
    native.parallel(lambda start, stop: ranges.append((start, stop)), n_items, 1)
    covered = sorted(item for start, stop in ranges for item in range(start, stop))
    assert covered == list(range(n_items))
    assert len(ranges) <= n_threads


def test_parallel_uses_threads_only_where_they_pay(threads):
    threads(2)
    names = set()
    native.parallel(lambda *_: names.add(threading.current_thread().name), 1000, 1000)
    assert names == {threading.current_thread().name}
    barrier = threading.Barrier(2, timeout=10)
    native.parallel(lambda *_: barrier.wait(), 1000, 500)


@pytest.mark.parametrize("failing", [0, 512])
def test_parallel_raises_when_nobody_works_any_more(threads, failing):
    threads(2)
    begun, ended = [], []

    def work(start, stop):
        begun.append(start)
        if start == failing:
            raise ZeroDivisionError
        time.sleep(0.01)
        ended.append(start)

    for _ in range(20):
        with pytest.raises(ZeroDivisionError):
            native.parallel(work, 1024, 1)
        assert len(begun) - begun.count(failing) == len(ended)


def test_parallel_works_without_threads(threads, monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    threads(2)
    monkeypatch.setattr("_thread.start_new_thread", refuse)
    done = []
    native.parallel(lambda start, _: done.append(start), 1024, 1)
    assert done == [0, 512]
    assert native.threads._pool.helpers.jobs.empty(), "no job waits for threads that will never be"


@pytest.mark.parametrize("failing", ["caller", "helper"])
def test_the_arrays_of_a_failed_call_are_let_go(threads, failing):
    threads(2)
    array, here, begun = np.zeros(1024), threading.get_ident(), threading.Barrier(2)
    left = weakref.ref(array)

    def work(start, stop, array=array):
        begun.wait(10)
        if (threading.get_ident() == here) == (failing == "caller"):
            raise ZeroDivisionError

    del array
    gc.disable()
    try:
        with pytest.raises(ZeroDivisionError) as caught:
            native.parallel(work, 1024, 1)
        del caught, work
        wait_for(lambda: left() is None)
    finally:
        gc.enable()


def test_an_exception_at_any_line_leaves_no_work_and_no_lock(threads):
    here, at_work = threading.get_ident(), Counter()

    def work(start, stop):
        at_work[threading.get_ident()] += 1
        time.sleep(0.001)
        at_work[threading.get_ident()] -= 1

    def trace(frame, event, _):
        nonlocal left
        if frame.f_code.co_filename != native.threads.__file__:
            return None
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        return trace

    for n in range(1, 1000):
        if n % 2:
            threads(3)  # starting new ones has lines of its own
        left, before = n, sys.gettrace()
        sys.settrace(trace)
        try:
            native.parallel(work, 640, 1)
        except KeyboardInterrupt:
            assert not any(count for thread, count in at_work.items() if thread != here), n
        else:
            break
        finally:
            sys.settrace(before)
    assert left > 0
    assert n > 50


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")
def test_an_interrupt_at_any_moment_leaves_no_work_and_no_lock(threads):
    dice, here, struck = random.Random(0), threading.get_ident(), 0
    at_work = Counter()  # by thread; the caller may be struck at work, the others never are

    def work(start, stop):
        at_work[threading.get_ident()] += 1
        sum(range(2000))
        at_work[threading.get_ident()] -= 1

    for _ in range(50):
        threads(2)  # starting new ones takes longest
        delays = [dice.uniform(2e-6, 1e-4) for _ in range(20)]
        struck += interrupt(lambda: native.parallel(work, 1024, 1), delays)
        assert not any(n for thread, n in at_work.items() if thread != here)
    assert struck > 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_the_pool_survives_a_fork(threads):
    threads(2)
    native.parallel(lambda *_: None, 1024, 1)
    child = os.fork()
    if child == 0:
        done = []
        native.parallel(lambda start, _: done.append(start), 1024, 1)
        os._exit(0 if sorted(done) == [0, 512] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("n", [0, -1, 1.5, "2", None])
def test_the_thread_count_is_checked(n):
    with pytest.raises(ArgumentError, match="n must be an int >= 1"):
        native.set_num_threads(n)
