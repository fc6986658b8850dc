"""The original climate data set, in folders that these tests write."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from deepsphere.data.climate_files import climate_dates, climate_key, find_files, read_split_lists
from deepsphere.data.climate_folders import (
    ArchiveMap,
    class_numbers,
    open_climate_folder,
    read_climate_folder,
    read_mesh_points,
)
from deepsphere.sampling import Icosahedral, Scattered

NUM = 162
KEYS = [
    f"data-1996-06-{day:02d}-{hour:02d}-{run}"
    for run in (1, 2)
    for day in (1, 2)
    for hour in range(3)
]


def write_map(folder: Path, key: str, *, seed: int = 0, num: int = NUM) -> Path:
    """An archive as of the data set."""
    generator = np.random.default_rng(seed)
    labels = np.eye(3)[generator.integers(0, 3, num)].T
    path = folder / f"{key}-mesh.npz"
    np.savez(path, data=generator.normal(size=(16, num)), labels=labels)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve maps, with lists of which some end as file names do."""
    inside = tmp_path / "data_5_all"
    inside.mkdir()
    for seed, key in enumerate(KEYS):
        write_map(inside, key, seed=seed)
    (inside / "train.txt").write_text("\n".join(f"{key}-mesh.npz" for key in KEYS[5::-1]) + "\n\n")
    (inside / "val.txt").write_text("\n".join(KEYS[6:9]))
    (inside / "test.txt").write_text("\n".join(f"{key}.h5" for key in KEYS[9:]))
    return tmp_path


def test_folder_gives_the_lists_the_signals_and_the_classes(folder: Path) -> None:
    for where in (folder, folder / "data_5_all"):
        train, validation, test = open_climate_folder(where)
        assert validation is not None
        assert test is not None
        assert (train.names, validation.names) == (tuple(KEYS[5::-1]), tuple(KEYS[6:9]))
        assert test.names == tuple(KEYS[9:])
        assert train.sampling == Icosahedral(level=2)
        assert train.runs.tolist() == [1] * 6
        # hours 0, 1 and 2 are the first steps of a day, of three hours each
        assert str(test.dates[1]) == "1996-06-02T03"
        with np.load(folder / "data_5_all" / f"{KEYS[9]}-mesh.npz") as archive:
            signals, labels = test.read(0)
            np.testing.assert_array_equal(signals, archive["data"].T.astype(np.float32))
            np.testing.assert_array_equal(labels, np.argmax(archive["labels"], axis=0))


def test_days_that_are_not_there_are_missing_dates(folder: Path) -> None:
    missing = read_climate_folder(folder).missing_dates()
    # steps 3 to 7 of the first day, in both runs
    assert len(missing) == 10
    assert str(missing[0][1]) == "1996-06-01T09"


def test_order_of_vertices_is_that_of_the_original_mesh() -> None:
    # written by the code of UGSCNN, see make_icosphere_oracle.py
    with np.load(Path(__file__).parents[1] / "data" / "icosphere_oracle.npz") as oracle:
        vertices = oracle["vertices"]
    np.testing.assert_allclose(Icosahedral(level=3).points, vertices, atol=1e-9)


def test_mesh_gives_the_vertices(folder: Path, tmp_path: Path) -> None:
    points = Icosahedral(level=2).points
    path = tmp_path / "icosphere_2.pkl"
    for protocol in (2, 4):
        path.write_bytes(pickle.dumps({"F": np.zeros((3, 3)), "V": points}, protocol=protocol))
        np.testing.assert_allclose(read_mesh_points(path), points, atol=1e-12)
    assert read_climate_folder(folder, mesh=path).sampling == Icosahedral(level=2)
    turned = points[::-1]
    np.savez(tmp_path / "mesh.npz", vertices=2 * turned)
    sampling = read_climate_folder(folder, mesh=tmp_path / "mesh.npz").sampling
    assert isinstance(sampling, Scattered)
    np.testing.assert_allclose(sampling.points, turned, atol=1e-9)


def test_mesh_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (print, ("harm",))

    path = tmp_path / "icosphere.pkl"
    path.write_bytes(pickle.dumps({"V": Harmful()}))
    with pytest.raises(ValueError, match=r"it asks for builtins.print, more than arrays"):
        read_mesh_points(path)


def test_mesh_that_is_none_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="mesh must name a file"):
        read_mesh_points(tmp_path / "nothing.pkl")
    np.save(tmp_path / "flat.npy", np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"must hold vertices \(vertices, 3\), got shape \(5, 2\)"):
        read_mesh_points(tmp_path / "flat.npy")
    np.save(tmp_path / "center.npy", np.zeros((5, 3)))
    with pytest.raises(ValueError, match="got one at its center"):
        read_mesh_points(tmp_path / "center.npy")
    np.savez(tmp_path / "other.npz", faces=np.zeros(3))
    with pytest.raises(ValueError, match="must hold the vertices of a mesh as V"):
        read_mesh_points(tmp_path / "other.npz")
    np.save(tmp_path / "fewer.npy", Icosahedral(level=1).points)
    with pytest.raises(ValueError, match="mesh must have the 162 vertices of the maps, got 42"):
        read_climate_folder(folder, mesh=tmp_path / "fewer.npy")


def test_cut_file_is_named_when_it_is_read(folder: Path) -> None:
    path = folder / "data_5_all" / f"{KEYS[3]}-mesh.npz"
    path.write_bytes(path.read_bytes()[:500])
    events = read_climate_folder(folder)
    events.read(0)
    with pytest.raises(ValueError, match=rf"{KEYS[3]}-mesh.npz must be a complete archive"):
        events.read(events.names.index(KEYS[3]))


def test_file_of_another_content_is_named(tmp_path: Path) -> None:
    path = tmp_path / f"{KEYS[0]}-mesh.npz"
    np.savez(path, data=np.zeros((16, 12)), labels=np.zeros((3, 11)))
    with pytest.raises(ValueError, match=r"must hold data \(channels, vertices\) and labels"):
        read_climate_folder(tmp_path)
    np.savez(path, data=np.zeros((15, 12)), labels=np.zeros((3, 12)))
    with pytest.raises(ValueError, match="must hold 16 channels, got 15"):
        read_climate_folder(tmp_path)
    np.savez(path, data=np.zeros((16, 13)), labels=np.zeros((3, 13)))
    with pytest.raises(ValueError, match="vertices of an icosahedral sampling, got 13"):
        read_climate_folder(tmp_path)


@pytest.mark.parametrize(
    ("data", "labels", "message"),
    [
        (np.float32(3), np.zeros(12), r"must hold data \(channels, vertices\) .*, got shapes \(\)"),
        (np.full((16, 12), "a"), np.zeros(12), "must hold real numbers as data, got <U1"),
        (np.full((16, 12), 1j), np.zeros(12), "must hold real numbers as data, got complex128"),
        (np.zeros((16, 12)), np.full(12, "a"), "must hold real numbers as labels, got <U1"),
        (np.zeros((16, 12)), np.ones((3, 12)), "strange.npz: labels must mark one class at each"),
    ],
)
def test_strange_arrays_are_refused_by_the_name_of_their_file(tmp_path, data, labels, message):
    np.savez(tmp_path / "strange.npz", data=data, labels=labels)
    with pytest.raises(ValueError, match=message):
        ArchiveMap(tmp_path / "strange.npz").read()


def test_list_that_is_no_text_is_refused(folder: Path) -> None:
    next(folder.rglob("train.txt")).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"train.txt must be a list of names .* that is no text"):
        open_climate_folder(folder)


def test_vertices_without_a_class_are_not_labelled() -> None:
    assert class_numbers(np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])).tolist() == [0, -1]
    assert class_numbers(np.array([2.0, np.nan])).tolist() == [2, -1]
    with pytest.raises(ValueError, match="labels must mark one class at each vertex, got 2 at"):
        class_numbers(np.ones((2, 3)))


def test_lists_that_do_not_fit_are_rejected(folder: Path) -> None:
    inside = folder / "data_5_all"
    (inside / "test.txt").write_text("data-1999-01-01-00-1\n")
    with pytest.raises(ValueError, match=r"maps of the list for test, got 0 \(data-1999"):
        open_climate_folder(folder)
    (inside / "test.txt").write_text(KEYS[0])
    with pytest.raises(ValueError, match=f"got {KEYS[0]} in train and test"):
        open_climate_folder(folder)
    (inside / "test.txt").write_text("\n")
    with pytest.raises(ValueError, match="must name at least one map, got none"):
        read_split_lists(inside)
    for name in ("train", "val", "test"):
        (inside / f"{name}.txt").unlink()
    with pytest.raises(ValueError, match="must hold lists of the splits"):
        open_climate_folder(folder)


def test_folder_without_maps_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="path must name a folder of climate maps"):
        open_climate_folder(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match=r"path must hold files data-\*.npz"):
        open_climate_folder(tmp_path)


def test_two_files_of_one_map_are_rejected(folder: Path) -> None:
    (folder / "more").mkdir()
    write_map(folder / "more", KEYS[0])
    with pytest.raises(ValueError, match="each map must be in one file"):
        find_files(folder, ".npz")


def test_names_are_dates_by_hour_or_step() -> None:
    hours, runs = climate_dates(["data-2000-01-01-03-1", "data-2000-01-01-21-4"])
    assert [str(one) for one in hours] == ["2000-01-01T03", "2000-01-01T21"]
    assert runs.tolist() == [1, 4]
    with pytest.raises(ValueError, match="names must hold dates of the calendar"):
        climate_dates(["data-2001-02-30-00-1"])
    with pytest.raises(ValueError, match="names must be like data-"):
        climate_dates(["map"])
    with pytest.raises(ValueError, match="files must be named like"):
        climate_key("map.npz")


def test_numbers_of_classes_are_not_taken_modulo_a_byte() -> None:
    assert class_numbers(np.array([0, 2, 300, 256, 255, -1])).tolist() == [0, 2, 127, 127, -1, -1]
    assert class_numbers(np.array([1.0, np.nan])).tolist() == [1, -1]
    with pytest.raises(
        ValueError, match=r"labels must be the numbers of classes, got 1\.5 at vertex 1"
    ):
        class_numbers(np.array([1.0, 1.5]))


def test_marks_of_two_classes_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "data-2106-01-01-00-1-mesh.npz"
    np.savez(path, data=np.zeros((16, 12)), labels=np.ones((2, 12)))
    with pytest.raises(
        ValueError, match=r"labels \(3 classes, vertices\), got shapes .* \(2, 12\)"
    ):
        ArchiveMap(path).read()
