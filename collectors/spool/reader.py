"""Reading a spool: in its own process or another, while the writer writes, each reader with a durable cursor.

Nothing is handed to a reader before it is on disk (the reader calls fsync itself where the writer has not yet), so a
power failure cannot take back what a reader has already passed on.
"""

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import structlog

from collectors.spool import cursor
from collectors.spool.head import Head
from collectors.spool.lock import FileLock
from collectors.spool.segment import Damage, Record, first_sequence_of, segments, walk
from schemas.clock import system_clock
from schemas.errors import Invariant
from schemas.period import SECOND, Clock

DAMAGE_KEPT_MAX: Final = 1000
RECORDS_DEFAULT: Final = 256
BYTES_DEFAULT: Final = 32 * 1024 * 1024

_log = structlog.get_logger(__name__)


class SpoolReader:
    """One named reader: reads on from where it stands, and durably acknowledges what is done.

    Only one process may hold a name. A new name begins at the oldest record.

    Attributes:
        corrupt: damage that was stepped over, newest last (at most `DAMAGE_KEPT_MAX`).
    """

    def __init__(self, directory: Path, name: str, clock: Clock = system_clock) -> None:
        """Register the reader, or take it up where it stood.

        Raises:
            Transient: another process reads under this name.
            Misconfigured: the name cannot be one.
        """
        self.directory = directory
        self.name = name
        path = cursor.cursor_path(directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock: FileLock | None = FileLock(
            path.with_suffix(".lock"), f"reader {name!r} of spool {directory}", clock() // SECOND
        )
        stored = cursor.load(directory, name)
        if stored is None:
            stored = 0
            cursor.store(directory, name, stored)
        self._acknowledged = stored
        self._position = stored
        self._segment: Path | None = None
        self._offset = 0
        self._head = Head(directory)
        self._listed: list[Path] = []
        self.corrupt: deque[Damage] = deque(maxlen=DAMAGE_KEPT_MAX)

    @property
    def acknowledged(self) -> int:
        """Sequence up to which everything is done, durably."""
        return self._acknowledged

    @property
    def position(self) -> int:
        """Sequence of the newest record handed out since the last rewind."""
        return self._position

    def read(self, records_max: int = RECORDS_DEFAULT, bytes_max: int = BYTES_DEFAULT) -> list[Record]:
        """Return the next records in order; empty when there is none yet.

        Args:
            records_max: at most so many.
            bytes_max: stop once the payloads reach this; at least one record is returned where there is one.
        """
        taken: list[Record] = []
        size = 0
        for path in self._ahead():
            if path != self._segment:
                self._segment, self._offset = path, 0
            for record in self._records(path, final=self._is_final(path)):
                taken.append(record)
                size += len(record.payload)
                self._position = record.sequence
                if len(taken) >= records_max or size >= bytes_max:
                    return taken
        return taken

    def acknowledge(self, sequence: int) -> None:
        """Note durably that everything up to a sequence is done; an older one than before changes nothing.

        Raises:
            Invariant: the sequence was not handed out yet.
        """
        if sequence <= self._acknowledged:
            return
        if sequence > self._position:
            raise Invariant(f"reader {self.name!r} acknowledges {sequence} but has read only up to {self._position}")
        cursor.store(self.directory, self.name, sequence)
        self._acknowledged = sequence

    def rewind(self) -> None:
        """Read on from the acknowledged sequence: what was handed out since comes again."""
        self._position, self._segment, self._offset = self._acknowledged, None, 0

    def head(self) -> int:
        """Return the newest sequence in the spool (0 while it is empty)."""
        return self._head.sequence()

    def backlog(self) -> int:
        """Return how many records are not acknowledged yet."""
        return max(0, self.head() - self._acknowledged)

    def close(self) -> None:
        """Let the name go; the cursor stays."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        """Return the reader."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Close the reader."""
        self.close()

    def _ahead(self) -> list[Path]:
        """Segments that may hold records after the position, oldest first."""
        self._listed = segments(self.directory)
        firsts = [first_sequence_of(path) for path in self._listed]
        older = [number for number, first in enumerate(firsts) if first <= self._position + 1]
        return self._listed[older[-1] if older else 0 :]

    def _is_final(self, path: Path) -> bool:
        # The listing is older than the read: a segment that had a successor then gets no more records.
        return path != self._listed[-1]

    def _records(self, path: Path, *, final: bool) -> Iterator[Record]:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # trimmed since the listing: every reader, this one too, had passed it
            return
        try:
            size = os.fstat(descriptor).st_size
            if size > self._offset:
                os.fsync(descriptor)
                yield from self._synced(path, descriptor, size)
            if final and self._offset < size:
                self._report(Damage(path.name, self._offset, size - self._offset, None))
                self._offset = size
        finally:
            os.close(descriptor)

    def _synced(self, path: Path, descriptor: int, size: int) -> Iterator[Record]:
        """Yield the records that lie within the bytes that are on disk for sure; the rest comes with the next read."""
        for found in walk(path, descriptor, self._offset):
            if isinstance(found, Damage):
                self._report(found)
                self._offset = found.offset + found.length
                continue
            if found.end > size:
                return
            self._offset = found.end
            if found.header.sequence > self._position:
                yield found.record

    def _report(self, damage: Damage) -> None:
        if damage not in self.corrupt:
            self.corrupt.append(damage)
            _log.error("spool_damage", spool=str(self.directory), reader=self.name, damage=str(damage))


def scan(directory: Path, from_sequence: int = 1) -> Iterator[Record]:
    """Yield the records from a sequence on without a cursor; for looking at a spool. Damage is stepped over."""
    from_sequence = max(1, from_sequence)
    paths = segments(directory)
    firsts = [first_sequence_of(path) for path in paths]
    start = max((number for number, first in enumerate(firsts) if first <= from_sequence), default=0)
    for path in paths[start:]:
        with path.open("rb") as file:
            for found in walk(path, file.fileno()):
                if not isinstance(found, Damage) and found.header.sequence >= from_sequence:
                    yield found.record
