"""Σ windows = Σ samples, in zones where days have 23, 24 and 25 hours; and what an export holds."""

from random import Random

import orjson
import pytest

from rating.windows import segments_of
from schemas import calendar
from schemas.period import Period, parse_instant
from sinks.warehouse.protocol import UsageRequest
from tests.pipeline.provider import Provider, level, prices
from tests.pipeline.rows import DAY, HOUR, NOW, T0, Row

YEAR = Period(parse_instant("2026-01-01T00:00:00Z"), parse_instant("2027-01-01T00:00:00Z"))
ZONES = ("Europe/Prague", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC")


@pytest.mark.parametrize("window", ["hour", "day", "month"])
def test_windows_of_any_size_and_zone_sum_to_the_samples(provider: Provider, window: str) -> None:
    """Invariant 6: each sample is in exactly one window of each size; around both changes of the clock."""
    chance = Random(window)
    changes = [parse_instant(t) for t in ("2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2026-03-08T07:00:00Z")]
    starts = {c + 300 * chance.randrange(-400, 400) for c in changes for _ in range(60)}
    rows = [Row(start=s, quantity=chance.randrange(10**6), covered=chance.randrange(1, 301)) for s in sorted(starts)]
    provider.clock.move_to(NOW)
    provider.send(rows)
    total, covered = sum(r.quantity for r in rows), sum(r.covered or 0 for r in rows)
    from rating.price_list import parse

    listed = parse(prices(window=window), provider.parts.registry)
    for zone in ZONES:
        grid = segments_of(YEAR, listed, zone)
        found = provider.parts.warehouse.usage(UsageRequest(None, grid.edges)).to_pydict()
        assert sum(found["quantity"]) == total, zone
        assert sum(found["covered_seconds"]) == covered, zone
        assert sum(found["samples"]) == len(rows), zone
        assert set(found["segment_start"]) <= set(grid.edges[:-1])
        assert len(calendar.windows(YEAR, "day", zone)) in (365, 366)


@pytest.mark.parametrize("cycle", ["hourly", "daily", "monthly"])
@pytest.mark.parametrize("zone", ["Europe/Prague", "Asia/Kathmandu"])
def test_the_export_holds_every_line_and_every_debit(provider: Provider, cycle: str, zone: str) -> None:
    """Invariant 10: Σ lines = Σ debits in the document, whatever zone the windows are of."""
    provider.account(cycle=cycle, timezone=zone)
    start = parse_instant("2026-10-24T12:00:00Z")
    provider.send([*level(2, start, hours=36), Row(start=start, resource="vm/2", meter="vm.memory", quantity=5)])
    provider.settle(parse_instant("2026-12-02T00:00:00Z"))
    document = orjson.loads(provider.export(Period(T0 - DAY, parse_instant("2026-12-02T00:00:00Z"))))
    assert sum(line["quantity"] for line in document["lines"] if line["meter"] == "vm.vcpu") == 2 * 36 * HOUR
    cents = sum(round(float(line["amount"]) * 100) for line in document["lines"])
    debits = sum(round(float(e[1]) * 100) for t in document["transfers"] for e in t["entries"] if "revenue" in e[0])
    assert cents == debits == 72
    assert {line["price"] for line in document["lines"]} == {"default v1 vcpu", "unpriced"}
    assert document["balances"]["wallet:acme CU"] == "-0.72"


def test_the_export_names_the_version_that_a_line_was_rated_under(provider: Provider) -> None:
    """Invariant 8: what an older list rated is not called unpriced when a newer one is in force."""
    provider.account(cycle="daily")
    provider.send(level())
    provider.settle(T0 + 2 * DAY)
    before = provider.export(Period(T0, T0 + DAY))
    provider.price(vcpu="0.02")
    provider.price(vcpu="0.03")
    assert provider.export(Period(T0, T0 + DAY)) == before
    assert b'"price":"default v1 vcpu"' in before


def test_the_export_says_nothing_of_the_moment(provider: Provider) -> None:
    """Invariant 2: no cut-off, no revision, no time of storing."""
    provider.account(cycle="daily")
    provider.send(level())
    provider.settle(T0 + 2 * DAY)
    document = orjson.loads(provider.export(Period(T0, T0 + DAY)))
    assert document.keys() == {"format", "period", "lines", "transfers", "balances"}
    keys = {key for line in document["lines"] for key in line} | {k for t in document["transfers"] for k in t}
    assert not keys & {"revision", "stored_at", "cutoff", "posted_at", "sequence"}
