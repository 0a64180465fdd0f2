"""Feeds the durable write from the collectors' spools: the embedded deployment's place of Kafka."""

from pathlib import Path
from typing import Final

from collectors.spool import RESOURCES, SAMPLES
from collectors.spool.batches import descriptors_of
from collectors.spool.reader import SpoolReader
from collectors.spool.segment import Record
from pipeline.durable import DurableWriter
from pipeline.message import Message
from schemas.errors import Poison

READER: Final = "meter"
RECORDS_MAX: Final = 64
"""Records in one durable write; bounds memory beside the reader's bytes."""
BYTES_MAX: Final = 8 * 1024 * 1024


class SpoolFeed:
    """Follows every spool under a folder."""

    def __init__(self, spools: Path, writer: DurableWriter) -> None:
        """Follow the spools in `spools`, also those that appear later."""
        self._spools, self._writer = spools, writer
        self._readers: dict[str, SpoolReader] = {}

    def step(self) -> int:
        """Make the next records of each spool durable and acknowledge them; return how many there were."""
        return sum(self._step(name, reader) for name, reader in self._open().items())

    def backlog(self) -> int:
        """Return how many records wait."""
        return sum(reader.backlog() for reader in self._open().values())

    def close(self) -> None:
        """Let other processes read."""
        for reader in self._readers.values():
            reader.close()
        self._readers = {}

    def _open(self) -> dict[str, SpoolReader]:
        for directory in sorted(self._spools.iterdir()) if self._spools.is_dir() else []:
            if directory.is_dir() and directory.name not in self._readers:
                self._readers[directory.name] = SpoolReader(directory, READER)
        return self._readers

    def _step(self, name: str, reader: SpoolReader) -> int:
        reader.rewind()
        records = reader.read(RECORDS_MAX, BYTES_MAX)
        if not records:
            return 0
        messages = [Message(r.payload, f"spool/{name}/{r.sequence}") for r in records if r.kind == SAMPLES]
        if messages:
            self._writer.write(messages)
        self._describe(name, [r for r in records if r.kind == RESOURCES])
        reader.acknowledge(records[-1].sequence)
        return len(records)

    def _describe(self, name: str, records: list[Record]) -> None:
        found = []
        for record in records:
            try:
                found += descriptors_of(record.payload)
            except Poison as error:
                self._writer.refuse(Message(record.payload, f"spool/{name}/{record.sequence}"), error)
        if found:
            self._writer.describe(found)
