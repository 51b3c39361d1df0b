"""Small histories of every awkward kind: whatever came back, the next suggestion is a configuration.

Warnings are errors throughout. `make soak` runs 10,000 histories.
"""

from __future__ import annotations

import contextlib
import signal

import numpy as np
import pytest

import hpo_core as hpo
from hpo_core import Categorical, Float, Int, Ordinal

SAMPLER = "gp"
SECONDS = 20  # for one history: minutes of work when idle would be a hang, busy machines are slow


def random_parameter(rng):
    low, width = rng.normal() * 10.0 ** rng.integers(-6, 7), 10.0 ** rng.integers(-6, 7)
    match rng.integers(7):
        case 0 | 1:
            return Float(low, low + width)
        case 2:
            return Float(1e-8, 10.0 ** rng.integers(-6, 4), log=True)
        case 3:
            return Int(-3, int(rng.integers(-2, 40)))
        case 4:
            return Int(1, int(rng.integers(2, 10**6)), log=True)
        case 5:
            return Ordinal([2**k for k in range(rng.integers(1, 6))])
        case _:
            return Categorical([*"abcdefg"[: rng.integers(1, 7)]])


def random_space(rng):
    tree = {f"p{i}": random_parameter(rng) for i in range(rng.integers(1, 8))}
    if rng.random() < 0.4:
        branches = {
            name: {f"{name}{i}": random_parameter(rng) for i in range(rng.integers(3))}
            for name in "xyz"[: rng.integers(2, 4)]
        }
        tree["branch"] = Categorical(branches)
    return hpo.Space(tree)


def line(rng, space, n):
    """Configurations that hardly differ, or lie on a line."""
    x = space.encode(space.sample(2, seed=int(rng.integers(2**31))))
    t = rng.random(n) * 10.0 ** rng.integers(-14, 0)
    numeric = space.layout.kinds != 2
    return np.where(numeric[:, None], x[:, :1] * (1 - t) + x[:, 1:] * t, x[:, :1])


def smooth(study, batch):
    x = np.nan_to_num(study.history.x[:, batch.number])
    return np.sin(3 * x).sum(axis=0)


def told(values):
    def fill(rng, study, n):
        batch = study.ask(n)
        study.tell(batch, values(rng, study, batch))

    return fill


def outliers(rng, study, batch):
    y = smooth(study, batch)
    return np.where(rng.random(len(y)) < 0.2, rng.choice([-1e12, 1e12, 1e300, -1e300]), y)


def one_point(rng, study, n):
    study.tell(study.ask(), rng.normal())
    study.ask(n)


def all_failed(rng, study, n):
    study.fail(study.ask(n))


def most_failed(rng, study, n):
    batch = study.ask(n)
    ok = np.arange(len(batch)) < 4
    study.tell(batch[ok], smooth(study, batch[ok]))
    study.fail(batch[~ok])


def collinear(rng, study, n):
    x = line(rng, study.space, n)
    for k in range(n):
        # A choice may activate what the line leaves out: complete with defaults.
        point = study.space.impose(np.nan_to_num(x[:, k : k + 1], nan=0.5), np.full(len(x), np.nan))
        study.add(study.space.codec.decode_params(point[:, 0]), float(np.nan_to_num(x[:, k]).sum()))


def duplicates(rng, study, n):
    params = study.ask().params
    for _ in range(n):
        study.add(params, rng.normal())
    batch = study.ask(4)
    study.tell(batch, smooth(study, batch))


def running(rng, study, n):
    batch = study.ask(2 * n)
    some = batch[rng.permutation(len(batch))[:n]]
    study.tell(some, smooth(study, some))


def one_by_one(rng, study, n):
    for _ in range(n):
        trial = study.ask()
        study.fail(trial) if rng.random() < 0.3 else study.tell(trial, rng.standard_cauchy())


KINDS = {
    "smooth": told(lambda rng, study, batch: smooth(study, batch)),
    "noise": told(lambda rng, study, batch: rng.normal(size=len(batch))),
    "constant": told(lambda rng, study, batch: np.full(len(batch), rng.choice([0.0, 1e-300, -7e12]))),
    "nearly constant": told(lambda rng, study, batch: 1.0 + 1e-15 * rng.integers(0, 3, len(batch))),
    "tiny": told(lambda rng, study, batch: 1e-300 * rng.integers(0, 9, len(batch))),
    "outliers": told(outliers),
    "one point": one_point,
    "all failed": all_failed,
    "most failed": most_failed,
    "collinear": collinear,
    "duplicates": duplicates,
    "running": running,
    "one by one": one_by_one,
}


@contextlib.contextmanager
def limited(seconds):
    def expire(*_):
        raise TimeoutError(f"no suggestion within {seconds} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def check(kind, seed):
    rng = np.random.default_rng([seed, *kind.encode()])
    study = hpo.Study(
        random_space(rng), sampler=SAMPLER, seed=seed, allow_duplicates=bool(rng.random() < 0.3)
    )
    n = int(rng.integers(2, 24))
    with contextlib.suppress(hpo.SpaceExhausted), limited(SECONDS):
        KINDS[kind](rng, study, n)
        for size in (1, int(rng.integers(2, 9)), 1):
            batch = study.ask(size)
            assert all(study.space.contains(trial.params) for trial in batch)
            study.tell(batch, smooth(study, batch))


@pytest.mark.parametrize("kind", KINDS)
def test_a_suggestion_follows_any_small_history(kind, soak):
    total = 10_000 if soak else 150
    for seed in range(-(-total // len(KINDS))):
        try:
            check(kind, seed)
        except BaseException as error:
            error.add_note(f"history {seed} of kind {kind!r}")
            raise
