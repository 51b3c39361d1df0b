"""Light architectures: counts against the networks themselves, shapes, gradients, budgets, bad input."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import hpo_core as hpo
from hpo_core.nn import LightNet

torch.set_num_threads(1)

NETS = [
    LightNet((3, 17, 12), 7, stages=4, max_width=24, kernels=(1, 3, 5)),
    LightNet((1, 28, 28), 10),
    LightNet((2, 5, 1), 1, stages=1, max_width=8, max_repeats=1, kernels=(3,)),
]


def architectures(net, n, seed=0):
    space = hpo.Space(net.parameters())
    columns = space.sample(n, seed=seed)
    x = space.encode(columns)
    return columns, [space.codec.decode_params(x[:, k]) for k in range(n)]


def flops(network, image):
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network.eval()(image)
    return counter.get_total_flops()


@pytest.mark.parametrize(("net", "n"), [(NETS[0], 120), (NETS[1], 50), (NETS[2], 20)])
def test_counts_are_those_of_the_networks(net, n):
    columns, configurations = architectures(net, n)
    counts = net.counts(columns)
    image = torch.zeros(1, *net.shape)
    networks = [net.build(params) for params in configurations]
    assert counts.params.tolist() == [sum(p.numel() for p in network.parameters()) for network in networks]
    assert counts.macs.tolist() == [flops(network, image) / 2 for network in networks]
    assert [net.counts(params) for params in configurations] == list(zip(*counts, strict=True))


def test_every_kind_of_block_and_head_was_counted():
    _, configurations = architectures(NETS[0], 120)
    for name in ("stage1_block", "stage4_block", "head", "stages", "stage4_squeeze"):
        assert len({params[name] for params in configurations if name in params}) >= 2
    assert {params["stage2_block"] for params in configurations if "stage2_block" in params} == {
        "conv", "depthwise", "bottleneck", "inverted",
    }  # fmt: skip
    for params in configurations:
        assert ("stage3_reduction" in params) == (params.get("stage3_block") == "bottleneck")
        assert ("stage3_expansion" in params) == (params.get("stage3_block") == "inverted")
        assert ("head_width" in params) == (params["head"] == "conv")


def test_what_is_inactive_does_not_count():
    net = NETS[0]
    space = hpo.Space(net.parameters())
    columns = space.sample(300, seed=3)
    before = net.counts(columns)
    active = ~np.isnan(space.encode(columns))
    rng = np.random.default_rng(0)
    for row, name in enumerate(space.names):
        columns[name] = np.where(active[row], columns[name], rng.permutation(columns[name]))
    after = net.counts(columns)
    assert (before.params == after.params).all()
    assert (before.macs == after.macs).all()


@pytest.mark.parametrize("net", NETS)
def test_networks_map_images_to_logits_and_every_weight_learns(net):
    torch.manual_seed(0)
    for params in architectures(net, 25, seed=1)[1]:
        network = net.build(params)
        logits = network(torch.randn(4, *net.shape))
        assert logits.shape == (4, net.classes)
        logits.square().sum().backward()
        assert all(torch.isfinite(weights.grad).all() for weights in network.parameters())
        assert network.classifier.weight.grad.abs().sum() > 0


def test_a_seed_gives_the_same_network():
    params = architectures(NETS[1], 1)[1][0]
    built = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        built.append(torch.cat([weights.flatten() for weights in NETS[1].build(params).parameters()]))
    assert torch.equal(built[0], built[1])
    assert not torch.equal(built[0], built[2])


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp"])
def test_suggestions_keep_both_budgets(sampler):
    net = NETS[1]
    space = hpo.Space(
        {**net.parameters(), "lr": hpo.Float(1e-4, 1.0, log=True)},
        feasible=net.budget(params=5_000, macs=4e5),
    )
    study = hpo.Study(space, sampler=sampler, seed=0)
    for _ in range(15):
        trial = study.ask()
        counts = net.counts(trial.params)
        assert counts.params <= 5_000
        assert counts.macs <= 4e5
        study.tell(trial, -float(counts.params))
    assert study.best_value < -1_000


def test_a_budget_is_the_mask_of_the_counts():
    columns, _ = architectures(NETS[1], 2_000)
    counts = NETS[1].counts(columns)
    limits = float(np.median(counts.params)), float(np.median(counts.macs))
    mask = NETS[1].budget(params=limits[0], macs=limits[1])(columns)
    assert 0 < mask.sum() < 2_000
    assert (mask == ((counts.params <= limits[0]) & (counts.macs <= limits[1]))).all()
    assert (NETS[1].budget(macs=limits[1])(columns) == (counts.macs <= limits[1])).all()
    assert NETS[1].budget()(columns).all()


def test_nets_and_budgets_travel_to_other_processes():
    budget = NETS[0].budget(params=1e4)
    twin = pickle.loads(pickle.dumps(budget))
    assert twin == budget
    assert twin.of.parameters().keys() == NETS[0].parameters().keys()


@pytest.mark.parametrize("name", ["params", "macs"])
def test_one_count_is_a_column_of_floats(name):
    columns, configurations = architectures(NETS[0], 200)
    column = NETS[0].counts_of(name)(columns | {"lr": np.full(200, 0.1)})
    assert column.dtype == np.float64
    assert column.tolist() == [getattr(NETS[0].counts(params), name) for params in configurations]
    assert NETS[0].counts_of(name)({key: part[:0] for key, part in columns.items()}).shape == (0,)


def test_a_count_that_is_none_names_those_there_are():
    with pytest.raises(hpo.ArgumentError, match=r"name must be 'params' or 'macs', got 'flops'"):
        NETS[0].counts_of("flops")


def test_counts_travel_to_other_processes():
    count, columns = NETS[0].counts_of("macs"), architectures(NETS[0], 20)[0]
    for twin in (pickle.loads(pickle.dumps(count)), copy.deepcopy(count)):
        assert twin == count
        assert (twin(columns) == count(columns)).all()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"shape": (28, 28)}, "shape"),
        ({"shape": (0, 8, 8)}, "shape"),
        ({"classes": 0}, "classes"),
        ({"classes": True}, "classes"),
        ({"stages": 9}, "stages"),
        ({"max_width": 7}, "max_width"),
        ({"max_repeats": 0}, "max_repeats"),
        ({"kernels": (2,)}, "kernels"),
        ({"kernels": ()}, "kernels"),
        ({"kernels": (3, 3)}, "kernels"),
    ],
)
def test_a_net_that_cannot_be_is_refused(arguments, word):
    with pytest.raises(hpo.ArgumentError, match=word):
        LightNet(**{"shape": (1, 8, 8), "classes": 10} | arguments)


@pytest.mark.parametrize("limit", [0, -1, "5e6", True, float("nan")])
@pytest.mark.parametrize("name", ["params", "macs"])
def test_a_budget_that_is_no_number_is_refused(name, limit):
    with pytest.raises(hpo.ArgumentError, match=name):
        NETS[0].budget(**{name: limit})


def test_a_configuration_of_another_space_is_refused():
    params = architectures(NETS[1], 1)[1][0]
    NETS[1].build(params | {"lr": 0.1})
    for bad in ({"stem_width": 1000}, {"activation": "tanh"}):
        with pytest.raises(hpo.SpaceError, match=next(iter(bad))):
            NETS[1].build(params | bad)
    with pytest.raises(hpo.SpaceError, match="stem_kernel"):
        NETS[1].counts({name: value for name, value in params.items() if name != "stem_kernel"})
    columns, _ = architectures(NETS[1], 5)
    with pytest.raises(hpo.ArgumentError, match="'head'"):
        NETS[1].counts({name: column for name, column in columns.items() if name != "head"})
    with pytest.raises(hpo.ArgumentError, match="length"):
        NETS[1].counts(columns | {"head": columns["head"][:3]})
    for call in (NETS[1].counts, NETS[1].build):
        with pytest.raises(hpo.ArgumentError, match="params"):
            call(None)
