"""Handwritten digits: the 1,797 that scikit-learn bundles, and MNIST from a folder."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from deepsphere.data.idx import read_idx
from deepsphere.data.images import Digits, ImageSplit, stratified_choice

NUM_TEST = 540  # of 1,797: the split of 1,257 and 540 on which the published first numbers stand
FULL_INK = 16.0  # scikit-learn counts the inked pixels of 4 x 4 blocks
CLASSES = tuple("0123456789")
MNIST_STEMS = {
    ("train", "images"): ("train-images", "idx3-ubyte"),
    ("train", "labels"): ("train-labels", "idx1-ubyte"),
    ("test", "images"): ("t10k-images", "idx3-ubyte"),
    ("test", "labels"): ("t10k-labels", "idx1-ubyte"),
}


def load_digits(seed: int = 0) -> Digits:
    """The 1,797 digits of 8 x 8 pixels bundled with scikit-learn, 1,257 to train on, 540 to test.

    The split is stratified: each digit has its share of both parts.

    Parameters
    ----------
    seed
        Seed of the split.

    Returns
    -------
    Digits
        Images in float32 within [0, 1].

    Raises
    ------
    ImportError
        If scikit-learn is not installed.

    Examples
    --------
    >>> digits = load_digits(seed=0)
    >>> digits.train.images.shape, digits.test.images.shape
    ((1257, 8, 8), (540, 8, 8))

    References
    ----------
    Alpaydin, Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning
    Repository, 1998 (CC BY 4.0).
    """
    try:
        from sklearn.datasets import load_digits as load_bundled_digits
    except ImportError as error:
        raise ImportError(
            "load_digits needs scikit-learn, which is not installed; "
            "pip install 'deepsphere-torch[train]'"
        ) from error
    bundle: Any = load_bundled_digits()
    images = np.asarray(bundle.images, np.float32) / np.float32(FULL_INK)
    everything = ImageSplit(images, np.asarray(bundle.target, np.int64), CLASSES)
    test = stratified_choice(everything.labels, NUM_TEST, seed=seed)
    train = np.setdiff1d(np.arange(len(everything)), test)
    return Digits(everything.take(train), everything.take(test), "digits")


def load_mnist(
    folder: str | os.PathLike[str],
    *,
    num_train: int | None = None,
    num_test: int | None = None,
    seed: int = 0,
) -> Digits:
    """MNIST, or a relative in its format, from IDX files, in its official split.

    Both usual spellings are found, `train-images-idx3-ubyte` and `train-images.idx3-ubyte`, with
    or without `.gz`.

    Parameters
    ----------
    folder
        Where the four files lie.
    num_train, num_test
        Size of a stratified subset; None takes all images.
    seed
        Seed of the choice of the subset.

    Returns
    -------
    Digits
        Images in float32 within [0, 1].

    Raises
    ------
    FileNotFoundError
        If the folder or one of the files is not there; the message lists what was looked for.
    ValueError
        If a file is damaged, images and labels are not as many, a label is above 9, or a subset
        is larger than the set.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition",
    Proceedings of the IEEE 86(11), 1998.
    """
    folder = Path(folder)
    return Digits(
        _read_part(folder, "train", num_train, seed),
        _read_part(folder, "test", num_test, seed),
        "mnist",
    )


def _read_part(folder: Path, part: str, num: int | None, seed: int) -> ImageSplit:
    """One official part of MNIST, or a stratified subset of it."""
    image_path = _find(folder, *MNIST_STEMS[part, "images"])
    label_path = _find(folder, *MNIST_STEMS[part, "labels"])
    images = read_idx(image_path, num_axes=3)
    labels = read_idx(label_path, num_axes=1).astype(np.int64)
    _check_pair(image_path, images, label_path, labels)
    if num is not None:
        if not 0 < num <= len(labels):
            raise ValueError(
                f"num_{part} must be in [1, {len(labels)}], the number of images in {image_path}, "
                f"got {num}"
            )
        chosen = stratified_choice(labels, num, seed=seed)
        images, labels = images[chosen], labels[chosen]
    return ImageSplit(images.astype(np.float32) / np.float32(255), labels, CLASSES)


def _check_pair(
    image_path: Path,
    images: UInt8[np.ndarray, "images height width"],
    label_path: Path,
    labels: Int[np.ndarray, "labels"],
) -> None:
    """Raise unless the two files belong together and hold digits."""
    if len(images) != len(labels):
        raise ValueError(
            f"{image_path} and {label_path} must be as long, got {len(images)} images and "
            f"{len(labels)} labels; take both files from the same source"
        )
    if labels.size and labels.max() >= len(CLASSES):
        raise ValueError(
            f"{label_path} must hold labels in [0, {len(CLASSES)}), got {labels.max()}; "
            "only data sets of ten classes are read"
        )


def _find(folder: Path, stem: str, kind: str) -> Path:
    """The file under any of its usual names."""
    names = [f"{stem}{mark}{kind}{end}" for mark in "-." for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    state = "has none of them" if folder.is_dir() else "does not exist"
    raise FileNotFoundError(
        f"folder must hold one of {', '.join(names)}, got {folder}, which {state}; "
        "give the folder of the four MNIST files"
    )
