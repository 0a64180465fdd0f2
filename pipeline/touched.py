"""Which accounts have new usage, and on which days: what a sweep and a settle run have to look at again."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from billing.accounts import ACCOUNTS_CHANGED
from billing.protocol import Books
from pipeline.directory import Directory
from schemas.period import Period
from sinks.warehouse.protocol import Warehouse

DAY_SECONDS: Final = 86400


def touched_days(
    warehouse: Warehouse, books: Books, directory: Directory, since: int, before: int
) -> Mapping[str, Sequence[Period]]:
    """Return by account the UTC days with rows stored in [since, before), neighbouring days joined.

    After a mapping rule, a price list or an account changed, every day counts for every account: usage may have moved
    from one to another, and who lost it must be looked at, too.

    Both instants are microseconds since 1970.
    """
    changed = changed_since(books, since)
    table = warehouse.touched(0 if changed else since, before)
    days: dict[str, set[int]] = {}
    cotenants = warehouse.cotenants()  # a resource that changed hands: its former tenant may have lost samples
    for tenant, day in zip(table.column("tenant_id").to_pylist(), table.column("day").to_pylist(), strict=True):
        for account in directory.accounts_of_tenants([tenant, *cotenants.get(tenant, ())]):
            days.setdefault(account, set()).add(day)
    if changed and days:
        everything = set().union(*days.values())
        days = dict.fromkeys(directory.accounts(), everything)
    for account, found in list(days.items()):  # who shares an allowance with it has other amounts, too
        for sibling in directory.with_siblings([account]):
            days[sibling] = days.get(sibling, set()) | found
    return {account: joined(found) for account, found in days.items() if account in directory.accounts()}


def changed_since(books: Books, since: int) -> bool:
    """Tell whether a mapping rule, a price list or an account changed at or after an instant (microseconds)."""
    if books.cursor(ACCOUNTS_CHANGED) >= since:
        return True
    before, now = books.rules(since), books.rules()
    return [r.id for r in before] != [r.id for r in now] or any(p.recorded_at >= since for p in books.price_lists())


def joined(days: Iterable[int]) -> list[Period]:
    """Return UTC days (their starts, seconds) as periods, neighbours joined."""
    periods: list[Period] = []
    for day in sorted(days):
        if periods and periods[-1].end == day:
            periods[-1] = Period(periods[-1].start, day + DAY_SECONDS)
        else:
            periods.append(Period(day, day + DAY_SECONDS))
    return periods
