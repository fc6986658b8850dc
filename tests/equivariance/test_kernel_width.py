"""The best width of Gaussian weights, against the error computed naively."""

import numpy as np
import pytest
from scipy.special import eval_legendre

from deepsphere.equivariance import kernel_width, tune_kernel_width
from deepsphere.graph.neighbors import neighbor_distances
from deepsphere.sampling import Fibonacci, GaussLegendre, Healpix, RandomUniform, Subset


def naive_cost(sampling, num_neighbors, width, objective, max_degree):
    """The objective with dense Legendre polynomials, nothing subtracted."""
    distances = neighbor_distances(sampling, num_neighbors=num_neighbors).toarray()
    weights = np.where(distances > 0, np.exp(-(distances**2) / (4 * width)), 0)
    laplacian = np.diag(weights.sum(axis=1)) - weights
    cosines = np.clip(sampling.points @ sampling.points.T, -1, 1)
    q = sampling.areas / sampling.areas.sum()
    degree = np.arange(1, max_degree + 1)
    symbol, gain = np.zeros(max_degree), np.zeros(max_degree)
    for index in range(max_degree):
        harmonic = eval_legendre(degree[index], cosines)
        symbol[index] = q @ (laplacian * harmonic).sum(axis=1)
        gain[index] = q @ (laplacian @ harmonic * laplacian).sum(axis=1)
    if objective == "log":
        return np.log(1 - symbol**2 / gain).mean()
    power = (2 * degree + 1) * degree ** {"red": -3.0, "white": 0.0}[objective]
    return power @ (gain - symbol**2) / (power @ gain)


@pytest.mark.parametrize("objective", ["log", "red", "white"])
@pytest.mark.parametrize(
    "sampling",
    [Healpix(nside=4), RandomUniform(150, seed=0), GaussLegendre(nlat=9)],
    ids=lambda sampling: sampling.kind,
)
def test_width_minimizes_the_objective(sampling, objective):
    best = tune_kernel_width(sampling, 8, objective=objective, max_degree=8)
    costs = [
        naive_cost(sampling, 8, factor * best, objective, 8)
        for factor in (0.25, 0.7, 0.96, 1, 1.04, 1.4, 4)
    ]
    assert np.argmin(costs) == 3


@pytest.mark.parametrize(
    ("nside", "num_neighbors", "measured"), [(8, 20, 5.37), (16, 8, 2.85), (16, 12, 3.32)]
)
def test_widths_on_healpix_are_those_measured_before(nside, num_neighbors, measured):
    sampling = Healpix(nside=nside)
    width = tune_kernel_width(sampling, num_neighbors)
    assert sampling.num_vertices * width == pytest.approx(measured, rel=0.01)


def test_high_degrees_ask_for_larger_widths():
    """A Laplacian amplifies high degrees, so the sums are governed by them even if C_l is red."""
    sampling = Healpix(nside=16)
    low = tune_kernel_width(sampling, 8, max_degree=10)
    widths = [tune_kernel_width(sampling, 8, objective=name) for name in ("log", "red", "white")]
    assert [low, *widths] == sorted([low, *widths])


def test_width_of_a_part_is_that_of_the_whole_sphere():
    whole = Healpix(nside=4)
    cap = Subset(whole, whole.points[:, 2] > 0)
    assert tune_kernel_width(cap, 8) == tune_kernel_width(whole, 8)


def test_symmetry_of_the_sampling_does_not_change_the_width(monkeypatch):
    sampling = Healpix(nside=4)
    fast = tune_kernel_width(sampling, 8)
    identity = np.arange(sampling.num_vertices)[None]
    monkeypatch.setattr(kernel_width, "vertex_permutations", lambda sampling: identity)
    assert tune_kernel_width(sampling, 8) == pytest.approx(fast, rel=1e-3)


def test_sample_of_the_vertices_gives_nearly_the_same_width(monkeypatch):
    sampling = Fibonacci(2000)
    full = tune_kernel_width(sampling, 8)
    monkeypatch.setattr(kernel_width, "_MOST_ROWS", 500)
    sampled = tune_kernel_width(sampling, 8)
    assert sampled != full
    assert sampled == pytest.approx(full, rel=0.03)
    assert sampled == tune_kernel_width(sampling, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objective": "pink"}, "objective must be one of log, red, white, got 'pink'"),
        ({"max_degree": 0}, "max_degree must be at least 1, got 0"),
        ({"num_neighbors": 12}, r"smaller than the number of vertices \(12\), got 12"),
        ({"num_neighbors": 0}, "num_neighbors must be at least 1"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_arguments_out_of_range_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        tune_kernel_width(Healpix(nside=1), **({"num_neighbors": 8} | arguments))
