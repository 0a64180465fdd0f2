"""Settle stories: time goes on, cycles close, debits are posted once, late data is adjusted to the last digit."""

from pathlib import Path

import pytest

from billing.protocol import CYCLES, Cycle
from schemas.period import Period, iso, parse_instant
from tests.pipeline.provider import GRACE, Provider, level, prices, provider_in
from tests.pipeline.rows import DAY, HOUR, T0, Row

PER_VCPU_HOUR = 10_000
"""Micro-units: 0.01 CU."""


def test_nothing_is_posted_before_the_grace_is_over(provider: Provider) -> None:
    """Invariant 12, and the life of a window: open, grace, closed, settled."""
    provider.account(cycle="daily")
    provider.send(level())
    for at in (T0 + 12 * HOUR, T0 + DAY, T0 + DAY + GRACE - 60):
        assert provider.settle(at).settlements == []
    (settled,) = provider.settle(T0 + DAY + GRACE).settlements
    assert (settled.number, settled.posted_micros) == (0, 48 * PER_VCPU_HOUR)
    transfer = provider.books.transfer(settled.transfer_id)
    assert transfer is not None
    assert (transfer.transfer.kind, iso(transfer.transfer.effective_at)) == ("debit", "2026-10-02T00:00:00Z")
    assert provider.balance() == -48 * PER_VCPU_HOUR
    provider.holds()


def test_a_second_run_posts_nothing(provider: Provider) -> None:
    """Invariant 12."""
    provider.account(cycle="daily")
    provider.send(level(hours=72))
    first = provider.settle(T0 + 4 * DAY)
    before = provider.export(Period(T0, T0 + 3 * DAY))
    assert len(first.settlements) == 3
    for later in (0, HOUR, DAY, 30 * DAY):
        assert provider.settle(T0 + 4 * DAY + later).settlements == []
    assert provider.export(Period(T0, T0 + 3 * DAY)) == before
    provider.holds()


@pytest.mark.parametrize("cycle", CYCLES)
def test_every_cycle_covers_every_hour_once(provider: Provider, cycle: Cycle) -> None:
    """Invariants 6 and 10: in a zone with a change of the clock, whatever the cycle."""
    zone = "Europe/Prague"
    start = parse_instant("2026-10-24T00:00:00+02:00")  # a day later has 25 hours
    provider.account(cycle=cycle, timezone=zone)
    provider.send(level(3, start, hours=24 + 25 + 24))
    provider.settle(parse_instant("2027-02-01T00:00:00Z"))
    found = provider.settlements()
    assert len(found) == {"hourly": 73, "daily": 3, "monthly": 1, "yearly": 1}[cycle]
    assert sum(s.posted_micros for s in found) == 3 * 73 * PER_VCPU_HOUR
    if cycle == "daily":
        assert [s.posted_micros // (3 * PER_VCPU_HOUR) for s in found] == [24, 25, 24]
    provider.holds()


def test_late_data_is_adjusted_exactly_in_the_open_period(provider: Provider) -> None:
    """Invariants 10 and 13: the first debit stays as it was; the difference is a new transfer."""
    provider.account(cycle="daily")
    provider.send(level(hours=23))
    (first,) = provider.settle(T0 + 2 * DAY).settlements
    standing = provider.books.transfer(first.transfer_id)
    provider.clock.move_to(T0 + 5 * DAY + 3 * HOUR)
    provider.send(level(start=T0 + 23 * HOUR, hours=1))
    (second,) = provider.settle(T0 + 5 * DAY + 4 * HOUR).settlements
    assert (second.number, second.posted_micros) == (1, 2 * PER_VCPU_HOUR)
    assert second.total_micros == first.total_micros + second.posted_micros
    adjustment = provider.books.transfer(second.transfer_id)
    assert adjustment is not None
    assert (adjustment.transfer.kind, iso(adjustment.transfer.effective_at)) == ("adjustment", "2026-10-06T00:00:00Z")
    assert provider.books.transfer(first.transfer_id) == standing
    provider.holds()


def test_settling_telescopes(provider: Provider) -> None:
    """Invariant 10: however often data comes late, Σ posted is the newest total."""
    provider.account(cycle="daily")
    for hour in range(5):
        provider.send(level(start=T0 + hour * HOUR, hours=1))
        provider.settle(T0 + (2 + hour) * DAY)
        provider.holds()
    corrected = [Row(start=T0 + 300 * i, quantity=300, revision=1) for i in range(12)]
    provider.send(corrected)  # the first hour was one vCPU, not two
    (last,) = provider.settle(T0 + 8 * DAY).settlements
    assert last.posted_micros == -PER_VCPU_HOUR
    found = provider.settlements()
    assert [s.number for s in found] == list(range(6))
    assert sum(s.posted_micros for s in found) == last.total_micros == 9 * PER_VCPU_HOUR
    provider.holds()


def test_data_later_than_the_limit_changes_nothing(provider: Provider) -> None:
    provider.account(cycle="daily")
    provider.send(level(hours=1))
    provider.settle(T0 + 2 * DAY)
    provider.clock.move_to(T0 + 410 * DAY)
    provider.send(level(start=T0 + HOUR, hours=1))
    assert provider.settle().settlements == []
    provider.holds()


def test_drift_is_zero_when_live_saw_everything(provider: Provider) -> None:
    """Invariant 8: live and settle are the same function of the same rows."""
    provider.account(cycle="daily")
    provider.send(level(hours=20))
    provider.rate()
    provider.send(level(start=T0 + 20 * HOUR, hours=4))
    provider.rate()
    (settled,) = provider.settle(T0 + 2 * DAY).settlements
    assert settled.live_micros == settled.total_micros == 48 * PER_VCPU_HOUR


def test_settling_before_any_live_rating(provider: Provider) -> None:
    provider.account(cycle="daily")
    provider.send(level())
    (settled,) = provider.settle(T0 + 2 * DAY).settlements
    assert (settled.live_micros, settled.total_micros) == (0, 48 * PER_VCPU_HOUR)
    assert provider.rate() == 0
    provider.holds()


def test_live_rating_leaves_what_is_settled(provider: Provider) -> None:
    """Invariant 13's forerunner: late rows wait for the settle job, live ratings of them are never valid."""
    provider.account(cycle="daily")
    provider.send(level())
    provider.settle(T0 + 2 * DAY)
    before = provider.ratings()
    provider.send(level(start=T0 + 6 * HOUR, hours=1, resource="vm/2"))
    assert provider.rate() == 0
    assert provider.ratings() == before


def test_a_live_rating_that_was_under_way_does_not_hide_the_settled_one(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 10: it had looked before the cycle was settled, and writes after; settled beats live."""
    provider.account(cycle="daily")
    provider.send(level())
    provider.settle(T0 + 2 * DAY)
    before = provider.ratings()
    provider.send(level(start=T0 + 6 * HOUR, hours=1, resource="vm/2"))
    with monkeypatch.context() as patch:
        patch.setattr(type(provider.books), "settlements", lambda *_: ())
        assert provider.rate() == 1
    assert provider.ratings() == before
    provider.holds()
    (late,) = provider.settle().settlements
    assert late.posted_micros == 2 * PER_VCPU_HOUR
    provider.holds()


def test_a_new_price_list_version_posts_the_difference(provider: Provider) -> None:
    """Invariants 8 and 9."""
    provider.account(cycle="daily")
    provider.send(level(hours=48))
    provider.settle(T0 + 3 * DAY)
    provider.price(vcpu="0.012")
    report = provider.settle(T0 + 3 * DAY + HOUR)
    assert [(s.number, s.posted_micros) for s in report.settlements] == [(1, 48 * 2_000)] * 2
    assert provider.settle(T0 + 4 * DAY).settlements == []
    provider.holds()


def test_a_price_that_changes_within_a_day(provider: Provider) -> None:
    """Invariant 9: each second of usage has one price; the window is cut where the price changes."""
    change = "2026-10-01T18:00:00Z"
    text = prices().replace(
        '0.01", per: vCPU·h, from: 2026-01-01T00:00:00Z',
        f'0.01", per: vCPU·h, from: 2026-01-01T00:00:00Z, to: {change}',
    )
    text += f'  - {{id: vcpu-2, product: Compute, meter: vm.vcpu, amount: "0.03", per: vCPU·h, from: {change}}}\n'
    provider.price(text=text)
    provider.account(cycle="daily")
    provider.send(level())
    (settled,) = provider.settle(T0 + 2 * DAY).settlements
    assert settled.posted_micros == 2 * (18 * 10_000 + 6 * 30_000)
    assert settled.lines == 2
    (rating,) = provider.ratings()
    assert (rating.lines, rating.unpriced, rating.window) == (2, 0, Period(T0, T0 + DAY))
    provider.holds()


def test_an_account_without_prices_is_shown_and_settled_once_there_are_some(tmp_path: Path, chdb_folder: Path) -> None:
    """Invariants 9 and 10: all of it is unpriced and nothing is posted; a list that comes later bills the past."""
    with provider_in(tmp_path, chdb_folder) as provider:
        provider.account(cycle="daily")
        provider.send(level())
        provider.rate()
        provider.settle(T0 + 2 * DAY)
        assert (provider.settlements(), provider.balance()) == ([], 0)
        (rating,) = provider.ratings()
        assert (rating.lines, rating.unpriced, rating.amount_micros, rating.price_list) == (1, 1, 0, "none")
        provider.holds()
        provider.price()
        report = provider.settle(T0 + 3 * DAY)
        assert (report.problems, [s.posted_micros for s in report.settlements]) == ([], [48 * PER_VCPU_HOUR])
        assert [r.unpriced for r in provider.ratings()] == [0]
        provider.holds()


def test_a_list_that_does_not_exist_falls_back_to_the_default(provider: Provider) -> None:
    """Invariant 9."""
    provider.account(cycle="daily", price_list="does-not-exist")
    provider.send(level())
    provider.settle(T0 + 2 * DAY)
    assert provider.balance() == -48 * PER_VCPU_HOUR


def test_unpriced_meters_cost_nothing_and_are_counted(provider: Provider) -> None:
    """Invariant 9."""
    provider.account(cycle="daily")
    provider.send([*level(), Row(meter="vm.memory", quantity=1000)])
    (settled,) = provider.settle(T0 + 2 * DAY).settlements
    assert (settled.lines, settled.posted_micros) == (2, 48 * PER_VCPU_HOUR)
    assert [r.unpriced for r in provider.ratings()] == [1]
    provider.holds()


def test_usage_that_nobody_claims_is_never_billed(provider: Provider) -> None:
    """Invariant 14."""
    provider.account(cycle="daily")
    provider.send([*level(), *level(tenant="stray", resource="vm/9")])
    provider.settle(T0 + 2 * DAY)
    assert provider.debited() == 48 * PER_VCPU_HOUR
    provider.holds()
