"""Random views of shapes: how a mesh is turned and shifted before it is projected."""

import hashlib
from typing import Literal, get_args

import numpy as np

from deepsphere.data.mesh_signals import MeshScene, Pose
from deepsphere.geometry import random_rotations, rotation_zyz

Perturbation = Literal["none", "translation", "z", "so3"]

MAX_TRANSLATION = 0.1  # in radii of the mesh; of the published projections


def draw_pose(
    scene: MeshScene,
    *,
    identity: str,
    perturbation: Perturbation,
    max_translation: float | int = MAX_TRANSLATION,
    seed: int,
    view: int,
) -> Pose:
    """Random pose of a mesh that is centred and of radius 1.

    ===========  ===================================================================================
    none         The mesh as it is.
    translation  Shifted in a random direction by a length drawn from U(0, max_translation).
    z            Shifted so, then turned about the z axis by an angle drawn from U(0, 2π).
    so3          Shifted so, then turned by a rotation drawn uniformly.
    ===========  ===================================================================================

    Last, the mesh is scaled so that its farthest vertex is at `VIEW_RADIUS`. The pose is a function
    of the identity, the seed and the view, whatever is drawn for others; the shift is the same in
    all perturbations.

    Parameters
    ----------
    scene
        The mesh.
    identity
        Text that tells the mesh from others: the digest of its content.
    perturbation
        What is drawn.
    max_translation
        In radii of the mesh, in [0, 1); of no effect where nothing is shifted.
    seed
        Seed of all views, 0 or more.
    view
        Number of the view, 0 or more.

    Returns
    -------
    Pose

    Raises
    ------
    ValueError
        If the perturbation is unknown, or a number is out of its range.

    Examples
    --------
    >>> import trimesh
    >>> scene = MeshScene(trimesh.creation.icosphere(subdivisions=1))
    >>> pose = draw_pose(scene, identity="ball", perturbation="z", seed=0, view=0)
    >>> pose.rotation[2].tolist(), bool(np.linalg.norm(pose.translation) <= 0.1)
    ([0.0, 0.0, 1.0], True)

    References
    ----------
    Cohen, Geiger, Köhler, Welling (2018), Spherical CNNs, section 5.3 and the code with it.
    """
    check_perturbation(perturbation, max_translation=max_translation, seed=seed)
    rotation, translation = np.eye(3), np.zeros(3)
    if perturbation != "none":
        words = hashlib.sha256(identity.encode()).digest()[:16]
        generator = np.random.default_rng([seed, view, int.from_bytes(words, "little")])
        # all is drawn, in one order, so that perturbations share what they have in common
        length = max_translation * generator.random()
        direction, turn = random_rotations(2, seed=generator)
        angle = 2 * np.pi * generator.random()
        translation = length * direction[0]
        if perturbation == "z":
            rotation = rotation_zyz(angle, 0.0, 0.0)
        elif perturbation == "so3":
            rotation = turn
    return Pose(rotation, translation, scene.fitting_scale(translation))


def check_perturbation(
    perturbation: Perturbation, *, max_translation: float | int, seed: int
) -> None:
    """Raise unless views can be drawn so.

    Parameters
    ----------
    perturbation, max_translation, seed
        As for :func:`draw_pose`.

    Raises
    ------
    ValueError
        If the perturbation is unknown, or a number is out of its range.

    Examples
    --------
    >>> check_perturbation("so3", max_translation=0.1, seed=0)
    """
    if perturbation not in get_args(Perturbation):
        raise ValueError(
            f"perturbation must be one of {', '.join(get_args(Perturbation))}, got {perturbation!r}"
        )
    if not 0 <= max_translation < 1:
        raise ValueError(
            "max_translation must be in [0, 1), in radii of the mesh, so that the mesh stays "
            f"around the centre, got {max_translation}; the published one is {MAX_TRANSLATION}"
        )
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
