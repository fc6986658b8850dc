"""Eigenvalues of a graph Laplacian, and the Fourier transform they define."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh_tridiagonal
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import ArpackNoConvergence, eigs, eigsh

from deepsphere.graph.signals import check_signals

if TYPE_CHECKING:
    from deepsphere.graph.sphere_graph import SphereGraph

# Up to this size a dense solver finds all eigenvalues before a sparse one finds the largest.
_DENSE_EIGENVALUE_VERTICES = 300
# From this size on the basis of an iteration with restarts takes more memory than the matrix.
_PLAIN_ITERATION_VERTICES = 2**18
_MOST_STEPS = 300
# Eigenvalues of a matrix that is far from normal move by more than the residual of a vector.
_NON_NORMAL_MARGIN = 0.02
# Relative to the eigenvalue; a small part of the margin.
_NON_NORMAL_TOLERANCE = 1e-3
# Rows handled at once.
_CHUNK = 2**16
# Up to this size the dense basis takes less than a minute and 0.6 GB.
MAX_DENSE_VERTICES = 5000


def largest_eigenvalue(
    laplacian: csr_matrix,
    *,
    mass: Float[np.ndarray, "vertices"] | None = None,
    max_iterations: int = 1000,
) -> float:
    """The largest eigenvalue of a Laplacian, from above.

    So that 2 L / value - I has its eigenvalues in [-1, 1], it errs upwards: a dense eigenvalue plus
    its rounding error up to 300 vertices; beyond, the Ritz value θ of a Lanczos iteration plus the
    norm of its residual |L v - θ v|, within which of θ an eigenvalue must lie (the largest, as the
    iteration starts from a fixed random vector). It is above the true value by at most 1e-6 of it
    at 1,000 vertices, 1e-4 at 50,000 and 1e-3 at a million. From 262,144 vertices on the iteration
    keeps three vectors and is not restarted. If it does not converge, the Gershgorin bound.

    Parameters
    ----------
    laplacian
        Symmetric, or self-adjoint for `mass`; positive semidefinite.
    mass
        Positive masses for which the Laplacian is self-adjoint; None if it is symmetric.
    max_iterations
        Restarts of the Lanczos iteration, where it has them, before it is given up.

    Returns
    -------
    float
        0 for a graph without edges.

    Examples
    --------
    >>> laplacian = csr_matrix([[3.0, -3.0], [-3.0, 3.0]])
    >>> round(largest_eigenvalue(laplacian), 12)
    6.0

    References
    ----------
    Parlett, 1998, The symmetric eigenvalue problem, theorem 4.5.1 (the bound by the residual).
    """
    gershgorin = _gershgorin(laplacian)
    if gershgorin == 0.0:
        return 0.0
    if laplacian.diagonal().size >= _PLAIN_ITERATION_VERTICES:
        return min(_largest_by_plain_iteration(laplacian, mass), gershgorin)
    matrix = _symmetrized(laplacian, mass)
    num_vertices = matrix.diagonal().size
    if num_vertices <= _DENSE_EIGENVALUE_VERTICES:
        rounding = 1.0 + num_vertices * np.finfo(np.float64).eps
        return float(np.linalg.eigvalsh(matrix.toarray())[-1] * rounding)
    start = np.random.default_rng(0).standard_normal(num_vertices)
    try:
        values, vectors = eigsh(
            matrix,
            k=1,
            which="LA",
            tol=_tolerance(num_vertices),  # pyright: ignore[reportArgumentType]
            v0=start,
            ncv=20,
            maxiter=max_iterations,
        )
    except ArpackNoConvergence:
        return gershgorin
    vector = vectors[:, 0]
    residual = float(np.linalg.norm(matrix @ vector - values[0] * vector))
    return min(float(values[0]) + residual, gershgorin)


def _tolerance(num_vertices: int) -> float:
    """The fewer digits the fewer iterations: a second at 50,000 vertices, ten at a million."""
    return min(1e-6 * max(1.0, num_vertices / 1e3) ** 1.2, 1e-3)


def _gershgorin(matrix: csr_matrix) -> float:
    """The largest sum of moduli in a row, which no modulus of an eigenvalue exceeds."""
    size = matrix.indptr.size - 1
    # in parts: the moduli of all entries would be a second matrix
    parts = (matrix[start : start + _CHUNK] for start in range(0, size, _CHUNK))
    return max((float(np.max(abs(part).sum(axis=1))) for part in parts), default=0.0)


def _largest_by_plain_iteration(
    laplacian: csr_matrix, mass: Float[np.ndarray, "vertices"] | None
) -> float:
    """The largest eigenvalue, from above, by Lanczos's recurrence of three vectors.

    As for the iteration with restarts, Ritz value plus norm of the residual; this norm is the last
    coefficient times the last entry of the eigenvector of the tridiagonal matrix. Infinite if it
    does not converge.
    """
    root = None if mass is None else np.sqrt(mass)
    vector = np.random.default_rng(0).standard_normal(laplacian.indptr.size - 1)
    vector /= np.linalg.norm(vector)
    before = np.zeros_like(vector)
    diagonal, beside = [], [0.0]
    for step in range(1, _MOST_STEPS + 1):
        product = laplacian @ vector if root is None else root * (laplacian @ (vector / root))
        diagonal.append(float(vector @ product))
        product -= diagonal[-1] * vector
        before *= beside[-1]
        product -= before
        beside.append(float(np.linalg.norm(product)))
        last = len(diagonal) - 1
        if step % 5 == 0 or beside[-1] == 0.0:
            value, ritz = eigh_tridiagonal(
                diagonal, beside[1:-1], select="i", select_range=(last, last)
            )
            residual = beside[-1] * abs(float(ritz[-1, 0]))
            if residual <= _tolerance(len(vector)) * value[0]:
                return float(value[0]) + residual
        product /= beside[-1]
        before, vector = vector, product
    return np.inf


def largest_real_part(laplacian: csr_matrix, *, max_iterations: int = 300) -> float:
    """The largest real part of an eigenvalue of a Laplacian that is not self-adjoint, from above.

    So that 2 L / value - I has eigenvalues with real parts in [-1, 1], it errs upwards: the value
    found plus its residual plus two percent, at most the Gershgorin bound, which is also taken if
    the iteration does not converge. Dense up to 300 vertices; beyond by the Arnoldi iteration from
    a fixed random vector.

    Parameters
    ----------
    laplacian
        D - W with W >= 0: no eigenvalue has a negative real part.
    max_iterations
        Restarts of the iteration before it is given up.

    Returns
    -------
    float
        0 for a graph without edges.

    Examples
    --------
    >>> laplacian = csr_matrix([[2.0, -2.0, 0.0], [0.0, 2.0, -2.0], [-2.0, 0.0, 2.0]])
    >>> round(largest_real_part(laplacian), 12)  # the eigenvalues are 0 and 3 +- i sqrt(3)
    3.06
    """
    num_vertices = laplacian.diagonal().size
    gershgorin = _gershgorin(laplacian)
    if gershgorin == 0.0:
        return 0.0
    if num_vertices <= _DENSE_EIGENVALUE_VERTICES:
        value = float(np.linalg.eigvals(laplacian.toarray()).real.max())
        return min(value * (1.0 + _NON_NORMAL_MARGIN), gershgorin)
    start = np.random.default_rng(0).standard_normal(num_vertices)
    try:
        found = eigs(
            laplacian,
            k=1,
            which="LR",
            tol=_NON_NORMAL_TOLERANCE,  # pyright: ignore[reportArgumentType]
            v0=start,
            ncv=40,
            maxiter=max_iterations,
        )
    except ArpackNoConvergence:
        return gershgorin
    value, vector = np.asarray(found[0])[0], np.asarray(found[1])[:, 0]
    residual = float(np.linalg.norm(laplacian @ vector - value * vector))
    return min((float(value.real) + residual) * (1.0 + _NON_NORMAL_MARGIN), gershgorin)


def fourier_basis(
    graph: "SphereGraph", num: int | None = None
) -> tuple[Float[np.ndarray, "num"], Float[np.ndarray, "vertices num"]]:
    """The graph Fourier basis: eigenvalues and eigenvectors of the Laplacian, L U = U Λ.

    The columns of U are orthonormal for the inner product in which L is self-adjoint:
    Uᵀ diag(m) U = I with m = ``graph.vertex_mass``, ones if L is symmetric. On an even sampling
    they resemble the spherical harmonics, in groups of 2l + 1 eigenvalues near a multiple of
    l (l + 1). Within a group of equal eigenvalues the basis is arbitrary.

    Parameters
    ----------
    graph
        A graph.
    num
        How many, from the lowest eigenvalue, 1 to vertices. All if not given, which is for at most
        5,000 vertices.

    Returns
    -------
    eigenvalues
        (num,), ascending.
    vectors
        (vertices, num); the largest entry of each column is positive.

    Raises
    ------
    ValueError
        If num is out of range, if so many vectors of so large a graph are wanted, or if L is
        self-adjoint for no masses.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Healpix
    >>> graph = build_graph(Healpix(nside=4), weights="cotangent")
    >>> eigenvalues, vectors = fourier_basis(graph, num=4)
    >>> abs(eigenvalues).round(2)
    array([0.  , 1.96, 1.96, 1.98])

    References
    ----------
    Shuman et al., 2013, The emerging field of signal processing on graphs, section II.
    """
    size = graph.num_vertices
    wanted = size if num is None else num
    if not 1 <= wanted <= size:
        raise ValueError(
            f"num must be from 1 to the number of vertices ({size}), got {num}; "
            "leave it out for all of them"
        )
    vertex_mass = _masses(graph)
    mass = None if graph.symmetric else vertex_mass
    matrix = _symmetrized(graph.laplacian, mass)
    if size <= MAX_DENSE_VERTICES:
        eigenvalues, vectors = np.linalg.eigh(matrix.toarray())
        eigenvalues, vectors = eigenvalues[:wanted], vectors[:, :wanted]
    elif wanted <= size // 10:
        eigenvalues, vectors = _lowest_eigenvectors(matrix, wanted)
    else:
        raise ValueError(
            f"num must be at most a tenth of the vertices ({size // 10}) on graphs of more than "
            f"{MAX_DENSE_VERTICES} vertices, got {num} with {size}; ask for the lowest ones only, "
            "or use filter_signal(method='chebyshev'), which needs no basis"
        )
    if mass is not None:
        vectors = vectors / np.sqrt(mass)[:, None]
    largest = np.take_along_axis(vectors, abs(vectors).argmax(axis=0)[None], axis=0)
    return eigenvalues, vectors * np.sign(largest)


def graph_fourier_transform(
    graph: "SphereGraph",
    signals: Float[np.ndarray, "*batch vertices channels"],
    vectors: Float[np.ndarray, "vertices num"],
) -> Float[np.ndarray, "*batch num channels"]:
    """Coefficients of signals in the graph Fourier basis: Uᵀ diag(m) x.

    Parameters
    ----------
    graph
        The graph of the basis; gives the masses m.
    signals
        Values on its vertices.
    vectors
        U, from `fourier_basis`.

    Returns
    -------
    ndarray
        (*batch, num, channels).

    Raises
    ------
    ValueError
        If the signals are not finite or not on the vertices of the graph, or if L is self-adjoint
        for no masses.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Healpix
    >>> graph = build_graph(Healpix(nside=2), num_neighbors=8)
    >>> _, vectors = fourier_basis(graph)
    >>> spectrum = graph_fourier_transform(graph, np.ones((48, 1)), vectors)
    >>> round(float(spectrum[0, 0] ** 2), 6), round(float((spectrum**2).sum()), 6)
    (48.0, 48.0)
    """
    check_signals(graph, signals)
    return np.einsum("vn,v,...vc->...nc", vectors, _masses(graph), signals, optimize=True)


def inverse_graph_fourier_transform(
    coefficients: Float[np.ndarray, "*batch num channels"],
    vectors: Float[np.ndarray, "vertices num"],
) -> Float[np.ndarray, "*batch vertices channels"]:
    """Signals of given coefficients in the graph Fourier basis: U x̂.

    Parameters
    ----------
    coefficients
        From `graph_fourier_transform`.
    vectors
        U, from `fourier_basis`.

    Returns
    -------
    ndarray
        (*batch, vertices, channels).

    Examples
    --------
    >>> inverse_graph_fourier_transform(np.ones((1, 1)), np.full((4, 1), 0.5)).ravel()
    array([0.5, 0.5, 0.5, 0.5])
    """
    return np.einsum("vn,...nc->...vc", vectors, coefficients)


def _masses(graph: "SphereGraph") -> Float[np.ndarray, "vertices"]:
    """The masses for which the Laplacian is self-adjoint, without which it has no Fourier basis."""
    if graph.vertex_mass is None:
        raise ValueError(
            "graph must have a Laplacian that is self-adjoint, as only these have an orthonormal "
            f"Fourier basis, got weights={graph.options.weights!r}; build it with "
            "weights='optimal_symmetric', or filter with filter_signal(method='chebyshev')"
        )
    return graph.vertex_mass


def _symmetrized(laplacian: csr_matrix, mass: Float[np.ndarray, "vertices"] | None) -> csr_matrix:
    """The symmetric matrix diag(m)^(1/2) L diag(m)^(-1/2), which has the eigenvalues of L."""
    if mass is None:
        return laplacian
    root = np.sqrt(mass)
    return csr_matrix(diags(root) @ laplacian @ diags(1.0 / root))


def _lowest_eigenvectors(
    matrix: csr_matrix, num: int
) -> tuple[Float[np.ndarray, "num"], Float[np.ndarray, "vertices num"]]:
    """The lowest eigenvalues and eigenvectors of a large sparse symmetric matrix."""
    # the inverse of the matrix shifted a little below its lowest eigenvalue, 0, has them on top
    diagonal = matrix.diagonal()
    shift = -float(diagonal.mean()) / diagonal.size
    start = np.random.default_rng(0).standard_normal(diagonal.size)
    eigenvalues, vectors = eigsh(matrix.tocsc(), k=num, sigma=shift, which="LM", v0=start)
    order = np.argsort(eigenvalues)
    return eigenvalues[order], vectors[:, order]
