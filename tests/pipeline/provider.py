"""A small provider on real stores, with a clock that tests move: samples go in as messages, debits come out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from uuid import uuid4

from billing.accounts import put_account
from billing.auditor import audit
from billing.journal import all_transfers
from billing.ledger import wallet
from billing.protocol import Account, Books, MappingRule, Settlement
from pipeline.directory import Directory
from pipeline.durable import DurableWriter
from pipeline.message import Message
from pipeline.rate import Rater
from pipeline.rate_queue import LiveRating, RateQueue
from pipeline.settle import Settler, SettleReport, SettleRules
from schemas.ids import account_id
from schemas.period import FOREVER, SECOND, Clock, Period
from sinks.books.connect import open_books
from sinks.warehouse.connect import open_warehouse
from sinks.warehouse.protocol import Rating
from sinks.warehouse.store import Store
from stratometer.compose import Parts
from stratometer.export import document
from stratometer.settings import Settings
from tests.pipeline.fakes import Clock as TestClock
from tests.pipeline.fakes import KeptLetters
from tests.pipeline.rows import DAY, HOUR, REGISTRY, SITE, T0, Row, message

GRACE: Final = 2 * HOUR
RULES: Final = SettleRules(grace_seconds=GRACE, cutoff_margin_seconds=0, late_seconds=400 * DAY)
ALL: Final = Period(0, FOREVER)
PRICES: Final = """
id: default
name: Standard
currency: CU
window: {window}
prices:
  - {{id: vcpu, product: Compute, meter: vm.vcpu, amount: "{vcpu}", per: vCPU·h, from: 2026-01-01T00:00:00Z}}
  - {{id: gold, product: Storage, meter: disk.capacity, amount: "0.0003", per: GiB·h, when: {{tier: gold}},
     from: 2026-01-01T00:00:00Z}}
  - {{id: disk, product: Storage, meter: disk.capacity, amount: "0.0001", per: GiB·h, from: 2026-01-01T00:00:00Z}}
  - {{id: image, product: Images, meter: image.deployment, amount: "0.5", per: deployment,
     from: 2026-01-01T00:00:00Z}}
"""


def prices(vcpu: str = "0.01", window: str = "day") -> str:
    return PRICES.format(vcpu=vcpu, window=window)


@dataclass
class Provider:
    """Everything that stands on the two stores."""

    parts: Parts
    clock: TestClock
    letters: KeptLetters
    queue: RateQueue
    writer: DurableWriter
    sequence: int = 0
    reports: list[SettleReport] = field(default_factory=list)

    @property
    def books(self) -> Books:
        return self.parts.books

    def account(self, name: str = "acme", tenant: str | None = None, **fields: object) -> Account:
        """Create or change an account and, once, the rule that gives it a tenant of its own name."""
        known = self.books.account(name)
        account = replace(known or Account(name, name.title()), **fields)  # type: ignore[arg-type]
        put_account(self.books, account, self.clock())
        if known is None and tenant != "":
            self.rule(tenant or name, name)
        self.parts.directory.refresh()
        return account

    def rule(self, tenant: str, account: str, **fields: object) -> MappingRule:
        rule = MappingRule(0, "*", tenant, account, **fields)  # type: ignore[arg-type]
        recorded = self.books.add_rule(rule, self.clock())
        self.parts.directory.refresh()
        return recorded

    def price(self, vcpu: str = "0.01", window: str = "day", text: str = "") -> None:
        self.books.put_price_list("default", text or prices(vcpu, window), self.clock())

    def send(self, rows: Iterable[Row], site: str = SITE) -> None:
        """Meter and store rows as a message of their own, at the earliest when the last cell is over."""
        taken = list(rows)
        self.clock.move_to(max(r.start + r.cell for r in taken))
        self.sequence += 1
        self.deliver([message(taken, self.sequence, site)])
        assert self.letters.records == []

    def deliver(self, messages: Sequence[Message]) -> None:
        self.writer.write(messages)

    def rate(self) -> int:
        """Rate what was touched, as the live rating does."""
        return self.parts.live.rate(self.queue.take())

    def settle(self, at: int | None = None) -> SettleReport:
        if at is not None:
            self.clock.move_to(at)
        report = self.parts.settler.run()
        self.reports.append(report)
        return report

    def ratings(self, account: str | None = None) -> Sequence[Rating]:
        return self.parts.warehouse.ratings([account_id(account)] if account else None, ALL)

    def settlements(self, account: str = "acme") -> Sequence[Settlement]:
        return self.books.settlements(account)

    def balance(self, account: str = "acme") -> int:
        return self.books.balance(wallet(account), "CU")

    def debited(self) -> int:
        """Σ micro-units taken from all wallets."""
        return -sum(micros for (name, _), micros in self.books.balances().items() if name.startswith("wallet:"))

    def rated(self) -> int:
        """Σ micro-units of valid settled ratings."""
        return sum(r.amount_micros for r in self.ratings() if r.settled)

    def holds(self) -> None:
        """Check what must hold after every settle run: invariants 10, 11 and 12."""
        assert audit(list(all_transfers(self.books)), self.books.settlements(), self.books.balances()) == []
        assert self.debited() == self.rated()

    def export(self, period: Period) -> bytes:
        return b"".join(document(self.parts, period))


@contextmanager
def provider_in(folder: Path, chdb_folder: Path, start: int = T0, books_url: str = "") -> Iterator[Provider]:
    """Open fresh stores: a database of chDB's shared folder, and SQLite unless told otherwise."""
    clock = TestClock(start * SECOND)
    warehouse = open_warehouse(f"chdb://{chdb_folder}?database=p_{uuid4().hex}", clock=clock)
    try:
        warehouse.migrate()
        books = open_books(books_url or f"sqlite:///{folder / f'{uuid4().hex}.db'}")
        try:
            books.migrate()
            yield assemble(warehouse, books, clock, folder)
        finally:
            books.close()
    finally:
        drop(warehouse)
        warehouse.close()


def assemble(warehouse: Store, books: Books, clock: TestClock, folder: Path) -> Provider:
    directory = Directory(books, warehouse, REGISTRY, clock, ttl_seconds=0)
    rater = Rater(warehouse, books, directory, REGISTRY, clock)
    live = LiveRating(warehouse, books, directory, rater, clock)
    parts = Parts(
        settings=Settings(dev=True, data_dir=folder),
        clock=clock,
        registry=REGISTRY,
        warehouse=warehouse,
        books=books,
        directory=directory,
        rater=rater,
        live=live,
        settler=Settler(warehouse, books, directory, rater, clock, RULES),
    )
    queue, letters = RateQueue(), KeptLetters()

    def touch(tenants: Mapping[int, Period]) -> None:
        for account, cells in live.accounts_of(tenants).items():
            queue.add(account, cells)

    writer = DurableWriter(warehouse, letters, REGISTRY, clock, touch)
    return Provider(parts, clock, letters, queue, writer)


def other_run(provider: Provider, clock: Clock | None = None, books: Books | None = None) -> Settler:
    """Return the settler of another process on the same stores."""
    parts, clock, books = provider.parts, clock or provider.clock, books or provider.books
    directory = Directory(books, parts.warehouse, REGISTRY, clock, ttl_seconds=0)
    rater = Rater(parts.warehouse, books, directory, REGISTRY, clock)
    return Settler(parts.warehouse, books, directory, rater, clock, RULES)


def drop(warehouse: Store) -> None:
    """Give disk and background threads back before the next test."""
    warehouse.engine.execute(f"DROP DATABASE IF EXISTS `{warehouse.engine.database}`")


def level(
    vcpu: int = 2, start: int = T0, hours: int = 24, tenant: str = "acme", resource: str = "vm/1", **fields: object
) -> list[Row]:
    """Return the rows of vCPUs held over whole hours."""
    starts = range(start, start + hours * HOUR, 300)
    return [Row(resource, "vm.vcpu", s, vcpu * 300, tenant=tenant, **fields) for s in starts]  # type: ignore[arg-type]
