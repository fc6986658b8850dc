"""Segmentation: the loss and the scores against their definitions, and checks of targets."""

import math

import numpy as np
import pytest
import torch

from deepsphere.sampling import Equiangular
from deepsphere.tasks import (
    NOT_LABELLED,
    Segmentation,
    average_precision,
    balanced_weights,
    count_segmentation,
    segmentation_scores,
    task_from_spec,
)
from deepsphere.tasks.segmentation_scores import LARGEST_LOG_ODDS, NUM_BINS, log_odds

NAMES = ("background", "cyclone", "river")
WEIGHTS = (0.3, 200.0, 15.0)
SHARES = (0.9, 0.02, 0.08)
GRID = Equiangular(nlat=8)


def outputs(*, seed: int = 0, num: int = 4, vertices: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Logits that know something of the labels, some of which are missing."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(3, p=SHARES, size=(num, vertices))
    logits = generator.normal(size=(num, vertices, 3)) + 1.5 * np.eye(3)[labels]
    labels[0, ::7] = NOT_LABELLED
    # some equal scores, as saturated networks give them
    logits[1, :20] = logits[1, 0]
    return logits.astype(np.float32), labels


def tensors(**options: int) -> tuple[torch.Tensor, torch.Tensor]:
    logits, labels = outputs(**options)
    return torch.from_numpy(logits), torch.from_numpy(labels)


def naive_losses(logits: np.ndarray, labels: np.ndarray) -> list[tuple[int, float, int]]:
    """Class, negative log-likelihood and vertex of every labelled vertex."""
    found = []
    for row, of_row in zip(logits.astype(float), labels, strict=True):
        for vertex, (values, label) in enumerate(zip(row, of_row, strict=True)):
            if label >= 0:
                found.append((label, math.log(np.exp(values).sum()) - values[label], vertex))
    return found


# the task


@pytest.mark.parametrize(
    "task",
    [
        Segmentation(NAMES),
        Segmentation(NAMES, class_weights=WEIGHTS, averaging="weights", background=None),
        Segmentation(NAMES, background=1, sampling="equiangular:8x16"),
    ],
)
def test_task_is_rebuilt_from_its_spec(task):
    assert task_from_spec(task.spec) == task


def test_events_are_all_but_the_background():
    assert Segmentation(NAMES).event_names == NAMES[1:]
    assert Segmentation(NAMES, background=None).event_names == NAMES
    assert Segmentation(NAMES).num_model_outputs == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_names": ("one",)}, "class_names must be two or more, got 1"),
        ({"class_names": ("a", "a")}, "class_names must be different, got a more than once"),
        ({"class_weights": (1.0, 2.0)}, r"as many as the classes \(3\), got 2"),
        ({"class_weights": (1.0, 0.0, 2.0)}, "class_weights must be finite and positive"),
        ({"class_weights": (1.0, math.nan, 2.0)}, "class_weights must be finite and positive"),
        ({"averaging": "mean"}, "averaging must be one of vertices, weights, got 'mean'"),
        ({"background": 3}, r"background must be in \[0, 3\), the number of classes, or None, got"),
        ({"sampling": "nothing:3"}, "nothing"),
    ],
)
def test_values_that_make_no_task_are_rejected(unchecked, options, message):
    with pytest.raises(ValueError, match=message):
        Segmentation(**{"class_names": NAMES, **options})


@pytest.mark.parametrize("averaging", ["vertices", "weights"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("weighted_by_area", [False, True])
def test_loss_is_its_definition(averaging, weights, weighted_by_area):
    logits, labels = outputs()
    task = Segmentation(
        NAMES,
        class_weights=weights,
        averaging=averaging,
        sampling=GRID.spec if weighted_by_area else None,
    )
    of_class = weights or (1.0, 1.0, 1.0)
    areas = GRID.areas if weighted_by_area else np.ones(128)
    total = divisor = 0.0
    for label, loss, vertex in naive_losses(logits, labels):
        total += areas[vertex] * of_class[label] * loss
        divisor += areas[vertex] * (of_class[label] if averaging == "weights" else 1)
    value = task.loss(torch.from_numpy(logits), torch.from_numpy(labels)).item()
    assert value == pytest.approx(total / divisor, rel=1e-5)


def test_mean_by_weights_is_that_of_torch():
    logits, labels = tensors()
    task = Segmentation(NAMES, class_weights=WEIGHTS, averaging="weights")
    expected = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), torch.tensor(WEIGHTS), ignore_index=-1
    )
    torch.testing.assert_close(task.loss(logits, labels), expected)


def test_only_ratios_of_weights_count_where_they_divide():
    logits, labels = tensors()
    tenfold = tuple(10 * weight for weight in WEIGHTS)
    for averaging, factor in (("weights", 1), ("vertices", 10)):
        few, many = (
            Segmentation(NAMES, class_weights=of, averaging=averaging).loss(logits, labels)
            for of in (WEIGHTS, tenfold)
        )
        torch.testing.assert_close(many, factor * few)


def test_what_is_not_labelled_has_no_gradient():
    logits, labels = tensors()
    logits.requires_grad_()
    Segmentation(NAMES, class_weights=WEIGHTS).loss(logits, labels).backward()
    assert not logits.grad[labels < 0].any()
    assert logits.grad[labels >= 0].any(dim=-1).all()
    nothing = Segmentation(NAMES).loss(logits, torch.full_like(labels, NOT_LABELLED))
    assert nothing.item() == 0


def test_balanced_weights_make_all_classes_weigh_the_same():
    counts = np.array([977, 1, 22])
    weights = np.array(balanced_weights(counts))
    assert (weights * counts) == pytest.approx(np.full(3, 1000 / 3))
    with pytest.raises(ValueError, match=r"counts must be positive for each class, got \[3.0, 0.0"):
        balanced_weights([3.0, 0.0])


@pytest.mark.parametrize(
    ("shape", "labels", "message"),
    [
        ((2, 5), torch.zeros(2, dtype=torch.int64), r"logits must have shape \(batch, vertices, 3"),
        ((2, 5, 4), torch.zeros(2, 5, dtype=torch.int64), "got \\(2, 5, 4\\); take a model with"),
        ((2, 5, 3), torch.zeros(2, 4, dtype=torch.int64), r"labels must have shape \(2, 5\), one"),
        ((1, 2, 3), torch.tensor([[0, 3]]), r"labels must be in \[0, 3\).* got 3 at vertex 1 of"),
        ((1, 2, 3), torch.tensor([[-2, 0]]), "or -1 where nothing is labelled, got -2 at vertex 0"),
    ],
)
def test_targets_that_do_not_fit_are_rejected(shape, labels, message):
    with pytest.raises(ValueError, match=message):
        Segmentation(NAMES).check_targets(torch.zeros(shape), labels)


def test_labels_with_gaps_fit():
    Segmentation(NAMES).check_targets(torch.zeros(1, 3, 3), torch.tensor([[0, -1, 2]]))


def test_probabilities_are_the_softmax():
    logits, _ = outputs()
    shares = Segmentation(NAMES).probabilities(1000 * logits)
    assert np.isfinite(shares).all()
    expected = torch.softmax(torch.from_numpy(logits), dim=-1).numpy()
    np.testing.assert_allclose(Segmentation(NAMES).probabilities(logits), expected, rtol=1e-5)


# scores


@pytest.mark.parametrize("weighted", [False, True])
def test_average_precision_is_that_of_scikit_learn(weighted):
    metrics = pytest.importorskip("sklearn.metrics")
    logits, labels = outputs(num=8)
    areas = GRID.areas if weighted else None
    scores = segmentation_scores(logits, labels, areas=areas)
    counted = labels >= 0
    shares = Segmentation(NAMES).probabilities(logits[counted].astype(np.float64))
    weights = np.broadcast_to(GRID.areas, labels.shape)[counted] if weighted else None
    for index in range(3):
        expected = metrics.average_precision_score(
            labels[counted] == index, shares[:, index], sample_weight=weights
        )
        assert scores.average_precision[index] == pytest.approx(expected, rel=1e-12)
    recall = metrics.recall_score(
        labels[counted], shares.argmax(axis=1), average=None, sample_weight=weights
    )
    assert scores.recall == pytest.approx(recall, rel=1e-12)
    assert scores.accuracy == pytest.approx(recall.mean())
    assert scores.mean_average_precision() == pytest.approx(scores.average_precision[1:].mean())
    assert scores.mean_average_precision(None) == pytest.approx(scores.average_precision.mean())


def test_equal_scores_are_passed_at_once():
    flat = np.zeros(10)
    assert average_precision(flat, np.arange(10) < 3) == pytest.approx(0.3)
    assert average_precision(np.arange(10.0), np.arange(10) > 6) == 1
    assert math.isnan(average_precision(flat, np.zeros(10, bool)))


@pytest.mark.parametrize("seed", range(5))
def test_counts_hold_the_exact_score_between_their_bounds(seed):
    # few bins are occupied where all odds are alike: bounds have to be wide and still right
    logits, labels = outputs(seed=seed, num=8)
    if seed % 2:
        logits = logits * 0.005
    exact = segmentation_scores(logits, labels)
    counted = count_segmentation(torch.from_numpy(logits), torch.from_numpy(labels)).scores()
    slack = 1e-9
    assert (counted.lowest_average_precision <= exact.average_precision + slack).all()
    assert (counted.highest_average_precision >= exact.average_precision - slack).all()
    assert (counted.lowest_average_precision <= counted.average_precision).all()
    assert (counted.highest_average_precision >= counted.average_precision - slack).all()
    np.testing.assert_array_equal(counted.confusion, exact.confusion)
    np.testing.assert_array_equal(counted.recall, exact.recall)
    width = counted.highest_average_precision - counted.lowest_average_precision
    assert width.max() < (1 if seed % 2 else 0.15)


def test_bounds_are_reached_by_an_order_within_the_bin():
    # one bin: two others and two positives; the worst order has both positives last
    logits = torch.zeros(4, 2)
    logits[:, 1] = torch.tensor([4e-4, 3e-4, 2e-4, 1e-4])
    counts = count_segmentation(logits, torch.tensor([0, 0, 1, 1]))
    found = counts.scores()
    assert found.average_precision[1] == pytest.approx(0.5)
    worst = segmentation_scores(logits.numpy(), np.array([0, 0, 1, 1])).average_precision[1]
    assert found.lowest_average_precision[1] == pytest.approx(worst) == pytest.approx(5 / 12)
    assert found.highest_average_precision[1] == 1


def test_counts_of_parts_add_up_to_those_of_the_whole():
    logits, labels = tensors(num=6)
    whole = count_segmentation(logits, labels)
    parts = [count_segmentation(logits[i : i + 2], labels[i : i + 2]) for i in (0, 2, 4)]
    total = parts[0] + parts[1] + parts[2]
    assert torch.equal(total.confusion, whole.confusion)
    assert torch.equal(total.histogram, whole.histogram)


def test_logits_that_count_must_be_numbers():
    logits = torch.zeros(3, 2)
    logits[1] = torch.nan
    assert count_segmentation(logits, torch.tensor([0, -1, 1])).confusion.sum() == 2
    with pytest.raises(ValueError, match=r"logits must be numbers, got 2 NaN; .*'renormalize'"):
        count_segmentation(logits, torch.tensor([0, 1, 1]))


def test_areas_count_in_place_of_vertices():
    logits, labels = tensors()
    areas = torch.tensor(GRID.areas)
    counts = count_segmentation(logits, labels, areas=areas)
    covered = (areas * (labels >= 0)).sum().item()
    assert counts.confusion.sum().item() == pytest.approx(covered)
    exact = segmentation_scores(*outputs(), areas=GRID.areas)
    np.testing.assert_allclose(counts.confusion.numpy(), exact.confusion, rtol=1e-9)


def test_log_odds_grow_with_the_probability_without_end():
    logits = torch.tensor([[0.0, 50.0, 0.0], [0.0, 60.0, 0.0], [2.0, 1.0, 0.5]])
    odds = log_odds(logits, 1)
    assert odds[1] - odds[0] == pytest.approx(10)
    p = torch.softmax(logits[2].double(), dim=0)[1]
    assert odds[2].item() == pytest.approx(math.log(p / (1 - p)), rel=1e-5)
    assert NUM_BINS / LARGEST_LOG_ODDS > 100  # bins narrow against the spread of odds


def test_class_that_does_not_occur_has_no_score():
    logits, labels = outputs()
    labels[labels == 1] = 0
    for scores in (
        segmentation_scores(logits, labels),
        count_segmentation(torch.from_numpy(logits), torch.from_numpy(labels)).scores(),
    ):
        assert np.isnan(scores.recall[1])
        assert np.isnan(scores.average_precision[1])
        assert scores.accuracy == pytest.approx(scores.recall[[0, 2]].mean())
        assert scores.mean_average_precision() == scores.average_precision[2]
    empty = count_segmentation(torch.zeros(2, 3), torch.tensor([0, 0]))
    assert math.isnan(empty.scores().mean_average_precision())
    assert empty.precision_recall(2)[0].size == 0


def test_curve_is_that_of_the_thresholds():
    logits, labels = outputs(num=8)
    counts = count_segmentation(torch.from_numpy(logits), torch.from_numpy(labels))
    recall, precision = counts.precision_recall(2, num_points=50)
    assert len(recall) <= 50
    assert recall[-1] == 1
    assert (np.diff(recall) > 0).all()
    counted = labels >= 0
    shares = Segmentation(NAMES).probabilities(logits[counted].astype(float))[:, 2]
    true = labels[counted] == 2
    middle = len(recall) // 2
    ranked = true[np.argsort(-shares)]
    number = np.searchsorted(ranked.cumsum(), round(recall[middle] * true.sum())) + 1
    assert precision[middle] == pytest.approx(ranked[:number].mean(), abs=0.02)


@pytest.mark.parametrize(
    ("labels", "logits", "message"),
    [
        (np.zeros(3, int), np.zeros((2, 3)), r"labels must have shape \(2,\), one for each vertex"),
        (np.full(2, -1), np.zeros((2, 3)), "must tell the class of one vertex at least, got none"),
        (np.array([0, 3]), np.zeros((2, 3)), r"labels must be in \[0, 3\), .* got 3"),
        (np.array([0, 1]), np.full((2, 3), np.nan), "logits must be numbers, got 6 NaN"),
    ],
)
def test_scores_of_what_does_not_fit_are_refused(unchecked, labels, logits, message):
    with pytest.raises(ValueError, match=message):
        segmentation_scores(logits, labels)


# metrics of an epoch


@pytest.mark.parametrize("sampling", [None, GRID.spec])
def test_metrics_of_an_epoch_are_the_scores_of_all_its_batches(sampling):
    task = Segmentation(NAMES, sampling=sampling)
    metrics = task.metrics()
    logits, labels = tensors(num=6)
    for start in (0, 2, 4):
        task.update_metrics(metrics, logits[start : start + 2], labels[start : start + 2])
    areas = task.areas_like(logits)
    expected = count_segmentation(logits, labels, areas=areas).scores()
    values = {name: float(value) for name, value in metrics.compute().items()}
    assert values["accuracy"] == pytest.approx(expected.accuracy, rel=1e-5)
    assert values["average_precision"] == pytest.approx(expected.mean_average_precision(), rel=1e-4)
    metrics.reset()
    task.update_metrics(metrics, logits[:2], labels[:2])
    first = count_segmentation(logits[:2], labels[:2], areas=areas).scores()
    assert float(metrics.compute()["accuracy"]) == pytest.approx(first.accuracy, rel=1e-5)


def test_metrics_without_events_are_numbers():
    task = Segmentation(NAMES)
    metrics = task.metrics()
    task.update_metrics(metrics, torch.zeros(1, 4, 3), torch.full((1, 4), NOT_LABELLED))
    assert {name: float(value) for name, value in metrics.compute().items()} == {
        "accuracy": 0.0,
        "average_precision": 0.0,
    }


def test_confusion_counts_labelled_vertices():
    logits, labels = tensors()
    confusion = Segmentation(NAMES).confusion_matrix(logits, labels)
    naive = np.zeros((3, 3), int)
    for row, label in zip(logits.flatten(0, 1), labels.flatten(), strict=True):
        if label >= 0:
            naive[label, row.argmax()] += 1
    np.testing.assert_array_equal(confusion.numpy(), naive)
