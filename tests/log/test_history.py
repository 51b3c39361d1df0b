"""History against a model that keeps one dictionary per trial."""

from __future__ import annotations

import copy
import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from studies import assert_same, hashed_study, several, step

from hpo_core.errors import StudyError, TrialError
from hpo_core.layout import Layout
from hpo_core.log import History, State
from hpo_core.log.events import ENQUEUED, Asked, Enqueued, Failed, Noted, Reported, Stopped, Told

D = 3


def continuous_layout(d: int = D) -> Layout:
    """Layout of ``d`` continuous parameters that are always active."""
    zeros, nothing = np.zeros(d), np.empty(0)
    return Layout(
        names=tuple(f"x{i}" for i in range(d)),
        kinds=np.zeros(d, np.uint8),
        levels=np.zeros(d, np.int64),
        table_start=np.zeros(d + 1, np.int64),
        centers=nothing,
        widths=nothing,
        values=nothing,
        log=np.zeros(d, np.uint8),
        offset=zeros,
        span=np.ones(d),
        low=zeros,
        high=np.ones(d),
        step=zeros,
        scale=np.ones(d),
        default=np.full(d, 0.5),
        group=np.zeros(d, np.int32),
        context=np.zeros((1, 1), np.bool_),
        program=np.empty((0, 2), np.int32),
        constants=nothing,
        condition_start=np.zeros(2, np.int64),
        forbid_start=np.zeros(1, np.int64),
    )


def ask(history: History, n: int, tier: str = "random") -> None:
    first = len(history)
    x = np.linspace(0, 1, D * n).reshape(D, n)
    history.apply(Asked(first, x, history.position, tier, time=first / 8))


def tell(history: History, rows: list[int], values: list[float]) -> None:
    k = len(rows)
    history.apply(Told(np.array(rows), np.array(values).reshape(-1, k), np.arange(1.0, k + 1)))


class HistoryMachine(RuleBasedStateMachine):
    """Random events, applied to both."""

    @initialize(m=st.integers(1, 2), c=st.integers(0, 1))
    def start(self, m, c):
        self.m, self.n_metrics = m, m + c
        self.history = History(continuous_layout(), several(m, c))
        self.trials: list[dict] = []
        self.order: list[int] = []
        self.order_positions: list[int] = []
        self.reports: list[tuple] = []
        self.queue: list[np.ndarray] = []
        self.applied = 0
        self.random = np.random.default_rng(0)

    def apply(self, event):
        self.history.apply(event)
        self.applied += 1

    def running(self) -> list[int]:
        return [row for row, trial in enumerate(self.trials) if trial["state"] == State.RUNNING]

    def some_running(self, data) -> np.ndarray:
        rows = data.draw(st.lists(st.sampled_from(self.running()), min_size=1, max_size=20, unique=True))
        return np.array(rows, np.int64)

    def end(self, rows, state, y, cost):
        for j, row in enumerate(rows.tolist()):
            self.trials[row].update(state=state, cost=cost[j], outcomes=y[:, j])
            self.order.append(row)
            self.order_positions.append(self.applied)

    def begin(self, n, tier, cursor, **extra):
        x = self.random.random((D, n))
        x[0, x[1] < 0.3] = np.nan
        exact = np.where(self.random.random((D, n)) < 0.2, self.random.random((D, n)), np.nan)
        exact = None if np.isnan(exact).all() else exact
        for j, column in enumerate(x.T):
            given = np.full(D, np.nan) if exact is None else exact[:, j]
            trial = {"x": column, "given": given, "cursor": cursor, "started": 5.0, "tier": tier}
            trial["state"] = State.RUNNING
            trial |= {
                "outcomes": np.full(self.n_metrics, np.nan),
                "cost": math.nan,
                "fidelity": -math.inf,
                "last": -1,
            }
            trial |= {"notes": {}, "reason": None, "traceback": None, "fixed": None, "wanted": None}
            self.trials.append(trial)
        self.trials[-n].update(extra)
        self.apply(Asked(len(self.trials) - n, x, cursor, tier, 5.0, extra.get("wanted") or 0, given=exact))

    @rule(
        n=st.sampled_from([1, 1, 1, 2, 7, 200]),
        tier=st.sampled_from(["random", "tpe"]),
        wanted=st.sampled_from([None, 300]),
    )
    def asked(self, n, tier, wanted):
        self.begin(n, tier, self.applied, wanted=wanted)

    @rule(fixed=st.lists(st.sampled_from([0.25, math.nan]), min_size=D, max_size=D))
    def enqueued(self, fixed):
        self.queue.append(np.array(fixed))
        self.apply(Enqueued(np.array(fixed)))

    @precondition(lambda self: self.queue)
    @rule()
    def asked_from_queue(self):
        self.begin(1, ENQUEUED, self.applied, fixed=self.queue.pop(0))

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def told(self, data):
        rows = self.some_running(data)
        y = np.round(self.random.random((self.n_metrics, len(rows))), 1)  # ties are common
        cost = self.random.random(len(rows))
        self.end(rows, State.COMPLETE, y, cost)
        for row in rows.tolist():
            self.trials[row]["fidelity"] = math.inf
        self.apply(Told(rows, y, cost))

    @precondition(lambda self: self.running())
    @rule(data=st.data(), traceback=st.sampled_from([None, "line 1"]))
    def failed(self, data, traceback):
        rows = self.some_running(data)
        cost = self.random.random(len(rows))
        self.end(rows, State.FAILED, np.full((self.n_metrics, len(rows)), np.nan), cost)
        for row in rows.tolist():
            self.trials[row].update(reason="oom", traceback=traceback)
        self.apply(Failed(rows, "oom", cost, traceback))

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def stopped(self, data):
        rows = self.some_running(data)
        y, cost = self.random.random((self.n_metrics, len(rows))), self.random.random(len(rows))
        self.end(rows, State.STOPPED, y, cost)
        for row in rows.tolist():
            last = self.trials[row]["last"]
            self.trials[row]["fidelity"] = 0.0 if last < 0 else float(self.reports[last][1])
        self.apply(Stopped(rows, y, cost))

    @precondition(lambda self: self.running())
    @rule(data=st.data(), step=st.integers(0, 10))
    def reported(self, data, step):
        rows = self.some_running(data)
        y = self.random.random(len(rows) if self.n_metrics == 1 else (self.n_metrics, len(rows)))
        for row, value in zip(rows.tolist(), y.T.tolist(), strict=True):
            self.trials[row]["last"] = len(self.reports)
            self.reports.append((row, step, value, self.applied))
        self.apply(Reported(rows, step, y))

    @precondition(lambda self: self.running())
    @rule(data=st.data(), name=st.sampled_from("ab"))
    def noted(self, data, name):
        rows = self.some_running(data)
        for row in rows.tolist():
            self.trials[row]["notes"] = self.trials[row]["notes"] | {name: row}
        self.apply(Noted(rows, tuple({name: row} for row in rows.tolist())))

    @rule()
    def pickled(self):
        self.history = pickle.loads(pickle.dumps(self.history))

    @invariant()
    def columns_agree(self):
        history, trials = self.history, self.trials
        assert len(history) == len(trials)
        assert history.position == self.applied
        for name in ("cost", "cursor", "fidelity", "started", "state"):
            np.testing.assert_array_equal(getattr(history, name), [trial[name] for trial in trials], name)
        np.testing.assert_array_equal(history.last_report, [trial["last"] for trial in trials])
        if trials:
            np.testing.assert_array_equal(history.x, np.transpose([trial["x"] for trial in trials]))
            outcomes = np.transpose([trial["outcomes"] for trial in trials])
            np.testing.assert_array_equal(history.outcomes, outcomes)
            np.testing.assert_array_equal(history.y, outcomes[: self.m])
            np.testing.assert_array_equal(history.violation, outcomes[self.m :])
            given = np.transpose([trial["given"] for trial in trials])
            if np.isnan(given).all():
                assert history.given is None
            else:
                np.testing.assert_array_equal(history.given, given)
            np.testing.assert_array_equal(history.x_buffer[:, : len(trials)], history.x)
        assert [history.origins[tier] for tier in history.origin] == [trial["tier"] for trial in trials]

    @invariant()
    def order_agrees(self):
        history = self.history
        assert history.finish_order.tolist() == self.order
        assert history.finish_position.tolist() == self.order_positions
        assert history.running.tolist() == self.running()
        for state in State:
            assert history.count(state) == sum(trial["state"] == state for trial in self.trials)

    @invariant()
    def sparse_columns_agree(self):
        history = self.history
        assert list(zip(*(column.T.tolist() for column in history.reports), strict=True)) == self.reports
        for name, kept in (("reason", history.reasons), ("traceback", history.tracebacks)):
            assert kept == {i: t[name] for i, t in enumerate(self.trials) if t[name] is not None}
        assert history.notes == {i: t["notes"] for i, t in enumerate(self.trials) if t["notes"]}
        assert history.wanted == {i: t["wanted"] for i, t in enumerate(self.trials) if t["wanted"]}
        fixed = {i: t["fixed"] for i, t in enumerate(self.trials) if t["fixed"] is not None}
        assert history.fixed.keys() == fixed.keys()
        for row, column in fixed.items():
            np.testing.assert_array_equal(history.fixed[row].fixed, column)
        np.testing.assert_array_equal([event.fixed for event in history.queue], self.queue)


TestHistoryMachine = HistoryMachine.TestCase


def test_views_are_read_only_and_keep_their_length():
    history = History(continuous_layout())
    ask(history, 3)
    early = history.x
    for name in (
        "x",
        "x_buffer",
        "outcomes",
        "violation",
        "state",
        "cost",
        "cursor",
        "fidelity",
        "finish_order",
    ):
        assert not getattr(history, name).flags.writeable, name
    before = early.copy()
    ask(history, 5_000)
    assert early.shape == (D, 3)
    np.testing.assert_array_equal(early, before)
    assert history.x.shape == (D, 5_003)


def test_views_are_not_copies():
    history = History(continuous_layout())
    ask(history, 3)
    assert np.shares_memory(history.x, history.x_buffer)
    state = history.state
    tell(history, [1], [0.5])
    assert state[1] == State.COMPLETE


def test_the_capacity_doubles():
    history = History(continuous_layout())
    capacities = set()
    for _ in range(1_000):
        ask(history, 1)
        capacities.add(history.x_buffer.shape[1])
    assert sorted(capacities) == [64, 128, 256, 512, 1024]


def test_x_buffer_is_contiguous_for_native_code():
    history = History(continuous_layout())
    ask(history, 100)
    assert history.x_buffer.flags.c_contiguous


def test_stopped_without_a_report_is_fidelity_0():
    history = History(continuous_layout())
    ask(history, 65)
    history.apply(Reported(np.arange(64), 9, np.ones(64)))
    history.apply(Stopped(np.array([64, 3]), np.ones((1, 2)), np.ones(2)))
    assert history.fidelity[[64, 3]].tolist() == [0.0, 9.0]


def test_constraints_have_their_own_column():
    history = History(continuous_layout(), several(1, 2))
    ask(history, 4)
    assert history.violation.shape == (2, 4)
    assert np.isnan(history.violation).all()


def test_a_gap_in_numbers_changes_nothing():
    history = History(continuous_layout())
    with pytest.raises(StudyError, match="start at number 0, got 1"):
        history.apply(Asked(1, np.zeros((D, 1)), 0, "random"))
    assert (len(history), history.position) == (0, 0)


def test_without_events_a_history_is_the_same():
    """``begin`` and ``complete`` do what ``Asked`` and ``Told`` do, and are taken back like these."""
    rng, events, scalars = (
        np.random.default_rng(0),
        History(continuous_layout()),
        History(continuous_layout()),
    )
    for first in range(0, 90, 3):
        x, time = rng.random((D, 3)), float(rng.random())
        events.apply(Asked(first, x, events.position, "tpe", time))
        scalars.begin(x, "tpe", scalars.position, time)
        row, y, cost = first + int(rng.integers(3)), float(rng.normal()), float(rng.random())
        events.apply(Told(np.array([row]), np.array([[y]]), np.array([cost])))
        mark = scalars.mark()
        scalars.complete(row, y + 1.0, cost)
        scalars.roll_back(mark)
        scalars.complete(row, y, cost)
        assert_same(SimpleNamespace(history=events), SimpleNamespace(history=scalars))
        np.testing.assert_array_equal(events.finish_position, scalars.finish_position)


@pytest.mark.parametrize("missing", [math.nan, math.inf])
def test_of_one_trial_exact_values_come_only_if_it_has_any(missing):
    history, x = History(continuous_layout()), np.full((D, 3), 0.5)
    given = np.full((D, 3), np.nan)
    given[0, 1], given[1, 2] = 7.0, missing
    ask(history, 2)
    history.apply(Asked(2, x, 0, "added", given=given))
    ask(history, 1)
    holds = [history.configurations(row)[1] is not None for row in range(6)]
    assert holds == [False, False, False, True, math.isinf(missing), False]
    for row in range(6):
        np.testing.assert_array_equal(history.configurations(row)[0], history.x[:, row])


def test_a_pickle_omits_spare_capacity():
    history = History(continuous_layout(d=20))
    n = 1_100  # far from the next power of two
    history.apply(Asked(0, np.random.default_rng(0).random((20, n)), 0, "random"))
    columns = n * 8 * (20 + 1) + n * (5 + 8 * 8)
    assert len(pickle.dumps(history)) < columns + 4_000


def test_memory_is_columns_only():
    history = History(continuous_layout())
    ask(history, 1_000)
    tell(history, list(range(1_000)), [0.5] * 1_000)
    for name in ("notes", "reasons", "tracebacks", "fixed", "wanted", "queue"):
        assert not getattr(history, name), name


def test_a_snapshot_stays_what_it_was():
    study = hashed_study()
    kept = []
    for k in range(80):  # columns move to larger buffers meanwhile
        step(study, k)
        kept.append((study.history.snapshot(), copy.deepcopy(study.history)))
        if k % 10 == 9:
            with pytest.raises(TrialError):
                study._ledger.transact(lambda: [study.ask().report(0, 1.0), study.tell(0, 1.0)])
    for snapshot, expected in kept:
        assert_same(SimpleNamespace(history=snapshot), SimpleNamespace(history=expected))
        np.testing.assert_array_equal(snapshot.running, expected.running)
        assert (snapshot.count_finished(), snapshot.queue) == (expected.count_finished(), expected.queue)
