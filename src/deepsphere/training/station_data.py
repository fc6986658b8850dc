"""Station records to learn from, batch by batch, split in time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool
from torch import Tensor, nn
from torch.utils.data import DataLoader

from deepsphere.data.station_objectives import StationObjective
from deepsphere.data.station_records import StationRecords
from deepsphere.data.station_splits import split_records
from deepsphere.data.windows import check_positive
from deepsphere.tasks import Regression
from deepsphere.tasks.regression_losses import LossName
from deepsphere.training.checkpoint import Metadata
from deepsphere.training.data_module import SphereData
from deepsphere.training.map_noise import check_seed
from deepsphere.training.map_samples import Split
from deepsphere.training.module import SphereModule
from deepsphere.training.optimization import Optimization
from deepsphere.training.seeding import seeded
from deepsphere.training.station_features import StationFeature, signal_names
from deepsphere.training.station_networks import StationModel, start_at_zero, station_network
from deepsphere.training.station_parts import (
    check_given,
    check_hidden,
    check_units,
    fitting_part,
    why_no_samples,
)
from deepsphere.training.station_preparation import (
    KIND,
    Filling,
    Reference,
    StationPreparation,
    measure_stations,
    preparation_notes,
)
from deepsphere.training.station_samples import (
    StationSamples,
    draw_hidden,
    draw_validation,
    sample_loader,
)
from deepsphere.training.station_signals import StationSignals

# Share of the stations of which nothing is seen before the test of an imputation.
_USUAL_SHARE = 0.2
# Samples whose targets are measured, evenly chosen.
_MEASURED_SAMPLES = 512


class StationData(SphereData):
    """Records of stations to learn an objective from, scaled by numbers of the training alone.

    `StationData.of_records` makes it of one table, `module` makes the network that learns from it.
    Days are left out that no window of consecutive days leads to, and samples in which nothing is
    observed; the notes count them.

    Parameters
    ----------
    train
        What is learned from.
    objective
        What is learned.
    validation
        What is validated on; nothing if not given.
    test
        What is tested on; nothing if not given.
    hidden
        For "imputation": stations of which nothing is seen before the test, where they alone are
        predicted. A fifth of the others is predicted in the validation alone, so that it tells how
        the network does at places that it has not learned; of the rest, some are hidden in each
        training sample anew. None: the test hides other stations in each sample.
    preparation
        How values become signals; measured on the training if not given.
    batch_size
        Samples in a batch.
    seed
        Of order and hidden stations, in [0, 2³²).
    num_workers
        Processes that make batches; 0 makes them in this one.
    graph
        Keywords of `build_graph` for the network of `module`; where the stations fall apart, it is
        taken as it is (``disconnected="allow"``) unless told otherwise.

    Attributes
    ----------
    sampling
        Of the stations.
    hidden_in_validation
        Stations that are predicted in the validation alone; None where none are.
    preparation
        As it was given or measured.
    signals
        Of each part, by name.
    notes
        What was left out, in words.

    Raises
    ------
    TypeError
        If a part is no StationRecords, or the objective no StationObjective.
    ValueError
        If a number is out of its range, the parts differ in stations or variables, or there is
        nothing to learn from.

    Examples
    --------
    >>> from deepsphere.data.station_objectives import next_day
    >>> from deepsphere.data.station_records import station_records
    >>> days = np.arange("2020-01-01", "2020-03-01", dtype="datetime64[D]")
    >>> values = np.random.default_rng(0).normal(size=(60, 8))
    >>> records = station_records(
    ...     10.0 * np.arange(8), np.arange(8.0) ** 2, values, days, channel_names=["tavg"]
    ... )
    >>> data = StationData.of_records(records, next_day("tavg"), num_neighbors=3, batch_size=10)
    >>> [list(one.shape) for one in next(iter(data.train_dataloader()))]
    [[10, 8, 10], [10, 8, 1]]
    """

    def __init__(
        self,
        train: StationRecords,
        *,
        objective: StationObjective,
        validation: StationRecords | None = None,
        test: StationRecords | None = None,
        hidden: Bool[np.ndarray, "stations"] | None = None,
        preparation: StationPreparation | None = None,
        batch_size: int = 64,
        seed: int = 0,
        num_workers: int = 0,
        graph: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_positive("batch_size", batch_size)
        check_seed("seed", seed)
        given: dict[Split, StationRecords | None] = {
            "train": train,
            "validation": validation,
            "test": test,
        }
        for name, records in given.items():
            if records is not None or name == "train":
                check_given(records, objective, name=name)
        check_units(objective, train)
        parts: dict[Split, StationRecords] = {
            name: fitting_part(records, name=name, objective=objective, train=train)
            for name, records in given.items()
            if records is not None
        }
        check_hidden(hidden, objective, train)
        self.hidden = hidden
        self.objective = objective
        self.train = parts["train"]
        self.validation = parts.get("validation")
        self.test = parts.get("test")
        self.sampling = train.sampling
        self.batch_size = batch_size
        self.seed = seed
        self.num_workers = num_workers
        self.graph_options = {"disconnected": "allow", **(graph or {})}
        known = None if self.hidden is None else ~self.hidden
        self.preparation = preparation or measure_stations(self.train, objective, known=known)
        self.signals: dict[Split, StationSignals] = {
            name: StationSignals(records, objective, self.preparation, known=known)
            for name, records in parts.items()
        }
        self.hidden_in_validation = None
        if objective.kind == "imputation":
            self.hidden_in_validation = draw_validation(
                hidden, num_stations=train.num_stations, share=_USUAL_SHARE, seed=seed
            )
        always = {"validation": self.hidden_in_validation, "test": self.hidden}
        self._samples: dict[Split, StationSamples] = {
            name: StationSamples(
                signals,
                seed=seed,
                split=name,
                always_hidden=always.get(name),
                never_hidden=self.hidden_in_validation if name == "train" else None,
            )
            for name, signals in self.signals.items()
        }
        for name, samples in self._samples.items():
            if not len(samples):
                raise ValueError(why_no_samples(name, samples.signals.records, objective))
        self.notes = (
            *train.notes,
            *(note for name in self._samples for note in self._notes_of(name)),
            *preparation_notes(train, objective, self.preparation),
        )

    @classmethod
    def of_records(
        cls,
        records: StationRecords,
        objective: StationObjective,
        *,
        validation_start: Any = None,
        test_start: Any = None,
        validation_fraction: float = 0.15,
        test_fraction: float = 0.15,
        hidden: float | Bool[np.ndarray, "stations"] | None = None,
        hidden_fraction: float | tuple[float, float] = 0.2,
        features: Sequence[StationFeature] | None = None,
        reference: Reference | None = None,
        filling: Filling | None = None,
        batch_size: int = 64,
        seed: int = 0,
        num_workers: int = 0,
        **graph: Any,
    ) -> "StationData":
        """Data of one table of records, split in time.

        Parameters
        ----------
        records
            With the variables of the objective.
        objective
            What is learned.
        validation_start, test_start, validation_fraction, test_fraction
            As of `split_records`.
        hidden
            For "imputation": share of the stations of which nothing is seen before the test, drawn
            by the seed, or which. None: a fifth.
        hidden_fraction
            For "imputation": share of the others that is hidden in a sample, or between which two
            it is drawn.
        features, reference, filling
            As of `measure_stations`.
        batch_size, seed, num_workers
            As in the constructor.
        **graph
            Keywords of `build_graph`, such as `num_neighbors` and `weights`.

        Returns
        -------
        StationData

        Raises
        ------
        TypeError, ValueError
            As the constructor and `split_records`.
        """
        check_given(records, objective)
        history = objective.history if objective.kind == "next_day" else 0
        train, validation, test = split_records(
            records.select(objective.channel_names),
            validation_start=validation_start,
            test_start=test_start,
            validation_fraction=validation_fraction,
            test_fraction=test_fraction,
            history=history,
        )
        check_seed("seed", seed)
        never = hidden if isinstance(hidden, np.ndarray) else None
        if never is None and (hidden is not None or objective.kind == "imputation"):
            share = _USUAL_SHARE if hidden is None else float(hidden)
            never = draw_hidden(records.num_stations, share=share, seed=seed)
        check_hidden(never, objective, train)
        between = hidden_fraction if isinstance(hidden_fraction, tuple) else (hidden_fraction,) * 2
        preparation = measure_stations(
            train,
            objective,
            known=None if never is None else ~never,
            features=None if features is None else tuple(features),
            reference=reference,
            filling=filling,
            hidden_fraction=(float(between[0]), float(between[1])),
        )
        return cls(
            train,
            objective=objective,
            validation=validation,
            test=test,
            hidden=never,
            preparation=preparation,
            batch_size=batch_size,
            seed=seed,
            num_workers=num_workers,
            graph=graph,
        )

    @property
    def projection(self) -> dict[str, Any]:
        """What is learned and how signals are made, for the metadata of a checkpoint."""
        return {"kind": KIND, "objective": self.objective.values, "variables": self.units}

    @property
    def normalization(self) -> dict[str, Any]:
        """How values become signals, for the metadata of a checkpoint."""
        return {"kind": KIND, **self.preparation.values}

    @property
    def units(self) -> dict[str, str]:
        """Unit of each variable."""
        return dict(zip(self.train.channel_names, self.train.units, strict=True))

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Name of each channel of the signals."""
        return signal_names(self.objective, self.preparation.features)

    @property
    def in_channels(self) -> int:
        """Number of channels of the signals."""
        return len(self.channel_names)

    @cached_property
    def task(self) -> Regression:
        """The regression of the differences from the reference, standardized by the training."""
        return self.regression()

    def regression(self, *, loss: LossName = "l2") -> Regression:
        """The regression of the differences from the reference, standardized by the training.

        Parameters
        ----------
        loss
            As of `Regression`.

        Returns
        -------
        Regression
        """
        samples = self._samples["train"]
        chosen = np.unique(np.linspace(0, len(samples) - 1, _MEASURED_SAMPLES).round().astype(int))
        keys = [(0, int(number)) for number in chosen]
        parts = [
            keys[start : start + self.batch_size] for start in range(0, len(keys), self.batch_size)
        ]
        targets = np.concatenate([samples.__getitems__(part)[1].numpy() for part in parts])
        units = self.units
        is_separate = self.objective.variables == "separate"
        names = self.objective.sample_names if is_separate else self.objective.targets
        return Regression.standardizing(
            targets,
            loss=loss,
            names=names,
            units=[units.get(name, units.get(self.objective.targets[0], "")) for name in names],
        )

    def network(
        self, *, kernel_size: int = 5, model: StationModel = "ghcn", **options: Any
    ) -> nn.Module:
        """A network for the objective, with weights drawn by the seed of the data.

        Where there is a reference, the last convolution begins with zeros: before the training, the
        reference is what is predicted.

        Parameters
        ----------
        kernel_size
            Of all convolutions; 1 looks at each station alone.
        model, **options
            As of `station_network`.

        Returns
        -------
        Module

        Raises
        ------
        ValueError
            As `station_network`.
        """
        sizes = {"in_channels": self.in_channels, "out_channels": len(self.task.quantity_names)}
        with seeded(self.seed):
            network = station_network(
                model,
                self.sampling,
                self.objective,
                graph=self.graph_options,
                kernel_size=kernel_size,
                **{**sizes, **options},
            )
        if self.preparation.reference != "none":
            start_at_zero(network)
        return network

    def module(
        self,
        *,
        kernel_size: int = 5,
        model: StationModel = "ghcn",
        loss: LossName = "l2",
        optimization: Optimization | None = None,
        metadata: Metadata | None = None,
        **options: Any,
    ) -> SphereModule:
        """A network with its task, for `deepsphere.training.fit`.

        Parameters
        ----------
        kernel_size, model, **options
            As of `network`.
        loss
            As of `Regression`.
        optimization
            How it learns.
        metadata
            What else the checkpoint shall say.

        Returns
        -------
        SphereModule
            Its outputs are differences from the reference; `station_predictor_of` adds it.
        """
        task = self.regression(loss=loss)
        network = self.network(
            kernel_size=kernel_size, model=model, out_channels=task.num_model_outputs, **options
        )
        described = replace(
            metadata or Metadata(),
            normalization=self.normalization,
            projection=self.projection,
            fields={"channel_names": list(self.channel_names)},
        )
        return SphereModule(network, task, optimization=optimization, metadata=described)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Batches (signals, targets) in the order of the epoch."""
        return self._loader("train", seed=self.seed)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]] | list[Any]:
        """Batches of all samples of the validation; none when there is none."""
        return [] if self.validation is None else self._loader("validation")

    def test_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]] | list[Any]:
        """Batches of all samples of the test; none when there is none."""
        return [] if self.test is None else self._loader("test")

    def _loader(
        self, split: Split, *, seed: int | None = None
    ) -> DataLoader[tuple[Tensor, Tensor]]:
        """Batches of the samples of a part."""
        return sample_loader(
            self._samples[split],
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            seed=seed,
        )

    def _notes_of(self, name: Split) -> list[str]:
        """What was left out of a part."""
        signals, samples = self.signals[name], self._samples[name]
        notes = []
        if signals.windows.num_left_out:
            notes.append(
                f"{name}: {signals.windows.num_left_out} days left out, which do not follow "
                f"{self.objective.history} days in a row"
            )
        if len(samples) < len(signals):
            notes.append(
                f"{name}: {len(signals) - len(samples)} of {len(signals)} samples left out, in "
                "which nothing is observed to learn from"
            )
        return notes
