"""Views of the sphere: three map projections, centred anywhere, and curves cut to fit them."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float

ProjectionName = Literal["mollweide", "orthographic", "equirectangular"]
EastSide = Literal["right", "left"]
Window = tuple[float, float, float, float]
"""Left, right, bottom and top of a part of a map, in map coordinates."""

_HALF_SIZES = {"mollweide": (2.0, 1.0), "orthographic": (1.0, 1.0), "equirectangular": (2.0, 1.0)}


@dataclass(frozen=True)
class View:
    """A map of the sphere on the plane, seen from above a chosen point.

    Mollweide: ``x = 2 lon / π cos θ, y = sin θ`` with ``2 θ + sin 2 θ = π sin lat`` (areas are
    true); orthographic: ``x = cos lat sin lon, y = sin lat`` (the globe from far away, front half
    only); equirectangular (plate carrée): ``x = 2 lon / π, y = 2 lat / π``, where lon and lat are
    measured from the centre. The first and last fill ``|x| <= 2, |y| <= 1``, the second the unit
    disc.

    Parameters
    ----------
    projection
        ``"mollweide"``, ``"orthographic"`` or ``"equirectangular"``.
    center
        Longitude and latitude of the centre, degrees; north stays up.
    east
        The side to which longitude grows: ``"right"`` as on maps of the Earth, ``"left"`` as on
        maps of the sky.

    Raises
    ------
    ValueError
        If a choice is unknown or the centre is not a point of the sphere.

    Examples
    --------
    >>> view = View("orthographic", center=(0, 90))
    >>> view.project(np.array([[0.0, 0.0, 1.0]])).round(6) + 0.0
    array([[0., 0.]])

    References
    ----------
    Snyder (1987), Map Projections: a Working Manual, sections 12, 20 and 31.
    """

    projection: ProjectionName = "mollweide"
    center: tuple[float | int, float | int] = (0.0, 0.0)
    east: EastSide = "right"

    def __post_init__(self) -> None:
        if self.projection not in get_args(ProjectionName):
            raise ValueError(
                f"projection must be one of {', '.join(get_args(ProjectionName))}, "
                f"got {self.projection!r}; choose one of these"
            )
        if self.east not in get_args(EastSide):
            raise ValueError(f"east must be 'right' or 'left', got {self.east!r}; choose one")
        finite = len(self.center) == 2 and all(math.isfinite(angle) for angle in self.center)
        if not finite or abs(self.center[1]) > 90:
            raise ValueError(
                "center must be (longitude, latitude) in degrees with latitude in [-90, 90], "
                f"got {self.center!r}; give two such numbers"
            )

    @property
    def half_width(self) -> float:
        """Half of the width of the map."""
        return _HALF_SIZES[self.projection][0]

    @property
    def half_height(self) -> float:
        """Half of the height of the map."""
        return _HALF_SIZES[self.projection][1]

    @property
    def window(self) -> Window:
        """The whole map."""
        return -self.half_width, self.half_width, -self.half_height, self.half_height

    @property
    def rotation(self) -> Float[np.ndarray, "3 3"]:
        """The rotation that brings the centre to the x axis and keeps north up."""
        lon, lat = np.radians(self.center)
        about_z = np.array(
            [[np.cos(lon), np.sin(lon), 0], [-np.sin(lon), np.cos(lon), 0], [0, 0, 1.0]]
        )
        about_y = np.array(
            [[np.cos(lat), 0, np.sin(lat)], [0, 1.0, 0], [-np.sin(lat), 0, np.cos(lat)]]
        )
        return about_y @ about_z

    def faces_viewer(self, points: Float[np.ndarray, "n 3"]) -> Bool[np.ndarray, "n"]:
        """Which points lie on the side that the map shows (all, unless orthographic)."""
        if self.projection == "orthographic":
            return points @ self.rotation[0] > 0
        return np.ones(len(points), dtype=bool)

    def project(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
        """The positions of unit vectors on the map.

        Parameters
        ----------
        points
            Unit vectors, shape (n, 3). Orthographic: the back side falls onto the front.

        Returns
        -------
        Float[np.ndarray, "n 2"]
            Map coordinates, shape (n, 2).
        """
        forward, east, north = self.rotation @ points.T
        if self.projection == "orthographic":
            x, y = east, north
        else:
            lon = np.arctan2(east, forward)
            lat = np.arctan2(north, np.hypot(forward, east))
            if self.projection == "mollweide":
                theta = _mollweide_angle(lat)
                x, y = 2 / np.pi * lon * np.cos(theta), np.sin(theta)
            else:
                x, y = 2 / np.pi * lon, 2 / np.pi * lat
        return np.stack([x if self.east == "right" else -x, y], axis=1)

    def unproject(self, positions: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
        """The unit vectors shown at positions of the map.

        Parameters
        ----------
        positions
            Map coordinates, shape (n, 2).

        Returns
        -------
        Float[np.ndarray, "n 3"]
            Unit vectors, shape (n, 3); NaN for positions outside of the map.
        """
        x = positions[:, 0] if self.east == "right" else -positions[:, 0]
        y = positions[:, 1]
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.projection == "orthographic":
                forward = np.sqrt(1 - x**2 - y**2)
                seen = np.stack([forward, x, y], axis=1)
            else:
                if self.projection == "mollweide":
                    theta = np.arcsin(y)
                    lat = np.arcsin((2 * theta + np.sin(2 * theta)) / np.pi)
                    lon = np.pi / 2 * np.where(x == 0, 0, x / np.cos(theta))
                else:
                    lat, lon = np.pi / 2 * y, np.pi / 2 * x
                lon = np.where(np.abs(lon) <= np.pi, lon, np.nan)
                lat = np.where(np.abs(lat) <= np.pi / 2, lat, np.nan)
                seen = np.stack(
                    [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1
                )
        return seen @ self.rotation

    def outline(self, num_points: int = 361) -> Float[np.ndarray, "points 2"]:
        """The closed border of the map."""
        if self.projection == "equirectangular":
            return np.array([[-2, -1], [2, -1], [2, 1], [-2, 1], [-2, -1]], dtype=float)
        angle = np.linspace(0, 2 * np.pi, num_points)
        return np.stack([self.half_width * np.cos(angle), np.sin(angle)], axis=1)


def graticule_lines(
    view: View, *, spacing_deg: float | int = 30.0
) -> list[Float[np.ndarray, "points 2"]]:
    """The meridians and parallels of a map as polylines, cut where they leave it.

    Parameters
    ----------
    view
        The map.
    spacing_deg
        Degrees between neighbouring lines, more than 0.

    Returns
    -------
    list[Float[np.ndarray, "points 2"]]
        Polylines in map coordinates.

    Raises
    ------
    ValueError
        If ``spacing_deg`` is not positive.

    Examples
    --------
    >>> len(graticule_lines(View("orthographic"), spacing_deg=90))
    4
    """
    if not spacing_deg > 0:
        raise ValueError(f"spacing_deg must be positive, got {spacing_deg}; use 30 for instance")
    # steps of three degrees, ending a hair before the seam of a map centred on the equator
    fine = (1 - 1e-9) * np.linspace(-1, 1, 121)
    lines = []
    for lon in np.arange(-180, 180, spacing_deg):
        lines.append((np.full_like(fine, lon), 90 * fine))
    for lat in np.arange(0, 90, spacing_deg):
        lines += [(view.center[0] + 180 * fine, np.full_like(fine, side)) for side in {lat, -lat}]
    pieces = []
    for lon_deg, lat_deg in lines:
        lon, lat = np.radians(lon_deg), np.radians(lat_deg)
        points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], 1)
        pieces += cut_line(view, points)
    return pieces


def cut_line(
    view: View, points: Float[np.ndarray, "n 3"], *, max_step_deg: float | int = 3.0
) -> list[Float[np.ndarray, "points 2"]]:
    """A curve on the sphere as polylines of a map, cut exactly where it leaves the map.

    Great-circle arcs between the points are split into steps, so that they bend as the map does.
    Where an arc crosses the seam of the map, or the limb of the globe, one piece ends on the border
    and the next begins on it.

    Parameters
    ----------
    view
        The map.
    points
        Unit vectors along the curve, shape (n, 3), neighbours less than half a turn apart; the
        first is repeated at the end of a closed curve.
    max_step_deg
        Longest straight piece on the sphere, degrees, more than 0.

    Returns
    -------
    list[Float[np.ndarray, "points 2"]]
        Polylines of at least two points in map coordinates.

    Raises
    ------
    ValueError
        If ``max_step_deg`` is not positive.

    Examples
    --------
    >>> angle = np.linspace(0, 2 * np.pi, 9)
    >>> equator = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    >>> [round(float(x), 6) for x, _ in cut_line(View("orthographic"), equator)[0][[0, -1]]]
    [0.0, 1.0]
    """
    if not max_step_deg > 0:
        raise ValueError(f"max_step_deg must be positive, got {max_step_deg}; use 3 for instance")
    forward, east, _ = seen = view.rotation @ refined(points, np.radians(max_step_deg)).T
    if view.projection == "orthographic":
        shown, side = forward > 0, forward
        crosses = shown[1:] != shown[:-1]
    else:
        shown, side = np.ones(len(forward), bool), east
        crosses = (east[1:] >= 0) != (east[:-1] >= 0)
    before, after = side[:-1][crosses], side[1:][crosses]
    share = before / (before - after)
    first, last = seen[:, :-1][:, crosses], seen[:, 1:][:, crosses]
    middle = first + share * (last - first)
    at = np.flatnonzero(crosses)
    if view.projection != "orthographic":
        # the half plane in front of the poles is the middle of the map, that behind them the seam
        behind = middle[0] < 0
        at, middle, first, last = at[behind], middle[:, behind], first[:, behind], last[:, behind]
    ends, starts = _on_border(view, middle, first), _on_border(view, middle, last)
    positions = np.split((view.rotation.T @ seen).T, at + 1)
    flags = np.split(shown, at + 1)
    pieces = []
    for index, (piece, visible) in enumerate(zip(positions, flags, strict=True)):
        if not visible[0]:
            continue
        inside = view.project(piece)
        start, end = starts[index - 1 : index] if index else starts[:0], ends[index : index + 1]
        piece = np.concatenate([start, inside, end])
        # a curve over a pole of the map jumps along its upper or lower border
        jumps = np.abs(np.diff(piece[:, 0])) > view.half_width / 5
        pieces += np.split(piece, np.flatnonzero(jumps) + 1)
    return [piece for piece in pieces if len(piece) > 1]


def refined(points: Float[np.ndarray, "n 3"], max_step: float | int) -> Float[np.ndarray, "m 3"]:
    """A curve with points added on its great-circle arcs, so that no step is long.

    Parameters
    ----------
    points
        Unit vectors along the curve, neighbours less than half a turn apart.
    max_step
        The longest step, radian.

    Returns
    -------
    Float[np.ndarray, "m 3"]
        Unit vectors, those given among them.

    Examples
    --------
    >>> refined(np.eye(3)[:2], np.pi / 4).round(3).tolist()
    [[1.0, 0.0, 0.0], [0.707, 0.707, 0.0], [0.0, 1.0, 0.0]]
    """
    if len(points) < 2:
        return points
    chords = np.linalg.norm(np.diff(points, axis=0), axis=1)
    angles = 2 * np.arcsin(np.clip(chords / 2, 0, 1))
    counts = np.maximum(np.ceil(angles / max_step - 1e-9).astype(int), 1)
    if (counts == 1).all():
        return points
    arc = np.repeat(np.arange(len(counts)), counts)
    share = (np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)) / counts[arc]
    # equal angles, not equal parts of the chord, whose middle would be passed in a long step
    before, after = np.sin((1 - share) * angles[arc]), np.sin(share * angles[arc])
    straight = angles[arc] < 1e-6
    before, after = np.where(straight, 1 - share, before), np.where(straight, share, after)
    fine = before[:, None] * points[arc] + after[:, None] * points[arc + 1]
    fine = np.concatenate([fine, points[-1:]])
    # between opposite points there is no arc: through the middle
    return fine / np.maximum(np.linalg.norm(fine, axis=1, keepdims=True), 1e-12)


def _on_border(
    view: View, seen: Float[np.ndarray, "3 n"], near: Float[np.ndarray, "3 n"]
) -> Float[np.ndarray, "n 2"]:
    """Positions of points of the limb or seam (in the frame of the view), on the side of others."""
    seen = seen / np.linalg.norm(seen, axis=0)
    if view.projection == "orthographic":
        seen[0] = 0.0
    else:
        # a hair off the seam, on the side where the curve comes from
        seen[1] = np.where(near[1] >= 0, 1e-12, -1e-12)
    return view.project((view.rotation.T @ seen).T)


def _mollweide_angle(lat: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Solve ``2 θ + sin 2 θ = π sin lat`` by Newton's method, started where it is quadratic."""
    # with u = π - 2 θ the equation is u - sin u = π (1 - |sin lat|); near the pole u³ / 6
    target = np.pi * (1 - np.abs(np.sin(lat)))
    angle = np.cbrt(6 * target)
    for _ in range(12):
        slope = 1 - np.cos(angle)
        step = np.where(
            slope > 1e-12, (angle - np.sin(angle) - target) / np.maximum(slope, 1e-12), 0
        )
        angle = np.clip(angle - step, 0, np.pi)
    return np.copysign((np.pi - angle) / 2, lat)
