"""One feed for all viewers of the live page: one background thread asks the stores, never a viewer.

The thread rests between two looks at least as long as `REST_FACTOR` looks take, so that a large warehouse is asked less
often instead of being kept busy. While nobody watches, it asks nothing.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from typing import Final, Protocol

import structlog

from billing.protocol import Account
from pipeline.directory import Directory
from rating.explain import Line, line_at
from schemas.errors import StratometerError
from schemas.meters import Registry
from schemas.period import FOREVER, SECOND, Clock, Period
from sinks.warehouse.protocol import IntakeTotals, Rating, Warehouse

HISTORY_MAX: Final = 120
"""Rates kept for the sparkline."""
LINES_MAX: Final = 200
"""Newest lines read at one look, over all accounts."""
LINES_PER_ACCOUNT_MAX: Final = 25
ACCOUNTS_MAX: Final = 10_000
"""Accounts whose newest lines are kept."""
REST_FACTOR: Final = 4
UNWATCHED_SECONDS: Final = 10.0
"""Without a viewer for so long the looking ends, until the next one comes."""


@dataclass(frozen=True, slots=True)
class NewLine:
    """A line as it arrived; `stored_at` in microseconds since 1970."""

    account: str
    line: Line
    stored_at: int
    resource: str
    attributes: Mapping[str, str]
    currency: str
    price: str
    """Exact text such as ``0.004 CU/GiB·h``; empty for an unpriced line."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the live page shows, over all tenants; `api.routes.stream` cuts it down to the viewer's scope.

    Attributes:
        number: ascending; the same number is the same snapshot.
        at: microseconds since 1970 of the look.
        rates: samples per second of the last looks, oldest first, each with its microseconds since 1970.
        counters: what became of all messages.
        since: seconds since 1970 from which costs are summed.
        accounts: every account, by id; the same object as before when nothing changed.
        costs: (account, currency) → micro-units.
        lines: newest lines by account, newest first.
        newest_stored_at: when the newest line was stored, microseconds since 1970; 0: none.
        fault: what kept the stores from answering, "" when they did.
    """

    number: int = 0
    at: int = 0
    rates: tuple[tuple[int, float], ...] = ()
    counters: IntakeTotals = field(default_factory=lambda: IntakeTotals(0, 0, 0, 0, 0))
    since: int = 0
    accounts: Mapping[str, Account] = field(default_factory=dict)
    costs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    lines: Mapping[str, Sequence[NewLine]] = field(default_factory=dict)
    newest_stored_at: int = 0
    fault: str = ""


class LiveFeed(Protocol):
    """Gives the newest snapshot at no cost to the caller."""

    def snapshot(self) -> Snapshot:
        """Return the newest snapshot; never blocks, never asks a store.

        The feed looks only while somebody asks for snapshots: a viewer does so again and again.
        """

    @property
    def stopped(self) -> bool:
        """Tell whether the feed ended, so that streams end too."""

    def start(self) -> None:
        """Begin to look; a second call changes nothing."""

    def stop(self) -> None:
        """End the looking and every stream."""


def month_of(now: int) -> int:
    """Return the first second of the UTC month that holds an instant, both in seconds since 1970."""
    moment = datetime.fromtimestamp(now, UTC)
    return int(moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp())


class StoreFeed:
    """The default feed: reads ratings, newest lines and counters from the warehouse while somebody watches."""

    def __init__(
        self,
        warehouse: Warehouse,
        directory: Directory,
        registry: Registry,
        clock: Clock,
        *,
        interval_seconds: float = 1.0,
        since: Callable[[int], int] = month_of,
        accepted: Callable[[], int] | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep the collaborators.

        Args:
            warehouse: facts.
            directory: accounts and price lists.
            registry: meters.
            clock: microseconds since 1970, for what is shown.
            interval_seconds: shortest time between two looks.
            since: now → first second from which costs are summed (seconds since 1970).
            accepted: samples taken so far by this process; None takes the warehouse's counter.
            seconds: monotonic clock.
        """
        self._warehouse, self._directory, self._registry, self._clock = warehouse, directory, registry, clock
        self._interval, self._since, self._accepted, self._seconds = interval_seconds, since, accepted, seconds
        self._snapshot = Snapshot()
        self._rates: deque[tuple[int, float]] = deque(maxlen=HISTORY_MAX)
        self._before: tuple[float, int] | None = None
        self._currencies: dict[str, str] = {}
        self._lines: dict[str, list[NewLine]] = {}
        self._asked = float("-inf")
        self._stop, self._wanted, self._lock = Event(), Event(), Lock()
        self._thread: Thread | None = None

    def snapshot(self) -> Snapshot:
        """Return the newest snapshot, an empty one when nobody watched before; the looking goes on or begins."""
        self._asked = self._seconds()
        self._wanted.set()
        return self._snapshot

    @property
    def stopped(self) -> bool:
        """Tell whether `stop` was called."""
        return self._stop.is_set()

    def start(self) -> None:
        """Start the thread, once."""
        with self._lock:
            if self._thread is None and not self.stopped:
                self._thread = Thread(target=self._run, name="live-feed", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for its last look."""
        self._stop.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def look(self) -> Snapshot:
        """Ask the stores once; a store that is away keeps the last figures and says so."""
        try:
            self._snapshot = self._read()
        except StratometerError as error:
            structlog.get_logger("api.live").warning("no fresh figures", error=type(error).__name__)
            last = self._snapshot
            fault = "the warehouse or the books do not answer; these are the last figures known"
            self._snapshot = replace(last, number=last.number + 1, fault=fault)
        return self._snapshot

    def _run(self) -> None:
        while self._watched():
            begun = self._seconds()
            try:
                self.look()
            except Exception:  # a feed must not take the process down, and must not die unseen
                structlog.get_logger("api.live").exception("live feed")
            self._stop.wait(max(self._interval, REST_FACTOR * (self._seconds() - begun)))

    def _watched(self) -> bool:
        """Wait until somebody watches; False: the feed ended."""
        self._wanted.clear()  # first, so that neither a viewer nor the end between here and the wait goes unnoticed
        if not self.stopped and self._seconds() - self._asked > UNWATCHED_SECONDS:
            # The next viewer begins with nothing: old figures, and the accounts that its scope is cut by, are worse.
            self._snapshot = Snapshot(self._snapshot.number)
            self._rates.clear()
            self._lines.clear()
            self._before = None
            self._wanted.wait()
        return not self.stopped

    def _read(self) -> Snapshot:
        now = self._clock()
        counters = self._warehouse.intake_totals()
        self._rate(now, self._accepted() if self._accepted else counters.accepted)
        since = self._since(now // SECOND)
        costs = self._costs(self._warehouse.ratings(None, Period(since, FOREVER)), since)
        newest = self._newest()
        accounts = self._directory.accounts()
        return Snapshot(
            self._snapshot.number + 1,
            now,
            tuple(self._rates),
            counters,
            since,
            self._snapshot.accounts if accounts == self._snapshot.accounts else accounts,
            costs,
            {a: tuple(found) for a, found in self._lines.items()},
            max(newest, self._snapshot.newest_stored_at),
        )

    def _rate(self, now: int, accepted: int) -> None:
        instant = self._seconds()
        if self._before is not None and instant > self._before[0]:
            self._rates.append((now, max(0, accepted - self._before[1]) / (instant - self._before[0])))
        self._before = (instant, accepted)

    def _costs(self, ratings: Sequence[Rating], since: int) -> Mapping[tuple[str, str], int]:
        names = self._directory.account_of_key()
        costs: dict[tuple[str, str], int] = {}
        for rating in ratings:
            account = names.get(rating.account_id)
            if account is None or rating.window.start < since:
                continue
            self._currencies[account] = rating.currency
            key = (account, rating.currency)
            costs[key] = costs.get(key, 0) + rating.amount_micros
        return costs

    def _newest(self) -> int:
        table = self._warehouse.newest_lines(None, LINES_MAX)
        names = self._directory.account_of_key()
        keys, stored = table["account_id"].to_pylist(), table["stored_at"].to_pylist()
        found = [(names.get(k), line_at(table, row), at) for row, (k, at) in enumerate(zip(keys, stored, strict=True))]
        resources = self._warehouse.resource_names(sorted({line.resource_id for _, line, _ in found}))
        sets = self._directory.attribute_sets(sorted({line.attributes_id for _, line, _ in found}))
        fresh: dict[str, list[NewLine]] = {}
        for account, line, at in found:
            if account is None:
                continue
            _, key, name = resources.get(line.resource_id, ("", "", ""))
            currency, price = self._price(account, line)
            fresh.setdefault(account, []).append(
                NewLine(account, line, at, name or key, sets.get(line.attributes_id, {}), currency, price)
            )
        if len(self._lines) > ACCOUNTS_MAX:
            self._lines.clear()
        for account, lines in fresh.items():
            # A window that is rated anew replaces its lines; a line that was replaced is no news any more.
            known = {_place(one.line) for one in lines}
            older = [one for one in self._lines.get(account, []) if _place(one.line) not in known]
            self._lines[account] = [*lines, *older][:LINES_PER_ACCOUNT_MAX]
        return max(stored, default=0)

    def _price(self, account: str, line: Line) -> tuple[str, str]:
        found = self._directory.accounts().get(account)
        price_list = self._directory.price_list(found) if found else None
        price = price_list.by_key.get(line.price_id) if price_list else None
        currency = self._currencies.get(account, price_list.currency if price_list else "")
        return currency, f"{price.amount} {currency}/{price.unit}" if price and price.amount else ""


def _place(line: Line) -> tuple[int, ...]:
    return line.segment_start, line.segment_end, line.resource_id, line.meter_id, line.attributes_id
