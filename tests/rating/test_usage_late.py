"""Late usage on the running window: moved as told, nothing lost."""

from hypothesis import given
from hypothesis import strategies as st

from rating.files.usage_late import on_arrival
from rating.files.usage_rows import UsageRow
from rating.windows import segments
from schemas.meters import builtin
from schemas.period import Period

VM = builtin()["vm.running"]
DAY = 86_400
DAYS = segments([Period(d * DAY, (d + 1) * DAY) for d in range(6)], [4 * DAY + 3600])


def row(start: int, end: int, received: int | None, quantity: int = 100) -> UsageRow:
    return UsageRow(1, "a", VM, {}, Period(start, end), quantity, received)


def moved(*rows: UsageRow, grace: int = 0, meters: frozenset[int] = frozenset({VM.id})) -> list[tuple[Period, int]]:
    return [(r.period, r.quantity) for r in on_arrival(rows, meters, DAYS, grace)]


def test_what_arrives_in_time_stays() -> None:
    stays = [row(5, 10, None), row(5, 10, 3), row(5, 10, DAY - 1), row(DAY - 1, DAY + 1, DAY)]
    assert moved(*stays[:3]) == [(r.period, r.quantity) for r in stays[:3]]
    assert moved(row(5, 10, DAY), grace=1) == [(Period(5, 10), 100)]
    assert moved(row(5, 10, DAY), meters=frozenset()) == [(Period(5, 10), 100)]


def test_what_is_late_goes_to_the_segment_of_its_arrival() -> None:
    assert moved(row(5, 15, DAY)) == [(Period(DAY, DAY + 10), 100)]
    assert moved(row(5, 15, 4 * DAY + 3599)) == [(Period(4 * DAY, 4 * DAY + 10), 100)]
    assert moved(row(5, 15, 4 * DAY + 3600)) == [(Period(4 * DAY + 3600, 4 * DAY + 3610), 100)]


def test_a_row_is_late_window_by_window() -> None:
    """Half of it belongs to day 0, which is over when it arrives; the other half is in time."""
    half = row(DAY // 2, DAY + DAY // 2, 2 * DAY - 1, quantity=-101)
    assert moved(half) == [(Period(DAY, DAY + DAY // 2), -50), (Period(DAY, DAY + DAY // 2), -51)]


def test_a_part_longer_than_the_segment_is_shortened() -> None:
    assert moved(row(0, DAY, 4 * DAY + 1)) == [(Period(4 * DAY, 4 * DAY + 3600), 100)]


@given(st.integers(0, 3 * DAY), st.integers(1, 2 * DAY), st.integers(0, 6 * DAY - 1), st.integers(-99, 99))
def test_nothing_is_lost(start: int, seconds: int, received: int, quantity: int) -> None:
    assert sum(q for _, q in moved(row(start, start + seconds, received, quantity))) == quantity
