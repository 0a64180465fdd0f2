"""rate(): permutation, splitting, totality, sums; guards invariants 2, 6, 8, 9 and 10."""

from random import Random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating import linear
from rating.decimals import shown
from rating.engine import Rated, rate
from rating.exact import INT64_MAX
from rating.explain import line_at
from rating.tables import LINE_SCHEMA, USAGE_SCHEMA
from rating.verify import verify
from rating.windows import Segments, segments, segments_of
from schemas.errors import Invariant, Poison
from schemas.meters import QUANTITY_MAX
from schemas.period import Period, iso
from tests.rating.helpers import DAY, HOUR, REGISTRY, T0, list_of, price, usage
from tests.rating.reference import amount_micros, best_price

SETS = {0: {}, 1: {"tier": "gold"}, 2: {"tier": "gold", "site": "prague"}, 2**64 - 1: {"tier": "silver"}}
CUT = iso(T0 + DAY + 6 * HOUR)
PRICES = (
    price("run-a", amount="0.013", to=CUT),
    price("run-b", amount="0.017", product="Q", **{"from": CUT}),
    price("disk", "disk.capacity", "0.002"),
    price("disk-gold", "disk.capacity", "0.0041", when={"tier": "gold"}, **{"from": CUT}),
)
LISTED = list_of(*PRICES, rounding={"mode": "half_up", "digits": 4})
SEGMENTS = segments_of(Period(T0, T0 + 3 * DAY), LISTED, "UTC")
METERS = ("vm.running", "disk.capacity", "ip.address", "plugin.unknown")
ROW = st.tuples(
    st.sampled_from(SEGMENTS.edges[:-1]),
    st.integers(1, 2**64 - 1),
    st.sampled_from(METERS),
    st.sampled_from(sorted(SETS)),
    st.integers(0, QUANTITY_MAX),
)
Row = tuple[int, int, str, int, int]
ROWS = st.lists(ROW, max_size=25)


def rated_of(rows: list[Row]) -> Rated:
    return rate(usage(rows), LISTED, REGISTRY, SETS, SEGMENTS)


@given(ROWS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_any_order_gives_the_same_bytes(rows: list[Row], random: Random) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = rated_of(rows), rated_of(shuffled)
    assert one == other
    keys = [
        tuple(
            one.lines[name][i].as_py()
            for name in ("window_start", "segment_start", "resource_id", "meter_id", "attributes_id")
        )
        for i in range(one.lines.num_rows)
    ]
    assert keys == sorted(keys)


@given(ROWS)
@settings(deadline=None)
def test_every_row_is_one_line_and_equals_the_reference(rows: list[Row]) -> None:
    rated = rated_of(rows)
    plain = [
        {
            "id": p.id,
            "meter": p.charge.meters[0],
            "amount": shown(p.tiers[0].amount),
            "size": p.unit.size,
            "when": dict(p.when),
            "from": p.valid.start,
            "to": p.valid.end,
        }
        for p in LISTED.prices
    ]
    due = []
    for start, resource, meter, attributes, quantity in rows:
        best = best_price(plain, meter, SETS[attributes], start)
        amount = amount_micros(quantity, str(best["amount"]), int(str(best["size"])), "half_up", 4) if best else 0
        due.append(
            (start, resource, REGISTRY[meter].id if meter in REGISTRY else 77, attributes, quantity, amount, bool(best))
        )
    names = ("segment_start", "resource_id", "meter_id", "attributes_id", "quantity", "amount_micros", "price_id")
    lines = list(zip(*(rated.lines[name].to_pylist() for name in names), strict=True))
    assert sorted((*line[:-1], line[-1] != 0) for line in lines) == sorted(due)
    assert rated.lines.schema.equals(LINE_SCHEMA)
    assert (
        rated.total_micros == sum(d[5] for d in due) == sum(rated.by_product.values()) == sum(rated.by_meter.values())
    )
    assert rated.unpriced == sum(not d[6] for d in due)
    for index in range(len(lines)):
        line = line_at(rated.lines, index)
        assert verify(line, LISTED, SETS[line.attributes_id], REGISTRY).proved


@given(ROWS)
@settings(deadline=None)
def test_windows_sum_to_the_whole(rows: list[Row]) -> None:
    rated = rated_of(rows)
    assert [w.window for w in rated.windows] == list(SEGMENTS.windows)
    assert sum(w.lines for w in rated.windows) == len(rows)
    assert sum(w.unpriced for w in rated.windows) == rated.unpriced
    assert sum(w.amount_micros for w in rated.windows) == rated.total_micros
    starts = rated.lines["window_start"].to_pylist()
    for w in rated.windows:
        digest = 0
        for start, line in zip(starts, rated.lines["digest"].to_pylist(), strict=True):
            digest ^= line if start == w.window.start else 0
        assert w.digest == digest


@given(ROWS, st.integers(0, 25))
@settings(deadline=None)
def test_rating_parts_is_rating_the_whole(rows: list[Row], at: int) -> None:
    """Split by resource or segment: a row is never influenced by the others."""
    for key in (0, 1):
        ordered = sorted(rows, key=lambda row: row[key])
        parts = [rated_of(ordered[:at]), rated_of(ordered[at:])]
        whole = rated_of(rows)
        joined = pa.concat_tables([p.lines for p in parts])
        assert sorted(map(str, joined.to_pylist())) == sorted(map(str, whole.lines.to_pylist()))
        assert sum(p.total_micros for p in parts) == whole.total_micros


@given(st.integers(0, 10**12), st.integers(0, 10**12))
@settings(max_examples=50, deadline=None)
def test_more_usage_never_costs_less(one: int, other: int) -> None:
    amounts = [rated_of([(T0, 1, "vm.running", 0, q)]).total_micros for q in sorted((one, other))]
    assert amounts == sorted(amounts)


def test_zero_usage_is_a_line_of_zero() -> None:
    rated = rated_of([(T0, 1, "vm.running", 0, 0)])
    assert (rated.lines.num_rows, rated.total_micros, rated.unpriced) == (1, 0, 0)
    assert rated.lines["price_id"][0].as_py() != 0


def test_no_usage() -> None:
    rated = rated_of([])
    assert (rated.lines.num_rows, rated.total_micros, rated.windows[0].lines) == (0, 0, 0)
    nothing = rate(usage([]), LISTED, REGISTRY, {}, Segments((), (), ()))
    assert (nothing.windows, nothing.lines.num_rows) == ((), 0)


def test_unpriced_meters_are_named() -> None:
    rated = rated_of([(T0, 1, "ip.address", 0, 5), (T0, 1, "plugin.unknown", 0, 5)])
    assert rated.unpriced_meters == ("0000004d", "ip.address")
    assert (rated.unpriced, rated.total_micros) == (2, 0)


def test_maximum_quantities_of_many_cells() -> None:
    month = QUANTITY_MAX * 8928
    rows = [(T0, r, "net.out.bytes", 0, month) for r in range(1, 50)]
    listed = list_of(price("out", "net.out.bytes", "0.08"))
    rated = rate(usage(rows), listed, REGISTRY, {}, SEGMENTS_DAY)
    assert rated.total_micros == 49 * amount_micros(month, "0.08", 10**9)
    assert sum(rated.lines["quantity"].to_pylist()) > INT64_MAX
    dear = list_of(price("out", "net.out.bytes", "999999999999"))
    with pytest.raises(Poison, match="amount_too_large"):
        rate(usage(rows), dear, REGISTRY, {}, SEGMENTS_DAY)


SEGMENTS_DAY = segments_of(Period(T0, T0 + DAY), LISTED, "UTC")


def test_sums_beyond_64_bits_stay_exact() -> None:
    rows = [(T0, r, "image.deployment", 0, 9 * 10**12) for r in range(1, 6)]
    rated = rate(usage(rows), list_of(price("d", "image.deployment")), REGISTRY, {}, SEGMENTS_DAY)
    assert rated.total_micros == rated.windows[0].amount_micros == 45 * 10**18 > INT64_MAX


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(T0, r, "vm.running", 0, r * 1000) for r in range(1, 20)]
    whole = rated_of(rows)
    monkeypatch.setattr(linear, "CHUNK_ROWS", 4)
    assert rated_of(rows) == whole


def test_as_many_price_versions_as_there_are_cells() -> None:
    day = [price(f"p{i}", amount=str(i), **{"from": iso(T0 + 900 * i)}, to=iso(T0 + 900 * (i + 1))) for i in range(96)]
    listed = list_of(*day)
    found = segments_of(Period(T0, T0 + DAY), listed, "UTC")
    assert len(found) == 96
    rated = rate(usage([(e, 1, "vm.running", 0, 3600) for e in found.edges[:-1]]), listed, REGISTRY, {}, found)
    assert rated.lines["amount_micros"].to_pylist() == [i * 10**6 for i in range(96)]


def test_equal_keys_are_ordered_by_content() -> None:
    rows = [(T0, 1, "vm.running", 0, 9), (T0, 1, "vm.running", 0, 3)]
    assert rated_of(rows).lines["quantity"].to_pylist() == [3, 9]


def test_every_input_changes_the_digest() -> None:
    row = (T0, 1, "vm.running", 0, 100)
    changed: list[Row] = [
        (T0 + DAY, 1, "vm.running", 0, 100),
        (T0, 2, "vm.running", 0, 100),
        (T0, 1, "ip.address", 0, 100),
        (T0, 1, "vm.running", 1, 100),
        (T0, 1, "vm.running", 0, 101),
    ]
    digests = {rated_of([r]).lines["digest"][0].as_py() for r in [row, *changed]}
    other = LISTED.with_version(2), list_of(*PRICES, rounding={"mode": "half_up", "digits": 5})
    digests |= {rate(usage([row]), p, REGISTRY, SETS, SEGMENTS).lines["digest"][0].as_py() for p in other}
    bare = (T0, 1, "ip.address", 0, 100)  # an unpriced line depends on the list, too
    digests.add(rate(usage([bare]), other[0], REGISTRY, SETS, SEGMENTS).lines["digest"][0].as_py())
    assert len(digests) == 9


def test_digests_never_change() -> None:
    """Lines are proved years later: a change of these numbers needs a new CANONICAL_FORMAT and an ADR."""
    line = usage([(T0, 1, "vm.running", 0, 100)]).set_column(8, USAGE_SCHEMA.field(8), pa.array([5], pa.uint64()))
    priced = rate(line, list_of(price("p")), REGISTRY, {}, SEGMENTS_DAY)
    bare = rate(line, list_of(price("p", "ip.address")), REGISTRY, {}, SEGMENTS_DAY)
    assert [r.lines["digest"][0].as_py() for r in (priced, bare)] == [4065865026094481942, 7318469706501918798]
    assert list_of(price("p")).digest == "3832b3089a0cf3339fdebca73827bc4802443ed10cd5168af2ded9c01bb8f841"


def test_what_breaks_a_promise_is_refused() -> None:
    good = usage([(T0, 1, "disk.capacity", 1, 5)])
    with pytest.raises(Invariant, match="another schema"):
        rate(good.drop_columns(["samples"]), LISTED, REGISTRY, SETS, SEGMENTS)
    holes = good.set_column(5, USAGE_SCHEMA.field(5), pa.array([None], pa.int64()))
    with pytest.raises(Invariant, match="nulls in quantity"):
        rate(holes, LISTED, REGISTRY, SETS, SEGMENTS)
    with pytest.raises(Invariant, match="unknown segments, the first starts at 5"):
        rate(usage([(5, 1, "vm.running", 0, 1)]), LISTED, REGISTRY, SETS, SEGMENTS)
    with pytest.raises(Invariant, match="1 attribute sets have no entry, the first is 1"):
        rate(good, LISTED, REGISTRY, {}, SEGMENTS)
    uncut = segments([Period(T0 + i * DAY, T0 + (i + 1) * DAY) for i in range(3)], [])
    with pytest.raises(Invariant, match="price changes inside a segment"):
        rate(good, LISTED, REGISTRY, SETS, uncut)
