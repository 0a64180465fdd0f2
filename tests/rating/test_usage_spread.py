"""Rows spread over segments: nothing is lost in any order, and the columns agree with plain fractions row by row."""

from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.files import usage_spread as module
from rating.files.usage_cells import cell_table
from rating.files.usage_rows import UsageRow
from rating.files.usage_spread import usage_table
from rating.tables import CELL_SCHEMA, USAGE_SCHEMA
from rating.windows import Segments, segments
from schemas.errors import Invariant, Misconfigured
from schemas.meters import builtin
from schemas.period import FOREVER, Period

REGISTRY = builtin()
VM, DISK, EVENT = (REGISTRY[key] for key in ("vm.running", "disk.capacity", "image.deployment"))
HOUR, CELL = 3600, 300
MOST = 2**63 - 1
ALL = frozenset(m.id for m in REGISTRY)
GRID = {VM.id: CELL}

ROWS = st.lists(
    st.builds(
        lambda resource, meter, start, seconds, quantity, tier: UsageRow(
            1,
            resource,
            meter,
            {"tier": tier} if tier else {},
            Period(start, start + (1 if meter.kind == "event" else seconds)),
            quantity,
        ),
        st.sampled_from(["vm/a", "vm/b"]),
        st.sampled_from([VM, DISK, EVENT]),
        st.integers(0, 9 * HOUR),
        st.integers(1, 5 * HOUR),
        st.integers(-(10**9), 10**9),
        st.sampled_from(["", "gold"]),
    ),
    max_size=8,
)
CUTS = st.sets(st.integers(1, 14 * HOUR), max_size=20)


def hours(cuts: set[int]) -> Segments:
    return segments([Period(h * HOUR, (h + 1) * HOUR) for h in range(15)], sorted(cuts))


def part_of(row: UsageRow, piece: Period) -> int:
    """The share of one row that falls into a piece of time, by the rule of the documentation."""

    def until(instant: int) -> int:
        seconds = min(max(instant, row.period.start), row.period.end) - row.period.start
        share = Fraction(abs(row.quantity) * seconds, row.period.seconds).__floor__()
        return share if row.quantity >= 0 else -share

    return until(piece.end) - until(piece.start)


@given(ROWS, CUTS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_rows_are_spread_as_told_in_any_order(rows: list[UsageRow], cuts: set[int], random: Random) -> None:
    cut = hours(cuts)
    table = usage_table(rows, cut)
    usage = table.usage
    assert usage.schema.equals(USAGE_SCHEMA)
    expected: dict[tuple[int, str, int, str], list[int]] = {}
    for row in rows:
        for start, end in pairwise(cut.edges):
            seconds = min(row.period.end, end) - max(row.period.start, start)
            if seconds > 0:
                sums = expected.setdefault((start, row.resource, row.meter.id, row.attributes.get("tier", "")), [0] * 3)
                for at, value in enumerate((part_of(row, Period(start, end)), seconds, 1)):
                    sums[at] += value
    found = {
        (
            r["segment_start"],
            table.resources[r["resource_id"]],
            r["meter_id"],
            table.attribute_sets[r["attributes_id"]].get("tier", ""),
        ): [r["quantity"], r["covered_seconds"], r["samples"]]
        for r in usage.to_pylist()
    }
    assert found == expected
    assert all(usage["digest"].to_pylist())
    keys = [tuple(r[n] for n in USAGE_SCHEMA.names[:5]) for r in usage.to_pylist()]
    assert keys == sorted(set(keys))
    shuffled = random.sample(rows, len(rows))
    assert usage_table(shuffled, cut) == table
    assert cell_table(shuffled, cut, ALL, GRID) == cell_table(rows, cut, ALL, GRID)


@given(ROWS, CUTS)
@settings(deadline=None)
def test_a_correction_takes_everything_back(rows: list[UsageRow], cuts: set[int]) -> None:
    back = [UsageRow(r.number, r.resource, r.meter, r.attributes, r.period, -r.quantity) for r in rows]
    assert not any(usage_table([*rows, *back], hours(cuts)).usage["quantity"].to_pylist())


@given(ROWS, CUTS, st.sampled_from([{}, GRID]))
@settings(deadline=None)
def test_cells_hold_the_usage(rows: list[UsageRow], cuts: set[int], grid: dict[int, int]) -> None:
    cut = hours(cuts)
    cells = cell_table(rows, cut, frozenset({VM.id, EVENT.id}), grid)
    assert cells.schema.equals(CELL_SCHEMA)
    found = sorted(
        tuple(c[n] for n in ("meter_id", "cell_start", "cell_seconds", "quantity")) for c in cells.to_pylist()
    )
    expected = []
    for row in rows:
        if row.meter is DISK:
            continue
        edges = {row.period.start, row.period.end, *cut.edges}
        if row.meter.id in grid and row.period.seconds > CELL:
            edges |= set(range(0, 15 * HOUR, CELL))
        inside = sorted(e for e in edges if row.period.start <= e <= row.period.end)
        pieces = [Period(*both) for both in pairwise(inside)]
        expected += [(row.meter.id, p.start, p.seconds, part_of(row, p)) for p in pieces]
    assert found == sorted(expected)
    assert cells["covered_seconds"] == cells["cell_seconds"]
    assert set(cells["samples"].to_pylist()) <= {1}
    keys = [tuple(c[n] for n in ("cell_start", "resource_id", "meter_id", "attributes_id")) for c in cells.to_pylist()]
    assert keys == sorted(keys)


def test_equal_observations_keep_their_digests_apart() -> None:
    twice = [UsageRow(n, "a", EVENT, {}, Period(5, 6), 1) for n in (1, 2)]
    cells = cell_table(twice, hours(set()), ALL)
    assert len(set(cells["digest"].to_pylist())) == 2
    assert usage_table(twice, hours(set())).usage["digest"][0].as_py() != 0


@pytest.mark.parametrize("quantity", [MOST, -MOST])
def test_the_largest_quantity_over_the_longest_time(quantity: int) -> None:
    """The product of both has 95 bits; nothing wraps."""
    row = UsageRow(1, "a", VM, {}, Period(0, FOREVER), quantity)
    cut = segments([Period(0, 1), Period(1, 10**9 + 7), Period(10**9 + 7, FOREVER)], [])
    assert usage_table([row], cut).usage["quantity"].to_pylist() == [part_of(row, w) for w in cut.windows]


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        UsageRow(1, "a", EVENT, {}, Period(0, 2 * HOUR), 1),
        UsageRow(2, "a", VM, {}, Period(0, HOUR), 2**62),
        UsageRow(3, "a", VM, {}, Period(0, 60), 2**62),
    ]
    with pytest.raises(Misconfigured) as caught:
        usage_table(rows, hours(set()))
    assert caught.value.problems == (
        "row 1: image.deployment counts events, and the row spans several windows",
        "the sum of a resource's quantities exceeds 9223372036854775807",
    )
    monkeypatch.setattr(module, "PARTS_MAX", 3)
    for tabled in (lambda: usage_table(rows, hours(set())), lambda: cell_table(rows, hours(set()), ALL, GRID)):
        with pytest.raises(Misconfigured, match="more than 3 windows or cells together"):
            tabled()


@pytest.mark.parametrize("period", [Period(0, 16 * HOUR), Period(-1, 5)])
def test_rows_outside_the_segments_are_a_mistake_of_ours(period: Period) -> None:
    with pytest.raises(Invariant, match="outside the segments"):
        usage_table([UsageRow(1, "a", VM, {}, period, 1)], hours(set()))
    with pytest.raises(Invariant, match="outside the segments"):
        usage_table([UsageRow(1, "a", VM, {}, Period(0, 1), 1)], segments([], []))


def test_no_rows_make_empty_tables() -> None:
    assert usage_table([], hours(set())).usage.num_rows == 0
    assert cell_table([], hours(set()), ALL, GRID).num_rows == 0
