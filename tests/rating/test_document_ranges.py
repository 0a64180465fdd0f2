"""Conditions on numbers, and other rules of measuring: what they are compiled into and where two prices would tie."""

from fractions import Fraction
from typing import Any

import pytest

from rating.catalogue import checks
from rating.charge import Conversion, Factor, Free, Range
from tests.rating.documents import FEB, JAN, TIERS, charge, listed, only, priced, problems
from tests.rating.helpers import list_of, price

SMALL, LARGE = {"from": "64", "below": "128"}, {"from": "128"}


def by_size(*whens: dict[str, Any]) -> dict[str, Any]:
    return charge(prices=[{"amount": "1", "when": when} for when in whens])


def test_ranges_stand_beside_values() -> None:
    first, second = listed(by_size({"memory": SMALL, "tier": ["b", "a"], "cpus": {"below": "4.50"}})).prices
    expected = (Range("cpus", None, Fraction(9, 2)), Range("memory", Fraction(64), Fraction(128)))
    assert (first.when, first.ranges) == ((("tier", "a"),), expected)
    assert (second.id, second.when, second.ranges) == ("c@2", (("tier", "b"),), expected)
    made = only(charge(factors=[{"when": {"memory": LARGE, "tier": "a"}, "factor": "2"}]))
    assert made.charge.factors == (Factor((("tier", "a"),), Fraction(2), (Range("memory", Fraction(128), None),)),)
    assert list_of(price("a", when={"memory": LARGE})).prices[0].ranges == (Range("memory", Fraction(128), None),)


@pytest.mark.parametrize(
    ("numbers", "problem"),
    [
        ({}, ": needs from, below or both"),
        ({"from": "5", "below": "5"}, ".below: must be more than from (5)"),
        ({"from": 5}, '.from: is a bare number, which many programs read as a binary fraction; quote it: from: "5"'),
        ({"up_to": "5"}, ".up_to: unknown key; known are from, below"),
    ],
)
def test_what_is_no_range(numbers: dict[str, Any], problem: str) -> None:
    assert problems(by_size({"memory": numbers})) == (f"products[0].charges[0].prices[0].when.memory{problem}",)
    assert problems(charge(factors=[{"when": {"memory": numbers}, "factor": "1"}])) == (
        f"products[0].charges[0].factors[0].when.memory{problem}",
    )


@pytest.mark.parametrize(
    ("one", "other", "tie"),
    [
        ({"memory": SMALL}, {"memory": LARGE}, False),
        ({"memory": SMALL}, {"memory": {"below": "64"}}, False),
        ({"memory": SMALL}, {"memory": {"below": "65"}}, True),
        ({"memory": SMALL}, {"memory": {"from": "127.9"}}, True),
        ({"memory": SMALL}, {"memory": "64"}, True),
        ({"memory": "128"}, {"memory": SMALL}, False),
        ({"memory": SMALL}, {"cpus": {"from": "2"}}, True),
        ({"memory": SMALL}, {"tier": "gold"}, True),
        ({"memory": SMALL, "tier": "gold"}, {"memory": SMALL, "tier": "iron"}, False),
        ({"memory": SMALL}, {"memory": SMALL, "tier": "gold"}, False),
        ({"memory": SMALL}, {}, False),
    ],
)
def test_ranges_that_could_tie_are_refused(one: dict[str, Any], other: dict[str, Any], tie: bool) -> None:
    if not tie:
        assert len(listed(by_size(one, other)).prices) == 2
        assert len(listed(by_size(other, one)).prices) == 2
        return
    for pair in ((one, other), (other, one)):
        (found,) = problems(by_size(*pair))
        assert found.startswith(
            "products[0].charges[0].prices[1] (c-2): as specific as products[0].charges[0].prices[0]"
        )
        assert found.endswith("; keep their ranges apart, or end one of them")
    assert len(listed({**by_size(one, other), "choose": "highest"}).prices) == 2


def test_prices_of_different_times_or_charges_do_not_tie() -> None:
    early, late = (
        {"amount": "1", "when": {"memory": SMALL}, "to": JAN},
        {"amount": "1", "when": {"tier": "x"}, "from": JAN},
    )
    assert len(listed(charge(prices=[early, late])).prices) == 2
    assert (
        len(listed(by_size({"memory": SMALL}), charge("d", prices=[{"amount": "1", "when": {"tier": "x"}}])).prices)
        == 2
    )


def test_equal_ranges_overlap_and_leave_gaps_like_any_condition() -> None:
    (found,) = problems(by_size({"memory": SMALL}, {"memory": SMALL}))
    assert "overlaps products[0].charges[0].prices[0] (c-1) for c {memory: from 64 below 128} from 1970" in found
    early, late = (
        {"amount": "1", "when": {"memory": {"below": "5"}}, key: at} for key, at in (("to", JAN), ("from", FEB))
    )
    warning, undeclared, *more = listed(charge(prices=[early, late])).warnings
    assert warning.startswith(f"c {{memory: below 5}} has no price from {JAN} to {FEB}: usage from {JAN} to {FEB} will")
    assert undeclared.startswith("products[0].charges[0].prices[0].when.memory: disk.capacity declares tier")
    assert len(more) == 1
    assert "a less specific price applies there" in listed(charge(prices=[early, late, {"amount": "1"}])).warnings[0]
    strange = listed(charge(factors=[{"when": {"memory": SMALL}, "factor": "1"}])).warnings
    assert strange[0].startswith("products[0].charges[0].factors: disk.capacity declares tier; usage without 'memory'")


def test_plain_prices_beside_ranges_are_compared_once() -> None:
    found = problems(by_size({"memory": {"below": "5"}, "tier": "x"}, {"a": "x", "tier": "y"}, {"b": "x", "tier": "y"}))
    assert [p.split(": ")[0] for p in found] == ["products[0].charges[0].prices[2] (c-3)"]


def test_there_is_a_limit_of_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "RANGED_MAX", 1)
    assert problems(by_size({"memory": SMALL}, {"memory": LARGE})) == (
        "c has 2 prices with as many conditions, ranges among them; at most 1",
    )


def test_tiers_by_level() -> None:
    volume = only(priced("volume", {"tiers": TIERS}, tier_by="last")).charge
    graduated = only(priced("graduated", {"tiers": TIERS}, tiers_on="level")).charge
    assert (volume.tier_by, volume.tiers_on, graduated.tier_by, graduated.tiers_on) == (
        "last",
        "quantity",
        "quantity",
        "level",
    )


def test_rules_of_measuring() -> None:
    both = charge(meter=None, meters=["net.in.bytes", "net.out.bytes"], combine="max", combine_at="window", per="GB")
    assert only(both).charge.combine_at == "window"
    assert only({**both, "combine_at": None}).charge.combine_at == "cell"
    once = only(
        charge(convert={"mode": "up", "digits": 1, "at": "observation"}, free={"quantity": "1", "pool": "charge"})
    )
    assert (once.charge.convert, once.free) == (Conversion("up", 1, "observation"), Free(Fraction(1), "charge"))
    assert only(charge(aggregate="lowest", per="GiB·month", window="week")).unit.span == "month"


def test_the_unit_for_which_the_unit_price_is_rounded() -> None:
    rounding = {"unit_price_digits": 8, "unit_price_per": "GiB·h"}
    made = listed(charge(per="GiB·month"), charge("d", meter="vm.vcpu", per="vCPU·h"), rounding=rounding)
    units = [price.charge.rounding.unit_price_unit for price in made.prices]
    assert (units[0] and units[0].size, units[1]) == (Fraction(1024 * 3600), None)
    assert made.rounding.unit_price_unit is None
    short = list_of(price("a", "disk.capacity"), rounding=rounding).charges[0].rounding.unit_price_unit
    assert short == units[0]
    fee = only(priced("recurring", {"amount": "1"}, meter=None, per=None), rounding=rounding)
    assert fee.charge.rounding.unit_price_unit is None
    assert made.digest != listed(charge(per="GiB·month"), charge("d", meter="vm.vcpu", per="vCPU·h")).digest
