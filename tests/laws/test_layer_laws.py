"""What every layer keeps: batch axes, types, gradients, its input, its permutations, its state."""

import copy
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn

from deepsphere import layers
from deepsphere.graph.coarsening import build_pyramid
from deepsphere.graph.pooling_matrices import unpooling_matrix
from deepsphere.graph.sphere_graph import build_graph
from deepsphere.sampling import Healpix

CHANNELS = 4
FINE, COARSE = 48, 12

_PYRAMID = build_pyramid(Healpix(nside=2), num_levels=2, num_neighbors=8)
_GRAPH = _PYRAMID.graphs[0]
_BEAM_GRAPH = build_graph(Healpix(nside=2), num_neighbors=20)
_AREAS = _GRAPH.sampling.areas
_SIZES = {"in_channels": CHANNELS, "out_channels": 3, "kernel_size": 3}


class Case:
    """A layer, the vertices it takes, and the trailing shape of what it gives."""

    def __init__(
        self, make: Callable[[], nn.Module], gives: tuple[int, ...], takes: int = FINE
    ) -> None:
        self.make, self.takes, self.gives = make, takes, gives

    def signals(self, *batch: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        return torch.randn(*batch, self.takes, CHANNELS, generator=generator, dtype=dtype)


LAYERS = {
    "ChebConv": Case(lambda: layers.ChebConv(_GRAPH, **_SIZES), (FINE, 3)),
    "MonomialConv": Case(lambda: layers.MonomialConv(_GRAPH, **_SIZES), (FINE, 3)),
    "BernsteinConv": Case(lambda: layers.BernsteinConv(_GRAPH, **_SIZES), (FINE, 3)),
    "ConvBlock": Case(lambda: layers.ConvBlock(_GRAPH, **_SIZES, activation="silu"), (FINE, 3)),
    "BlockSequence": Case(
        lambda: layers.BlockSequence(
            layers.ConvBlock(_GRAPH, **_SIZES, activation="gelu"), layers.Pool(_PYRAMID, 0, "max")
        ),
        (COARSE, 3),
    ),
    "ResidualBlock": Case(
        lambda: layers.ResidualBlock(_GRAPH, **_SIZES, shortcut="linear", activation="silu"),
        (FINE, 3),
    ),
    "BeamSmoothing": Case(
        lambda: layers.BeamSmoothing(
            _BEAM_GRAPH,
            fwhm_arcmin=(0.0, 2500.0, 3000.0, 3500.0),
            tolerance=1e-2,  # so few vertices hold no long polynomial
            trainable=True,
        ),
        (FINE, CHANNELS),
    ),
    "BatchNorm": Case(lambda: layers.BatchNorm(CHANNELS), (FINE, CHANNELS)),
    "LayerNorm": Case(lambda: layers.LayerNorm(CHANNELS), (FINE, CHANNELS)),
    "GroupNorm": Case(lambda: layers.GroupNorm(2, CHANNELS), (FINE, CHANNELS)),
    "UpsampledNonlinearity": Case(
        lambda: layers.UpsampledNonlinearity(_PYRAMID, 1, "silu"), (FINE, CHANNELS), takes=COARSE
    ),
    "Resample": Case(
        lambda: layers.Resample(unpooling_matrix(_PYRAMID.memberships[0])),
        (FINE, CHANNELS),
        takes=COARSE,
    ),
    "Regrid": Case(
        lambda: layers.Regrid(*_PYRAMID.samplings[:2], method="conservative"), (COARSE, CHANNELS)
    ),
    "Mean": Case(lambda: layers.Mean(_AREAS), (CHANNELS,)),
    "Variance": Case(lambda: layers.Variance(_AREAS), (CHANNELS,)),
    "MeanVariance": Case(lambda: layers.MeanVariance(_AREAS), (2 * CHANNELS,)),
    "Max": Case(layers.Max, (CHANNELS,)),
    "LogSumExp": Case(lambda: layers.LogSumExp(areas=_AREAS), (CHANNELS,)),
    "LearnedHistogram": Case(lambda: layers.LearnedHistogram(CHANNELS), (20 * CHANNELS,)),
    "CombinedReadout": Case(
        lambda: layers.CombinedReadout(layers.Mean(_AREAS), layers.Max()), (2 * CHANNELS,)
    ),
} | {
    f"Pool-{method}": Case(
        lambda method=method: layers.Pool(_PYRAMID, 0, method=method), (COARSE, CHANNELS)
    )
    for method in ("mean", "area", "max", "low_pass", "gaussian", "subsample")
} | {
    f"ConvBlock-gelu-{method}": Case(
        lambda method=method: layers.ConvBlock(
            _GRAPH, **_SIZES, activation="gelu", pool=layers.Pool(_PYRAMID, 0, method)
        ),
        (COARSE, 3),
    )
    for method in ("mean", "max", "low_pass")
} | {
    f"Unpool-{method}": Case(
        lambda method=method: layers.Unpool(_PYRAMID, 0, method=method),
        (FINE, CHANNELS),
        takes=COARSE,
    )
    for method in ("copy", "area", "adjoint", "zeros")
}  # fmt: skip
# what another layer of this list is made of, or shows only when it is called on its own output
_COVERED_ELSEWHERE = {"ChannelsFirst", "LaplacianOperator", "Pool", "Readout", "Unpool"}
_NO_LAYERS = {"MaskedSignals"}


@pytest.fixture(params=sorted(LAYERS))
def case(request) -> Case:
    return LAYERS[request.param]


def test_every_exported_layer_is_under_the_laws():
    classes = {name for name in layers.__all__ if name[0].isupper()}
    assert classes - _COVERED_ELSEWHERE - _NO_LAYERS == {name for name in LAYERS if "-" not in name}


@pytest.mark.parametrize("batch", [(), (0,), (5,), (2, 3)])
def test_any_batch_axes_are_kept(case, batch):
    layer = case.make().eval()
    assert layer(case.signals(*batch)).shape == (*batch, *case.gives)


def test_batch_axes_are_independent_in_evaluation(case):
    layer, signals = case.make().eval(), case.signals(2, 3)
    flat = layer(signals.reshape(6, case.takes, CHANNELS))
    torch.testing.assert_close(layer(signals), flat.reshape(2, 3, *case.gives))
    torch.testing.assert_close(layer(signals[1, 2]), flat[5])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_type_is_kept_and_double_is_more_precise(case, dtype):
    layer = case.make().eval()
    exact = copy.deepcopy(layer).double()(case.signals(2, dtype=torch.float64))
    output = layer.to(dtype)(case.signals(2, dtype=torch.float64).to(dtype))
    assert output.dtype == dtype
    torch.testing.assert_close(output.double(), exact, rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_finite_differences(case):
    layer = case.make().double()
    signals = case.signals(2, dtype=torch.float64).requires_grad_()
    parameters = tuple(layer.parameters())

    def output(signals, *parameters):
        names = [name for name, _ in layer.named_parameters()]
        values = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(copy.deepcopy(layer), values, (signals,))

    assert torch.autograd.gradcheck(output, (signals, *parameters), fast_mode=True)


def test_input_is_not_modified(case):
    signals = case.signals(2)
    before = signals.clone()
    case.make()(signals)
    assert torch.equal(signals, before)


def test_memory_layout_of_the_input_does_not_matter(case):
    layer, signals = case.make().eval(), case.signals(2)
    transposed = signals.transpose(1, 2).contiguous().transpose(1, 2)
    torch.testing.assert_close(layer(transposed), layer(signals))


def test_state_holds_what_is_learned_and_no_graph(case):
    layer = case.make()
    learned = {name for name, _ in layer.named_parameters()}
    running = ("running_mean", "running_var", "num_batches_tracked")
    assert all(name in learned or name.endswith(running) for name in layer.state_dict())


def test_layer_is_restored_from_its_state(case):
    layer, restored = case.make(), case.make()
    layer(case.signals(4))  # moves the running averages
    restored.load_state_dict(layer.state_dict())
    signals = case.signals(2)
    assert torch.equal(restored.eval()(signals), layer.eval()(signals))


@pytest.mark.slow
def test_compiled_layers_are_the_eager_ones():
    # in a process of its own: the run-time checks of the test suite cannot be traced
    subprocess.run([sys.executable, __file__], check=True, timeout=300)


def _compare_compiled_layers() -> None:
    """Compile every layer without a graph break and compare its outputs."""
    for case in LAYERS.values():
        layer, signals = case.make().eval(), case.signals(2)
        torch._dynamo.reset()
        # tracing is what our code can break; generating machine code is torch's business
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(signals), layer(signals))


if __name__ == "__main__":
    _compare_compiled_layers()
