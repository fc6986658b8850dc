"""The spectrum experiment: eigenvectors of graph Laplacians against spherical harmonics."""

import re
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from deepsphere.experiments.config import NamedGraph
from deepsphere.experiments.curve_record import CurveRecord, measure_unfinished
from deepsphere.experiments.named_graphs import build_named_graph, check_nothing_is_trained
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.results import ResultRow, check_claim_names, make_row
from deepsphere.experiments.spectrum_config import SpectrumRecipe
from deepsphere.graph import SphereGraph, fourier_basis
from deepsphere.harmonics import real_harmonics
from deepsphere.sampling import sampling_from_spec

_LARGEST = 5000  # vertices: the whole spectrum is computed
_MEASURE = "alignment up to degree"


def check_run(recipe: SpectrumRecipe, options: RunOptions, data: Path | None) -> None:
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
        If they do not, if the sampling is too large or too small, or a claim is about no row.
    """
    check_nothing_is_trained(recipe.experiment, options, data)
    num_vertices = sampling_from_spec(recipe.sampling).num_vertices
    num_harmonics = (recipe.max_degree + 1) ** 2
    if not num_harmonics <= num_vertices <= _LARGEST:
        raise ValueError(
            f"sampling must have at least {num_harmonics} vertices for max_degree = "
            f"{recipe.max_degree} and at most {_LARGEST}, got {num_vertices} of {recipe.sampling}; "
            "change the one or the other"
        )
    names = [name for graph in recipe.graphs for name in _claimed_degrees(recipe, graph)]
    check_claim_names(recipe.claims, names)


def measure_spectra(
    recipe: SpectrumRecipe,
    output: Path,
    *,
    fingerprint: str,
    data: Path | None,
    options: RunOptions,
) -> list[CurveRecord]:
    """One record for each graph; those that are finished in the folder are not measured again.

    Parameters
    ----------
    recipe
        What to measure.
    output
        A prepared folder; each graph has a file in ``runs``.
    fingerprint
        See `experiment_fingerprint`.
    data
        None.
    options
        Whether to show progress.

    Returns
    -------
    list of CurveRecord
        With the values "alignment", "smallest cosine", "eigenvalue" and "spread" by degree.
    """
    measurements = [
        (str(index), partial(_measure, recipe, graph, fingerprint))
        for index, graph in enumerate(recipe.graphs)
    ]
    return measure_unfinished(
        measurements, output, fingerprint=fingerprint, action="measuring", options=options
    )


def subspace_cosines(
    vectors: Float[np.ndarray, "vertices number"], others: Float[np.ndarray, "vertices others"]
) -> Float[np.ndarray, "angles"]:
    """Cosines of the principal angles between the spans of two sets of orthonormal vectors.

    Parameters
    ----------
    vectors, others
        Orthonormal columns.

    Returns
    -------
    ndarray
        Descending, in 0 to 1; as many as the smaller set has vectors.

    Examples
    --------
    >>> identity = np.eye(3)
    >>> subspace_cosines(identity[:, :2], identity[:, 1:]).tolist()
    [1.0, 0.0]
    """
    return np.linalg.svd(vectors.T @ others, compute_uv=False).clip(0.0, 1.0)


def compare_with_harmonics(
    graph: SphereGraph, max_degree: int
) -> dict[str, Float[np.ndarray, "degrees"]]:
    """How the eigenvectors of a Laplacian match the harmonics of degree 1 to the largest.

    The eigenvectors are taken in the order of their eigenvalues, 2l + 1 for each degree l, and
    compared with the sampled harmonics of that degree, made orthonormal.

    Parameters
    ----------
    graph
        A graph with a Laplacian that is self-adjoint for some masses.
    max_degree
        Largest degree.

    Returns
    -------
    dict of str to ndarray
        By degree: "alignment", the mean of the squared cosines of the principal angles between both
        spans (1 if they are the same); "smallest cosine"; "eigenvalue", the mean of the group
        divided by l (l + 1) and by the same of degree 1; "spread", the relative width of the group.
    """
    mass = np.ones(graph.num_vertices) if graph.symmetric else np.asarray(graph.vertex_mass)
    root = np.sqrt(mass / mass.mean())
    eigenvalues, vectors = fourier_basis(graph, (max_degree + 1) ** 2)
    vectors = vectors * (np.sqrt(mass)[:, None] if not graph.symmetric else 1.0)
    harmonics = root[:, None] * real_harmonics(graph.sampling.points, max_degree)
    found: dict[str, list[float]] = {
        "alignment": [],
        "smallest cosine": [],
        "eigenvalue": [],
        "spread": [],
    }
    for degree in range(1, max_degree + 1):
        group = slice(degree**2, (degree + 1) ** 2)
        cosines = subspace_cosines(vectors[:, group], np.linalg.qr(harmonics[:, group])[0])
        own = eigenvalues[group]
        found["alignment"].append(float(np.mean(cosines**2)))
        found["smallest cosine"].append(float(cosines[-1]))
        found["eigenvalue"].append(float(own.mean()) / (degree * (degree + 1)))
        found["spread"].append(float(np.ptp(own) / own.mean()))
    values = {name: np.array(numbers) for name, numbers in found.items()}
    values["eigenvalue"] /= values["eigenvalue"][0]
    return values


def result_rows(recipe: SpectrumRecipe, records: Sequence[CurveRecord]) -> list[ResultRow]:
    """The mean alignment of each graph up to the claimed degrees, or else up to the largest.

    Parameters
    ----------
    recipe
        With its claims.
    records
        See `measure_spectra`.

    Returns
    -------
    list of ResultRow
        In %.
    """
    rows = []
    for graph, record in zip(recipe.graphs, records, strict=True):
        degrees = _claimed_degrees(recipe, graph) or {
            f"{graph.name}, {_MEASURE} {recipe.max_degree}": recipe.max_degree
        }
        for name, degree in degrees.items():
            alignment = np.array(record.values["alignment"])[:degree]
            sizes = 2 * np.arange(1, len(alignment) + 1) + 1
            row = make_row(
                name,
                [100 * float(sizes @ alignment / sizes.sum())],
                unit="%",
                seconds=sum(record.seconds.values()),
                claims=recipe.claims,
            )
            rows.append(row)
    return rows


def _claimed_degrees(recipe: SpectrumRecipe, graph: NamedGraph) -> dict[str, int]:
    """The largest degrees about which something is claimed, by the name of the row."""
    pattern = re.escape(f"{graph.name}, {_MEASURE} ") + r"(\d+)"
    found = ((claim.name, re.fullmatch(pattern, claim.name)) for claim in recipe.claims)
    degrees = {name: int(match[1]) for name, match in found if match}
    return {name: degree for name, degree in degrees.items() if degree <= recipe.max_degree}


def _measure(recipe: SpectrumRecipe, choice: NamedGraph, fingerprint: str) -> CurveRecord:
    """The comparison for one graph."""
    start = time.perf_counter()
    graph = build_named_graph(choice, sampling_from_spec(recipe.sampling))
    values = compare_with_harmonics(graph, recipe.max_degree)
    return CurveRecord(
        fingerprint=fingerprint,
        curve=choice.name,
        sampling=recipe.sampling,
        degrees=list(range(1, recipe.max_degree + 1)),
        values={name: numbers.tolist() for name, numbers in values.items()},
        facts={"entries per row": graph.laplacian.nnz / graph.num_vertices},
        seconds={"measuring": time.perf_counter() - start},
    )
