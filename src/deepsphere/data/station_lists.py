"""Where the stations of a table are: in its rows, or in a list beside it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deepsphere.data.station_columns import as_texts, find_roles
from deepsphere.data.station_numbers import as_degrees, elevations_m
from deepsphere.data.station_places import some
from deepsphere.geometry import lonlat_to_points

if TYPE_CHECKING:
    import pandas as pd

_EARTH_RADIUS_KM = 6371.0
# A station whose positions are closer, in degree, has not moved: they were rounded.
_ROUNDING_DEG = 1e-4
# Latitudes of a station at one time that are farther apart are those of several stations.
_MISTAKE_DEG = 1.0


@dataclass(frozen=True, eq=False)
class Places:
    """What is known of stations.

    Parameters
    ----------
    ids, names
        Of each.
    lon_deg, lat_deg, elevation_m
        float64, NaN where it is not known.
    notes
        What had to be decided.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    lon_deg: np.ndarray
    lat_deg: np.ndarray
    elevation_m: np.ndarray
    notes: tuple[str, ...] = ()

    def of(self, ids: Sequence[str]) -> "Places":
        """Places of stations that are called by their ids, or by their names.

        Parameters
        ----------
        ids
            In the order that is wanted; what is not in the list has no position.

        Returns
        -------
        Places

        Raises
        ------
        ValueError
            If the list has none of them.
        """
        rows = {}
        for keys in (self.names, self.ids):
            rows.update({key: row for row, key in enumerate(keys) if key})
        found = np.array([rows.get(key, -1) for key in ids], np.int64)
        missing = [key for key, row in zip(ids, found, strict=True) if row < 0]
        if len(missing) == len(ids):
            raise ValueError(
                f"stations must list those of the table, got {', '.join(self.ids[:4])} where it "
                f"has {', '.join(ids[:4])}; give the list that belongs to it"
            )
        notes = list(self.notes)
        if missing:
            notes.append(
                f"{len(missing)} of {len(ids)} stations are not in the list: {some(missing)}"
            )
        return Places(
            ids=tuple(ids),
            names=tuple(self.names[row] if row >= 0 else "" for row in found),
            lon_deg=np.append(self.lon_deg, np.nan)[found],
            lat_deg=np.append(self.lat_deg, np.nan)[found],
            elevation_m=np.append(self.elevation_m, np.nan)[found],
            notes=tuple(notes),
        )


def listed_places(table: "pd.DataFrame", columns: Mapping[str, str] | None = None) -> Places:
    """Places of a list of stations: one row for each, the last where one has several.

    Parameters
    ----------
    table
        With columns of longitude, latitude, and an id or a name.
    columns
        Header of each role that is not recognised; those that the list lacks are of another table.

    Returns
    -------
    Places

    Raises
    ------
    ValueError
        If it has no longitudes, latitudes, or ids.
    """
    table = table.reset_index() if any(name is not None for name in table.index.names) else table
    headers = list(table.columns)
    given = {role: header for role, header in (columns or {}).items() if header in headers}
    roles = find_roles(headers, given)
    if not {"lon", "lat"} <= roles.keys() or not roles.keys() & {"station", "name"}:
        raise ValueError(
            "stations must be a list with columns of ids, longitudes and latitudes, got "
            f"{', '.join(map(str, headers[:12]))}; name them, "
            "columns={'station': ..., 'lon': ..., 'lat': ...}"
        )
    no_times = np.arange(len(table)).astype("datetime64[s]")
    _, places = row_places(table, roles, no_times, None)
    return places


def row_places(
    table: "pd.DataFrame",
    roles: Mapping[str, Any],
    times: np.ndarray,
    stations: "pd.DataFrame | None",
) -> tuple[np.ndarray, Places]:
    """Which station each row is of, and where the stations are.

    Where the rows of a station differ, the latest counts.

    Parameters
    ----------
    table
        With a row for each station and time.
    roles
        Of its columns.
    times
        Of its rows.
    stations
        A list of stations, which is believed rather than the rows.

    Returns
    -------
    codes, places
        Index of the station of each row in order of appearance, −1 where none is named.

    Raises
    ------
    ValueError
        If nothing says where the stations are.
    """
    if stations is None and not {"lon", "lat"} <= roles.keys():
        raise no_places(table.columns)
    order = np.argsort(times, kind="stable")
    if stations is not None:
        codes, ids = _codes_of(table, roles, None)
        return codes, listed_places(stations).of(ids)
    lon, lat = (as_degrees(table[roles[role]]) for role in ("lon", "lat"))
    codes, ids = _codes_of(table, roles, (lon, lat))
    placed = np.isfinite(lon) & np.isfinite(lat)
    number = len(ids)
    positions = np.stack([_latest(each, placed, codes, order, number) for each in (lon, lat)])
    height = np.full(number, np.nan)
    if "elevation" in roles:
        heights = elevations_m(table[roles["elevation"]], roles["elevation"])
        height = _latest(heights, np.isfinite(heights), codes, order, number)
    names = [""] * number
    if "name" in roles and roles["name"] != roles.get("station"):
        texts = as_texts(table[roles["name"]]).to_numpy()
        known = np.array([text is not None for text in texts])
        rows = _latest(np.arange(len(table), dtype=np.float64), known, codes, order, number)
        names = ["" if np.isnan(row) else str(texts[int(row)]) for row in rows]
    _check_apart(lon, lat, positions, codes, times, placed, ids)
    notes = _moves(lon, lat, positions, codes, placed, ids)
    return codes, Places(tuple(ids), tuple(names), positions[0], positions[1], height, notes)


def no_places(headers: Iterable[Any]) -> ValueError:
    """The error of a table that does not say where its stations are.

    Parameters
    ----------
    headers
        Of the table.

    Returns
    -------
    ValueError
        To be raised.
    """
    return ValueError(
        "table must say where the stations are, got the columns "
        f"{', '.join(map(str, list(headers)[:12]))}; name those of longitude and latitude, "
        "columns={'lon': ..., 'lat': ...}, or give the list of stations, stations="
    )


def _codes_of(
    table: "pd.DataFrame",
    roles: Mapping[str, Any],
    positions: tuple[np.ndarray, np.ndarray] | None,
) -> tuple[np.ndarray, list[str]]:
    """Index of the station of each row, and their ids: by id, else by name and place."""
    import pandas as pd

    if "station" in roles or positions is None:
        header = roles.get("station", roles.get("name"))
        if header is None:
            raise ValueError(
                "table must name the station of each row, got the columns "
                f"{', '.join(map(str, table.columns[:12]))}; say which does, "
                "columns={'station': ...}"
            )
        codes, ids = pd.factorize(as_texts(table[header]))
        return codes, [str(one) for one in ids]
    keys = {"lon": positions[0], "lat": positions[1]}
    if "name" in roles:
        keys["name"] = as_texts(table[roles["name"]]).fillna("").to_numpy()
    groups = pd.DataFrame(keys).groupby(list(keys), sort=False, dropna=True)
    numbers = groups.ngroup().to_numpy()
    codes, first = pd.factorize(np.where(numbers < 0, np.nan, numbers))
    codes = np.asarray(codes, np.int64)
    if "name" not in roles:
        return codes, [str(index) for index in range(len(first))]
    present, rows = np.unique(codes, return_index=True)
    texts = [str(one) for one in keys["name"][rows[present >= 0]]]
    ids, seen = [], dict.fromkeys(texts, 0)
    for text in texts:
        seen[text] += 1
        ids.append(text if text and seen[text] == 1 else f"{text} ({seen[text]})".strip())
    return codes, ids


def _latest(
    values: np.ndarray, known: np.ndarray, codes: np.ndarray, order: np.ndarray, number: int
) -> np.ndarray:
    """The last known value of each station in the order of rows."""
    rows = order[known[order] & (codes[order] >= 0)]
    latest = np.full(number, -1, np.int64)
    np.maximum.at(latest, codes[rows], np.arange(len(rows)))
    found = np.full(number, np.nan)
    has = latest >= 0
    found[has] = values[rows[latest[has]]]
    return found


def _check_apart(
    lon: np.ndarray,
    lat: np.ndarray,
    positions: np.ndarray,
    codes: np.ndarray,
    times: np.ndarray,
    placed: np.ndarray,
    ids: Sequence[str],
) -> None:
    """Raise where a station is at two places at once: what was taken for its id is none."""
    rows = np.flatnonzero(placed & (codes >= 0))
    if (np.abs(lat[rows] - positions[1][codes[rows]]) <= _MISTAKE_DEG / 2).all():
        return
    rows = rows[np.lexsort((times[rows], codes[rows]))]
    first, second = rows[:-1], rows[1:]
    at_once = (codes[first] == codes[second]) & (times[first] == times[second])
    first, second = first[at_once], second[at_once]
    wrong = np.abs(lat[first] - lat[second]) > _MISTAKE_DEG
    if not wrong.any():
        return
    index = int(np.flatnonzero(wrong)[0])
    raise ValueError(
        "station must tell stations apart, got "
        f"{ids[int(codes[first[index]])]!r} at the latitudes {lat[first[index]]:g} and "
        f"{lat[second[index]]:g} at the same time; name the column that does, "
        "columns={'station': ...}"
    )


def _moves(
    lon: np.ndarray,
    lat: np.ndarray,
    positions: np.ndarray,
    codes: np.ndarray,
    placed: np.ndarray,
    ids: Sequence[str],
) -> tuple[str, ...]:
    """What to say of stations that are at several places."""
    rows = np.flatnonzero(placed & (codes >= 0))
    there = positions[:, codes[rows]]
    differ = (lon[rows] != there[0]) | (lat[rows] != there[1])
    rows, there = rows[differ], there[:, differ]
    here = lonlat_to_points(np.deg2rad(lon[rows]), np.deg2rad(lat[rows]))
    then = lonlat_to_points(np.deg2rad(there[0]), np.deg2rad(there[1]))
    chords = np.linalg.norm(here - then, axis=1)
    apart = chords > np.deg2rad(_ROUNDING_DEG)
    if not apart.any():
        return ()
    moved = np.unique(codes[rows[apart]])
    far = 2 * np.arcsin(min(chords.max() / 2, 1.0)) * _EARTH_RADIUS_KM
    told = some([str(ids[int(index)]) for index in moved])
    return (
        f"{len(moved)} station{'' if len(moved) == 1 else 's'} moved, by up to {far:.3g} km; the "
        f"latest position counts: {told}",
    )
