"""Nonlinearities that make no content too fine for their grid."""

from jaxtyping import Float
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from deepsphere.graph.coarsening import Pyramid
from deepsphere.graph.low_pass import smoothing_matrix
from deepsphere.graph.pooling_matrices import mean_pooling_matrix, unpooling_matrix
from deepsphere.layers.blocks import ActivationName, make_activation
from deepsphere.layers.resampling import Resample, check_vertices


class UpsampledNonlinearity(nn.Module):
    r"""An activation applied at the resolution of the next finer level, where it stays.

    .. math:: y = \sigma\big((I - L/\lambda_{max})^q\, U x\big),

    with U the copy to the children and L the Laplacian of the finer graph, as one precomputed
    sparse matrix whose rows sum to one. A nonlinearity creates harmonics of higher degrees than its
    input has; on a grid that cannot hold them they turn into content that does not follow
    rotations. Meant for the last activation of a network, with the readout after it.

    Parameters
    ----------
    pyramid : Pyramid
    level : int
        The level of the signal, at least 1; the result is on ``level - 1``.
    activation : str
        Name of the activation, as in :class:`deepsphere.layers.blocks.ConvBlock`.
    power : int
        q, not negative; 0 is the plain copy.

    Examples
    --------
    >>> import deepsphere as ds
    >>> import torch
    >>> pyramid = ds.build_graph(ds.Healpix(nside=4), num_neighbors=20).pyramid(num_levels=2)
    >>> UpsampledNonlinearity(pyramid, level=1)(torch.zeros(5, 48, 16)).shape
    torch.Size([5, 192, 16])

    References
    ----------
    Karras et al. (2021), Alias-free generative adversarial networks, section 3.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        level: int,
        activation: ActivationName = "relu",
        *,
        power: int = 2,
    ) -> None:
        super().__init__()
        if pyramid.num_levels < 2:
            raise ValueError(
                "pyramid must have at least 2 levels, got 1; the activation is at the finer of two"
            )
        if not 1 <= level < pyramid.num_levels:
            raise ValueError(
                f"level must be between 1 and {pyramid.num_levels - 1}, got {level}; it is that of "
                "the signal, and the result is one level finer"
            )
        if power < 0:
            raise ValueError(f"power must not be negative, got {power}; 2 suits most graphs")
        self.level = level
        self.num_vertices = [graph.num_vertices for graph in pyramid.graphs]
        matrix = unpooling_matrix(pyramid.memberships[level - 1])
        step = smoothing_matrix(pyramid.graphs[level - 1])
        for _ in range(power):
            matrix = csr_matrix(step @ matrix)
        # only the combinatorial Laplacian keeps constants by itself
        self.resample = Resample(mean_pooling_matrix(matrix))
        self.activation = make_activation(activation)

    def forward(
        self, x: Float[Tensor, "*batch coarse_vertices channels"]
    ) -> Float[Tensor, "*batch vertices channels"]:
        """The activated signal, at the resolution of the finer level.

        Parameters
        ----------
        x : Tensor, shape (*batch, coarse vertices, channels)

        Returns
        -------
        Tensor, shape (*batch, vertices, channels)

        Raises
        ------
        ValueError
            If the signal has another number of vertices.
        """
        check_vertices(x, self.num_vertices, self.level)
        return self.activation(self.resample(x))

    def extra_repr(self) -> str:
        """The levels, in a network's printout."""
        return f"level {self.level} -> {self.level - 1}"
