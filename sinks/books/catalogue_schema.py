"""Tables of the catalogue beside the versions of price lists: drafts, groups, coupons, audit."""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, PrimaryKeyConstraint, Table, Text

from sinks.books.schema import metadata

catalogue_drafts: Final = Table(
    "catalogue_drafts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("document", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),  # sequence of the audit entry of its last save
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", Text, nullable=False),
)

catalogue_audit: Final = Table(
    "catalogue_audit",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("version", Integer),
    Column("reason", Text, nullable=False),
    Column("digest_before", Text, nullable=False),
    Column("digest_after", Text, nullable=False),
    Column("changes", Text, nullable=False),  # JSON array
    Index("ix_catalogue_audit_subject_sequence", "subject", "sequence"),
)

account_groups: Final = Table(
    "account_groups",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("price_list", Text),
    Column("priority", Integer, nullable=False),
)

account_group_members: Final = Table(
    "account_group_members",
    metadata,
    Column("account", Text, ForeignKey("accounts.id"), nullable=False),
    Column("group", Text, ForeignKey("account_groups.id"), nullable=False),
    PrimaryKeyConstraint("account", "group"),
)

coupon_redemptions: Final = Table(
    "coupon_redemptions",
    metadata,
    Column("code", Text, nullable=False),
    Column("account", Text, ForeignKey("accounts.id"), nullable=False),
    Column("redeemed_at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("code", "account", "redeemed_at"),
    Index("ix_coupon_redemptions_account", "account"),
)
