"""Rating an account: read its deduplicated usage, call the pure `rate`, write what changed as a new revision.

Always a recomputation from what is stored as of a cut-off, never an increment: a trigger that is lost, repeated or
reordered cannot change a number. Settling calls the same function; only the mark `settled` differs.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import numpy as np
import pyarrow as pa

from billing.cycles import SIZES, cycles_due
from billing.ledger import MICROS_MAX
from billing.protocol import Account, Books
from pipeline.directory import Directory
from pipeline.late import late_of, running_meters
from pipeline.rate_plan import reach
from pipeline.rate_run import Job, RatedWindows, Run, lines_of, sizes_of
from pipeline.usage_reader import UsageReader
from rating.components import LinePrice
from rating.exact import grouped_totals
from rating.lists import PriceList
from rating.price import UNIT
from rating.totals import WindowTotal
from schemas.errors import Poison
from schemas.ids import account_id
from schemas.meters import Registry
from schemas.period import SECOND, Clock, Period, iso
from sinks.warehouse.protocol import LINE_SCHEMA, PriceName, Rating, Warehouse

NO_PRICE_LIST: Final = PriceList("none", "no price list", "XXX", "day")
"""Prices nothing: every line is unpriced, and is shown as such. XXX is ISO 4217 for no currency."""
WRITTEN_LINES: Final = 200_000
"""Lines after which a run writes what it has; fewer are written at once, at its end."""


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
        self._reader = UsageReader(warehouse, directory)
        self._named: set[tuple[str, str]] = set()

    def rate_live(self, account: Account, touched: Period, cutoff: int) -> Sequence[Rating]:
        """Rate the unsettled windows that overlap `touched`; return the ratings that changed.

        Settled cycles are left to the settle job: late data becomes an adjustment there, never a changed line here.

        Args:
            account: who pays.
            touched: seconds since 1970; windows that overlap it are rated whole, and those whose tiers run on from it.
            cutoff: microseconds since 1970; the revision written.
        """
        price_list = self._directory.price_list(account, cutoff) or NO_PRICE_LIST
        settled = self._settled(account)
        far = reach(touched, sizes_of(price_list), SIZES[account.cycle], account.timezone, cutoff // SECOND)
        if running_meters(price_list) and any(cycle.overlaps(touched) for cycle in settled):
            now = cutoff // SECOND  # late usage of a settled cycle is charged at the beginning of the present one
            far, touched = (Period(p.start, max(p.end, now + 1)) for p in (far, touched))
        cycles = cycles_due(far.start, far.end, account.cycle, account.timezone, settled)
        job = Job(account, price_list, [c for c in cycles if c not in settled], touched, settled, cutoff)
        return self._rate(job, settle=False)[1]

    def rate_cycles(self, account: Account, cycles: Sequence[Period], cutoff: int) -> Mapping[Period, CycleRated]:
        """Rate whole billing cycles, in order of time, for settling; mark their windows settled.

        Prices, rules and usage are read as of the cut-off (microseconds since 1970), so the result can be reproduced.
        """
        results: dict[Period, CycleRated] = {}
        settled = self._settled(account)
        for price_list, group in self._by_price_list(account, cycles, cutoff):
            results |= self._rate(Job(account, price_list, group, None, settled, cutoff), settle=True)[0]
        return results

    def run(self, job: Job) -> Iterator[RatedWindows]:
        """Rate without writing, block by block."""
        late = late_of(job, self._warehouse, self._books, self._directory, self._reader)
        return Run(job, self._directory, self._reader, self._registry, late).windows()

    def _settled(self, account: Account) -> frozenset[Period]:
        return frozenset(Period(s.cycle_start, s.cycle_end) for s in self._books.settlements(account.id))

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
            own = None if name == present.id else self._directory.price_list_named(name, cutoff)
            yield own or present, list(group)

    def _rate(self, job: Job, *, settle: bool) -> tuple[dict[Period, CycleRated], list[Rating]]:
        price_list, cycles = job.price_list, job.asked
        results = {cycle: CycleRated(price_list) for cycle in cycles}
        if not cycles:
            return results, []
        settle = settle and price_list is not NO_PRICE_LIST  # nothing is posted, so a list that comes later may
        self._name(job.account, price_list)
        key = account_id(job.account.id)
        before = {r.window: r for r in self._warehouse.ratings([key], Period(cycles[0].start, cycles[-1].end))}
        cycle_of = _Finder(cycles)
        for rating in before.values():  # one that is settled already is of a run that was killed before it posted
            if (cycle := cycle_of.start(rating.window)) is not None:
                results[cycle].live_micros += rating.amount_micros
        writer, looked_at, found = _Writer(self._warehouse, self._clock), set[Period](), set[Period]()
        for part in self.run(job):
            ratings = [_rating(key, w, price_list, job.cutoff, settled=settle) for w in part.totals if w.lines]
            looked_at |= {total.window for total in part.totals}
            found |= {rating.window for rating in ratings}
            writer.add([r for r in ratings if _differs(r, before.get(r.window))], part.lines)
            _collect(results, cycle_of, part.lines, ratings, price_list)
        for window in sorted(before):
            inside = cycle_of.overlapping(window) is not None and (not job.stretch or window.overlaps(job.stretch))
            # Had lines and has none any more: its usage moved to another account, or windows changed their size.
            if before[window].lines and window not in found and (inside or window in looked_at):
                gone = _rating(key, WindowTotal(window, 0, 0, 0, 0), price_list, job.cutoff, settled=settle)
                writer.add([gone], None)
        writer.flush()
        return results, writer.written

    def _name(self, account: Account, price_list: PriceList) -> None:
        """Make the names behind the integer keys known to the analysts' views, once a process."""
        if (account.id, "") not in self._named:
            self._warehouse.write_names(accounts={account_id(account.id): account.id})
            self._named.add((account.id, ""))
        if (price_list.id, price_list.digest) not in self._named:
            currency = price_list.currency
            names = [_price_name(key, price, currency) for key, price in price_list.by_key.items()]
            self._warehouse.write_names(prices=names)
            self._named.add((price_list.id, price_list.digest))


class _Finder:
    """Finds the cycle of a window; cycles are in order and do not overlap."""

    def __init__(self, cycles: Sequence[Period]) -> None:
        self._cycles, self._starts = cycles, [cycle.start for cycle in cycles]

    def start(self, window: Period) -> Period | None:
        """Return the cycle in which a window begins."""
        place = bisect_right(self._starts, window.start) - 1
        return self._cycles[place] if place >= 0 and window.start in self._cycles[place] else None

    def overlapping(self, window: Period) -> Period | None:
        """Return the last cycle that overlaps a window."""
        place = bisect_left(self._starts, window.end) - 1
        return self._cycles[place] if place >= 0 and self._cycles[place].end > window.start else None


class _Writer:
    """Writes ratings with their lines, many at a time; all are of one account."""

    def __init__(self, warehouse: Warehouse, clock: Clock) -> None:
        self._warehouse, self._clock = warehouse, clock
        self.written: list[Rating] = []
        self._ratings: list[Rating] = []
        self._lines: list[pa.Table] = []
        self._rows = 0

    def add(self, ratings: Sequence[Rating], lines: pa.Table | None) -> None:
        """Take ratings and a table that holds their lines, among others; None: they have none."""
        if not ratings:
            return
        self._ratings += ratings
        if lines is not None:
            self._lines.append(lines_of(lines, [rating.window for rating in ratings])[0])
            self._rows += self._lines[-1].num_rows
        if self._rows > WRITTEN_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what was taken."""
        if self._ratings:
            lines = pa.concat_tables(self._lines) if self._lines else LINE_SCHEMA.empty_table()
            self._warehouse.write_rating(self._ratings, lines, self._clock())
        self.written += self._ratings
        self._ratings, self._lines, self._rows = [], [], 0


def _collect(
    results: Mapping[Period, CycleRated],
    cycle_of: _Finder,
    lines: pa.Table,
    ratings: Iterable[Rating],
    price_list: PriceList,
) -> None:
    """Add lines and ratings to the cycles that they belong to."""
    for rating in ratings:
        if (cycle := cycle_of.start(rating.window)) is not None:
            results[cycle].ratings.append(rating)
    starts, window = np.unique(lines.column("window_start").to_numpy(), return_inverse=True)
    cycles = [cycle_of.start(Period(start, start)) for start in starts.tolist()]
    prices, price_of = np.unique(lines.column("price_id").to_numpy(), return_inverse=True)
    group, count = window * len(prices) + price_of, len(cycles) * len(prices)
    totals = grouped_totals(lines.column("amount_micros").to_numpy(), group, count)
    for place in np.unique(group).tolist():
        price = price_list.by_key.get(int(prices[place % len(prices)]))
        cycle = cycles[place // len(prices)]
        if price is not None and cycle is not None:
            sums = results[cycle].micros_by_product
            sums[price.product] = sums.get(price.product, 0) + totals[place]


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


def _price_name(key: int, price: LinePrice, currency: str) -> PriceName:
    return PriceName(
        key,
        price.list_id,
        price.version,
        price.id if price.component == UNIT else f"{price.id}#{price.component}",
        price.product,
        price.meter,
        price.unit,
        price.amount,
        currency,
    )
