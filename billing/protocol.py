"""What billing, pipeline and API ask of the books; `sinks.books` is the adapter (SQLite and PostgreSQL)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from billing.catalogue_values import (
    PLAIN,
    UNSIGNED,
    AccountGroup,
    Act,
    AuditEntry,
    CouponLimits,
    Draft,
    Publication,
    Redemption,
)
from schemas.period import FOREVER

Cycle = Literal["hourly", "daily", "monthly", "yearly"]
Role = Literal["admin", "product", "finance", "reader", "tenant", "ingest"]
CYCLES: tuple[Cycle, ...] = ("hourly", "daily", "monthly", "yearly")
TRANSFERS_PAGE_MAX: Final = 10_000
"""Most transfers of one page."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who pays; a node in the tree reseller ▸ customer.

    Attributes:
        id: stable short name, ``[a-z0-9][a-z0-9-]*``.
        name: for people.
        parent: account above, or None.
        timezone: IANA zone of its calendar windows.
        cycle: when debits are posted.
        price_list: its own price list, or None to take the nearest ancestor's, then the list named ``default``.
        groups: ids of the groups it belongs to; the books give them by priority, then id.
    """

    id: str
    name: str
    parent: str | None = None
    timezone: str = "UTC"
    cycle: Cycle = "monthly"
    price_list: str | None = None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MappingRule:
    """Maps a platform's tenants (or single resources) to an account.

    Exact text or a glob (``*``, ``?``). A rule with a resource pattern other than ``*`` beats one without; then an
    exact tenant beats a glob, an exact site a glob; then the rule recorded last wins.

    Attributes:
        id: assigned by the books, ascending with the time of recording.
        site, tenant, resource: patterns.
        account: who pays.
        start, end: validity, seconds since 1970, half-open.
        recorded_at, retired_at: when the books learned and dropped it, microseconds since 1970 (bitemporal).
    """

    id: int
    site: str
    tenant: str
    account: str
    resource: str = "*"
    start: int = 0
    end: int = FOREVER
    recorded_at: int = 0
    retired_at: int | None = None


@dataclass(frozen=True, slots=True)
class PriceListVersion:
    """One immutable version of a price list.

    Attributes:
        id: name of the list.
        version: 1, 2, …; a change is a new version.
        document: the price list file as text (YAML or JSON), as imported.
        recorded_at: microseconds since 1970.
        effective_from: seconds since 1970: the earliest instant at which it rates differently than its predecessor.
        published_by, reason, forced: as in `Publication`.
    """

    id: str
    version: int
    document: str
    recorded_at: int
    effective_from: int = 0
    published_by: str = ""
    reason: str = ""
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One side of a transfer: `micros` added to (or, negative, taken from) a ledger account."""

    ledger_account: str
    micros: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """An atomic movement between ledger accounts; its entries sum to zero.

    Attributes:
        id: derived from what it settles, so that a retry posts nothing twice.
        kind: ``debit``, ``adjustment``, ``grant``.
        account: the account whose wallet moves.
        currency: one for all entries.
        entries: two or more; sum zero.
        effective_at: seconds since 1970: the instant in the customer's terms (end of the cycle, time of the grant).
        details: what it settles, for people and for explain; part of the body.
    """

    id: str
    kind: str
    account: str
    currency: str
    entries: tuple[Entry, ...]
    effective_at: int
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PostedTransfer:
    """A transfer as the books keep it: `sequence` is its place in the journal, `posted_at` is in microseconds."""

    transfer: Transfer
    sequence: int
    posted_at: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a settle job decided for one account and cycle; the n-th of that cycle.

    Attributes:
        account, cycle_start, cycle_end: seconds since 1970, half-open.
        number: 0 for the first debit, then 1, 2, … for adjustments.
        cutoff: microseconds since 1970: only rows stored before it were read.
        currency: of the amounts.
        total_micros: Σ rated lines of the cycle as of the cut-off.
        posted_micros: this settlement's difference to what was posted before.
        live_micros: what the live rating had shown (drift = total − live).
        lines: how many rated lines.
        digest: hash of the rated lines.
        transfer_id: the ledger transfer, or "" when no product's total differs.
    """

    account: str
    cycle_start: int
    cycle_end: int
    number: int
    cutoff: int
    currency: str
    total_micros: int
    posted_micros: int
    live_micros: int
    lines: int
    digest: int
    transfer_id: str


@dataclass(frozen=True, slots=True)
class SettledCycle:
    """What stands in the books for one account and cycle, read as of one moment.

    Attributes:
        settlements: by number.
        posted: ledger account → Σ entries of their transfers, micro-units.
    """

    settlements: tuple[Settlement, ...] = ()
    posted: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key to the API; only the SHA-256 of its secret is kept.

    Attributes:
        id: public part, shown in lists and logs.
        secret_sha256: hexadecimal digest.
        role: what it may do.
        account: the subtree it is confined to; required for ``tenant``, None for the provider's own people.
        site: the site that an ``ingest`` key writes to, or None.
        expires_at: seconds since 1970, or None.
    """

    id: str
    secret_sha256: str
    role: Role
    account: str | None = None
    site: str | None = None
    expires_at: int | None = None
    revoked: bool = False


class Books(Protocol):
    """The SQL store. Every method is one transaction; a lost connection raises Transient."""

    def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
        """Bring the schema up to date; return the revisions applied (or, dry, those that would be)."""

    def close(self) -> None:
        """Release connections."""

    # accounts
    def put_account(self, account: Account, act: Act = UNSIGNED) -> None:
        """Create or change; raises Conflict for a cycle in the tree, an unknown parent or an unknown group."""

    def account(self, account: str) -> Account | None:
        """Return one account."""

    def accounts(self) -> Sequence[Account]:
        """Return all, by id."""

    # mapping rules
    def add_rule(self, rule: MappingRule, now: int) -> MappingRule:
        """Record a rule (its id and recorded_at are assigned); the same live rule again returns the first."""

    def retire_rule(self, rule: int, now: int) -> None:
        """Drop a rule from now on in recorded time; it stays for as-of reads."""

    def rules(self, as_of: int | None = None) -> Sequence[MappingRule]:
        """Return the rules known at an instant in microseconds (None: now), by id."""

    # groups and coupons
    def put_group(self, group: AccountGroup, act: Act) -> bool:
        """Create or change a group; False when it stands just so. Settling looks at the accounts again."""

    def groups(self) -> Sequence[AccountGroup]:
        """Return all groups, by priority, then id."""

    def redeem(self, code: str, account: str, limits: CouponLimits, act: Act) -> Redemption:
        """Record that an account redeems a code from now on; without a limit for each, a repeat returns the first.

        Raises Conflict beyond a limit or for an unknown account. Settling looks at the accounts again.
        """

    def redemptions(
        self, account: str | None = None, code: str | None = None, as_of: int | None = None
    ) -> Sequence[Redemption]:
        """Return redemptions recorded before an instant (microseconds; None: all), by time, code, account."""

    def coupons(self, account: str, as_of: int | None = None) -> Mapping[str, int]:
        """Return the codes that an account redeemed, each with the instant of its first redemption in seconds."""

    # price lists
    def put_draft(self, draft: str, document: str, expected: int, act: Act) -> Draft:
        """Save a draft; raises Conflict unless its revision is the expected one (0: there is none yet)."""

    def draft(self, draft: str) -> Draft | None:
        """Return a draft."""

    def drafts(self) -> Sequence[Draft]:
        """Return all drafts, by id."""

    def delete_draft(self, draft: str, expected: int, act: Act) -> None:
        """Drop a draft; raises Conflict unless its revision is the expected one."""

    def put_price_list(self, price_list: str, document: str, now: int, how: Publication = PLAIN) -> PriceListVersion:
        """Record a new version, unless the newest has the same document; drop the draft that it came from.

        Whether it may change the past is the caller's to check: `billing.catalogue.publish`. Raises Conflict when
        another one was faster.
        """

    def price_list_versions(self, price_list: str) -> Sequence[PriceListVersion]:
        """Return all versions of a list, oldest first."""

    def price_list(self, price_list: str, as_of: int | None = None) -> PriceListVersion | None:
        """Return the newest version recorded before an instant in microseconds."""

    def price_lists(self) -> Sequence[PriceListVersion]:
        """Return the newest version of each list, by id."""

    def catalogue_audit(
        self, before: int | None = None, limit: int = 100, subject: str | None = None
    ) -> Sequence[AuditEntry]:
        """Return changes of the catalogue with sequence < before, newest first.

        Raises ValueError unless 1 <= limit <= AUDIT_PAGE_MAX.
        """

    # ledger
    def post(self, transfer: Transfer, now: int) -> bool:
        """Post a transfer; False when the same one stands already.

        Raises Conflict when its body differs or the account is unknown, Invariant when its entries are unsound.
        """

    def settle(self, settlement: Settlement, transfer: Transfer | None, now: int) -> bool:
        """Record a settlement and post its transfer in one transaction; False when both stand already.

        Raises Conflict when a settlement of that account, cycle and number has another body, when another job was
        faster (read again and compute anew), or when the cycle overlaps another one settled for the account.
        """

    def settlements(self, account: str | None = None, cycle_start: int | None = None) -> Sequence[Settlement]:
        """Return settlements by account, cycle start, number."""

    def settled_cycle(self, account: str, cycle_start: int) -> SettledCycle:
        """Return the settlements of a cycle and what they posted, consistent with each other: what settling reads."""

    def balance(self, ledger_account: str, currency: str) -> int:
        """Return the sum of entries in micro-units."""

    def balances(self) -> Mapping[tuple[str, str], int]:
        """Return every (ledger account, currency) and its balance."""

    def transfers(
        self, accounts: Sequence[str] | None, after: int = 0, limit: int = 100, as_of: int | None = None
    ) -> Sequence[PostedTransfer]:
        """Return transfers of the accounts (None: all) with sequence > after, in journal order.

        A sequence becomes visible only after every lower one, so a reader that goes on from the last one it saw misses
        nothing. `as_of` counts what was posted before it, microseconds. Raises ValueError unless
        1 <= limit <= TRANSFERS_PAGE_MAX.
        """

    def transfer(self, transfer: str) -> PostedTransfer | None:
        """Return a transfer by its id."""

    # how far jobs have come
    def cursor(self, job: str) -> int:
        """Return how far a job has come, as it said itself; 0 before it ever did."""

    def advance(self, job: str, to: int) -> None:
        """Remember how far a job has come; never moves back, so that of two runs at once the farther one counts."""

    # keys
    def put_api_key(self, key: ApiKey) -> None:
        """Create or change a key."""

    def api_key(self, key: str) -> ApiKey | None:
        """Return a key by its public id."""

    def api_keys(self) -> Sequence[ApiKey]:
        """Return all keys, by id."""
