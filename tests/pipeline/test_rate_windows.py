"""The windows that a rating run reads at once: whole, in order, never over a cycle's edge, of bounded length."""

import itertools

import pytest

from billing.cycles import cycles_between
from billing.protocol import CYCLES, Account, Cycle
from pipeline.rate import CHUNK_SECONDS, NO_PRICE_LIST, _chunks, _windows
from rating.price_list import PriceList, parse
from schemas.period import Period, parse_instant
from tests.pipeline.provider import prices
from tests.pipeline.rows import DAY, REGISTRY

MONTHS = Period(parse_instant("2026-10-01T00:00:00Z"), parse_instant("2026-12-01T00:00:00Z"))
ZONES = ("UTC", "Europe/Prague", "Asia/Kathmandu")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cycle", CYCLES)
@pytest.mark.parametrize("size", ["hour", "day", "month"])
def test_windows_cover_their_cycles_exactly(zone: str, cycle: Cycle, size: str) -> None:
    """Invariant 6: no gap, no overlap, no window in two cycles."""
    account = Account("acme", "Acme", timezone=zone, cycle=cycle)
    price_list: PriceList = parse(prices(window=size), REGISTRY)
    cycles = cycles_between(MONTHS.start, MONTHS.end, cycle, zone)
    windows = list(_windows(account, price_list, cycles, None))
    assert windows[0].start == cycles[0].start
    assert windows[-1].end == cycles[-1].end
    assert all(a.end == b.start for a, b in itertools.pairwise(windows))
    edges = {c.start for c in cycles}
    assert edges <= {w.start for w in windows}


def test_chunks_are_bounded_and_nothing_is_left_out() -> None:
    """Invariant 5."""
    account = Account("acme", "Acme", timezone="Europe/Prague", cycle="daily")
    cycles = cycles_between(MONTHS.start, MONTHS.end, "daily", "Europe/Prague")
    gap = cycles[:10] + cycles[20:]
    windows = list(_windows(account, NO_PRICE_LIST, gap, None))
    chunks = list(_chunks(windows))
    assert [w for chunk in chunks for w in chunk] == windows
    assert all(chunk[-1].end - chunk[0].start <= CHUNK_SECONDS for chunk in chunks)
    assert all(a.end == b.start for chunk in chunks for a, b in itertools.pairwise(chunk))
    assert CHUNK_SECONDS == 8 * DAY
    assert list(_chunks([])) == []
    month = Period(MONTHS.start, MONTHS.end)
    assert list(_chunks([month])) == [[month]], "a window that is longer is read alone, and whole"


def test_only_what_was_touched_is_rated_but_whole() -> None:
    account = Account("acme", "Acme", cycle="monthly")
    (cycle,) = cycles_between(MONTHS.start, MONTHS.start + 1, "monthly", "UTC")
    touched = Period(MONTHS.start + 3 * DAY + 7, MONTHS.start + 4 * DAY + 1)
    windows = list(_windows(account, NO_PRICE_LIST, [cycle], touched))
    assert windows == [Period(MONTHS.start + d * DAY, MONTHS.start + (d + 1) * DAY) for d in (3, 4)]
