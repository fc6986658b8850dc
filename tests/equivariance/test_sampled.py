"""The sampled rotation error of maps whose error is known."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix, random_array
from scipy.sparse.linalg import aslinearoperator
from scipy.special import eval_legendre
from torch import Tensor, nn

from deepsphere.equivariance import assert_equivariant, layer_rotation_errors, measure_equivariance
from deepsphere.equivariance.measurement import bootstrap_interval
from deepsphere.geometry import random_rotations
from deepsphere.graph import build_graph
from deepsphere.harmonics import analyze, synthesize
from deepsphere.layers import ChebConv
from deepsphere.sampling import Fibonacci, GaussLegendre, Healpix, Subset

SAMPLING = Healpix(nside=8)
# An interval of this level is missed by one run in a thousand, and the seeds are fixed.
SURE = 0.999


def directed_operator(sampling, seed=0):
    """Random weights of either sign on random pairs of vertices."""
    n = sampling.num_vertices
    return csr_matrix(random_array((n, n), density=5 / n, rng=np.random.default_rng(seed)))


def exact_error(operator, rows_at, columns_at, areas, degree):
    """Formula (1): twice one minus the squared mean symbol over the mean squared gain."""
    q = areas / areas.sum()
    dense = np.asarray(operator.todense())
    symbol = q @ (dense * eval_legendre(degree, np.clip(rows_at @ columns_at.T, -1, 1))).sum(axis=1)
    between = eval_legendre(degree, np.clip(columns_at @ columns_at.T, -1, 1))
    gain = q @ np.einsum("ij,jk,ik->i", dense, between, dense)
    return np.sqrt(2 * (1 - symbol**2 / gain))


def agrees(measured, exact):
    low, high = measured.interval
    return low <= exact <= high


def test_identity_commutes_with_rotations():
    measured = measure_equivariance(lambda signals: signals, SAMPLING)
    assert measured.error < 1e-10
    assert not measured.invariant
    assert measured.unresolved < 1e-10


def test_zonal_filter_commutes_with_rotations():
    gains = np.repeat(np.cos(np.arange(9.0)), 2 * np.arange(9) + 1)[:, None]

    def zonal(signals):
        coefficients = analyze(signals, SAMPLING.points, SAMPLING.areas, 8)
        return synthesize(gains * coefficients, SAMPLING.points)

    assert measure_equivariance(zonal, SAMPLING, inputs=(0, 8)).error < 1e-10


@pytest.mark.parametrize("degree", [1, 5, 14])
@pytest.mark.parametrize("sampling", [SAMPLING, GaussLegendre(nlat=20)], ids=["healpix", "gauss"])
def test_error_of_a_matrix_agrees_with_the_exact_formula(sampling, degree):
    """Its output is far from band-limited, so this holds only if what the fit misses is counted."""
    operator = directed_operator(sampling)
    operator = csr_matrix(operator + 2 * csr_matrix(np.eye(sampling.num_vertices)))
    measured = measure_equivariance(operator, sampling, inputs=degree, confidence=SURE)
    points = sampling.points
    assert measured.unresolved > 0.1
    assert agrees(measured, exact_error(operator, points, points, sampling.areas, degree))


def test_error_of_a_gaussian_laplacian_agrees_with_the_exact_formula():
    graph = build_graph(SAMPLING, num_neighbors=8, weights="gaussian")
    for degree in (2, 8):
        measured = measure_equivariance(graph, SAMPLING, inputs=degree, confidence=SURE)
        points, areas = SAMPLING.points, SAMPLING.areas
        assert agrees(measured, exact_error(graph.laplacian, points, points, areas, degree))


def test_output_on_a_coarser_level_is_recognized_and_agrees_with_the_exact_formula():
    coarse = SAMPLING.coarsen()
    one_child = csr_matrix(np.eye(SAMPLING.num_vertices)[::4])
    measured = measure_equivariance(one_child, SAMPLING, inputs=5, confidence=SURE)
    assert not measured.invariant
    assert measured.max_degree == 8
    assert agrees(measured, exact_error(one_child, coarse.points, SAMPLING.points, coarse.areas, 5))


def test_output_on_another_sampling_must_be_named():
    there = Fibonacci(300)
    nearest = csr_matrix(np.eye(768)[np.argmax(there.points @ SAMPLING.points.T, axis=1)])
    with pytest.raises(ValueError, match="pass output_sampling"):
        measure_equivariance(nearest, SAMPLING)
    measured = measure_equivariance(
        nearest, SAMPLING, inputs=3, output_sampling=there, confidence=SURE
    )
    assert agrees(measured, exact_error(nearest, there.points, SAMPLING.points, there.areas, 3))


@pytest.mark.parametrize("slope", [0.2, 3.0])
def test_multiplication_by_a_function_of_the_height_has_the_error_of_the_formula(slope):
    """With h = 1 + a z, E² = E(h - R h)² / E h²: z and its rotation are independent."""
    factor = 1 + slope * SAMPLING.points[:, 2:]
    measured = measure_equivariance(
        lambda signals: factor * signals, SAMPLING, num_rotations=32, confidence=SURE
    )
    assert agrees(measured, np.sqrt((2 * slope**2 / 3) / (1 + slope**2 / 3)))


def test_value_at_a_vertex_is_as_far_from_invariant_as_independent_numbers():
    """The mean over rotations of a signal of degree 3 at a point is zero."""
    measured = measure_equivariance(
        lambda signals: signals[:, 17], SAMPLING, inputs=3, num_signals=32, confidence=SURE
    )
    assert measured.invariant
    assert measured.unresolved == 0
    assert agrees(measured, np.sqrt(2))


def test_mean_over_the_sphere_is_invariant():
    sampling = GaussLegendre(nlat=8)  # integrates degrees up to 15
    shares = sampling.areas / sampling.areas.sum()
    measured = measure_equivariance(
        lambda signals: np.einsum("svc,v->sc", signals, shares), sampling, inputs=(0, 10)
    )
    assert measured.invariant
    assert measured.error < 1e-10


def test_spread_does_not_see_a_constant_and_size_does():
    plain, shifted = (
        [
            measure_equivariance(
                lambda signals, shift=shift: signals[:, 17] + shift,
                SAMPLING,
                relative_to=reference,
            ).error
            for reference in ("size", "spread")
        ]
        for shift in (0.0, 100.0)
    )
    assert shifted[1] == pytest.approx(plain[1])
    assert shifted[0] < plain[0] / 20


def test_rectifier_is_charged_for_what_the_grid_does_not_resolve():
    """The map of points commutes exactly, so both terms are what the fit misses."""
    measured = measure_equivariance(nn.ReLU(), SAMPLING, num_signals=16)
    assert 0.03 < measured.unresolved < 0.3
    assert measured.error == pytest.approx(np.sqrt(2) * measured.unresolved, rel=0.05)


def test_maps_of_every_make_are_the_same_map():
    graph = build_graph(SAMPLING, num_neighbors=8, weights="gaussian")
    matrix = graph.laplacian
    makes = [
        graph,
        matrix,
        matrix.toarray(),
        aslinearoperator(matrix),
        lambda signals: np.stack([matrix @ signal for signal in signals]),
    ]
    errors = [measure_equivariance(make, SAMPLING, num_channels=2).error for make in makes]
    assert errors == pytest.approx([errors[0]] * len(makes), rel=1e-10)


class Seen(nn.Module):
    """Remembers what it was given."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2, dtype=dtype)
        self.seen: list[tuple[torch.dtype, tuple[int, ...], bool, bool]] = []

    def forward(self, signals: Tensor) -> Tensor:
        outputs = self.linear(signals)
        seen = (signals.dtype, tuple(signals.shape), self.training, outputs.requires_grad)
        self.seen.append(seen)
        return outputs


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_module_gets_its_type_and_channels_in_evaluation_mode_without_gradients(dtype):
    module = Seen(dtype)
    measured = measure_equivariance(module, SAMPLING, num_signals=5, num_rotations=2)
    assert module.seen == 3 * [(dtype, (5, 768, 3), False, False)]
    assert module.training
    assert measured.num_channels == 2
    assert measured.error < (1e-5 if dtype == torch.float32 else 1e-10)


def test_global_random_state_is_untouched():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    measure_equivariance(nn.Tanh(), SAMPLING)
    assert torch.equal(before, torch.get_rng_state())
    assert (state == np.random.get_state()[1]).all()  # noqa: NPY002


def test_inputs_may_be_functions_of_points():
    def coordinates(points):
        return points.T[:, :, None]

    measured = measure_equivariance(lambda signals: signals**2, SAMPLING, inputs=coordinates)
    assert measured.num_signals == 3
    assert measured.error < 1e-10  # degree 2, which the fit holds


def test_spectrum_weights_the_degrees():
    """Errors of degrees add, weighted by their power: here half of it commutes."""
    operator = np.eye(768) - analysis_of_degree(3)
    alone = measure_equivariance(operator, SAMPLING, inputs=2).error
    spectrum = np.array([0, 0, 1.0])
    assert measure_equivariance(operator, SAMPLING, inputs=spectrum).error == pytest.approx(alone)
    assert alone < 1e-10
    with pytest.raises(ValueError, match="a size above zero"):
        measure_equivariance(0 * operator, SAMPLING, inputs=3)


def analysis_of_degree(degree):
    """Projection on the harmonics of one degree."""
    coefficients = analyze(np.eye(768), SAMPLING.points, SAMPLING.areas, 8)
    keep = np.zeros((81, 1))
    keep[degree**2 : (degree + 1) ** 2] = 1
    return synthesize(keep * coefficients, SAMPLING.points)


def test_same_seed_gives_the_same_measurement_and_another_seed_another():
    first, again, other = (measure_equivariance(np.tanh, SAMPLING, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_more_confidence_is_a_wider_interval_around_the_error():
    low, high = (measure_equivariance(np.tanh, SAMPLING, confidence=level) for level in (0.5, 0.99))
    assert high.interval[0] < low.interval[0] < low.error < low.interval[1] < high.interval[1]


def test_error_is_the_root_mean_square_of_the_errors_of_the_rotations():
    measured = measure_equivariance(np.tanh, SAMPLING, num_rotations=5)
    assert measured.num_rotations == 5
    assert measured.error == pytest.approx(np.sqrt(np.mean(np.square(measured.per_rotation))))


def test_bootstrap_interval_of_independent_rotations_is_that_of_the_normal_law():
    """Of many rotations, the mean is normal: its standard error is known."""
    differences = np.random.default_rng(0).uniform(0, 1, (2000, 1))
    low, high = bootstrap_interval(differences, np.ones(1), confidence=0.95, seed=0)
    half = 1.96 * np.sqrt(1 / 12 / 2000)
    assert low**2 == pytest.approx(differences.mean() - half, abs=0.1 * half)
    assert high**2 == pytest.approx(differences.mean() + half, abs=0.1 * half)


def test_layers_are_measured_when_asked_and_the_last_is_the_output():
    graph = build_graph(SAMPLING, num_neighbors=8, weights="gaussian")
    model = nn.Sequential(
        ChebConv(graph, in_channels=2, out_channels=3, kernel_size=3), nn.ReLU()
    ).double()
    measured = measure_equivariance(model, SAMPLING, per_layer=True)
    assert [layer.kind for layer in measured.layers] == ["ChebConv", "ReLU"]
    assert measured.layers[-1].error == pytest.approx(measured.error, rel=1e-9)
    assert measured.layers[0].error < measured.error


def test_text_says_the_error_its_interval_and_what_the_fit_misses():
    dense = str(measure_equivariance(nn.ReLU(), SAMPLING, per_layer=True))
    assert "rotation error 0.1" in dense
    assert "95 % interval" in dense
    assert "harmonic fit to degree 16 misses 0.0" in dense
    assert "(ReLU)" in dense
    invariant = str(measure_equivariance(lambda signals: signals.mean(axis=1), SAMPLING))
    assert "invariant: 1 features" in invariant


def test_outputs_may_be_said_to_be_dense_or_invariant():
    def squeezed(signals):
        return signals[..., 0]

    with pytest.raises(ValueError, match="768 features or one channel on as many vertices"):
        measure_equivariance(squeezed, SAMPLING)
    assert measure_equivariance(squeezed, SAMPLING, output="dense").error < 1e-10
    flat = measure_equivariance(squeezed, SAMPLING, output="invariant", inputs=3, confidence=SURE)
    assert flat.invariant
    assert agrees(flat, np.sqrt(2))


def test_as_many_features_as_a_coarse_level_has_vertices_are_features():
    measured = measure_equivariance(nn.Sequential(Flat(), nn.Linear(1, 12)), SAMPLING)
    assert measured.invariant
    assert measured.num_channels == 12


class Flat(nn.Module):
    """The mean over the vertices."""

    def forward(self, signals: Tensor) -> Tensor:
        return signals.mean(dim=1)


def test_assertion_passes_and_returns_the_measurement():
    measured = assert_equivariant(np.tanh, SAMPLING, tolerance=0.2, num_signals=2)
    assert 0 < measured.error < 0.2
    assert measured.num_signals == 2


class Tilt(nn.Module):
    """Multiplies by a function of the height."""

    def forward(self, signals: Tensor) -> Tensor:
        return signals * torch.tensor(1 + SAMPLING.points[:, 2:], dtype=signals.dtype)


def test_assertion_says_the_error_the_tolerance_and_the_layer_to_blame():
    model = nn.Sequential(nn.Linear(1, 4), Tilt(), nn.Linear(4, 2))
    with pytest.raises(AssertionError) as failed:
        assert_equivariant(model, SAMPLING, tolerance=0.01, num_rotations=4)
    message = str(failed.value)
    assert message.startswith("the rotation error must be at most 0.01")
    assert "95 % interval" in message
    assert "most of it by 1 (Tilt)" in message
    assert "finer resolution at the activation" in message


def test_assertion_says_when_samples_or_the_fit_cannot_tell():
    error = measure_equivariance(nn.ReLU(), SAMPLING).error
    with pytest.raises(AssertionError, match="more num_signals and num_rotations would tell"):
        assert_equivariant(nn.ReLU(), SAMPLING, tolerance=0.999 * error)
    with pytest.raises(AssertionError, match="harmonic fit of the outputs alone"):
        assert_equivariant(nn.ReLU(), SAMPLING, tolerance=0.01)


def test_negative_tolerance_is_rejected():
    with pytest.raises(ValueError, match="tolerance must not be negative, got -1"):
        assert_equivariant(np.tanh, SAMPLING, tolerance=-1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_signals": 0}, "num_signals must be an integer of at least 1, got 0"),
        ({"num_rotations": 0}, "num_rotations must be"),
        ({"num_channels": 0}, "num_channels must be"),
        ({"confidence": 1.0}, r"confidence must be between 0 and 1, got 1\.0"),
        ({"relative_to": "norm"}, "relative_to must be one of size, spread, got 'norm'"),
        ({"output": "flat"}, "output must be one of dense, invariant, got 'flat'"),
        ({"inputs": (4, 2)}, r"in order, got \(4, 2\)"),
        ({"inputs": -1}, "not negative"),
        ({"inputs": np.zeros(3)}, "spectrum C_l of nonnegative numbers, not all zero"),
        ({"inputs": lambda points: points}, r"\(signals, 768 points, channels\)"),
        ({"max_degree": 28}, "between 0 and 26 on 768 vertices, got 28"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_options_out_of_range_are_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        measure_equivariance(np.tanh, SAMPLING, **options)


@pytest.mark.usefixtures("unchecked")
def test_inputs_of_no_known_kind_are_rejected():
    with pytest.raises(TypeError, match="inputs must be a degree, a pair of degrees"):
        measure_equivariance(np.tanh, SAMPLING, inputs="red")


def test_part_of_the_sphere_is_rejected():
    cap = Subset(SAMPLING, SAMPLING.points[:, 2] > 0)
    with pytest.raises(ValueError, match=r"sampling must cover the sphere, got .* of 4.% of it"):
        measure_equivariance(np.tanh, cap)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        ("tanh", TypeError, "function must be a torch module, .*, got a value of str"),
        (np.eye(12), ValueError, "one column for each of the 768 vertices"),
        (
            lambda signals: (signals, signals),
            TypeError,
            "must return one array or tensor, got tuple",
        ),
        (lambda signals: signals * np.nan, ValueError, "outputs must be finite"),
        (lambda signals: signals[:, :100], ValueError, r"got \(8, 100, 1\)"),
        (lambda signals: signals.sum(), TypeError, "must return one array"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_maps_that_cannot_be_measured_are_rejected(function, error, message):
    with pytest.raises(error, match=message):
        measure_equivariance(function, SAMPLING)


def test_layers_of_a_function_cannot_be_measured():
    with pytest.raises(TypeError, match="must be a torch module to be measured per layer"):
        measure_equivariance(np.tanh, SAMPLING, per_layer=True)


def test_layer_errors_are_those_of_the_function_that_lists_them():
    def heights(points):
        return points[None, :, 2:]

    model = nn.Sequential(nn.Linear(1, 2), Tilt()).double()
    measured = measure_equivariance(
        model, SAMPLING, inputs=heights, per_layer=True, num_rotations=3
    )
    direct = layer_rotation_errors(
        model,
        lambda R: torch.tensor(heights(SAMPLING.points if R is None else SAMPLING.points @ R)),
        samplings=[SAMPLING],
        rotations=random_rotations(3, seed=np.random.default_rng([0, 1])),
    )
    assert list(measured.layers) == direct
