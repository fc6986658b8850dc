"""The graph filter: one layer against other ways to compute it, its memory, and the roofline."""

from collections.abc import Iterator

from deepsphere.benchmarks.peers.harmonic import DISCO_LARGE, DISCO_SMALL, SPECTRAL, Convolution
from deepsphere.benchmarks.record import OURS, Measurement, Requirement
from deepsphere.benchmarks.roofline import layer_bound, time_beside_roof
from deepsphere.benchmarks.setting import Setting
from deepsphere.benchmarks.shapes import LayerShape, filter_support, layer_inputs, layer_operator
from deepsphere.benchmarks.suites.layers import (
    FORWARD,
    TRAINING,
    TRAINING_MEMORY,
    LayerCase,
    layer_calls,
    measure_layer,
)
from deepsphere.benchmarks.timing import measure
from deepsphere.benchmarks.variants import COO, EAGER, GEOMETRIC, LAYER_VARIANTS, chosen_backend

TITLE = "One graph convolution against other ways to compute the same numbers"

SPHERE = LayerShape(nside=256, batch=1, in_channels=16, out_channels=32)
BATCH = LayerShape(nside=32, batch=32, in_channels=16, out_channels=32)
MILLION = LayerShape(nside=1024, batch=1, in_channels=16, out_channels=32, part="base pixel")
THIN = LayerShape(nside=1024, batch=1, in_channels=1, out_channels=16, part="base pixel")
HEAVY = LayerShape(
    nside=128, batch=1, in_channels=16, out_channels=32, kernel_size=5, num_neighbors=40
)

_TOO_LARGE = "left out: minutes, and more memory than most machines have"

CASES = (
    LayerCase(
        SPHERE,
        (FORWARD,),
        factors={FORWARD: {COO: 12.0, GEOMETRIC: 20.0, EAGER: 4.0, "csr": 1.8}},
    ),
    LayerCase(
        BATCH,
        (FORWARD, TRAINING, TRAINING_MEMORY),
        factors={
            FORWARD: {COO: 12.0, GEOMETRIC: 20.0, EAGER: 4.0, "csr": 1.8},
            TRAINING: {COO: 8.0, GEOMETRIC: 40.0, EAGER: 4.0},
            TRAINING_MEMORY: {COO: 6.0, GEOMETRIC: 6.0, EAGER: 6.0},
        },
    ),
    LayerCase(
        MILLION,
        (FORWARD, TRAINING, TRAINING_MEMORY),
        factors={
            FORWARD: {COO: 15.0, GEOMETRIC: 20.0, EAGER: 4.5, "csr": 1.8},
            TRAINING: {COO: 15.0, EAGER: 15.0},
            TRAINING_MEMORY: {COO: 6.0, EAGER: 6.0},
        },
        without={
            TRAINING: {GEOMETRIC: _TOO_LARGE},
            TRAINING_MEMORY: {GEOMETRIC: _TOO_LARGE},
        },
    ),
    LayerCase(THIN, (FORWARD,), factors={FORWARD: {"csr": 2.0}}),
    LayerCase(HEAVY, (FORWARD,), factors={FORWARD: {"csr": 1.3}}),
)
QUICK_CASES = (
    LayerCase(
        LayerShape(nside=8, batch=2, in_channels=4, out_channels=8),
        (FORWARD, TRAINING, TRAINING_MEMORY),
    ),
)

EQUAL_PIXELS = (LayerShape(nside=64, batch=1, in_channels=16, out_channels=32), SPHERE)
QUICK_EQUAL_PIXELS = (LayerShape(nside=8, batch=1, in_channels=4, out_channels=8),)
CONVOLUTIONS = (DISCO_SMALL, DISCO_LARGE, SPECTRAL)
_DISCO_FACTOR = 1.3

ROOFLINE = "share of the roofline, forward"
_LEAST_SHARE = 45.0


def run(setting: Setting) -> Iterator[Measurement]:
    """All numbers of the suite.

    Parameters
    ----------
    setting
        How they are measured.

    Yields
    ------
    Measurement
    """
    for case in QUICK_CASES if setting.quick else CASES:
        yield from measure_layer(case, setting)
    yield from measure_roofline(_roofline_shape(setting), setting)
    for shape in QUICK_EQUAL_PIXELS if setting.quick else EQUAL_PIXELS:
        yield from measure_convolutions(shape, setting)


def requirements(setting: Setting) -> list[Requirement]:
    """What the numbers have to reach.

    Parameters
    ----------
    setting
        Of the run, which is not a quick one.

    Returns
    -------
    list of Requirement
    """
    required = [requirement for case in CASES for requirement in case.requirements()]
    share = Requirement(case=SPHERE.title, work=ROOFLINE, at_least=_LEAST_SHARE)
    return [
        *required,
        share,
        *(
            Requirement(
                case=equal_pixels_title(shape),
                work=FORWARD,
                against=peer.name,
                at_least=_DISCO_FACTOR,
            )
            for shape in EQUAL_PIXELS
            for peer in (DISCO_SMALL, DISCO_LARGE)
        ),
    ]


def measure_roofline(shape: LayerShape, setting: Setting) -> Iterator[Measurement]:
    """The share of the least possible time that our layer reaches.

    Parameters
    ----------
    shape
        Of the layer.
    setting
        How it is measured.

    Yields
    ------
    Measurement
        In percent.
    """
    operator = layer_operator(shape, setting.folder, device=setting.device)
    signal, weight, _ = layer_inputs(shape, device=setting.device)
    layer = LAYER_VARIANTS[OURS].make(operator, weight)
    call = layer_calls({OURS: layer}, signal, None)[OURS]
    times, roof = time_beside_roof(call, setting)
    bound = layer_bound(shape, len(operator.values), roof)
    low, high = (100 * bound.milliseconds / time for time in reversed(times.quartiles))
    yield Measurement(
        case=shape.title,
        work=ROOFLINE,
        variant=OURS,
        unit="%",
        median=100 * bound.milliseconds / times.median,
        quartiles=(low, high),
        num_repeats=len(times.milliseconds),
        note=(
            f"{bound.name} is the bound: arithmetic {bound.arithmetic:.2f} ms at "
            f"{roof.flops / 1e9:.0f} GFLOP/s (float32 matrix product), memory "
            f"{bound.memory:.2f} ms at {roof.bandwidth / 1e9:.1f} GB/s (copy); "
            f"the layer {times.median:.2f} ms"
        ),
        num_vertices=shape.num_vertices,
    )


def measure_convolutions(
    shape: LayerShape,
    setting: Setting,
    *,
    peers: tuple[Convolution, ...] = CONVOLUTIONS,
) -> Iterator[Measurement]:
    """Our layer beside other convolutions on as many pixels, whose numbers are others.

    Parameters
    ----------
    shape
        Of the layer.
    setting
        How it is measured.
    peers
        Those on their own grids.

    Yields
    ------
    Measurement
    """
    title = equal_pixels_title(shape)
    operator_on_cpu = layer_operator(shape, setting.folder)
    operator = layer_operator(shape, setting.folder, device=setting.device)
    signal, weight, _ = layer_inputs(shape, device=setting.device)
    layer = LAYER_VARIANTS[OURS].make(operator, weight)
    calls = layer_calls({OURS: layer}, signal, None)
    seen = filter_support(operator_on_cpu, shape.kernel_size)
    notes = {OURS: f"{chosen_backend(layer, signal)}, filter of {seen:.0f} pixels"}
    for peer in peers:
        reason = peer.why_not(setting, nside=shape.nside)
        if reason is None:
            calls[peer.name], notes[peer.name] = peer.prepare(shape, setting.device)
        else:
            yield Measurement(case=title, work=FORWARD, variant=peer.name, unit="ms", note=reason)
    for found in measure(title, FORWARD, calls, setting, notes=notes, compare=False):
        yield found.model_copy(update={"num_vertices": shape.num_vertices})


def equal_pixels_title(shape: LayerShape) -> str:
    """The case in which a layer stands beside convolutions on other grids."""
    return f"{shape.title}, other convolutions on as many pixels"


def _roofline_shape(setting: Setting) -> LayerShape:
    return QUICK_EQUAL_PIXELS[0] if setting.quick else SPHERE
