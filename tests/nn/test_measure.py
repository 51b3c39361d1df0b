"""What is measured on a model leaves it as it was."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

import hpo_core as hpo
from hpo_core.nn import Budget, measure_counts, measure_latency


class Clocked(nn.Module):
    """Each pass moves the clock by the next of these seconds."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.calls, self.now = list(seconds), [], 0.0
        self.inner = nn.BatchNorm1d(2)

    def forward(self, x):
        self.calls.append((self.training, torch.is_grad_enabled()))
        self.now += self.seconds.pop(0)
        return self.inner(x)


def test_latency_is_the_median_after_warming(monkeypatch):
    model = Clocked([9, 9, 9, 5, 1, 7, 2, 3])
    model.inner.eval()
    monkeypatch.setattr(time, "perf_counter", lambda: model.now)
    assert measure_latency(model, torch.zeros(4, 2), runs=5) == 3
    assert model.calls == [(False, False)] * 8
    assert (model.training, model.inner.training) == (True, False)


def test_counts_leave_the_model_alone():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    counts = measure_counts(model, torch.ones(1, 1, 5, 5))
    assert counts == (4 * 9 + 4 + 8, 4 * 9 * 9)
    assert model.training
    assert model[1].num_batches_tracked == 0


@pytest.mark.parametrize("runs", [0, True, 1.5, None])
def test_runs_that_are_no_count_are_refused(runs):
    with pytest.raises(hpo.ArgumentError, match="runs"):
        measure_latency(nn.Identity(), torch.zeros(1), runs=runs)


@pytest.mark.parametrize("measure", [measure_counts, measure_latency])
def test_what_is_no_model_or_input_is_refused(measure):
    with pytest.raises(hpo.ArgumentError, match="model"):
        measure(len, torch.zeros(1))
    with pytest.raises(hpo.ArgumentError, match="example"):
        measure(nn.Identity(), [1.0])


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(hpo.ArgumentError, match="of must be"):
        Budget(3, params=5)
