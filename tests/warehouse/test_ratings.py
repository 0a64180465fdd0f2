"""Ratings and lines over both engines: revisions, repeated writes, crashes. Guards invariants 2 and 10."""

import time
from decimal import Decimal

import pytest

from schemas.errors import Invariant
from schemas.period import Period
from sinks.warehouse.protocol import LINE_SCHEMA, NOW
from sinks.warehouse.store import Store
from tests.warehouse.stories import DAY, T0, line, lines, rating

ACCOUNT, OTHER = 2**63 + 5, 6
DAY_1, DAY_2 = Period(T0, T0 + DAY), Period(T0 + DAY, T0 + 2 * DAY)
BOTH = Period(T0, T0 + 2 * DAY)


def amounts(warehouse: Store, cutoff: int = NOW, account: int = ACCOUNT) -> list[int]:
    found = warehouse.lines(account, BOTH, cutoff)
    assert found.schema == LINE_SCHEMA
    return found["amount_micros"].to_pylist()


def stored_amounts(warehouse: Store) -> list[int]:
    found = warehouse.engine.select("SELECT amount_micros FROM lines ORDER BY amount_micros")
    return found["amount_micros"].to_pylist()


def test_lines_come_back_as_written_in_order(warehouse: Store) -> None:
    table = lines(line(DAY_1, -10, 1), line(DAY_1, 20, 2, "vm2"), line(DAY_2, 2**62, 3, price=0))
    written = [rating(ACCOUNT, DAY_1, 100, table), rating(ACCOUNT, DAY_2, 100, table)]
    warehouse.write_rating(written, table.take([2, 1, 0]), 1_000)
    order = [(name, "ascending") for name in LINE_SCHEMA.names[:7]]
    assert warehouse.lines(ACCOUNT, BOTH).equals(table.sort_by(order))
    assert list(warehouse.ratings([ACCOUNT], BOTH)) == written
    assert list(warehouse.ratings(None, Period(T0 + 1, T0 + 2))) == written[:1]
    assert list(warehouse.ratings([OTHER], BOTH)) == []
    assert warehouse.lines(ACCOUNT, Period(T0, T0 + DAY)).num_rows == 2
    assert warehouse.lines(ACCOUNT, Period(T0, T0 + DAY - 1)).num_rows == 0, "the window must lie inside"


def test_the_highest_revision_counts_as_of_the_cutoff(warehouse: Store) -> None:
    first, second = lines(line(DAY_1, 10, 1), line(DAY_1, 11, 2)), lines(line(DAY_1, 50, 3))
    warehouse.write_rating([rating(ACCOUNT, DAY_1, 200, second)], second, 1_000)
    warehouse.write_rating([rating(ACCOUNT, DAY_1, 100, first)], first, 2_000)  # late, and older
    third = lines(line(DAY_1, 70, 4))
    warehouse.write_rating([rating(ACCOUNT, DAY_1, 300, third, settled=True)], third, 3_000)
    assert amounts(warehouse) == [70]
    assert amounts(warehouse, 3_000) == [50]
    assert amounts(warehouse, 1_000) == []


def test_a_rating_with_no_lines_empties_its_window(warehouse: Store) -> None:
    table = lines(line(DAY_1, 10))
    warehouse.write_rating([rating(ACCOUNT, DAY_1, 100, table)], table, 1_000)
    warehouse.write_rating([rating(ACCOUNT, DAY_1, 200, lines())], lines(), 2_000)
    assert amounts(warehouse) == []


def test_a_repeated_write_doubles_nothing(warehouse: Store) -> None:
    table = lines(line(DAY_1, 10, 1), line(DAY_1, 11, 2))
    written = [rating(ACCOUNT, DAY_1, 100, table)]
    for stored_at in (1_000, 1_000, 2_000):  # the driver's own repeat, then an attempt of ours
        warehouse.write_rating(written, table, stored_at)
    assert amounts(warehouse) == [10, 11]
    assert list(warehouse.ratings(None, BOTH)) == written
    assert warehouse.line(ACCOUNT, 2**63 + 1).num_rows == 1


def test_lines_of_an_attempt_that_died_stay_unseen(warehouse: Store) -> None:
    half, whole = lines(line(DAY_1, 999, 9)), lines(line(DAY_1, 10, 1))
    warehouse.write_rating([rating(ACCOUNT, DAY_1, 100, half)], half, 1_000)
    warehouse.engine.execute("TRUNCATE TABLE ratings")  # as if it had died between lines and rating
    assert amounts(warehouse) == []
    assert warehouse.line(ACCOUNT, 2**63 + 9).num_rows == 0
    warehouse.write_rating([rating(ACCOUNT, DAY_1, 100, whole)], whole, 2_000)
    assert amounts(warehouse) == [10]
    assert warehouse.query("SELECT amount FROM v_lines").num_rows == 1


def test_a_settled_rating_beats_every_live_one(warehouse: Store) -> None:
    """Settling reads as of a cut-off in the past, so a live rating may well have the higher revision."""
    live, settled = lines(line(DAY_1, 99)), lines(line(DAY_1, 10))
    warehouse.write_rating([rating(ACCOUNT, DAY_1, 200, live)], live, 1_000)
    warehouse.write_rating([rating(ACCOUNT, DAY_1, 100, settled, settled=True)], settled, 2_000)
    warehouse.write_rating([rating(ACCOUNT, DAY_1, 300, live)], live, 3_000)
    assert [r.settled for r in warehouse.ratings([ACCOUNT], BOTH)] == [True]
    assert amounts(warehouse) == [10]
    assert amounts(warehouse, 2_000) == [99]
    assert warehouse.query("SELECT amount FROM v_lines").column(0).to_pylist() == [Decimal("0.000010")]


def test_pages_add_up_to_the_whole(warehouse: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = [Period(T0 + n * DAY, T0 + (n + 1) * DAY) for n in range(5)]
    table = lines(*(line(w, 10 * n + k, 10 * n + k) for n, w in enumerate(windows) for k in range(1, 4)))
    warehouse.write_rating([rating(ACCOUNT, w, 100, table) for w in windows], table, 1_000)
    period = Period(T0, T0 + 5 * DAY)
    whole = warehouse.lines(ACCOUNT, period)
    assert whole.num_rows == 15
    for attempts_max in (5_000, 2):
        monkeypatch.setattr("sinks.warehouse.rating_store.ATTEMPTS_MAX", attempts_max)
        pages = [warehouse.lines(ACCOUNT, period, after=n, limit=4) for n in range(0, 16, 4)]
        assert [page.num_rows for page in pages] == [4, 4, 4, 3]
        assert [row for page in pages for row in page.to_pylist()] == whole.to_pylist()
        assert warehouse.lines(ACCOUNT, period, after=13)["amount_micros"].to_pylist() == [42, 43]
        assert warehouse.lines(ACCOUNT, period, limit=0).num_rows == 0


def test_one_line_is_found_by_its_digest_newest_revision_first(warehouse: Store) -> None:
    table = lines(line(DAY_1, 10, 1))
    for revision in (100, 200):
        warehouse.write_rating([rating(ACCOUNT, DAY_1, revision, table)], table, 1_000 + revision)
    found = warehouse.line(ACCOUNT, 2**63 + 1)
    assert found["revision"].to_pylist() == [200, 100]
    assert warehouse.line(OTHER, 2**63 + 1).num_rows == 0


def test_newest_lines_over_accounts(warehouse: Store) -> None:
    for number, account in enumerate((ACCOUNT, OTHER, 7), start=1):
        table = lines(line(DAY_1, number, number), line(DAY_2, 10 + number, 10 + number))
        both = [rating(account, DAY_1, 100, table), rating(account, DAY_2, 100, table)]
        warehouse.write_rating(both, table, 1_000 + number)
    found = warehouse.newest_lines(None, 3)
    assert list(zip(found["account_id"].to_pylist(), found["amount_micros"].to_pylist(), strict=True)) == [
        (7, 13),
        (7, 3),
        (OTHER, 12),
    ]
    assert warehouse.newest_lines([ACCOUNT], 10)["stored_at"].to_pylist() == [1_001, 1_001]
    assert warehouse.newest_lines([99], 10).num_rows == 0


def test_newest_lines_look_at_the_newest_ratings_only(warehouse: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.warehouse.rating_store.NEWEST_ATTEMPTS_MAX", 2)
    settled, live, other = lines(line(DAY_1, 1, 1)), lines(line(DAY_1, 2, 2)), lines(line(DAY_2, 3, 3))
    warehouse.write_rating([rating(OTHER, DAY_2, 100, other)], other, 1_000)
    warehouse.write_rating([rating(ACCOUNT, DAY_1, 100, settled, settled=True)], settled, 2_000)
    assert warehouse.newest_lines(None, 10)["amount_micros"].to_pylist() == [1, 3]
    warehouse.write_rating([rating(ACCOUNT, DAY_2, 100, other)], other, 3_000)
    assert warehouse.newest_lines(None, 10)["stored_at"].to_pylist() == [3_000, 2_000]
    warehouse.write_rating([rating(ACCOUNT, DAY_1, 200, live)], live, 4_000)
    assert warehouse.newest_lines(None, 10)["stored_at"].to_pylist() == [3_000], "the settled one is valid, and no news"
    warehouse.write_rating([rating(ACCOUNT, DAY_2, 200, lines())], lines(), 5_000)
    assert warehouse.newest_lines(None, 10).num_rows == 0


def test_pruning_drops_superseded_live_lines_only(warehouse: Store) -> None:
    tables = [lines(line(DAY_1, n, n)) for n in range(1, 5)]
    for n, table in enumerate(tables, start=1):
        settled = n == 4
        warehouse.write_rating([rating(ACCOUNT, DAY_1, n, table, settled=settled)], table, 1_000 * n)
    before = amounts(warehouse)
    warehouse.prune(3_500)
    deadline = time.monotonic() + 30  # mutations run in the background
    while (kept := stored_amounts(warehouse)) != [3, 4] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert kept == [3, 4]
    assert amounts(warehouse) == before == [4]
    assert amounts(warehouse, 3_500) == [3], "a read as of the instant still finds what was valid then"


def test_nonsense_is_refused(warehouse: Store) -> None:
    table = lines(line(DAY_1, 1))
    with pytest.raises(Invariant, match="no rating"):
        warehouse.write_rating([rating(ACCOUNT, DAY_2, 1, table)], table, 1)
    with pytest.raises(Invariant, match="one account"):
        warehouse.write_rating([rating(ACCOUNT, DAY_1, 1, table), rating(OTHER, DAY_1, 1, table)], table, 1)
    with pytest.raises(Invariant, match="equal in everything"):
        warehouse.write_rating([rating(ACCOUNT, DAY_1, 1, table)], lines(line(DAY_1, 1), line(DAY_1, 1)), 1)
    with pytest.raises(Invariant, match="without a rating"):
        warehouse.write_rating([], table, 1)
