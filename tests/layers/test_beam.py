"""Smoothing by a beam: harmonics are multiplied by exp(-l (l + 1) σ² / 2)."""

import numpy as np
import pytest
import torch

from deepsphere.graph.sphere_graph import build_graph
from deepsphere.harmonics import real_harmonics
from deepsphere.layers.beam import BeamSmoothing
from deepsphere.layers.operator import LaplacianOperator
from deepsphere.sampling import Equiangular, Fibonacci, Healpix, Icosahedral

NSIDE, MAX_DEGREE = 16, 24
# of square pixels of the same area, in arcminutes
PIXEL = np.rad2deg(np.sqrt(4 * np.pi / (12 * NSIDE**2))) * 60
FWHM_PER_SIGMA = 2.354820045


@pytest.fixture(scope="module")
def graph():
    return build_graph(Healpix(NSIDE), num_neighbors=20)


@pytest.fixture(scope="module")
def harmonics():
    return real_harmonics(Healpix(NSIDE).points, MAX_DEGREE)


def _white(harmonics, num_channels=1, seed=0):
    """Coefficients of white signals, and the signals."""
    shape = (harmonics.shape[1], num_channels)
    coefficients = np.random.default_rng(seed).standard_normal(shape)
    return coefficients, torch.from_numpy(harmonics @ coefficients)


def _beam(fwhm_arcmin: float) -> np.ndarray:
    """The transfer of each harmonic, naively."""
    sigma = np.deg2rad(fwhm_arcmin / 60) / FWHM_PER_SIGMA
    return np.array(
        [
            np.exp(-degree * (degree + 1) * sigma**2 / 2)
            for degree in range(MAX_DEGREE + 1)
            for _ in range(2 * degree + 1)
        ]
    )


def _error(found, expected) -> float:
    found, expected = np.asarray(found.detach()), np.asarray(expected)
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("pixels", [1, 2, 3, 5, 10])
def test_harmonics_are_damped_as_by_the_beam(graph, harmonics, pixels):
    coefficients, signal = _white(harmonics)
    layer = BeamSmoothing(graph, fwhm_arcmin=pixels * PIXEL).double()
    expected = harmonics @ (coefficients * _beam(pixels * PIXEL)[:, None])
    # a quarter of a percent, as the docstring says; a plain scale of eigenvalues errs by up to 15 %
    assert _error(layer(signal), expected) < 0.0025
    assert layer.estimated_error < 0.0025


@pytest.mark.parametrize(
    ("sampling", "options", "bound"),
    [
        (Healpix(NSIDE), {"num_neighbors": 8, "weights": "gaussian"}, 0.03),
        (Healpix(NSIDE), {"num_neighbors": 20, "weights": "gaussian"}, 0.01),
        (Healpix(NSIDE), {"weights": "cotangent"}, 0.02),
        (Fibonacci(3000), {"num_neighbors": 20, "weights": "gaussian"}, 0.01),
        (Icosahedral(subdivisions=16), {"weights": "cotangent"}, 0.02),
    ],
    ids=["gaussian-8", "gaussian-20", "cotangent", "fibonacci", "icosahedral"],
)
def test_other_graphs_smooth_as_well_as_they_are_said_to(sampling, options, bound):
    values = real_harmonics(sampling.points, MAX_DEGREE)
    coefficients, signal = _white(values)
    for pixels in (2, 5):
        layer = BeamSmoothing(build_graph(sampling, **options), fwhm_arcmin=pixels * PIXEL)
        expected = values @ (coefficients * _beam(pixels * PIXEL)[:, None])
        error = _error(layer.double()(signal), expected)
        assert error < bound
        # the estimate is to first order, for degrees up to 1.5 nside
        assert layer.estimated_error / 3 < error < 3 * layer.estimated_error + 0.001


def test_constants_are_kept(graph):
    layer = BeamSmoothing(graph, fwhm_arcmin=(0.0, 3 * PIXEL), tolerance=1e-5).double()
    constant = torch.full((2, graph.num_vertices, 2), 7.0, dtype=torch.float64)
    torch.testing.assert_close(layer(constant), constant, rtol=1e-5, atol=0)


def test_each_channel_has_its_beam(graph, harmonics):
    widths = (2 * PIXEL, 0.0, 5 * PIXEL)
    coefficients, signal = _white(harmonics, 3)
    layer = BeamSmoothing(graph, fwhm_arcmin=widths).double()
    smooth = layer(signal)
    for channel, width in enumerate(widths):
        expected = harmonics @ (coefficients[:, channel] * _beam(width))
        # the widest keeps so few harmonics that some draws err by twice the mean
        assert _error(smooth[:, channel], expected) < 0.006
    # no channel sees another
    alone = torch.zeros_like(signal)
    alone[:, 2] = signal[:, 2]
    smooth_alone = layer(alone)
    assert torch.equal(smooth_alone[:, :2], torch.zeros_like(signal[:, :2]))
    torch.testing.assert_close(smooth_alone[:, 2], smooth[:, 2])


def test_standard_deviation_and_full_width_say_the_same(graph, harmonics):
    _, signal = _white(harmonics)
    by_width = BeamSmoothing(graph, fwhm_arcmin=FWHM_PER_SIGMA * 150.0)
    by_deviation = BeamSmoothing(graph, sigma_arcmin=150.0)
    torch.testing.assert_close(by_width(signal.float()), by_deviation(signal.float()))
    assert by_width.sigma_arcmin.tolist() == pytest.approx([150])
    assert by_deviation.fwhm_arcmin.tolist() == pytest.approx([FWHM_PER_SIGMA * 150])
    assert "fwhm_arcmin=(353.2)" in repr(by_deviation)


def test_beams_in_a_row_add_in_quadrature(graph, harmonics):
    _, signal = _white(harmonics)
    first, second, both = (
        BeamSmoothing(graph, fwhm_arcmin=width * PIXEL, tolerance=1e-5).double()
        for width in (3, 4, 5)
    )
    # both are functions of the same operator: how well it fits harmonics does not matter
    assert _error(second(first(signal)), both(signal).detach()) < 1e-3


def test_one_beam_serves_any_number_of_channels_and_batch_axes(graph):
    layer = BeamSmoothing(graph, fwhm_arcmin=3 * PIXEL)
    signal = torch.randn(2, 3, graph.num_vertices, 4, generator=torch.Generator().manual_seed(0))
    smooth = layer(signal)
    assert smooth.shape == signal.shape
    torch.testing.assert_close(smooth[1, 2, :, 3:], layer(signal[1, 2, :, 3:]))


def test_sampling_graph_and_operator_are_the_same(graph):
    signal = torch.randn(graph.num_vertices, 1, generator=torch.Generator().manual_seed(0))
    expected = BeamSmoothing(graph, fwhm_arcmin=400.0)(signal)
    for given in (LaplacianOperator(graph), Healpix(NSIDE)):
        assert torch.equal(BeamSmoothing(given, fwhm_arcmin=400.0)(signal), expected)


def test_inside_of_a_patch_the_beam_is_that_of_the_sphere(graph):
    sampling = Healpix(NSIDE)
    part = sampling.subset(np.arange(NSIDE**2))
    points = sampling.points[part.indices]
    signal = torch.from_numpy(real_harmonics(sampling.points, 12)[:, 60:70])
    whole = BeamSmoothing(graph, fwhm_arcmin=2 * PIXEL).double()(signal)
    layer = BeamSmoothing(build_graph(part, num_neighbors=20), fwhm_arcmin=2 * PIXEL).double()
    cut = layer(signal[: NSIDE**2])
    outside = np.delete(sampling.points, part.indices, axis=0)
    distance = np.arccos(np.clip(points @ outside.T, -1, 1)).min(axis=1)
    inner = distance > 5 * np.deg2rad(PIXEL / 60)
    assert inner.sum() > 20
    assert _error(cut[inner], whole[: NSIDE**2][inner].detach()) < 0.003
    constant = torch.ones(NSIDE**2, 1, dtype=torch.float64)
    torch.testing.assert_close(layer(constant), constant, rtol=2e-4, atol=0)


def test_gradients_reach_the_signal_and_trainable_widths():
    graph = build_graph(Healpix(4), num_neighbors=20)
    layer = BeamSmoothing(graph, fwhm_arcmin=(1500.0, 2500.0), trainable=True).double()
    signal = torch.randn(48 * 4, 2, generator=torch.Generator().manual_seed(0)).double()
    signal.requires_grad_()

    def smooth(x, growth):
        return torch.func.functional_call(layer, {"growth": growth}, (x,))

    growth = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(smooth, (signal, growth), fast_mode=True)


def test_trained_width_is_found_again():
    graph = build_graph(Healpix(8), num_neighbors=20)
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(4, graph.num_vertices, 1, generator=generator)
    target = BeamSmoothing(graph, sigma_arcmin=600.0)(signal)
    layer = BeamSmoothing(graph, sigma_arcmin=400.0, trainable=True)
    torch.testing.assert_close(layer.sigma_arcmin, torch.tensor([400.0], dtype=torch.float64))
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        (layer(signal) - target).square().mean().backward()
        optimizer.step()
    assert layer.sigma_arcmin.item() == pytest.approx(600, rel=0.02)


@pytest.mark.parametrize("growth", [-20.0, -2.0, 0.0, 2.0, 20.0])
def test_trained_widths_are_beams_wherever_they_go(harmonics, growth):
    layer = BeamSmoothing(Healpix(NSIDE), fwhm_arcmin=3 * PIXEL, trainable=True).double()
    with torch.no_grad():
        layer.growth.fill_(growth)
    coefficients, signal = _white(harmonics)
    assert 0 < layer.fwhm_arcmin.item() <= 6 * PIXEL
    expected = harmonics @ (coefficients * _beam(layer.fwhm_arcmin.item())[:, None])
    assert _error(layer(signal), expected) < 0.004


def test_nothing_is_learned_unless_asked_for(graph):
    fixed = BeamSmoothing(graph, fwhm_arcmin=400.0)
    assert not list(fixed.parameters())
    assert not fixed.state_dict()
    trainable = BeamSmoothing(graph, fwhm_arcmin=400.0, trainable=True)
    assert [name for name, _ in trainable.named_parameters()] == ["growth"]
    with torch.no_grad():
        trainable.growth.fill_(0.5)
    other = BeamSmoothing(graph, fwhm_arcmin=400.0, trainable=True)
    other.load_state_dict(trainable.state_dict())
    signal = torch.randn(graph.num_vertices, 1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(other(signal), trainable(signal))


def test_single_precision_agrees_with_double(graph, harmonics):
    _, signal = _white(harmonics)
    for trainable in (False, True):
        layer = BeamSmoothing(graph, fwhm_arcmin=PIXEL, trainable=trainable)
        exact = BeamSmoothing(graph, fwhm_arcmin=PIXEL, trainable=trainable).double()
        assert exact(signal).dtype == torch.float64
        assert layer(signal.float()).dtype == torch.float32
        assert _error(layer(signal.float()), exact(signal).detach()) < 1e-5
        # through 16 bits and back nothing is lost
        assert torch.equal(layer.half().float()(signal.float()), layer(signal.float()))


def test_smaller_tolerance_takes_more_coefficients_and_errs_less(graph):
    eigenvalues = np.linspace(0, 1, 200) * graph.lambda_max
    found = {}
    for tolerance in (1e-2, 1e-3, 1e-5):
        layer = BeamSmoothing(graph, fwhm_arcmin=2 * PIXEL, tolerance=tolerance)
        found[tolerance] = layer.kernel_size
        coefficients = layer.double().coefficients()[:, 0].numpy()
        transfer = np.polynomial.chebyshev.chebval(
            2 * eigenvalues / graph.lambda_max - 1, coefficients
        )
        assert transfer[0] == pytest.approx(1, abs=tolerance)
        assert np.abs(transfer).max() < 1 + 2 * tolerance
        assert (transfer > -0.03).all()
    assert found[1e-2] < found[1e-3] < found[1e-5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "exactly once, as fwhm_arcmin or as sigma_arcmin, got neither"),
        ({"fwhm_arcmin": 400.0, "sigma_arcmin": 150.0}, "got fwhm_arcmin=400.0, sigma_arcmin=150"),
        ({"fwhm_arcmin": -1.0}, "fwhm_arcmin must be one number or one for each .*got -1.0"),
        ({"sigma_arcmin": (1.0, float("nan"))}, "sigma_arcmin must be one number or one for each"),
        ({"fwhm_arcmin": ()}, r"fwhm_arcmin must be one number or one for each .*got \(\)"),
        ({"fwhm_arcmin": 3.0}, r"must be 0 or at least 22, a tenth of the distance .*got 3;"),
        ({"sigma_arcmin": (0.0, 3.0)}, r"must be 0 or at least 9.34, a tenth .*got 3;"),
        ({"fwhm_arcmin": 400.0, "tolerance": 0.0}, "tolerance must be between 0 and 1, got 0.0"),
        (
            {"fwhm_arcmin": 400.0, "tolerance": 1e-9},
            r"that a polynomial of order 200 can be on this graph, got .* 400 arcmin.* errs by",
        ),
    ],
)
def test_widths_that_make_no_beam_are_rejected(graph, arguments, message):
    with pytest.raises(ValueError, match=message):
        BeamSmoothing(graph, **arguments)


def test_graphs_that_make_no_beam_are_rejected():
    normalized = build_graph(
        Healpix(8), num_neighbors=8, weights="gaussian", laplacian="normalized"
    )
    with pytest.raises(ValueError, match=r"rows sum to zero, .*got laplacian='normalized'"):
        BeamSmoothing(normalized, fwhm_arcmin=1000.0)
    uneven = build_graph(Equiangular(nlat=32), num_neighbors=20, weights="gaussian")
    with pytest.raises(ValueError, match=r"error below 10 %, got about \d+ % for a full width of"):
        BeamSmoothing(uneven, fwhm_arcmin=1000.0)
    thin = build_graph(Healpix(8).subset(np.arange(4)), num_neighbors=8, weights="gaussian")
    with pytest.raises(ValueError, match="must have vertices that miss no neighbors, got 4 that"):
        BeamSmoothing(thin, fwhm_arcmin=1000.0)
    grid = build_graph(Equiangular(nlat=32))
    with pytest.raises(ValueError, match=r"stable, got one on which it amplifies some signals"):
        BeamSmoothing(grid, fwhm_arcmin=540.0)


def test_signals_of_another_shape_are_rejected(graph):
    layer = BeamSmoothing(graph, fwhm_arcmin=(400.0, 500.0))
    with pytest.raises(ValueError, match=r"shape \(\*batch, 3072 vertices, channels\), got \(2, 5"):
        layer(torch.zeros(2, 5, 2))
    with pytest.raises(ValueError, match="must have 2 channels, one for each beam, got 3"):
        layer(torch.zeros(3072, 3))
