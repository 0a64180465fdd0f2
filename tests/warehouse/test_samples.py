"""Cell samples over both engines: which version counts, whose it is, as of when. Guards invariants 2 and 6."""

import itertools
import random

import pyarrow as pa
import pytest

from schemas.claim import Claim
from schemas.period import Period
from sinks.warehouse.protocol import NOW, USAGE_SCHEMA, Group, UsageRequest
from sinks.warehouse.store import Store
from tests.warehouse.stories import CPU, DAY, HOUR, RAM, T0, Sample, block, claim, resource, tenant

WINDOW = (T0, T0 + DAY)


def ask(
    warehouse: Store,
    claims: list[Claim] | None = None,
    edges: tuple[int, ...] | range = WINDOW,
    cutoff: int = NOW,
    group: frozenset[Group] = frozenset({"resource", "attributes"}),
    meters: list[int] | None = None,
) -> pa.Table:
    return warehouse.usage(UsageRequest(claims, edges, cutoff, group, meters))


def total(table: pa.Table) -> int:
    return sum(table["quantity"].to_pylist())


def settle_parts(warehouse: Store) -> None:
    warehouse.engine.execute("OPTIMIZE TABLE samples FINAL")


VERSIONS = [
    Sample(quantity=10, covered=100),
    Sample(quantity=30, covered=300, revision=0),
    Sample(quantity=31, covered=300, revision=1),
    Sample(vm="vm2", quantity=7),
    Sample(vm="vm2", quantity=8),
    Sample(meter=RAM, quantity=5, start=T0 + 300),
]


def test_any_order_and_any_repetition_give_the_same_bytes(warehouse: Store) -> None:
    draw = random.Random(7)
    seen = set()
    for attempt in range(3):
        rows = VERSIONS * draw.randint(1, 3)
        draw.shuffle(rows)
        for number, part in enumerate(rows[i : i + 4] for i in range(0, len(rows), 4)):
            warehouse.write(block(*part), 1000 + number)
        usage = ask(warehouse)
        assert usage.schema == USAGE_SCHEMA
        seen.add(repr(usage.to_pydict()))
        for table in ("samples", "resource_tenants", "touches"):
            warehouse.engine.execute(f"TRUNCATE TABLE {table}")
        assert ask(warehouse).num_rows == 0, attempt
    assert len(seen) == 1


def test_more_seconds_covered_wins_then_the_higher_revision(warehouse: Store) -> None:
    warehouse.write(block(VERSIONS[2], VERSIONS[0], VERSIONS[1]), 1)
    usage = ask(warehouse).to_pylist()
    assert [(row["quantity"], row["covered_seconds"], row["samples"]) for row in usage] == [(31, 300, 1)]


def test_contradicting_copies_of_equal_coverage_give_one_answer_in_any_order(warehouse: Store) -> None:
    one, other = Sample(quantity=7), Sample(quantity=8)
    warehouse.write(block(one), 1)
    warehouse.write(block(other), 2)
    first = ask(warehouse)
    for table in ("samples", "touches"):
        warehouse.engine.execute(f"TRUNCATE TABLE {table}")
    warehouse.write(block(other), 1)
    warehouse.write(block(one), 2)
    assert ask(warehouse).equals(first)
    assert first["samples"].to_pylist() == [1]


def test_what_was_stored_later_is_unknown_before_also_after_a_merge(warehouse: Store) -> None:
    warehouse.write(block(Sample(quantity=10, covered=100)), 1_000)
    warehouse.write(block(Sample(quantity=30)), 2_000)
    warehouse.write(block(Sample(quantity=10, covered=100)), 3_000)  # a redelivery must not make the first one younger
    warehouse.write(block(Sample(quantity=30)), 4_000)
    expected = {1_000: 0, 1_001: 10, 2_000: 10, 2_001: 30, NOW: 30}
    assert {cutoff: total(ask(warehouse, cutoff=cutoff)) for cutoff in expected} == expected
    settle_parts(warehouse)
    assert {cutoff: total(ask(warehouse, cutoff=cutoff)) for cutoff in expected} == expected
    stored = warehouse.engine.select("SELECT stored_at FROM samples ORDER BY stored_at")["stored_at"].to_pylist()
    assert stored == [1_000, 2_000]


def test_the_tenant_is_that_of_the_winning_version(warehouse: Store) -> None:
    warehouse.write(block(Sample(owner="t1", quantity=10, covered=100), Sample(owner="t2", quantity=30)), 1_000)
    assert total(ask(warehouse, [claim("t1")])) == 0
    assert total(ask(warehouse, [claim("t2")])) == 30


def test_claims_choose_resources_and_periods(warehouse: Store) -> None:
    warehouse.write(
        block(
            Sample("vm1", quantity=1),
            Sample("vm2", quantity=2),
            Sample("vm3", quantity=4, owner="t2"),
            Sample("vm1", quantity=8, start=T0 + HOUR),
            Sample("vm2", quantity=16, start=T0 + HOUR),
        ),
        1,
    )
    early = Period(T0 - DAY, T0 + HOUR)
    assert total(ask(warehouse, [claim("t1")])) == 1 + 2 + 8 + 16
    assert total(ask(warehouse, [claim("t1", early)])) == 1 + 2
    assert total(ask(warehouse, [claim("t1", only=["vm2"])])) == 2 + 16
    assert total(ask(warehouse, [claim("t1", excluded=["vm2"])])) == 1 + 8
    assert total(ask(warehouse, [claim("t1", only=["vm3"])])) == 0
    assert total(ask(warehouse, [claim("t1", early, only=["vm1"]), claim("t2")])) == 1 + 4
    assert total(ask(warehouse, [claim("t1"), claim("t1", early)])) == 1 + 2 + 8 + 16
    assert ask(warehouse, []).num_rows == 0
    assert ask(warehouse, [claim("t1", Period(0, T0))]).num_rows == 0
    assert ask(warehouse, [claim("t1", only=[])]).num_rows == 0


def test_two_accounts_that_share_a_tenant_split_it_without_rest(warehouse: Store) -> None:
    rows = [Sample(f"vm{i}", quantity=2**i, start=T0 + 300 * j) for i in range(8) for j in range(3)]
    warehouse.write(block(*rows), 1)
    own, rest = claim("t1", only=["vm3", "vm5"]), claim("t1", excluded=["vm3", "vm5"])
    assert total(ask(warehouse, [own])) + total(ask(warehouse, [rest])) == total(ask(warehouse)) == 3 * 255


@pytest.mark.parametrize(
    "edges",
    [range(T0, T0 + DAY + 1, HOUR), (T0, T0 + 300, T0 + 2 * HOUR, T0 + 4 * HOUR, T0 + 6 * HOUR, T0 + DAY), WINDOW],
)
def test_each_cell_is_in_the_segment_of_its_start(warehouse: Store, edges: tuple[int, ...] | range) -> None:
    rows = [Sample(start=T0 + 300 * number, quantity=number + 1) for number in range(288)]
    warehouse.write(block(*rows, Sample(start=T0 - 300, quantity=10**6), Sample(start=T0 + DAY, quantity=10**6)), 1)
    expected = {
        start: sum(row.quantity for row in rows if start <= row.start < end) for start, end in itertools.pairwise(edges)
    }
    usage = ask(warehouse, edges=edges)
    assert dict(zip(usage["segment_start"].to_pylist(), usage["quantity"].to_pylist(), strict=True)) == expected


def test_groups_keep_apart_what_they_name(warehouse: Store) -> None:
    warehouse.write(
        block(
            Sample("vm1", quantity=1),
            Sample("vm2", quantity=2, labels='{"tier":"gold"}'),
            Sample("vm3", quantity=4, owner="t2"),
        ),
        1,
    )
    by_tenant = ask(warehouse, group=frozenset({"tenant"}))
    pairs = dict(zip(by_tenant["tenant_id"].to_pylist(), by_tenant["quantity"].to_pylist(), strict=True))
    assert pairs == {tenant("t1"): 3, tenant("t2"): 4}
    assert set(by_tenant["resource_id"].to_pylist()) == {0}
    everything = ask(warehouse, group=frozenset())
    assert everything["quantity"].to_pylist() == [7]
    digests = ask(warehouse)["digest"].to_pylist()
    assert everything["digest"].to_pylist() == [digests[0] ^ digests[1] ^ digests[2]]


def test_meters_are_filtered(warehouse: Store) -> None:
    warehouse.write(block(Sample(quantity=1), Sample(quantity=2, meter=RAM)), 1)
    assert total(ask(warehouse, meters=[CPU])) == 1
    assert ask(warehouse, meters=[]).num_rows == 0


def test_reading_in_chunks_changes_nothing(warehouse: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Sample(f"vm{i}", start=T0 + 300 * j, quantity=i + j) for i in range(20) for j in range(5)]
    warehouse.write(block(*rows), 1)
    whole = [ask(warehouse), ask(warehouse, group=frozenset())]
    counted = warehouse.counters()
    monkeypatch.setattr("sinks.warehouse.usage_sql.chunks_of.__defaults__", (7,))
    assert [ask(warehouse), ask(warehouse, group=frozenset())] == whole
    assert warehouse.counters() == counted
    assert counted.unique == 100


def test_samples_behind_usage_show_versions_and_when_the_winner_came(warehouse: Store) -> None:
    warehouse.write(block(Sample(quantity=10, covered=100), Sample(start=T0 + 300, quantity=4)), 1_000)
    warehouse.write(block(Sample(quantity=30)), 2_000)
    warehouse.write(block(Sample(quantity=30)), 3_000)
    request = UsageRequest([claim("t1")], WINDOW)
    rows = warehouse.samples(request, resource("vm1"), 10).to_pylist()
    assert [(r["cell_start"] - T0, r["quantity"], r["versions"], r["stored_at"]) for r in rows] == [
        (0, 30, 2, 2_000),
        (300, 4, 1, 1_000),
    ]
    assert rows[0]["tenant_id"] == tenant("t1")
    assert warehouse.samples(request, resource("vm1"), 1).num_rows == 1
    assert warehouse.samples(request, resource("vm9"), 10).num_rows == 0
    early = UsageRequest([claim("t1")], WINDOW, cutoff=1_500)
    assert warehouse.samples(early, resource("vm1"), 10)["quantity"].to_pylist() == [10, 4]


def test_a_block_over_very_many_months_goes_in(warehouse: Store) -> None:
    rows = [Sample(start=31 * DAY * number // 300 * 300) for number in range(1, 130)]
    warehouse.write(block(*rows), 1)
    assert ask(warehouse, edges=(0, T0))["samples"].to_pylist() == [129]
