"""Files of triangle meshes: OBJ, OFF, PLY and STL, read whole or not at all."""

import io
import os
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from trimesh import Trimesh

_Arrays = tuple[np.ndarray, np.ndarray]
_STL_HEADER, _STL_TRIANGLE = 84, 50  # bytes of a binary STL file before and of each triangle
_STL_DTYPE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
# Of the vertices of an OBJ file: with more in no face it is taken as cut. Files have strays.
_UNUSED_SHARE = 0.5
# A letter for each thing that stands behind the coordinates of a vertex (colours, normals,
# texture); ModelNet glues the first count to the word.
_OFF_HEADER = re.compile(r"(?:ST)?C?N?OFF(?!\s*BINARY)\s*")


class MeshError(ValueError):
    """A mesh that cannot be read or that has no surface: the message names it and says why."""


def read_mesh(path: str | os.PathLike[str]) -> "Trimesh":
    """Mesh of a file, exactly as it lies there: not merged, cleaned, centred or scaled.

    ====  =========================================================================================
    .obj  Vertices and faces; of ``f a/x b/y c/z`` only the vertex indices a, b, c count (in the
          files of SHREC'17 the others are broken), negative ones from the end. Objects and groups
          are joined; materials, textures and normals are not read.
    .off  Also with colours or normals behind the coordinates, and with the counts glued to the
          first word (``OFF123 456 0``, as in ModelNet).
    .ply  ASCII or binary, by trimesh.
    .stl  ASCII or binary. Solids are joined.
    ====  =========================================================================================

    Polygons become fans of triangles. Nothing but the file itself is opened. A file that was cut is
    an error wherever the format can tell: OFF, PLY and STL announce their sizes. An OBJ file does
    not; it is refused where a face asks for a vertex that is not there, where it stops within a
    line and leaves a vertex that no face uses, and where no face uses most of its vertices.

    Parameters
    ----------
    path
        The file; its suffix tells the format.

    Returns
    -------
    trimesh.Trimesh
        At least one face; finite vertices.

    Raises
    ------
    MeshError
        If the suffix is unknown; the file is missing, empty, cut or of another format; it has no
        face; a vertex is not finite; or a face names a vertex that is not there.
    ImportError
        If trimesh is not installed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "triangle.off"
    >>> _ = path.write_text("OFF3 1 0\\n0 0 0\\n1 0 0\\n0 1 0\\n3 0 1 2\\n")
    >>> read_mesh(path).faces.tolist()
    [[0, 1, 2]]
    """
    path = Path(path)
    mesh_suffix(path)
    if not path.exists():
        raise MeshError(f"path must name a mesh file, got {path}, which is not there")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MeshError(f"{path} cannot be read: {error.strerror or error}") from error
    return parse_mesh(content, suffix=path.suffix, name=str(path))


def parse_mesh(content: bytes, *, suffix: str, name: str) -> "Trimesh":
    """Mesh of the bytes of a file, for a file within an archive.

    Parameters
    ----------
    content
        All bytes of the file.
    suffix
        That of its name, which tells the format.
    name
        What to call it in messages.

    Returns
    -------
    trimesh.Trimesh
        As by :func:`read_mesh`.

    Raises
    ------
    MeshError
        As by :func:`read_mesh`.
    ImportError
        If trimesh is not installed.

    Examples
    --------
    >>> content = b"v 0 0 0\\nv 1 0 0\\nv 0 1 0\\nf 1/7 2/8 3/9\\n"
    >>> parse_mesh(content, suffix=".obj", name="triangle").faces.tolist()
    [[0, 1, 2]]
    """
    parser = _PARSERS[mesh_suffix(f"mesh{suffix}", name)]
    mesh_class = trimesh_class()
    if not content.strip(b"\0 \t\r\n"):
        raise MeshError(f"{name} must hold a mesh, got an empty file; download or export it again")
    vertices, faces = parser(content, name)
    if not len(faces):
        raise MeshError(
            f"{name} must hold at least one face, got none (and {len(vertices)} vertices); "
            f"it is cut, a cloud of points, or not a file of the format {suffix.lower()}"
        )
    check_mesh_arrays(vertices, faces, name=name)
    return mesh_class(vertices=vertices, faces=faces, process=False, validate=False)


def mesh_suffix(path: str | os.PathLike[str], name: str | None = None) -> str:
    """Suffix of the name of a mesh file, in lower case.

    Parameters
    ----------
    path
        The file name.
    name
        What to call it in the message; None for the name itself.

    Returns
    -------
    str
        One of ``.obj``, ``.off``, ``.ply``, ``.stl``.

    Raises
    ------
    MeshError
        If it is another one.

    Examples
    --------
    >>> mesh_suffix("Teapot.OBJ")
    '.obj'
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _PARSERS:
        raise MeshError(
            f"path must end in one of {', '.join(_PARSERS)}, got {name or path}; "
            "convert the mesh to one of them"
        )
    return suffix


def check_mesh_arrays(vertices: np.ndarray, faces: np.ndarray, *, name: str) -> None:
    """Raise unless vertices are finite and faces name vertices that are there.

    Parameters
    ----------
    vertices
        Shape (vertices, 3).
    faces
        Shape (faces, 3), indices of vertices.
    name
        What to call the mesh in the message.

    Raises
    ------
    MeshError
        Otherwise.

    Examples
    --------
    >>> check_mesh_arrays(np.eye(3), np.array([[0, 1, 2]]), name="triangle")
    """
    is_bad = ~np.isfinite(vertices).all(axis=1)
    if is_bad.any():
        raise MeshError(
            f"{name} must have finite vertices, got NaN or infinite coordinates in {is_bad.sum()} "
            f"of {len(vertices)} (first: vertex {int(is_bad.argmax())}); export it again"
        )
    is_bad = (faces < 0) | (faces >= len(vertices))
    if is_bad.any():
        raise MeshError(
            f"{name} must have faces between its {len(vertices)} vertices, got "
            f"{is_bad.any(axis=1).sum()} of {len(faces)} faces with an index out of range (first: "
            f"face {int(is_bad.any(axis=1).argmax())}); it is damaged, or vertices are missing"
        )


def trimesh_class() -> type["Trimesh"]:
    """The class of meshes, or how to install it."""
    try:
        from trimesh import Trimesh
    except ImportError as error:
        raise ImportError(
            "reading meshes needs trimesh, which is not installed; "
            "pip install 'deepsphere-torch[shapes]'"
        ) from error
    return Trimesh


def _lines(content: bytes) -> list[str]:
    """Lines of a text file of any system."""
    text = content.decode("utf-8-sig", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _fan(polygons: Sequence[Sequence[int]]) -> np.ndarray:
    """Triangles (faces, 3) of polygons; those of fewer than three corners have none."""
    if all(len(polygon) == 3 for polygon in polygons):
        return np.array(polygons, np.int64).reshape(-1, 3)
    triangles = [
        (polygon[0], polygon[i], polygon[i + 1])
        for polygon in polygons
        for i in range(1, len(polygon) - 1)
    ]
    return np.array(triangles, np.int64).reshape(-1, 3)


def _coordinates(rows: list[list[str]], name: str) -> np.ndarray:
    """First three numbers of each row, float64."""
    try:
        return np.array([row[:3] for row in rows], np.float64).reshape(-1, 3)
    except ValueError as error:
        raise MeshError(
            f"{name} must hold three numbers for each vertex, got a line that does not "
            f"({str(error).splitlines()[0]}); it is damaged, or of another format"
        ) from error


def _parse_obj(content: bytes, name: str) -> _Arrays:
    """Vertices and triangles of an OBJ file."""
    lines = _lines(content.replace(b"\\\r\n", b" ").replace(b"\\\n", b" "))
    rows: list[list[str]] = []
    polygons: list[list[int]] = []
    for number, line in enumerate(lines, start=1):
        if line[:1] not in "vf \t":
            continue
        word, *rest = line.partition("#")[0].split() or [""]
        if word == "v":
            rows.append(rest)
        elif word == "f":
            try:
                corners = [int(corner.partition("/")[0]) for corner in rest]
            except ValueError as error:
                raise MeshError(
                    f"{name} must hold whole numbers as vertex indices, got {line.strip()[:60]!r} "
                    f"in line {number}; it is damaged, or not an OBJ file"
                ) from error
            # counted from 1, or backwards from the last vertex so far
            polygons.append([c - 1 if c > 0 else len(rows) + c if c else -1 for c in corners])
    vertices, faces = _coordinates(rows, name), _fan(polygons)
    is_used = np.zeros(len(vertices), dtype=bool)
    is_used[faces[(faces >= 0) & (faces < len(vertices))]] = True
    num_unused = int(len(vertices) - is_used.sum())
    # the format does not tell its size: a line without an end and vertices without a face do
    stops_within_line = bool(lines[-1].strip())
    is_cut = stops_within_line and (num_unused > 0 or (polygons and len(polygons[-1]) < 3))
    if len(faces) and (is_cut or num_unused > _UNUSED_SHARE * len(vertices)):
        raise MeshError(
            f"{name} must be complete, got {num_unused} of {len(vertices)} vertices in no face"
            f"{' and a last line without an end' if stops_within_line else ''}: it was cut; "
            "download or export it again (or remove the vertices that are in no face)"
        )
    return vertices, faces


def _parse_off(content: bytes, name: str) -> _Arrays:
    """Vertices and triangles of an OFF file; its counts tell whether it is complete."""
    lines = [line.partition("#")[0].split() for line in _lines(content)]
    lines = [words for words in lines if words]
    header = _OFF_HEADER.match(" ".join(lines[0])) if lines else None
    if header is None:
        raise MeshError(f"{name} must begin with the word OFF and be a text file, got another one")
    counts = " ".join(lines[0])[header.end() :].split()
    body = lines[1:] if counts else lines[2:]
    counts = counts or (lines[1] if len(lines) > 1 else [])
    try:
        num_vertices, num_faces = (int(word) for word in counts[:2])
        if num_vertices < 0 or num_faces < 0:
            raise ValueError
    except ValueError as error:
        raise MeshError(
            f"{name} must give the numbers of vertices and faces after the word OFF, "
            f"got {' '.join(counts)[:60]!r}; it is damaged"
        ) from error
    if len(body) < num_vertices + num_faces:
        raise _cut(name, f"{num_vertices} vertices and {num_faces} faces", f"{len(body)} lines")
    vertices = _coordinates(body[:num_vertices], name)
    polygons = []
    for words in body[num_vertices : num_vertices + num_faces]:
        try:
            corners = [int(word) for word in words[: int(words[0]) + 1]]
        except ValueError as error:
            raise MeshError(
                f"{name} must hold a count and whole numbers for each face, "
                f"got {' '.join(words)[:60]!r}; it is damaged"
            ) from error
        if len(corners) < corners[0] + 1:
            raise _cut(name, f"{corners[0]} indices in a face", f"{len(corners) - 1}")
        polygons.append(corners[1:])
    return vertices, _fan(polygons)


def _parse_stl(content: bytes, name: str) -> _Arrays:
    """Vertices, three for each triangle, and triangles of an STL file."""
    num_faces = int.from_bytes(content[_STL_HEADER - 4 : _STL_HEADER], "little")
    size = _STL_HEADER + _STL_TRIANGLE * num_faces
    if len(content) != size and content.lstrip()[:5].lower() == b"solid":
        lines = [words for line in _lines(content.lower()) if (words := line.split())]
        rows = [words[1:] for words in lines if words[0] == "vertex"]
        num_facets = sum(words[0] == "facet" for words in lines)
        if lines[-1][0] != "endsolid" or len(rows) != 3 * num_facets:
            raise _cut(
                name,
                f"three vertices for each of {num_facets} facets and endsolid",
                f"{len(rows)} vertices and {lines[-1][0]!r}",
            )
        vertices = _coordinates(rows, name)
    elif len(content) < max(size, _STL_HEADER):
        raise _cut(name, f"{size} bytes", f"{len(content)} bytes")
    else:
        triangles = np.frombuffer(content[_STL_HEADER:size], _STL_DTYPE)
        vertices = triangles["corners"].reshape(-1, 3).astype(np.float64)
    return vertices, np.arange(len(vertices)).reshape(-1, 3)


def _parse_ply(content: bytes, name: str) -> _Arrays:
    """Vertices and triangles of a PLY file, by trimesh; its header tells whether it is complete."""
    from trimesh.exchange.ply import load_ply

    head, end, body = content.partition(b"end_header")
    if not head.startswith(b"ply") or not end:
        raise MeshError(
            f"{name} must begin with the header of a PLY file, got another one, or a part of it"
        )
    counts = {
        key.decode(): int(number)
        for key, number in re.findall(rb"^element[ \t]+(\w+)[ \t]+(\d+)", head, re.MULTILINE)
    }
    num_rows = sum(counts.values())
    num_lines = len([line for line in body.split(b"\n")[1:] if line.strip()])
    if b"format ascii" in head and num_lines < num_rows:
        raise _cut(name, f"{num_rows} rows", f"{num_lines}")
    if num_rows > len(body):  # a byte for each at least: nobody reserves memory for a false count
        raise _cut(name, f"{num_rows} rows", f"{len(body)} bytes")
    if not counts.get("face"):
        return np.zeros((counts.get("vertex", 0), 3)), np.zeros((0, 3), np.int64)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numpy, for text where numbers should be
            content_of = load_ply(io.BytesIO(content), fix_texture=False, skip_materials=True)
            mesh = trimesh_class()(
                vertices=content_of["vertices"], faces=content_of["faces"], process=False
            )
            vertices = np.array(mesh.vertices, np.float64)
            faces = np.array(mesh.faces, np.int64)
    except Exception as error:  # a parser of others, fed with anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise MeshError(
            f"{name} must be a complete PLY file of triangles or polygons, got one that cannot be "
            f"read ({reason}); it is cut, damaged, or mixes polygons in binary form"
        ) from error
    if len(vertices) < counts["vertex"] or len(faces) < counts["face"]:
        raise _cut(
            name,
            f"{counts['vertex']} vertices and {counts['face']} faces",
            f"{len(vertices)} and {len(faces)}",
        )
    return vertices, faces


def _cut(name: str, announced: str, found: str) -> MeshError:
    """The error of a file that holds less than it announces."""
    return MeshError(
        f"{name} must hold {announced}, as it announces, got {found}: it was cut, or is of another "
        "format; download or export it again"
    )


_PARSERS: dict[str, Callable[[bytes, str], _Arrays]] = {
    ".obj": _parse_obj,
    ".off": _parse_off,
    ".ply": _parse_ply,
    ".stl": _parse_stl,
}
MESH_SUFFIXES: tuple[str, ...] = tuple(_PARSERS)
