"""What `stratometer catalogue explain` says of every model, and the examples it works."""

from fractions import Fraction

import pytest

from rating.price_list import parse
from schemas.errors import Misconfigured
from schemas.meters import builtin
from schemas.period import SECOND, parse_instant
from stratometer.catalogue_example import example_of
from stratometer.catalogue_words import campaign_words, charge_words

NOW = parse_instant("2026-06-15T12:00:00Z") * SECOND
DOCUMENT = """
id: all
name: Every model
currency: EUR
window: month
rounding: {mode: half_up, digits: 2, unit_price_digits: 4}
products:
  - id: p
    name: Product
    charges:
      - id: plain
        meter: vm.vcpu
        per: vCPU·h
        power: "on"
        factors: [{when: {os: windows}, factor: "1.5"}]
        prices:
          - {amount: "0.01", from: 2026-01-01T00:00:00Z, to: 2027-01-01T00:00:00Z, currency: USD}
      - id: steps
        meter: disk.capacity
        per: GiB·month
        model: volume
        settings: {month: 730, bounds: exclusive}
        convert: {mode: up, digits: 0}
        prices:
          - when: {tier: gold}
            free: {quantity: "10", pool: account}
            maximum: "500"
            tiers: [{up_to: "100", amount: "0.2"}, {up_to: "200", amount: "0.1", flat: "5"}]
      - id: box
        meter: net.out.bytes
        per: GB
        model: package
        prices: [{amount: "3", size: "10"}]
      - id: size
        meter: disk.capacity
        per: GiB·month
        model: stairstep
        each: account
        prices: [{tiers: [{up_to: "50", amount: "10"}, {amount: "30"}]}]
      - id: share
        meter: image.deployment
        per: deployment
        model: percentage
        prices:
          - {percent: "2", fixed: "0.3", free_events: 3, free_amount: "100", minimum_each: "1", maximum_each: "9"}
      - id: fee
        model: recurring
        window: month
        prices: [{amount: "7", every: month, quantity: "3"}]
      - id: seat
        meter: vm.running
        model: recurring
        prices: [{amount: "4", every: month}]
      - id: reserve
        meter: vm.vcpu
        per: vCPU·h
        model: committed
        window: hour
        prices:
          - commitment: {level: "100", fee: "500", every: month}
            overage: {amount: "0.02"}
      - id: volume
        meter: net.in.bytes
        per: GB
        model: committed
        prices:
          - commitment: {quantity: "1000", fee: "50", every: month}
            overage: {factor: "1.5"}
      - id: line
        meters: [net.in.bytes, net.out.bytes]
        combine: max
        per: Mbit/s
        aggregate: percentile
        percentile: {rank: "95", cell: 300}
        each: account
        prices: [{amount: "2"}]
      - id: names
        meter: vm.running
        per: each
        aggregate: unique
        each: account
        prices: [{amount: "1"}]
campaigns:
  - {id: a, name: A, from: 2026-01-01T00:00:00Z, percent: "20", products: [p], coupon: A20, cap: "50"}
  - {id: b, name: B, from: 2026-01-01T00:00:00Z, absolute: "5", groups: [partners], when: {site: prague}}
  - {id: c, name: C, from: 2026-01-01T00:00:00Z, to: 2026-02-01T00:00:00Z, free_quantity: "5", charges: [steps]}
  - {id: d, name: D, from: 2026-01-01T00:00:00Z, fixed_price: "0.1", charges: [plain], stacking: exclusive}
rates:
  - {currency: USD, rate: "0.9", from: 2026-01-01T00:00:00Z}
"""
REGISTRY = builtin()
LIST = parse(DOCUMENT, REGISTRY)
CHARGES = {charge.id: charge for charge in LIST.charges}


def words(charge: str) -> str:
    told = charge_words(LIST, CHARGES[charge])
    return " | ".join((told.measures, *told.prices, *told.rules))


@pytest.mark.parametrize(
    ("charge", "parts"),
    [
        ("plain", ["per unit", "each resource", "0.01 USD a vCPU·h", "from 2026-01-01 until 2027-01-01", "power: on"]),
        ("plain", ["factor: × 1.5 for os windows", "half_up to 2 digits", "unit prices to 4"]),
        ("steps", ["only tier gold", "up to 100 GiB·month: 0.2 EUR", "from 100 up to 200 GiB·month"]),
        (
            "steps",
            ["0.1 EUR a GiB·month and 5 EUR once", "prices all of it", "10 GiB·month free shared by the account"],
        ),
        ("steps", ["at most 500 EUR", "month hours: 730", "bounds: exclusive", "convert: up to 0 digits", "always"]),
        ("box", ["3 EUR a 10 GB"]),
        ("size", ["up to 50 GiB·month: 10 EUR once", "from 50 GiB·month: 30 EUR once", "by the account"]),
        ("share", ["2 % of each event", "0.3 EUR for each", "first 3 free", "first 100 EUR free"]),
        ("share", ["at least 1 EUR each", "at most 9 EUR each"]),
        ("fee", ["the account itself", "3 × 7 EUR every month"]),
        ("seat", ["4 EUR every month", "vm.running"]),
        ("reserve", ["500 EUR every month for 100 of the level of vCPU·h", "0.02 EUR a vCPU·h"]),
        ("volume", ["50 EUR every month for 1000 GB each window", "1.5 times the committed price"]),
        ("line", ["the larger of net.in.bytes and net.out.bytes", "percentile (95th of 300 s)", "2 EUR a Mbit/s"]),
        ("names", ["distinct resources of vm.running"]),
    ],
)
def test_a_charge_in_words(charge: str, parts: list[str]) -> None:
    told = words(charge)
    for part in parts:
        assert part in told, told


def test_campaigns_in_words() -> None:
    told = {c.id: campaign_words(LIST, c) for c in LIST.campaigns}
    assert told["a"] == (
        "A: 20 % off, for products Product, with coupon A20, at most 50 EUR each window, from 2026-01-01 (multiply)"
    )
    assert told["b"].startswith("B: 5 EUR off each window, for groups partners; site prague")
    assert told["c"] == "C: 5 units free each window, for charges steps, from 2026-01-01 until 2026-02-01 (multiply)"
    assert "0.1 EUR a unit instead" in told["d"]


@pytest.mark.parametrize(
    ("charge", "quantity", "total"),
    [
        ("size", "60", "30.00"),
        ("size", "50", "10.00"),
        ("box", "25", "9.00"),
        ("fee", None, "21.00"),
        ("seat", None, "4.00"),
        ("names", "12", "12.00"),
        ("reserve", "100", "500.00"),
    ],
)
def test_examples_are_worked_by_the_engine(charge: str, quantity: str | None, total: str) -> None:
    bare = DOCUMENT[: DOCUMENT.index("campaigns:")] + DOCUMENT[DOCUMENT.index("rates:") :]
    plain = parse(bare, REGISTRY)
    found = {c.id: c for c in plain.charges}
    amount = None if quantity is None else Fraction(quantity)
    example = example_of(bare, plain, found[charge], amount, REGISTRY, NOW)
    assert Fraction(example.total) == Fraction(total)
    assert {line["charge"] for line in example.lines} == {charge}


def test_every_charge_has_an_example_without_being_asked_for_a_quantity() -> None:
    for charge in CHARGES.values():
        example = example_of(DOCUMENT, LIST, charge, None, REGISTRY, NOW)
        assert example.lines, charge.id
        assert "month" in example.said or "hour" in example.said


def test_a_quantity_that_is_no_amount_of_the_meter_is_refused() -> None:
    with pytest.raises(Misconfigured, match="take another quantity"):
        example_of(DOCUMENT, LIST, CHARGES["box"], Fraction(1, 3), REGISTRY, NOW)
