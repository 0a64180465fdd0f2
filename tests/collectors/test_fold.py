"""Folding: small stories with numbers a person can check."""

import numpy as np
import pytest

from collectors.fold import ABSENT, amount_of, fold_amounts, fold_counter, fold_gauge, fold_levels
from collectors.fold_cut import I64, Cells
from schemas.errors import Invariant


def ints(*values: int) -> I64:
    return np.array(values, dtype=np.int64)


def listed(cells: Cells) -> list[tuple[int, int, int, int]]:
    columns = (cells.series, cells.cell_start, cells.quantity, cells.covered_seconds)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_a_change_inside_a_cell_is_weighted_by_time() -> None:
    cells = fold_gauge(ints(1, 1), ints(0, 100), ints(2, 4), until=300, cell_seconds=300, carry_max_seconds=3600)
    assert listed(cells) == [(1, 0, 2 * 100 + 4 * 200, 300)]


def test_a_gauge_is_carried_to_its_limit_and_no_further() -> None:
    cells = fold_gauge(ints(1, 1), ints(0, 1200), ints(5, 7), until=1500, cell_seconds=300, carry_max_seconds=450)
    assert listed(cells) == [(1, 0, 1500, 300), (1, 300, 750, 150), (1, 1200, 2100, 300)]


def test_zero_is_known_and_absent_is_not() -> None:
    at, value = ints(0, 300, 600), ints(3, 0, ABSENT)
    cells = fold_gauge(ints(1, 1, 1), at, value, until=900, cell_seconds=300, carry_max_seconds=3600)
    assert listed(cells) == [(1, 0, 900, 300), (1, 300, 0, 300)]


def test_nothing_is_assumed_beyond_until() -> None:
    cells = fold_gauge(ints(1), ints(250), ints(10), until=310, cell_seconds=300, carry_max_seconds=3600)
    assert listed(cells) == [(1, 0, 500, 50), (1, 300, 100, 10)]


def test_series_do_not_mix() -> None:
    series, at, value = ints(2, 1, 2), ints(0, 0, 150), ints(1, 10, 3)
    cells = fold_gauge(series, at, value, until=300, cell_seconds=300, carry_max_seconds=300)
    assert listed(cells) == [(1, 0, 3000, 300), (2, 0, 150 + 450, 300)]


def test_an_increase_is_split_in_whole_units_that_sum_to_it() -> None:
    folded = fold_counter(ints(1, 1), ints(100, 1000), ints(7, 17), cell_seconds=300)
    assert folded.resets == 0
    assert listed(folded.cells) == [(1, 0, 2, 200), (1, 300, 3, 300), (1, 600, 3, 300), (1, 900, 2, 100)]


def test_after_a_reset_the_reading_counts_from_zero() -> None:
    folded = fold_counter(ints(1, 1, 1), ints(0, 300, 600), ints(1000, 1500, 40), cell_seconds=300)
    assert folded.resets == 1
    assert [quantity for _, _, quantity, _ in listed(folded.cells)] == [500, 40]


def test_no_sample_is_left_out_and_not_a_reset() -> None:
    folded = fold_counter(ints(1, 1, 1), ints(0, 300, 600), ints(10, -1, 30), cell_seconds=300)
    assert folded.resets == 0
    assert listed(folded.cells) == [(1, 0, 10, 300), (1, 300, 10, 300)]


def test_a_rate_is_rounded_once_half_to_even() -> None:
    amounts = amount_of(np.array([0.5, 1.5, 11.7039982]), ints(1, 1, 300))
    assert amounts.tolist() == [0, 2, 3511]
    cells = fold_amounts(ints(1), ints(46), ints(346), amounts[2:], 300)
    assert listed(cells) == [(1, 0, 3511 * 254 // 300, 254), (1, 300, 3511 - 3511 * 254 // 300, 46)]


def test_large_amounts_over_long_times_do_not_overflow() -> None:
    seconds = 40 * 365 * 86400
    cells = fold_amounts(ints(1), ints(17), ints(17 + seconds), ints(9 * 10**18), 900)
    assert sum(cells.quantity.tolist()) == 9 * 10**18
    assert int(cells.quantity.min()) >= 0


def test_nothing_gives_nothing() -> None:
    empty = ints()
    assert len(fold_gauge(empty, empty, empty, until=1, cell_seconds=300, carry_max_seconds=1)) == 0
    assert len(fold_counter(empty, empty, empty, cell_seconds=300).cells) == 0
    assert len(fold_levels(ints(1), ints(5), ints(5), ints(9), 300)) == 0


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_a_rate_that_is_no_amount_is_refused(bad: float) -> None:
    with pytest.raises(Invariant, match="not a number"):
        amount_of(np.array([bad]), ints(1))


def test_what_would_count_twice_or_vanish_is_refused() -> None:
    with pytest.raises(Invariant, match="overlap"):
        fold_levels(ints(1, 1), ints(0, 50), ints(100, 60), ints(1, 1), 300)
    with pytest.raises(Invariant, match="no time"):
        fold_amounts(ints(1), ints(5), ints(5), ints(3), 300)
    with pytest.raises(Invariant, match="negative"):
        fold_amounts(ints(1), ints(5), ints(6), ints(-3), 300)
