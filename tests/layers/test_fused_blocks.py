"""Fused blocks are their parts: values, gradients, averages, and why some are not fused."""

import copy
import io
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from deepsphere.graph import build_graph
from deepsphere.graph.coarsening import build_pyramid
from deepsphere.layers import fusion
from deepsphere.layers.blocks import BlockSequence, ConvBlock
from deepsphere.layers.fusion import run_separately
from deepsphere.layers.pooling import Pool
from deepsphere.models import FCN
from deepsphere.native import load_library
from deepsphere.sampling import Fibonacci, Healpix, Icosahedral

needs_kernels = pytest.mark.skipif(load_library() is None, reason="no compiled kernels")

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-12}
_PYRAMID = build_pyramid(Healpix(nside=2), num_levels=2, num_neighbors=8)
_GRAPH = _PYRAMID.graphs[0]


def random(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def make_block(*, dtype=torch.float32, pool=None, channels=5, **options):
    options = {"in_channels": 3, "kernel_size": 3} | options
    pool = None if pool is None else Pool(_PYRAMID, 0, pool)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        block = ConvBlock(_GRAPH, out_channels=channels, pool=pool, **options).to(dtype)
        for name, parameter in block.named_parameters():
            if "conv" not in name:
                nn.init.uniform_(parameter, -1.0, 2.0)
    return block


def apart(block, signals):
    """What the parts of a block give, one after the other."""
    return run_separately(block._parts(block.pool), signals)


def assert_fused(block, signals):
    assert load_library() is None or block.explain(signals).startswith("fused"), block.explain(
        signals
    )


@st.composite
def blocks(draw):
    options = {
        "channels": draw(st.integers(1, 40)),
        "dtype": draw(st.sampled_from(list(TOLERANCES))),
        "activation": draw(st.sampled_from(["none", "relu", "gelu"])),
        "pool": draw(st.sampled_from([None, "mean", "max", "low_pass"])),
        "affine": draw(st.booleans()),
        "bias": draw(st.booleans()),
        "conv": draw(st.sampled_from(["chebyshev", "bernstein"])),
    }
    return options, draw(st.integers(0, 5))


@settings(max_examples=60, deadline=None)
@given(blocks())
def test_training_fused_is_training_apart(case):
    options, batch = case
    batch = max(batch, 1)
    fused = make_block(**options)
    separate, dtype = copy.deepcopy(fused), options["dtype"]
    signals = random(batch, 48, 3, dtype=dtype).requires_grad_()
    assert_fused(fused, signals)
    y, expected = fused(signals), apart(separate, signals)
    tolerance = {"rtol": 10 * TOLERANCES[dtype], "atol": 10 * TOLERANCES[dtype]}
    torch.testing.assert_close(y, expected, **tolerance)
    grad = random(*y.shape, dtype=dtype, seed=2)
    gradients = torch.autograd.grad(y, (signals, *fused.parameters()), grad)
    wanted = torch.autograd.grad(expected, (signals, *separate.parameters()), grad)
    for actual, value in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(actual, value, **tolerance)
    for actual, value in zip(fused.buffers(), separate.buffers(), strict=True):
        torch.testing.assert_close(actual, value, **tolerance)


@settings(max_examples=60, deadline=None)
@given(blocks(), st.sampled_from(["batch", "none"]))
def test_evaluation_fused_is_evaluation_apart(case, normalization):
    options, batch = case
    block, dtype = make_block(**options, normalization=normalization), options["dtype"]
    block(3 * random(4, 48, 3, dtype=dtype, seed=5))  # moves the running averages
    signals = random(batch, 48, 3, dtype=dtype)
    block.eval()
    with torch.no_grad():
        assert_fused(block, signals)
        torch.testing.assert_close(
            block(signals), apart(block, signals), rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype]
        )


@pytest.mark.parametrize(
    "sampling", [Healpix(nside=16, ordering="ring"), Fibonacci(3000), Icosahedral(subdivisions=16)]
)
@pytest.mark.parametrize("activation", ["none", "relu", "gelu"])
def test_evaluation_fused_is_evaluation_apart_in_any_order_of_vertices(sampling, activation):
    graph = build_graph(sampling, num_neighbors=8, weights="gaussian")
    block = ConvBlock(graph, in_channels=3, out_channels=20, kernel_size=3, activation=activation)
    block(random(4, sampling.num_vertices, 3, seed=5))
    block.eval()
    signals = random(1, sampling.num_vertices, 3)
    with torch.no_grad():
        assert_fused(block, signals)
        torch.testing.assert_close(block(signals), apart(block, signals), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch", [(), (0,), (2, 3)])
def test_any_batch_axes(batch):
    block, signals = make_block(pool="max").eval(), random(*batch, 48, 3)
    with torch.no_grad():
        torch.testing.assert_close(block(signals), apart(block, signals))
    if batch != (0,):
        torch.testing.assert_close(block.train()(signals), apart(block, signals))


@pytest.mark.parametrize("options", [{}, {"affine": False, "bias": True}, {"affine": False}])
def test_running_averages_are_those_of_torch(options):
    block = make_block(**options)
    norm = nn.BatchNorm1d(5)
    for seed in range(3):
        signals = 2 + random(4, 48, 3, seed=seed)
        block(signals)
        norm(block.conv(signals).flatten(0, 1))
    torch.testing.assert_close(block.norm.norm.running_mean, norm.running_mean)
    torch.testing.assert_close(block.norm.norm.running_var, norm.running_var)
    assert block.norm.norm.num_batches_tracked == 3


def test_no_running_averages_means_statistics_of_the_batch():
    block = make_block()
    block.norm.norm = nn.BatchNorm1d(5, track_running_stats=False)
    signals = random(4, 48, 3)
    expected = block(signals)
    with torch.no_grad():
        assert_fused(block.eval(), signals)
        torch.testing.assert_close(block(signals), expected)


@needs_kernels  # torch, which computes z * a + b, is less accurate than this
@pytest.mark.parametrize("dtype", list(TOLERANCES))
def test_statistics_of_a_large_mean_and_a_small_variance(dtype):
    block = make_block(dtype=dtype, kernel_size=1, activation="none", affine=False)
    signals = 1000 + 0.1 * random(8, 48, 3, dtype=dtype)
    exact = apart(copy.deepcopy(block).double(), signals.double())
    # what rounding of the signal itself does, of which the mean is 1e4 standard deviations away
    tolerance = 3e4 * torch.finfo(dtype).eps
    torch.testing.assert_close(block(signals).double(), exact, rtol=tolerance, atol=tolerance)


def test_gradients_of_training_are_those_of_finite_differences():
    block = make_block(dtype=torch.float64, activation="gelu", pool="max", channels=2)
    signals = random(2, 48, 3, dtype=torch.float64).requires_grad_()
    assert_fused(block, signals)

    def output(signals, weight, gamma, beta):
        values = {"conv.weight": weight, "norm.norm.weight": gamma, "norm.norm.bias": beta}
        return torch.func.functional_call(copy.deepcopy(block), values, (signals,))

    inputs = (signals, *block.parameters())
    assert gradcheck(output, inputs, fast_mode=True)
    assert gradgradcheck(output, inputs, fast_mode=True)


def test_evaluation_follows_every_change_of_the_parameters():
    block, signals = make_block(pool="max"), random(2, 48, 3)
    other = make_block(pool="max")
    other(5 + 2 * random(4, 48, 3))

    def check():
        with torch.no_grad():
            assert_fused(block.eval(), signals)
            torch.testing.assert_close(block(signals), apart(block, signals))

    check()
    block.load_state_dict(other.state_dict())
    check()
    block.train()(signals).square().sum().backward()
    torch.optim.SGD(block.parameters(), lr=0.1).step()
    check()
    block.norm.norm.weight.data.mul_(3)  # leaves no trace in the version of the parameter
    block.norm.norm.running_mean.data.add_(1)
    check()
    signals = signals.double()
    block.double()
    check()


@needs_kernels
@pytest.mark.parametrize("part", ["conv", "norm", "norm.norm", "activation", "pool"])
@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
def test_parts_with_hooks_run_one_after_the_other(part, register):
    block, signals, calls = make_block(pool="max"), random(2, 48, 3), []
    handle = getattr(block.get_submodule(part), register)(lambda *call: calls.append(call[1]))
    assert block.explain(signals) == "separate: there are hooks on its parts"
    block(signals)
    assert len(calls) == 1
    handle.remove()
    assert_fused(block, signals)


@needs_kernels
def test_hooks_of_all_modules_are_called():
    block, signals, calls = make_block(), random(2, 48, 3), []
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: calls.append(module))
    try:
        block(signals)
    finally:
        handle.remove()
    assert block.conv in calls
    assert block.activation in calls


@needs_kernels
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda b: setattr(b, "activation", nn.SiLU()), "its activation is not"),
        (lambda b: setattr(b, "activation", nn.GELU("tanh")), "its activation is not"),
        (lambda b: setattr(b, "norm", nn.LayerNorm(5)), "its normalization is not"),
        (lambda b: setattr(b.norm.norm, "momentum", None), "its normalization is not"),
        (lambda b: nn.SyncBatchNorm.convert_sync_batchnorm(b), "its normalization is not"),
        (lambda b: nn.utils.parametrizations.weight_norm(b.conv), "its convolution is not"),
        (lambda b: setattr(b.conv, "bias", nn.Parameter(torch.ones(5))), "its convolution is"),
        (lambda b: setattr(b.conv, "backend", "reference"), "its convolution was asked to"),
        (lambda b: b.norm.half(), "signals and parameters are not of one type"),
        (lambda b: b.eval(), "gradients may be wanted of its fixed normalization"),
    ],
)
def test_what_cannot_be_fused_says_why_and_is_still_right(change, reason):
    block, signals = make_block(affine=True), random(2, 48, 3)
    change(block)
    assert block.explain(signals).startswith(f"separate: {reason}")
    if not reason.startswith("signals"):  # which torch refuses
        torch.testing.assert_close(block(signals), apart(block, signals))


@needs_kernels
@pytest.mark.parametrize(
    ("signals", "reason"),
    [
        (torch.zeros(48), "the signals are not of the right shape"),
        (torch.zeros(2, 12, 3), "the signals are not of the right shape"),
        (torch.zeros(2, 48, 3, dtype=torch.float64), "signals and parameters are not of one type"),
        (torch.zeros(0, 48, 3), "there is no variance of less than two values"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_signals_that_cannot_be_fused_are_explained(signals, reason):
    assert make_block().explain(signals) == f"separate: {reason}"


@needs_kernels
def test_devices_without_kernels_are_explained():
    block = make_block().to("meta")
    assert block.explain(torch.zeros(2, 48, 3, device="meta")) == (
        "separate: there are compiled kernels for float32 and float64 on the CPU alone"
    )


def test_without_kernels_blocks_run_one_after_the_other(monkeypatch):
    monkeypatch.setattr(fusion, "why_absent", lambda: "not built")
    block, signals = make_block(pool="max"), random(2, 48, 3)
    assert block.explain(signals) == "separate: not built"
    assert torch.equal(block(signals), apart(copy.deepcopy(block), signals))


@pytest.mark.usefixtures("unchecked")
def test_errors_are_those_of_the_convolution():
    block = make_block()
    with pytest.raises(ValueError, match="signal must have shape"):
        block(torch.zeros(2, 12, 3))
    with pytest.raises(TypeError, match="signal must be a torch tensor"):
        block([1.0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("training", [True, False])
def test_autocast_changes_nothing(dtype, training):
    block, signals = make_block(pool="max"), random(2, 48, 3)
    block.train(training)
    with torch.no_grad(), torch.autocast("cpu", dtype=dtype):
        torch.testing.assert_close(block(signals), apart(block, signals))


@pytest.mark.parametrize("training", [True, False])
def test_copies_and_pickles_are_the_block(training):
    block, signals = make_block(pool="max").train(training), random(2, 48, 3)
    buffer = io.BytesIO()
    torch.save(block, buffer)
    buffer.seek(0)
    for twin in (copy.deepcopy(block), torch.load(buffer, weights_only=False)):
        assert torch.equal(twin(signals), copy.deepcopy(block)(signals))


def test_pooling_adds_nothing_to_the_state():
    assert make_block(pool="max").state_dict().keys() == make_block().state_dict().keys()


def test_pooling_that_is_no_group_follows_the_fused_block():
    pyramid = build_pyramid(Icosahedral(subdivisions=4), num_levels=2, num_neighbors=6)
    for method in ("max", "mean", "keep_first"):
        pool = Pool(pyramid, 0, method)
        block = ConvBlock(
            pyramid.graphs[0], in_channels=2, out_channels=3, kernel_size=2, pool=pool
        )
        signals = random(2, pyramid.graphs[0].num_vertices, 2)
        assert pool.grouping is None
        assert_fused(block, signals)
        torch.testing.assert_close(block(signals), apart(block, signals))


@pytest.fixture
def sequence():
    torch.manual_seed(0)
    return BlockSequence(
        ConvBlock(_GRAPH, in_channels=2, out_channels=4, kernel_size=2),
        Pool(_PYRAMID, 0, "max"),
        ConvBlock(_PYRAMID.graphs[1], in_channels=4, out_channels=3, kernel_size=2),
        nn.Dropout(0.0),
        ConvBlock(_PYRAMID.graphs[1], in_channels=3, out_channels=3, kernel_size=2),
    )


@pytest.mark.parametrize("training", [True, False])
def test_sequence_is_the_sequence(sequence, training):
    plain, signals = nn.Sequential(*copy.deepcopy(sequence)), random(3, 48, 2)
    with torch.set_grad_enabled(training):
        torch.testing.assert_close(
            sequence.train(training)(signals), plain.train(training)(signals)
        )
    assert sequence.state_dict().keys() == plain.state_dict().keys()


def test_sequence_calls_what_has_hooks(sequence):
    outputs = {}
    for index in (0, 1, 4):
        sequence[index].register_forward_hook(
            lambda _, __, output, index=index: outputs.setdefault(index, output)
        )
    signals = random(3, 48, 2)
    y = sequence(signals)
    assert outputs[0].shape == (3, 48, 4)
    torch.testing.assert_close(outputs[1], sequence[1](outputs[0]))
    assert torch.equal(outputs[4], y)


def test_checkpoint_of_a_plain_sequence_fits_the_trunk():
    options = {"in_channels": 1, "out_channels": 2, "channels": (4, 4), "kernel_size": 3}
    model = FCN(_PYRAMID, **options, pooling="max", activation="relu")
    blocks = [f"trunk.layers.{index}" for index in (0, 2)]
    own = {f"{block}.{name}" for block in blocks for name in ("conv.weight", "norm.norm.weight")}
    assert own <= model.state_dict().keys()
    assert not any(name.startswith("trunk.layers.1") for name in model.state_dict())


@pytest.mark.slow
def test_compiled_and_exported_blocks_are_the_eager_ones():
    # in a process of its own: the run-time checks of the test suite cannot be traced
    subprocess.run([sys.executable, __file__], check=True, timeout=300)


def _compare_compiled_and_exported() -> None:
    """Compile and export blocks without a graph break and compare outputs and gradients."""
    for options in (
        {"pool": "max"},
        {"activation": "gelu", "pool": "mean", "affine": False, "bias": True},
        {"normalization": "none", "bias": True},
    ):
        block, signals = make_block(**options), random(2, 48, 3)
        eager = copy.deepcopy(block)
        torch._dynamo.reset()
        compiled = torch.compile(block, backend="aot_eager", fullgraph=True)
        y, expected = compiled(signals), eager(signals)
        torch.testing.assert_close(y, expected)
        y.square().sum().backward()
        expected.square().sum().backward()
        for (name, parameter), twin in zip(
            block.named_parameters(), eager.parameters(), strict=True
        ):
            torch.testing.assert_close(parameter.grad, twin.grad, msg=name, rtol=1e-4, atol=1e-5)
        for buffer, twin in zip(block.buffers(), eager.buffers(), strict=True):
            torch.testing.assert_close(buffer, twin)
        with torch.no_grad():
            block.eval()
            torch._dynamo.reset()
            compiled = torch.compile(block, backend="aot_eager", fullgraph=True)
            torch.testing.assert_close(compiled(signals), block(signals))
            exported = torch.export.export(block, (signals,)).module()
            torch.testing.assert_close(exported(signals), block(signals))


if __name__ == "__main__":
    _compare_compiled_and_exported()
