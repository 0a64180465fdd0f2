"""The form of a document: every malformed value at its path, with how to mend it, and the sound rest checked anyway."""

from fractions import Fraction
from typing import Any

import pytest

from rating.catalogue import document as whole
from rating.catalogue import document_campaign, document_charge, document_fields, document_price
from rating.catalogue.document import path_of, validated
from tests.rating.documents import charge, document, listed, only, priced, problems


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        ({"inherits": "B C"}, "inherits: String should match pattern"),
        ({"window": "week2"}, "window: Input should be 'hour'"),
        ({"rounding": {"per": "month"}}, "rounding.per: Input should be 'line' or 'charge'"),
        (
            {"rounding": {"unit_price_digits": "13"}},
            "rounding.unit_price_digits: Input should be less",
        ),
        ({"settings": {"months": "720"}}, "settings.months: unknown key; known are bounds, zero, beyond, blocks"),
        ({"settings": {"order": ["price", "tax"]}}, "settings.order[1]: Input should be 'convert'"),
        ({"settings": {"order": ["price"]}}, "settings.order: names each of convert, free, price, discount"),
        ({"meters": [{"key": "a.b"}]}, "meters[0].name: is missing"),
        ({"meters": [{"key": "a.b", "kilo": "1"}]}, "meters[0].kilo: unknown key; known are key, name, kind, base"),
        ({"units": {"net.in.bytes": {"PB": "1e15"}}}, "units.net.in.bytes.PB: '1e15' is no size; write how many base"),
        ({"units": {"net.in.bytes": {"PB": "1/0"}}}, "units.net.in.bytes.PB: must be more than zero"),
        ({"units": {"net.in.bytes": {"PB": "0.0"}}}, "units.net.in.bytes.PB: must be more than zero"),
        ({"units": {"net.in.bytes": {"PB": "0/5"}}}, "units.net.in.bytes.PB: must be more than zero"),
        ({"units": {"net.in.bytes": {"PB": "9" * 31}}}, "units.net.in.bytes.PB: has more than 30 digits on one side"),
        ({"units": {"net.in.bytes": {"PB": ["1"]}}}, "units.net.in.bytes.PB: Input should be a valid string"),
        ({"units": {"net.in.bytes": {"PB": 0.5}}}, "units.net.in.bytes.PB: '0.5' is no size"),
        ({"rates": [{"currency": "USD", "rate": "0"}]}, "rates[0].rate: must be more than zero"),
        ({"rates": [{"currency": "usd", "rate": "1"}]}, "rates[0].currency: String should match"),
        ({"products": []}, "products: Tuple should have at least 1 item"),
        ({"products": [{"id": "q"}]}, "products[0].charges: is missing"),
        ({"products": [{"id": "q", "charges": []}]}, "products[0].charges: Tuple should have at least 1 item"),
        ({"products": [{"id": "q", "charges": [{}]}]}, "products[0].charges[0].prices: is missing"),
        (
            {"campaigns": [{"id": "c", "percent": 20}]},
            "campaigns[0].percent: is a bare number, which many programs read",
        ),
        ({"campaigns": [{"id": "c", "limit": {}}]}, "campaigns[0].limit: unknown key; known are id, name, from, to,"),
        (
            {"campaigns": [{"id": "c", "limits": {"windows": "0"}}]},
            "campaigns[0].limits.windows: Input should",
        ),
        (
            {"campaigns": [{"id": "c", "limits": {"x": "0"}}]},
            "campaigns[0].limits.x: unknown key; known are",
        ),
        ({"account": {"minimum": {}}}, "account.minimum.amount: is missing"),
        ({"account": {"minimum": "5"}}, "account.minimum: Input should be a valid dictionary"),
        ({"account": {"commitments": [{"id": "c"}]}}, "account.commitments[0].amount: is missing"),
    ],
)
def test_heads(head: dict[str, Any], problem: str) -> None:
    found = problems(charge(), **head) if "products" not in head else problems(**head)
    assert len(found) >= 1
    assert any(p.startswith(problem) for p in found), found


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("model", "magic", "model: Input should be 'per_unit'"),
        ("aggregate", "median", "aggregate: Input should be 'sum'"),
        ("each", ["", "x"], "each[0]: String should have at least 1 character"),
        ("each", "tier", "each: 'tier' is neither resource nor account; write a list of attribute names: [tier]"),
        ("percentile", {"rank": 95}, "percentile.rank: is a bare number, which many programs read"),
        ("percentile", {"cells": 300}, "percentile.cells: unknown key; known are rank, cell, missing"),
        ("convert", {}, "convert.mode: is missing"),
        ("factors", [{"factor": "x"}], "factors[0].factor: 'x' is no number; write decimal text"),
        ("power", "off", "power: Input should be 'always', 'on' or 'once'"),
        ("free", {"quantity": "0"}, "free.quantity: must be more than zero"),
        ("free", {"quantity": "1", "pool": "all"}, "free.pool: Input should be 'each', 'account', 'charge' or"),
        ("minimum", "-1", "minimum: '-1' is no amount; write decimal text of zero or more"),
        ("prices", [], "prices: Tuple should have at least 1 item"),
        (
            "prices",
            [{"amount": "1", "price": "2"}],
            "prices[0].price: unknown key; known are id, from, to, when",
        ),
        ("prices", [{"tiers": []}], "prices[0].tiers: Tuple should have at least 1 item"),
        (
            "prices",
            [{"tiers": [{"upto": "1"}]}],
            "prices[0].tiers[0].upto: unknown key; known are up_to, amount",
        ),
        ("prices", [{"commitment": {}}], "prices[0].commitment.fee: is missing"),
        ("prices", [{"amount": "1", "when": {"tier": ["a\x00"]}}], "prices[0].when.tier[0]: String should match"),
    ],
)
def test_charges(key: str, value: object, problem: str) -> None:
    found = problems({**charge(), key: value})
    assert [p for p in found if p.startswith(f"products[0].charges[0].{problem}")] == list(found)


def test_problems_of_different_kinds_are_listed_together() -> None:
    """A malformed head, price and charge hide neither each other nor what is wrong between the sound ones."""
    found = problems(
        charge("a", prices=[{"amount": "x"}, {"amount": "1"}, {"amount": "2"}]),
        charge("b", window="week2"),
        charge("c", meter="vm.runing"),
        name="",
        campaigns=[{"id": "x"}, {"id": "y", "percent": "1", "priority": "high"}],
    )
    assert [p.split(": ")[0] for p in found] == [
        "name",
        "products[0].charges[0].prices[0].amount",
        "products[0].charges[1].window",
        "campaigns[1].priority",
        "products[0].charges[2].meter",
        "products[0].charges[0].prices[2] (a-3)",
        "campaigns[0]",
    ]


def test_a_malformed_product_hides_no_problem_of_its_charges() -> None:
    wrong = {"id": "P Q", "name": "", "charges": [charge(meter="no.such")]}
    assert [p.split(":")[0] for p in problems(products=[wrong])] == [
        "products[0].id",
        "products[0].name",
        "products[0].charges[0].meter",
    ]


def test_what_is_no_document() -> None:
    assert validated(["a"])[0] is None
    sound, found = validated({"id": "a", "settings": 5, "prices": "x", "window": "day"})
    assert sound is not None
    assert (sound.id, sound.name, sound.currency, sound.prices) == ("a", "List", "XXX", ())
    assert [p.split(":")[0] for p in found] == ["name", "currency", "settings", "prices"]
    assert path_of(("a", 0, "b")) == "a[0].b"


def test_unless_it_inherits_a_list_needs_prices() -> None:
    assert problems() == ("prices: is missing; write prices, or products with charges, or what the list inherits",)
    assert listed(inherits="default").prices == ()


def test_numbers_are_kept_in_their_shortest_form() -> None:
    price = only(priced("graduated", {"tiers": [{"up_to": "0010.50", "amount": "01.0"}, {"amount": "0.10"}]}))
    assert price.canonical["tiers"] == [{"up_to": "10.5", "amount": "1"}, {"amount": "0.1"}]
    assert problems(priced("graduated", {"tiers": [{"up_to": "1" * 19, "amount": "1"}]}))[0].endswith(
        "tiers[0].up_to: has more than 18 digits on one side of the point"
    )


def test_lengths_of_months_and_years() -> None:
    def lengths(**said: object) -> tuple[Fraction | None, Fraction | None, bool]:
        own = listed(charge(), settings=said).charges[0].settings
        return own.month_hours, own.year_hours, own.real_year

    assert lengths() == lengths(month="real", year="as_month") == (None, None, False)
    assert lengths(month=720, year="real") == (Fraction(720), None, True)
    assert lengths(month="730.4850", year="8760") == (Fraction("730.485"), Fraction(8760), False)
    for key, value in {"month": "as_month", "year": "0.0", "month ": 0}.items():
        found = problems(charge(), settings={key.strip(): value})
        assert found[0].startswith(f"settings.{key.strip()}: '{value}' is neither "), found
    assert problems(charge(), settings={"month": 730.5})[0].startswith("settings.month: '730.5' is neither real nor a")
    assert problems(charge(), settings={"year": ["1"]}) == ("settings.year: Input should be a valid string",)


def test_validity_has_second_precision() -> None:
    price = only(charge(prices=[{"amount": "1", "from": "1970-01-01T00:00:01Z", "to": "1970-01-01T01:00:02+01:00"}]))
    assert (price.valid.start, price.valid.end) == (1, 2)


def test_limits_have_names() -> None:
    named = [
        document_campaign.COMMITMENTS_MAX,
        document_charge.CHARGES_MAX,
        document_charge.FACTORS_MAX,
        document_charge.PRICES_MAX,
        document_fields.VALUES_MAX,
        document_price.TIERS_MAX,
        whole.CAMPAIGNS_MAX,
        whole.RATES_MAX,
    ]
    assert min(named) == 1000
    tiers = [{"up_to": str(n), "amount": "1"} for n in range(1, document_price.TIERS_MAX + 2)]
    assert "tiers: Tuple should have at most 1000 items" in problems(priced("volume", {"tiers": tiers}))[0]
    assert validated({"prices": [None]})[1][-1].startswith("prices[0]: Input should be a valid dictionary")
    assert document(charge())
