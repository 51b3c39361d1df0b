"""For every public callable: a call that is fine, and values that each of its arguments refuses."""

from __future__ import annotations

import contextlib
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from cases import Case, Named, declare, enter, given, make, on, subscript
from studies import FULL

import hpo_core as hpo
from hpo_core import acquisition, analysis, callbacks, executors, native, plots
from hpo_core.storage import MemoryStorage


def stored_study() -> MemoryStorage:
    storage = MemoryStorage()
    hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", name="s", storage=storage)
    return storage


def copy_stored_study(scene, path):
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", name="s", storage="s.db").backup(path)


def save_pool(scene, path):
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        scene.pool.save(path)


def load_pool(scene, path):
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        scene.pool.save("pool.npz")
        hpo.StudyPool.load(path)


def write_report(scene, path):
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        hpo.Study({"x": hpo.Float(0, 1)}, sampler="random").report(path)


def save_checkpoint(scene, step):
    with tempfile.TemporaryDirectory() as folder:
        study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", checkpoints=folder)
        enter(study.ask().save_checkpoint(step))


WHEN = [True, "depth > 1", hpo.param("depth") + 1]
NOT_NUMBERS = [None, "1", True, float("nan"), float("inf")]
NOT_SECONDS = [0, -1.0, "1", True, float("nan"), float("inf")]
NOT_FORMULAS = [3, "width", True]
NOT_FLAGS = [None, 1, "yes"]
NOT_COUNTS = [0, -1, 1.5, True, "3"]
NOT_NAMES = [3, "lr", [], ["zz"], ["epochs", "lr"], [None]]
NOT_PAIRS = [["lr"], ["lr", "lr"], ["lr", "depth", "batch"]]
NOT_METRICS = [3, True, ["error"]]
RUNGS = {"min_steps": NOT_COUNTS, "max_steps": [*NOT_COUNTS, 1], "factor": [*NOT_COUNTS, 1]}
NOT_PARAMS = [3, [("lr", 0.1)]]
NOT_ANYWHERE = [
    *NOT_PARAMS,
    Named({}, "'lr'"),
    Named(FULL | {"lr": None}, "'lr'"),
    Named(FULL | {"zz": 1}, "'zz'"),
    Named(FULL | {"epochs": 11}, "'epochs'"),
    Named(FULL | {"optimizer": "adam"}, "'momentum'"),
]
NOT_GIVEN = [3, "1", np.zeros(2), np.zeros((1, 1))]
NOT_DEFAULTS = [3, ["lr"], Named({"zz": 1}, "'zz'")]
NOT_FINITE = [None, "1", ["1"], [[1.0], [1.0, 2.0]], 1j, True, float("nan"), [0.0, float("inf")]]
NOT_PREDICTIONS = {"mean": NOT_FINITE, "sd": [*NOT_FINITE, -1.0, [1.0, -1e-300]]}
NOT_BEST = [None, "1", True, [1.0], 1j, float("nan")]
NOT_X = [np.zeros((2, 3)), np.zeros(5)]

CASES: dict[str, Case] = {
    "Float": Case(
        declare(hpo.Float),
        {
            "low": [*NOT_NUMBERS, 2.0],
            "high": [*NOT_NUMBERS, -1.0],
            "log": NOT_FLAGS,
            "step": ["1", True, 0.0, -0.1, 0.3, float("nan")],
            "when": WHEN,
            "doc": [None, 3],
        },
        given(low=0.0, high=1.0),
    ),
    "Int": Case(
        declare(hpo.Int),
        {
            "low": [*NOT_NUMBERS, 0.5, 9],
            "high": [*NOT_NUMBERS, 4.5, 0],
            "log": NOT_FLAGS,
            "step": [None, "1", True, 0, -1, 1.0, 2],
            "when": WHEN,
            "doc": [None, 3],
        },
        given(low=1, high=4),
    ),
    "Ordinal": Case(
        declare(hpo.Ordinal),
        {
            "values": [None, 3, "abc", [], [1, 1], [[1], [2]], [float("nan")], {1, 2}],
            "when": WHEN,
            "doc": [None],
        },
        given(values=[1, 2, 3]),
    ),
    "Categorical": Case(
        declare(hpo.Categorical),
        {
            "choices": [None, 3, "abc", [], ["a", "a"], [["a"]], {}, Named({"a": 3}, "choice 'a'")],
            "when": WHEN,
            "doc": [None],
        },
        given(choices=["a", "b"]),
    ),
    "param": Case(make(hpo.param), {"name": [None, 3, ""]}, given(name="a")),
    "Expression.isin": Case(
        lambda scene, **arguments: hpo.param("a").isin(**arguments),
        {"values": [Named("abc", "isin"), Named([], "isin"), Named(3, "isin")]},
        given(values=[1, 2]),
    ),
    "Space": Case(
        make(hpo.Space),
        {
            "parameters": [
                3,
                [("x", hpo.Float(0, 1))],
                Named({3: hpo.Float(0, 1)}, "name"),
                Named({"": hpo.Float(0, 1)}, "name"),
                Named({"x" * 257: hpo.Float(0, 1)}, "name"),
                Named({"x": hpo.Float(0, 1, when=hpo.param("zz") > 1)}, "'zz'"),
                Named({"x": hpo.Float(0, 1, when=hpo.param("x") > 0)}, "'x'"),
            ],
            "forbid": [None, hpo.param("x") > 1, [True], Named([hpo.param("zz") > 1], "'zz'")],
            "feasible": [True, "x < 1"],
        },
        given(parameters={"x": hpo.Float(0, 1)}),
    ),
    "Space.sample": Case(
        on("space", "sample"), {"n": [-1, 1.5, True, "3"], "seed": [-1, 1.5, None]}, given(n=2)
    ),
    "Space.from_json": Case(
        make(hpo.Space.from_json),
        {
            "text": [
                None,
                3,
                "",
                "{",
                Named("[]", "a space of version"),
                Named('{"parameters": 3}', "a space of version"),
            ]
        },
        lambda scene: {"text": scene.space.to_json()},
    ),
    "Space.from_configspace": Case(
        make(hpo.Space.from_configspace),
        {"cs": [None, 3, {"x": (0.0, 1.0)}]},
        lambda scene: {"cs": scene.space.to_configspace()},
    ),
    "Space.from_sweep": Case(
        make(hpo.Space.from_sweep),
        {
            "sweep": [
                None,
                3,
                [("parameters", {})],
                Named({}, "parameters"),
                Named({"parameters": {"x": {"distribution": "normal"}}}, "'x'"),
                Named({"parameters": {"x": {"values": [1, 2], "probabilities": [0.5, 0.5]}}}, "'x'"),
            ]
        },
        given(sweep={"parameters": {"x": {"min": 0.0, "max": 1.0}}}),
    ),
    "Space.encode": Case(
        on("space", "encode"),
        {
            "columns": [
                3,
                {},
                Named({"zz": [1]}, "'zz'"),
                Named({"lr": [1e-3]}, "'batch'"),
                Named({name: [value] for name, value in FULL.items()} | {"lr": [2.0]}, "'lr'"),
                {name: [value] for name, value in FULL.items()} | {"lr": [1e-3, 1e-3]},
            ]
        },
        given(columns={name: [value] for name, value in FULL.items()}),
    ),
    "Space.codec.partial": Case(
        on("codec", "partial"),
        {"params": [*NOT_PARAMS, Named({"zz": 1}, "'zz'"), Named({"lr": 2.0}, "'lr'")]},
        given(params={"momentum": 0.5}),
    ),
    "Space.decode": Case(
        on("space", "decode"), {"x": NOT_X, "given": NOT_GIVEN}, lambda scene: {"x": scene.x}
    ),
    "Space.codec.decode_params": Case(
        on("codec", "decode_params"),
        {"x": [*NOT_X[:1], None, [0.5]], "given": NOT_GIVEN},
        lambda scene: {"x": scene.x[:, 0]},
    ),
    "Space.codec.value": Case(
        on("codec", "value"),
        {"x": [Named(None, "coordinate"), Named("a", "coordinate")], "row": [9, "lr", None]},
        given(x=0.5, row=0),
    ),
    "Space.codec.coordinate": Case(
        on("codec", "coordinate"),
        {"value": [Named(99.0, "'lr'"), Named("a", "'lr'")], "row": [9, "lr", None]},
        given(value=1e-3, row=0),
    ),
    "Space.codec.column": Case(
        on("codec", "column"),
        {
            "name": [Named("zz", "'zz'"), Named(None, "None"), Named(0, "0")],
            "x": NOT_X[:1],
            "given": NOT_GIVEN,
        },
        lambda scene: {"name": "lr", "x": scene.x},
    ),
    "Space.codec.active": Case(
        on("codec", "active"),
        {"name": [Named("zz", "'zz'"), Named(None, "None")], "x": NOT_X, "given": NOT_GIVEN},
        lambda scene: {"name": "lr", "x": scene.x},
    ),
    "Space.impose": Case(
        on("space", "impose"),
        {"x": NOT_X, "fixed": [Named(np.zeros(2), "shape"), Named(np.zeros(9), "shape")], "given": NOT_GIVEN},
        lambda scene: {"x": scene.x, "fixed": scene.space.codec.partial({"depth": 2})[0]},
    ),
    **{
        f"Space.{name}": Case(
            on("space", name), {"x": NOT_X, "given": NOT_GIVEN}, lambda scene: {"x": scene.x}
        )
        for name in ("forbidden_mask", "feasible_mask", "permits")
    },
    "Space.with_feasible": Case(
        on("space", "with_feasible"), {"feasible": [True, "x < 1"]}, given(feasible=None)
    ),
    "Study": Case(
        make(hpo.Study),
        {
            "space": [None, 3, [("x", hpo.Float(0, 1))]],
            "sampler": [None, "best", 3, hpo.TPESampler],
            "direction": ["min", 1, np.arange(2)],
            "metrics": [
                3,
                "error",
                {},
                {"error": "minimize"},
                {"error": hpo.Minimize},
                {"ms": hpo.AtMost(5.0)},
                {3: hpo.Minimize()},
                {"": hpo.Minimize()},
                {"error": hpo.Minimize(known=lambda columns: [1.0])},
            ],
            "seed": [-1, 2**63, 1.0, True, "0"],
            "allow_duplicates": NOT_FLAGS,
            "scheduler": ["ahsa", 3, hpo.ASHA],
            "checkpoints": [3, 1.5],
            "keep_checkpoints": NOT_FLAGS,
            "name": [None, 3],
            "storage": [3, "", "mysql://user:secret@host/studies"],
            "if_exists": [None, "replace"],
            "durability": [0, "", "none"],
        },
        given(space={"x": hpo.Float(0, 1)}),
    ),
    **{
        kind.__name__: Case(make(kind), {"reference": NOT_NUMBERS[1:], "known": NOT_FORMULAS})
        for kind in (hpo.Minimize, hpo.Maximize)
    },
    **{
        kind.__name__: Case(make(kind), {"bound": NOT_NUMBERS, "known": NOT_FORMULAS}, given(bound=5.0))
        for kind in (hpo.AtMost, hpo.AtLeast)
    },
    **{
        name: Case(
            call,
            {
                **more,
                "metric": [3, "values", ["value"]],
                "evaluator": [None, 3, "shap"],
                "target_quantile": [*NOT_NUMBERS, 0.0, -0.1, 1.0],
                "region_quantile": [*NOT_NUMBERS, 0.0, 1.1, 0.1],
            },
        )
        for name, call, more in (
            ("Study.importance", on("modelled", "importance"), {}),
            (
                "analysis.importance",
                lambda scene, **arguments: analysis.importance(**({"study": scene.modelled} | arguments)),
                {"study": [None, 3, "study"]},
            ),
        )
    },
    "Study.hypervolume": Case(
        on("several", "hypervolume"),
        {"reference": [3.0, [9.0, 0.0], {"ms": 9.0}, {"error": "9"}, {"error": np.nan}, {"error": 0.5}]},
    ),
    "Study.recommend": Case(
        on("several", "recommend"),
        {"weights": [1.0, [1.0, 2.0], {}, {"ms": 1.0}, {"error": -1.0}, {"error": np.inf}, {"error": 0.0}]},
    ),
    "Study.open": Case(
        lambda scene, **arguments: hpo.Study.open(**arguments),
        {
            "storage": [None, 3, "", Named("missing.db", "no such file")],
            "name": ["other", None],
            "sampler": ["tpe", 3],
            "scheduler": ["asha", 3],
            "checkpoints": [3, 1.5],
            "keep_checkpoints": NOT_FLAGS,
            "durability": [0, "", "none"],
        },
        lambda scene: {"storage": stored_study(), "name": "s"},
    ),
    "Study.backup": Case(
        copy_stored_study, {"path": [None, 3, b"b", "", ".", "s.db", "none/b.db", "a\0b"]}, given(path="b.db")
    ),
    "Study.report": Case(
        write_report, {"path": [None, 3, b"b", "", ".", "none/r.html", "a\0b"]}, given(path="r.html")
    ),
    "Study.ask": Case(
        on("study", "ask"),
        {"n": NOT_COUNTS, "repeat": [Named(value, "trial") for value in (99, -1, "0", True, 1.0)]},
    ),
    "Study.tell": Case(
        on("study", "tell"),
        {
            "trials": [None, "6", 6.0, True, *(Named(row, f"trial {row}") for row in (0, 5, 99, -1))],
            "values": [Named(value, "value") for value in (None, "1.0", True, [1.0, 2.0], 1j)],
        },
        lambda scene: {"trials": scene.trial, "values": 1.0},
    ),
    "Study.fail": Case(
        on("study", "fail"),
        {
            "trials": [None, "6", *(Named(row, f"trial {row}") for row in (0, 5, 99, -1))],
            "reason": [None, 3],
            "traceback": [3, b""],
        },
        lambda scene: {"trials": scene.batch},
    ),
    "Study.stop_trials": Case(
        on("study", "stop_trials"),
        {"trials": [None, "6", *(Named(row, f"trial {row}") for row in (0, 5, 99, -1))]},
        lambda scene: {"trials": scene.batch},
    ),
    "Study.note": Case(
        lambda scene, **notes: scene.study.note(**notes), {"notes": [object(), 1j, {1, 2}]}, given(a=1)
    ),
    "Study.enqueue": Case(
        on("study", "enqueue"),
        {
            "params": [*NOT_PARAMS, Named({"zz": 1}, "'zz'"), Named({"lr": 2.0}, "'lr'")],
            "skip_if_exists": NOT_FLAGS,
        },
        given(params={"lr": 1e-3}),
    ),
    "Study.add": Case(
        on("study", "add"),
        {
            "params": [*NOT_ANYWHERE, Named(FULL | {"lr": float("nan")}, "'lr'")],
            "value": [None, "1.0", True, [1.0, 2.0], 1j],
            "state": ["done", "running", 3],
            "reason": [3, ["oom"]],
            "reports": [3, [1.0], {1: "x"}, Named({-1: 0.5}, "step")],
            "defaults": NOT_DEFAULTS,
            "notes": [3, "note", {1: 2}, Named({"curve": 1j}, "curve")],
            "started": ["now", True, float("nan"), float("inf")],
            "seconds": ["1", True, float("nan"), -1.0],
        },
        given(params=FULL, value=1.0),
    ),
    "Study.optimize": Case(
        on("study", "optimize"),
        {
            "objective": [None, 3],
            "n_trials": [-1, 1.5, True, "3"],
            "until": [-1, 1.5, True, "3"],
            "timeout": [-1.0, float("nan"), "3", True],
            "executor": [0, -2, 1.5, True, "dask", ThreadPoolExecutor],
            "n_jobs": [0, -2, 1.5, True, None],
            "callbacks": [3, [None], ["log"]],
            "catch": [3, "ValueError", ValueError("x"), (ValueError, 3), KeyboardInterrupt],
            "progress": NOT_FLAGS,
            "batch_size": [0, 1.5, True, 8],
            "vectorized": [None, 1, True],
        },
        given(objective=lambda trial: 1.0, n_trials=1),
    ),
    "callbacks.NoImprovement": Case(
        make(callbacks.NoImprovement), {"trials": [0, -1, 1.5, True, "3", None]}, given(trials=3)
    ),
    "callbacks.Target": Case(
        make(callbacks.Target),
        {"value": [float("nan"), float("inf"), "1", None, True, 1j, {}, {"error": None}]},
        given(value=0),
    ),
    "executors.Processes": Case(
        make(executors.Processes),
        {"workers": [0, -2, 1.5, True, None], "trial_timeout": NOT_SECONDS},
        given(workers=2),
    ),
    "executors.Pool": Case(
        make(executors.Pool),
        {"executor": [None, 2, ThreadPoolExecutor], "workers": [0, -1, 1.5, True]},
        lambda scene: {"executor": ThreadPoolExecutor(1)},
    ),
    "executors.Ray": Case(
        make(executors.Ray),
        {
            "num_cpus": [-1, "1", None, True, float("nan"), 0],
            "num_gpus": [-0.5, "1", None, True, float("inf")],
            "resources": [3, {"a": 0}, {"a": "1"}, {1: 1}],
            "workers": [0, -1, 1.5, True],
            "trial_timeout": NOT_SECONDS,
        },
    ),
    "Trial.__getitem__": Case(
        subscript("trial"),
        {"name": [Named("zz", "'zz'"), Named(3, "3"), Named(None, "None")]},
        given(name="lr"),
    ),
    "Trial.note": Case(
        on("trial", "note"), {"notes": [Named(object(), "'notes'"), Named({1, 2}, "'notes'")]}
    ),
    "Trial.report": Case(
        on("trial", "report"),
        {"step": [-1, 1.5, None, True, "0", 2**63], "value": [None, "1.0", True, [1.0, 2.0]]},
        given(step=0, value=1.0),
    ),
    **{
        f"{kind}.{method}": Case(on(holder, method), {"reports": NOT_FLAGS})
        for kind, holder in (("Study", "study"), ("TrialBatch", "batch"))
        for method in ("to_dict", "to_pandas", "to_polars")
    },
    "Trial.steps": Case(on("trial", "steps"), {"n": [*NOT_COUNTS, None]}, given(n=3)),
    "TrialBatch.steps": Case(on("batch", "steps"), {"n": [*NOT_COUNTS, None]}, given(n=3)),
    "Trial.save_checkpoint": Case(
        save_checkpoint, {"step": [-1, 1.5, None, True, "0", 2**63]}, given(step=0)
    ),
    "TrialBatch.__getitem__": Case(
        subscript("batch"),
        {
            "key": [
                Named("zz", "'zz'"),
                Named(None, "index must be"),
                Named(1.5, "index must be"),
                Named(np.zeros((1, 1), int), "index must be"),
                Named([True], "mask"),
            ]
        },
        given(key="lr"),
    ),
    "TrialBatch.active": Case(
        on("batch", "active"),
        {"name": [Named(value, f"parameter {value!r}") for value in ("zz", None, 3, ["lr"])]},
        given(name="lr"),
    ),
    "TrialBatch.where": Case(on("batch", "where"), {"state": ["done", None, 1]}, given(state="running")),
    "TrialBatch.note": Case(
        on("batch", "note"),
        {"notes": [Named(value, "'notes'") for value in (object(), [1, 2], [1, 2, object()])]},
    ),
    "TrialBatch.report": Case(
        on("batch", "report"),
        {
            "step": [-1, 1.5, None, True],
            "value": [Named(value, "number") for value in (None, 1.0, ["1"] * 3)] + [Named([1.0], "values")],
        },
        given(step=0, value=[1.0, 2.0, 3.0]),
    ),
    "StudyPool": Case(
        make(hpo.StudyPool),
        {
            "space": [3, [("x", hpo.Float(0, 1))]],
            "n_studies": [*NOT_COUNTS, None, 2**31],
            "sampler": [None, 3, "gp", hpo.RandomSampler()],
            "direction": [None, "up", 1, np.arange(2)],
            "seed": [-1, 1.5, "1", 2**63],
            "allow_duplicates": NOT_FLAGS,
        },
        given(space={"x": hpo.Float(0, 1)}, n_studies=2),
    ),
    "StudyPool.ask": Case(
        on("pool", "ask"),
        {"studies": [3, [3], [-1], [0, 0], [[0]], ["0"], [0.0], [], [True, False]]},
    ),
    "StudyPool.tell": Case(
        on("pool", "tell"),
        {"batch": [None, 0, [0, 1, 2]], "values": [None, 1.0, [1.0], Named(["1"] * 3, "value")]},
        lambda scene: {"batch": scene.asked, "values": [1.0, 2.0, 3.0]},
    ),
    **{
        f"StudyPool.{method}": Case(
            on("pool", method), {"study": [3, -4, None, "0", 1.5, True]}, given(study=1)
        )
        for method in ("seed_of", "best_params", "__getitem__")
    },
    "StudyPool.save": Case(save_pool, {"path": [None, 3]}, given(path="pool.npz")),
    "StudyPool.load": Case(load_pool, {"path": [None, 3, "missing.npz"]}, given(path="pool.npz")),
    "ASHA": Case(
        make(hpo.ASHA),
        {
            **RUNGS,
            "mode": ["pause", None, 1],
            "brackets": [*NOT_COUNTS, 33],
            "grow": [*NOT_FLAGS, Named(True, "grow")],
        },
    ),
    "FreezeThaw": Case(make(hpo.FreezeThaw), RUNGS),
    "Hyperband": Case(make(hpo.Hyperband), {**RUNGS, "mode": ["pause", None, 1]}),
    "Median": Case(
        make(hpo.Median),
        {"min_trials": NOT_COUNTS, "warmup_steps": [-1, 1.5, True, "3"], "metric": NOT_METRICS},
    ),
    "Percentile": Case(
        make(hpo.Percentile),
        {
            "q": [-1.0, 101.0, *NOT_NUMBERS],
            "min_trials": NOT_COUNTS,
            "warmup_steps": [-1, 1.5, True, "3"],
            "metric": NOT_METRICS,
        },
    ),
    "Threshold": Case(
        make(hpo.Threshold),
        {
            "upper": ["1", True, float("nan"), float("inf")],
            "lower": ["1", True, float("nan"), 3.0],
            "after": [-1, 1.5, True, "3"],
            "metric": NOT_METRICS,
        },
        given(upper=2.0),
    ),
    "Patience": Case(
        make(hpo.Patience),
        {"steps": NOT_COUNTS, "min_delta": [-1.0, *NOT_NUMBERS], "metric": NOT_METRICS},
    ),
    "AutoSampler": Case(make(hpo.AutoSampler), {"max_ms": [0, -1.0, 1e9, True, "10", float("nan")]}),
    "TPESampler": Case(
        make(hpo.TPESampler),
        {
            "n_startup": [0, -1, 1.5, True, "10", None],
            "n_candidates": [0, -1, 1.5, True, None],
            "gamma": [0.0, 1.0, -0.1, float("nan"), "0.1", None],
            "prior_weight": [0.0, -1.0, float("nan"), float("inf"), None],
            "min_bandwidth": [0.0, -1.0, 1.5, float("nan"), None],
            "weigh_below": NOT_FLAGS,
            "max_above": [0, -1, 1.5, True, None, "2048"],
        },
    ),
    "set_num_threads": Case(make(hpo.set_num_threads), {"n": [0, -1, 1.5, None, "2", True]}, given(n=1)),
    "native.simd_level": Case(
        lambda scene, **arguments: enter(native.simd_level(**arguments)),
        {"name": [None, "avx", 1]},
        given(name="baseline"),
    ),
    **{
        f"acquisition.{score.__name__}": Case(
            make(score), {**NOT_PREDICTIONS, "best": NOT_BEST}, given(mean=[0.0, 1.0], sd=1.0, best=0)
        )
        for score in (
            acquisition.expected_improvement,
            acquisition.log_expected_improvement,
            acquisition.probability_of_improvement,
        )
    },
    "acquisition.upper_confidence_bound": Case(
        make(acquisition.upper_confidence_bound),
        {**NOT_PREDICTIONS, "beta": [*NOT_BEST, -1.0, float("inf")]},
        given(mean=[0.0, 1.0], sd=1.0),
    ),
    "plots.plot_history": Case(
        make(plots.plot_history),
        {"studies": [None, 3, {}, {"a": None}]},
        lambda scene: {"studies": scene.study},
    ),
    **{
        f"plots.{plot.__name__}": Case(
            make(plot),
            {
                "studies": [None, 3, {}, {"a": None}, {"a": hpo.Study({"x": 1})}],
                "reference": [3.0, {"ms": 9.0}, {"error": "9"}, {"error": np.nan}],
            },
            lambda scene: {"studies": scene.several},
        )
        for plot in (plots.plot_front, plots.plot_hypervolume)
    },
    "plots.plot_metrics": Case(
        make(plots.plot_metrics),
        {"study": [None, 3], "name": ["zz", None, "epochs"], "metrics": [3, "error", [], ["eror"], [None]]},
        lambda scene: {"study": scene.several, "name": "lr"},
    ),
    "plots.plot_importance": Case(
        make(plots.plot_importance),
        {"study": [None, 3], "metric": [3, "eror"], "evaluator": [None, "anova"]},
        lambda scene: {"study": scene.modelled},
    ),
    **{
        f"plots.{plot.__name__}": Case(
            make(plot),
            {"study": [None, 3], "names": NOT_NAMES + more, "metric": [3, "eror"]},
            lambda scene: {"study": scene.several},
        )
        for plot, more in (
            (plots.plot_slice, []),
            (plots.plot_parallel, []),
            (plots.plot_contour, NOT_PAIRS),
            (plots.plot_rank, NOT_PAIRS),
        )
    },
    "plots.plot_edf": Case(
        make(plots.plot_edf),
        {"studies": [None, 3, {}, {"a": None}], "metric": [3, "eror"]},
        lambda scene: {"studies": {"a": scene.several}},
    ),
    "plots.plot_curves": Case(
        make(plots.plot_curves),
        {"study": [None, 3], "metric": [3, "eror"]},
        lambda scene: {"study": scene.reported},
    ),
    "plots.plot_steps": Case(
        make(plots.plot_steps),
        {"studies": [None, 3, {}, {"a": None}]},
        lambda scene: {"studies": scene.reported},
    ),
    "plots.plot_timeline": Case(
        make(plots.plot_timeline), {"study": [None, 3]}, lambda scene: {"study": scene.study}
    ),
    "plots.plot_parzen": Case(
        make(plots.plot_parzen),
        {"study": [None, 3], "name": ["zz", None, "epochs"]},
        lambda scene: {"study": scene.modelled, "name": "lr"},
    ),
}
