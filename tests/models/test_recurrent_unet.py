"""The U-Net with a memory against a U-Net and torch's LSTM."""

import pytest
import torch
from torch import nn

from deepsphere.graph.coarsening import build_pyramid
from deepsphere.models import RecurrentUNet, UNet, num_parameters
from deepsphere.sampling import Healpix, Icosahedral

SIZES = {"in_channels": 2, "out_channels": 3, "channels": (4, 6), "stem_channels": 3}


@pytest.fixture(scope="module")
def pyramid():
    return build_pyramid(Icosahedral(4), num_levels=2, num_neighbors=6, weights="gaussian")


def make(pyramid, recurrence: str) -> RecurrentUNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return RecurrentUNet(pyramid, recurrence=recurrence, kernel_size=3, **SIZES).eval()


def sequences(num_frames: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, num_frames, 162, 2, generator=generator)


def lstm_of(cell: nn.LSTMCell) -> nn.LSTM:
    """Torch's loop over the frames with the weights of a cell."""
    lstm = nn.LSTM(cell.input_size, cell.hidden_size)
    weights = {f"{name}_l0": tensor for name, tensor in cell.state_dict().items()}
    lstm.load_state_dict(weights)
    return lstm


@pytest.mark.parametrize("recurrence", ["flattened", "per_vertex"])
def test_bottleneck_is_the_last_output_of_an_lstm_over_the_frames(pyramid, recurrence):
    model, signals = make(pyramid, recurrence), sequences(3)
    unet = model.unet
    # frame by frame through the encoder of the U-Net
    maps, skips = [], []
    for frame in signals.unbind(dim=1):
        skips = [unet.encoder[0](unet.stem(frame))]
        maps.append(unet.bottom(unet.pools[0](skips[0])))
    stacked = torch.stack(maps)  # (frames, batch, vertices, channels)
    shape = stacked.shape[1:]
    if recurrence == "flattened":
        steps = stacked.flatten(2)
    else:
        steps = stacked.flatten(1, 2)
    last = lstm_of(model.cell)(steps)[0][-1].reshape(shape)
    expected = unet.head(unet.decoder[0](last, skips[0]))
    torch.testing.assert_close(model(signals), expected)


@pytest.mark.parametrize(("recurrence", "size"), [("per_vertex", 6), ("flattened", 6 * 42)])
def test_memory_has_the_stated_number_of_weights(pyramid, recurrence, size):
    model = make(pyramid, recurrence)
    inner = num_parameters(UNet(pyramid, kernel_size=3, **SIZES))
    assert num_parameters(model) - inner == 8 * size**2 + 8 * size


@pytest.mark.parametrize("recurrence", ["flattened", "per_vertex"])
def test_every_frame_counts_and_their_order_too(pyramid, recurrence):
    model, signals = make(pyramid, recurrence), sequences(3)
    output = model(signals)
    for frame in range(3):
        changed = signals.clone()
        changed[:, frame] += 1.0
        assert (model(changed) - output).abs().max() > 1e-4
    assert (model(signals[:, [1, 0, 2]]) - output).abs().max() > 1e-6


def test_one_memory_for_all_vertices_lives_on_any_sampling_and_its_rival_does_not(pyramid):
    sky = Healpix(nside=4)
    moved = make(pyramid, "per_vertex").to_sampling(sky)
    assert moved(torch.zeros(1, 2, 192, 2)).shape == (1, 192, 3)
    with pytest.raises(ValueError, match="must have no weights that belong to vertices"):
        make(pyramid, "flattened").to_sampling(sky)


def test_signals_without_frames_are_rejected(pyramid, unchecked):
    model = make(pyramid, "per_vertex")
    with pytest.raises(ValueError, match=r"must have one frame or more, .* got \(162, 2\); a sing"):
        model(torch.zeros(162, 2))
    with pytest.raises(ValueError, match="must have one frame or more"):
        model(torch.zeros(1, 0, 162, 2))


def test_unknown_recurrence_is_rejected(pyramid, unchecked):
    with pytest.raises(ValueError, match="recurrence must be one of per_vertex, flattened, got 'g"):
        make(pyramid, "gru")
