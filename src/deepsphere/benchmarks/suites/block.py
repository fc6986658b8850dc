"""Convolution, normalization, activation and pooling: as a model of ours has them, and unfused."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from deepsphere.benchmarks.record import OURS, Measurement, Requirement
from deepsphere.benchmarks.setting import Setting
from deepsphere.benchmarks.suites.networks import PlainBlock, convolution_weights
from deepsphere.benchmarks.timing import Call, measure
from deepsphere.benchmarks.variants import COO, EAGER, GEOMETRIC, LAYER_VARIANTS
from deepsphere.graph import Pyramid, build_pyramid
from deepsphere.models.trunk import Trunk, level_operators
from deepsphere.sampling import Healpix

TITLE = "A block of convolution, batch normalization, ReLU and pooling by 4"

INFERENCE = "inference"
TRAINING_STEP = "forward + backward"
UNFUSED = "unfused"
"""Our convolution, then torch's modules one by one."""

_KEPT = (EAGER, OURS, COO, GEOMETRIC)


@dataclass(frozen=True)
class BlockCase:
    """A block on one resolution.

    Parameters
    ----------
    nside, batch, in_channels, out_channels
        Of the block; kernel_size 3 and 20 neighbors.
    """

    nside: int
    batch: int
    in_channels: int
    out_channels: int

    @property
    def title(self) -> str:
        """The case in one line."""
        return (
            f"nside {self.nside}, batch {self.batch}, {self.in_channels} → {self.out_channels}, "
            "kernel_size 3, k = 20, batch normalization, ReLU, max-pool"
        )


CASES = (BlockCase(32, 32, 16, 32), BlockCase(128, 1, 16, 32), BlockCase(8, 32, 64, 128))
QUICK_CASES = (BlockCase(8, 2, 4, 8),)


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
        for work in (INFERENCE, TRAINING_STEP):
            yield from measure_block(case, work, setting)


def requirements(setting: Setting) -> list[Requirement]:
    """Nothing: blocks are judged in the network.

    Parameters
    ----------
    setting
        Of the run.

    Returns
    -------
    list of Requirement
    """
    return []


def measure_block(case: BlockCase, work: str, setting: Setting) -> Iterator[Measurement]:
    """Times of a block as a model of ours has it, and of its parts one by one.

    Parameters
    ----------
    case
        What is done.
    work
        ``INFERENCE`` or ``TRAINING_STEP``.
    setting
        How.

    Yields
    ------
    Measurement
    """
    training = work == TRAINING_STEP
    pyramid = build_pyramid(
        Healpix(nside=case.nside), num_levels=2, num_neighbors=20, weights="gaussian"
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        trunk = _make_trunk(pyramid, case).to(setting.device)
    operator = level_operators(pyramid)[0].to(setting.device).arrays()
    (weight,) = convolution_weights(trunk)
    blocks: dict[str, nn.Module] = {}
    for key in _KEPT:
        variant = LAYER_VARIANTS[key]
        name = UNFUSED if key == OURS else key
        reason = variant.why_not(setting, training=training)
        if reason is None:
            convolution = variant.make(operator, weight.detach())
            blocks[name] = PlainBlock(convolution, case.out_channels).to(setting.device)
        else:
            yield Measurement(case=case.title, work=work, variant=name, unit="ms", note=reason)
    blocks = {EAGER: blocks.pop(EAGER), OURS: trunk, **blocks}
    generator = torch.Generator().manual_seed(0)
    num_vertices = operator.num_vertices
    shapes = (
        (case.batch, num_vertices, case.in_channels),
        (case.batch, num_vertices // 4, case.out_channels),
    )
    signals, grad = (torch.randn(s, generator=generator).to(setting.device) for s in shapes)
    calls: dict[str, Call] = {}
    for name, block in blocks.items():
        block.train(training)
        call = partial(_train, block, signals.detach().requires_grad_(), grad)
        calls[name] = call if training else partial(_infer, block, signals)
    for found in measure(case.title, work, calls, setting):
        yield found.model_copy(update={"num_vertices": num_vertices})


def _make_trunk(pyramid: Pyramid, case: BlockCase) -> Trunk:
    """The part of a model that is one block and its pooling."""
    return Trunk(
        pyramid,
        level_operators(pyramid),
        in_channels=case.in_channels,
        channels=(case.out_channels,),
        kernel_size=3,
        pooling="max",
        conv="chebyshev",
        normalization="batch",
        affine=True,
        bias=False,
        activation="relu",
    )


def _infer(block: nn.Module, signals: Tensor) -> Sequence[Tensor]:
    """The output."""
    with torch.no_grad():
        return [block(signals)]


def _train(block: nn.Module, signals: Tensor, grad: Tensor) -> Sequence[Tensor]:
    """The output, and the gradients of scale and shift, after all gradients were computed.

    A maximum over values that agree to the last digit picks any of them: the gradient of a signal
    then belongs to another child, whereas those of scale and shift are the same.
    """
    out = block(signals)
    parameters = list(block.parameters())
    _, *gradients = torch.autograd.grad(out, (signals, *parameters), grad)
    pairs = zip(parameters, gradients, strict=True)
    return [out.detach(), *(gradient for parameter, gradient in pairs if parameter.ndim == 1)]
