"""Shapes in batches: order of the views, scaling of the channels, outputs, and training on them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from deepsphere.data import make_procedural_shapes, project_shapes
from deepsphere.data.mesh_projection import ProjectedShapes
from deepsphere.data.shapes import Shape, ShapeSet
from deepsphere.graph import build_graph
from deepsphere.models import FCN
from deepsphere.sampling import Healpix, Sampling
from deepsphere.tasks import Classification, TripletClassification
from deepsphere.training import (
    ChannelScaling,
    Optimization,
    SphereModule,
    SphericalShapes,
    compute_outputs,
    fit,
    read_metadata,
    seeded,
)
from deepsphere.training.channel_scaling import measure_scaling
from deepsphere.training.shape_data import EpochViews

SAMPLING = Healpix(4)
NAMES = ("box", "cone", "ellipsoid")
ALL = make_procedural_shapes(num_per_class=4, seed=0)


def project(
    *, num_views: int = 2, seed: int = 0, sampling: Sampling = SAMPLING, **options: Any
) -> ProjectedShapes:
    """Four shapes of three families."""
    chosen = [
        shape
        for shape in ALL.shapes
        if shape.label is not None and ALL.classes[shape.label] in NAMES
    ]
    renamed = [
        Shape(shape.name, NAMES.index(ALL.classes[shape.label]), shape.source)  # pyright: ignore
        for shape in chosen
    ]
    shapes = ShapeSet("solids", NAMES, tuple(renamed))
    options = {"perturbation": "so3", "num_workers": 0} | options
    return project_shapes(shapes, sampling, num_views=num_views, seed=seed, **options)


@pytest.fixture(scope="module")
def train() -> ProjectedShapes:
    return project()


@pytest.fixture(scope="module")
def validation() -> ProjectedShapes:
    return project(num_views=1, seed=1)


def make_model(**options: Any) -> FCN:
    pyramid = build_graph(SAMPLING, num_neighbors=8, weights="gaussian").pyramid(num_levels=2)
    sizes = {"in_channels": 6, "out_channels": 3, "channels": (8, 16), "kernel_size": 3}
    with seeded(0):
        return FCN(pyramid, **(sizes | options))


# order of the views


@pytest.mark.parametrize("views_per_epoch", [1, 2, 3])
def test_every_shape_is_seen_as_often_in_every_epoch(views_per_epoch):
    order = EpochViews(7, 5, views_per_epoch=views_per_epoch, seed=0)
    assert len(order) == 7 * views_per_epoch
    for epoch in range(4):
        order.set_epoch(epoch)
        indices = list(order)
        assert len(set(indices)) == len(indices) == len(order)
        shapes = np.bincount([index // 5 for index in indices])
        assert shapes.tolist() == [views_per_epoch] * 7


@pytest.mark.parametrize(("num_views", "views_per_epoch"), [(4, 1), (4, 2), (5, 2), (3, 3)])
def test_epochs_take_turns_over_all_views(num_views, views_per_epoch):
    """Over as many epochs as there are views, each view is seen `views_per_epoch` times."""
    order = EpochViews(6, num_views, views_per_epoch=views_per_epoch, seed=3)
    seen = []
    for epoch in range(num_views):
        order.set_epoch(epoch)
        seen += list(order)
    assert np.bincount(seen, minlength=6 * num_views).tolist() == [views_per_epoch] * (
        6 * num_views
    )


def test_order_depends_on_seed_and_epoch_alone():
    def orders(seed: int, epochs: list[int]) -> list[list[int]]:
        order = EpochViews(50, 3, views_per_epoch=1, seed=seed)
        found = []
        for epoch in epochs:
            order.set_epoch(epoch)
            found.append(list(order))
        return found

    first = orders(0, [0, 1, 2])
    # a resumed training begins with the third epoch
    assert orders(0, [2])[0] == first[2]
    assert first[0] != first[1]
    assert orders(1, [0])[0] != first[0]
    # shapes do not change their views in step: each begins with one of its own
    views = {index // 3: index % 3 for index in first[0]}
    assert set(views.values()) == {0, 1, 2}


@pytest.mark.parametrize("views_per_epoch", [0, 3])
def test_impossible_numbers_of_views_are_rejected(views_per_epoch):
    with pytest.raises(ValueError, match=rf"between 1 and num_views \(2\), got {views_per_epoch}"):
        EpochViews(4, 2, views_per_epoch=views_per_epoch, seed=0)


# scaling


def test_scaled_channels_have_mean_zero_and_unit_variance(train):
    scaling = measure_scaling(train)
    scaled = scaling.apply(torch.from_numpy(train.signals(0)).double())
    torch.testing.assert_close(
        scaled.mean(dim=(0, 1)), torch.zeros(6, dtype=torch.float64), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(
        scaled.square().mean(dim=(0, 1)), torch.ones(6, dtype=torch.float64), atol=1e-5, rtol=0
    )


def test_scaling_is_rebuilt_from_its_values(train):
    scaling = measure_scaling(train)
    assert ChannelScaling.from_values(scaling.values) == scaling
    with pytest.raises(ValueError, match="normalization must be a scaling of channels, got None"):
        ChannelScaling.from_values(None)
    with pytest.raises(ValueError, match=r"got \{'kind': 'images'\}"):
        ChannelScaling.from_values({"kind": "images"})


def test_impossible_scaling_is_rejected():
    with pytest.raises(ValueError, match="must be as many, got 1 and 2"):
        ChannelScaling((0.0,), (1.0, 1.0))
    for deviation in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="deviations must be positive"):
            ChannelScaling((0.0,), (deviation,))


class ConstantShape:
    """In the place of projected shapes: one shape that looks the same from everywhere."""

    def __len__(self) -> int:
        return 1

    def signal(self, shape: int, view: int) -> np.ndarray:
        return np.full((192, 6), 0.5, np.float32)


def test_constant_channel_is_only_shifted(unchecked):
    constant: Any = ConstantShape()
    scaling = measure_scaling(constant)
    assert scaling.deviation == (1.0,) * 6
    assert scaling.apply(torch.from_numpy(constant.signal(0, 0))).abs().max() < 1e-6


def test_data_are_scaled_as_the_training_shapes(train, validation):
    data = SphericalShapes(train, validation=validation, test=validation, batch_size=5)
    assert data.scaling == measure_scaling(train)
    assert data.normalization == data.scaling.values
    assert data.projection == {"kind": "rays"}
    given = ChannelScaling((0.0,) * 6, (2.0,) * 6)
    halved = SphericalShapes(train, scaling=given)
    batch = next(iter(halved.train_dataloader()))
    signals, labels = halved.on_after_batch_transfer(batch, 0)
    torch.testing.assert_close(signals, batch[0] / 2)
    assert torch.equal(labels, batch[1])


# batches


def test_batches_hold_the_signals_and_their_labels(train, validation):
    data = SphericalShapes(train, validation=validation, batch_size=5, views_per_epoch=2)
    found = [
        (s, int(label))
        for signals, labels in data.train_dataloader()
        for s, label in zip(signals, labels, strict=True)
    ]
    assert len(found) == len(train) * 2
    expected = {
        train.signal(shape, view).tobytes(): train.labels[shape]
        for shape in range(len(train))
        for view in range(2)
    }
    assert {s.numpy().tobytes(): label for s, label in found} == expected
    in_order = torch.cat([signals for signals, _ in data.val_dataloader()])
    np.testing.assert_array_equal(in_order.numpy(), validation.signals(0))
    assert data.test_dataloader() == []
    assert SphericalShapes(train).val_dataloader() == []
    tested = SphericalShapes(train, test=train).test_dataloader()
    assert sum(len(labels) for _, labels in tested) == 2 * len(train)


def test_impossible_data_are_rejected(train):
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        SphericalShapes(train, batch_size=0)
    with pytest.raises(ValueError, match="views_per_epoch must be between 1 and num_views"):
        SphericalShapes(train, views_per_epoch=3)
    other = project(sampling=Healpix(2))
    with pytest.raises(
        ValueError, match="validation must be sampled as train is, on healpix:nside=4"
    ):
        SphericalShapes(train, validation=other)
    unknown = ShapeSet("solids", NAMES, (Shape("what", None, ALL.shapes[0].source),))
    nameless = project_shapes(unknown, SAMPLING, num_workers=0)
    with pytest.raises(ValueError, match="test must hold shapes of known class, got 1 of 1"):
        SphericalShapes(train, test=nameless)


# outputs


@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_outputs_are_those_of_single_calls_in_order(batch_size, train):
    model = make_model()
    model.train()
    scaling = measure_scaling(train)
    outputs = compute_outputs(model, train, scaling, batch_size=batch_size)
    assert model.training  # the mode is put back
    model.eval()
    assert outputs.logits.shape == (12, 2, 3)
    for shape, view in ((0, 0), (0, 1), (7, 1), (11, 0)):
        signal = scaling.apply(torch.from_numpy(train.signal(shape, view)))[None]
        with torch.no_grad():
            descriptor, logits = model.describe(signal)[0], model(signal)[0]
        torch.testing.assert_close(outputs.descriptors[shape, view], descriptor)
        torch.testing.assert_close(outputs.logits[shape, view], logits)
    expected = outputs.descriptors.double().sum(dim=1) / 2
    torch.testing.assert_close(outputs.mean_descriptors, expected)


def test_outputs_of_nothing_are_rejected(train):
    scaling = measure_scaling(train)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        compute_outputs(make_model(), train, scaling, batch_size=0)
    empty = ProjectedShapes(train.sampling, train.shapes.take([]), 1, train.report, (), train._task)
    with pytest.raises(ValueError, match="projected must hold at least one shape, got none"):
        compute_outputs(make_model(), empty, scaling)
    with pytest.raises(ValueError, match="train must hold at least one shape, got none"):
        SphericalShapes(empty)


# training


def make_module(**options: Any) -> SphereModule:
    optimization = Optimization(learning_rate=0.02, schedule="constant", weight_decay=0.0)
    return SphereModule(make_model(**options), Classification(NAMES), optimization=optimization)


def test_training_learns_shapes(train, tmp_path: Path):
    module = make_module()
    data = SphericalShapes(train, batch_size=6, views_per_epoch=2)
    fit(module, data, max_epochs=20, accelerator="cpu", output=tmp_path, progress=False)
    outputs = compute_outputs(module.model, train, data.scaling)
    right = outputs.logits.argmax(dim=-1) == torch.from_numpy(train.labels)[:, None]
    assert right.all()
    metadata = read_metadata(tmp_path / "last.ckpt")
    assert metadata.normalization == data.scaling.values
    assert metadata.projection == {"kind": "rays"}


@pytest.mark.parametrize("num_workers", [0, 1])
def test_resumed_training_on_shapes_ends_as_the_uninterrupted_one(
    num_workers, train, validation, tmp_path
):
    """Exactly: views, order and dropout all go on."""

    def data() -> SphericalShapes:
        options: dict[str, Any] = {"batch_size": 5, "seed": 2, "num_workers": num_workers}
        return SphericalShapes(train, validation=validation, **options)

    options: dict[str, Any] = {"accelerator": "cpu", "progress": False, "seed": 2}
    whole = make_module(dropout=0.3)
    fit(whole, data(), max_epochs=4, **options)
    part = make_module(dropout=0.3)
    first = fit(part, data(), max_epochs=2, output=tmp_path, **options)
    resumed = make_module(dropout=0.3)
    fit(resumed, data(), max_epochs=4, output=tmp_path, resume=first.last, **options)
    for name, values in whole.model.state_dict().items():
        assert torch.equal(values, resumed.model.state_dict()[name]), name


def test_module_gives_descriptors_to_the_triplet_loss(train):
    task = TripletClassification(NAMES, triplet_weight=0.7, margin=0.5)
    module = SphereModule(make_model(), task)
    assert module.metadata.task == task.spec
    assert module.metadata.class_names == NAMES
    signals = torch.from_numpy(train.signals(0))
    labels = torch.from_numpy(train.labels)
    module.eval()
    module.log = lambda *arguments, **options: None  # there is no trainer
    with torch.no_grad():
        loss = module.training_step((signals, labels), 0)
        classifier: Any = module.model
        descriptors = classifier.describe(signals)
        expected = task.loss(module.model(signals), labels, descriptors=descriptors)
        without = Classification(NAMES).loss(module.model(signals), labels)
    torch.testing.assert_close(loss, expected)
    assert loss > without


def test_triplets_are_learned(train, tmp_path: Path):
    optimization = Optimization(learning_rate=0.02, schedule="constant", weight_decay=0.0)
    module = SphereModule(make_model(), TripletClassification(NAMES), optimization=optimization)
    data = SphericalShapes(train, validation=train, batch_size=12)
    result = fit(module, data, max_epochs=15, accelerator="cpu", progress=False)
    assert result.history[-1]["train_loss"] < 0.5 * result.history[0]["train_loss"]
    assert result.history[-1]["val_accuracy"] > 0.8


def test_origin_of_the_data_is_in_every_checkpoint(train, tmp_path: Path):
    from deepsphere.training import Metadata

    module = SphereModule(
        make_model(), Classification(NAMES), metadata=Metadata(training={"split": 3})
    )
    fit(
        module,
        SphericalShapes(train),
        max_epochs=1,
        accelerator="cpu",
        output=tmp_path,
        progress=False,
    )
    training = read_metadata(tmp_path / "last.ckpt").training or {}
    assert training["split"] == 3
    assert training["max_epochs"] == 1
    assert training["learning_rate"] == module.optimization.learning_rate


# optimization


def one_step(optimization: Optimization, *, steps: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """A weight after some steps, and the gradients before each of them."""
    layer = nn.Linear(3, 1, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -2.0, 0.5]]))
    optimizer = optimization.configure(layer, num_steps=10)["optimizer"]
    gradients = []
    for step in range(steps):
        optimizer.zero_grad()
        (layer.weight**3).sum().backward()
        assert layer.weight.grad is not None
        gradients.append(layer.weight.grad.clone())
        optimizer.step()
        del step
    return layer.weight.detach(), gradients


def test_sgd_is_its_formula():
    """v ← μ v + g + λ w, w ← w − η v."""
    optimization = Optimization(
        optimizer="sgd", learning_rate=0.01, momentum=0.8, weight_decay=0.1, schedule="constant"
    )
    weight, gradients = one_step(optimization, steps=3)
    expected, velocity = torch.tensor([[1.0, -2.0, 0.5]]).double(), torch.zeros(1, 3).double()
    for gradient in gradients:
        velocity = 0.8 * velocity + gradient + 0.1 * expected
        expected = expected - 0.01 * velocity
    torch.testing.assert_close(weight, expected)


def test_sgd_without_momentum_has_none():
    optimization = Optimization(
        optimizer="sgd", learning_rate=0.01, momentum=0.0, weight_decay=0.0, schedule="constant"
    )
    weight, (gradient,) = one_step(optimization, steps=1)
    torch.testing.assert_close(weight, torch.tensor([[1.0, -2.0, 0.5]]).double() - 0.01 * gradient)


@pytest.mark.parametrize("smoothing", [0.9, 0.99])
def test_rmsprop_divides_by_the_root_of_its_mean_of_squares(smoothing):
    """v ← ρ v + (1 − ρ) g²; w ← w − η g / (√v + ε), from v = 0 (Tieleman & Hinton 2012)."""
    optimization = Optimization(
        optimizer="rmsprop",
        learning_rate=0.01,
        smoothing=smoothing,
        weight_decay=0.0,
        schedule="constant",
    )
    weight, gradients = one_step(optimization, steps=2)
    expected, squares = torch.tensor([[1.0, -2.0, 0.5]]).double(), 0.0
    for gradient in gradients:
        squares = smoothing * squares + (1 - smoothing) * gradient**2
        expected = expected - 0.01 * gradient / (squares**0.5 + 1e-8)
    torch.testing.assert_close(weight, expected)


def test_one_cycle_leaves_rmsprop_without_momentum():
    parts = Optimization(optimizer="rmsprop").configure(nn.Linear(1, 1), num_steps=10)
    for _ in range(9):
        parts["optimizer"].step()
        parts["lr_scheduler"]["scheduler"].step()
        assert parts["optimizer"].param_groups[0]["momentum"] == 0


@pytest.mark.parametrize("epsilon", [1e-8, 0.1])
def test_epsilon_is_added_to_the_root_of_the_second_moment(epsilon):
    """The first step of Adam is η g / (|g| + ε)."""
    optimization = Optimization(
        learning_rate=0.01, epsilon=epsilon, weight_decay=0.0, schedule="constant"
    )
    weight, (gradient,) = one_step(optimization, steps=1)
    step = 0.01 * gradient / (gradient.abs() + epsilon)
    torch.testing.assert_close(weight, torch.tensor([[1.0, -2.0, 0.5]]).double() - step)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "lion"}, "optimizer must be one of adamw, sgd, rmsprop, got 'lion'"),
        ({"epsilon": 0.0}, "epsilon must be positive, got 0.0"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
        ({"momentum": -0.1}, r"momentum must be in \[0, 1\), got -0.1"),
        ({"smoothing": 1.0}, r"smoothing must be in \[0, 1\), got 1.0"),
    ],
)
def test_impossible_optimizers_are_rejected(options, message, unchecked):
    with pytest.raises(ValueError, match=message):
        Optimization(**options)


def test_one_cycle_turns_the_momentum_of_sgd_too():
    """It runs against the learning rate, from 0.95 at the smallest to 0.85 at the peak."""
    optimization = Optimization(optimizer="sgd", learning_rate=0.1, schedule="one_cycle")
    parts = optimization.configure(nn.Linear(1, 1), num_steps=10)
    optimizer, schedule = parts["optimizer"], parts["lr_scheduler"]["scheduler"]
    pairs = []
    for _ in range(10):
        group = optimizer.param_groups[0]
        pairs.append((group["lr"], group["momentum"]))
        optimizer.step()
        schedule.step() if len(pairs) < 10 else None
    at_peak = max(pairs)
    assert at_peak[1] == min(momentum for _, momentum in pairs)
