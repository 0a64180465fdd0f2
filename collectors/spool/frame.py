"""The bytes of one spool record: a header with a check of its own, then JSON notes, then the payload.

    magic 4 │ notes length 4 │ payload length 4 │ samples 4 │ sequence 8 │ xxh3-64 of the body 8 │ xxh32 of the header 4

All integers are little-endian. The header's own check tells a length that can be trusted from one that cannot: a
damaged body costs one record, a damaged header costs a search for the next magic, and neither hides what follows.
The notes carry kind, headers and the totals after this record, so the newest whole record tells what was appended.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson
import xxhash

from schemas.errors import Poison

MAGIC: Final = b"\xf5STR"
_FIELDS: Final = struct.Struct("<4sIIIQQ")
_CHECK: Final = struct.Struct("<I")
HEADER_BYTES: Final = _FIELDS.size + _CHECK.size
RECORD_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest payload; twice the largest batch, so that a dead letter with its origin still fits."""
NOTES_BYTES_MAX: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Tally:
    """How much of one kind was appended since the spool was made.

    Attributes:
        messages: records.
        samples: samples in them.
    """

    messages: int = 0
    samples: int = 0


@dataclass(frozen=True, slots=True)
class Notes:
    """What a record says about itself besides its payload.

    Attributes:
        kind: ``samples``, ``resources``, ``dead`` …
        headers: small texts for the reader.
        totals: tally by kind, this record included.
        position: the collector's newest `Poll.position`.
    """

    kind: str
    headers: Mapping[str, str] = field(default_factory=dict)
    totals: Mapping[str, Tally] = field(default_factory=dict)
    position: str = ""

    def encode(self) -> bytes:
        """Return the notes as JSON."""
        totals = {kind: (tally.messages, tally.samples) for kind, tally in self.totals.items()}
        return orjson.dumps({"k": self.kind, "h": dict(self.headers), "t": totals, "p": self.position})


def decode_notes(data: bytes) -> Notes:
    """Return the notes of their JSON form, which a check sum has already vouched for."""
    fields = orjson.loads(data)
    totals = {kind: Tally(messages, samples) for kind, (messages, samples) in fields["t"].items()}
    return Notes(fields["k"], fields["h"], totals, fields["p"])


@dataclass(frozen=True, slots=True)
class Header:
    """Lengths and checks of one record, from a header whose own check held."""

    notes_bytes: int
    payload_bytes: int
    samples: int
    sequence: int
    body_hash: int

    @property
    def frame_bytes(self) -> int:
        """Length of the whole record on disk."""
        return HEADER_BYTES + self.notes_bytes + self.payload_bytes


def frame(sequence: int, notes: Notes, payload: bytes, samples: int) -> bytes:
    """Return the record's bytes.

    Raises:
        Poison: the payload or the notes are larger than a record may be.
    """
    noted = notes.encode()
    if len(payload) > RECORD_BYTES_MAX or len(noted) > NOTES_BYTES_MAX:
        raise Poison("too_large", f"a spool record of {len(payload)} bytes; at most {RECORD_BYTES_MAX} fit: split it")
    body = xxhash.xxh3_64(noted)
    body.update(payload)
    fields = _FIELDS.pack(MAGIC, len(noted), len(payload), samples, sequence, body.intdigest())
    return b"".join((fields, _CHECK.pack(xxhash.xxh32_intdigest(fields)), noted, payload))


def parse_header(data: bytes) -> Header | None:
    """Return the header at the start of `data`, or None when it is short, damaged or no header."""
    if len(data) < HEADER_BYTES or data[:4] != MAGIC:
        return None
    fields = data[: _FIELDS.size]
    if _CHECK.unpack_from(data, _FIELDS.size)[0] != xxhash.xxh32_intdigest(fields):
        return None
    _, notes_bytes, payload_bytes, samples, sequence, body_hash = _FIELDS.unpack(fields)
    if notes_bytes > NOTES_BYTES_MAX or payload_bytes > RECORD_BYTES_MAX:
        return None
    return Header(notes_bytes, payload_bytes, samples, sequence, body_hash)


def body_holds(header: Header, body: bytes) -> bool:
    """Tell whether notes and payload are complete and undamaged."""
    return len(body) == header.notes_bytes + header.payload_bytes and xxhash.xxh3_64_intdigest(body) == header.body_hash
