"""The eight neighbors of a HEALPix pixel, against geometry and published widths."""

import numpy as np
import pytest
from scipy.sparse import coo_matrix

from deepsphere.graph.pixel_neighbors import mean_squared_pixel_distance, pixel_neighbors
from deepsphere.sampling import Healpix, nested_to_ring, ring_to_nested

# Kernel widths of the first DeepSphere: half the mean squared distance to the eight neighbors, read
# from its published kernels (Perraudin et al. 2019).
PUBLISHED_WIDTHS = {
    1: 0.667,
    2: 0.192,
    4: 0.0502,
    8: 0.01281,
    16: 0.003237,
    32: 8.140e-4,
    64: 2.041e-4,
}


@pytest.mark.parametrize(("nside", "width"), PUBLISHED_WIDTHS.items())
def test_mean_squared_pixel_distance_is_twice_published_width(nside, width):
    rounding = 10.0 ** (np.floor(np.log10(width)) - 2) / 2  # three or four digits are printed
    assert mean_squared_pixel_distance(nside) / 2 == pytest.approx(width, abs=rounding)


@pytest.mark.parametrize("nside", [1, 2, 3, 4, 6, 8])
def test_pixel_neighbors_are_mutual_and_distinct(nside):
    pixels = np.arange(12 * nside**2)
    neighbors = pixel_neighbors(nside, pixels, ordering="ring")
    exists = neighbors >= 0
    rows = np.repeat(pixels, exists.sum(axis=1))
    matrix = coo_matrix((np.ones(len(rows)), (rows, neighbors[exists]))).toarray()
    assert matrix.max() == 1
    assert np.array_equal(matrix, matrix.T)
    assert np.trace(matrix) == 0
    missing = (~exists).sum(axis=1)
    assert missing.sum() == 24
    assert missing.max() == (2 if nside == 1 else 1)


@pytest.mark.parametrize("nside", [2, 3, 4, 8])
def test_pixel_neighbors_touch(nside):
    """Corners and sides touch: the middle between neighbors is about one pixel from both."""
    points = Healpix(nside=nside, ordering="ring").points
    neighbors = pixel_neighbors(nside, np.arange(len(points)), ordering="ring")
    distances = np.linalg.norm(points[neighbors] - points[:, None], axis=2)
    pixel_size = np.sqrt(4 * np.pi / len(points))
    assert distances[neighbors >= 0].max() < 2.1 * pixel_size
    # the pixels nearest of all are among them
    nearest = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(nearest, np.inf)
    assert (nearest.argmin(axis=1)[:, None] == neighbors).any(axis=1).all()


def test_pixel_neighbors_start_south_west_and_turn_clockwise():
    sampling = Healpix(nside=8, ordering="ring")
    here = 8 * 8 * 6  # on the equator
    around = sampling.points[pixel_neighbors(8, np.array([here]), ordering="ring")[0]]
    lon = np.arctan2(around[:, 1], around[:, 0]) - sampling.lon[here]
    lon = (lon + np.pi) % (2 * np.pi) - np.pi
    height = around[:, 2] - sampling.points[here, 2]
    south_west, west, north_west, north, north_east, east, south_east, south = range(8)
    assert height[north] > height[north_west] > 0 > height[south_west] > height[south]
    assert lon[west] < lon[south_west] < 0 < lon[south_east] < lon[east]
    assert height[[east, west]] == pytest.approx(0, abs=1e-14)
    assert lon[[north, south]] == pytest.approx(0, abs=1e-14)
    assert lon[north_east] == pytest.approx(-lon[north_west])


def test_pixel_neighbors_agree_between_orderings():
    nside = 8
    ring = pixel_neighbors(nside, np.arange(768), ordering="ring")
    nested = pixel_neighbors(nside, nested_to_ring(nside)[ring_to_nested(nside)], ordering="nested")
    renumbered = np.where(nested < 0, -1, nested_to_ring(nside)[nested])
    assert np.array_equal(renumbered[ring_to_nested(nside)], ring)


def test_pixel_neighbors_of_a_part_are_rows_of_the_whole():
    pixels = np.array([5, 700, 3])
    whole = pixel_neighbors(8, np.arange(768), ordering="nested")
    assert np.array_equal(pixel_neighbors(8, pixels, ordering="nested"), whole[pixels])
