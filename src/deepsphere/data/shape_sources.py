"""Where the mesh of a shape can lie: in a file, in a zip, among packed meshes, or in arrays."""

import hashlib
import os
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from deepsphere.data.meshes import MeshError, parse_mesh, read_mesh

if TYPE_CHECKING:
    from trimesh import Trimesh

NUM_OPEN_ARCHIVES = 8  # zips that a process keeps open: their directories are read once


@dataclass(frozen=True)
class MeshFile:
    """A mesh in a file of its own.

    Parameters
    ----------
    path
        The file: OFF, OBJ, PLY or STL.
    """

    path: str

    def read(self) -> "Trimesh":
        """Mesh that the file holds; raises `MeshError` where there is none."""
        return read_mesh(self.path)

    def digest(self) -> str:
        """Hash of the bytes of the file and of its suffix, by which it is read."""
        try:
            content = Path(self.path).read_bytes()
        except OSError as error:
            raise MeshError(f"{self.path} cannot be read: {error.strerror}") from error
        return _hash(Path(self.path).suffix.lower().encode(), content)


@dataclass(frozen=True)
class ZipMember:
    """A mesh file inside a zip, read without unpacking the others.

    A process opens the zip once and keeps its directory; a task holds two strings.

    Parameters
    ----------
    archive
        The zip.
    member
        Name of the mesh file inside of it.
    """

    archive: str
    member: str

    def read(self) -> "Trimesh":
        """Mesh that the member holds; raises `MeshError` where there is none."""

        suffix = Path(self.member).suffix
        return parse_mesh(self._content(), suffix=suffix, name=f"{self.archive}:{self.member}")

    def digest(self) -> str:
        """Hash of the bytes of the member and of its suffix, as of the same file unpacked."""
        return _hash(Path(self.member).suffix.lower().encode(), self._content())

    def _content(self) -> bytes:
        """Unpacked bytes of the member."""
        try:
            return open_zip(self.archive).read(self.member)
        # RuntimeError: a password, or (NotImplementedError) an unknown method of compression
        except (
            KeyError,
            OSError,
            EOFError,
            ValueError,
            RuntimeError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            raise MeshError(f"{self.archive}:{self.member} cannot be read: {error}") from error


@dataclass(frozen=True)
class PackedMesh:
    """One of the meshes of an archive in the library's format (`data.packed_meshes`).

    A process reads the archive once, and it keeps the last two.

    Parameters
    ----------
    archive
        The `.npz` or `.npz.xz` file.
    index
        Which of its meshes.
    """

    archive: str
    index: int

    def read(self) -> "Trimesh":
        """The mesh; raises `MeshError` where the archive cannot be read."""
        return make_mesh(*self._arrays())

    def digest(self) -> str:
        """Hash of the vertices and faces."""
        return hash_mesh(*self._arrays())

    def _arrays(self) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
        """Vertices and faces."""
        from deepsphere.data.packed_meshes import open_packed_meshes

        try:
            return open_packed_meshes(self.archive).mesh(self.index)
        except (OSError, ValueError) as error:
            raise MeshError(f"mesh {self.index} cannot be read: {error}") from error


@dataclass(frozen=True, eq=False)
class MeshArrays:
    """A mesh given by its arrays, which travel with the shape.

    Parameters
    ----------
    vertices
        Shape (vertices, 3), finite, in any unit.
    faces
        Shape (faces, 3), indices of vertices, counterclockwise as seen from outside.

    Raises
    ------
    ValueError
        If a coordinate is not finite or a face names a vertex that is not there.

    Examples
    --------
    >>> triangle = MeshArrays(np.eye(3), np.array([[0, 1, 2]]))
    >>> len(triangle.digest())
    64
    """

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]

    def __post_init__(self) -> None:
        """Check the arrays and protect them."""
        if not np.isfinite(self.vertices).all():
            raise ValueError("vertices must be finite, got NaN or infinite coordinates")
        if self.faces.size and not 0 <= self.faces.min() <= self.faces.max() < len(self.vertices):
            raise ValueError(
                f"faces must hold indices in [0, {len(self.vertices)}), the number of vertices, "
                f"got {self.faces.min()} to {self.faces.max()}"
            )
        for name in ("vertices", "faces"):
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def read(self) -> "Trimesh":
        """The mesh; raises `MeshError` if it has no face."""
        return make_mesh(self.vertices, self.faces)

    def digest(self) -> str:
        """Hash of the vertices and faces."""
        return hash_mesh(self.vertices, self.faces)


@lru_cache(maxsize=NUM_OPEN_ARCHIVES)
def _open_zip(path: str, process: int, modified: int) -> zipfile.ZipFile:
    """Zip opened by this process; the other arguments tell one opening from another."""
    return zipfile.ZipFile(path)


def open_zip(path: str | os.PathLike[str]) -> zipfile.ZipFile:
    """Zip opened for reading, kept open by the process: not to be closed by the caller.

    A forked process opens its own, because two processes that share one would move each other's
    position in the file; a file that has changed is opened anew.

    Parameters
    ----------
    path
        The zip.

    Returns
    -------
    zipfile.ZipFile
        The open archive.

    Raises
    ------
    ValueError
        If the file is not a zip, or is cut (its directory is at its end).
    """
    try:
        return _open_zip(os.fspath(path), os.getpid(), os.stat(path).st_mtime_ns)
    except zipfile.BadZipFile as error:
        raise ValueError(
            f"{path} must be a complete zip, got a file that is not ({error}); download it again"
        ) from error


def make_mesh(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> "Trimesh":
    """Mesh of these vertices and faces, exactly as they are.

    Parameters
    ----------
    vertices
        Shape (vertices, 3).
    faces
        Shape (faces, 3).

    Returns
    -------
    trimesh.Trimesh
        Nothing merged, removed or reordered.

    Raises
    ------
    ImportError
        If trimesh is not installed.
    deepsphere.data.meshes.MeshError
        If there is no face.
    """
    try:
        from trimesh import Trimesh
    except ImportError as error:
        raise ImportError(
            "reading meshes needs trimesh: pip install 'deepsphere-torch[shapes]'"
        ) from error
    if not len(faces):
        raise MeshError("a mesh must have at least one face, got none")
    # copies: who changes the mesh leaves the arrays alone
    return Trimesh(
        vertices=np.array(vertices, np.float64),
        faces=np.array(faces, np.int64),
        process=False,
        validate=False,
    )


def hash_mesh(vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]) -> str:
    """Hash of the values of a mesh, the same for equal values in another type of numbers.

    Parameters
    ----------
    vertices
        Shape (vertices, 3).
    faces
        Shape (faces, 3).

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return _hash(
        f"{len(vertices)} {len(faces)}".encode(),
        np.ascontiguousarray(vertices, "<f8").tobytes(),
        np.ascontiguousarray(faces, "<i8").tobytes(),
    )


def _hash(*parts: bytes) -> str:
    """SHA-256 of the parts."""
    state = hashlib.sha256()
    for part in parts:
        state.update(part)
    return state.hexdigest()
