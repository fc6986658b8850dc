"""Files of meshes: read whole, or refused with a reason; and what cleaning makes of them."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from deepsphere.data.mesh_cleaning import (
    center_mesh,
    clean_mesh,
    normalize_mesh,
    scale_mesh,
    surface_centroid,
)
from deepsphere.data.meshes import MeshError, parse_mesh, read_mesh
from deepsphere.geometry import random_rotations

FLOAT32_ROUNDING = 1e-6
WRITERS = {
    "obj": (".obj", {}),
    "off": (".off", {}),
    "binary ply": (".ply", {}),
    "ascii ply": (".ply", {"encoding": "ascii"}),
    "binary stl": (".stl", {}),
    "ascii stl": (".stl", {"file_type": "stl_ascii"}),
}
TETRAHEDRON = "OFF\n4 4 6\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 1 2 3\n3 2 0 3\n"


def ball(subdivisions: int = 2) -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=subdivisions)


def triangles(mesh: trimesh.Trimesh) -> np.ndarray:
    """Corners of all faces, in an order of their own."""
    corners = mesh.vertices[mesh.faces].reshape(-1, 9)
    return corners[np.lexsort(corners.round(4).T)]


def soup(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The same triangles, none of which shares a vertex."""
    corners = mesh.vertices[mesh.faces].reshape(-1, 3)
    return trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False)


def make(vertices, faces) -> trimesh.Trimesh:
    return trimesh.Trimesh(np.array(vertices, float), np.array(faces), process=False)


@pytest.mark.parametrize("kind", WRITERS)
def test_file_of_another_writer_is_read(kind, tmp_path):
    suffix, options = WRITERS[kind]
    path = tmp_path / f"ball{suffix}"
    mesh = ball()
    mesh.export(path, **options)
    found = read_mesh(path)
    assert np.allclose(triangles(found), triangles(mesh), atol=FLOAT32_ROUNDING)


@pytest.mark.parametrize("kind", WRITERS)
def test_half_a_file_is_refused(kind, tmp_path):
    suffix, options = WRITERS[kind]
    path = tmp_path / f"ball{suffix}"
    ball(3).export(path, **options)
    content = path.read_bytes()
    # not only at the middle: everywhere around it, within lines, numbers and triangles
    for size in range(len(content) // 2 - 40, len(content) // 2 + 40):
        with pytest.raises(MeshError, match="half"):
            parse_mesh(content[:size], suffix=suffix, name="half")


def test_obj_that_lost_its_last_faces_is_refused():
    lines = [f"v {i} 0 {i * i}" for i in range(9)] + ["f 1 2 3", "f 4 5 6", "f 7 8 9"]
    whole = "\n".join(lines)
    assert len(parse_mesh(whole.encode(), suffix=".obj", name="whole").faces) == 3
    for size in range(len(whole) - 7, len(whole) - 1):
        if whole[size - 1] != "\n":
            with pytest.raises(MeshError, match="in no face and a last line without an end"):
                parse_mesh(whole[:size].encode(), suffix=".obj", name="cut")


def test_only_vertex_indices_of_obj_faces_count():
    text = (
        "mtllib there_is_none.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nvt 0 0\nusemtl red\n"
        "o first\nf 1/5 2/6 3/99\nf 1/ 2/ 4/\nf 1//7 3//8 4//9\ns off\nf -3/1/1 -2/2/2 -1/3/3\n"
    )
    found = parse_mesh(text.encode(), suffix=".OBJ", name="repaired")
    assert found.faces.tolist() == [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]


def test_obj_polygon_comment_and_continued_line_are_read():
    text = "v 0 0 0 # origin\r\nv 1 0 0\r\nv 1 1 0\r\nv 0 1 0\r\nf 1 2 \\\r\n3 4 # square\r\n"
    found = parse_mesh(text.encode(), suffix=".obj", name="square")
    assert found.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert np.isclose(found.area, 1)


@pytest.mark.parametrize(
    "header",
    ["OFF\n4 4 6\n", "OFF4 4 6\n", "OFF 4 4 6\n", "# a comment\nOFF\n\n4 4 0 # counts\n"],
)
def test_off_header_is_read_also_glued_to_the_counts(header):
    text = header + TETRAHEDRON.partition("6\n")[2]
    found = parse_mesh(text.encode(), suffix=".off", name="tetrahedron")
    assert found.faces.tolist() == [[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]]
    assert np.isclose(found.volume, 1 / 6)


def test_off_with_colours_and_polygons_is_read():
    text = "COFF\n4 1 0\n0 0 0 1 0 0 1\n1 0 0 1 0 0 1\n1 1 0 1 0 0 1\n0 1 0 1 0 0 1\n4 0 1 2 3 9\n"
    found = parse_mesh(text.encode(), suffix=".off", name="square")
    assert found.faces.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_solids_and_objects_of_a_file_are_joined(tmp_path):
    two = trimesh.util.concatenate([ball(1), ball(1).apply_translation([3, 0, 0])])
    path = tmp_path / "two.stl"
    text = trimesh.exchange.stl.export_stl_ascii(ball(1))
    moved = trimesh.exchange.stl.export_stl_ascii(ball(1).apply_translation([3, 0, 0]))
    path.write_text(f"{text}\n{moved}")
    assert np.allclose(triangles(read_mesh(path)), triangles(two), atol=FLOAT32_ROUNDING)


def test_mesh_with_one_face_is_read(tmp_path):
    path = tmp_path / "one.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3")
    assert len(read_mesh(path).faces) == 1


BROKEN = {
    "empty": (".obj", "", "must hold a mesh, got an empty file"),
    "blank": (".off", " \n\n", "must hold a mesh, got an empty file"),
    "prose.obj": (".obj", "Dear reader,\nvery few facts.\n", "at least one face, got none"),
    "prose.off": (".off", "Dear reader,\n", "must begin with the word OFF"),
    "prose.ply": (".ply", "Dear reader,\n", "must begin with the header of a PLY file"),
    "prose.stl": (".stl", "Dear reader,\n", "as it announces, got 13 bytes"),
    "points.obj": (".obj", "v 0 0 0\nv 1 0 0\n", "got none .and 2 vertices"),
    "no face.off": (".off", "OFF\n1 0 0\n0 0 0\n", "at least one face, got none"),
    "no face.ply": (
        ".ply",
        "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\n"
        "property float z\nend_header\n0 0 0\n",
        "at least one face, got none",
    ),
    "counts.off": (".off", "OFF\nmany few\n", "numbers of vertices and faces after the word OFF"),
    "negative.off": (".off", "OFF\n-3 1 0\n", "numbers of vertices and faces after the word OFF"),
    "no counts.off": (".off", "OFF\n", "numbers of vertices and faces after the word OFF"),
    "short face.off": (
        ".off",
        "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1\n",
        "must hold 3 indices in a face",
    ),
    "fraction.off": (
        ".off",
        "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 1.5\n",
        "a count and whole numbers for each face",
    ),
    "words.off": (".off", TETRAHEDRON.replace("1 0 0", "one 0 0"), "three numbers for each vertex"),
    "short vertex.obj": (".obj", "v 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "three numbers for each"),
    "words.obj": (".obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf a b c\n", "vertex indices, got 'f a b c'"),
    "far.obj": (".obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n", "1 of 1 faces with an index out"),
    "zero.obj": (".obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", "with an index out of range"),
    "back.obj": (".obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -4 1 2\n", "with an index out of range"),
    "far.off": (".off", TETRAHEDRON.replace("3 0 2 1", "3 0 2 9"), "with an index out of range"),
    "nan.off": (".off", TETRAHEDRON.replace("1 0 0", "nan 0 0"), "in 1 of 4 .first: vertex 1"),
    "infinite.obj": (".obj", "v 0 0 0\nv inf 0 0\nv 0 1 0\nf 1 2 3\n", "must have finite vertices"),
    "strays.obj": (".obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\n" + "v 9 9 9\n" * 4 + "f 1 2 3\n", "4 of 7"),
    "bytes.ply": (
        ".ply",
        "ply\nformat binary_little_endian 1.0\nelement vertex 99999999999\nproperty float x\n"
        "element face 1\nproperty list uchar int vertex_indices\nend_header\n",
        "must hold 100000000000 rows",
    ),
    "rows.ply": (
        ".ply",
        "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
        "property float z\nelement face 2\nproperty list uchar int vertex_indices\nend_header\n"
        "0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
        "must hold 5 rows",
    ),
    "no y.ply": (
        ".ply",
        "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nelement face 1\n"
        "property list uchar int vertex_indices\nend_header\n0\n1\n0\n3 0 1 2\n",
        "must be a complete PLY file",
    ),
    "facet.stl": (
        ".stl",
        "solid s\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nendloop\nendfacet\n"
        "endsolid s\n",
        "three vertices for each of 1 facets and endsolid",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_file_is_refused_with_its_name_and_the_reason(case, tmp_path):
    suffix, text, reason = BROKEN[case]
    path = tmp_path / f"broken{suffix}"
    path.write_text(text)
    with pytest.raises(MeshError, match=reason) as caught:
        read_mesh(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ply_row_that_is_cut_is_refused():
    text = (
        "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\n"
        "property float z\nelement face 2\nproperty list uchar int vertex_indices\nend_header\n"
        "0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 1"
    )
    with pytest.raises(MeshError, match="cut"):
        parse_mesh(text.encode(), suffix=".ply", name="cut")
    assert len(parse_mesh(f"{text} 3\n".encode(), suffix=".ply", name="whole").faces) == 2


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(MeshError, match=r"must name a mesh file, got .*chair\.off, which is not"):
        read_mesh(tmp_path / "chair.off")


def test_folder_is_an_error(tmp_path):
    (tmp_path / "chair.off").mkdir()
    with pytest.raises(MeshError, match=r"chair.off cannot be read: Is a directory"):
        read_mesh(tmp_path / "chair.off")


def test_unknown_suffix_lists_the_known(tmp_path):
    with pytest.raises(MeshError, match=r"one of .obj, .off, .ply, .stl, got .*scene.glb"):
        read_mesh(tmp_path / "scene.glb")


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "trimesh", None)
    with pytest.raises(ImportError, match=r"pip install 'deepsphere-torch\[shapes\]'"):
        parse_mesh(TETRAHEDRON.encode(), suffix=".off", name="tetrahedron")


def test_nothing_beside_the_mesh_is_opened(tmp_path, monkeypatch):
    path = tmp_path / "box.obj"
    path.write_text("mtllib box.mtl\nusemtl m\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1/1 2/2 3/3\n")
    (tmp_path / "box.mtl").write_text("newmtl m\nmap_Kd texture.png\n")
    opened = []
    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: opened.append(self) or read_bytes(self))
    read_mesh(path)
    assert opened == [path]


def test_cleaning_joins_a_soup_and_closes_it():
    cleaned = clean_mesh(soup(ball()))
    assert (len(cleaned.vertices), len(cleaned.faces)) == (162, 320)
    assert cleaned.is_watertight
    assert np.isclose(cleaned.volume, ball().volume)


def test_cleaning_leaves_out_what_is_no_surface():
    vertices = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [9, 9, 9], [np.nan, 0, 0], [0.5, 0, 0]]
    faces = [[0, 1, 2], [2, 0, 1], [1, 0, 2], [0, 1, 6], [3, 3, 0], [0, 1, 5], [0, 1, 3], [0, 2, 3]]
    cleaned = clean_mesh(make(vertices, faces))
    # three faces of a tetrahedron, whose hole is then closed
    assert (len(cleaned.vertices), len(cleaned.faces)) == (4, 4)
    assert cleaned.is_watertight
    assert np.isclose(cleaned.volume, 1 / 6)


@pytest.mark.parametrize("seed", range(3))
def test_cleaning_turns_faces_outside_whatever_their_order(seed):
    generator = np.random.default_rng(seed)
    bodies = [ball(1).apply_translation([4, 0, 0]), trimesh.creation.torus(1, 0.3)]
    mesh = trimesh.util.concatenate(bodies)
    faces = mesh.faces.copy()
    turned = generator.random(len(faces)) < 0.5
    faces[turned] = faces[turned][:, ::-1]
    cleaned = clean_mesh(make(mesh.vertices, faces))
    assert cleaned.is_winding_consistent
    assert np.isclose(cleaned.volume, sum(body.volume for body in bodies))


def test_cleaning_agrees_with_trimesh_on_closed_bodies():
    mesh = trimesh.util.concatenate([ball(1), trimesh.creation.box().apply_translation([3, 0, 0])])
    mesh.invert()
    expected = mesh.copy()
    expected.fix_normals()
    found = clean_mesh(mesh)
    assert np.allclose(found.face_normals, expected.face_normals)


def test_open_sheets_look_away_from_the_centroid():
    corners = np.array([[-1, -1, 0], [1, -1, 0], [0, 1, 0]]) * 0.2
    directions = np.concatenate([np.eye(3), -np.eye(3)])
    patches = []
    for index, direction in enumerate(directions):
        frame = trimesh.geometry.align_vectors([0, 0, 1], direction)[:3, :3]
        patch = corners @ frame.T + direction
        patches.append(patch if index % 2 else patch[::-1])
    mesh = make(np.concatenate(patches), np.arange(18).reshape(6, 3))
    cleaned = clean_mesh(mesh)
    assert (np.einsum("fc,fc->f", cleaned.face_normals, cleaned.triangles_center) > 0.9).all()


def test_moebius_strip_keeps_its_faces():
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    middle = np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)
    across = np.stack([np.cos(angle) * np.cos(angle / 2), np.sin(angle) * np.cos(angle / 2),
                       np.sin(angle / 2)], 1)  # fmt: skip
    vertices = np.concatenate([middle + 0.2 * across, middle - 0.2 * across])
    faces = []
    for i in range(16):
        j = (i + 1) % 16
        a, b = i, i + 16
        c, d = (j, j + 16) if j else (16, 0)
        faces += [[a, b, c], [b, d, c]]
    cleaned = clean_mesh(make(vertices, faces))
    assert len(cleaned.faces) == 32
    assert not cleaned.is_winding_consistent


@pytest.mark.parametrize("num_edges", [3, 4])
def test_small_hole_is_filled(num_edges):
    mesh = ball() if num_edges == 3 else trimesh.creation.box()
    keep = np.ones(len(mesh.faces), bool)
    if num_edges == 3:
        keep[7] = False
    else:
        keep[np.flatnonzero(mesh.face_normals[:, 2] > 0.9)] = False
    cleaned = clean_mesh(make(mesh.vertices, mesh.faces[keep]))
    assert cleaned.is_watertight
    assert np.isclose(cleaned.volume, mesh.volume)


def test_larger_hole_stays():
    mesh = ball()
    keep = mesh.triangles_center[:, 2] < 0.8
    cleaned = clean_mesh(make(mesh.vertices, mesh.faces[keep]))
    assert len(cleaned.faces) == keep.sum()


def test_lone_triangle_and_lone_square_are_no_holes():
    square = make([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]])
    assert len(clean_mesh(square).faces) == 2
    assert len(clean_mesh(make(np.eye(3), [[0, 1, 2]])).faces) == 1


@pytest.mark.parametrize("scale", [1e-120, 1e-6, 1.0, 1e6, 1e120])
def test_normalization_is_the_same_at_every_scale_and_place(scale):
    mesh = trimesh.creation.cone(radius=0.5, height=2.0)
    moved = make((mesh.vertices + np.array([3, -2, 1])) * scale, mesh.faces)
    assert np.allclose(normalize_mesh(moved).vertices, normalize_mesh(mesh).vertices, atol=1e-12)


def test_normalization_commutes_with_rotations():
    mesh = trimesh.util.concatenate(
        [ball(1).apply_translation([3, 0, 0]), trimesh.creation.box(), soup(ball(0))]
    )
    (rotation,) = random_rotations(1, seed=1)
    turned = normalize_mesh(make(mesh.vertices @ rotation.T, mesh.faces))
    expected = normalize_mesh(mesh).vertices @ rotation.T
    assert turned.faces.shape == normalize_mesh(mesh).faces.shape
    assert np.allclose(turned.vertices, expected, atol=1e-12)


def test_centroid_is_that_of_the_surface():
    mesh = trimesh.creation.cone(radius=0.5, height=2.0).apply_translation([1, 2, 3])
    assert np.allclose(surface_centroid(np.array(mesh.vertices), mesh.faces), mesh.centroid)
    assert not np.allclose(mesh.centroid, mesh.center_mass, atol=0.01)
    assert np.allclose(center_mesh(mesh).centroid, 0, atol=1e-12)


def test_scaling_puts_the_farthest_vertex_at_the_radius():
    mesh = scale_mesh(trimesh.creation.box(extents=(1, 2, 3)), radius=0.99)
    assert np.isclose(np.linalg.norm(mesh.vertices, axis=1).max(), 0.99)


def test_primitive_becomes_a_plain_mesh():
    found = normalize_mesh(trimesh.primitives.Box(extents=(1, 2, 3)))
    assert type(found) is trimesh.Trimesh
    assert np.isclose(np.linalg.norm(found.vertices, axis=1).max(), 1)


def test_inputs_are_not_modified():
    mesh = soup(ball(1)).apply_translation([1, 0, 0])
    vertices, faces = mesh.vertices.copy(), mesh.faces.copy()
    for function in (clean_mesh, center_mesh, scale_mesh, normalize_mesh):
        function(mesh)
    assert np.array_equal(mesh.vertices, vertices)
    assert np.array_equal(mesh.faces, faces)


def test_mesh_of_zero_size_is_an_error():
    point = make(np.ones((3, 3)), [[0, 1, 2]])
    line = make([[0, 0, 0], [1, 1, 1], [2, 2, 2]], [[0, 1, 2]])
    for mesh in (point, line):
        with pytest.raises(MeshError, match="must have a face with an area, got 1 faces, all dege"):
            clean_mesh(mesh)
    with pytest.raises(MeshError, match="must have an area, got 0"):
        center_mesh(line)
    with pytest.raises(MeshError, match="whose vertices are all at the origin"):
        scale_mesh(make(np.zeros((3, 3)), [[0, 1, 2]]))


@pytest.mark.parametrize("radius", [0.0, -1.0, np.inf])
def test_radius_that_is_not_positive_is_rejected(radius):
    with pytest.raises(ValueError, match="radius must be positive, got"):
        scale_mesh(ball(0), radius=radius)
