"""Study: ask, tell, fail, enqueue, add, repeat; what is refused changes nothing."""

from __future__ import annotations

import copy
import logging
import math
import pickle
import threading

import numpy as np
import pytest
from studies import FULL, Hashed, fingerprint, hashed_study

from hpo_core.errors import (
    ArgumentError,
    InfeasibleSpaceError,
    SpaceExhausted,
    StudyError,
    TrialError,
    TrialFailed,
)
from hpo_core.log import State
from hpo_core.samplers import RandomSampler
from hpo_core.samplers.base import Suggestion
from hpo_core.space import Categorical, Float, Int, Space, param
from hpo_core.storage import MemoryStorage, open_storage
from hpo_core.study import ReadOnlyStudy, Study


@pytest.fixture
def study():
    return hashed_study()


class TestConstructor:
    def test_a_mapping_becomes_a_space(self):
        study = Study({"x": Float(0, 1)}, sampler=Hashed())
        assert isinstance(study.space, Space)
        assert study.ask()["x"] <= 1

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"space": [("x", Float(0, 1))]}, "space must be"),
            ({"direction": "min"}, "direction must be 'minimize' or 'maximize', got 'min'"),
            ({"seed": -1}, "seed must be an int from 0 to"),
            ({"seed": 2**63}, "seed must be an int from 0 to"),
            ({"seed": 1.0}, "seed must be an int from 0 to"),
            ({"seed": True}, "seed must be an int from 0 to"),
            ({"allow_duplicates": 1}, "allow_duplicates must be True or False, got 1"),
            ({"name": None}, "name must be a string, got None"),
            ({"sampler": "best"}, "best"),
            ({"sampler": RandomSampler}, r"an instance, RandomSampler\(\), got the class RandomSampler"),
            ({"sampler": 3}, "3"),
        ],
        ids=str,
    )
    def test_what_is_not_allowed_is_named(self, options, message):
        with pytest.raises(ArgumentError, match=message):
            hashed_study(**options)

    def test_a_seed_is_drawn_and_can_be_read(self):
        drawn = {hashed_study(seed=None).seed for _ in range(20)}
        assert len(drawn) > 1
        seed = drawn.pop()
        first, second = hashed_study(seed=seed), hashed_study(seed=seed)
        assert first.ask().params == second.ask().params

    def test_numpy_integers_are_seeds(self):
        assert hashed_study(seed=np.int64(7)).ask().params == hashed_study(seed=7).ask().params

    def test_studies_do_not_share_a_sampler_object(self):
        sampler = Hashed()
        one, two = (hashed_study(sampler=sampler, seed=seed) for seed in (1, 2))
        assert one.ask().params == hashed_study(seed=1).ask().params
        assert two.ask().params == hashed_study(seed=2).ask().params


class TestAsk:
    def test_one_or_many(self, study):
        assert study.ask().number == 0
        assert study.ask(1).number.tolist() == [1]
        assert study.ask(5).number.tolist() == [2, 3, 4, 5, 6]
        assert study.ask(np.int64(2)).number.tolist() == [7, 8]
        assert study.history.count(State.RUNNING) == 9

    @pytest.mark.parametrize("n", [0, -1, 2**32, 2**70, 1.0, True, "3", [1]])
    def test_n_is_a_count(self, study, n):
        with pytest.raises(StudyError, match="n must be an int from 1 to"):
            study.ask(n)
        assert len(study.trials) == 0

    def test_seconds_spent_suggesting_add_up(self, study):
        spent = [study.suggest_seconds]
        for _ in range(3):
            study.ask(2)
            spent.append(study.suggest_seconds)
        assert spent[0] == 0
        assert spent == sorted(set(spent))


@pytest.mark.parametrize("shape", [(2, 3), (5, 0), (5, 4)])
def test_a_sampler_that_gives_something_else_is_named(shape):
    class Wrong(Hashed):
        def ask(self, history, first, n):
            return Suggestion(np.zeros(shape), "wrong")

    study = hashed_study(sampler=Wrong())
    with pytest.raises(
        StudyError, match="sampler 'hashed' was asked for 3 configurations, but gave x of shape"
    ):
        study.ask(3)
    assert len(study.trials) == 0


def gives(*coordinates, origin="w"):
    return Suggestion(np.array(coordinates, np.float64)[:, np.newaxis], origin)


NAN = math.nan
WRONG = {  # what a sampler gives for f, k, m and i
    "nothing": (None, "must give a Suggestion"),
    "a row": (Suggestion(np.zeros(4), "w"), "must give a Suggestion"),
    "integers": (Suggestion(np.zeros((4, 1), np.int64), "w"), "must give a Suggestion"),
    "no origin": (gives(0.5, 0, 0.5, 0.5, origin=None), "must give an origin"),
    "the user's origin": (gives(0.5, 0, 0.5, 0.5, origin="enqueued"), "must give an origin"),
    "a missing choice": (gives(0.5, NAN, NAN, 0.5), "'k' must be the index of a choice"),
    "no choice": (gives(0.5, 2, NAN, 0.5), "'k' must be the index of a choice"),
    "between choices": (gives(0.5, 0.5, NAN, 0.5), "'k' must be the index of a choice"),
    "a missing number": (gives(NAN, 0, 0.5, 0.5), r"'f' must be in \[0, 1\], got nan"),
    "a number outside": (gives(7, 0, 0.5, 0.5), r"'f' must be in \[0, 1\], got 7"),
    "an inactive number": (gives(0.5, 1, 0.5, 0.5), "'m' must be NaN"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_suggestion_is_refused(what, tmp_path):
    suggestion, words = WRONG[what]

    class Wrong(Hashed):
        def ask(self, history, first, n):
            return suggestion

    space = {"f": Float(0, 9), "k": Categorical({"a": {"m": Float(0, 1)}, "b": {}}), "i": Int(0, 5)}
    path = str(tmp_path / "s.db")
    study = Study(space, sampler=Wrong(), seed=0, name="s", storage=path)
    with pytest.raises(StudyError, match=f"sampler 'hashed'.*{words}"):
        study.ask()
    assert len(Study.open(path, "s", sampler=Wrong()).trials) == 0


@pytest.mark.parametrize("stored", [False, True])
def test_a_copy_is_a_study_of_its_own(stored, tmp_path):
    path = str(tmp_path / "s.db") if stored else None
    study = Study({"x": Float(-5, 5)}, sampler="tpe", seed=0, storage=path, name="s")
    other = copy.copy(study)
    for k in range(30):
        for each in (study, other) if k % 2 else (other, study):
            each.tell(each.ask(), float(k % 7))
    assert study.replay()
    assert len(study.trials) == (60 if stored else 30)
    if stored:
        assert len(Study.open(path, "s").trials) == 60


def test_a_study_in_a_memory_storage_is_pickled_with_it():
    study = Study({"x": Float(-5, 5)}, sampler="tpe", seed=0, storage=MemoryStorage(), name="s")
    study.tell(study.ask(12), np.arange(12.0))
    again = pickle.loads(pickle.dumps(study))
    np.testing.assert_array_equal(again.ask(3)["x"], study.ask(3)["x"])
    again.tell(again.trials[-3:], [1.0, 2.0, 3.0])
    assert (again.n_finished, study.n_finished) == (15, 12)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda study: pickle.loads(pickle.dumps(study))]
)
def test_a_study_for_reading_is_copied(copied, tmp_path):
    path = str(tmp_path / "s.db")
    study = Study({"x": Float(-5, 5)}, sampler="random", seed=0, storage=path, name="s")
    study.tell(study.ask(3), [3.0, 1.0, 2.0])
    again = copied(ReadOnlyStudy(open_storage(path), "s"))
    assert again.best_trial.number == 1
    with pytest.raises(StudyError, match="opened for reading only"):
        again.ask()


class Finite(Hashed):
    """Proposes each of six configurations once."""

    def ask(self, history, first, n):
        if len(history) >= 6:
            raise SpaceExhausted("six is all")
        return Suggestion(super().ask(history, first, n).x[:, : 6 - len(history)], "finite")


class TestExhaustion:
    def test_fewer_come_back_and_then_it_raises(self):
        study = hashed_study(sampler=Finite())
        assert len(study.ask(4)) == 4
        assert len(study.ask(4)) == 2
        for n in (None, 4):
            with pytest.raises(SpaceExhausted):
                study.ask(n)
        assert len(study.trials) == 6

    def test_what_is_enqueued_still_runs(self):
        study = hashed_study(sampler=Finite())
        study.ask(6)
        study.enqueue(FULL)
        assert len(study.ask(4)) == 1
        study.enqueue(FULL)
        assert study.ask().number == 7


class TestTell:
    def test_any_order_and_any_handle(self, study):
        batch = study.ask(10)
        study.tell(batch[7], 7.0)
        study.tell(3, 3.0)
        study.tell(batch[[9, 0]], [9.0, 0.0])
        study.tell([batch[1], 2], [1.0, 2.0])
        study.tell(np.array([8, 4]), np.array([8.0, 4.0]))
        study.tell(np.int64(5), np.float32(5))
        study.tell(batch[6], np.array(6))
        np.testing.assert_array_equal(batch.value, np.arange(10.0))
        assert study.history.finish_order.tolist() == [7, 3, 9, 0, 1, 2, 8, 4, 5, 6]

    def test_subsets_by_mask(self, study):
        batch = study.ask(100)
        losses = np.where(batch["lr"] < 1e-3, batch["lr"], np.nan)
        ok = ~np.isnan(losses)
        study.tell(batch[ok], losses[ok])
        study.fail(batch[~ok], reason="oom")
        assert set(batch[~ok].reason) == {"oom"}
        np.testing.assert_array_equal(batch.value, losses)
        assert study.history.count(State.RUNNING) == 0

    def test_nothing_is_a_fine_subset(self, study):
        batch = study.ask(3)
        study.tell(batch[:0], [])
        study.fail(batch[:0])
        assert study.n_finished == 0

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("direction", ["minimize", "maximize"])
    def test_a_value_that_is_not_finite_is_a_failure(self, value, direction):
        study = hashed_study(direction=direction)
        one, batch = study.ask(), study.ask(3)
        study.tell(one, value)
        study.tell(batch, [1.0, value, 2.0])
        assert one.reason == batch[1].reason == f"the value told is {value}"
        assert batch.state.tolist() == [State.COMPLETE, State.FAILED, State.COMPLETE]
        assert study.best_value == (1.0 if direction == "minimize" else 2.0)

    def test_all_kinds_of_failures_in_one_batch(self, study):
        batch = study.ask(4)
        study.tell(batch, [math.inf, math.nan, -math.inf, math.nan])
        assert batch.reason == [f"the value told is {value}" for value in ("inf", "nan", "-inf", "nan")]

    @pytest.mark.parametrize(
        ("trials", "values", "message"),
        [
            (7, 1.0, "trial 7 is unknown: the study has 6 trials"),
            (-1, 1.0, "trial -1 is unknown"),
            (2**70, 1.0, "is unknown"),
            ([0, 9], [1.0, 1.0], "trial 9 is unknown"),
            (4, 1.0, r"trial 4 has already finished \(complete\)"),
            (5, 1.0, r"trial 5 has already finished \(failed\)"),
            ([0, 5, 4], [1.0] * 3, "trial 5 has already finished"),
            ([0, 1, 0], [1.0] * 3, "trial 0 is given more than once"),
            ("foreign", 1.0, "trial 0 belongs to another study"),
            ("foreign batch", [1.0] * 2, "belongs to another study"),
            ([0, 1], [1.0], r"values must be an array of 2 numbers, one per trial, got shape \(1,\)"),
            ([0, 1], [[1.0, 2.0]], "must be a number"),
            ([0, 1], 1.0, "values must be an array of 2 numbers"),
            ([0, 1], [1.0, None], "must be a number, got None"),
            ([0, 1], ["1", "2"], "must be a number, got '1'"),
            (0, "1.0", "must be a number, got '1.0'"),
            (0, [1.0], "must be a number"),
            (0, None, "must be a number, got None"),
            (0, True, "must be a number, got True"),
            (None, 1.0, "got None"),
            ("0", 1.0, "got '0'"),
            (1.0, 1.0, "got 1.0"),
            (True, 1.0, "got True"),
            (np.zeros((1, 1), int), [1.0], "trials must be a Trial"),
            ({0}, [1.0], "trials must be a Trial"),
        ],
        ids=str,
    )
    def test_what_cannot_be_told_changes_nothing(self, study, trials, values, message):
        study.ask(6)
        study.tell(4, 0.0)
        study.fail(5)
        if isinstance(trials, str) and trials.startswith("foreign"):
            batch = hashed_study().ask(2)
            trials = batch if trials.endswith("batch") else batch[0]
        before = fingerprint(study)
        with pytest.raises(TrialError, match=message):
            study.tell(trials, values)
        assert fingerprint(study) == before

    def test_fail_refuses_the_same(self, study):
        study.ask(2)
        study.fail(0, reason="oom")
        before = fingerprint(study)
        for trials, options, message in (
            (0, {}, r"already finished \(failed\)"),
            ([1, 1], {}, "more than once"),
            (1, {"reason": None}, "reason must be a string, got None"),
            (1, {"traceback": 3}, "traceback must be a string or None, got 3"),
        ):
            with pytest.raises(TrialError, match=message):
                study.fail(trials, **options)
        assert fingerprint(study) == before

    def test_cost_is_the_time_since_the_ask(self, study, monkeypatch):
        now = 1000.0
        monkeypatch.setattr("time.time", lambda: now)
        batch = study.ask(3)
        now = 1002.5
        study.tell(batch[0], 1.0)
        study.tell(batch[1:2], [1.0])
        now = 900.0  # somebody set the clock back
        study.fail(batch[2])
        last = study.ask()
        now = 899.0
        study.tell(last, 1.0)
        assert study.history.cost.tolist() == [2.5, 2.5, 0.0, 0.0]

    def test_a_new_best_is_logged(self, study, caplog):
        batch = study.ask(3)
        with caplog.at_level(logging.INFO, "hpo_core"):
            study.tell(batch, [2.0, 1.0, 3.0])
        assert caplog.messages == ["trial 1 is the best so far: 1"]


class TestBest:
    @pytest.mark.parametrize("direction", ["minimize", "maximize"])
    def test_best_follows_the_direction(self, direction):
        study = hashed_study(direction=direction)
        batch = study.ask(50)
        values = np.random.default_rng(0).normal(size=50)
        for i, value in zip(np.random.default_rng(1).permutation(50), values, strict=True):
            study.tell(batch[i], value)
        best = np.argmin(batch.value) if direction == "minimize" else np.argmax(batch.value)
        assert study.best_trial == batch[best]
        assert study.best_value == batch.value[best]
        assert study.best_params == study.recommend() == batch[best].params

    @pytest.mark.parametrize("name", ["best_trial", "best_value", "best_params", "recommend"])
    def test_there_is_none_before_one_completes(self, study, name):
        study.fail(study.ask())
        study.ask()
        with pytest.raises(StudyError, match=r"no trial has completed yet: .*1 running.*1 failed"):
            getattr(study, name)()

    @pytest.mark.parametrize("sampler", ["random", "auto"])
    def test_where_all_have_failed_the_commonest_reason_is_said(self, sampler, caplog):
        def objective(trial):
            raise TrialFailed("oom" if trial.number % 5 else "a node was lost")

        study = Study({"x": Float(0, 1)}, sampler=sampler, seed=0)
        study.optimize(objective, n_trials=20)
        expected = "all 20 trials that have finished failed, 16 of them: oom"
        assert caplog.messages[-1] == expected
        for name in ("best_trial", "best_value", "best_params", "recommend"):
            with pytest.raises(StudyError, match=expected):
                getattr(study, name)()
        study.tell(study.ask(), 1.0)
        study.optimize(objective, n_trials=1)
        assert expected not in caplog.messages[-1]

    def test_a_sampler_with_a_model_recommends(self):
        class Opinionated(Hashed):
            def recommend(self, history):
                return np.array([3, 0, 1])

        study = hashed_study(sampler=Opinionated())
        batch = study.ask(5)
        study.tell(batch, np.arange(5.0))
        assert study.recommend() == batch[3].params


def test_optimize_runs_the_loop(study):
    study.optimize(lambda trial: trial["lr"], n_trials=20)
    assert study.n_finished == 20
    np.testing.assert_array_equal(study.trials.value, study.trials["lr"])


def test_stop_is_seen_by_the_loop(study):
    study.optimize(lambda trial: trial["lr"], n_trials=20, callbacks=[lambda study, trial: study.stop()])
    assert study.n_finished == 1


def test_a_pickled_study_continues_with_the_same_suggestions(study):
    study.enqueue({"depth": 2})
    study.tell(study.ask(20), np.arange(20.0))
    study.ask(3)
    again = pickle.loads(pickle.dumps(study))
    for one in (study, again):
        one.tell(21, -1.0)
    np.testing.assert_array_equal(again.ask(10)["lr"], study.ask(10)["lr"])
    assert again.best_trial.number == 21
    assert again.suggest_seconds > 0


def test_threads_lose_nothing():
    study = hashed_study()
    told: list[tuple[int, float]] = []

    def work(index: int) -> None:
        for i in range(40):
            if i % 3:
                trial = study.ask()
                trial.report(0, 1.0)
                study.tell(trial, index + i / 100)
                told.append((trial.number, index + i / 100))
            else:
                batch = study.ask(3)
                study.tell(batch, [index, index + 1, index + 2])
                told.extend(zip(batch.number.tolist(), [index, index + 1, index + 2], strict=True))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for number, _ in told) == list(range(len(study.trials)))
    values = study.trials.value
    assert all(values[number] == value for number, value in told)
    assert study.replay()


def test_pickling_while_others_tell_gives_a_consistent_study():
    study = hashed_study()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set() and len(study.trials) < 20_000:
            study.tell(study.ask(7), np.arange(7.0))

    thread = threading.Thread(target=work)
    thread.start()
    copies = [pickle.loads(pickle.dumps(study)) for _ in range(30)]
    stop.set()
    thread.join()
    for each in copies:
        finished = np.sort(each.history.finish_order)
        np.testing.assert_array_equal(finished, each.trials.where("complete").number)


def test_representations(study):
    assert repr(study) == "Study(hashed, minimize, 0 trials)"
    study.add(FULL, 0.5)
    named = hashed_study(name="<digits>")
    named.add(FULL | {"lr": 0.02}, 0.25)
    assert repr(named) == "Study('<digits>', hashed, minimize, 1 trials, best 0.25)"
    page = named._repr_html_()
    assert "&lt;digits&gt;" in page
    assert "<digits>" not in page
    assert "<td>0.02</td>" in page
    assert "<table>" in hashed_study()._repr_html_()


def test_infeasible_spaces_say_so_unless_something_was_enqueued():
    class Stuck(Hashed):
        def ask(self, history, first, n):
            raise InfeasibleSpaceError("65,536 draws")

    study = hashed_study(sampler=Stuck())
    with pytest.raises(InfeasibleSpaceError):
        study.ask(3)
    study.enqueue(FULL)
    assert len(study.ask(3)) == 1
    study.enqueue({"depth": 1})
    with pytest.raises(InfeasibleSpaceError):
        study.ask()
    assert len(study.history.queue) == 1


def test_one_parameter_or_none_active_works():
    study = Study({"depth": Int(1, 2), "width": Int(1, 9, when=param("depth") > 1)}, sampler=Hashed(), seed=0)
    batch = study.ask(50)
    np.testing.assert_array_equal(batch.active("width"), batch["depth"] == 2)
    study.tell(batch, batch["depth"])
    assert study.best_params == {"depth": 1}


def test_stop_trials_keeps_the_last_report():
    study = hashed_study(direction="maximize")
    batch = study.ask(5)
    batch[:3].report(0, [1.0, 2.0, math.nan])
    batch[1].report(1, 3.0)
    study.stop_trials(batch[:2])
    study.stop_trials(2)
    study.stop_trials([batch[3]])
    assert [trial.state.name for trial in batch] == ["STOPPED", "STOPPED", "FAILED", "FAILED", "RUNNING"]
    assert [trial.value for trial in batch] == [1.0, 3.0, None, None, None]
    assert batch[3].reason == "stopped without a finite report"
    with pytest.raises(TrialError, match="trial 0 has already finished"):
        study.stop_trials([4, 0])
    assert batch[4].state.name == "RUNNING"
    assert study.replay()


@pytest.mark.parametrize("stored", [False, True])
def test_notes_of_the_study_are_kept_with_it(stored, tmp_path):
    options = {"storage": tmp_path / "s.db", "name": "s"} if stored else {}
    study = hashed_study(**options)
    assert study.notes == {}
    study.note(data="digits", shape=(8, 8), scale=np.float32(0.5), **{"hpo_core:tuple": [1]})
    study.ask(2)
    study.note(scale=None, after=2)
    expected = {"data": "digits", "shape": (8, 8), "scale": None, "hpo_core:tuple": [1], "after": 2}
    assert study.notes == expected
    assert pickle.loads(pickle.dumps(study)).notes == expected
    study.notes.clear()
    with pytest.raises(TrialError, match="note 'bad'"):
        study.note(good=1, bad=object())
    assert study.notes == expected
    assert [trial.notes for trial in study.trials] == [{}, {}]
    assert study.replay()
    if stored:
        study.backup(tmp_path / "copy.db")
        for file in ("s.db", "copy.db"):
            again = Study.open(tmp_path / file, "s", sampler=Hashed())
            assert again.notes == expected
        other = Study.open(tmp_path / "s.db", "s", sampler=Hashed())
        other.note(after=3)
        assert study.notes["after"] == 3
