"""Single observations over both engines: which version counts, whose it is, and that usage is their sum."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from schemas.claim import Claim
from schemas.errors import Invariant
from sinks.warehouse.digest import usage_digest
from sinks.warehouse.protocol import CELL_SCHEMA, NOW, Group, UsageRequest
from sinks.warehouse.store import Store
from tests.warehouse.stories import (
    CPU,
    DAY,
    DEPLOYED,
    HOUR,
    RAM,
    T0,
    Sample,
    attributes,
    block,
    claim,
    resource,
)

WINDOW = (T0, T0 + DAY)
BY_RESOURCE: frozenset[Group] = frozenset({"resource", "attributes"})
BY_SET: frozenset[Group] = frozenset({"attributes"})
ROWS = [
    Sample("vm1", quantity=7, covered=100),
    Sample("vm1", quantity=9),
    Sample("vm1", T0 + 300, quantity=4),
    Sample("vm2", quantity=5, labels='{"tier":"gold"}'),
    Sample("vm2", quantity=6, meter=RAM),
    Sample("vm3", quantity=10, owner="t2"),
    Sample("vm1", T0 + DAY, quantity=99),
    Sample("vm1", T0 + 5, quantity=2, meter=DEPLOYED, event="a"),
    Sample("vm1", T0 + 5, quantity=1, meter=DEPLOYED, event="b"),
    Sample("vm1", T0 + 5, quantity=1, meter=DEPLOYED, event="c"),
    Sample("vm2", T0 + 5, quantity=3, meter=DEPLOYED, event="d"),
]


def ask(
    warehouse: Store,
    claims: list[Claim] | None = None,
    cutoff: int = NOW,
    group: frozenset[Group] = BY_RESOURCE,
    meters: list[int] | None = None,
) -> pa.Table:
    return warehouse.cells(UsageRequest(claims, WINDOW, cutoff, group, meters))


def test_each_cell_once_in_its_winning_version_and_each_event_by_itself(warehouse: Store) -> None:
    warehouse.write(block(*ROWS), 1)
    cells = ask(warehouse, [claim("t1")])
    assert cells.schema == CELL_SCHEMA
    short = {resource("vm1"): "vm1", resource("vm2"): "vm2", CPU: "cpu", RAM: "ram", DEPLOYED: "new"}
    found = [
        (r["cell_start"] - T0, r["cell_seconds"], short[r["resource_id"]], short[r["meter_id"]], r["quantity"])
        for r in cells.to_pylist()
    ]
    assert sorted(found) == sorted(
        [
            (0, 300, "vm1", "cpu", 9),
            (0, 300, "vm2", "cpu", 5),
            (0, 300, "vm2", "ram", 6),
            (300, 300, "vm1", "cpu", 4),
            (5, 1, "vm1", "new", 1),
            (5, 1, "vm1", "new", 1),
            (5, 1, "vm1", "new", 2),
            (5, 1, "vm2", "new", 3),
        ]
    )
    assert set(cells["samples"].to_pylist()) == {1}
    golden = [r["quantity"] for r in cells.to_pylist() if r["attributes_id"] == attributes('{"tier":"gold"}')]
    assert golden == [5]


def test_in_order_of_time_resource_meter_attributes_and_quantity(warehouse: Store) -> None:
    warehouse.write(block(*reversed(ROWS)), 1)
    rows = ask(warehouse).to_pylist()
    keys = [
        (r["cell_start"], r["resource_id"], r["meter_id"], r["attributes_id"], r["cell_seconds"], r["quantity"])
        for r in rows
    ]
    assert keys == sorted(keys)
    assert len(rows) == 9


def test_the_digest_is_that_of_the_sample(warehouse: Store) -> None:
    warehouse.write(block(*ROWS), 1)
    one = ask(warehouse, meters=[RAM]).to_pylist()[0]
    start, covered, quantity, of = (
        np.array([one[n]], np.uint64) for n in ("cell_start", "covered_seconds", "quantity", "resource_id")
    )
    assert one["digest"] == usage_digest(start, covered, quantity, of, np.array([RAM], np.uint64))
    events = ask(warehouse, meters=[DEPLOYED])
    assert len(set(events["digest"].to_pylist())) == 4  # equal events are told apart by their identity


def test_usage_is_the_sum_of_the_observations(warehouse: Store) -> None:
    warehouse.write(block(*ROWS), 1)
    edges = (T0, T0 + 300, T0 + HOUR, T0 + DAY)
    sums: dict[tuple[int, int, int, int], list[int]] = {}
    for row in ask(warehouse).to_pylist():
        start = next(a for a, b in pairwise(edges) if a <= row["cell_start"] < b)
        of = sums.setdefault((start, row["resource_id"], row["meter_id"], row["attributes_id"]), [0, 0, 0, 0])
        for place, name in enumerate(("quantity", "covered_seconds", "samples")):
            of[place] += row[name]
        of[3] ^= row["digest"]
    usage = warehouse.usage(UsageRequest(None, edges)).to_pylist()
    names = ("quantity", "covered_seconds", "samples", "digest")
    assert {
        (r["segment_start"], r["resource_id"], r["meter_id"], r["attributes_id"]): [r[n] for n in names] for r in usage
    } == sums


def test_as_of_a_cutoff_and_of_some_meters(warehouse: Store) -> None:
    warehouse.write(block(Sample(quantity=7, covered=100), Sample(quantity=1, meter=RAM)), 1_000)
    warehouse.write(block(Sample(quantity=9)), 2_000)
    seen = {
        cutoff: ask(warehouse, cutoff=cutoff, meters=[CPU])["quantity"].to_pylist() for cutoff in (1_000, 2_000, NOW)
    }
    assert seen == {1_000: [], 2_000: [7], NOW: [9]}
    assert ask(warehouse, meters=[]).num_rows == 0
    assert ask(warehouse, []).num_rows == 0


def test_resources_come_together_and_events_stay_single_unless_asked_apart(warehouse: Store) -> None:
    warehouse.write(block(*ROWS), 1)
    cells = ask(warehouse, group=BY_SET).to_pylist()
    assert {r["resource_id"] for r in cells} == {0}
    cpu = [(r["cell_start"] - T0, r["quantity"], r["samples"]) for r in cells if r["meter_id"] == CPU]
    assert sorted(cpu) == [(0, 5, 1), (0, 19, 2), (300, 4, 1)]  # the gold one has a set of its own
    assert sorted(r["quantity"] for r in cells if r["meter_id"] == DEPLOYED) == [1, 1, 2, 3]
    bare = ask(warehouse, group=frozenset()).to_pylist()
    assert sorted((r["cell_start"] - T0, r["quantity"]) for r in bare if r["meter_id"] == CPU) == [(0, 24), (300, 4)]
    assert {r["attributes_id"] for r in bare} == {0}


def test_reading_in_chunks_changes_nothing(warehouse: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Sample(f"vm{i}", start=T0 + 300 * j, quantity=i + j) for i in range(12) for j in range(4)]
    events = [Sample(f"vm{i}", T0 + i % 3, i, meter=DEPLOYED, event=str(i)) for i in range(12)]
    warehouse.write(block(*rows, *events), 1)
    whole = [ask(warehouse), ask(warehouse, group=BY_SET)]
    assert [table.num_rows for table in whole] == [60, 16]
    monkeypatch.setattr("sinks.warehouse.usage_sql.chunks_of.__defaults__", (7,))
    assert [ask(warehouse), ask(warehouse, group=BY_SET)] == whole


def test_single_observations_have_no_tenant(warehouse: Store) -> None:
    with pytest.raises(Invariant, match="carry no tenant"):
        ask(warehouse, group=frozenset({"tenant"}))
