"""What the networks of the table cost: time of inference and of a training step, and memory.

`python -m deepsphere.experiments.shapes_costs REQUEST` is the process in which the memory of one
network is measured; it prints megabytes.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn
from torch.nn.functional import cross_entropy

from deepsphere.experiments.memory import added_megabytes, ask_process
from deepsphere.experiments.options import cpu_threads
from deepsphere.experiments.shapes_config import CostsSection, NetworkSection, ShapesRecipe
from deepsphere.experiments.shapes_run import (
    IN_CHANNELS,
    build_domain,
    build_network,
    optimization_of,
)
from deepsphere.experiments.timing import Times, interleave
from deepsphere.experiments.training_record import NotNegative
from deepsphere.models import num_parameters
from deepsphere.ops import release_memory
from deepsphere.sampling import sampling_from_spec

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


class ShapesCosts(BaseModel):
    """What all networks cost, measured in one session.

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


@dataclass(frozen=True)
class _Repetitions:
    """How often the networks take turns."""

    min_repeats: int
    seconds: float
    device: str = "cpu"


def inference_work(batch_size: int) -> str:
    """The name of an inference on so many shapes.

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


def measure_costs(
    recipe: ShapesRecipe,
    section: CostsSection,
    *,
    num_classes: int,
    fingerprint: str,
    announce: Callable[[str], None],
) -> ShapesCosts:
    """Time and memory of every network, on random signals, on the CPU.

    For each work all networks take turns, so that a busy machine is as busy for all. Memory is
    measured in a process of its own for each network.

    Parameters
    ----------
    recipe
        With its networks.
    section
        How.
    num_classes
        Outputs.
    fingerprint
        Of the networks.
    announce
        Told what is being done.

    Returns
    -------
    ShapesCosts
    """
    batch = max(section.batch_sizes)
    repetitions = _Repetitions(section.min_repeats, section.seconds)
    with cpu_threads(section.num_threads):
        networks: dict[str, nn.Module] = {}
        for network in recipe.networks:
            announce(f"building {network.name}")
            domain = build_domain(network)
            networks[network.name] = build_network(network, domain, num_classes=num_classes)
        times: dict[str, Mapping[str, Times]] = {}
        for size in section.batch_sizes:
            announce(f"timing inference, batches of {size}")
            with _evaluating(networks) as calls:
                inputs = {name: _signals(recipe.network(name), size) for name in networks}
                times[inference_work(size)] = interleave(
                    {name: _bound(call, inputs[name]) for name, call in calls.items()},
                    repetitions,
                )
        announce(f"timing training steps, batches of {batch}")
        steps = {
            name: training_step(model, recipe, recipe.network(name), batch)
            for name, model in networks.items()
        }
        times[step_work(section)] = interleave(steps, repetitions)
        counts = {name: num_parameters(model) for name, model in networks.items()}
        del networks, steps
        release_memory()
    found = {}
    for network in recipe.networks:
        announce(f"weighing {network.name}")
        found[network.name] = NetworkCosts(
            num_parameters=counts[network.name],
            milliseconds={work: _summary(of[network.name]) for work, of in times.items()},
            step_megabytes=measure_step_memory(recipe, network, num_classes=num_classes),
        )
    return ShapesCosts(fingerprint=fingerprint, networks=found)


def training_step(
    model: nn.Module, recipe: ShapesRecipe, network: NetworkSection, batch_size: int
) -> Callable[[], None]:
    """A call that makes one training step on random signals and labels.

    Parameters
    ----------
    model
        Trained in place.
    recipe, network
        With the optimization.
    batch_size
        Signals.

    Returns
    -------
    callable
    """
    signals = _signals(network, batch_size)
    model.eval()  # one signal has no variance
    with torch.no_grad():
        num_classes = model(signals[:1]).shape[-1]
    labels = torch.arange(batch_size) % num_classes
    optimization = optimization_of(recipe.training_of(network))
    optimizer = optimization.configure(model, num_steps=2**20)["optimizer"]

    def step() -> None:
        model.train()
        optimizer.zero_grad()
        cross_entropy(model(signals), labels).backward()
        optimizer.step()

    return step


def measure_step_memory(
    recipe: ShapesRecipe, network: NetworkSection, *, num_classes: int
) -> float:
    """What a training step adds to the memory of a process, in megabytes.

    Parameters
    ----------
    recipe, network
        What is trained, and how.
    num_classes
        Outputs.

    Returns
    -------
    float

    Raises
    ------
    RuntimeError
        If the process fails, with the last line that it wrote.
    """
    section = recipe.costs or CostsSection()
    request = {
        "recipe": recipe.model_dump(mode="json"),
        "network": network.name,
        "num_classes": num_classes,
        "batch_size": max(section.batch_sizes),
        "num_threads": section.num_threads,
    }
    return ask_process(__name__, request)


def _answer(request: dict[str, object]) -> float:
    """What the fresh process measures."""
    recipe = ShapesRecipe.model_validate_json(json.dumps(request["recipe"]))
    network = recipe.network(str(request["network"]))
    num_classes, batch_size = int(str(request["num_classes"])), int(str(request["batch_size"]))
    with cpu_threads(None if request["num_threads"] is None else int(str(request["num_threads"]))):
        model = build_network(network, build_domain(network), num_classes=num_classes)
        small = training_step(model, recipe, network, 2)

        def make_ready() -> None:
            # what is made once per graph, and the gradients and moments of the optimizer, which
            # both belong to a network; but nothing of the size of the batch
            small()
            release_memory()

        step = training_step(model, recipe, network, batch_size)
        return added_megabytes(make_ready, step, "cpu")


def _summary(times: Times) -> _Milliseconds:
    """Lower quartile, median, upper quartile."""
    low, high = times.quartiles
    return low, times.median, high


def _signals(network: NetworkSection, batch_size: int) -> torch.Tensor:
    """Random signals for a network."""
    shape = (batch_size, sampling_from_spec(network.sampling).num_vertices, IN_CHANNELS)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


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


if __name__ == "__main__":
    sys.stdout.write(f"{_answer(json.loads(sys.argv[1])):.3f}\n")
