"""Tables of the books, as the newest migration leaves them (a test compares both)."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.types import TypeDecorator

_SIGN: Final = 1 << 63
_RANGE: Final = 1 << 64


class Unsigned64(TypeDecorator[int]):
    """An unsigned 64-bit number in the engines' signed column: the same bits, read as two's complement."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        """Return the signed number with the same bits; raises ValueError outside 0 … 2^64 − 1."""
        if value is not None and not 0 <= value < _RANGE:
            raise ValueError(f"{value} is not an unsigned 64-bit number")
        return value - _RANGE if value is not None and value >= _SIGN else value

    def process_result_value(self, value: int | None, dialect: Dialect) -> int | None:
        """Return the unsigned number with the same bits."""
        return value % _RANGE if value is not None else None


metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

accounts: Final = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("parent", Text, ForeignKey("accounts.id")),
    Column("timezone", Text, nullable=False),
    Column("cycle", Text, nullable=False),
    Column("price_list", Text),
)

mapping_rules: Final = Table(
    "mapping_rules",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("site", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("account", Text, ForeignKey("accounts.id"), nullable=False),
    Column("valid_from", BigInteger, nullable=False),
    Column("valid_to", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("retired_at", BigInteger),
    CheckConstraint("valid_from < valid_to", name="valid"),
)
# The same rule may be recorded again after it was retired, but only once at a time.
Index(
    "ux_mapping_rules_live",
    *(mapping_rules.c[name] for name in ("site", "tenant", "resource", "account", "valid_from", "valid_to")),
    unique=True,
    sqlite_where=text("retired_at IS NULL"),
    postgresql_where=text("retired_at IS NULL"),
)

price_list_versions: Final = Table(
    "price_list_versions",
    metadata,
    Column("id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("effective_from", BigInteger, nullable=False, server_default="0"),
    Column("published_by", Text, nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    Column("forced", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("id", "version"),
)

transfers: Final = Table(
    "transfers",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("account", Text, ForeignKey("accounts.id"), nullable=False),
    Column("currency", Text, nullable=False),
    Column("effective_at", BigInteger, nullable=False),
    Column("details", Text, nullable=False),  # canonical JSON object of text values
    Column("body_sha256", Text, nullable=False),
    Column("posted_at", BigInteger, nullable=False),
    UniqueConstraint("id"),
    Index("ix_transfers_account_sequence", "account", "sequence"),
)

# Entries are written before their transfer, whose insertion checks and seals them: the one order in which plain
# triggers of both engines can see a whole transfer. Hence the deferred foreign key.
entries: Final = Table(
    "entries",
    metadata,
    Column("sequence", BigInteger, ForeignKey("transfers.sequence", deferrable=True, initially="DEFERRED")),
    Column("line", Integer, nullable=False),
    Column("ledger_account", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("micros", BigInteger, nullable=False),
    PrimaryKeyConstraint("sequence", "line"),
    CheckConstraint("micros <> 0", name="moves"),
    Index("ix_entries_ledger_account_currency_micros", "ledger_account", "currency", "micros"),  # covers a balance
)

settlements: Final = Table(
    "settlements",
    metadata,
    Column("account", Text, ForeignKey("accounts.id"), nullable=False),
    Column("cycle_start", BigInteger, nullable=False),
    Column("cycle_end", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("cutoff", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("total_micros", BigInteger, nullable=False),
    Column("posted_micros", BigInteger, nullable=False),
    Column("live_micros", BigInteger, nullable=False),
    Column("lines", BigInteger, nullable=False),
    Column("digest", Unsigned64, nullable=False),
    Column("transfer_id", Text, ForeignKey("transfers.id")),  # NULL: nothing moved
    Column("recorded_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", "cycle_start", "number"),
    UniqueConstraint("transfer_id"),
    CheckConstraint("cycle_start < cycle_end", name="cycle"),
    CheckConstraint("posted_micros = 0 OR transfer_id IS NOT NULL", name="posted"),
)

cursors: Final = Table(
    "cursors",
    metadata,
    Column("job", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
)

api_keys: Final = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("secret_sha256", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("account", Text, ForeignKey("accounts.id")),
    Column("site", Text),
    Column("expires_at", BigInteger),
    Column("revoked", Boolean, nullable=False),
    CheckConstraint("role <> 'tenant' OR account IS NOT NULL", name="tenant_scope"),
)
