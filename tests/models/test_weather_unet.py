"""The residual U-Net: increments, residuals, published sizes, land."""

import pytest
import torch

from deepsphere.graph.coarsening import build_pyramid
from deepsphere.models import WeatherUNet, num_parameters
from deepsphere.sampling import Healpix


def pyramid(num_levels: int = 2, nside: int = 4):
    return build_pyramid(Healpix(nside), num_levels=num_levels, num_neighbors=8)


def make(num_levels: int = 2, **options) -> WeatherUNet:
    sizes = {"in_channels": 5, "out_channels": 2, "channels": (4, 6, 8)[:num_levels]}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return WeatherUNet(pyramid(num_levels), **(sizes | options))


def draw(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("num_levels", [1, 2, 3])
def test_untrained_network_forecasts_persistence_in_training_too(num_levels):
    model = make(num_levels)
    signals = draw(3, 192, 5)
    for training in (True, False):
        assert torch.equal(model.train(training)(signals), signals[..., -2:])


def test_untrained_network_learns_all_its_weights():
    # α and the shortcuts in the first step, everything after it
    model = make(3)
    signals, targets = draw(3, 192, 5), draw(3, 192, 2, seed=2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (model(signals) - targets).square().mean().backward()
        optimizer.step()
    assert not [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()]


def test_memory_of_the_state_fades_by_channel():
    model = make().eval()
    with torch.no_grad():
        model.memory.copy_(torch.tensor([0.5, 0.25]))
    signals = draw(1, 192, 5)
    torch.testing.assert_close(model(signals), signals[..., -2:] * torch.tensor([0.5, 0.25]))


def test_network_without_increments_is_its_head():
    with_state, without = (
        make(residual_scale=0.3).eval(),
        make(increment="none", residual_scale=0.3),
    )
    assert without.memory is None
    without.load_state_dict(
        {
            key: value
            for key, value in with_state.state_dict().items()
            if key in without.state_dict()
        }
    )
    signals = draw(2, 192, 5)
    expected = signals[..., -2:] + 0.3 * without.eval()(signals)
    torch.testing.assert_close(with_state(signals), expected)


def test_published_sizes_are_those_of_their_convolutions():
    kernel_size, inputs, outputs = 3, 16, 2
    model = WeatherUNet(
        pyramid(3),
        in_channels=inputs,
        out_channels=outputs,
        channels=(128, 256, 256),
        hidden_channels=(64, 192, 512),
        kernel_size=kernel_size,
    )
    blocks = [
        (inputs, 64, 128),
        (128, 192, 256),
        (256, 512, 256),
        (512, 256, 128),
        (256, 128, 64),
        (64, 64, outputs),
    ]
    expected = sum(
        kernel_size * (a * b + b * c) + 2 * (b + c) + (a * c if a != c else 0) + 1
        for a, b, c in blocks
    )
    assert num_parameters(model) == expected + outputs + 1


def test_one_level_and_kernel_size_1_look_at_each_vertex_alone():
    model = make(1, kernel_size=1, residual_scale=0.5).eval()
    signals = draw(192, 5)
    changed = signals.clone()
    changed[7] += 1
    different = (model(signals) != model(changed)).any(dim=-1)
    assert different.nonzero().ravel().tolist() == [7]


def test_land_is_not_looked_at():
    model = make(missing="renormalize", residual_scale=0.5)
    plain = make(residual_scale=0.5)
    plain.load_state_dict(model.state_dict())
    signals = draw(2, 192, 5)
    torch.testing.assert_close(model.eval()(signals), plain.eval()(signals))
    land = torch.arange(192) % 5 == 0
    garbage = torch.where(land[:, None], 1e20, signals)
    missing = torch.where(land[:, None], torch.nan, signals)
    assert torch.equal(model(missing), model(garbage, mask=~land))
    assert model(missing).isfinite().all()


def test_networks_that_do_not_fit_are_rejected(unchecked):
    with pytest.raises(ValueError, match="channels must have one entry for each of 2 levels"):
        make(channels=(4, 6, 8))
    with pytest.raises(
        ValueError, match="hidden_channels must have one entry for each of 2 levels"
    ):
        make(hidden_channels=(4,))
    with pytest.raises(ValueError, match="increment must be one of state, none, got 'all'"):
        make(increment="all")
    with pytest.raises(ValueError, match=r"in_channels must be at least out_channels \(6\), of"):
        make(out_channels=6)
    with pytest.raises(ValueError, match="unpooling must not be 'index' in a U-Net"):
        make(unpooling="index")
