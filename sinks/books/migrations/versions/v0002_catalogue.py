"""The life of price lists: drafts, who published what, groups of accounts, coupons, and the audit of all of it.

Versions recorded before are in force as they were: nothing says since when, so `effective_from` is 0.
"""

import sqlalchemy as sa
from alembic import op

from sinks.books.migrations.append_only import forbid

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns of a publication, then the tables; audit and redemptions are append-only."""
    for column in (
        sa.Column("effective_from", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("published_by", sa.Text(), nullable=False, server_default=""),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("forced", sa.Boolean(), nullable=False, server_default=sa.false()),
    ):
        op.add_column("price_list_versions", column)
    _catalogue()
    _groups()
    for table in ("catalogue_audit", "coupon_redemptions"):
        forbid(table)


def _catalogue() -> None:
    op.create_table(
        "catalogue_drafts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_catalogue_drafts"),
    )
    op.create_table(
        "catalogue_audit",
        sa.Column("sequence", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("digest_before", sa.Text(), nullable=False),
        sa.Column("digest_after", sa.Text(), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_catalogue_audit"),
    )
    op.create_index("ix_catalogue_audit_subject_sequence", "catalogue_audit", ["subject", "sequence"])


def _groups() -> None:
    op.create_table(
        "account_groups",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("price_list", sa.Text()),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_account_groups"),
    )
    op.create_table(
        "account_group_members",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account", "group", name="pk_account_group_members"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_account_group_members_account"),
        sa.ForeignKeyConstraint(["group"], ["account_groups.id"], name="fk_account_group_members_group"),
    )
    op.create_table(
        "coupon_redemptions",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("redeemed_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("code", "account", "redeemed_at", name="pk_coupon_redemptions"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_coupon_redemptions_account"),
    )
    op.create_index("ix_coupon_redemptions_account", "coupon_redemptions", ["account"])
