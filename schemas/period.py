"""Half-open periods of time, and the plain conversions between datetimes and integers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

Clock = Callable[[], int]
"""Returns microseconds since 1970-01-01T00:00:00Z; injected, so that tests travel through time."""

SECOND: Final = 1_000_000
"""Microseconds in a second."""
FOREVER: Final = 4_102_444_800
"""2100-01-01T00:00:00Z in seconds: the end of what has no end (fits ClickHouse's DateTime)."""


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """Seconds since 1970, start included, end excluded."""

    start: int
    end: int

    def __post_init__(self) -> None:
        """Refuse a period that ends before it starts."""
        if self.end < self.start:
            raise ValueError(f"period ends ({iso(self.end)}) before it starts ({iso(self.start)})")

    def __contains__(self, second: int) -> bool:
        """Tell whether the instant lies inside."""
        return self.start <= second < self.end

    def overlaps(self, other: "Period") -> bool:
        """Tell whether both share at least one second."""
        return self.start < other.end and other.start < self.end

    @property
    def seconds(self) -> int:
        """Length in seconds."""
        return self.end - self.start


def iso(second: int) -> str:
    """Return ``2026-10-01T00:00:00Z`` for whole seconds since 1970."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_instant(text: str) -> int:
    """Return whole seconds since 1970 of an ISO 8601 instant; raises ValueError without a zone or with a fraction."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: add Z or an offset such as +02:00")
    if moment.microsecond:
        raise ValueError(f"{text!r} has a fraction of a second: use whole seconds")
    return int(moment.timestamp())
