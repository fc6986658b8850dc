"""The cache of weights on disk: the same bits, whatever happens to its files."""

import ast
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import platformdirs
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse import random as random_matrix

from deepsphere.graph import build_graph, cache, cache_info, clear_cache
from deepsphere.graph.cache import MIN_CACHED_VERTICES, cached_matrix
from deepsphere.sampling import Fibonacci, Healpix, RandomUniform, Scattered

LARGE = Fibonacci(MIN_CACHED_VERTICES + 1)


class Builder:
    """A computation that counts how often it was done."""

    def __init__(self, seed: int = 0) -> None:
        self.seed, self.calls = seed, 0

    def __call__(self) -> csr_matrix:
        self.calls += 1
        size = LARGE.num_vertices
        matrix = random_matrix(size, size, density=1e-3, random_state=self.seed)
        return csr_matrix(matrix)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for each test."""
    monkeypatch.setenv("DEEPSPHERE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def cached(builder: Builder, sampling=LARGE, **options) -> csr_matrix:
    return cached_matrix("test", sampling, options, builder)


def the_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def assert_identical(first: csr_matrix, second: csr_matrix) -> None:
    for name in ("data", "indices", "indptr"):
        one, other = getattr(first, name), getattr(second, name)
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()
    assert first.shape == second.shape


def test_second_time_is_read_and_has_the_same_bits(folder):
    builder = Builder()
    first, second = cached(builder), cached(builder)
    assert builder.calls == 1
    assert_identical(first, second)
    assert second.has_canonical_format
    assert the_file(folder).suffix == ".npz"


@pytest.mark.parametrize("sampling", [RandomUniform(2100), Fibonacci(2100)], ids=repr)
def test_graph_from_the_cache_has_the_bits_of_one_without(sampling, folder, monkeypatch):
    options = {"weights": "optimal", "num_neighbors": 12, "disconnected": "allow"}
    stored = build_graph(sampling, **options)
    assert the_file(folder).is_file()
    loaded = build_graph(sampling, **options)
    monkeypatch.setenv("DEEPSPHERE_CACHE", "off")
    fresh = build_graph(sampling, **options)
    for graph in (loaded, fresh):
        assert_identical(stored.adjacency, graph.adjacency)
        assert_identical(stored.laplacian, graph.laplacian)
        assert graph.lambda_max == stored.lambda_max


def test_subset_is_cut_from_the_cached_weights_of_its_whole(folder):
    whole = build_graph(LARGE, weights="optimal", num_neighbors=12)
    part = build_graph(LARGE.subset(np.arange(600)), weights="optimal", num_neighbors=12)
    assert the_file(folder).is_file()
    assert (part.adjacency != whole.adjacency[:600][:, :600]).nnz == 0


def test_each_sampling_and_each_option_has_its_file(folder):
    lon, lat = np.rad2deg(LARGE.lon), np.rad2deg(LARGE.lat)
    moved = lat.copy()
    moved[7] += 1e-10
    samplings = [LARGE, Fibonacci(3000), Scattered(lon, lat), Scattered(lon, moved)]
    for number, sampling in enumerate(samplings, start=1):
        builder = Builder()
        cached(builder, sampling)
        assert (builder.calls, len(list(folder.iterdir()))) == (1, number)
    for options in ({"num_neighbors": 8}, {"num_neighbors": 12}, {"num_neighbors": None}):
        builder = Builder()
        cached(builder, **options)
        assert builder.calls == 1
    assert cache_info().num_files == 7


def test_small_samplings_are_not_cached(folder):
    builder = Builder()
    cached(builder, Healpix(nside=8))
    build_graph(Healpix(nside=8), weights="optimal")
    assert not folder.exists()


@pytest.mark.parametrize("value", ["", "off", " OFF "])
def test_cache_can_be_turned_off(folder, monkeypatch, value):
    monkeypatch.setenv("DEEPSPHERE_CACHE", value)
    builder = Builder()
    cached(builder), cached(builder)
    assert builder.calls == 2
    assert cache_info() == (None, 0, 0)
    assert clear_cache() == 0


def test_cache_is_in_the_folder_of_the_system_unless_named(monkeypatch):
    monkeypatch.delenv("DEEPSPHERE_CACHE")
    expected = Path(platformdirs.user_cache_dir("deepsphere", appauthor=False))
    assert expected in cache_info().directory.parents


def test_info_and_clear_count_the_files(folder):
    assert cache_info() == (folder, 0, 0)
    cached(Builder())
    (folder / "notes.txt").write_text("not of the cache")
    size = next(folder.glob("*.npz")).stat().st_size
    assert cache_info() == (folder, 1, size)
    assert clear_cache() == 1
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def replace_by_text(path: Path) -> None:
    path.write_text("something else")


def drop_an_array(path: Path) -> None:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "indptr"}
    np.savez(path, **arrays)


def change_a_weight(path: Path) -> None:
    """An archive in order, whose content is not what was stored."""
    with np.load(path) as file:
        arrays = dict(file)
    arrays["data"][5] += 1e-12
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    "damage", [cut, empty, flip_one_bit, replace_by_text, drop_an_array, change_a_weight]
)
def test_damaged_file_is_built_again_with_a_warning(folder, damage):
    builder = Builder()
    first = cached(builder)
    damage(the_file(folder))
    with pytest.warns(UserWarning, match=r"the cached graph .* is damaged .*it is built again"):
        assert_identical(first, cached(builder))
    assert builder.calls == 2
    assert_identical(first, cached(builder))
    assert builder.calls == 2


@pytest.mark.parametrize("changed", ["FORMAT_VERSION", "solver_version"])
def test_file_of_another_version_is_built_again_with_a_warning(folder, monkeypatch, changed):
    old, new = Builder(seed=1), Builder(seed=2)
    cached(old)
    value = 999 if changed == "FORMAT_VERSION" else (lambda solver: "of tomorrow")
    monkeypatch.setattr(cache, changed, value)
    with pytest.warns(UserWarning, match=r"the cached graph .* is of another version; it is built"):
        found = cached(new)
    assert_identical(found, new())
    assert_identical(found, cached(old))
    assert (old.calls, new.calls) == (1, 2)
    assert the_file(folder).is_file()


def test_file_of_other_weights_under_this_name_is_not_taken(folder):
    cached(Builder(seed=1), num_neighbors=8)
    wrong = the_file(folder)
    builder = Builder(seed=2)
    expected = cached(builder, num_neighbors=9)
    right = next(path for path in folder.iterdir() if path != wrong)
    right.write_bytes(wrong.read_bytes())
    with pytest.warns(UserWarning, match="another version"):
        assert_identical(cached(builder, num_neighbors=9), expected)


def test_folder_that_cannot_be_written_warns_once_and_builds(tmp_path, monkeypatch):
    obstacle = tmp_path / "file"
    obstacle.write_text("where a folder should be")
    monkeypatch.setenv("DEEPSPHERE_CACHE", str(obstacle / "cache"))
    builder = Builder()
    with pytest.warns(UserWarning, match=r"graphs cannot be cached in .*file.cache \(Not a direct"):
        first = cached(builder)
    assert_identical(first, cached(builder))  # no second warning, which would be an error
    assert builder.calls == 2


def test_full_disk_leaves_no_file_behind(folder, monkeypatch):
    def savez(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", savez)
    with pytest.warns(UserWarning, match=r"graphs cannot be cached in .*\(No space left on device"):
        cached(Builder())
    assert list(folder.iterdir()) == []


def test_processes_that_write_at_once_leave_one_complete_file(folder):
    workers = 8
    barrier = Barrier(workers)

    def work(_: int) -> csr_matrix:
        def build() -> csr_matrix:
            matrix = Builder()()
            barrier.wait()  # all have found nothing, and all are about to write
            return matrix

        return cached_matrix("test", LARGE, {}, build)

    with ThreadPoolExecutor(workers) as pool:
        matrices = list(pool.map(work, range(workers)))
    assert zipfile.ZipFile(the_file(folder)).testzip() is None
    builder = Builder()
    for matrix in matrices:
        assert_identical(matrix, cached(builder))
    assert builder.calls == 0


def test_files_left_by_an_interrupted_process_are_cleared(folder):
    cached(Builder())
    (folder / "test-0123-abc.npz.part").write_bytes(b"half")
    assert clear_cache() == 2


@pytest.mark.parametrize(
    ("first", "files", "besides"),
    [
        # which pixels are neighbors is a fact of HEALPix
        (["optimal_rows", "optimal_symmetric"], cache._SOLVER_FILES, {"pixel_neighbors"}),
        (["cell_overlap"], cache._OVERLAP_FILES, {"cache", "notice"}),
    ],
    ids=["weights", "overlaps"],
)
def test_version_covers_every_file_that_the_solvers_import(first, files, besides):
    room = Path(cache.__file__).parent
    waiting, seen = list(first), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in ast.walk(ast.parse((room / f"{name}.py").read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(
                "deepsphere.graph."
            ):
                waiting.append(node.module.rsplit(".", 1)[1])
    assert seen - besides == set(files)
