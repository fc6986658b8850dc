"""Networks on other samplings: the same functions of what both see."""

import numpy as np
import pytest
import torch
from torch import nn

from deepsphere.graph import build_graph, build_pyramid, pyramid_on_sampling
from deepsphere.models import (
    CNN,
    FCN,
    ClimateUNet,
    CNN2d,
    DenseRegressor,
    Regressor,
    UNet,
    model_from_spec,
    num_parameters,
)
from deepsphere.models.retargeting import to_sampling
from deepsphere.sampling import Equiangular, Fibonacci, Healpix, Scattered

NSIDE = 16
SKY = Healpix(NSIDE)
GAUSSIAN = {"num_neighbors": 8, "weights": "gaussian", "laplacian": "normalized"}
OPTIONS = {
    "gaussian normalized": GAUSSIAN,
    "gaussian": {"num_neighbors": 20, "weights": "gaussian"},
    "random walk": {"num_neighbors": 20, "weights": "gaussian", "laplacian": "random_walk"},
    "optimal": {"num_neighbors": 12, "weights": "optimal"},
    "pixels": {"weights": "perraudin"},
}
POOLINGS = ["max", "mean", "area", "low_pass", "gaussian", "subsample"]


def block(index: int, nside: int = NSIDE):
    """One of the twelve base pixels."""
    size = nside**2
    return Healpix(nside).subset(np.arange(index * size, (index + 1) * size))


def used(model: nn.Module) -> nn.Module:
    """The model with weights and statistics as a training leaves them, in evaluation mode."""
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            nn.init.uniform_(buffer, 0.5, 1.5, generator=generator)
    return model.eval()


def network(sampling, num_levels=2, options=GAUSSIAN, **changes) -> FCN:
    pyramid = build_pyramid(sampling, num_levels=num_levels, **options)
    sizes = {"in_channels": 2, "out_channels": 3, "channels": (4, 5), "kernel_size": 3}
    return used(FCN(pyramid, **(sizes | changes)))


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def far_inside(depth: float, nside: int = NSIDE) -> np.ndarray:
    """Which pixels of a block are so many pixel sizes away from all pixels beside it."""
    points, pixel = Healpix(nside).points, np.sqrt(4 * np.pi / (12 * nside**2))
    cosines = points[: nside**2] @ points[nside**2 :].T
    return np.arccos(cosines.max(axis=1).clip(-1, 1)) > depth * pixel


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_own_sampling_gives_the_same_bits(options):
    model = network(block(0), options=options)
    signals = noise(3, NSIDE**2, 2)
    again = model.to_sampling(block(0))
    assert again is not model
    assert torch.equal(again(signals), model(signals))
    with torch.no_grad():  # the copy of the weights is its own
        next(again.parameters()).zero_()
    assert not torch.equal(again(signals), model(signals))


def test_there_and_back_gives_the_same_bits():
    model = network(block(0))
    signals = noise(NSIDE**2, 2)
    assert torch.equal(model.to_sampling(SKY).to_sampling(block(0))(signals), model(signals))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_feature_maps_inside_of_a_patch_are_those_of_the_sphere(pooling):
    """The reach of filters of one hop (2.6 pixels) on both levels, and of the poolings."""
    nside = 32
    model = network(
        block(0, nside),
        options=OPTIONS["gaussian"],
        pooling=pooling,
        kernel_size=2,
        last_upsampled=False,
    )
    signals = noise(12 * nside**2, 2)
    patch = model.trunk(signals[: nside**2])
    there = model.to_sampling(Healpix(nside)).trunk(signals)[: nside**2 // 4]
    inside = far_inside(14, nside).reshape(-1, 4).all(axis=1)
    assert inside.sum() >= 4
    torch.testing.assert_close(there[inside], patch[inside], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_filters_inside_of_a_patch_are_those_of_the_sphere(options):
    """Two hops of at most 2.6 pixels, and one more to the border which changes the degrees."""
    model = network(block(0), options=options, num_levels=1, kernel_size=2)
    signals = noise(SKY.num_vertices, 2)
    inside = far_inside(7.8)
    assert inside.sum() >= 4
    there = model.to_sampling(SKY).trunk(signals)[: NSIDE**2]
    torch.testing.assert_close(
        there[inside], model.trunk(signals[: NSIDE**2])[inside], atol=1e-5, rtol=1e-5
    )


def test_what_is_beyond_reach_changes_nothing():
    model = network(block(0), num_levels=1, kernel_size=2).to_sampling(SKY)
    signals = noise(SKY.num_vertices, 2)
    changed = signals.clone()
    changed[NSIDE**2 :] += 1.0
    inside = far_inside(4)
    difference = (model.trunk(signals) - model.trunk(changed))[: NSIDE**2].abs().amax(dim=1)
    assert difference[inside].max() == 0
    assert difference[~inside].max() > 0.01


def test_mean_of_a_sphere_is_that_of_its_twelve_patches_up_to_borders():
    """With filters of one vertex there are no borders: the logits are averages."""
    model = network(block(0), kernel_size=1, pooling="max", readout="mean", head="convolution")
    signals = noise(SKY.num_vertices, 2)
    mean = model(signals.reshape(12, NSIDE**2, 2)).mean(dim=0)
    torch.testing.assert_close(model.to_sampling(SKY)(signals), mean)


def test_signal_that_is_the_same_on_two_patches_gives_the_same_on_both():
    """A turn about the axis by a right angle moves block 0 to block 1, vertex by vertex."""
    model = network(block(0), options=OPTIONS["optimal"], num_levels=3, channels=(4, 5, 6))
    signals = noise(5, NSIDE**2, 2)
    torch.testing.assert_close(
        model.to_sampling(block(1))(signals), model(signals), atol=1e-4, rtol=1e-4
    )


def test_block_on_the_equator_gives_what_the_sphere_gives_there():
    model = network(block(0), num_levels=1, kernel_size=2)
    signals = noise(SKY.num_vertices, 2)
    size = NSIDE**2
    moved, whole = model.to_sampling(block(5)), model.to_sampling(SKY)
    part = slice(5 * size, 6 * size)
    difference = (moved.trunk(signals[part]) - whole.trunk(signals)[part]).abs().amax(dim=1)
    assert (difference < 1e-5).float().mean() > 0.3  # all but the borders
    assert moved.pyramid.graphs[0].lambda_max == model.pyramid.graphs[0].lambda_max


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("finer", [Healpix(2 * NSIDE), Healpix(NSIDE // 2)], ids=repr)
def test_filters_keep_their_spectrum_at_another_resolution(options, finer):
    """The scale of a level follows the entries of its Laplacian, and nearly its eigenvalues."""
    pyramid = build_pyramid(SKY, num_levels=2, **options)
    there = pyramid_on_sampling(pyramid, finer)
    for ours, theirs in zip(there.graphs, pyramid.graphs, strict=True):
        own = build_graph(ours.sampling, **options).lambda_max
        assert ours.lambda_max == pytest.approx(own, rel=0.1)
        share = ours.lambda_max / np.median(ours.laplacian.diagonal())
        assert share == pytest.approx(theirs.lambda_max / np.median(theirs.laplacian.diagonal()))
    assert there.low_pass_powers is not None


def test_given_kernel_width_grows_with_the_cells():
    options = {"num_neighbors": 8, "weights": "gaussian", "kernel_width": 0.01}
    pyramid = build_pyramid(SKY, num_levels=2, **options)
    there = pyramid_on_sampling(pyramid, Healpix(NSIDE // 2))
    assert [graph.kernel_width for graph in there.graphs] == pytest.approx([0.04, 0.16])
    tuned = build_pyramid(SKY, num_levels=1, num_neighbors=8, weights="gaussian")
    there = pyramid_on_sampling(tuned, Healpix(NSIDE // 2))
    expected = build_graph(Healpix(NSIDE // 2), num_neighbors=8, weights="gaussian")
    assert there.graphs[0].kernel_width == expected.kernel_width


@pytest.mark.parametrize(
    "sampling",
    [
        Fibonacci(800),
        Equiangular(16, 32),
        Healpix(8, ordering="ring"),
        SKY.subset(np.random.default_rng(0).random(SKY.num_vertices) > 0.2),
    ],
    ids=["fibonacci", "grid", "ring", "mask"],
)
def test_every_network_moves_to_other_kinds_of_samplings(sampling):
    pyramid = build_pyramid(block(0), num_levels=2, num_neighbors=12)
    sizes = {"in_channels": 2, "out_channels": 3, "channels": (4, 5)}
    models = [
        FCN(pyramid, **sizes),
        Regressor(pyramid, **sizes),
        DenseRegressor(pyramid, **sizes),
        UNet(pyramid, **sizes),
        ClimateUNet(pyramid, **sizes),
    ]
    for model in models:
        moved = used(model).to_sampling(sampling)
        assert type(moved) is type(model)
        assert num_parameters(moved) == num_parameters(model)
        output = moved(noise(2, sampling.num_vertices, 2))
        assert output.isfinite().all()
        for name, value in model.state_dict().items():
            assert torch.equal(moved.state_dict()[name], value)


@pytest.mark.parametrize("sampling", [SKY, block(5), Healpix(8)], ids=repr)
def test_moved_network_is_rebuilt_from_its_specification(sampling):
    moved = network(block(0), options=OPTIONS["optimal"]).to_sampling(sampling)
    again = model_from_spec(moved.spec)
    again.load_state_dict(moved.state_dict())
    assert again.spec == moved.spec
    signals = noise(sampling.num_vertices, 2)
    assert torch.equal(again.eval()(signals), moved(signals))


def test_type_mode_and_frozen_weights_are_kept():
    model = network(block(0)).double().train()
    next(model.parameters()).requires_grad_(False)
    state = torch.get_rng_state()
    moved = model.to_sampling(SKY)
    assert torch.equal(torch.get_rng_state(), state)
    assert moved.training
    assert {tensor.dtype for tensor in moved.parameters()} == {torch.float64}
    flags = [parameter.requires_grad for parameter in moved.parameters()]
    assert flags == [parameter.requires_grad for parameter in model.parameters()]
    assert not flags[0]


def test_dense_layer_on_the_vertices_is_refused():
    pyramid = build_pyramid(block(0), num_levels=2, **GAUSSIAN)
    model = used(CNN(pyramid, in_channels=2, out_channels=3, channels=(4, 5)))
    signals = noise(NSIDE**2, 2)
    assert torch.equal(model.to_sampling(block(0))(signals), model(signals))
    for sampling in (SKY, block(3)):
        message = "must have no weights that belong to vertices, got CNN for .*; train a network"
        with pytest.raises(ValueError, match=message):
            model.to_sampling(sampling)


def test_rival_moves_to_another_resolution():
    grid = used(CNN2d(Equiangular(8), in_channels=2, out_channels=3, channels=(4, 5)))
    finer = Equiangular(16)
    # where each vertex is as its neighbors are, the resolution makes no difference but at the poles
    constant = torch.ones(finer.num_vertices, 2)
    assert to_sampling(grid, finer)(constant).shape == (3,)
    signals = noise(128, 2)
    assert torch.equal(to_sampling(grid, Equiangular(8))(signals), grid(signals))


def test_too_few_levels_are_refused():
    model = network(block(0), num_levels=3, channels=(4, 5, 6))
    with pytest.raises(ValueError, match=r"must have the 3 levels of the network, got Healpix\(n"):
        model.to_sampling(Healpix(2))


def test_islands_are_refused_unless_allowed():
    islands = SKY.subset(np.r_[0:256, 1700:1702, 2500])
    model = network(block(0))
    with pytest.raises(ValueError, match=r"graph must be connected, got 3 components"):
        model.to_sampling(islands)
    with pytest.warns(UserWarning, match=r"largest eigenvalue on .* is 1\.\d+ times .* islands"):
        moved = model.to_sampling(islands, disconnected="allow")
    assert moved(noise(islands.num_vertices, 2)).isfinite().all()
    assert moved.pyramid.graphs[0].options.disconnected == "allow"


@pytest.mark.usefixtures("unchecked")
def test_rival_stays_on_its_kind_of_sampling():
    grid = CNN2d(Equiangular(8), in_channels=2, out_channels=3, channels=(4, 5))
    with pytest.raises(ValueError, match="sampling must be a latitude-longitude grid for cnn2d"):
        to_sampling(grid, SKY)


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_network_or_no_sampling_is_refused():
    with pytest.raises(TypeError, match=r"must be a network of deepsphere\.models, got Linear"):
        to_sampling(nn.Linear(2, 3), SKY)
    with pytest.raises(TypeError, match=r"sampling must be a sampling such as .*, got str"):
        network(block(0)).to_sampling("healpix:16")  # pyright: ignore[reportArgumentType]


def stations(num: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Crowded on one side of the sphere."""
    random = np.random.default_rng(0)
    return random.normal(20, 40, num).clip(-180, 180), random.normal(40, 20, num).clip(-89, 89)


@pytest.mark.parametrize(
    ("place", "changes"), [((-150.0, -60.0), False), ((20.001, 40.0), True)], ids=["far", "crowd"]
)
def test_a_station_more_changes_what_is_around_it_alone(place, changes):
    lon, lat = stations()
    home = Scattered(lon, lat)
    graph = build_graph(home, num_neighbors=5, weights="gaussian", disconnected="allow")
    pyramid = graph.pyramid(num_levels=1)
    sizes = {"in_channels": 1, "out_channels": 1, "channels": (), "kernel_size": 4}
    model = used(DenseRegressor(pyramid, **sizes))
    more = Scattered(np.append(lon, place[0]), np.append(lat, place[1]))
    moved = model.to_sampling(more)
    level = moved.pyramid.graphs[0]
    assert level.lambda_max == graph.lambda_max
    assert level.kernel_width == graph.kernel_width
    signal = noise(401, 1)
    before, after = model(signal[:400]), moved(signal)[:400]
    # three hops from the station, and an edge that it takes from others
    hops = (level.adjacency + level.adjacency.T).astype(bool).astype(float)
    reached = np.zeros(401)
    reached[400] = 1
    for _ in range(4):
        reached = (reached + hops @ reached > 0).astype(float)
    beyond = torch.from_numpy(reached[:400] == 0)
    assert 100 < int(beyond.sum()) < 400
    largest = before.abs().max()
    assert (before - after)[beyond].abs().max() < 1e-5 * largest
    # edges of many kernel widths have no weight
    assert bool((before - after)[~beyond].abs().max() > 1e-3 * largest) == changes


def test_other_stations_have_a_width_of_their_own():
    lon, lat = stations()
    options = {"num_neighbors": 5, "weights": "gaussian", "disconnected": "allow"}
    home = build_graph(Scattered(lon, lat), **options)
    fewer = pyramid_on_sampling(home.pyramid(num_levels=1), Scattered(lon[:201], lat[:201]))
    assert fewer.graphs[0].kernel_width == home.kernel_width
    others = Scattered(lon[:201], -lat[:201])
    moved = pyramid_on_sampling(home.pyramid(num_levels=1), others)
    assert moved.graphs[0].kernel_width == build_graph(others, **options).kernel_width
    assert moved.graphs[0].lambda_max == build_graph(others, **options).lambda_max
