"""Turns about the axis and mirrors at the equator, which take vertices to vertices."""

import numpy as np
import pytest

from deepsphere.data.axis_symmetries import axis_symmetries
from deepsphere.sampling import Equiangular, Fibonacci, Healpix, Icosahedral, Sampling


@pytest.mark.parametrize(
    ("sampling", "num_turns", "has_mirror"),
    [
        (Icosahedral(4), 5, True),
        (Healpix(4), 4, True),
        (Equiangular(5, 8, 2), 8, True),
        (Equiangular(4, 6, 1), 6, False),
        (Fibonacci(50), 1, False),
    ],
)
def test_symmetries_move_points_to_points(
    sampling: Sampling, num_turns: int, has_mirror: bool
) -> None:
    symmetries = axis_symmetries(sampling, "flips")
    assert symmetries.num_turns == num_turns
    assert (symmetries.mirror is not None) == has_mirror
    x, y, z = sampling.points.T
    seen = set()
    for element in range(len(symmetries)):
        sources = symmetries.sources(element)
        assert sorted(sources) == list(range(sampling.num_vertices))
        # heights are kept, or mirrored; and all angles between vertices
        sign = -1 if symmetries.is_mirrored(element) else 1
        np.testing.assert_allclose(z[sources], sign * z, atol=1e-12)
        moved = (x + 1j * y)[sources]
        turn = np.vdot(x + 1j * y, moved) / np.vdot(x + 1j * y, x + 1j * y)
        np.testing.assert_allclose(moved, turn * (x + 1j * y), atol=1e-9)
        seen.add((sign, complex(np.round(turn, 6))))
    assert len(seen) == len(symmetries)
    np.testing.assert_array_equal(symmetries.sources(0), np.arange(sampling.num_vertices))


def test_no_motion_is_the_identity_alone() -> None:
    assert len(axis_symmetries(Icosahedral(2), "none")) == 1
    assert axis_symmetries(Icosahedral(2), "turns").mirror is None


def test_other_words_and_numbers_are_rejected(unchecked: None) -> None:
    with pytest.raises(ValueError, match="motions must be one of none, turns, flips, got 'all'"):
        axis_symmetries(Icosahedral(2), "all")  # type: ignore[arg-type]
    with pytest.raises(IndexError, match="element must be from 0 to 4, got 5"):
        axis_symmetries(Icosahedral(2), "turns").sources(5)
