"""Charts of rotation errors: what is drawn is what was given, told apart by colour and marker."""

import numpy as np
import pytest

from deepsphere.plotting import (
    ErrorCurve,
    plot_equivariance_by_sampling,
    plot_equivariance_error,
    plot_kernel_widths,
    plot_spectrum,
)
from deepsphere.plotting.style import INK, PALETTE

DEGREES = np.arange(1, 96)


def curve(graph: str, sampling: str, level: float, **options: object) -> ErrorCurve:
    return ErrorCurve(graph, sampling, DEGREES, level / DEGREES, **options)  # type: ignore[arg-type]


def legend_of(figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_curves_share_colors_by_graph_and_markers_by_sampling():
    curves = [curve(g, s, 1.0) for g in ("k = 8", "k = 20") for s in ("coarse", "fine")]
    axes = plot_equivariance_error(curves).axes[0]
    colors = [line.get_color() for line in axes.lines]
    markers = [line.get_marker() for line in axes.lines]
    assert colors == [PALETTE[0], PALETTE[0], PALETTE[1], PALETTE[1]]
    assert markers == ["v", "x", "v", "x"]
    np.testing.assert_allclose(axes.lines[3].get_ydata(), 1 / DEGREES)


def test_degrees_below_the_smallest_and_errors_of_zero_or_nan_are_left_out():
    errors = np.array([0.5, np.nan, 0.0, 0.25])
    figure = plot_equivariance_error(
        [ErrorCurve("a", "s", np.array([5, 10, 20, 40]), errors)], smallest_degree=10
    )
    (line,) = figure.axes[0].lines
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([40], [0.25])


def test_legend_names_graphs_once_and_samplings_where_there_are_several():
    one = [curve("k = 8", "coarse", 1.0), curve("k = 20", "coarse", 0.5)]
    assert legend_of(plot_equivariance_error(one)) == ["k = 8", "k = 20"]
    two = [*one, curve("k = 8", "fine", 1.0)]
    assert legend_of(plot_equivariance_error(two)) == ["k = 8", "k = 20", "coarse", "fine"]


def test_published_curve_is_dashed_in_the_color_of_text_without_markers():
    published = curve("paper", "coarse", 1.0, color="ink", stroke="dashed", is_marked=False)
    line = plot_equivariance_error([curve("ours", "coarse", 1.0), published]).axes[0].lines[1]
    assert (line.get_color(), line.get_linestyle(), line.get_marker()) == (INK, "--", "")


def test_panels_hold_the_curves_of_their_sampling():
    curves = [curve("a", "coarse", 1.0), curve("a", "fine", 2.0), curve("b", "fine", 3.0)]
    panels = plot_equivariance_by_sampling(curves, title="t").axes
    assert [panel.get_title() for panel in panels] == ["coarse", "fine"]
    assert [len(panel.lines) for panel in panels] == [1, 2]
    assert panels[1].lines[1].get_color() == PALETTE[1]


@pytest.mark.parametrize("plot", [plot_equivariance_error, plot_equivariance_by_sampling])
def test_nothing_to_draw_is_rejected(plot):
    with pytest.raises(ValueError, match="curves must hold at least one curve, got none"):
        plot([])


def test_curve_with_other_number_of_errors_is_rejected():
    with pytest.raises(ValueError, match=r"one number for each of the 95 degrees, got 2 for 'a'"):
        ErrorCurve("a", "s", DEGREES, np.ones(2))


def test_kernel_widths_are_drawn_by_objective_and_sampling():
    tuned = {"log": {"healpix:32": {8: 2.7, 20: 4.4}}, "red": {"healpix:32": {8: 3.1, 20: 4.9}}}
    figure = plot_kernel_widths(
        tuned, rule=[(8.0, 2.72), (20.0, 4.4)], published={"healpix:32": {8: 2.77}}, title="t"
    )
    first = figure.axes[0]
    assert list(first.lines[0].get_ydata()) == [2.7, 4.4]
    assert first.lines[1].get_linestyle() == "--"
    assert first.collections[0].get_offsets().tolist() == [[8.0, 2.77]]
    with pytest.raises(ValueError, match="tuned must hold at least one objective, got none"):
        plot_kernel_widths({})


def test_spectrum_is_drawn_beside_eigenvalues():
    figure = plot_spectrum(
        {"a": [0.99, 0.9]}, {"a": [1.0, 0.8]}, colors=[3], dashed=["a"], title="t"
    )
    left, right = figure.axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), [0.01, 0.1])
    assert list(right.lines[0].get_ydata()) == [1.0, 0.8]
    assert (left.lines[0].get_color(), left.lines[0].get_linestyle()) == (PALETTE[3], "--")
    with pytest.raises(ValueError, match=r"must be of the same graphs, at least one, got \['a'\]"):
        plot_spectrum({"a": [1.0]}, {"b": [1.0]})
