"""What every registered model keeps, on every kind of sampling."""

import copy
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from deepsphere.graph.coarsening import build_pyramid
from deepsphere.models import MODELS, SAMPLING_KINDS, Classifier, model_from_spec
from deepsphere.sampling import (
    CubedSphere,
    Equiangular,
    Fibonacci,
    Healpix,
    Icosahedral,
    RandomUniform,
    Sampling,
    Scattered,
    Subset,
)

IN_CHANNELS, OUT_CHANNELS = 2, 3
SMALL = {
    "fcn": {"channels": (4, 6), "kernel_size": 3, "last_upsampled": True},
    "cnn": {"channels": (4, 6), "kernel_size": 3, "dropout": 0.1},
    "regressor": {"channels": (4, 6), "kernel_size": 3, "readout": "histogram"},
    "dense_regressor": {"channels": (6, 8), "kernel_size": 3},
    "unet": {"channels": (6, 8), "stem_channels": 4, "kernel_size": 3},
    "climate_unet": {"channels": (4, 6, 8), "kernel_size": 3},
    "recurrent_unet": {"channels": (6, 8), "stem_channels": 4, "kernel_size": 3},
    # with the default scale of 0 no gradient reaches the residuals in the first step
    "weather_unet": {"channels": (6, 8), "increment": "none", "residual_scale": 0.5},
    "cnn2d": {"channels": (4, 6)},
    "cube_cnn": {"channels": (4, 6)},
    "cohen": {"channels": (4, 6), "bandwidths": (3, 2)},
    "esteves": {"channels": (4, 6), "descriptor_size": 5},
    "planar_cnn": {"channels": (4, 6), "kernel_size": 3},
    "ugscnn": {"channels": (4, 8)},
}
PER_VERTEX = ("dense_regressor", "unet", "climate_unet", "recurrent_unet", "weather_unet")
NUM_FRAMES = {"recurrent_unet": (2,)}  # of a signal that is a sequence
INVARIANT = ("fcn", "regressor")
ON_SOFT_GRIDS = ("cohen", "esteves")
# where a rival lives, small
HOMES: dict[type[Sampling], Sampling] = {
    Equiangular: Equiangular.soft(4),
    CubedSphere: CubedSphere(4),
    Icosahedral: Icosahedral(subdivisions=4),
    Subset: Healpix(nside=8).subset(np.arange(64, 128)),
}


def _scattered(num_vertices: int) -> Scattered:
    points = RandomUniform(num_vertices, seed=0)
    return Scattered(np.rad2deg(points.lon), np.rad2deg(points.lat))


SAMPLINGS = {
    "healpix": lambda: Healpix(nside=4),
    "equiangular": lambda: Equiangular(nlat=8),
    "equiangular-soft": lambda: Equiangular.soft(4),
    "equiangular-poles": lambda: Equiangular(nlat=9, nlon=16, poles=2),
    "icosahedral": lambda: Icosahedral(subdivisions=4),
    "cubed-sphere": lambda: CubedSphere(6),
    "fibonacci": lambda: Fibonacci(150),
    "scattered": lambda: _scattered(150),
    "subset": lambda: Healpix(nside=4).subset(Healpix(nside=4).lat > 0.2),
    "subset-block": lambda: HOMES[Subset],
}


def _make(name: str, sampling: Sampling | None = None, seed: int = 0) -> nn.Module:
    """A small model of that name, on HEALPix or where it lives if no sampling is given."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sizes = {"in_channels": IN_CHANNELS, "out_channels": OUT_CHANNELS, **SMALL[name]}
        if name in SAMPLING_KINDS:
            return MODELS[name](sampling or HOMES[SAMPLING_KINDS[name]], **sizes)
        pyramid = build_pyramid(sampling or Healpix(nside=4), num_levels=2, num_neighbors=8)
        return MODELS[name](pyramid, **sizes)


def _num_vertices(model: nn.Module) -> int:
    sampling = model.sampling if hasattr(model, "sampling") else model.pyramid.samplings[0]
    return sampling.num_vertices


def _signals(model: nn.Module, *batch: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    frames = NUM_FRAMES.get(model.spec["model"], ())
    return torch.randn(*batch, *frames, _num_vertices(model), IN_CHANNELS, generator=generator)


def _output_shape(name: str, model: nn.Module) -> tuple[int, ...]:
    return (_num_vertices(model), OUT_CHANNELS) if name in PER_VERTEX else (OUT_CHANNELS,)


@pytest.fixture(params=sorted(MODELS))
def name(request) -> str:
    return request.param


def test_every_registered_model_is_under_the_laws():
    assert set(SMALL) == set(MODELS)


@pytest.mark.parametrize("rival", sorted(SAMPLING_KINDS))
def test_rival_on_another_kind_of_sampling_is_rejected(rival):
    spec = _make(rival).spec
    with pytest.raises(ValueError, match=rf"sampling must be .* for {rival}, got 'fibonacci:"):
        model_from_spec(spec | {"sampling": Fibonacci(150).spec})
    del spec["sampling"]
    with pytest.raises(ValueError, match="spec must have the key 'sampling', got 'model'"):
        model_from_spec(spec)


@pytest.mark.parametrize("sampling", sorted(SAMPLINGS))
def test_forward_on_each_sampling(name, sampling):
    there = SAMPLINGS[sampling]()
    if not isinstance(there, SAMPLING_KINDS.get(name, Sampling)):
        return  # a rival is defined on one kind of sampling only
    if name in ON_SOFT_GRIDS and sampling != "equiangular-soft":
        return
    if name == "planar_cnn" and sampling != "subset-block":
        return
    model = _make(name, there)
    output = model(_signals(model, 2))
    assert output.shape == (2, *_output_shape(name, model))
    assert output.isfinite().all()


@pytest.mark.parametrize("batch", [(), (0,), (5,), (2, 3)])
def test_any_batch_axes_are_kept(name, batch):
    model = _make(name).eval()
    assert model(_signals(model, *batch)).shape == (*batch, *_output_shape(name, model))


@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_output_is_the_classification_of_the_descriptor(name, batch):
    model = _make(name)
    if not isinstance(model, Classifier):
        assert name in (*PER_VERTEX, "regressor")
        return
    model.eval()
    signals = _signals(model, *batch)
    features = model.describe(signals)
    assert features.shape[:-1] == batch
    assert torch.equal(model.classify(features), model(signals))
    # the descriptor is what the last dense layer takes: the rest of the way is affine
    zero = model.classify(torch.zeros_like(features))
    torch.testing.assert_close(model.classify(2 * features) - zero, 2 * (model(signals) - zero))


def test_maps_of_a_batch_are_independent_in_evaluation(name):
    model = _make(name).eval()
    signals = _signals(model, 4)
    torch.testing.assert_close(model(signals)[2], model(signals[2]))


def test_evaluation_is_deterministic_and_leaves_the_model_alone(name):
    model = _make(name).eval()
    state = copy.deepcopy(model.state_dict())
    signals = _signals(model, 2)
    assert torch.equal(model(signals), model(signals))
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())


def test_training_is_deterministic_by_seed(name):
    outputs = []
    for _ in range(2):
        model = _make(name, seed=3)
        with torch.random.fork_rng():
            torch.manual_seed(4)
            outputs.append(model(_signals(model, 3)))
    assert torch.equal(*outputs)


def test_gradient_reaches_every_parameter(name):
    model = _make(name)
    output = model(_signals(model, 4))
    generator = torch.Generator().manual_seed(2)
    (output * torch.randn(output.shape, generator=generator)).sum().backward()
    without = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without


def test_eight_examples_are_overfitted(name):
    # per vertex the target is seen in the signal, else it has to be learned by heart
    model = _make(name, None if name in SAMPLING_KINDS else Healpix(nside=2))
    signals = _signals(model, 8)
    if name in PER_VERTEX:
        last = signals[:, -1] if name in NUM_FRAMES else signals
        targets = torch.cat([last, last.sum(dim=-1, keepdim=True)], dim=-1)
    else:
        targets = torch.randn(8, OUT_CHANNELS, generator=torch.Generator().manual_seed(5))
    goal = 0.1 * targets.var().item()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    with torch.random.fork_rng():
        for _ in range(400):
            optimizer.zero_grad()
            loss = functional.mse_loss(model(signals), targets)
            if loss.item() < goal:
                return
            loss.backward()
            optimizer.step()
    pytest.fail(f"the loss is still {loss.item():.3g}, above {goal:.3g}")


def test_model_is_rebuilt_from_its_specification_and_state(name):
    model = _make(name)
    model(_signals(model, 4))  # moves the running averages
    spec = json.loads(json.dumps(model.spec))
    rebuilt = model_from_spec(spec)
    assert rebuilt.spec == model.spec
    rebuilt.load_state_dict(model.state_dict())
    signals = _signals(model, 2)
    assert torch.equal(rebuilt.eval()(signals), model.eval()(signals))


def test_specification_is_a_copy(name):
    model = _make(name)
    before = json.dumps(model.spec)
    model.spec["config"]["channels"].append(7)
    assert json.dumps(model.spec) == before


def test_state_holds_what_is_learned_and_no_graph(name):
    model = _make(name)
    learned = {key for key, _ in model.named_parameters()}
    running = ("running_mean", "running_var", "num_batches_tracked")
    assert all(key in learned or key.endswith(running) for key in model.state_dict())


def test_double_precision_agrees_with_single(name):
    model = _make(name).eval()
    signals = _signals(model, 2)
    exact = copy.deepcopy(model).double()(signals.double())
    assert exact.dtype == torch.float64
    torch.testing.assert_close(model(signals).double(), exact, rtol=1e-4, atol=1e-5)


def test_input_is_not_modified(name):
    model = _make(name)
    signals = _signals(model, 2)
    before = signals.clone()
    model(signals)
    assert torch.equal(signals, before)


def test_wrong_shape_is_rejected(name):
    model = _make(name)
    num = _num_vertices(model)
    message = rf"signals must have shape \(\*batch, {num} vertices, 2 channels\), got"
    for shape in [(5, IN_CHANNELS, num), (5, num - 1, IN_CHANNELS), (5, num, 7)]:
        with pytest.raises(ValueError, match=message):
            model(torch.zeros(shape))


def test_quarter_turn_of_healpix_permutes_or_keeps_the_output(name):
    # a turn by 90 degrees about the poles maps the twelve base pixels, in three rows of four,
    # and with them all pixels onto each other: there the network is equivariant exactly
    if name in SAMPLING_KINDS or name == "cnn":
        return
    model = _make(name).double().eval()

    def turned(signals):
        rows = signals.unflatten(-2, (3, 4, -1))
        return rows.roll(1, dims=-3).flatten(-4, -2)

    signals = _signals(model, 2).double()
    output = model(signals)
    expected = output if name in INVARIANT else turned(output)
    # the low-pass drops small entries, where a tie may fall on either side of the threshold
    torch.testing.assert_close(model(turned(signals)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_compiled_models_are_the_eager_ones():
    # in a process of its own: the run-time checks of the test suite cannot be traced
    subprocess.run([sys.executable, __file__], check=True, timeout=300)


def _compare_compiled_models() -> None:
    """Compile every model without a graph break and compare its outputs."""
    for name in MODELS:
        model = _make(name).eval()
        signals = _signals(model, 2)
        torch._dynamo.reset()
        compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(signals), model(signals))


if __name__ == "__main__":
    _compare_compiled_models()
