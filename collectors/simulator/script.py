"""The script of a fleet: spans of constant level, flows, counter resets, events and sightings, as plain rows.

Both the generator of samples and the independent truth read the script; neither reads the other.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.resource import Descriptor


class Series(NamedTuple):
    """One meter of one resource, and what stands beside each of its samples."""

    resource: str
    meter: str
    tenant: str
    attributes: str


class Level(NamedTuple):
    """A level held from `start` to `end` (seconds since 1970): value × seconds are used."""

    series: Series
    start: int
    end: int
    value: int


class Flow(NamedTuple):
    """Something that flows from `start` to `end`, `rate` base units a second on average, in the weekly rhythm.

    The running total at t is ⌊rate · W(t + phase hours) / 1000⌋, W being `rhythm`'s cumulative weight.
    """

    series: Series
    start: int
    end: int
    rate: int
    phase: int


class Reset(NamedTuple):
    """The counter behind a series began again at 0; what ran since the last reading (at the cell's edge) is lost."""

    series: Series
    at: int


class Event(NamedTuple):
    """Something that happened once."""

    series: Series
    at: int
    id: str


@dataclass(slots=True)
class Script:
    """All rows of a fleet, in any order; spans of one series never overlap."""

    levels: list[Level] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)
    resets: list[Reset] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    sightings: list[Descriptor] = field(default_factory=list)
