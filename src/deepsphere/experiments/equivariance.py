"""The equivariance experiment: the error of graphs by degree, exact and as it was published."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix

from deepsphere.equivariance import default_max_degree, equivariance_error
from deepsphere.experiments.curve_record import CurveRecord, measure_unfinished
from deepsphere.experiments.equivariance_config import CurveSection, EquivarianceRecipe
from deepsphere.experiments.named_graphs import build_named_graph, check_nothing_is_trained
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.published_convention import has_healpy, sampled_errors
from deepsphere.experiments.published_curves import published_curve
from deepsphere.experiments.results import ResultRow, check_claim_names, make_row
from deepsphere.graph import SphereGraph
from deepsphere.graph.weights import kernel_width_from_scale
from deepsphere.sampling import Equiangular, Healpix, Sampling, sampling_from_spec

DEVIATION = "deviation from published"
Degrees = Int[np.ndarray, "degrees"]
Errors = Float[np.ndarray, "degrees"]


@dataclass(frozen=True, order=True)
class CurveKey:
    """One curve: a graph on a sampling.

    Parameters
    ----------
    curve
        Index of its section in the recipe.
    place
        Index of the sampling in the section.
    """

    curve: int
    place: int


@dataclass(frozen=True)
class MeasuredCurve:
    """What was measured of one curve.

    Parameters
    ----------
    section
        Its graph.
    sampling
        Specification of its sampling, as in the recipe.
    exact
        Exact errors of all degrees.
    sampled
        Errors in the published convention; None where they were not sampled.
    """

    section: CurveSection
    sampling: str
    exact: CurveRecord
    sampled: CurveRecord | None

    @property
    def published(self) -> tuple[Degrees, Errors] | None:
        """Degrees and errors of the published curve beside it."""
        return _published(self.section, self.sampling)

    @property
    def ratios(self) -> tuple[Degrees, Errors] | None:
        """Sampled error over published error at the published degrees."""
        if self.published is None or self.sampled is None:
            return None
        degrees, errors = self.published
        return degrees, np.array(self.sampled.values["error"]) / errors

    def exact_at(self, degree: int) -> float | None:
        """The exact error of one degree, None where the sampling does not hold it."""
        degrees = self.exact.degrees
        return self.exact.values["error"][degrees.index(degree)] if degree in degrees else None


def check_run(recipe: EquivarianceRecipe, options: RunOptions, data: Path | None) -> None:
    """Raise unless recipe, options and data go together.

    Parameters
    ----------
    recipe
        What to run.
    options
        How this machine computes; nothing is trained here.
    data
        Must not be given.

    Raises
    ------
    ValueError
        If data or an accelerator are given, a claim is about no row, or a published curve is asked
        for beside a sampling on which there is none.
    """
    check_nothing_is_trained(recipe.experiment, options, data)
    for section in recipe.curves:
        for sampling in section.samplings:
            _published(section, sampling)
    names = []
    for section, spec in _places(recipe):
        names += [f"{_title(section, spec)}, {DEVIATION}"] if section.published else []
        names += _claimed_degrees(recipe, section, spec)
    check_claim_names(recipe.claims, names)


def curve_keys(recipe: EquivarianceRecipe) -> list[CurveKey]:
    """The curves of a recipe in its order.

    Parameters
    ----------
    recipe
        With its curves.

    Returns
    -------
    list of CurveKey
    """
    return [
        CurveKey(index, place)
        for index, section in enumerate(recipe.curves)
        for place in range(len(section.samplings))
    ]


def measure_curves(
    recipe: EquivarianceRecipe,
    output: Path,
    *,
    fingerprint: str,
    data: Path | None,
    options: RunOptions,
) -> list[MeasuredCurve]:
    """All curves of a recipe; those that are finished in the folder are not measured again.

    Parameters
    ----------
    recipe
        What to measure.
    output
        A prepared folder; each curve has a file in ``runs``.
    fingerprint
        See `experiment_fingerprint`.
    data
        None.
    options
        Whether to show progress.

    Returns
    -------
    list of MeasuredCurve
        In the order of `curve_keys`.
    """
    keys = curve_keys(recipe)
    measurements = [
        (
            f"exact-{key.curve}-{key.place}",
            partial(_measure_exactly, recipe, key, fingerprint),
        )
        for key in keys
    ]
    operators: dict[int, Callable[[], dict[str, csr_matrix]]] = {
        nside: cache(partial(_ring_operators, recipe, nside))
        for nside in {step.nside for step in _sampled_steps(recipe)}
    }
    measurements += [
        (
            f"sampled-{step.nside}-{step.degree}",
            partial(_sample, recipe, step, operators[step.nside], fingerprint),
        )
        for step in _sampled_steps(recipe)
    ]
    records = measure_unfinished(
        measurements, output, fingerprint=fingerprint, action="measuring", options=options
    )
    exact, samples = records[: len(keys)], records[len(keys) :]
    return [
        MeasuredCurve(section, sampling, record, _sampled_curve(section, sampling, samples))
        for (section, sampling), record in zip(_places(recipe), exact, strict=True)
    ]


def result_rows(recipe: EquivarianceRecipe, measured: Sequence[MeasuredCurve]) -> list[ResultRow]:
    """Deviations from the published curves in %, and the errors about which something is claimed.

    Parameters
    ----------
    recipe
        With its claims.
    measured
        See `measure_curves`.

    Returns
    -------
    list of ResultRow
    """
    rows = []
    for curve in measured:
        if curve.ratios is None or curve.sampled is None:
            continue
        degrees, ratios = curve.ratios
        counted = ratios[degrees >= recipe.sampled.smallest_degree]
        row = make_row(
            f"{_title(curve.section, curve.sampling)}, {DEVIATION}",
            [100 * float(np.abs(counted - 1).max())],
            unit="%",
            seconds=sum(curve.sampled.seconds.values()),
            claims=recipe.claims,
        )
        rows.append(row)
    for curve in measured:
        for name, degree in _claimed_degrees(recipe, curve.section, curve.sampling).items():
            error = curve.exact_at(degree)
            if error is not None:
                seconds = sum(curve.exact.seconds.values())
                rows.append(make_row(name, [error], seconds=seconds, claims=recipe.claims))
    return rows


def result_notes(recipe: EquivarianceRecipe, measured: Sequence[MeasuredCurve]) -> list[str]:
    """Why the published curves have nothing beside them, where healpy is missing.

    Parameters
    ----------
    recipe
        With its curves.
    measured
        See `measure_curves`.

    Returns
    -------
    list of str
    """
    is_wanted = any(_sampled_nside(recipe, *place) is not None for place in _places(recipe))
    if not is_wanted or any(curve.sampled is not None for curve in measured):
        return []
    return [
        "Nothing was sampled in the published convention, which needs the package healpy: "
        'pip install "deepsphere-torch[cosmology]", and the same command again.'
    ]


def largest_degree(sampling: Sampling) -> int:
    """The largest degree at which a curve is measured: below the bandwidth of a grid.

    Parameters
    ----------
    sampling
        Where the graph lives.

    Returns
    -------
    int
    """
    if isinstance(sampling, Equiangular):
        return max(1, min(default_max_degree(sampling), sampling.nlat // 2 - 1))
    return default_max_degree(sampling)


def _places(recipe: EquivarianceRecipe) -> list[tuple[CurveSection, str]]:
    """Every graph with each of its samplings."""
    return [(section, spec) for section in recipe.curves for spec in section.samplings]


def _title(section: CurveSection, sampling: str) -> str:
    """A curve in words."""
    return f"{section.name}, {sampling}"


def _published(section: CurveSection, spec: str) -> tuple[Degrees, Errors] | None:
    """The published curve beside a curve."""
    if section.published is None:
        return None
    sampling = sampling_from_spec(spec)
    if isinstance(sampling, Healpix):
        return published_curve(section.published, sampling.nside)
    if isinstance(sampling, Equiangular):
        return published_curve(section.published, sampling.nlat // 2)
    raise ValueError(
        f"published must stand beside HEALPix or an equiangular grid, got {spec!r} in the curve "
        f"{section.name!r}; leave it out"
    )


def _claimed_degrees(
    recipe: EquivarianceRecipe, section: CurveSection, spec: str
) -> dict[str, int]:
    """The degrees of a curve about which something is claimed, by the name of the row."""
    pattern = re.escape(f"{_title(section, spec)}, degree ") + r"(\d+)"
    found = ((claim.name, re.fullmatch(pattern, claim.name)) for claim in recipe.claims)
    return {name: int(match[1]) for name, match in found if match}


def _build(section: CurveSection, sampling: Sampling, place: int) -> SphereGraph:
    """The graph of a curve."""
    scales = section.kernel_scales
    width = None if scales is None else kernel_width_from_scale(scales[place])
    return build_named_graph(section, sampling, kernel_width=width)


def _measure_exactly(recipe: EquivarianceRecipe, key: CurveKey, fingerprint: str) -> CurveRecord:
    """The exact errors of a curve at every degree that its sampling holds."""
    section = recipe.curves[key.curve]
    spec = section.samplings[key.place]
    sampling = sampling_from_spec(spec)
    start = time.perf_counter()
    graph = _build(section, sampling, key.place)
    built = time.perf_counter()
    degrees = np.arange(1, largest_degree(sampling) + 1)
    errors = equivariance_error(graph, degrees=degrees)
    facts = {
        "vertices": float(sampling.num_vertices),
        "entries per row": graph.laplacian.nnz / sampling.num_vertices,
    }
    if graph.kernel_width is not None:
        facts["kernel width"] = graph.kernel_width
    return CurveRecord(
        fingerprint=fingerprint,
        curve=section.name,
        sampling=spec,
        degrees=degrees.tolist(),
        values={"error": errors.tolist()},
        facts=facts,
        seconds={"building": built - start, "measuring": time.perf_counter() - built},
    )


@dataclass(frozen=True)
class _SampledStep:
    """One degree at one resolution, for all graphs there: they share functions and rotations."""

    nside: int
    degree: int


def _sampled_steps(recipe: EquivarianceRecipe) -> list[_SampledStep]:
    """What is sampled: the published degrees on HEALPix; nothing where healpy is missing."""
    if not has_healpy():
        return []
    steps = set()
    for section, spec in _places(recipe):
        nside = _sampled_nside(recipe, section, spec)
        published = _published(section, spec)
        if nside is not None and published is not None:
            steps |= {(nside, degree) for degree in published[0].tolist()}
    return [_SampledStep(nside, degree) for nside, degree in sorted(steps)]


def _sampled_nside(recipe: EquivarianceRecipe, section: CurveSection, spec: str) -> int | None:
    """The nside at which a curve is sampled, None where it is not."""
    sampling = sampling_from_spec(spec)
    if section.published is None or not isinstance(sampling, Healpix):
        return None
    return sampling.nside if sampling.nside <= recipe.sampled.largest_nside else None


def _sample(
    recipe: EquivarianceRecipe,
    step: _SampledStep,
    operators: Callable[[], dict[str, csr_matrix]],
    fingerprint: str,
) -> CurveRecord:
    """The sampled errors of one degree, by the name of the graph."""
    start = time.perf_counter()
    errors = sampled_errors(
        operators(),
        nside=step.nside,
        degree=step.degree,
        num_functions=recipe.sampled.num_functions,
        num_rotations=recipe.sampled.num_rotations,
        seed=recipe.sampled.seed,
    )
    return CurveRecord(
        fingerprint=fingerprint,
        curve="all",
        sampling=f"healpix:{step.nside}",
        degrees=[step.degree],
        values={name: [error] for name, error in errors.items()},
        seconds={"sampling": time.perf_counter() - start},
    )


def _ring_operators(recipe: EquivarianceRecipe, nside: int) -> dict[str, csr_matrix]:
    """The Laplacians of the sampled graphs of one resolution, pixels in RING order."""
    sampling = Healpix(nside, ordering="ring")
    return {
        section.name: _build(section, sampling, place).laplacian
        for section in recipe.curves
        for place, spec in enumerate(section.samplings)
        if _sampled_nside(recipe, section, spec) == nside
    }


def _sampled_curve(
    section: CurveSection, spec: str, samples: Sequence[CurveRecord]
) -> CurveRecord | None:
    """The sampled errors of one curve, gathered from those of its degrees."""
    sampling = sampling_from_spec(spec)
    if section.published is None or not isinstance(sampling, Healpix):
        return None
    own = [
        record
        for record in samples
        if record.sampling == f"healpix:{sampling.nside}" and section.name in record.values
    ]
    if not own:
        return None
    return CurveRecord(
        fingerprint=own[0].fingerprint,
        curve=section.name,
        sampling=spec,
        degrees=[record.degrees[0] for record in own],
        values={"error": [record.values[section.name][0] for record in own]},
        seconds={"sampling": sum(record.seconds["sampling"] for record in own)},
    )
