"""A small provider on real stores: two customers, one with a sub-account, three days of usage, rated and settled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa

from api.keys import new_key
from api.live import StoreFeed
from api.services import Services
from billing.protocol import Account, Books, MappingRule, Role
from pipeline.directory import Directory
from pipeline.message import Message
from pipeline.metering import Seen, meter, portions
from pipeline.rate import Rater
from pipeline.settle import Settler, SettleRules
from schemas.batch import BatchMeta, decode, encode, table_of
from schemas.errors import Transient
from schemas.meters import Registry, builtin
from schemas.period import SECOND, Period, parse_instant
from sinks.books.connect import open_books
from sinks.warehouse.connect import open_warehouse
from sinks.warehouse.protocol import Warehouse

START: Final = parse_instant("2026-10-17T00:00:00Z")
NOW: Final = parse_instant("2026-10-20T12:00:00Z")
DAY: Final = 86_400
MARKER: Final = "zzmarker"
"""Stands in every name of the customer `beta`, so that a leak shows in any answer."""
SITE: Final = "vc-prague"
PRICES: Final = """
id: default
name: Standard
currency: CU
window: day
prices:
  - {id: vcpu, product: Compute, meter: vm.vcpu, amount: "0.01", per: vCPU·h, from: 2026-01-01T00:00:00Z}
  - id: disk-gold
    product: Gold disk
    meter: disk.capacity
    amount: "0.0003"
    per: GiB·h
    when: {tier: gold}
    from: 2026-01-01T00:00:00Z
  - id: disk-beta
    product: Disk zzmarker
    meter: disk.capacity
    amount: "0.0002"
    per: GiB·h
    when: {tier: zzmarker-tier}
    from: 2026-01-01T00:00:00Z
"""


class Clock:
    """A clock that stands still until it is moved; each look adds a microsecond."""

    def __init__(self, second: int) -> None:
        self.micros = second * SECOND

    def __call__(self) -> int:
        self.micros += 1
        return self.micros


@dataclass
class Sink:
    """Keeps what the API made durable; `fault` makes it refuse as a full spool does."""

    taken: list[tuple[str, pa.RecordBatch]] = field(default_factory=list)
    fault: bool = False

    def submit(self, rows: pa.RecordBatch, site: str) -> int:
        if self.fault:
            raise Transient("the spool is full")
        self.taken.append((site, rows))
        return int(rows.num_rows)

    def submit_encoded(self, payload: bytes) -> int:
        rows, meta = decode(payload)
        return self.submit(rows, meta.site)

    def rows(self) -> list[dict[str, object]]:
        return [{**row, "site": site} for site, rows in self.taken for row in rows.to_pylist()]


@dataclass
class World:
    """Everything a test needs."""

    warehouse: Warehouse
    books: Books
    directory: Directory
    registry: Registry
    clock: Clock
    sink: Sink
    rater: Rater
    tokens: dict[str, str]
    sequence: int = 0

    def write(self, columns: Mapping[str, Sequence[object]], site: str = SITE) -> None:
        """Meter and store rows given as columns of the sample batch."""
        self.sequence += 1
        meta = BatchMeta(site, "test", self.sequence, self.clock())
        message = Message(encode(table_of(columns), meta), f"spool/test/{self.sequence}")
        for portion in portions([message]):
            metered = meter(portion, self.registry, self.clock(), Seen())
            assert not metered.dead
            self.warehouse.write(metered.block, self.clock())

    def rate(self, account: str, start: int = START, end: int = NOW) -> None:
        self.directory.refresh()
        self.rater.rate_live(self.directory.accounts()[account], Period(start, end), self.clock())

    def settle(self) -> None:
        rules = SettleRules(grace_seconds=7200, cutoff_margin_seconds=0, late_seconds=400 * DAY)
        Settler(self.warehouse, self.books, self.directory, self.rater, self.clock, rules).run()

    def key(self, name: str, role: Role, account: str | None = None, site: str | None = None) -> str:
        key, token = new_key(role, account, site)
        self.books.put_api_key(key)
        self.tokens[name] = token
        return token


def allocation(
    resource: str, tenant: str, meter: str, cell: int, level: int, attributes: str, days: int = 3
) -> dict[str, list[object]]:
    """Return columns of a level held over whole days, every cell covered."""
    starts = list(range(START, START + days * DAY, cell))
    rows = len(starts)
    return {
        "resource": [resource] * rows,
        "meter": [meter] * rows,
        "cell_start": list(starts),
        "cell_seconds": [cell] * rows,
        "quantity": [level * cell] * rows,
        "tenant": [tenant] * rows,
        "attributes": [attributes] * rows,
    }


def build(folder: Path) -> World:
    """Return the world on chDB and SQLite in a folder."""
    registry, clock = builtin(), Clock(NOW)
    warehouse, books = (
        open_warehouse(f"chdb://{folder / 'warehouse'}", clock=clock),
        open_books(f"sqlite:///{folder / 'books.db'}"),
    )
    warehouse.migrate()
    books.migrate()
    directory = Directory(books, warehouse, registry, clock)
    world = World(
        warehouse, books, directory, registry, clock, Sink(), Rater(warehouse, books, directory, registry, clock), {}
    )
    _people(world)
    _usage(world)
    for account in ("acme", "acme-lab", "beta"):
        world.rate(account)
    world.settle()
    return world


def _people(world: World) -> None:
    books, now = world.books, world.clock()
    books.put_price_list("default", PRICES, now)
    books.put_account(Account("acme", "Acme Ltd", timezone="Europe/Prague", cycle="daily"))
    books.put_account(Account("acme-lab", "Acme Lab", parent="acme", cycle="daily"))
    books.put_account(Account("beta", f"Beta {MARKER}", cycle="daily"))
    for tenant, account in (("acme-org", "acme"), ("acme-lab-org", "acme-lab"), (f"{MARKER}-org", "beta")):
        books.add_rule(MappingRule(0, "*", tenant, account), world.clock())
    for role in ("admin", "product", "finance", "reader"):
        world.key(role, role)
    world.key("ingest", "ingest")
    world.key("ingest-site", "ingest", site="vc-brno")
    world.key("acme", "tenant", account="acme")
    world.key("acme-lab", "tenant", account="acme-lab")
    world.key("beta", "tenant", account="beta")


def _usage(world: World) -> None:
    gold, silver = '{"tier":"gold"}', '{"tier":"silver"}'
    world.write(allocation("vm/acme-1", "acme-org", "vm.vcpu", 300, 4, "{}"))
    world.write(allocation("disk/acme-1-a", "acme-org", "disk.capacity", 900, 102_400, gold))
    world.write(allocation("disk/acme-1-b", "acme-org", "disk.capacity", 900, 51_200, silver))
    world.write(allocation("vm/lab-1", "acme-lab-org", "vm.vcpu", 300, 1, "{}"))
    world.write(allocation(f"vm/{MARKER}-1", f"{MARKER}-org", "vm.vcpu", 300, 2, "{}"))
    own_tier = f'{{"tier":"{MARKER}-tier"}}'
    world.write(allocation(f"disk/{MARKER}-1", f"{MARKER}-org", "disk.capacity", 900, 1024, own_tier))
    world.write(allocation("vm/stray-1", "stray-org", "vm.vcpu", 300, 1, "{}"))


def services(world: World, **more: object) -> Services:
    """Return the services of a world; a feed that looks four times a second."""
    feed = StoreFeed(world.warehouse, world.directory, world.registry, world.clock, interval_seconds=0.25)
    fields = {"open_docs": True, "live": feed, **more}
    return Services(
        world.warehouse,
        world.books,
        world.directory,
        world.registry,
        world.sink,
        world.clock,
        **fields,  # type: ignore[arg-type]
    )
