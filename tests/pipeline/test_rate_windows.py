"""The windows that a rating run reads at once: whole, in order, never over a cycle's edge, of bounded length."""

from collections.abc import Callable, Sequence
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.cycles import SIZES, cycles_between, cycles_due
from billing.protocol import CYCLES, Cycle
from pipeline.rate_plan import CHUNK_SECONDS, Due, Piece, Plan, blocks, joined, largest, plan_of, reach, runs
from schemas import calendar
from schemas.calendar import Size
from schemas.period import Period, parse_instant
from tests.pipeline.rows import DAY, HOUR

MONTHS = Period(parse_instant("2026-10-01T00:00:00Z"), parse_instant("2026-12-01T00:00:00Z"))
OCTOBER = Period(MONTHS.start, MONTHS.start + 31 * DAY)
ZONES = ("UTC", "Europe/Prague", "Asia/Kathmandu")
SIZE_LISTS: tuple[tuple[Size, ...], ...] = (
    ("day",),
    ("hour", "month"),
    ("month", "day"),
    ("day", "month", "year"),
    ("day", "week", "month"),
    ("week", "quarter"),
)


def over(cycle: Cycle, zone: str = "UTC", settled: Sequence[Period] = ()) -> Callable[[Period], list[Period]]:
    return lambda period: cycles_due(period.start, period.end, cycle, zone, settled)


def day(number: int) -> Period:
    return Period(MONTHS.start + number * DAY, MONTHS.start + (number + 1) * DAY)


def plans(
    asked: Sequence[Period],
    sizes: Sequence[Size],
    cycle: Cycle,
    zone: str = "UTC",
    stretch: Period | None = None,
    terms: Sequence[Size] = (),
    settled: Sequence[Period] = (),
) -> list[tuple[Period, Plan]]:
    size = largest([*sizes, *terms])
    far = stretch and reach(stretch, [*sizes, *terms], SIZES[cycle], zone, MONTHS.end + 400 * DAY)
    return [
        (block, plan_of(block, asked, stretch, sizes, terms, over(cycle, zone, settled), zone))
        for block in blocks(asked, far, size, zone)
    ]


def wanted(found: Sequence[tuple[Period, Plan]], size: Size) -> list[Period]:
    return [piece.window for _, plan in found for piece in plan.pieces[size] if piece.wanted]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cycle", CYCLES)
@pytest.mark.parametrize("sizes", SIZE_LISTS)
def test_the_windows_of_each_size_cover_their_cycles_exactly(zone: str, cycle: Cycle, sizes: tuple[Size, ...]) -> None:
    """Invariant 6: no gap, no overlap, no window in two cycles."""
    cycles = cycles_between(MONTHS.start, MONTHS.end, cycle, zone)
    found = plans(cycles, sizes, cycle, zone)
    assert all(a.end <= b.start for (a, _), (b, _) in pairwise(found))
    for size in sizes:
        windows = wanted(found, size)
        assert (windows[0].start, windows[-1].end) == (cycles[0].start, cycles[-1].end)
        assert all(a.end == b.start for a, b in pairwise(windows))
        assert {c.start for c in cycles} <= {w.start for w in windows}


@pytest.mark.parametrize("cycle", CYCLES)
@pytest.mark.parametrize("sizes", SIZE_LISTS)
def test_a_window_lies_in_its_span_and_nothing_before_it_in_the_span_is_missing(
    cycle: Cycle, sizes: tuple[Size, ...]
) -> None:
    asked = cycles_between(MONTHS.start + 9 * DAY, MONTHS.start + 12 * DAY, cycle, "Europe/Prague")
    for block, plan in plans(asked, sizes, cycle, "Europe/Prague"):
        for pieces in plan.pieces.values():
            at = None
            for piece in pieces:
                assert piece.span.start <= piece.window.start < piece.window.end <= piece.span.end
                assert piece.window.start in block or not piece.wanted
                assert piece.window.start == (at if at and at > piece.span.start else piece.span.start)
                at = piece.window.end


def test_cycles_shorter_than_a_span_cut_it_and_what_went_before_is_read_too() -> None:
    ((block, plan),) = plans([day(4), day(5)], ("day", "month"), "daily")
    assert block == OCTOBER
    month = plan.pieces["month"]
    assert [piece.window for piece in month] == [day(n) for n in range(6)]
    assert [piece.wanted for piece in month] == [False] * 4 + [True] * 2
    assert {piece.span for piece in month} == {OCTOBER}
    assert [piece.window for piece in plan.pieces["day"]] == [day(4), day(5)]


def test_only_what_was_touched_is_rated_but_whole() -> None:
    touched = Period(MONTHS.start + 3 * DAY + 7, MONTHS.start + 4 * DAY + 1)
    assert wanted(plans([OCTOBER], ("day",), "monthly", stretch=touched), "day") == [day(3), day(4)]
    both = plans([OCTOBER], ("day", "month"), "monthly", stretch=touched)
    assert wanted(both, "day") == [day(3), day(4)]
    assert wanted(both, "month") == [OCTOBER]


def test_what_follows_in_the_same_span_is_rated_again_and_so_is_the_same_window_of_another_size() -> None:
    asked = [day(n) for n in range(10)]
    touched = Period(MONTHS.start + 7 * DAY, MONTHS.start + 7 * DAY + 1)
    found = plans(asked, ("day", "month"), "daily", stretch=touched)
    assert wanted(found, "month") == [day(7), day(8), day(9)]
    assert wanted(found, "day") == [day(7), day(8), day(9)]


def test_settled_cycles_keep_their_bounds_and_are_not_written() -> None:
    short = Period(OCTOBER.start, OCTOBER.start + 10 * DAY + HOUR)
    rest = Period(short.end, OCTOBER.end)
    ((_, plan),) = plans([rest], ("day", "month"), "monthly", settled=[short])
    assert plan.pieces["month"] == [Piece(short, OCTOBER, False), Piece(rest, OCTOBER, True)]
    assert wanted([(OCTOBER, plan)], "day")[0] == Period(short.end, OCTOBER.start + 11 * DAY)


def test_terms_of_the_account_need_all_of_their_time_and_stand_in_its_last_window() -> None:
    touched = Period(MONTHS.start + 30 * DAY, MONTHS.start + 30 * DAY + 1)
    ((_, plan),) = plans([OCTOBER], ("day",), "monthly", stretch=touched, terms=("month",))
    assert plan.dues == [Due(OCTOBER, "month", OCTOBER)]
    assert [piece.wanted for piece in plan.pieces["day"]] == [False] * 30 + [True]
    ((_, daily),) = plans([day(30)], ("day",), "daily", terms=("month",))
    assert daily.dues == [Due(OCTOBER, "month", day(30))]
    assert len(daily.pieces["day"]) == 31
    ((_, early),) = plans([day(29)], ("day",), "daily", terms=("month",))
    assert early.dues == []
    assert len(early.pieces["day"]) == 1


def test_a_change_reaches_to_the_end_of_a_span_that_cycles_cut_but_not_into_the_future() -> None:
    touched = Period(MONTHS.start + 3 * DAY, MONTHS.start + 4 * DAY)
    assert reach(touched, ["day", "month"], "month", "UTC", MONTHS.end) == touched
    assert reach(touched, ["day", "month"], "day", "UTC", MONTHS.end) == OCTOBER
    now = MONTHS.start + 20 * DAY + 5
    assert reach(touched, ["month"], "day", "UTC", now) == Period(OCTOBER.start, now)
    assert reach(touched, ["month"], "day", "UTC", touched.start) == Period(OCTOBER.start, touched.end)


def test_runs_are_bounded_and_nothing_is_left_out() -> None:
    """Invariant 5."""
    cycles = cycles_between(MONTHS.start, MONTHS.end, "daily", "Europe/Prague")
    gap = cycles[:10] + cycles[20:]
    found = plans(gap, ("day",), "daily", "Europe/Prague")
    assert [block.start in {c.start for c in gap} for block, _ in found] == [True] * len(found)
    assert all(block.seconds <= CHUNK_SECONDS for block, _ in found)
    assert wanted(found, "day") == gap
    pieces = [piece for _, plan in found for piece in plan.pieces["day"]]
    cut = runs(pieces)
    assert [piece for run in cut for piece in run] == pieces
    assert all(run[-1].window.end - run[0].window.start <= CHUNK_SECONDS for run in cut)
    assert all(a.window.end == b.window.start for run in cut for a, b in pairwise(run))
    assert CHUNK_SECONDS == 8 * DAY


def test_a_span_that_is_longer_is_read_alone_and_whole() -> None:
    asked = cycles_between(MONTHS.start, MONTHS.end, "daily", "UTC")
    found = plans(asked, ("month",), "daily")
    spans = [{piece.span for piece in run} for _, plan in found for run in runs(plan.pieces["month"])]
    assert spans == [{OCTOBER}, {Period(OCTOBER.end, MONTHS.end)}]


def test_runs_within_a_chunk() -> None:
    pieces = [Piece(day(n), day(n), True) for n in (0, 1, 2, 4)]
    assert runs(pieces, Period(day(1).start, day(4).end)) == [pieces[1:3], pieces[3:]]
    assert runs([], day(0)) == []
    assert joined([]) == []


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(CYCLES),
    st.sampled_from(SIZE_LISTS),
    st.sampled_from(ZONES),
    st.lists(st.sampled_from(["week", "month", "year"]), unique=True),
    st.integers(0, 59 * 24),
    st.integers(1, 40 * HOUR),
)
def test_rating_a_stretch_asks_for_a_part_of_what_rating_everything_asks_for(
    cycle: Cycle, sizes: tuple[Size, ...], zone: str, terms: list[Size], hour: int, seconds: int
) -> None:
    start = MONTHS.start + hour * HOUR
    stretch = Period(start, start + seconds)
    far = reach(stretch, [*sizes, *terms], SIZES[cycle], zone, MONTHS.end)
    asked = over(cycle, zone)(far)
    everything = plans(asked, sizes, cycle, zone, terms=terms)
    touched = plans(asked, sizes, cycle, zone, stretch, terms)
    for size in sizes:
        all_of, some = wanted(everything, size), wanted(touched, size)
        assert set(some) <= set(all_of)
        assert {w for w in all_of if w.overlaps(stretch)} <= set(some)
    for _, plan in touched:
        said = [{piece.window: piece.wanted for piece in plan.pieces[size]} for size in sizes]
        for one, other in product(said, said):
            shared = one.keys() & other.keys()
            assert {w: one[w] for w in shared} == {w: other[w] for w in shared}, "of a window all lines or none"
    due = {d for _, plan in touched for d in plan.dues}
    assert {d.window for d in due} <= {w for size in terms for w in calendar.windows(stretch, size, zone)}
