"""Opening a spool after a clean end, a kill or a power failure: find the last whole record, cut off what is torn."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from collectors.spool import cursor
from collectors.spool.frame import Tally
from collectors.spool.segment import Damage, Found, create, first_sequence_of, segments, walk


@dataclass(slots=True)
class Opened:
    """Where a writer goes on.

    Attributes:
        path: newest segment.
        size: end of its last whole record.
        last_sequence: newest sequence ever given.
        totals: tally by kind up to there.
        position: newest `Poll.position`.
        repair: what was damaged, for a person.
    """

    path: Path
    size: int = 0
    last_sequence: int = 0
    totals: Mapping[str, Tally] = field(default_factory=dict)
    position: str = ""
    repair: list[str] = field(default_factory=list)


def open_newest(directory: Path, now: int) -> Opened:
    """Return where to go on; makes the first segment in an empty folder. `now` in microseconds since 1970."""
    for leftover in directory.glob(".*.new"):  # a file that was to replace another when the process was killed
        leftover.unlink()
    paths = segments(directory)
    if not paths:
        path = create(directory, 1, now, {}, "")
        return Opened(path, path.stat().st_size)
    opened = _scanned(paths[-1])
    if not opened.totals and opened.size == 0 and len(paths) > 1:
        before = _scanned(paths[-2])  # the newest segment is unreadable as a whole: its predecessor knows the totals
        opened.totals, opened.position = before.totals, before.position
    _cut_tail(opened)
    _skip_to_cursors(directory, opened, now)
    return opened


def totals_of(directory: Path) -> Mapping[str, Tally]:
    """Return the tallies of a spool without opening it for writing; what a writer appends meanwhile may be missing."""
    for path in reversed(segments(directory)):
        totals = _scanned(path).totals
        if totals:
            return totals
    return {}


def _scanned(path: Path) -> Opened:
    opened = Opened(path, last_sequence=first_sequence_of(path) - 1)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for found in walk(path, descriptor):
            if isinstance(found, Damage):
                opened.repair.append(str(found))
                continue
            _follow(opened, found)
    finally:
        os.close(descriptor)
    return opened


def _follow(opened: Opened, found: Found) -> None:
    opened.size = found.end
    opened.last_sequence = max(opened.last_sequence, found.header.sequence)
    opened.totals = found.notes.totals
    opened.position = found.notes.position


def _cut_tail(opened: Opened) -> None:
    descriptor = os.open(opened.path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        torn = os.fstat(descriptor).st_size - opened.size
        if torn:
            os.ftruncate(descriptor, opened.size)
            opened.repair.append(
                f"cut off {torn} bytes of an unfinished record after record {opened.last_sequence} in "
                f"{opened.path.name}; its append never returned as durable"
            )
        # What the last process wrote but did not sync is in the kernel's cache; from now on it counts as written.
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _skip_to_cursors(directory: Path, opened: Opened, now: int) -> None:
    """Never give a sequence again that a reader has already acknowledged: it would skip the new record."""
    passed = max(cursor.all_cursors(directory).values(), default=0)
    if passed <= opened.last_sequence:
        return
    opened.repair.append(
        f"records {opened.last_sequence + 1} to {passed} were acknowledged by a reader and are gone from "
        f"{opened.path.name} (a damaged disk?); going on at {passed + 1}, and what they held must be collected again "
        "where another reader still needs it"
    )
    opened.path = create(directory, passed + 1, now, opened.totals, opened.position)
    opened.size, opened.last_sequence = opened.path.stat().st_size, passed
