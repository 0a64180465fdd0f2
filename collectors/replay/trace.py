"""Reading a VM trace in the format of the Bitbrains 50-VM trace (atlarge-research/opendc), portion by portion.

Each row is one mean over the interval that ends at its stamp. Rows of a VM are in time order, rows of different VMs
may be mixed. Stamps are cut to whole seconds on both ends alike, so neighbouring rows still meet.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from collectors.fold_cut import I64
from schemas.errors import Misconfigured, Poison

TRACE_COLUMNS: Final = ("id", "timestamp", "duration", "cpu_count", "cpu_usage")
META_COLUMNS: Final = ("id", "mem_capacity", "cpu_capacity")
KB_PER_MIB: Final = 1024
"""The archive (GWA-T-12) publishes provisioned memory in KB."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A VM of the trace.

    Attributes:
        id: as the trace names it.
        memory_mib: whole MiB, rounded half to even from KB.
        capacity_mhz: all cores, for people.
    """

    id: str
    memory_mib: int
    capacity_mhz: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a portion; ordered by VM, then time; arrays of one length.

    Attributes:
        vm: position in the list of machines.
        start: seconds since 1970; never before the end of the VM's row before.
        end: seconds since 1970, excluded; later than start.
        vcpus: 0 when the VM was gone.
        mhz: mean over the interval; may pass the capacity (turbo), which is kept.
    """

    vm: I64
    start: I64
    end: I64
    vcpus: I64
    mhz: npt.NDArray[np.float64]


def machines(meta: Path) -> list[Machine]:
    """Return the VMs of a meta file; raises Misconfigured when it is not one."""
    _check(meta, META_COLUMNS)
    found = pq.read_table(meta, columns=list(META_COLUMNS)).to_pylist()
    return [Machine(row["id"], round(row["mem_capacity"] / KB_PER_MIB), f"{row['cpu_capacity']:.0f}") for row in found]


def portions(trace: Path, known: list[Machine], rows_max: int) -> Iterator[Rows]:
    """Yield the trace's rows, `rows_max` at a time, overlaps trimmed.

    A row that begins before the end of the one before is cut to begin there, so no second counts twice; what is left
    of it is the mean over the seconds that are left.

    Raises:
        Misconfigured: the file lacks a column, or names a VM that the meta file does not.
        Poison: the rows of a VM are not in time order, or a value is no amount.
    """
    _check(trace, TRACE_COLUMNS)
    ids = pa.array([machine.id for machine in known])
    newest = np.full(len(known), np.iinfo(np.int64).min, dtype=np.int64)
    with pq.ParquetFile(trace) as file:
        for batch in file.iter_batches(rows_max, columns=list(TRACE_COLUMNS)):
            vm = pc.index_in(batch["id"], value_set=ids)
            if vm.null_count:
                raise Misconfigured([f"{trace.name} has rows of VMs that the meta file does not list"])
            yield _trimmed(batch, vm.to_numpy().astype(np.int64), newest)


def _trimmed(batch: pa.RecordBatch, vm: I64, newest: I64) -> Rows:
    order = np.argsort(vm, kind="stable")
    vm = vm[order]
    stamp = batch["timestamp"].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_numpy()[order]
    end = stamp // 1000
    start = (stamp - batch["duration"].to_numpy()[order]) // 1000
    before = np.empty_like(end)
    first = np.ones(len(vm), dtype=np.bool_)
    first[1:] = vm[1:] != vm[:-1]
    before[1:] = end[:-1]
    before[first] = newest[vm[first]]
    if bool(np.any(end < before)):
        raise Poison("unordered", "the rows of a VM are not in time order; sort the trace by id and timestamp")
    np.maximum.at(newest, vm, end)
    start = np.maximum(start, before)
    kept = start < end
    vcpus = batch["cpu_count"].to_numpy()[order].astype(np.int64)
    mhz = batch["cpu_usage"].to_numpy()[order].astype(np.float64)
    if not bool(np.all(np.isfinite(mhz) & (mhz >= 0) & (vcpus >= 0))):
        raise Poison("bad_value", "the trace has a cpu_usage or cpu_count that is negative or not a number")
    return Rows(vm[kept], start[kept], end[kept], vcpus[kept], mhz[kept])


def _check(path: Path, wanted: tuple[str, ...]) -> None:
    if not path.is_file():
        raise Misconfigured([f"{path} is not there; a trace folder holds trace.parquet and meta.parquet"])
    missing = [name for name in wanted if name not in pq.read_schema(path).names]
    if missing:
        raise Misconfigured([f"{path} lacks the columns {', '.join(missing)}"])
