"""Settle stories in which who pays, or how often, changes after the fact."""

from schemas.period import Period, parse_instant
from tests.pipeline.provider import Provider, level
from tests.pipeline.rows import DAY, HOUR, T0, Row

PER_VCPU_HOUR = 10_000


def posted(provider: Provider, account: str) -> list[int]:
    return [s.posted_micros for s in provider.settlements(account)]


def test_a_corrected_rule_moves_usage_and_the_sum_stays(provider: Provider) -> None:
    """Invariants 10 and 14: who had paid gets it back, who should have paid pays; nobody pays twice."""
    provider.account("acme", cycle="daily")
    provider.account("beta", cycle="daily")
    provider.send([*level(2, hours=48), *level(1, hours=48, tenant="beta", resource="vm/b")])
    provider.settle(T0 + 3 * DAY)
    before = provider.debited()
    provider.rule("acme", "beta", start=T0 + DAY)
    report = provider.settle(T0 + 3 * DAY + HOUR)
    assert {(s.account, s.number) for s in report.settlements} == {("acme", 1), ("beta", 1)}
    assert posted(provider, "acme") == [48 * PER_VCPU_HOUR, 48 * PER_VCPU_HOUR, -48 * PER_VCPU_HOUR]
    assert posted(provider, "beta") == [24 * PER_VCPU_HOUR, 24 * PER_VCPU_HOUR, 48 * PER_VCPU_HOUR]
    assert provider.debited() == before
    provider.holds()


def test_a_retired_rule_takes_everything_back(provider: Provider) -> None:
    """Invariant 10: usage without a payer is shown under no account and billed to none."""
    provider.account("acme", tenant="", cycle="daily")
    rule = provider.rule("acme", "acme")
    provider.send(level())
    provider.settle(T0 + 2 * DAY)
    assert provider.debited() == 48 * PER_VCPU_HOUR
    provider.books.retire_rule(rule.id, provider.clock())
    provider.settle(T0 + 3 * DAY)
    assert provider.debited() == 0
    assert [r.lines for r in provider.ratings("acme")] == [0]
    provider.holds()


def test_one_resource_of_a_tenant_moves(provider: Provider) -> None:
    provider.account("acme", cycle="daily")
    provider.account("beta", cycle="daily")
    provider.send([*level(2), *level(4, resource="vm/2")])
    provider.settle(T0 + 2 * DAY)
    provider.rule("acme", "beta", resource="vm/2")
    provider.settle(T0 + 2 * DAY + HOUR)
    assert posted(provider, "acme") == [144 * PER_VCPU_HOUR, -96 * PER_VCPU_HOUR]
    assert posted(provider, "beta") == [96 * PER_VCPU_HOUR]
    provider.holds()


def test_a_copy_that_names_another_owner_moves_the_sample(provider: Provider) -> None:
    """Invariant 2: the winning version says whose it is; the one who had paid gets it back."""
    provider.account("acme", cycle="daily")
    provider.account("beta", cycle="daily")
    provider.send(level(hours=2))
    provider.settle(T0 + 2 * DAY)
    provider.send([Row(start=T0 + 300 * i, tenant="beta", revision=1) for i in range(12)])
    provider.settle(T0 + 3 * DAY)
    assert posted(provider, "acme") == [4 * PER_VCPU_HOUR, -2 * PER_VCPU_HOUR]
    assert posted(provider, "beta") == [2 * PER_VCPU_HOUR]
    provider.holds()


def deployed(start: int, tenant: str = "acme", resource: str = "image/1", revision: int = 0) -> Row:
    return Row(resource, "image.deployment", start, 1, 1, 1, tenant, revision=revision, event=("deployer", "e1"))


def test_an_event_whose_original_comes_after_its_retry_moves_to_the_day_before(provider: Provider) -> None:
    """Invariants 2 and 10: the earliest time counts; the day of the retry gets its debit back."""
    provider.account(cycle="daily")
    provider.send([deployed(T0 + DAY + HOUR)])
    provider.settle(T0 + 3 * DAY)
    assert [(s.cycle_start, s.posted_micros) for s in provider.settlements()] == [(T0 + DAY, 500_000)]
    provider.send([deployed(T0 + 23 * HOUR)])
    report = provider.settle(T0 + 3 * DAY + HOUR)
    moved = {(s.cycle_start, s.number, s.posted_micros) for s in report.settlements}
    assert moved == {(T0, 0, 500_000), (T0 + DAY, 1, -500_000)}
    assert provider.debited() == 500_000
    provider.holds()
    assert provider.settle(T0 + 4 * DAY).settlements == []


def test_a_higher_revision_of_an_event_moves_it_to_another_owner(provider: Provider) -> None:
    """Invariants 2 and 10: on another resource, so that nothing but the event connects the two accounts."""
    provider.account("acme", cycle="daily")
    provider.account("beta", cycle="daily")
    provider.send([deployed(T0 + HOUR)])
    provider.settle(T0 + 2 * DAY)
    provider.send([deployed(T0 + DAY + HOUR, "beta", "image/2", revision=1)])
    provider.settle(T0 + 3 * DAY)
    assert (posted(provider, "acme"), posted(provider, "beta")) == ([500_000, -500_000], [500_000])
    provider.holds()


def test_an_account_moves_from_daily_to_monthly(provider: Provider) -> None:
    """Invariants 10 and 12: the days that are settled stay; the rest of the month is one shorter cycle."""
    provider.account(cycle="daily")
    provider.send(level(hours=72))
    provider.settle(T0 + 4 * DAY)
    provider.account(cycle="monthly")
    provider.send(level(start=T0 + 10 * DAY))
    assert provider.settle(T0 + 20 * DAY).settlements == []
    (month,) = provider.settle(T0 + 32 * DAY).settlements
    assert Period(month.cycle_start, month.cycle_end) == Period(T0 + 3 * DAY, parse_instant("2026-11-01T00:00:00Z"))
    provider.send(level(start=T0 + HOUR, hours=1, resource="vm/late"))
    (late,) = provider.settle(T0 + 33 * DAY).settlements
    assert Period(late.cycle_start, late.cycle_end) == Period(T0, T0 + DAY)
    assert late.posted_micros == 2 * PER_VCPU_HOUR
    assert provider.debited() == (4 * 48 + 2) * PER_VCPU_HOUR
    provider.holds()


def test_an_account_moves_from_monthly_to_hourly_and_to_another_zone(provider: Provider) -> None:
    """Invariants 6 and 12: no hour is in two cycles, whatever the zone says afterwards."""
    provider.price(window="month")
    provider.account(cycle="monthly")
    provider.send(level(hours=48))
    provider.rate()
    provider.settle(T0 + 32 * DAY)
    provider.account(cycle="hourly", timezone="Asia/Kathmandu")
    november = parse_instant("2026-11-01T00:00:00Z")
    provider.send(level(start=november, hours=3))
    provider.rate()
    provider.settle(november + 2 * DAY)
    found = provider.settlements()
    before, after = ([s for s in found if (s.cycle_start < november) is old] for old in (True, False))
    assert before[0].posted_micros == 96 * PER_VCPU_HOUR
    assert all(s.posted_micros == 0 and not s.transfer_id for s in before[1:]), "other windows, the same amount"
    assert sum(s.posted_micros for s in after) == 6 * PER_VCPU_HOUR
    assert after[0].cycle_start == november, "the first hour is cut where the month ends"
    provider.holds()


def test_windows_that_change_their_size_are_not_counted_twice(provider: Provider) -> None:
    """Invariants 6 and 10: a day that was rated whole, and then by the hour."""
    provider.account(cycle="monthly")
    provider.send(level())
    provider.rate()
    assert sum(r.lines for r in provider.ratings()) == 1
    provider.price(window="hour")
    provider.send(level(start=T0 + DAY, hours=1))
    for account, cells in provider.parts.live.sweep().items():
        provider.queue.add(account, cells)
    provider.rate()
    assert sum(r.lines for r in provider.ratings()) == 25
    assert sum(r.amount_micros for r in provider.ratings()) == 50 * PER_VCPU_HOUR
    provider.settle(T0 + 40 * DAY)
    assert provider.debited() == 50 * PER_VCPU_HOUR
    provider.holds()


def test_a_sub_account_is_billed_on_its_own(provider: Provider) -> None:
    """Invariant 14: the tree is for prices and for looking; each sample has one payer."""
    provider.account("reseller", tenant="", cycle="daily")
    provider.account("acme", cycle="daily", parent="reseller")
    provider.send(level())
    provider.settle(T0 + 2 * DAY)
    assert (provider.balance("reseller"), provider.balance("acme")) == (0, -48 * PER_VCPU_HOUR)
    provider.holds()
