"""Invariants 2, 6 and 7 for folding: conservation, permutation, repetition, resets, polls that overlap."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.fold import fold_amounts, fold_counter, fold_gauge, needed_later
from tests.collectors.test_fold import ints, listed

CELLS = st.sampled_from([60, 300, 900])
READINGS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 6000), st.integers(-1, 10**12)), min_size=1, max_size=40
)
Readings = list[tuple[int, int, int]]


def gauge(readings: Readings, cell: int, carry: int = 700) -> list[tuple[int, int, int, int]]:
    series, at, value = (ints(*column) for column in zip(*readings, strict=True))
    return listed(fold_gauge(series, at, value, until=6001, cell_seconds=cell, carry_max_seconds=carry))


def counter(readings: Readings, cell: int) -> list[tuple[int, int, int, int]]:
    series, at, value = (ints(*column) for column in zip(*readings, strict=True))
    return listed(fold_counter(series, at, value, cell_seconds=cell).cells)


@settings(deadline=None)
@given(READINGS, CELLS, st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(readings: Readings, cell: int, random: object) -> None:
    again = readings + readings[: len(readings) // 2]
    random.shuffle(again)  # type: ignore[attr-defined]
    assert gauge(again, cell) == gauge(readings, cell)
    assert counter(again, cell) == counter(readings, cell)


@settings(deadline=None)
@given(READINGS, CELLS)
def test_gauge_equals_second_by_second(readings: Readings, cell: int) -> None:
    expected: dict[tuple[int, int], list[int]] = {}
    for series in {s for s, _, _ in readings}:
        level, since = -1, 0
        values = {at: max(v for s, a, v in readings if s == series and a == at) for s, at, _ in readings if s == series}
        for second in range(6001):
            if second in values:
                level, since = values[second], second
            if level >= 0 and second - since < 700:
                cell_total = expected.setdefault((series, second // cell * cell), [0, 0])
                cell_total[0] += level
                cell_total[1] += 1
    assert gauge(readings, cell) == [(s, c, q, n) for (s, c), (q, n) in sorted(expected.items())]


@settings(deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 10**6), st.integers(0, 2 * 10**18), CELLS)
def test_parts_sum_to_the_amount_and_are_fair(start: int, length: int, amount: int, cell: int) -> None:
    cells = fold_amounts(ints(0), ints(start), ints(start + length), ints(amount), cell)
    assert sum(cells.quantity.tolist()) == amount
    assert sum(cells.covered_seconds.tolist()) == length
    for quantity, seconds in zip(cells.quantity.tolist(), cells.covered_seconds.tolist(), strict=True):
        assert abs(quantity * length - amount * seconds) < length  # within one unit of the exact share


@settings(deadline=None)
@given(READINGS, CELLS)
def test_counters_never_go_negative_and_keep_every_increase(readings: Readings, cell: int) -> None:
    total = 0
    for series in {s for s, _, _ in readings}:
        instants = sorted({at for s, at, v in readings if s == series and v >= 0})
        totals = [max(v for s, a, v in readings if (s, a) == (series, at)) for at in instants]
        for before, after in pairwise(totals):
            total += after - before if after >= before else after
    cells = counter(readings, cell)
    assert all(quantity >= 0 and 0 < covered <= cell for _, _, quantity, covered in cells)
    assert sum(quantity for _, _, quantity, _ in cells) == total


@settings(max_examples=60, deadline=None)
@given(READINGS, CELLS, st.integers(0, 20))
def test_folding_again_with_what_is_needed_later_gives_the_same_cells(
    readings: Readings, cell: int, cells_done: int
) -> None:
    boundary = cells_done * cell
    known = [reading for reading in readings if reading[2] >= 0] or [(0, 0, 0)]
    series, at, _ = (ints(*column) for column in zip(*known, strict=True))
    kept = [reading for reading, keep in zip(known, needed_later(series, at, boundary), strict=True) if keep]
    for fold in (gauge, counter):
        whole = [each for each in fold(known, cell) if each[1] >= boundary]
        assert [each for each in fold(kept, cell) if each[1] >= boundary] == whole


def test_a_hundred_thousand_series_fold_at_once() -> None:
    series = np.repeat(np.arange(100_000, dtype=np.int64), 3)
    at = np.tile(ints(0, 300, 600), 100_000)
    reading = np.tile(ints(5, 9, 10), 100_000)
    cells = fold_counter(series, at, reading, cell_seconds=300).cells
    assert len(cells) == 200_000
    assert int(cells.quantity.sum()) == 500_000
