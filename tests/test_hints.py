"""Unknown names: what was probably meant, and what a call of Optuna's is here."""

from __future__ import annotations

import copy
import os
import pickle
import re
import subprocess
import sys

import pytest
from studies import make_study, remote_trial

import hpo_core as hpo
from hpo_core.hints import PLOTS, did_you_mean

SPACE = {
    "lr": hpo.Float(1e-5, 1e-1, log=True),
    "depth": hpo.Int(1, 4),
    "optimizer": hpo.Categorical(["sgd", "adam", "adamw"]),
}
PARAMS = {"lr": 1e-3, "depth": 2, "optimizer": "sgd"}


def study():
    return hpo.Study(SPACE, sampler="random", seed=0)


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("dpeth", ["lr", "depth"], "depth"),
        ("Depth", ["lr", "depth"], "depth"),
        ("min", ["minimize", "maximize"], "minimize"),
        ("max", ["minimize", "maximize"], "maximize"),
        ("m", ["minimize", "maximize"], None),
        ("random_search", ["random", "sobol"], "random"),
        ("nothing like it", ["lr", "depth"], None),
        (None, ["lr", "depth"], None),
        (3, [1, 2, 30], 30),
        ("x", [], None),
    ],
)
def test_the_name_most_like_it(name, known, meant):
    assert did_you_mean(name, known) == ("" if meant is None else f"; did you mean {meant!r}?")


@pytest.mark.parametrize(
    "call",
    [
        lambda: study().enqueue({"dpeth": 2}),
        lambda: study().add({**PARAMS, "dpeth": 2}, 1.0),
        lambda: study().ask()["dpeth"],
        lambda: remote_trial(PARAMS)["dpeth"],
        lambda: study().ask(3)["dpeth"],
        lambda: study().ask(3).active("dpeth"),
        lambda: hpo.Space(SPACE | {"x": hpo.Float(0, 1, when=hpo.param("dpeth") > 2)}),
        lambda: hpo.Space(SPACE, forbid=[hpo.param("dpeth") > 2]),
    ],
)
def test_names_of_parameters(call):
    with pytest.raises(hpo.ArgumentError, match=r"'dpeth'.*; did you mean 'depth'\?"):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hpo.Study(SPACE, sampler="tpee"), "sampler must be .*got 'tpee'; did you mean 'tpe'"),
        (lambda: hpo.Study(SPACE, direction="min"), "direction must be 'minimize' or 'maximize', got 'min'"),
        (lambda: study().enqueue({"optimizer": "SGD"}), "must be one of .*got 'SGD'; did you mean 'sgd'"),
        (lambda: hpo.Space(SPACE, forbid=[hpo.param("optimizer") == "admw"]), "did you mean 'adamw'"),
        (lambda: study().ask().report(0.5, 3), r"got 0.5; report\(step, value\) takes the step first"),
    ],
)
def test_other_names(call, message):
    with pytest.raises(hpo.ArgumentError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: study().optimize(abs, n_trials=1, show_progress_bar=True), "write progress=True"),
        (lambda: study().optimize(abs, n_trails=1), "did you mean 'n_trials'"),
        (lambda: study().optimize(func=abs, n_trials=1), "write objective=<built-in function abs>"),
        (lambda: study().optimize(abs, gc_after_trial=1), "allowed: objective, n_trials, until"),
        (lambda: hpo.Study(SPACE, study_name="a"), "write name='a'"),
        (lambda: hpo.Study(SPACE, load_if_exists=True), 'write if_exists="resume"'),
        (lambda: hpo.Study(direction="minimize"), "the space comes first, as in hpo.Study"),
        (
            lambda: hpo.Study(SPACE, directions=["minimize", "maximize"]),
            re.escape('write metrics={"objective_0": hpo.Minimize(), "objective_1": hpo.Maximize()}'),
        ),
        (lambda: hpo.Study(SPACE, directions=["maximize"]), "write direction='maximize'"),
        (lambda: hpo.TPESampler(constraints_func=abs), r"belong to the study, as in .*hpo\.AtMost\(5\.0\)"),
        (lambda: hpo.Minimize(refrence=1.0), "did you mean 'reference'"),
        (lambda: hpo.Maximize(5.0), r"write Maximize\(\*, reference=None, known=None\)"),
        (hpo.AtLeast, r"write AtLeast\(bound, known=None\)"),
        (lambda: hpo.TPESampler(n_ei_candidates=24), "write n_candidates=24"),
        (lambda: hpo.Float(0, 1, setp=1), "did you mean 'step'"),
        (lambda: hpo.Float(0, 1, q=0.1), "write step=0.1"),
        (lambda: hpo.Categorical(["a"], defualt="a"), "allowed: choices, when, doc"),
    ],
)
def test_unknown_keywords(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_a_type_error_of_the_objective_is_its_own():
    def objective(trial):
        return int(str(trial.number), bas=3)

    with pytest.raises(TypeError) as raised:
        study().optimize(objective, n_trials=1)
    assert "did you mean" not in str(raised.value)


@pytest.mark.parametrize("trial", [study().ask(), remote_trial(PARAMS)], ids=["here", "remote"])
@pytest.mark.parametrize(
    ("call", "written"),
    [
        (
            lambda trial: trial.suggest_float("lr", 1e-5, 1e-1, log=True),
            'declare `"lr": hpo.Float(1e-05, 0.1, log=True)` in the space of the study',
        ),
        (lambda trial: trial.suggest_int("depth", 1, 9, step=2), '`"depth": hpo.Int(1, 9, step=2)`'),
        (lambda trial: trial.suggest_int("depth", low=1, high=9), '`"depth": hpo.Int(low=1, high=9)`'),
        (lambda trial: trial.suggest_categorical("c", ["a", "b"]), "hpo.Categorical(['a', 'b'])"),
        (lambda trial: trial.suggest_loguniform("lr", 1e-5, 1), "hpo.Float(1e-05, 1, log=True)"),
        (lambda trial: trial.suggest_discrete_uniform("x", 0, 1, 0.1), "hpo.Float(0, 1, step=0.1)"),
        (lambda trial: trial.suggest_float(), 'read `trial["name"]`'),
        (lambda trial: trial.set_user_attr("model", "m.pt"), "write `trial.note(model='m.pt')`"),
        (lambda trial: trial.set_user_attr("a b", 1), "write `trial.note(**{'a b': 1})`"),
        (lambda trial: trial.should_prune(), "write `trial.should_stop()`"),
        (lambda trial: trial.user_attrs, "read `trial.notes`"),
    ],
)
def test_a_trial_of_optuna(trial, call, written):
    with pytest.raises(AttributeError) as raised:
        call(trial)
    assert written in str(raised.value)


@pytest.mark.parametrize(
    ("call", "written"),
    [
        (lambda: study().enqueue_trial({"lr": 0.1}), "write `study.enqueue({'lr': 0.1})`"),
        (lambda: study().trials_dataframe(), "write `study.to_pandas()`"),
        (
            lambda: hpo.create_study(direction="maximize", study_name="a", load_if_exists=True),
            "write `hpo.Study(space, direction='maximize', name='a', if_exists=\"resume\")`",
        ),
        (
            lambda: hpo.create_study(directions=("StudyDirection.MAXIMIZE", "minimize")),
            'hpo.Study(space, metrics={"objective_0": hpo.Maximize(), "objective_1": hpo.Minimize()})',
        ),
        (
            lambda: study().set_metric_names(["error", "size"]),
            "hpo.Study(space, metrics={'error': hpo.Minimize(), 'size': hpo.Minimize()})",
        ),
        (lambda: study().directions, "read `study.metrics`"),
        (lambda: hpo.load_study(study_name="a", storage="s.db"), "write `hpo.Study.open('s.db', 'a')`"),
        (lambda: hpo.TrialPruned, "raise `hpo.TrialStopped()`"),
        (lambda: hpo.visualization, "see `hpo.plots`"),
        (lambda: hpo.plots.plot_param_importances, "`hpo.plots.plot_importance(study)`"),
        (lambda: hpo.Stduy, "did you mean 'Study'"),
    ],
)
def test_a_study_of_optuna(call, written):
    with pytest.raises(AttributeError) as raised:
        call()
    assert written in str(raised.value)


def test_hints_name_pictures_that_exist():
    plots = pytest.importorskip("hpo_core.plots")
    written = [re.search(r"hpo\.plots\.(\w+)", hint)[1] for hint in PLOTS.values()]
    assert set(written) <= set(plots.__all__)
    assert not set(PLOTS) & set(plots.__all__)
    with pytest.raises(AttributeError, match="did you mean 'plot_history'"):
        plots.plot_histroy  # noqa: B018


def test_other_attributes_are_missing_as_anywhere():
    for thing in (study(), study().ask(), remote_trial(PARAMS)):
        assert not hasattr(thing, "anything")
        expected = f"{type(thing).__name__!r} object has no attribute 'anything'"
        with pytest.raises(AttributeError, match=expected):
            _ = thing.anything
    assert copy.deepcopy(make_study()).name == pickle.loads(pickle.dumps(make_study())).name


def test_rooms_are_attributes_without_being_imported():
    code = (
        "import sys, hpo_core as hpo\n"
        "rooms = 'acquisition analysis errors executors integrations native plots samplers'.split()\n"
        "rooms += ['space', 'storage']\n"
        "assert not {f'hpo_core.{room}' for room in rooms} & set(sys.modules)\n"
        "assert {*rooms, 'nn'} <= set(dir(hpo))\n"
        "for room in rooms: assert getattr(hpo, room).__name__ == 'hpo_core.' + room\n"
    )
    lazily = os.environ | {"HPO_CORE_REQUIRE_NATIVE": "0"}
    subprocess.run([sys.executable, "-c", code], check=True, env=lazily)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: hpo.Study(SPACE, feasible=any), r"belongs to the space, as in .*feasible="),
        (lambda: hpo.Study(SPACE, forbid=[]), r"belongs to the space, as in .*forbid="),
        (lambda: hpo.Study(SPACE, pruner=None), "scheduler='asha'"),
        (lambda: hpo.Categorical("sgd", "adam"), r"write Categorical\(choices, \*, when=None, doc=''\)$"),
        (hpo.Float, r"write Float\(low, high, \*, log=False, step=None, when=None, doc=''\)$"),
    ],
)
def test_arguments_that_belong_elsewhere(call, words):
    with pytest.raises(TypeError, match=words):
        call()


@pytest.mark.parametrize(
    ("call", "written"),
    [
        (lambda: hpo.Uniform(0, 1), "write `hpo.Float(0, 1)`"),
        (lambda: hpo.LogUniform(1e-5, 1e-1), "write `hpo.Float(1e-05, 0.1, log=True)`"),
        (lambda: hpo.IntDistribution(1, 8, log=True), "write `hpo.Int(1, 8, log=True)`"),
        (lambda: hpo.Choice(["a", "b"]), "write `hpo.Categorical(['a', 'b'])`"),
    ],
)
def test_ranges_of_other_libraries(call, written):
    with pytest.raises(AttributeError, match=re.escape(written)):
        call()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"objective": lambda lr, n: 1.0},
            "objective must accept (trial), got a function of (lr, n)",
        ),
        ({"objective": lambda: 1.0}, "objective must accept (trial), got a function of ()"),
        ({"callbacks": [print, lambda study: None]}, "callbacks must accept (study, trial)"),
        ({"objective": lambda trial: {"loss": 1.0}}, "return one number"),
        ({"objective": lambda trial: None}, "got None; is there a return?"),
    ],
    ids=["named", "nothing", "callback", "mapping", "no return"],
)
def test_functions_that_optimize_cannot_use(arguments, words):
    with pytest.raises((hpo.ArgumentError, hpo.TrialError), match=re.escape(words)):
        study().optimize(**({"objective": lambda trial: 1.0, "n_trials": 1} | arguments))


def test_a_storage_needs_a_name(tmp_path):
    with pytest.raises(hpo.StudyError, match="name must be given"):
        hpo.Study(SPACE, storage=tmp_path / "s.db")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hpo.fmin, r"hpo\.Study\(space\)\.optimize\(objective"),
        (lambda: hpo.choice([1, 2]), r"hpo\.Categorical"),
        (lambda: hpo.loguniform(1e-4, 1e-1), r"hpo\.Float\(low, high, log=True\)"),
        (lambda: hpo.randint, r"hpo\.Int\(low, high\)`, which includes high"),
        (lambda: hpo.Study(SPACE, mode="max"), "write direction='minimize' or direction='maximize'"),
        (lambda: hpo.Study(SPACE, metric="loss"), "one result needs no name"),
        (lambda: hpo.Study(SPACE, random_state=3), "write seed=3"),
        (lambda: study().optimize(print, max_evals=3), "write n_trials=3"),
        (lambda: study().optimize(print, num_samples=3), "write n_trials=3"),
    ],
)
def test_names_of_hyperopt_and_ray_tune(call, message):
    with pytest.raises((AttributeError, TypeError), match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hpo.ASHA(eta=4), "write factor=4"),
        (lambda: hpo.Hyperband(reduction_factor=4), "write factor=4"),
        (lambda: hpo.FreezeThaw(max_t=27), "write max_steps=27"),
        (lambda: hpo.Percentile(25, minimum=3), "allowed: q, min_trials"),
        (lambda: hpo.Bool, r"hpo\.Categorical\(\[False, True\]\)"),
        (lambda: hpo.SuccessiveHalvingPruner, r"hpo\.ASHA\(\)"),
        (lambda: hpo.Study(SPACE, maximize=True), "write direction='maximize'"),
        (lambda: study().best_score, "read `study.best_value`"),
        (lambda: study().delete(), "hpo-core delete FILE NAME"),
        (lambda: study().set_user_attr("data", "digits"), r"write `study\.note\(data='digits'\)`"),
    ],
)
def test_other_common_names(call, message):
    with pytest.raises((AttributeError, TypeError), match=message):
        call()


def test_a_package_that_is_missing_is_named_with_its_extra():
    code = "import sys; sys.modules['torch'] = None\nfrom hpo_core.nn import TrainingObjective"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "hpo_core.nn.TrainingObjective needs PyTorch: pip install 'hpo-core[torch]'" in done.stderr


def test_columns_that_are_no_parameters():
    with pytest.raises(hpo.SpaceError, match=r"unknown parameter 'value'.*; read `\.value`"):
        study().ask(2)["value"]


def test_states_say_their_name():
    trial = study().ask()
    assert f"{trial.state}" == "running"
    assert trial.state == 0


def test_a_pool_names_what_it_has_for_all_its_studies():
    pool = hpo.StudyPool({"x": hpo.Float(0, 1)}, 2, seed=0)
    with pytest.raises(AttributeError, match=r"read `pool\.best_values`"):
        pool.best_value  # noqa: B018 - asking for it is the test
    with pytest.raises(AttributeError, match=r"pool\.tell\(batch, values\)"):
        pool.optimize(lambda trial: 0.0, n_trials=10)
    assert "optimize" not in dir(pool)
