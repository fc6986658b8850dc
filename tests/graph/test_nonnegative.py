"""Nonnegative minima against an independent solver, and by the conditions that single them out."""

import numpy as np
import pytest
from scipy.optimize import nnls

from deepsphere.graph.nonnegative import minimize_nonnegative, solve_nonnegative

# relative residual at which both methods stop, with room for the condition of the problems
FOUND = 1e-8


def random_problem(size: int, seed: int, num_equations: int | None = None):
    """G = Aᵀ A with a unit diagonal, h = Aᵀ y: the normal equations of min ‖A w - y‖."""
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((num_equations or 2 * size, size))
    factor /= np.linalg.norm(factor, axis=0)
    right = rng.standard_normal(len(factor))
    return factor, right


def assert_conditions(matrix: np.ndarray, vector: np.ndarray, solution: np.ndarray):
    """w ≥ 0, G w - h ≥ 0, and one of the two zero for each variable: necessary and sufficient."""
    scale = FOUND * max(np.abs(vector).max(), 1e-300)
    gradient = matrix @ solution - vector
    assert solution.min() >= 0
    assert gradient.min() >= -scale
    assert np.abs(solution * gradient).max() <= scale * max(solution.max(), 1e-300)


def minimize(matrix, vector, *, start=None, max_products=2000):
    return minimize_nonnegative(
        matrix.dot,
        vector,
        diagonal=np.diag(matrix).copy(),
        start=np.ones(len(vector)) if start is None else start,
        max_products=max_products,
    )


# --- many small problems ---


@pytest.mark.parametrize("size", [1, 2, 7, 20, 60])
def test_small_problems_have_the_minimum_of_another_solver(size):
    problems = [random_problem(size, seed) for seed in range(10)]
    matrices = np.stack([factor.T @ factor for factor, _ in problems])
    vectors = np.stack([factor.T @ right for factor, right in problems])
    solutions = solve_nonnegative(matrices, vectors)
    for (factor, right), solution in zip(problems, solutions, strict=True):
        np.testing.assert_allclose(solution, nnls(factor, right)[0], atol=FOUND)


def test_small_problems_do_not_depend_on_each_other():
    problems = [random_problem(9, seed) for seed in range(5)]
    matrices = np.stack([factor.T @ factor for factor, _ in problems])
    vectors = np.stack([factor.T @ right for factor, right in problems])
    together = solve_nonnegative(matrices, vectors)
    for place in range(5):
        alone = solve_nonnegative(matrices[place : place + 1], vectors[place : place + 1])
        np.testing.assert_allclose(together[place], alone[0], atol=1e-13)


def test_small_problems_without_a_positive_gradient_have_the_solution_zero():
    factor, _ = random_problem(12, 0)
    vectors = np.stack([-np.ones(12), np.zeros(12)])
    solutions = solve_nonnegative(np.tile(factor.T @ factor, (2, 1, 1)), vectors)
    assert not solutions.any()


@pytest.mark.parametrize("seed", range(5))
def test_small_problems_of_nearly_equal_variables_are_solved(seed):
    """Twins, and fewer equations than variables: only a nugget of 1e-9 keeps these apart."""
    factor, right = random_problem(30, seed, num_equations=12)
    factor[:, 15:] = factor[:, :15] + 1e-7 * np.random.default_rng(seed).standard_normal((12, 15))
    matrix = factor.T @ factor + 1e-9 * np.eye(30)
    vector = factor.T @ right
    solution = solve_nonnegative(matrix[None], vector[None])[0]
    assert_conditions(matrix, vector, solution)


def test_small_problems_whose_solution_lies_beyond_the_first_free_ones_are_solved():
    vector = np.concatenate([-np.ones(40), np.ones(40)])
    solution = solve_nonnegative(np.eye(80)[None], vector[None])[0]
    assert np.array_equal(solution, np.maximum(vector, 0))


def test_small_problems_that_make_exchanges_of_all_variables_cycle_are_solved():
    """Strongly coupled variables, for which full exchanges alone do not end."""
    rng = np.random.default_rng(3)
    for _ in range(30):
        size = 24
        factor = rng.standard_normal((size + 2, size)) + 3
        factor /= np.linalg.norm(factor, axis=0)
        matrix, vector = factor.T @ factor, factor.T @ rng.standard_normal(size + 2)
        solution = solve_nonnegative(matrix[None], vector[None])[0]
        assert_conditions(matrix, vector, solution)


# --- one large problem ---


@pytest.mark.parametrize("size", [1, 3, 40, 150])
@pytest.mark.parametrize("seed", [0, 1])
def test_large_problem_has_the_minimum_of_another_solver(size, seed):
    factor, right = random_problem(size, seed)
    scale = np.geomspace(1e-2, 1e2, size)  # the scaling by the diagonal must undo this
    solution = minimize((scale * factor).T @ (scale * factor), scale * (factor.T @ right))
    np.testing.assert_allclose(scale * solution, nnls(factor, right)[0], atol=FOUND)


@pytest.mark.parametrize("seed", range(4))
def test_large_problem_of_fewer_equations_than_variables_is_solved(seed):
    factor, right = random_problem(80, seed, num_equations=30)
    matrix, vector = factor.T @ factor, factor.T @ right
    solution = minimize(matrix, vector, max_products=20_000)
    assert_conditions(matrix, vector, solution)


def test_large_problem_without_binding_bounds_is_a_linear_system():
    factor, _ = random_problem(50, 5)
    matrix, expected = factor.T @ factor, np.linspace(0.5, 2, 50)
    solution = minimize(matrix, matrix @ expected)
    np.testing.assert_allclose(solution, expected, rtol=1e-9)


def test_large_problem_without_a_positive_gradient_has_the_solution_zero():
    factor, _ = random_problem(50, 5)
    assert np.abs(minimize(factor.T @ factor, -np.ones(50))).max() < FOUND


@pytest.mark.parametrize("start", [0.0, 1.0, 1e6])
def test_start_does_not_matter(start):
    factor, right = random_problem(40, 7)
    matrix, vector = factor.T @ factor, factor.T @ right
    solution = minimize(matrix, vector, start=np.full(40, start))
    np.testing.assert_allclose(solution, nnls(factor, right)[0], atol=FOUND)


@pytest.mark.parametrize("size", [0.0, 1e-9])
def test_variables_that_nothing_depends_on_keep_their_start(size):
    factor, right = random_problem(20, 1)
    factor = np.concatenate([factor, np.full((40, 3), size / np.sqrt(40))], axis=1)
    start = np.concatenate([np.ones(20), [3.0, 0.0, 7.0]])
    solution = minimize(factor.T @ factor, factor.T @ right, start=start)
    np.testing.assert_allclose(solution[:20], nnls(factor[:, :20], right)[0], atol=FOUND)
    assert solution[20:].tolist() == [3, 0, 7]


@pytest.mark.parametrize("max_products", [0, 1, 5, 17, 30])
def test_search_that_is_stopped_is_feasible_and_spends_no_more(max_products):
    factor, right = random_problem(60, 2)
    matrix, vector = factor.T @ factor, factor.T @ right
    calls = []

    def product(weights: np.ndarray) -> np.ndarray:
        calls.append(None)
        return matrix @ weights

    solution = minimize_nonnegative(
        product, vector, diagonal=np.diag(matrix), start=np.ones(60), max_products=max_products
    )
    assert solution.min() >= 0
    # the residual of the start, and what the estimate of the norm and the last step add
    assert len(calls) <= 1 + max_products + max(max_products, 16) + 2


def test_longer_searches_end_lower():
    factor, right = random_problem(60, 2)
    matrix, vector = factor.T @ factor, factor.T @ right
    values = []
    for max_products in (20, 25, 35, 60, 200):
        weights = minimize(matrix, vector, max_products=max_products)
        values.append(weights @ matrix @ weights - 2 * vector @ weights)
    assert (np.diff(values) <= 1e-12).all()
    assert values[-1] < values[0]


def test_search_is_the_same_each_time_and_modifies_nothing():
    factor, right = random_problem(60, 2)
    matrix, vector, start = factor.T @ factor, factor.T @ right, np.ones(60)
    first = minimize(matrix, vector, start=start)
    assert minimize(matrix, vector, start=start).tobytes() == first.tobytes()
    assert (start == 1).all()
    assert np.array_equal(vector, factor.T @ right)
