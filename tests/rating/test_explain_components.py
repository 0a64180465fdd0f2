"""What people read beside every kind of line; guards invariant 8."""

import json
from typing import Any

import pytest

from rating.explain import line_at
from rating.verify import stands_alone
from rating.windows import segments
from schemas.errors import Invariant
from schemas.period import Period
from stratometer.rate_files import FileRating, rate_text
from stratometer.rate_rows import explanations

MONTH = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z"}


def rated(charges: list[dict[str, Any]], quantities: list[str], **head: Any) -> FileRating:
    fields = {"meter": "net.out.bytes", "per": "GB", "each": "account"}
    products = [{"id": "p", "name": "P", "charges": [{"id": "c", **fields, **c} for c in charges]}]
    document = {"id": "l", "name": "L", "currency": "EUR", "window": "month", "products": products, **head}
    rows = [
        {"resource": f"r{n}", "meter": "net.out.bytes", **MONTH, "quantity": q, "unit": "GB"}
        for n, q in enumerate(quantities)
    ]
    return rate_text(json.dumps(document, ensure_ascii=False), rows)


def sentences(charges: list[dict[str, Any]], quantities: list[str], **head: Any) -> list[str]:
    return [found.sentence.partition(", price")[0] for found in explanations(rated(charges, quantities, **head))]


TIERS = [{"up_to": "10", "amount": "2", "flat": "5"}, {"amount": "1", "flat": "3"}]


@pytest.mark.parametrize(
    ("charge", "quantity", "head", "expected"),
    [
        (
            {"model": "graduated", "prices": [{"tiers": TIERS}]},
            "12",
            {},
            ["10 GB × 2 EUR/GB + 5 EUR = 25 EUR, tier 1 from 0", "2 GB × 1 EUR/GB + 3 EUR = 5 EUR, tier 2 from 10"],
        ),
        (
            {"model": "graduated", "prices": [{"tiers": TIERS}]},
            "-4",
            {},
            ["-4 GB × 2 EUR/GB - 5 EUR = -13 EUR, tier 1 from 0"],
        ),
        (
            {"model": "graduated", "settings": {"negative": "nothing"}, "prices": [{"amount": None, "tiers": TIERS}]},
            "-4",
            {},
            ["-4 GB at 2 EUR/GB, sums below zero are not credited, = 0 EUR, tier 1 from 0"],
        ),
        (
            {"model": "stairstep", "prices": [{"tiers": [{"up_to": "10", "amount": "2"}, {"amount": "7"}]}]},
            "4",
            {},
            ["4 GB: 2 EUR a month = 2 EUR, tier 1 from 0"],
        ),
        (
            {"model": "package", "settings": {"blocks": "partial"}, "prices": [{"amount": "4", "size": "10"}]},
            "5",
            {},
            ["0.5 blocks for 5 GB × 4 EUR per 10 GB = 2 EUR"],
        ),
        (
            {"model": "package", "settings": {"blocks": "down"}, "prices": [{"amount": "4", "size": "10"}]},
            "15",
            {},
            ["1 block for 15 GB × 4 EUR per 10 GB = 4 EUR"],
        ),
        (
            {"factors": [{"when": {}, "factor": "1.5"}], "prices": [{"amount": "2", "currency": "USD"}]},
            "2",
            {"rates": [{"currency": "USD", "rate": "0.5"}]},
            ["2 GB × 1.5 EUR/GB = 3 EUR"],
        ),
        (
            {"prices": [{"amount": "1", "minimum": "9"}]},
            "2",
            {},
            ["2 GB × 1 EUR/GB = 2 EUR", "added up to the minimum 9 EUR a month = 7 EUR"],
        ),
        (
            {"prices": [{"amount": "1", "maximum": "1"}]},
            "2",
            {},
            ["2 GB × 1 EUR/GB = 2 EUR", "taken off above the maximum 1 EUR a month = -1 EUR"],
        ),
        (
            {"prices": [{"amount": "1"}]},
            "5",
            {"campaigns": [{"id": "k", "name": "Gift", "absolute": "2"}]},
            ["5 GB × 1 EUR/GB = 5 EUR", "campaign Gift: 2 EUR off = -2 EUR"],
        ),
        (
            {"prices": [{"amount": "1"}]},
            "5",
            {"account": {"minimum": {"amount": "8"}}},
            ["5 GB × 1 EUR/GB = 5 EUR", "added up to the account's minimum = 3 EUR"],
        ),
        (
            {
                "model": "graduated",
                "prices": [
                    {"tiers": [{"up_to": "1", "amount": "0.4"}, {"up_to": "2", "amount": "0.4"}, {"amount": "0.4"}]}
                ],
            },
            "3",
            {"rounding": {"digits": 0, "per": "charge"}},
            [
                "1 GB × 0.4 EUR/GB = 0.4 EUR, rounded half_even to 0 digits = 0 EUR, tier 1 from 0",
                "1 GB at 0.4 EUR/GB, rounded together with the other lines of the charge, = 1 EUR, tier 2 from 1",
                "1 GB × 0.4 EUR/GB = 0.4 EUR, rounded half_even to 0 digits = 0 EUR, tier 3 from 2",
            ],
        ),
    ],
)
def test_sentences(charge: dict[str, Any], quantity: str, head: dict[str, Any], expected: list[str]) -> None:
    charge = {**charge, "prices": [{k: v for k, v in p.items() if v is not None} for p in charge["prices"]]}
    assert sentences([charge], [quantity], **head) == expected


def test_parts_say_that_they_are_differences() -> None:
    price = {"amount": "4", "size": "8"}
    prices = [{**price, "id": "a", "to": "2026-03-01T12:00:00Z"}, {**price, "id": "b", "from": "2026-03-01T12:00:00Z"}]
    charge = {"model": "package", "prices": prices}
    # Nine of eighteen before noon need two blocks, all of them three.
    assert sentences([charge], ["18"]) == [
        "2 blocks for 9 GB × 4 EUR per 8 GB = 8 EUR",
        "9 GB at 4 EUR per 8 GB, the difference of the window's running totals, = 4 EUR",
    ]
    last = sentences([{**charge, "settings": {"parts": "last"}}], ["18"])
    assert last[-1] == "9 GB at 4 EUR per 8 GB, the last part of the window pays for all of it, = 12 EUR"


def test_only_plain_lines_stand_alone() -> None:
    plain = rated([{"each": "resource", "prices": [{"amount": "1"}]}], ["2"])
    tiered = rated([{"model": "graduated", "prices": [{"tiers": TIERS}]}], ["2"], account={"minimum": {"amount": "99"}})
    assert stands_alone(line_at(plain.lines, 0), plain.price_list)
    assert [stands_alone(line_at(tiered.lines, n), tiered.price_list) for n in range(2)] == [False, False]


def test_windows_lie_in_their_spans() -> None:
    with pytest.raises(Invariant, match="each window has one span"):
        segments([Period(0, 100)], [], [Period(50, 100)])
