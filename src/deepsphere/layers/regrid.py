"""Regridding as a layer."""

import numpy as np

from deepsphere.graph.transfer import Method, transfer_matrix
from deepsphere.layers.resampling import Resample
from deepsphere.sampling import Sampling


class Regrid(Resample):
    r"""The map of signals from one sampling to another, differentiable.

    :math:`y = T x` with the matrix of :func:`deepsphere.graph.transfer_matrix`. It has no
    parameters.

    Parameters
    ----------
    source, target : Sampling
        Where the signals are, and where they are wanted; also subsets.
    method : {"nearest", "barycentric", "conservative"}

    Raises
    ------
    ValueError
        If a subset as the source does not reach every vertex of the target.

    Examples
    --------
    >>> import deepsphere as ds
    >>> import torch
    >>> layer = Regrid(ds.Equiangular(nlat=6, nlon=12), ds.Healpix(nside=2))
    >>> layer(torch.ones(5, 72, 3)).shape
    torch.Size([5, 48, 3])
    """

    def __init__(
        self, source: Sampling, target: Sampling, *, method: Method = "conservative"
    ) -> None:
        matrix = transfer_matrix(source, target, method)
        missed = np.flatnonzero(np.diff(matrix.indptr) == 0)
        if len(missed):
            raise ValueError(
                f"source must reach every vertex of the target, got {source!r}, which misses "
                f"{len(missed)} of {target.num_vertices}, the first being {missed[0]}; take those "
                "that are reached, target.subset(numpy.diff(transfer_matrix(...).indptr) > 0)"
            )
        super().__init__(matrix)
        self._source, self._target, self._method = source, target, method

    def extra_repr(self) -> str:
        """Which samplings, in a network's printout."""
        return f"{self._source!r} -> {self._target!r}, {self._method}"
