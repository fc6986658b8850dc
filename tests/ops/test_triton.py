"""The Triton filter against a dense matrix polynomial, on a GPU or else by Triton's interpreter."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepsphere import ops
from deepsphere.ops import triton

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Triton is made for Linux")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# norms of errors, relative: sums of a few hundred terms, and of three products in TF32 for one
TOLERANCES = {
    torch.float64: 1e-13,
    torch.float32: 2e-6,
    # each of up to six orders is rounded to storage, at 2^-9 and 2^-11
    torch.bfloat16: 2e-2,
    torch.float16: 5e-3,
}


def random_matrix(num_vertices, *, symmetric, seed=0):
    """A sparse matrix of norm at most one; the first rows are empty, the last one is full."""
    random = np.random.default_rng(seed)
    matrix = scipy.sparse.random_array((num_vertices, num_vertices), density=0.2, rng=random)
    matrix = matrix.toarray()
    matrix[: num_vertices // 5] = 0
    matrix[-1] = random.standard_normal(num_vertices)
    if symmetric:
        matrix = matrix + matrix.T
    return matrix / max(np.abs(matrix).sum(axis=1).max(), 1)


def operator_of(matrix, *, symmetric, dtype):
    """The operator in the precision of a signal, float32 for storage of 16 bits."""
    values = torch.promote_types(dtype, torch.float32)
    rows = scipy.sparse.csr_array(matrix)
    return ops.sparse_operator(rows, symmetric=symmetric, dtype=values, device=DEVICE)


def dense_filter(signal, weight, matrix):
    """Explicit polynomials T_k as dense matrices, by their closed form in powers."""
    out = 0
    for order in range(weight.shape[0]):
        polynomial = torch.zeros_like(matrix)
        for power, coefficient in enumerate(np.polynomial.chebyshev.cheb2poly([0] * order + [1])):
            polynomial += coefficient * torch.linalg.matrix_power(matrix, power)
        out = out + polynomial @ signal @ weight[order]
    return out


def randn(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator).to(DEVICE, dtype)


def assert_close(value, expected, tolerance, factors):
    """Relative to the result, or to its terms where they cancel in a result of a few numbers."""
    assert value.shape == expected.shape
    assert value.is_contiguous()
    terms = 0.05 * factors[0].double().norm() * factors[1].double().norm()
    error, size = (value.double() - expected).norm(), torch.maximum(expected.norm(), terms)
    assert error <= tolerance * size, (error / size).item()


def assert_equals_dense_polynomial(signal, weight, grad, matrix, *, symmetric):
    """All three functions, in value and gradient, from what a dense polynomial in float64 gives."""
    arrays = operator_of(matrix, symmetric=symmetric, dtype=signal.dtype).arrays()
    assert triton.why_not(signal, weight, arrays) is None
    before = [tensor.clone() for tensor in (signal, weight, grad)]
    value = triton.filter_signal(signal, weight, arrays)
    gradients = triton.signal_and_weight_gradients(grad, signal, weight, arrays)
    weight_gradient = triton.weight_gradient(grad, signal, weight.shape[0], arrays)
    for tensor, kept in zip((signal, weight, grad), before, strict=True):
        assert torch.equal(tensor, kept), "the filter must not modify its input"
    exact = [tensor.double().requires_grad_() for tensor in before[:2]]
    expected = dense_filter(*exact, torch.as_tensor(matrix, device=DEVICE))
    references = torch.autograd.grad(expected, exact, grad.double())
    tolerance = TOLERANCES[signal.dtype]
    assert_close(value, expected, tolerance, (signal, weight))
    assert_close(weight_gradient, references[1], tolerance, (signal, grad))
    for gradient, reference, other in zip(gradients, references, (weight, signal), strict=True):
        assert_close(gradient, reference, tolerance, (grad, other))
    assert {tensor.dtype for tensor in (value, *gradients, weight_gradient)} == {signal.dtype}


SHAPES = given(
    batch=st.sampled_from([0, 1, 3]),
    num_vertices=st.sampled_from([1, 7, 36]),
    in_channels=st.sampled_from([1, 3, 16, 33]),
    out_channels=st.sampled_from([1, 3, 16, 33]),
    kernel_size=st.integers(1, 6),
    symmetric=st.booleans(),
    dtype=st.sampled_from(list(TOLERANCES)),
    seed=st.integers(0, 9),
)


def assert_random_filter_equals_dense_polynomial(
    batch, num_vertices, in_channels, out_channels, kernel_size, symmetric, dtype, seed
):
    assert_equals_dense_polynomial(
        randn(batch, num_vertices, in_channels, dtype=dtype),
        randn(kernel_size, in_channels, out_channels, dtype=dtype, seed=1),
        randn(batch, num_vertices, out_channels, dtype=dtype, seed=2),
        random_matrix(num_vertices, symmetric=symmetric, seed=seed),
        symmetric=symmetric,
    )


@pytest.mark.parametrize(
    ("batch", "num_vertices", "in_channels", "out_channels", "kernel_size", "dtype"),
    [
        (3, 1, 16, 16, 4, torch.float32),
        (1, 36, 33, 33, 6, torch.float32),
        (1, 36, 64, 64, 3, torch.bfloat16),
        (2, 36, 16, 3, 5, torch.float16),
        (3, 36, 1, 33, 3, torch.float64),
    ],
)
def test_filter_of_every_form_equals_dense_polynomial(
    batch, num_vertices, in_channels, out_channels, kernel_size, dtype
):
    assert_random_filter_equals_dense_polynomial(
        batch, num_vertices, in_channels, out_channels, kernel_size, False, dtype, 0
    )


@settings(max_examples=6, deadline=None)
@SHAPES
def test_filter_equals_dense_polynomial_in_value_and_gradient(**shape):
    assert_random_filter_equals_dense_polynomial(**shape)


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@SHAPES
def test_filter_equals_dense_polynomial_for_many_shapes(**shape):
    assert_random_filter_equals_dense_polynomial(**shape)


@pytest.mark.parametrize(("in_channels", "out_channels"), [(16, 20), (4, 5), (20, 4)])
def test_non_contiguous_signal_weight_and_gradient(in_channels, out_channels):
    def turned(*shape, seed):
        return randn(*reversed(shape), dtype=torch.float32, seed=seed).permute(2, 1, 0)

    assert_equals_dense_polynomial(
        turned(2, 70, in_channels, seed=0),
        turned(3, in_channels, out_channels, seed=1),
        turned(2, 70, out_channels, seed=2),
        random_matrix(70, symmetric=False),
        symmetric=False,
    )


def test_items_of_a_single_vertex_at_any_stride():
    signal = randn(1, 5, 2).transpose(0, 1)
    assert signal.is_contiguous()
    assert signal.stride(1) != signal.shape[2]
    weight = randn(3, 2, 3)
    assert_equals_dense_polynomial(
        signal, weight, randn(5, 1, 3), np.array([[0.5]]), symmetric=True
    )


def test_batch_in_groups_and_products_in_parts(monkeypatch):
    monkeypatch.setattr(triton, "_BASIS_BYTES", 2 * 3 * 40 * 4 * 8)
    monkeypatch.setattr(triton, "_SUMMED_ROWS", 32)
    assert list(triton._groups(5, 3 * 40 * 4 * 8)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    for out_channels in (1, 3, 5):
        assert_equals_dense_polynomial(
            randn(5, 40, 4),
            randn(3, 4, out_channels),
            randn(5, 40, out_channels),
            random_matrix(40, symmetric=False),
            symmetric=False,
        )


@pytest.mark.parametrize("out_channels", [3, 16])
def test_indices_of_64_bits(out_channels):
    matrix = random_matrix(40, symmetric=False)
    arrays = operator_of(matrix, symmetric=False, dtype=torch.float32).arrays()
    wide = tuple(array if array.is_floating_point() else array.long() for array in arrays)
    signal = randn(2, 40, 16, dtype=torch.float32)
    weight = randn(4, 16, out_channels, dtype=torch.float32)
    assert torch.equal(
        triton.filter_signal(signal, weight, wide), triton.filter_signal(signal, weight, arrays)
    )


def test_signals_are_addressed_beyond_32_bits():
    """A vertex 2^31 values away; of the memory between, nothing is touched."""
    far = 2**31
    memory = torch.empty(far + 1, dtype=torch.float16, device=DEVICE)
    source = memory.as_strided((1, 2, 1), (2 * far, far, 1))
    source[0, :, 0] = torch.tensor([3.0, 5.0])
    swap = operator_of(np.array([[0, 1], [1, 0]]), symmetric=True, dtype=torch.float16)
    target = torch.empty(1, 2, 1, dtype=torch.float16, device=DEVICE)
    triton._step(swap.arrays()[:3], source, target, alpha=2)
    assert target.flatten().tolist() == [10, 6]


@pytest.mark.parametrize(("in_channels", "out_channels"), [(3, 4), (16, 16), (16, 1)])
def test_same_signal_gives_the_same_bits(in_channels, out_channels):
    matrix = random_matrix(70, symmetric=True)
    arrays = operator_of(matrix, symmetric=True, dtype=torch.float32).arrays()
    signal = randn(3, 70, in_channels, dtype=torch.float32)
    weight = randn(4, in_channels, out_channels, dtype=torch.float32)
    grad = randn(3, 70, out_channels, dtype=torch.float32)
    first, second = (triton.filter_signal(signal, weight, arrays) for _ in range(2))
    assert torch.equal(first, second)
    first, second = (
        triton.signal_and_weight_gradients(grad, signal, weight, arrays) for _ in range(2)
    )
    assert all(map(torch.equal, first, second))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"fp32_precision": "none"}, "tf32x3"),
        ({"fp32_precision": "ieee"}, "tf32x3"),
        ({"fp32_precision": "tf32"}, "tf32"),
        # before torch 2.9
        ({"allow_tf32": False}, "tf32x3"),
        ({"allow_tf32": True}, "tf32"),
    ],
)
def test_float32_is_multiplied_in_tf32_only_where_torch_may(settings, expected, monkeypatch):
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.backends.cuda, "matmul", SimpleNamespace(**settings))
    assert triton._dot_precision() == expected
    monkeypatch.setattr(torch.version, "hip", "6.2")
    assert triton._dot_precision() == "ieee"


def test_precision_of_float32_can_be_asked_of_this_torch():
    assert triton._dot_precision() in ("tf32x3", "tf32", "ieee")


def why_not(*, dtype=torch.float32, weight_dtype=torch.float32, device=DEVICE):
    arrays = operator_of(np.eye(5), symmetric=True, dtype=torch.float32).arrays()
    signal = torch.zeros(1, 5, 1, dtype=dtype, device=DEVICE)
    weight = torch.zeros(2, 1, 1, dtype=weight_dtype, device=device)
    return triton.why_not(signal, weight, arrays)


def test_why_not_says_that_triton_is_not_installed(monkeypatch):
    monkeypatch.setattr(triton, "_is_installed", lambda: False)
    assert why_not() == (
        "triton is not installed; pip install triton (torch's builds for CUDA bring it)"
    )


def test_why_not_says_that_a_signal_is_not_on_a_gpu(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    signal, weight = torch.zeros(1, 5, 1), torch.zeros(2, 1, 1)
    assert triton.why_not(signal, weight, ()) == (
        "signal must be on a GPU, got cpu; move layer and signal with .to('cuda')"
    )


def test_why_not_says_which_types_are_served():
    assert why_not(dtype=torch.int64) == (
        "signal must be float16, bfloat16, float32 or float64, got torch.int64; cast it"
    )
    assert why_not(weight_dtype=torch.bfloat16) == (
        "weight must have the type of the signal (torch.float32), got torch.bfloat16; cast one"
    )


def test_why_not_says_that_weight_or_operator_is_elsewhere():
    assert why_not(device="meta") == (
        f"weight and operator must be on {torch.zeros(1, device=DEVICE).device}, got meta; "
        "move the layer"
    )


def test_why_not_says_that_a_gpu_is_too_old():
    assert triton._why_not_capability((8, 0), torch.bfloat16) is None
    assert triton._why_not_capability((7, 5), torch.float16) is None
    assert triton._why_not_capability((7, 5), torch.bfloat16) == (
        "the GPU must have compute capability 8.0 for torch.bfloat16, got 7.5; use float16"
    )
    assert triton._why_not_capability((6, 1), torch.float32) == (
        'the GPU must have compute capability 7.0 for torch.float32, got 6.1; use backend="csr"'
    )


def run_python(*arguments, **environment):
    """What a Python process of its own prints, without Triton's interpreter."""
    inherited = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    answer = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True,
        text=True,
        env={**inherited, **environment},
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_triton_is_imported_by_the_first_kernel_and_not_missed_before():
    run_python(
        "-c",
        "import sys; import deepsphere.ops, deepsphere.ops.triton as backend\n"
        "assert 'triton' not in sys.modules\n"
        "sys.modules['triton'] = None  # as if it were not installed\n"
        "assert not backend._is_installed()",
    )


@pytest.mark.slow
def test_kernels_compile_for_gpus_without_one(tmp_path):
    """What the interpreter does not see: types and layouts. Every launch of some filters."""
    script = Path(__file__).with_name("compile_triton_kernels.py")
    printed = run_python(script, TRITON_CACHE_DIR=str(tmp_path))
    compiled = [line.split() for line in printed.splitlines()]
    assert {name for name, _ in compiled} == {"step", "mixing_step"}
    assert {capability for _, capability in compiled} == {"80", "90"}
    assert len(compiled) >= 20


@pytest.mark.skipif(DEVICE == "cpu", reason="streams need a GPU")
def test_kernels_run_on_the_current_stream():
    matrix = random_matrix(300, symmetric=True)
    arrays = operator_of(matrix, symmetric=True, dtype=torch.float32).arrays()
    signal, weight = randn(4, 300, 16).float(), randn(5, 16, 32).float()
    expected = triton.filter_signal(signal, weight, arrays)
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(10**8)
        late = signal * 2
        value = triton.filter_signal(late, weight, arrays)
    stream.synchronize()
    assert_close(value, 2 * expected.double(), TOLERANCES[torch.float32], (value, value))
