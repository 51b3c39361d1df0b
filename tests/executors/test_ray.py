"""What only Ray has: fractions of GPUs, and no room."""

from __future__ import annotations

import objectives
import pytest
from studies import make_study

from hpo_core.errors import ArgumentError
from hpo_core.executors import Ray

pytestmark = pytest.mark.cluster


def test_trials_share_a_gpu(ray_cluster):
    study = make_study()
    study.optimize(objectives.visible_gpus, n_trials=8, executor=Ray(num_cpus=0, num_gpus=0.25))
    notes = study.trials.notes
    assert {note["gpus"] for note in notes} == {"0"}
    assert 3 <= len({note["pid"] for note in notes}) <= 4  # the cluster has two CPUs and one GPU


def test_the_name_is_all_that_is_needed(ray_cluster):
    study = make_study()
    study.optimize(objectives.process_id, n_trials=6, executor="ray")
    assert study.n_finished == 6
    assert 1 <= len({note["pid"] for note in study.trials.notes}) <= 2


def test_workers_may_be_limited(ray_cluster):
    study = make_study()
    study.optimize(objectives.process_id, n_trials=6, executor=Ray(workers=1))
    assert len({note["pid"] for note in study.trials.notes}) == 1


@pytest.mark.parametrize("needs", [{"num_cpus": 3}, {"num_gpus": 1.5}, {"resources": {"TPU": 1}}])
def test_what_no_node_has_is_an_error(ray_cluster, needs):
    with pytest.raises(ArgumentError, match="no node of the Ray cluster has"):
        make_study().optimize(objectives.parabola, n_trials=1, executor=Ray(**needs))
