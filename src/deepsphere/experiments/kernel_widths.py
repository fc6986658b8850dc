"""The kernel widths experiment: Gaussian weights tuned for equivariance, beside published ones."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deepsphere.equivariance.kernel_width import tune_kernel_width
from deepsphere.experiments.curve_record import CurveRecord, measure_unfinished
from deepsphere.experiments.kernel_widths_config import KernelWidthsRecipe, ObjectiveName
from deepsphere.experiments.named_graphs import check_nothing_is_trained
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.published_curves import published_kernel_scale
from deepsphere.experiments.results import ResultRow, check_claim_names, make_row
from deepsphere.graph.weights import kernel_width_from_scale
from deepsphere.sampling import Healpix, sampling_from_spec

_COMPARED = "log"  # the objective of the comparisons, where the recipe has it


@dataclass(frozen=True)
class TunedWidth:
    """The width of one graph, in units of 1/n.

    Parameters
    ----------
    sampling
        Specification, as in the recipe.
    num_neighbors
        k.
    objective
        What was minimized.
    scaled_width
        n t of the tuned width t, on n vertices.
    seconds
        Wall time of the search.
    """

    sampling: str
    num_neighbors: int
    objective: str
    scaled_width: float
    seconds: float

    @property
    def published(self) -> float | None:
        """n t of the published width, where there is one."""
        sampling = sampling_from_spec(self.sampling)
        if not isinstance(sampling, Healpix):
            return None
        scale = published_kernel_scale(self.num_neighbors, sampling.nside)
        return None if scale is None else sampling.num_vertices * kernel_width_from_scale(scale)


def scaled_rule(num_neighbors: int) -> float:
    """n t of the rule t = (1.6 + 0.14 k) / n that the library uses where nothing was tuned.

    Parameters
    ----------
    num_neighbors
        k.

    Returns
    -------
    float

    Examples
    --------
    >>> round(scaled_rule(20), 6)
    4.4
    """
    return 1.6 + 0.14 * num_neighbors


def check_run(recipe: KernelWidthsRecipe, options: RunOptions, data: Path | None) -> None:
    """Raise unless recipe, options and data go together.

    Parameters
    ----------
    recipe
        What to run.
    options, data
        Nothing is trained here, and no data are read.

    Raises
    ------
    ValueError
        If they do not, if a sampling has too few vertices, or a claim is about no row.
    """
    check_nothing_is_trained(recipe.experiment, options, data)
    names = [
        _row_name(spec, other) for spec in recipe.samplings for other in ("the rule", "published")
    ]
    check_claim_names(recipe.claims, names)
    largest = max(recipe.num_neighbors)
    for spec in recipe.samplings:
        num_vertices = sampling_from_spec(spec).num_vertices
        if num_vertices <= largest:
            raise ValueError(
                f"num_neighbors must be smaller than the number of vertices of {spec} "
                f"({num_vertices}), got {largest}; leave out the one or the other"
            )


def tune_widths(
    recipe: KernelWidthsRecipe,
    output: Path,
    *,
    fingerprint: str,
    data: Path | None,
    options: RunOptions,
) -> list[TunedWidth]:
    """All widths of a recipe; those that are finished in the folder are not searched again.

    Parameters
    ----------
    recipe
        What to tune.
    output
        A prepared folder; each width has a file in ``runs``.
    fingerprint
        See `experiment_fingerprint`.
    data
        None.
    options
        Whether to show progress.

    Returns
    -------
    list of TunedWidth
    """
    cases: list[tuple[ObjectiveName, str, int]] = [
        (objective, spec, k)
        for objective in recipe.objectives
        for spec in recipe.samplings
        for k in recipe.num_neighbors
    ]
    searches = [
        (
            f"{objective}-{recipe.samplings.index(spec)}-{k}",
            partial(_tune, spec, k, objective, fingerprint),
        )
        for objective, spec, k in cases
    ]
    records = measure_unfinished(
        searches, output, fingerprint=fingerprint, action="tuning", options=options
    )
    return [
        TunedWidth(spec, k, objective, record.facts["scaled width"], record.seconds["tuning"])
        for (objective, spec, k), record in zip(cases, records, strict=True)
    ]


def result_rows(recipe: KernelWidthsRecipe, tuned: Sequence[TunedWidth]) -> list[ResultRow]:
    """How far rule and published widths are from the tuned ones, over the numbers of neighbors.

    Parameters
    ----------
    recipe
        With its claims.
    tuned
        See `tune_widths`.

    Returns
    -------
    list of ResultRow
        Largest deviations in %, for the objective "log" where the recipe has it.
    """
    objective = _COMPARED if _COMPARED in recipe.objectives else recipe.objectives[0]
    rows = []
    for spec in recipe.samplings:
        own = [w for w in tuned if w.sampling == spec and w.objective == objective]
        seconds = sum(width.seconds for width in own)
        pairs = {
            "the rule": [(scaled_rule(w.num_neighbors), w.scaled_width) for w in own],
            "published": [(w.published, w.scaled_width) for w in own if w.published is not None],
        }
        for name, numbers in pairs.items():
            if numbers:
                row = make_row(
                    _row_name(spec, name),
                    [100 * max(abs(other / best - 1) for other, best in numbers)],
                    unit="%",
                    seconds=seconds,
                    claims=recipe.claims,
                )
                rows.append(row)
    return rows


def _row_name(spec: str, other: str) -> str:
    """Name of the row about the largest deviation of other widths from the tuned ones."""
    return f"{spec}, deviation of {other} from tuned"


def _tune(spec: str, num_neighbors: int, objective: ObjectiveName, fingerprint: str) -> CurveRecord:
    """One search."""
    sampling = sampling_from_spec(spec)
    start = time.perf_counter()
    width = tune_kernel_width(sampling, num_neighbors, objective=objective)
    return CurveRecord(
        fingerprint=fingerprint,
        curve=f"k = {num_neighbors}, {objective}",
        sampling=spec,
        facts={"width": width, "scaled width": sampling.num_vertices * width},
        seconds={"tuning": time.perf_counter() - start},
    )
