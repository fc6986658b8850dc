"""The areas that cells have in common, by laws and by formulas of their own."""

import itertools

import numpy as np
import pytest

from deepsphere.geometry import Pixels, Polygons, random_rotations, triangle_areas, voronoi_areas
from deepsphere.graph.cell_borders import pixel_borders, polygon_borders
from deepsphere.graph.cell_overlap import overlap_areas
from deepsphere.sampling import (
    SAMPLINGS,
    CubedSphere,
    Equiangular,
    Fibonacci,
    GaussLegendre,
    Healpix,
    Icosahedral,
    RandomUniform,
    Rectilinear,
    Sampling,
    Scattered,
)

# of the area of a cell
EXACT = 1e-10


def scattered(points: np.ndarray) -> Scattered:
    points = points / np.linalg.norm(points, axis=1, keepdims=True)
    lon = np.rad2deg(np.arctan2(points[:, 1], points[:, 0])) % 360
    return Scattered(lon, np.rad2deg(np.arctan2(points[:, 2], np.hypot(*points[:, :2].T))))


def in_a_cap(radius: float, num: int, sign: int = 1) -> Scattered:
    """Random points around a pole: the outer cells reach around the sphere."""
    generator = np.random.default_rng(3)
    lat = 90 - generator.uniform(0, radius, num)
    return Scattered(generator.uniform(0, 360, num), sign * lat)


OCTAHEDRON = np.concatenate([np.eye(3), -np.eye(3)])
CUBE = np.array(list(itertools.product([-1.0, 1.0], repeat=3)))
WHOLE: list[Sampling] = [
    Equiangular(8, 15),
    Equiangular(9, 10, 1),
    Equiangular(13, 24, 2),
    Equiangular(1, 3),
    Rectilinear([-80, -30, -10, 40, 85], [350, 340, 200, 180, 90, 3]),
    Rectilinear([90, -30, -90], [-100, 10, 100]),
    GaussLegendre(8),
    GaussLegendre(9, 12),
    GaussLegendre(8, "octahedral"),
    Healpix(1),
    Healpix(4),
    Healpix(3, ordering="ring"),
    CubedSphere(1),
    CubedSphere(4),
    CubedSphere(5, "equidistant"),
    Icosahedral(1),
    Icosahedral(4),
    Icosahedral(2, dual=True),
    Fibonacci(17),
    Fibonacci(200),
    RandomUniform(50, seed=3),
    in_a_cap(20, 40),
    in_a_cap(30, 20, -1),
    scattered(OCTAHEDRON),  # corners of cells on the meridians of everything
    scattered(CUBE),  # cells that meet at the poles
    Scattered([0, 180, 90, 270], [89, 89, -5, -5]),  # a side through each pole
    Scattered([0, 90, 180, 270, 10], [0, 0, 0, 0, 1e-3]),  # nearly in a plane
]
KINDS = [WHOLE[2], WHOLE[4], WHOLE[10], WHOLE[13], WHOLE[20]]


def pair_name(value: Sampling) -> str:
    return value.spec if len(value.spec) < 40 else repr(value)


def assert_sums_are_areas(source: Sampling, target: Sampling, tolerance: float = EXACT) -> None:
    areas = overlap_areas(source, target)
    assert areas.data.min() > 0
    rows, columns = (np.asarray(areas.sum(axis=axis)).ravel() for axis in (1, 0))
    np.testing.assert_allclose(rows, target.areas, rtol=tolerance, atol=1e-16)
    np.testing.assert_allclose(columns, source.areas, rtol=tolerance, atol=1e-16)


def test_every_kind_of_sampling_is_tested():
    assert {sampling.kind for sampling in WHOLE} == set(SAMPLINGS) - {"subset"}


@pytest.mark.parametrize("target", KINDS, ids=pair_name)
def test_overlaps_sum_to_the_areas_of_both_samplings(target):
    for source in WHOLE:
        assert_sums_are_areas(source, target)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("symmetry", ["none", "mirrors", "antipodes"])
def test_overlaps_of_random_samplings_sum_to_the_areas(seed, symmetry):
    generator = np.random.default_rng(seed)
    points = generator.standard_normal((generator.integers(5, 30), 3))
    if symmetry == "mirrors":  # sides on meridians, through the poles
        signs = np.array([[1, 1, 1], [1, -1, 1], [-1, 1, 1], [-1, -1, 1]])
        points = (points * signs[:, None]).reshape(-1, 3)
    if symmetry == "antipodes":
        points = np.concatenate([points, -points, OCTAHEDRON])
    nlat = int(generator.integers(2, 9))
    grid = Rectilinear(
        np.sort(generator.uniform(-90, 90, nlat)), np.sort(generator.uniform(0, 360, 7))
    )
    for target in (Healpix(int(generator.integers(1, 9)), ordering="ring"), grid, CubedSphere(3)):
        assert_sums_are_areas(scattered(points), target)


def test_transposed_overlaps_are_those_the_other_way_around():
    for one, other in itertools.combinations(KINDS, 2):
        forth, back = overlap_areas(one, other), overlap_areas(other, one)
        assert abs(forth - back.T).max() < 1e-15


def test_overlaps_of_octants_and_faces_of_healpix():
    """The meridians at multiples of 90° and the equator cut the 12 base pixels in 24 parts."""
    areas = overlap_areas(scattered(CUBE), Healpix(1)).toarray()
    polar, equatorial = areas[:4], areas[4:8]
    np.testing.assert_allclose(np.sort(polar, axis=1)[:, -1], np.pi / 3, rtol=1e-12)
    # the faces at the equator are centered at the meridians: four equal quarters
    np.testing.assert_allclose(np.sort(equatorial, axis=1)[:, -4:], np.pi / 12, rtol=1e-12)


def test_overlaps_with_lunes_are_shares_of_the_circle():
    """Points on the equator and the poles far away: a zone is cut in arcs."""
    lunes = Rectilinear([0.0], [0.0, 50.0, 170.0, 200.0])
    widths = np.deg2rad([105.0, 85.0, 75.0, 95.0])  # between the middles, from -80 to 25 and so on
    for target in (Healpix(2), Icosahedral(2), Equiangular(5, 6)):
        columns = np.asarray(overlap_areas(lunes, target).sum(axis=0)).ravel()
        np.testing.assert_allclose(columns, 2 * widths, rtol=1e-12)


@pytest.mark.parametrize("target", [Healpix(4), Fibonacci(90), CubedSphere(3)], ids=pair_name)
def test_overlaps_with_zones_add_up_to_caps(target):
    """Cells within a cap have all of their area there; the rows of a zone add up to its area."""
    grid = Equiangular(9, 7)
    areas = overlap_areas(grid, target).toarray().reshape(-1, 9, 7).sum(axis=(0, 2))
    edges = np.cos(np.arange(10) * np.pi / 9)
    np.testing.assert_allclose(areas, 2 * np.pi * (edges[:-1] - edges[1:]), rtol=1e-12)


def test_overlaps_of_grids_are_products():
    """Written naively: overlaps of sines of latitudes times overlaps of longitudes."""
    one, two = Equiangular(5, 6), Rectilinear([-60, 0, 50], [-170.0, -40.0, 30.0, 140.0])
    z_one = np.cos(np.linspace(0, np.pi, 6))
    z_two = np.sin(np.deg2rad([-90, -30, 25, 90]))
    lon_one = np.deg2rad(np.arange(7) * 60 - 30)
    lon_two = np.deg2rad([-195, -105, -5, 85, 165])
    expected = np.zeros((12, 30))
    for i, j, k, m in itertools.product(range(3), range(4), range(5), range(6)):
        height = min(z_two[i + 1], z_one[k]) - max(z_two[i], z_one[k + 1])
        width = 0.0
        for turn in (-1, 0, 1):
            west = max(lon_two[j], lon_one[m] + 2 * np.pi * turn)
            east = min(lon_two[j + 1], lon_one[m + 1] + 2 * np.pi * turn)
            width += max(east - west, 0.0)
        expected[4 * i + j, 6 * k + m] = max(height, 0.0) * width
    np.testing.assert_allclose(overlap_areas(one, two).toarray(), expected, atol=1e-14)


def test_overlaps_of_nested_pixels_are_their_hierarchy():
    fine, coarse = Healpix(8), Healpix(2)
    areas = overlap_areas(fine, coarse)
    parent = np.arange(768) // 16
    np.testing.assert_array_equal(areas.toarray().argmax(axis=0), parent)
    np.testing.assert_allclose(areas.data, np.pi / 192, rtol=1e-12)


def test_overlaps_of_pixels_of_any_nside_agree_with_a_common_refinement():
    one, two = Healpix(2, ordering="ring"), Healpix(3, ordering="ring")
    fine = Healpix(6, ordering="ring")
    to_one, to_two = (overlap_areas(fine, s).toarray() > 1e-9 for s in (one, two))
    counted = to_two.astype(float) @ to_one.T * (4 * np.pi / 432)
    np.testing.assert_allclose(overlap_areas(one, two).toarray(), counted, atol=1e-14)


def counted_overlaps(source: Sampling, target: Sampling, owners) -> np.ndarray:
    """Areas of many small cells, added up; a border crosses about sqrt(200000) of them."""
    dense = Fibonacci(200_000)
    counted = np.zeros((target.num_vertices, source.num_vertices))
    pair = owners(target, dense.points), owners(source, dense.points)
    np.add.at(counted, pair, 4 * np.pi / dense.num_vertices)
    return counted


def owners_by_definition(sampling: Sampling, points: np.ndarray) -> np.ndarray:
    """The cell of each point: of a pixel by the HEALPix library, of a grid by its borders."""
    if isinstance(sampling, Healpix):
        import healpix

        return healpix.vec2pix(sampling.nside, *points.T, nest=sampling.ordering == "nested")
    if isinstance(sampling, Equiangular):
        ring = np.floor(np.arccos(points[:, 2]) * sampling.nlat / np.pi).astype(int)
        turn = np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi)
        return ring * sampling.nlon + np.rint(turn * sampling.nlon).astype(int) % sampling.nlon
    return (points @ sampling.points.T).argmax(axis=1)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (RandomUniform(12, seed=0), Fibonacci(9)),
        (in_a_cap(20, 12), Healpix(2)),
        (Healpix(2), Equiangular(4, 5)),
        (Equiangular(4, 5), in_a_cap(50, 7)),
        (Healpix(2), RandomUniform(15, seed=2)),
        (Icosahedral(1), Healpix(3, ordering="ring")),
    ],
    ids=pair_name,
)
def test_overlaps_agree_with_counting(source, target):
    counted = counted_overlaps(source, target, owners_by_definition)
    np.testing.assert_allclose(overlap_areas(source, target).toarray(), counted, atol=3e-3)


def test_overlap_of_squares_turned_by_45_degrees():
    turned = OCTAHEDRON @ np.array([[1, 1, 0], [-1, 1, 0], [0, 0, np.sqrt(2)]]) / np.sqrt(2)
    areas = overlap_areas(scattered(OCTAHEDRON), scattered(turned)).toarray()
    # a face of the cube and the same turned by 45 degrees about its center share an octagon
    corner = np.array([1.0, np.tan(np.pi / 8), 1.0]) / np.linalg.norm([1, np.tan(np.pi / 8), 1])
    octagon = 8 * triangle_areas(np.array([0, 0, 1.0]), corner * [1, -1, 1], corner)
    assert areas[2, 2] == pytest.approx(octagon, rel=1e-12)
    assert areas[5, 5] == pytest.approx(octagon, rel=1e-12)


def test_overlap_of_polygons_does_not_depend_on_the_orientation():
    rotation = random_rotations(1, seed=0)[0]
    source, target = Fibonacci(40), RandomUniform(30, seed=5)
    expected = overlap_areas(source, target).toarray()
    turned = [scattered(sampling.points @ rotation.T) for sampling in (source, target)]
    np.testing.assert_allclose(overlap_areas(*turned).toarray(), expected, atol=1e-10)


def test_polygons_pixels_and_rectangles_agree_where_shapes_do():
    """Eight octants, once as Voronoi cells and once as rectangles."""
    octants = Rectilinear([45, -45], [45, 135, 225, 315])
    polygons = scattered(octants.points)
    for other in (Healpix(4), Fibonacci(30), Equiangular(5, 7), octants):
        one, two = overlap_areas(octants, other), overlap_areas(polygons, other)
        np.testing.assert_allclose(one.toarray(), two.toarray(), atol=1e-14)


def test_nearly_equal_points_share_their_cell():
    lon, lat = [10, 10, 100, 200, 300], [20, 20 + 1e-6, -30, 40, -60]
    areas = overlap_areas(Scattered(lon, lat), Healpix(2)).toarray()
    np.testing.assert_array_equal(areas[:, 0], areas[:, 1])
    assert_sums_are_areas(Scattered(lon, lat), Healpix(2))


def test_overlaps_of_subsets_are_rows_and_columns():
    for base, other in ((Healpix(4), Fibonacci(60)), (Equiangular(6, 9), Healpix(2))):
        keep, rows = np.array([3, 30, 7]), np.array([40, 2])
        whole = overlap_areas(base, other).toarray()
        part = overlap_areas(base.subset(keep), other.subset(rows)).toarray()
        np.testing.assert_allclose(part, whole[rows][:, keep], atol=1e-16)


@pytest.mark.parametrize("sampling", WHOLE, ids=pair_name)
def test_cells_hold_their_vertices(sampling):
    """Each vertex lies in its own cell."""
    cells = sampling.cells()
    if isinstance(cells, Polygons):
        owner = np.repeat(np.arange(len(cells.centers)), np.diff(cells.offsets))
        heights = np.sum(cells.normals * cells.centers[owner], axis=1)
        assert heights.min() > -1e-15
        return
    if isinstance(cells, Pixels):
        borders = pixel_borders(cells)
        south, north = borders.south, borders.north
        west, width = borders.west_end, borders.east_end - borders.west_end
    else:
        south, north, west, width = cells
    assert ((south <= sampling.lat + 1e-12) & (sampling.lat <= north + 1e-12)).all()
    inside = np.mod(sampling.lon - west + 1e-12, 2 * np.pi) <= width + 2e-12
    assert (inside | (np.abs(sampling.lat) > np.pi / 2 - 1e-9)).all()


def test_borders_count_the_poles_that_cells_hold():
    borders = polygon_borders(Fibonacci(50).cells())
    nearest = [(Fibonacci(50).points[:, 2] * sign).argmax() for sign in (1, -1)]
    assert np.flatnonzero(borders.has_north).tolist() == [nearest[0]]
    assert np.flatnonzero(borders.has_south).tolist() == [nearest[1]]
    # a pole at a corner, or on a side, is in no cell or in one
    assert not polygon_borders(scattered(CUBE).cells()).has_north.any()


def random_caps(num: int) -> np.ndarray:
    generator = np.random.default_rng(num)
    return generator.standard_normal((num, 3))


NASTY = {
    "clusters": np.concatenate([random_caps(40), random_caps(9)[0] + 1e-4 * random_caps(300)]),
    "near duplicates": np.concatenate(
        [random_caps(60), random_caps(60) + 3e-8 * random_caps(61)[1:]]
    ),
    "poles": np.concatenate([random_caps(50), [[0, 0, 1.0], [0, 0, -1.0]]]),
    "date line": np.stack(
        [
            -np.cos(np.linspace(-1.5, 1.5, 80)),
            np.tile([0, 1e-3, -1e-3, 0.5], 20),
            np.sin(np.linspace(-1.5, 1.5, 80)),
        ],
        axis=1,
    ),
    "more than a hemisphere empty": np.array([0, 0, 2.5]) + random_caps(200) * 0.3,
}


@pytest.mark.parametrize("name", NASTY)
def test_voronoi_areas_of_nasty_points_sum_to_four_pi_and_are_the_cells(name):
    points = NASTY[name] / np.linalg.norm(NASTY[name], axis=1, keepdims=True)
    areas = voronoi_areas(points)
    assert (areas > 0).all()
    assert areas.sum() == pytest.approx(4 * np.pi, abs=1e-9)
    sampling = scattered(points)
    overlaps = overlap_areas(sampling, Healpix(2))
    columns, rows = (np.asarray(overlaps.sum(axis=axis)).ravel() for axis in (0, 1))
    np.testing.assert_allclose(rows, Healpix(2).areas, rtol=EXACT)
    # cells of a cluster may be so small that rounding of the sphere shows in them
    np.testing.assert_allclose(columns, sampling.areas, rtol=1e-9, atol=1e-14)


@pytest.mark.slow
def test_voronoi_areas_of_many_points_sum_to_four_pi():
    for sampling in (RandomUniform(200_000), Fibonacci(200_000), Icosahedral(128)):
        assert sampling.areas.sum() == pytest.approx(4 * np.pi, abs=1e-9)


@pytest.mark.slow
def test_overlaps_of_fine_samplings_sum_to_the_areas():
    # a cell of 3e-4 steradian in a chart whose numbers are rounded at 1e-16
    for source, target in (
        (Equiangular(90, 180), Healpix(64)),
        (Fibonacci(20_000), Healpix(32)),
        (Icosahedral(16), Equiangular(89, 180, 2)),
    ):
        assert_sums_are_areas(source, target)
