"""Chart of tuned kernel widths by number of neighbors."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from deepsphere.plotting.style import INK, PALETTE, TEXT_SIZE, add_legend, new_figure, style_axes


def plot_kernel_widths(
    tuned: Mapping[str, Mapping[str, Mapping[int, float]]],
    *,
    rule: Sequence[tuple[float, float]] = (),
    published: Mapping[str, Mapping[int, float]] | None = None,
    title: str = "",
) -> Figure:
    """Kernel widths n t against the number of neighbors, a panel for each objective.

    Parameters
    ----------
    tuned
        n t by objective, sampling and number of neighbors.
    rule
        Pairs (k, n t) of a rule, drawn as a dashed line in every panel.
    published
        Published n t by sampling and number of neighbors, drawn as open circles.
    title
        Title of the figure.

    Returns
    -------
    Figure
        One axes for each objective, on a common scale.

    Raises
    ------
    ValueError
        If there is nothing to draw.

    Examples
    --------
    >>> figure = plot_kernel_widths({"log": {"healpix:32": {8: 2.7, 20: 4.4}}})
    >>> [axes.get_title() for axes in figure.axes]
    ['log']
    """
    if not tuned:
        raise ValueError("tuned must hold at least one objective, got none; pass {name: {...}}")
    figure = new_figure(max(4.6, 3.4 * len(tuned)), 3.6)
    panels = figure.subplots(1, len(tuned), sharey=True, squeeze=False)[0]
    samplings = list(dict.fromkeys(name for by_sampling in tuned.values() for name in by_sampling))
    colors = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(samplings)}
    for axes, (objective, by_sampling) in zip(panels, tuned.items(), strict=True):
        style_axes(axes, title=objective, xlabel="number of neighbors k", grid="both")
        for name, widths in by_sampling.items():
            axes.plot(
                list(widths),
                list(widths.values()),
                marker=".",
                linewidth=1.3,
                color=colors[name],
                label=name,
            )
        for name, widths in (published or {}).items():
            if name in colors:
                axes.scatter(
                    list(widths),
                    list(widths.values()),
                    s=34,
                    facecolors="none",
                    edgecolors=colors[name],
                    label=f"{name}, published",
                )
        if len(rule):
            k, width = np.array(rule).T
            axes.plot(k, width, linestyle="dashed", linewidth=1, color=INK, label="rule")
    panels[0].set_ylabel("kernel width n t", color=INK, fontsize=TEXT_SIZE)
    add_legend(panels[-1], loc="upper left", bbox_to_anchor=(1.0, 1.0))
    if title:
        figure.suptitle(title, color=INK, fontsize=11)
    return figure
