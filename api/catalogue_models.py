"""What the catalogue's routes take and answer with: versions, drafts, differences, groups, coupons, audit."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.models import InstantText
from api.problems import ErrorItem
from billing.accounts import PRIORITY_MAX
from billing.catalogue import REASON_LENGTH_MAX

Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""No NUL character, which PostgreSQL cannot keep."""
Reason = Annotated[Text, Field(max_length=REASON_LENGTH_MAX)]
State = Literal["scheduled", "in_force", "retired"]


class VersionView(BaseModel):
    """One version of a price list; it never changes."""

    id: str
    version: int
    state: State
    effective_from: InstantText = Field(description="from when on it rates differently than the version before")
    recorded_at: InstantText
    published_by: str
    reason: str
    forced: bool = Field(description="it changed the past, on purpose")


class PriceListView(VersionView):
    """A version with its document."""

    currency: str
    digest: str
    warnings: list[str]
    document: str


class ChangeView(BaseModel):
    """One difference, for people."""

    path: str = Field(description="where, by ids; before and after are empty where there is nothing")
    kind: Literal["added", "removed", "changed"]
    before: str
    after: str


class DiffView(BaseModel):
    """What two versions differ in."""

    price_list: str
    before: int | None = Field(description="version; null: nothing stands yet")
    after: int | None = Field(description="version; null: the draft")
    changed_from: InstantText | None = Field(description="the earliest instant rated differently; null: none is")
    changes: list[ChangeView]


class DraftView(BaseModel):
    """A price list in the making; its ETag is its revision."""

    id: str
    revision: int
    updated_at: InstantText
    updated_by: str
    problems: list[ErrorItem] = Field(description="what keeps it from being published")
    warnings: list[str]
    document: str


class DraftName(BaseModel):
    """A draft without its document."""

    id: str
    revision: int
    updated_at: InstantText
    updated_by: str


class PublishBody(BaseModel, extra="forbid"):
    """How a draft is published."""

    force: bool = Field(default=False, description="change the past, if it must be; needs a reason")
    reason: Reason = ""


class Checked(BaseModel):
    """A document without mistakes."""

    id: str
    digest: str
    warnings: list[str]


class AuditItem(BaseModel):
    """One change of the catalogue, as it stands for ever."""

    sequence: int
    at: InstantText
    actor: str
    action: str
    subject: str = Field(description="id of the list, group or account, or the coupon's code")
    version: int | None
    reason: str
    digest_before: str = Field(description="SHA-256 of the document before, or empty")
    digest_after: str = Field(description="SHA-256 of the document after, or empty")
    changes: list[ChangeView]


class GroupBody(BaseModel, extra="forbid"):
    """A group as it is written."""

    name: Text = Field(min_length=1, max_length=200)
    price_list: Text | None = Field(default=None, max_length=64)
    priority: int = Field(default=0, ge=-PRIORITY_MAX, le=PRIORITY_MAX, description="lower is nearer")


class GroupView(BaseModel):
    """A group of accounts."""

    id: str
    name: str
    price_list: str | None
    priority: int


class CouponBody(BaseModel, extra="forbid"):
    """A code to redeem."""

    code: Text = Field(min_length=1, max_length=64)


class CouponView(BaseModel):
    """A redeemed coupon."""

    code: str
    account: str
    redeemed_at: InstantText
