"""What charts of training and evaluation must show."""

import numpy as np
import pytest

from deepsphere.plotting import (
    plot_accuracy_table,
    plot_confusion,
    plot_rotation_error,
    plot_training_curves,
)

HISTORY = [
    {"epoch": 0, "train_loss": 2.0, "accuracy": 0.2},
    {"epoch": 1, "train_loss": 1.5},
    {"epoch": 2, "train_loss": 1.0, "val_loss": 1.2, "accuracy": 0.6},
]


def test_curves_hold_the_history_with_gaps():
    figure = plot_training_curves({"a": HISTORY})
    loss, accuracy = figure.axes
    train, val = loss.lines
    np.testing.assert_array_equal(train.get_xydata(), [[0, 2.0], [1, 1.5], [2, 1.0]])
    np.testing.assert_array_equal(val.get_xydata(), [[2, 1.2]])
    np.testing.assert_array_equal(accuracy.lines[0].get_xydata(), [[0, 0.2], [2, 0.6]])
    assert (train.get_linestyle(), val.get_linestyle()) == ("--", "-")
    assert val.get_marker() == "o"  # a single epoch would be invisible as a line


def test_curves_of_runs_differ_in_color():
    figure = plot_training_curves({"a": HISTORY, "b": HISTORY})
    colors = {line.get_label(): line.get_color() for line in figure.axes[0].lines}
    assert colors["a train"] == colors["a val"] != colors["b train"] == colors["b val"]


def test_curves_without_metric_are_rejected():
    with pytest.raises(ValueError, match="histories must hold at least one metric"):
        plot_training_curves({"a": [{"epoch": 0}]})


def test_curves_without_epoch_are_rejected():
    with pytest.raises(ValueError, match=r"must have an epoch in every entry.*in run 'a'"):
        plot_training_curves({"a": [{"loss": 0.5}]})


def test_confusion_colors_are_shares_of_the_true_class():
    matrix = np.array([[8, 2], [0, 4]])
    axes = plot_confusion(matrix).axes[0]
    np.testing.assert_allclose(axes.images[0].get_array() ** 2, [[0.8, 0.2], [0.0, 1.0]])
    assert [t.get_text() for t in axes.texts] == ["8", "2", "4"]


def test_confusion_of_class_without_samples_is_drawn():
    axes = plot_confusion(np.array([[0, 0], [1, 3]])).axes[0]
    assert np.isfinite(axes.images[0].get_array()).all()


def test_large_confusion_has_no_numbers():
    assert not plot_confusion(np.eye(40)).axes[0].texts


@pytest.mark.parametrize("matrix", [np.zeros((2, 3)), np.zeros(4)])
def test_confusion_that_is_not_square_is_rejected(matrix):
    with pytest.raises(ValueError, match=r"matrix must have shape \(classes, classes\)"):
        plot_confusion.__wrapped__(matrix)


def test_confusion_with_negative_counts_is_rejected():
    with pytest.raises(ValueError, match="matrix must hold nonnegative counts, got -1"):
        plot_confusion(np.array([[1, -1], [0, 1]]))


def test_confusion_with_missing_labels_is_rejected():
    with pytest.raises(ValueError, match="labels must name each of the 2 classes, got 1 names"):
        plot_confusion(np.eye(2), ["only"])


def test_bars_have_the_heights_of_the_table():
    table = {"ours": {"NR/NR": 98.0, "NR/R": 97.0}, "plain": {"NR/NR": 96.0}}
    spread = {"ours": {"NR/NR": 0.5, "NR/R": 0.25}}
    axes = plot_accuracy_table(table, spread=spread).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [98.0, 97.0, 96.0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["NR/NR", "NR/R"]
    assert axes.get_ylim()[0] == 0  # bars that do not start at zero would lie


def test_empty_accuracy_table_is_rejected():
    with pytest.raises(ValueError, match="table must hold at least one value"):
        plot_accuracy_table({"ours": {}})


def test_rotation_errors_stand_at_their_layers():
    errors = {"ours": [0.0, 0.01, 0.04], "plain": np.array([0.0, 0.5, np.nan])}
    axes = plot_rotation_error(["input", "conv", "pool"], errors).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [np.nan, 0.01, 0.04])
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), [np.nan, 0.5, np.nan])
    assert [text.get_text() for text in axes.get_xticklabels()] == ["input", "conv", "pool"]


@pytest.mark.parametrize("errors", [[0.1], [0.1, -0.2]])
def test_rotation_errors_that_do_not_fit_are_rejected(errors):
    with pytest.raises(
        ValueError, match=r"one nonnegative number for each of the 2 layers.*'ours'"
    ):
        plot_rotation_error(["conv", "pool"], {"ours": errors})
