"""Equal parts of maps of the whole sphere, as training takes them."""

from deepsphere.sampling.healpix_patches import (
    cut_patches,
    num_patch_pixels,
    num_patches,
    patch_sampling,
    patch_slice,
)

__all__ = ["cut_patches", "num_patch_pixels", "num_patches", "patch_sampling", "patch_slice"]
