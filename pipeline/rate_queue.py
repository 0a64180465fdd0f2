"""Collects triggers and rates the accounts they name: what stands behind both shells' live rating."""

from collections.abc import Mapping
from threading import Lock

import structlog

from billing.protocol import Books
from pipeline.directory import Directory
from pipeline.rate import Rater
from pipeline.touched import touched_days
from schemas.claim import Claim
from schemas.errors import Poison
from schemas.ids import account_id
from schemas.period import Clock, Period
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
            for account in self._directory.accounts_of_tenants([tenant]):
                queue.add(account, cells)
        return queue.take()

    def sweep(self) -> dict[str, Period]:
        """Return every account with rows stored since the last sweep, and the days they lie in.

        The first sweep of a process looks at everything, so that a trigger lost with the process before it is made up
        for. Sweeps overlap, because a row's `stored_at` is a little older than the moment it becomes visible.
        """
        now = self._clock()
        self._publish_attribution(now)
        days = touched_days(self._warehouse, self._books, self._directory, self._swept_to, now)
        self._swept_to = now - SWEEP_OVERLAP_MICROS
        return {account: Period(found[0].start, found[-1].end) for account, found in days.items() if found}

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
