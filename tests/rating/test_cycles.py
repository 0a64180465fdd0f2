"""Windows longer than the billing cycle: their pieces come to what the whole comes to; guards invariants 6 and 10."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.engine import Rated, rate
from rating.files.usage_cells import cell_table
from rating.files.usage_rows import usage_rows
from rating.files.usage_spread import usage_table
from rating.passes import passes_of
from rating.price_list import PriceList, parse
from rating.terms import Terms
from rating.windows import segments_of
from schemas.calendar import Size
from schemas.period import Period, iso, parse_instant
from tests.rating.documents import document
from tests.rating.helpers import DAY, REGISTRY

START = parse_instant("2026-03-01T00:00:00Z")
MARCH = Period(START, START + 31 * DAY)
ZONE = "UTC"
TIERS = [{"up_to": "10", "amount": "2", "flat": "1"}, {"amount": "1.5"}]
CHARGES: dict[str, dict[str, Any]] = {
    "graduated": {"model": "graduated", "prices": [{"tiers": TIERS}]},
    "volume": {"model": "volume", "prices": [{"tiers": TIERS}]},
    "package": {"model": "package", "prices": [{"amount": "3", "size": "4", "free": {"quantity": "5"}}]},
    "minimum": {"model": "graduated", "prices": [{"tiers": TIERS, "minimum": "40", "maximum": "60"}]},
    "committed": {
        "model": "committed",
        "prices": [{"commitment": {"quantity": "20", "fee": "31"}, "overage": {"amount": "2"}}],
    },
    "last": {"model": "graduated", "settings": {"parts": "last"}, "prices": [{"tiers": TIERS}]},
}


def listed(name: str) -> PriceList:
    charge = {"id": "c", "meter": "net.out.bytes", "per": "GB", "window": "month", "each": "account", **CHARGES[name]}
    return parse(document(charge, window="month"), REGISTRY)


def rated(price_list: PriceList, used: list[tuple[int, int]], cycle: Size | None) -> Rated:
    raw = [
        {
            "resource": "r",
            "meter": "net.out.bytes",
            "from": iso(START + day * DAY + 60 * number),
            "to": iso(START + day * DAY + 60 * number + 60),
            "quantity": str(gigabytes),
            "unit": "GB",
        }
        for number, (day, gigabytes) in enumerate(used)
    ]
    rows = usage_rows(raw, REGISTRY)
    (only,) = passes_of(price_list)
    grid = segments_of(MARCH, price_list, ZONE, only.size, cycle)
    usage = usage_table(rows, grid)
    cells = cell_table(rows, grid, only.cell_meters)
    sets = usage.attribute_sets
    return rate(usage.usage, price_list, REGISTRY, sets, grid, one_pass=only, cells=cells, terms=Terms(zone=ZONE))


@pytest.mark.parametrize("name", CHARGES)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_the_pieces_add_up_to_the_whole(name: str, used: list[tuple[int, int]]) -> None:
    price_list = listed(name)
    whole, pieces = (rated(price_list, used, cycle) for cycle in (None, "day"))
    assert pieces.total_micros == whole.total_micros
    assert len(pieces.windows) == 31
    assert sum(w.amount_micros for w in pieces.windows) == pieces.total_micros


def test_a_commitment_of_the_month_is_used_up_day_by_day() -> None:
    found = rated(listed("committed"), [(0, 15), (10, 15)], "day")
    fees = [w.amount_micros for w in found.windows]
    assert fees[0] == 1_000_000, "a thirty-first of the fee; 15 of 20 are included"
    assert fees[10] == 1_000_000 + 2 * 10_000_000, "10 are above"


def test_weeks_are_cut_where_a_billing_month_ends() -> None:
    price_list = parse(
        document(
            {"id": "c", "meter": "net.out.bytes", "per": "GB", "window": "week", "prices": [{"amount": "1"}]},
            window="week",
        ),
        REGISTRY,
    )
    found = segments_of(MARCH, price_list, ZONE, "week", "month")
    assert all(w.start >= s.start and w.end <= s.end for w, s in zip(found.windows, found.spans, strict=True))
    assert MARCH.start in {w.start for w in found.windows}
    assert MARCH.end in {w.start for w in found.windows}
