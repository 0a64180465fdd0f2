"""The simulator on real stores: what the warehouse computes, what the engine computes, and what is charged are one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.simulation.cohorts import Asked
from pipeline.simulation.model import AccountResult, ListName, Pair, Simulation
from pipeline.simulation.run import Simulator
from schemas.errors import Misconfigured, Poison
from schemas.ids import account_id
from schemas.period import Period
from sinks.warehouse.protocol import Warehouse
from tests.pipeline.provider import Provider, level, prices, provider_in
from tests.pipeline.rows import DAY, T0, Row

OCTOBER = "2026-10"
GOLD, SILVER = '{"tier":"gold"}', '{"tier":"silver"}'
HEAD = "id: {id}\nname: Draft\ncurrency: CU\nwindow: {window}\n"
DEARER = prices("0.015")
DATED = """
rounding: {mode: up, digits: 2}
prices:
  - {id: a, product: Compute, meter: vm.vcpu, amount: "0.012", per: vCPU·h, to: 2026-10-02T06:00:00Z}
  - {id: b, product: Compute, meter: vm.vcpu, amount: "0.013", per: vCPU·h, from: 2026-10-02T06:00:00Z}
  - {id: c, product: Storage, meter: disk.capacity, amount: "0.2", per: GiB·month, when: {tier: gold}}
"""
TWO_CHARGES = """
products:
  - id: compute
    charges:
      - {id: vcpu, meter: vm.vcpu, per: vCPU·h, window: month, prices: [{amount: "0.01"}]}
      - {id: licence, meter: vm.vcpu, per: vCPU·h, prices: [{amount: "0.003"}],
         factors: [{when: {os: windows}, factor: "1.5"}]}
  - id: storage
    charges:
      - {id: disk, meter: disk.capacity, per: GiB·h, prices: [{amount: "0.0001"}, {id: g, amount: "0.0004",
         when: {tier: gold}}]}
"""
TIERS = """
products:
  - id: compute
    name: Compute
    charges:
      - id: vcpu
        meter: vm.vcpu
        per: vCPU·h
        model: graduated
        window: month
        prices: [{tiers: [{up_to: "50", amount: "0.02"}, {amount: "0.01"}]}]
  - id: storage
    name: Storage
    charges:
      - {id: disk, meter: disk.capacity, per: GiB·h, prices: [{amount: "0.0001"}]}
"""
FEE = """
products:
  - id: care
    charges:
      - {id: fee, model: recurring, window: month, prices: [{amount: "50"}]}
      - {id: vcpu, meter: vm.vcpu, per: vCPU·h, prices: [{amount: "0.01"}]}
"""
CAMPAIGN = """
prices:
  - {id: a, product: Compute, meter: vm.vcpu, amount: "0.012", per: vCPU·h}
  - {id: d, product: Storage, meter: disk.capacity, amount: "0.0001", per: GiB·h}
campaigns:
  - {id: autumn, name: Autumn, from: 2026-10-02T00:00:00Z, to: 2026-10-03T00:00:00Z, percent: "20", products: [Compute]}
"""
MINIMUM = """
prices:
  - {id: a, product: Compute, meter: vm.vcpu, amount: "0.012", per: vCPU·h}
account:
  minimum: {amount: "100", every: month}
"""
ODD = """
prices:
  - {id: a, product: Compute, meter: vm.vcpu, amount: "0.012", per: vCPU·h, to: 2026-10-02T06:00:01Z}
  - {id: b, product: Compute, meter: vm.vcpu, amount: "0.013", per: vCPU·h, from: 2026-10-02T06:00:01Z}
"""
FOREIGN = """
rounding: {mode: ceiling, digits: 4, unit_price_digits: 5}
rates:
  - {currency: USD, rate: "0.92137", from: 2026-01-01T00:00:00Z, to: 2026-10-02T00:00:00Z}
  - {currency: USD, rate: "0.93", from: 2026-10-02T00:00:00Z}
products:
  - id: compute
    charges:
      - id: vcpu
        meter: vm.vcpu
        per: vCPU·month
        settings: {month: "730"}
        prices: [{amount: "7.77", currency: USD, from: 2026-01-01T00:00:00Z}]
      - {id: image, meter: image.deployment, per: deployment, model: one_off, prices: [{amount: "0.333335"}]}
"""
DRAFTS = {
    "dearer": DEARER,
    "dated": HEAD.format(id="default", window="day") + DATED,
    "hourly": HEAD.format(id="default", window="hour") + DATED,
    "two charges of one meter, two windows": HEAD.format(id="default", window="day") + TWO_CHARGES,
    "exchange rates and rounded unit prices": HEAD.format(id="default", window="day") + FOREIGN,
    "weeks": HEAD.format(id="default", window="week") + FOREIGN,
    "tiers": HEAD.format(id="default", window="day") + TIERS,
    "a fee without usage": HEAD.format(id="default", window="day") + FEE,
    "a campaign": HEAD.format(id="default", window="day") + CAMPAIGN,
    "a minimum of the account": HEAD.format(id="default", window="day") + MINIMUM,
    "a price that changes at an odd second": HEAD.format(id="default", window="day") + ODD,
}


class Old:
    """A warehouse that applies no prices."""

    applies_prices = False

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)


@pytest.fixture
def provider(tmp_path: Path, chdb_folder: Path) -> Iterator[Provider]:
    """Three accounts in two zones with usage of several kinds, some of it corrected, some moved in mid-month."""
    with provider_in(tmp_path, chdb_folder) as opened:
        opened.price()
        for name, zone, cycle in (
            ("acme", "Europe/Prague", "monthly"),
            ("beta", "UTC", "daily"),
            ("gamma", "UTC", "monthly"),
        ):
            opened.account(name, timezone=zone, cycle=cycle)
        opened.rule("acme", "beta", resource="vm/moved", start=T0 + DAY)
        rows = (
            level(2, hours=60) + level(3, hours=12, resource="vm/moved") + level(1, T0 + DAY, 24, resource="vm/moved")
        )
        rows += level(5, hours=30, tenant="beta", resource="vm/b", attributes='{"os":"windows"}')
        for number, tier in enumerate((GOLD, SILVER)):
            cells = range(T0, T0 + 2 * DAY, 900)
            rows += [Row(f"disk/{number}", "disk.capacity", s, 777 * 900, 900, attributes=tier) for s in cells]
        rows += [Row("image/1", "image.deployment", T0 + n, 1, 1, event=("e", str(n))) for n in range(5)]
        rows += [Row("ip/1", "ip.address", T0 + 3 * DAY, 900, 900, tenant="beta")]
        opened.send(rows)
        opened.send([replace(row, quantity=row.quantity + 7, revision=1) for row in rows[:50]])
        yield opened


def simulator(provider: Provider, *, old: bool = False) -> Simulator:
    parts = provider.parts
    warehouse: Any = Old(parts.warehouse) if old else parts.warehouse
    return Simulator(warehouse, parts.books, parts.directory, parts.registry, provider.clock)


def simulated(provider: Provider, draft: str, *, old: bool = False, **more: Any) -> Simulation:
    return simulator(provider, old=old).simulate(Asked(draft, month=OCTOBER, **more))


def plain(simulation: Simulation) -> list[AccountResult]:
    assert simulation.problems == []
    return list(simulation.accounts)


@pytest.mark.parametrize("draft", DRAFTS.values(), ids=DRAFTS)
def test_the_warehouse_and_the_engine_agree_to_the_last_micro(provider: Provider, draft: str) -> None:
    pushed, streamed = simulated(provider, draft), simulated(provider, draft, old=True)
    assert plain(pushed) == plain(streamed)
    assert streamed.pushed == 0
    assert pushed.pushed + pushed.streamed == streamed.streamed
    # The account's terms are neither: they are over all lines.
    assert 0 <= sum(a.lines.before + a.lines.after for a in pushed.accounts) - streamed.streamed <= len(pushed.accounts)


@pytest.mark.parametrize(
    ("name", "everything"), [("dearer", True), ("tiers", False), ("dated", True), ("campaign", False)]
)
def test_linear_meters_are_pushed_down_and_only_the_others_stream(
    provider: Provider, name: str, everything: bool
) -> None:
    found = simulated(provider, next(text for key, text in DRAFTS.items() if name in key))
    assert found.pushed > 0
    assert (found.streamed == 0) == everything


@pytest.mark.parametrize("draft", DRAFTS.values(), ids=DRAFTS)
def test_the_lines_of_an_account_add_up_to_it(provider: Provider, draft: str) -> None:
    found = simulated(provider, draft)
    for account in found.accounts:
        lines = simulator(provider).lines(Asked(draft, month=OCTOBER), account.account, found.cutoff)
        assert sum((line.amount for line in lines), Pair()) == account.amount
        by_product: dict[str, Pair] = {}
        for line in lines:
            if line.product:
                by_product[line.product] = by_product.get(line.product, Pair()) + line.amount
        assert by_product == account.by_product
    assert found.totals == {"CU": sum((a.amount for a in found.accounts), Pair())}
    assert sum(found.by_product.values(), Pair()) == found.totals["CU"]


@pytest.mark.parametrize("draft", DRAFTS.values(), ids=DRAFTS)
def test_before_is_what_is_charged_and_after_what_would_be(provider: Provider, draft: str) -> None:
    found = simulated(provider, draft)
    provider.rate()
    assert {a.account: a.amount.before for a in found.accounts} == charged(provider)
    provider.price(text=draft)
    provider.parts.directory.refresh()
    provider.clock.move_to(T0 + 40 * DAY)
    provider.settle()
    assert {a.account: a.amount.after for a in found.accounts} == charged(provider)


def charged(provider: Provider) -> dict[str, int]:
    october = {name: found.timezone for name, found in provider.parts.directory.accounts().items()}
    sums = {}
    for name, zone in october.items():
        period = Asked("", month=OCTOBER).period_in(zone)
        ratings = provider.parts.warehouse.ratings([account_id(name)], period)
        sums[name] = sum(r.amount_micros for r in ratings if r.window.start in period)
    return sums


def test_nothing_is_written(provider: Provider) -> None:
    simulated(provider, DEARER)
    assert list(provider.ratings()) == []
    assert provider.books.price_list("default") is not None
    assert provider.books.price_list("default").version == 1  # type: ignore[union-attr]


def test_winners_and_losers_by_difference(provider: Provider) -> None:
    found = simulated(provider, prices("0.015"))
    assert [(a.account, a.amount.difference) for a in found.losers] == [("beta", 870_000), ("acme", 780_486)]
    assert [a.account for a in found.winners] == []
    cheaper = simulated(provider, prices("0.005"))
    assert [a.account for a in cheaper.winners] == [a.account for a in found.losers]
    assert [a.amount.difference for a in cheaper.winners] == [-a.amount.difference for a in found.losers]


def test_a_draft_concerns_the_accounts_that_its_list_prices(provider: Provider) -> None:
    own = HEAD.format(id="own", window="day") + MINIMUM
    provider.books.put_price_list("own", own, provider.clock())
    provider.account("gamma", price_list="own")
    found = simulated(provider, DEARER)
    assert ([a.account for a in found.accounts], found.untouched) == (["acme", "beta"], 1)
    [only] = simulated(provider, own.replace('"100"', '"70"')).accounts
    assert (only.account, only.amount) == ("gamma", Pair(100_000_000, 70_000_000))
    assert (only.before, only.after) == (ListName("own", 1), ListName("own", 2))
    assert simulator(provider).lines(Asked(DEARER, month=OCTOBER), "gamma") == []


def test_a_draft_of_a_new_list_or_against_a_list_prices_everyone(provider: Provider) -> None:
    new = prices("0.02").replace("id: default", "id: brand-new")
    assert [a.after for a in simulated(provider, new).accounts] == [ListName("brand-new", 1)] * 3
    other = prices("0.03").replace("id: default", "id: other")
    provider.books.put_price_list("other", other, provider.clock())
    against = simulated(provider, new, against="other")
    assert {a.before for a in against.accounts} == {ListName("other", 1)}
    assert simulated(provider, other).accounts == [], "nobody has it"
    assert simulated(provider, other, against="default").totals["CU"].after == against.totals["CU"].before


def test_inherited_charges_stay_where_the_draft_is_silent(provider: Provider) -> None:
    draft = HEAD.format(id="new", window="day") + "inherits: default\n" + ODD.replace("01Z", "00Z")
    acme = simulated(provider, draft, accounts=["acme"]).accounts[0]
    assert acme.by_product["Storage"].difference == 0
    assert acme.by_product["Compute"].difference > 0


def test_a_period_of_instants_counts_the_windows_that_begin_in_it(provider: Provider) -> None:
    day = Period(T0 + DAY, T0 + 2 * DAY)
    found = simulator(provider).simulate(Asked(DEARER, period=day, accounts=["beta"]))
    before = simulated(provider, DEARER, accounts=["beta"])
    [beta], [whole] = found.accounts, before.accounts
    assert beta.period == day
    assert 0 < beta.amount.before < whole.amount.before
    hours = 24 * 1 + 6 * 5  # the moved machine, and what is left of the other one
    assert beta.by_product["Compute"].before == hours * 10_000


def test_an_account_whose_amounts_are_too_large_stops_nobody_else(provider: Provider) -> None:
    absurd = [Row("vm/x", "vm.vcpu", T0 + 300 * n, 10**15, tenant="gamma") for n in range(3)]
    provider.send(absurd)
    found = simulated(provider, prices("100"))
    assert [a.account for a in found.problems] == ["gamma"]
    assert "amount_too_large" in found.problems[0].problem
    assert {a.account for a in found.rated} == {"acme", "beta"}
    with pytest.raises(Poison, match="amount_too_large"):
        simulator(provider).lines(Asked(prices("100"), month=OCTOBER), "gamma")


def test_lists_in_two_currencies_are_not_compared(provider: Provider) -> None:
    found = simulated(provider, DEARER.replace("CU", "EUR"))
    assert "default is in CU and default is in EUR" in found.problems[0].problem
    assert found.totals == {}


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (Asked("id: default", month=OCTOBER), "currency"),
        (Asked(DEARER, month="2026-13"), "is not a month"),
        (Asked(DEARER, month=OCTOBER, accounts=["nobody"]), "no account 'nobody'"),
        (Asked(DEARER, month=OCTOBER, against="none-such"), "no price list 'none-such'"),
    ],
)
def test_what_cannot_be_simulated_is_refused(provider: Provider, asked: Asked, problem: str) -> None:
    with pytest.raises(Misconfigured, match=problem):
        simulator(provider).simulate(asked)


def test_usage_stored_after_the_cutoff_is_in_neither(provider: Provider) -> None:
    found = simulated(provider, DEARER, accounts=["acme"])
    provider.send(level(9, T0 + 4 * DAY, 1, resource="vm/late"))
    lines = simulator(provider).lines(Asked(DEARER, month=OCTOBER), "acme", found.cutoff)
    assert sum((line.amount for line in lines), Pair()) == found.accounts[0].amount
    assert simulated(provider, DEARER, accounts=["acme"]).accounts[0].amount.before > found.accounts[0].amount.before


def test_progress_ends_where_it_said(provider: Provider) -> None:
    seen: list[tuple[int, int | None, str | None]] = []
    simulator(provider).simulate(Asked(DEARER, month=OCTOBER), lambda *step: seen.append(step))
    pushed = [(done, total) for done, total, label in seen if label == "linear prices"]
    assert pushed[-1][0] == pushed[-1][1]
    assert [done for done, _ in pushed] == sorted(done for done, _ in pushed)
