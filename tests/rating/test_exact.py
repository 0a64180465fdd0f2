"""Exact arithmetic: rounding modes, zero and maximum quantities, widening, sums; guards invariants 8 and 10."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating import exact
from rating.exact import INT64_MAX, Mode, Ratio, amounts, grouped_totals, rates_of, rounded, total
from schemas.errors import Invariant, Poison
from schemas.meters import QUANTITY_MAX
from tests.rating import reference

MODES: tuple[Mode, ...] = ("half_even", "half_up", "up", "down")
MODE = st.sampled_from(MODES)
INT64 = st.integers(-INT64_MAX - 1, INT64_MAX)
RATIO = st.builds(
    Ratio,
    st.one_of(st.just(0), st.integers(1, 10**6), st.integers(1, 10**20)),
    st.one_of(st.just(1), st.integers(1, 10**9), st.integers(1, 10**30)),
)


def one(quantity: int, ratio: Ratio, mode: Mode = "half_even", digits: int = 6) -> int:
    return int(amounts(np.array([quantity]), np.array([0]), rates_of([ratio], digits), mode)[0])


@given(st.lists(st.tuples(INT64, st.integers(0, 2)), max_size=20), st.lists(RATIO, min_size=3, max_size=3), MODE)
@settings(deadline=None)
def test_equals_the_fraction_reference_or_refuses(rows: list[tuple[int, int]], ratios: list[Ratio], mode: Mode) -> None:
    for digits in (0, 2, 6):
        step = 10 ** (6 - digits)
        due = [
            reference.rounded(Fraction(q * ratios[p].numerator, ratios[p].denominator), mode) * step for q, p in rows
        ]
        quantity, price = np.array([q for q, _ in rows], dtype=np.int64), np.array([p for _, p in rows], dtype=np.int64)
        if all(abs(d) <= INT64_MAX for d in due):
            assert amounts(quantity, price, rates_of(ratios, digits), mode).tolist() == due
        else:
            with pytest.raises(Poison, match="check the price's amount and unit"):
                amounts(quantity, price, rates_of(ratios, digits), mode)


@pytest.mark.parametrize(
    ("numerator", "even", "half_up", "up", "down"),
    [
        (0, 0, 0, 0, 0),
        (1, 0, 0, 1, 0),
        (2, 0, 1, 1, 0),
        (3, 1, 1, 1, 0),
        (4, 1, 1, 1, 1),
        (6, 2, 2, 2, 1),
        (10, 2, 3, 3, 2),
    ],
)
def test_modes_on_quarters_are_symmetric(numerator: int, even: int, half_up: int, up: int, down: int) -> None:
    for mode, due in zip(MODES, (even, half_up, up, down), strict=True):
        for sign in (1, -1):
            assert rounded(sign * numerator, 4, mode) == sign * due
            assert one(sign * numerator, Ratio(1, 4), mode) == sign * due
            assert reference.rounded(Fraction(sign * numerator, 4), mode) == sign * due


def test_maximum_quantity_of_a_month_of_cells() -> None:
    month = QUANTITY_MAX * 8928  # 31 days of 300 s cells
    assert month <= INT64_MAX
    assert one(month, Ratio(1, 1)) == month
    assert one(month, Ratio(10**6, 10**9)) == month // 1000  # the product needs 84 bits
    with pytest.raises(Poison, match="amount_too_large"):
        one(month, Ratio(10**6, 1))


@pytest.mark.parametrize("digits", [0, 3, 6])
@pytest.mark.parametrize("ratio", [Ratio(3, 7), Ratio(7, 3), Ratio(1, 10**6), Ratio(10**12, 10**15 + 1)])
def test_the_limit_is_where_the_fast_path_ends(ratio: Ratio, digits: int) -> None:
    limit, step = int(rates_of([ratio], digits).limits[0]), 10 ** (6 - digits)
    for quantity in (limit - 1, limit, limit + 1, -limit, -limit - 1):
        due = reference.rounded(Fraction(quantity * ratio.numerator, ratio.denominator), "up") * step
        if abs(due) <= INT64_MAX and abs(quantity) <= INT64_MAX:
            assert one(quantity, ratio, "up", digits) == due


def test_smallest_integer_is_not_its_own_opposite() -> None:
    assert one(-INT64_MAX - 1, Ratio(1, 2)) == -(2**62)
    assert one(-INT64_MAX - 1, Ratio(0, 1)) == 0
    with pytest.raises(Poison):
        one(-INT64_MAX - 1, Ratio(1, 1))


@given(st.lists(st.tuples(INT64, st.integers(0, 3)), max_size=50))
@settings(deadline=None)
def test_sums_never_wrap(rows: list[tuple[int, int]]) -> None:
    values, groups = np.array([v for v, _ in rows], dtype=np.int64), np.array([g for _, g in rows], dtype=np.int64)
    due = [sum(v for v, g in rows if g == group) for group in range(4)]
    assert grouped_totals(values, groups, 4) == due
    assert total(values) == sum(due)


def test_sums_of_many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "_SUM_ROWS", 3)
    values = np.array([INT64_MAX, -INT64_MAX - 1, 5, INT64_MAX, INT64_MAX, 1, -7], dtype=np.int64)
    assert total(values) == sum(values.tolist())


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(Invariant, match="differ in length"):
        grouped_totals(np.zeros(2, np.int64), np.zeros(1, np.int64), 1)
