"""The experiments that measure graphs: equivariance, kernel widths, spectrum, on mini recipes."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from deepsphere.equivariance import equivariance_error, tune_kernel_width
from deepsphere.experiments import equivariance, kernel_widths, spectrum
from deepsphere.experiments.config import Recipe
from deepsphere.experiments.curve_record import (
    CurveRecord,
    kept_or_measured,
    measure_unfinished,
)
from deepsphere.experiments.digits_config import DigitsRecipe
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.published_curves import published_curve
from deepsphere.experiments.reading import read_recipe, recipe_names
from deepsphere.experiments.registry import RECIPE_TYPES, experiment_of
from deepsphere.experiments.results import read_results
from deepsphere.experiments.run import reproduce
from deepsphere.experiments.spectrum import compare_with_harmonics, subspace_cosines
from deepsphere.graph import SphereGraph, build_graph
from deepsphere.harmonics import real_harmonics
from deepsphere.sampling import Equiangular, Healpix

CPU = RunOptions(accelerator="cpu")

EQUIVARIANCE = """
experiment = "equivariance"
title = "mini"
degrees = [1, 5]
[sampled]
num_functions = 1
num_rotations = 1
[[curves]]
name = "Gaussian, k = 8"
num_neighbors = 8
weights = "gaussian"
samplings = ["healpix:4", "healpix:8"]
[[curves]]
name = "grid"
weights = "inverse_distance"
samplings = ["equiangular:12x12"]
[[claims]]
name = "Gaussian, k = 8, healpix:8, degree 5"
required = 1.0
better = "lower"
"""

WIDTHS = """
experiment = "kernel-widths"
title = "mini"
samplings = ["healpix:2", "healpix:4"]
num_neighbors = [8, 20]
objectives = ["log", "red"]
[[claims]]
name = "healpix:4, deviation of the rule from tuned"
required = 90.0
better = "lower"
"""

SPECTRUM = """
experiment = "spectrum"
title = "mini"
sampling = "healpix:4"
max_degree = 6
degrees = [1, 4, 8]
[[graphs]]
name = "Gaussian, k = 8"
num_neighbors = 8
weights = "gaussian"
[[graphs]]
name = "Cotangent"
weights = "cotangent"
[[claims]]
name = "Cotangent, alignment up to degree 3"
required = 90.0
"""


def recipe_of(folder: Path, text: str, **overrides: object) -> Recipe:
    path = folder / "mini.toml"
    path.write_text(text, encoding="utf-8")
    return read_recipe(path, overrides=overrides)


def numbers_in(folder: Path) -> dict:
    return json.loads((folder / "numbers.json").read_text(encoding="utf-8"))


# what all have in common


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_has_an_experiment(name: str):
    recipe = read_recipe(name)
    assert type(recipe) is RECIPE_TYPES[recipe.experiment]
    assert callable(experiment_of(recipe).measure)


@pytest.mark.parametrize("name", ["equivariance", "kernel-widths", "spectrum"])
def test_claims_of_the_recipes_are_about_rows(name: str):
    recipe = read_recipe(name)
    experiment_of(recipe).check(recipe, CPU, None)


@pytest.mark.parametrize("text", [EQUIVARIANCE, WIDTHS, SPECTRUM])
def test_claim_about_nothing_is_rejected(text: str, tmp_path: Path):
    recipe = recipe_of(tmp_path, text, claims=[{"name": "the moon", "required": 1.0}])
    with pytest.raises(ValueError, match="claims must be about a measured row, got 'the moon'"):
        experiment_of(recipe).check(recipe, CPU, None)


@pytest.mark.parametrize("text", [EQUIVARIANCE, WIDTHS, SPECTRUM])
def test_data_and_accelerators_are_refused_where_nothing_is_trained(text: str, tmp_path: Path):
    recipe = recipe_of(tmp_path, text)
    with pytest.raises(ValueError, match=r"data must not be given for .*; leave it out"):
        experiment_of(recipe).check(recipe, CPU, tmp_path)
    with pytest.raises(ValueError, match=r"accelerator must be auto or cpu .* got 'gpu'"):
        experiment_of(recipe).check(recipe, RunOptions(accelerator="gpu"), None)


def test_recipe_of_another_experiment_is_refused_where_one_is_needed():
    with pytest.raises(ValueError, match=r"spectrum.toml: experiment must be digits here, got 'sp"):
        read_recipe("spectrum", recipe_type=DigitsRecipe)


def test_names_must_differ(tmp_path: Path):
    graph = {"name": "a"}
    with pytest.raises(ValueError, match="graphs must differ in name, got 'a' twice; rename one"):
        recipe_of(tmp_path, SPECTRUM, graphs=[graph, graph])
    curve = {"name": "a", "samplings": ["healpix:4"]}
    with pytest.raises(ValueError, match="curves must differ in name, got 'a' twice; rename one"):
        recipe_of(tmp_path, EQUIVARIANCE, curves=[curve, curve])


def test_record_is_kept_only_if_complete_and_of_the_same_recipe(tmp_path: Path):
    path = tmp_path / "runs" / "one.json"
    made = []

    def measure() -> CurveRecord:
        made.append(1)
        return CurveRecord(fingerprint="f", curve="a", sampling="s", facts={"x": float(len(made))})

    first = kept_or_measured(path, "f", measure)
    assert kept_or_measured(path, "f", measure) == first
    path.write_text(path.read_text()[:-20])
    assert kept_or_measured(path, "f", measure).facts == {"x": 2.0}
    kept_or_measured(path, "another", measure)
    assert len(made) == 3


@pytest.mark.parametrize("progress", [True, False])
def test_records_come_in_order_and_only_what_is_missing_is_measured(tmp_path: Path, progress: bool):
    made: list[str] = []

    def measure(name: str) -> CurveRecord:
        made.append(name)
        return CurveRecord(fingerprint="f", curve=name, sampling="s")

    measurements = [(name, partial(measure, name)) for name in ("second", "first", "third")]
    arguments = {
        "fingerprint": "f",
        "action": "measuring",
        "options": RunOptions(progress=progress),
    }
    records = measure_unfinished(measurements, tmp_path, **arguments)
    assert [record.curve for record in records] == ["second", "first", "third"]
    (tmp_path / "runs" / "first.json").unlink()
    assert measure_unfinished(measurements, tmp_path, **arguments) == records
    assert made == ["second", "first", "third", "first"]


def stop(*arguments: object, **options: object) -> None:
    raise KeyboardInterrupt


# equivariance


def test_equivariance_is_measured_written_and_continued(tmp_path: Path, monkeypatch):
    recipe = recipe_of(tmp_path, EQUIVARIANCE)
    output = tmp_path / "out"
    outcome = reproduce(recipe, output, command="deepsphere", options=CPU)
    assert read_results(output / "results.json") == outcome.results
    graph = build_graph(Healpix(8), num_neighbors=8, weights="gaussian")
    expected = equivariance_error(graph)
    (row,) = outcome.results.rows
    assert row.ok is True
    assert row.measured == pytest.approx(expected[4])
    curves = {(c["graph"], c["sampling"]): c for c in numbers_in(output)["curves"]}
    exact = curves["Gaussian, k = 8", "healpix:8"]["exact"]
    assert exact["degree"] == list(range(1, 24))
    np.testing.assert_allclose(exact["error"], expected)
    assert curves["grid", "equiangular:12x12"]["exact"]["degree"] == [1, 2, 3, 4, 5]
    page = (output / "report.html").read_text(encoding="utf-8")
    for heading in ("Exact errors", "The published figure", "healpix:8", "Claims"):
        assert heading in page
    assert (output / "figures" / "exact.png").is_file()
    # what is finished is read, not measured
    monkeypatch.setattr(equivariance, "_measure_exactly", stop)
    again = reproduce(recipe, output, command="deepsphere", options=CPU)
    assert again.results.rows == outcome.results.rows


def test_equivariance_compares_with_the_published_curve(tmp_path: Path):
    pytest.importorskip("healpy")
    curve = {
        "name": "V1",
        "weights": "perraudin_unweighted",
        "samplings": ["healpix:32"],
        "published": "V1_Lf",
    }
    name = "V1, healpix:32, deviation from published"
    recipe = recipe_of(
        tmp_path,
        EQUIVARIANCE,
        curves=[curve],
        sampled={"num_functions": 1, "num_rotations": 2},
        claims=[{"name": name, "required": 40.0, "better": "lower"}],
    )
    outcome = reproduce(recipe, tmp_path / "out", command="deepsphere", options=CPU)
    (row,) = outcome.results.rows
    (numbers,) = numbers_in(tmp_path / "out")["curves"]
    degrees, errors = published_curve("V1_Lf", 32)
    assert numbers["sampled"]["degree"] == degrees.tolist() == numbers["published"]["degree"]
    ratios = np.array(numbers["sampled"]["error"]) / errors
    assert row.measured == pytest.approx(100 * abs(ratios[degrees >= 30] - 1).max())
    assert row.measured < 40
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Measured over published" in page


def test_without_healpy_only_exact_errors_are_measured_and_the_report_says_so(
    tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(equivariance, "has_healpy", lambda: False)
    curve = {
        "name": "V1",
        "weights": "perraudin_unweighted",
        "samplings": ["healpix:32"],
        "published": "V1_Lf",
    }
    recipe = recipe_of(tmp_path, EQUIVARIANCE, curves=[curve], claims=[])
    outcome = reproduce(recipe, tmp_path / "out", command="deepsphere", options=CPU)
    assert outcome.results.rows == []
    (note,) = outcome.results.notes
    assert 'pip install "deepsphere-torch[cosmology]"' in note
    (numbers,) = numbers_in(tmp_path / "out")["curves"]
    assert "sampled" not in numbers
    assert "deepsphere-torch[cosmology]" in (tmp_path / "out" / "report.html").read_text()


def test_published_curve_beside_another_sampling_is_rejected(tmp_path: Path):
    curve = {"name": "a", "samplings": ["icosahedral:4"], "published": "V1_Lf"}
    recipe = recipe_of(tmp_path, EQUIVARIANCE, curves=[curve], claims=[])
    with pytest.raises(ValueError, match="published must stand beside HEALPix or an equiangular"):
        experiment_of(recipe).check(recipe, CPU, None)


def test_kernel_scales_are_given_for_each_sampling(tmp_path: Path):
    curve = {"name": "a", "samplings": ["healpix:4", "healpix:8"], "kernel_scales": [0.1]}
    with pytest.raises(ValueError, match="kernel_scales must hold one number for each of the 2"):
        recipe_of(tmp_path, EQUIVARIANCE, curves=[curve])


def test_degrees_of_a_grid_end_below_its_bandwidth():
    assert equivariance.largest_degree(Equiangular(64, 64)) == 31
    assert equivariance.largest_degree(Healpix(8)) == 23


# kernel widths


def test_kernel_widths_are_tuned_written_and_continued(tmp_path: Path, monkeypatch):
    recipe = recipe_of(tmp_path, WIDTHS)
    output = tmp_path / "out"
    outcome = reproduce(recipe, output, command="deepsphere", options=CPU)
    assert [row.name for row in outcome.results.rows] == [
        "healpix:2, deviation of the rule from tuned",
        "healpix:4, deviation of the rule from tuned",
    ]
    widths = numbers_in(output)["widths"]
    assert len(widths) == 8
    found = next(w for w in widths if (w["sampling"], w["objective"]) == ("healpix:4", "red"))
    expected = 192 * tune_kernel_width(Healpix(4), 8, objective="red")
    assert found["tuned"] == pytest.approx(expected)
    assert found["rule"] == pytest.approx(1.6 + 0.14 * 8)
    of_log = [w for w in widths if (w["sampling"], w["objective"]) == ("healpix:4", "log")]
    largest = max(abs(w["rule"] / w["tuned"] - 1) for w in of_log)
    assert outcome.results.rows[1].measured == pytest.approx(100 * largest)
    monkeypatch.setattr(kernel_widths, "_tune", stop)
    reproduce(recipe, output, command="deepsphere", options=CPU)
    assert "n t for the objective red" in (output / "report.html").read_text(encoding="utf-8")


def test_published_widths_stand_beside_tuned_ones():
    width = kernel_widths.TunedWidth("healpix:32", 8, "log", 2.7, 1.0)
    assert width.published == pytest.approx(12 * 32**2 * 0.025**2 / (4 * np.log(2)))
    assert kernel_widths.TunedWidth("healpix:32", 12, "log", 2.7, 1.0).published is None
    assert kernel_widths.TunedWidth("icosahedral:4", 8, "log", 2.7, 1.0).published is None


def test_more_neighbors_than_vertices_are_rejected(tmp_path: Path):
    recipe = recipe_of(tmp_path, WIDTHS, num_neighbors=[8, 60])
    with pytest.raises(ValueError, match=r"number of vertices of healpix:2 \(48\), got 60"):
        experiment_of(recipe).check(recipe, CPU, None)


# spectrum


def test_spectrum_is_measured_written_and_continued(tmp_path: Path, monkeypatch):
    recipe = recipe_of(tmp_path, SPECTRUM)
    output = tmp_path / "out"
    outcome = reproduce(recipe, output, command="deepsphere", options=CPU)
    rows = {row.name: row for row in outcome.results.rows}
    assert set(rows) == {
        "Gaussian, k = 8, alignment up to degree 6",
        "Cotangent, alignment up to degree 3",
    }
    values = compare_with_harmonics(build_graph(Healpix(4), weights="cotangent"), 6)
    alignment = values["alignment"][:3] @ [3, 5, 7] / 15
    claimed = rows["Cotangent, alignment up to degree 3"]
    assert claimed.measured == pytest.approx(100 * alignment)
    assert len(numbers_in(output)["graphs"]) == 2
    monkeypatch.setattr(spectrum, "_measure", stop)
    reproduce(recipe, output, command="deepsphere", options=CPU)
    assert "Cosine of the largest principal angle" in (output / "report.html").read_text()


def test_operator_with_harmonics_as_eigenvectors_is_aligned_at_every_degree():
    """A dense Laplacian built from the harmonics themselves, with eigenvalues l (l + 1)."""
    sampling, max_degree = Healpix(4), 5
    basis = np.linalg.qr(real_harmonics(sampling.points, max_degree))[0]
    degrees = np.repeat(np.arange(max_degree + 1), 2 * np.arange(max_degree + 1) + 1)
    # orthogonal harmonics of different degrees: their spans are those of the columns of QR
    template = build_graph(sampling, num_neighbors=8, weights="gaussian")
    beyond = 100.0 * (np.eye(192) - basis @ basis.T)
    matrix = basis @ np.diag(degrees * (degrees + 1.0)) @ basis.T + beyond
    graph = SphereGraph(
        sampling,
        template.adjacency,
        type(template.laplacian)(matrix),
        template.options,
        template.kernel_width,
        template.vertex_mass,
        True,
    )
    values = compare_with_harmonics(graph, max_degree)
    np.testing.assert_allclose(values["alignment"], 1.0, atol=0.02)  # QR mixes degrees slightly
    np.testing.assert_allclose(values["eigenvalue"], 1.0, atol=1e-9)
    np.testing.assert_allclose(values["spread"], 0.0, atol=1e-9)


def test_cosines_between_subspaces_are_those_of_their_angles():
    angle = 0.3
    first = np.eye(4)[:, :2]
    second = np.column_stack([np.eye(4)[:, 0], np.array([0, np.cos(angle), np.sin(angle), 0])])
    np.testing.assert_allclose(subspace_cosines(first, second), [1.0, np.cos(angle)])


def test_too_large_and_too_small_samplings_are_rejected(tmp_path: Path):
    for sampling, max_degree in (("healpix:2", 7), ("healpix:32", 7)):
        recipe = recipe_of(tmp_path, SPECTRUM, sampling=sampling, max_degree=max_degree, claims=[])
        with pytest.raises(ValueError, match="sampling must have at least 64 vertices for max_deg"):
            experiment_of(recipe).check(recipe, CPU, None)
