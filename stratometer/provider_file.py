"""The provider file: groups, accounts, mapping rules, price lists and grants as one YAML document, for the books.

Applying is idempotent. Everything is checked before anything is written, and every problem is listed with its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from billing.accounts import PRIORITY_MAX, check_account, put_account
from billing.catalogue_values import AccountGroup, Act
from billing.ledger import grant
from billing.protocol import Account, Books, Cycle, MappingRule
from billing.publishing import Review, checked, record, review
from pipeline.rate import NO_PRICE_LIST
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
    groups: tuple[Name, ...] = ()


class GroupEntry(_Entry):
    """See `billing.catalogue_values.AccountGroup`."""

    id: Name
    name: Annotated[str, StringConstraints(min_length=1)]
    price_list: str | None = None
    priority: Annotated[int, Field(ge=-PRIORITY_MAX, le=PRIORITY_MAX)] = 0


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

    groups: tuple[GroupEntry, ...] = ()
    accounts: tuple[AccountEntry, ...] = ()
    rules: tuple[RuleEntry, ...] = ()
    price_lists: tuple[dict[str, Any], ...] = ()
    grants: tuple[GrantEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked document, ready to be applied."""

    groups: Sequence[AccountGroup]
    accounts: Sequence[Account]
    rules: Sequence[MappingRule]
    price_lists: Sequence[str]
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
    groups = [AccountGroup(**entry.model_dump()) for entry in document.groups]
    accounts = [Account(**entry.model_dump()) for entry in document.accounts]
    for number, account in enumerate(accounts):
        try:
            check_account(account)
        except ValueError as error:
            problems.append(f"accounts.{number}: {error}")
    if problems:
        raise Misconfigured(problems)
    return Plan(groups, accounts, rules, lists, grants, warnings)


def apply(plan: Plan, books: Books, registry: Registry, act: Act, *, force: bool = False) -> dict[str, int]:
    """Bring a plan into the books; return how many groups, accounts, rules, price lists and grants it names.

    Args:
        plan: from `read`.
        books: where to.
        registry: the meters of the installation.
        act: who applies it, when, and why.
        force: publish price lists that change the past, too; needs a reason.

    Raises:
        Misconfigured: a rule, grant or sub-account names an account, or an account a group, that is neither in the
            file nor in the books.
        BackDated: a price list would change the past.
        Conflict: a circle of parents, or a grant's key that was used for another amount.
    """
    _check_names(plan, books)
    reviews: dict[str, Review] = {}
    for text in plan.price_lists:
        beside = {name: one.proposal.price_list for name, one in reviews.items()}
        found = review(books, text, registry, act, force=force, beside=beside)
        reviews[found.proposal.price_list.id] = found
    for found in reviews.values():
        record(books, found, act)
    for group in plan.groups:
        books.put_group(group, act)
    for account in plan.accounts:
        put_account(books, account, act.at, act)
    for rule in plan.rules:
        books.add_rule(rule, act.at)
    for account_name, amount, key in plan.grants:
        books.post(grant(account_name, amount, key, 0), act.at)
    return {
        "groups": len(plan.groups),
        "accounts": len(plan.accounts),
        "rules": len(plan.rules),
        "price_lists": len(plan.price_lists),
        "grants": len(plan.grants),
    }


def _check_names(plan: Plan, books: Books) -> None:
    known = {a.id for a in (*plan.accounts, *books.accounts())}
    named = {*(r.account for r in plan.rules), *(name for name, _, _ in plan.grants)}
    named |= {a.parent for a in plan.accounts if a.parent}
    problems = [f"there is no account {name!r}: add it to accounts" for name in sorted(named - known)]
    groups = {g.id for g in (*plan.groups, *books.groups())}
    named = {group for a in plan.accounts for group in a.groups}
    problems += [f"there is no group {name!r}: add it to groups" for name in sorted(named - groups)]
    if problems:
        raise Misconfigured(problems)


def _price_lists(document: ProviderFile, registry: Registry, problems: list[str]) -> tuple[list[str], list[str]]:
    """Return the lists' documents, parents before their heirs, and warnings; adds to the problems."""
    texts: dict[str, str] = {}
    heirs: TopologicalSorter[str] = TopologicalSorter()
    warnings: list[str] = []
    for number, fields in enumerate(document.price_lists):
        text = yaml.safe_dump(fields, allow_unicode=True, sort_keys=False)
        try:
            parsed = checked(text, registry)
        except Misconfigured as error:
            problems += [f"price_lists.{number}.{problem}" for problem in error.problems]
            continue
        if parsed.id == NO_PRICE_LIST.id:
            problems.append(f"price_lists.{number}.id: {parsed.id!r} stands for no price list: choose another")
        if parsed.id in texts:
            problems.append(f"price_lists.{number}.id: {parsed.id!r} stands twice")
        texts[parsed.id] = text
        heirs.add(parsed.id, *([parsed.inherits] if parsed.inherits else []))
        warnings += [f"price_lists.{number}: {warning}" for warning in parsed.warnings]
    try:
        return [texts[name] for name in heirs.static_order() if name in texts], warnings
    except CycleError as error:
        problems.append(f"price_lists: {' inherits '.join(error.args[1])}: none is the first")
        return [], warnings


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
