"""Chart of the eigenvectors and eigenvalues of graphs against spherical harmonics."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deepsphere.plotting.style import INK, PALETTE, add_legend, new_figure, style_axes

Numbers = Sequence[float] | Float[np.ndarray, "degrees"]


def plot_spectrum(
    alignment: Mapping[str, Numbers],
    eigenvalues: Mapping[str, Numbers],
    *,
    colors: Sequence[int] | None = None,
    dashed: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """What eigenspaces miss of harmonics, and eigenvalues over l (l + 1), by degree.

    Parameters
    ----------
    alignment
        By graph: the mean squared cosine between the eigenvectors of each degree from 1 on and its
        harmonics.
    eigenvalues
        By graph: the mean eigenvalue of each degree from 1 on over l (l + 1), relative to degree 1.
    colors
        Index of the colour of each graph; by order if not given.
    dashed
        Graphs whose lines are dashed.
    title
        Title of the figure.

    Returns
    -------
    Figure
        Two axes.

    Raises
    ------
    ValueError
        If there is no graph, or the two name different graphs.

    Examples
    --------
    >>> figure = plot_spectrum({"k = 8": [0.99, 0.9]}, {"k = 8": [1.0, 0.95]})
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['1 − alignment with harmonics', 'eigenvalue / l (l + 1)']
    """
    if not alignment or list(alignment) != list(eigenvalues):
        raise ValueError(
            "alignment and eigenvalues must be of the same graphs, at least one, got "
            f"{list(alignment)} and {list(eigenvalues)}"
        )
    figure = new_figure(9.8, 3.8)
    left, right = figure.subplots(1, 2)
    chosen = list(range(len(alignment))) if colors is None else list(colors)
    for color, name in zip(chosen, alignment, strict=True):
        missing = 1.0 - np.asarray(alignment[name])
        for axes, numbers in ((left, missing), (right, eigenvalues[name])):
            axes.plot(
                range(1, len(numbers) + 1),
                numbers,
                marker=".",
                linewidth=1.3,
                linestyle="dashed" if name in dashed else "solid",
                color=PALETTE[color % len(PALETTE)],
                label=name,
            )
    style_axes(left, xlabel="degree l", ylabel="1 − alignment with harmonics")
    style_axes(right, xlabel="degree l", ylabel="eigenvalue / l (l + 1)")
    left.set_yscale("log")
    right.set_ylim(0, 1.03)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    add_legend(right, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    if title:
        figure.suptitle(title, color=INK, fontsize=11)
    return figure
