"""Simulated maps against what they are made to be: spectrum, skewness, correlation, bytes."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from deepsphere.data import lognormal_maps
from deepsphere.data.convergence_spectra import convergence_spectra
from deepsphere.data.cosmologies import DEFAULT_COSMOLOGIES, Cosmology, lognormal_shift
from deepsphere.data.lognormal_maps import (
    draw_map,
    gaussian_spectra,
    lognormal_map,
    lognormal_skewness,
    target_spectra,
)
from deepsphere.data.simulation_plan import (
    SimulationPlan,
    plan_content,
    plan_from_content,
    plan_shifts,
)
from deepsphere.sampling import Healpix

healpy = pytest.importorskip("healpy")
pytest.importorskip("glass")


def plan_of(**options) -> SimulationPlan:
    return SimulationPlan(**{"nside": 64, "num_maps": 4, **options})


def binned(spectrum: np.ndarray, low: int, high: int, num: int = 8) -> np.ndarray:
    """Sums of (2 l + 1) C_l over bins."""
    edges = np.unique(np.geomspace(low, high + 1, num + 1).astype(int))
    power = (2 * np.arange(len(spectrum)) + 1) * spectrum
    return np.array([power[a:b].sum() for a, b in pairwise(edges)])


def measure(plan: SimulationPlan, cosmology_index: int, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean spectrum of maps of a class, and their pixels."""
    ring = Healpix(plan.nside)
    maps = [
        lognormal_map(plan, cosmology_index=cosmology_index, map_index=index).astype(np.float64)
        for index in range(num)
    ]
    spectra = [healpy.anafast(ring.reorder(one, "ring")[:, 0]) for one in maps]
    return np.mean(spectra, axis=0), np.stack(maps)


@pytest.mark.parametrize("scale", ["physical", "zoom"])
@pytest.mark.parametrize("cosmology_index", [0, 1])
def test_spectrum_is_the_target_within_five_percent(scale, cosmology_index):
    plan = plan_of(scale=scale)
    found, _ = measure(plan, cosmology_index, 16)
    target = target_spectra(plan)[0, 0]
    ratio = binned(found, 20, 128) / binned(target, 20, 128)
    # five times the scatter of Gaussian fields, of each bin in 16 maps: 2.4 % in the last one
    scatter = np.sqrt(2 / binned(np.ones_like(found), 20, 128) / 16)
    assert (np.abs(ratio - 1) < np.minimum(5 * scatter, 0.1)).all()
    # all degrees together
    whole = binned(found, 40, 128, 1) / binned(target, 40, 128, 1)
    assert abs(whole[0] - 1) < 0.02


@pytest.mark.slow
def test_spectrum_is_the_target_within_five_percent_at_a_high_resolution():
    plan = plan_of(nside=512)
    found, _ = measure(plan, 1, 3)
    target = target_spectra(plan)[0, 0]
    ratio = binned(found, 40, 1024, 10) / binned(target, 40, 1024, 10)
    scatter = np.sqrt(2 / binned(np.ones_like(found), 40, 1024, 10) / 3)
    assert (np.abs(ratio - 1) < 5 * scatter).all()
    assert np.abs(ratio[-5:] - 1).max() < 0.03


def test_skewness_follows_the_lognormal_formula():
    plan = plan_of(scale="zoom", contrast=3.0)
    for index, shift in enumerate(plan_shifts(plan)[:, 0]):
        _, maps = measure(plan, index, 24)
        variance = float((maps**2).mean())
        skewness = float((maps**3).mean()) / variance**1.5
        assert skewness == pytest.approx(lognormal_skewness(variance, shift), rel=0.05)
        assert maps.min() > -shift


def test_classes_have_the_same_spectrum_and_another_skewness():
    plan = plan_of(scale="zoom", contrast=2.0)
    (first, one), (second, two) = (measure(plan, index, 24) for index in (0, 1))
    assert np.abs(binned(first, 40, 128, 3) / binned(second, 40, 128, 3) - 1).max() < 0.02
    skewness = [float((maps**3).mean() / (maps**2).mean() ** 1.5) for maps in (one, two)]
    assert skewness[1] > 1.6 * skewness[0]


def test_skewness_of_lognormal_numbers():
    numbers = np.random.default_rng(0).lognormal(-0.02, 0.2, 2_000_000) - 1
    found = float((numbers**3).mean() / (numbers**2).mean() ** 1.5)
    assert found == pytest.approx(lognormal_skewness(float((numbers**2).mean()), 1.0), rel=0.02)
    with pytest.raises(ValueError, match="variance must not be negative and shift be positive"):
        lognormal_skewness(1.0, 0.0)


def test_target_is_the_mean_times_the_beam():
    plan = plan_of(nside=1024, beam_arcmin=3.0)
    found = target_spectra(plan)[0, 0]
    degrees = np.arange(3072)
    spread = 3 / 60 * np.pi / 180
    raw = np.mean(
        [convergence_spectra(one, max_degree=3071)[0, 0] for one in DEFAULT_COSMOLOGIES], axis=0
    )
    expected = raw * np.exp(-0.5 * degrees * (degrees + 1) * spread**2) ** 2
    np.testing.assert_allclose(found[1:], expected[1:], rtol=1e-12)
    assert found[0] == 0


def test_zoom_keeps_the_variance_of_a_pixel():
    def variance(plan):
        spectrum = target_spectra(plan)[0, 0]
        return ((2 * np.arange(len(spectrum)) + 1) * spectrum).sum() / (4 * np.pi)

    fine = variance(plan_of(nside=1024))
    assert np.sqrt(fine) == pytest.approx(0.00926, abs=2e-5)
    for nside in (64, 128, 2048):
        assert variance(plan_of(nside=nside, scale="zoom")) == pytest.approx(fine, rel=0.05)
    assert target_spectra(plan_of(nside=1024, scale="zoom"))[0, 0] == pytest.approx(
        target_spectra(plan_of(nside=1024))[0, 0]
    )


def test_own_spectra_are_those_of_each_universe():
    plan = plan_of(spectra="own", beam_arcmin=0)
    for index, universe in enumerate(plan.cosmologies):
        expected = convergence_spectra(universe, max_degree=191)[0, 0, 1:]
        found = target_spectra(plan, cosmology_index=index)[0, 0, 1:]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.fixture
def two_planes(monkeypatch):
    """Spectra of two correlated planes without CAMB."""

    def spectra(cosmology, *, redshifts, max_degree):
        shape = 1e-7 * (np.arange(max_degree + 1) + 1.0) ** -1.2
        return np.array([[0.4, 0.55], [0.55, 1.0]])[..., None] * shape

    monkeypatch.setattr(lognormal_maps, "convergence_spectra", spectra)
    lognormal_maps._solved.cache_clear()
    yield
    lognormal_maps._solved.cache_clear()


def test_channels_of_several_redshifts_are_correlated_as_asked(two_planes):
    plan = plan_of(redshifts=(0.5, 1.0), spectra="own")
    target = target_spectra(plan)
    ring = Healpix(64)
    found = []
    for index in range(12):
        kappa = lognormal_map(plan, cosmology_index=0, map_index=index)
        assert kappa.shape == (49152, 2)
        first, second = ring.reorder(kappa.astype(np.float64), "ring").T
        found.append([healpy.anafast(first), healpy.anafast(first, second), healpy.anafast(second)])
    mean = np.mean(found, axis=0)
    for spectrum, (i, j) in zip(mean, [(0, 0), (0, 1), (1, 1)], strict=True):
        ratio = binned(spectrum, 40, 128, 3) / binned(target[i, j], 40, 128, 3)
        assert np.abs(ratio - 1).max() < 0.03


@pytest.mark.parametrize("correlation", [0.995, 1.0])
def test_channels_that_are_nearly_one_can_be_drawn(correlation):
    """No Gaussian fields have exactly what two skewed channels need, and the nearest are one."""
    degrees = np.arange(96)
    shape = 1e-6 * (degrees + 1.0) ** -1.2 * np.exp(-(degrees**2) / 2000)
    shape[0] = 0
    cross = 0.4**0.5 * correlation
    target = np.array([[0.4, cross], [cross, 1.0]])[..., None] * shape
    shifts = np.array([0.01, 0.05])
    gaussian = gaussian_spectra(target, shifts)
    values = np.linalg.eigvalsh(np.moveaxis(gaussian[..., 1:], -1, 0))
    assert (values[:, 0] > 0).all()
    assert (values[:, 0] < 1e-6 * values[:, 1]).any()
    plan = plan_of(nside=32, redshifts=(0.5, 1.0))
    kappa = draw_map(plan, gaussian, shifts, cosmology_index=0, map_index=0)
    assert np.corrcoef(kappa.T)[0, 1] == pytest.approx(correlation, abs=0.03)


def test_maps_are_a_function_of_plan_and_indices():
    plan = plan_of(nside=32, num_maps=2)
    kappa = lognormal_map(plan, cosmology_index=1, map_index=1)
    assert kappa.dtype == np.float32
    assert kappa.shape == (12288, 1)
    lognormal_map(plan, cosmology_index=0, map_index=0)
    assert np.array_equal(kappa, lognormal_map(plan, cosmology_index=1, map_index=1))
    more = replace(plan, num_maps=90)
    assert np.array_equal(kappa, lognormal_map(more, cosmology_index=1, map_index=1))
    others = [
        lognormal_map(plan, cosmology_index=1, map_index=0),
        lognormal_map(plan, cosmology_index=0, map_index=1),
        lognormal_map(replace(plan, seed=1), cosmology_index=1, map_index=1),
    ]
    for other in others:
        assert np.abs(np.corrcoef(kappa[:, 0], other[:, 0])[0, 1]) < 0.2


@pytest.mark.slow
def test_number_of_threads_changes_no_byte():
    code = (
        "from deepsphere.data.lognormal_maps import *; import hashlib;"
        "m = lognormal_map(SimulationPlan(nside=256, num_maps=1), cosmology_index=0, map_index=0);"
        "print(hashlib.sha256(m.tobytes()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"OMP_NUM_THREADS": threads, "DEEPSPHERE_CACHE": "off"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2", "3")
    }
    assert len(digests) == 1


def test_maps_are_nested():
    kappa = lognormal_map(plan_of(nside=32), cosmology_index=0, map_index=0)[:, 0]
    # in NESTED order the four children of a pixel follow each other
    within = kappa.reshape(-1, 4).std(axis=1).mean()
    among = kappa.reshape(4, -1).std(axis=0).mean()
    assert within < 0.9 * among


def test_shifts_out_of_reach_are_rejected():
    target = target_spectra(plan_of(scale="zoom"))
    with pytest.raises(ValueError, match=r"shifts must be large enough .* use larger shifts"):
        gaussian_spectra(target, np.array([0.0005]))


def test_cross_spectra_out_of_reach_are_rejected_or_brought_nearest():
    auto = 1e-7 * (np.arange(96) + 1.0) ** -1.2
    target = np.array([[1.0, 1.5], [1.5, 1.0]])[..., None] * auto
    with pytest.raises(ValueError, match=r"the nearest spectra differ by \d+ %; use larger"):
        gaussian_spectra(target, np.array([0.03, 0.03]))
    close = np.array([[1.0, 1.004], [1.004, 1.0]])[..., None] * auto
    found = np.moveaxis(gaussian_spectra(close, np.array([0.03, 0.03])), -1, 0)
    assert np.linalg.eigvalsh(found).min() > -1e-20


def test_contrast_stretches_physical_shifts_about_their_mean():
    physical = plan_shifts(plan_of())[:, 0]
    assert physical.tolist() == [lognormal_shift(one, 1.0) for one in DEFAULT_COSMOLOGIES]
    shifts = plan_shifts(plan_of(contrast=3.0))[:, 0]
    assert shifts[0] / shifts[1] == pytest.approx(3.0)
    assert shifts.prod() == pytest.approx(physical.prod())
    assert shifts == pytest.approx(0.0323 * np.sqrt([3.0, 1 / 3]), rel=2e-3)
    assert np.ptp(plan_shifts(plan_of(contrast=1.0))) == pytest.approx(0)
    three = (*DEFAULT_COSMOLOGIES, Cosmology(0.28, 0.85))
    many = plan_shifts(plan_of(cosmologies=three, redshifts=(0.5, 1.0), contrast=2.0))
    assert (many.max(axis=0) / many.min(axis=0)).tolist() == pytest.approx([2.0, 2.0])


def test_shifts_can_be_given():
    assert plan_shifts(plan_of(shifts=(0.04, 0.02))).tolist() == [[0.04], [0.02]]
    given = ((0.02, 0.04), (0.01, 0.03))
    plan = plan_of(redshifts=(0.5, 1), shifts=given)
    assert plan_shifts(plan).tolist() == [list(row) for row in given]
    assert plan_from_content(plan_content(plan)) == plan


def test_notes_say_what_is_not_physical():
    assert plan_of().notes == ()
    assert plan_of(scale="zoom", contrast=2.0).notes == (
        "zoomed 16 times: not a physical sky",
        "shifts stretched to a ratio of 2: not physical",
    )
    assert plan_of(shifts=(0.1, 0.2)).notes == ("shifts given: not physical",)


def test_names_of_equal_universes_are_numbered():
    universe = DEFAULT_COSMOLOGIES[0]
    plan = plan_of(cosmologies=(universe, universe), shifts=(0.03, 0.02))
    assert plan.class_names == (f"{universe.name} (1)", f"{universe.name} (2)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nside": 48}, "nside must be a power of two from 2 to 8192, got 48"),
        ({"nside": 0}, "nside must be a power of two"),
        ({"reference_nside": 1000}, "reference_nside must be a power of two"),
        ({"num_maps": 0}, "num_maps must be at least 1, got 0"),
        ({"cosmologies": ()}, "cosmologies must hold at least one, got none"),
        ({"redshifts": ()}, r"redshifts must be in \(0, 4\], at least one"),
        ({"redshifts": (1.0, 1.0)}, "redshifts must differ"),
        ({"beam_arcmin": -1.0}, "beam_arcmin must be from 0 to 600 arc minutes, got -1"),
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"contrast": 0.5}, "contrast must be at least 1"),
        ({"contrast": 2.0, "shifts": (0.1, 0.2)}, "contrast must be None where shifts are given"),
        (
            {"contrast": 2.0, "cosmologies": DEFAULT_COSMOLOGIES[:1]},
            "contrast must come with at least two cosmologies",
        ),
        ({"shifts": (0.1,)}, "shifts must be one for each of 2 cosmologies and 1 redshifts"),
        ({"shifts": ((0.1, 0.2), (0.1, 0.2))}, "shifts must be one for each of 2 cosmologies"),
        ({"shifts": (0.1, 0.0)}, "shifts must be positive"),
    ],
)
def test_plans_that_make_no_sense_are_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        plan_of(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spectra": "both"}, "spectra must be 'common' or 'own', got 'both'"),
        ({"scale": "tiny"}, "scale must be 'physical' or 'zoom', got 'tiny'"),
    ],
)
def test_words_that_are_no_choice_are_rejected(unchecked, options, message):
    with pytest.raises(ValueError, match=message):
        plan_of(**options)


def test_contrast_of_equal_universes_is_rejected():
    plan = plan_of(cosmologies=(Cosmology(0.3, 0.8), Cosmology(0.3, 0.9)), contrast=2.0)
    with pytest.raises(ValueError, match="contrast must come with cosmologies of different"):
        plan_shifts(plan)


@pytest.mark.parametrize(("cosmology_index", "map_index"), [(2, 0), (-1, 0), (0, -1)])
def test_maps_of_no_class_are_rejected(cosmology_index, map_index):
    with pytest.raises(ValueError, match=r"cosmology_index must be in \[0, 2\)"):
        lognormal_map(plan_of(), cosmology_index=cosmology_index, map_index=map_index)


def test_without_glass_the_way_to_install_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "glass", None)
    with pytest.raises(
        ImportError, match=r"needs GLASS, .*pip install 'deepsphere-torch\[cosmolog"
    ):
        gaussian_spectra(np.ones((1, 1, 3)), np.ones(1))
