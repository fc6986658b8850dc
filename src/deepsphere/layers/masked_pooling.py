r"""Pooling and unpooling of masked signals.

A linear pooling P is divided by the share of its weights that is valid, :math:`P(m \circ x) / P m`,
so that constants stay; a coarse vertex is valid where any weight of it is. The maximum is that of
the valid children.
"""

import torch
from torch import Tensor, nn

from deepsphere.layers.masked_signals import MaskedSignals, Signals, settled
from deepsphere.layers.pooling import Pool, Unpool
from deepsphere.layers.resampling import check_vertices
from deepsphere.layers.smoothing import UpsampledNonlinearity


def masked_pooling(pool: Pool, signals: MaskedSignals) -> Signals:
    """The pooled signals, and the coarse vertices that anything valid is pooled into.

    Parameters
    ----------
    pool : Pool
    signals : MaskedSignals

    Returns
    -------
    Tensor or MaskedSignals

    Raises
    ------
    ValueError
        If the signals have another number of vertices.

    Examples
    --------
    >>> import deepsphere as ds
    >>> pyramid = ds.build_graph(ds.Healpix(nside=2), num_neighbors=8).pyramid(num_levels=2)
    >>> valid = torch.arange(48) % 4 == 0
    >>> signals = MaskedSignals(7.0 * valid[:, None], valid)
    >>> masked_pooling(Pool(pyramid, level=0), signals).unique()
    tensor([7.])
    """
    values, valid = signals
    check_vertices(values, pool.num_vertices, pool.level)
    if pool.method != "max":
        return _renormalized(pool.operation, values, valid)
    known = valid.unsqueeze(-1)
    maxima = pool.operation(torch.where(known, values, -torch.inf))
    any_valid = pool.operation(known.to(values.dtype)).squeeze(-1) > 0
    return settled(maxima, any_valid)


def masked_unpooling(unpool: Unpool, signals: MaskedSignals) -> Signals:
    """The unpooled signals, valid below valid coarse vertices.

    Where an unpooling puts zeros or ones whatever the signal is, these are valid.

    Parameters
    ----------
    unpool : Unpool
        Of any method but "index".
    signals : MaskedSignals

    Returns
    -------
    Tensor or MaskedSignals

    Raises
    ------
    ValueError
        If the method is "index", or the signals have another number of vertices.

    Examples
    --------
    >>> import deepsphere as ds
    >>> pyramid = ds.build_graph(ds.Healpix(nside=2), num_neighbors=8).pyramid(num_levels=2)
    >>> valid = torch.arange(12) < 6
    >>> out = masked_unpooling(Unpool(pyramid, level=0), MaskedSignals(torch.zeros(12, 1), valid))
    >>> bool(out.valid[:24].all()), bool(out.valid[24:].any())
    (True, False)
    """
    values, valid = signals
    if unpool.method == "index":
        raise ValueError(
            "method must not be 'index' for signals with missing values, got it; use 'copy'"
        )
    check_vertices(values, unpool.num_vertices, unpool.level + 1)
    whole = unpool(torch.ones_like(values[..., :1]))
    if unpool.method == "pad_ones":
        rest = valid.new_ones(*valid.shape[:-1], whole.shape[-2] - valid.shape[-1])
        return settled(unpool(values), torch.cat([valid, rest], dim=-1))
    out = _renormalized(unpool.operation, values, valid, whole=whole)
    if unpool.method == "zeros" and isinstance(out, MaskedSignals):
        return settled(out.values, out.valid | (whole.squeeze(-1) == 0))
    return out


def masked_upsampling(layer: UpsampledNonlinearity, signals: MaskedSignals) -> Signals:
    """The activated signals at the resolution of the finer level.

    Parameters
    ----------
    layer : UpsampledNonlinearity
    signals : MaskedSignals

    Returns
    -------
    Tensor or MaskedSignals

    Raises
    ------
    ValueError
        If the signals have another number of vertices.

    Examples
    --------
    >>> import deepsphere as ds
    >>> pyramid = ds.build_graph(ds.Healpix(nside=2), num_neighbors=8).pyramid(num_levels=2)
    >>> layer = UpsampledNonlinearity(pyramid, level=1)
    >>> valid = torch.arange(12) < 11
    >>> out = masked_upsampling(layer, MaskedSignals(valid[:, None].float(), valid))
    >>> bool(torch.allclose(out, torch.ones(48, 1)))
    True
    """
    values, valid = signals
    check_vertices(values, layer.num_vertices, layer.level)
    out = _renormalized(layer.resample, values, valid)
    if isinstance(out, Tensor):
        return layer.activation(out)
    return settled(layer.activation(out.values), out.valid)


def _renormalized(
    operation: nn.Module, values: Tensor, valid: Tensor, *, whole: Tensor | None = None
) -> Signals:
    """What a linear layer of nonnegative weights makes, over the share of them that is valid.

    `whole` is what it makes of ones, where that is not one.
    """
    share = operation(valid.unsqueeze(-1).to(values.dtype))
    reached = share > 0
    scale = torch.where(reached, 1 if whole is None else whole, 0) / torch.where(reached, share, 1)
    return settled(operation(values) * scale, reached.squeeze(-1))
