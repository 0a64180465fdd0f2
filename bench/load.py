"""A made-up stream of sample batches, fast to make and with totals known by arithmetic."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.batch import BatchMeta, canonical_attributes, encode, table_of

METERS: Final = (
    "vm.running",
    "vm.vcpu",
    "vm.memory",
    "vm.cpu",
    "vm.cpu.used",
    "vm.memory.used",
    "disk.read.bytes",
    "disk.write.bytes",
    "net.in.bytes",
    "net.out.bytes",
)
CELL_SECONDS: Final = 300
START: Final = 1_790_812_800
"""2026-10-01T00:00:00Z, a cell's start."""
TENANTS: Final = 8
SET_TEXTS: Final = tuple(canonical_attributes({"tier": tier}) for tier in ("gold", "silver", "bronze"))


@dataclass(frozen=True, slots=True)
class Totals:
    """What a load implies: unique samples, and base units by meter."""

    samples: int
    quantities: dict[str, int]


@dataclass(frozen=True)
class Load:
    """A fleet polled again and again: each batch is one group of VMs with every meter in one cell.

    Attributes:
        batches: how many.
        groups: batches with the same cell; VMs = groups × vms_per_batch.
        vms_per_batch: samples in a batch = vms_per_batch × len(METERS).
        site, collector: who it is from.
    """

    batches: int
    groups: int = 100
    vms_per_batch: int = 100
    site: str = "bench"
    collector: str = "bench"

    @property
    def rows_per_batch(self) -> int:
        """Samples in one batch."""
        return self.vms_per_batch * len(METERS)

    @property
    def samples(self) -> int:
        """Samples in all; every one has an identity of its own."""
        return self.batches * self.rows_per_batch

    def payloads(self, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        """Yield the batches' bytes; the same load always gives the same."""
        for number in range(first, self.batches if last is None else last):
            yield self.payload(number)

    def payload(self, number: int) -> bytes:
        """Return the bytes of one batch."""
        return encode(self.rows(number), BatchMeta(self.site, self.collector, number + 1, START * 1_000_000))

    def rows(self, number: int) -> pa.RecordBatch:
        """Return the rows of one batch."""
        cell = START + number // self.groups * CELL_SECONDS
        return table_of(
            {
                **self._groups[number % self.groups],
                "cell_start": pa.array(np.full(self.rows_per_batch, cell)),
                "quantity": pa.array(self.quantity(number)),
            }
        )

    def quantity(self, number: int) -> npt.NDArray[np.int64]:
        """Return the quantities of one batch: a hash of their place, so that a swapped or lost one shows."""
        places = np.arange(self.rows_per_batch, dtype=np.uint64) + np.uint64(number * self.rows_per_batch)
        mixed = (places * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(34)
        return mixed.astype(np.int64)

    def totals(self) -> Totals:
        """Return what must be in the warehouse at the end."""
        sums = np.zeros(len(METERS), np.int64)
        for number in range(self.batches):
            sums += self.quantity(number).reshape(self.vms_per_batch, len(METERS)).sum(axis=0)
        return Totals(self.samples, dict(zip(METERS, sums.tolist(), strict=True)))

    def named(self, collector: str) -> "Load":
        """Return the same load from another collector of another site: none of its samples is in this one."""
        return replace(self, site=collector, collector=collector)

    @cached_property
    def _groups(self) -> list[dict[str, Any]]:
        return [self._group(number) for number in range(self.groups)]

    def _group(self, group: int) -> dict[str, Any]:
        vms, meters, rows = self.vms_per_batch, len(METERS), self.rows_per_batch
        names = [f"vm/{uuid.uuid5(uuid.NAMESPACE_OID, f'{self.site}/{group}/{vm}')}" for vm in range(vms)]
        vm = np.repeat(np.arange(vms, dtype=np.int32), meters)
        return {
            "resource": _coded(vm, names),
            "meter": _coded(np.tile(np.arange(meters, dtype=np.int32), vms), METERS),
            "cell_seconds": pa.array(np.full(rows, CELL_SECONDS, np.int32)),
            "covered_seconds": pa.array(np.full(rows, CELL_SECONDS, np.int32)),
            "tenant": _coded(np.full(rows, 0, np.int32), [f"tenant-{group % TENANTS}"]),
            "attributes": _coded(vm % len(SET_TEXTS), SET_TEXTS),
            "revision": pa.array(np.zeros(rows, np.int32)),
            "event_source": pa.nulls(rows, pa.dictionary(pa.int32(), pa.utf8())),
            "event_id": pa.nulls(rows, pa.utf8()),
        }


def _coded(codes: npt.NDArray[np.generic], names: object) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(list(names)))  # type: ignore[call-overload]
