"""Price lists with windows of several sizes on real stores: live and settled alike, each window one rating."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from schemas.ids import account_id
from schemas.period import Period, parse_instant
from sinks.warehouse.protocol import Rating
from tests.pipeline.provider import ALL, Provider, level, provider_in
from tests.pipeline.rows import DAY, HOUR, T0, Row

OCTOBER = Period(T0, T0 + 31 * DAY)
HEAD = "id: default\nname: Standard\ncurrency: CU\nwindow: day\n"
TIERS = (
    HEAD
    + """
products:
  - id: compute
    charges:
      - id: vcpu
        meter: vm.vcpu
        per: vCPU·h
        model: graduated
        window: month
        prices:
          - tiers: [{up_to: "100", amount: "0.10"}, {amount: "0.01"}]
"""
)
FEES = (
    HEAD
    + """
products:
  - id: care
    charges:
      - id: fee
        model: recurring
        window: month
        prices: [{amount: "50"}]
      - id: vcpu
        meter: vm.vcpu
        per: vCPU·h
        prices: [{amount: "0.01"}]
"""
)


@pytest.fixture
def provider(tmp_path: Path, chdb_folder: Path) -> Iterator[Provider]:
    """A provider without prices."""
    with provider_in(tmp_path, chdb_folder) as opened:
        yield opened


def amounts(ratings: Sequence[Rating], window: Period | None = None) -> int:
    return sum(r.amount_micros for r in ratings if window is None or r.window == window)


def windows(provider: Provider) -> dict[Period, int]:
    return {r.window: r.amount_micros for r in provider.ratings("acme") if r.lines}


def lines(provider: Provider) -> list[dict[str, int]]:
    found: list[dict[str, int]] = provider.parts.warehouse.lines(account_id("acme"), ALL).to_pylist()
    return found


def test_a_monthly_tier_beside_daily_windows(provider: Provider) -> None:
    provider.price(text=TIERS)
    provider.account(cycle="monthly")
    provider.send(level(2, hours=48))  # 96 vCPU·h, all in the first tier
    provider.rate()
    assert windows(provider) == {OCTOBER: 9_600_000}
    provider.send(level(2, T0 + 2 * DAY, hours=24))  # 4 more there, 44 in the second
    provider.rate()
    assert windows(provider) == {OCTOBER: 10_000_000 + 440_000}
    provider.send([Row("ip/1", "ip.address", T0 + 3 * DAY, 900, 900)])
    provider.rate()
    assert windows(provider) == {OCTOBER: 10_440_000, Period(T0 + 3 * DAY, T0 + 4 * DAY): 0}, "unpriced is shown by day"
    (settled,) = provider.settle(OCTOBER.end + DAY).settlements
    assert settled.posted_micros == settled.live_micros == 10_440_000
    provider.holds()


def test_a_monthly_tier_under_a_daily_cycle_runs_on_and_late_usage_moves_what_follows(provider: Provider) -> None:
    provider.price(text=TIERS)
    provider.account(cycle="daily")
    provider.send(level(2, hours=72))
    provider.rate()
    by_day = [4_800_000, 4_800_000, 400_000 + 440_000]
    assert list(windows(provider).values()) == by_day
    found = provider.settle(T0 + 4 * DAY).settlements
    assert [s.posted_micros for s in found] == by_day
    provider.send(level(1, hours=10, resource="vm/late"))  # on the first day: 10 vCPU·h more in the first tier
    late = provider.settle(T0 + 5 * DAY).settlements
    assert sum(s.posted_micros for s in late) == 100_000
    assert [s.posted_micros for s in late] == [1_000_000, -540_000, -360_000], "later days have less at 0.10"
    provider.holds()


def test_live_rating_of_late_usage_moves_the_open_days_that_follow(provider: Provider) -> None:
    provider.price(text=TIERS)
    provider.account(cycle="daily")
    provider.send(level(2, hours=72))
    provider.rate()
    provider.send(level(1, hours=10, resource="vm/late"))
    provider.rate()
    assert list(windows(provider).values()) == [5_800_000, 4_200_000 + 60_000, 480_000]


def test_a_fee_is_due_without_usage_from_when_the_account_is_known(provider: Provider) -> None:
    provider.price(text=FEES)
    provider.clock.move_to(T0 + 40 * DAY)  # November 10th
    provider.account(cycle="monthly")
    first = provider.settle(T0 + 41 * DAY)
    assert first.settlements == [], "October was over before the account was known"
    december = parse_instant("2026-12-01T00:00:00Z")
    (settled,) = provider.settle(december + DAY).settlements
    assert (settled.cycle_start, settled.posted_micros) == (OCTOBER.end, 50_000_000)
    assert provider.settle(december + 2 * DAY).settlements == []
    provider.holds()


def test_a_fee_that_a_list_gets_later_is_due_for_the_cycles_that_were_never_settled(provider: Provider) -> None:
    provider.price()
    provider.account(cycle="monthly")
    provider.settle(T0 + 70 * DAY)
    assert list(provider.settlements()) == []
    provider.price(text=FEES)
    found = provider.settle(T0 + 71 * DAY).settlements
    assert [s.posted_micros for s in found] == [50_000_000, 50_000_000]
    provider.holds()


def test_the_sweep_sees_who_owes_a_fee_once_in_each_window(provider: Provider) -> None:
    provider.price(text=FEES)
    provider.account(cycle="monthly")
    live = provider.parts.live
    provider.clock.move_to(T0 + HOUR)
    owing = live.sweep()
    assert list(owing) == ["acme"]
    live.rate(owing)
    assert windows(provider) == {OCTOBER: 50_000_000}
    assert live.sweep() == {}
    provider.clock.move_to(T0 + DAY + HOUR)
    assert list(live.sweep()) == ["acme"]
    provider.send(level(1, hours=1))
    provider.rate()
    assert windows(provider) == {OCTOBER: 50_000_000, Period(T0, T0 + DAY): 10_000}


def test_an_account_without_a_rule_owes_from_when_live_rating_first_saw_it(provider: Provider) -> None:
    provider.price(text=FEES)
    provider.account("reseller", tenant="", cycle="monthly")
    assert provider.settle(OCTOBER.end + DAY).settlements == []
    live = provider.parts.live
    live.rate(live.sweep())
    november = Period(OCTOBER.end, OCTOBER.end + 30 * DAY)
    found = provider.settle(november.end + DAY).settlements
    assert [(s.account, s.cycle_start, s.posted_micros) for s in found] == [("reseller", november.start, 50_000_000)]
    provider.holds()


def test_a_window_of_another_size_that_is_gone_is_taken_back(provider: Provider) -> None:
    provider.price(text=TIERS)
    provider.account(cycle="monthly")
    provider.send(level(2, hours=48))
    provider.rate()
    provider.price()
    provider.parts.live.rate(provider.parts.live.sweep())
    assert list(windows(provider).values()) == [480_000, 480_000]
    provider.settle(OCTOBER.end + DAY)
    provider.holds()


def test_a_price_may_change_at_any_second(provider: Provider) -> None:
    change = T0 + 10 * HOUR + 1
    instant = "2026-10-01T10:00:01Z"
    text = (
        HEAD
        + f"""
prices:
  - {{id: a, product: Compute, meter: vm.vcpu, amount: "3600", per: vCPU·h, to: {instant}}}
  - {{id: b, product: Compute, meter: vm.vcpu, amount: "7200", per: vCPU·h, from: {instant}}}
"""
    )
    provider.price(text=text)
    provider.account(cycle="daily")
    provider.send(level(1, hours=24))  # one vCPU·s costs 1 CU, later 2 CU
    provider.rate()
    found = [(r["segment_start"], r["segment_end"], r["quantity"], r["amount_micros"]) for r in lines(provider)]
    day = T0 + DAY
    assert found == [
        (T0, change, change - T0, (change - T0) * 1_000_000),
        (change, day, day - change, (day - change) * 2_000_000),
    ]
    (settled,) = provider.settle(T0 + 2 * DAY).settlements
    assert settled.posted_micros == settled.live_micros
    provider.holds()


def test_a_price_a_second_for_an_hour(provider: Provider) -> None:
    edges = [T0 + 5 * HOUR + second for second in range(3601)]
    stamps = [f"2026-10-01T05:{s // 60:02d}:{s % 60:02d}Z" for s in range(3600)] + ["2026-10-01T06:00:00Z"]
    prices = [
        f'{{id: p{n}, product: C, meter: vm.vcpu, amount: "3600", per: vCPU·h, from: {a}, to: {b}}}'
        for n, (a, b) in enumerate(pairwise(stamps))
    ]
    provider.price(text=HEAD + "prices: [" + ", ".join(prices) + "]\n")
    provider.account(cycle="daily")
    provider.send(level(1, T0 + 4 * HOUR, hours=3))
    provider.rate()
    priced = [r for r in lines(provider) if r["price_id"]]
    assert [r["segment_start"] for r in priced] == edges[:-1]
    assert {r["amount_micros"] for r in priced} == {1_000_000}
    assert sum(r["quantity"] for r in lines(provider)) == 3 * HOUR


def test_an_attribute_of_the_site_chooses_the_price(provider: Provider) -> None:
    text = (
        HEAD
        + """
prices:
  - {id: any, product: Compute, meter: vm.vcpu, amount: "0.01", per: vCPU·h}
  - {id: near, product: Compute, meter: vm.vcpu, amount: "0.05", per: vCPU·h, when: {site: vc-2}}
"""
    )
    provider.price(text=text)
    provider.account(cycle="daily")
    provider.send(level(1, hours=1))
    provider.send(level(1, hours=1, resource="vm/2"), site="vc-2")
    provider.rate()
    assert windows(provider) == {Period(T0, T0 + DAY): 60_000}
    keys = [r["attributes_id"] for r in lines(provider)]
    sets = provider.parts.warehouse.attribute_sets(keys)
    assert sorted(sets.values()) == ['{"site":"vc-1"}', '{"site":"vc-2"}']
    provider.settle(T0 + 2 * DAY)
    provider.holds()


MINIMUM = (
    HEAD
    + """
prices:
  - {id: vcpu, product: Compute, meter: vm.vcpu, amount: "0.01", per: vCPU·h}
account:
  minimum: {amount: "20", every: month}
"""
)


def test_an_accounts_minimum_counts_all_of_its_month_and_stands_in_the_month(provider: Provider) -> None:
    provider.price(text=MINIMUM)
    provider.account(cycle="monthly")
    provider.send(level(2, hours=24))
    provider.rate()
    assert windows(provider) == {OCTOBER: 19_520_000, Period(T0, T0 + DAY): 480_000}
    provider.send(level(20, T0 + 5 * DAY, hours=24))
    provider.rate()  # only the 6th is touched, and yet the first counts
    assert windows(provider)[OCTOBER] == 20_000_000 - 480_000 - 4_800_000
    (settled,) = provider.settle(OCTOBER.end + DAY).settlements
    assert settled.posted_micros == settled.live_micros == 20_000_000
    provider.holds()


def test_an_accounts_minimum_under_a_daily_cycle_is_posted_with_the_last_day(provider: Provider) -> None:
    provider.price(text=MINIMUM)
    provider.account(cycle="daily")
    provider.send(level(2, hours=24))
    provider.settle(T0 + 20 * DAY)
    assert provider.balance() == -480_000
    provider.settle(OCTOBER.end + DAY)
    assert provider.balance() == -20_000_000
    last = provider.settlements()[-1]
    assert (last.cycle_end, last.posted_micros) == (OCTOBER.end, 19_520_000)
    provider.send(level(4, T0 + DAY, hours=24))  # late, 0.96 CU: the minimum's line shrinks by as much
    late = provider.settle(OCTOBER.end + 2 * DAY).settlements
    assert [(s.cycle_start, s.posted_micros) for s in late] == [
        (T0 + DAY, 960_000),
        (OCTOBER.end - DAY, -960_000),
    ]
    provider.holds()


def test_the_95th_percentile_reads_single_cells(provider: Provider) -> None:
    text = (
        HEAD
        + """
products:
  - id: network
    charges:
      - id: transit
        meter: net.out.bytes
        per: byte/s
        aggregate: percentile
        each: account
        window: month
        prices: [{amount: "1"}]
"""
    )
    provider.price(text=text)
    provider.account(cycle="monthly")
    starts = [T0 + 300 * n for n in range(100)]
    rows = [Row(f"vm/{v}", "net.out.bytes", s, 300 * (n + 1)) for n, s in enumerate(starts) for v in (1, 2)]
    provider.send(rows)
    provider.rate()
    assert windows(provider) == {OCTOBER: 190_000_000}, "both together: 2, 4, … 200; the five highest do not count"
    (line,) = lines(provider)
    assert line["resource_id"] == 0
    provider.settle(OCTOBER.end + DAY)
    provider.holds()


POOL = (
    HEAD
    + """
products:
  - id: compute
    charges:
      - id: vcpu
        meter: vm.vcpu
        per: vCPU·h
        each: account
        window: month
        prices: [{amount: "1", free: {quantity: "30", pool: accounts}}]
"""
)


def test_accounts_share_an_allowance_and_are_rated_again_together(provider: Provider) -> None:
    provider.price(text=POOL)
    provider.account("top", tenant="")
    for name in ("acme", "beta"):
        provider.account(name, parent="top", cycle="monthly")
    provider.account("alone", cycle="monthly")
    provider.send(level(1, hours=24))
    provider.rate()
    assert windows(provider) == {OCTOBER: 0}
    provider.send(level(3, hours=24, tenant="beta", resource="vm/b"))
    provider.rate()
    both = {name: amounts(provider.ratings(name)) for name in ("acme", "beta")}
    assert both == {"acme": 24_000_000 - 7_500_000, "beta": 72_000_000 - 22_500_000}, "96 vCPU·h, 30 of them free"
    provider.send(level(1, hours=24, tenant="alone", resource="vm/c"))
    provider.rate()
    assert amounts(provider.ratings("alone")) == 0
    found = provider.settle(OCTOBER.end + DAY).settlements
    assert {s.account: s.posted_micros for s in found} == {**both, "alone": 0}
    provider.send(level(1, T0 + 2 * DAY, hours=24, tenant="beta", resource="vm/b"))
    late = provider.settle(OCTOBER.end + 2 * DAY).settlements
    assert {s.account: s.posted_micros for s in late} == {"acme": 7_500_000 - 6_000_000, "beta": 24_000_000 - 1_500_000}
    provider.holds()
