"""Images on the sphere under the protocols, and the scores of a classifier on them."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from deepsphere.data import Digits, epoch_rotations, evaluation_rotations, stereographic_signals
from deepsphere.models import FCN
from deepsphere.sampling import Equiangular, Healpix, Sampling
from deepsphere.tasks import relative_change
from deepsphere.training import SphericalImages, evaluate_classifier
from deepsphere.training.data_module import EpochShuffle

DataMaker = Callable[..., SphericalImages]
POINTS = torch.tensor(Healpix(2).points, dtype=torch.float32)


def in_stage(data: SphericalImages, stage: str, epoch: int = 0) -> SphericalImages:
    """The data as a trainer in this stage would drive them."""
    stages = ("training", "validating", "testing", "sanity_checking")
    trainer: Any = SimpleNamespace(current_epoch=epoch, **{name: name == stage for name in stages})
    data.trainer = trainer
    return data


def project(data: SphericalImages, loader: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Signals, labels and indices of all batches."""
    batches = [(*data.on_after_batch_transfer(batch, 0), batch[2]) for batch in loader]
    signals, labels, indices = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return signals, labels, indices


def test_order_of_an_epoch_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochShuffle(30, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert sorted(order(0, 0)) == list(range(30))
    assert order(0, 4) == order(0, 4)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


@pytest.mark.parametrize("epoch", [0, 3])
def test_training_images_are_rotated_by_epoch_and_index(make_data: DataMaker, epoch: int) -> None:
    data = in_stage(make_data(seed=5), "training", epoch)
    signals, labels, indices = project(data, data.train_dataloader())
    assert sorted(indices.tolist()) == list(range(48))
    images = torch.tensor(data.train.images)[indices]
    rotations = torch.tensor(epoch_rotations(48, seed=5, epoch=epoch)).float()[indices]
    assert torch.equal(signals, stereographic_signals(images, POINTS, rotations))
    assert torch.equal(labels, torch.tensor(data.train.labels)[indices])


def test_images_stay_upright_without_rotations(make_data: DataMaker) -> None:
    data = make_data(rotate_train=False, rotate_test=False, validation_fraction=0.25)
    for stage, loader, split in (
        ("training", data.train_dataloader(), data.train),
        ("validating", data.val_dataloader(), data.validation),
        ("testing", data.test_dataloader(), data.digits.test),
    ):
        signals, _, indices = project(in_stage(data, stage), loader)
        images = torch.tensor(split.images)[indices]
        assert torch.equal(signals, stereographic_signals(images, POINTS))


@pytest.mark.parametrize("seed", [0, 1])
def test_every_test_image_has_its_fixed_rotations(make_data: DataMaker, seed: int) -> None:
    """The same whatever the seed of the training."""
    data = in_stage(make_data(rotations_per_image=2, rotate_train=False, seed=seed), "testing")
    signals, labels, _ = project(data, data.test_dataloader())
    assert torch.equal(labels, torch.tensor(data.digits.test.labels).repeat_interleave(2))
    images = torch.tensor(data.digits.test.images)
    rotations = torch.tensor(evaluation_rotations(12, per_image=2)).float()
    for view in range(2):
        expected = stereographic_signals(images, POINTS, rotations[:, view])
        assert torch.equal(signals[view::2], expected)


def test_validation_images_have_fixed_rotations_of_their_own(make_data: DataMaker) -> None:
    data = make_data(validation_fraction=0.25)
    first, _, _ = project(in_stage(data, "validating", 0), data.val_dataloader())
    second, _, _ = project(in_stage(data, "validating", 1), data.val_dataloader())
    assert torch.equal(first, second)
    assert data.validation is not None
    upright = stereographic_signals(torch.tensor(data.validation.images), POINTS)
    assert not torch.allclose(first, upright)


def test_data_without_a_trainer_are_rejected(make_data: DataMaker) -> None:
    data = make_data()
    with pytest.raises(ValueError, match="must be driven by a trainer"):
        project(data, data.train_dataloader())


def test_validation_images_are_not_trained_on(make_data: DataMaker) -> None:
    data = make_data(validation_fraction=0.25)
    train = {image.tobytes() for image in data.train.images}
    assert data.validation is not None
    validation = {image.tobytes() for image in data.validation.images}
    assert (len(train), len(validation), len(train | validation)) == (36, 12, 48)


@pytest.mark.parametrize("sampling", [Healpix(2, ordering="ring"), Equiangular(8, poles=2)])
def test_any_sampling_will_do(digits: Digits, sampling: Sampling) -> None:
    data = SphericalImages(digits, sampling, rotate_train=True, rotate_test=True)
    signals, _, _ = project(in_stage(data, "training"), data.train_dataloader())
    assert signals.shape == (48, sampling.num_vertices, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"rotations_per_image": 0}, "rotations_per_image must be at least 1, got 0"),
        ({"validation_fraction": 1.0}, r"validation_fraction must be in \[0, 1\), got 1.0"),
        ({"validation_fraction": 0.001}, "at least one of 48 images, got 0.001"),
    ],
)
def test_impossible_options_are_rejected(
    make_data: DataMaker, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_data(**options)


def test_scores_are_those_of_the_views(model: FCN, digits: Digits) -> None:
    upright, rotated = evaluate_classifier(
        model, digits.test, Healpix(2), rotations_per_image=2, batch_size=5
    )
    images, labels = torch.tensor(digits.test.images), torch.tensor(digits.test.labels)
    rotations = torch.tensor(evaluation_rotations(12, per_image=2)).float()
    model.eval()
    with torch.no_grad():
        reference = model(stereographic_signals(images, POINTS))
        views = [
            model(stereographic_signals(images, POINTS, rotations[:, view])) for view in range(2)
        ]
    hits = [(view.argmax(1) == labels).double().mean().item() for view in (reference, *views)]
    changes = [relative_change(view, reference) for view in views]
    assert upright.accuracy == pytest.approx(hits[0])
    assert upright.change is None
    assert rotated.accuracy == pytest.approx(np.mean(hits[1:]))
    assert rotated.change == pytest.approx(np.mean(changes), rel=1e-5)
    assert rotated.confusion.sum() == 24
    assert np.trace(rotated.confusion) / 24 == pytest.approx(rotated.accuracy)
    assert 0 <= rotated.macro_f1 <= 1


def test_scores_need_a_rotation_and_fitting_classes(model: FCN, digits: Digits) -> None:
    with pytest.raises(ValueError, match="rotations_per_image must be at least 1, got 0"):
        evaluate_classifier(model, digits.test, Healpix(2), rotations_per_image=0)
