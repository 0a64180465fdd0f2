"""Cells of a window of time, from the columns of a fleet: the fast path, whole arrays at a time."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from collectors.fold_cut import I64, Cells, Pieces, cut, gather
from collectors.simulator.columns import LEVEL, Columns
from collectors.simulator.rhythm import running_total
from schemas.batch import SCHEMA, table_of
from schemas.meters import EVENT_CELL_SECONDS
from schemas.period import Period

EVENT_SOURCE: Final = "simulator"
_TEXT: Final = SCHEMA.field("event_source").type


def batches(columns: Columns, window: Period, rows_per_batch: int) -> Iterator[pa.RecordBatch]:
    """Yield the samples of a window, ordered by series and cell, then its events.

    A cell that begins before the window's start belongs to it as a whole; one that reaches beyond its end is known up
    to there (`covered_seconds`), and comes whole from a later window.

    Args:
        columns: the fleet.
        window: seconds since 1970.
        rows_per_batch: roughly; a batch ends between two series, so one series may pass it.
    """
    from_start = window.start // columns.cell * columns.cell
    chosen = np.flatnonzero((columns.end > from_start[columns.series]) & (columns.start < window.end))
    series = columns.series[chosen]
    grid = columns.cell[series]
    start = np.maximum(columns.start[chosen], from_start[series])
    end = np.minimum(columns.end[chosen], window.end)
    rows_before = np.cumsum((end - 1) // grid - start // grid + 1)
    for first, last in _portions(series, rows_before, rows_per_batch):
        part = slice(first, last)
        cells = _cells(columns, chosen[part], series[part], start[part], end[part], grid[part])
        yield _record_batch(columns, cells, window.end)
    events = _events(columns, window)
    if events is not None:
        yield events


def _portions(series: I64, rows_before: I64, rows_per_batch: int) -> Iterator[tuple[int, int]]:
    """Cut the spans into runs of about so many rows, between two series."""
    first = 0
    while first < len(series):
        done = rows_before[first - 1] if first else 0
        last = int(np.searchsorted(rows_before, done + rows_per_batch, side="right"))
        if last < len(series):
            last = int(np.searchsorted(series, series[max(last, first)], side="left"))
            if last <= first:
                last = int(np.searchsorted(series, series[first], side="right"))
        yield first, last
        first = last


def _cells(columns: Columns, spans: I64, series: I64, start: I64, end: I64, grid: I64) -> Cells:
    pieces = cut(start, end, grid)
    row_series = series[pieces.origin]
    amount, phase = columns.amount[spans], columns.phase[spans]
    quantity = amount[pieces.origin] * pieces.seconds
    flows = np.flatnonzero((phase != LEVEL)[pieces.origin])
    origin = pieces.origin[flows]
    rate, shift = amount[origin], phase[origin]
    quantity[flows] = running_total(pieces.end[flows], rate, shift) - running_total(pieces.start[flows], rate, shift)
    _apply_resets(columns, pieces, row_series, amount, phase, quantity)
    return gather(row_series, pieces.cell_start, quantity, pieces.seconds)


def _apply_resets(columns: Columns, pieces: Pieces, series: I64, amount: I64, phase: I64, quantity: I64) -> None:
    """Take away what ran between the last reading, at the start of the piece, and the reset; resets are rare."""
    if not len(series):
        return
    for number in np.flatnonzero((columns.reset_series >= series[0]) & (columns.reset_series <= series[-1])):
        wanted, at = columns.reset_series[number], columns.reset_at[number]
        low, high = np.searchsorted(series, wanted, "left"), np.searchsorted(series, wanted, "right")
        hit = low + np.flatnonzero((pieces.start[low:high] < at) & (at < pieces.end[low:high]))
        if len(hit):
            origin = pieces.origin[hit]
            rate, shift = amount[origin], phase[origin]
            lost = running_total(np.full(len(hit), at), rate, shift) - running_total(pieces.start[hit], rate, shift)
            quantity[hit] -= lost


def _record_batch(columns: Columns, cells: Cells, known_until: int) -> pa.RecordBatch:
    series = cells.series
    grid = columns.cell[series]
    covered = np.minimum(cells.cell_start + grid, known_until) - cells.cell_start
    meter = columns.meter[series]
    for code, stretches in enumerate(columns.unknown):
        for a, b in stretches:
            overlap = np.minimum(cells.cell_start + grid, b) - np.maximum(cells.cell_start, a)
            covered -= np.where(meter == code, np.maximum(overlap, 0), 0)
    return table_of(
        {
            "resource": _coded(columns.resource[series], columns.resources),
            "meter": _coded(meter, columns.meters),
            "cell_start": pa.array(cells.cell_start),
            "cell_seconds": pa.array(grid.astype(np.int32)),
            "quantity": pa.array(cells.quantity),
            "covered_seconds": pa.array(covered.astype(np.int32)),
            "tenant": _coded(columns.tenant[series], columns.tenants),
            "attributes": _coded(columns.attribute[series], columns.attributes),
            **_plain(len(series)),
        }
    )


def _plain(rows: int) -> dict[str, pa.Array]:
    """Columns that are the same on every cell sample; cheaper here than as Python lists."""
    return {
        "revision": pa.array(np.zeros(rows, dtype=np.int32)),
        "event_source": pa.nulls(rows, _TEXT),
        "event_id": pa.nulls(rows, pa.utf8()),
    }


def _coded(codes: I64, names: pa.Array) -> pa.Array:
    """Return dictionary-encoded texts whose dictionary is only the stretch of names that is used."""
    low, high = (int(codes.min()), int(codes.max())) if len(codes) else (0, 0)
    return pa.DictionaryArray.from_arrays(
        pa.array((codes - low).astype(np.int32)), names.slice(low, high - low + 1), safe=False
    )


def _events(columns: Columns, window: Period) -> pa.RecordBatch | None:
    found = [event for event in columns.events if event.at in window]
    if not found:
        return None
    return table_of(
        {
            "resource": [event.series.resource for event in found],
            "meter": [event.series.meter for event in found],
            "cell_start": [event.at for event in found],
            "cell_seconds": [EVENT_CELL_SECONDS] * len(found),
            "quantity": [1] * len(found),
            "tenant": [event.series.tenant for event in found],
            "attributes": [event.series.attributes for event in found],
            "event_source": [EVENT_SOURCE] * len(found),
            "event_id": [event.id for event in found],
        }
    )
