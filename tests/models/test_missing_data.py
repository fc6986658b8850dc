"""Networks on signals with missing values: nothing leaks, and nothing changes where none is."""

import numpy as np
import pytest
import torch
from torch import nn

from deepsphere.experiments.signal_files import predict_file
from deepsphere.graph import build_pyramid
from deepsphere.models import (
    CNN,
    FCN,
    ClimateUNet,
    DenseRegressor,
    Regressor,
    UNet,
    model_from_spec,
)
from deepsphere.sampling import Equiangular, Healpix
from deepsphere.tasks import Regression
from deepsphere.tasks.valid_vertices import difference_loss
from deepsphere.training import SphereModule, predict
from deepsphere.training.checkpoint import load, save

PYRAMID = build_pyramid(Healpix(nside=4), num_levels=2, num_neighbors=8)
SIZE = 192
COMMON = {"in_channels": 2, "out_channels": 3, "kernel_size": 3}
MODELS = {
    "unet": (UNet, {"channels": (4, 6), "stem_channels": 4}),
    "unet of the original": (
        UNet,
        {"channels": (4, 6), "stem_channels": 4, "finest_skip": False, "pooling": "max"},
    ),
    "climate unet": (ClimateUNet, {"channels": (4, 6, 6), "unpooling": "area", "head_bias": True}),
    "climate unet with zeros": (
        ClimateUNet,
        {"channels": (4, 6), "input_skip": True, "unpooling": "zeros", "head_bias": True},
    ),
    "dense regressor": (DenseRegressor, {"channels": (4, 4), "normalization": "group"}),
    "regressor": (Regressor, {"channels": (4, 6)}),
    "fcn": (FCN, {"channels": (4, 6), "readout": "mean_max", "pooling": "mean", "bias": True}),
    "fcn with a convolution": (
        FCN,
        {"channels": (4, 6), "head": "convolution", "readout": "mean", "activation": "silu"},
    ),
    "cnn": (CNN, {"channels": (4, 6), "conv": "bernstein", "normalization": "layer"}),
}
DENSE = [name for name in MODELS if MODELS[name][0] in (UNet, ClimateUNet, DenseRegressor)]
GARBAGE = [float("nan"), float("inf"), -float("inf"), 1e30, 0.0]


def _model(name: str, missing: str = "renormalize") -> nn.Module:
    kind, options = MODELS[name]
    torch.manual_seed(0)
    return kind(PYRAMID, **COMMON, **options, missing=missing).double()


def _signals(batch: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, SIZE, 2, generator=generator, dtype=torch.float64)


def _mask(batch: int = 3) -> torch.Tensor:
    """Random holes, a large hole, and hardly anything."""
    mask = torch.rand(batch, SIZE, generator=torch.Generator().manual_seed(1)) < 0.7
    mask[1] = torch.arange(SIZE) < SIZE // 3
    mask[2] = torch.arange(SIZE) == 5
    return mask


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_nothing_missing_is_the_plain_network_to_the_last_bit(name, mode):
    signals, full = _signals(), torch.ones(SIZE, dtype=torch.bool)
    results = []
    for missing, mask in (("raise", None), ("renormalize", None), ("renormalize", full)):
        model = _model(name, missing).train(mode == "train")
        out = model(signals, mask) if mask is not None else model(signals)
        out.square().sum().backward()
        results.append((out, [parameter.grad for parameter in model.parameters()]))
    for out, gradients in results[1:]:
        assert torch.equal(out, results[0][0])
        assert all(map(torch.equal, gradients, results[0][1]))


@pytest.mark.parametrize("name", MODELS)
def test_what_stands_at_invalid_vertices_changes_nothing(name):
    mask, results = _mask(), []
    for garbage in GARBAGE:
        model, signals = _model(name), _signals()
        signals[~mask] = garbage
        signals.requires_grad_()
        # NaN is missing by itself, all else by the mask
        out = model(signals) if np.isnan(garbage) else model(signals, mask)
        assert torch.isfinite(out).all()
        out.square().sum().backward()
        assert torch.count_nonzero(signals.grad[~mask]) == 0
        results.append([out, signals.grad, *(p.grad for p in model.parameters())])
        results[-1] += [buffer for _, buffer in model.named_buffers() if "running" in _]
    for other in results[1:]:
        assert all(map(torch.equal, other, results[0]))
    assert torch.count_nonzero(results[0][1][0]) > 0


def test_one_missing_channel_makes_a_vertex_missing():
    model, signals, mask = _model("unet").eval(), _signals(), _mask()
    holes = signals.clone()
    holes[..., 1][~mask] = torch.nan
    assert torch.equal(model(holes), model(signals, mask))


@pytest.mark.parametrize("name", MODELS)
def test_masks_of_a_batch_are_each_for_its_own_signal(name):
    model, signals, mask = _model(name).eval(), _signals(), _mask()
    together = model(signals, mask)
    for item in range(3):
        alone = model(signals[item], mask[item])
        # the fused kernels of a network that is full again round otherwise
        torch.testing.assert_close(alone, together[item], rtol=1e-7, atol=1e-9)
    shared = model(signals, mask[0])
    torch.testing.assert_close(shared, model(signals, mask[:1].expand(3, -1)))


@pytest.mark.parametrize("name", ["unet", "dense regressor", "fcn"])
def test_batches_have_any_number_of_axes(name):
    model, signals, mask = _model(name), _signals(6), torch.cat([_mask(), ~_mask()])
    folded = model(signals.unflatten(0, (2, 3)), mask.unflatten(0, (2, 3)))
    torch.testing.assert_close(folded.flatten(0, 1), _model(name)(signals, mask))


@pytest.mark.parametrize("name", DENSE)
def test_outputs_are_everywhere_within_reach(name):
    model = _model(name).eval()
    nn.init.constant_(model.head.bias, 1000.0)  # what is not reached is zero
    assert bool((model(_signals(), _mask())[:2] > 0).all())


def test_outputs_beyond_reach_are_zero():
    pyramid = build_pyramid(Healpix(nside=8), num_levels=1, num_neighbors=8)
    model = DenseRegressor(
        pyramid, in_channels=1, out_channels=1, channels=(4,), kernel_size=2, missing="renormalize"
    ).eval()
    nn.init.ones_(model.head.bias)
    signal = torch.full((768, 1), torch.nan)
    signal[300] = 1.0
    hops = (pyramid.graphs[0].adjacency.toarray() > 0) + np.eye(768)
    within = torch.from_numpy(np.linalg.matrix_power(hops, 2)[300] > 0)
    assert torch.equal(model(signal).ravel() != 0, within)


@pytest.mark.parametrize("name", MODELS)
def test_sample_without_anything_valid_is_finite_with_zero_gradient(name):
    model, signals = _model(name), _signals()
    signals[1] = torch.nan
    signals.requires_grad_()
    out = model(signals)
    assert torch.isfinite(out).all()
    out.square().sum().backward()
    assert torch.count_nonzero(signals.grad[1]) == 0
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())
    nothing = model(torch.full((2, SIZE, 2), torch.nan).double())
    assert torch.isfinite(nothing).all()
    assert torch.equal(nothing[0], nothing[1])


def test_constant_with_holes_is_a_constant_before_the_skips():
    """Without normalization a network without skips takes constants to constants."""
    model = DenseRegressor(
        PYRAMID, **COMMON, channels=(4, 4), normalization="none", missing="renormalize"
    ).double()
    constant, mask = torch.ones(1, SIZE, 2).double(), _mask()[:1]
    torch.testing.assert_close(model(constant, mask), model(constant), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_specification_keeps_what_is_done_with_missing_values(name):
    model = _model(name)
    again = model_from_spec(model.spec)
    assert again.spec == model.spec
    assert again.missing == "renormalize"
    plain = {**model.spec, "config": {**model.spec["config"]}}
    del plain["config"]["missing"]  # as networks of earlier versions were saved
    assert model_from_spec(plain).missing == "raise"


def test_checkpoint_and_other_samplings_keep_it(tmp_path):
    model, signals, mask = _model("unet").float().eval(), _signals().float(), _mask()
    save(tmp_path / "model.ckpt", model)
    assert torch.equal(load(tmp_path / "model.ckpt")(signals, mask), model(signals, mask))
    moved = model.to_sampling(Healpix(nside=4).subset(np.arange(96)))
    assert torch.isfinite(moved(signals[:, :96], mask[:, :96])).all()


@pytest.mark.parametrize("mismatch", ["raise", "reorder", "adapt"])
def test_prediction_takes_nan_as_missing(mismatch):
    model, mask = _model("unet").float().eval(), _mask().numpy()
    signals = np.where(mask[..., None], _signals().numpy(), np.nan)
    found = predict(model, signals, mismatch=mismatch, batch_size=2)
    with torch.no_grad():
        expected = model(torch.from_numpy(signals).float()).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    signals[0, 0, 0] = np.inf
    with pytest.raises(ValueError, match="signals must be finite, got 0 NaN and 1 infinite"):
        predict(model, signals, mismatch=mismatch)


def test_prediction_of_a_plain_network_raises_at_nan():
    signals = np.full((1, SIZE, 2), np.nan)
    with pytest.raises(ValueError, match=f"signals must be finite, got {2 * SIZE} NaN"):
        predict(_model("unet", "raise"), signals)


def test_file_with_nan_is_predicted(tmp_path):
    save(tmp_path / "model.ckpt", _model("unet").float().eval())
    signals = np.where(_mask().numpy()[..., None], _signals().numpy(), np.nan).astype(np.float32)
    np.save(tmp_path / "signals.npy", signals)
    target = tmp_path / "outputs.npz"
    summary = predict_file(tmp_path / "model.ckpt", tmp_path / "signals.npy", target)
    assert summary.num_vertices == SIZE
    expected = predict(load(tmp_path / "model.ckpt"), signals)
    np.testing.assert_allclose(np.load(target)["predictions"], expected, atol=1e-5)


def test_training_takes_nan_as_it_is():
    module = SphereModule(_model("unet").float(), Regression(3))
    signals, targets = _signals().float(), torch.zeros(3, SIZE, 3)
    signals[~_mask()] = torch.nan
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(signals, targets), batch_size=2
    )
    for batch in loader:
        loss = module.task.loss(module(batch[0]), batch[1])
        loss.backward()
        assert torch.isfinite(loss)
    assert all(torch.isfinite(parameter.grad).all() for parameter in module.parameters())


def test_plain_network_takes_no_mask():
    with pytest.raises(ValueError, match="mask must be None in a network with missing='raise'"):
        _model("unet", "raise")(_signals(), _mask())


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", MODELS)
def test_unknown_way_is_rejected(name):
    with pytest.raises(ValueError, match="missing must be one of raise, renormalize, got 'drop'"):
        _model(name, "drop")


def test_grid_with_poles_that_crowd():
    pyramid = build_pyramid(Equiangular(nlat=8, nlon=16), num_levels=2)
    model = UNet(
        pyramid, **COMMON, channels=(4, 6), stem_channels=4, missing="renormalize"
    ).double()
    mask = torch.rand(4, 128, generator=torch.Generator().manual_seed(2)) < 0.3
    results = []
    for garbage in (torch.nan, torch.inf):
        signals = torch.ones(4, 128, 2).double()
        signals[~mask] = garbage
        results.append(model.eval()(signals, mask))
    assert torch.isfinite(results[0]).all()
    assert torch.equal(*results)


def _band_limited(num: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth fields, and their Laplacian with a product: what neighbors are needed for."""
    eigenvalues, modes = np.linalg.eigh(PYRAMID_LEARNED.graphs[0].laplacian.toarray())
    degrees = np.floor(np.sqrt(np.arange(64)))
    generator = np.random.default_rng(seed)
    parts = generator.standard_normal((num, 64, 2)) / (1 + degrees[:, None])
    fields = 12 * np.einsum("vk,nkc->nvc", modes[:, :64], parts)
    curved = 12 * np.einsum("vk,nkc->nvc", modes[:, :64], parts * (eigenvalues[:64, None] * 0.5))
    targets = curved[..., :1] + fields[..., 1:] * np.tanh(fields[..., :1])
    return torch.from_numpy(fields).float(), torch.from_numpy(targets).float()


PYRAMID_LEARNED = build_pyramid(Healpix(nside=4), num_levels=1, num_neighbors=20)


def _trained_error(way: str, seed: int) -> tuple[float, float]:
    """Test error where something was observed and where not, with 30 % missing at random."""
    torch.manual_seed(seed)
    model = DenseRegressor(
        PYRAMID_LEARNED,
        in_channels=2,
        out_channels=1,
        channels=(16, 16),
        kernel_size=4,
        missing="renormalize",
    )
    generator = torch.Generator().manual_seed(seed)
    fields, targets = _band_limited(48, seed=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def holes(num: int) -> torch.Tensor:
        return torch.rand(num, SIZE, 1, generator=generator) < 0.3

    def run(signals: torch.Tensor, missing: torch.Tensor) -> torch.Tensor:
        return model(torch.where(missing, torch.nan if way == "renormalize" else 0.0, signals))

    for _ in range(150):
        chosen = torch.randint(48, (8,), generator=generator)
        loss = difference_loss(run(fields[chosen], holes(8)), targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    fields, targets = _band_limited(48, seed=1)
    missing = holes(48)
    with torch.no_grad():
        outputs = run(fields, missing)
    return (
        difference_loss(outputs, targets, valid=~missing).item(),
        difference_loss(outputs, targets, valid=missing).item(),
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_network_learns_better_than_with_zeros(seed):
    masked, filled = (_trained_error(way, seed) for way in ("renormalize", "zeros"))
    assert masked[0] < 0.9 * filled[0]
    assert masked[1] < 0.9 * filled[1]
