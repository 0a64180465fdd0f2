"""What holds over several charges: own meters and units, exchange rates, campaigns, the account's terms, warnings."""

from fractions import Fraction
from typing import Any

import pytest

from rating.charge import AccountTerms, Bound, Campaign, CampaignLimits, ExchangeRate, Range, SpendCommitment
from schemas.period import FOREVER, Period, parse_instant
from tests.rating.documents import FEB, JAN, MAR, charge, listed, problems
from tests.rating.helpers import REGISTRY, list_of, price

CALLS: dict[str, Any] = {
    "key": "api.calls",
    "name": "Calls",
    "kind": "event",
    "base": "call",
    "display": {"thousand calls": 1000},
}
DISK = REGISTRY["disk.capacity"].model_dump(mode="json")
FEBRUARY = Period(parse_instant(FEB), parse_instant(MAR))


def campaign(**more: Any) -> dict[str, Any]:
    fields = {"id": "k", "percent": "20", **more}
    return {key: value for key, value in fields.items() if value is not None}


def test_own_meters_and_units_stay_with_the_list() -> None:
    made = listed(charge(meter="api.calls", per="call"), meters=[CALLS], units={"api.calls": {"dozen": "12"}})
    assert [m.key for m in made.meters] == ["api.calls"]
    assert made.units == {"api.calls": {"dozen": "12"}}
    assert listed(charge(), meters=[DISK]).meters == (REGISTRY["disk.capacity"],)


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        ({"meters": [{**DISK, "name": "Other"}]}, "meters[0].key: 'disk.capacity' is taken by another meter"),
        ({"meters": [CALLS, {**CALLS, "name": "Twice"}]}, "meters[1].key: 'api.calls' is taken by another meter"),
        (
            {"meters": [{**CALLS, "event": {"type": "vm.vcpu"}}]},
            "meters: event type 'vm.vcpu' feeds more than one meter",
        ),
        ({"units": {"no.such": {"x": "1"}}}, "units.no.such: unknown meter; known are vm.running"),
        ({"units": {"net.in.bytes": {"TB": "5"}}}, "units.net.in.bytes.TB: net.in.bytes has this unit already"),
        (
            {"units": {"disk.capacity": {"x·h": "3600", "x·day": "5"}}},
            "units.disk.capacity.x·day: disk.capacity has this",
        ),
        ({"rounding": {"unit_price_per": "GiB·h"}}, "rounding.unit_price_per: goes with unit_price_digits"),
        ({"campaigns": [campaign(when={"a": {}})]}, "campaigns[0].when.a: needs from, below or both"),
        (
            {"campaigns": [campaign(when={"a": {"to": "1"}})]},
            "campaigns[0].when.a.to: unknown key; known are from, below",
        ),
        ({"inherits": "l"}, "inherits: a list cannot inherit from itself"),
        ({"rates": [{"currency": "EUR", "rate": "1"}]}, "rates[0].currency: EUR is the list's own"),
        (
            {"rates": [{"currency": "USD", "rate": "1", "from": FEB, "to": FEB}]},
            "rates[0].to: must lie after from (2026",
        ),
        ({"rates": [{"currency": "USD", "rate": "1"}] * 2}, "rates[1]: overlaps another rate of USD; end one where"),
        (
            {"campaigns": [campaign(percent=None)]},
            "campaigns[0]: needs exactly one of percent, absolute, free_quantity, ",
        ),
        (
            {"campaigns": [campaign(absolute="5")]},
            "campaigns[0]: needs exactly one of percent, absolute, free_quantity, ",
        ),
        ({"campaigns": [campaign(percent="101")]}, "campaigns[0].percent: takes at most 100"),
        ({"campaigns": [campaign(limits={"windows": 3})]}, "campaigns[0].limits: are of a coupon; name one"),
        (
            {"campaigns": [campaign(percent=None, fixed_price="1", cap="1")]},
            "campaigns[0].cap: goes with percent or abs",
        ),
        ({"campaigns": [campaign(meters="no.such")]}, "campaigns[0].meters: unknown meter 'no.such'; known are"),
        ({"campaigns": [campaign(**{"from": FEB, "to": JAN})]}, "campaigns[0].to: must lie after from (2026-02-01"),
        ({"campaigns": [campaign(), campaign()]}, "campaigns[0].id: 'k' is used 2 times; ids are unique within a list"),
        ({"account": {"minimum": {"amount": "1", "from": FEB, "to": JAN}}}, "account.minimum.to: must lie after from"),
        (
            {"account": {"minimum": {"amount": "2"}, "maximum": {"amount": "1"}}},
            "account.minimum.amount: is more than the maximum (1)",
        ),
        (
            {"account": {"commitments": [{"id": "a", "amount": "1"}] * 2}},
            "account.commitments[0].id: 'a' is used 2 times; ids are unique within a list's commitments",
        ),
        (
            {"account": {"commitments": [{"id": "a", "amount": "1", "from": FEB, "to": JAN}]}},
            "account.commitments[0].to: must lie after from",
        ),
    ],
)
def test_what_does_not_fit(head: dict[str, Any], problem: str) -> None:
    found = problems(charge(), **head)
    assert found[0].startswith(problem), found


def test_bounds_of_different_windows_do_not_contradict() -> None:
    bounds = {"minimum": {"amount": "100", "every": "year"}, "maximum": {"amount": "20"}}
    assert listed(charge(), account=bounds).account.maximum == Bound(Fraction(20), "month")


def test_a_price_in_another_currency_needs_its_rate_all_the_time() -> None:
    usd = charge(prices=[{"amount": "1", "currency": "USD", "from": JAN}])
    assert problems(usd) == (f"products[0].charges[0].prices[0].currency: rates has none of USD from {JAN}",)
    first = {"currency": "USD", "rate": "0.9", "to": FEB}
    second = {"currency": "USD", "rate": "0.8", "from": MAR}
    assert problems(usd, rates=[second, first])[0].endswith(f"rates has none of USD from {FEB} to {MAR}")
    third = {"currency": "USD", "rate": "0.7", "from": FEB, "to": MAR}
    other = {"currency": "CHF", "rate": "1.1"}
    made = listed(usd, rates=[other, second, third, first])
    mine = tuple(
        ExchangeRate("USD", Fraction(rate), Period(start, end))
        for rate, start, end in (
            ("0.9", 0, FEBRUARY.start),
            ("0.7", *(FEBRUARY.start, FEBRUARY.end)),
            ("0.8", FEBRUARY.end, FOREVER),
        )
    )
    assert made.prices[0].rates == mine
    assert made.rates == (ExchangeRate("CHF", Fraction("1.1"), Period(0, FOREVER)), *mine)
    own = listed(charge(prices=[{"amount": "1", "currency": "EUR"}]), rates=[other]).prices[0]
    assert (own.currency, own.rates) == (None, ())


def test_campaigns() -> None:
    full = campaign(
        id="autumn",
        name="Autumn",
        products="p",
        charges=["c"],
        meters=["disk.capacity"],
        groups=["g"],
        accounts=["a"],
        when={"site": "x", "tier": "gold", "size": {"from": "4"}},
        coupon="AUTUMN20",
        limits={"redemptions": 9, "per_account": "1", "windows": 3},
        stacking="exclusive",
        priority="-5",
        cap="50",
        **{"from": FEB, "to": MAR},
    )
    late = campaign(percent=None, absolute="1", priority=1, id="b")
    free = campaign(percent=None, free_quantity="2", id="z")
    fixed = campaign(percent=None, fixed_price="3", id="a")
    made = listed(charge(), campaigns=[late, free, full, fixed])
    assert [c.id for c in made.campaigns] == ["autumn", "a", "z", "b"]
    assert made.campaigns[0] == Campaign(
        "autumn",
        "Autumn",
        FEBRUARY,
        percent=Fraction(20),
        products=frozenset({"p", "Product"}),
        charges=frozenset("c"),
        meters=frozenset({"disk.capacity"}),
        groups=frozenset("g"),
        accounts=frozenset("a"),
        when=(("site", "x"), ("tier", "gold")),
        ranges=(Range("size", Fraction(4), None),),
        coupon="AUTUMN20",
        limits=CampaignLimits(9, 1, 3),
        stacking="exclusive",
        priority=-5,
        cap=Fraction(50),
    )
    assert made.campaigns[1] == Campaign("a", "a", Period(0, FOREVER), fixed_price=Fraction(3))
    assert (made.campaigns[2].free_quantity, made.campaigns[3].absolute) == (Fraction(2), Fraction(1))


def test_terms_of_the_account() -> None:
    agreed: dict[str, Any] = {
        "id": "c",
        "amount": "5",
        "every": "year",
        "products": ["p"],
        "true_up": "false",
        "overage_factor": "1.5",
    }
    agreed["charges"] = "d"
    made = listed(
        charge(),
        account={
            "minimum": {"amount": "1", "every": "day", "from": FEB, "to": MAR},
            "commitments": [agreed, {"id": "a", "amount": "7"}],
        },
    )
    assert made.account == AccountTerms(
        Bound(Fraction(1), "day", FEBRUARY),
        None,
        (
            SpendCommitment("a", Fraction(7), "month"),
            SpendCommitment(
                "c", Fraction(5), "year", frozenset({"p", "Product"}), frozenset("d"), False, Fraction(3, 2)
            ),
        ),
    )
    assert listed(charge()).account == AccountTerms()


def test_filters_that_name_nothing_are_warnings_unless_the_list_inherits() -> None:
    strange: dict[str, Any] = {
        "campaigns": [campaign(products=["p", "Product", "q"], charges=["c", "d"])],
        "account": {"commitments": [{"id": "c", "amount": "1", "products": ["r", "p"], "charges": ["c", "e"]}]},
    }
    assert listed(charge(), **strange).warnings == (
        "campaigns[0].products: the list has no product 'q'",
        "campaigns[0].charges: the list has no charge 'd'",
        "account.commitments[0].products: the list has no product 'r'",
        "account.commitments[0].charges: the list has no charge 'e'",
    )
    assert listed(charge(), inherits="default", **strange).warnings == ()
    assert list_of(price("a"), campaigns=[campaign(products=["P"], charges=["vm.running"])]).warnings == ()


def test_attributes_that_meters_do_not_declare_are_warnings() -> None:
    factors = [{"when": {"os": "x", "site": "y", "tier": "z"}, "factor": "1"}]
    odd = charge(each=["resource", "rack", "tier"], factors=factors, aggregate="unique", unique_of="serial", per=None)
    assert listed(odd).warnings == (
        "products[0].charges[0]: groups by 'rack', but disk.capacity declares tier",
        "products[0].charges[0]: groups by 'serial', but disk.capacity declares tier",
        "products[0].charges[0].factors: disk.capacity declares tier; usage without 'os' never takes this factor",
    )
    assert listed(charge(prices=[{"amount": "1", "when": {"power": "on", "site": ["x", "y"]}}])).warnings == ()


def test_overlaps_and_gaps_are_sought_within_a_charge() -> None:
    gold = {"amount": "1", "when": {"tier": ["gold", "silver"]}}
    late = {"id": "late", "amount": "1", "when": {"tier": "gold"}, "from": FEB}
    assert listed(charge("a"), charge("b")).warnings == ()
    assert problems(charge(prices=[gold, late])) == (
        "products[0].charges[0].prices[1] (late): overlaps products[0].charges[0].prices[0] (c-1) for c {tier: gold} "
        f"from {FEB}; end one where the other begins",
    )
    gap = charge(prices=[{"amount": "1", "to": JAN}, {"amount": "1", "from": FEB}])
    assert listed(gap).warnings == (f"c has no price from {JAN} to {FEB}: usage from {JAN} to {FEB} will be unpriced",)


def test_the_dearest_of_several_may_apply() -> None:
    both = [{"amount": "1", "when": {"tier": "gold"}}, {"amount": "2", "when": {"site": "x"}}, {"amount": "3"}]
    assert len(listed(charge(choose="highest", prices=[*both, {"amount": "4"}])).prices) == 4
    assert "as specific as" in problems(charge(prices=both))[0]
