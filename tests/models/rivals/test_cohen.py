"""The network of Cohen et al.: against quadratures, and its equivariance, sizes and gradients."""

import copy
import functools
import pickle

import jaxtyping
import numpy as np
import pytest
import torch
from torch import nn

from deepsphere.equivariance import measure_equivariance
from deepsphere.geometry import rotation_zyz
from deepsphere.harmonics import real_harmonics
from deepsphere.models import num_parameters
from deepsphere.models.rivals import rotation_relu
from deepsphere.models.rivals.cohen import Cohen, cohen_full, cohen_simplified
from deepsphere.models.rivals.rotation_convolution import (
    RotationConvolution,
    SphereConvolution,
    crossed_filters,
)
from deepsphere.models.rivals.rotation_relu import relu_of_filtered_series, relu_of_rows
from deepsphere.models.rivals.rotation_transform import RotationTransform
from deepsphere.models.rivals.sphere_transform import quadrature_weights, ring_colatitudes
from deepsphere.models.rivals.wigner import wigner_d
from deepsphere.sampling import Equiangular, Healpix

GRID = Equiangular.soft(6)
SIZES = {"in_channels": 2, "out_channels": 3, "channels": (3, 4, 5), "bandwidths": (4, 3, 2)}


@pytest.fixture
def unchecked(monkeypatch):
    # the run-time checks of the test suite would refuse a wrong name before the library does
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def _model(**options):
    """A network in float64 whose normalizations are not those of the start."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Cohen(GRID, **(SIZES | options)).double()
        for norm in model.norms:
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.3, 0.3)
            nn.init.uniform_(norm.running_mean, -0.3, 0.3)
            nn.init.uniform_(norm.running_var, 0.1, 0.4)
    return model


def _signals(*batch, sampling=GRID, channels=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (*batch, sampling.num_vertices, channels)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


# -- the network by its definition: rotations one by one, sums over filters, quadratures


@functools.cache
def _rotations(bandwidth):
    angles = np.arange(2 * bandwidth) * np.pi / bandwidth
    return np.array(
        [
            [[rotation_zyz(alpha, beta, gamma) for gamma in angles] for alpha in angles]
            for beta in ring_colatitudes(bandwidth)
        ]
    )


def _conjugate_wigner(rotations, num_degrees):
    """All conj D^l_mn of rotations (..., 3, 3): (rotations, functions)."""
    flat = rotations.reshape(-1, 3, 3)
    beta = np.arccos(np.clip(flat[:, 2, 2], -1, 1))
    alpha = np.arctan2(flat[:, 1, 2], flat[:, 0, 2])
    gamma = np.arctan2(flat[:, 2, 1], -flat[:, 2, 0])
    blocks = []
    for degree, matrices in enumerate(wigner_d(beta, num_degrees)):
        orders = np.arange(-degree, degree + 1)
        left = np.exp(1j * alpha[:, None] * orders)
        right = np.exp(1j * gamma[:, None] * orders)
        blocks.append((left[:, :, None] * matrices * right[:, None, :]).reshape(len(flat), -1))
    return np.concatenate(blocks, axis=1)


def _naive_lift(signals, convolution, bandwidth, num_degrees):
    """Correlation on the sphere: samples (maps, β, α, γ, channels)."""
    ring_areas = quadrature_weights(bandwidth) * np.pi / bandwidth
    harmonics = real_harmonics(GRID.points, num_degrees - 1)
    areas = np.repeat(ring_areas, 2 * bandwidth)
    coefficients = np.einsum("vk,v,bvc->bkc", harmonics, areas, signals.numpy())
    longitudes = np.arange(2 * bandwidth) * np.pi / bandwidth
    ring = np.stack([np.cos(longitudes), np.sin(longitudes), 0 * longitudes], axis=-1)
    points = np.einsum("bagij,kj->bagki", _rotations(num_degrees), ring)
    values = real_harmonics(points.reshape(-1, 3), num_degrees - 1) @ coefficients
    values = values.reshape(len(signals), *points.shape[:-1], -1)
    return _filter(values, convolution)


def _naive_convolution(samples, convolution, bandwidth, num_degrees):
    """Correlation on the rotations."""
    weights = np.repeat(quadrature_weights(bandwidth) / 2, (2 * bandwidth) ** 2)
    weights /= (2 * bandwidth) ** 2
    degrees = np.arange(num_degrees)
    multiplicities = np.repeat(2 * degrees + 1, (2 * degrees + 1) ** 2)
    functions = _conjugate_wigner(_rotations(bandwidth), num_degrees)
    flat = samples.reshape(len(samples), -1, samples.shape[-1])
    analysis = functions.conj() * weights[:, None] * multiplicities
    coefficients = np.einsum("rk,brc->bkc", analysis, flat)
    longitudes = np.arange(2 * bandwidth) * np.pi / bandwidth
    ring = np.array([rotation_zyz(longitude, np.pi / 2, 0.0) for longitude in longitudes])
    turned = np.einsum("bagij,kjl->bagkil", _rotations(num_degrees), ring)
    values = _conjugate_wigner(turned, num_degrees) @ coefficients
    values = values.real.reshape(len(samples), *turned.shape[:-2], -1)
    return _filter(values, convolution)


def _filter(values, convolution):
    """Sum over the points of the filters and channels."""
    weight = convolution.filters.weight.detach().numpy()
    scale = 1 / np.sqrt(weight.shape[0] * weight.shape[2])
    return scale * np.einsum("...ki,iok->...o", values, weight)


def _naive_network(model, signals):
    """The descriptor, and the values before each normalization."""
    bandwidth, samples, before = 6, None, []
    layers = [model.sphere_conv, *model.rotation_convs]
    for layer, norm, num_degrees in zip(layers, model.norms, (4, 3, 2), strict=True):
        if samples is None:
            samples = _naive_lift(signals, layer, bandwidth, num_degrees)
        else:
            samples = _naive_convolution(samples, layer, bandwidth, num_degrees)
        before.append(samples)
        bandwidth = num_degrees
        norm3d = nn.BatchNorm3d(samples.shape[-1]).double().train(model.training)
        norm3d.load_state_dict(norm.state_dict())
        normalized = norm3d(torch.from_numpy(samples).movedim(-1, 1)).movedim(1, -1)
        samples = normalized.relu().detach().numpy()
    if model.readout == "max":
        largest = samples.max(axis=(1, 2, 3))
        return largest / np.sqrt(1 + model.readout_norm.eps), before
    weights = quadrature_weights(bandwidth) / 2 / (2 * bandwidth) ** 2
    return np.einsum("nbagc,b->nc", samples, weights), before


@pytest.mark.parametrize("readout", ["mean", "max"])
def test_descriptor_matches_naive_sums(readout):
    model, signals = _model(readout=readout).eval(), _signals(2)
    expected, _ = _naive_network(model, signals)
    np.testing.assert_allclose(model.describe(signals).detach(), expected, atol=1e-10)


def test_normalization_takes_the_moments_of_the_samples():
    model, signals = _model().train(), _signals(3)
    expected, before = _naive_network(model, signals)
    for norm in model.norms:
        norm.momentum = 1.0
    np.testing.assert_allclose(model.describe(signals).detach(), expected, atol=1e-10)
    for norm, samples in zip(model.norms, before, strict=True):
        flat = samples.reshape(-1, samples.shape[-1])
        np.testing.assert_allclose(norm.running_mean, flat.mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(norm.running_var, flat.var(axis=0, ddof=1), atol=1e-12)
        assert norm.num_batches_tracked == 1


@pytest.mark.parametrize("piece", [1, 600, 3000])
def test_size_of_pieces_changes_nothing(monkeypatch, piece):
    model, signals = _model().train(), _signals(5).requires_grad_()
    results = []
    for size in (rotation_relu.PIECE, piece):
        monkeypatch.setattr(rotation_relu, "PIECE", size)
        features = model.describe(signals)
        inputs = [signals, *model.parameters()]
        gradients = torch.autograd.grad(features.square().sum(), inputs, allow_unused=True)
        results.append((features, [gradient for gradient in gradients if gradient is not None]))
    torch.testing.assert_close(results[0], results[1], rtol=1e-10, atol=1e-12)


def test_single_precision_is_near_double():
    model, signals = _model().eval(), _signals(4)
    expected = model(signals)
    actual = model.float()(signals.float())
    assert (actual - expected).abs().max() < 1e-5 * expected.abs().max()


# -- equivariance


def _linear_rows(images, lift):
    """Coefficients, by degree, of the correlation on the sphere without the ReLU."""
    transform = RotationTransform(lift.num_degrees).double()
    series = lift.series(images, transform)
    filters = crossed_filters(lift.filters())
    orders, alpha, beta, maps, _ = series.shape
    filtered = (series.flatten(1, 3) @ filters).view(2, orders, alpha, beta, -1).transpose(0, 1)
    gamma_synthesis = transform.matrices["gamma_synthesis"]
    samples = (gamma_synthesis @ filtered.reshape(2 * orders, -1)).view(alpha, alpha, beta, -1)
    return transform.analyze_columns(samples).reshape(-1, maps, filters.shape[-1])


def test_linear_part_is_equivariant_by_the_meter():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        lift = SphereConvolution(2, 3, bandwidth_in=8, bandwidth_out=6).double()
        convolution = RotationConvolution(3, 2, bandwidth_in=6, bandwidth_out=6).double()
    transform = RotationTransform(6).double()
    sampling, output = Equiangular.soft(8), Equiangular.soft(6)

    def function(signals):
        images = torch.from_numpy(sampling.to_grid(signals))
        with torch.no_grad():
            rows = _linear_rows(images, lift)[transform.coefficient_of_degree_row]
            columns = transform.coefficients_of_rows(convolution(rows))
            maps = transform.synthesize_columns(columns).mean(0)  # over γ: (α, β, columns)
        maps = maps.unflatten(-1, (len(signals), -1)).permute(2, 1, 0, 3)
        return output.from_grid(maps.numpy())

    measured = measure_equivariance(
        function,
        sampling,
        inputs=(0, 5),
        output_sampling=output,
        max_degree=5,
        num_channels=2,
        num_signals=2,
        num_rotations=3,
    )
    assert measured.error < 1e-10


def test_convolution_commutes_with_rotations_of_its_coefficients():
    num, generator = 4, np.random.default_rng(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        convolution = RotationConvolution(2, 3, bandwidth_in=5, bandwidth_out=num).double()
    transform = RotationTransform(num).double()
    samples = torch.from_numpy(generator.normal(size=(2, *(2 * num,) * 3)))

    def apply(coefficients):
        functions = transform.synthesize(coefficients)  # (channels, β, α, γ)
        columns = transform.analyze_columns(functions.permute(3, 2, 1, 0).contiguous())
        rows = columns.reshape(-1, 1, 2)[transform.coefficient_of_degree_row]
        outputs = transform.coefficients_of_rows(convolution(rows).detach())
        return transform.analyze(transform.synthesize_columns(outputs).permute(3, 2, 1, 0))

    coefficients = transform.analyze(samples)
    turn = (0.4, 1.3, -0.8)
    expected = _turned(apply(coefficients), turn)
    torch.testing.assert_close(apply(_turned(coefficients, turn)), expected, atol=1e-10, rtol=0)
    assert (apply(coefficients) - expected).abs().max() > 0.01


def _turned(coefficients, angles):
    """Coefficients of f(Q⁻¹R): D^l(Q) F^l."""
    num = coefficients.shape[-2]
    alpha, beta, gamma = angles
    signs = (-1.0) ** torch.arange(1 - num, num)
    conjugates = torch.stack(
        [(-1.0) ** m * signs * coefficients[..., m, :].conj().flip(-1) for m in range(1, num)], -2
    )
    full = torch.cat([conjugates.flip(-2), coefficients], dim=-2)
    turned = torch.zeros_like(full)
    for degree, (small,) in enumerate(wigner_d(np.array([beta]), num)):
        orders = np.arange(-degree, degree + 1)
        large = np.exp(-1j * orders[:, None] * alpha) * small * np.exp(-1j * orders * gamma)
        inside = slice(num - 1 - degree, num + degree)
        turned[..., degree, inside, :] = torch.from_numpy(large) @ full[..., degree, inside, :]
    return turned[..., num - 1 :, :]


@pytest.mark.parametrize("readout", ["mean", "max"])
def test_turns_of_the_grid_about_its_axis_change_nothing(readout):
    # steps of the grids of all layers: bandwidths 6, 3 and 3 have π/3 in common
    model = _model(bandwidths=(3, 3, 3), readout=readout).eval()
    signals = _signals(2)
    turned = GRID.from_grid(GRID.to_grid(signals).roll(2, dims=2))
    torch.testing.assert_close(model(turned), model(signals), atol=1e-12, rtol=1e-10)


def test_descriptor_is_nearly_invariant_to_any_rotation():
    sampling = Equiangular.soft(8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = {"in_channels": 1, "out_channels": 3, "channels": (8, 8), "bandwidths": (8, 6)}
        model = Cohen(sampling, **sizes).double().eval()
    measured = measure_equivariance(
        nn.Sequential(model), sampling, inputs=(0, 4), num_signals=4, num_rotations=4
    )
    assert measured.invariant
    # what the ReLU makes beyond the degrees of the grid
    assert 1e-8 < measured.error < 0.02


# -- gradients


def test_gradients_of_the_rectifiers():
    generator = torch.Generator().manual_seed(0)
    maps, channels = 2, 2
    transform, after = RotationTransform(2).double(), RotationTransform(2, num_degrees=1).double()

    def random(*shape):
        values = torch.randn(*shape, dtype=torch.float64, generator=generator)
        return values.requires_grad_()

    rows = random(len(transform.coefficient_of_order_row), maps, channels)
    shift = random(channels)
    assert torch.autograd.gradcheck(
        lambda *inputs: relu_of_rows(*inputs, transform.synthesis, after.analysis), (rows, shift)
    )
    series, filters = random(2, 4, 4, maps, 6), random(2, 2, 6, channels)
    gamma_synthesis = transform.matrices["gamma_synthesis"]
    assert torch.autograd.gradcheck(
        lambda *inputs: relu_of_filtered_series(*inputs, gamma_synthesis, transform.analysis),
        (series, filters),
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("readout", ["mean", "max"])
def test_gradients_of_the_network_are_slopes(training, readout):
    model = _model(readout=readout).train(training)
    signals, generator = _signals(3), torch.Generator().manual_seed(1)
    parameters = [signals.requires_grad_(), *model.parameters()]
    directions = [
        torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
        for parameter in parameters
    ]
    weights = torch.randn(3, 3, dtype=torch.float64, generator=generator)
    gradients = torch.autograd.grad((model(signals) * weights).sum(), parameters)

    def moved(step):
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter += step * direction
            value = (model(signals) * weights).sum().item()
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter -= step * direction
        return value

    step = 1e-6
    slope = (moved(step) - moved(-step)) / (2 * step)
    expected = sum(
        (gradient * direction).sum().item()
        for gradient, direction in zip(gradients, directions, strict=True)
    )
    assert slope == pytest.approx(expected, rel=1e-4)


def test_gradients_reach_all_parameters():
    model, signals = _model(), _signals(3)
    model.train()(signals).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_network_fits_a_handful_of_maps():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Cohen(GRID, in_channels=2, out_channels=3, channels=(8, 8), bandwidths=(4, 3))
    signals, labels = _signals(6).float(), torch.tensor([0, 1, 2, 0, 1, 2])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(signals), labels)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    assert (model(signals).argmax(-1) == labels).all()


# -- the published sizes, and the laws of every model


def test_sizes_are_the_published_ones():
    # per layer: filters of 2b values, normalization; the dense layer
    simplified = 6 * 100 * 128 + 100 * 100 * 32 + 2 * 200 + 101 * 55
    assert num_parameters(cohen_simplified()) == simplified == 402_755
    assert abs(simplified / 400e3 - 1) < 0.05
    full = 6 * 50 * 256 + 50 * 70 * 64 + 70 * 350 * 44 + 2 * 470 + 351 * 55
    assert num_parameters(cohen_full()) == full == 1_399_045
    assert abs(full / 1400e3 - 1) < 0.05


@pytest.mark.parametrize("batch", [(), (0,), (2, 3)])
@pytest.mark.parametrize("readout", ["mean", "max"])
def test_batch_axes_are_kept(batch, readout):
    model, signals = _model(readout=readout).eval(), _signals(*batch)
    outputs = model(signals)
    assert outputs.shape == (*batch, 3)
    assert model.describe(signals).shape == (*batch, 5)
    if batch == (2, 3):
        torch.testing.assert_close(outputs[1, 2], model(signals[1, 2]))


def test_maps_do_not_influence_each_other_in_evaluation():
    model, signals = _model().eval(), _signals(4)
    torch.testing.assert_close(model(signals)[1:3], model(signals[1:3]))
    assert torch.equal(model(signals), model(signals))


def test_signals_are_not_modified():
    model, signals = _model(), _signals(2)
    before = signals.clone()
    model.train()(signals)
    assert torch.equal(signals, before)


def test_copies_and_saved_states_give_the_same_outputs():
    model, signals = _model().eval(), _signals(2)
    expected = model(signals)
    assert torch.equal(copy.deepcopy(model)(signals), expected)
    assert torch.equal(pickle.loads(pickle.dumps(model))(signals), expected)
    spec = model.spec
    assert spec["model"] == "cohen"
    assert spec["sampling"] == GRID.spec
    other = Cohen(GRID, **spec["config"]).double().eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(signals), expected)
    assert not any("matrices" in name for name in model.state_dict())


@pytest.mark.parametrize(
    "sampling", [Equiangular(8), Equiangular(8, 8, 1), Equiangular(7, 7), Equiangular(9, 9, 2)]
)
def test_other_grids_are_rejected(sampling):
    with pytest.raises(ValueError, match="sampling must be a grid of 2b rings without poles and"):
        Cohen(sampling, **SIZES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": (3, 4)}, "must name the same correlations, two at least, got 2 and 3"),
        ({"channels": (3,), "bandwidths": (4,)}, "two at least, got 1 and 1"),
        ({"bandwidths": (4, 5, 2)}, r"must not grow from that of the grid \(6\) on, got \(4, 5, 2"),
        ({"bandwidths": (7, 5, 2)}, r"must not grow from that of the grid \(6\) on, got \(7, 5, 2"),
        ({"bandwidths": (4, 3, 0)}, r"bandwidths must be at least 1, got \(4, 3, 0"),
    ],
)
def test_sizes_that_do_not_fit_are_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        Cohen(GRID, **(SIZES | options))


@pytest.mark.usefixtures("unchecked")
def test_unknown_readout_is_rejected():
    with pytest.raises(ValueError, match="readout must be one of mean, max, got 'sum'"):
        Cohen(GRID, **SIZES, readout="sum")


def test_signals_of_another_sampling_are_rejected():
    with pytest.raises(ValueError, match=r"signals must have shape \(\*batch, 144 vertices, 2 ch"):
        _model()(_signals(1, sampling=Healpix(nside=2)))
