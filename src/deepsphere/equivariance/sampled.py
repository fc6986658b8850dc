"""The rotation error of any map on signals, estimated from random signals and rotations."""

from typing import Any

import numpy as np
from jaxtyping import Float
from torch import nn

from deepsphere.equivariance.components import rotation_error_budget
from deepsphere.equivariance.exact import default_max_degree
from deepsphere.equivariance.harmonic_fit import resolved_degree
from deepsphere.equivariance.inputs import (
    LARGEST_FIT_DEGREE,
    FunctionOfPoints,
    Inputs,
    angular_spectrum,
    default_inputs,
    random_experiment,
    signal_at_rotation,
)
from deepsphere.equivariance.maps import (
    MapOnSignals,
    as_function_of_arrays,
    level_samplings,
    num_channels_of,
)
from deepsphere.equivariance.measurement import (
    EquivarianceMeasurement,
    Reference,
    bootstrap_interval,
    check_reference,
)
from deepsphere.equivariance.outputs import OutputKind, Outputs, output_sampling_of
from deepsphere.equivariance.per_layer import LayerError, layer_rotation_errors
from deepsphere.sampling import Sampling

# What a budget takes of the options of a measurement.
_BUDGET_OPTIONS = ("inputs", "relative_to", "num_signals", "num_rotations", "num_channels", "seed")


def measure_equivariance(
    function: MapOnSignals,
    sampling: Sampling,
    *,
    inputs: Inputs | None = None,
    output: OutputKind | None = None,
    output_sampling: Sampling | None = None,
    max_degree: int | None = None,
    relative_to: Reference = "size",
    num_signals: int = 8,
    num_rotations: int = 8,
    num_channels: int | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    per_layer: bool = False,
) -> EquivarianceMeasurement:
    r"""How far any map on signals is from commuting with rotations, estimated from samples.

    .. math:: E^2 = \frac{\mathbb{E}_{x, R}\, \|F(R x) - R F(x)\|^2}{\mathbb{E}_x\, \|F(x)\|^2}

    over Haar rotations R, with :math:`\|f\|^2 = \sum_i q_i f_i^2`, q the areas of the vertices.
    This is the paper's error (its equation is squared, its figure is not) as a ratio of
    expectations. For a matrix and inputs of one degree it estimates what
    :func:`deepsphere.equivariance_error` computes exactly.

    Inputs are functions that are known everywhere, so they are rotated exactly: evaluated at the
    rotated points. Outputs without vertices are compared as they are. Outputs with vertices are
    known at the vertices only, so :math:`F(x)` is rotated through its least-squares harmonic fit
    P up to `max_degree`, and what the fit misses is taken to be unrelated to what
    :math:`F(R x)` has beyond that degree:

    .. math:: \|F(R x) - R F(x)\|^2 \approx \|F(R x) - R P F(x)\|^2 + \|F(x) - P F(x)\|^2

    On average this is exact for a linear map and inputs up to `max_degree`. A map that makes finer
    content, as a rectifier does, is charged for what the grid does not resolve even where it would
    be rotated correctly; `unresolved` says how much that is: the error lies between zero and the
    value given if the two agree up to the factor :math:`\sqrt 2`.

    Parameters
    ----------
    function : Module, SphereGraph, matrix, LinearOperator or callable
        The map F. A torch module is called in evaluation mode without gradients, with tensors of
        its own type and device, and its mode is restored; of a graph the Laplacian is measured; a
        matrix or operator acts on the vertices. All others are called with float64 arrays. Signals
        are (signals, vertices, channels); outputs (signals, vertices, channels) or
        (signals, features).
    sampling : Sampling
        Vertices of the inputs: the whole sphere.
    inputs : int, tuple, ndarray or callable, optional
        Random signals of one degree, of a band (lowest, highest degree) with equal C_l, both of
        unit variance, or of a spectrum C_l that starts at degree 0; or a function from points
        (points, 3) to the signals there (signals, points, channels). Degrees 0 to half of what the
        sampling resolves (nside on HEALPix), at most 32, if not given.
    output : "dense" or "invariant", optional
        Whether the outputs have vertices; recognized by their shape if not given.
    output_sampling : Sampling, optional
        Vertices of dense outputs; recognized by their number among the input's and its coarser
        levels if not given.
    max_degree : int, optional
        Degree of the harmonic fit, at least that of the inputs. If not given, what the output's
        sampling resolves (2 nside on HEALPix), at most 64, or the degree of the inputs.
    relative_to : "size" or "spread"
        "spread" divides by the deviation of the outputs from their mean over signals (and
        vertices), channel by channel, so that a constant in them does not hide the error: the
        noise of the logits relative to their signal.
    num_signals, num_rotations : int
        Random signals, and rotations; every signal is turned by every rotation.
    num_channels : int, optional
        Channels of the random signals; if not given, those that the first layer of a torch module
        asks for, else 1.
    seed : int
        Of signals, rotations and resamples.
    confidence : float
        Level of the interval: percentiles of the error over resampled signals and rotations.
    per_layer : bool
        Whether to measure each layer of a torch module too (:func:`layer_rotation_errors`), on the
        levels of its pyramid or the sampling and its coarser levels.

    Returns
    -------
    EquivarianceMeasurement

    Raises
    ------
    TypeError
        If the function cannot be called, or layers are asked of what has none.
    ValueError
        If the sampling covers only a part of the sphere, an option is out of range, or the outputs
        do not have a known shape, are not finite, or are all zero.

    Examples
    --------
    >>> import deepsphere as ds
    >>> sampling = ds.Healpix(nside=4)
    >>> measure_equivariance(np.square, sampling, inputs=(0, 4)).error < 1e-10  # degree 8
    True
    >>> measure_equivariance(lambda x: x * sampling.points[:, 2:], sampling).error > 1
    True

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, 2020, DeepSphere: a graph-based spherical CNN,
    section 4. Owen, 2007, The pigeonhole bootstrap (resampling rows and columns).
    """
    check_reference(relative_to)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}; 0.95 is usual")
    inputs = default_inputs(sampling) if inputs is None else inputs
    values_at, rotations = random_experiment(
        sampling,
        inputs,
        num_signals=num_signals,
        num_rotations=num_rotations,
        num_channels=num_channels_of(function) if num_channels is None else num_channels,
        seed=seed,
    )
    layers = _layer_errors(function, sampling, values_at, rotations) if per_layer else []
    call = as_function_of_arrays(function, sampling.num_vertices)
    unrotated = call(values_at(sampling.points))
    there = output_sampling_of(
        unrotated,
        output,
        samplings=level_samplings(function, sampling),
        output_sampling=output_sampling,
    )
    outputs = Outputs(unrotated, there, _fit_degree(there, inputs, max_degree))
    differences = np.stack(
        [
            outputs.squared_differences(call(values_at(sampling.points @ rotation)), rotation)
            for rotation in rotations
        ]
    )
    norms = outputs.squared_spreads if relative_to == "spread" else outputs.squared_norms
    if not norms.sum() > 0:
        raise ValueError(
            f"the outputs must have a {relative_to} above zero to compare with, got zero; choose "
            "inputs that the map does not take to a constant"
        )
    return EquivarianceMeasurement(
        error=float(np.sqrt(differences.mean() / norms.mean())),
        interval=bootstrap_interval(
            differences, norms, confidence=confidence, seed=np.random.default_rng([seed, 2])
        ),
        confidence=confidence,
        unresolved=float(np.sqrt(outputs.unresolved.sum() / norms.sum())),
        per_rotation=tuple(np.sqrt(differences.sum(axis=1) / norms.sum()).tolist()),
        invariant=there is None,
        num_signals=len(norms),
        num_channels=unrotated.shape[-1],
        max_degree=outputs.max_degree,
        relative_to=relative_to,
        layers=tuple(layers),
    )


def assert_equivariant(
    model: MapOnSignals, sampling: Sampling, *, tolerance: float, **options: Any
) -> EquivarianceMeasurement:
    """Fail unless the rotation error of a map is at most a tolerance: for tests.

    The seed makes it fail always or never. Choose the tolerance with the interval of a measurement
    in view.

    Parameters
    ----------
    model : Module, SphereGraph, matrix, LinearOperator or callable
        As in :func:`measure_equivariance`.
    sampling : Sampling
    tolerance : float
        Largest error, not negative.
    **options
        Of :func:`measure_equivariance`.

    Returns
    -------
    EquivarianceMeasurement
        If it passes.

    Raises
    ------
    AssertionError
        If the error is larger; says by how much, for a torch module also which layer contributes
        the most, and what would help.
    ValueError
        If the tolerance is negative.

    Examples
    --------
    >>> import torch
    >>> import deepsphere as ds
    >>> passed = assert_equivariant(torch.nn.ReLU(), ds.Healpix(nside=4), tolerance=0.3)
    >>> 0.1 < passed.error < 0.3
    True
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance must not be negative, got {tolerance}")
    measured = measure_equivariance(model, sampling, **options)
    if measured.error <= tolerance:
        return measured
    lines = [f"the rotation error must be at most {tolerance:g}", str(measured)]
    if measured.interval[0] <= tolerance:
        lines.append(
            "the interval holds the tolerance: more num_signals and num_rotations would tell"
        )
    if not measured.invariant and 2**0.5 * measured.unresolved > tolerance:
        lines.append(
            "the harmonic fit of the outputs alone accounts for more than the tolerance: inputs of "
            "lower degrees, or a finer sampling, would tell"
        )
    if isinstance(model, nn.Module):
        same = {name: options[name] for name in _BUDGET_OPTIONS if name in options}
        lines.append(rotation_error_budget(model, sampling, **same).advice)
    raise AssertionError("\n".join(lines))


def _layer_errors(
    function: MapOnSignals,
    sampling: Sampling,
    values_at: FunctionOfPoints,
    rotations: Float[np.ndarray, "rotations 3 3"],
) -> list[LayerError]:
    """The error of each layer of a module."""
    if not isinstance(function, nn.Module):
        raise TypeError(
            "function must be a torch module to be measured per layer, got "
            f"{type(function).__name__}; leave per_layer out"
        )
    return layer_rotation_errors(
        function,
        signal_at_rotation(function, sampling, values_at),
        samplings=list(level_samplings(function, sampling)),
        rotations=rotations,
    )


def _fit_degree(sampling: Sampling | None, inputs: Inputs, asked: int | None) -> int | None:
    """Degree of the harmonic fit of outputs: it resolves them, and holds the degrees of inputs."""
    if sampling is None or asked is not None:
        return asked if sampling is not None else None
    spectrum = angular_spectrum(inputs)
    needed = 0 if spectrum is None else len(spectrum) - 1
    resolved = min(resolved_degree(sampling), LARGEST_FIT_DEGREE)
    return max(resolved, min(needed, default_max_degree(sampling)))
