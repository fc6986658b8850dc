"""The published configurations by name, on the published samplings or any other pyramid."""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from torch import nn

from deepsphere.graph.coarsening import Pyramid, build_pyramid
from deepsphere.layers.masked_signals import MissingName
from deepsphere.layers.pooling import PoolName, UnpoolName
from deepsphere.models.classifier import FCN
from deepsphere.models.climate_unet import ClimateUNet
from deepsphere.models.cosmology_presets import cosmology, planar_cosmology
from deepsphere.models.dense_regressor import DenseRegressor
from deepsphere.models.regressor import Regressor
from deepsphere.models.rivals import (
    cnn2d_shapes,
    cohen_full,
    cohen_simplified,
    cube_shapes,
    esteves,
    ugscnn_mnist,
    ugscnn_modelnet40,
)
from deepsphere.models.unet import UNet
from deepsphere.sampling import Healpix, Icosahedral, Sampling

ClimateVariant = Literal["table", "code", "appendix"]
GhcnVariant = Literal["dense", "global"]


def shrec17(
    pyramid: Pyramid | None = None,
    *,
    nside: int = 32,
    num_neighbors: int = 8,
    in_channels: int = 6,
    out_channels: int = 55,
) -> FCN:
    """The classifier of 3D shapes projected on the sphere (SHREC'17): 189,040 parameters.

    Five blocks of kernel size 4, each followed by max pooling, then the mean and a dense layer
    without bias. The graphs have normalized Laplacians, as in the code (the text says
    combinatorial).

    Parameters
    ----------
    pyramid : Pyramid, optional
        At most 6 levels, in place of the HEALPix pyramid down to nside 1.
    nside : int, a power of two, at least 32
        Of the finest level.
    num_neighbors : int
    in_channels : int
        Three of the mesh and three of its convex hull: distance, cosine, sine.
    out_channels : int
        Number of classes.

    Returns
    -------
    FCN

    Examples
    --------
    >>> from deepsphere.models import num_parameters
    >>> num_parameters(shrec17())
    189040

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, "DeepSphere: a graph-based spherical CNN", 2020,
    section 4.1 and its code.
    """
    if pyramid is None:
        pyramid = build_pyramid(
            Healpix(nside=nside),
            num_levels=6,
            num_neighbors=num_neighbors,
            weights="gaussian",
            laplacian="normalized",
        )
    return FCN(
        pyramid,
        in_channels=in_channels,
        out_channels=out_channels,
        channels=(16, 32, 64, 128, 256),
        kernel_size=4,
        pooling="max",
        readout="mean",
        activation="relu",
        last_upsampled=False,
        affine=False,
        bias=True,
        head_bias=False,
    )


def climate(
    pyramid: Pyramid | None = None,
    *,
    variant: ClimateVariant = "table",
    width: int = 1,
    pooling: PoolName = "keep_first",
    unpooling: UnpoolName = "pad_ones",
    in_channels: int = 16,
    out_channels: int = 3,
) -> ClimateUNet | UNet:
    """The segmentation of cyclones and atmospheric rivers: 12,926,432 parameters in the table.

    Pooling keeps the first vertices of the icosahedral pyramid, unpooling fills the others with
    ones, as in the code.

    Parameters
    ----------
    pyramid : Pyramid, optional
        6 levels, in place of the icosahedral pyramid from level 5 (10,242 vertices) to 0, with 6
        neighbors and combinatorial Laplacians.
    pooling, unpooling : str
        As in `Pool` and `Unpool`; the published ones need an icosahedral pyramid.
    variant : "table", "code" or "appendix"
        The network whose size the paper's table gives (12,926,432); the committed code, which
        also appends the input to the last decoder layer (12,932,608); the network that the
        appendix describes (7,681,027).
    width : int
        Multiplies the number of channels; 2 is the "wider" network of the table.
    in_channels, out_channels : int

    Returns
    -------
    ClimateUNet or UNet

    Raises
    ------
    ValueError
        If the variant is not one of these.

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, "DeepSphere: a graph-based spherical CNN", 2020,
    section 4.3 and appendix.
    """
    if variant not in get_args(ClimateVariant):
        raise ValueError(
            f"variant must be one of {', '.join(get_args(ClimateVariant))}, got {variant!r}"
        )
    pyramid = _icosahedral_pyramid() if pyramid is None else pyramid
    if variant == "appendix":
        return UNet(
            pyramid,
            in_channels=in_channels,
            out_channels=out_channels,
            channels=[width * num for num in (64, 128, 256, 512, 512, 512)],
            stem_channels=width * 32,
            kernel_size=4,
            head_kernel_size=4,
            pooling=pooling,
            unpooling=unpooling,
            finest_skip=False,
            bias=True,
        )
    return ClimateUNet(
        pyramid,
        in_channels=in_channels,
        out_channels=out_channels,
        channels=[width * num for num in (32, 64, 128, 256, 512, 512, 512)],
        kernel_size=4,
        pooling=pooling,
        unpooling=unpooling,
        input_skip=variant == "code",
    )


def climate_jiang(
    pyramid: Pyramid | None = None,
    *,
    pooling: PoolName = "keep_first",
    unpooling: UnpoolName = "pad_ones",
    in_channels: int = 16,
    out_channels: int = 3,
) -> ClimateUNet:
    """The segmentation network with the widths of Jiang et al.: 547,584 parameters.

    The paper gives 590,976 for a variant that neither the text nor the code determines; this is
    the network of the code with those widths.

    Parameters
    ----------
    pyramid : Pyramid, optional
        6 levels, in place of the icosahedral pyramid from level 5 to 0.
    pooling, unpooling : str
        As in `Pool` and `Unpool`; the published ones need an icosahedral pyramid.
    in_channels, out_channels : int

    Returns
    -------
    ClimateUNet

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, "DeepSphere: a graph-based spherical CNN", 2020,
    section 4.3; Jiang et al., "Spherical CNNs on unstructured grids", 2019.
    """
    return ClimateUNet(
        _icosahedral_pyramid() if pyramid is None else pyramid,
        in_channels=in_channels,
        out_channels=out_channels,
        channels=(8, 16, 32, 64, 128, 128),
        kernel_size=4,
        pooling=pooling,
        unpooling=unpooling,
        input_skip=True,
    )


def ghcn(
    stations: Pyramid | Sampling,
    *,
    variant: GhcnVariant = "dense",
    kernel_size: int = 5,
    in_channels: int = 5,
    out_channels: int = 1,
    channels: Sequence[int] = (50, 100, 100),
    missing: MissingName = "raise",
) -> DenseRegressor | Regressor:
    """The regression on weather stations: tomorrow's temperature, or the day of the year.

    Three blocks of 50, 100 and 100 channels on one graph. Then, for "dense", a convolution to the
    outputs at every station; for "global", the mean over the stations and a dense layer.

    Parameters
    ----------
    stations : Pyramid or Sampling
        The stations; from a sampling, the graph of 5 nearest neighbors is built.
    variant : "dense" or "global"
    kernel_size : int
        5, or 1 for the published baseline that looks at each station alone.
    in_channels : int
        5 previous days in the dense task.
    out_channels : int
    channels : sequence of int
        After each block.
    missing : "raise" or "renormalize"
        As in `UNet`.

    Returns
    -------
    DenseRegressor or Regressor

    Raises
    ------
    ValueError
        If the variant is not one of these.

    Examples
    --------
    >>> import deepsphere as ds
    >>> from deepsphere.models import num_parameters
    >>> num_parameters(ghcn(ds.Fibonacci(200)))
    77000

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, "DeepSphere: a graph-based spherical CNN", 2020,
    section 4.4.
    """
    if variant not in get_args(GhcnVariant):
        raise ValueError(
            f"variant must be one of {', '.join(get_args(GhcnVariant))}, got {variant!r}"
        )
    if isinstance(stations, Sampling):
        stations = build_pyramid(stations, num_levels=1, num_neighbors=5, weights="gaussian")
    if variant == "dense":
        return DenseRegressor(
            stations,
            in_channels=in_channels,
            out_channels=out_channels,
            channels=channels,
            kernel_size=kernel_size,
            affine=False,
            bias=True,
            head_bias=False,
            missing=missing,
        )
    return Regressor(
        stations,
        in_channels=in_channels,
        out_channels=out_channels,
        channels=channels,
        kernel_size=kernel_size,
        readout="mean",
        activation="relu",
        last_upsampled=False,
        affine=False,
        bias=True,
        missing=missing,
        vertex_weights="equal",
    )


PRESETS: dict[str, Callable[..., nn.Module]] = {
    "shrec17": shrec17,
    "cosmology": cosmology,
    "planar_cosmology": planar_cosmology,
    "climate": climate,
    "climate_jiang": climate_jiang,
    "ghcn": ghcn,
    "cnn2d_shapes": cnn2d_shapes,
    "cube_shapes": cube_shapes,
    "cohen_simplified": cohen_simplified,
    "cohen_full": cohen_full,
    "esteves": esteves,
    "ugscnn_mnist": ugscnn_mnist,
    "ugscnn_modelnet40": ugscnn_modelnet40,
}


def _icosahedral_pyramid() -> Pyramid:
    """The six levels of the climate data set."""
    return build_pyramid(
        Icosahedral(subdivisions=32), num_levels=6, num_neighbors=6, weights="gaussian"
    )
