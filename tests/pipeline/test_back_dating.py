"""A price list that changes the past by force: settled cycles are rated anew and the differences are posted."""

import pytest

from billing.catalogue import BackDated
from billing.catalogue_values import AccountGroup, Act
from billing.publishing import publish
from schemas.period import SECOND, Period
from tests.pipeline.provider import Provider, level, prices
from tests.pipeline.rows import DAY, T0

PER_VCPU_HOUR = 10_000
"""Micro-units: 0.01 CU."""
MEMBERS = "id: members\nname: Members\ncurrency: CU\nprices:\n" + (
    '  - {id: vcpu, product: Compute, meter: vm.vcpu, amount: "0.005", per: vCPU·h, from: 2026-01-01T00:00:00Z}\n'
)


def publish_at(provider: Provider, text: str, reason: str = "", *, force: bool = False) -> None:
    publish(provider.books, text, provider.parts.registry, Act("key:anna", provider.clock(), reason), force=force)


def test_a_forced_change_of_the_past_posts_the_difference(provider: Provider) -> None:
    """Invariants 10 and 12: what was posted stays; the difference is a transfer of its own."""
    publish_at(provider, prices("0.01"))
    provider.account(cycle="daily")
    provider.send(level(hours=48))
    first = provider.settle(T0 + 3 * DAY)
    assert [s.posted_micros for s in first.settlements] == [48 * PER_VCPU_HOUR] * 2
    posted = [provider.books.transfer(s.transfer_id) for s in first.settlements]
    with pytest.raises(BackDated):
        publish_at(provider, prices("0.03"), "a wrong price")
    assert provider.settle(T0 + 4 * DAY).settlements == []
    publish_at(provider, prices("0.03"), "a wrong price", force=True)
    second = provider.settle(T0 + 5 * DAY)
    assert [(s.number, s.posted_micros) for s in second.settlements] == [(1, 96 * PER_VCPU_HOUR)] * 2
    assert provider.balance() == -3 * 96 * PER_VCPU_HOUR
    assert [provider.books.transfer(s.transfer_id) for s in first.settlements] == posted
    entry = provider.books.catalogue_audit()[0]
    assert (entry.action, entry.actor, entry.reason) == ("list.back-date", "key:anna", "a wrong price")
    assert provider.settle(T0 + 6 * DAY).settlements == []
    provider.holds()


def test_a_scheduled_change_posts_nothing(provider: Provider) -> None:
    publish_at(provider, prices("0.01"))
    provider.account(cycle="daily")
    provider.send(level(hours=24))
    provider.settle(T0 + 2 * DAY)
    from_november = prices("0.01").replace(
        "from: 2026-01-01T00:00:00Z}\n  - {id: gold",
        "from: 2026-01-01T00:00:00Z, to: 2026-11-01T00:00:00Z}\n  - {id: gold",
    )
    publish_at(provider, from_november)
    assert provider.books.price_lists()[0].version == 2
    report = provider.settle(T0 + 3 * DAY)
    assert sum(s.posted_micros for s in report.settlements) == 0
    assert provider.balance() == -48 * PER_VCPU_HOUR
    provider.holds()


def test_a_group_that_gets_a_list_is_looked_at(provider: Provider) -> None:
    """The next cycle is rated under the group's list; a settled cycle keeps its list."""
    publish_at(provider, prices("0.01"))
    publish_at(provider, MEMBERS)
    act = Act("key:anna", provider.clock())
    provider.books.put_group(AccountGroup("members", "Members", "members"), act)
    provider.account(cycle="daily")
    provider.send(level(hours=24))
    provider.settle(T0 + 2 * DAY)
    assert provider.balance() == -48 * PER_VCPU_HOUR
    provider.account(groups=("members",))
    provider.send(level(start=T0 + 2 * DAY, hours=24))
    provider.settle(T0 + 4 * DAY)
    assert [Period(s.cycle_start, s.cycle_end).start for s in provider.settlements()] == [T0, T0 + 2 * DAY]
    assert provider.settlements()[1].posted_micros == 48 * PER_VCPU_HOUR // 2
    assert provider.books.catalogue_audit()[0].at // SECOND >= T0
    provider.holds()
