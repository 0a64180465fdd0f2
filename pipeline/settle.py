"""Settling: closed billing cycles become debits, late data and corrected rules or prices become adjustments.

A run reads what was stored before its cut-off, decides, and posts; transfer ids are derived from account, cycle and
number, so a run that is repeated, doubled or killed posts nothing twice. The cursor in the books only saves work: it
says up to which cut-off every account was looked at.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from billing.cycles import SIZES, cycles_due
from billing.protocol import Account, Books, Settlement
from billing.settlement import Rated, next_settlement
from pipeline.directory import Directory
from pipeline.late import running_meters
from pipeline.rate import NO_PRICE_LIST, CycleRated, Rater
from pipeline.rate_plan import reach
from pipeline.rate_run import sizes_of
from pipeline.standing import customer_since, standing
from pipeline.touched import DAY_SECONDS, changed_since, touched_days
from schemas.calendar import Size
from schemas.errors import Conflict, Poison
from schemas.ids import account_id
from schemas.period import SECOND, Clock, Period
from sinks.warehouse.protocol import Warehouse

log = structlog.get_logger(__name__)

CURSOR: Final = "settle"
DAY_MICROS: Final = DAY_SECONDS * SECOND
SUPERSEDED_DAYS: Final = 90
"""How long live ratings that a newer one replaced can still be read as of their time."""
RACES_MAX: Final = 5
"""How often a settlement that another process recorded first is computed anew."""


@dataclass(frozen=True, slots=True)
class SettleRules:
    """When a cycle is settled; seconds. See the settings section `settle`."""

    grace_seconds: int
    cutoff_margin_seconds: int
    late_seconds: int


@dataclass(frozen=True, slots=True)
class SettleReport:
    """What a run did.

    Attributes:
        cutoff: microseconds since 1970.
        examined: cycles rated.
        settlements: recorded by this run.
        problems: accounts that need a person; the next run tries them again.
    """

    cutoff: int
    examined: int
    settlements: Sequence[Settlement]
    problems: Sequence[str] = ()


class Settler:
    """Runs the settle job."""

    def __init__(
        self, warehouse: Warehouse, books: Books, directory: Directory, rater: Rater, clock: Clock, rules: SettleRules
    ) -> None:
        """Keep the collaborators."""
        self._warehouse, self._books, self._directory = warehouse, books, directory
        self._rater, self._clock, self._rules = rater, clock, rules

    def run(self, progress: Callable[[int, int], None] = lambda _done, _all: None) -> SettleReport:
        """Settle everything that is due.

        Args:
            progress: told (cycles done, cycles to do).

        Raises:
            Transient: a store is away; run again.
        """
        self._directory.refresh()
        cutoff = self._clock() - self._rules.cutoff_margin_seconds * SECOND
        since = self._books.cursor(CURSOR)
        work = self._work(since, cutoff)
        total, done = sum(len(cycles) for cycles in work.values()), 0
        recorded: list[Settlement] = []
        problems: list[str] = []
        for account, cycles in work.items():
            try:
                for settlement in self._settle(account, cycles, cutoff):
                    done += 1
                    progress(done, total)
                    if settlement is not None:
                        recorded.append(settlement)
            except (Conflict, Poison) as error:  # this account needs a person; the others are settled all the same
                log.error("account cannot be settled", account=account.id, error=str(error))
                problems.append(f"{account.id}: {error}")
        if not problems:
            self._books.advance(CURSOR, cutoff)
        if since // DAY_MICROS != cutoff // DAY_MICROS:  # once a day
            self._warehouse.prune(cutoff - SUPERSEDED_DAYS * DAY_MICROS)
        return SettleReport(cutoff, total, recorded, problems)

    def _work(self, since: int, cutoff: int) -> dict[Account, list[Period]]:
        """Return the cycles to examine: closed, and touched, come of age since the last run, or due without usage."""
        closed_before = cutoff // SECOND - self._rules.grace_seconds
        oldest = cutoff // SECOND - self._rules.late_seconds
        touched = touched_days(self._warehouse, self._books, self._directory, since, cutoff)
        rules = self._books.rules(cutoff)
        everything = changed_since(self._books, since)
        work: dict[Account, list[Period]] = {}
        for account in self._directory.accounts().values():
            known = {Period(s.cycle_start, s.cycle_end) for s in self._books.settlements(account.id)}
            used = touched.get(account.id, ())
            sizes, owes, late = self._terms(account, cutoff)
            cycle, zone = SIZES[account.cycle], account.timezone
            stretches = [reach(days, sizes, cycle, zone, max(days.end, closed_before)) for days in used]
            if late and any(settled.overlaps(days) for settled in known for days in used):
                # Charged when it arrived, which was after the last run.
                start = max(since // SECOND, min(days.start for days in used))
                stretches.append(Period(start, max(start, closed_before)))
            cycles = set(self._cycles(account, stretches, closed_before, known))
            cycles -= {c for c in known if c.end <= oldest}  # too late for an adjustment
            idle: set[Period] = set()
            if since:  # what was touched while it was open has come of age since
                start = since // SECOND - self._rules.grace_seconds - DAY_SECONDS
                idle |= set(self._cycles(account, [Period(start, max(start, closed_before))], closed_before, known))
            if owes is not None:
                begin = customer_since(account, rules, known, used)
                if begin is None:
                    begin = self._first_seen(account, Period(oldest, closed_before))
                first = max(begin, owes.start, oldest)
                due = Period(first, max(first, min(owes.end, closed_before)))
                idle |= set(self._cycles(account, [due], closed_before, known)) if everything else set()
                idle = {c for c in idle if c.end > begin}
            cycles |= idle - known
            if cycles:
                work[account] = sorted(cycles)
        return work

    def _first_seen(self, account: Account, period: Period) -> int:
        """Return when live rating first saw an account; the period's end where it never did."""
        seen = self._warehouse.ratings([account_id(account.id)], period)
        return min((rating.window.start for rating in seen), default=period.end)

    def _terms(self, account: Account, cutoff: int) -> tuple[Sequence[Size], Period | None, bool]:
        """Return the sizes of an account's windows, when it owes without usage, and whether late usage moves on."""
        try:
            price_list = self._directory.price_list(account, cutoff)
        except Poison:  # settling it will say so
            return (), None, False
        if price_list is None:
            return (), None, False
        return sizes_of(price_list), standing(price_list), bool(running_meters(price_list))

    def _cycles(self, account: Account, stretches: Sequence[Period], end: int, known: set[Period]) -> Iterator[Period]:
        """Yield the cycles that overlap the stretches and are over before `end` (seconds)."""
        for stretch in stretches:
            if stretch.start < end:
                due = cycles_due(stretch.start, min(stretch.end, end), account.cycle, account.timezone, known)
                yield from (c for c in due if c.end <= end)

    def _settle(self, account: Account, cycles: Sequence[Period], cutoff: int) -> Iterator[Settlement | None]:
        """Rate the cycles together, then settle one after the other; yield what was recorded for each."""
        rated = self._rater.rate_cycles(account, cycles, cutoff)
        for cycle in cycles:
            yield self._record(account, cycle, rated[cycle], cutoff)

    def _record(self, account: Account, cycle: Period, rated: CycleRated, cutoff: int) -> Settlement | None:
        for attempt in range(RACES_MAX):
            standing = self._books.settled_cycle(account.id, cycle.start)
            previous = standing.settlements
            if not previous and (not rated.lines or rated.price_list is NO_PRICE_LIST):
                return None  # a cycle keeps the currency of its first settlement: without prices there is none yet
            if previous and previous[-1].cutoff > cutoff:
                return None  # another run saw more than we did
            summary = Rated(
                rated.micros_by_product,
                rated.price_list.currency,
                cutoff,
                previous[-1].total_micros if previous else rated.live_micros,
                rated.lines,
                rated.digest,
                ((rated.price_list.id, rated.price_list.version),),
            )
            decided = next_settlement(account, cycle, standing, summary, self._clock() // SECOND)
            if decided is None:
                return None
            settlement, transfer = decided
            try:
                self._books.settle(settlement, transfer, self._clock())
            except Conflict:  # another process was first; look again at what stands there now
                if attempt == RACES_MAX - 1:
                    raise
                continue
            return settlement
        return None
