"""An integer of numpy is an int in every argument, and a count that memory cannot hold is refused."""

from __future__ import annotations

import numpy as np
import objectives
import pytest
from studies import columns, fingerprint, make_study

import hpo_core as hpo
from hpo_core import executors
from hpo_core.samplers import RandomSampler, TPESampler
from hpo_core.storage import MemoryStorage

KINDS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.intp]


def run(kind):
    """A study with ``kind`` of each small count."""
    storage = MemoryStorage()
    study = hpo.Study(
        {"x": hpo.Float(0, 1, step=kind(1) / 4), "k": hpo.Int(kind(1), kind(9), step=kind(2))},
        sampler=hpo.TPESampler(n_startup=kind(3), n_candidates=kind(5)),
        seed=kind(7), name="s", storage=storage, allow_duplicates=True,
    )  # fmt: skip
    study.lease_seconds, study.max_retries = kind(60), kind(2)
    batch = study.ask(kind(3))
    batch.report(kind(2), [1, 2, 3])
    batch[kind(0)].note(count=kind(100))
    study.tell(kind(1), kind(2))
    study.tell([kind(0), kind(2)], [kind(5), kind(6)])
    study.fail(study.ask(repeat=kind(1)))
    study.add({"x": kind(1), "k": kind(3)}, kind(1))
    study.enqueue({"k": kind(5)})
    study.optimize(objectives.parabola, n_trials=kind(3))
    study.optimize(objectives.parabola, until=kind(10))
    study.optimize(objectives.parabola, until=kind(12), n_jobs=kind(1), executor=None, timeout=kind(60))
    study.optimize(lambda batch: batch["x"], n_trials=kind(4), batch_size=kind(2), vectorized=True)
    assert len(study.space.sample(kind(2), seed=kind(3))["x"]) == 2
    return study, storage


@pytest.mark.parametrize("kind", KINDS)
def test_every_count_may_be_one_of_numpys(kind):
    (study, storage), (plain, _) = run(kind), run(int)
    for name, column in columns(plain).items():
        if name not in ("cost", "started"):
            np.testing.assert_array_equal(column, columns(study)[name], name)
    again = hpo.Study.open(storage, "s")
    assert again.seed == plain.seed
    assert type(again.seed) is type(study.seed) is int
    assert again.sampler.options() == plain.sampler.options()
    assert all(type(value) in (int, float, bool) for value in study.sampler.options().values())
    assert study.trials[0].notes == {"count": 100}


@pytest.mark.parametrize("kind", KINDS)
def test_executors_count_with_ints(kind):
    assert type(executors.Processes(kind(2)).workers) is int
    assert type(executors.Ray(workers=kind(2)).workers) is int
    study = make_study()
    study.optimize(objectives.parabola, n_trials=kind(3), n_jobs=kind(1))
    assert study.n_finished == 3


@pytest.mark.parametrize(
    "value", [np.bool_(True), True, np.float64(2), 2.0, "2", np.array([2]), None, 2 + 0j]
)
def test_what_is_no_integer_is_refused(value):
    study = make_study()
    before = fingerprint(study)
    calls = [
        lambda: study.optimize(objectives.parabola, n_jobs=value),
        lambda: study.space.sample(value),
        lambda: executors.Processes(value),
        lambda: TPESampler(n_startup=value),
        lambda: study.trials.report(value, []),
    ]
    if value is not None:
        calls += [
            lambda: study.ask(value),
            lambda: study.optimize(objectives.parabola, n_trials=value),
            lambda: study.optimize(objectives.parabola, until=value),
            lambda: study.optimize(objectives.parabola, n_trials=1, batch_size=value, vectorized=True),
            lambda: make_study(seed=value),
        ]
    for call in calls:
        with pytest.raises(hpo.ArgumentError):
            call()
    assert fingerprint(study) == before


@pytest.mark.parametrize("n", [2**32 - 1, np.uint32(2**32 - 1), 2**32, 2**63, 10**400])
def test_more_trials_than_memory_holds_are_refused(n):
    for study in (make_study(), make_study(name="s", storage=MemoryStorage()), make_study(sampler="auto")):
        before = fingerprint(study)
        with pytest.raises(hpo.StudyError, match=r"\bn must be"):
            study.ask(n)
        with pytest.raises(hpo.SpaceError, match=r"\bn must be"):
            study.space.sample(n if n > 2**40 else 2**50)
        assert fingerprint(study) == before
        assert study.ask().number == 0


@pytest.mark.parametrize("stored", [False, True])
def test_a_failed_allocation_changes_nothing(stored, monkeypatch):
    study = make_study(**({"name": "s", "storage": MemoryStorage()} if stored else {}))
    study.tell(study.ask(3), [1, 2, 3])
    before = fingerprint(study)

    def full(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(RandomSampler, "ask", full)
        with pytest.raises(hpo.StudyError, match="n must be a number of trials that fit in memory"):
            study.ask(50)
    assert fingerprint(study) == before
    assert study.ask().number == 3
