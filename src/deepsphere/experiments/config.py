"""The typed contents that recipes share: claims, graphs, and the rules for keys and numbers."""

import hashlib
import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)


def _known_sampling(spec: str) -> str:
    """The specification, if a sampling can be built from it."""
    # help texts list recipes and must not wait for what samplings need
    from deepsphere.sampling import sampling_from_spec

    sampling_from_spec(spec)
    return spec


def tuple_of_list(value: object) -> object:
    """TOML knows arrays only; frozen sections hold tuples."""
    return tuple(value) if isinstance(value, list) else value


Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Widths = Annotated[tuple[Count, ...], BeforeValidator(tuple_of_list), Field(min_length=1)]
Seeds = Annotated[tuple[Seed, ...], BeforeValidator(tuple_of_list), Field(min_length=1)]
KnownSampling = Annotated[str, Field(min_length=1), AfterValidator(_known_sampling)]
KnownSamplings = Annotated[
    tuple[KnownSampling, ...], BeforeValidator(tuple_of_list), Field(min_length=1)
]

Pooling = Literal["mean", "area", "max", "low_pass", "gaussian", "subsample"]
Readout = Literal[
    "mean",
    "variance",
    "meanvar",
    "max",
    "logsumexp",
    "histogram",
    "mean_max",
    "mean_logsumexp",
]

WeightsName = Literal[
    "optimal",
    "optimal_symmetric",
    "optimal_rows",
    "gaussian",
    "inverse_distance",
    "perraudin",
    "perraudin_unweighted",
    "cotangent",
]
EmphasisName = Literal["low", "balanced", "no_worse"]


class Section(BaseModel):
    """A part of a recipe: frozen, without coercion, and closed to keys that it does not know."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Claim(Section):
    """What a measure has to reach, or what others have published for it.

    A claim is *met* when the measure is at least (``better = "higher"``) or at most
    (``better = "lower"``) the required number, or else the published one less the tolerance. A
    published number without a tolerance is shown beside ours and decides nothing.

    Parameters
    ----------
    name
        Name of the row of results, as the experiment prints it.
    required
        The number to reach, in the unit of the row.
    published, source
        A number that others printed, and where: authors, year, table.
    tolerance
        How far on the wrong side of the number is still accepted, in the unit of the row.
    better
        Which side is the right one.
    about
        ``"data"``: of the data that ``--data`` names; where they are simulated, nothing is claimed.
    """

    name: Annotated[str, Field(min_length=1)]
    required: Annotated[float, Field(allow_inf_nan=False)] | None = None
    published: Annotated[float, Field(allow_inf_nan=False)] | None = None
    source: Annotated[str, Field(min_length=1)] | None = None
    tolerance: NotNegative | None = None
    better: Literal["higher", "lower"] = "higher"
    about: Literal["all", "data"] = "all"

    @model_validator(mode="after")
    def _say_what_and_where(self) -> "Claim":
        if self.required is None and self.published is None:
            raise ValueError("must hold required or published, got neither; add one")
        if (self.published is None) != (self.source is None):
            raise ValueError("must hold published and source together, got one; add the other")
        return self

    def is_met(self, measured: float) -> bool | None:
        """Whether the measure reaches the claim; None where nothing is claimed."""
        number = self.required if self.required is not None else self.published
        if number is None or (self.required is None and self.tolerance is None):
            return None
        slack = self.tolerance or 0.0
        if self.better == "higher":
            return measured >= number - slack
        return measured <= number + slack


class GraphSection(Section):
    """A sampling and its graph.

    Parameters
    ----------
    sampling
        A sampling in the short form, e.g. ``"healpix:8"``; ``deepsphere list`` shows them.
    num_neighbors, weights, emphasis, kernel_width
        As in `deepsphere.build_graph`, which chooses what is not given.
    """

    sampling: KnownSampling = "healpix:8"
    num_neighbors: Count | None = None
    weights: WeightsName = "gaussian"
    kernel_width: Positive | None = None


class NamedGraph(Section):
    """A kind of graph, to be built on one sampling or several.

    Parameters
    ----------
    name
        In legends and rows.
    num_neighbors, weights, emphasis
        As in `deepsphere.build_graph`, which chooses what is not given.
    color
        Index of its colour, so that graphs of as many neighbors can have one colour.
    """

    name: Annotated[str, Field(min_length=1)]
    num_neighbors: Count | None = None
    weights: WeightsName = "optimal"
    emphasis: EmphasisName | None = None
    color: Annotated[int, Field(ge=0)] = 0


def short_hash(values: object) -> str:
    """A short hash of plain values, the same in every process.

    Parameters
    ----------
    values
        Numbers, texts, and lists and dicts of them.

    Returns
    -------
    str
        Sixteen hexadecimal digits.

    Examples
    --------
    >>> short_hash({"a": 1, "b": 2}) == short_hash({"b": 2, "a": 1})
    True
    """
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_names_differ(kind: str, names: Iterable[str]) -> None:
    """Raise unless all names of one kind are different.

    Parameters
    ----------
    kind
        What is named, in the plural.
    names
        The names.

    Raises
    ------
    ValueError
        If one occurs twice.
    """
    known = list(names)
    twice = sorted({name for name in known if known.count(name) > 1})
    if twice:
        raise ValueError(f"{kind} must differ in name, got {twice[0]!r} twice; rename one")


class Recipe(Section):
    """What the recipes of all experiments have in common; each adds its own sections.

    Parameters
    ----------
    experiment
        Which experiment reads this recipe; its own type of recipe names it.
    title
        One line for people.
    claims
        What the results are compared with.
    """

    experiment: Any  # the only word that the type of recipe accepts
    title: Annotated[str, Field(min_length=1)]
    claims: Annotated[tuple[Claim, ...], BeforeValidator(tuple_of_list)] = ()

    @model_validator(mode="after")
    def _name_claims_once(self) -> "Recipe":
        names = [claim.name for claim in self.claims]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"claims must differ in name, got {twice[0]!r} twice; remove one")
        return self

    def fingerprint(self) -> str:
        """A short hash of all that decides what one run does: not the seeds, title or claims.

        Returns
        -------
        str
            Sixteen hexadecimal digits.
        """
        decisive = self.model_dump(mode="json", exclude={"title", "seeds", "claims"})
        return short_hash(decisive)
