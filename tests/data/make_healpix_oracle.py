"""Write healpix_oracle.npz from healpy, which is installed for this purpose alone.

    python -m venv /tmp/oracle && /tmp/oracle/bin/pip install healpy
    /tmp/oracle/bin/python tests/data/make_healpix_oracle.py

For each nside: `ring_N` and `nested_N`, pixel centers (12 N², 3), and `ring_to_nested_N`.
"""

from pathlib import Path

import numpy as np

NSIDES = (1, 2, 4, 8, 16)


def main() -> None:
    import healpy

    arrays = {}
    for nside in NSIDES:
        pixels = np.arange(12 * nside**2)
        arrays[f"ring_{nside}"] = np.stack(healpy.pix2vec(nside, pixels), axis=1)
        arrays[f"nested_{nside}"] = np.stack(healpy.pix2vec(nside, pixels, nest=True), axis=1)
        arrays[f"ring_to_nested_{nside}"] = healpy.ring2nest(nside, pixels).astype(np.int32)
    np.savez_compressed(Path(__file__).with_name("healpix_oracle.npz"), **arrays)


if __name__ == "__main__":
    main()
