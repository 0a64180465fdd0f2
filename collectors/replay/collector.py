"""The replay collector: a VM trace as samples of running time, vCPUs, memory and CPU used.

Each row's MHz × seconds is rounded once (half to even) and then split over the 300 s cells in whole units, so the
cells sum to the rows exactly. Seconds without a row are not covered; a row with 0 vCPUs says that the VM was gone.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from collectors.fold import amount_of
from collectors.fold_cut import I64, cut, gather, split
from collectors.health import HealthTracker
from collectors.interface import Gap, Health, Poll
from collectors.replay.totals import ReplayTotals, totals_of
from collectors.replay.trace import Machine, Rows, machines, portions
from schemas.batch import canonical_attributes, table_of
from schemas.errors import Misconfigured
from schemas.period import SECOND
from schemas.resource import Descriptor

CELL_SECONDS: Final = 300
METERS: Final = ("vm.running", "vm.vcpu", "vm.memory", "vm.cpu.used")
ROWS_PER_READ: Final = 20_000
ROWS_PER_BATCH: Final = 40_000
GAP_SECONDS_MIN: Final = 60
"""Shorter holes come from stamps that drift by some seconds; they are uncovered, but not worth a report."""
DONE: Final = "done"


class TraceReplay:
    """Replays a folder with ``trace.parquet`` and ``meta.parquet``; satisfies `Collector`.

    One poll hands out the whole trace, in portions of bounded size. After a restart in the middle it begins again
    (the same samples once more); after the end it hands out nothing.
    """

    def __init__(
        self,
        folder: Path,
        *,
        site: str = "bitbrains",
        name: str = "replay",
        tenant: str = "bitbrains",
        rows_per_read: int = ROWS_PER_READ,
    ) -> None:
        """Read the list of VMs.

        Args:
            folder: where the two files are.
            site: site of all samples.
            name: collector's name.
            tenant: owner of all VMs.
            rows_per_read: rows of the trace in memory at a time.

        Raises:
            Misconfigured: a file is missing or has not the columns of the format.
        """
        if rows_per_read < 1:
            raise Misconfigured([f"rows_per_read is {rows_per_read}; it must be at least 1"])
        self._trace = folder / "trace.parquet"
        self._machines = machines(folder / "meta.parquet")
        self._memory = np.array([machine.memory_mib for machine in self._machines], dtype=np.int64)
        self._names = pa.array([resource_of(machine) for machine in self._machines])
        self._site = site
        self._name = name
        self._tenant = tenant
        self._rows_per_read = rows_per_read
        self._finished = False
        self._tracker = HealthTracker()

    @property
    def site(self) -> str:
        """Site of all samples."""
        return self._site

    @property
    def name(self) -> str:
        """Name of this collector."""
        return self._name

    @property
    def finished(self) -> bool:
        """Whether the whole trace was handed out."""
        return self._finished

    def resume(self, position: str) -> None:
        """Go on after an earlier process."""
        self._finished = position == DONE

    def poll(self, now: int) -> Iterator[Poll]:
        """Yield the whole trace once; see `Collector.poll`. `now` only dates the descriptors."""
        with self._tracker.attempt(now):
            if self._finished:
                return
            yield Poll(descriptors=self._descriptors(now))
            open_cells, newest = _nothing(), np.full(len(self._machines), -1, dtype=np.int64)
            for rows in portions(self._trace, self._machines, self._rows_per_read):
                self._report_gaps(rows, newest)
                np.maximum.at(newest, rows.vm, rows.end)
                cells = _cells(rows, self._memory[rows.vm], open_cells)
                # A cell that reaches beyond its VM's newest row may get more from the next portion.
                unfinished = cells[1] + CELL_SECONDS > newest[cells[0]]
                open_cells = cells[:, unfinished]
                yield self._tracker.handed_out(self._portion(cells[:, ~unfinished]))
            yield self._tracker.handed_out(self._portion(open_cells, DONE), now // SECOND)
            self._finished = True

    def health(self) -> Health:
        """Return how the replay is doing."""
        return self._tracker.snapshot()

    def expected_totals(self) -> ReplayTotals:
        """Return what the trace implies, by arithmetic of its own, row by row; slow, for checks."""
        return totals_of(self._trace, self._machines)

    def _portion(self, cells: I64, position: str = "") -> Poll:
        batches = [
            self._batch(cells[:, start : start + ROWS_PER_BATCH // len(METERS)])
            for start in range(0, cells.shape[1], ROWS_PER_BATCH // len(METERS))
        ]
        return Poll(tuple(batches), (), position)

    def _batch(self, cells: I64) -> pa.RecordBatch:
        vm, cell_start, covered, *quantities = cells
        count, meters = len(vm), len(METERS)
        rows = count * meters
        meter = np.repeat(np.arange(meters, dtype=np.int32), count)
        zeros = pa.array(np.zeros(rows, dtype=np.int32))
        return table_of(
            {
                "resource": pa.DictionaryArray.from_arrays(pa.array(np.tile(vm, meters).astype(np.int32)), self._names),
                "meter": pa.DictionaryArray.from_arrays(pa.array(meter), pa.array(METERS)),
                "cell_start": pa.array(np.tile(cell_start, meters)),
                "cell_seconds": pa.array(np.full(rows, CELL_SECONDS, dtype=np.int32)),
                "quantity": pa.array(np.concatenate(quantities)),
                "covered_seconds": pa.array(np.tile(covered, meters).astype(np.int32)),
                "tenant": pa.DictionaryArray.from_arrays(zeros, pa.array([self._tenant])),
                "attributes": pa.DictionaryArray.from_arrays(zeros, pa.array([canonical_attributes({})])),
                "revision": zeros,
            }
        )

    def _descriptors(self, now: int) -> tuple[Descriptor, ...]:
        return tuple(
            Descriptor(
                self._site,
                resource_of(machine),
                f"VM {machine.id}",
                self._tenant,
                now // SECOND,
                {"cpu_capacity_mhz": machine.capacity_mhz},
            )
            for machine in self._machines
        )

    def _report_gaps(self, rows: Rows, newest: I64) -> None:
        before = np.empty_like(rows.end)
        before[1:] = rows.end[:-1]
        first = np.ones(len(rows.vm), dtype=np.bool_)
        first[1:] = rows.vm[1:] != rows.vm[:-1]
        before[first] = newest[rows.vm[first]]
        for row in np.flatnonzero((before >= 0) & (rows.start - before >= GAP_SECONDS_MIN)):
            vm = self._machines[int(rows.vm[row])]
            self._tracker.gap(Gap(int(before[row]), int(rows.start[row]), f"{resource_of(vm)} has no rows"))


def resource_of(machine: Machine) -> str:
    """Return the resource key of a VM of the trace."""
    return f"vm/{machine.id}"


def _nothing() -> I64:
    return np.empty((3 + len(METERS), 0), dtype=np.int64)


def _cells(rows: Rows, memory: I64, earlier: I64) -> I64:
    """Return cells as rows vm, cell start, covered seconds, then one quantity a meter; shape (3 + meters, cells)."""
    here = rows.vcpus > 0
    vm, start, end, vcpus = rows.vm[here], rows.start[here], rows.end[here], rows.vcpus[here]
    used = amount_of(rows.mhz[here], end - start)
    pieces = cut(start, end, CELL_SECONDS)
    seconds, origin = pieces.seconds, pieces.origin
    quantities = (
        seconds,
        vcpus[origin] * seconds,
        memory[here][origin] * seconds,
        split(used, start, end, pieces),
    )
    flat = np.concatenate((earlier, np.stack((vm[origin], pieces.cell_start, seconds, *quantities))), axis=1)
    folded = [gather(flat[0], flat[1], quantity, flat[2]) for quantity in flat[3:]]
    cells: I64 = np.stack(
        (folded[0].series, folded[0].cell_start, folded[0].covered_seconds, *(each.quantity for each in folded))
    )
    return cells
