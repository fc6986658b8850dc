"""The compiled passes against the same written in torch: values, gradients, determinism."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr
from torch.autograd import gradcheck, gradgradcheck

from deepsphere.native import load_library
from deepsphere.ops import normalization, passes
from deepsphere.ops.normalization import activate_and_pool, normalize_activate_pool
from deepsphere.ops.passes import Normalization

needs_kernels = pytest.mark.skipif(load_library() is None, reason="no compiled kernels")

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-12}
POOLINGS = [("none", 1), ("max", 4), ("mean", 4), ("max", 3), ("mean", 2)]
ACTIVATIONS = ["none", "relu", "gelu"]


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def statistics(z):
    variance, mean = torch.var_mean(z.detach(), (0, 1), unbiased=False)
    return mean, variance


def naive(z, gamma, beta, activation, pool, group, eps=1e-5):
    """Batch normalization by its formula, then torch's activation, then a loop over groups."""
    mean, variance = z.mean((0, 1)), z.var((0, 1), unbiased=False)
    x = (z - mean) / torch.sqrt(variance + eps)
    if gamma is not None:
        x = x * gamma
    if beta is not None:
        x = x + beta
    x = {"none": x, "relu": x.clamp(min=0), "gelu": torch.nn.functional.gelu(x)}[activation]
    if pool == "none":
        return x
    reduce = torch.amax if pool == "max" else torch.mean
    return torch.stack(
        [reduce(x[:, i : i + group], dim=1) for i in range(0, x.shape[1], group)], dim=1
    )


@st.composite
def cases(draw):
    return {
        "dtype": draw(st.sampled_from(list(TOLERANCES))),
        "batch": draw(st.integers(1, 5)),
        "channels": draw(st.integers(1, 40)),
        "activation": draw(st.sampled_from(ACTIVATIONS)),
        "pooling": draw(st.sampled_from(POOLINGS)),
        "affine": draw(st.booleans()),
        "seed": draw(st.integers(0, 2**16)),
    }


@settings(max_examples=120, deadline=None)
@given(cases())
def test_pass_is_the_formula_in_value_and_gradient(case):
    (pool, group), dtype = case["pooling"], case["dtype"]
    z = 0.5 + random(case["batch"], 24, case["channels"], dtype=dtype, seed=case["seed"])
    z.requires_grad_()
    gamma = beta = None
    inputs = [z]
    if case["affine"]:
        gamma, beta = random(2, case["channels"], dtype=dtype, seed=1).requires_grad_().unbind()
        inputs += [gamma, beta]
    options = {"activation": case["activation"], "pool": pool, "group": group}
    y = normalize_activate_pool(z, *statistics(z), gamma, beta, eps=1e-5, **options)
    expected = naive(z, gamma, beta, **options)
    tolerance = {"rtol": TOLERANCES[dtype], "atol": TOLERANCES[dtype]}
    torch.testing.assert_close(y, expected, **tolerance)
    grad = random(*y.shape, dtype=dtype, seed=2)
    # sums of up to 120 rounding errors
    tolerance = {name: 10 * value for name, value in tolerance.items()}
    for actual, wanted in zip(
        torch.autograd.grad(y, inputs, grad),
        torch.autograd.grad(expected, inputs, grad),
        strict=True,
    ):
        torch.testing.assert_close(actual, wanted, **tolerance)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("group", [4, 65])
def test_gradient_of_a_maximum_is_spread_over_ties(activation, group):
    z = torch.randint(0, 3, (3, 4 * group, 21), generator=torch.Generator().manual_seed(0))
    z = z.double().requires_grad_()
    gamma, beta = random(2, 21).unbind()
    gamma = torch.where(torch.arange(21) % 3 == 0, 0, gamma).requires_grad_()  # all children equal
    options = {"activation": activation, "pool": "max", "group": group}
    y = normalize_activate_pool(z, *statistics(z), gamma, beta, eps=1e-5, **options)
    expected, grad = naive(z, gamma, beta, **options), random(*y.shape)
    torch.testing.assert_close(y, expected)
    for actual, wanted in zip(
        torch.autograd.grad(y, (z, gamma), grad),
        torch.autograd.grad(expected, (z, gamma), grad),
        strict=True,
    ):
        torch.testing.assert_close(actual, wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("kernels", [pytest.param(True, marks=needs_kernels), False])
@pytest.mark.parametrize(
    ("activation", "pool"), [("gelu", "max"), ("gelu", "mean"), ("relu", "max")]
)
def test_pass_can_be_differentiated_twice(activation, pool, kernels, monkeypatch):
    if not kernels:
        monkeypatch.setattr(passes, "library", lambda: None)

    def function(z, gamma, beta):
        options = {"eps": 1e-2, "activation": activation, "pool": pool, "group": 4}
        return normalize_activate_pool(z, *statistics(z), gamma, beta, **options)

    inputs = tuple(random(*shape).requires_grad_() for shape in ((2, 8, 3), (3,), (3,)))
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


@needs_kernels
@pytest.mark.parametrize("pooling", POOLINGS)
def test_pass_without_kernels_gives_the_same(pooling, monkeypatch):
    z, gamma = random(2, 24, 5).requires_grad_(), random(5).requires_grad_()
    results = []
    for library in (passes.library, lambda: None):
        monkeypatch.setattr(passes, "library", library)
        y = normalize_activate_pool(
            z, *statistics(z), gamma, None, eps=1e-5, activation="gelu", pool=pooling[0],
            group=pooling[1],
        )  # fmt: skip
        results.append((y, *torch.autograd.grad(y.square().sum(), (z, gamma))))
    for compiled, plain in zip(*results, strict=True):
        torch.testing.assert_close(compiled, plain, rtol=1e-11, atol=1e-11)


@needs_kernels
@pytest.mark.parametrize("dtype", list(TOLERANCES))
def test_compiled_gelu_is_that_of_the_normal_distribution(dtype):
    x = torch.cat([torch.linspace(-20, 20, 20001, dtype=dtype), torch.tensor([0.0, -0.0])])
    x = x.to(dtype)
    one, zero = torch.ones(1, dtype=dtype), torch.zeros(1, dtype=dtype)
    identity, z = Normalization(zero, one, zero), x.reshape(1, -1, 1)
    points = x.double().numpy()
    expected = points * ndtr(points)
    slope = ndtr(points) + points * np.exp(-(points**2) / 2) / np.sqrt(2 * np.pi)
    # rounding of the result: half a unit in the last place of numbers up to 20
    tolerance = {torch.float32: 1e-6, torch.float64: 4e-15}[dtype]
    activated = passes.forward(z, identity, "gelu", "none", 1).reshape(-1)
    np.testing.assert_allclose(activated.double(), expected, rtol=0, atol=tolerance)
    derivative = passes.gradient(
        torch.ones_like(z), z, identity, (zero, zero), "gelu", "none", 1
    ).reshape(-1)
    np.testing.assert_allclose(derivative.double(), slope, rtol=0, atol=tolerance)


@needs_kernels
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("pool", ["max", "mean"])
def test_nan_is_not_lost(activation, pool):
    z = torch.zeros(1, 12, 20)
    for vertex in range(4):
        z[0, 5 * vertex % 12, vertex] = float("nan")
    one, zero = torch.ones(20), torch.zeros(20)
    y = passes.forward(z, Normalization(zero, one, zero), activation, pool, 4)
    expected = activate_and_pool(z, activation, pool, 4)
    assert torch.equal(y.isnan(), expected.isnan())
    assert y.isnan().sum() == 4


@needs_kernels
def test_sums_do_not_depend_on_the_number_of_threads(monkeypatch):
    z, grad = random(3, 30000, 17, dtype=torch.float32), random(3, 7500, 17, dtype=torch.float32)
    parts = Normalization(*random(3, 17, dtype=torch.float32))
    results = []
    for threads in (1, 2, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        results.append(passes.sums(grad, z, parts, "gelu", "max", 4))
    assert all(torch.equal(result, results[0]) for result in results)


@needs_kernels
def test_sums_are_accurate_where_values_are_many():
    # added one by one in float32 they would be off by 3e-3
    z, grad = torch.zeros(1, 2**18, 1), torch.full((1, 2**18, 1), 1.1)
    parts = Normalization(torch.zeros(1), torch.ones(1), torch.ones(1))
    of_shift, of_scale = passes.sums(grad, z, parts, "relu", "none", 1)
    assert of_shift.item() == pytest.approx(2**18 * float(grad[0, 0, 0]), rel=1e-5)
    assert of_scale.item() == 0


@pytest.mark.parametrize("pooling", POOLINGS[:3])
def test_empty_batch_stays_empty(pooling):
    z = torch.zeros(0, 24, 3, requires_grad=True)
    ones = torch.ones(3)
    y = normalize_activate_pool(
        z, ones, ones, ones, None, eps=1e-5, activation="relu", pool=pooling[0], group=pooling[1]
    )
    assert y.shape == (0, 24 // pooling[1], 3)


@needs_kernels
def test_empty_batch_has_no_gradients():
    z, ones = torch.zeros(0, 24, 3), torch.ones(3)
    z_grad, gamma_grad, beta_grad = normalization._gradients_op(
        torch.zeros(0, 6, 3), z, ones, ones, ones, ones, 1e-5, "relu", "max", 4
    )
    assert z_grad.shape == z.shape
    assert not gamma_grad.any()
    assert not beta_grad.any()


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("requires_grad", [True, False])
def test_operator_is_registered_as_torch_wants_it(affine, requires_grad):
    z = random(2, 8, 3).requires_grad_(requires_grad)
    parameters = [random(3).requires_grad_(requires_grad) if affine else None for _ in range(2)]
    arguments = (z, *statistics(z), *parameters, 1e-5, "gelu", "max", 4)
    torch.library.opcheck(normalization._forward_op, arguments)


@needs_kernels
def test_gradient_operator_is_registered_as_torch_wants_it():
    z, grad = random(2, 8, 3), random(2, 2, 3)
    arguments = (grad, z, *statistics(z), None, None, 1e-5, "relu", "mean", 4)
    torch.library.opcheck(normalization._gradients_op, arguments)


def test_nothing_but_the_signal_is_kept():
    saved = []
    z, gamma = random(2, 24, 5).requires_grad_(), random(5).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        normalize_activate_pool(
            z, *statistics(z), gamma, None, eps=1e-5, activation="gelu", pool="max", group=4
        )
    assert {tensor.data_ptr() for tensor in saved if tensor.dim() > 1} == {z.data_ptr()}
