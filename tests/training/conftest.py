"""A tiny classifier, tiny data, and a training of both that takes a second."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from deepsphere.data import Digits, ImageSplit
from deepsphere.graph import build_graph
from deepsphere.models import FCN
from deepsphere.sampling import Healpix
from deepsphere.tasks import Classification
from deepsphere.training import Optimization, SphereModule, SphericalImages, seeded

NAMES = ("dark", "half", "bright")
SAMPLING = Healpix(2)


def make_split(num: int, seed: int) -> ImageSplit:
    """Images that are noise, brighter in the classes of higher number."""
    generator = np.random.default_rng(seed)
    labels = np.arange(num) % 3
    images = generator.random((num, 8, 8)) * (labels[:, None, None] + 1) / 3
    return ImageSplit(images.astype(np.float32), labels, NAMES)


@pytest.fixture(scope="session")
def digits() -> Digits:
    """A data set of three classes that are easily told apart."""
    return Digits(make_split(48, 0), make_split(12, 1), "tiny")


def make_model(seed: int = 0, **options: Any) -> FCN:
    """Classifier of a few hundred parameters."""
    pyramid = build_graph(SAMPLING, num_neighbors=8).pyramid(num_levels=2)
    sizes = {"in_channels": 1, "out_channels": 3, "channels": (4, 8), "kernel_size": 3}
    block = {"activation": "relu", "last_upsampled": False} | options
    with seeded(seed):
        return FCN(pyramid, **sizes, **block)


@pytest.fixture
def model() -> FCN:
    """The classifier with its first weights."""
    return make_model()


@pytest.fixture
def make_module() -> Callable[..., SphereModule]:
    """Maker of a module around a fresh copy of the classifier."""

    def make(optimization: Optimization | None = None, **options: Any) -> SphereModule:
        task = Classification(NAMES)
        return SphereModule(make_model(**options), task, optimization=optimization)

    return make


@pytest.fixture
def make_data(digits: Digits) -> Callable[..., SphericalImages]:
    """Maker of the data with other options."""

    def make(**options: Any) -> SphericalImages:
        defaults: dict[str, Any] = {"rotate_train": True, "rotate_test": True, "batch_size": 12}
        return SphericalImages(digits, SAMPLING, **(defaults | options))

    return make
