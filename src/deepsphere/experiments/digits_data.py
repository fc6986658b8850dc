"""The images of the digits experiment, by its recipe."""

import hashlib
from pathlib import Path

import numpy as np

from deepsphere.data import Digits, ImageSplit, load_digits, load_mnist, stratified_choice
from deepsphere.experiments.digits_config import DataSection


def load_images(section: DataSection, folder: Path | None) -> Digits:
    """The images of a recipe.

    Parameters
    ----------
    section
        Which ones.
    folder
        Of the MNIST files; for that source only.

    Returns
    -------
    Digits

    Raises
    ------
    ValueError
        If there is no folder where one is needed or one where none is, or there are fewer images
        than asked for.
    FileNotFoundError
        If the folder does not hold the files.

    Examples
    --------
    >>> len(load_images(DataSection(num_train=100, num_test=50), None).train)
    100
    """
    if section.source == "mnist":
        if folder is None:
            raise ValueError(
                "data must be a folder with the four MNIST files, got none; pass --data DIR"
            )
        return load_mnist(
            folder,
            num_train=section.num_train,
            num_test=section.num_test,
            seed=section.split_seed,
        )
    if folder is not None:
        raise ValueError(
            f"data must be left out for the digits of scikit-learn, got {folder}; "
            "take the recipe mnist to use it"
        )
    whole = load_digits(seed=section.split_seed)
    return Digits(
        _part(whole.train, section.num_train, name="num_train", seed=section.split_seed),
        _part(whole.test, section.num_test, name="num_test", seed=section.split_seed),
        whole.name,
    )


def _part(split: ImageSplit, num: int, *, name: str, seed: int) -> ImageSplit:
    """So many images of a split, in the proportions of their classes."""
    if num > len(split):
        raise ValueError(
            f"data.{name} must be at most {len(split)}, the images that there are, got {num}"
        )
    return split.take(stratified_choice(split.labels, num, seed=seed))


def digest_of_images(digits: Digits) -> str:
    """A short hash of all images and labels.

    Parameters
    ----------
    digits
        The data.

    Returns
    -------
    str
        Sixteen hexadecimal digits.
    """
    digest = hashlib.sha256()
    for split in (digits.train, digits.test):
        for array in (split.images, split.labels):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
