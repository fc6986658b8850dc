"""The graph convolutions against dense polynomials of the Laplacian, and their laws."""

import copy
import re
from math import comb

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy.sparse import csr_matrix

from deepsphere.geometry import angular_distance
from deepsphere.graph import GraphOptions, SphereGraph, build_graph, chebyshev_norms
from deepsphere.layers import BernsteinConv, ChebConv, LaplacianOperator, MonomialConv
from deepsphere.sampling import Equiangular, Fibonacci, Healpix, RandomUniform

GRAPHS = {
    "symmetric": build_graph(Healpix(nside=2), num_neighbors=8),
    "not symmetric": build_graph(RandomUniform(60, seed=0), weights="cotangent", mass="voronoi"),
    "random walk": build_graph(
        Equiangular(nlat=6), num_neighbors=6, weights="gaussian", laplacian="random_walk"
    ),
}


def basis_functions(name: str, kernel_size: int, share: np.ndarray) -> list[np.ndarray]:
    """The basis polynomials as functions of eigenvalue / lambda_max, by their closed forms."""
    order, scaled = kernel_size - 1, 2 * share - 1
    if name == "chebyshev":
        # cosh continues the cosine where rounding leaves [-1, 1]
        return [np.cos(k * np.arccos(np.clip(scaled, -1, 1))) for k in range(kernel_size)]
    if name == "monomial":
        return [scaled**k for k in range(kernel_size)]
    return [comb(order, k) * share**k * (1 - share) ** (order - k) for k in range(kernel_size)]


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS.keys())
@pytest.mark.parametrize("kernel_size", [1, 2, 5])
@pytest.mark.parametrize(
    ("layer", "basis"),
    [(ChebConv, "chebyshev"), (MonomialConv, "monomial"), (BernsteinConv, "bernstein")],
)
def test_conv_multiplies_the_spectrum(graph, kernel_size, layer, basis):
    conv = layer(graph, in_channels=2, out_channels=3, kernel_size=kernel_size).double()
    signal = torch.randn(4, graph.num_vertices, 2, dtype=torch.float64)
    eigenvalues, vectors = scipy.linalg.eig(graph.laplacian.toarray())
    inverse = np.linalg.inv(vectors)
    expected = np.zeros((4, graph.num_vertices, 3))
    for k, response in enumerate(
        basis_functions(basis, kernel_size, eigenvalues.real / graph.lambda_max)
    ):
        matrix = (vectors @ np.diag(response) @ inverse).real
        expected += matrix @ signal.numpy() @ conv.weight[k].detach().numpy()
    expected += conv.bias.detach().numpy()
    np.testing.assert_allclose(conv(signal).detach().numpy(), expected, atol=1e-8)


@pytest.mark.parametrize("layer", [ChebConv, MonomialConv, BernsteinConv])
def test_gradients(layer):
    graph = build_graph(RandomUniform(12, seed=0), weights="cotangent", mass="voronoi")
    conv = layer(graph, in_channels=2, out_channels=2, kernel_size=3).double()
    signal = torch.randn(2, 12, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(conv, (signal,))

    def by_weight(weight, bias):
        return torch.func.functional_call(conv, {"weight": weight, "bias": bias}, signal.detach())

    assert torch.autograd.gradcheck(by_weight, (conv.weight, conv.bias))


def test_filter_reaches_kernel_size_minus_one_hops():
    graph = build_graph(Healpix(nside=8), num_neighbors=8)
    conv = ChebConv(graph, in_channels=1, out_channels=1, kernel_size=3, bias=False)
    delta = torch.zeros(graph.num_vertices, 1)
    delta[100] = 1
    reached = torch.flatten(conv(delta).abs() > 1e-7).numpy()
    hops = abs(graph.adjacency) + abs(graph.laplacian)
    expected = (hops @ hops)[:, [100]].toarray()[:, 0] > 0
    assert np.array_equal(reached, expected)
    assert angular_distance(graph.sampling.points[reached], graph.sampling.points[100]).max() < 1


def test_any_number_of_batch_dimensions():
    conv = ChebConv(GRAPHS["symmetric"], in_channels=2, out_channels=3, kernel_size=3)
    signal = torch.randn(2, 5, 48, 2)
    together = conv(signal)
    assert together.shape == (2, 5, 48, 3)
    torch.testing.assert_close(together[1, 3], conv(signal[1, 3]), atol=1e-5, rtol=1e-5)
    assert conv(signal[:0]).shape == (0, 5, 48, 3)


def test_operator_is_shared_and_not_saved():
    operator = LaplacianOperator(GRAPHS["symmetric"])
    first = ChebConv(operator, in_channels=1, out_channels=1, kernel_size=2)
    second = ChebConv(operator, in_channels=1, out_channels=1, kernel_size=2)
    network = torch.nn.Sequential(first, second)
    assert first.operator is second.operator
    assert set(network.state_dict()) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    assert copy.deepcopy(network)(torch.zeros(48, 1)).shape == (48, 1)


def test_change_of_type_starts_from_double_precision():
    graph = GRAPHS["not symmetric"]
    operator = LaplacianOperator(graph).half().double()
    exact = graph.rescaled_laplacian()
    assert np.array_equal(operator.values.numpy(), exact.tocsr().data)
    assert operator.arrays().values_t.dtype == torch.float64


def test_autocast_computes_in_the_type_of_the_operator():
    conv = ChebConv(GRAPHS["symmetric"], in_channels=2, out_channels=2, kernel_size=3)
    signal = torch.randn(1, 48, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(conv(signal), conv.float()(signal))


def test_initial_variance_is_that_of_the_docstring():
    graph = GRAPHS["symmetric"]
    conv = ChebConv(graph, in_channels=50, out_channels=100, kernel_size=4)
    assert conv.weight.std().item() == pytest.approx((2 / (50 * 4.5)) ** 0.5, rel=0.03)
    assert conv.bias is not None
    assert not conv.bias.any()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("shape", [(47, 2), (2, 48), (3, 48, 1), (48,)])
def test_wrong_shape_is_named(shape):
    conv = ChebConv(GRAPHS["symmetric"], in_channels=2, out_channels=1, kernel_size=1)
    with pytest.raises(ValueError, match=r"48 vertices, 2 channels\), got"):
        conv(torch.zeros(shape))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("signal", "received"),
    [(np.zeros((48, 2)), "ndarray"), (torch.zeros(48, 2, dtype=torch.cfloat), "torch.complex64")],
)
def test_signal_that_is_no_real_tensor_is_rejected(signal, received):
    conv = ChebConv(GRAPHS["symmetric"], in_channels=2, out_channels=1, kernel_size=1)
    with pytest.raises(TypeError, match=f"torch tensor of real numbers, got {received}; torch"):
        conv(signal)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("value", [0, 2.5, "3", True])
@pytest.mark.parametrize("size", ["in_channels", "out_channels", "kernel_size"])
def test_sizes_that_are_no_counts_are_rejected(size, value):
    sizes = {"in_channels": 1, "out_channels": 1, "kernel_size": 1, size: value}
    message = rf"{size} must be an integer of at least 1, got {value!r}"
    with pytest.raises(ValueError, match=message):
        ChebConv(GRAPHS["symmetric"], **sizes)


@pytest.mark.usefixtures("unchecked")
def test_something_else_than_a_graph_is_rejected():
    with pytest.raises(TypeError, match="SphereGraph or a LaplacianOperator, got str"):
        ChebConv("healpix", in_channels=1, out_channels=1, kernel_size=1)  # pyright: ignore[reportArgumentType]


def directed_graph(skewness: float) -> SphereGraph:
    """A graph whose vertices look along a ring, in one direction more than in the other."""
    sampling = Fibonacci(40)
    ahead = np.roll(np.eye(40), 1, axis=1)
    adjacency = csr_matrix((1 + skewness) * ahead + (1 - skewness) * ahead.T)
    laplacian = csr_matrix(2 * np.eye(40) - adjacency)
    options = GraphOptions(None, "optimal_rows", None)
    return SphereGraph(sampling, adjacency, laplacian, options, None, None, False)


@pytest.mark.parametrize("layer", [ChebConv, MonomialConv, BernsteinConv])
def test_unstable_kernel_size_is_warned_of_with_its_norm(layer):
    graph = directed_graph(0.9)
    norm = chebyshev_norms(graph, 9)[8]
    assert norm > 20
    message = r"kernel_size=10 is unstable .* order 9 amplifies some signals (\d+) times, more .*"
    message += "weights='optimal_symmetric'"
    with pytest.warns(UserWarning, match=message) as record:
        layer(graph, in_channels=1, out_channels=1, kernel_size=10)
    found = re.search(message, str(record[0].message))
    assert float(found[1]) == pytest.approx(norm, rel=0.02)


def test_stable_graphs_and_low_orders_do_not_warn():
    # warnings are errors here
    ChebConv(directed_graph(0.9), in_channels=1, out_channels=1, kernel_size=9)
    ChebConv(directed_graph(0.0), in_channels=1, out_channels=1, kernel_size=30)
    ChebConv(GRAPHS["not symmetric"], in_channels=1, out_channels=1, kernel_size=30)


def test_conv_on_directed_graph_is_the_dense_polynomial_and_its_gradient_the_transpose():
    graph = build_graph(RandomUniform(60, seed=0), weights="optimal_rows")
    dense = graph.rescaled_laplacian().toarray()
    powers = [np.eye(60), dense, 2 * dense @ dense - np.eye(60)]
    conv = ChebConv(graph, in_channels=2, out_channels=3, kernel_size=3, bias=False).double()
    signal = torch.randn(
        60, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    out = conv(signal)
    weight, values = conv.weight.detach().numpy(), signal.detach().numpy()
    expected = sum(power @ values @ weight[k] for k, power in enumerate(powers))
    np.testing.assert_allclose(out.detach().numpy(), expected, atol=1e-10)
    direction = torch.randn_like(out)
    out.backward(direction)
    gradient = sum(power.T @ direction.numpy() @ weight[k].T for k, power in enumerate(powers))
    np.testing.assert_allclose(signal.grad.numpy(), gradient, atol=1e-10)
