"""The CSR filter against the plain definition and a dense matrix polynomial."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse
import torch

from deepsphere import ops
from deepsphere.ops import csr

# float64 sums of at most a few hundred terms of size one
TOLERANCE = 1e-11


def random_operator(num_vertices: int, *, symmetric: bool, dtype=torch.float64):
    """A sparse operator with spectral radius below one, and its dense matrix."""
    random = np.random.default_rng(0)
    matrix = scipy.sparse.random_array(
        (num_vertices, num_vertices),
        density=0.2 if num_vertices < 50 else 0.1,
        rng=random,
        format="csr",
    )
    if symmetric:
        matrix = matrix + matrix.T
    matrix = matrix / np.abs(matrix).sum(axis=1).max()
    operator = ops.sparse_operator(matrix, symmetric=symmetric, dtype=dtype)
    return operator, torch.as_tensor(matrix.toarray())


def dense_filter(signal, weight, matrix):
    """Explicit polynomials T_k as dense matrices, by their closed form in powers."""
    out = 0
    for order in range(weight.shape[0]):
        polynomial = torch.zeros_like(matrix)
        for power, coefficient in enumerate(np.polynomial.chebyshev.cheb2poly([0] * order + [1])):
            polynomial += coefficient * torch.linalg.matrix_power(matrix, power)
        out = out + polynomial @ signal @ weight[order]
    return out


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 7])
@pytest.mark.parametrize(
    ("batch", "in_channels", "out_channels"),
    [(1, 3, 5), (4, 1, 8), (2, 7, 2), (3, 5, 5), (5, 9, 1)],
)
@pytest.mark.parametrize("layout", ["side by side", "one by one", "in blocks"])
def test_csr_filter_equals_dense_polynomial_in_value_and_gradient(
    symmetric, kernel_size, batch, in_channels, out_channels, layout, monkeypatch
):
    num_vertices = 40 if layout == "side by side" else 300
    if layout != "side by side":
        monkeypatch.setattr(csr, "_WIDE_ELEMENTS", 0)
    if layout == "in blocks":
        monkeypatch.setattr(csr, "_BLOCK_ELEMENTS", 256)
    operator, matrix = random_operator(num_vertices, symmetric=symmetric)
    random = torch.Generator().manual_seed(1)
    shape = (batch, num_vertices, in_channels)
    signal = torch.randn(shape, dtype=torch.float64, generator=random, requires_grad=True)
    weight = torch.randn(
        (kernel_size, in_channels, out_channels),
        dtype=torch.float64,
        generator=random,
        requires_grad=True,
    )
    before = signal.detach().clone()
    value = ops.chebyshev_filter(signal, weight, operator, backend="csr")
    expected = dense_filter(signal, weight, matrix)
    cotangent = torch.randn(value.shape, dtype=torch.float64, generator=random)
    for inputs in [(signal, weight), (signal,), (weight,)]:
        gradients = torch.autograd.grad(value, inputs, cotangent, retain_graph=True)
        references = torch.autograd.grad(expected, inputs, cotangent, retain_graph=True)
        for gradient, reference in zip(gradients, references, strict=True):
            torch.testing.assert_close(gradient, reference, rtol=TOLERANCE, atol=1e-9)
    torch.testing.assert_close(value, expected, rtol=TOLERANCE, atol=TOLERANCE)
    assert torch.equal(signal, before), "the filter must not modify its input"


@pytest.mark.parametrize("symmetric", [True, False])
def test_reference_filter_equals_dense_polynomial(symmetric):
    operator, matrix = random_operator(30, symmetric=symmetric)
    signal, weight = torch.randn(2, 30, 3).double(), torch.randn(4, 3, 2).double()
    value = ops.chebyshev_filter(signal, weight, operator, backend="reference")
    torch.testing.assert_close(
        value, dense_filter(signal, weight, matrix), rtol=TOLERANCE, atol=TOLERANCE
    )


@pytest.mark.parametrize(("in_channels", "out_channels"), [(2, 3), (2, 4), (3, 1)])
@pytest.mark.parametrize("symmetric", [True, False])
def test_gradients_of_first_and_second_order(in_channels, out_channels, symmetric):
    operator, _ = random_operator(7, symmetric=symmetric)
    random = torch.Generator().manual_seed(2)
    signal = torch.randn(
        2, 7, in_channels, dtype=torch.float64, generator=random, requires_grad=True
    )
    weight = torch.randn(
        3, in_channels, out_channels, dtype=torch.float64, generator=random, requires_grad=True
    )

    def apply(signal, weight):
        return ops.chebyshev_filter(signal, weight, operator, backend="csr")

    assert torch.autograd.gradcheck(apply, (signal, weight))
    assert torch.autograd.gradgradcheck(apply, (signal, weight))


def test_float32_agrees_with_float64():
    operator, _ = random_operator(200, symmetric=True, dtype=torch.float32)
    exact, _ = random_operator(200, symmetric=True)
    signal, weight = torch.randn(3, 200, 4), torch.randn(5, 4, 6)
    value = ops.chebyshev_filter(signal, weight, operator)
    expected = ops.chebyshev_filter(signal.double(), weight.double(), exact)
    assert (value - expected).norm() / expected.norm() < 1e-6


@pytest.mark.parametrize("shape", [(0, 20, 3), (2, 20, 0)])
def test_empty_signal_gives_zeros_and_zero_gradients(shape):
    operator, _ = random_operator(20, symmetric=True)
    signal = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    weight = torch.ones(3, shape[2], 2, dtype=torch.float64, requires_grad=True)
    value = ops.chebyshev_filter(signal, weight, operator)
    value.sum().backward()
    assert value.shape == (shape[0], 20, 2)
    assert not value.any()
    assert weight.grad is not None
    assert not weight.grad.any()


def test_non_contiguous_signal_and_gradient():
    operator, matrix = random_operator(25, symmetric=True)
    signal = torch.randn(3, 25, 4).double().transpose(0, 2).contiguous().transpose(0, 2)
    weight = torch.randn(2, 4, 3, 3).double()[..., 0]
    value = ops.chebyshev_filter(signal, weight, operator)
    expected = dense_filter(signal, weight, matrix)
    torch.testing.assert_close(value, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_nothing_but_input_weight_and_operator_is_kept():
    operator, _ = random_operator(30, symmetric=True)
    signal = torch.randn(1, 30, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(6, 4, 4, dtype=torch.float64, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        ops.chebyshev_filter(signal, weight, operator)
    known = {t.data_ptr() for t in (signal, weight, *operator.arrays())}
    assert kept
    assert {t.data_ptr() for t in kept} <= known


@pytest.mark.usefixtures("unchecked")
def test_registered_operators_pass_opcheck_and_compile():
    operator, _ = random_operator(20, symmetric=False)
    signal = torch.randn(2, 20, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 3, 2, dtype=torch.float64, requires_grad=True)
    registered = torch.ops.deepsphere
    for backend in ("auto", "csr"):
        rest = (*operator.arrays(), backend)
        torch.library.opcheck(registered.chebyshev_filter.default, (signal, weight, *rest))
        grad = torch.randn(2, 20, 2, dtype=torch.float64, requires_grad=True)
        torch.library.opcheck(
            registered.chebyshev_weight_gradient.default, (grad, signal, 3, *rest)
        )
        torch.library.opcheck(
            registered.chebyshev_gradients.default,
            (grad.detach(), signal.detach(), weight.detach(), *rest),
        )
    compiled = torch.compile(
        lambda x, w: ops.chebyshev_filter(x, w, operator), fullgraph=True, backend="aot_eager"
    )
    torch.testing.assert_close(
        compiled(signal, weight), ops.chebyshev_filter(signal, weight, operator)
    )


@pytest.mark.usefixtures("unchecked")
def test_unknown_backend_is_rejected_with_the_choices():
    operator, _ = random_operator(5, symmetric=True)
    signal, weight = torch.zeros(1, 5, 1).double(), torch.zeros(1, 1, 1).double()
    with pytest.raises(ValueError, match=r"one of auto, cpp, csr, reference, triton, got 'cuda'"):
        ops.choose_backend(signal, weight, operator.arrays(), "cuda")


def test_half_precision_falls_back_to_the_reference():
    operator, _ = random_operator(5, symmetric=True, dtype=torch.bfloat16)
    signal, weight = torch.zeros(1, 5, 1).bfloat16(), torch.zeros(1, 1, 1).bfloat16()
    name, reason = ops.choose_backend(signal, weight, operator.arrays())
    assert name == "reference"
    assert "bfloat16" in reason
    assert ops.chebyshev_filter(signal, weight, operator).dtype == torch.bfloat16


def test_rectangular_matrix_is_rejected():
    with pytest.raises(ValueError, match=r"must be square, got shape \(2, 3\)"):
        ops.sparse_operator(scipy.sparse.csr_array((2, 3)), symmetric=False)


@pytest.mark.parametrize("num_terms", [1, 2, 5, 9])
def test_bases_written_in_chebyshev_polynomials(num_terms):
    from math import comb

    from deepsphere.ops import polynomials

    points = np.linspace(-1, 1, 23)
    chebyshev = np.polynomial.chebyshev.chebvander(points, num_terms - 1)
    monomials = points[:, None] ** np.arange(num_terms)
    share = (1 + points[:, None]) / 2
    order = num_terms - 1
    bernstein = np.stack(
        [
            comb(order, j) * share[:, 0] ** j * (1 - share[:, 0]) ** (order - j)
            for j in range(num_terms)
        ],
        axis=1,
    )
    np.testing.assert_allclose(
        chebyshev @ polynomials.monomials_in_chebyshev(num_terms), monomials, atol=1e-12
    )
    np.testing.assert_allclose(
        chebyshev @ polynomials.bernstein_in_chebyshev(num_terms), bernstein, atol=1e-12
    )


def test_scratch_is_kept_small_and_apart_for_every_thread():
    operator, _ = random_operator(300, symmetric=True)
    signals = [torch.randn(2, 300, 3).double() for _ in range(8)]
    weight = torch.randn(5, 3, 3).double()

    def apply(signal):
        return ops.chebyshev_filter(signal, weight, operator, backend="csr")

    alone = [apply(signal) for signal in signals]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(apply, signals * 10))
    for value, expected in zip(together, alone * 10, strict=True):
        assert torch.equal(value, expected)
    large = csr._scratch(2, torch.empty(csr._KEPT_BYTES // 8, 1, dtype=torch.float64))
    assert large.shape[0] == 2
    assert csr._KEPT.memory.numel() <= csr._KEPT_BYTES
