"""Cost per vertex from small spheres to large ones, beside what works with harmonics."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from deepsphere.benchmarks.peers.harmonic import HEALPY_PAIR, SPECTRAL, Convolution
from deepsphere.benchmarks.record import OURS, Measurement, Requirement
from deepsphere.benchmarks.setting import Setting
from deepsphere.benchmarks.shapes import LayerShape, layer_inputs, layer_operator
from deepsphere.benchmarks.suites.layers import layer_calls
from deepsphere.benchmarks.timing import Call
from deepsphere.benchmarks.variants import EAGER, LAYER_VARIANTS
from deepsphere.experiments.timing import interleave

TITLE = "Cost per vertex as the sphere grows"

COST = "forward, per vertex"
SPREAD = "largest cost per vertex over the smallest"
_MOST_SPREAD = 1.5


@dataclass(frozen=True)
class ScalingCase:
    """One layer on spheres of several resolutions.

    Parameters
    ----------
    layer
        Its channels and filter; the resolution does not matter.
    nsides
        Resolutions, in order.
    variants
        With the largest nside of each.
    peers
        Convolutions on their own grids and transforms.
    """

    layer: LayerShape
    nsides: tuple[int, ...]
    variants: dict[str, int]
    peers: tuple[Convolution, ...] = ()

    @property
    def title(self) -> str:
        """The case in one line."""
        layer = self.layer
        return (
            f"{layer.in_channels} → {layer.out_channels}, batch {layer.batch}, "
            f"kernel_size {layer.kernel_size}, k = {layer.num_neighbors}"
        )

    def at(self, nside: int) -> str:
        """The title of one resolution."""
        return f"{self.title}, nside {nside}"


CASES = (
    ScalingCase(
        LayerShape(nside=16, batch=1, in_channels=16, out_channels=32),
        (16, 32, 64, 128, 256, 512),
        {OURS: 512, "csr": 512, EAGER: 256},
        (SPECTRAL,),
    ),
    ScalingCase(
        LayerShape(nside=16, batch=1, in_channels=1, out_channels=4),
        (16, 32, 64, 128, 256, 512, 1024),
        {OURS: 1024, "csr": 512},
        (HEALPY_PAIR,),
    ),
)
QUICK_CASES = (
    ScalingCase(
        LayerShape(nside=4, batch=1, in_channels=1, out_channels=4),
        (4, 8),
        {OURS: 8, EAGER: 8},
        (HEALPY_PAIR, SPECTRAL),
    ),
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
        costs = []
        for nside in case.nsides:
            for found in measure_costs(case, nside, setting):
                if found.variant == OURS and found.median is not None:
                    costs.append(found.median)
                yield found
        yield Measurement(
            case=case.title,
            work=SPREAD,
            variant=OURS,
            unit="×",
            median=max(costs) / min(costs),
            num_repeats=len(costs),
            note=f"nside {case.nsides[0]} to {case.nsides[-1]}",
        )


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
    return [Requirement(case=case.title, work=SPREAD, at_most=_MOST_SPREAD) for case in CASES]


def measure_costs(case: ScalingCase, nside: int, setting: Setting) -> Iterator[Measurement]:
    """Nanoseconds per vertex of one resolution.

    Parameters
    ----------
    case
        Of the suite.
    nside
        One of its resolutions.
    setting
        How they are measured.

    Yields
    ------
    Measurement
    """
    shape = replace(case.layer, nside=nside)
    operator = layer_operator(shape, setting.folder, device=setting.device)
    signal, weight, _ = layer_inputs(shape, device=setting.device)
    calls: dict[str, Call] = {}
    notes: dict[str, str] = {}
    for name, largest in case.variants.items():
        if nside <= largest:
            layer = LAYER_VARIANTS[name].make(operator, weight)
            calls |= layer_calls({name: layer}, signal, None)
        else:
            notes[name] = f"left out above nside {largest}"
    for peer in case.peers:
        reason = peer.why_not(setting, nside=nside)
        if reason is None:
            calls[peer.name], notes[peer.name] = peer.prepare(shape, setting.device)
        else:
            notes[peer.name] = reason
    times = interleave(calls, setting)
    scale = 1e6 / shape.num_vertices  # from milliseconds to nanoseconds per vertex
    for name in (*case.variants, *(peer.name for peer in case.peers)):
        measured = times.get(name)
        yield Measurement(
            case=case.at(nside),
            work=COST,
            variant=name,
            unit="ns/vertex",
            median=None if measured is None else scale * measured.median,
            quartiles=None
            if measured is None
            else (scale * measured.quartiles[0], scale * measured.quartiles[1]),
            num_repeats=0 if measured is None else len(measured.milliseconds),
            note=notes.get(name, ""),
            num_vertices=shape.num_vertices,
        )
