"""ASHA and Hyperband against the definition, in random asynchronous studies."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from oracles import schedulers as oracle
from schedulers.plays import Play, ask, empty, end, pause, report, told
from studies import several

from hpo_core.errors import ArgumentError, StudyError
from hpo_core.log import State
from hpo_core.log.columns import Move
from hpo_core.metrics import AtLeast, Maximize, Metrics, Minimize
from hpo_core.schedulers import ASHA, Hyperband
from hpo_core.schedulers.base import GO_ON


def group(play, row, bracket):
    """Trials that are compared with a trial: those of its bracket."""
    return {each for each in range(len(play.history)) if bracket(each) == bracket(row)}


def by_oracle(max_steps=None, reference=None, bracket=lambda row: 0):
    """The checks of every decision and every continuation."""

    def on_decide(play, row, verdict):
        rule = play.scheduler
        top = play.planned if max_steps is None else min(max_steps, play.planned)
        if not play.says_planned:
            top = max_steps or 10**6
        depths = oracle.rungs(rule.min_steps, rule.factor, max_steps or 10**6)[bracket(row) :]
        depth = oracle.crossed(play.log, row, depths)
        done = play.history.last_step(row) + 1
        if rule.pauses:
            expected = depth if depth is not None and done < top else None
        else:
            rivals = group(play, row, bracket)
            expected = oracle.stops(play.log, row, depths, rule.factor, rivals, reference)
            expected = expected if done < top else None
        if expected is None:
            assert verdict == GO_ON
            return
        j = oracle.rungs(rule.min_steps, rule.factor, 10**6).index(expected)
        assert (verdict.move, verdict.rung) == (Move.PAUSE if rule.pauses else Move.STOP, j)
        assert verdict.reason.startswith(f"rung {j} ({expected} step")

    def on_resume(play, n, rows):
        rule, expected = play.scheduler, []
        if play.rng.random() < 0.5:
            assert play.fresh().resume(play.history, n) == rows
        depths = oracle.rungs(rule.min_steps, rule.factor, max_steps or 10**6)
        everyone = range(len(play.history))
        for j, depth in reversed(list(enumerate(depths[:-1] if max_steps is None else depths))):
            deeper = depths[j + 1] if j + 1 < len(depths) else 10**6
            gone = {row for row, at in play.promoted if at == depth}
            gone |= dict(oracle.arrivals(play.log, deeper, everyone)).keys()
            for b in sorted({bracket(row) for row in everyone if bracket(row) <= j}):
                rivals = {row for row in everyone if bracket(row) == b}
                expected += oracle.promotable(
                    play.log, play.paused, gone, depth, rule.factor, rivals, reference
                )
        assert rows == expected[:n]

    return {"on_decide": on_decide, "on_resume": on_resume}


SEEDS = range(3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("mode", ["stop", "promote"])
@pytest.mark.parametrize(
    ("options", "play"),
    [
        ({}, {"planned": 27}),
        ({"factor": 2, "min_steps": 2}, {"planned": 20}),
        ({"factor": 4, "max_steps": 40}, {"planned": 30}),
        ({"factor": 3, "max_steps": 10}, {"planned": 14}),
        ({"factor": 3, "max_steps": 20}, {"planned": 20, "says_planned": False}),
    ],
)
def test_every_decision_is_that_of_the_definition(seed, mode, options, play):
    Play(ASHA(mode=mode, **options), seed, **play, **by_oracle(options.get("max_steps"))).run()


@pytest.mark.parametrize("seed", SEEDS)
def test_trials_of_unknown_length_are_stopped_too(seed):
    Play(ASHA(factor=2), seed, planned=20, says_planned=False, **by_oracle()).run()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("mode", ["stop", "promote"])
@pytest.mark.parametrize(("m", "c"), [(2, 0), (1, 1), (2, 1), (1, 2), (2, 2)])
def test_several_metrics_rank_as_everywhere(seed, mode, m, c):
    def draw(rng):
        return tuple(float(rng.randint(0, 9)) for _ in range(m)), tuple(
            rng.choice([-1.0, 0.5, 2.0]) for _ in range(c)
        )

    checks = by_oracle(reference=(None, None))
    Play(ASHA(mode=mode), seed, metrics=several(m, c), draw=draw, n_trials=30, **checks).run()


def test_values_have_the_users_sign_and_references_count():
    metrics = Metrics({"score": Maximize(reference=0.0), "ms": Minimize(reference=9.5)})

    def draw(rng):
        return (-float(rng.randint(0, 9)), float(rng.randint(0, 9))), ()

    for seed in range(3):
        Play(ASHA(), seed, metrics=metrics, draw=draw, **by_oracle(reference=(0.0, 9.5))).run()


def test_bounds_of_the_users_metric_count():
    """Feasible before infeasible, whatever the objective."""
    rule, history = ASHA(factor=2), empty(Metrics({"score": Maximize(), "recall": AtLeast(0.9)}))
    rule.start(seed=0)
    ask(history, 2)
    report(history, [0], 0, [[-0.1, -0.95]])
    assert rule.decide(history, 0) == GO_ON
    report(history, [1], 0, [[-0.99, -0.85]])
    assert rule.decide(history, 1).reason == "rung 0 (1 step): it is not among the best 1 of 2"


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("mode", ["stop", "promote"])
@pytest.mark.parametrize(
    ("rule", "options", "n"),
    [
        (ASHA, {"brackets": 3}, 3),
        (Hyperband, {"max_steps": 27}, 4),
        (Hyperband, {}, 4),
        (Hyperband, {"factor": 2, "min_steps": 3}, 4),
    ],
)
def test_trials_are_compared_in_their_bracket(seed, mode, rule, options, n):
    rule = rule(mode=mode, **options)
    history = empty()
    ask(history, 60)
    report(history, list(range(60)), 0, [0.0] * 60, 27)
    rule.start(seed=seed)
    brackets = [rule._bracket(history, row) for row in range(60)]
    assert set(brackets) <= set(range(n))
    checks = by_oracle(options.get("max_steps"), bracket=brackets.__getitem__)
    Play(rule, seed, n_trials=50, **checks).run()


@pytest.mark.parametrize(
    ("rule", "n", "factor"),
    [(Hyperband(max_steps=81), 5, 3), (Hyperband(max_steps=80), 4, 3), (ASHA(brackets=3, factor=4), 3, 4)],
)
def test_brackets_have_the_shares_of_hyperband(rule, n, factor):
    history, k = empty(), 40_000
    ask(history, 1)
    rule.start(seed=5)
    found = Counter(rule._bracket(history, row) for row in range(k))
    sizes = oracle.bracket_sizes(n, factor)
    assert len(found) == len(sizes)
    for b, size in enumerate(sizes):
        share = size / sum(sizes)
        assert abs(found[b] / k - share) < 5 * np.sqrt(share * (1 - share) / k)


def test_a_bracket_is_a_function_of_the_seed_and_the_number():
    rule, history = Hyperband(max_steps=81), empty()
    ask(history, 300)

    def brackets(seed):
        rule.start(seed=seed)
        return [rule._bracket(history, row) for row in range(300)]

    assert brackets(1) == brackets(1) != brackets(2)


def test_the_brackets_of_hyperband_spend_about_the_same():
    """Trials of a bracket times the steps of a round of synchronous halving."""
    for n, factor in ((5, 3), (4, 4), (7, 2)):
        spent = []
        for b, size in enumerate(oracle.bracket_sizes(n, factor)):
            depths = [factor**j for j in range(b, n)]
            alive = [size / factor**k for k in range(n - b)]
            spent.append(sum(a * (d - p) for a, d, p in zip(alive, depths, [0, *depths], strict=False)))
        assert max(spent) / min(spent) < 2.0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("options", [{}, {"factor": 2}, {"brackets": 2}, {"grow": True}])
def test_no_more_are_promoted_than_the_share_of_a_rung(seed, options):
    def quota(play, n, rows):
        rule = play.scheduler
        for depth in oracle.rungs(rule.min_steps, rule.factor, play.planned):
            n_promoted = Counter()
            for row, at in [*play.promoted, *((row, play.paused[row]) for row in rows)]:
                n_promoted[rule._bracket(play.history, row)] += at == depth
            for b in range(rule.brackets):
                members = {row for row in range(len(play.history)) if rule._bracket(play.history, row) == b}
                there = oracle.arrivals(play.log, depth, members)
                assert n_promoted[b] <= len(there) // rule.factor

    rule = ASHA(mode="promote", **options)
    play = Play(rule, seed, n_trials=60, on_resume=quota, draw=lambda rng: rng.random()).run()
    assert play.promoted
    assert len(set(play.promoted)) == len(play.promoted)


@pytest.mark.parametrize("seed", range(6))
def test_a_growing_ladder_is_that_of_the_definition(seed):
    """Noise alone, or levels far apart; factors of 2, so that curves cross and cross back before the top."""
    levels = {}

    def draw(rng):
        return float(rng.randint(0, 4)) + 3.0 * (seed % 3) * rng.randint(0, 1)

    def opens(play, n, rows):
        depths = oracle.rungs(1, 2, 10**6)
        if play.rng.random() < 0.2:
            levels[len(play.log)] = top = oracle.open_top(play.log, depths)
            assert play.scheduler._ladder.top == top
            assert all(play.paused[row] < depths[top] for row in rows)
        assert play.fresh().resume(play.history, n) == rows

    rule = ASHA(mode="promote", grow=True, factor=2)
    play = Play(rule, seed, planned=32, n_trials=25, n_workers=3, draw=draw, on_resume=opens).run()
    assert rule._ladder.top == oracle.open_top(play.log, oracle.rungs(1, 2, 10**6)) > 1
    assert levels


def test_a_ladder_that_agrees_stays_short():
    rule = ASHA(mode="promote", grow=True)
    history, n = empty(), 60
    rule.start(seed=0)
    ask(history, n)
    for row in range(n):
        for step in (0, 1, 2):
            report(history, [row], step, [float(row)], 81)
            rule.decide(history, row)
    assert rule._ladder.top == 1
    for value, row in enumerate(reversed(ask(history, 9))):
        report(history, [row], 0, [float(row)], 81)
        report(history, [row], 2, [float(value)], 81)
        rule.decide(history, row)
    assert rule._ladder.top == 2


def test_one_report_may_pass_several_rungs():
    rule, history = ASHA(), empty()
    rule.start(seed=0)
    ask(history, 4)
    for row in range(3):
        report(history, [row], 4, [float(row)], 81)
    assert [rule.decide(history, row).move for row in range(3)] == [None, Move.STOP, Move.STOP]
    assert rule.decide(history, 1).reason == "rung 1 (3 steps): 1 is not among the best 1 of 3"
    report(history, [3], 0, [5.0], 81)
    assert rule.decide(history, 3).rung == 0


def test_the_earlier_of_two_equal_results_wins():
    rule, history = ASHA(factor=2), empty()
    rule.start(seed=0)
    ask(history, 2)
    report(history, [1], 0, [0.5])
    report(history, [0], 0, [0.5])
    assert [rule.decide(history, row).move for row in (0, 1)] == [Move.STOP, None]


def test_reasons_have_the_users_sign():
    for sign, metric in ((1.0, Minimize()), (-1.0, Maximize())):
        history = empty(Metrics({"y": metric}))
        rule = ASHA()
        rule.start(seed=0)
        ask(history, 2)
        report(history, [0, 1], 0, [sign * 3.0, sign * 3.0 + 0.5])
        text = "rung 0 (1 step): {} is not among the best 1 of 2"
        assert rule.decide(history, 1).reason == text.format("3.5" if sign > 0 else "2.5")


def test_nothing_is_decided_at_the_last_step():
    for mode in ("stop", "promote"):
        rule, history = ASHA(mode=mode), empty()
        rule.start(seed=0)
        ask(history, 2)
        report(history, [0, 1], 8, [0.0, 1.0], 9)
        assert rule.decide(history, 1) == GO_ON


@pytest.mark.parametrize("rule", [ASHA(mode="promote"), Hyperband(), Hyperband(mode="promote")])
def test_an_unknown_number_of_steps_names_both_cures(rule):
    history = empty()
    rule.start(seed=0)
    ask(history)
    report(history, [0], 0, [1.0])
    with pytest.raises(StudyError, match=r"give max_steps= or iterate over trial\.steps\(n\)"):
        rule.decide(history, 0)


def test_a_growing_ladder_needs_one_metric():
    rule, history = ASHA(mode="promote", grow=True), empty(several(2))
    rule.start(seed=0)
    ask(history)
    report(history, [0], 0, [[1.0, 2.0]], 9)
    with pytest.raises(StudyError, match="grow must be False in a study with several metrics"):
        rule.decide(history, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_steps": 0}, "min_steps must be an int from 1"),
        ({"max_steps": 1}, "max_steps must be an int >= 2 or None, got 1"),
        ({"min_steps": 9, "max_steps": 9}, "max_steps must be an int >= 10 or None, got 9"),
        ({"factor": 1}, "factor must be an int from 2 to 1,000, got 1"),
        ({"mode": "halt"}, "mode must be 'stop' or 'promote', got 'halt'"),
        ({"brackets": 0}, "brackets must be an int from 1 to 32, got 0"),
        ({"brackets": 5, "max_steps": 80}, "brackets must be at most 4"),
        ({"grow": 1}, "grow must be True or False, got 1"),
        ({"grow": True}, r"write ASHA\(mode='promote', grow=True\)"),
        ({"grow": True, "mode": "promote", "brackets": 2}, "grow must be False"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ArgumentError, match=message):
        ASHA(**options)


def test_a_batch_is_decided_together():
    """All results of a batch have arrived before the first of them is judged."""
    rule, history = ASHA(), empty()
    rule.start(seed=0)
    rows = ask(history, 9)
    report(history, rows, 0, [float(9 - row) for row in rows], 9)
    kept = [row for row in rows if rule.decide(history, row).move is None]
    assert kept == [6, 7, 8]


def test_a_trial_that_failed_while_paused_is_passed_over():
    rule, history = ASHA(mode="promote"), empty()
    rule.start(seed=0)
    rows = ask(history, 6)
    report(history, rows, 0, [float(row) for row in rows], 9)
    for row in rows:
        told(history, row, rule.decide(history, row))
        pause(history, row)
    assert rule.resume(history, 5) == [0, 1]
    end(history, 0, State.FAILED)
    assert rule.resume(history, 5) == [1]
