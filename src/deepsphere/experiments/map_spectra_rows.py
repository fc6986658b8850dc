"""What follows from the spectra and pixels of all maps: the rows of the results, and notes."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from deepsphere.experiments.map_spectra_config import MapSpectraRecipe
from deepsphere.experiments.map_spectra_data import PHYSICAL_SUFFIX, StudiedMaps
from deepsphere.experiments.map_spectra_statistics import (
    MapStatistics,
    Scattered,
    auto_powers,
    band_powers,
    difference_of_classes,
    pooled_moments,
)
from deepsphere.experiments.results import ResultRow, make_row

FROM_THEORY = "spectrum, largest deviation from theory"
BETWEEN_CLASSES = "spectrum, largest difference of the classes"
ERROR = "spectrum, largest standard error"
SKEWNESS = "skewness, largest deviation from theory"
DEVIATION = "standard deviation, largest deviation from theory"
MEAN = "mean, largest, of the standard deviation"
ROWS = (FROM_THEORY, BETWEEN_CLASSES, ERROR, SKEWNESS, DEVIATION, MEAN)
# A quarter of what deviations are compared with: chance puts none of some dozens of bins four
# errors off.
_TRUSTED_ERROR = 0.0125


@dataclass(frozen=True, eq=False)
class MeasuredMaps:
    """What was measured on maps, and what follows from it.

    Parameters
    ----------
    studied
        The maps.
    by_class
        The measurements of the maps of each class.
    bins
        First degrees of the bins, and the degree after the last.
    pixel_edges
        Of the histograms.
    seconds
        That measuring took now; maps that were measured before take none.
    """

    studied: StudiedMaps
    by_class: tuple[MapStatistics, ...]
    bins: Int[np.ndarray, "edges"]
    pixel_edges: Float[np.ndarray, "pixel_edges"]
    seconds: float

    @cached_property
    def powers(self) -> Scattered:
        """Mean band powers, of shape (classes, pairs, bins)."""
        means = [Scattered.of_maps(band_powers(of.spectra, self.bins)) for of in self.by_class]
        return Scattered(np.array([of.mean for of in means]), np.array([of.error for of in means]))

    @cached_property
    def from_theory(self) -> Scattered | None:
        """Deviations from the target, in units of it, of shape (classes, pairs, bins).

        That of two channels is in units of the geometric mean of the targets of both.
        """
        theory = self.studied.theory
        if theory is None:
            return None
        target = band_powers(theory.target, self.bins)
        return (self.powers - target) / auto_powers(target, self.studied.maps.num_channels)

    @cached_property
    def between_classes(self) -> Scattered | None:
        """Differences in units of the mean of all classes, of shape (pairs, bins)."""
        if len(self.by_class) < 2:
            return None
        mean = self.powers.mean.mean(axis=0)
        return difference_of_classes(self.powers, auto_powers(mean, self.studied.maps.num_channels))

    @cached_property
    def moments(self) -> Scattered:
        """Mean, standard deviation and skewness of the pixels, of shape (classes, channels, 3)."""
        pooled = [pooled_moments(of.moments) for of in self.by_class]
        return Scattered(
            np.array([of.mean for of in pooled]), np.array([of.error for of in pooled])
        )


def row_names() -> list[str]:
    """Names of all rows that there can be; maps without theory have some of them.

    Returns
    -------
    list of str
    """
    return [f"{row}{suffix}" for suffix in ("", PHYSICAL_SUFFIX) for row in ROWS]


def result_rows(recipe: MapSpectraRecipe, measured: list[MeasuredMaps]) -> list[ResultRow]:
    """What the spectra and moments deviate by, each the largest over classes and channels.

    Parameters
    ----------
    recipe
        With its claims.
    measured
        See `deepsphere.experiments.map_spectra.measure_map_spectra`.

    Returns
    -------
    list of ResultRow
        In %; without those that need a theory or two classes where there are none.
    """
    rows = []
    for of in measured:
        for name, value in _largest(of).items():
            row = make_row(
                f"{name}{of.studied.suffix}",
                [100 * value],
                unit="%",
                seconds=of.seconds,
                claims=recipe.claims,
            )
            rows.append(row)
    return rows


def result_notes(recipe: MapSpectraRecipe, measured: list[MeasuredMaps]) -> list[str]:
    """Number of maps and what they are; where the spectra deviate most, and by how many errors.

    Parameters
    ----------
    recipe
        Of no effect.
    measured
        See `deepsphere.experiments.map_spectra.measure_map_spectra`.

    Returns
    -------
    list of str
    """
    notes = []
    for of in measured:
        maps, last = of.studied.maps, of.bins[-1] - 1
        about = "; ".join([f"{of.studied.num_maps} maps of each class", *maps.notes])
        note = f"{of.studied.title}: {about}. Degrees {of.bins[0]} to {last}."
        if of.from_theory is not None:
            value, error, (label, _, index) = of.from_theory.largest()
            note += (
                f" Largest deviation from theory: {100 * value:+.1f} ± {100 * error:.1f} % at "
                f"degrees {of.bins[index]} to {of.bins[index + 1] - 1}, {maps.class_names[label]}."
            )
        if of.between_classes is not None:
            value, error, (_, index) = of.between_classes.largest()
            note += (
                f" Largest difference of the classes: {100 * value:+.1f} ± {100 * error:.1f} % at "
                f"degrees {of.bins[index]} to {of.bins[index + 1] - 1}; χ² per bin "
                f"{of.between_classes.reduced_chi_square():.2f} (1 where there is but scatter)."
            )
        error = _largest(of)[ERROR]
        if error > _TRUSTED_ERROR:
            enough = math.ceil(of.studied.num_maps * (error / _TRUSTED_ERROR) ** 2)
            note += (
                f" Standard errors reach {100 * error:.1f} %: it takes {enough} maps of each "
                "class to tell a deviation of 5 % from chance."
            )
        if of.studied.theory is None:
            note += " No theory is known of these maps: their classes are compared only."
        notes.append(note)
    return notes


def _largest(measured: MeasuredMaps) -> dict[str, float]:
    """The numbers of the rows, as fractions."""
    numbers = {}
    deviations, differences = measured.from_theory, measured.between_classes
    if deviations is not None:
        numbers[FROM_THEORY] = abs(deviations.largest()[0])
    if differences is not None:
        numbers[BETWEEN_CLASSES] = abs(differences.largest()[0])
    num_channels = measured.studied.maps.num_channels
    scale = auto_powers(measured.powers.mean, num_channels)
    numbers[ERROR] = float((measured.powers.error / scale).max())
    moments = measured.moments.mean
    if measured.studied.theory is not None:
        theory = measured.studied.theory.moments()
        numbers[SKEWNESS] = float(np.abs(moments[..., 2] / theory[..., 2] - 1).max())
        numbers[DEVIATION] = float(np.abs(moments[..., 1] / theory[..., 1] - 1).max())
        numbers[MEAN] = float(np.abs(moments[..., 0] / theory[..., 1]).max())
    return numbers
