"""What the networks of a table cost: time of inference and of a training step, and memory."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn
from torch.nn.functional import cross_entropy

from deepsphere.experiments.memory import added_megabytes
from deepsphere.experiments.networks_config import CostsSection, NetworkTraining
from deepsphere.experiments.options import cpu_threads
from deepsphere.experiments.timing import Times, interleave
from deepsphere.experiments.training_record import NotNegative
from deepsphere.experiments.training_run import optimization_of
from deepsphere.models import num_parameters
from deepsphere.ops import release_memory

STEP = "training step"
_Milliseconds = tuple[NotNegative, NotNegative, NotNegative]
"""Lower quartile, median and upper quartile."""


class NetworkCosts(BaseModel):
    """What one network costs.

    Parameters
    ----------
    num_parameters
        Numbers that it learns.
    milliseconds
        By work (``"inference, B 1"``, ``"training step, B 32"``): lower quartile, median, upper
        quartile.
    step_megabytes
        What a training step adds to the memory of a process at its peak: weights, gradients, the
        moments of the optimizer and everything that is kept for the backward pass.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_parameters: Annotated[int, Field(ge=1)]
    milliseconds: dict[str, _Milliseconds]
    step_megabytes: float

    def median(self, work: str) -> float:
        """The middle time of a work.

        Parameters
        ----------
        work
            One of `milliseconds`.

        Returns
        -------
        float
            In milliseconds.
        """
        return self.milliseconds[work][1]


class TableCosts(BaseModel):
    """What all networks of a table cost, measured in one session.

    Parameters
    ----------
    fingerprint
        Of the networks.
    networks
        By name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    networks: dict[str, NetworkCosts]


@dataclass(frozen=True, eq=False)
class CostedNetwork:
    """A network whose costs are measured, on random signals and classes.

    Parameters
    ----------
    name
        As it is printed.
    build
        Makes it, with fresh weights.
    num_vertices, in_channels
        Of its signals.
    training
        How it is trained.
    num_frames
        Of a network on sequences of signals.
    """

    name: str
    build: Callable[[], nn.Module]
    num_vertices: int
    in_channels: int
    training: NetworkTraining
    num_frames: int | None = None

    def signals(self, batch_size: int) -> torch.Tensor:
        """Random signals for the network.

        Parameters
        ----------
        batch_size
            How many.

        Returns
        -------
        Tensor
            Shape (batch, vertices, channels) or (batch, frames, vertices, channels).
        """
        frames = () if self.num_frames is None else (self.num_frames,)
        shape = (batch_size, *frames, self.num_vertices, self.in_channels)
        return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class _Repetitions:
    """How often the networks take turns."""

    min_repeats: int
    seconds: float
    device: str = "cpu"


def inference_work(batch_size: int) -> str:
    """The name of an inference on so many signals.

    Parameters
    ----------
    batch_size
        At least 1.

    Returns
    -------
    str

    Examples
    --------
    >>> inference_work(32)
    'inference, B 32'
    """
    return f"inference, B {batch_size}"


def step_work(section: CostsSection) -> str:
    """The name of a training step, on the largest of the batches.

    Parameters
    ----------
    section
        With the batches.

    Returns
    -------
    str

    Examples
    --------
    >>> step_work(CostsSection())
    'training step, B 32'
    """
    return f"{STEP}, B {max(section.batch_sizes)}"


def works_of(section: CostsSection | None) -> list[str]:
    """Names of all that is timed.

    Parameters
    ----------
    section
        With the batches; None where nothing is.

    Returns
    -------
    list of str

    Examples
    --------
    >>> works_of(CostsSection(batch_sizes=(1,)))
    ['inference, B 1', 'training step, B 1']
    """
    if section is None:
        return []
    return [*map(inference_work, section.batch_sizes), step_work(section)]


def measure_costs(
    networks: Sequence[CostedNetwork],
    section: CostsSection,
    *,
    weigh: Callable[[str], float],
    fingerprint: str,
    announce: Callable[[str], None],
) -> TableCosts:
    """Time and memory of every network, on the CPU.

    For each work all networks take turns, so that a busy machine is as busy for all. Memory is
    measured in a process of its own for each network.

    Parameters
    ----------
    networks
        Named differently.
    section
        How.
    weigh
        Megabytes of a training step of the network of a name, see `step_megabytes`.
    fingerprint
        Of the networks.
    announce
        Told what is being done.

    Returns
    -------
    TableCosts
    """
    batch = max(section.batch_sizes)
    repetitions = _Repetitions(section.min_repeats, section.seconds)
    with cpu_threads(section.num_threads):
        models: dict[str, nn.Module] = {}
        for network in networks:
            announce(f"building {network.name}")
            models[network.name] = network.build()
        times: dict[str, Mapping[str, Times]] = {}
        for size in section.batch_sizes:
            announce(f"timing inference, batches of {size}")
            with _evaluating(models) as calls:
                inputs = {network.name: network.signals(size) for network in networks}
                times[inference_work(size)] = interleave(
                    {name: _bound(call, inputs[name]) for name, call in calls.items()},
                    repetitions,
                )
        announce(f"timing training steps, batches of {batch}")
        steps = {
            network.name: training_step(models[network.name], network, batch)
            for network in networks
        }
        times[step_work(section)] = interleave(steps, repetitions)
        counts = {name: num_parameters(model) for name, model in models.items()}
        del models, steps
        release_memory()
    found = {}
    for network in networks:
        announce(f"weighing {network.name}")
        found[network.name] = NetworkCosts(
            num_parameters=counts[network.name],
            milliseconds={work: _summary(of[network.name]) for work, of in times.items()},
            step_megabytes=weigh(network.name),
        )
    return TableCosts(fingerprint=fingerprint, networks=found)


def training_step(model: nn.Module, network: CostedNetwork, batch_size: int) -> Callable[[], None]:
    """A call that makes one training step on random signals and labels.

    There is a label for each signal, or for each vertex where the network has outputs there.

    Parameters
    ----------
    model
        Trained in place.
    network
        With the optimization.
    batch_size
        Signals.

    Returns
    -------
    callable
    """
    signals = network.signals(batch_size)
    model.eval()  # one signal has no variance
    with torch.no_grad():
        *places, num_classes = model(signals[:1]).shape[1:]
    labels = torch.arange(batch_size * math.prod(places)) % num_classes
    optimizer = optimization_of(network.training).configure(model, num_steps=2**20)["optimizer"]

    def step() -> None:
        model.train()
        optimizer.zero_grad()
        cross_entropy(model(signals).flatten(0, -2), labels).backward()
        optimizer.step()

    return step


def step_megabytes(network: CostedNetwork, batch_size: int, *, num_threads: int | None) -> float:
    """What a training step adds to the memory of this process, best a fresh one.

    Parameters
    ----------
    network
        What is trained, and how.
    batch_size
        Signals.
    num_threads
        Threads of the CPU; torch's own choice if None.

    Returns
    -------
    float
        In megabytes.
    """
    with cpu_threads(num_threads):
        model = network.build()
        small = training_step(model, network, 2)

        def make_ready() -> None:
            # what is made once per graph, and the gradients and moments of the optimizer, which
            # both belong to a network; but nothing of the size of the batch
            small()
            release_memory()

        step = training_step(model, network, batch_size)
        return added_megabytes(make_ready, step, "cpu")


def _summary(times: Times) -> _Milliseconds:
    """Lower quartile, median, upper quartile."""
    low, high = times.quartiles
    return low, times.median, high


@contextmanager
def _evaluating(
    networks: Mapping[str, nn.Module],
) -> Iterator[dict[str, Callable[[torch.Tensor], object]]]:
    """The networks in evaluation mode, without gradients."""
    for model in networks.values():
        model.eval()
    with torch.inference_mode():
        yield dict(networks)
    for model in networks.values():
        model.train()


def _bound(call: Callable[[torch.Tensor], object], signals: torch.Tensor) -> Callable[[], object]:
    """The call with its signals."""
    return lambda: call(signals)
