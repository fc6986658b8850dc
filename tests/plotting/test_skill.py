"""Charts of forecast skill show the numbers that they are given."""

import numpy as np
import pytest

from deepsphere.plotting.skill import plot_latitude_skill, plot_lead_time_skill, plot_skill_maps
from deepsphere.sampling import Healpix

LEADS = np.array([6.0, 12.0, 24.0, 48.0])
SCORES = {
    "RMSE": {"small": [1.0, 2.0, 3.0, 4.0], "large": [0.5, 1.0, 1.5, np.nan]},
    "ACC": {"large": [0.9, 0.8, 0.7, 0.5]},
}
BASELINES = {"RMSE": {"persistence": [2.0, 4.0, 6.0, 8.0], "climatology": [5.0] * 4}}


def lines_of(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def test_curves_are_those_of_the_scores():
    figure = plot_lead_time_skill(SCORES, LEADS, baselines=BASELINES, units={"RMSE": "K"})
    rmse, acc = figure.axes
    curves = lines_of(rmse)
    for name, values in (SCORES["RMSE"] | BASELINES["RMSE"]).items():
        np.testing.assert_array_equal(curves[name].get_xdata(), LEADS)
        np.testing.assert_array_equal(curves[name].get_ydata(), values)
    assert (rmse.get_ylabel(), acc.get_ylabel()) == ("RMSE [K]", "ACC")
    assert rmse.get_ylim()[0] == 0
    assert acc.get_ylim()[1] == 1


def test_model_has_one_color_in_all_panels_and_baselines_are_broken():
    rmse, acc = plot_lead_time_skill(SCORES, LEADS, baselines=BASELINES).axes
    assert lines_of(rmse)["large"].get_color() == lines_of(acc)["large"].get_color()
    assert lines_of(rmse)["large"].get_color() != lines_of(rmse)["small"].get_color()
    styles = [lines_of(rmse)[name].get_linestyle() for name in ("persistence", "climatology")]
    assert len(set(styles)) == 2
    assert "-" not in styles


def test_score_of_baselines_alone_has_a_panel():
    figure = plot_lead_time_skill({}, LEADS, baselines=BASELINES)
    assert set(lines_of(figure.axes[0])) >= {"persistence", "climatology"}


def test_bias_has_a_line_at_zero():
    figure = plot_lead_time_skill({"bias": {"model": [-1.0, 1.0]}}, [1, 2], lead_unit="months")
    assert any(list(line.get_ydata()) == [0, 0] for line in figure.axes[0].get_lines())
    assert figure.axes[0].get_xlabel() == "lead time [months]"
    assert (figure.axes[0].get_xticks() % 1 == 0).all()


def test_latitudes_are_stretched_as_areas_are():
    figure = plot_latitude_skill(
        {"model": [3.0, 1.0, 2.0]}, [60, -30, 0], baselines={"persistence": [4.0] * 3}
    )
    line = lines_of(figure.axes[0])["model"]
    np.testing.assert_allclose(line.get_xdata(), np.sin(np.radians([-30, 0, 60])))
    np.testing.assert_array_equal(line.get_ydata(), [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("offset", "cmap", "is_symmetric"), [(0.0, "RdBu_r", True), (5.0, "viridis", False)]
)
def test_maps_of_both_signs_have_zero_in_the_middle(offset, cmap, is_symmetric):
    sampling = Healpix(nside=4)
    scores = {"a": np.asarray(sampling.lat) + offset, "b": 0.5 * sampling.lat + offset}
    figure = plot_skill_maps(scores, sampling, num_rows=40)
    low, high = figure.axes[0].images[0].get_clim()
    assert figure.axes[0].images[0].get_cmap().name == cmap
    assert (low == -high) == is_symmetric


def test_given_scale_of_maps_is_kept():
    sampling = Healpix(nside=4)
    figure = plot_skill_maps({"a": np.asarray(sampling.lat)}, sampling, vmin=-1, num_rows=40)
    assert figure.axes[0].images[0].get_clim()[0] == -1
    assert figure.axes[0].images[0].get_cmap().name == "viridis"


def test_no_scores_are_rejected():
    with pytest.raises(ValueError, match="scores must hold at least one score"):
        plot_lead_time_skill({}, LEADS)
    with pytest.raises(ValueError, match="scores must hold at least one model"):
        plot_latitude_skill({}, [0.0])


def test_curves_of_another_length_are_rejected():
    with pytest.raises(ValueError, match=r"RMSE of 'm' must have one value per lead time \(4\)"):
        plot_lead_time_skill({"RMSE": {"m": [1.0]}}, LEADS)
    with pytest.raises(ValueError, match=r"RMSE of 'm' must have one value per latitude \(2\)"):
        plot_latitude_skill({"m": [1.0]}, [0.0, 10.0])


def test_latitudes_off_the_sphere_are_rejected():
    with pytest.raises(ValueError, match="lat_deg must be between -90 and 90"):
        plot_latitude_skill({"m": [1.0]}, [91.0])
