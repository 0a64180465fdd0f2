"""The provider file: accounts, mapping rules, price lists and grants as one YAML document, applied to the books.

Applying is idempotent. Everything is checked before anything is written, and every problem is listed with its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from billing.accounts import check_account, put_account
from billing.ledger import grant
from billing.protocol import Account, Books, Cycle, MappingRule
from pipeline.rate import NO_PRICE_LIST
from rating.price_list import parse
from schemas.calendar import zone_of
from schemas.errors import Misconfigured
from schemas.meters import Registry
from schemas.money import Money, micros_of
from schemas.period import FOREVER, parse_instant

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=63)]


def _zone(name: str) -> str:
    zone_of(name)
    return name


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AccountEntry(_Entry):
    """See `billing.protocol.Account`."""

    id: Name
    name: Annotated[str, StringConstraints(min_length=1)]
    parent: Name | None = None
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    cycle: Cycle = "monthly"
    price_list: str | None = None


class RuleEntry(_Entry):
    """See `billing.protocol.MappingRule`; `from` and `to` are instants."""

    site: Annotated[str, StringConstraints(min_length=1)]
    tenant: str
    account: Name
    resource: Annotated[str, StringConstraints(min_length=1)] = "*"
    start: Any = Field(None, alias="from")
    end: Any = Field(None, alias="to")


class GrantEntry(_Entry):
    """Units put into a wallet once; `key` makes it one grant however often the file is applied."""

    account: Name
    amount: str
    key: Annotated[str, StringConstraints(min_length=1)]
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{1,15}$")] = "CU"


class ProviderFile(_Entry):
    """The whole document."""

    accounts: tuple[AccountEntry, ...] = ()
    rules: tuple[RuleEntry, ...] = ()
    price_lists: tuple[dict[str, Any], ...] = ()
    grants: tuple[GrantEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked document, ready to be applied."""

    accounts: Sequence[Account]
    rules: Sequence[MappingRule]
    price_lists: Sequence[tuple[str, str]]
    grants: Sequence[tuple[str, Money, str]]
    warnings: Sequence[str]


def read(text: str, registry: Registry) -> Plan:
    """Return the plan of a document; raises Misconfigured with every problem."""
    problems: list[str] = []
    try:
        document = ProviderFile.model_validate(yaml.safe_load(text) or {})
    except yaml.YAMLError as error:
        raise Misconfigured([f"not YAML: {error}"]) from error
    except ValidationError as error:
        raise Misconfigured([f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]) from error
    lists, warnings = _price_lists(document, registry, problems)
    rules = [_rule(number, entry, problems) for number, entry in enumerate(document.rules)]
    grants = [_grant(number, entry, problems) for number, entry in enumerate(document.grants)]
    accounts = [Account(**entry.model_dump()) for entry in document.accounts]
    for number, account in enumerate(accounts):
        try:
            check_account(account)
        except ValueError as error:
            problems.append(f"accounts.{number}: {error}")
    if problems:
        raise Misconfigured(problems)
    return Plan(accounts, rules, lists, grants, warnings)


def apply(plan: Plan, books: Books, now: int) -> dict[str, int]:
    """Bring a plan into the books; return how many accounts, rules, price lists and grants it names.

    Args:
        plan: from `read`.
        books: where to.
        now: microseconds since 1970.

    Raises:
        Misconfigured: a rule, grant or sub-account names an account that is neither in the file nor in the books.
        Conflict: a circle of parents, or a grant's key that was used for another amount.
    """
    known = {a.id for a in (*plan.accounts, *books.accounts())}
    named = {*(r.account for r in plan.rules), *(name for name, _, _ in plan.grants)}
    unknown = sorted((named | {a.parent for a in plan.accounts if a.parent}) - known)
    if unknown:
        raise Misconfigured([f"there is no account {name!r}: add it to accounts" for name in unknown])
    for account in plan.accounts:
        put_account(books, account, now)
    for rule in plan.rules:
        books.add_rule(rule, now)
    for name, text in plan.price_lists:
        books.put_price_list(name, text, now)
    for account_name, amount, key in plan.grants:
        books.post(grant(account_name, amount, key, 0), now)
    return {
        "accounts": len(plan.accounts),
        "rules": len(plan.rules),
        "price_lists": len(plan.price_lists),
        "grants": len(plan.grants),
    }


def _price_lists(
    document: ProviderFile, registry: Registry, problems: list[str]
) -> tuple[list[tuple[str, str]], list[str]]:
    lists, warnings = [], []
    for number, fields in enumerate(document.price_lists):
        text = yaml.safe_dump(fields, allow_unicode=True, sort_keys=False)
        try:
            parsed = parse(text, registry)
        except Misconfigured as error:
            problems += [f"price_lists.{number}.{problem}" for problem in error.problems]
        else:
            lists.append((parsed.id, text))
            if parsed.id == NO_PRICE_LIST.id:
                problems.append(f"price_lists.{number}.id: {parsed.id!r} stands for no price list: choose another")
            warnings += [f"price_lists.{number}: {warning}" for warning in parsed.warnings]
    return lists, warnings


def _instant(value: Any, default: int) -> int:
    if value is None:
        return default
    return parse_instant(value if isinstance(value, str) else value.isoformat())


def _rule(number: int, entry: RuleEntry, problems: list[str]) -> MappingRule:
    start, end = 0, FOREVER
    try:
        start, end = _instant(entry.start, 0), _instant(entry.end, FOREVER)
        if start >= end:
            problems.append(f"rules.{number}: `to` must lie after `from`")
    except (ValueError, AttributeError) as error:
        problems.append(f"rules.{number}: {error}")
    return MappingRule(0, entry.site, entry.tenant, entry.account, entry.resource, start, end)


def _grant(number: int, entry: GrantEntry, problems: list[str]) -> tuple[str, Money, str]:
    try:
        micros = micros_of(Decimal(entry.amount))
        if micros <= 0:
            problems.append(f"grants.{number}.amount: a grant must be more than zero, not {entry.amount!r}")
        return entry.account, Money(micros, entry.currency), entry.key
    except (InvalidOperation, ValueError) as error:
        problems.append(
            f"grants.{number}.amount: {entry.amount!r} is not a decimal number of at most six digits: {error}"
        )
        return entry.account, Money(0, entry.currency), entry.key
