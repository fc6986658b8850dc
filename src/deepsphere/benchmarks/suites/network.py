"""A whole network, the classifier of SHREC'17: inference and a training step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from deepsphere.benchmarks.record import OURS, Measurement, Requirement
from deepsphere.benchmarks.setting import Setting
from deepsphere.benchmarks.suites.networks import dense_layer, plain_copy
from deepsphere.benchmarks.timing import Call, measure
from deepsphere.benchmarks.variants import COO, EAGER, GEOMETRIC, LAYER_VARIANTS
from deepsphere.graph import build_pyramid
from deepsphere.models import FCN
from deepsphere.models.trunk import level_operators
from deepsphere.sampling import Healpix

TITLE = "The classifier of SHREC'17 built on the layers of each"

INFERENCE = "inference"
TRAINING_STEP = "training step"
ON_TORCH = "on torch's modules"
"""Our convolutions with torch's normalization, activation and pooling."""

_CHANNELS = (16, 32, 64, 128, 256)
_IN_CHANNELS, _NUM_CLASSES = 6, 55


@dataclass(frozen=True)
class NetworkCase:
    """A network of five blocks on some resolution, for one batch size.

    Parameters
    ----------
    nside
        Of the finest level, at least 32 for five blocks.
    batch
        Number of signals.
    work
        ``INFERENCE`` or ``TRAINING_STEP``.
    factors
        For each variant the least number that its time is divided by ours.
    channels
        After each block.
    """

    nside: int
    batch: int
    work: str
    factors: dict[str, float]
    channels: tuple[int, ...] = _CHANNELS

    @property
    def title(self) -> str:
        """The case in one line."""
        widths = "-".join(str(width) for width in (_IN_CHANNELS, *self.channels))
        return (
            f"nside {self.nside}, batch {self.batch}, {widths}, kernel_size 3, k = 20, "
            "batch normalization, ReLU, max-pool, mean, dense"
        )


CASES = (
    NetworkCase(32, 1, INFERENCE, {COO: 20.0}),
    NetworkCase(32, 32, INFERENCE, {COO: 8.0}),
    NetworkCase(32, 32, TRAINING_STEP, {COO: 4.0, GEOMETRIC: 20.0}),
)
QUICK_CASES = (
    NetworkCase(8, 2, INFERENCE, {}, channels=(4, 8)),
    NetworkCase(8, 2, TRAINING_STEP, {}, channels=(4, 8)),
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
        yield from measure_network(case, setting)


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
    return [
        Requirement(case=case.title, work=case.work, against=variant, at_least=factor)
        for case in CASES
        for variant, factor in case.factors.items()
    ]


def make_network(case: NetworkCase) -> FCN:
    """Our network: the preset of SHREC'17 with 20 neighbors and three coefficients.

    Parameters
    ----------
    case
        Resolution and channels.

    Returns
    -------
    FCN
    """
    pyramid = build_pyramid(
        Healpix(nside=case.nside),
        num_levels=len(case.channels) + 1,
        num_neighbors=20,
        weights="gaussian",
        laplacian="normalized",
    )
    torch.manual_seed(0)
    return FCN(
        pyramid,
        in_channels=_IN_CHANNELS,
        out_channels=_NUM_CLASSES,
        channels=case.channels,
        kernel_size=3,
        pooling="max",
        readout="mean",
        activation="relu",
        last_upsampled=False,
    )


def measure_network(case: NetworkCase, setting: Setting) -> Iterator[Measurement]:
    """Times of a case by the layers of each variant, and the reasons of those that are missing.

    Parameters
    ----------
    case
        What is done.
    setting
        How.

    Yields
    ------
    Measurement
    """
    training = case.work == TRAINING_STEP
    with torch.random.fork_rng():
        model = make_network(case).to(setting.device)
    levels = [level.to(setting.device).arrays() for level in level_operators(model.pyramid)]
    operators = levels[: len(case.channels)]
    plain = {}
    for variant in LAYER_VARIANTS.values():
        if variant.kind == "own" and variant.name != OURS:
            continue  # the layers of a network choose for themselves
        reason = variant.why_not(setting, training=training)
        name = ON_TORCH if variant.name == OURS else variant.name
        if reason is None:
            plain[name] = plain_copy(model, operators, variant)
        else:
            yield Measurement(case=case.title, work=case.work, variant=name, unit="ms", note=reason)
    networks = {EAGER: plain.pop(EAGER), OURS: model, **plain}
    generator = torch.Generator().manual_seed(0)
    size = (case.batch, operators[0].num_vertices, _IN_CHANNELS)
    signals = torch.randn(size, generator=generator).to(setting.device)
    labels = (torch.arange(case.batch) % _NUM_CLASSES).to(setting.device)
    calls: dict[str, Call] = {}
    for name, network in networks.items():
        network.train(training)
        step = partial(training_step, network, signals, labels)
        calls[name] = step if training else partial(_infer, network, signals)
    for found in measure(case.title, case.work, calls, setting):
        yield found.model_copy(update={"num_vertices": operators[0].num_vertices})


def training_step(network: nn.Module, signals: Tensor, labels: Tensor) -> Sequence[Tensor]:
    """The loss and the gradients of all parameters; the optimizer, the same for all, is left out.

    Parameters
    ----------
    network
        In training mode.
    signals, labels
        A batch.

    Returns
    -------
    sequence of Tensor
        The loss, and the gradient of the last dense layer.
    """
    loss = nn.functional.cross_entropy(network(signals), labels)
    parameters = list(network.parameters())
    gradients = torch.autograd.grad(loss, parameters)
    dense = dense_layer(network).weight
    place = next(i for i, parameter in enumerate(parameters) if parameter is dense)
    return [loss.detach(), gradients[place]]


def _infer(network: nn.Module, signals: Tensor) -> Sequence[Tensor]:
    """The logits."""
    with torch.no_grad():
        return [network(signals)]
