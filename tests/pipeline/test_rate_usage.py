"""Usage between any two seconds: cells split at odd edges keep every sum; sites become an attribute."""

from collections.abc import Sequence
from itertools import pairwise

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rate_usage import (
    merged,
    merged_cells,
    placed,
    question,
    relabelled,
    split,
    usage_of,
)
from rating.tables import CELL_SCHEMA, USAGE_SCHEMA
from schemas.period import Period
from tests.pipeline.rows import HOUR, T0

CELLS = (60, 300, 900)


def cell(start: int, seconds: int, quantity: int, resource: int = 1, covered: int | None = None) -> dict[str, int]:
    return {
        "cell_start": start,
        "cell_seconds": seconds,
        "resource_id": resource,
        "meter_id": 7,
        "attributes_id": 3,
        "quantity": quantity,
        "covered_seconds": seconds if covered is None else covered,
        "samples": 1,
        "digest": 1000 * start + resource,
    }


def cells(*rows: dict[str, int]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=CELL_SCHEMA)


def by_segment(table: pa.Table, edges: Sequence[int]) -> dict[int, int]:
    sums = dict.fromkeys(edges[:-1], 0)
    for row in table.to_pylist():
        sums[row["segment_start"]] += row["quantity"]
    return sums


def read(table: pa.Table, edges: Sequence[int]) -> pa.Table:
    """Ask a table as the reader asks the warehouse."""
    asked = question(edges)
    inside = [r for r in table.to_pylist() if asked.edges[0] <= r["cell_start"] < asked.edges[-1]]
    parts = [placed(usage_of(cells(*inside), asked.edges), edges, asked.mixed)]
    for stretch in asked.mixed:
        own = [r for r in inside if r["cell_start"] in stretch]
        parts.append(usage_of(split(cells(*own), edges), edges))
    return merged(parts)


def test_edges_on_the_grid_need_no_cells() -> None:
    assert question((T0, T0 + 900, T0 + HOUR)).mixed == ()
    assert question((T0, T0 + 900, T0 + HOUR)).edges == (T0, T0 + 900, T0 + HOUR)


def test_an_odd_edge_asks_for_its_quarter_of_an_hour_as_cells() -> None:
    asked = question((T0, T0 + 1000, T0 + 2000, T0 + 6 * HOUR))
    assert asked.mixed == (Period(T0 + 900, T0 + 2700),)  # neighbouring quarters are one stretch
    assert asked.edges == (T0, T0 + 900, T0 + 2700, T0 + 6 * HOUR)


def test_a_cell_is_split_by_seconds_and_its_rest_goes_to_the_later_part() -> None:
    found = split(cells(cell(T0, 300, 100, covered=299)), (T0, T0 + 1, T0 + 200, T0 + 900)).to_pylist()
    assert [(r["cell_start"] - T0, r["cell_seconds"], r["quantity"], r["covered_seconds"]) for r in found] == [
        (0, 1, 0, 0),
        (1, 199, 66, 199),
        (200, 100, 34, 100),
    ]
    assert [r["samples"] for r in found] == [1, 0, 0]
    assert len({r["digest"] for r in found} | {1000 * T0 + 1}) == 4  # each part has a digest of its own


def test_a_cell_that_no_edge_cuts_stays_as_it_is() -> None:
    table = cells(cell(T0, 300, 100), cell(T0 + 300, 300, 5))
    assert split(table, (T0, T0 + 300, T0 + 900)) == table
    assert split(table, (T0, T0 + 450, T0 + 900)).slice(0, 1) == table.slice(0, 1)


def test_what_lies_before_the_first_and_behind_the_last_edge_is_left_out() -> None:
    table = cells(cell(T0, 300, 300), cell(T0 + 300, 300, 300), cell(T0 + 600, 300, 300))
    edges = (T0 + 100, T0 + 650)
    assert [(r["cell_start"] - T0, r["quantity"]) for r in split(table, edges).to_pylist()] == [
        (100, 200),
        (300, 300),
        (600, 50),
    ]
    assert by_segment(read(table, edges), edges) == {T0 + 100: 550}


def test_events_are_never_split() -> None:
    table = cells(*(cell(T0 + second, 1, 5) for second in range(4)))
    edges = (T0, T0 + 1, T0 + 3, T0 + 900)
    assert by_segment(read(table, edges), edges) == {T0: 5, T0 + 1: 10, T0 + 3: 5}


def test_a_huge_quantity_is_split_without_overflow() -> None:
    huge = 9 * 10**18
    found = split(cells(cell(T0, 900, huge)), (T0, T0 + 899, T0 + 900))["quantity"].to_pylist()
    assert found == [huge * 899 // 900, huge - huge * 899 // 900]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[pa.Table, list[int]]:
    seconds = draw(st.sampled_from(CELLS))
    starts = draw(st.lists(st.integers(0, 3 * HOUR // seconds - 1), unique=True, max_size=30))
    quantity = st.one_of(st.integers(0, 1000), st.integers(-(10**15), 10**15))
    rows = [
        cell(T0 + s * seconds, seconds, draw(quantity), draw(st.integers(1, 2)), draw(st.integers(0, seconds)))
        for s in sorted(starts)
    ]
    inner = draw(st.lists(st.integers(1, 3 * HOUR - 1), unique=True, max_size=40))
    return cells(*rows), [T0, *(T0 + s for s in sorted(inner)), T0 + 3 * HOUR]


@given(worlds())
def test_every_sum_is_kept_whatever_the_edges(world: tuple[pa.Table, list[int]]) -> None:
    table, edges = world
    usage = read(table, edges)
    assert usage.schema == USAGE_SCHEMA
    for name in ("quantity", "covered_seconds", "samples"):
        assert sum(usage[name].to_pylist()) == sum(table[name].to_pylist())
    assert split(table, edges)["quantity"].to_pylist() == [
        part["quantity"] for row in table.to_pylist() for part in split(cells(row), edges).to_pylist()
    ]


@given(worlds())
def test_each_part_lies_in_its_segment_and_is_its_share(world: tuple[pa.Table, list[int]]) -> None:
    table, edges = world
    expected = dict.fromkeys(edges[:-1], 0)
    for row in table.to_pylist():
        start, end = row["cell_start"], row["cell_start"] + row["cell_seconds"]
        for first, last in pairwise(edges):
            until, since = max(start, min(end, last)), max(start, min(end, first))
            of = [row["quantity"] * (at - start) // row["cell_seconds"] for at in (since, until)]
            expected[first] += of[1] - of[0]
    assert by_segment(read(table, edges), edges) == expected


def test_an_edge_at_every_second_of_an_hour() -> None:
    table = cells(*(cell(T0 + at, 300, 299 + at, resource) for at in range(0, HOUR, 300) for resource in (1, 2)))
    edges = list(range(T0, T0 + HOUR + 1))
    usage = read(table, edges)
    assert sum(usage["quantity"].to_pylist()) == sum(table["quantity"].to_pylist())
    assert usage["segment_start"].unique().to_pylist() == edges[:-1]
    assert set(by_segment(usage, edges).values()) <= set(range(0, 26, 2))


def test_a_cut_cell_counts_once_in_the_segment_where_it_begins() -> None:
    table = cells(*(cell(T0 + at, 300, at) for at in range(0, HOUR, 300)))
    edges = (T0, T0 + 1000, T0 + HOUR)
    assert [(r["segment_start"] - T0, r["samples"]) for r in read(table, edges).to_pylist()] == [(0, 4), (1000, 8)]


def test_other_attribute_sets_may_fall_together() -> None:
    usage = usage_of(cells(cell(T0, 300, 5), {**cell(T0, 300, 6), "attributes_id": 9}), (T0, T0 + HOUR))
    both = merged([relabelled(usage, {9: 3})])
    assert [(r["attributes_id"], r["quantity"], r["samples"]) for r in both.to_pylist()] == [(3, 11, 2)]
    assert [r["attributes_id"] for r in merged([relabelled(usage, {9: 1})]).to_pylist()] == [1, 3]


def test_observations_of_several_reads_are_put_in_order_and_none_is_added() -> None:
    found = merged_cells(
        [cells(cell(T0 + 300, 300, 5), cell(T0 + 600, 300, 1)), cells(cell(T0, 300, 2), cell(T0, 300, 2))]
    )
    assert [(r["cell_start"] - T0, r["quantity"]) for r in found.to_pylist()] == [(0, 2), (0, 2), (300, 5), (600, 1)]
    assert found.schema == CELL_SCHEMA
