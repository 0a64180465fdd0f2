"""Rating an account: read its deduplicated usage, call the pure `rate`, write what changed as a new revision.

Always a recomputation from what is stored as of a cut-off, never an increment: a trigger that is lost, repeated or
reordered cannot change a number. Settling calls the same function; only the mark `settled` differs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from billing.cycles import SIZES, cycles_due
from billing.ledger import MICROS_MAX
from billing.protocol import Account, Books
from pipeline.directory import Directory
from rating.engine import rate
from rating.exact import grouped_totals
from rating.price_list import PriceList, Rounding
from rating.totals import WindowTotal
from rating.windows import segments
from schemas import calendar
from schemas.errors import Poison
from schemas.ids import account_id
from schemas.meters import Registry
from schemas.period import Clock, Period, iso
from sinks.warehouse.protocol import PriceName, Rating, UsageRequest, Warehouse

CHUNK_SECONDS: Final = 8 * 86400
"""Longest time whose usage is read at once (a window is never split), so that memory stays bounded."""
NO_PRICE_LIST: Final = PriceList("none", "no price list", "XXX", "day", Rounding(), ())
"""Prices nothing: every line is unpriced, and is shown as such. XXX is ISO 4217 for no currency."""


@dataclass(slots=True)
class CycleRated:
    """What a billing cycle, or the part of it that was asked for, came to.

    Attributes:
        price_list: the list used.
        live_micros: what the valid ratings had said before.
        micros_by_product: Σ amounts.
        ratings: one for each window with lines.
    """

    price_list: PriceList
    live_micros: int = 0
    micros_by_product: dict[str, int] = field(default_factory=dict)
    ratings: list[Rating] = field(default_factory=list)

    @property
    def lines(self) -> int:
        """Number of lines."""
        return sum(r.lines for r in self.ratings)

    @property
    def digest(self) -> int:
        """Hash over all lines, whatever their order."""
        return int(np.bitwise_xor.reduce(np.array([r.digest for r in self.ratings], np.uint64), initial=0))


class Rater:
    """Rates accounts. One thread at a time for each account."""

    def __init__(
        self, warehouse: Warehouse, books: Books, directory: Directory, registry: Registry, clock: Clock
    ) -> None:
        """Keep the collaborators."""
        self._clock = clock
        self._warehouse, self._books, self._directory, self._registry = warehouse, books, directory, registry
        self._named: set[tuple[str, int]] = set()

    def rate_live(self, account: Account, touched: Period, cutoff: int) -> Sequence[Rating]:
        """Rate the unsettled windows that overlap `touched`; return the ratings that changed.

        Settled cycles are left to the settle job: late data becomes an adjustment there, never a changed line here.

        Args:
            account: who pays.
            touched: seconds since 1970; windows that overlap it are rated whole.
            cutoff: microseconds since 1970; the revision written.
        """
        settled = {Period(s.cycle_start, s.cycle_end) for s in self._books.settlements(account.id)}
        cycles = cycles_due(touched.start, touched.end, account.cycle, account.timezone, settled)
        open_cycles = [c for c in cycles if c not in settled]
        price_list = self._directory.price_list(account, cutoff) or NO_PRICE_LIST
        return self._rate(account, price_list, open_cycles, touched, cutoff, settle=False)[1]

    def rate_cycles(self, account: Account, cycles: Sequence[Period], cutoff: int) -> Mapping[Period, CycleRated]:
        """Rate whole billing cycles, in order of time, for settling; mark their windows settled.

        Prices, rules and usage are read as of the cut-off (microseconds since 1970), so the result can be reproduced.
        """
        results: dict[Period, CycleRated] = {}
        for price_list, group in self._by_price_list(account, cycles, cutoff):
            results |= self._rate(account, price_list, group, None, cutoff, settle=True)[0]
        return results

    def _by_price_list(
        self, account: Account, cycles: Sequence[Period], cutoff: int
    ) -> Iterator[tuple[PriceList, list[Period]]]:
        """Yield runs of cycles with the list that prices them.

        A cycle that is settled keeps its list: giving an account another list is no correction of the past. (A new
        version of the same list, back-dated, is one.)
        """
        standing = self._warehouse.ratings([account_id(account.id)], Period(cycles[0].start, cycles[-1].end))
        settled = [r for r in standing if r.settled and r.lines]
        present = self._directory.price_list(account, cutoff) or NO_PRICE_LIST
        names = {c: next((r.price_list for r in settled if r.window.start in c), present.id) for c in cycles}
        for name, group in groupby(cycles, key=lambda cycle: names[cycle]):
            yield (self._directory.price_list_named(name, cutoff) or present), list(group)

    def _rate(
        self,
        account: Account,
        price_list: PriceList,
        cycles: Sequence[Period],
        stretch: Period | None,
        cutoff: int,
        *,
        settle: bool,
    ) -> tuple[dict[Period, CycleRated], list[Rating]]:
        settle = settle and price_list is not NO_PRICE_LIST  # nothing is posted, so a list that comes later may
        self._name(account, price_list)
        claims = self._directory.claims(account.id, cutoff)
        key = account_id(account.id)
        results = {cycle: CycleRated(price_list) for cycle in cycles}
        changed: list[Rating] = []
        for chunk in _chunks(_windows(account, price_list, cycles, stretch)):
            span = Period(chunk[0].start, chunk[-1].end)
            before = {r.window: r for r in self._warehouse.ratings([key], span)}
            grid = segments(chunk, price_list.cuts(span))
            usage = self._warehouse.usage(UsageRequest(claims, grid.edges, cutoff))
            sets = self._directory.attribute_sets(usage.column("attributes_id").unique().to_pylist())
            rated = rate(usage, price_list, self._registry, sets, grid)
            ratings = [_rating(key, w, price_list, cutoff, settled=settle) for w in rated.windows if w.lines]
            fresh = [r for r in ratings if _differs(r, before.get(r.window))]
            gone = _gone(before.values(), ratings, span)
            fresh += [_rating(key, w, price_list, cutoff, settled=settle) for w in gone]
            if fresh:
                self._warehouse.write_rating(fresh, _only(rated.lines, fresh), self._clock())
            changed += fresh
            _collect(results, rated.lines, ratings, before.values(), price_list)
        return results, changed

    def _name(self, account: Account, price_list: PriceList) -> None:
        """Make the names behind the integer keys known to the analysts' views, once a process."""
        if (account.id, -1) not in self._named:
            self._warehouse.write_names(accounts={account_id(account.id): account.id})
            self._named.add((account.id, -1))
        if (price_list.id, price_list.version) not in self._named:
            self._warehouse.write_names(prices=[_price_name(price_list, key) for key in price_list.by_key])
            self._named.add((price_list.id, price_list.version))


def _overlap(a: Period, b: Period) -> Period:
    return Period(max(a.start, b.start), min(a.end, b.end))


def _windows(
    account: Account, price_list: PriceList, cycles: Sequence[Period], stretch: Period | None
) -> Iterator[Period]:
    """Yield the rating windows of some cycles, or those of them that overlap a stretch; none crosses a cycle's edge.

    The list says how long a window is; an account that is billed more often has windows as short as its cycle.
    """
    order: tuple[calendar.Size, ...] = ("hour", "day", "month", "year")
    size = min(price_list.window, SIZES[account.cycle], key=order.index)
    for cycle in cycles:
        asked = _overlap(cycle, stretch) if stretch else cycle
        for window in calendar.windows(asked, size, account.timezone):
            yield _overlap(window, cycle)


def _chunks(windows: Iterable[Period]) -> Iterator[list[Period]]:
    """Yield runs of windows that follow on each other and are not too long together."""
    chunk: list[Period] = []
    for window in windows:
        if chunk and (window.start != chunk[-1].end or window.end - chunk[0].start > CHUNK_SECONDS):
            yield chunk
            chunk = []
        chunk.append(window)
    if chunk:
        yield chunk


def _collect(
    results: Mapping[Period, CycleRated],
    lines: pa.Table,
    ratings: Sequence[Rating],
    before: Iterable[Rating],
    price_list: PriceList,
) -> None:
    """Add a chunk's lines and ratings to the cycles that they belong to."""
    cycles = list(results)
    starts = np.array([c.start for c in cycles], np.int64)

    for rating in ratings:
        results[cycles[_place(starts, rating.window)]].ratings.append(rating)
    for rating in before:  # one that is settled already is of a run that was killed before it posted
        if (place := _place(starts, rating.window)) >= 0:
            results[cycles[place]].live_micros += rating.amount_micros
    cycle_of = np.searchsorted(starts, lines.column("window_start").to_numpy(), side="right") - 1
    prices, price_of = np.unique(lines.column("price_id").to_numpy(), return_inverse=True)
    group, count = cycle_of * len(prices) + price_of, len(cycles) * len(prices)
    totals = grouped_totals(lines.column("amount_micros").to_numpy(), group, count)
    for place in np.unique(group).tolist():
        price = price_list.by_key.get(int(prices[place % len(prices)]))
        if price is not None:
            sums = results[cycles[place // len(prices)]].micros_by_product
            sums[price.product] = sums.get(price.product, 0) + totals[place]


def _place(starts: npt.NDArray[np.int64], window: Period) -> int:
    """Return which cycle a window begins in, -1 for one that begins before the first."""
    return int(np.searchsorted(starts, window.start, side="right")) - 1


def _rating(key: int, total: WindowTotal, price_list: PriceList, cutoff: int, *, settled: bool) -> Rating:
    if abs(total.amount_micros) > MICROS_MAX:
        raise Poison("amount_too_large", f"window from {iso(total.window.start)}: check the quantities and the prices")
    return Rating(
        account_id=key,
        window=total.window,
        revision=cutoff,
        price_list=price_list.id,
        price_list_version=price_list.version,
        currency=price_list.currency,
        lines=total.lines,
        unpriced=total.unpriced,
        amount_micros=total.amount_micros,
        digest=total.digest,
        settled=settled,
    )


def _differs(new: Rating, old: Rating | None) -> bool:
    return old is None or (new.digest, new.settled, new.lines) != (old.digest, old.settled, old.lines)


def _gone(before: Iterable[Rating], ratings: Sequence[Rating], period: Period) -> list[WindowTotal]:
    """Return empty totals for windows that had lines and have none any more.

    Their usage moved to another account, or the windows changed their size.
    """
    kept = {r.window for r in ratings}
    gone = [r.window for r in before if r.lines and r.window not in kept and r.window.overlaps(period)]
    return [WindowTotal(window, 0, 0, 0, 0) for window in gone]


def _only(lines: pa.Table, ratings: Sequence[Rating]) -> pa.Table:
    """Return the lines of the given windows."""
    wanted = np.array([r.window.start for r in ratings], np.int64)
    mask = np.isin(lines.column("window_start").to_numpy(), wanted)
    return lines if mask.all() else lines.filter(pa.array(mask))


def _price_name(price_list: PriceList, key: int) -> PriceName:
    price = price_list.by_key[key]
    return PriceName(
        key,
        price_list.id,
        price_list.version,
        price.id,
        price.product,
        price.meter,
        price.unit,
        price.amount,
        price_list.currency,
    )
