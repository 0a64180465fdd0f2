"""What an operator chooses about a spool."""

from dataclasses import dataclass
from typing import Literal

from schemas.errors import Misconfigured

Fsync = Literal["always", "group", "close"]
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """Limits and promises of a spool.

    Attributes:
        spool_bytes_max: all segments together; when it is reached `append` raises Transient.
        segment_bytes: a new segment is begun beyond this size.
        fsync: ``always``: every append is on disk when it returns; ``group``: within `group_milliseconds` (and at once
            for an append that asks for it); ``close``: when a segment or the spool is closed, or an append asks.
        group_milliseconds: how much a power failure may take back with ``group``. (A killed process takes back
            nothing: what was written is the kernel's.)
        retention_seconds: acknowledged segments are kept this long for replays; when space runs out they go earlier.
    """

    spool_bytes_max: int = 20 * GIB
    segment_bytes: int = 64 * 1024 * 1024
    fsync: Fsync = "group"
    group_milliseconds: int = 200
    retention_seconds: int = 7 * 86400

    def __post_init__(self) -> None:
        """Refuse limits that cannot work together."""
        problems = []
        if self.segment_bytes < 1024:
            problems.append(f"segment_bytes is {self.segment_bytes}; it must be at least 1024")
        if self.spool_bytes_max < 2 * self.segment_bytes:
            problems.append(f"spool_bytes_max is {self.spool_bytes_max}; it must hold two segments at least")
        if self.fsync not in ("always", "group", "close"):
            problems.append(f"fsync is {self.fsync!r}; choose always, group or close")
        if self.group_milliseconds < 1:
            problems.append(f"group_milliseconds is {self.group_milliseconds}; it must be at least 1")
        if self.retention_seconds < 0:
            problems.append(f"retention_seconds is {self.retention_seconds}; it must be at least 0")
        if problems:
            raise Misconfigured(problems)
