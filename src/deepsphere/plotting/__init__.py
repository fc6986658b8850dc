"""Pictures of signals, graphs, filters and training on any sampling of the sphere.

Static pictures are :class:`matplotlib.figure.Figure` objects that no window or global state holds;
the globe is a plotly figure; :class:`Report` binds both into one HTML file that needs nothing else.
"""

from importlib.util import find_spec

if find_spec("matplotlib") is None or find_spec("plotly") is None:
    raise ImportError(
        "deepsphere.plotting needs matplotlib and plotly, which are not both installed; "
        'run: pip install "deepsphere-torch[plot]"'
    )

from deepsphere.plotting.animation import animate_forecast, animate_maps
from deepsphere.plotting.benchmarks import plot_cost, plot_ratios
from deepsphere.plotting.cells import nearest_vertices
from deepsphere.plotting.coastlines import LAND, Coastlines
from deepsphere.plotting.equivariance import (
    ErrorCurve,
    plot_equivariance_by_sampling,
    plot_equivariance_error,
)
from deepsphere.plotting.events import plot_events
from deepsphere.plotting.filters import (
    chebyshev_response,
    degree_eigenvalues,
    filter_coefficients,
    localized_filter,
    plot_angular_profile,
    plot_spectral_response,
)
from deepsphere.plotting.globe import globe
from deepsphere.plotting.graphs import plot_graph
from deepsphere.plotting.hovmoller import hovmoller, plot_forecast_hovmoller, plot_hovmoller
from deepsphere.plotting.kernel_widths import plot_kernel_widths
from deepsphere.plotting.maps import draw_map, plot_map, plot_maps
from deepsphere.plotting.outlines import outlines
from deepsphere.plotting.projections import View
from deepsphere.plotting.report import Card, Picture, Report
from deepsphere.plotting.skill import plot_latitude_skill, plot_lead_time_skill, plot_skill_maps
from deepsphere.plotting.spectrum import plot_spectrum
from deepsphere.plotting.stations import plot_station_maps, plot_stations
from deepsphere.plotting.time_globe import time_globe
from deepsphere.plotting.training import (
    plot_accuracy_table,
    plot_confusion,
    plot_rotation_error,
    plot_training_curves,
)

__all__ = [
    "LAND",
    "Card",
    "Coastlines",
    "ErrorCurve",
    "Picture",
    "Report",
    "View",
    "animate_forecast",
    "animate_maps",
    "chebyshev_response",
    "degree_eigenvalues",
    "draw_map",
    "filter_coefficients",
    "globe",
    "hovmoller",
    "localized_filter",
    "nearest_vertices",
    "outlines",
    "plot_accuracy_table",
    "plot_angular_profile",
    "plot_confusion",
    "plot_cost",
    "plot_equivariance_by_sampling",
    "plot_equivariance_error",
    "plot_events",
    "plot_forecast_hovmoller",
    "plot_graph",
    "plot_hovmoller",
    "plot_kernel_widths",
    "plot_latitude_skill",
    "plot_lead_time_skill",
    "plot_map",
    "plot_maps",
    "plot_ratios",
    "plot_rotation_error",
    "plot_skill_maps",
    "plot_spectral_response",
    "plot_spectrum",
    "plot_station_maps",
    "plot_stations",
    "plot_training_curves",
    "time_globe",
]
