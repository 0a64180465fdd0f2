"""The books composed: each method is one transaction around a function of the module that knows the rule."""

from collections.abc import Mapping, Sequence

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
from billing.protocol import (
    Account,
    ApiKey,
    MappingRule,
    PostedTransfer,
    PriceListVersion,
    SettledCycle,
    Settlement,
    Transfer,
)
from sinks.books import (
    accounts,
    catalogue_audit,
    coupons,
    cursors,
    drafts,
    groups,
    keys,
    ledger,
    migrate,
    price_lists,
    rules,
    settlements,
)
from sinks.books.engine import Database


class SqlBooks:
    """The `billing.protocol.Books` on SQLite or PostgreSQL; safe for threads and for any number of processes.

    Every method raises Transient when the server is away, the disk is full or the write lock is held for too long (the
    same call may then be repeated), and Misconfigured before the first `migrate`.
    """

    def __init__(self, database: Database) -> None:
        """Take over a database; `close` closes it."""
        self._database = database

    def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
        """Bring the schema up to date; return the revisions applied (or, dry, those that would be)."""
        if dry_run:
            with self._database.read() as connection:
                return migrate.pending(connection)
        with self._database.write() as connection:
            return migrate.upgrade(connection)

    def close(self) -> None:
        """Release connections."""
        self._database.close()

    def put_account(self, account: Account, act: Act = UNSIGNED) -> None:
        """Create or change; raises Conflict for a circle, an unknown parent or group, ValueError for a bad field."""
        with self._database.write() as connection:
            accounts.put(connection, account, act)

    def account(self, account: str) -> Account | None:
        """Return one account."""
        with self._database.read() as connection:
            return accounts.get(connection, account)

    def accounts(self) -> Sequence[Account]:
        """Return all, by id."""
        with self._database.read() as connection:
            return accounts.all_of(connection)

    def add_rule(self, rule: MappingRule, now: int) -> MappingRule:
        """Record a rule (its id and recorded_at are assigned); the same live rule again returns the first."""
        with self._database.write() as connection:
            return rules.add(connection, rule, now)

    def retire_rule(self, rule: int, now: int) -> None:
        """Drop a rule from now on in recorded time; it stays for as-of reads."""
        with self._database.write() as connection:
            rules.retire(connection, rule, now)

    def rules(self, as_of: int | None = None) -> Sequence[MappingRule]:
        """Return the rules known at an instant in microseconds (None: now), by id."""
        with self._database.read() as connection:
            return rules.known(connection, as_of)

    def put_group(self, group: AccountGroup, act: Act) -> bool:
        """Create or change a group; False when it stands just so."""
        with self._database.write() as connection:
            return groups.put(connection, group, act)

    def groups(self) -> Sequence[AccountGroup]:
        """Return all groups, by priority, then id."""
        with self._database.read() as connection:
            return groups.all_of(connection)

    def redeem(self, code: str, account: str, limits: CouponLimits, act: Act) -> Redemption:
        """Record that an account redeems a code from now on; raises Conflict beyond a limit."""
        with self._database.write() as connection:
            return coupons.redeem(connection, code, account, limits, act)

    def redemptions(
        self, account: str | None = None, code: str | None = None, as_of: int | None = None
    ) -> Sequence[Redemption]:
        """Return redemptions recorded before an instant (microseconds; None: all), by time, code, account."""
        with self._database.read() as connection:
            return coupons.find(connection, account, code, as_of)

    def coupons(self, account: str, as_of: int | None = None) -> Mapping[str, int]:
        """Return the codes that an account redeemed, each with the instant of its first redemption in seconds."""
        with self._database.read() as connection:
            return coupons.first_of_each(connection, account, as_of)

    def put_draft(self, draft: str, document: str, expected: int, act: Act) -> Draft:
        """Save a draft; raises Conflict unless its revision is the expected one (0: there is none yet)."""
        with self._database.write() as connection:
            return drafts.put(connection, draft, document, expected, act)

    def draft(self, draft: str) -> Draft | None:
        """Return a draft."""
        with self._database.read() as connection:
            return drafts.get(connection, draft)

    def drafts(self) -> Sequence[Draft]:
        """Return all drafts, by id."""
        with self._database.read() as connection:
            return drafts.all_of(connection)

    def delete_draft(self, draft: str, expected: int, act: Act) -> None:
        """Drop a draft; raises Conflict unless its revision is the expected one."""
        with self._database.write() as connection:
            drafts.drop(connection, draft, expected, act)

    def put_price_list(self, price_list: str, document: str, now: int, how: Publication = PLAIN) -> PriceListVersion:
        """Record a new version, unless the newest has the same document; drop the draft that it came from."""
        with self._database.write() as connection:
            return price_lists.put(connection, price_list, document, now, how)

    def price_list_versions(self, price_list: str) -> Sequence[PriceListVersion]:
        """Return all versions of a list, oldest first."""
        with self._database.read() as connection:
            return price_lists.versions(connection, price_list)

    def price_list(self, price_list: str, as_of: int | None = None) -> PriceListVersion | None:
        """Return the newest version recorded before an instant in microseconds."""
        with self._database.read() as connection:
            return price_lists.get(connection, price_list, as_of)

    def price_lists(self) -> Sequence[PriceListVersion]:
        """Return the newest version of each list, by id."""
        with self._database.read() as connection:
            return price_lists.newest_of_each(connection)

    def catalogue_audit(
        self, before: int | None = None, limit: int = 100, subject: str | None = None
    ) -> Sequence[AuditEntry]:
        """Return changes of the catalogue with sequence < before, newest first."""
        with self._database.read() as connection:
            return catalogue_audit.page(connection, before, limit, subject)

    def post(self, transfer: Transfer, now: int) -> bool:
        """Post a transfer; False when the same one stands already."""
        with self._database.write() as connection:
            return ledger.post(connection, transfer, now)

    def settle(self, settlement: Settlement, transfer: Transfer | None, now: int) -> bool:
        """Record a settlement and post its transfer in one transaction; False when both stand already."""
        with self._database.write() as connection:
            return settlements.settle(connection, settlement, transfer, now)

    def settlements(self, account: str | None = None, cycle_start: int | None = None) -> Sequence[Settlement]:
        """Return settlements by account, cycle start, number."""
        with self._database.read() as connection:
            return settlements.find(connection, account, cycle_start)

    def settled_cycle(self, account: str, cycle_start: int) -> SettledCycle:
        """Return the settlements of a cycle and what they posted, consistent with each other: what settling reads."""
        with self._database.read() as connection:
            return settlements.cycle(connection, account, cycle_start)

    def balance(self, ledger_account: str, currency: str) -> int:
        """Return the sum of entries in micro-units."""
        with self._database.read() as connection:
            return ledger.balance(connection, ledger_account, currency)

    def balances(self) -> Mapping[tuple[str, str], int]:
        """Return every (ledger account, currency) and its balance."""
        with self._database.read() as connection:
            return ledger.balances(connection)

    def transfers(
        self, accounts: Sequence[str] | None, after: int = 0, limit: int = 100, as_of: int | None = None
    ) -> Sequence[PostedTransfer]:
        """Return transfers of the accounts (None: all) with sequence > after, in journal order."""
        with self._database.read() as connection:
            return ledger.page(connection, accounts, after, limit, as_of)

    def transfer(self, transfer: str) -> PostedTransfer | None:
        """Return a transfer by its id."""
        with self._database.read() as connection:
            return ledger.get(connection, transfer)

    def cursor(self, job: str) -> int:
        """Return how far a job has come, as it said itself; 0 before it ever did."""
        with self._database.read() as connection:
            return cursors.get(connection, job)

    def advance(self, job: str, to: int) -> None:
        """Remember how far a job has come; never moves back, so that of two runs at once the farther one counts."""
        with self._database.write() as connection:
            cursors.advance(connection, job, to)

    def put_api_key(self, key: ApiKey) -> None:
        """Create or change a key."""
        with self._database.write() as connection:
            keys.put(connection, key)

    def api_key(self, key: str) -> ApiKey | None:
        """Return a key by its public id."""
        with self._database.read() as connection:
            return keys.get(connection, key)

    def api_keys(self) -> Sequence[ApiKey]:
        """Return all keys, by id."""
        with self._database.read() as connection:
            return keys.all_of(connection)
