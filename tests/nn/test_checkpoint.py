"""Trainings that pause: as if they had not, on the CPU bit for bit."""

from __future__ import annotations

import contextlib
import multiprocessing

import numpy as np
import pytest
import torch
from nn.pausing import EPOCHS, SETTINGS, TRAININGS, Paused, normalised, train_all_until
from nn.problems import double_mlp, mlp, objective, points

import hpo_core as hpo
from hpo_core.nn import Training, epochs, train_cohort
from hpo_core.nn.cohort import train_members
from hpo_core.nn.epochs import Member


def test_a_paused_training_is_bit_equal_to_one_without_pauses(tmp_path):
    for name in TRAININGS:
        (tmp_path / name).mkdir()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        parts = [pool.apply(train_all_until, (tmp_path, pauses)) for pauses in [(0,), (2,)]]
    parts += [train_all_until(tmp_path, pauses) for pauses in [(5,), ()]]
    for name, (build, params) in TRAININGS.items():
        whole = objective(build, training=SETTINGS).train(params, seed=Paused.seed)
        curve = [each for part in parts for each in part[name][0]]
        assert curve == list(enumerate(whole.values))
        assert [part[name][1] for part in parts] == [None, None, None, whole.value]


def test_best_weights_of_before_a_pause_are_kept(tmp_path):
    training = Training(epochs=8, lr=20.0, optimizer="sgd")
    params = {"width": 16}
    whole = objective(training=training).train(params, seed=Paused.seed)
    assert whole.epoch < 6  # it is best before the pause
    for pauses in [(6,), ()]:
        trial = Paused(params, tmp_path, pauses)
        with contextlib.suppress(hpo.TrialStopped):
            assert objective(training=training, folder=tmp_path / "best")(trial) == whole.value
    from hpo_core.nn import Trained

    best = Trained.load(tmp_path / "best" / "trial-3.safetensors")
    assert (best.epoch, best.values) == (whole.epoch, whole.values)
    for name, tensor in whole.weights.items():
        assert torch.equal(best.weights[name], tensor)


def test_a_checkpoint_is_saved_from_time_to_time(tmp_path, monkeypatch):
    trials = [Paused({"width": 4}, tmp_path / name) for name in ("often", "seldom")]
    for trial, seconds in zip(trials, (0.0, 3600.0), strict=True):
        trial.folder.mkdir()
        monkeypatch.setattr(epochs, "SECONDS_BETWEEN_CHECKPOINTS", seconds)
        objective(training=SETTINGS)(trial)
    assert [trial.saved for trial in trials] == [list(range(EPOCHS - 1)), []]


def test_a_killed_training_repeats_only_epochs_without_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(epochs, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    whole = objective(training=SETTINGS).train({"width": 4}, seed=Paused.seed)
    killed = Paused({"width": 4}, tmp_path)
    killed.report = lambda step, value: 1 / (step != 3)
    killed.should_stop = lambda: False
    with pytest.raises(ZeroDivisionError):
        objective(training=SETTINGS)(killed)
    again = Paused({"width": 4}, tmp_path)
    assert objective(training=SETTINGS)(again) == whole.value
    assert again.told == list(enumerate(whole.values))[3:]


def test_without_a_folder_nothing_is_saved():
    trial = Paused({"width": 4}, None, pauses=(1,))
    with pytest.raises(hpo.TrialStopped):
        objective()(trial)
    assert trial.saved == []


def shortened(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path):
    """One bit in the middle of a weight."""
    stored = bytearray(path.read_bytes())
    weight = torch.load(path, weights_only=True)["weights"]["0.weight"].numpy().tobytes()
    stored[stored.index(weight) + len(weight) // 2] ^= 1
    path.write_bytes(stored)


def other_content(path):
    torch.save({"weights": torch.ones(3)}, path)


def of_another_trial(path):
    stored = torch.load(path, weights_only=True)
    torch.save({**stored, "about": stored["about"].replace("seed 11", "seed 12")}, path)


class Planted:
    """What a file runs that is loaded carelessly."""

    def __reduce__(self):
        return (pytest.fail, ("loaded",))


def planted(path):
    torch.save({"weights": Planted()}, path)


DAMAGES = {
    "shortened": (shortened, "cannot be read"),
    "flipped": (flipped, "cannot be read"),
    "gone": (lambda path: path.unlink(), "cannot be read"),
    "other": (other_content, "was not written by a TrainingObjective"),
    "foreign": (of_another_trial, "belongs to another training: it has seed 12.*this one seed 11"),
    "planted": (planted, "cannot be read"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_checkpoint_that_is_no_use_begins_again_with_a_warning(tmp_path, damage):
    params = {"width": 4, "lr": 0.1}
    spoil, words = DAMAGES[damage]
    trial = Paused(params, tmp_path, pauses=(2,))
    with pytest.raises(hpo.TrialStopped):
        objective()(Paused(params, tmp_path, pauses=(1,)))
    spoil(next(tmp_path.glob("step-*/*")))
    with pytest.warns(RuntimeWarning, match=f"{words}.*begins again at epoch 0"):
        value = objective()(trial)
    whole = objective().train(params, seed=Paused.seed)
    assert value == whole.value
    assert trial.told == list(enumerate(whole.values))


def test_a_network_that_was_changed_meanwhile_is_refused(tmp_path):
    params = {"width": 4}
    with pytest.raises(hpo.TrialStopped):
        objective()(Paused(params, tmp_path, pauses=(1,)))
    wider = objective(lambda params: mlp({"width": params["width"] + 1}))
    with pytest.raises(hpo.ArgumentError, match=r"the network of the checkpoint.*\n.*size mismatch"):
        wider(Paused(params, tmp_path))


def test_more_epochs_go_on_and_fewer_are_done(tmp_path):
    params = {"width": 4}
    for n in (9, 2):
        trial = Paused(params, tmp_path / str(n))
        trial.folder.mkdir()
        with pytest.raises(hpo.TrialStopped):
            objective(training=Training(epochs=5))(Paused(params, trial.folder, pauses=(3,)))
        whole = objective(training=Training(epochs=max(n, 4))).train(params, seed=Paused.seed)
        assert objective(training=Training(epochs=n))(trial) == whole.value
        assert trial.told == list(enumerate(whole.values))[4:]


KINDS = {
    "sgd": [{"optimizer": "sgd", "lr": lr, "momentum": m} for lr, m in ((0.1, 0.0), (0.2, 0.9), (0.05, 0.5))],
    "adamw": [{"optimizer": "adamw", "lr": lr, "weight_decay": 0.1} for lr in (0.1, 0.2, 0.05)],
}
DOUBLE = [points(64, seed=seed, dtype=torch.float64) for seed in (0, 1)]


def double_normalised(params):
    return normalised({"width": 6}).double()


class Saved:
    """Checkpoints of some trainings by position, and how to go on from them."""

    def __init__(self, settings, seeds):
        self.settings, self.seeds, self.kept = settings, seeds, {}

    def members(self):
        return [
            Member(params, seed, self.kept.get(k), lambda epoch, kept, k=k: self.kept.update({k: kept}))
            for k, (params, seed) in enumerate(zip(self.settings, self.seeds, strict=True))
        ]


@pytest.mark.parametrize("kind", KINDS)
def test_members_of_a_cohort_pause_and_go_on_alone_or_together(kind):
    """Member 0 is never stopped, 1 and 2 pause at different epochs; 2 goes on alone, then again together."""
    task = objective(double_normalised, train=DOUBLE[0], validation=DOUBLE[1], training=SETTINGS).task
    saved = Saved(KINDS[kind], [1, 2, 3])
    curves = {k: [] for k in range(3)}

    def train(positions, pauses):
        members = [saved.members()[k] for k in positions]

        def report(epoch, rows, values):
            told = np.array([epoch == pauses.get(positions[row]) for row in rows])
            for row, value in zip(rows.tolist(), values.tolist(), strict=True):
                assert len(curves[positions[row]]) == epoch
                curves[positions[row]].append(value)
            return told

        return train_members(task, members, report, vary=())

    ended = train([0, 1, 2], {1: 3, 2: 1})
    train([2], {2: 3})
    assert saved.kept.keys() == {1, 2}
    ended[1:] = train([1, 2], {})
    for k, params in enumerate(KINDS[kind]):
        alone = objective(double_normalised, train=DOUBLE[0], validation=DOUBLE[1], training=SETTINGS).train(
            params, seed=saved.seeds[k]
        )
        np.testing.assert_allclose(curves[k], alone.values, rtol=1e-9)
        assert ended[k].epoch == alone.epoch
        np.testing.assert_allclose(ended[k].values, alone.values, rtol=1e-9)
        for name, tensor in alone.weights.items():
            torch.testing.assert_close(ended[k].weights[name], tensor)


@pytest.mark.parametrize("kind", KINDS)
def test_members_that_leave_change_nothing_for_those_that_stay(kind):
    task = objective(double_normalised, train=DOUBLE[0], validation=DOUBLE[1], training=SETTINGS)
    leaves = np.array([3, 0, 0, 5, 1, EPOCHS, EPOCHS, 3])
    settings = [KINDS[kind][k % 3] for k in range(len(leaves))]

    def report(epoch, members, values):
        return leaves[members] == epoch

    trained = train_cohort(task, settings, seeds=range(8), report=report)
    for k, member in enumerate(trained):
        alone = task.train(settings[k], seed=k)
        assert len(member.values) == min(leaves[k] + 1, EPOCHS)
        np.testing.assert_allclose(member.values, alone.values[: len(member.values)], rtol=1e-9)


SPACE = {
    "optimizer": hpo.Categorical(["sgd", "adamw"]),
    "lr": hpo.Float(1e-3, 0.5, log=True),
    "momentum": 0.9,
}
PROMOTION = {"min_steps": 1, "factor": 2, "mode": "promote"}


def double_objective(**options):
    training = Training(epochs=8, batch_size=32)
    return objective(double_mlp, train=DOUBLE[0], validation=DOUBLE[1], training=training, **options)


@pytest.mark.parametrize(
    ("batches", "exact"),
    [({}, True), ({"batch_size": 5, "vectorized": True}, False)],
    ids=["alone", "together"],
)
def test_trials_that_a_scheduler_pauses_end_as_if_trained_at_once(tmp_path, batches, exact):
    scheduler = hpo.ASHA(**PROMOTION)
    study = hpo.Study(SPACE, sampler="random", scheduler=scheduler, checkpoints=tmp_path, seed=0)
    task = double_objective()
    study.optimize(task, n_trials=20, **batches)
    depths = set()
    for trial in study.trials:
        whole = task.train(trial.params, seed=trial.seed)
        steps, values = zip(*trial.reports, strict=True)
        assert steps == tuple(range(len(steps)))
        np.testing.assert_allclose(values, whole.values[: len(values)], rtol=0 if exact else 1e-9)
        depths.add(len(steps))
        if trial.state.name == "COMPLETE":
            assert trial.value == pytest.approx(whole.value, rel=0 if exact else 1e-9, abs=0)
    assert depths == {1, 2, 4, 8}
    assert len(study.history.reports.value) < 20 * 8 / 2
    kept = {path.parent.parent.name for path in tmp_path.rglob("training.pt")}
    assert kept == {f"trial-{number}" for number in study.trials.where("paused").number}


@pytest.mark.parametrize("batches", [{}, {"batch_size": 9, "vectorized": True}], ids=["alone", "together"])
def test_a_scheduler_by_name_stops_trainings(batches):
    study = hpo.Study(SPACE, sampler="random", scheduler="asha", seed=0)
    task = double_objective()
    study.optimize(task, n_trials=12, **batches)
    lengths = {}
    for trial in study.trials:
        lengths.setdefault(trial.state.name, set()).add(len(trial.reports))
        whole = task.train(trial.params, seed=trial.seed)
        np.testing.assert_allclose(
            [value for _, value in trial.reports], whole.values[: len(trial.reports)], rtol=1e-9
        )
    assert lengths == {"COMPLETE": {8}, "STOPPED": {1, 3}}


def test_without_checkpoints_a_paused_training_begins_again(caplog):
    study = hpo.Study(SPACE, sampler="random", scheduler=hpo.ASHA(**PROMOTION), seed=0)
    task = double_objective()
    study.optimize(task, n_trials=12)
    assert "this report is dropped" in caplog.text
    for trial in study.trials:
        whole = task.train(trial.params, seed=trial.seed)
        assert trial.reports == list(enumerate(whole.values))[: len(trial.reports)]
    assert len(study.trials.where("complete")) > 0
