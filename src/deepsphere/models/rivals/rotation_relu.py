"""The rectifier of functions of rotations, from coefficients to coefficients, without the grid."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from deepsphere.models.rivals.rotation_transform import Analysis, Synthesis

# Samples of a piece, in elements: 1 MiB in float32, so that two fit in the cache of a core.
PIECE = 2**18


def relu_of_rows(
    rows: Float[Tensor, "rows maps channels"],
    shift: Float[Tensor, "channels"],
    synthesis: Synthesis,
    analysis: Analysis,
) -> Float[Tensor, "rows_out maps channels"]:
    """Coefficients of the rectified function, whose own coefficients are given less a constant.

    The samples, by far the largest array of a network on rotations, never exist all at once:
    each piece is made, rectified and analyzed while it is in the cache, and made again for the
    gradient.

    Parameters
    ----------
    rows : Tensor, shape (rows, maps, channels)
        Coefficients by order.
    shift : Tensor, shape (channels,)
        Added to the function.
    synthesis, analysis
        Of the same grid.

    Returns
    -------
    Tensor, shape (rows_out, maps, channels)
        Coefficients by degree.
    """
    return _ReluOfRows.apply(rows, shift, synthesis, analysis)  # pyright: ignore[reportReturnType]


def relu_of_filtered_series(
    series: Float[Tensor, "orders alpha beta maps parts"],
    filters: Float[Tensor, "2 orders parts channels"],
    gamma_synthesis: Float[Tensor, "gamma parts_in"],
    analysis: Analysis,
) -> Float[Tensor, "rows_out maps channels"]:
    """Coefficients of the rectified samples of filtered series in γ, as `relu_of_rows`.

    The filters of a ring act on each order n alone, so that the few channels before them are
    synthesized, and the many after them only piece by piece.

    Parameters
    ----------
    series : Tensor, shape (orders, 2b, 2b, maps, parts)
        For each order the real and imaginary parts of the channels.
    filters : Tensor, shape (2, orders, parts, channels)
        Those that make the real and those that make the imaginary part of the factor of
        exp(i n γ).
    gamma_synthesis : Tensor, shape (2b, 2 orders)
        As that of a transform, but with all real parts before all imaginary ones.
    analysis
        Of the same grid.

    Returns
    -------
    Tensor, shape (rows_out, maps, channels)
        Coefficients by degree.
    """
    return _ReluOfFilteredSeries.apply(series, filters, gamma_synthesis, analysis)  # pyright: ignore[reportReturnType]


class _ReluOfRows(torch.autograd.Function):
    """`relu_of_rows` with its gradients in the rows and the shift."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, shift: Tensor, synthesis: Synthesis, analysis: Analysis
    ) -> Tensor:
        """The coefficients of the result."""
        ctx.save_for_backward(rows, shift)
        ctx.matrices = synthesis, analysis
        result = rows.new_empty(len(analysis.gather), *rows.shape[1:])
        place = None
        for maps, rings in _pieces(len(synthesis.gamma), *rows.shape[1:]):
            waves = _waves_of_rows(rows[:, maps], shift, synthesis)
            place, target = _place(place, rows[0, maps], rows.shape[2], analysis)
            for ring in rings:
                samples = _samples_of_waves(waves[:, :, ring], synthesis).relu_()
                _put_rings(target[ring], _waves_of_samples(samples, analysis))
            _put(result[:, maps], _rows_of_waves(target, analysis))
        return result

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, ...]:
        """The gradients in the rows and the shift."""
        rows, shift = ctx.saved_tensors
        synthesis, analysis = ctx.matrices
        of_rows, of_shift = torch.empty_like(rows), torch.zeros_like(shift)
        for maps, rings in _pieces(len(synthesis.gamma), *rows.shape[1:]):
            waves = _waves_of_rows(rows[:, maps], shift, synthesis)
            target = _gradient_of_waves(gradient[:, maps], analysis)
            for ring in rings:
                samples = _samples_of_waves(waves[:, :, ring], synthesis)
                toward = _gradient_of_samples(target[:, :, ring], samples, analysis)
                series = (synthesis.gamma.mT @ toward).view(len(waves), -1)
                _put(waves[:, :, ring], _each_order(synthesis.alpha.mT, series))
            flat = waves.view(len(synthesis.beta), len(synthesis.gamma), -1)
            back = torch.bmm(synthesis.beta.mT, flat).view(-1, flat.shape[-1])
            _put(of_rows[:, maps], back.index_select(0, synthesis.scatter))
            of_shift += back[0].view(-1, len(shift)).sum(0)
        return of_rows, of_shift, None, None


class _ReluOfFilteredSeries(torch.autograd.Function):
    """`relu_of_filtered_series` with its gradients in the series and the filters."""

    @staticmethod
    def forward(
        ctx: Any, series: Tensor, filters: Tensor, gamma_synthesis: Tensor, analysis: Analysis
    ) -> Tensor:
        """The coefficients of the result."""
        ctx.save_for_backward(series, filters, gamma_synthesis)
        ctx.analysis = analysis
        shape = series.shape[3], filters.shape[-1]
        result = series.new_empty(len(analysis.gather), *shape)
        place = None
        for maps, rings in _pieces(len(gamma_synthesis), *shape):
            group = series[:, :, :, maps]
            place, target = _place(place, series[0, 0, 0, maps], shape[1], analysis)
            for ring in rings:
                samples = gamma_synthesis @ _filtered(_take(group, ring), filters)
                _put_rings(target[ring], _waves_of_samples(samples.relu_(), analysis))
            _put(result[:, maps], _rows_of_waves(target, analysis))
        return result

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, ...]:
        """The gradients in the series, if asked for, and the filters."""
        series, filters, gamma_synthesis = ctx.saved_tensors
        of_series = torch.empty_like(series) if ctx.needs_input_grad[0] else None
        of_filters = torch.zeros_like(filters)
        orders, _, channels = filters.shape[1:]
        for maps, rings in _pieces(len(gamma_synthesis), series.shape[3], channels):
            group = series[:, :, :, maps]
            target = _gradient_of_waves(gradient[:, maps], ctx.analysis)
            for ring in rings:
                piece = _take(group, ring)
                samples = gamma_synthesis @ _filtered(piece, filters)
                toward = _gradient_of_samples(target[:, :, ring], samples, ctx.analysis)
                both = (gamma_synthesis.mT @ toward).view(2, orders, -1, channels)
                for part in range(2):
                    of_filters[part].baddbmm_(piece.mT, both[part])
                if of_series is not None:
                    back = torch.bmm(both[0], filters[0].mT).baddbmm_(both[1], filters[1].mT)
                    _put(of_series[:, :, ring, maps], back)
        return of_series, of_filters, None, None


def _pieces(
    num_angles: int, num_maps: int, num_channels: int
) -> Iterator[tuple[slice, list[slice]]]:
    """Groups of maps, and for each groups of angles β, whose samples make a piece together."""
    per_ring = num_angles**2 * num_channels
    maps = min(max(1, PIECE // per_ring), max(num_maps, 1))
    rings = max(1, PIECE // (per_ring * maps))
    places = [slice(start, start + rings) for start in range(0, num_angles, rings)]
    for start in range(0, num_maps, maps):
        yield slice(start, start + maps), places


def _put(place: Tensor, values: Tensor) -> None:
    """Write values, of which only the order counts."""
    place.copy_(values.view(place.shape))


def _take(series: Tensor, ring: slice) -> Tensor:
    """A piece of series: (orders, 2b α rings maps, parts)."""
    return series[:, :, ring].reshape(len(series), -1, series.shape[-1])


def _filtered(series: Tensor, filters: Tensor) -> Tensor:
    """The filtered series of a piece, (2 parts orders, 2b α rings maps channels)."""
    filtered = series.new_empty(2, *series.shape[:2], filters.shape[-1])
    for part in range(2):
        torch.bmm(series, filters[part], out=filtered[part])
    return filtered.view(2 * len(series), -1)


def _waves_of_rows(rows: Tensor, shift: Tensor, synthesis: Synthesis) -> Tensor:
    """The waves of a function, and a constant."""
    coefficients = rows.index_select(0, synthesis.gather)
    coefficients[0] += shift
    num_waves, num_angles, num_degrees = synthesis.beta.shape
    waves = torch.bmm(synthesis.beta, coefficients.view(num_waves, num_degrees, -1))
    orders = synthesis.gamma.shape[1] // 2
    return waves.view(orders, num_waves // orders, num_angles, *rows.shape[1:])


def _samples_of_waves(waves: Tensor, synthesis: Synthesis) -> Tensor:
    """The samples of a piece of waves, (2b γ, 2b α rings maps channels)."""
    series = _each_order(synthesis.alpha, waves.flatten(2))
    return synthesis.gamma @ series.view(synthesis.gamma.shape[1], -1)


def _waves_of_samples(samples: Tensor, analysis: Analysis) -> Tensor:
    """The waves of the samples of a piece, (orders, 4 orders, rings maps channels)."""
    series = analysis.gamma @ samples
    return _each_order(analysis.alpha, series.view(len(analysis.gamma) // 2, -1))


def _place(
    place: Tensor | None, maps: Tensor, num_channels: int, analysis: Analysis
) -> tuple[Tensor, Tensor]:
    """Memory for the waves of a group of maps, used again for the next, and the part it takes.

    The waves are (2b, all waves, columns), ring after ring, so that a piece is written to
    neighboring places, and the sums over rings read a column of rings.
    """
    num_all, _, num_angles = analysis.beta.shape
    num_columns = len(maps) * num_channels
    if place is None:
        place = maps.new_empty(num_angles, num_all, num_columns)
    return place, place[:, :, :num_columns]


def _put_rings(place: Tensor, waves: Tensor) -> None:
    """Write the waves of a piece, (orders, 4 orders, rings columns)."""
    place.transpose(0, 1).copy_(waves.view(place.shape[1], place.shape[0], -1))


def _rows_of_waves(waves: Tensor, analysis: Analysis) -> Tensor:
    """The coefficients of waves, row by row."""
    coefficients = torch.bmm(analysis.beta, waves.transpose(0, 1))
    return coefficients.view(-1, coefficients.shape[-1]).index_select(0, analysis.gather)


def _gradient_of_waves(rows: Tensor, analysis: Analysis) -> Tensor:
    """The gradient in the waves of the result, from that in its coefficients."""
    num_all, num_degrees, num_angles = analysis.beta.shape
    coefficients = rows.new_zeros(num_all * num_degrees, *rows.shape[1:])
    coefficients.index_copy_(0, analysis.gather, rows)
    waves = torch.bmm(analysis.beta.mT, coefficients.view(num_all, num_degrees, -1))
    num_waves = len(analysis.alpha)
    return waves.view(num_waves // 4, num_waves, num_angles, *rows.shape[1:])


def _gradient_of_samples(waves: Tensor, samples: Tensor, analysis: Analysis) -> Tensor:
    """The gradient in the samples of a piece before they were rectified."""
    series = _each_order(analysis.alpha.mT, waves.flatten(2))
    gradient = analysis.gamma.mT @ series.view(len(analysis.gamma), -1)
    threshold = torch.ops.aten.threshold_backward.grad_input
    return threshold(gradient, samples, 0, grad_input=gradient)


def _each_order(matrix: Tensor, columns: Tensor) -> Tensor:
    """A matrix times the columns of each of the orders, which are the first axis."""
    orders = len(columns)
    if columns.dim() == 2:
        columns = columns.view(orders, matrix.shape[1], -1)
    return torch.bmm(matrix.expand(orders, -1, -1), columns)
