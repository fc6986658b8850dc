"""Packed meshes: the library's archive of many small meshes in one file."""

import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from deepsphere.data.files import require_writable, write_atomically
from deepsphere.data.shape_sources import PackedMesh
from deepsphere.data.shapes import UNKNOWN_LABEL, Shape, ShapeSet

LARGEST_STEP = 65535  # coordinates are stored as 16-bit steps across the mesh's largest extent
KEYS = ("vertices_q", "faces", "voff", "foff", "box", "label", "classes", "names")


@dataclass(frozen=True, eq=False)
class PackedMeshes:
    """Content of an archive of packed meshes, in memory.

    The vertices of mesh i are rows voff[i] to voff[i+1] of `vertices_q`, and its faces rows
    foff[i] to foff[i+1] of `faces`, with

        vertices = vertices_q / 65535 · box[i, 3] + box[i, :3]

    so that box[i] is the corner of a cube around the mesh and the length of its edge. Rounding
    moves a coordinate by at most box[i, 3] / 131070.

    Parameters
    ----------
    path
        The archive, for messages.
    arrays
        What the archive holds under `vertices_q` (uint16, (all vertices, 3)), `faces` (integers,
        (all faces, 3), counted within each mesh), `voff` and `foff` (integers, (meshes + 1,)),
        `box` (float, (meshes, 4)), `label` (integers, (meshes,), −1 where unknown), `classes` and
        `names` (strings).

    Raises
    ------
    ValueError
        If a key is missing or the arrays contradict each other.
    """

    path: str
    arrays: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        """Check that the arrays belong together."""
        missing = [key for key in KEYS if key not in self.arrays]
        if missing:
            raise ValueError(
                f"{self.path} must hold the keys {', '.join(KEYS)} of packed meshes, got none "
                f"named {', '.join(missing)}; see deepsphere.data.write_packed_meshes"
            )
        num = len(self.arrays["names"])
        shapes = {"box": (num, 4), "label": (num,), "voff": (num + 1,), "foff": (num + 1,)}
        for key, shape in shapes.items():
            if self.arrays[key].shape != shape:
                self._fail(f"{key} must have shape {shape}, got {self.arrays[key].shape}")
        for key, offsets in (("vertices_q", "voff"), ("faces", "foff")):
            rows, steps = self.arrays[key], self.arrays[offsets]
            if rows.ndim != 2 or rows.shape[1] != 3 or rows.dtype.kind not in "ui":
                self._fail(f"{key} must be integers of shape (n, 3), got {rows.dtype} {rows.shape}")
            if steps[0] != 0 or steps[-1] != len(rows) or (np.diff(steps) < 0).any():
                self._fail(f"{offsets} must increase from 0 to {len(rows)}, the rows of {key}")
        if not np.isfinite(self.arrays["box"]).all():
            self._fail("box must be finite")

    def _fail(self, rule: str) -> None:
        """Raise with the name of the file and what to do."""
        raise ValueError(f"{self.path} is damaged: {rule}; write or download it again")

    def __len__(self) -> int:
        """Number of meshes."""
        return len(self.arrays["names"])

    def mesh(
        self, index: int
    ) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
        """Vertices and faces of one mesh.

        Parameters
        ----------
        index
            Which, in [0, number of meshes).

        Returns
        -------
        vertices : Float[np.ndarray, "vertices 3"]
            float64.
        faces : Int[np.ndarray, "faces 3"]
            int64, indices of those vertices.

        Raises
        ------
        ValueError
            If there is no such mesh or a face names a vertex that is not there.
        """
        if not 0 <= index < len(self):
            raise ValueError(f"index must be in [0, {len(self)}), got {index}; see {self.path}")
        first, last = self.arrays["voff"][index : index + 2]
        box = self.arrays["box"][index].astype(np.float64)
        vertices = self.arrays["vertices_q"][first:last] / LARGEST_STEP * box[3] + box[:3]
        first, last = self.arrays["foff"][index : index + 2]
        faces = self.arrays["faces"][first:last].astype(np.int64)
        if faces.size and not 0 <= faces.min() <= faces.max() < len(vertices):
            self._fail(f"faces of mesh {index} must name its {len(vertices)} vertices")
        return vertices, faces


def open_packed_meshes(path: str | os.PathLike[str]) -> PackedMeshes:
    """Content of an archive, read once by each process, which keeps the last two.

    Parameters
    ----------
    path
        A `.npz` file, or a `.npz.xz` file (the same, compressed as a whole by xz).

    Returns
    -------
    PackedMeshes
        All its arrays.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is cut, damaged, or something else.
    """
    return _open(os.fspath(path), os.stat(path).st_mtime_ns)


@lru_cache(maxsize=2)
def _open(path: str, modified: int) -> PackedMeshes:
    """Content of an archive that was last changed at this time."""
    content = Path(path).read_bytes()
    try:
        if path.endswith(".xz"):
            content = lzma.decompress(content)
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    # what numpy, zipfile, zlib and lzma raise for cut or damaged files, and numpy for a plain array
    except (
        lzma.LZMAError,
        zipfile.BadZipFile,
        zlib.error,
        ValueError,
        OSError,
        EOFError,
        TypeError,
    ) as error:
        raise ValueError(
            f"{path} must be a complete archive of packed meshes, got a file that cannot be "
            f"unpacked ({error}); write or download it again"
        ) from error
    return PackedMeshes(path, arrays)


def read_packed_meshes(path: str | os.PathLike[str]) -> ShapeSet:
    """Shapes of an archive; each one holds the path and a number, and no array.

    Parameters
    ----------
    path
        A `.npz` or `.npz.xz` file.

    Returns
    -------
    ShapeSet
        Named after the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is cut, damaged, or something else, a name is repeated, or a label is out of
        range.
    """
    packed = open_packed_meshes(path)
    absolute = os.path.abspath(path)
    shapes = [
        Shape(
            str(name), None if label == UNKNOWN_LABEL else int(label), PackedMesh(absolute, index)
        )
        for index, (name, label) in enumerate(
            zip(packed.arrays["names"], packed.arrays["label"], strict=True)
        )
    ]
    name = Path(path).name.removesuffix(".xz").removesuffix(".npz")
    return ShapeSet(name, tuple(str(name) for name in packed.arrays["classes"]), tuple(shapes))


def write_packed_meshes(
    path: str | os.PathLike[str],
    shapes: ShapeSet,
    *,
    overwrite: bool = False,
    advance: Callable[[], None] | None = None,
) -> None:
    """Put the meshes of a set in one archive, for `read_packed_meshes` (format: `PackedMeshes`).

    Coordinates are rounded to 16 bits across the largest extent of each mesh; names, labels and
    faces are kept exactly, and subcategories are not kept.

    Parameters
    ----------
    path
        The file to write; its name ends with `.npz` (each array compressed) or `.npz.xz`
        (smaller, and slower to read).
    shapes
        What to write.
    overwrite
        Replace an existing file.
    advance
        Called after each mesh, for a progress bar.

    Raises
    ------
    FileExistsError
        If `path` exists and `overwrite` is false.
    ValueError
        If the file name ends otherwise or there is no shape.
    deepsphere.data.meshes.MeshError
        If a mesh cannot be read.
    """
    if not os.fspath(path).endswith((".npz", ".npz.xz")):
        raise ValueError(f"path must end with .npz or .npz.xz, got {os.fspath(path)!r}; rename it")
    if not shapes.shapes:
        raise ValueError("shapes must hold at least one shape, got none")
    require_writable(path, overwrite=overwrite)
    arrays = _pack(shapes, advance)
    buffer = io.BytesIO()
    if os.fspath(path).endswith(".xz"):
        np.savez(buffer, **arrays)
        content = lzma.compress(buffer.getvalue())
    else:
        np.savez_compressed(buffer, **arrays)
        content = buffer.getvalue()
    with write_atomically(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(content)


def _pack(shapes: ShapeSet, advance: Callable[[], None] | None) -> dict[str, Any]:
    """Arrays of an archive of these shapes."""
    vertices, faces, boxes = [], [], []
    for shape in shapes.shapes:
        mesh = shape.read()
        corner = mesh.vertices.min(axis=0)
        # an edge of 0 (all vertices in one place) would divide by zero
        edge = float((mesh.vertices - corner).max()) or 1.0
        vertices.append(np.rint((mesh.vertices - corner) / edge * LARGEST_STEP).astype(np.uint16))
        faces.append(np.asarray(mesh.faces))
        boxes.append([*corner, edge])
        if advance is not None:
            advance()
    largest = max(int(rows.max()) for rows in faces)
    return {
        "vertices_q": np.concatenate(vertices),
        "faces": np.concatenate(faces).astype(np.uint16 if largest <= 65535 else np.uint32),
        "voff": np.cumsum([0, *map(len, vertices)]),
        "foff": np.cumsum([0, *map(len, faces)]),
        "box": np.array(boxes),
        "label": shapes.labels,
        "classes": np.array(shapes.classes),
        "names": np.array([shape.name for shape in shapes.shapes]),
    }
