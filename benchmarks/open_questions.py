"""Two things that were tried with optimal weights: rows at a border, and weights carried over.

Both print exact, unsquared rotation errors.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, diags, triu
from scipy.spatial import KDTree

import deepsphere as ds
from deepsphere.graph.neighbors import neighbor_distances
from deepsphere.graph.nonnegative import solve_nonnegative
from deepsphere.graph.optimal_rows import row_level, row_problems
from deepsphere.graph.optimal_symmetric import symmetric_weights
from deepsphere.graph.stability import operator_chebyshev_norms
from deepsphere.graph.stencils import nearest_stencils

BORDER_DEGREES = [1, 2, 5, 10, 20, 40]
CARRIED_DEGREES = [1, 2, 5, 10, 20, 40, 80, 120]


def border_rows(nside: int, share: float = 0.35) -> Iterator[dict[str, Any]]:
    """Errors over the border of a polar cap, where vertices lack neighbors on one side.

    The rest of the rows are those of the whole sphere. "signed" rows pay a price for negative
    weights: gamma, relative to the largest gain of a weight.
    """
    sphere = ds.Healpix(nside)
    kept = np.flatnonzero(sphere.points[:, 2] > 1 - 2 * share)
    cap = sphere.subset(kept)
    points, spacing = cap.points, math.sqrt(4 * math.pi / sphere.num_vertices)
    whole = ds.build_graph(sphere, num_neighbors=20)
    weights = csr_matrix(whole.adjacency[kept][:, kept])
    border = np.flatnonzero(np.diff(weights.indptr) < np.diff(whole.adjacency.indptr)[kept])
    yield _border_numbers("restricted weights of the sphere", weights, cap, border)
    for num_candidates in (20, 32):
        stencils = nearest_stencils(points, num_candidates)[border]
        offsets = points[stencils] - points[border][:, None]
        level = row_level(spacing, spacing, 0.1, float(np.linalg.norm(offsets, axis=2).max()))
        problems = row_problems(offsets, np.ones(stencils.shape, dtype=bool), level)
        rows = problems[2] * solve_nonnegative(*problems[:2])
        title = f"{num_candidates} candidates, nonnegative"
        yield _border_numbers(title, _with_rows(weights, border, stencils, rows), cap, border)
        for price in (0.3, 0.1, 0.03, 0.01, 0.0):
            rows = _signed_rows(*problems, price)
            title = f"{num_candidates} candidates, signed, gamma = {price:g}"
            yield _border_numbers(title, _with_rows(weights, border, stencils, rows), cap, border)


def _signed_rows(
    matrices: np.ndarray, vectors: np.ndarray, scales: np.ndarray, price: float
) -> np.ndarray:
    """Rows as the difference of two nonnegative ones, of which the second costs something."""
    size = vectors.shape[1]
    both = np.block([[matrices, -matrices], [-matrices, matrices]]) + 1e-9 * np.eye(2 * size)
    largest = np.abs(vectors).max(axis=1, keepdims=True) / scales.max(axis=1, keepdims=True)
    parts = solve_nonnegative(both, np.hstack([vectors, -vectors - price * scales * largest]))
    return scales * (parts[:, :size] - parts[:, size:])


def _with_rows(
    weights: csr_matrix, border: np.ndarray, stencils: np.ndarray, rows: np.ndarray
) -> csr_matrix:
    """Weights in which some rows are replaced."""
    kept = np.ones(len(weights.indptr) - 1)
    kept[border] = 0
    places = (rows.ravel(), (np.repeat(border, stencils.shape[1]), stencils.ravel()))
    return csr_matrix(diags(kept) @ weights + csr_matrix(places, shape=weights.shape))


def _laplacian(weights: csr_matrix) -> csr_matrix:
    return csr_matrix(diags(np.asarray(weights.sum(axis=1)).ravel()) - weights)


def _border_numbers(
    title: str, weights: csr_matrix, cap: ds.Subset, border: np.ndarray
) -> dict[str, Any]:
    laplacian = _laplacian(weights)
    # of eigenvalues with a small imaginary part the largest real part is that of a power iteration
    vector = np.random.default_rng(0).standard_normal(cap.num_vertices)
    for _ in range(300):
        vector = laplacian @ (vector / np.linalg.norm(vector))
    largest = 1.02 * float(np.linalg.norm(vector))
    return {
        "title": title,
        "degrees": BORDER_DEGREES,
        "errors": ds.equivariance_error(laplacian, cap, BORDER_DEGREES, rows=border).tolist(),
        "note": f"norm of T_k {operator_chebyshev_norms(laplacian, largest).max():.1f}",
    }


def carried_weights(coarse_nside: int) -> Iterator[dict[str, Any]]:
    """Errors of weights carried to twice the resolution, by the place and direction of an edge."""
    coarse, fine = ds.Healpix(coarse_nside), ds.Healpix(2 * coarse_nside)
    weights = symmetric_weights(coarse, neighbor_distances(coarse, num_neighbors=20))
    distances = neighbor_distances(fine, num_neighbors=20)
    yield _carried_numbers("solved", symmetric_weights(fine, distances), fine)
    gaussian = ds.build_graph(fine, num_neighbors=20, weights="gaussian")
    yield _carried_numbers("Gaussian", gaussian.adjacency, fine)
    known = weights.tocoo()
    edges = triu(distances, k=1).tocoo()
    for share in (0.1, 0.3, 1.0, 3.0):
        tree = KDTree(_edge_features(coarse, known.row, known.col, share))
        there = tree.query(_edge_features(fine, edges.row, edges.col, share))[1]
        back = tree.query(_edge_features(fine, edges.col, edges.row, share))[1]
        values = 2 * (known.data[there] + known.data[back])  # edges are half as long
        upper = csr_matrix((values, (edges.row, edges.col)), shape=distances.shape)
        title = f"carried, directions weigh {share:g}"
        yield _carried_numbers(title, csr_matrix(upper + upper.T), fine)


def _edge_features(
    sampling: ds.Healpix, start: np.ndarray, end: np.ndarray, share: float
) -> np.ndarray:
    """The middle of edges, and their vector in spacings."""
    points, spacing = sampling.points, math.sqrt(4 * math.pi / sampling.num_vertices)
    middle = points[start] + points[end]
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    return np.hstack([middle, share * (points[end] - points[start]) / spacing])


def _carried_numbers(title: str, weights: csr_matrix, fine: ds.Healpix) -> dict[str, Any]:
    errors = ds.equivariance_error(_laplacian(weights), fine, CARRIED_DEGREES)
    return {"title": title, "degrees": CARRIED_DEGREES, "errors": errors.tolist(), "note": ""}
