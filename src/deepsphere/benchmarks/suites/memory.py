"""Memory: what a layer adds at its peak, and the peak of a process with a full sphere."""

from collections.abc import Iterator

from deepsphere.benchmarks.peak import measure_layer_memory
from deepsphere.benchmarks.record import OURS, Measurement, Requirement
from deepsphere.benchmarks.setting import Setting
from deepsphere.benchmarks.shapes import LayerShape
from deepsphere.benchmarks.suites.layers import (
    FORWARD,
    FORWARD_MEMORY,
    TRAINING_MEMORY,
    LayerCase,
    measure_layer,
)
from deepsphere.benchmarks.variants import COO, EAGER, GEOMETRIC

TITLE = "Memory of the graph filter"

PROCESS = "peak memory of the process, forward"
FULL_SPHERE = LayerShape(nside=1024, batch=1, in_channels=1, out_channels=4)
_MOST_GIGABYTES = 6.0
_SIXTH = {TRAINING_MEMORY: {COO: 6.0, EAGER: 6.0}}

CASES = (
    LayerCase(
        LayerShape(nside=32, batch=32, in_channels=16, out_channels=32),
        (FORWARD_MEMORY, TRAINING_MEMORY),
        factors={TRAINING_MEMORY: {COO: 6.0, GEOMETRIC: 6.0, EAGER: 6.0}},
    ),
    LayerCase(
        LayerShape(nside=256, batch=1, in_channels=16, out_channels=32),
        (FORWARD_MEMORY, TRAINING_MEMORY),
        factors=_SIXTH,
    ),
    LayerCase(
        LayerShape(nside=128, batch=4, in_channels=16, out_channels=32, kernel_size=5),
        (TRAINING_MEMORY,),
        factors=_SIXTH,
    ),
)
QUICK_CASES = (
    LayerCase(LayerShape(nside=8, batch=2, in_channels=4, out_channels=8), (TRAINING_MEMORY,)),
)


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
    if not setting.quick and setting.device == "cpu":
        yield measure_process(FULL_SPHERE, setting)


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
    if setting.device == "cpu":
        bound = Requirement(case=FULL_SPHERE.title, work=PROCESS, at_most=_MOST_GIGABYTES)
        required.append(bound)
    return required


def measure_process(shape: LayerShape, setting: Setting) -> Measurement:
    """The peak of a process that reads a graph and filters with it once.

    Parameters
    ----------
    shape
        Of the layer.
    setting
        How it is measured.

    Returns
    -------
    Measurement
        In gigabytes, with interpreter, libraries, graph and signals.
    """
    megabytes = measure_layer_memory(OURS, shape, FORWARD, setting, whole_process=True)
    return Measurement(
        case=shape.title,
        work=PROCESS,
        variant=OURS,
        unit="GB",
        median=megabytes / 1e3,
        num_repeats=1,
        note="interpreter, libraries, graph and signals included",
        num_vertices=shape.num_vertices,
    )
