"""Charges and prices that do not fit together: each problem at its path, found before anything is rated."""

from typing import Any

import pytest

from rating import price_list
from rating.catalogue import checks_charge
from tests.rating.documents import FEB, JAN, MAR, TIERS, charge, only, priced, problems
from tests.rating.helpers import price

FEE = {"fee": "500"}


@pytest.mark.parametrize(
    ("item", "place", "problem"),
    [
        (charge(meters=["vm.vcpu"]), "meters", "there is a `meter`, too; write one of both"),
        (charge(meter=None), "meter", "is missing; only a recurring fee of the account needs none"),
        (charge(meter="no.such"), "meter", "unknown meter 'no.such'; known are vm.running"),
        (charge(meter=None, meters=["disk.capacity", "no.such"]), "meters[1]", "unknown meter 'no.such'"),
        (charge(meter=None, meters=["vm.vcpu"] * 2, per="vCPU·h"), "meters", "a meter stands twice"),
        (
            charge(meter=None, meters=["vm.vcpu", "vm.cpu"], per="vCPU·h"),
            "meters",
            "vm.vcpu counts vCPU·s, vm.cpu MHz·s",
        ),
        (charge(combine="max"), "combine", "needs several `meters`"),
        (charge(meter="vm.cpu", per="GHz·h", basis="usage", combine="max"), "combine", "the basis says how"),
        (charge(basis="usage"), "basis", "disk.capacity has no meter of its usage; meters with a family: vm.cpu, vm.m"),
        (charge(meter=None, meters=["vm.cpu", "vm.memory"], basis="usage"), "basis", "needs one `meter`"),
        (charge(meter="no.such", basis="usage"), "meter", "unknown meter 'no.such'"),
        (charge(per=None), "per", "is missing"),
        (charge(per="GB"), "per", "disk.capacity has no unit 'GB'; choose GiB·h, GiB·day, MiB·s"),
        (charge(aggregate="peak", per="B"), "per", "peak of disk.capacity has no unit 'B'; choose "),
        (charge(combine_at="window"), "combine_at", "needs several `meters`"),
        (charge(tier_by="peak"), "tier_by", "goes with the models volume and stairstep"),
        (charge(tiers_on="level"), "tiers_on", "goes with the model graduated and aggregate: sum"),
        (charge(model="volume", tier_by="last", meter="net.in.bytes", per="GB"), "tier_by", "GB has no level that"),
        (
            charge(model="graduated", tiers_on="level", meter="net.in.bytes", per="GB"),
            "tiers_on",
            "GB has no level that",
        ),
        (
            charge(aggregate="peak", convert={"mode": "up", "at": "observation"}),
            "convert.at",
            "observations are rounded",
        ),
        (charge(aggregate="count"), "per", "count of disk.capacity has no unit 'GiB·h'; choose each"),
        (charge(model="recurring"), "per", "a recurring fee is per each; leave it out"),
        (charge(model="recurring", per=None, aggregate="peak"), "aggregate", "recurring looks at what is there"),
        (
            charge(model="recurring", per=None, meter=None, each="resource"),
            "each",
            "a fee without a meter is the account",
        ),
        (charge(every="month"), "every", "only recurring charges have it; write window: month"),
        (charge(model="recurring", per=None, window="day", every="month"), "every", "is month, but elsewhere in this"),
        (
            priced("percentage", {"percent": "1"}, aggregate="peak", per="GiB"),
            "aggregate",
            "percentage looks at single",
        ),
        (charge(percentile={}), "percentile", "goes with aggregate: percentile"),
        (charge(aggregate="percentile", per="GiB", percentile={"rank": "100.1"}), "percentile.rank", "must be at most"),
        (charge(aggregate="percentile", per="GiB", percentile={"cell": 7}), "percentile.cell", "must divide 3600"),
        (charge(unique_of="tier"), "unique_of", "goes with aggregate: unique"),
        (charge(each=["tier", "tier"]), "each", "names each attribute once"),
        (charge(settings={"order": ["price"] * 6}), "settings.order", "names each of convert"),
        (charge(factors=[{"when": {"tier": ["a", "a"]}, "factor": "1"}]), "factors[0].when.tier", "'a' stands 2 times"),
        (charge("disk.capacity"), "id", "'disk.capacity' is also the charge of the prices"),
    ],
)
def test_what_does_not_fit_a_charge(item: dict[str, Any], place: str, problem: str) -> None:
    found = problems(item, prices=[price("top", "disk.capacity")])
    assert found[0].startswith(f"products[0].charges[0].{place}: {problem}"), found


@pytest.mark.parametrize("early", ["free", "convert"])
@pytest.mark.parametrize("late", ["discount", "maximum", "minimum"])
def test_the_order_keeps_the_price_between(early: str, late: str) -> None:
    stages = ["convert", "free", "price", "discount", "maximum", "minimum"]
    for stage in (early, late):
        order = [s for s in stages if s != stage]
        order.insert(order.index("price") + (stage == early), stage)
        said = problems(charge(settings={"order": order}))
        assert said == (
            "products[0].charges[0].settings.order: convert and free come before price; discount, maximum and minimum "
            "after it",
        )
    swapped = ["free", "convert", "price", "minimum", "maximum", "discount"]
    assert only(charge(settings={"order": swapped})).charge.settings.order == tuple(swapped)


@pytest.mark.parametrize(
    ("model", "fields", "place", "problem"),
    [
        ("per_unit", {}, ".amount", "is missing; the model per_unit needs it"),
        ("package", {"amount": "1"}, ".size", "is missing; the model package needs it"),
        (
            "per_unit",
            {"amount": "1", "tiers": TIERS},
            ".tiers",
            "does not go with the model per_unit, which has amount",
        ),
        ("stairstep", {"tiers": TIERS, "free": {"quantity": "1"}}, ".free", "does not go with the model stairstep"),
        ("per_unit", {"amount": "1", "every": "month"}, ".every", "does not go with the model per_unit"),
        ("per_unit", {"amount": "1", "from": FEB, "to": FEB}, ".to", "must lie after from (2026-02-01T00:00:00Z)"),
        ("per_unit", {"amount": "1", "when": {"tier": []}}, ".when.tier", "needs a value"),
        ("per_unit", {"amount": "1", "when": {"tier": ["a", "a"]}}, ".when.tier", "'a' stands 2 times"),
        ("per_unit", {"amount": "1", "minimum": "2", "maximum": "1"}, ".minimum", "is more than the maximum (1)"),
        (
            "percentage",
            {"percent": "1", "minimum_each": "2", "maximum_each": "1"},
            ".minimum_each",
            "is more than the ma",
        ),
        ("graduated", {"tiers": TIERS[::-1]}, ".tiers[0].up_to", "is missing; only the last tier may have no end"),
        ("volume", {"tiers": [TIERS[0], TIERS[0]]}, ".tiers[1].up_to", "must be more than the bound before (10)"),
        ("volume", {"tiers": [{"up_to": "1"}]}, ".tiers[0]", "needs an amount, a percent or a flat fee"),
        ("volume", {"tiers": [{"amount": "1", "percent": "1"}]}, ".tiers[0].percent", "there is an amount, too"),
        (
            "volume",
            {"tiers": [{"percent": "1", "block": "1"}]},
            ".tiers[0].block",
            "needs an amount, which is what one",
        ),
        ("stairstep", {"tiers": [{"up_to": "5"}]}, ".tiers[0].amount", "is missing; it is what the whole window costs"),
        (
            "stairstep",
            {"tiers": [{"amount": "1", "flat": "5"}]},
            ".tiers[0].flat",
            "a step has nothing but up_to and am",
        ),
        ("committed", {"commitment": FEE, "overage": {"factor": "1"}}, ".commitment", "needs exactly one of level and"),
        (
            "committed",
            {"commitment": {**FEE, "level": "1"}, "overage": {}},
            ".overage",
            "needs exactly one of amount and",
        ),
    ],
)
def test_what_does_not_fit_a_price(model: str, fields: dict[str, Any], place: str, problem: str) -> None:
    found = problems(priced(model, fields))
    assert [p for p in found if p.startswith(f"products[0].charges[0].prices[0]{place}: {problem}")] == list(found)


def test_a_level_needs_a_unit_that_can_be_held() -> None:
    level = {"commitment": {**FEE, "level": "1"}, "overage": {"amount": "1"}}
    said = problems(charge(model="committed", meter="net.out.bytes", per="GB", prices=[level, {"overage": {}}]))
    assert said[0].startswith("products[0].charges[0].prices[0].commitment.level: GB has no level that could be held")
    held = {"commitment": {**FEE, "quantity": "1"}, "overage": {"amount": "1"}}
    assert only(priced("committed", held, meter="net.out.bytes", per="GB")).commitment is not None


def test_too_many_combinations_are_refused_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_charge, "PRICES_MAX", 3)
    monkeypatch.setattr(price_list, "PRICES_MAX", 3)
    four = {"tier": ["a", "b"], "site": ["a", "b"]}
    assert problems(charge(prices=[{"amount": "1", "when": four}])) == (
        "products[0].charges[0].prices[0].when: these values make more than 3 combinations",
    )
    two = {"tier": ["a", "b"]}
    some = [{"amount": "1", "when": two, "to": JAN}, {"amount": "1", "when": two, "from": MAR}]
    assert problems(charge(prices=some)) == (
        "the list makes 4 prices, one for each combination of values; at most 3 are read",
    )


def test_ids_stand_once() -> None:
    assert [p.split(": ")[0] for p in problems(charge(), charge())] == [
        "products[0].charges[0].id",
        "products[0].charges[1].id",
        "products[0].charges[0].prices[0].id",
        "products[0].charges[1].prices[0].id",
        "products[0].charges[1].prices[0] (c)",
    ]
    assert problems(charge("c"), charge("d", prices=[{"id": "c", "amount": "1"}]))[0] == (
        "products[0].charges[0].prices[0].id: 'c' is used 2 times; ids are unique within a list"
    )
    assert problems(products=[{"id": "p", "charges": [charge("a")]}, {"id": "p", "charges": [charge("b")]}])[
        0
    ].startswith("products[0].id: 'p' is used 2 times")
