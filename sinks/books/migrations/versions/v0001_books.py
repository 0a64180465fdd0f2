"""The first tables of the books.

Alembic's own names: `revision`, `down_revision`. There is no way back: a ledger is not dropped.
"""

import sqlalchemy as sa
from alembic import op

from sinks.books.migrations.append_only import forbid, guard_journal, guard_rules

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table, then the triggers that keep the ledger append-only and balanced."""
    _accounts()
    _catalogue()
    _journal()
    _settlements()
    _cursors()
    _api_keys()
    guard_journal()
    guard_rules()
    for table in ("transfers", "entries", "settlements", "price_list_versions"):
        forbid(table)


def _accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text()),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("cycle", sa.Text(), nullable=False),
        sa.Column("price_list", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.ForeignKeyConstraint(["parent"], ["accounts.id"], name="fk_accounts_parent"),
    )


def _catalogue() -> None:
    op.create_table(
        "mapping_rules",
        sa.Column("id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_to", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_mapping_rules"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_mapping_rules_account"),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("ck_mapping_rules_valid")),
    )
    live = sa.text("retired_at IS NULL")
    op.create_index(
        "ux_mapping_rules_live",
        "mapping_rules",
        ["site", "tenant", "resource", "account", "valid_from", "valid_to"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )
    op.create_table(
        "price_list_versions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", "version", name="pk_price_list_versions"),
    )


def _journal() -> None:
    op.create_table(
        "transfers",
        sa.Column("sequence", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.Text(), nullable=False),
        sa.Column("posted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_transfers"),
        sa.UniqueConstraint("id", name="uq_transfers_id"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_transfers_account"),
    )
    op.create_index("ix_transfers_account_sequence", "transfers", ["account", "sequence"])
    op.create_table(
        "entries",
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("ledger_account", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", "line", name="pk_entries"),
        sa.ForeignKeyConstraint(
            ["sequence"],
            ["transfers.sequence"],
            name="fk_entries_sequence",
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.CheckConstraint("micros <> 0", name=op.f("ck_entries_moves")),
    )
    op.create_index("ix_entries_ledger_account_currency_micros", "entries", ["ledger_account", "currency", "micros"])


def _settlements() -> None:
    op.create_table(
        "settlements",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("cycle_start", sa.BigInteger(), nullable=False),
        sa.Column("cycle_end", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("cutoff", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("total_micros", sa.BigInteger(), nullable=False),
        sa.Column("posted_micros", sa.BigInteger(), nullable=False),
        sa.Column("live_micros", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=False),
        sa.Column("transfer_id", sa.Text()),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "cycle_start", "number", name="pk_settlements"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_settlements_account"),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfers.id"], name="fk_settlements_transfer_id"),
        sa.UniqueConstraint("transfer_id", name="uq_settlements_transfer_id"),
        sa.CheckConstraint("cycle_start < cycle_end", name=op.f("ck_settlements_cycle")),
        sa.CheckConstraint("posted_micros = 0 OR transfer_id IS NOT NULL", name=op.f("ck_settlements_posted")),
    )


def _cursors() -> None:
    op.create_table(
        "cursors",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job", name="pk_cursors"),
    )


def _api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("account", sa.Text()),
        sa.Column("site", sa.Text()),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_api_keys_account"),
        sa.CheckConstraint("role <> 'tenant' OR account IS NOT NULL", name=op.f("ck_api_keys_tenant_scope")),
    )
