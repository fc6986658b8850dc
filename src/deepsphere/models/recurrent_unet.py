"""The U-Net with a memory: what it says of the last of several frames depends on all of them."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn

from deepsphere.graph.coarsening import Pyramid
from deepsphere.graph.options import Disconnected
from deepsphere.layers.blocks import ActivationName, ConvName
from deepsphere.layers.normalization import NormalizationName
from deepsphere.layers.pooling import PoolName, UnpoolName
from deepsphere.models.field_prediction import Data, predict_fields
from deepsphere.models.retargeting import to_sampling
from deepsphere.models.specification import check_signals, plain_arguments
from deepsphere.models.unet import UNet
from deepsphere.sampling import Sampling

RecurrenceName = Literal["per_vertex", "flattened"]


class RecurrentUNet(nn.Module):
    r"""An output at every vertex of the last frame, from a sequence of frames.

    The encoder of a `UNet` goes over each frame. Its feature map of the coarsest level, frame by
    frame, is the input of an LSTM, whose last output takes the place of the map of the last frame.
    The decoder starts from there, with the skips of the last frame.

    ==============  ================================================================================
    recurrence
    ==============  ================================================================================
    ``per_vertex``  the same LSTM at every vertex of the coarsest level, on its channels: the
                    network knows no vertex from another, as all its other layers
    ``flattened``   one LSTM on all vertices and channels at once, with weights for each vertex: the
                    published one, with :math:`8 (n c)^2` weights for n vertices of c channels, 302
                    million for 12 vertices and 512 channels
    ==============  ================================================================================

    Parameters
    ----------
    pyramid : Pyramid
        As many levels as `channels`, at least 2.
    in_channels : int
        Of a frame.
    out_channels : int
        How many numbers (or logits) per vertex.
    recurrence : str
        See above.
    channels, stem_channels, kernel_size, head_kernel_size, pooling, unpooling, finest_skip, conv, \
normalization, affine, bias, activation, head_bias
        As in `UNet`.

    Raises
    ------
    ValueError
        If a name is not a valid one, the levels do not fit the channels, or (by `forward`) the
        signals have another shape or no frame.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> pyramid = ds.build_graph(ds.Icosahedral(4), num_neighbors=6).pyramid(num_levels=2)
    >>> model = RecurrentUNet(
    ...     pyramid, in_channels=16, out_channels=3, channels=(4, 8), stem_channels=4
    ... )
    >>> model(torch.zeros(2, 5, 162, 16)).shape  # two sequences of five frames
    torch.Size([2, 162, 3])

    References
    ----------
    Hochreiter and Schmidhuber, "Long short-term memory", 1997; the code of Defferrard, Milani,
    Gusset and Perraudin, "DeepSphere: a graph-based spherical CNN", 2020.
    """

    # signals are (*batch, frames, vertices, channels)
    takes_frames = True

    def __init__(
        self,
        pyramid: Pyramid,
        *,
        in_channels: int,
        out_channels: int,
        recurrence: RecurrenceName = "per_vertex",
        channels: Sequence[int] = (32, 64, 128),
        stem_channels: int = 16,
        kernel_size: int = 5,
        head_kernel_size: int = 1,
        pooling: PoolName = "low_pass",
        unpooling: UnpoolName = "copy",
        finest_skip: bool = True,
        conv: ConvName = "chebyshev",
        normalization: NormalizationName = "batch",
        affine: bool = True,
        bias: bool = False,
        activation: ActivationName = "relu",
        head_bias: bool = True,
    ) -> None:
        config = plain_arguments(locals())
        super().__init__()
        if recurrence not in get_args(RecurrenceName):
            raise ValueError(
                f"recurrence must be one of {', '.join(get_args(RecurrenceName))}, got "
                f"{recurrence!r}"
            )
        self.pyramid = pyramid
        self.config = config
        self.in_channels = in_channels
        inner = {name: value for name, value in config.items() if name != "recurrence"}
        self.unet = UNet(pyramid, **inner)
        self.recurrence: RecurrenceName = recurrence
        size = channels[-1]
        if recurrence == "flattened":
            size *= pyramid.graphs[-1].num_vertices
        # the equations of nn.LSTM; its loop over the frames is the one below
        self.cell = nn.LSTMCell(size, size)

    @property
    def tied_to_vertices(self) -> bool:
        """Whether weights belong to vertices, so that the network lives on its sampling only."""
        return self.recurrence == "flattened"

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values from which `model_from_spec` rebuilds the model, without its weights."""
        return {
            "model": "recurrent_unet",
            "pyramid": self.pyramid.spec,
            "config": deepcopy(self.config),
        }

    def to_sampling(
        self, sampling: Sampling, *, disconnected: Disconnected | None = None
    ) -> "RecurrentUNet":
        """The same network, with a copy of its weights, for signals on another sampling.

        See `deepsphere.models.retargeting.to_sampling`.
        """
        return to_sampling(self, sampling, disconnected=disconnected)

    def predict(self, data: Data, **options: Any) -> Data:
        """Predictions for an array (*batch, frames, vertices, channels), of the last frames.

        See `deepsphere.models.field_prediction.predict_fields`.
        """
        return predict_fields(self, data, **options)

    def forward(
        self, signals: Float[Tensor, "*batch frames vertices in_channels"]
    ) -> Float[Tensor, "*batch vertices out_channels"]:
        """The outputs at every vertex of the last frame."""
        check_signals(
            signals,
            num_vertices=self.pyramid.graphs[0].num_vertices,
            in_channels=self.in_channels,
        )
        if signals.ndim < 3 or not signals.shape[-3]:
            raise ValueError(
                "signals must have one frame or more, shape (*batch, frames, vertices, channels), "
                f"got {tuple(signals.shape)}; a single one is signals.unsqueeze(-3)"
            )
        signals = self.unet.stem(signals)
        skips = []
        for encode, pool in zip(self.unet.encoder, self.unet.pools, strict=True):
            signals = encode(signals)
            skips.append(signals[..., -1, :, :])
            signals = pool(signals)
        signals = self._remember(self.unet.bottom(signals))
        for decode in self.unet.decoder:
            signals = decode(signals, skips.pop())
        return self.unet.head(signals)

    def _remember(
        self, frames: Float[Tensor, "*batch frames vertices channels"]
    ) -> Float[Tensor, "*batch vertices channels"]:
        """The last output of the LSTM over the frames."""
        *batch, num_frames, num_vertices, num_channels = frames.shape
        steps = frames.movedim(-3, 0).reshape(num_frames, -1, self.cell.input_size)
        state: tuple[Tensor, Tensor] | None = None
        for step in steps:
            state = self.cell(step, state)
        assert state is not None  # there is a frame
        return state[0].reshape(*batch, num_vertices, num_channels)
