"""How good forecasts are: errors and anomaly correlations by lead time, region and vertex."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from deepsphere.data.calendars import Times
from deepsphere.data.climatology import Climatology
from deepsphere.data.field_series import FieldSeries
from deepsphere.sampling import Sampling

Reference = Literal["persistence", "anomaly_persistence", "climatology"]
ByStep = Iterable[tuple[int, Times, Float[np.ndarray, "starts vertices channels"]]]

BANDS: dict[str, tuple[float, float]] = {
    "globe": (-90.0, 90.0),
    "north": (20.0, 90.0),
    "tropics": (-20.0, 20.0),
    "south": (-90.0, -20.0),
}
"""Latitudes in degrees between which forecasts are judged, as weather services do."""

# A variance of anomalies that is a smaller part of their mean square is zero but for rounding.
_SMALLEST_VARIANCE = 1e-12


@dataclass(frozen=True, eq=False)
class ForecastScores:
    r"""Scores of forecasts, in the units of the channels; NaN where nothing could be compared.

    With forecast f, truth t, climatology c and area a of vertex i, over the starts s at which all
    three are known,

    ======  =======================================================================================
    rmse    :math:`\sqrt{\sum_{si} a_i (f - t)^2 / \sum_{si} a_i}`: the root after the mean over
            the starts
    mae     :math:`\sum_{si} a_i |f - t| / \sum_{si} a_i`
    bias    :math:`\sum_{si} a_i (f - t) / \sum_{si} a_i`
    acc     the mean over the starts of the correlation over the vertices of the region, weighted by
            area, of the anomalies f − c and t − c, less their means over the region ("centred")
    ======  =======================================================================================

    A start at which the anomalies do not vary has no correlation and does not count in it: a
    forecast of the climatology has none at all, its `acc` is NaN. Maps are of one vertex over all
    starts; `acc_map` is the correlation of the anomalies over the starts.

    Parameters
    ----------
    steps
        Steps ahead, from 1.
    channel_names
        Of the fields.
    bands
        Names of the regions.
    num_starts
        How many forecasts were compared, by step.
    rmse, mae, bias, acc
        By step, region and channel.
    rmse_map, mae_map, bias_map, acc_map
        By step, vertex and channel.
    """

    steps: Int[np.ndarray, "steps"]
    channel_names: tuple[str, ...]
    bands: tuple[str, ...]
    num_starts: Int[np.ndarray, "steps"]
    rmse: Float[np.ndarray, "steps bands channels"]
    mae: Float[np.ndarray, "steps bands channels"]
    bias: Float[np.ndarray, "steps bands channels"]
    acc: Float[np.ndarray, "steps bands channels"]
    rmse_map: Float[np.ndarray, "steps vertices channels"]
    mae_map: Float[np.ndarray, "steps vertices channels"]
    bias_map: Float[np.ndarray, "steps vertices channels"]
    acc_map: Float[np.ndarray, "steps vertices channels"]

    def skill(self, reference: "ForecastScores") -> Float[np.ndarray, "steps bands channels"]:
        """Share of the mean square error of other forecasts that these do not have.

        Parameters
        ----------
        reference
            Scores of the others, as of persistence.

        Returns
        -------
        Float[np.ndarray, "steps bands channels"]
            1 − MSE / MSE of the reference: 1 for perfect forecasts, 0 for no better ones.
        """
        return 1 - _ratio(self.rmse**2, reference.rmse**2)

    def skill_map(
        self, reference: "ForecastScores"
    ) -> Float[np.ndarray, "steps vertices channels"]:
        """The skill at each vertex.

        Parameters
        ----------
        reference
            Scores of the others.

        Returns
        -------
        Float[np.ndarray, "steps vertices channels"]
        """
        return 1 - _ratio(self.rmse_map**2, reference.rmse_map**2)


class ScoreSums:
    """Sums from which scores are made, for as many forecasts as come.

    Parameters
    ----------
    sampling
        Of the fields; its areas are the weights.
    channel_names
        Of the fields.
    num_steps
        How many steps ahead there are forecasts.
    bands
        Latitudes in degrees, lower and upper, by name; a vertex on the upper one belongs to the
        next, but for the pole. Those without a vertex are left out.

    Raises
    ------
    ValueError
        If a band is none, or none has a vertex.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> sums = ScoreSums(Healpix(1), ("t",), num_steps=1)
    >>> truth = np.random.default_rng(0).normal(size=(3, 12, 1))
    >>> sums.add(1, truth + 2.0, truth, usual=np.zeros_like(truth))
    >>> scores = sums.scores()
    >>> scores.rmse[0, 0], scores.bias[0, 0], scores.acc[0, 0].round(12)
    (array([2.]), array([2.]), array([1.]))
    """

    def __init__(
        self,
        sampling: Sampling,
        channel_names: tuple[str, ...],
        *,
        num_steps: int,
        bands: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self.channel_names = channel_names
        masks = _band_masks(sampling, BANDS if bands is None else bands)
        self.bands = tuple(masks)
        self._weights = np.array(list(masks.values())) * sampling.areas
        shape = (num_steps, sampling.num_vertices, len(channel_names))
        self._counts = np.zeros(shape, np.int64)
        self._sums = {
            name: np.zeros(shape) for name in ("e", "ee", "abs", "f", "t", "ff", "tt", "ft")
        }
        self._acc = np.zeros((num_steps, len(self.bands), len(channel_names)))
        self._acc_counts = np.zeros(self._acc.shape, np.int64)
        self._num_starts = np.zeros(num_steps, np.int64)

    def add(
        self,
        step: int,
        forecast: Float[np.ndarray, "starts vertices channels"],
        truth: Float[np.ndarray, "starts vertices channels"],
        *,
        usual: Float[np.ndarray, "starts vertices channels"],
    ) -> None:
        """Take forecasts into account, all the same number of steps ahead.

        Parameters
        ----------
        step
            How many, from 1.
        forecast, truth
            Fields, NaN where they are missing.
        usual
            The climatology at their times.

        Raises
        ------
        ValueError
            If the shapes differ or there is no such step.
        """
        if not 1 <= step <= len(self._counts):
            raise ValueError(f"step must be between 1 and {len(self._counts)}, got {step}")
        if not forecast.shape == truth.shape == usual.shape:
            raise ValueError(
                f"forecast, truth and usual must have one shape, got {forecast.shape}, "
                f"{truth.shape} and {usual.shape}"
            )
        exact = [np.asarray(fields, np.float64) for fields in (forecast, truth, usual)]
        there = np.logical_and.reduce([np.isfinite(fields) for fields in exact])
        forecast, truth, usual = (np.where(there, fields, 0.0) for fields in exact)
        error, f, t = forecast - truth, forecast - usual, truth - usual
        terms = {
            "e": error,
            "ee": error**2,
            "abs": np.abs(error),
            "f": f,
            "t": t,
            "ff": f * f,
            "tt": t * t,
            "ft": f * t,
        }
        for name, term in terms.items():
            self._sums[name][step - 1] += term.sum(axis=0)
        self._counts[step - 1] += there.sum(axis=0)
        self._num_starts[step - 1] += int(there.any(axis=(1, 2)).sum())
        weight = self._in_bands(there.astype(np.float64))
        sums = {name: self._in_bands(terms[name]) for name in ("f", "t", "ff", "tt", "ft")}
        correlation = _correlation(sums, weight)
        counted = ~np.isnan(correlation)
        self._acc[step - 1] += np.where(counted, correlation, 0.0).sum(axis=0)
        self._acc_counts[step - 1] += counted.sum(axis=0)

    def scores(self) -> ForecastScores:
        """Scores of all forecasts so far.

        Returns
        -------
        ForecastScores
        """
        counts = self._counts.astype(np.float64)
        means = {name: _ratio(total, counts) for name, total in self._sums.items()}
        weight = self._in_bands(counts)
        regional = {
            name: _ratio(self._in_bands(self._sums[name]), weight) for name in ("e", "ee", "abs")
        }
        return ForecastScores(
            steps=np.arange(1, len(counts) + 1),
            channel_names=self.channel_names,
            bands=self.bands,
            num_starts=self._num_starts.copy(),
            rmse=np.sqrt(regional["ee"]),
            mae=regional["abs"],
            bias=regional["e"],
            acc=_ratio(self._acc, self._acc_counts),
            rmse_map=np.sqrt(means["ee"]),
            mae_map=means["abs"],
            bias_map=means["e"],
            acc_map=_correlation(self._sums, counts),
        )

    def _in_bands(
        self, values: Float[np.ndarray, "first vertices channels"]
    ) -> Float[np.ndarray, "first bands channels"]:
        """Sums over the vertices of each band, weighted by area."""
        return np.einsum("rv,nvc->nrc", self._weights, values)


def forecast_scores(
    forecasts: ByStep,
    truth: FieldSeries,
    *,
    climatology: Climatology,
    num_steps: int,
    bands: Mapping[str, tuple[float, float]] | None = None,
) -> ForecastScores:
    """Scores of forecasts as they come, against what was observed.

    Parameters
    ----------
    forecasts
        Steps ahead, times and fields of some starts, as `deepsphere.training.rollout.rollouts`
        gives them; those at times that were not observed are left out.
    truth
        What was observed, with the channels of the forecasts.
    climatology
        Of the training: what anomalies are measured from.
    num_steps
        Of the forecasts.
    bands
        As of `ScoreSums`.

    Returns
    -------
    ForecastScores

    Raises
    ------
    ValueError
        If something does not fit.
    """
    sums = ScoreSums(truth.sampling, truth.channel_names, num_steps=num_steps, bands=bands)
    for step, times, fields in forecasts:
        indices = truth.axis.indices_of(times)
        there = np.flatnonzero(indices >= 0)
        if len(there):
            observed = truth.read(indices[there])
            sums.add(step, fields[there], observed, usual=climatology.at(times[there]))
    return sums.scores()


def reference_forecasts(
    kind: Reference,
    series: FieldSeries,
    *,
    starts: Int[np.ndarray, "starts"],
    num_steps: int,
    step: int = 1,
    climatology: Climatology | None = None,
) -> Iterator[tuple[int, Times, Float[np.ndarray, "starts vertices channels"]]]:
    """Forecasts that need no network.

    ===================  =========================================================================
    persistence          the field at the start
    anomaly_persistence  the climatology of the time, plus the anomaly at the start
    climatology          the climatology of the time
    ===================  =========================================================================

    Parameters
    ----------
    kind
        Which.
    series
        Where the starts are.
    starts
        Their indices.
    num_steps
        How many steps ahead.
    step
        Steps of the series in one of the forecast.
    climatology
        Of the training; not needed for persistence.

    Yields
    ------
    step, times, fields
        One step ahead, two steps ahead, ...

    Raises
    ------
    ValueError
        If there is no such kind, or the climatology is missing.
    """
    if kind not in get_args(Reference):
        raise ValueError(f"kind must be one of {', '.join(get_args(Reference))}, got {kind!r}")
    if climatology is None and kind != "persistence":
        raise ValueError(f"climatology must be given for {kind!r}, got none")
    now = series.read(starts)
    for number in range(1, num_steps + 1):
        times = np.empty(len(starts), series.times.dtype)
        times[:] = [series.axis.after(int(start), number * step) for start in starts]
        fields = now
        if climatology is not None and kind != "persistence":
            fields = climatology.at(times)
        if climatology is not None and kind == "anomaly_persistence":
            fields = fields + climatology.anomalies(now, series.times[starts])
        yield number, times, fields


def _band_masks(
    sampling: Sampling, bands: Mapping[str, tuple[float, float]]
) -> dict[str, Bool[np.ndarray, "vertices"]]:
    """The vertices of each band that has some."""
    lat = np.rad2deg(sampling.lat)
    masks = {}
    for name, (lower, upper) in bands.items():
        if not -90 <= lower < upper <= 90:
            raise ValueError(
                f"bands must be latitudes from −90 to 90, the lower one first, got {name} from "
                f"{lower} to {upper}"
            )
        # half open, so that bands side by side share no vertex
        mask = (lat >= lower) & ((lat < upper) if upper < 90 else True)
        if mask.any():
            masks[name] = mask
    if not masks:
        raise ValueError(f"bands must have vertices, got none in {', '.join(bands) or 'no band'}")
    return masks


def _correlation(sums: Mapping[str, np.ndarray], weight: np.ndarray) -> np.ndarray:
    """Correlation of centred anomalies from their sums; NaN where one does not vary."""
    mean = {name: _ratio(sums[name], weight) for name in ("f", "t", "ff", "tt", "ft")}
    variances = [mean[2 * name] - mean[name] ** 2 for name in ("f", "t")]
    varies = [
        variance > _SMALLEST_VARIANCE * mean[2 * name]
        for variance, name in zip(variances, ("f", "t"), strict=True)
    ]
    product = np.where(varies[0] & varies[1], variances[0] * variances[1], np.nan)
    covariance = mean["ft"] - mean["f"] * mean["t"]
    return np.clip(covariance / np.sqrt(product), -1.0, 1.0)


def _ratio(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Values by weights; NaN where there is no weight."""
    total = np.asarray(values, np.float64)
    missing = np.full(total.shape, np.nan)
    return np.divide(total, weights, out=missing, where=np.asarray(weights) > 0)
