"""The durable store and forward log of a collector; in the embedded deployment it is the log itself.

Records get sequences 1, 2, 3 … without holes and are never changed. Several readers (`reader`), also in other
processes, follow at their own pace; a segment is removed when every registered reader has passed it and it is older
than the retention. Data that a reader still needs is never removed: a full spool refuses to take more, and says why.

Files: ``<first sequence>.segment``, ``cursors/<reader>.json``, ``collector``, ``id``, ``lock``. See `frame` for a
record's bytes.
"""

import re
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pyarrow as pa
import structlog

from collectors.spool import cursor
from collectors.spool.batches import batch_payloads, descriptor_payloads
from collectors.spool.file import SegmentFile
from collectors.spool.frame import Notes, Tally, frame
from collectors.spool.lock import FileLock
from collectors.spool.opening import open_newest
from collectors.spool.reader import SpoolReader
from collectors.spool.segment import create, first_sequence_of, made_at, segments, sync_directory, write_durably
from collectors.spool.settings import SpoolSettings
from schemas.clock import system_clock
from schemas.errors import Misconfigured, Transient
from schemas.period import SECOND, Clock
from schemas.resource import Descriptor

__all__ = ["RESOURCES", "SAMPLES", "Spool", "SpoolSettings"]

SAMPLES = "samples"
RESOURCES = "resources"
ID_BYTES: Final = 4

Made = tuple[bytes, int]
"""A payload, and how many samples are in it."""

_log = structlog.get_logger(__name__)


class Spool:
    """The one writer of a spool folder; safe for use from several threads.

    Attributes:
        collector: whose spool it is.
        batch_collector: the collector in the metadata of its batches, ``<collector>.<id>``. The id is random and of
            this folder alone: another spool of the same collector, which counts from 1 as well, makes other names.
        repair: what was found damaged, cut off or skipped when the spool was opened; empty after a clean end.
    """

    def __init__(
        self,
        directory: Path,
        collector: str,
        settings: SpoolSettings | None = None,
        clock: Clock = system_clock,
        token: Callable[[int], str] = secrets.token_hex,
    ) -> None:
        """Open the spool, or make it; repairs a torn tail.

        Args:
            directory: of this spool alone.
            collector: whose spool it is.
            settings: sizes and times.
            clock: microseconds since 1970.
            token: gives as many random bytes as asked for, in hexadecimal; for the id of a spool without one.

        Raises:
            Transient: another process writes here; the message says which.
            Misconfigured: the folder is the spool of another collector.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.collector = collector
        self.settings = settings or SpoolSettings()
        self._clock = clock
        self._append_lock = threading.Lock()
        self._lock: FileLock | None = FileLock(directory / "lock", f"spool {directory}", clock() // SECOND)
        try:
            self._claim()
            self.batch_collector = f"{collector}.{self._id(token)}"
            opened = open_newest(directory, clock())
        except BaseException:
            self._lock.release()
            raise
        self.repair = opened.repair
        self._totals = dict(opened.totals)
        self._position = opened.position
        self._sizes = {path: path.stat().st_size for path in segments(directory)}
        self._file = SegmentFile(opened.path, opened.size, opened.last_sequence, self.settings)
        for line in self.repair:
            _log.warning("spool_repaired", spool=str(directory), what=line)

    def append(
        self,
        kind: str,
        payload: bytes,
        headers: Mapping[str, str] | None = None,
        samples: int = 0,
        *,
        durable: bool = False,
    ) -> int:
        """Append one record and return its sequence.

        Args:
            kind: ``samples``, ``resources``, ``dead`` or a plug-in's own.
            payload: at most `frame.RECORD_BYTES_MAX` bytes.
            headers: small texts for the readers.
            samples: how many samples the payload holds, for `totals`.
            durable: return only when it is on disk, whatever the fsync setting.

        Raises:
            Transient: the spool or the disk is full; nothing was appended, the same call may succeed later.
            Poison: the payload is larger than a record may be.
            Invariant: an earlier fsync failed, so what is on disk is unknown: the process has to start again.
        """
        return self.append_made(kind, lambda _: [(payload, samples)], headers, durable=durable)[0]

    def append_made(
        self,
        kind: str,
        make: Callable[[int], Sequence[Made]],
        headers: Mapping[str, str] | None = None,
        *,
        position: str = "",
        durable: bool = False,
    ) -> list[int]:
        """Append what a function makes when told its first sequence; all of it, or nothing.

        Args:
            kind: as in `append`.
            make: gets the first sequence; returns payloads for this sequence and the ones that follow.
            headers: small texts for the readers, the same on every record.
            position: the collector's `Poll.position`, "" to leave the stored one.
            durable: return only when all is on disk.

        Returns:
            The sequences given.

        Raises:
            Transient, Poison, Invariant: as in `append`.
        """
        with self._append_lock:
            first = self.last_sequence + 1
            made = make(first)
            if not made:
                return []
            totals, frames, noted = dict(self._totals), [], position or self._position
            for number, (payload, samples) in enumerate(made):
                before = totals.get(kind, Tally())
                totals[kind] = Tally(before.messages + 1, before.samples + samples)
                frames.append(frame(first + number, Notes(kind, headers or {}, totals, noted), payload, samples))
            data = b"".join(frames)
            self._make_room(len(data))
            self._file.write(data, first + len(made) - 1)
            self._sizes[self._file.path] = self._file.size
            self._totals, self._position = totals, noted
            last = self.last_sequence
        if durable or self.settings.fsync == "always":
            self._file.sync(last)
        return list(range(first, last + 1))

    def append_batch(
        self,
        rows: pa.RecordBatch,
        site: str,
        collected_at: int,
        *,
        position: str = "",
        replay_of: str = "",
        durable: bool = False,
    ) -> list[int]:
        """Append a record batch, encoded with the sequence that it gets; one beyond the contract's limits is split.

        Args:
            rows: in the layout of `schemas.batch.SCHEMA`; an empty one appends nothing.
            site: the metered installation.
            collected_at: microseconds since 1970.
            position: as in `append_made`.
            replay_of: origin of the dead letter that this batch repeats.
            durable: return only when it is on disk.

        Raises:
            Transient, Poison, Invariant: as in `append`.
        """

        def make(first: int) -> Sequence[Made]:
            return batch_payloads(rows, site, self.batch_collector, first, collected_at, replay_of)

        return self.append_made(SAMPLES, make, {"site": site}, position=position, durable=durable)

    def append_descriptors(
        self, descriptors: Sequence[Descriptor], *, position: str = "", durable: bool = False
    ) -> list[int]:
        """Append resource descriptors, many to a record (`batches.descriptors_of` takes them apart again)."""
        made = [(payload, 0) for payload in descriptor_payloads(descriptors)]
        return self.append_made(RESOURCES, lambda _: made, position=position, durable=durable)

    def flush(self) -> None:
        """Return when everything appended so far is on disk."""
        self._file.sync(self.last_sequence)

    @property
    def last_sequence(self) -> int:
        """Sequence of the newest record, 0 while there is none."""
        return self._file.written_sequence

    @property
    def position(self) -> str:
        """The newest `Poll.position` that was appended, also by earlier processes; "" before any."""
        return self._position

    @property
    def bytes_used(self) -> int:
        """Length of all segments."""
        return sum(tuple(self._sizes.values()))

    def totals(self) -> dict[str, Tally]:
        """Return messages and samples appended by kind since the spool was made, over all restarts and trimmings."""
        return dict(self._totals)

    @property
    def appended_samples(self) -> int:
        """Samples appended since the spool was made."""
        return self._totals.get(SAMPLES, Tally()).samples

    def reader(self, name: str) -> SpoolReader:
        """Return a reader; a new name begins at the oldest record. See `SpoolReader` for use in other processes."""
        return SpoolReader(self.directory, name, self._clock)

    def cursors(self) -> dict[str, int]:
        """Return the registered readers and what each has acknowledged."""
        return cursor.all_cursors(self.directory)

    def forget(self, name: str) -> None:
        """Remove a reader: what only it still needed may be trimmed from now on."""
        cursor.remove(self.directory, name)

    def trim(self) -> int:
        """Remove segments that every reader has passed and that are older than the retention; return their bytes."""
        with self._append_lock:
            return self._trim(self.settings.retention_seconds, needed=None)

    def close(self) -> None:
        """Write everything to disk and let the spool go; closing twice is harmless."""
        if self._lock is None:
            return
        try:
            self._file.close()
        finally:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        """Return the spool."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Close the spool."""
        self.close()

    def _claim(self) -> None:
        path = self.directory / "collector"
        if path.exists():
            owner = path.read_text(encoding="utf-8")
            if owner != self.collector:
                raise Misconfigured([f"{self.directory} is the spool of {owner!r}; {self.collector!r} needs another"])
            return
        write_durably(path, self.collector.encode())

    def _id(self, token: Callable[[int], str]) -> str:
        """Return the id of this spool; one that has none, or a broken one, gets a new one, which is always safe."""
        path = self.directory / "id"
        found = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        if re.fullmatch(f"[0-9a-f]{{{2 * ID_BYTES}}}", found):
            return found
        made = token(ID_BYTES)
        write_durably(path, made.encode())
        return made

    def _make_room(self, size: int) -> None:
        """Begin a new segment where one is due, and see that the limit holds."""
        holds_records = self.last_sequence >= first_sequence_of(self._file.path)
        if holds_records and self._file.size + size > self.settings.segment_bytes:
            self._check_limit(size)
            self._file.sync(
                self.last_sequence
            )  # the next segment must not survive a power failure that this one does not
            try:
                path = create(self.directory, self.last_sequence + 1, self._clock(), self._totals, self._position)
            except OSError as error:
                raise Transient(
                    f"cannot begin a segment in {self.directory}: {error.strerror}; free some space"
                ) from error
            self._file.roll(path)
            self._sizes[path] = self._file.size
            self._trim(self.settings.retention_seconds, needed=None)
        self._check_limit(size)

    def _check_limit(self, size: int) -> None:
        excess = self.bytes_used + size - self.settings.spool_bytes_max
        if excess <= 0:
            return
        freed = self._trim(0, needed=excess)
        if freed:
            _log.warning("spool_trimmed_early", spool=str(self.directory), bytes=freed)
        if freed < excess:
            raise Transient(self._full())

    def _full(self) -> str:
        limit = f"spool {self.directory} is full ({self.bytes_used} of {self.settings.spool_bytes_max} bytes)"
        cursors = self.cursors()
        if not cursors:
            return f"{limit} and nobody has read it: start a publisher or the embedded runner, or raise spool_bytes_max"
        slowest = min(cursors, key=lambda name: cursors[name])
        return (
            f"{limit}: reader {slowest!r} has done {cursors[slowest]} of {self.last_sequence} records; "
            "bring its target back, forget the reader if it is gone for good, or raise spool_bytes_max"
        )

    def _trim(self, retention_seconds: int, needed: int | None) -> int:
        """Remove what may go, oldest first; with `needed` only as many bytes as that."""
        cursors = self.cursors()
        if not cursors:
            return 0
        passed, freed = min(cursors.values()), 0
        paths = segments(self.directory)
        for path, successor in pairwise(paths):
            ended_at = made_at(successor)
            young = self._clock() - ended_at < retention_seconds * SECOND
            if first_sequence_of(successor) - 1 > passed or young or (needed is not None and freed >= needed):
                break
            path.unlink()
            freed += self._sizes.pop(path)
        if freed:
            sync_directory(self.directory)
        return freed
