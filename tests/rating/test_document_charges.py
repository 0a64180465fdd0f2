"""Charges and prices: their defaults, and what they are compiled into."""

from fractions import Fraction
from typing import Any

import pytest

from rating.charge import (
    Commitment,
    Conversion,
    Factor,
    Free,
    Percentage,
    Percentile,
    Recurring,
    Rounding,
    Settings,
    Stage,
    Tier,
)
from rating.units import EACH
from schemas.errors import Misconfigured
from tests.rating.documents import FEB, JAN, TIERS, charge, listed, only, priced
from tests.rating.helpers import list_of, price

CALLS = {"key": "api.calls", "name": "Calls", "kind": "event", "base": "call", "display": {"thousand calls": "1000"}}
FEE = {"fee": "500"}


def test_every_default() -> None:
    made = only(charge())
    own = made.charge
    assert (own.id, own.name, own.product, own.product_id, own.model) == ("c", "c", "Product", "p", "per_unit")
    assert (own.meters, own.combine, own.aggregate, own.each) == (("disk.capacity",), "sum", "sum", ("resource",))
    assert (own.window, own.per, own.power, own.factors, own.convert) == ("day", "GiB·h", "always", (), None)
    assert (own.percentile, own.unique_of, own.choose) == (None, "resource", "most_specific")
    assert (own.settings, own.rounding) == (Settings(), Rounding())
    assert (made.id, made.when, made.valid.start, made.currency, made.rates) == ("c", (), 0, None, ())
    assert (made.tiers, made.volume, made.list_id, made.version) == ((Tier(amount=Fraction(1)),), False, "l", 1)
    assert (made.free, made.minimum, made.maximum, made.percentage, made.recurring, made.commitment) == (None,) * 6


def test_everything_said() -> None:
    order: tuple[Stage, ...] = ("free", "convert", "price", "minimum", "maximum", "discount")
    settings = {
        "bounds": "exclusive",
        "zero": "first_flat",
        "beyond": "refused",
        "blocks": "partial",
        "order": order,
        "late": "running",
        "parts": "independent",
        "month": "720",
        "year": "8760",
        "prorate": "none",
        "negative": "nothing",
    }
    made = only(
        charge(
            name="Disks",
            aggregate="percentile",
            percentile={"rank": "99.5", "cell": "900", "missing": "zero", "discard": "round"},
            per="GiB",
            each=["resource", "tier"],
            window="month",
            power="once",
            factors=[{"factor": "2"}, {"when": {"tier": ["b", "a"], "site": "x"}, "factor": "1.2"}],
            convert={"mode": "ceiling", "digits": "1"},
            choose="highest",
            settings=settings,
            free={"quantity": "5", "pool": "accounts"},
            minimum="1",
            maximum="9",
            prices=[{"id": "q", "amount": "3", "minimum": "2", "when": {"tier": "gold"}}],
        ),
        rounding={"mode": "half_down", "digits": 2, "per": "charge", "unit_price_digits": 8},
    )
    own = made.charge
    assert own.percentile == Percentile(Fraction("99.5"), 900, "zero", "round")
    assert own.factors == (
        Factor((), Fraction(2)),
        Factor((("site", "x"), ("tier", "a")), Fraction(6, 5)),
        Factor((("site", "x"), ("tier", "b")), Fraction(6, 5)),
    )
    assert (own.convert, own.choose, own.power) == (Conversion("ceiling", 1), "highest", "once")
    assert (own.each, own.window, own.name) == (("resource", "tier"), "month", "Disks")
    assert own.settings == Settings(
        "exclusive",
        "first_flat",
        "refused",
        "partial",
        order,
        "running",
        "independent",
        Fraction(720),
        Fraction(8760),
        False,
        "none",
        "nothing",
    )
    assert own.rounding == Rounding("half_down", 2, "charge", 8)
    assert (made.free, made.minimum, made.maximum) == (Free(Fraction(5), "accounts"), Fraction(2), Fraction(9))
    assert (made.id, made.when) == ("q", (("tier", "gold"),))


def test_a_charge_overrides_its_lists_settings_one_by_one() -> None:
    made = only(charge(settings={"month": "real", "blocks": "down"}), settings={"month": "730", "zero": "first_flat"})
    assert made.charge.settings == Settings(zero="first_flat", blocks="down", month_hours=None)
    assert list_of(price("a"), settings={"month": "730"}).charges[0].settings == Settings(month_hours=Fraction(730))


@pytest.mark.parametrize(
    ("model", "fields", "each"),
    [
        ("per_unit", {"amount": "1"}, ("resource",)),
        ("one_off", {"amount": "1"}, ("resource",)),
        ("package", {"amount": "1", "size": "5"}, ()),
        ("graduated", {"tiers": TIERS}, ()),
        ("volume", {"tiers": TIERS}, ()),
        ("stairstep", {"tiers": TIERS}, ()),
        ("percentage", {"percent": "1"}, ()),
        ("recurring", {"amount": "1"}, ("resource",)),
        ("committed", {"commitment": {**FEE, "level": "1"}, "overage": {"amount": "1"}}, ()),
    ],
)
def test_what_has_a_quantity_of_its_own(model: str, fields: dict[str, Any], each: tuple[str, ...]) -> None:
    per = None if model == "recurring" else "GiB·h"
    assert only(priced(model, fields, per=per)).charge.each == each
    assert only(priced(model, fields, per=per, each="account")).charge.each == ()
    if model == "committed":
        with pytest.raises(Misconfigured, match="a commitment is the account's"):
            only(priced(model, fields, per=per, each="resource"))
    else:
        assert only(priced(model, fields, per=per, each="resource")).charge.each == ("resource",)


def test_a_fee_of_the_account_has_no_conditions() -> None:
    with pytest.raises(Misconfigured, match="no usage whose attributes could match"):
        only(priced("recurring", {"amount": "1", "when": {"tier": "gold"}}, meter=None, per=None))


def test_models() -> None:
    one, two = Tier(Fraction(10), Fraction(2)), Tier(None, Fraction(1))
    assert only(priced("package", {"amount": "3", "size": "5"})).tiers == (Tier(amount=Fraction(3), block=Fraction(5)),)
    graduated, volume = (only(priced(model, {"tiers": TIERS})) for model in ("graduated", "volume"))
    assert (graduated.tiers, graduated.volume, volume.tiers, volume.volume) == ((one, two), False, (one, two), True)
    steps = only(priced("stairstep", {"tiers": TIERS}))
    assert (steps.tiers, steps.volume) == ((Tier(Fraction(10), flat=Fraction(2)), Tier(flat=Fraction(1))), True)
    shares = [
        {"up_to": "10", "percent": "2.5", "flat": "4"},
        {"up_to": "20", "flat": "3"},
        {"amount": "1", "block": "2"},
    ]
    assert only(priced("graduated", {"tiers": shares})).tiers == (
        Tier(Fraction(10), Fraction(1, 40), Fraction(4)),
        Tier(Fraction(20), Fraction(0), Fraction(3)),
        Tier(None, Fraction(1), Fraction(0), Fraction(2)),
    )
    event = {"percent": "1.5", "fixed": "0.1", "free_events": 3, "free_amount": "100"}
    bounds = {"minimum_each": "0.5", "maximum_each": "9"}
    assert only(priced("percentage", {**event, **bounds})).percentage == Percentage(
        Fraction(3, 2), Fraction(1, 10), 3, Fraction(100), Fraction(1, 2), Fraction(9)
    )
    assert only(priced("percentage", {"percent": "2"})).percentage == Percentage(Fraction(2))
    committed = {"commitment": {**FEE, "quantity": "7", "every": "month"}, "overage": {"factor": "1.5"}}
    assert only(priced("committed", committed)).commitment == Commitment(
        None, Fraction(7), Fraction(500), "month", None, Fraction(3, 2)
    )
    level = {"commitment": {**FEE, "level": "7"}, "overage": {"amount": "2"}}
    assert only(priced("committed", level, window="hour")).commitment == Commitment(
        Fraction(7), None, Fraction(500), "hour", Fraction(2), None
    )


def test_recurring_fees() -> None:
    fee = only(priced("recurring", {"amount": "10", "quantity": "3", "every": "month"}, meter=None, per=None))
    assert fee.recurring == Recurring(Fraction(10), Fraction(3))
    assert (fee.charge.meters, fee.charge.each, fee.charge.window, fee.unit) == ((), (), "month", EACH)
    vm = only(priced("recurring", {"amount": "10"}, meter="vm.running", per="each", every="year"))
    assert (vm.recurring, vm.charge.window, vm.charge.each) == (Recurring(Fraction(10)), "year", ("resource",))
    assert only(priced("recurring", {"amount": "10"}, per=None, window="hour")).charge.window == "hour"
    assert only(priced("recurring", {"amount": "10"}, per=None), window="month").charge.window == "month"


def test_several_meters_and_the_basis() -> None:
    both = ("net.in.bytes", "net.out.bytes")
    band = charge(meter=None, meters=both, aggregate="percentile", per="Mbit/s")
    assert only(band).charge.percentile == Percentile()
    assert (only(band).charge.meters, only(band).charge.combine) == (both, "sum")
    assert only({**band, "combine": "max"}).charge.combine == "max"
    assert only(charge(meter=None, meters=["disk.capacity"])).charge.meters == ("disk.capacity",)
    bases = {
        "allocation": (("vm.memory",), "sum"),
        "usage": (("vm.memory.used",), "sum"),
        "reservation": (("vm.memory.reserved",), "sum"),
        "max_usage_reservation": (("vm.memory.used", "vm.memory.reserved"), "max"),
        "max_usage_allocation": (("vm.memory.used", "vm.memory"), "max"),
    }
    for basis, (meters, combine) in bases.items():
        own = only(charge(meter="vm.memory", basis=basis)).charge
        assert (own.meters, own.combine) == (meters, combine)


def test_units_of_charges() -> None:
    assert only(charge(per="GiB·month")).unit.span == "month"
    assert only(charge(aggregate="count", per=None)).unit == EACH
    unique = only(charge(aggregate="unique", unique_of="tier", per="each"))
    assert (unique.unit, unique.charge.unique_of) == (EACH, "tier")
    calls = only(charge(meter="api.calls", per="thousand calls"), meters=[CALLS])
    assert calls.unit.size == 1000
    assert only(charge(per="shelf·h"), units={"disk.capacity": {"shelf·h": "1/2"}}).unit.size == Fraction(1, 2)


def test_ids_of_prices() -> None:
    several = listed(charge(prices=[{"amount": "1", "to": JAN}, {"id": "x", "amount": "1", "from": JAN}]))
    assert [p.id for p in several.prices] == ["c-1", "x"]
    values = {"tier": ["gold", "b"], "site": ["x", "y"]}
    expanded = listed(charge(prices=[{"amount": "1", "when": values}]))
    assert [(p.id, dict(p.when)) for p in expanded.prices] == [
        ("c", {"site": "x", "tier": "b"}),
        ("c@2", {"site": "x", "tier": "gold"}),
        ("c@3", {"site": "y", "tier": "b"}),
        ("c@4", {"site": "y", "tier": "gold"}),
    ]
    assert len({id(p.canonical) for p in expanded.prices}) == 1


def test_the_short_form_is_an_implicit_charge_of_the_meter() -> None:
    made = list_of(
        price("b", "disk.capacity", product="Later", to=FEB),
        price("a", "disk.capacity", per="GiB·month", product="Sooner", **{"from": FEB}),
        price("c", "vm.vcpu", when={"site": ["x", "y"]}),
        window="hour",
    )
    assert [c.id for c in made.charges] == ["disk.capacity", "vm.vcpu"]
    disk = made.charges[0]
    assert (disk.name, disk.product, disk.meters, disk.each) == (
        "Disk capacity",
        "Sooner",
        ("disk.capacity",),
        ("resource",),
    )
    assert (disk.model, disk.window, disk.per, disk.product_id) == ("per_unit", "hour", "GiB·h", "")
    assert [(p.id, p.product, p.unit.name) for p in made.prices] == [
        ("a", "Sooner", "GiB·month"),
        ("b", "Later", "GiB·h"),
        ("c", "P", "vCPU·h"),
        ("c@2", "P", "vCPU·h"),
    ]
