"""Scores of a classification against their definitions."""

import pytest
import torch

from deepsphere.tasks.classification_scores import classification_scores


def test_scores_are_their_definitions() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(60, 5, generator=generator)
    labels = torch.randint(4, (60,), generator=generator)  # class 4 is predicted, never true
    predicted = scores.argmax(dim=1).tolist()
    pairs = list(zip(labels.tolist(), predicted, strict=True))
    f1, support = [], []
    for c in range(5):
        both = sum(p == t == c for t, p in pairs)
        f1.append(2 * both / sum((t == c) + (p == c) for t, p in pairs))
        support.append(sum(t == c for t, _ in pairs))
    result = classification_scores(scores, labels)
    accuracy = sum(t == p for t, p in pairs) / 60
    assert result["accuracy"] == pytest.approx(accuracy)
    assert result["f1_micro"] == pytest.approx(accuracy, rel=1e-6)
    assert result["f1_macro"] == pytest.approx(sum(f1) / 5, rel=1e-6)
    weighted = sum(score * count for score, count in zip(f1, support, strict=True)) / 60
    assert result["f1_weighted"] == pytest.approx(weighted, rel=1e-6)


def test_classes_that_do_not_occur_have_no_weight() -> None:
    scores = torch.eye(9)[[0, 1, 1]]
    result = classification_scores(scores, torch.tensor([0, 1, 0]))
    assert result["f1_macro"] == pytest.approx((2 / 3 + 2 / 3) / 2)


@pytest.mark.usefixtures("unchecked")
def test_wrong_arguments_are_rejected() -> None:
    with pytest.raises(ValueError, match="got 2 labels and 3 signals"):
        classification_scores(torch.eye(3), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="got 0 labels and 0 signals"):
        classification_scores(torch.ones(0, 3), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"\[0, 3\).*got -1 to 1"):
        classification_scores(torch.eye(3), torch.tensor([0, 1, -1]))
    with pytest.raises(ValueError, match="got 1 NaN"):
        classification_scores(torch.tensor([[torch.nan, 1.0]]), torch.tensor([0]))
