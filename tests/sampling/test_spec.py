import inspect

import numpy as np
import pytest

from deepsphere.sampling import (
    CubedSphere,
    Equiangular,
    Fibonacci,
    GaussLegendre,
    Healpix,
    Icosahedral,
    RandomUniform,
    Scattered,
    sampling_from_spec,
)
from deepsphere.sampling.checks import as_integer, nearest_power_of_two
from deepsphere.sampling.encoding import decode_array, encode_array


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("healpix:32", Healpix(32)),
        (" Healpix : nside = 4 , ordering = ring ", Healpix(4, ordering="ring")),
        ("fibonacci:1000", Fibonacci(1000)),
        ("equiangular:16x32", Equiangular(16, 32)),
        ("equiangular:16", Equiangular(16)),
        ("equiangular:nlat=6,nlon=11,poles=south", Equiangular(6, 11, "south")),
        ("gauss-legendre:16", GaussLegendre(16)),
        ("gauss_legendre:nlat=16,nlon=octahedral", GaussLegendre(16, "octahedral")),
        ("icosahedral:4", Icosahedral(4)),
        ("icosahedral:level=2,dual=true", Icosahedral(4, dual=True)),
        ("cubed_sphere:8", CubedSphere(8)),
        ("random_uniform:50", RandomUniform(50)),
    ],
)
def test_short_and_human_forms(spec, expected):
    assert sampling_from_spec(spec) == expected


@pytest.mark.parametrize(
    ("sampling", "spec"),
    [
        (Healpix(32), "healpix:nside=32,ordering=nested"),
        (Equiangular(16, poles=2), "equiangular:nlat=16,nlon=32,poles=2"),
        (Icosahedral(4), "icosahedral:subdivisions=4,dual=false"),
        (CubedSphere(4), "cubed_sphere:subdivisions=4,spacing=equiangular"),
        (RandomUniform(7, seed=3), "random_uniform:num_vertices=7,seed=3"),
    ],
)
def test_spec_is_readable(sampling, spec):
    assert sampling.spec == spec


def test_spec_of_scattered_points_is_printable():
    spec = Scattered([1.0, 2.0], [3.0, 4.0]).spec
    assert spec.isascii()
    assert not any(character.isspace() for character in spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mercator:4", "kind of a sampling must be one of cubed_sphere, .*, got 'mercator'"),
        ("", "got ''; a specification reads like healpix:nside=32"),
        ("healpix", "a specification must give a size, got 'healpix'; write healpix:..."),
        ("healpix:", "a specification must give a size"),
        ("healpix:nside=4,nside=8", "given once as name=value, got 'nside=8'"),
        ("healpix:nside=4,ring", "given once as name=value, got 'ring' in .*; a speci"),
        ("healpix:nside=", "given once as name=value, got 'nside='"),
        ("fibonacci:num=5", "the options of fibonacci are num_vertices, but got 'num'"),
        ("equiangular:nlon=5", "are nlat, nlon, poles, but 'nlat' is missing"),
        ("healpix:ordering=ring", "must be given exactly once"),
        ("scattered:5", "given once as name=value, got '5'"),
        ("scattered:points=5", "the options of scattered are lonlat, but got 'points'"),
        ("scattered:lonlat=AAAA", "damaged array in a sampling specification"),
        ("subset:base=healpix:4", "are base, starts, lengths, but 'starts' is missing"),
        (
            "equiangular:16x32x0x1",
            "equiangular takes at most 3 values, as in 16x32x0, got '16x32x0x1'",
        ),
        ("scattered:lonlat=eNpjYMAOAAAYAAE=", "must hold an even number of values, got 3"),
    ],
)
def test_invalid_specs_are_rejected(spec, message):
    with pytest.raises(ValueError, match=message):
        sampling_from_spec(spec)


def test_spec_that_is_no_text_is_rejected():
    with pytest.raises(TypeError, match="must be a text like healpix:nside=32, got int"):
        inspect.unwrap(sampling_from_spec)(32)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("lengths", [[1], [5, 0], [5, -1], [40, 40]])
def test_runs_that_do_not_fit_the_base_are_rejected(lengths):
    runs = f"starts={encode_array(np.array([0, 3]))},lengths={encode_array(np.array(lengths))}"
    with pytest.raises(
        ValueError, match=f"base of 48 vertices, got 2 starts and {len(lengths)} len"
    ):
        sampling_from_spec(f"subset:base=(healpix:2),{runs}")


def test_truncated_spec_is_rejected():
    spec = Scattered(np.linspace(0, 90, 50), np.linspace(0, 60, 50)).spec
    with pytest.raises(ValueError, match="damaged array in a sampling specification"):
        sampling_from_spec(spec[:-40])


@pytest.mark.parametrize("array", [np.arange(5), np.zeros(0), np.array([np.pi, -0.0, 1e-300])])
def test_arrays_round_trip_bit_for_bit(array):
    decoded = decode_array(encode_array(array), array.dtype)
    assert decoded.tobytes() == array.tobytes()


def test_encoding_does_not_depend_on_the_byte_order():
    array = np.arange(5.0)
    assert encode_array(array.astype(">f8")) == encode_array(array)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("four", "size must be an integer, got 'four'"),
        (True, "size must be an integer, got True"),
        (0, "size must be between 1 and 9, got 0"),
        (10, "size must be between 1 and 9, got 10"),
    ],
)
def test_values_that_are_no_size_are_rejected(value, message):
    with pytest.raises(ValueError, match=message):
        as_integer("size", value, at_least=1, at_most=9)


def test_nearest_power_of_two():
    numbers = {1: 1, 2: 2, 3: 2, 5: 4, 6: 4, 7: 8, 12: 8, 13: 16}
    assert {number: nearest_power_of_two(number) for number in numbers} == numbers
