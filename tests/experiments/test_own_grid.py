"""The equivariance of anybody's sampling: files of points, the table, the written files."""

import json
from pathlib import Path

import numpy as np
import pytest

from deepsphere.cli import main
from deepsphere.equivariance import equivariance_error
from deepsphere.experiments.own_grid import grid_facts, grid_table, measure_grid
from deepsphere.experiments.point_files import read_sampling
from deepsphere.graph import build_graph
from deepsphere.sampling import Healpix, RandomUniform, Scattered

LON = np.array([0.0, 90.0, -120.0, 10.0, 200.0])
LAT = np.array([5.0, -45.0, 80.0, 30.0, -70.0])


def write_points(folder: Path, kind: str) -> Path:
    path = folder / f"points.{kind.split()[-1]}"
    if kind == "plain csv":
        np.savetxt(path, np.column_stack([LON, LAT]), delimiter=",")
    elif kind == "named csv":
        lines = ["name, Latitude ,lon"] + [f"a,{y},{x}" for x, y in zip(LON, LAT, strict=True)]
        path.write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    elif kind == "npz":
        np.savez(path, lat=LAT.astype(np.float32), longitude=LON, name=np.array(["a"] * 5))
    else:
        np.save(path, np.column_stack([LON, LAT]))
    return path


@pytest.mark.parametrize("kind", ["plain csv", "named csv", "npz", "npy"])
def test_points_of_a_file_become_a_sampling(kind: str, tmp_path: Path):
    found = read_sampling(str(write_points(tmp_path, kind)))
    assert found.sampling == Scattered(LON, LAT)
    assert found.num_repeated == 0


def test_specification_is_understood_as_ever():
    assert read_sampling("healpix:4").sampling == Healpix(4)


def test_repeated_points_are_left_out_and_counted(tmp_path: Path):
    path = tmp_path / "points.npy"
    np.save(path, np.column_stack([np.r_[LON, LON[:2]], np.r_[LAT, LAT[:2]]]))
    found = read_sampling(str(path))
    assert found.sampling == Scattered(LON, LAT)
    assert found.num_repeated == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "must hold a line for each point, got no line"),
        ("a.csv", "x,y\n1,2\n", "must name a column lon or longitude, got x, y; rename it"),
        (
            "a.csv",
            "lon,lat\n1,2\n3\n",
            "in every line, got '3' in line 3",
        ),
        ("a.csv", "1,2\nnan,4\n", "must hold finite degrees, got 1 points that are not"),
        ("a.csv", "1,95\n3,4\n", "lat_deg"),
        ("a.npz", "no archive", "must be a NumPy archive, got another format"),
        ("a.npy", "no array", "must be a NumPy array file, got another format"),
        ("a.txt", "1,2", "a file of points must end in one of .csv, .npz, .npy"),
    ],
)
def test_bad_file_is_named_with_what_is_needed(name, content, message, tmp_path: Path):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError) as caught:
        read_sampling(str(path))
    assert message in str(caught.value)


def test_arrays_of_other_shapes_are_rejected(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"must hold real numbers \(points, 2\), longitude first"):
        read_sampling(str(tmp_path / "a.npy"))
    np.savez(tmp_path / "a.npz", lon=LON, lat=LAT[:3])
    with pytest.raises(ValueError, match="must hold lon and lat of one real number for each point"):
        read_sampling(str(tmp_path / "a.npz"))


def test_missing_file_is_said_to_be_missing():
    with pytest.raises(FileNotFoundError, match=r"got nowhere\.csv, no file"):
        read_sampling("nowhere.csv")


def test_table_holds_the_errors_of_both_graphs():
    found = measure_grid(read_sampling("healpix:4"), num_neighbors=8)
    chosen = build_graph(Healpix(4), num_neighbors=8)
    other = build_graph(Healpix(4), num_neighbors=8, weights="gaussian")
    np.testing.assert_allclose(found.graphs[0].errors, equivariance_error(chosen))
    np.testing.assert_allclose(found.graphs[1].errors, equivariance_error(other))
    headings, rows = grid_table(found)
    assert headings == ["degree", "optimal_symmetric, k = 8", "gaussian, k = 8", "second / first"]
    assert [row[0] for row in rows] == ["1", "2", "5", "10"]
    assert rows[2][2] == f"{equivariance_error(other, degrees=[5])[0]:.3g}"
    assert dict(grid_facts(found))["vertices"] == "192"


def test_beside_gaussian_weights_stand_optimal_ones():
    found = measure_grid(read_sampling("healpix:4"), num_neighbors=8, weights="gaussian")
    assert [graph.name for graph in found.graphs] == ["gaussian, k = 8", "optimal_symmetric, k = 8"]


def test_scattered_points_have_the_errors_of_the_vertices_that_they_resolve():
    found = measure_grid(read_sampling("random_uniform:300"), degrees=[2, 8])
    assert found.resolved_share is not None
    assert found.resolved_share[0] >= found.resolved_share[1]
    graph = build_graph(RandomUniform(300))
    np.testing.assert_allclose(found.graphs[0].errors, equivariance_error(graph))
    headings, rows = grid_table(found)
    assert "resolved" in headings
    assert len(rows) == 2


def test_degree_beyond_the_sampling_is_rejected():
    with pytest.raises(ValueError, match="degrees must be from 1 to 11 on this sampling, got 12"):
        measure_grid(read_sampling("healpix:4"), degrees=[12])


def test_command_prints_a_table_and_writes_its_files(tmp_path: Path, capsys):
    words = ["equivariance", "healpix:4", "--num-neighbors", "8", "--weights", "gaussian"]
    assert main([*words, "--degrees", "1,10", "--output", str(tmp_path / "out")]) == 0
    output = capsys.readouterr().out
    graph = build_graph(Healpix(4), num_neighbors=8, weights="gaussian")
    assert f"{equivariance_error(graph, degrees=[10])[0]:.3g}" in output
    assert "median" in output
    numbers = json.loads((tmp_path / "out" / "equivariance.json").read_text(encoding="utf-8"))
    np.testing.assert_allclose(numbers["graphs"][0]["errors"], equivariance_error(graph))
    assert (tmp_path / "out" / "equivariance.png").stat().st_size > 1000
    # what is there is kept unless told otherwise
    assert main([*words, "--output", str(tmp_path / "out")]) == 2
    assert "must not exist yet" in capsys.readouterr().err
    assert main([*words, "--output", str(tmp_path / "out"), "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["healpix:0"], "nside"),
        (["nowhere.csv"], "got nowhere.csv, no file"),
        (
            ["healpix:4", "--degrees", "a"],
            "must be whole numbers between commas, got 'a'",
        ),
        (["healpix:4", "--weights", "heavy"], "'heavy' is not one of"),
    ],
)
def test_mistake_is_one_line(words, message, capsys):
    assert main(["equivariance", *words]) == 2
    line = capsys.readouterr().err.strip()
    assert message in line
    assert "\n" not in line
