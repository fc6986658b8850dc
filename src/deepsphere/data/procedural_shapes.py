"""Parametric solids in twelve families: labelled shapes that need no data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from deepsphere.data.shape_sources import hash_mesh, make_mesh
from deepsphere.data.shapes import Shape, ShapeSet

if TYPE_CHECKING:
    from trimesh import Trimesh

# vertices around a circle: the projected signals of a finer solid differ by less than a thousandth
NUM_AROUND = 32

Numbers = Sequence[float | int] | np.ndarray
Solid = tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]


@dataclass(frozen=True)
class ProceduralSource:
    """Recipe of a solid: its mesh is made when it is asked for.

    Parameters
    ----------
    family
        One of `FAMILIES`.
    seed
        Seed of the data set, 0 or more.
    index
        Number within the family, 0 or more.

    Raises
    ------
    ValueError
        If the family is unknown or a number is negative.

    Examples
    --------
    >>> vertices, faces = ProceduralSource("torus", seed=0, index=3).solid()
    >>> len(vertices) - len(faces) / 2  # Euler characteristic: V - E + F with 2 E = 3 F
    0.0
    """

    family: str
    seed: int
    index: int

    def __post_init__(self) -> None:
        """Check the rules of the class."""
        if self.family not in FAMILIES:
            raise ValueError(f"family must be one of {', '.join(FAMILIES)}, got {self.family!r}")
        if self.seed < 0 or self.index < 0:
            raise ValueError(
                f"seed and index must be 0 or more, got seed={self.seed} and index={self.index}"
            )

    def solid(self) -> Solid:
        """Vertices and triangles: closed, oriented outward, upright along z.

        Returns
        -------
        vertices : Float[np.ndarray, "vertices 3"]
            float64, of size about 1.
        faces : Int[np.ndarray, "faces 3"]
            int64, counterclockwise as seen from outside; every edge is in two faces.
        """
        place = list(FAMILIES).index(self.family)
        random = np.random.default_rng([self.seed, place, self.index])
        vertices, faces = FAMILIES[self.family](random)
        return _deform(vertices, random), faces

    def read(self) -> "Trimesh":
        """The mesh."""
        return make_mesh(*self.solid())

    def digest(self) -> str:
        """Hash of the vertices and faces."""
        return hash_mesh(*self.solid())


def make_procedural_shapes(*, num_per_class: int, seed: int = 0) -> ShapeSet:
    """Solids of twelve families with random proportions, for tests and first steps.

    The families are box, ellipsoid, cylinder, cone, torus, star (a prism over a star), spring,
    cup, stairs, table, chair and dumbbell: some with holes, hollow, or thin, seven not
    star-shaped about their centre. Every solid is also stretched, tapered and twisted a little
    along its vertical axis z, so that members of a family differ. Solid i of a family does not
    depend on how many are made.

    Parameters
    ----------
    num_per_class
        How many of each family, 1 or more.
    seed
        Seed of the proportions, 0 or more.

    Returns
    -------
    ShapeSet
        num_per_class shapes of each class, ordered by class.

    Raises
    ------
    ValueError
        If `num_per_class` or `seed` is out of range.

    Examples
    --------
    >>> shapes = make_procedural_shapes(num_per_class=2)
    >>> len(shapes), shapes.classes[4], shapes.shapes[9].name
    (24, 'torus', 'torus_0001')
    """
    if num_per_class < 1:
        raise ValueError(f"num_per_class must be 1 or more, got {num_per_class}")
    shapes = tuple(
        Shape(f"{family}_{index:04d}", label, ProceduralSource(family, seed, index))
        for label, family in enumerate(FAMILIES)
        for index in range(num_per_class)
    )
    return ShapeSet("procedural", tuple(FAMILIES), shapes)


def _deform(vertices: Float[np.ndarray, "vertices 3"], random: np.random.Generator) -> np.ndarray:
    """Vertices stretched by up to a quarter, tapered and twisted: orientation stays."""
    x, y, z = (vertices * random.uniform(0.8, 1.25, 3)).T
    height = (z - z.min()) / (z.max() - z.min()) - 0.5
    taper = 1 + random.uniform(-0.25, 0.25) * height
    angle = random.uniform(-0.3, 0.3) * height
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack([taper * (cosine * x - sine * y), taper * (sine * x + cosine * y), z], axis=1)


def _skin(
    rings: Float[np.ndarray, "rings around 3"],
    poles: Float[np.ndarray, "2 3"] | None,
) -> Solid:
    """Surface through rings of vertices, closed by a pole at each end or, without, as a loop.

    Faces point outward where the direction around a ring, crossed with that from ring to ring,
    does.
    """
    num_rings, num_around = rings.shape[:2]
    index = np.arange(num_rings * num_around).reshape(num_rings, num_around)
    here = index if poles is None else index[:-1]
    there = np.roll(index, -1, axis=0) if poles is None else index[1:]
    beside, across = np.roll(here, -1, axis=1), np.roll(there, -1, axis=1)
    faces = [np.stack([here, beside, across], -1), np.stack([here, across, there], -1)]
    vertices = rings.reshape(-1, 3)
    if poles is not None:
        first, last = index[0], index[-1]
        start, end = np.full_like(first, len(vertices)), np.full_like(last, len(vertices) + 1)
        faces.append(np.stack([start, np.roll(first, -1), first], -1))
        faces.append(np.stack([last, np.roll(last, -1), end], -1))
        vertices = np.concatenate([vertices, poles])
    return vertices, np.concatenate([part.reshape(-1, 3) for part in faces])


def _revolve(radii: Numbers, heights: Numbers) -> Solid:
    """Solid of revolution about z; the first and last radius are 0, the inside lies on the left."""
    angle = 2 * np.pi * np.arange(NUM_AROUND) / NUM_AROUND
    profile = np.stack([np.asarray(radii, float), np.asarray(heights, float)], axis=1)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rings = np.empty((len(profile) - 2, NUM_AROUND, 3))
    rings[..., :2] = profile[1:-1, :1, None] * circle
    rings[..., 2] = profile[1:-1, 1:]
    poles = np.array([[0, 0, profile[0, 1]], [0, 0, profile[-1, 1]]])
    return _skin(rings, poles)


def _tube(
    center: Float[np.ndarray, "rings 3"], radius: float, *, num_around: int, is_loop: bool
) -> Solid:
    """Tube around a curve that winds about z."""
    if is_loop:
        tangent = np.roll(center, -1, axis=0) - np.roll(center, 1, axis=0)
    else:
        tangent = np.gradient(center, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    outward = center * [1, 1, 0]
    outward -= (outward * tangent).sum(1, keepdims=True) * tangent
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    angle = 2 * np.pi * np.arange(num_around) / num_around
    rings = center[:, None] + radius * (
        np.cos(angle)[:, None] * outward[:, None]
        + np.sin(angle)[:, None] * np.cross(tangent, outward)[:, None]
    )
    return _skin(rings, None if is_loop else center[[0, -1]])


def _cells(is_solid: Bool[np.ndarray, "x y z"], *edges: Numbers) -> Solid:
    """Union of the boxes of a grid with these edges, without faces inside."""
    padded = np.pad(is_solid, 1)
    corners = []
    for axis in range(3):
        step = np.diff(
            np.moveaxis(padded, (axis, (axis + 1) % 3, (axis + 2) % 3), (0, 1, 2)).astype(int),
            axis=0,
        )
        for sign in (1, -1):  # a face looks toward where the solid ends
            at = np.argwhere(step == -sign)  # (layer, and the two other axes, counted with padding)
            square = np.array([[0, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1]])[::sign]
            quads = at[:, None] + square - np.array([0, 1, 1])
            corners.append(np.roll(quads, axis, axis=-1))
    quads = np.concatenate(corners)
    grid, index = np.unique(quads.reshape(-1, 3), axis=0, return_inverse=True)
    index = index.reshape(-1, 4)
    vertices = np.stack(
        [np.asarray(edges[axis], float)[grid[:, axis]] for axis in range(3)], axis=1
    )
    return vertices, np.concatenate([index[:, [0, 1, 2]], index[:, [0, 2, 3]]])


def _box(random: np.random.Generator) -> Solid:
    """Cuboid."""
    sizes = random.uniform(0.3, 1, 3)
    return _cells(np.ones((1, 1, 1), bool), *([-size / 2, size / 2] for size in sizes))


def _ellipsoid(random: np.random.Generator) -> Solid:
    """Ellipsoid with three axes."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, NUM_AROUND // 2 + 1)
    radii, heights = np.cos(angle), np.sin(angle)
    vertices, faces = _revolve(radii, heights)
    return vertices * random.uniform(0.3, 1, 3), faces


def _cylinder(random: np.random.Generator) -> Solid:
    """Upright cylinder, from a disk to a rod."""
    radius, height = random.uniform(0.15, 0.7), random.uniform(0.3, 1.2)
    return _revolve([0, radius, radius, 0], [0, 0, height, height])


def _cone(random: np.random.Generator) -> Solid:
    """Upright cone, sometimes with its tip cut off."""
    radius, height = random.uniform(0.25, 0.7), random.uniform(0.4, 1.2)
    top = radius * random.uniform(0.02, 0.35)
    return _revolve([0, radius, top, 0], [0, 0, height, height])


def _torus(random: np.random.Generator) -> Solid:
    """Ring, lying flat."""
    angle = 2 * np.pi * np.arange(NUM_AROUND) / NUM_AROUND
    center = np.stack([np.cos(angle), np.sin(angle), np.zeros(NUM_AROUND)], axis=1)
    return _tube(center, random.uniform(0.12, 0.45), num_around=NUM_AROUND // 2, is_loop=True)


def _star(random: np.random.Generator) -> Solid:
    """Prism over a star of four to eight points."""
    num_points, inner = int(random.integers(4, 9)), random.uniform(0.3, 0.7)
    angle = np.pi * np.arange(2 * num_points) / num_points
    radius = np.where(np.arange(2 * num_points) % 2, inner, 1.0)
    height = random.uniform(0.2, 1)
    ring = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(len(angle))], axis=1)
    top = np.array([0, 0, height])
    return _skin(np.stack([ring, ring + top]), np.stack([0 * top, top]))


def _spring(random: np.random.Generator) -> Solid:
    """Upright helix of wire, with two to five turns that do not touch."""
    num_turns, pitch = random.uniform(2, 5), random.uniform(0.3, 0.5)
    turns = np.linspace(0, num_turns, int(24 * num_turns))
    angle = 2 * np.pi * turns
    center = np.stack([np.cos(angle), np.sin(angle), pitch * turns], axis=1)
    center[:, :2] *= random.uniform(0.4, 1)
    return _tube(center, pitch * random.uniform(0.15, 0.35), num_around=10, is_loop=False)


def _cup(random: np.random.Generator) -> Solid:
    """Vessel, open above, with a wall of even thickness."""
    bottom, top = random.uniform(0.25, 0.6), random.uniform(0.4, 0.7)
    height, wall = random.uniform(0.4, 1.2), random.uniform(0.04, 0.12)
    radii = [0, bottom, top, top - wall, bottom - wall, 0]
    return _revolve(radii, [0, 0, height, height, wall, wall])


def _stairs(random: np.random.Generator) -> Solid:
    """Flight of three to six steps."""
    num_steps = int(random.integers(3, 7))
    treads = [*np.cumsum([0, *random.uniform(0.15, 0.25, num_steps)])]
    risers = [*np.cumsum([0, *random.uniform(0.12, 0.22, num_steps)])]
    is_solid = np.tri(num_steps, dtype=bool)[:, None, :]
    return _cells(is_solid, treads, [0, random.uniform(0.3, 1)], risers)


def _legs(random: np.random.Generator) -> tuple[np.ndarray, list[Numbers]]:
    """Cells of four legs under a plate, and the edges of the grid."""
    length, width = random.uniform(0.5, 1.2), random.uniform(0.4, 0.8)
    thickness, inset = random.uniform(0.06, 0.14), random.uniform(0.02, 0.1)
    sides = [
        [0, inset, inset + thickness, size - inset - thickness, size - inset, size]
        for size in (length, width)
    ]
    is_solid = np.zeros((5, 5, 2), bool)
    is_solid[1::2, 1::2, 0] = True
    is_solid[..., 1] = True
    leg = random.uniform(0.3, 0.8)
    return is_solid, [*sides, [0, leg, leg + random.uniform(0.04, 0.12)]]


def _table(random: np.random.Generator) -> Solid:
    """Plate on four legs."""
    is_solid, edges = _legs(random)
    return _cells(is_solid, *edges)


def _chair(random: np.random.Generator) -> Solid:
    """Plate on four legs with a back rest."""
    is_solid, (x, y, z) = _legs(random)
    x = [0.7 * edge for edge in x]  # seats are smaller than tables
    is_solid = np.concatenate([is_solid, np.zeros((5, 5, 1), bool)], axis=2)
    is_solid[:, 3:, 2] = True
    return _cells(is_solid, x, y, [*z, z[-1] + random.uniform(0.35, 0.8)])


def _dumbbell(random: np.random.Generator) -> Solid:
    """Two balls on an upright bar."""
    bar, length = random.uniform(0.06, 0.2), random.uniform(0.3, 1)
    radii, heights = [0.0], [0.0]
    for place in (-1, 1):
        ball = random.uniform(0.25, 0.5)
        start = np.arcsin(bar / ball)  # where the ball meets the bar
        angle = np.linspace(np.pi, start, 14) if place < 0 else np.linspace(np.pi - start, 0, 14)
        center = place * (length / 2 + ball * np.cos(start))
        radii.extend(ball * np.sin(angle))
        heights.extend(center + ball * np.cos(angle))
    return _revolve([0, *radii[2:-1], 0], heights[1:])


FAMILIES: dict[str, Callable[[np.random.Generator], Solid]] = {
    "box": _box,
    "ellipsoid": _ellipsoid,
    "cylinder": _cylinder,
    "cone": _cone,
    "torus": _torus,
    "star": _star,
    "spring": _spring,
    "cup": _cup,
    "stairs": _stairs,
    "table": _table,
    "chair": _chair,
    "dumbbell": _dumbbell,
}
