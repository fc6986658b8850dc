"""Laws of every data set, and the reading of MNIST."""

import gzip
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from deepsphere.data import DATASETS, Digits, load_digits, load_mnist
from deepsphere.data.idx import read_idx

NUM_TRAIN, NUM_TEST = 60, 30


def idx_bytes(array: np.ndarray) -> bytes:
    """Array in the IDX format, written from its definition."""
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    return header + array.astype(np.uint8).tobytes()


def write_mnist(folder: Path, *, mark: str = "-", end: str = "") -> Path:
    """Small twin of MNIST in one of its spellings: image i of a part shows the pixel value i."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, num in (("train", NUM_TRAIN), ("t10k", NUM_TEST)):
        images = np.arange(num)[:, None, None] * np.ones((28, 28))
        for name, array in (("images", images), ("labels", np.arange(num) % 10)):
            content = idx_bytes(array)
            path = folder / f"{part}-{name}{mark}idx{array.ndim}-ubyte{end}"
            path.write_bytes(gzip.compress(content) if end else content)
    return folder


@pytest.fixture
def mnist_folder(tmp_path: Path) -> Path:
    """Folder of a small twin of MNIST."""
    return write_mnist(tmp_path / "mnist")


def load(name: str, folder: Path, seed: int) -> Digits:
    """Any registered data set."""
    return load_mnist(folder, num_train=50, seed=seed) if name == "mnist" else DATASETS[name](seed)


@pytest.mark.parametrize("name", DATASETS)
def test_data_set_is_determined_by_its_seed(name: str, mnist_folder: Path) -> None:
    first, again, other = (load(name, mnist_folder, seed) for seed in (0, 0, 1))
    assert np.array_equal(first.train.images, again.train.images)
    assert np.array_equal(first.test.labels, again.test.labels)
    assert not np.array_equal(first.train.images, other.train.images)


@pytest.mark.parametrize("name", DATASETS)
def test_data_set_is_finite_within_unit_interval(name: str, mnist_folder: Path) -> None:
    digits = load(name, mnist_folder, 0)
    for split in (digits.train, digits.test):
        assert split.images.dtype == np.float32
        assert split.images.min() >= 0
        assert split.images.max() <= 1
        assert set(split.labels.tolist()) == set(range(10))
    assert digits.name == name


def test_digits_do_not_leak_between_splits() -> None:
    digits = load_digits(seed=0)
    train = {image.tobytes() for image in digits.train.images}
    # the bundle has no two equal images, so an image in both parts would be a leak
    assert len(train) == 1257
    assert not train & {image.tobytes() for image in digits.test.images}


def test_digits_are_all_of_the_bundle_in_equal_shares() -> None:
    from sklearn.datasets import load_digits as load_bundle

    digits = load_digits(seed=0)
    images = np.concatenate([digits.train.images, digits.test.images]) * 16
    bundle = load_bundle()
    assert sorted(map(bytes, images.astype(np.uint8))) == sorted(
        map(bytes, bundle.images.astype(np.uint8))
    )
    counts = np.bincount(digits.test.labels)
    assert counts.sum() == 540
    assert (np.abs(counts - 540 * np.bincount(bundle.target) / 1797) < 1).all()


def test_digits_without_scikit_learn_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"needs scikit-learn.*deepsphere-torch\[train\]"):
        load_digits()


@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_mnist_is_read_in_every_spelling(tmp_path: Path, mark: str, end: str) -> None:
    digits = load_mnist(write_mnist(tmp_path, mark=mark, end=end))
    assert np.array_equal(digits.train.labels, np.arange(NUM_TRAIN) % 10)
    expected = np.arange(NUM_TEST, dtype=np.float32) / 255
    assert np.array_equal(digits.test.images[:, 13, 7], expected)


def test_mnist_subset_is_stratified_and_stays_in_its_part(mnist_folder: Path) -> None:
    digits = load_mnist(mnist_folder, num_train=20, num_test=10, seed=4)
    assert np.bincount(digits.train.labels).tolist() == [2] * 10
    assert np.bincount(digits.test.labels).tolist() == [1] * 10
    indices = np.rint(digits.train.images[:, 0, 0] * 255).astype(int)
    assert np.array_equal(indices % 10, digits.train.labels)


def test_mnist_without_files_lists_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError,
        match=r"train-images-idx3-ubyte\.gz, train-images\.idx3-ubyte, .*which has none of them",
    ):
        load_mnist(tmp_path)
    with pytest.raises(FileNotFoundError, match="which does not exist"):
        load_mnist(tmp_path / "nowhere")


@pytest.mark.parametrize("num", [0, 61])
def test_mnist_subset_of_impossible_size_is_rejected(mnist_folder: Path, num: int) -> None:
    with pytest.raises(ValueError, match=rf"num_train must be in \[1, 60\].*got {num}"):
        load_mnist(mnist_folder, num_train=num)


def test_mnist_with_unequal_counts_is_rejected(mnist_folder: Path) -> None:
    (mnist_folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(59)))
    with pytest.raises(ValueError, match="got 60 images and 59 labels"):
        load_mnist(mnist_folder)


def test_mnist_with_letters_is_rejected(mnist_folder: Path) -> None:
    (mnist_folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(NUM_TEST)))
    with pytest.raises(ValueError, match=r"labels in \[0, 10\), got 29"):
        load_mnist(mnist_folder)


def test_idx_of_another_magic_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(idx_bytes(np.zeros(7)))
    with pytest.raises(ValueError, match=r"images must begin with .*00 00 08 03.*got 00 00 08 01"):
        read_idx(path, num_axes=3)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="got an empty file"):
        read_idx(path, num_axes=3)


def test_idx_of_wrong_length_is_rejected(tmp_path: Path) -> None:
    content, path = idx_bytes(np.zeros((2, 3, 3))), tmp_path / "images"
    path.write_bytes(content[:-5])
    with pytest.raises(ValueError, match=r"must hold 34 bytes.*\(2, 3, 3\), got 29.*truncated"):
        read_idx(path, num_axes=3)
    path.write_bytes(content + b"!")
    with pytest.raises(ValueError, match=r"got 35 bytes; the file is damaged"):
        read_idx(path, num_axes=3)
    path.write_bytes(content[:9])
    with pytest.raises(ValueError, match="header of 16 bytes, got 9 bytes"):
        read_idx(path, num_axes=3)


def test_truncated_gzip_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    content = gzip.compress(idx_bytes(np.random.default_rng(0).integers(0, 256, (2, 9, 9))))
    path.write_bytes(content[:-20])
    with pytest.raises(ValueError, match="complete gzip stream"):
        read_idx(path, num_axes=3)


def test_missing_idx_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_idx(tmp_path / "images", num_axes=3)
