"""The product with a sparse matrix: compiled and on torch's product, against a dense one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import random_array

from deepsphere.native import load_library
from deepsphere.ops import compressed_rows, product, sparse_product

needs_kernels = pytest.mark.skipif(load_library() is None, reason="no compiled kernels")

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-12}


def arrays_of(matrix, dtype):
    return (*compressed_rows(matrix, dtype=dtype), *compressed_rows(matrix.T, dtype=dtype))


@st.composite
def cases(draw):
    rows, columns = draw(st.integers(1, 30)), draw(st.integers(1, 30))
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    density = draw(st.sampled_from([0.0, 0.1, 0.6, 1.0]))
    matrix = random_array((rows, columns), density=density, rng=generator, format="csr")
    batch, channels = draw(st.integers(0, 5)), draw(st.integers(1, 70))
    return matrix, batch, channels, draw(st.sampled_from(list(TOLERANCES)))


@pytest.mark.parametrize("kernels", [pytest.param(True, marks=needs_kernels), False])
@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_product_and_its_gradient_are_the_dense_ones(kernels, case):
    matrix, batch, channels, dtype = case
    signal = torch.randn(batch, matrix.shape[1], channels, dtype=dtype, requires_grad=True)
    tolerance = {"rtol": TOLERANCES[dtype], "atol": TOLERANCES[dtype]}
    dense = torch.from_numpy(matrix.toarray()).to(dtype)
    with pytest.MonkeyPatch.context() as patch:
        if not kernels:
            patch.setattr(product, "_library", lambda: None)
        out = sparse_product(signal, arrays_of(matrix, dtype))
        torch.testing.assert_close(out, dense @ signal, **tolerance)
        assert out.is_contiguous()
        if batch:
            grad = torch.randn_like(out)
            (gradient,) = torch.autograd.grad(out, signal, grad)
            torch.testing.assert_close(gradient, dense.T @ grad, **tolerance)


@needs_kernels
def test_compiled_product_does_not_depend_on_the_number_of_threads(monkeypatch):
    matrix = random_array((3000, 5000), density=0.01, rng=np.random.default_rng(0), format="csr")
    signal, results = torch.randn(3, 5000, 21), []
    for threads in (1, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        results.append(sparse_product(signal, arrays_of(matrix, torch.float32)))
    assert all(torch.equal(result, results[0]) for result in results)


def test_wide_indices_are_served_too():
    matrix = random_array((7, 9), density=0.5, rng=np.random.default_rng(0), format="csr")
    arrays = [
        array.long() if not array.is_floating_point() else array
        for array in arrays_of(matrix, torch.float64)
    ]
    signal = torch.randn(2, 9, 3, dtype=torch.float64)
    expected = torch.from_numpy(matrix.toarray()) @ signal
    torch.testing.assert_close(sparse_product(signal, tuple(arrays)), expected)
