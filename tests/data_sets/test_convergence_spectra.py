"""Spectra of the convergence: those that are shipped, the cache, and CAMB."""

import sys

import numpy as np
import pytest

from deepsphere.data import convergence_spectra as module
from deepsphere.data.convergence_spectra import (
    compute_node_values,
    convergence_spectra,
    spectra_nodes,
)
from deepsphere.data.cosmologies import DEFAULT_COSMOLOGIES, Cosmology

OTHER = Cosmology(0.3, 0.8)


@pytest.fixture
def no_camb(monkeypatch):
    monkeypatch.setitem(sys.modules, "camb", None)


@pytest.fixture
def fake_camb(monkeypatch):
    """A power law in place of CAMB, and the number of times that it was asked."""
    calls = []

    def compute(cosmology, redshifts, nodes):
        calls.append((cosmology, redshifts))
        pairs = [(a, b) for i, a in enumerate(redshifts) for b in redshifts[: i + 1]]
        return np.array([cosmology.sigma_8**2 * a * b * (nodes + 0.5) ** -1.2 for a, b in pairs])

    monkeypatch.setattr(module, "compute_node_values", compute)
    return calls


def test_shipped_spectra_need_no_camb_and_differ_little(no_camb):
    first, second = (
        convergence_spectra(universe, max_degree=6143)[0, 0] for universe in DEFAULT_COSMOLOGIES
    )
    assert first.shape == (6144,)
    ratio = first / second - 1
    assert np.abs(ratio[100:3072]).max() < 0.04
    assert np.abs(ratio[100:]).max() < 0.045
    assert -0.30 < ratio[10] < -0.15


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 1])
def test_camb_reproduces_the_shipped_spectra(index):
    pytest.importorskip("camb")
    nodes = np.array([0.0, 2.0, 30.0, 100.0, 1000.0, 3071.0, 6143.0])
    found = compute_node_values(DEFAULT_COSMOLOGIES[index], (1.0,), nodes)[0]
    shipped = convergence_spectra(DEFAULT_COSMOLOGIES[index], max_degree=6143)[0, 0]
    # versions of CAMB differ by less
    np.testing.assert_allclose(found, shipped[nodes.astype(int)], rtol=2e-3)


@pytest.mark.slow
def test_camb_spectra_follow_the_limber_integral():
    """The integral by trapezoids in the scale factor, from CAMB's own interpolator."""
    camb = pytest.importorskip("camb")
    cosmology, planes = Cosmology(0.3, 0.8), (0.5, 1.0)
    degrees = np.array([20.0, 200.0, 1000.0])
    found = compute_node_values(cosmology, planes, degrees)
    reduced = 0.49
    pars = camb.set_params(
        H0=70, ombh2=0.045 * reduced, omch2=0.255 * reduced, mnu=0, num_massive_neutrinos=0,
        As=2e-9, ns=0.96, halofit_version="mead2020", WantTransfer=True,
    )  # fmt: skip
    pars.set_matter_power(redshifts=[0.0], kmax=2.0)
    sigma = camb.get_results(pars).get_sigma8_0()
    pars.InitPower.set_params(As=2e-9 * (0.8 / sigma) ** 2, ns=0.96)
    results = camb.get_results(pars)
    power = camb.get_matter_power_interpolator(
        pars, zmin=0, zmax=1.0, nz_step=60, kmax=20, hubble_units=False, k_hunit=False
    )
    factor = 1.5 * 0.3 * (70 / 299792.458) ** 2
    sources = [results.comoving_radial_distance(z) for z in planes]
    for index, (a, b) in enumerate([(0, 0), (1, 0), (1, 1)]):
        chi = np.linspace(0, min(sources[a], sources[b]), 4001)[1:-1]
        z = results.redshift_at_comoving_radial_distance(chi)
        weights = [factor * (1 + z) * chi * (1 - chi / source) for source in sources]
        for position, degree in enumerate(degrees):
            k = (degree + 0.5) / chi
            inside = k < 20
            values = np.array(
                [power.P(zi, ki) for zi, ki in zip(z[inside], k[inside], strict=True)]
            )
            integrand = (weights[a] * weights[b] / chi**2)[inside] * values.ravel()
            naive = integrand.sum() * (chi[1] - chi[0])
            assert found[index, position] == pytest.approx(naive, rel=3e-3)


@pytest.mark.slow
def test_clumping_scales_linear_degrees_by_its_square():
    pytest.importorskip("camb")
    low, high = (
        compute_node_values(Cosmology(0.3, sigma_8), (1.0,), np.array([3.0]))[0, 0]
        for sigma_8 in (0.4, 0.8)
    )
    assert high / low == pytest.approx(4, rel=0.01)


def test_values_do_not_depend_on_the_largest_degree(fake_camb):
    few = convergence_spectra(OTHER, max_degree=10)
    many = convergence_spectra(OTHER, max_degree=6143)
    assert few.shape == (1, 1, 11)
    assert np.array_equal(few, many[..., :11])
    more = convergence_spectra(OTHER, max_degree=7000)
    assert more.shape == (1, 1, 7001)
    np.testing.assert_allclose(more[..., :6144], many, rtol=1e-9)


def test_interpolation_follows_a_power_law(fake_camb):
    spectra = convergence_spectra(OTHER, redshifts=(0.5, 1.0), max_degree=3000)
    law = 0.64 * (np.arange(3001) + 0.5) ** -1.2
    np.testing.assert_allclose(spectra[0, 0], 0.25 * law, rtol=1e-9)
    np.testing.assert_allclose(spectra[0, 1], 0.5 * law, rtol=1e-9)
    assert np.array_equal(spectra[0, 1], spectra[1, 0])
    np.testing.assert_allclose(spectra[1, 1], law, rtol=1e-9)


def test_spectra_are_computed_once_and_a_damaged_cache_is_replaced(
    fake_camb, monkeypatch, tmp_path
):
    monkeypatch.setenv("DEEPSPHERE_CACHE", str(tmp_path))
    first = convergence_spectra(OTHER, max_degree=100)
    assert np.array_equal(convergence_spectra(OTHER, max_degree=100), first)
    assert len(fake_camb) == 1
    (file,) = (tmp_path / "spectra").iterdir()
    file.write_bytes(file.read_bytes()[:200])
    assert np.array_equal(convergence_spectra(OTHER, max_degree=100), first)
    assert len(fake_camb) == 2
    convergence_spectra(OTHER, max_degree=100)
    convergence_spectra(Cosmology(0.3, 0.81), max_degree=100)
    assert len(fake_camb) == 3


def test_cache_that_is_off_or_cannot_be_written_hinders_nobody(fake_camb, monkeypatch, tmp_path):
    monkeypatch.setenv("DEEPSPHERE_CACHE", "off")
    convergence_spectra(OTHER, max_degree=100)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("DEEPSPHERE_CACHE", str(tmp_path / "file"))
    convergence_spectra(OTHER, max_degree=100)
    assert len(fake_camb) == 2


def test_without_camb_the_way_to_install_it_is_said(no_camb, monkeypatch, tmp_path):
    monkeypatch.setenv("DEEPSPHERE_CACHE", str(tmp_path))
    with pytest.raises(ImportError, match=r"need CAMB, .*pip install 'deepsphere-torch\[cosmology"):
        convergence_spectra(OTHER, max_degree=100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_degree": 0}, "max_degree must be at least 1, got 0"),
        ({"max_degree": 9, "redshifts": ()}, r"redshifts must be in \(0, 4\], at least one"),
        ({"max_degree": 9, "redshifts": (1.0, 0.0)}, r"redshifts must be in \(0, 4\]"),
        ({"max_degree": 9, "redshifts": (1, 1.0)}, r"redshifts must differ, got \(1.0, 1.0\)"),
    ],
)
def test_requests_that_make_no_sense_are_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        convergence_spectra(OTHER, **options)


def test_shipped_file_is_written_anew(fake_camb, tmp_path):
    module.write_shipped(tmp_path / "shipped.npz")
    with np.load(tmp_path / "shipped.npz") as file:
        assert file["values"].shape == (2, 1, len(spectra_nodes(6143)))
