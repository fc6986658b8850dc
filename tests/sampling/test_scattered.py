import jaxtyping
import numpy as np
import pytest

from deepsphere.geometry import angular_distance, farthest_points
from deepsphere.sampling import Healpix, RandomUniform, Scattered, Subset


def stations(num: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes, in degree, of points of a continent."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-130, -60, num), rng.uniform(20, 55, num)


def test_points_are_those_of_the_angles():
    sampling = Scattered([0, 90, -90.0, 12], [0, 0, 0, 90])
    np.testing.assert_allclose(
        sampling.points, [[1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1]], atol=1e-15
    )
    np.testing.assert_allclose(np.rad2deg(sampling.lon[:3]), [0, 90, 270])
    np.testing.assert_array_equal(sampling.lon_deg, [0, 90, 270, 12])


def test_both_conventions_of_longitude_are_equal():
    lon, lat = np.array([-170.25, -0.5, 30.0]), np.array([1.0, 2.0, 3.0])
    one, other = Scattered(lon, lat), Scattered(np.mod(lon, 360), lat)
    assert one == other
    assert hash(one) == hash(other)


def test_longitude_of_a_full_turn_is_zero():
    np.testing.assert_array_equal(Scattered([360.0, -1e-300], [0.0, 50.0]).lon_deg, [0, 0])


def test_any_order_is_kept():
    lon, lat = stations()
    shuffle = np.random.default_rng(1).permutation(len(lon))
    np.testing.assert_array_equal(
        Scattered(lon[shuffle], lat[shuffle]).points, Scattered(lon, lat).points[shuffle]
    )
    assert Scattered(lon[shuffle], lat[shuffle]) != Scattered(lon, lat)


def test_arguments_are_copied():
    lon, lat = stations()
    original = lon.copy()
    sampling = Scattered(lon, lat)
    lon[0] = 0.0
    assert sampling.lon_deg[0] == np.mod(original[0], 360)
    np.testing.assert_array_equal(lat, stations()[1])


@pytest.mark.parametrize("num", [1, 2, 3])
def test_few_points_have_areas(num):
    lon, lat = stations(num)
    assert Scattered(lon, lat).areas.sum() == pytest.approx(4 * np.pi, rel=1e-14)


def test_regional_points_cover_the_sphere():
    areas = Scattered(*stations(500)).areas
    assert areas.sum() == pytest.approx(4 * np.pi, rel=1e-12)
    assert (areas > 0).all()


def test_duplicates_are_named():
    lon, lat = np.linspace(0, 300, 30), np.linspace(-60, 60, 30)
    lon[[3, 17]], lat[[3, 17]] = [1.5, 361.5 - 360], 2.0
    message = "points 3 and 17 are the same: lon 1.5, lat 2; merge their signals and keep one"
    with pytest.raises(ValueError, match=message):
        Scattered(lon, lat)


def test_number_of_duplicates_is_told():
    with pytest.raises(ValueError, match=r"points 0 and 1 are the same.*; so are 2 more pairs"):
        Scattered([5.0, 5.0, 5.0, 1.0], [7.0, 7.0, 7.0, 2.0])


def test_pole_of_two_longitudes_is_a_duplicate():
    with pytest.raises(ValueError, match="points 1 and 2 are the same: lon 20, lat -90"):
        Scattered([0, 20, 180], [10, -90, -90])


def test_antimeridian_of_two_signs_is_a_duplicate():
    with pytest.raises(ValueError, match="points 0 and 1 are the same: lon 180, lat 10"):
        Scattered([180, -180], [10, 10])


def test_swapped_arguments_are_suspected():
    message = (
        r"lat_deg must be between -90 and 90, got -130 at point 1; are the arguments swapped\? "
        r"It is Scattered\(lon_deg, lat_deg\)"
    )
    with pytest.raises(ValueError, match=message):
        Scattered([40.0, 50.0], [10.0, -130.0])


@pytest.mark.parametrize(
    ("lon", "lat", "message"),
    [
        ([0.0, 120], [10.0, 91], "got 91 at point 1; the order is Scattered"),
        ([0.0, 361], [10.0, 20], "between -180 and 180 or between 0 and 360, got 361 at point 1"),
        ([-181.0], [0.0], "got -181 at point 0"),
        ([0.0, np.nan], [0.0, 1], "lon_deg must be finite, got nan at point 1; drop the points"),
        ([0.0, 1, 2], [np.inf, 1, np.nan], "lat_deg must be finite, got inf at point 0 and 1 more"),
        ([0.0, 1], [0.0], r"lists of the same length, got the shapes \(2,\) and \(1,\)"),
        (["x"], [0.0], "lon_deg must be real numbers in degrees, got <U1 values: could not conv"),
        ([0.0], [1j], "lat_deg must be real numbers in degrees, got complex128 values: they are"),
        ([], [], "must hold at least one point, got none"),
        (np.zeros((2, 2)), np.zeros((2, 2)), r"got the shapes \(2, 2\) and \(2, 2\)"),
    ],
)
def test_invalid_angles_are_rejected(monkeypatch, lon, lat, message):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=message):
        Scattered(lon, lat)


def test_repr_tells_the_number():
    assert repr(Scattered(*stations(60))) == "Scattered(60 vertices)"


# --- coarsening


@pytest.mark.parametrize("sampling", [Scattered(*stations(103)), RandomUniform(103)], ids=repr)
def test_farthest_level_is_a_quarter_of_the_points(sampling):
    coarse = sampling.coarsen()
    assert coarse.num_vertices == 25
    chosen = np.sort(farthest_points(sampling.points, 25))
    np.testing.assert_allclose(coarse.points, sampling.points[chosen], atol=1e-15)


def test_farthest_level_of_stations_has_their_exact_angles():
    sampling = Scattered(*stations(64))
    pairs = set(zip(sampling.lon_deg.tolist(), sampling.lat_deg.tolist(), strict=True))
    coarse = sampling.coarsen()
    assert set(zip(coarse.lon_deg.tolist(), coarse.lat_deg.tolist(), strict=True)) <= pairs


def test_farthest_membership_is_the_nearest():
    sampling = RandomUniform(200, seed=3)
    coarse, membership = sampling.coarsen(), sampling.membership()
    distance = angular_distance(coarse.points[:, None], sampling.points[None])
    owner = np.asarray(membership.argmax(axis=0)).ravel()
    np.testing.assert_array_equal(owner, distance.argmin(axis=0))
    assert (membership.data == 1).all()


@pytest.mark.parametrize(
    "sampling", [RandomUniform(1000), Scattered(*stations(300)), RandomUniform(16)], ids=repr
)
def test_healpix_level_holds_the_points(sampling):
    coarse = sampling.coarsen("healpix")
    assert isinstance(coarse, Subset)
    assert isinstance(coarse.base, Healpix)
    assert coarse.num_vertices <= max(sampling.num_vertices // 4, 12)
    membership = sampling.membership("healpix")
    assert membership.shape == (coarse.num_vertices, sampling.num_vertices)
    assert (membership.sum(axis=0) == 1).all()
    assert (membership.sum(axis=1) > 0).all()
    # a pixel's points are nearer to it than its longest diagonal
    owner = np.asarray(membership.argmax(axis=0)).ravel()
    distance = angular_distance(coarse.points[owner], sampling.points)
    assert distance.max() < 1.1 * np.pi / 2 / coarse.base.nside


def test_healpix_level_is_the_finest_of_a_quarter():
    sampling = RandomUniform(3072)
    assert sampling.coarsen("healpix").base == Healpix(8)


@pytest.mark.parametrize("sampling", [RandomUniform(15), Scattered(*stations(15))], ids=repr)
def test_few_points_are_not_coarsened(sampling):
    with pytest.raises(ValueError, match="at least 16 vertices to be coarsened, got 15; use fewer"):
        sampling.coarsen()


def test_unknown_method_is_rejected():
    import inspect

    with pytest.raises(ValueError, match="method must be 'farthest' or 'healpix', got 'random'"):
        inspect.unwrap(RandomUniform.coarsen)(RandomUniform(20), "random")


# --- random points


def test_seed_decides_the_points():
    assert (RandomUniform(50, seed=1).points == RandomUniform(50, seed=1).points).all()
    assert not (RandomUniform(50, seed=1).points == RandomUniform(50, seed=2).points).any()


def test_points_of_a_seed_never_change():
    # golden: a specification must mean the same points in every version
    expected = [0.85771824, 0.1945646, 0.47588238]
    np.testing.assert_allclose(RandomUniform(2, seed=0).points[0], expected, atol=1e-8)


def test_global_seed_is_not_touched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    _ = RandomUniform(33, seed=7).points
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_points_are_uniform():
    points = RandomUniform(100_000, seed=4).points
    # the mean of a coordinate is 0 and that of its square 1/3; six standard deviations
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=6 * np.sqrt(1 / 3 / 1e5))
    np.testing.assert_allclose((points**2).mean(axis=0), 1 / 3, atol=6 * np.sqrt(4 / 45 / 1e5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "num_vertices must be at least 1, got 0"),
        ((5, -1), "seed must be between 0 and 4294967295, got -1"),
    ],
)
def test_invalid_numbers_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomUniform(*arguments)
