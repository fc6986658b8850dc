"""The equivariance of a graph on anybody's own sampling: numbers, figure and file."""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from deepsphere.data import require_writable, write_atomically
from deepsphere.equivariance import equivariance_error
from deepsphere.experiments.config import EmphasisName, WeightsName
from deepsphere.experiments.equivariance import largest_degree
from deepsphere.experiments.point_files import NamedSampling
from deepsphere.graph import SphereGraph, build_graph
from deepsphere.graph.stability import chebyshev_norms
from deepsphere.graph.stencils import resolved_rows
from deepsphere.sampling import Sampling
from deepsphere.sampling.scattered import PointSet

_DEGREES = (1, 2, 5, 10, 20, 40, 80, 160, 320, 640)
_MAX_ORDER = 8
_NUM_NEIGHBORS = 20  # of the other graph, where the one that is asked about has no such number


@dataclass(frozen=True, eq=False)
class GraphErrors:
    """The errors of one graph.

    Parameters
    ----------
    name
        What to call the graph.
    entries_per_row
        Of its Laplacian.
    spectral_range
        Largest eigenvalue over the median of the diagonal.
    largest_norm
        Largest norm of the Chebyshev polynomials T_1 to T_8 of the rescaled Laplacian; 1 where it
        is self-adjoint.
    errors
        By degree, over all vertices.
    resolved_errors
        By tabulated degree, over the vertices that the data resolve; None where all do.
    """

    name: str
    entries_per_row: float
    spectral_range: float
    largest_norm: float
    errors: Float[np.ndarray, "degrees"]
    resolved_errors: Float[np.ndarray, "tabulated"] | None


@dataclass(frozen=True, eq=False)
class GridEquivariance:
    """What was found out about a sampling.

    Parameters
    ----------
    named
        The sampling.
    degrees
        All degrees, from 1 on.
    tabulated
        Those of the table.
    resolved_share
        Share of the vertices that resolve each tabulated degree; None where all do.
    graphs
        The graph that was asked about, and another one beside it.
    """

    named: NamedSampling
    degrees: Int[np.ndarray, "degrees"]
    tabulated: tuple[int, ...]
    resolved_share: Float[np.ndarray, "tabulated"] | None
    graphs: tuple[GraphErrors, GraphErrors]


def measure_grid(
    named: NamedSampling,
    *,
    num_neighbors: int | None = None,
    weights: WeightsName = "optimal",
    emphasis: EmphasisName | None = None,
    degrees: Sequence[int] | None = None,
) -> GridEquivariance:
    """The exact errors of a graph, beside Gaussian weights with as many neighbors.

    Beside Gaussian weights themselves stand the optimal ones.

    Parameters
    ----------
    named
        The sampling.
    num_neighbors, weights, emphasis
        The graph, as in `deepsphere.build_graph`.
    degrees
        Degrees of the table; a choice of those that the sampling holds if not given.

    Returns
    -------
    GridEquivariance

    Raises
    ------
    ValueError
        If a degree is not from 1 to the largest one of the sampling, or the graph cannot be built.
    """
    sampling = named.sampling
    largest = largest_degree(sampling)
    tabulated = _checked_degrees(degrees, largest)
    given = {"num_neighbors": num_neighbors, "emphasis": emphasis}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    chosen = build_graph(sampling, weights=weights, **options)
    other_options: dict[str, Any] = {
        "num_neighbors": min(
            num_neighbors or chosen.options.num_neighbors or _NUM_NEIGHBORS,
            sampling.num_vertices - 1,
        ),
        "weights": "optimal" if weights == "gaussian" else "gaussian",
        "disconnected": "allow",  # Gaussian weights may join points only within their clusters
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about the graph that nobody asked for
        other = build_graph(sampling, **other_options)
    rows = _resolved_rows(sampling, tabulated)
    all_degrees = np.arange(1, largest + 1)
    return GridEquivariance(
        named,
        all_degrees,
        tabulated,
        None if rows is None else np.array([len(row) for row in rows]) / sampling.num_vertices,
        (
            _errors_of(chosen, all_degrees, tabulated, rows),
            _errors_of(other, all_degrees, tabulated, rows),
        ),
    )


def grid_table(found: GridEquivariance) -> tuple[list[str], list[list[str]]]:
    """The errors at the tabulated degrees, in words.

    Parameters
    ----------
    found
        See `measure_grid`.

    Returns
    -------
    headings : list of str
        Name of each column.
    cells : list of list of str
        A list for each degree.
    """
    chosen, other = found.graphs
    places = np.array(found.tabulated) - 1
    headings = ["degree", chosen.name, other.name, "second / first"]
    columns = [
        [str(degree) for degree in found.tabulated],
        *_columns(chosen.errors[places], other.errors[places]),
    ]
    if found.resolved_share is not None:
        assert chosen.resolved_errors is not None
        assert other.resolved_errors is not None
        headings += ["resolved", "first there", "second there", "second / first there"]
        columns.append([f"{100 * share:.0f} %" for share in found.resolved_share])
        columns += _columns(chosen.resolved_errors, other.resolved_errors)
    return headings, [list(row) for row in zip(*columns, strict=True)]


def grid_facts(found: GridEquivariance) -> list[tuple[str, str]]:
    """What else there is to know about both graphs, by name.

    Parameters
    ----------
    found
        See `measure_grid`.

    Returns
    -------
    list of (str, str)
    """
    sampling = found.named.sampling
    repeated = found.named.num_repeated
    facts = [
        ("sampling", found.named.name),
        (
            "vertices",
            f"{sampling.num_vertices:,}"
            + (f"; {repeated:,} repeated left out" if repeated else ""),
        ),
    ]
    for graph in found.graphs:
        facts.append(
            (
                graph.name,
                f"{graph.entries_per_row:.1f} entries per row, largest eigenvalue "
                f"{graph.spectral_range:.2f} × median diagonal, largest norm of T_1 to "
                f"T_{_MAX_ORDER} {graph.largest_norm:.3g}",
            )
        )
    return facts


def write_grid(found: GridEquivariance, folder: Path, *, overwrite: bool) -> tuple[Path, Path]:
    """Write the curves as a figure and every number as JSON.

    Parameters
    ----------
    found
        See `measure_grid`.
    folder
        Where to; made if it is missing.
    overwrite
        Whether files that are there may be replaced.

    Returns
    -------
    figure, numbers : Path
        The files.

    Raises
    ------
    FileExistsError
        If one is there and may not be replaced.
    """
    from deepsphere.plotting import ErrorCurve, plot_equivariance_error

    picture, numbers = grid_files(folder)
    for path in (picture, numbers):
        require_writable(path, overwrite=overwrite)
    curves = [
        ErrorCurve(
            graph.name,
            found.named.name,
            found.degrees,
            graph.errors,
            color=index,
            stroke="dashed" if index else "solid",
            is_marked=False,
        )
        for index, graph in enumerate(found.graphs)
    ]
    curves += [
        ErrorCurve(
            f"{graph.name}, resolved vertices",
            found.named.name,
            np.array(found.tabulated),
            graph.resolved_errors,
            color=index,
            stroke="dotted",
        )
        for index, graph in enumerate(found.graphs)
        if graph.resolved_errors is not None
    ]
    figure = plot_equivariance_error(curves, title=found.named.name)
    with write_atomically(picture, overwrite=overwrite) as temporary:
        figure.savefig(temporary, dpi=160)
    with write_atomically(numbers, overwrite=overwrite) as temporary:
        temporary.write_text(json.dumps(_numbers(found), indent=1) + "\n", encoding="utf-8")
    return picture, numbers


def grid_files(folder: Path) -> tuple[Path, Path]:
    """The files that `write_grid` makes in a folder.

    Parameters
    ----------
    folder
        Any.

    Returns
    -------
    figure, numbers : Path
    """
    return folder / "equivariance.png", folder / "equivariance.json"


def _checked_degrees(degrees: Sequence[int] | None, largest: int) -> tuple[int, ...]:
    """The degrees of the table."""
    if degrees is None:
        return tuple(degree for degree in _DEGREES if degree <= largest)
    for degree in degrees:
        if not 1 <= degree <= largest:
            raise ValueError(
                f"degrees must be from 1 to {largest} on this sampling, got {degree}; "
                "leave it out, or take a finer sampling"
            )
    return tuple(sorted(set(degrees)))


def _resolved_rows(sampling: Sampling, degrees: Sequence[int]) -> list[Int[np.ndarray, "_"]] | None:
    """The vertices of scattered points that resolve each degree; None on even samplings."""
    if not isinstance(sampling, PointSet):
        return None
    return [np.flatnonzero(resolved_rows(sampling, degree)) for degree in degrees]


def _errors_of(
    graph: SphereGraph,
    degrees: Int[np.ndarray, "degrees"],
    tabulated: Sequence[int],
    rows: list[Int[np.ndarray, "_"]] | None,
) -> GraphErrors:
    """The errors of one graph and what else is said of it."""
    resolved = None
    if rows is not None:
        resolved = np.array(
            [
                equivariance_error(graph, degrees=[degree], rows=own)[0] if len(own) else np.nan
                for degree, own in zip(tabulated, rows, strict=True)
            ]
        )
    count = graph.options.num_neighbors
    return GraphErrors(
        graph.options.weights + ("" if count is None else f", k = {count}"),
        graph.laplacian.nnz / graph.num_vertices,
        graph.lambda_max / float(np.median(graph.laplacian.diagonal())),
        float(chebyshev_norms(graph, _MAX_ORDER).max()),
        equivariance_error(graph, degrees=degrees),
        resolved,
    )


def _columns(
    chosen: Float[np.ndarray, "tabulated"], other: Float[np.ndarray, "tabulated"]
) -> list[list[str]]:
    """Errors of both graphs, and how many times smaller the first are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = other / chosen
    return [[_number(value) for value in values] for values in (chosen, other, ratios)]


def _number(value: float) -> str:
    """A number with three digits that count."""
    return f"{value:.3g}" if np.isfinite(value) else "–"


def _numbers(found: GridEquivariance) -> dict[str, Any]:
    """Every number, in plain values."""
    sampling = found.named.sampling
    return {
        "quantity": "root of E |R L f - L R f|^2 / E |L f|^2 over rotations R and functions f of "
        "one degree",
        "sampling": found.named.name,
        "vertices": sampling.num_vertices,
        "degrees": found.degrees.tolist(),
        "tabulated_degrees": list(found.tabulated),
        "resolved_share": None if found.resolved_share is None else found.resolved_share.tolist(),
        "graphs": [
            {
                "name": graph.name,
                "entries_per_row": graph.entries_per_row,
                "largest_eigenvalue_over_median_diagonal": graph.spectral_range,
                "largest_chebyshev_norm": graph.largest_norm,
                "errors": graph.errors.tolist(),
                "resolved_errors": None
                if graph.resolved_errors is None
                else [value if np.isfinite(value) else None for value in graph.resolved_errors],
            }
            for graph in found.graphs
        ],
    }
