"""What the database itself refuses, migrations, and errors of the engines: invariants 11 and 12."""

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from billing.catalogue_values import Act, CouponLimits
from billing.ledger import grant
from billing.protocol import Account, Books, MappingRule
from schemas.errors import Invariant, Misconfigured, Transient
from schemas.money import Money
from sinks.books import engine
from sinks.books.connect import open_books
from sinks.books.engine import Database
from sinks.books.schema import metadata
from tests.books.stories import ACME, rated, settle

REFUSED = [
    "UPDATE transfers SET details = '{}'",
    "DELETE FROM transfers",
    "UPDATE entries SET micros = micros + 1",
    "DELETE FROM entries",
    "UPDATE settlements SET live_micros = 0",
    "DELETE FROM settlements",
    "UPDATE price_list_versions SET document = ''",
    "DELETE FROM price_list_versions",
    "UPDATE mapping_rules SET tenant = 'other'",
    "UPDATE mapping_rules SET retired_at = 9 WHERE retired_at = 5",
    "DELETE FROM mapping_rules",
    "DELETE FROM accounts",
    "UPDATE catalogue_audit SET actor = 'other'",
    "DELETE FROM catalogue_audit",
    "UPDATE coupon_redemptions SET redeemed_at = 0",
    "DELETE FROM coupon_redemptions",
    "INSERT INTO account_group_members VALUES ('acme', 'nowhere')",
    # entries: a further one for a posted transfer, one without a transfer, one of zero
    "INSERT INTO entries VALUES (1, 9, 'grants', 'CU', 5)",
    "INSERT INTO entries VALUES (50, 0, 'grants', 'CU', 5)",
    "INSERT INTO entries VALUES (50, 0, 'grants', 'CU', 0)",
    # transfers: without entries, the same sequence again, the same id again
    "INSERT INTO transfers VALUES (51, 'x', 'grant', 'acme', 'CU', 0, '{}', '', 0)",
    "INSERT INTO transfers VALUES (1, 'x', 'grant', 'acme', 'CU', 0, '{}', '', 0)",
]
UNBALANCED = [
    [("grants", "CU", 5), ("wallet:acme", "CU", -4)],
    [("grants", "CU", 5), ("wallet:acme", "EUR", -5)],
    [("grants", "CU", 5)],
]


@pytest.fixture
def filled(books: Books) -> Books:
    books.put_account(ACME)
    books.post(grant("acme", Money(9, "CU"), "k", 0), 1)
    settle(books, rated({"vm": 3}))
    books.put_price_list("default", "x", 1)
    books.redeem("AUTUMN", "acme", CouponLimits(), Act("k", 1_000_000))
    for tenant in ("a", "b"):
        books.add_rule(MappingRule(0, "vc", tenant, "acme"), 1)
    books.retire_rule(1, 5)
    return books


def test_the_database_refuses(filled: Books, database: Database) -> None:
    before = (filled.balances(), filled.transfers(None), filled.settlements(), filled.rules(as_of=5))
    for statement in REFUSED:
        with pytest.raises(Invariant, match="refused"), database.write() as connection:
            connection.execute(text(statement))
    if database.dialect == "postgresql":
        for table in (
            "transfers",
            "entries",
            "settlements",
            "price_list_versions",
            "mapping_rules",
            "catalogue_audit",
            "coupon_redemptions",
        ):
            with pytest.raises(Invariant, match="refused"), database.write() as connection:
                connection.execute(text(f"TRUNCATE {table} CASCADE"))
    else:
        replacing = "INSERT OR REPLACE INTO transfers VALUES (1, 'x', 'grant', 'acme', 'CU', 0, '{}', '', 0)"
        with pytest.raises(Invariant, match="refused"), database.write() as connection:
            connection.execute(text(replacing))
    assert (filled.balances(), filled.transfers(None), filled.settlements(), filled.rules(as_of=5)) == before


@pytest.mark.parametrize("lines", UNBALANCED)
def test_the_database_balances_transfers(filled: Books, database: Database, lines: list[tuple[str, str, int]]) -> None:
    entry = text("INSERT INTO entries VALUES (90, :line, :name, :currency, :micros)")
    transfer = text("INSERT INTO transfers VALUES (90, 'x', 'grant', 'acme', 'CU', 0, '{}', '', 0)")

    def write() -> None:
        with database.write() as connection:
            for number, (name, currency, micros) in enumerate(lines):
                values = {"line": number, "name": name, "currency": currency, "micros": micros}
                connection.execute(entry, values)
            connection.execute(transfer)

    with pytest.raises(Invariant, match="sum to zero"):
        write()


def test_migrations(books_url: str) -> None:
    books = open_books(books_url)
    with pytest.raises(Misconfigured, match="migrate"):
        books.accounts()
    assert list(books.migrate(dry_run=True)) == ["0001", "0002"]
    with pytest.raises(Misconfigured, match="migrate"):
        books.accounts()
    assert list(books.migrate()) == ["0001", "0002"]
    books.put_account(Account("acme", "x"))
    assert list(books.migrate()) == []
    assert list(books.migrate(dry_run=True)) == []
    assert [a.id for a in books.accounts()] == ["acme"]
    books.close()


def test_tables_are_what_the_migrations_make(books: Books, database: Database) -> None:
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_held_lock_is_transient(books_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LOCK_SECONDS_MAX", 1)
    holder, books = Database(books_url), open_books(books_url)
    books.migrate()
    with holder.write(), pytest.raises(Transient):
        books.put_account(ACME)
    books.put_account(ACME)
    holder.close()
    books.close()


def test_sqlite_is_durable_and_strict(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/deep/er/books.db")
    with database.read() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers")
        assert [connection.execute(text(f"PRAGMA {name}")).scalar() for name in pragmas] == ["wal", 2, 1, 1]
    database.close()


class Cursor:
    """Refuses so often, as a file does whose mode somebody else is switching."""

    def __init__(self, name: str, refusals: int) -> None:
        self.name, self.refusals, self.asked = name, refusals, 0

    def execute(self, statement: str) -> None:
        assert statement == "PRAGMA journal_mode=WAL"
        self.asked += 1
        if self.asked <= self.refusals:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorname = self.name
            raise error


def test_a_new_file_is_switched_to_wal_by_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = Cursor("SQLITE_BUSY", 3)
    engine._to_wal(busy)
    assert busy.asked == 4
    other = Cursor("SQLITE_READONLY", 1)
    with pytest.raises(sqlite3.OperationalError):
        engine._to_wal(other)
    assert other.asked == 1
    monkeypatch.setattr(engine, "LOCK_SECONDS_MAX", -1)
    for_ever = Cursor("SQLITE_BUSY", 9)
    with pytest.raises(sqlite3.OperationalError):
        engine._to_wal(for_ever)
    assert for_ever.asked == 1


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "mysql://u:hunter2@h/d", "postgresql+asyncpg://u:hunter2@h/d", "hunter2"],
)
def test_unsupported_urls_say_so_without_the_password(url: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        open_books(url)
    assert "hunter2" not in str(caught.value)


def test_server_away_is_transient() -> None:
    books = open_books("postgresql://u:hunter2@127.0.0.1:1/books")
    with pytest.raises(Transient) as caught:
        books.accounts()
    assert "hunter2" not in str(caught.value)
    books.close()


@pytest.mark.server
@pytest.mark.parametrize("books_url", ["postgresql"], indirect=True)
def test_lost_connections_are_transient_then_mended(books: Books, database: Database) -> None:
    kill = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> :me"
    )
    with database.read() as connection:
        me = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        connection.execute(kill, {"me": me})
    books.put_account(ACME)  # the pool notices and connects anew
    with pytest.raises(Transient), database.write() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    books.put_account(ACME)
