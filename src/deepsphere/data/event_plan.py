"""What decides every byte of simulated maps of extreme events."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from deepsphere.data.climate_channels import CLASS_FREQUENCIES
from deepsphere.sampling import sampling_from_spec
from deepsphere.sampling.protocol import Sampling

# To be raised with every change of what a plan gives.
_VERSION = 1

# Runs are those of an ensemble of models, as in the published data set; those of one member follow
# each other after so many days, a number that goes through all seasons in ten steps.
_NUM_MEMBERS = 6
_DAYS_BETWEEN = 37
_FIRST_DAY = datetime(1996, 1, 1)


@dataclass(frozen=True, kw_only=True)
class EventPlan:
    """What decides every byte of simulated maps of extreme events.

    Maps come in runs: consecutive time steps of one weather. Map i of a plan does not depend on
    how many there are, and is the same field at the points of every sampling.

    Parameters
    ----------
    sampling
        Specification of the points, as ``"icosahedral:32"``.
    num_maps
        Of all runs together; the last run may be cut.
    seed
        Of all random numbers.
    frequencies
        Shares of the area of the sphere that are tropical cyclones and atmospheric rivers, each
        from 0 to .05, on average over maps.
    steps_per_run
        Consecutive maps of a run.
    step_hours
        Between them.

    Raises
    ------
    ValueError
        If a value is out of range, or the sampling is unknown.

    Examples
    --------
    >>> plan = EventPlan(sampling="icosahedral:16", num_maps=6)
    >>> plan.num_vertices, plan.time_of(5)
    (2562, (1, 3.0))
    >>> plan.date_of(5).isoformat()
    '1996-01-01T03:00:00'
    """

    sampling: str
    num_maps: int
    seed: int = 0
    frequencies: tuple[float, float] = CLASS_FREQUENCIES
    steps_per_run: int = 4
    step_hours: int = 3

    def __post_init__(self) -> None:
        """Check the values, and spell the sampling out."""
        object.__setattr__(self, "sampling", sampling_from_spec(self.sampling).spec)
        for name in ("num_maps", "steps_per_run", "step_hours"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        frequencies = tuple(float(one) for one in self.frequencies)
        if len(frequencies) != 2 or not all(0 <= one <= 0.05 for one in frequencies):
            raise ValueError(
                "frequencies must be the shares of cyclones and rivers, each from 0 to 0.05, got "
                f"{self.frequencies}"
            )
        object.__setattr__(self, "frequencies", frequencies)

    @property
    def grid(self) -> Sampling:
        """The sampling itself."""
        return sampling_from_spec(self.sampling)

    @property
    def num_vertices(self) -> int:
        """Points of each map."""
        return self.grid.num_vertices

    @property
    def run_hours(self) -> int:
        """Between the first and the last map of a run."""
        return (self.steps_per_run - 1) * self.step_hours

    def time_of(self, index: int) -> tuple[int, float]:
        """Run of a map, and hours since its begin.

        Parameters
        ----------
        index
            Of the map.

        Returns
        -------
        run, hours
            Both from 0.

        Raises
        ------
        IndexError
            If there is no such map.
        """
        if not 0 <= index < self.num_maps:
            raise IndexError(f"index must be from 0 to {self.num_maps - 1}, got {index}")
        run, step = divmod(int(index), self.steps_per_run)
        return run, float(step * self.step_hours)

    def member_of(self, index: int) -> int:
        """Member of the ensemble that a map is of, from 1: the run in the name of its file.

        Parameters
        ----------
        index
            Of the map.

        Returns
        -------
        int
        """
        return self.time_of(index)[0] % _NUM_MEMBERS + 1

    def date_of(self, index: int) -> datetime:
        """Date and hour of a map.

        Parameters
        ----------
        index
            Of the map.

        Returns
        -------
        datetime
        """
        run, hours = self.time_of(index)
        days = max(_DAYS_BETWEEN, self.run_hours // 24 + 2)
        return _FIRST_DAY + timedelta(days=days * (run // _NUM_MEMBERS), hours=hours)

    def digest(self) -> str:
        """SHA-256 of all that decides the maps.

        Returns
        -------
        str
            Hexadecimal.
        """
        content = json.dumps({"version": _VERSION, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()
