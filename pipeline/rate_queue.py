"""Collects triggers and rates the accounts they name: what stands behind both shells' live rating."""

from collections.abc import Iterator, Mapping
from threading import Lock

import structlog

from billing.protocol import Books
from pipeline.directory import Directory
from pipeline.rate import Rater
from pipeline.rate_run import sizes_of
from pipeline.standing import standing
from pipeline.touched import touched_days
from schemas import calendar
from schemas.calendar import SIZES
from schemas.claim import Claim
from schemas.errors import Poison
from schemas.ids import account_id
from schemas.period import SECOND, Clock, Period
from sinks.warehouse.protocol import Warehouse

log = structlog.get_logger(__name__)


class RateQueue:
    """Accounts waiting to be rated, each with the cells that were touched."""

    def __init__(self) -> None:
        """Start empty."""
        self._waiting: dict[str, Period] = {}
        self._lock = Lock()

    def add(self, account: str, cells: Period) -> None:
        """Note that an account has new rows."""
        with self._lock:
            before = self._waiting.get(account, cells)
            self._waiting[account] = Period(min(before.start, cells.start), max(before.end, cells.end))

    def take(self) -> dict[str, Period]:
        """Return what waits and forget it."""
        with self._lock:
            taken, self._waiting = self._waiting, {}
        return taken


class LiveRating:
    """Rates accounts live and finds those that no trigger named."""

    def __init__(self, warehouse: Warehouse, books: Books, directory: Directory, rater: Rater, clock: Clock) -> None:
        """Keep the collaborators; `clock` gives microseconds since 1970."""
        self._warehouse, self._books, self._directory = warehouse, books, directory
        self._rater, self._clock = rater, clock
        self._swept_to = 0
        self._rated: dict[str, Period] = {}
        self._published: Mapping[str, tuple[Claim, ...]] | None = None

    def rate(self, touched: Mapping[str, Period]) -> int:
        """Rate the named accounts as of now; return how many windows changed. Raises Transient."""
        changed, cutoff = 0, self._clock()
        accounts = self._directory.accounts()
        for name, cells in sorted(touched.items()):
            if name in accounts:
                try:
                    changed += len(self._rater.rate_live(accounts[name], cells, cutoff))
                except Poison as error:  # this account needs a person; the others are rated all the same
                    log.error("account cannot be rated", account=name, error=str(error))
        return changed

    def accounts_of(self, touched: Mapping[int, Period]) -> dict[str, Period]:
        """Return by account what was touched by tenant."""
        queue = RateQueue()
        for tenant, cells in touched.items():
            for account in self._directory.with_siblings(self._directory.accounts_of_tenants([tenant])):
                queue.add(account, cells)
        return queue.take()

    def sweep(self) -> dict[str, Period]:
        """Return every account with rows stored since the last sweep and the days they lie in, and who owes without.

        The first sweep of a process looks at everything, so that a trigger lost with the process before it is made up
        for. Sweeps overlap, because a row's `stored_at` is a little older than the moment it becomes visible.
        """
        now = self._clock()
        self._publish_attribution(now)
        days = touched_days(self._warehouse, self._books, self._directory, self._swept_to, now)
        self._swept_to = now - SWEEP_OVERLAP_MICROS
        queue = RateQueue()
        for account, found in days.items():
            if found:
                queue.add(account, Period(found[0].start, found[-1].end))
        for account in self._owing(now // SECOND):
            queue.add(account, Period(now // SECOND, now // SECOND + 1))
        return queue.take()

    def _owing(self, second: int) -> Iterator[str]:
        """Yield the accounts that owe something without usage, each once in every window of their list."""
        for account in self._directory.accounts().values():
            price_list = self._directory.present_list(account)
            owes = None if price_list is None else standing(price_list)
            if price_list is None or owes is None or second not in owes:
                continue
            if second not in self._rated.get(account.id, Period(0, 0)):
                size = min(sizes_of(price_list), key=SIZES.index)
                self._rated[account.id] = calendar.window_of(second, size, account.timezone)
                yield account.id

    def _publish_attribution(self, now: int) -> None:
        """Let the analysts' views know who pays for what, when it changed."""
        claims = self._directory.all_claims()
        if claims != self._published:
            named = {account_id(account): account for account in claims}
            self._warehouse.write_names(accounts=named)
            self._warehouse.write_attribution({account_id(a): found for a, found in claims.items()}, now)
            self._published = claims


SWEEP_OVERLAP_MICROS = 120 * 1_000_000
"""Above any insert time-out."""
