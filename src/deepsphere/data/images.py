"""Labelled images as values: one split, the pair of splits, and stratified choices from them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """Labelled gray images of equal size, with the names of their classes.

    Parameters
    ----------
    images
        Shape (images, height, width), finite; 0 is the background and 1 full ink.
    labels
        Shape (images,), integers in [0, number of classes).
    classes
        Name of each class.

    Raises
    ------
    ValueError
        If there is not one label per image, a label is out of range, or a pixel is not finite.

    Examples
    --------
    >>> split = ImageSplit(np.zeros((2, 8, 8), np.float32), np.array([0, 1]), ("zero", "one"))
    >>> len(split), split.num_classes
    (2, 2)
    """

    images: Float[np.ndarray, "images height width"]
    labels: Int[np.ndarray, "labels"]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check the rules of the class and protect the arrays."""
        if len(self.images) != len(self.labels):
            raise ValueError(
                "images and labels must be as many, "
                f"got {len(self.images)} images and {len(self.labels)} labels"
            )
        if not np.isfinite(self.images).all():
            num_bad = int((~np.isfinite(self.images)).sum())
            raise ValueError(f"images must be finite, got {num_bad} NaN or infinite pixels")
        is_outside = (self.labels < 0) | (self.labels >= len(self.classes))
        if is_outside.any():
            index = int(is_outside.argmax())
            raise ValueError(
                f"labels must be in [0, {len(self.classes)}), the number of classes, got "
                f"{self.labels[index]} for image {index}"
            )
        for name in ("images", "labels"):
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def take(self, indices: Int[np.ndarray, "chosen"]) -> "ImageSplit":
        """Split of the images with these indices, in that order.

        Parameters
        ----------
        indices
            Shape (chosen,), each in [0, number of images).

        Returns
        -------
        ImageSplit
            A split with copies of those images.

        Examples
        --------
        >>> split = ImageSplit(np.zeros((3, 2, 2)), np.array([0, 1, 2]), ("a", "b", "c"))
        >>> split.take(np.array([2, 0])).labels
        array([2, 0])
        """
        return ImageSplit(self.images[indices], self.labels[indices], self.classes)


@dataclass(frozen=True, eq=False)
class Digits:
    """A data set of digits: images to learn from, and images to be judged by.

    Parameters
    ----------
    train
        What may be looked at while choices are made.
    test
        What the final numbers are computed on, and nothing else.
    name
        Name of the data set, for tables and reports.

    Raises
    ------
    ValueError
        If the two splits differ in classes or in the size of the images.

    Examples
    --------
    >>> split = ImageSplit(np.zeros((4, 8, 8)), np.array([0, 1, 0, 1]), ("zero", "one"))
    >>> digits = Digits(split, split.take(np.array([0])), "tiny")
    >>> train, validation = digits.validation_split(0.5, seed=0)
    >>> len(train), len(validation)
    (2, 2)
    """

    train: ImageSplit
    test: ImageSplit
    name: str

    def __post_init__(self) -> None:
        """Check that the splits belong together."""
        if self.train.classes != self.test.classes:
            raise ValueError(
                "train and test must have the same classes, "
                f"got {self.train.classes} and {self.test.classes}"
            )
        if self.train.images.shape[1:] != self.test.images.shape[1:]:
            raise ValueError(
                "train and test images must have the same size, "
                f"got {self.train.images.shape[1:]} and {self.test.images.shape[1:]}"
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each class."""
        return self.train.classes

    def validation_split(self, fraction: float, *, seed: int) -> tuple[ImageSplit, ImageSplit]:
        """Training images parted in two by stratified choice; the test images are not touched.

        Parameters
        ----------
        fraction
            Share of the training images to validate on, in (0, 1).
        seed
            Seed of the choice.

        Returns
        -------
        train, validation : ImageSplit
            Disjoint, together all training images.

        Raises
        ------
        ValueError
            If `fraction` is outside of (0, 1).
        """
        if not 0 < fraction < 1:
            raise ValueError(f"fraction must be between 0 and 1, both excluded, got {fraction}")
        num = round(fraction * len(self.train))
        chosen = stratified_choice(self.train.labels, num, seed=seed)
        others = np.setdiff1d(np.arange(len(self.train)), chosen)
        return self.train.take(others), self.train.take(chosen)


def stratified_choice(
    labels: Int[np.ndarray, "labels"], num: int, *, seed: int
) -> Int[np.ndarray, "chosen"]:
    """Indices of a random subset in which every label has its share of the whole.

    A label that n_c of the n elements bear gets floor(num n_c / n) places; the places left over
    go to the labels with the largest remainders (Hamilton's method).

    Parameters
    ----------
    labels
        Shape (labels,).
    num
        How many to choose, in [0, number of labels].
    seed
        Seed of the choice.

    Returns
    -------
    Int[np.ndarray, "chosen"]
        Increasing indices, without repetition.

    Raises
    ------
    ValueError
        If `num` is negative or larger than the number of labels.

    Examples
    --------
    >>> labels = np.array([0, 0, 0, 0, 1, 1])
    >>> np.bincount(labels[stratified_choice(labels, 3, seed=0)])
    array([2, 1])
    """
    if not 0 <= num <= len(labels):
        raise ValueError(
            f"num must be in [0, {len(labels)}], the number of images at hand, got {num}"
        )
    if num == 0:
        return np.zeros(0, np.int64)
    values, counts = np.unique(labels, return_counts=True)
    shares = num * counts / len(labels)
    places = np.floor(shares).astype(np.int64)
    # a stable order, so that labels with equal remainders are served in the order of their values
    order = np.argsort(-(shares - places), kind="stable")
    places[order[: num - places.sum()]] += 1
    generator = np.random.default_rng(seed)
    chosen = [
        generator.permutation(np.flatnonzero(labels == value))[:place]
        for value, place in zip(values, places, strict=True)
    ]
    return np.sort(np.concatenate(chosen))
