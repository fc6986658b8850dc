import numpy as np
import pytest

from deepsphere.sampling import Fibonacci


def test_heights_are_equal_steps():
    np.testing.assert_allclose(Fibonacci(4).points[:, 2], [0.75, 0.25, -0.25, -0.75])


def test_longitudes_are_golden_steps():
    step = np.mod(np.diff(Fibonacci(50).lon), 2 * np.pi)
    np.testing.assert_allclose(step, 2 * np.pi * (np.sqrt(5) - 1) / 2, rtol=1e-12)


@pytest.mark.parametrize("num_vertices", [100, 10_000])
def test_points_are_nearly_uniform(num_vertices):
    areas = Fibonacci(num_vertices).areas * num_vertices / (4 * np.pi)
    assert areas.min() > 0.85  # the cells at the poles
    assert areas.max() < 1.15
    # z steps are equal, so that away from the poles cells are equal but for their curvature
    assert np.std(areas[num_vertices // 4 : -num_vertices // 4]) < 0.2 / num_vertices**0.5


def test_level_has_a_quarter_of_the_points():
    assert Fibonacci(19).coarsen() == Fibonacci(4)


def test_few_points_are_not_coarsened():
    with pytest.raises(
        ValueError, match="num_vertices must be at least 16 to be coarsened, got 15"
    ):
        Fibonacci(15).coarsen()


def test_no_points_are_rejected():
    with pytest.raises(ValueError, match="num_vertices must be at least 1, got 0"):
        Fibonacci(0)
