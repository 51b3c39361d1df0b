"""Many studies at once: each proposes what a study of its own does, whatever happens around it."""

from __future__ import annotations

import contextlib
import pickle
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from interrupts import interrupt

import hpo_core as hpo
from hpo_core import native
from hpo_core.errors import (
    InfeasibleSpaceError,
    SpaceError,
    SpaceExhausted,
    StorageError,
    StudyError,
    TrialError,
)
from hpo_core.log import State
from hpo_core.native import _backend
from hpo_core.native import pool as native_pool
from hpo_core.samplers.sobol import SobolSampler
from hpo_core.tpe.sampler import TPESampler

x, a, b = hpo.param("x"), hpo.param("a"), hpo.param("b")
FLOATS = hpo.Space({f"x{i}": hpo.Float(1e-3, 1.0, log=i % 2 == 0) for i in range(5)})
MIXED = hpo.Space({
    "lr": hpo.Float(1e-5, 1e-1, log=True),
    "batch": hpo.Ordinal([16, 32, 64]),
    "optimizer": hpo.Categorical({
        "sgd": {"momentum": hpo.Float(0.0, 0.99), "nesterov": hpo.Categorical([False, True])},
        "adam": {},
        "adamw": {"decay": hpo.Float(1e-6, 1e-1, log=True)},
    }),
    "depth": hpo.Int(1, 4),
    "width": hpo.Int(8, 2**16, log=True, when=hpo.param("depth") >= 3),
    "epochs": 10,
})  # fmt: skip
SMALL = hpo.Space({"a": hpo.Int(1, 4), "b": hpo.Categorical(["u", "v", "w"]), "c": hpo.Ordinal([1, 2])})
LARGE_GRID = hpo.Space({f"n{i}": hpo.Int(0, 20) for i in range(5)})
FORBIDDEN = hpo.Space({"x": hpo.Float(0, 1), "y": hpo.Float(0, 1)}, forbid=[x + hpo.param("y") > 0.8])
FORBIDDEN_GRID = hpo.Space({"a": hpo.Int(0, 9), "b": hpo.Int(0, 9)}, forbid=[a > b])
RARE = hpo.Space({"x": hpo.Float(0, 1), "y": hpo.Float(0, 1)}, forbid=[x + hpo.param("y") > 0.03])
FUNCTION = hpo.Space(
    {"x": hpo.Float(0, 1), "k": hpo.Int(1, 9)}, feasible=lambda columns: columns["x"] * columns["k"] < 3
)
SPACES = {
    "floats": FLOATS, "mixed": MIXED, "small": SMALL, "large grid": LARGE_GRID, "forbidden": FORBIDDEN,
    "forbidden grid": FORBIDDEN_GRID, "rare": RARE, "function": FUNCTION, "constants": hpo.Space({"c": 3}),
}  # fmt: skip


class SobolFirst(TPESampler):
    """TPE whose first trials do not keep away from failures."""

    def start(self, space, *, seed, allow_duplicates=False):
        super().start(space, seed=seed, allow_duplicates=allow_duplicates)
        self._startup = SobolSampler()
        self._startup.start(space, seed=seed, allow_duplicates=allow_duplicates)


def values_of(space, x, rng, failing):
    """What trials are told: far from a point of the unit cube, with ties and failures."""
    told = np.nansum((x - 0.3) ** 2, axis=0).round(2)
    told[rng.random(len(told)) < failing] = rng.choice([np.nan, np.inf, -np.inf])
    return told


def twins_of(pool, sampler=None, **options):
    return [
        hpo.Study(pool.space, sampler=sampler or pool.sampler, seed=pool.seed_of(i), **options)
        for i in range(len(pool))
    ]


def ask_both(pool, twins, studies):
    """Ask studies of the pool and their twins; return the batch, from which used-up studies are missing."""
    asked = []
    for study in studies:
        with contextlib.suppress(SpaceExhausted):
            asked.append((study, twins[study].ask()))
    if not asked:
        with pytest.raises(SpaceExhausted):
            pool.ask(studies)
        return None
    batch = pool.ask(studies)
    assert batch.study.tolist() == [study for study, _ in asked]
    assert batch.number.tolist() == [trial.number for _, trial in asked]
    expected = np.column_stack([twins[study].history.x[:, trial.number] for study, trial in asked])
    assert pool._gather(batch._rows).tobytes() == np.ascontiguousarray(expected).tobytes()
    return batch


def run_both(pool, twins, rounds, rng, *, failing=0.0, share=0.7):
    """Ask and tell random parts of the studies, in random order, and compare every proposal."""
    sign = 1 if pool.direction == "minimize" else -1
    for _ in range(rounds):
        studies = rng.permutation(len(pool))[: max(1, int(share * len(pool)))]
        ask_both(pool, twins, studies)
        running = pool.running
        told = (
            running[rng.permutation(len(running))[: max(1, int(0.9 * len(running)))]] if len(running) else []
        )
        if not len(told):
            break
        values = sign * values_of(pool.space, pool._gather(told._rows), rng, failing)
        pool.tell(told, values)
        for study, number, value in zip(told.study, told.number, values, strict=True):
            twins[study].tell(int(number), value)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_a_study_proposes_what_a_study_of_its_own_does(space):
    pool = hpo.StudyPool(space, 4, seed=3)
    run_both(pool, twins_of(pool), 35, np.random.default_rng(0))


@pytest.mark.parametrize(
    "space", [FLOATS, MIXED, SMALL, FORBIDDEN], ids=["floats", "mixed", "small", "forbidden"]
)
@pytest.mark.parametrize("failing", [0.1, 0.8])
def test_a_study_with_failures_too_but_for_its_first_trials(space, failing):
    pool = hpo.StudyPool(space, 4, seed=5)
    run_both(pool, twins_of(pool, SobolFirst()), 35, np.random.default_rng(1), failing=failing)


@pytest.mark.parametrize(
    "options",
    [
        {"n_startup": 2, "n_candidates": 1},
        {"n_candidates": 100, "gamma": 0.9, "weigh_below": False},
        {"gamma": 0.001, "prior_weight": 5.0, "min_bandwidth": 0.2},
    ],
)
def test_options_of_the_sampler_hold(options):
    sampler = hpo.TPESampler(**options)
    pool = hpo.StudyPool(MIXED, 3, sampler=sampler, direction="maximize", seed=7)
    run_both(pool, twins_of(pool, direction="maximize"), 30, np.random.default_rng(2))


def test_long_studies_forget_the_same_trials():
    pool = hpo.StudyPool(MIXED, 2, seed=1)
    run_both(pool, twins_of(pool, SobolFirst()), 340, np.random.default_rng(3), failing=0.05, share=1.0)
    assert pool.n_trials.min() > 256 + 64  # past max_above


def test_many_running_trials_keep_a_study_away_from_them():
    pool = hpo.StudyPool(FLOATS, 2, seed=1)
    twins = twins_of(pool)
    run_both(pool, twins, 12, np.random.default_rng(4), share=1.0)
    for _ in range(40):
        ask_both(pool, twins, [0, 1])


def test_duplicates_are_allowed_on_request():
    pool = hpo.StudyPool(SMALL, 2, seed=1, allow_duplicates=True)
    run_both(pool, twins_of(pool, allow_duplicates=True), 40, np.random.default_rng(5), share=1.0)
    assert pool.n_trials.max() > SMALL.size


def test_a_used_up_study_is_left_out():
    pool = hpo.StudyPool(SMALL, 3, seed=1)
    twins = twins_of(pool)
    for number in range(int(SMALL.size)):
        batch = ask_both(pool, twins, [2])
        pool.tell(batch, [number])
        twins[2].tell(number, number)
    assert pool.ask().study.tolist() == [0, 1]
    with pytest.raises(SpaceExhausted):
        pool.ask([2])


def test_constraints_that_permit_nothing_are_named():
    space = hpo.Space({"a": hpo.Int(0, 9)}, forbid=[a >= 0])
    with pytest.raises(InfeasibleSpaceError):
        hpo.StudyPool(space, 2, seed=0).ask()


@pytest.mark.skipif(not native.simd_levels(), reason="the extensions are not compiled")
def test_threads_and_neighbours_change_nothing():
    before = native.get_num_threads()
    pools = []
    try:
        for threads, n in ((1, 300), (2, 300), (2, 200)):
            native.set_num_threads(threads)
            pool = hpo.StudyPool(MIXED, n, seed=2)
            for _ in range(15):
                batch = pool.ask()
                pool.tell(batch, batch["lr"] * batch["depth"])
            pools.append(pool)
    finally:
        native.set_num_threads(before)
    one, two, fewer = (pool._gather(pool.trials._rows).reshape(-1, 15, len(pool)) for pool in pools)
    assert one.tobytes() == two.tobytes()
    assert one[:, :, :200].tobytes() == fewer.tobytes()


@pytest.mark.parametrize("level", native.simd_levels()[:1])
def test_other_instructions_serve_a_study_of_its_own_as_well(level):
    with native.simd_level(level):
        pool = hpo.StudyPool(MIXED, 2, seed=3)
        run_both(pool, twins_of(pool), 20, np.random.default_rng(0))


def test_numba_serves():
    pytest.importorskip("numba")
    with _backend.use("numba"):
        pool = hpo.StudyPool(MIXED, 2, seed=3)
        run_both(pool, twins_of(pool, SobolFirst()), 14, np.random.default_rng(0), failing=0.1, share=1.0)
        assert pool.n_trials.tolist() == [14, 14]


def told_pool(n=20, rounds=14, **options):
    pool, rng = hpo.StudyPool(MIXED, n, seed=4, **options), np.random.default_rng(0)
    for _ in range(rounds):
        batch = pool.ask()
        values = batch["lr"] * batch["depth"] + rng.random(n)
        values[rng.random(n) < 0.1] = np.nan
        pool.tell(batch[::2], values[::2])
        pool.tell(batch[1::2][:-1], values[1::2][:-1])  # the last study's trials go on running
    return pool


@pytest.mark.parametrize("copy", ["file", "pickle"])
def test_a_copy_goes_on_as_if_nothing_had_happened(copy, tmp_path):
    pytest.importorskip("pandas")
    pool = told_pool(direction="maximize")
    if copy == "file":
        pool.save(tmp_path / "pool.npz")
        pool.save(tmp_path / "pool.npz")
        assert [path.name for path in tmp_path.iterdir()] == ["pool.npz"]
        again = hpo.StudyPool.load(tmp_path / "pool.npz")
    else:
        again = pickle.loads(pickle.dumps(pool))
    assert again.to_pandas().equals(pool.to_pandas())
    assert again.running.number.tolist() == list(range(14))
    np.testing.assert_array_equal(again.best_values, pool.best_values)
    for each in (pool, again):
        each.tell(each.running[:3], [1.0, np.nan, 2.0])
    for _ in range(3):
        mine, other = pool.ask(), again.ask()
        assert pool._gather(mine._rows).tobytes() == again._gather(other._rows).tobytes()
        pool.tell(mine, mine["lr"])
        again.tell(other, other["lr"])


def test_what_is_no_file_of_a_pool_is_refused(tmp_path):
    (tmp_path / "text").write_text("text")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    for name in ("text", "other.npz", "missing"):
        with pytest.raises(StorageError, match="path must be the file of a pool"):
            hpo.StudyPool.load(tmp_path / name)
    pool = told_pool(2, 1)
    pool.save(tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut").write_bytes(content[: len(content) // 2])
    with pytest.raises(StorageError, match="path must be the file of a pool"):
        hpo.StudyPool.load(tmp_path / "cut")
    with pytest.raises(StorageError, match="cannot be written"):
        pool.save(tmp_path / "no folder" / "pool")
    with pytest.raises(SpaceError):
        hpo.StudyPool(FUNCTION, 1).save(tmp_path / "function")


def test_results_are_by_study():
    pool = told_pool()
    assert len(pool) == 20
    assert len(pool.trials) == 20 * 14
    assert [len(trials) for trials in pool] == [14] * 20
    for study in range(19):
        trials = pool[study]
        done = trials.where("complete")
        assert set(trials.study.tolist()) == {study}
        assert trials.number.tolist() == list(range(14))
        assert pool.best_values[study] == done.value.min()
        assert pool.best_params(study) == done[int(done.value.argmin())]
    assert len(pool[-1].where(State.RUNNING)) == 14
    assert np.isnan(pool.best_values[-1])
    assert np.isnan(pool[-1].value).all()
    assert pool.best_trials.study.tolist() == list(range(19))
    np.testing.assert_array_equal(pool.best_trials.value, pool.best_values[:-1])
    with pytest.raises(StudyError, match="study 19"):
        pool.best_params(19)


def test_the_first_told_is_the_best_among_equals():
    pool = hpo.StudyPool(FLOATS, 2, seed=0, direction="maximize")
    first, second = pool.ask(), pool.ask()
    both = pool.trials
    pool.tell(both[[3, 0, 2, 1]], [1.0, 0.5, 0.5, 1.0])  # of studies 1, 0, 0, 1
    assert pool.best_values.tolist() == [0.5, 1.0]
    assert [pool.best_params(0), pool.best_params(1)] == [first[0], second[1]]


def test_a_batch_has_columns_and_rows():
    pytest.importorskip("pandas")
    batch = told_pool().ask()
    assert batch["lr"].dtype == np.float64
    assert batch["epochs"].tolist() == [10] * 20
    active = batch.active("momentum")
    assert 0 < active.sum() < 20
    assert set(batch.params) == {
        "lr",
        "batch",
        "optimizer",
        "momentum",
        "nesterov",
        "decay",
        "depth",
        "width",
        "epochs",
    }
    for i, params in enumerate(batch):
        assert params == batch[i]
        assert ("momentum" in params) == active[i]
        assert params["lr"] == batch["lr"][i]
    assert batch[active].study.tolist() == np.flatnonzero(active).tolist()
    assert [*batch[-3:].number, *batch[[0]].number] == [14] * 4
    rows = batch.to_dict()
    assert [value is not None for value in rows["params_momentum"]] == active.tolist()
    assert rows["value"] == [None] * 20
    frame = batch.to_pandas()
    assert frame["params_momentum"].notna().tolist() == active.tolist()
    assert frame["state"].tolist() == ["running"] * 20
    assert repr(batch) == "PoolBatch(20 trials of 20 studies)"


def test_studies_are_chosen_by_index_or_mask():
    pool = hpo.StudyPool(FLOATS, 5, seed=0)
    assert pool.ask([3, 1]).study.tolist() == [3, 1]
    assert pool.ask(np.array([True, False, False, False, True])).study.tolist() == [0, 4]
    assert pool.n_trials.tolist() == [1, 1, 0, 1, 1]
    assert pool.ask(pool[3].study).number.tolist() == [1]


def test_studies_have_seeds_of_their_own():
    pool = hpo.StudyPool(FLOATS, 1000, seed=0)
    seeds = [pool.seed_of(i) for i in range(1000)]
    assert len({*seeds}) == 1000
    assert 0 <= min(seeds) <= max(seeds) < 2**63
    assert hpo.StudyPool(FLOATS, 10, seed=0).seed_of(9) == seeds[9]
    assert hpo.StudyPool(FLOATS, 10, seed=1).seed_of(9) != seeds[9]


def test_a_refused_tell_changes_nothing():
    pool = hpo.StudyPool(FLOATS, 4, seed=0)
    batch, other = pool.ask(), hpo.StudyPool(FLOATS, 4, seed=0).ask()
    pool.tell(batch[:1], [1.0])
    for told, values, words in [
        (batch, [1.0] * 4, "trial 0 of study 0 has already finished"),
        (batch[[1, 2, 1]], [1.0] * 3, "trial 0 of study 1 is given more than once"),
        (batch[1:], [1.0] * 2, "values"),
        (batch[1:], ["1"] * 3, "value"),
        (other, [1.0] * 4, "another pool"),
        ([0], [1.0], "PoolBatch"),
    ]:
        with pytest.raises(TrialError, match=words):
            pool.tell(told, values)
    assert pool.trials.state.tolist() == [State.COMPLETE, *[State.RUNNING] * 3]
    pool.tell(batch[1:], [1.0, 2.0, 3.0])


# -- what may break off ------------------------------------------------------------------------------


class Broken(BaseException):
    """What a signal handler may raise."""


@pytest.mark.parametrize("seed", range(3))
def test_a_signal_at_any_moment_leaves_a_whole_pool(seed):
    """Whatever is broken off, each trial has one state, and every told value is kept."""
    dice = random.Random(seed)
    pool = hpo.StudyPool({"x": hpo.Float(-1, 1), "k": hpo.Int(0, 9)}, 500, seed=seed)

    def change():
        batch = pool.ask()
        pool.tell(batch, batch["x"] ** 2)

    assert interrupt(change, [dice.uniform(1e-5, 3e-3) for _ in range(60)]) > 5
    waiting = pool.running
    pool.tell(waiting, waiting["x"] ** 2)
    assert not len(pool.running)
    assert len(pool.trials) == pool.n_trials.sum() == pool._finished.n
    np.testing.assert_array_equal(pool.trials.value, pool.trials["x"] ** 2)
    again = pickle.loads(pickle.dumps(pool))
    np.testing.assert_array_equal(again.ask()["x"], pool.ask()["x"])


def test_without_memory_for_some_studies_the_others_have_their_trials(monkeypatch):
    pool, ask = hpo.StudyPool({"x": hpo.Float(-1, 1)}, 10, seed=0), native_pool.ask

    def short(studies, which, d):
        x, status = ask(studies, np.ascontiguousarray(which[::2]), d)
        all_x, all_status = np.empty((d, len(which))), np.full(len(which), native_pool.NO_MEMORY, np.uint8)
        all_x[:, ::2], all_status[::2] = x, status
        return all_x, all_status

    monkeypatch.setattr(native_pool, "ask", short)
    with pytest.raises(MemoryError, match=r"pool\.running"):
        pool.ask()
    assert pool.running.study.tolist() == [0, 2, 4, 6, 8]
    pool.tell(pool.running, pool.running["x"])
    monkeypatch.undo()
    assert len(pool.ask()) == 10


DAMAGES = {
    "study": [25, -1, "float"],
    "finished": ["twice", 10**6, "float"],
    "x": ["fewer", "wide", "float32", "nan"],
    "value": ["fewer", "float32"],
}


def damaged(column, how):
    column = column.copy()
    if how == "fewer":
        return column[..., :-2]
    if how == "float":
        return column.astype(float)
    if how == "float32":
        return column.astype(np.float32)
    column.flat[0] = {"twice": column.flat[1], "wide": 1e9, "nan": np.nan}.get(how, how)
    return column


@pytest.mark.parametrize(("name", "how"), [(name, how) for name, hows in DAMAGES.items() for how in hows])
def test_a_damaged_column_is_refused(tmp_path, name, how):
    pool = hpo.StudyPool({"x": hpo.Float(-1, 1), "m": hpo.Categorical(["a", "b"])}, 20, seed=0)
    for _ in range(3):
        batch = pool.ask()
        pool.tell(batch, batch["x"])
    pool.save(tmp_path / "pool.npz")
    with np.load(tmp_path / "pool.npz") as held:
        columns = {key: held[key] for key in held.files}
    np.savez(tmp_path / "bad.npz", **columns | {name: damaged(columns[name], how)})
    with pytest.raises(hpo.StorageError, match="is damaged"):
        hpo.StudyPool.load(tmp_path / "bad.npz")


def test_two_threads_save_to_one_file_which_a_link_points_to(tmp_path):
    pool = hpo.StudyPool({"x": hpo.Float(-1, 1)}, 50, seed=0)
    pool.ask()
    link = tmp_path / "link.npz"
    link.symlink_to(tmp_path / "pool.npz")
    pool.save(link)
    with ThreadPoolExecutor(2) as threads:
        for saved in [threads.submit(pool.save, link) for _ in range(40)]:
            saved.result()
    assert link.is_symlink()
    assert len(hpo.StudyPool.load(tmp_path / "pool.npz").running) == 50
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.npz", "pool.npz"]
