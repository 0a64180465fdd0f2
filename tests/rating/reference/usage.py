"""Usage rows, cut into pieces at the edges of segments."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

from schemas import calendar
from schemas.meters import Registry
from schemas.period import Period, parse_instant
from tests.rating.reference.document import Charge


@dataclass(frozen=True)
class Piece:
    """What one row says about one segment (or the row as a whole, before it is cut)."""

    resource: str
    meter: str
    attributes: Mapping[str, str]
    start: int
    end: int
    quantity: int
    received: int | None = None

    @property
    def seconds(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class Grid:
    """Windows of one size, and the segments into which changes of the list cut them."""

    windows: tuple[Period, ...]
    edges: tuple[int, ...]

    def segments(self, window: Period) -> list[Period]:
        inside = [e for e in self.edges if window.start <= e <= window.end]
        return [Period(a, b) for a, b in pairwise(inside)]

    def segment_of(self, instant: int) -> Period:
        after = next(e for e in self.edges if e > instant)
        return Period(max(e for e in self.edges if e <= instant), after)

    def window_of(self, instant: int) -> Period:
        return next(w for w in self.windows if instant in w)


def grid(period: Period, size: str, zone: str, cuts: Iterable[int]) -> Grid:
    windows = tuple(calendar.windows(period, size, zone))  # type: ignore[arg-type]
    starts = {w.start for w in windows} | {windows[-1].end}
    inside = {c for c in cuts if windows[0].start < c < windows[-1].end}
    return Grid(windows, tuple(sorted(starts | inside)))


def read_rows(rows: Sequence[Mapping[str, Any]], registry: Registry) -> list[Piece]:
    return [_row(row, registry) for row in rows]


def _row(row: Mapping[str, Any], registry: Registry) -> Piece:
    meter = registry[row["meter"]]
    sizes = {meter.base: 1, **meter.display}
    quantity = Fraction(row["quantity"]) * sizes[row.get("unit") or meter.base]
    assert quantity.denominator == 1
    given = row.get("attributes") or {}
    attributes = dict(json.loads(given) if isinstance(given, str) else given)
    attributes |= {k.removeprefix("attr."): v for k, v in row.items() if k.startswith("attr.") and v}
    start = parse_instant(row["from"])
    end = parse_instant(row["to"]) if row.get("to") else start + 1
    received = parse_instant(row["received"]) if row.get("received") else None
    return Piece(row["resource"], meter.key, attributes, start, end, int(quantity), received)


def cut(rows: Iterable[Piece], edges: Sequence[int]) -> list[Piece]:
    """Cut rows at edges: the part up to t is floor(quantity × seconds until t ÷ seconds)."""
    pieces = []
    for row in rows:
        inner = [e for e in edges if row.start < e < row.end]
        at, given = row.start, 0
        for until in (*inner, row.end):
            due = row.quantity * (until - row.start) // row.seconds
            pieces.append(replace(row, start=at, end=until, quantity=due - given))
            at, given = until, due
    return pieces


def relocated(pieces: Iterable[Piece], charge: Charge, grid_: Grid, grace: int) -> list[Piece]:
    """With `late: running`, move what arrived after its window into the window that holds its arrival."""
    if charge.settings["late"] != "running":
        return list(pieces)
    moved = []
    for piece in pieces:
        at = piece.received
        late = at is not None and at >= grid_.window_of(piece.start).end + grace
        moved.append(replace(piece, start=at, end=at + 1) if late and at is not None else piece)
    return moved


def counted(pieces: Sequence[Piece], charge: Charge, grid_: Grid) -> tuple[list[Piece], list[Piece]]:
    """Divide by power state: what counts, and what is priced at nothing."""
    if charge.power == "always":
        return list(pieces), []
    on = [p.attributes.get("power", "on") == "on" for p in pieces]
    if charge.power == "once":
        seen = {(p.resource, grid_.window_of(p.start)) for p, is_on in zip(pieces, on, strict=True) if is_on}
        on = [(p.resource, grid_.window_of(p.start)) in seen for p in pieces]
    return (
        [p for p, is_on in zip(pieces, on, strict=True) if is_on],
        [p for p, is_on in zip(pieces, on, strict=True) if not is_on],
    )
