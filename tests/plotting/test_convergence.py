"""The chart of simulated maps."""

import numpy as np
import pytest

from deepsphere.plotting.convergence import plot_convergence

RNG = np.random.default_rng(0)
MAPS = {"one": RNG.normal(size=768), "two": RNG.normal(size=768) ** 2}
SPECTRA = {"one": np.arange(1.0, 25.0), "two": 2 * np.arange(1.0, 25.0)}


def test_maps_histograms_and_spectra_have_their_places():
    figure = plot_convergence(MAPS, SPECTRA, {"target": np.ones(24)}, title="not a physical sky")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:2] == ["one", "two"]
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels[-2:] == ["convergence κ", "degree l"]
    spectrum = figure.axes[-1]
    target, first, second = spectrum.lines
    degrees = np.arange(1, 24)
    assert target.get_label() == "target"
    for line, values in zip((first, second), SPECTRA.values(), strict=True):
        expected = degrees * (degrees + 1) * values[1:] / (2 * np.pi)
        np.testing.assert_allclose(np.asarray(line.get_ydata()), expected)


def test_histograms_are_densities_on_the_same_bins():
    figure = plot_convergence(MAPS, SPECTRA, {})
    first, second = figure.axes[-2].patches
    for patch in (first, second):
        values, edges, _ = patch.get_data()
        assert np.nansum(values * np.diff(edges)) == pytest.approx(1)
    assert np.array_equal(first.get_data().edges, second.get_data().edges)


def test_many_classes_show_three_maps():
    maps = {str(number): MAPS["one"] + number for number in range(12)}
    spectra = dict.fromkeys(maps, SPECTRA["one"])
    figure = plot_convergence(maps, spectra, spectra)
    assert sum(axes.get_title() != "" for axes in figure.axes) == 3
    assert figure.axes[-1].get_legend() is None
    assert len(figure.axes[-1].lines) == 24


@pytest.mark.parametrize(("maps", "spectra"), [({}, {}), (MAPS, {"one": SPECTRA["one"]})])
def test_other_classes_are_rejected(maps, spectra):
    with pytest.raises(ValueError, match="maps and spectra must be of the same classes"):
        plot_convergence(maps, spectra, {})
