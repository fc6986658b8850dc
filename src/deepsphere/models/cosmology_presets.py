"""The published networks for convergence maps, and the statistics that they were compared by."""

from typing import Literal, get_args

from deepsphere.graph.coarsening import Pyramid, build_pyramid
from deepsphere.layers.statistics import ReadoutName
from deepsphere.models.classifier import CNN, FCN
from deepsphere.models.rivals import PlanarCNN
from deepsphere.models.rivals.planar_cnn import PLANAR_CHANNELS
from deepsphere.sampling import Subset
from deepsphere.sampling.healpix_patches import patch_sampling

CosmologyVariant = Literal["fcn", "cnn"]
PlanarVariant = Literal["cnn", "fcn", "cnn_big", "fcn_big"]

COSMOLOGY_CHANNELS = (16, 32, 64, 64, 64)


def cosmology(
    pyramid: Pyramid | None = None,
    *,
    variant: CosmologyVariant = "fcn",
    readout: ReadoutName | None = None,
    nside: int = 1024,
    order: int = 1,
    num_neighbors: int = 8,
    in_channels: int = 1,
    out_channels: int = 2,
) -> FCN | CNN:
    """The network of convergence maps: 54,720 or 185,152 parameters with one channel, two classes.

    Five blocks of kernel size 5, each followed by max pooling. Then, for "fcn", a convolution to
    the classes whose mean is the logits; for "cnn", flattening and a dense layer (185,152
    parameters where the last level has 1024 vertices). Normalized Laplacians, as in the code.

    Regression takes the same networks: as many input channels as maps (redshifts), and
    ``out_channels=task.num_model_outputs`` of a :class:`deepsphere.tasks.Regression`.

    Parameters
    ----------
    pyramid : Pyramid, optional
        At most 6 levels, in place of the part of a HEALPix sphere.
    variant : "fcn" or "cnn"
    readout : str, optional
        For "fcn", the statistics of the fifth block that a dense layer without bias takes, in
        place of the convolution to the classes: "mean" (48,448 parameters), "variance", "max"
        (the same), "meanvar" (48,576), "histogram" (53,440: 20 learned bins for each of the 64
        features); see `make_readout`.
    nside : int, a power of two, at least 32 times the order
        Of the finest level.
    order : int, a power of two
        The maps are the first of ``12 order²`` equal parts of the sphere.
    num_neighbors : int
        8 in the first paper; 20 or 40 give better results.
    in_channels, out_channels : int

    Returns
    -------
    FCN or CNN

    Raises
    ------
    ValueError
        If the variant is not one of these, it is "cnn" and a readout is given, or `nside` is not a
        multiple of 32 times the order.

    References
    ----------
    Perraudin, Defferrard, Kacprzak and Sgier, "DeepSphere: efficient spherical convolutional
    neural network with HEALPix sampling for cosmological applications", 2019.
    """
    if variant not in get_args(CosmologyVariant):
        raise ValueError(
            f"variant must be one of {', '.join(get_args(CosmologyVariant))}, got {variant!r}"
        )
    if variant == "cnn" and readout is not None:
        raise ValueError(
            f'readout must be left out for variant="cnn", got {readout!r}; it flattens the feature '
            'map and takes no statistics: use variant="fcn"'
        )
    if pyramid is None:
        pyramid = build_pyramid(
            _first_part(nside, order),
            num_levels=6,
            num_neighbors=num_neighbors,
            weights="gaussian",
            laplacian="normalized",
        )
    if variant == "fcn":
        return FCN(
            pyramid,
            in_channels=in_channels,
            out_channels=out_channels,
            channels=COSMOLOGY_CHANNELS,
            kernel_size=5,
            pooling="max",
            readout=readout or "mean",
            activation="relu",
            last_upsampled=False,
            affine=False,
            bias=True,
            head="dense" if readout else "convolution",
            head_bias=False,
        )
    return CNN(
        pyramid,
        in_channels=in_channels,
        out_channels=out_channels,
        channels=COSMOLOGY_CHANNELS,
        kernel_size=5,
        pooling="max",
        affine=False,
        bias=True,
        head_bias=False,
    )


def planar_cosmology(
    sampling: Subset | None = None,
    *,
    variant: PlanarVariant = "cnn",
    nside: int = 1024,
    order: int = 1,
    in_channels: int = 1,
    out_channels: int = 2,
) -> PlanarCNN:
    """The 2D CNN of convergence maps projected to an image: 87,472 parameters at 1024 × 1024.

    Five convolutions of 5 × 5 pixels and stride 2. Then, for "cnn", flattening and a dense layer;
    for "fcn", a convolution to the classes whose mean is the logits. The "big" ones have the widths
    of `cosmology`.

    =======  ================  ===========================================
    variant  in the paper      parameters (one channel, two classes)
    =======  ================  ===========================================
    cnn      CNN-2d            87,472 at 1024 × 1024; 54,736 at 32 × 32
    fcn      FCN-2d            55,504
    cnn_big  CNN-2d-big        400,512 at 1024 × 1024; 269,568 at 32 × 32
    fcn_big  FCN-2d-big        272,640
    =======  ================  ===========================================

    Parameters
    ----------
    sampling : Subset, optional
        One block of HEALPix pixels, at least 32 of them wide, in place of `nside` and `order`.
    variant : "cnn", "fcn", "cnn_big" or "fcn_big"
    nside : int, a power of two, at least 32 times the order
    order : int, a power of two
        The maps are the first of ``12 order²`` equal parts of the sphere.
    in_channels, out_channels : int

    Returns
    -------
    PlanarCNN

    Raises
    ------
    ValueError
        If the variant is not one of these, the sampling is not such a block, or `nside` is not a
        multiple of 32 times the order.

    Examples
    --------
    >>> from deepsphere.models import num_parameters
    >>> num_parameters(planar_cosmology())
    87472

    References
    ----------
    Perraudin, Defferrard, Kacprzak and Sgier, "DeepSphere: efficient spherical convolutional
    neural network with HEALPix sampling for cosmological applications", 2019, and its code.
    """
    if variant not in get_args(PlanarVariant):
        raise ValueError(
            f"variant must be one of {', '.join(get_args(PlanarVariant))}, got {variant!r}"
        )
    return PlanarCNN(
        _first_part(nside, order) if sampling is None else sampling,
        in_channels=in_channels,
        out_channels=out_channels,
        channels=COSMOLOGY_CHANNELS if variant.endswith("_big") else PLANAR_CHANNELS,
        kernel_size=5,
        head="mean" if variant.startswith("fcn") else "dense",
        head_bias=False,
    )


def _first_part(nside: int, order: int) -> Subset:
    """The first of 12 order² equal parts of a HEALPix sphere, in nested order."""
    if order < 1 or nside % (32 * order):
        raise ValueError(
            f"nside must be a multiple of 32 order ({32 * order}), got {nside}; five poolings must "
            "leave whole pixels"
        )
    part = patch_sampling(nside, order)
    assert isinstance(part, Subset)  # order 0 alone is the whole sphere
    return part
