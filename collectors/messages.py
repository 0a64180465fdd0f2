"""Which Kafka messages a spool record becomes."""

from typing import Final, NamedTuple

from collectors.spool import RESOURCES, SAMPLES
from collectors.spool.batches import descriptors_of
from collectors.spool.segment import Record
from schemas import resource, topics
from schemas.batch import CONTENT_TYPE, HEADER_CONTENT_TYPE, HEADER_SCHEMA_VERSION, SCHEMA_VERSION
from schemas.errors import Invariant

CONTENT_TYPE_DESCRIPTOR: Final = "application/json"


class Message(NamedTuple):
    """One message to publish; the topic is without prefix."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def shard_key(site: str, collector: str) -> bytes:
    """Return the key of a shard of a site: one collector's batches of a site stay in order on one partition."""
    return f"{site}\0{collector}".encode()


def messages_of(record: Record, collector: str) -> list[Message]:
    """Return the messages of a record, in order.

    Raises:
        Invariant: a kind that the publisher does not know; skipping it would lose it.
        Poison: descriptors that cannot be read.
    """
    version = (HEADER_SCHEMA_VERSION, str(SCHEMA_VERSION).encode())
    if record.kind == SAMPLES:
        headers = [(HEADER_CONTENT_TYPE, CONTENT_TYPE.encode()), version]
        return [Message(topics.SAMPLES, shard_key(record.headers["site"], collector), record.payload, headers)]
    if record.kind == RESOURCES:
        headers = [(HEADER_CONTENT_TYPE, CONTENT_TYPE_DESCRIPTOR.encode()), version]
        return [
            Message(topics.RESOURCES, descriptor.key, resource.encode(descriptor), headers)
            for descriptor in descriptors_of(record.payload)
        ]
    raise Invariant(f"record {record.sequence} has kind {record.kind!r}, which the publisher has no topic for")
