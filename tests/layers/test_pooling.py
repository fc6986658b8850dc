"""Pooling layers against loops over the children, and what they refuse."""

import copy

import jaxtyping
import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from torch.autograd import gradcheck, gradgradcheck

from deepsphere.graph.coarsening import build_pyramid
from deepsphere.graph.low_pass import gaussian_pooling_matrix, low_pass_pooling_matrix
from deepsphere.graph.pooling_matrices import mean_pooling_matrix
from deepsphere.layers.pooling import Pool, Unpool
from deepsphere.layers.resampling import Resample
from deepsphere.layers.smoothing import UpsampledNonlinearity
from deepsphere.ops import product
from deepsphere.sampling import Equiangular, Healpix, Icosahedral


@pytest.fixture(scope="module")
def healpix():
    return build_pyramid(Healpix(nside=4), num_levels=3, num_neighbors=8)


@pytest.fixture(scope="module")
def icosahedron():
    return build_pyramid(Icosahedral(subdivisions=4), num_levels=3, num_neighbors=6)


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def max_by_loop(x, membership):
    """The maximum over the nonzeros of each row."""
    rows = [membership[[row]].indices for row in range(membership.shape[0])]
    return torch.stack([x[..., children, :].amax(dim=-2) for children in rows], dim=-2)


@pytest.mark.parametrize(
    "sampling",
    [
        Healpix(nside=4),
        Healpix(nside=4, ordering="ring"),
        Icosahedral(subdivisions=4),
        Equiangular(nlat=8, nlon=16, poles=2),
        Healpix(nside=4).subset(np.arange(3, 90)),
    ],
    ids=repr,
)
def test_max_is_that_of_a_loop(sampling):
    pyramid = build_pyramid(sampling, num_levels=2, num_neighbors=8)
    x = random(2, sampling.num_vertices, 3)
    pool = Pool(pyramid, 0, "max")
    expected = max_by_loop(x, pyramid.memberships[0])
    assert torch.equal(pool(x), expected)
    maxima, indices = pool.with_indices(x)
    assert torch.equal(maxima, expected)
    assert torch.equal(x.gather(-2, indices), expected)
    assert indices.dtype == torch.int64
    owned = torch.from_numpy(pyramid.memberships[0].toarray() > 0)
    rows = torch.arange(len(owned))[None, :, None]
    assert owned[rows, indices].all()


def test_nested_means_equal_the_sparse_product(healpix):
    x = random(3, 192, 2)
    expected = mean_pooling_matrix(healpix.memberships[0]).toarray() @ x.numpy()
    np.testing.assert_allclose(Pool(healpix, 0, "mean")(x), expected, atol=1e-15)
    np.testing.assert_allclose(Pool(healpix, 0, "area")(x), expected, atol=1e-14)
    assert not list(Pool(healpix, 0, "mean").buffers())


def test_copy_of_groups_equals_the_sparse_product(healpix):
    y = random(3, 48, 2)
    expected = healpix.memberships[0].toarray().T @ y.numpy()
    np.testing.assert_array_equal(Unpool(healpix, 0)(y), expected)


def test_area_pooling_weighs_by_area():
    sampling = Equiangular(nlat=8, nlon=16, poles=0)
    pyramid = build_pyramid(sampling, num_levels=2, num_neighbors=8)
    x = random(sampling.num_vertices, 1)
    membership = pyramid.memberships[0].toarray()
    expected = (membership * sampling.areas) @ x.numpy() / (membership @ sampling.areas)[:, None]
    pool = Pool(pyramid, 0, "area").double()
    np.testing.assert_allclose(pool(x), expected, atol=1e-14)


def test_anti_aliased_methods_use_their_matrices(healpix):
    x = random(2, 192, 3)
    fine, coarse = healpix.samplings[:2]
    low_pass = low_pass_pooling_matrix(healpix.graphs[0], healpix.memberships[0])
    gaussian = gaussian_pooling_matrix(fine, coarse)
    for method, matrix in (("low_pass", low_pass), ("gaussian", gaussian)):
        pooled = Pool(healpix, 0, method).double()(x)
        np.testing.assert_allclose(pooled, matrix.toarray() @ x.numpy(), atol=1e-14)


def test_keep_first_and_pad_ones_are_those_of_the_original(icosahedron):
    x, y = random(2, 162, 3), random(2, 42, 3)
    assert torch.equal(Pool(icosahedron, 0, "keep_first")(x), x[:, :42])
    padded = Unpool(icosahedron, 0, "pad_ones")(y)
    assert torch.equal(padded, torch.cat([y, torch.ones(2, 120, 3, dtype=y.dtype)], dim=1))


def test_zeros_puts_values_at_the_first_child(healpix):
    y = random(2, 48, 3)
    expected = torch.zeros(2, 192, 3, dtype=y.dtype)
    expected[:, ::4] = y
    assert torch.equal(Unpool(healpix, 0, "zeros")(y), expected)


@pytest.mark.parametrize("name", ["healpix", "icosahedron"])
def test_index_puts_maxima_back(name, request):
    pyramid = request.getfixturevalue(name)
    pool, unpool = Pool(pyramid, 0, "max"), Unpool(pyramid, 0, "index")
    x = random(2, pyramid.graphs[0].num_vertices, 3)
    maxima, indices = pool.with_indices(x)
    back = unpool(maxima, indices)
    chosen = torch.zeros_like(x, dtype=torch.bool).scatter(-2, indices, True)
    assert torch.equal(back, torch.where(chosen, x, 0))


def test_index_takes_the_mean_where_two_meet(icosahedron):
    y = torch.zeros(42, 1)
    y[:2, 0] = torch.tensor([1.0, 4.0])
    indices = torch.arange(42)[:, None].clone()
    indices[1] = 0
    assert Unpool(icosahedron, 0, "index")(y, indices)[0] == 2.5


@pytest.mark.parametrize("power", [0, 1, 2])
def test_upsampled_nonlinearity_is_copy_then_low_pass_then_activation(healpix, power):
    layer = UpsampledNonlinearity(healpix, 1, "tanh", power=power).double()
    y = random(2, 48, 3)
    graph = healpix.graphs[0]
    step = np.eye(192) - graph.laplacian.toarray() / graph.lambda_max
    copied = healpix.memberships[0].toarray().T @ y.numpy()
    expected = np.tanh(np.linalg.matrix_power(step, power) @ copied)
    np.testing.assert_allclose(layer(y), expected, atol=1e-14)


def test_upsampled_nonlinearity_keeps_constants_on_any_laplacian():
    graph = build_pyramid(
        Healpix(nside=4), num_levels=2, num_neighbors=8, weights="gaussian", laplacian="normalized"
    )
    layer = UpsampledNonlinearity(graph, 1, "none").double()
    out = layer(torch.ones(48, 1, dtype=torch.float64))
    np.testing.assert_allclose(out, 1, atol=1e-14)


@pytest.mark.parametrize("channels", [1, 40])
def test_resample_is_the_matrix_product(channels):
    matrix = csr_matrix(np.random.default_rng(0).standard_normal((700, 500)))
    layer, x = Resample(matrix), random(4, 500, channels)
    expected = matrix.toarray() @ x.numpy()
    np.testing.assert_allclose(layer.double()(x), expected, atol=1e-12)
    np.testing.assert_allclose(layer.float()(x.float()), expected, atol=1e-3)
    assert layer(x.float()).is_contiguous()


@pytest.mark.parametrize("side_by_side", [True, False])
def test_resample_has_the_right_derivative(side_by_side, monkeypatch):
    monkeypatch.setattr(product, "_WIDE_CHANNELS", 4 if side_by_side else 0)
    monkeypatch.setattr(product, "_WIDE_VALUES", 0)
    monkeypatch.setattr(product, "_library", lambda: None)  # the other one: tests/ops
    matrix = csr_matrix(np.triu(np.random.default_rng(0).standard_normal((5, 7))))
    layer = Resample(matrix).double()
    x = random(2, 7, 4).requires_grad_()
    assert gradcheck(layer, x)
    assert gradgradcheck(layer, x)


def test_resample_takes_strided_signals():
    matrix = csr_matrix(np.random.default_rng(0).standard_normal((30, 50)))
    layer = Resample(matrix).double()
    for x in (random(4, 20, 50).mT, random(50, 4, 20).transpose(0, 1), random(4, 100, 20)[:, ::2]):
        np.testing.assert_allclose(layer(x), matrix.toarray() @ x.numpy(), atol=1e-12)


def test_resample_keeps_nothing_of_the_signal():
    saved = []
    layer, x = Resample(csr_matrix(np.eye(6, 8))), torch.randn(2, 8, 3, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        layer(x)
    kept = {tensor.data_ptr() for tensor in saved}
    assert kept <= {buffer.data_ptr() for buffer in layer.buffers()}


def test_change_of_type_starts_from_float64():
    matrix = csr_matrix(np.random.default_rng(0).random((4, 6)))
    layer = Resample(matrix).half().float().double()
    x = random(6, 1)
    np.testing.assert_allclose(layer(x), matrix @ x.numpy(), atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(dtype):
    matrix = csr_matrix(np.full((1, 4096), 1.0))
    x = torch.ones(4096, 1, dtype=dtype)
    for layer in (Resample(matrix), Resample(matrix).to(dtype)):
        out = layer(x)
        assert out.dtype == dtype
        assert out.item() == 4096  # a running sum in half precision stops at 256 or 2048


def test_autocast_does_not_change_pooling(healpix):
    x = random(2, 192, 3, dtype=torch.float32)
    for method in ("mean", "max", "low_pass"):
        pool = Pool(healpix, 0, method)
        expected = pool(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.testing.assert_close(pool(x), expected, rtol=0, atol=0)
            assert pool(x.bfloat16()).dtype == torch.bfloat16


def test_nothing_is_saved_or_learned(healpix):
    modules = [Pool(healpix, 0, "low_pass"), Pool(healpix, 0, "max"), Unpool(healpix, 0, "zeros")]
    for module in [*modules, UpsampledNonlinearity(healpix, 1)]:
        assert not module.state_dict()
        assert not list(module.parameters())


def test_layers_can_be_copied(healpix):
    x = random(2, 192, 3)
    pool = Pool(healpix, 0, "low_pass").double()
    torch.testing.assert_close(copy.deepcopy(pool)(x), pool(x), rtol=0, atol=0)


def test_compiled_layer_equals_the_eager_one(healpix, icosahedron, monkeypatch):
    # the compiler cannot trace the code that checks annotations
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    for layer, num in (
        (Pool(healpix, 0, "low_pass"), 192),
        (Pool(icosahedron, 0, "max"), 162),
        (UpsampledNonlinearity(healpix, 1), 48),
    ):
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
        x = random(2, num, 3, dtype=torch.float32)
        one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
        torch.testing.assert_close(compiled(one), layer(other))
        compiled(one).square().sum().backward()
        layer(other).square().sum().backward()
        torch.testing.assert_close(one.grad, other.grad)


def test_custom_operator_is_well_registered():
    layer = Resample(csr_matrix(np.random.default_rng(0).random((4, 6))))
    arrays = [getattr(layer, name) for name in ("crow", "col", "values")]
    arrays += [getattr(layer, f"{name}_t") for name in ("crow", "col", "values")]
    x = torch.randn(2, 6, 3, requires_grad=True)
    torch.library.opcheck(torch.ops.deepsphere.sparse_product.default, (x, *arrays))


def test_printout_names_levels_and_method(healpix):
    assert "level 0 -> 1, method='max'" in repr(Pool(healpix, 0, "max"))
    assert "level 1 -> 0, method='copy'" in repr(Unpool(healpix, 0))
    assert "level 2 -> 1" in repr(UpsampledNonlinearity(healpix, 2))
    assert "192 -> 48 vertices" in repr(Pool(healpix, 0, "gaussian"))
    layer = Resample(csr_matrix(np.eye(2, 3)))
    assert (layer.num_in_vertices, layer.num_out_vertices) == (3, 2)


def test_signal_of_another_level_is_named(healpix):
    rule = "signal must have 192 vertices at level 0 of this pyramid, got 48; that is a signal of"
    with pytest.raises(ValueError, match=f"{rule} level 1"):
        Pool(healpix, 0)(torch.zeros(2, 48, 3))
    with pytest.raises(ValueError, match="48 vertices at level 1 of this pyramid, got 192"):
        Unpool(healpix, 0)(torch.zeros(2, 192, 3))
    with pytest.raises(ValueError, match="48 vertices at level 1 of this pyramid, got 192"):
        UpsampledNonlinearity(healpix, 1)(torch.zeros(2, 192, 3))
    with pytest.raises(ValueError, match="192 vertices at level 0 of this pyramid, got 48"):
        Pool(healpix, 0, "max").with_indices(torch.zeros(2, 48, 3))


def test_channels_first_signal_is_recognized(healpix):
    with pytest.raises(ValueError, match=r"got 3; transpose it: signals are \(\*batch, vertices"):
        Pool(healpix, 0)(torch.zeros(2, 3, 192))
    with pytest.raises(ValueError, match=r"got 50; signals are \(\*batch, vertices, channels"):
        Pool(healpix, 0)(torch.zeros(2, 50, 3))


def test_wrong_shape_of_resampled_signal_is_rejected():
    with pytest.raises(ValueError, match=r"must have 3 vertices, got the shape \(4, 1\)"):
        Resample(csr_matrix(np.eye(2, 3)))(torch.zeros(4, 1))


def test_vector_is_rejected(healpix, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"got the shape \(192,\); signals are"):
        Pool(healpix, 0)(torch.zeros(192))


def test_level_is_checked(healpix):
    for layer in (Pool, Unpool):
        with pytest.raises(ValueError, match="between 0 and 1 in a pyramid of 3 levels, got 2"):
            layer(healpix, 2)
    with pytest.raises(ValueError, match="level must be between 1 and 2, got 0"):
        UpsampledNonlinearity(healpix, 0)
    single = build_pyramid(Healpix(nside=2), num_levels=1, num_neighbors=8)
    with pytest.raises(ValueError, match="at least 2 levels to pool between, got 1"):
        Pool(single, 0)
    with pytest.raises(ValueError, match="pyramid must have at least 2 levels, got 1"):
        UpsampledNonlinearity(single, 1)


def test_negative_power_is_rejected(healpix):
    with pytest.raises(ValueError, match="power must not be negative, got -1"):
        UpsampledNonlinearity(healpix, 1, power=-1)


def test_unknown_method_is_rejected(healpix, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"method must be one of mean, area, max, .*, got 'mode'"):
        Pool(healpix, 0, "mode")
    with pytest.raises(ValueError, match=r"method must be one of copy, area, .*, got 'mean'"):
        Unpool(healpix, 0, "mean")


def test_original_methods_are_refused_on_other_orders(healpix):
    with pytest.raises(ValueError, match="keep_first must be used where"):
        Pool(healpix, 0, "keep_first")
    with pytest.raises(ValueError, match="keep_first must be used where"):
        Unpool(healpix, 0, "pad_ones")


def test_indices_go_with_their_method(healpix):
    y = torch.zeros(48, 1)
    with pytest.raises(ValueError, match="indices must be given with method 'index' alone, got n"):
        Unpool(healpix, 0, "index")(y)
    with pytest.raises(ValueError, match="got some with 'copy'"):
        Unpool(healpix, 0, "copy")(y, torch.zeros(48, 1, dtype=torch.int64))
    with pytest.raises(ValueError, match="must be 'max' where indices are wanted, got 'mean'"):
        Pool(healpix, 0, "mean").with_indices(torch.zeros(192, 1))
