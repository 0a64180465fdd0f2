"""Rated lines: reads them page by page, and finds one of them again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from api.present import Priced, rows
from api.prices import PriceVersions
from api.scope import Scoped
from api.services import Services
from rating.explain import Line
from schemas.period import Period
from sinks.warehouse.protocol import Rating

SCAN_ROWS: Final = 2_000
"""Lines read at a time when only unpriced ones are wanted."""
SCAN_ROWS_MAX: Final = 50_000
"""Lines looked through for one page; the page then ends early, with a cursor."""
WINDOW_SECONDS_MAX: Final = 400 * 86_400
"""How far around a line its window can reach."""


@dataclass(frozen=True, slots=True)
class LinePage:
    """Lines and the position of the next page, None on the last one."""

    lines: Sequence[Priced]
    next_after: int | None


def page(
    use: Services,
    versions: PriceVersions,
    scoped: Scoped,
    period: Period,
    cutoff: int,
    after: int,
    limit: int,
    priced: bool | None,
) -> LinePage:
    """Return up to `limit` lines of windows inside the period, the first `after` skipped.

    Args:
        use: the stores.
        versions: of price lists.
        scoped: whose.
        period: half-open, seconds.
        cutoff: only what was stored before it; the same on every page, so that rows keep their positions.
        after: rows to skip.
        limit: most lines.
        priced: True for lines with a price, False for unpriced ones, None for all.
    """
    found: list[Line] = []
    position, at = after, after
    step = limit + 1 if priced is None else SCAN_ROWS
    while len(found) <= limit and at - after < SCAN_ROWS_MAX:
        table = use.warehouse.lines(scoped.key, period, cutoff, at, step)
        for row, line in enumerate(rows(table)):
            if priced is None or bool(line.price_id) == priced:
                if len(found) == limit:
                    return LinePage(_priced(use, versions, scoped, period, cutoff, found), position)
                found.append(line)
            position = at + row + 1
        at += table.num_rows
        if table.num_rows < step:
            return LinePage(_priced(use, versions, scoped, period, cutoff, found), None)
    return LinePage(_priced(use, versions, scoped, period, cutoff, found), at)


def _priced(
    use: Services, versions: PriceVersions, scoped: Scoped, period: Period, cutoff: int, lines: Sequence[Line]
) -> list[Priced]:
    if not lines:
        return []
    by_window = {r.window: r for r in use.warehouse.ratings([scoped.key], period, cutoff)}
    return [
        priced_line(versions, scoped, line, by_window.get(Period(line.window_start, line.window_end))) for line in lines
    ]


def priced_line(
    versions: PriceVersions, scoped: Scoped, line: Line, rating: Rating | None, revision: int | None = None
) -> Priced:
    """Return a line with the rating and the price list version that made it."""
    price_list = versions.of_line(scoped.account, rating, line.price_id) if rating else None
    return Priced(scoped.account, line, rating, price_list, revision or (rating.revision if rating else 0))


def find(use: Services, versions: PriceVersions, scoped: Scoped, digest: int) -> tuple[Priced, bool] | None:
    """Return the newest line of an account with a digest, and whether a newer rating replaced it; None: no such."""
    table = use.warehouse.line(scoped.key, digest)
    if not table.num_rows:
        return None
    line, revision = rows(table.slice(0, 1))[0], int(table["revision"][0].as_py())
    period = Period(line.window_start, line.window_end)

    def rating(cutoff: int | None = None) -> Rating | None:
        asked = (scoped.key,), period
        found = use.warehouse.ratings(*asked) if cutoff is None else use.warehouse.ratings(*asked, cutoff)
        return next((r for r in found if r.window == period), None)

    newest = rating()
    if newest is not None and newest.revision == revision:
        return priced_line(versions, scoped, line, newest, revision), False
    stored = revision_of(use, scoped, period, revision)
    return priced_line(versions, scoped, line, stored, revision), True


def revision_of(use: Services, scoped: Scoped, period: Period, revision: int) -> Rating | None:
    """Return the rating of a window under an older revision, found by going back in stored time."""
    low, high = revision, use.clock()
    while low < high:
        # Ratings are stored after the cut-off that is their revision, in ascending order: halve the time between.
        middle = (low + high) // 2
        found = next((r for r in use.warehouse.ratings([scoped.key], period, middle) if r.window == period), None)
        if found is not None and found.revision == revision:
            return found
        if found is None or found.revision < revision:
            low = middle + 1
        else:
            high = middle
    return None
