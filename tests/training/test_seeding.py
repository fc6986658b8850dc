"""Seeds work inside of the block and leave no trace."""

import random

import numpy as np
import pytest
import torch

from deepsphere.training import seeded


def test_block_is_determined_by_the_seed() -> None:
    def draw(seed: int) -> tuple[float, float, float]:
        with seeded(seed):
            return torch.rand(()).item(), float(np.random.rand()), random.random()  # noqa: NPY002

    assert draw(3) == draw(3)
    assert all(a != b for a, b in zip(draw(3), draw(4), strict=True))


def test_generators_go_on_as_if_nothing_had_happened() -> None:
    def draw() -> list[float]:
        return [torch.rand(()).item(), float(np.random.rand()), random.random()]  # noqa: NPY002

    with seeded(0):
        draw()
        expected = draw()

    def fail() -> None:
        with seeded(7):
            draw()
            raise KeyError

    with seeded(0):
        draw()
        with pytest.raises(KeyError):
            fail()
        assert draw() == expected


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range_is_rejected(seed: int) -> None:
    message = rf"seed must be in \[0, 2\*\*32\), got {seed}"
    with pytest.raises(ValueError, match=message), seeded(seed):
        pytest.fail("the block must not be entered")
