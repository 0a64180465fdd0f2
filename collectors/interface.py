"""What a collector is: something that is polled, and answers with record batches and descriptors.

A collector folds what it saw to cells (`collectors.fold`), hands the cells out as `Poll`s and forgets them: the runner
writes each `Poll` to the spool before it asks for the next one, so a poll may be a generator over a month of history
and memory stays bounded by one `Poll`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import pyarrow as pa

from schemas.resource import Descriptor


@dataclass(frozen=True, slots=True)
class Poll:
    """One portion of what a poll found; appended to the spool as a whole.

    Attributes:
        batches: record batches in the layout of `schemas.batch.SCHEMA` (see `schemas.batch.table_of`).
        descriptors: resources whose name, owner or attributes are new or have changed.
        position: where to go on after this portion, in the collector's own words; the spool keeps the newest one,
            and `Collector.resume` gets it back after a restart. "" leaves the stored one as it is.
    """

    batches: tuple[pa.RecordBatch, ...] = ()
    descriptors: tuple[Descriptor, ...] = ()
    position: str = ""

    @property
    def rows(self) -> int:
        """Number of samples in all batches."""
        return sum(batch.num_rows for batch in self.batches)


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of time that a collector knows nothing about.

    Attributes:
        start: seconds since 1970.
        end: seconds since 1970, excluded.
        reason: what happened, for a person.
    """

    start: int
    end: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """How a collector is doing; all instants in seconds since 1970.

    Attributes:
        last_success: when the last poll without an error ended, None before the first.
        last_error: text of the newest error, "" when the newest poll succeeded.
        last_error_at: when the newest error of all happened, None without one.
        lag_seconds: age of the newest data at the newest attempt; 0 before any.
        samples: samples handed out since the process started.
        errors: failed polls since the process started.
        gaps: the newest gaps, oldest first (at most `collectors.health.GAPS_KEPT_MAX`).
        gap_seconds: length of all gaps since the process started.
    """

    last_success: int | None = None
    last_error: str = ""
    last_error_at: int | None = None
    lag_seconds: int = 0
    samples: int = 0
    errors: int = 0
    gaps: tuple[Gap, ...] = field(default=())
    gap_seconds: int = 0


@runtime_checkable
class Collector(Protocol):
    """What third parties implement to meter another platform."""

    @property
    def site(self) -> str:
        """The metered platform installation; stands on every batch."""
        ...

    @property
    def name(self) -> str:
        """Name of this collector, unique among all collectors of the installation; names its spool and its shard."""
        ...

    def resume(self, position: str) -> None:
        """Take the newest stored `Poll.position` after a restart; "" on the very first start."""
        ...

    def poll(self, now: int) -> Iterable[Poll]:
        """Return what is new up to `now`, oldest first.

        It may hand out a cell again when it knows more of it: the version with more seconds covered counts.

        Args:
            now: microseconds since 1970.

        Raises:
            schemas.errors.Transient: the platform does not answer; the runner tries again with back-off.
        """
        ...

    def health(self) -> Health:
        """Return how the collector is doing; cheap, callable from any thread."""
        ...
