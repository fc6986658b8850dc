"""Losses and metrics against their definitions, and checks of targets."""

import numpy as np
import pytest
import torch

from deepsphere.tasks import (
    Classification,
    Regression,
    Segmentation,
    Task,
    TripletClassification,
    relative_change,
    semihard_triplet_loss,
    task_from_spec,
)

TASK = Classification(("sea", "land", "ice"))


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(50, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def labels() -> torch.Tensor:
    return torch.randint(3, (50,), generator=torch.Generator().manual_seed(1))


TRIPLETS = TripletClassification(TASK.class_names, triplet_weight=0.5, margin=0.25)


@pytest.mark.parametrize(
    "task",
    [TASK, TRIPLETS, Regression(4), Segmentation(TASK.class_names)],
    ids=lambda task: task.spec["task"],
)
def test_task_is_rebuilt_from_its_spec(task: Task) -> None:
    assert task_from_spec(task.spec) == task


def test_models_have_an_output_for_each_class_or_quantity() -> None:
    assert [task.num_model_outputs for task in (TASK, TRIPLETS, Regression(4))] == [3, 3, 4]
    assert Regression(4, loss="gaussian").num_model_outputs == 8


def test_unknown_task_is_rejected() -> None:
    with pytest.raises(
        ValueError,
        match="one of classification, triplet_classification, regression, segmentation",
    ):
        task_from_spec({"task": "juggling"})


def test_cross_entropy_is_its_definition(logits: torch.Tensor, labels: torch.Tensor) -> None:
    scores = logits.double().numpy()
    naive = [
        np.log(np.exp(row).sum()) - row[label]
        for row, label in zip(scores, labels.tolist(), strict=True)
    ]
    assert TASK.loss(logits, labels).item() == pytest.approx(np.mean(naive), rel=1e-6)


def test_triplets_are_added_to_the_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor
) -> None:
    descriptors = torch.randn(50, 4, generator=torch.Generator().manual_seed(2))
    triplets = semihard_triplet_loss(descriptors, labels, margin=0.25)
    expected = TASK.loss(logits, labels) + 0.5 * triplets
    loss = TRIPLETS.loss(logits, labels, descriptors=descriptors)
    torch.testing.assert_close(loss, expected)
    # directions alone count
    longer = TRIPLETS.loss(logits, labels, descriptors=7 * descriptors)
    torch.testing.assert_close(longer, expected)


def test_triplets_are_judged_by_the_classification(
    logits: torch.Tensor, labels: torch.Tensor
) -> None:
    values = []
    for task in (TASK, TRIPLETS):
        metrics = task.metrics()
        task.update_metrics(metrics, logits, labels)
        values.append({name: float(value) for name, value in metrics.compute().items()})
    assert values[0] == values[1]
    with pytest.raises(ValueError, match=r"labels must be in \[0, 3\)"):
        TRIPLETS.check_targets(logits, labels + 3)
    assert TRIPLETS.num_classes == 3


@pytest.mark.parametrize("name", ["triplet_weight", "margin"])
def test_numbers_of_triplets_are_positive(name: str) -> None:
    for value in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=f"{name} must be positive, got {value}"):
            TripletClassification(("sea", "land"), **{name: value})
    with pytest.raises(ValueError, match="two or more, got 1"):
        TripletClassification(("sea",))


def test_classification_metrics_are_their_definitions(
    logits: torch.Tensor, labels: torch.Tensor
) -> None:
    metrics = TASK.metrics()
    for piece in (slice(0, 20), slice(20, 50)):  # of unequal size: means of means would be wrong
        TASK.update_metrics(metrics, logits[piece], labels[piece])
    values = metrics.compute()
    predicted, true = logits.argmax(dim=1).numpy(), labels.numpy()
    f1 = []
    for c in range(3):
        hits = ((predicted == c) & (true == c)).sum()
        f1.append(2 * hits / ((predicted == c).sum() + (true == c).sum()))
    assert values["accuracy"].item() == pytest.approx((predicted == true).mean())
    assert values["macro_f1"].item() == pytest.approx(np.mean(f1))


def test_confusion_matrix_counts_true_in_rows() -> None:
    logits = torch.eye(3)[[0, 0, 1, 2]]
    matrix = TASK.confusion_matrix(logits, torch.tensor([0, 1, 1, 0]))
    assert matrix.tolist() == [[1, 0, 1], [1, 1, 0], [0, 0, 0]]


def test_labels_out_of_range_are_rejected(logits: torch.Tensor) -> None:
    labels = torch.zeros(50, dtype=torch.int64)
    labels[7] = 3
    with pytest.raises(ValueError, match=r"labels must be in \[0, 3\).*got 3 at index 7"):
        TASK.check_targets(logits, labels)
    labels[7] = -1
    with pytest.raises(ValueError, match="got -1 at index 7"):
        TASK.check_targets(logits, labels)


def test_logits_and_labels_of_other_shapes_are_rejected(logits: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"\(batch, 3\).*got \(50, 2\).*out_channels=3"):
        TASK.check_targets(logits[:, :2], torch.zeros(50, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"shape \(50,\), one for each signal, got \(49,\)"):
        TASK.check_targets(logits, torch.zeros(49, dtype=torch.int64))


def test_classes_must_be_two_and_different() -> None:
    with pytest.raises(ValueError, match="two or more, got 1"):
        Classification(("sea",))
    with pytest.raises(ValueError, match="different, got sea more than once"):
        Classification(("sea", "land", "sea"))


@pytest.mark.parametrize("shape", [(30, 2), (6, 5, 2)], ids=["signals", "vertices"])
def test_regression_metrics_are_their_definitions(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(*shape, generator=generator)
    outputs = targets + 0.3 * torch.randn(*shape, generator=generator)
    task = Regression(2)
    task.check_targets(outputs, targets)
    metrics = task.metrics()
    task.update_metrics(metrics, outputs[:2], targets[:2])
    task.update_metrics(metrics, outputs[2:], targets[2:])
    values = metrics.compute()
    y, t = outputs.reshape(-1, 2).double().numpy(), targets.reshape(-1, 2).double().numpy()
    r2 = 1 - ((y - t) ** 2).sum(0) / ((t - t.mean(0)) ** 2).sum(0)
    assert task.loss(outputs, targets).item() == pytest.approx(((y - t) ** 2).mean(), rel=1e-5)
    assert values["mse"].item() == pytest.approx(((y - t) ** 2).mean(), rel=1e-5)
    assert values["mae"].item() == pytest.approx(np.abs(y - t).mean(), rel=1e-5)
    assert values["r2"].item() == pytest.approx(r2.mean(), rel=1e-4)


def test_regression_targets_are_checked() -> None:
    task, outputs = Regression(2), torch.zeros(4, 2)
    with pytest.raises(ValueError, match=r"\(4, 2\), got \(4, 1\)"):
        task.check_targets(outputs, torch.zeros(4, 1))
    with pytest.raises(ValueError, match="out_channels=2"):
        task.check_targets(torch.zeros(4, 3), torch.zeros(4, 3))
    with pytest.raises(ValueError, match="finite, got 2 NaN or infinite values of 8"):
        task.check_targets(outputs, torch.tensor([[0, torch.nan]] * 2 + [[0, 0]] * 2))
    with pytest.raises(ValueError, match="num_outputs must be at least 1, got 0"):
        Regression(0)


def test_relative_change_is_the_mean_of_ratios() -> None:
    reference = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    rotated = torch.tensor([[3.0, 5.0], [1.0, 1.0]])
    assert relative_change(rotated, reference) == pytest.approx((1 / 5 + 1 / 1) / 2)
    assert relative_change(reference, reference) == 0


def test_relative_change_from_nothing_is_rejected() -> None:
    with pytest.raises(ValueError, match="no zero outputs, got 1 of 2"):
        relative_change(torch.ones(2, 3), torch.tensor([[0.0, 0, 0], [1, 0, 0]]))
