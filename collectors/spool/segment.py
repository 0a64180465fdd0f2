"""Segment files of a spool: finding them, and walking over their records past any damage.

A segment is named by its first sequence. Its first bytes are a record of kind ``segment`` with sequence 0, which
carries when it was made and the totals until then; it is written to a temporary name first, so it is always whole.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collectors.spool.frame import (
    HEADER_BYTES,
    MAGIC,
    NOTES_BYTES_MAX,
    RECORD_BYTES_MAX,
    Header,
    Notes,
    Tally,
    body_holds,
    decode_notes,
    frame,
    parse_header,
)

SUFFIX: Final = ".segment"
KIND_SEGMENT: Final = "segment"
SEARCH_BYTES: Final = 1024 * 1024
FRAME_BYTES_MAX: Final = HEADER_BYTES + NOTES_BYTES_MAX + RECORD_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a spool.

    Attributes:
        sequence: position in the spool, from 1.
        kind: ``samples``, ``resources``, ``dead`` …
        headers: small texts that the writer gave along.
        payload: the writer's bytes.
        samples: samples in the payload.
    """

    sequence: int
    kind: str
    headers: Mapping[str, str]
    payload: bytes
    samples: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a segment that are no whole record.

    Attributes:
        segment: file name.
        offset: where the damage starts.
        length: bytes that cannot be read.
        sequence: the record that was there, None when its header is damaged too.
    """

    segment: str
    offset: int
    length: int
    sequence: int | None

    def __str__(self) -> str:
        """Return the damage in words."""
        what = "records" if self.sequence is None else f"record {self.sequence}"
        return (
            f"{what} in {self.segment} at byte {self.offset} cannot be read ({self.length} bytes fail their check "
            "sum); look for a failing disk, and collect that time again where the source still knows it"
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A whole record and where it lies."""

    offset: int
    end: int
    header: Header
    notes: Notes
    payload: bytes

    @property
    def record(self) -> Record:
        """The record as readers get it."""
        return Record(self.header.sequence, self.notes.kind, self.notes.headers, self.payload, self.header.samples)


def path_of(directory: Path, first_sequence: int) -> Path:
    """Return the file of the segment that starts at a sequence."""
    return directory / f"{first_sequence:020d}{SUFFIX}"


def first_sequence_of(path: Path) -> int:
    """Return the first sequence that a segment file may hold."""
    return int(path.name.removesuffix(SUFFIX))


def segments(directory: Path) -> list[Path]:
    """Return the segment files, oldest first."""
    return sorted(directory.glob(f"*{SUFFIX}"))


def sync_directory(directory: Path) -> None:
    """Make created, renamed and removed names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, data: bytes) -> None:
    """Replace a small file as a whole: after a crash it has the old or the new content."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def create(directory: Path, first_sequence: int, made_at: int, totals: Mapping[str, Tally], position: str) -> Path:
    """Make an empty segment durably and return its file; `made_at` in microseconds since 1970."""
    path = path_of(directory, first_sequence)
    notes = Notes(KIND_SEGMENT, {"made_at": str(made_at)}, totals, position)
    write_durably(path, frame(0, notes, b"", 0))
    return path


def made_at(path: Path) -> int:
    """Return when a segment was made, microseconds since 1970; 0 when its first record is damaged."""
    with path.open("rb") as file:
        found = read_at(file.fileno(), 0)
    return int(found.notes.headers["made_at"]) if found is not None and found.notes.kind == KIND_SEGMENT else 0


def read_at(descriptor: int, offset: int) -> Found | None:
    """Return the whole record at an offset, or None when there is none."""
    header = parse_header(os.pread(descriptor, HEADER_BYTES, offset))
    if header is None:
        return None
    body = os.pread(descriptor, header.notes_bytes + header.payload_bytes, offset + HEADER_BYTES)
    if not body_holds(header, body):
        return None
    notes = decode_notes(body[: header.notes_bytes])
    return Found(offset, offset + header.frame_bytes, header, notes, body[header.notes_bytes :])


def walk(path: Path, descriptor: int, offset: int = 0) -> Iterator[Found | Damage]:
    """Yield every whole record from an offset on, and the damage between whole records.

    What follows the last whole record is not reported: it may be a record that is being written. A reader goes on
    there later, the writer cuts it off when it opens the spool.
    """
    while True:
        found = read_at(descriptor, offset)
        if found is None:
            start = next_whole(descriptor, offset)
            if start is None:
                return
            header = parse_header(os.pread(descriptor, HEADER_BYTES, offset))
            yield Damage(path.name, offset, start - offset, header.sequence if header else None)
            offset = start
            continue
        yield found
        offset = found.end


def next_whole(descriptor: int, offset: int) -> int | None:
    """Return the offset of the first whole record after the one that should be at `offset`."""
    header = parse_header(os.pread(descriptor, HEADER_BYTES, offset))
    if header is not None and read_at(descriptor, offset + header.frame_bytes) is not None:
        return offset + header.frame_bytes
    at = offset + 1
    while data := os.pread(descriptor, SEARCH_BYTES, at):
        found = data.find(MAGIC)
        if found >= 0:
            if read_at(descriptor, at + found) is not None:
                return at + found
            at += found + 1
        elif len(data) < len(MAGIC):
            return None
        else:
            at += len(data) - len(MAGIC) + 1  # a magic may lie across the border
    return None
