"""Rules of image splits, and laws of stratified choices."""

import numpy as np
import pytest

from deepsphere.data import Digits, ImageSplit, stratified_choice

NAMES = ("zero", "one", "two")


def make_split(labels: list[int]) -> ImageSplit:
    """Split whose image i is constantly i."""
    images = np.arange(len(labels), dtype=np.float32)[:, None, None] * np.ones((4, 4), np.float32)
    return ImageSplit(images, np.array(labels), NAMES)


def test_split_takes_images_with_their_labels() -> None:
    split = make_split([0, 1, 2, 1]).take(np.array([3, 0]))
    assert split.images[:, 0, 0].tolist() == [3, 0]
    assert split.labels.tolist() == [1, 0]
    assert (len(split), split.num_classes) == (2, 3)


def test_split_cannot_be_written_to_and_leaves_the_given_arrays_writable() -> None:
    labels = np.array([0, 1])
    split = ImageSplit(np.zeros((2, 4, 4)), labels, NAMES)
    with pytest.raises(ValueError, match="read-only"):
        split.labels[0] = 2
    labels[0] = 1
    assert labels.flags.writeable


def test_split_with_unequal_counts_is_rejected() -> None:
    with pytest.raises(ValueError, match="as many, got 2 images and 3 labels"):
        ImageSplit(np.zeros((2, 4, 4)), np.zeros(3, int), NAMES)


def test_split_with_label_out_of_range_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"labels must be in \[0, 3\).*got 3 for image 1"):
        ImageSplit(np.zeros((2, 4, 4)), np.array([0, 3]), NAMES)
    with pytest.raises(ValueError, match="got -1 for image 0"):
        ImageSplit(np.zeros((2, 4, 4)), np.array([-1, 0]), NAMES)


def test_split_with_nan_is_rejected() -> None:
    images = np.zeros((2, 4, 4))
    images[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="finite, got 1 NaN"):
        ImageSplit(images, np.array([0, 1]), NAMES)


def test_digits_with_different_classes_or_sizes_are_rejected() -> None:
    split = make_split([0, 1])
    other_names = ImageSplit(split.images, split.labels, ("a", "b", "c"))
    other_size = ImageSplit(np.zeros((2, 5, 4)), split.labels, NAMES)
    with pytest.raises(ValueError, match="same classes"):
        Digits(split, other_names, "d")
    with pytest.raises(ValueError, match=r"same size, got \(4, 4\) and \(5, 4\)"):
        Digits(split, other_size, "d")


def test_validation_split_parts_the_training_images_and_spares_the_test() -> None:
    digits = Digits(make_split([0, 1, 2] * 10), make_split([0]), "d")
    train, validation = digits.validation_split(0.2, seed=5)
    together = np.concatenate([train.images, validation.images])[:, 0, 0]
    assert sorted(together.tolist()) == list(range(30))
    assert np.bincount(validation.labels).tolist() == [2, 2, 2]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5])
def test_validation_fraction_out_of_range_is_rejected(fraction: float) -> None:
    digits = Digits(make_split([0, 1]), make_split([0]), "d")
    with pytest.raises(ValueError, match="fraction must be between 0 and 1"):
        digits.validation_split(fraction, seed=0)


@pytest.mark.parametrize("num", [0, 1, 7, 50, 99, 100])
def test_stratified_choice_gives_every_label_its_share(num: int) -> None:
    labels = np.random.default_rng(3).permutation(np.repeat([0, 1, 2], [50, 33, 17]))
    chosen = stratified_choice(labels, num, seed=0)
    assert len(chosen) == num
    assert len(np.unique(chosen)) == num
    shares = num * np.array([50, 33, 17]) / 100
    counts = np.bincount(labels[chosen], minlength=3)
    assert (np.abs(counts - shares) < 1).all()


def test_stratified_choice_depends_on_the_seed_alone() -> None:
    labels = np.arange(100) % 4
    first = stratified_choice(labels, 20, seed=1)
    assert np.array_equal(first, stratified_choice(labels, 20, seed=1))
    assert not np.array_equal(first, stratified_choice(labels, 20, seed=2))


@pytest.mark.parametrize("num", [-1, 4])
def test_stratified_choice_of_too_many_is_rejected(num: int) -> None:
    with pytest.raises(ValueError, match=rf"num must be in \[0, 3\].*got {num}"):
        stratified_choice(np.array([0, 1, 0]), num, seed=0)
