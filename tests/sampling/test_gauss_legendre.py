import numpy as np
import pytest

from deepsphere.sampling import GaussLegendre


def test_latitudes_are_roots_of_legendre():
    sampling = GaussLegendre(nlat=9)
    z = sampling.points[::18, 2]
    series = np.zeros(10)
    series[9] = 1
    np.testing.assert_allclose(np.polynomial.legendre.legval(z, series), 0, atol=1e-13)
    assert (np.diff(z) < 0).all()


@pytest.mark.parametrize("sampling", [GaussLegendre(8), GaussLegendre(16, "octahedral")], ids=repr)
def test_quadrature_is_exact_for_polynomials(sampling):
    z = sampling.points[:, 2]
    for degree in range(2 * sampling.nlat):
        expected = 0 if degree % 2 else 4 * np.pi / (degree + 1)
        assert sampling.areas @ z**degree == pytest.approx(expected, abs=1e-12)


def test_rings_of_the_octahedral_grid():
    sampling = GaussLegendre(nlat=48, nlon="octahedral")  # O24
    _, start, sizes = np.unique(
        -sampling.points[:, 2].round(12), return_index=True, return_counts=True
    )
    north = [4 * i + 16 for i in range(1, 25)]
    np.testing.assert_array_equal(sizes, north + north[::-1])
    np.testing.assert_allclose(sampling.lon[start], 0, atol=1e-12)
    assert sampling.num_vertices == 48 * (48 + 18)


@pytest.mark.parametrize("nlon", [None, "octahedral"])
def test_points_are_symmetric_about_the_equator(nlon):
    sampling = GaussLegendre(8, nlon)
    z, areas = sampling.points[:, 2], sampling.areas
    np.testing.assert_allclose(np.sort(z), np.sort(-z), atol=1e-15)
    np.testing.assert_allclose(areas[0], areas[-1], rtol=1e-14)


def test_levels_of_the_octahedral_grid_are_even():
    sampling, sizes = GaussLegendre(48, "octahedral"), []
    while sampling.nlat >= 4:
        sampling = sampling.coarsen()
        sizes.append(sampling.nlat)
    assert sizes == [24, 12, 6, 2]


def test_level_of_the_full_grid():
    assert GaussLegendre(9, 20).coarsen() == GaussLegendre(4, 10)


def test_nlon_is_twice_nlat_by_default():
    assert GaussLegendre(8) == GaussLegendre(8, 16)


@pytest.mark.parametrize("arguments", [(3,), (8, 5), (2, "octahedral")])
def test_small_grid_is_not_coarsened(arguments):
    with pytest.raises(
        ValueError, match="nlat must be at least 4 and nlon at least 6 to be coarse"
    ):
        GaussLegendre(*arguments).coarsen()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "nlat must be at least 1, got 0"),
        ((8, 2), "nlon must be at least 3, got 2"),
        ((7, "octahedral"), "nlat must be even in the octahedral grid, got 7; use nlat=8"),
    ],
)
def test_invalid_sizes_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        GaussLegendre(*arguments)


def test_unknown_word_for_the_rings_is_rejected(born_unchecked):
    with pytest.raises(ValueError, match="nlon must be an integer or 'octahedral', got 'cubic'"):
        born_unchecked(GaussLegendre, 8, "cubic")
