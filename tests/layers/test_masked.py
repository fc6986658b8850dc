"""Layers on masked signals against loops over what is valid, and their laws."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from deepsphere.graph import build_graph, build_pyramid
from deepsphere.layers import (
    BatchNorm,
    BernsteinConv,
    BlockSequence,
    ChebConv,
    CombinedReadout,
    ConvBlock,
    GroupNorm,
    LaplacianOperator,
    LayerNorm,
    MonomialConv,
    Pool,
    ResidualBlock,
    Unpool,
    UpsampledNonlinearity,
    make_readout,
)
from deepsphere.layers.masked import run_layer
from deepsphere.layers.masked_filter import extend, masked_convolution
from deepsphere.layers.masked_pooling import masked_pooling, masked_unpooling
from deepsphere.layers.masked_signals import (
    MaskedSignals,
    add,
    check_missing,
    concatenate,
    observed_signals,
    settled,
    valid_of,
    values_of,
)
from deepsphere.layers.masked_statistics import run_readout
from deepsphere.sampling import Equiangular, Healpix, Icosahedral, RandomUniform, Scattered

GRAPHS = {
    "symmetric": build_graph(Healpix(nside=2), num_neighbors=8),
    "masses": build_graph(RandomUniform(60, seed=0), weights="cotangent", mass="voronoi"),
    "rows": build_graph(Equiangular(nlat=6, nlon=10), weights="optimal_rows"),
    "random walk": build_graph(
        Equiangular(nlat=6), num_neighbors=6, weights="gaussian", laplacian="random_walk"
    ),
    "normalized": build_graph(
        Equiangular(nlat=6), num_neighbors=6, weights="gaussian", laplacian="normalized"
    ),
}
PYRAMIDS = {
    "healpix": build_pyramid(Healpix(nside=4), num_levels=2, num_neighbors=8),
    "equiangular": build_pyramid(Equiangular(nlat=8, nlon=12), num_levels=2),
}
CONVOLUTIONS = [ChebConv, MonomialConv, BernsteinConv]
POOLINGS = ["mean", "area", "max", "low_pass", "gaussian", "subsample"]
# sums of about a hundred numbers in double precision
ROUNDING = 1e-11


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _valid(*shape: int, share: float = 0.6, seed: int = 1) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < share


def _masked(batch: int, num_vertices: int, channels: int, **options: float) -> MaskedSignals:
    signals = settled(
        _random(batch, num_vertices, channels), _valid(batch, num_vertices, **options)
    )
    assert isinstance(signals, MaskedSignals)
    return signals


def _masked_laplacian(graph, valid: np.ndarray) -> np.ndarray:
    """The Laplacian among the valid vertices, entry by entry."""
    dense, size = graph.laplacian.toarray(), graph.num_vertices
    roots = np.ones(size)
    if graph.options.laplacian == "normalized":
        roots = np.sqrt(graph.adjacency.toarray().sum(axis=1))
    masked = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            if i != j and valid[i] and valid[j]:
                masked[i, j] = dense[i, j]
                masked[i, i] -= dense[i, j] * roots[j] / roots[i]
    return masked


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
@pytest.mark.parametrize("layer", CONVOLUTIONS)
@pytest.mark.parametrize("share", [0.6, 0.1])
def test_convolution_is_a_polynomial_of_the_laplacian_of_what_is_valid(graph, layer, share):
    conv = layer(graph, in_channels=2, out_channels=3, kernel_size=4).double()
    nn.init.normal_(conv.bias)
    signals = _masked(3, graph.num_vertices, 2, share=share)
    out = masked_convolution(conv, signals)
    assert torch.equal(out.valid, signals.valid)
    for item in range(3):
        valid = signals.valid[item].numpy()
        matrix = 2 * _masked_laplacian(graph, valid) / graph.lambda_max - np.eye(len(valid))
        basis = [np.eye(len(valid)), matrix]
        while len(basis) < 4:
            basis.append(2 * matrix @ basis[-1] - basis[-2])
        weight = conv.chebyshev_weight().detach().numpy()
        expected = conv.bias.detach().numpy() + sum(
            basis[k] @ signals.values[item].numpy() @ weight[k] for k in range(4)
        )
        found = out.values[item].detach().numpy()
        np.testing.assert_allclose(found[valid], expected[valid], atol=ROUNDING)
        assert np.count_nonzero(found[~valid]) == 0


@pytest.mark.parametrize(
    "sampling",
    [Healpix(nside=4), Equiangular(nlat=8, nlon=12), RandomUniform(120, seed=1)],
    ids=["symmetric", "rows", "scattered"],
)
def test_convolution_is_that_of_the_subset_of_what_is_valid(sampling):
    graph = build_graph(sampling)
    valid = _valid(sampling.num_vertices)
    part = build_graph(
        sampling.subset(valid.numpy()), lambda_max=graph.lambda_max, disconnected="allow"
    )
    conv = ChebConv(graph, in_channels=2, out_channels=2, kernel_size=5).double()
    there = ChebConv(part, in_channels=2, out_channels=2, kernel_size=5).double()
    there.load_state_dict(conv.state_dict())
    signals = settled(_random(2, sampling.num_vertices, 2), valid.expand(2, -1))
    out = masked_convolution(conv, signals)
    torch.testing.assert_close(
        out.values[:, valid], there(signals.values[:, valid]), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("name", ["symmetric", "masses", "random walk", "normalized"])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.1])
def test_spectrum_stays_within_that_of_the_graph(name, share):
    graph = GRAPHS[name]
    for seed in range(5):
        valid = _valid(graph.num_vertices, share=share, seed=seed).numpy()
        eigenvalues = np.linalg.eigvals(_masked_laplacian(graph, valid))
        assert np.abs(eigenvalues.imag).max() < 1e-8
        assert eigenvalues.real.min() > -1e-8
        assert eigenvalues.real.max() < graph.lambda_max * (1 + 1e-8)


@pytest.mark.parametrize("layer", CONVOLUTIONS)
@pytest.mark.parametrize("name", ["symmetric", "rows"])
def test_gradients_of_convolution_and_extension(layer, name):
    graph = GRAPHS[name]
    conv = layer(graph, in_channels=1, out_channels=2, kernel_size=3).double()
    valid = _valid(1, graph.num_vertices, share=0.4)

    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv

        def forward(self, values):
            out = masked_convolution(self.conv, settled(values, valid))
            return values_of(extend(out, self.conv.operator, num_hops=1))

    step = Step()

    def run(values, weight):
        return torch.func.functional_call(step, {"conv.weight": weight}, (values,))

    values = _random(1, graph.num_vertices, 1).requires_grad_()
    weight = conv.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(run, (values, weight), fast_mode=True)


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_extension_is_the_mean_of_valid_neighbors_hop_by_hop(graph):
    operator = LaplacianOperator(graph).double()
    signals = _masked(2, graph.num_vertices, 2, share=0.05, seed=3)
    weights = -graph.laplacian.toarray()
    np.fill_diagonal(weights, 0)
    values, valid = signals.values.numpy().copy(), signals.valid.numpy().copy()
    for hops in (1, 2, 3):
        before, known = values.copy(), valid.copy()
        for item in range(2):
            for i in np.flatnonzero(~known[item]):
                shares = weights[i] * known[item]
                if shares.sum() > 0:
                    values[item, i] = shares @ before[item] / shares.sum()
                    valid[item, i] = True
        found = extend(signals, operator, num_hops=hops)
        np.testing.assert_array_equal(valid_of(found).numpy(), valid)
        np.testing.assert_allclose(values_of(found).numpy(), values, atol=ROUNDING)


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_constants_are_preserved_by_propagation(graph):
    if graph.options.laplacian == "normalized":
        constant = np.sqrt(graph.adjacency.toarray().sum(axis=1))
    else:
        constant = np.ones(graph.num_vertices)
    conv = ChebConv(graph, in_channels=1, out_channels=1, kernel_size=4, bias=False).double()
    nn.init.ones_(conv.weight)
    conv.weight.data[1::2] = -1  # T_k is (-1)^k where the Laplacian vanishes
    valid = _valid(4, graph.num_vertices, share=0.2)
    signals = settled(torch.from_numpy(constant)[None, :, None].expand(4, -1, 1), valid)
    out = masked_convolution(conv, signals)
    torch.testing.assert_close(out.values, 4 * signals.values, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("pyramid", PYRAMIDS.values(), ids=PYRAMIDS)
@pytest.mark.parametrize("method", POOLINGS)
def test_pooling_preserves_constants_and_is_plain_where_all_is_valid(pyramid, method):
    pool = Pool(pyramid, level=0, method=method).double()
    size = pyramid.graphs[0].num_vertices
    valid = _valid(3, size, share=0.2)
    out = masked_pooling(pool, settled(torch.full((3, size, 2), 7.0).double(), valid))
    expected = torch.where(valid_of(out), 7.0, 0.0).double().unsqueeze(-1).expand(-1, -1, 2)
    torch.testing.assert_close(values_of(out), expected, rtol=0, atol=ROUNDING)
    membership = pyramid.memberships[0].toarray()
    children = torch.from_numpy((membership != 0).astype(float))
    if children.shape[0] == size:
        children = children.T
    holds_valid = valid.double() @ children.T > 0
    if method in ("mean", "area", "max"):
        assert torch.equal(valid_of(out), holds_valid)
    elif method in ("low_pass", "gaussian"):
        assert bool((valid_of(out) | ~holds_valid).all())
    signal, full = _random(3, size, 2), torch.ones(3, size, dtype=torch.bool)
    out = masked_pooling(pool, MaskedSignals(signal, full))
    torch.testing.assert_close(out, pool(signal), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("method", ["mean", "area", "max"])
def test_pooling_equals_loop_over_valid_children(method):
    pyramid = PYRAMIDS["healpix"]
    pool = Pool(pyramid, level=0, method=method).double()
    signals = _masked(2, 192, 3, share=0.3)
    out = masked_pooling(pool, signals)
    for item in range(2):
        for coarse in range(48):
            children = np.arange(4 * coarse, 4 * coarse + 4)
            kept = children[signals.valid[item, children].numpy()]
            values = signals.values[item, kept]
            expected = torch.zeros(3).double()
            if len(kept):
                expected = values.amax(dim=0) if method == "max" else values.mean(dim=0)
            torch.testing.assert_close(out.values[item, coarse], expected)
            assert bool(out.valid[item, coarse]) == (len(kept) > 0)


@pytest.mark.parametrize("pyramid", PYRAMIDS.values(), ids=PYRAMIDS)
@pytest.mark.parametrize("method", ["copy", "area", "adjoint", "zeros"])
def test_unpooling_is_plain_below_valid_parents(pyramid, method):
    unpool = Unpool(pyramid, level=0, method=method).double()
    size = pyramid.graphs[1].num_vertices
    half = (torch.arange(size) < size // 2).expand(2, -1)
    out = masked_unpooling(unpool, settled(_random(2, size, 2), half))
    signal = torch.where(half.unsqueeze(-1), _random(2, size, 2), 0)
    only_valid = unpool(half.unsqueeze(-1).double()).squeeze(-1)
    whole = unpool(torch.ones(2, size, 1).double()).squeeze(-1)
    inside = (only_valid - whole).abs() < 1e-12  # no parent is missing
    torch.testing.assert_close(out.values[inside], unpool(signal)[inside], rtol=0, atol=ROUNDING)
    assert bool(out.valid[inside].all())
    assert bool((values_of(out)[only_valid == 0] == 0).all())
    constant = masked_unpooling(unpool, settled(torch.ones(2, size, 1).double(), half))
    expected = torch.where(valid_of(constant), whole, 0).unsqueeze(-1)
    torch.testing.assert_close(values_of(constant), expected, rtol=0, atol=ROUNDING)


def test_unpooling_of_the_original_pads_with_valid_ones():
    pyramid = build_pyramid(Icosahedral(4), num_levels=2, num_neighbors=6)
    valid = torch.arange(42) < 20
    unpool = Unpool(pyramid, level=0, method="pad_ones")
    out = masked_unpooling(unpool, settled(torch.full((42, 1), 5.0), valid))
    assert torch.equal(out.valid[:42], valid)
    assert bool(out.valid[42:].all())
    assert torch.equal(out.values[42:], torch.ones(120, 1))
    pool = Pool(pyramid, level=0, method="keep_first")
    assert torch.equal(masked_pooling(pool, out).valid, valid)


def test_unpooling_to_indices_is_rejected():
    unpool = Unpool(PYRAMIDS["healpix"], level=0, method="index")
    with pytest.raises(ValueError, match="method must not be 'index' for signals with missing"):
        masked_unpooling(unpool, settled(torch.zeros(48, 1), torch.arange(48) < 3))


def test_batch_statistics_are_those_of_valid_vertices():
    norm = BatchNorm(3).double()
    nn.init.normal_(norm.norm.weight)
    alone = copy.deepcopy(norm)
    signals = _masked(4, 20, 3)
    out = run_layer(norm, signals)
    torch.testing.assert_close(
        out.values[signals.valid], alone(signals.values[signals.valid][None])[0]
    )
    for name, buffer in alone.norm.named_buffers():
        torch.testing.assert_close(norm.norm.get_buffer(name), buffer)
    fixed = run_layer(norm.eval(), signals)
    torch.testing.assert_close(fixed.values[signals.valid], norm(signals.values)[signals.valid])
    assert torch.count_nonzero(fixed.values[~signals.valid]) == 0


@pytest.mark.parametrize("num_valid", [0, 1])
def test_batch_without_a_variance_takes_the_running_averages(num_valid):
    norm, values = BatchNorm(2), torch.randn(2, 5, 2, requires_grad=True)
    valid = torch.zeros(2, 5, dtype=torch.bool)
    valid[0, :num_valid] = True
    before = copy.deepcopy(norm.state_dict())
    out = run_layer(norm, settled(values, valid))
    expected = copy.deepcopy(norm).eval()(values)
    torch.testing.assert_close(out.values[valid], expected[valid])
    for name, buffer in norm.state_dict().items():
        assert torch.equal(buffer, before[name])
    out.values.sum().backward()
    assert torch.isfinite(values.grad).all()


@pytest.mark.parametrize("norm", [GroupNorm(2, 4), LayerNorm(4)], ids=["group", "layer"])
def test_other_normalizations_are_those_of_the_valid_vertices(norm):
    norm = norm.double()
    nn.init.normal_(norm.norm.weight)
    signals = _masked(3, 15, 4)
    out = run_layer(norm, signals)
    for item in range(3):
        valid = signals.valid[item]
        torch.testing.assert_close(
            out.values[item, valid], norm(signals.values[item, valid][None])[0]
        )
    nothing = run_layer(norm, settled(signals.values, torch.zeros(3, 15, dtype=torch.bool)))
    assert torch.count_nonzero(nothing.values) == 0


READOUTS = ["mean", "variance", "meanvar", "max", "logsumexp", "histogram", "mean_max"]


@pytest.mark.parametrize("name", [*READOUTS, "mean_logsumexp"])
def test_readouts_are_those_of_the_valid_vertices(name):
    areas = np.linspace(1, 3, 12)
    readout = make_readout(name, 2, areas).double()
    signals = _masked(3, 12, 2)
    out = run_readout(readout, signals)
    for item in range(3):
        valid = signals.valid[item]
        there = make_readout(name, 2, areas[valid.numpy()]).double()
        torch.testing.assert_close(out[item], there(signals.values[item, valid]))
    values = _random(3, 12, 2).requires_grad_()
    valid = signals.valid.clone()
    valid[1] = False
    out = run_readout(readout, settled(values, valid))
    assert torch.count_nonzero(out[1]) == 0
    out.sum().backward()
    assert torch.isfinite(values.grad).all()
    assert torch.count_nonzero(values.grad[~valid]) == 0


def _permuted(order: np.ndarray) -> tuple[Scattered, Scattered]:
    """Scattered points, and the same in another order."""
    points = RandomUniform(len(order), seed=4)
    lon, lat = np.degrees(points.lon), np.degrees(points.lat)
    return Scattered(lon, lat), Scattered(lon[order], lat[order])


def test_block_commutes_with_permutations():
    order = np.random.default_rng(0).permutation(70)
    graphs = [build_graph(s, num_neighbors=8, weights="gaussian") for s in _permuted(order)]
    options = {"in_channels": 2, "out_channels": 3, "kernel_size": 3}
    here, there = (ConvBlock(graph, **options).double() for graph in graphs)
    there.load_state_dict(here.state_dict())
    signals = _masked(2, 70, 2, share=0.1)
    permuted = MaskedSignals(signals.values[:, order], signals.valid[:, order])
    out, moved = run_layer(here, signals), run_layer(there, permuted)
    torch.testing.assert_close(values_of(moved), values_of(out)[:, order], rtol=0, atol=1e-9)
    assert torch.equal(valid_of(moved), valid_of(out)[:, order])


def _layers() -> dict[str, nn.Module]:
    graph, pyramid = PYRAMIDS["healpix"].graphs[0], PYRAMIDS["healpix"]
    options = {"in_channels": 2, "out_channels": 2, "kernel_size": 2}
    pool = Pool(pyramid, level=0)
    return {
        "convolution": ChebConv(graph, **options),
        "block": ConvBlock(graph, **options, bias=True, affine=False, pool=pool),
        "block of groups": ConvBlock(graph, **options, normalization="group", activation="gelu"),
        "residual": ResidualBlock(graph, **options),
        "projected": ResidualBlock(graph, **{**options, "out_channels": 5}, shortcut="linear"),
        "sequence": BlockSequence(ConvBlock(graph, **options), pool),
    }


@pytest.mark.parametrize("name", _layers())
def test_samples_of_a_batch_are_filtered_each_with_its_mask(name):
    torch.manual_seed(0)
    layer = _layers()[name].double().eval()
    signals = _masked(3, 192, 2, share=0.02)
    together = run_layer(layer, signals)
    for item in range(3):
        alone = run_layer(layer, settled(signals.values[item], signals.valid[item]))
        assert torch.equal(valid_of(alone), valid_of(together)[item])
        torch.testing.assert_close(
            values_of(alone), values_of(together)[item], rtol=0, atol=ROUNDING
        )


@pytest.mark.parametrize("name", _layers())
def test_full_mask_is_the_plain_layer(name):
    torch.manual_seed(0)
    layer = _layers()[name].double()
    signals = _random(2, 192, 2)
    full = MaskedSignals(signals, torch.ones(2, 192, dtype=torch.bool))
    out = run_layer(layer, full)
    assert isinstance(out, torch.Tensor)
    torch.testing.assert_close(out, layer(signals), rtol=0, atol=1e-9)


def test_upsampled_nonlinearity_preserves_constants():
    layer = UpsampledNonlinearity(PYRAMIDS["healpix"], level=1, activation="none").double()
    out = run_layer(layer, settled(torch.full((48, 1), 3.0).double(), torch.arange(48) < 5))
    assert isinstance(out, MaskedSignals)
    assert bool(out.valid[:20].all())
    torch.testing.assert_close(
        out.values, 3.0 * out.valid.unsqueeze(-1).double(), rtol=0, atol=ROUNDING
    )


def test_isolated_vertex_sees_itself_alone():
    graph = GRAPHS["symmetric"]
    conv = ChebConv(graph, in_channels=1, out_channels=1, kernel_size=3, bias=False).double()
    valid = torch.arange(48) == 7
    out = masked_convolution(conv, settled(torch.full((48, 1), 2.0).double(), valid))
    expected = 2 * (conv.weight[0] - conv.weight[1] + conv.weight[2])
    torch.testing.assert_close(out.values[7], expected[0])


def test_signals_side_by_side_and_sums_are_valid_where_any_is():
    first = settled(torch.ones(4, 1), torch.tensor([True, True, False, False]))
    second = settled(torch.ones(4, 1), torch.tensor([True, False, True, False]))
    both = concatenate([first, second])
    assert both.values.tolist() == [[1, 1], [1, 0], [0, 1], [0, 0]]
    assert both.valid.tolist() == [True, True, True, False]
    total = add(first, second, weight=3.0)
    assert total.values.ravel().tolist() == [4, 1, 3, 0]
    assert total.valid.tolist() == both.valid.tolist()
    whole = concatenate([first, torch.ones(4, 2)])
    assert isinstance(whole, torch.Tensor)


def test_mask_and_nan_make_missing_values():
    signals = torch.tensor([[[1.0, 2.0], [torch.nan, 3.0], [4.0, torch.inf], [5.0, 6.0]]])
    found = observed_signals(signals, torch.tensor([True, True, False, True]))
    assert found.valid.tolist() == [[True, False, False, True]]
    assert found.values.tolist() == [[[1, 2], [0, 0], [0, 0], [5, 6]]]
    clean = torch.ones(2, 3, 1)
    assert observed_signals(clean, torch.ones(1, 3, dtype=torch.bool)) is clean
    assert observed_signals(signals, missing="raise") is signals


@pytest.mark.parametrize(
    "mask",
    [
        torch.ones(5, dtype=torch.bool),
        torch.ones(3, 4, dtype=torch.bool),
        torch.ones(1, 2, 4, dtype=torch.bool),
        torch.tensor(True),
        torch.ones(4),
    ],
    ids=["vertices", "batch", "axes", "scalar", "type"],
)
@pytest.mark.usefixtures("unchecked")
def test_mask_of_another_shape_is_rejected(mask):
    with pytest.raises(ValueError, match=r"mask must be bool and broadcast to \(\*batch, vertices"):
        observed_signals(torch.zeros(2, 4, 1), mask)


@pytest.mark.usefixtures("unchecked")
def test_what_is_not_known_for_masked_signals_is_rejected():
    signals = settled(torch.zeros(4, 1), torch.arange(4) < 2)
    with pytest.raises(TypeError, match=r"layer must be one of deepsphere.layers .* got Softmax"):
        run_layer(nn.Softmax(dim=-2), signals)
    with pytest.raises(TypeError, match=r"readout must be one of Mean, .* got Flatten"):
        run_readout(CombinedReadout(nn.Flatten()), signals)
    with pytest.raises(ValueError, match="missing must be one of raise, renormalize, got 'fill'"):
        check_missing("fill")
    with pytest.raises(ValueError, match="mask must be None in a network with missing='raise'"):
        observed_signals(torch.zeros(4, 1), torch.ones(4, dtype=torch.bool), missing="raise")
