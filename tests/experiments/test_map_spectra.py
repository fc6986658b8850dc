"""The spectra of maps: statistics against naive formulas, and the experiment on tiny maps."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad

from deepsphere.data.lognormal_maps import lognormal_map, lognormal_skewness, target_spectra
from deepsphere.data.simulated_maps import simulate_maps
from deepsphere.data.simulation_plan import SimulationPlan
from deepsphere.experiments import map_spectra
from deepsphere.experiments.map_spectra_config import MapSpectraRecipe
from deepsphere.experiments.map_spectra_rows import (
    BETWEEN_CLASSES,
    DEVIATION,
    ERROR,
    FROM_THEORY,
    MEAN,
    ROWS,
    SKEWNESS,
)
from deepsphere.experiments.map_spectra_statistics import (
    Scattered,
    auto_powers,
    band_powers,
    central_moments,
    degree_bins,
    difference_of_classes,
    lognormal_density,
    pooled_moments,
    scatter_band,
)
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.reading import read_recipe
from deepsphere.experiments.registry import experiment_of
from deepsphere.experiments.results import ResultRow, Results
from deepsphere.experiments.run import reproduce
from deepsphere.sampling import ring_to_nested

CPU = RunOptions(accelerator="cpu")
NUM_MAPS = 4

MINI = """
experiment = "map-spectra"
title = "mini"
[simulation]
nside = 16
num_maps = 4
contrast = 3.0
[physical]
nside = 32
num_maps = 3
scale = "physical"
[[claims]]
name = "spectrum, largest deviation from theory"
required = 90.0
better = "lower"
"""


def recipe_of(folder: Path, **overrides: object) -> MapSpectraRecipe:
    path = folder / "mini.toml"
    path.write_text(MINI, encoding="utf-8")
    return read_recipe(path, overrides=overrides, recipe_type=MapSpectraRecipe)


def reproduced(folder: Path, recipe: MapSpectraRecipe, data: Path | None = None) -> Results:
    """With its report."""
    return reproduce(recipe, folder, command="deepsphere", data=data, options=CPU).results


def rows_of(folder: Path, recipe: MapSpectraRecipe, data: Path | None = None) -> dict[str, float]:
    """Without a report."""
    experiment = experiment_of(recipe)
    fingerprint = experiment.fingerprint(recipe, data)
    measured = experiment.measure(recipe, folder, fingerprint=fingerprint, data=data, options=CPU)
    return values_of(experiment.rows(recipe, measured))


def values_of(rows: list[ResultRow]) -> dict[str, float]:
    return {row.name: row.measured for row in rows}


def mini_plan(**changes: object) -> SimulationPlan:
    given = {"nside": 16, "num_maps": NUM_MAPS, "scale": "zoom", "contrast": 3.0, **changes}
    return SimulationPlan(**given)  # pyright: ignore[reportArgumentType]


def ring_map(plan: SimulationPlan, label: int, index: int) -> np.ndarray:
    nested = lognormal_map(plan, cosmology_index=label, map_index=index)[:, 0]
    return nested[ring_to_nested(plan.nside)].astype(np.float64)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(5)


# bins and spectra


@pytest.mark.parametrize(("lowest", "highest"), [(20, 32), (20, 20), (2, 1024), (20, 2048)])
def test_bins_hold_every_degree_once(lowest: int, highest: int):
    edges = degree_bins(lowest, highest)
    assert (edges[0], edges[-1]) == (lowest, highest + 1)
    assert (np.diff(edges) > 0).all()


def test_bins_are_as_wide_as_asked_but_for_the_last():
    edges = degree_bins(20, 2000, width=10, relative_width=0.05)
    widths = np.diff(edges)
    wanted = np.maximum(10, np.round(0.05 * edges[:-1]))
    np.testing.assert_array_equal(widths[:-1], wanted[:-1])
    assert 0.5 * wanted[-1] <= widths[-1] <= 1.5 * wanted[-1]


def test_bins_without_degrees_are_rejected():
    with pytest.raises(ValueError, match="highest must be at least lowest \\(20\\), got 19"):
        degree_bins(20, 19)


def test_band_powers_are_means_over_the_harmonics_of_a_bin(rng: np.random.Generator):
    spectra = rng.random((2, 3, 40))
    edges = np.array([3, 7, 8, 30])
    found = band_powers(spectra, edges)
    assert found.shape == (2, 3, 3)
    for index, (first, last) in enumerate(pairwise(edges)):
        harmonics = [
            spectra[1, 2, degree]
            for degree in range(first, last)
            for _ in range(-degree, degree + 1)
        ]
        assert found[1, 2, index] == pytest.approx(np.mean(harmonics))


def test_powers_of_channels_are_in_units_of_both():
    powers = np.array([[4.0, 1.0], [7.0, 7.0], [7.0, 7.0], [9.0, 1.0], [7.0, 7.0], [25.0, 4.0]])
    scale = auto_powers(powers, 3)
    np.testing.assert_allclose(scale[:, 0], [4, 6, 10, 9, 15, 25])
    np.testing.assert_allclose(scale[:, 1], [1, 1, 2, 1, 2, 4])


# scatter


def test_error_of_a_mean_is_that_of_many_means(rng: np.random.Generator):
    means = [Scattered.of_maps(rng.normal(3.0, 2.0, (50, 1))) for _ in range(400)]
    spread = np.std([of.mean for of in means])
    assert np.mean([of.error for of in means]) == pytest.approx(spread, rel=0.15)
    assert spread == pytest.approx(2 / 50**0.5, rel=0.15)


def test_largest_is_of_largest_magnitude():
    values = Scattered(np.array([[0.1, -0.4], [0.3, 0.0]]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert values.largest() == (-0.4, 2.0, (0, 1))


def test_chi_square_of_scatter_is_one(rng: np.random.Generator):
    error = rng.uniform(1, 5, 20000)
    assert Scattered(rng.normal(0, error), error).reduced_chi_square() == pytest.approx(1, abs=0.05)


def test_band_holds_two_of_three_maps(rng: np.random.Generator):
    values = rng.normal(5.0, 2.0, (20000, 1))
    low, high = scatter_band(values)
    np.testing.assert_allclose([low[0], high[0]], [3.0, 7.0], atol=0.1)


def test_difference_of_two_classes_has_a_sign_and_both_errors():
    powers = Scattered(np.array([[[2.0, 1.0]], [[1.0, 3.0]]]), np.array([[[3.0, 0]], [[4.0, 1]]]))
    found = difference_of_classes(powers, np.array([[10.0, 2.0]]))
    np.testing.assert_allclose(found.mean, [[0.1, -1.0]])
    np.testing.assert_allclose(found.error, [[0.5, 0.5]])


def test_difference_of_three_classes_is_between_the_extremes():
    powers = Scattered(np.array([[[2.0]], [[7.0]], [[5.0]]]), np.array([[[3.0]], [[4.0]], [[9.0]]]))
    found = difference_of_classes(powers, np.array([[1.0]]))
    assert (found.mean.item(), found.error.item()) == (5.0, 5.0)


def test_pooled_moments_are_those_of_all_pixels(rng: np.random.Generator):
    maps = 300.0 + rng.exponential(2.0, (5, 400, 2)) + rng.normal(size=(5, 1, 2))
    found = pooled_moments(np.stack([central_moments(one) for one in maps]))
    pixels = maps.reshape(-1, 2)
    off = pixels - pixels.mean(axis=0)
    deviation = np.sqrt((off**2).mean(axis=0))
    skewness = (off**3).mean(axis=0) / deviation**3
    np.testing.assert_allclose(found.mean[:, 0], pixels.mean(axis=0))
    np.testing.assert_allclose(found.mean[:, 1], deviation)
    np.testing.assert_allclose(found.mean[:, 2], skewness)


def test_errors_of_moments_are_those_of_many_repetitions(rng: np.random.Generator):
    drawn = rng.exponential(1.0, (300, 10, 50, 1))
    found = [pooled_moments(np.stack([central_moments(one) for one in maps])) for maps in drawn]
    spread = np.std([of.mean[0] for of in found], axis=0)
    np.testing.assert_allclose(np.mean([of.error[0] for of in found], axis=0), spread, rtol=0.25)
    # of the mean the jackknife is exactly the usual formula
    means = drawn[0].mean(axis=1)[:, 0]
    assert found[0].error[0, 0] == pytest.approx(means.std(ddof=1) / 10**0.5)


def test_lognormal_density_has_the_moments_of_theory():
    variance, shift = 0.8, 1.5

    def moment(power: int) -> float:
        def integrand(value: float) -> float:
            density = lognormal_density(np.array([value]), variance=variance, shift=shift)
            return value**power * density[0]

        return quad(integrand, -shift, 60, points=[0.0, 5.0], limit=300)[0]

    assert [moment(0), moment(1), moment(2)] == pytest.approx([1, 0, variance], abs=1e-4)
    expected = lognormal_skewness(variance, shift) * variance**1.5
    assert moment(3) == pytest.approx(expected, rel=1e-3)
    assert lognormal_density(np.array([-1.6]), variance=variance, shift=shift)[0] == 0


# the experiment


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MapSpectraRecipe, dict]:
    """The experiment on tiny maps: its folder, recipe and rows."""
    pytest.importorskip("glass")
    folder = tmp_path_factory.mktemp("map-spectra")
    recipe = recipe_of(folder)
    results = reproduced(folder / "output", recipe)
    assert results.rows[0].ok  # it is about a claim
    return folder / "output", recipe, values_of(results.rows)


def test_rows_are_those_of_a_naive_computation(finished: tuple[Path, MapSpectraRecipe, dict]):
    import healpy

    _, _, rows = finished
    plan = mini_plan()
    target = target_spectra(plan)[0, 0]

    def mean_power(spectrum: np.ndarray) -> float:
        degrees = range(20, 33)  # up to 2 nside: one bin
        total = sum((2 * degree + 1) * spectrum[degree] for degree in degrees)
        return total / sum(2 * degree + 1 for degree in degrees)

    power, from_theory = [], []
    errors, deviations, skewness, means = [], [], [], []
    variance = sum((2 * k + 1) * value for k, value in enumerate(target)) / (4 * np.pi)
    for label, ratio in enumerate((3**0.5, 3**-0.5)):
        maps = [ring_map(plan, label, index) for index in range(NUM_MAPS)]
        powers = [mean_power(np.asarray(healpy.anafast(one, lmax=32, iter=0))) for one in maps]
        power.append(np.mean(powers))
        from_theory.append(power[label] / mean_power(target) - 1)
        errors.append(np.std(powers, ddof=1) / NUM_MAPS**0.5 / power[label])
        pixels = np.concatenate(maps)
        shift = (0.0340940217 * 0.0305170189) ** 0.5 * ratio
        expected = lognormal_skewness(variance, shift)
        off = pixels - pixels.mean()
        skewness.append((off**3).mean() / off.std() ** 3 / expected - 1)
        deviations.append(off.std() / variance**0.5 - 1)
        means.append(pixels.mean() / variance**0.5)
    expected_rows = {
        FROM_THEORY: from_theory,
        BETWEEN_CLASSES: [2 * (power[0] - power[1]) / (power[0] + power[1])],
        ERROR: errors,
        SKEWNESS: skewness,
        DEVIATION: deviations,
        MEAN: means,
    }
    assert set(expected_rows) == set(ROWS)
    for name, values in expected_rows.items():
        assert rows[name] == pytest.approx(100 * np.abs(values).max(), rel=1e-4), name


def test_the_physical_sky_has_rows_of_its_own(finished: tuple[Path, MapSpectraRecipe, dict]):
    _, _, rows = finished
    assert list(rows) == [*ROWS, *(f"{name}, physical sky" for name in ROWS)]


def test_report_has_figures_and_all_numbers(finished: tuple[Path, MapSpectraRecipe, dict]):
    output, _, rows = finished
    figures = {path.stem for path in (output / "figures").iterdir()}
    parts = {"spectra", "ratios", "histograms", "maps"}
    assert figures == {
        *(f"{name}-{part}" for name in ("simulation", "physical") for part in parts),
        "universes",
    }
    zoomed, physical = json.loads((output / "numbers.json").read_text(encoding="utf-8"))
    deviation = 100 * np.abs(zoomed["deviation from theory"]).max()
    assert deviation == pytest.approx(rows[FROM_THEORY])
    assert np.shape(physical["mean C_l"]) == (2, 1, 5)
    page = (output / "report.html").read_text(encoding="utf-8")
    assert "not a physical sky" in page
    assert "4 maps of each class" in page


def test_finished_maps_are_not_measured_again(
    finished: tuple[Path, MapSpectraRecipe, dict], monkeypatch: pytest.MonkeyPatch
):
    output, recipe, rows = finished
    measured = []
    original = map_spectra._measure_map

    def counted(maps, index, **options):
        measured.append(maps.names[index])
        return original(maps, index, **options)

    monkeypatch.setattr(map_spectra, "_measure_map", counted)
    assert rows_of(output, recipe) == rows
    assert not measured
    # a file that was cut is
    path = output / "runs" / "simulation" / "map-00002.npz"
    path.write_bytes(path.read_bytes()[:300])
    assert rows_of(output, recipe) == rows
    assert measured == ["map 2 of omega_m 0.31, sigma_8 0.82"]


def test_other_bins_need_no_new_measurement(
    finished: tuple[Path, MapSpectraRecipe, dict],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    output, _, rows = finished
    recipe = recipe_of(tmp_path, **{"bins.lowest": 4})
    monkeypatch.setattr(map_spectra, "_measure_map", None)
    assert rows_of(output, recipe)[FROM_THEORY] != rows[FROM_THEORY]


def test_a_simulated_folder_gives_the_rows_of_its_plan(
    finished: tuple[Path, MapSpectraRecipe, dict], tmp_path: Path
):
    _, recipe, rows = finished
    folder = simulate_maps(mini_plan(), tmp_path / "maps", num_workers=0)
    found = rows_of(tmp_path / "output", recipe, data=folder)
    assert list(found) == list(ROWS)
    assert found == pytest.approx({name: rows[name] for name in ROWS})


@pytest.mark.slow
def test_maps_of_several_channels_are_compared_pair_by_pair(tmp_path: Path):
    pytest.importorskip("camb")
    changes = {"redshifts": [0.8, 1.2], "nside": 32, "contrast": 1.2, "num_maps": 12}
    changed = {f"simulation.{name}": value for name, value in changes.items()}
    simulated = recipe_of(tmp_path, **changed).model_copy(update={"physical": None})
    rows = values_of(reproduced(tmp_path / "output", simulated).rows)
    (numbers,) = json.loads((tmp_path / "output" / "numbers.json").read_text(encoding="utf-8"))
    deviation = np.array(numbers["deviation from theory"])
    assert deviation.shape == (2, 3, 5)
    assert rows[FROM_THEORY] == pytest.approx(100 * np.abs(deviation).max())
    # 500 harmonics in the lowest bin of 12 maps: 2 %, and of skewed maps more
    assert np.abs(deviation / numbers["standard error of the deviation"]).max() < 5
    assert rows[FROM_THEORY] < 12


def test_maps_without_theory_are_compared_with_each_other_only(
    rng: np.random.Generator, tmp_path: Path
):
    scale = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])[:, None]
    first, second = rng.normal(size=(2, 6, 12 * 16**2)) * scale
    # the second channel is six tenths of the first: what their cross spectrum is
    maps = np.stack([first, 0.6 * first + 0.8 * second], axis=-1)
    np.savez(tmp_path / "maps.npz", maps=maps, labels=np.array([0, 0, 0, 1, 1, 1]))
    results = reproduced(tmp_path / "output", recipe_of(tmp_path), data=tmp_path / "maps.npz")
    rows = values_of(results.rows)
    assert list(rows) == [BETWEEN_CLASSES, ERROR]
    # spectra 1 and 4: their difference over their mean
    assert rows[BETWEEN_CLASSES] == pytest.approx(100 * 3 / 2.5, rel=0.1)
    (numbers,) = json.loads((tmp_path / "output" / "numbers.json").read_text(encoding="utf-8"))
    expected = 1.2 * np.array([[1.0], [0.6], [1.0]])
    np.testing.assert_allclose(np.abs(numbers["difference of the classes"]), expected, rtol=0.1)
    assert "No theory is known of these maps" in results.notes[0]
    enough = np.ceil(3 * (rows[ERROR] / 1.25) ** 2)
    assert f"it takes {enough:.0f} maps of each class" in results.notes[0]
    assert {path.stem for path in (tmp_path / "output" / "figures").iterdir()} == {
        f"data-{part}" for part in ("spectra", "ratios", "histograms", "maps")
    }


# what is refused


def test_claims_and_accelerators_are_checked(tmp_path: Path):
    recipe = recipe_of(tmp_path)
    check = experiment_of(recipe).check
    check(recipe, CPU, tmp_path)
    with pytest.raises(ValueError, match="accelerator must be auto or cpu for map-spectra"):
        check(recipe, RunOptions(accelerator="gpu"), None)
    other = recipe_of(tmp_path, claims=[{"name": "the moon", "required": 1.0}])
    with pytest.raises(ValueError, match="claims must be about a measured row, got 'the moon'"):
        check(other, CPU, None)


def test_physical_sky_is_not_zoomed(tmp_path: Path):
    with pytest.raises(ValueError, match=r"physical.scale must be 'physical', got 'zoom'"):
        recipe_of(tmp_path, **{"physical.scale": "zoom"})


def test_a_single_map_of_a_class_is_rejected(tmp_path: Path):
    recipe = recipe_of(tmp_path, **{"simulation.num_maps": 1})
    with pytest.raises(ValueError, match=r"maps must be at least 2 of each class, got 1 of omega_"):
        experiment_of(recipe).fingerprint(recipe, None)


def test_coarse_maps_are_rejected(tmp_path: Path):
    recipe = recipe_of(tmp_path, **{"simulation.nside": 8})
    with pytest.raises(ValueError, match="nside must be at least 16, got 8; coarser maps"):
        experiment_of(recipe).fingerprint(recipe, None)


def test_one_class_without_theory_is_rejected(rng: np.random.Generator, tmp_path: Path):
    path = tmp_path / "maps.npz"
    np.savez(path, maps=rng.normal(size=(3, 12 * 16**2)), labels=np.zeros(3, np.int64))
    recipe = recipe_of(tmp_path)
    with pytest.raises(ValueError, match="maps must be of two classes or come with their target"):
        experiment_of(recipe).fingerprint(recipe, path)


def test_bins_beyond_the_maps_are_rejected(tmp_path: Path):
    recipe = recipe_of(tmp_path, **{"bins.lowest": 33})
    with pytest.raises(ValueError, match=r"bins.lowest must be at most 2 nside \(32\), got 33"):
        rows_of(tmp_path / "output", recipe)


def test_constant_map_is_rejected(rng: np.random.Generator, tmp_path: Path):
    maps = rng.normal(size=(4, 12 * 16**2))
    maps[1] = 3.0
    np.savez(tmp_path / "maps.npz", maps=maps, labels=np.array([0, 0, 1, 1]))
    with pytest.raises(ValueError, match=r"maps.npz, map 1 must not be constant"):
        rows_of(tmp_path / "output", recipe_of(tmp_path), data=tmp_path / "maps.npz")
