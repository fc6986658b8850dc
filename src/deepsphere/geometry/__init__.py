"""Unit vectors, angles, rotations, and areas on the sphere.

Everything is float64 and pure. A point is a unit vector, the last axis of an array; angles are in
radian, areas in steradian, and rotations are active 3×3 matrices that act on column vectors.
"""

from deepsphere.geometry.cells import (
    Cells,
    Pixels,
    Polygons,
    Rectangles,
    convex_polygons,
    voronoi_cells,
)
from deepsphere.geometry.points import (
    angular_distance,
    farthest_points,
    lonlat_to_points,
    points_to_lonlat,
    stereographic,
)
from deepsphere.geometry.rotations import random_rotations, rotation_zyz
from deepsphere.geometry.triangles import triangle_areas, triangle_circumcenters
from deepsphere.geometry.voronoi import (
    merge_close_points,
    merged_delaunay,
    spherical_delaunay,
    voronoi_areas,
)

__all__ = [
    "Cells",
    "Pixels",
    "Polygons",
    "Rectangles",
    "angular_distance",
    "convex_polygons",
    "farthest_points",
    "lonlat_to_points",
    "merge_close_points",
    "merged_delaunay",
    "points_to_lonlat",
    "random_rotations",
    "rotation_zyz",
    "spherical_delaunay",
    "stereographic",
    "triangle_areas",
    "triangle_circumcenters",
    "voronoi_areas",
    "voronoi_cells",
]
