"""Late usage on the running cycle: charged when it arrives, at the prices of then; the settled cycle stays."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.ids import account_id
from schemas.period import Period
from tests.pipeline.provider import ALL, Provider, level, provider_in
from tests.pipeline.rows import DAY, HOUR, T0, Row

HEAD = "id: default\nname: Standard\ncurrency: CU\nwindow: day\n"
RUNNING = (
    HEAD
    + """
products:
  - id: compute
    charges:
      - id: vcpu
        meter: vm.vcpu
        per: vCPU·h
        settings: {late: running}
        prices:
          - {id: old, amount: "1", to: 2026-10-03T00:00:00Z}
          - {id: new, amount: "10", from: 2026-10-03T00:00:00Z}
      - id: starts
        meter: image.deployment
        per: deployment
        model: percentage
        window: day
        settings: {late: running}
        prices: [{percent: "100", fixed: "5"}]
"""
)


@pytest.fixture
def provider(tmp_path: Path, chdb_folder: Path) -> Iterator[Provider]:
    """A provider without prices."""
    with provider_in(tmp_path, chdb_folder) as opened:
        yield opened


def windows(provider: Provider) -> dict[Period, int]:
    return {r.window: r.amount_micros for r in provider.ratings("acme") if r.lines}


def test_late_usage_is_charged_in_the_cycle_of_its_arrival(provider: Provider) -> None:
    provider.price(text=RUNNING)
    provider.account(cycle="daily")
    provider.send(level(1, hours=23))
    (first,) = provider.settle(T0 + DAY + 3 * HOUR).settlements
    assert first.posted_micros == 23_000_000
    provider.clock.move_to(T0 + 2 * DAY + HOUR)  # on the third day
    provider.send(level(1, T0 + 23 * HOUR, hours=1))
    deployed = Row("image/1", "image.deployment", T0 + 5, 2, 1, event=("s", "1"))
    provider.send([deployed])
    provider.send(level(1, T0 + 2 * DAY, hours=2))
    provider.rate()
    third = Period(T0 + 2 * DAY, T0 + 3 * DAY)
    assert windows(provider) == {Period(T0, T0 + DAY): 23_000_000, third: 30_000_000 + 7_000_000}
    early = provider.settle(T0 + 2 * DAY + 4 * HOUR).settlements
    assert early == [], "the first day stays as it was, and the second had no usage"
    (settled,) = provider.settle(third.end + 4 * HOUR).settlements
    assert (settled.cycle_start, settled.posted_micros, settled.live_micros) == (third.start, 37_000_000, 37_000_000)
    assert provider.settle(third.end + 5 * HOUR).settlements == []
    provider.clock.move_to(T0 + 5 * DAY)
    provider.send(level(2, T0 + 23 * HOUR, hours=1, revision=1))  # twice as much, for the day before the first
    corrected = provider.settle(T0 + 6 * DAY + 4 * HOUR).settlements
    assert [(s.cycle_start, s.posted_micros) for s in corrected] == [(T0 + 5 * DAY, 10_000_000)]
    provider.holds()


def test_usage_that_is_late_but_before_its_cycle_was_settled_stays_where_it_was(provider: Provider) -> None:
    provider.price(text=RUNNING)
    provider.account(cycle="daily")
    provider.send(level(1, hours=10))
    provider.clock.move_to(T0 + DAY + HOUR)
    provider.send(level(1, T0 + 10 * HOUR, hours=1))
    (first,) = provider.settle(T0 + DAY + 3 * HOUR).settlements
    assert first.posted_micros == 11_000_000
    provider.price()  # another list: nothing of it is settled on arrival
    provider.send(level(1, T0 + 11 * HOUR, hours=1))
    (again,) = provider.settle(T0 + DAY + 5 * HOUR).settlements
    assert (again.cycle_start, again.total_micros) == (T0, 12 * 10_000)


def test_usage_that_moves_to_another_account_is_taken_back_where_the_rule_came(provider: Provider) -> None:
    provider.price(text=RUNNING)
    provider.account(cycle="daily")
    provider.account("beta", tenant="", cycle="daily")
    provider.send(level(1, hours=3))
    provider.settle(T0 + DAY + 3 * HOUR)
    provider.clock.move_to(T0 + 2 * DAY + HOUR)
    provider.rule("acme", "beta")
    found = provider.settle(T0 + 4 * DAY).settlements
    third = T0 + 2 * DAY
    assert [(s.account, s.cycle_start, s.posted_micros) for s in found] == [
        ("acme", third, -30_000_000),
        ("beta", T0, 3_000_000),
    ], "beta had no settled first day: it is its own; acme's is corrected at the prices of the third"
    provider.holds()


def test_what_is_late_is_read_again_as_it_was(provider: Provider) -> None:
    """Invariant 8: rating a settled cycle again gives the same lines, whatever came since."""
    provider.price(text=RUNNING)
    provider.account(cycle="daily")
    provider.send(level(1, hours=3))
    provider.settle(T0 + DAY + 3 * HOUR)
    before = provider.parts.warehouse.lines(account_id("acme"), ALL)
    provider.clock.move_to(T0 + 3 * DAY)
    provider.send(level(1, T0 + 3 * HOUR, hours=3))
    provider.parts.directory.refresh()
    account = provider.parts.directory.accounts()["acme"]
    first = Period(T0, T0 + DAY)
    again = provider.parts.rater.rate_cycles(account, [first], provider.clock())[first]
    assert provider.parts.warehouse.lines(account_id("acme"), first) == before
    assert again.micros_by_product == {"compute": 3_000_000}
