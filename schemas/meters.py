"""The meter registry: what is measured, in which unit, on which grid. The built-in meters are `meters.yaml`."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from typing import Annotated, Final, Literal

import numpy as np
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from schemas.errors import Invariant, Misconfigured
from schemas.ids import key32

CELL_SECONDS_DEFAULT: Final = 300
EVENT_CELL_SECONDS: Final = 1
"""An event sits in the second in which it happened."""
QUANTITY_MAX: Final = 10**15
"""Largest quantity of one sample; a month of 300 s cells then still sums below 2^63."""

Kind = Literal["gauge", "rate", "counter", "event"]
Aggregation = Literal["sum"]
Gap = Literal["measured", "carry"]
Basis = Literal["usage", "reservation"]
"""What a meter of a family measures of the same thing; the meter that names the family measures the allocation."""


def _divides_quarter_hour(seconds: int) -> int:
    if seconds not in (EVENT_CELL_SECONDS,) and 900 % seconds:
        raise ValueError("a cell must divide 900 seconds, so that calendar windows of every zone fall on cell edges")
    return seconds


class EventShape(BaseModel):
    """How a CloudEvent of some type becomes samples of a meter."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    type: str
    """The CloudEvents type; the meter's own key unless told."""
    value: str | None = None
    """Name in `data` that holds the quantity; without it each event counts as one."""
    attributes: Mapping[str, str] = Field(default_factory=dict)
    """Attribute name → name in `data`."""


class Meter(BaseModel):
    """One meter: what is measured, in which unit, on which grid."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    key: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$", max_length=64)]
    """Names the meter, for example disk.capacity."""
    name: str
    """For people."""
    kind: Kind
    """gauge: a level held over time; rate: an amount per second; counter: a running total; event: happens once."""
    base: str
    """Base unit of the integer quantity in a sample; gauges and rates: a level times seconds, such as MiB·s."""
    cell: Annotated[int, Field(gt=0), AfterValidator(_divides_quarter_hour)] = CELL_SECONDS_DEFAULT
    """Seconds of the time grid; divides 900."""
    aggregation: Aggregation = "sum"
    """How samples become usage over a window."""
    gap: Gap = "measured"
    """measured: bill what was seen; carry: a collector may assume the level unchanged for `carry_max` seconds."""
    carry_max: Annotated[int, Field(ge=0)] = 0
    """Longest time that a level is carried over, in seconds."""
    attributes: tuple[str, ...] = ()
    """Names of attributes that samples may have."""
    display: Annotated[Mapping[str, Annotated[int, Field(gt=0)]], Field(min_length=1)]
    """Units for people: how many base units make one; the first is shown unless another is asked for."""
    event: EventShape | None = None
    """Which CloudEvents feed the meter, where that differs from its key."""
    family: Mapping[Basis, str] = Field(default_factory=dict)
    """Keys of the meters that measure use and reservation of what this meter measures as allocated."""

    @model_validator(mode="before")
    @classmethod
    def _event_cell(cls, values: object) -> object:
        if isinstance(values, dict) and values.get("kind") == "event":
            return {"cell": EVENT_CELL_SECONDS, **values}
        return values

    @property
    def id(self) -> int:
        """Unsigned 32-bit key that facts carry."""
        return key32(self.key)

    @property
    def display_unit(self) -> str:
        """The first display unit: the one shown unless another is asked for."""
        return next(iter(self.display))

    @property
    def event_type(self) -> str:
        """CloudEvents type that feeds this meter."""
        return self.event.type if self.event else self.key


@dataclass(frozen=True)
class Registry:
    """All meters of an installation, by key; iterates in the order of declaration."""

    meters: Mapping[str, Meter] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse two meters under one integer key or one event type."""
        if len({m.id for m in self}) != len(self.meters):
            raise Invariant("two meters share an integer key: rename the newer one")
        types = [m.event_type for m in self]
        twice = sorted({t for t in types if types.count(t) > 1})
        if twice:
            raise Misconfigured([f"event type {t!r} feeds more than one meter" for t in twice])

    def __iter__(self) -> Iterator[Meter]:
        """Iterate over the meters."""
        return iter(self.meters.values())

    def __contains__(self, key: str) -> bool:
        """Tell whether a meter of that key exists."""
        return key in self.meters

    def __getitem__(self, key: str) -> Meter:
        """Return a meter by key; raises KeyError."""
        return self.meters[key]

    @cached_property
    def by_id(self) -> Mapping[int, Meter]:
        """Meters by their integer key."""
        return {m.id: m for m in self}

    @cached_property
    def by_event_type(self) -> Mapping[str, Meter]:
        """Meters by the CloudEvents type that feeds them."""
        return {m.event_type: m for m in self}

    def extended(self, definitions: Iterable[Mapping[str, object]]) -> "Registry":
        """Return a registry with a plugin's or an operator's own meters added.

        Raises:
            Misconfigured: a definition is malformed or its key is taken; lists every problem.
        """
        meters, problems = dict(self.meters), list[str]()
        for number, definition in enumerate(definitions):
            label = f"meters[{number}] {definition.get('key', '')}".strip()
            try:
                meter = Meter.model_validate(definition)
            except ValidationError as error:
                problems += [f"{label}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
                continue
            if meter.key in meters:
                problems.append(f"{label}: this key is taken; choose another")
            meters[meter.key] = meter
        for meter in meters.values():
            strangers = [key for key in meter.family.values() if key not in meters]
            problems += [f"{meter.key}: its family names an unknown meter {key!r}" for key in strangers]
        if problems:
            raise Misconfigured(problems)
        return Registry(meters)

    def cell_seconds_of(self, keys: Iterable[str]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the grid of each meter key, 0 for an unknown one."""
        return np.array([self.meters[k].cell if k in self.meters else 0 for k in keys], dtype=np.int64)


def builtin() -> Registry:
    """Return the meters that ship with the product."""
    text = resources.files("schemas").joinpath("meters.yaml").read_text(encoding="utf-8")
    return Registry().extended(yaml.safe_load(text)["meters"])
