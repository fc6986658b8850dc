import numpy as np
import pytest
import torch

from deepsphere.sampling import Equiangular


def colatitudes(sampling: Equiangular) -> np.ndarray:
    """Distinct colatitudes of the points, from north to south."""
    return np.unique(np.round(np.arccos(np.clip(sampling.points[:, 2], -1, 1)), 12))


@pytest.mark.parametrize(
    ("poles", "expected"),
    [
        (0, np.pi * (np.arange(6) + 0.5) / 6),
        (1, np.pi * np.arange(6) / 6),
        (2, np.pi * np.arange(6) / 5),
        ("south", np.pi * (2 * np.arange(6) + 1) / 11),
    ],
)
def test_rings(poles, expected):
    sampling = Equiangular(6, 9, poles)
    np.testing.assert_allclose(colatitudes(sampling), expected, atol=1e-7)
    np.testing.assert_allclose(sampling.colatitudes, expected, atol=1e-15)
    num_poles = {0: 0, 1: 1, 2: 2, "south": 1}[poles]
    assert sampling.num_vertices == 6 * 9 - num_poles * 8


def test_vertices_run_by_rows_from_north_and_by_columns_eastward():
    sampling = Equiangular(4, 6)
    lon, lat = np.rad2deg(sampling.lon).reshape(4, 6), np.rad2deg(sampling.lat).reshape(4, 6)
    np.testing.assert_allclose(lon, np.tile(np.arange(6) * 60, (4, 1)), atol=1e-12)
    np.testing.assert_allclose(lat, np.tile([[67.5], [22.5], [-22.5], [-67.5]], 6), atol=1e-12)


def test_poles_are_single_and_exact():
    points = Equiangular(5, 8, 2).points
    np.testing.assert_array_equal(points[0], [0, 0, 1])
    np.testing.assert_array_equal(points[-1], [0, 0, -1])


def test_areas_are_those_of_the_cells():
    sampling = Equiangular(5, 8, 2)
    cap = 2 * np.pi * (1 - np.cos(np.pi / 8))
    ring = 2 * np.pi * (np.cos(np.pi / 8) - np.cos(3 * np.pi / 8)) / 8
    np.testing.assert_allclose(sampling.areas[[0, 1, 8, -1]], [cap, ring, ring, cap])


@pytest.mark.parametrize(
    ("sampling", "nlat", "nlon", "expected"),
    [
        (Equiangular.driscoll_healy(4), 8, 8, np.pi * (np.arange(8) + 0.5) / 8),
        (Equiangular.driscoll_healy(4, poles=1), 8, 8, np.pi * np.arange(8) / 8),
        # Cohen et al. (2018): β = π (2j + 1) / 4b
        (Equiangular.soft(4), 8, 8, np.pi * (2 * np.arange(8) + 1) / 16),
        (Equiangular.clenshaw_curtis(4), 7, 8, np.pi * np.arange(7) / 6),
        # McEwen and Wiaux (2011): θ = π (2t + 1) / (2L − 1)
        (Equiangular.mcewen_wiaux(4), 4, 7, np.pi * (2 * np.arange(4) + 1) / 7),
    ],
)
def test_named_theorems(sampling, nlat, nlon, expected):
    assert (sampling.nlat, sampling.nlon) == (nlat, nlon)
    np.testing.assert_allclose(sampling.colatitudes, expected, atol=1e-15)


def test_nlon_is_twice_nlat_by_default():
    assert Equiangular(8) == Equiangular(8, 16)


def test_blocks_of_two_by_two():
    membership = Equiangular(4, 8).membership()
    image = np.arange(4 * 8.0).reshape(4, 8)
    blocks = image.reshape(2, 2, 4, 2).sum(axis=(1, 3))
    np.testing.assert_array_equal(membership @ image.ravel(), blocks.ravel())


@pytest.mark.parametrize(
    "sampling",
    [
        Equiangular(8),
        Equiangular(9, 18),
        Equiangular(8, 13),
        Equiangular(8, 16, 1),
        Equiangular(9, 16, 2),
        Equiangular(8, 16, 2),
        Equiangular.mcewen_wiaux(9),
        Equiangular(40, 7, 2),
    ],
    ids=repr,
)
def test_membership_keeps_areas(sampling):
    # the share of each cell is by area, so that the parts of a coarse cell add up to it
    areas = sampling.membership() @ sampling.areas
    np.testing.assert_allclose(areas, sampling.coarsen().areas, rtol=1e-12)


def test_overlap_on_a_ring_with_both_poles():
    sampling = Equiangular(5, 6, 2)  # rings at 45, 90, 135 degrees; coarse: the equator, 3 vertices
    membership = sampling.membership().toarray()
    assert sampling.coarsen() == Equiangular(3, 3, 2)
    equator = membership[1:4, 7:13]
    halves = [[1, 0.5, 0, 0, 0, 0.5], [0, 0.5, 1, 0.5, 0, 0], [0, 0, 0, 0.5, 1, 0.5]]
    np.testing.assert_allclose(equator, halves, atol=1e-15)
    np.testing.assert_allclose(membership[0, 0], 1)
    # the ring at 45 degrees lies in colatitudes 22.5 .. 67.5, the coarse cap ends at 45
    a, b, c = np.cos(np.deg2rad([22.5, 45, 67.5]))
    np.testing.assert_allclose(membership[0, 1:7], (a - b) / (a - c))


@pytest.mark.parametrize("make", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize("poles", [0, 1, 2, "south"])
def test_grid_round_trip(make, poles):
    sampling = Equiangular(5, 7, poles)
    signals = make(np.random.default_rng(0).standard_normal((2, sampling.num_vertices, 3)))
    grid = sampling.to_grid(signals)
    assert tuple(grid.shape) == (2, 5, 7, 3)
    assert type(grid) is type(signals)
    np.testing.assert_allclose(sampling.from_grid(grid), signals, rtol=1e-15)


def test_grid_without_poles_is_a_reshape():
    sampling = Equiangular(4, 6)
    signals = np.random.default_rng(0).standard_normal((24, 2))
    np.testing.assert_array_equal(sampling.to_grid(signals), signals.reshape(4, 6, 2))


def test_pole_of_a_grid_is_the_mean_of_its_row():
    sampling = Equiangular(3, 4, 2)
    grid = np.arange(3 * 4.0).reshape(3, 4, 1)
    original = grid.copy()
    signals = sampling.from_grid(grid)
    np.testing.assert_array_equal(signals[:, 0], [1.5, 4, 5, 6, 7, 9.5])
    np.testing.assert_array_equal(grid, original)


def test_gradient_flows_through_the_grid():
    sampling = Equiangular(3, 4, 2)
    signals = torch.randn(6, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: sampling.from_grid(sampling.to_grid(x)), signals)


@pytest.mark.parametrize("shape", [(23, 2), (24,)])
def test_signals_of_another_size_have_no_grid(shape):
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 24 vertices, channels\), got "):
        Equiangular(4, 6).to_grid(np.zeros(shape))


@pytest.mark.parametrize("shape", [(6, 4, 2), (4, 6)])
def test_grids_of_another_size_have_no_signals(shape):
    with pytest.raises(ValueError, match=r"\(\.\.\., 4 rings, 6 meridians, channels\), got "):
        Equiangular(4, 6).from_grid(np.zeros(shape))


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        (Equiangular(3, 8), "nlat must be at least 4 and nlon at least 6.*got nlat=3, nlon=8"),
        (Equiangular(8, 5), "got nlat=8, nlon=5; use fewer levels or a finer grid"),
        (Equiangular(4, 8, 2), "nlat must be at least 5"),
    ],
)
def test_small_grid_is_not_coarsened(sampling, message):
    with pytest.raises(ValueError, match=message):
        sampling.coarsen()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "nlat must be at least 1, got 0"),
        ((2, 8, 2), "nlat must be at least 3, got 2"),
        ((8, 2), "nlon must be at least 3, got 2"),
    ],
)
def test_small_sizes_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        Equiangular(*arguments)


@pytest.mark.parametrize("poles", [3, True, "north"])
def test_unknown_poles_are_rejected(born_unchecked, poles):
    with pytest.raises(ValueError, match=f"poles must be 0, 1, 2 or 'south', got {poles!r}"):
        born_unchecked(Equiangular, 8, 16, poles)


def test_numpy_integers_are_stored_as_integers(born_unchecked):
    sampling = born_unchecked(Equiangular, np.int64(8), np.int32(16), np.int64(1))
    assert repr(sampling) == "Equiangular(nlat=8, nlon=16, poles=1)"


def test_both_poles_are_not_driscoll_healy():
    import inspect

    function = inspect.unwrap(Equiangular.driscoll_healy.__func__)
    with pytest.raises(ValueError, match="poles must be 0 or 1 for Driscoll-Healy, got 2"):
        function(Equiangular, 8, poles=2)
