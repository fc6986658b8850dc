"""Rotation matrices: active, on column vectors."""

import numpy as np
from jaxtyping import Float


def rotation_zyz(alpha: float, beta: float, gamma: float) -> Float[np.ndarray, "3 3"]:
    """Rotation matrix of the Euler angles Z(alpha) Y(beta) Z(gamma).

    It turns by gamma about z, then by beta about y, then by alpha about z (fixed axes), and takes
    the north pole to the point of colatitude beta and longitude alpha.

    Parameters
    ----------
    alpha, beta, gamma
        Angles in radian.

    Returns
    -------
    Active rotation matrix, for column vectors.

    Examples
    --------
    >>> north_goes_to = rotation_zyz(0.0, np.pi / 2, 0.0) @ [0, 0, 1]
    >>> north_goes_to.round(12).tolist()
    [1.0, 0.0, 0.0]
    """

    def about_z(angle: float) -> np.ndarray:
        cos, sin = np.cos(angle), np.sin(angle)
        return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])

    cos, sin = np.cos(beta), np.sin(beta)
    about_y = np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
    return about_z(alpha) @ about_y @ about_z(gamma)


def random_rotations(num: int, *, seed: int | np.random.Generator) -> Float[np.ndarray, "num 3 3"]:
    """Rotation matrices drawn from the uniform (Haar) distribution on SO(3).

    A normalized Gaussian vector in four dimensions is a uniform unit quaternion.

    Parameters
    ----------
    num
        How many, at least 0.
    seed
        An integer, or a generator, which is advanced.

    Returns
    -------
    Rotation matrices of determinant 1.

    Raises
    ------
    ValueError
        If num is negative.

    Examples
    --------
    >>> R = random_rotations(2, seed=0)
    >>> bool(np.allclose(R @ R.transpose(0, 2, 1), np.eye(3)))
    True

    References
    ----------
    Shoemake (1992), Uniform random rotations, Graphics Gems III.
    """
    if num < 0:
        raise ValueError(f"num must not be negative, got {num}")
    quaternions = np.random.default_rng(seed).standard_normal((num, 4))
    w, x, y, z = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)
