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


def _divides_quarter_hour(seconds: int) -> int:
    if seconds not in (EVENT_CELL_SECONDS,) and 900 % seconds:
        raise ValueError("a cell must divide 900 seconds, so that calendar windows of every zone fall on cell edges")
    return seconds


class EventShape(BaseModel):
    """How a CloudEvent of some type becomes samples of this meter.

    Attributes:
        type: the CloudEvents type; the meter's own key unless told.
        value: name in `data` that holds the quantity; None counts each event as one.
        attributes: attribute name → name in `data`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    value: str | None = None
    attributes: Mapping[str, str] = Field(default_factory=dict)


class Meter(BaseModel):
    """One meter; the meaning of each field stands at the top of `meters.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$", max_length=64)]
    name: str
    kind: Kind
    base: str
    cell: Annotated[int, Field(gt=0), AfterValidator(_divides_quarter_hour)] = CELL_SECONDS_DEFAULT
    aggregation: Aggregation = "sum"
    gap: Gap = "measured"
    carry_max: Annotated[int, Field(ge=0)] = 0
    attributes: tuple[str, ...] = ()
    display: Mapping[str, Annotated[int, Field(gt=0)]]
    event: EventShape | None = None

    @model_validator(mode="before")
    @classmethod
    def _event_cell(cls, values: dict[str, object]) -> dict[str, object]:
        return {"cell": EVENT_CELL_SECONDS, **values} if values.get("kind") == "event" else values

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
