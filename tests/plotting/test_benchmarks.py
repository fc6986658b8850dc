"""Charts of benchmarks show the numbers that they are given."""

import numpy as np
import pytest

from deepsphere.plotting import plot_cost, plot_ratios


def test_cost_has_a_line_for_each_variant_and_two_slopes():
    figure = plot_cost({"ours": {768: 0.1, 192: 0.02}, "others": {192: 0.5}, "absent": {}})
    (axes,) = figure.axes
    ours, others, linear, steep = axes.lines
    np.testing.assert_allclose(ours.get_xydata(), [[192, 0.02], [768, 0.1]])
    np.testing.assert_allclose(others.get_xydata(), [[192, 0.5]])
    for line, power in ((linear, 1.0), (steep, 1.5)):
        first, last = line.get_ydata()
        assert last / first == pytest.approx(4**power)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_ratios_lie_in_the_row_of_their_case():
    figure = plot_ratios(
        {"one": {"COO": 15.0, "csr": 2.0}, "two": {"COO": 30.0}},
        required={"two": {"COO": 20.0, "never measured": 1.0}},
    )
    (axes,) = figure.axes
    of_coo, of_csr = (collection.get_offsets().tolist() for collection in axes.collections)
    assert of_coo == [[15.0, 1.0], [30.0, 0.0]]
    assert of_csr == [[2.0, 1.0]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]
    bars = [line.get_xydata().tolist() for line in axes.lines if len(line.get_xydata()) == 2]
    assert [[20.0, -0.3], [20.0, 0.3]] in bars


def test_variant_has_the_same_color_in_every_figure():
    names = ("CSR eager", "COO", "csr")
    colors = []
    for case in ({"COO": 2.0}, {"csr": 1.5, "COO": 2.0}):
        (axes,) = plot_ratios({"one": case}, variants=names).axes
        marks = {c.get_label(): c.get_facecolor().tolist() for c in axes.collections}
        colors.append(marks["COO"])
    assert colors[0] == colors[1]


def test_nothing_measured_is_rejected():
    with pytest.raises(ValueError, match="costs must hold a time, got none"):
        plot_cost({"ours": {}})
    with pytest.raises(ValueError, match="ratios must hold a case, got none"):
        plot_ratios({})
