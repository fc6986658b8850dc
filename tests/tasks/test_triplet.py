"""The triplet loss against loops, and its derivative."""

import pytest
import torch

from deepsphere.tasks.triplet import semihard_triplet_loss


def naive_loss(descriptors: torch.Tensor, labels: list[int], margin: float) -> float:
    """The definition, pair by pair."""
    units = [(row / row.norm()).tolist() for row in descriptors]

    def distance(i: int, j: int) -> float:
        return sum((x - y) ** 2 for x, y in zip(units[i], units[j], strict=True))

    losses = []
    for a in range(len(labels)):
        negatives = [distance(a, n) for n in range(len(labels)) if labels[n] != labels[a]]
        for p in range(len(labels)):
            if p == a or labels[p] != labels[a] or not negatives:
                continue
            harder = [d for d in negatives if d > distance(a, p)]
            negative = min(harder) if harder else max(negatives)
            losses.append(max(0.0, margin + distance(a, p) - negative))
    return sum(losses) / len(losses) if losses else 0.0


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("margin", [0.3, 1.0])
def test_loss_is_its_definition(seed: int, margin: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    descriptors = torch.randn(11, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(1 + seed % 4, (11,), generator=generator)
    loss = semihard_triplet_loss(descriptors, labels, margin=margin)
    assert loss.item() == pytest.approx(naive_loss(descriptors, labels.tolist(), margin), abs=1e-12)


def test_gradient_is_the_derivative() -> None:
    generator = torch.Generator().manual_seed(0)
    descriptors = torch.randn(8, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 2, 0])
    assert torch.autograd.gradcheck(lambda x: semihard_triplet_loss(x, labels), (descriptors,))


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [7, 7, 7, 7], [0, 1, 2, 3][:1]])
def test_batch_without_triplets_has_no_loss_and_no_gradient(labels: list[int]) -> None:
    descriptors = torch.randn(len(labels), 5, generator=torch.Generator().manual_seed(1))
    descriptors.requires_grad_()
    loss = semihard_triplet_loss(descriptors, torch.tensor(labels))
    loss.backward()
    assert loss.item() == 0
    assert descriptors.grad is not None
    assert torch.equal(descriptors.grad, torch.zeros_like(descriptors))


def test_gradient_is_finite_for_equal_and_zero_descriptors() -> None:
    descriptors = torch.tensor([[1.0, 2.0], [1.0, 2.0], [0.0, 0.0], [0.0, 0.0], [2.0, 4.0]])
    descriptors.requires_grad_()
    loss = semihard_triplet_loss(descriptors, torch.tensor([0, 0, 1, 1, 1]))
    loss.backward()
    assert descriptors.grad is not None
    assert torch.isfinite(descriptors.grad).all()


def test_loss_depends_on_directions_only() -> None:
    generator = torch.Generator().manual_seed(2)
    descriptors = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    labels = torch.arange(9) % 3
    lengths = torch.rand(9, 1, generator=generator, dtype=torch.float64) + 0.1
    rotation, _ = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64))
    expected = semihard_triplet_loss(descriptors, labels)
    torch.testing.assert_close(semihard_triplet_loss(descriptors * lengths, labels), expected)
    torch.testing.assert_close(semihard_triplet_loss(descriptors @ rotation, labels), expected)


def test_descent_separates_the_classes() -> None:
    descriptors = torch.randn(12, 3, generator=torch.Generator().manual_seed(3))
    descriptors.requires_grad_()
    labels = torch.arange(12) % 3
    for _ in range(200):
        loss = semihard_triplet_loss(descriptors, labels)
        (gradient,) = torch.autograd.grad(loss, descriptors)
        descriptors = (descriptors - gradient).detach().requires_grad_()
    units = torch.nn.functional.normalize(descriptors, dim=1).detach()
    similarity = units @ units.T
    same = labels[:, None] == labels[None]
    assert similarity[same].min() > similarity[~same].max()


@pytest.mark.usefixtures("unchecked")
def test_wrong_arguments_are_rejected() -> None:
    with pytest.raises(ValueError, match=r"labels must have shape \(3,\).*got \(2,\)"):
        semihard_triplet_loss(torch.ones(3, 2), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="margin must be above 0, got 0"):
        semihard_triplet_loss(torch.ones(3, 2), torch.tensor([0, 1, 1]), margin=0.0)
