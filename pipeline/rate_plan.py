"""Which windows are rated together, and in which order: pure functions over calendar and billing cycles.

A list has charges with windows of several sizes. Of each size the **spans** are calendar windows, evaluated as a whole;
a **window** is the part of a span that lies in one billing cycle, and what is rated, settled and replaced as a whole.
Most often both are the same. Two sizes may have a window in common (a monthly charge under a daily cycle): what is said
of one window is then one rating, so both are rated together.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from schemas import calendar
from schemas.calendar import SIZES, Size
from schemas.period import Period

CHUNK_SECONDS: Final = 8 * 86400
"""Longest time whose usage is read at once (a span is never split), so that memory stays bounded."""

CyclesOver = Callable[[Period], Sequence[Period]]
"""Returns the billing cycles that overlap a period, in order, without a gap."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A window to rate.

    Attributes:
        window: part of the span within one cycle.
        span: evaluation window.
        wanted: whether its lines are asked for; otherwise it is rated for what follows from it.
    """

    window: Period
    span: Period
    wanted: bool


@dataclass(frozen=True, slots=True)
class Due:
    """When terms of the account are due.

    Attributes:
        window: what they are counted over.
        size: its size.
        posted: the rated window that their lines belong to: where the last cycle lies in `window`.
    """

    window: Period
    size: Size
    posted: Period


@dataclass(frozen=True, slots=True)
class Plan:
    """What to rate of a block.

    Attributes:
        pieces: by size of the spans: those needed, in order, without gap inside a span from its start on.
        dues: terms of the account, the shorter ones first.
    """

    pieces: dict[Size, list[Piece]]
    dues: list[Due]


def overlap(a: Period, b: Period) -> Period:
    """Return what two periods that overlap have in common."""
    return Period(max(a.start, b.start), min(a.end, b.end))


def largest(sizes: Iterable[Size]) -> Size:
    """Return the largest of some sizes."""
    return max(sizes, key=SIZES.index)


def reach(touched: Period, sizes: Iterable[Size], cycle: Size, zone: str, now: int) -> Period:
    """Return how far a change of usage reaches: to the end of every span that billing cycles cut, but not beyond now.

    Args:
        touched: where usage changed.
        sizes: of the spans of a list, those of the account's terms among them.
        cycle: how often the account is billed.
        zone: of the account.
        now: seconds since 1970.
    """
    start, end = touched.start, touched.end
    for size in sizes:
        if size == "week" or SIZES.index(size) > SIZES.index(cycle):  # a week lies across the ends of months
            spans = calendar.windows(touched, size, zone)
            start = min(start, *(span.start for span in spans))
            end = max(end, min(now, spans[-1].end))
    return Period(start, end)


def blocks(asked: Sequence[Period], stretch: Period | None, size: Size, zone: str) -> list[Period]:
    """Return the periods that are rated one after the other, each by itself, in order.

    Args:
        asked: billing cycles, in order.
        stretch: what of them a change reached; None: all.
        size: largest of all spans; days and hours are put together to CHUNK_SECONDS. Only weeks cross a block's edge.
        zone: of the account.
    """
    each = "day" if size == "hour" else size
    found: list[Period] = []
    for cycle in asked:
        if stretch is not None and not cycle.overlaps(stretch):
            continue
        for block in calendar.windows(overlap(cycle, stretch) if stretch else cycle, each, zone):
            if not found or block.start >= found[-1].end:
                found.append(block)
    return joined(found) if each == "day" else found


def joined(periods: Sequence[Period]) -> list[Period]:
    """Return ascending periods with neighbours put together as long as they stay within CHUNK_SECONDS."""
    found: list[Period] = []
    for period in periods:
        if found and found[-1].end == period.start and period.end - found[-1].start <= CHUNK_SECONDS:
            found[-1] = Period(found[-1].start, period.end)
        else:
            found.append(period)
    return found


def plan_of(
    block: Period,
    asked: Sequence[Period],
    stretch: Period | None,
    sizes: Sequence[Size],
    account_sizes: Sequence[Size],
    cycles_over: CyclesOver,
    zone: str,
    only: Period | None = None,
) -> Plan:
    """Return what to rate of a block.

    Wanted are the windows of the asked cycles that the stretch touches, those that follow on them in the same span
    (tiers run on), and those that are the same window in another size. Needed beside them is what precedes them in
    their span, and everything under terms of the account that are due.

    Args:
        block: from `blocks`.
        asked: billing cycles whose ratings may be written.
        stretch: what of them was touched; None: all.
        sizes: of the passes.
        account_sizes: of the account's terms.
        cycles_over: all billing cycles.
        zone: of the account.
        only: the one window that is wanted; None: all of the above.
    """
    field = _whole(block, [*sizes, *account_sizes], zone)
    cycles, own = list(cycles_over(_whole(field, sizes, zone))), set(asked)
    grid = {size: _grid(field, size, cycles, zone) for size in sizes}
    dues = []
    for size in sorted(account_sizes, key=SIZES.index):
        for window in calendar.windows(block, size, zone):
            last = [cycle for cycle in cycles if cycle.overlaps(window)][-1]
            if last in own and (stretch is None or window.overlaps(stretch)):
                dues.append(Due(window, size, overlap(window, last)))
    dues = [due for due in dues if due.posted.start in block]
    chosen = {due.posted for due in dues}
    for spans in grid.values():
        for span, parts in spans:
            touched = [
                w
                for w, cycle in parts
                if cycle in own and (stretch is None or (w.end > stretch.start and span.overlaps(stretch)))
            ]
            follows = len(parts) > 1
            chosen |= {w for w in touched if stretch is None or follows or w.overlaps(stretch)}
    chosen = {window for window in chosen if window.start in block}
    if only is not None:
        dues, chosen = [due for due in dues if due.posted == only], chosen & {only}
    return Plan({size: _needed(spans, chosen, dues) for size, spans in grid.items()}, dues)


def _whole(period: Period, sizes: Iterable[Size], zone: str) -> Period:
    """Return a period with all of the windows at its ends."""
    ends = [calendar.windows(period, size, zone) for size in sizes]
    return Period(min(w[0].start for w in ends), max(w[-1].end for w in ends))


Parts = list[tuple[Period, Period]]
"""Windows of a span, each with its cycle."""


def _grid(block: Period, size: Size, cycles: Sequence[Period], zone: str) -> list[tuple[Period, Parts]]:
    """Return every span of a size in a block with its windows."""
    found: list[tuple[Period, Parts]] = []
    first = 0
    for span in calendar.windows(block, size, zone):
        parts: Parts = []
        while cycles[first].end <= span.start:
            first += 1
        place = first
        while place < len(cycles) and cycles[place].start < span.end:
            parts.append((overlap(cycles[place], span), cycles[place]))
            place += 1
        found.append((span, parts))
    return found


def _needed(spans: Sequence[tuple[Period, Parts]], chosen: set[Period], dues: Sequence[Due]) -> list[Piece]:
    pieces: list[Piece] = []
    for span, parts in spans:
        under = any(span.start >= due.window.start and span.end <= due.window.end for due in dues)
        last = max((place for place, (window, _) in enumerate(parts) if under or window in chosen), default=-1)
        pieces += [Piece(window, span, window in chosen) for window, _ in parts[: last + 1]]
    return pieces


def runs(pieces: Sequence[Piece], within: Period | None = None) -> list[list[Piece]]:
    """Return pieces in runs that follow on each other and stay within CHUNK_SECONDS; a span is never split.

    Args:
        pieces: of one size, in order.
        within: only those whose span lies inside; None: all.
    """
    found: list[list[Piece]] = []
    for piece in pieces:
        if within is not None and not (within.start <= piece.span.start and piece.span.end <= within.end):
            continue
        run = found[-1] if found else []
        same = bool(run) and run[-1].span == piece.span
        short = bool(run) and piece.span.end - run[0].span.start <= CHUNK_SECONDS
        if run and run[-1].window.end == piece.window.start and (same or short):
            run.append(piece)
        else:
            found.append([piece])
    return found
