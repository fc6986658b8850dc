"""The published convention: its curves come out number by number, its weights integrate."""

import json

import numpy as np
import pytest

from deepsphere.equivariance import equivariance_error
from deepsphere.experiments import published_convention as convention
from deepsphere.experiments.published_convention import quadrature_weights, sampled_errors
from deepsphere.experiments.published_curves import (
    PUBLISHED_FILE,
    published_curve,
    published_kernel_scale,
    published_source,
)
from deepsphere.graph import build_graph
from deepsphere.harmonics import real_harmonics
from deepsphere.sampling import Healpix

# what other versions of the harmonic transform and of rounding may change
AGREEMENT = 0.02


def test_published_numbers_are_complete_and_cited():
    content = json.loads(PUBLISHED_FILE.read_text(encoding="utf-8"))
    assert {"V1_Lf", "V2_k8_Lf", "V2_k20_Lf", "V2_k40_Lf", "khasanova_frossard"} <= set(content)
    for nside in (32, 64, 128):
        for name in ("V1_Lf", "V2_k8_Lf", "V2_k20_Lf", "V2_k40_Lf"):
            degrees, errors = published_curve(name, nside)
            assert len(degrees) == len(errors)
            assert degrees.max() < 3 * nside
            assert (errors > 0).all()
    assert "Defferrard" in published_source()
    assert "CC BY" in published_source()


def test_unknown_published_curve_is_rejected(unchecked):
    with pytest.raises(ValueError, match="size must be one of 32, 64, 128, 256 for V1_Lf, got 16"):
        published_curve("V1_Lf", 16)
    with pytest.raises(ValueError, match="name must be one of V1_Lf, V2_k8_Lf"):
        published_curve("V3", 32)


def test_published_widths_are_those_of_the_library():
    graph = build_graph(Healpix(64), num_neighbors=20, weights="gaussian")
    scale = published_kernel_scale(20, 64)
    assert scale is not None
    assert graph.kernel_width == pytest.approx(scale**2 / (4 * np.log(2)))
    assert published_kernel_scale(12, 64) is None


def test_absent_healpy_says_what_to_install(monkeypatch):
    monkeypatch.setattr(convention, "has_healpy", lambda: False)
    with pytest.raises(ImportError, match=r'pip install "deepsphere-torch\[cosmology\]"'):
        sampled_errors({}, nside=8, degree=2)


def test_quadrature_weights_integrate_all_degrees_up_to_three_nside():
    pytest.importorskip("healpy")
    nside = 4
    points = Healpix(nside, ordering="ring").points
    harmonics = real_harmonics(points, 3 * nside)
    area = 4 * np.pi / len(points)
    integrals = area * quadrature_weights(nside) @ harmonics
    expected = np.zeros_like(integrals)
    expected[0] = np.sqrt(4 * np.pi)
    np.testing.assert_allclose(integrals, expected, atol=1e-5)
    unweighted = area * harmonics.sum(axis=0)
    assert abs(unweighted - expected).max() > 1e-3  # they are needed


def test_published_curves_come_out_again():
    pytest.importorskip("healpy")
    sampling = Healpix(32, ordering="ring")
    widths = {"V2_k40_Lf": 0.040588**2 / (4 * np.log(2))}  # of the paper's grid, not of its table
    graphs = {
        "V1_Lf": build_graph(sampling, weights="perraudin_unweighted"),
        "V2_k8_Lf": build_graph(sampling, num_neighbors=8, weights="gaussian"),
        "V2_k20_Lf": build_graph(sampling, num_neighbors=20, weights="gaussian"),
        "V2_k40_Lf": build_graph(
            sampling, num_neighbors=40, weights="gaussian", kernel_width=widths["V2_k40_Lf"]
        ),
    }
    operators = {name: graph.laplacian for name, graph in graphs.items()}
    for degree in (10, 60):
        errors = sampled_errors(operators, nside=32, degree=degree)
        for name, error in errors.items():
            degrees, published = published_curve(name, 32)
            assert error == pytest.approx(published[degrees == degree][0], rel=AGREEMENT)


def test_sampled_error_of_a_regular_degree_is_near_the_exact_one():
    """At middle degrees the transforms add little to the error of a graph of large error."""
    pytest.importorskip("healpy")
    graph = build_graph(Healpix(16, ordering="ring"), weights="perraudin_unweighted")
    sampled = sampled_errors({"a": graph.laplacian}, nside=16, degree=16)["a"]
    assert sampled == pytest.approx(equivariance_error(graph, degrees=[16])[0], rel=0.1)


def test_sampled_errors_do_not_touch_the_global_generator():
    pytest.importorskip("healpy")
    graph = build_graph(Healpix(4, ordering="ring"), num_neighbors=8, weights="gaussian")
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = sampled_errors({"a": graph.laplacian}, nside=4, degree=3, num_functions=1)
    assert first == sampled_errors({"a": graph.laplacian}, nside=4, degree=3, num_functions=1)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
