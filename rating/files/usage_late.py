"""Late usage on the running window: what arrives after its window was settled counts in the window of its arrival.

Rows without `received`, and meters that are settled in the original window, stay where they are.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from rating.files.usage_rows import UsageRow
from rating.files.usage_spread import share
from rating.windows import Segments
from schemas.period import Period


def on_arrival(
    rows: Sequence[UsageRow], meters: frozenset[int], segments: Segments, grace_seconds: int = 0
) -> list[UsageRow]:
    """Return the rows with late parts moved to the windows in which they arrived.

    A part of a row is late when its window ended at least `grace_seconds` before the row was received. It moves to the
    beginning of the segment that holds the arrival, so it has the price in force then; it keeps its length (and so its
    level) unless the segment is shorter.

    Args:
        rows: any; they and their arrivals lie inside the segments' period.
        meters: ids of the meters whose late usage counts on arrival.
        segments: of the windows in which the meters are charged.
        grace_seconds: how long a window waits for its usage.
    """
    moved: list[UsageRow] = []
    for row in rows:
        moved += [row] if row.received is None or row.meter.id not in meters else _parts(row, segments, grace_seconds)
    return moved


def _parts(row: UsageRow, segments: Segments, grace_seconds: int) -> list[UsageRow]:
    received = row.received if row.received is not None else row.period.start
    window = bisect_right(segments.windows, row.period.start, key=lambda w: w.start) - 1
    segment = bisect_right(segments.edges, received) - 1
    arrival = Period(segments.edges[segment], segments.edges[segment + 1])
    parts, at = [], row.period.start
    while at < row.period.end and received >= (end := segments.windows[window].end) + grace_seconds:
        until = min(end, row.period.end)
        seconds = min(until - at, arrival.seconds)
        parts.append(_part(row, Period(at, until), Period(arrival.start, arrival.start + seconds)))
        at, window = until, window + 1
    rest = Period(at, row.period.end)  # windows end one after the other: what follows one in time is in time
    return [*parts, _part(row, rest, rest)] if rest.seconds else parts


def _part(row: UsageRow, used: Period, placed: Period) -> UsageRow:
    start, seconds = row.period.start, row.period.seconds
    quantity = share(row.quantity, seconds, used.end - start) - share(row.quantity, seconds, used.start - start)
    return replace(row, period=placed, quantity=quantity)
