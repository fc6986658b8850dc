"""Charts of training and evaluation: curves, confusion matrices, accuracies, rotation errors."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from deepsphere.plotting.style import (
    INK,
    MUTED,
    PALETTE,
    SMALL_SIZE,
    add_legend,
    new_figure,
    style_axes,
)

MAX_ANNOTATED_CLASSES = 20
"""Larger confusion matrices have no room for numbers in their cells."""
_DARK_TEXT = "#10161d"
_SPLITS = {"train": "--", "val": "-", "test": ":"}


def plot_training_curves(
    histories: Mapping[str, Sequence[Mapping[str, float | int]]], *, title: str = ""
) -> Figure:
    """The course of every metric over the epochs, one panel per metric, one colour per run.

    A key is an optional split and a metric, joined by an underscore: ``train_loss`` is dashed,
    ``val_loss`` and a metric without split are solid, ``test_loss`` is dotted, all in the panel
    ``loss``.

    Parameters
    ----------
    histories
        The history of each run by its name: one mapping per logged epoch, with ``epoch`` and any
        metrics. A metric may be missing in some epochs.
    title
        Title of the figure.

    Returns
    -------
    Figure
        The figure, one axes per metric in the order of their appearance.

    Raises
    ------
    ValueError
        If no run has a metric, or an entry has no ``epoch``.

    Examples
    --------
    >>> history = [{"epoch": 0, "train_loss": 2.0}, {"epoch": 1, "train_loss": 1.0, "val_acc": 0.5}]
    >>> [axes.get_ylabel() for axes in plot_training_curves({"run": history}).axes]
    ['loss', 'acc']
    """
    keys = list(dict.fromkeys(k for run in histories.values() for entry in run for k in entry))
    keys = [key for key in keys if key not in ("epoch", "step")]
    if not keys:
        raise ValueError(
            "histories must hold at least one metric beside epoch, got none; pass "
            "{run: [{'epoch': 0, 'train_loss': 2.3}, ...]}"
        )
    metrics = list(dict.fromkeys(_split_and_metric(key)[1] for key in keys))
    figure = new_figure(max(4.6, min(3.9 * len(metrics), 11.7)), 3.0 + 0.3 * bool(title))
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        style_axes(axes, xlabel="epoch", ylabel=metric.replace("_", " "))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        own_keys = [key for key in keys if _split_and_metric(key)[1] == metric]
        for index, (run, history) in enumerate(histories.items()):
            _draw_run(axes, run, history, own_keys, color=PALETTE[index % len(PALETTE)])
        add_legend(axes)
    if title:
        figure.suptitle(title, color=INK, fontsize=11)
    return figure


def plot_confusion(
    matrix: Num[np.ndarray, "classes classes"],
    labels: Sequence[str] | None = None,
    *,
    title: str = "",
) -> Figure:
    """A confusion matrix: counts in the cells, coloured by their share of the true class.

    Parameters
    ----------
    matrix
        Counts, true class by row and predicted class by column, shape (classes, classes).
    labels
        Names of the classes; None for 0, 1, 2, …
    title
        Title of the chart.

    Returns
    -------
    Figure
        The figure.

    Raises
    ------
    ValueError
        If the matrix is not square and nonnegative, or the number of labels differs from it.

    Examples
    --------
    >>> figure = plot_confusion(np.array([[9, 1], [2, 8]]), ["cat", "dog"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['9', '1', '2', '8']
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"matrix must have shape (classes, classes), got {matrix.shape}; count true classes by "
            "row and predicted classes by column"
        )
    if not (matrix >= 0).all():
        raise ValueError(
            f"matrix must hold nonnegative counts, got {np.nanmin(matrix)} as its smallest; pass "
            "counts"
        )
    names = [str(index) for index in range(len(matrix))] if labels is None else list(labels)
    if len(names) != len(matrix):
        raise ValueError(
            f"labels must name each of the {len(matrix)} classes, got {len(names)} names; pass one "
            "per row"
        )
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(0.34 * len(names) + 1.0, 2.6, 7.0))
    figure = new_figure(side, side + 0.3 * bool(title))
    axes = figure.add_subplot()
    style_axes(axes, title=title, xlabel="predicted", ylabel="true", grid="none")
    # the square root keeps the few errors visible beside the diagonal
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1, interpolation="none")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if len(names) <= MAX_ANNOTATED_CLASSES:
        axes.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > 3 else 0)
        axes.set_yticks(range(len(names)), names)
        for row, column in np.ndindex(*matrix.shape):
            count, share = float(matrix[row, column]), float(shares[row, column])
            _annotate_cell(axes, row, column, count, share)
    return figure


def plot_accuracy_table(
    table: Mapping[str, Mapping[str, float | int]],
    *,
    spread: Mapping[str, Mapping[str, float | int]] | None = None,
    ylabel: str = "accuracy [%]",
    title: str = "",
) -> Figure:
    """A table of accuracies as grouped bars: one group per protocol, one colour per model.

    Parameters
    ----------
    table
        Accuracy, percent, by model and protocol; a protocol may be missing for a model.
    spread
        Half length of the error bars, percent, by model and protocol; None for none.
    ylabel
        Name and unit of the values.
    title
        Title of the chart.

    Returns
    -------
    Figure
        The figure; every bar carries its value.

    Raises
    ------
    ValueError
        If the table is empty.

    Examples
    --------
    >>> figure = plot_accuracy_table({"DeepSphere": {"NR/NR": 98.1, "NR/R": 97.0}})
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['98.1', '97.0']
    """
    protocols = list(dict.fromkeys(protocol for row in table.values() for protocol in row))
    if not protocols:
        raise ValueError(
            "table must hold at least one value, got none; pass {model: {name: value}}"
        )
    figure = new_figure(max(4.2, 1.3 + 0.55 * len(protocols) * (len(table) + 1)), 3.2)
    axes = figure.add_subplot()
    style_axes(axes, title=title, ylabel=ylabel)
    width = 0.8 / len(table)
    for index, (model, row) in enumerate(table.items()):
        places = np.array([i for i, name in enumerate(protocols) if name in row], dtype=float)
        values = [row[protocol] for protocol in protocols if protocol in row]
        margins = (spread or {}).get(model, {})
        bars = axes.bar(
            places + (index - (len(table) - 1) / 2) * width,
            values,
            width=0.92 * width,
            color=PALETTE[index % len(PALETTE)],
            yerr=[margins.get(name, 0.0) for name in protocols if name in row] if margins else None,
            error_kw={"ecolor": MUTED, "elinewidth": 1, "capsize": 2},
            label=model,
        )
        axes.bar_label(bars, fmt="%.1f", padding=2, fontsize=SMALL_SIZE, color=INK)
    axes.set_xticks(range(len(protocols)), protocols)
    axes.tick_params(axis="x", length=0, labelcolor=INK)
    axes.margins(y=0.12)
    add_legend(axes, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def plot_rotation_error(
    names: Sequence[str],
    errors: Mapping[str, Num[np.ndarray, "layers"] | Sequence[float | int]],
    *,
    title: str = "",
) -> Figure:
    """The relative change under rotations after each layer, one line per model.

    Parameters
    ----------
    names
        Names of the layers in order.
    errors
        ``|f(R x) - R f(x)| / |f(x)|`` after each layer, by model, shape (layers,); NaN where a
        model has no such layer.
    title
        Title of the chart.

    Returns
    -------
    Figure
        The figure, on a logarithmic scale; errors of zero are left out.

    Raises
    ------
    ValueError
        If a model does not have one error per layer, or an error is negative.

    Examples
    --------
    >>> figure = plot_rotation_error(["conv", "pool"], {"DeepSphere": [0.01, 0.04]})
    >>> figure.axes[0].get_yscale()
    'log'
    """
    figure = new_figure(max(4.6, min(0.62 * len(names) + 2.6, 10.5)), 3.2)
    axes = figure.add_subplot()
    style_axes(axes, title=title, ylabel="relative change under rotation")
    for index, (model, measured) in enumerate(errors.items()):
        values = np.asarray(measured, dtype=np.float64)
        if values.shape != (len(names),) or (values < 0).any():
            raise ValueError(
                f"errors must hold one nonnegative number for each of the {len(names)} layers, got "
                f"{values.tolist()} for {model!r}; use NaN where a model has no such layer"
            )
        positive = np.where(values > 0, values, np.nan)
        marker = "os^Dvp*X"[index % 8]
        axes.plot(positive, marker=marker, color=PALETTE[index % len(PALETTE)], label=model)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(range(len(names)), list(names), rotation=35, ha="right")
    axes.set_xlim(-0.4, len(names) - 0.6)
    axes.tick_params(axis="x", labelcolor=INK)
    add_legend(axes)
    return figure


def _split_and_metric(key: str) -> tuple[str, str]:
    """The split and the metric that a key of a history names."""
    split, _, metric = key.partition("_")
    return (split, metric) if split in _SPLITS and metric else ("", key)


def _draw_run(
    axes: Axes,
    run: str,
    history: Sequence[Mapping[str, float | int]],
    keys: Sequence[str],
    *,
    color: str,
) -> None:
    """Draw one run into the panel of one metric."""
    for entry in history:
        if "epoch" not in entry:
            raise ValueError(
                f"histories must have an epoch in every entry, got {dict(entry)} in run {run!r}; "
                "add 'epoch'"
            )
    for key in keys:
        points = [(entry["epoch"], entry[key]) for entry in history if key in entry]
        if not points:
            continue
        split, _ = _split_and_metric(key)
        line = _SPLITS.get(split, "-")
        # a single logged epoch is a dot: a line of one point would be invisible
        marker = "o" if len(points) == 1 else ""
        label = " ".join(word for word in (run, split) if word)
        x, y = zip(*points, strict=True)
        axes.plot(x, y, line, marker=marker, color=color, linewidth=1.6, markersize=4, label=label)


def _annotate_cell(axes: Axes, row: int, column: int, count: float, share: float) -> None:
    """Write a count into a cell, in the colour that reads well on the cell."""
    if count:
        color = "white" if np.sqrt(share) > 0.55 else _DARK_TEXT
        text = f"{count:.0f}" if float(count).is_integer() else f"{count:.2g}"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=SMALL_SIZE)
