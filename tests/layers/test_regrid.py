"""Regridding as a layer."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from deepsphere.graph.transfer import TRANSFERS, transfer_matrix
from deepsphere.layers.regrid import Regrid
from deepsphere.sampling import Equiangular, Fibonacci, Healpix

SOURCE, TARGET = Equiangular(4, 6), Healpix(1)


@pytest.mark.parametrize("method", TRANSFERS)
def test_layer_is_the_matrix_and_its_gradient_the_transpose(method):
    layer = Regrid(SOURCE, TARGET, method=method).double()
    x = torch.randn(2, 24, 3, dtype=torch.float64, requires_grad=True)
    matrix = torch.tensor(transfer_matrix(SOURCE, TARGET, method).toarray())
    y = layer(x)
    torch.testing.assert_close(y, torch.einsum("ts,bsc->btc", matrix, x))
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, matrix.sum(0)[None, :, None].expand(2, -1, 3))
    assert gradcheck(layer, x)


def test_layer_keeps_the_integral_and_has_no_state():
    layer = Regrid(SOURCE, Fibonacci(30)).double()
    x = torch.randn(24, 1, dtype=torch.float64)
    before = torch.tensor(SOURCE.areas) @ x
    torch.testing.assert_close(torch.tensor(Fibonacci(30).areas) @ layer(x), before)
    assert layer.state_dict() == {}
    assert "Equiangular" in repr(layer)
    assert "conservative" in repr(layer)


def test_target_that_is_not_reached_is_rejected():
    part = SOURCE.subset(np.arange(6))
    with pytest.raises(ValueError, match=r"source must reach every vertex of the target, got Subs"):
        Regrid(part, TARGET)
    reached = np.diff(transfer_matrix(part, TARGET, "conservative").indptr) > 0
    assert Regrid(part, TARGET.subset(reached))(torch.ones(6, 1)).shape == (int(reached.sum()), 1)
