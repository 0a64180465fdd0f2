"""Credit and charge lines: they turn the old rating into the new one, exactly, and leave the rest alone."""

from collections import Counter
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.files.corrections import KEY, VALUES, corrections
from rating.tables import LINE_SCHEMA
from schemas.errors import Invariant

Row = dict[str, int]
MOST = 2**63 - 1


def line(resource: int = 1, price: int = 7, quantity: int = 10, amount: int = 100, **more: int) -> Row:
    given = {"window_end": 3600, "segment_end": 3600, "meter_id": 3, "covered_seconds": 60, "digest": 5}
    values = {"resource_id": resource, "price_id": price, "quantity": quantity, "amount_micros": amount}
    return dict.fromkeys(LINE_SCHEMA.names, 0) | given | values | more


def table(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=LINE_SCHEMA)


def test_a_changed_line_is_credited_and_charged_anew() -> None:
    before = table([line(), line(resource=2), line(resource=3, digest=8)])
    after = table([line(quantity=12, amount=120, digest=6), line(resource=2, digest=9), line(resource=4)])
    found = corrections(before, after).to_pylist()
    assert found == [
        line(quantity=-10, amount=-100, covered_seconds=-60),
        line(quantity=12, amount=120, digest=6),
        line(resource=3, quantity=-10, amount=-100, covered_seconds=-60, digest=8),
        line(resource=4),
    ]


def test_another_price_is_another_line() -> None:
    found = corrections(table([line()]), table([line(price=6)])).to_pylist()
    assert [(r["price_id"], r["amount_micros"]) for r in found] == [(6, 100), (7, -100)]


def test_of_equal_lines_as_many_are_corrected_as_differ() -> None:
    one, three = table([line()]), table([line()] * 3)
    assert corrections(one, three)["amount_micros"].to_pylist() == [100, 100]
    assert corrections(three, one)["amount_micros"].to_pylist() == [-100, -100]
    assert corrections(three, three).num_rows == 0


def test_nothing_and_the_largest() -> None:
    none = table([])
    assert corrections(none, none).num_rows == 0
    largest = table([line(quantity=MOST, amount=MOST), line(resource=2, quantity=-MOST, amount=-MOST)])
    assert corrections(largest, none)["amount_micros"].to_pylist() == [-MOST, MOST]
    with pytest.raises(Invariant, match="another schema"):
        corrections(none, pa.table({"a": [1]}))


LINES = st.lists(
    st.builds(
        line,
        st.integers(1, 3),
        st.integers(1, 2),
        st.integers(-2, 2),
        st.integers(-2, 2),
        window_start=st.integers(0, 1),
        digest=st.integers(0, 2),
    ),
    max_size=12,
)


@given(LINES, LINES, st.randoms(use_true_random=False))
def test_corrections_are_the_difference_and_no_more(before: list[Row], after: list[Row], random: Random) -> None:
    found = corrections(table(before), table(after)).to_pylist()
    for key in {tuple(r[n] for n in KEY) for r in (*before, *after, *found)}:
        for name in VALUES:
            was, due, change = (
                sum(r[name] for r in rows if tuple(r[n] for n in KEY) == key) for rows in (before, after, found)
            )
            assert change == due - was
    contents = [Counter(tuple(r[n] for n in (*KEY, *VALUES)) for r in rows) for rows in (before, after)]
    assert len(found) == sum(((contents[0] - contents[1]) + (contents[1] - contents[0])).values())
    keys = [tuple(r[n] for n in KEY) for r in found]
    assert keys == sorted(keys)
    shuffled = random.sample(before, len(before)), random.sample(after, len(after))
    again = corrections(table(shuffled[0]), table(shuffled[1])).select([*KEY, *VALUES])
    assert again.to_pylist() == [{n: r[n] for n in (*KEY, *VALUES)} for r in found]
