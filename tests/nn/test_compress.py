"""Pruning and decomposition: against hand-cut networks, exact at full rank, costs as formulas, bad input."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import hpo_core as hpo
from hpo_core.nn import Compression, decompose, measure_counts, prune

torch.set_num_threads(1)


class Mixed(nn.Module):
    """Shortcut, depthwise, strided, dilated and flattened layers, two channels joined, one layer frozen."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU())
        self.depthwise = nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.pointwise = nn.Conv2d(12, 12, 1)
        self.down = nn.Conv2d(12, 16, 3, stride=2, padding=1)
        self.wide = nn.Conv2d(16, 6, (3, 5), padding=(2, 4), dilation=2)
        self.thin = nn.Conv2d(16, 9, 1, stride=1, bias=False)
        self.prelu = nn.PReLU(9)
        self.mix = nn.Conv2d(15, 8, 1)
        self.hidden = nn.Linear(8 * 16, 20)
        self.out = nn.Linear(20, 5)
        self.hidden.weight.requires_grad_(False)

    def forward(self, x):
        x = self.stem(x)
        x = self.down(x + self.pointwise(self.depthwise(x))).relu()
        x = torch.cat([self.wide(x), self.prelu(self.thin(x))], 1)
        return self.out(self.hidden(self.mix(x).flatten(1)).relu())


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Mixed()


EXAMPLE = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))


def configurations(compression, n):
    space = hpo.Space(compression.parameters())
    columns = space.sample(n, seed=0)
    x = space.encode(columns)
    return columns, [space.codec.decode_params(x[:, k]) for k in range(n)]


def test_pruning_keeps_the_channels_of_largest_norm():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    with torch.no_grad():
        model[0].weight[[1, 4]] *= 1e-3
        model[0].bias[[1, 4]] *= 1e-3
        model[2].weight[:, [1, 4]] *= 1e-3
    kept = [0, 2, 3, 5]
    pruned = prune(model, torch.zeros(1, 4), {"0": 1 / 3})
    assert torch.equal(pruned[0].weight, model[0].weight[kept])
    assert torch.equal(pruned[0].bias, model[0].bias[kept])
    assert torch.equal(pruned[2].weight, model[2].weight[:, kept])
    x = torch.randn(7, 4)
    torch.testing.assert_close(pruned(x), model(x), atol=1e-4, rtol=0)


def test_layers_tied_by_a_shortcut_lose_the_same_channels(model):
    before = copy.deepcopy(model.state_dict())
    pruned = prune(model, EXAMPLE, {"pointwise": 0.5, "wide": 0.5, "mix": 0.5})
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert (pruned.stem[0].out_channels, pruned.pointwise.out_channels, pruned.down.in_channels) == (6, 6, 6)
    assert (pruned.depthwise.groups, pruned.stem[1].num_features) == (6, 6)
    assert (pruned.wide.out_channels, pruned.mix.in_channels) == (3, 12)
    assert (pruned.mix.out_channels, pruned.hidden.in_features) == (4, 4 * 16)
    assert pruned(EXAMPLE).shape == (1, 5)
    assert [weights.requires_grad for weights in pruned.parameters()] == [
        weights.requires_grad for weights in model.parameters()
    ]


def test_full_rank_computes_the_same(model):
    layers = dict(model.eval().named_modules())
    ranks = {
        "stem.0": (2, 12), "pointwise": 12, "down": (12, 16), "wide": (16, 6), "thin": 9,
        "mix": 8, "hidden": 20, "out": 5,
    }  # fmt: skip
    assert set(ranks) == {
        name
        for name, layer in layers.items()
        if isinstance(layer, nn.Conv2d | nn.Linear) and name != "depthwise"
    }
    x = torch.randn(3, 2, 8, 8)
    torch.testing.assert_close(decompose(model, ranks)(x), model(x), atol=1e-5, rtol=1e-4)


def test_a_matrix_is_cut_where_its_spectrum_says():
    torch.manual_seed(0)
    layer = nn.Linear(9, 7)
    for rank in range(1, 8):
        first, last = decompose(nn.Sequential(layer), {"0": rank})[0]
        error = np.linalg.norm((layer.weight - last.weight @ first.weight).detach())
        spectrum = np.linalg.svd(layer.weight.detach().numpy(), compute_uv=False)
        assert error == pytest.approx(np.sqrt((spectrum[rank:] ** 2).sum()), abs=1e-6)
        assert torch.equal(last.bias, layer.bias)


def test_low_rank_is_exact_and_beats_truncation():
    generator = torch.Generator().manual_seed(0)
    core, a, b = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((3, 2, 3, 3), (8, 3), (6, 2))
    )
    layer = nn.Conv2d(6, 8, 3, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.einsum("orij,wo,cr->wcij", core, a, b))
    assert distance(layer, (2, 3)) < 1e-12
    with torch.no_grad():
        layer.weight.copy_(torch.randn(8, 6, 3, 3, generator=generator, dtype=torch.float64))
    assert 0 < distance(layer, (2, 3)) <= truncation(layer.weight.detach().numpy(), 2, 3)


def distance(layer, ranks):
    """Frobenius distance of a kernel from its decomposition, multiplied out."""
    first, core, last = (part.weight.detach() for part in decompose(nn.Sequential(layer), {"0": ranks})[0])
    product = torch.einsum("wo,orij,rc->wcij", last[:, :, 0, 0], core, first[:, :, 0, 0])
    return float((layer.weight.detach() - product).norm() / layer.weight.detach().norm())


def truncation(kernel, rank_in, rank_out):
    """The same distance for the truncated higher-order SVD."""
    a = np.linalg.svd(kernel.reshape(len(kernel), -1))[0][:, :rank_out]
    b = np.linalg.svd(kernel.swapaxes(0, 1).reshape(kernel.shape[1], -1))[0][:, :rank_in]
    product = np.einsum("wcij,wo,vo,cr,dr->vdij", kernel, a, a, b, b)
    return np.linalg.norm(kernel - product) / np.linalg.norm(kernel)


def test_the_space_is_read_off_the_model(model):
    names = list(Compression(model, EXAMPLE).parameters())
    assert [name for name in names if name.startswith("prune")] == [
        "prune.stem.0", "prune.down", "prune.wide", "prune.thin", "prune.mix", "prune.hidden",
    ]  # fmt: skip
    assert [name for name in names if name.startswith("factor")] == [
        f"factor.{layer}" for layer in ("stem.0", "pointwise", "down", "wide", "thin", "mix", "hidden", "out")
    ]


class JoinedAndFlattened(nn.Module):
    """The dependency graph loses track of which inputs of ``out`` belong to which convolution."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 6, 3), nn.Conv2d(2, 9, 3)
        self.out = nn.Linear(15 * 36, 5)

    def forward(self, x):
        return self.out(torch.cat([self.first(x), self.second(x)], 1).flatten(1))


def test_what_cannot_be_removed_without_harm_is_not_offered():
    model = JoinedAndFlattened()
    compression = Compression(model, EXAMPLE)
    assert list(compression.parameters()) == ["factor.first", "factor.second", "factor.out"]
    with pytest.raises(hpo.ArgumentError, match=r"'first'.*cannot be removed"):
        prune(model, EXAMPLE, {"first": 0.5})


def test_counts_are_those_of_the_compressed_models(model):
    compression = Compression(model, EXAMPLE)
    assert compression.before == measure_counts(model, EXAMPLE)
    columns, params = configurations(compression, 40)
    counts = compression.counts(columns)
    for k, one in enumerate(params):
        smaller = compression.apply(one)
        measured = measure_counts(smaller, EXAMPLE)
        assert (counts.params[k], counts.macs[k]) == measured
        assert compression.counts(one) == measured
        assert smaller(EXAMPLE).shape == (1, 5)
    assert len(set(counts.macs)) > 30


@pytest.mark.parametrize("name", ["params", "macs"])
def test_one_count_is_that_of_the_compressed_models(model, name):
    compression = Compression(model, EXAMPLE)
    count = compression.counts_of(name)
    columns, params = configurations(compression, 15)
    expected = [getattr(measure_counts(compression.apply(one), EXAMPLE), name) for one in params]
    for twin in (count, pickle.loads(pickle.dumps(count)), copy.deepcopy(count)):
        column = twin(columns)
        assert column.dtype == np.float64
        assert column.tolist() == expected
    with pytest.raises(hpo.ArgumentError, match=r"name must be 'params' or 'macs', got 'latency'"):
        compression.counts_of("latency")


def test_what_is_inactive_does_not_count(model):
    compression = Compression(model, EXAMPLE)
    space = hpo.Space(compression.parameters())
    columns = space.sample(200, seed=1)
    before = compression.counts(columns)
    active = ~np.isnan(space.encode(columns))
    rng = np.random.default_rng(0)
    for row, key in enumerate(space.names):
        columns[key] = np.where(active[row], columns[key], rng.permutation(columns[key]))
    assert not active.all()
    for name in ("params", "macs"):
        assert (compression.counts_of(name)(columns) == getattr(before, name)).all()


def test_compressed_models_learn(model):
    compression = Compression(model, EXAMPLE)
    for params in configurations(compression, 3)[1]:
        smaller = compression.apply(params)
        smaller(torch.randn(4, 2, 8, 8)).square().sum().backward()
        for name, weights in smaller.named_parameters():
            frozen = name.startswith("hidden") and "weight" in name
            assert frozen or weights.grad is not None


def test_suggestions_keep_the_budget(model):
    compression = Compression(model, EXAMPLE)
    limit = compression.before.macs / 4
    space = hpo.Space(compression.parameters(), feasible=compression.budget(macs=limit))
    study = hpo.Study(space, seed=0)
    for _ in range(5):
        trial = study.ask()
        counts = measure_counts(compression.apply(trial.params), EXAMPLE)
        assert counts.macs <= limit
        study.tell(trial, -float(counts.macs))


def test_nothing_asked_for_changes_nothing(model):
    compression = Compression(model, EXAMPLE)
    params = {name: 0.0 if name.startswith("prune") else "none" for name in compression.parameters()}
    same = compression.apply(params).state_dict()
    assert all(torch.equal(value, same[name]) for name, value in model.state_dict().items())
    assert compression.counts(params) == compression.before


@pytest.mark.parametrize(
    ("ratios", "words"),
    [
        ({"nowhere": 0.5}, "must name layers of the model, got 'nowhere'"),
        ({"out": 0.5}, "'out'.*cannot be removed"),
        ({"depthwise": 0.5}, "'depthwise'.*cannot be removed"),
        ({"stem.0": 0.5, "pointwise": 0.5}, "tied"),
        ({"wide": 1.0}, r"'wide'\] must be a number >= 0 and < 1, got"),
        ({"wide": -0.1}, r"'wide'\] must be a number >= 0 and < 1, got"),
        ({"wide": "half"}, r"'wide'\] must be a number >= 0 and < 1, got"),
        (["wide"], "ratios"),
    ],
)
def test_a_ratio_that_cannot_be_is_refused(model, ratios, words):
    with pytest.raises(hpo.ArgumentError, match=words):
        prune(model, EXAMPLE, ratios)


@pytest.mark.parametrize(
    ("ranks", "words"),
    [
        ({"nowhere": 2}, "must name layers of the model, got 'nowhere'"),
        ({"depthwise": 2}, "must name a Linear or an ungrouped Conv2d, got 'depthwise'"),
        ({"stem.1": 2}, "must name a Linear or an ungrouped Conv2d, got 'stem.1'"),
        ({"out": 6}, r"'out'\] must be an int from 1 to 5, got 6"),
        ({"down": (13, 2)}, r"'down'\] must be an int from 1 to 12, got 13"),
        ({"down": (12, 17)}, r"'down'\] must be an int from 1 to 16, got 17"),
        ({"down": 3}, "'down'.*pair"),
        ({"thin": 0}, r"'thin'\] must be an int from 1 to 9"),
        ({"thin": 2.0}, "'thin'.*int"),
        ({"thin": (2, 2)}, "'thin'.*int"),
        (3, "ranks"),
    ],
)
def test_a_rank_that_cannot_be_is_refused(model, ranks, words):
    with pytest.raises(hpo.ArgumentError, match=words):
        decompose(model, ranks)


def test_what_is_no_model_or_input_is_refused(model):
    for call in (
        lambda: prune("m", EXAMPLE, {}),
        lambda: decompose(3, {}),
        lambda: Compression(None, EXAMPLE),
    ):
        with pytest.raises(hpo.ArgumentError, match="model must be"):
            call()
    for example in (None, torch.zeros(0, 2, 8, 8), torch.tensor(1.0)):
        with pytest.raises(hpo.ArgumentError, match="example must be"):
            Compression(model, example)
    with pytest.raises(hpo.ArgumentError, match="must have a Linear"):
        Compression(nn.ReLU(), EXAMPLE)
    compression = Compression(model, EXAMPLE)
    columns, params = configurations(compression, 3)
    with pytest.raises(hpo.SpaceError, match=r"prune\.wide"):
        compression.apply(params[0] | {"prune.wide": 0.95})
    with pytest.raises(hpo.ArgumentError, match=r"'prune\.wide'"):
        compression.counts({name: column for name, column in columns.items() if name != "prune.wide"})
    for call in (compression.counts, compression.apply):
        with pytest.raises(hpo.ArgumentError, match="params"):
            call(3)
    with pytest.raises(hpo.ArgumentError, match="macs"):
        compression.budget(macs=0)
