"""Events over both engines: one identity, copies with other times, months and resources. Guards invariants 2 and 6."""

import numpy as np
import pyarrow as pa

from sinks.warehouse.digest import usage_digest
from sinks.warehouse.protocol import NOW, UsageRequest
from sinks.warehouse.store import Store
from sinks.warehouse.usage_sql import EVENT_DEDUP_HORIZON
from tests.warehouse.stories import DAY, DEPLOYED, HOUR, T0, Sample, block, claim, resource, tenant

MONTH = (T0, T0 + 31 * DAY)


def event(
    name: str, start: int = T0, vm: str = "vm1", owner: str = "t1", quantity: int = 1, revision: int = 0
) -> Sample:
    return Sample(vm, start, quantity, 1, revision, owner, DEPLOYED, event=name)


def ask(warehouse: Store, *edges: int, owner: str | None = None, cutoff: int = NOW) -> pa.Table:
    return warehouse.usage(UsageRequest(None if owner is None else [claim(owner)], edges or MONTH, cutoff))


def count(warehouse: Store, *edges: int, owner: str | None = None, cutoff: int = NOW) -> int:
    return sum(ask(warehouse, *edges, owner=owner, cutoff=cutoff)["quantity"].to_pylist())


def test_equal_events_of_other_identities_all_count_and_do_not_cancel_out(warehouse: Store) -> None:
    warehouse.write(block(event("e1"), event("e2"), event("e1")), 1)
    usage = ask(warehouse).to_pylist()
    assert [(row["quantity"], row["samples"]) for row in usage] == [(2, 2)]
    assert usage[0]["digest"] != 0


def test_of_copies_with_other_times_the_earliest_counts_in_its_window_only(warehouse: Store) -> None:
    warehouse.write(block(event("e1", T0 + 2 * HOUR)), 1_000)
    warehouse.write(block(event("e1", T0 + HOUR)), 2_000)
    warehouse.write(block(event("e1", T0 + 5 * HOUR)), 3_000)
    usage = ask(warehouse, *range(T0, T0 + 6 * HOUR + 1, HOUR))
    assert usage["segment_start"].to_pylist() == [T0 + HOUR]
    assert count(warehouse, T0 + 2 * HOUR, T0 + 6 * HOUR) == 0
    assert count(warehouse, T0 + HOUR, T0 + 2 * HOUR) == 1
    assert count(warehouse, T0 + HOUR, T0 + 2 * HOUR, cutoff=1_500) == 0
    assert count(warehouse, T0 + 2 * HOUR, T0 + 3 * HOUR, cutoff=1_500) == 1


def test_copies_in_two_months_count_once(warehouse: Store) -> None:
    warehouse.write(block(event("e1", T0 - 60), event("e1", T0 + 60)), 1)
    warehouse.engine.execute("OPTIMIZE TABLE events FINAL")
    assert (count(warehouse, T0 - DAY, T0), count(warehouse, *MONTH)) == (1, 0)


def test_copies_further_apart_than_the_horizon_are_two_events(warehouse: Store) -> None:
    far = T0 + EVENT_DEDUP_HORIZON + 2 * HOUR
    warehouse.write(block(event("e1", T0), event("e1", far)), 1)
    assert count(warehouse, T0, T0 + HOUR) == 1
    assert count(warehouse, far, far + HOUR) == 1


def test_a_higher_revision_beats_an_earlier_time_and_may_move_the_event(warehouse: Store) -> None:
    first = event("e1", T0, "vm1", "t1", quantity=5)
    warehouse.write(block(first, event("e1", T0 + HOUR, "vm2", "t2", quantity=3, revision=1)), 1)
    assert count(warehouse, owner="t1") == 0
    assert count(warehouse, owner="t2") == 3
    assert ask(warehouse)["resource_id"].to_pylist() == [resource("vm2")]
    request = UsageRequest(None, MONTH)
    assert warehouse.samples(request, resource("vm1"), 10).num_rows == 0
    assert warehouse.samples(request, resource("vm2"), 10)["versions"].to_pylist() == [2]


def touched(warehouse: Store, since: int, before: int) -> set[tuple[int, int]]:
    found = warehouse.touched(since, before)
    pairs = list(zip(found["tenant_id"].to_pylist(), found["day"].to_pylist(), strict=True))
    assert pairs == sorted(set(pairs))
    return set(pairs)


def test_a_new_copy_touches_the_days_and_tenants_of_all_copies(warehouse: Store) -> None:
    """Whoever had the event must be looked at, too, or it stays billed twice."""
    warehouse.write(block(event("e1", T0 + DAY + HOUR), event("e2", T0 + 5 * DAY)), 1_000)
    warehouse.write(block(event("e1", T0 + HOUR)), 2_000)
    warehouse.write(block(event("e1", T0 + 2 * DAY, "vm2", "t2", revision=1)), 3_000)
    one, two, three = (tenant("t1"), T0 + DAY), (tenant("t1"), T0), (tenant("t2"), T0 + 2 * DAY)
    other = (tenant("t1"), T0 + 5 * DAY)
    assert touched(warehouse, 1_000, 2_000) == {one, other}, "later copies are not there yet"
    assert touched(warehouse, 2_000, 3_000) == {one, two}
    assert touched(warehouse, 3_000, NOW) == {one, two, three}
    assert touched(warehouse, 0, NOW) == {one, two, three, other}
    assert touched(warehouse, 3_001, NOW) == set()
    warehouse.engine.execute("OPTIMIZE TABLE events FINAL")
    assert touched(warehouse, 3_000, NOW) == {one, two, three}


def test_cells_and_events_stand_side_by_side(warehouse: Store) -> None:
    warehouse.write(block(Sample(quantity=10), event("e1"), event("e2", T0 + DAY)), 1)
    assert count(warehouse) == 12
    rows = warehouse.samples(UsageRequest(None, MONTH), resource("vm1"), 10)
    assert rows.num_rows == 3
    assert warehouse.counters().unique == 3


def test_the_digest_is_recomputable_from_the_samples(warehouse: Store) -> None:
    rows = [Sample(start=T0 + 300 * n, quantity=-n * 10**14) for n in range(9)]
    warehouse.write(block(*rows, event("e1"), event("e2")), 1)
    samples = warehouse.samples(UsageRequest(None, MONTH), resource("vm1"), 100)
    whole = warehouse.usage(UsageRequest(None, MONTH, group=frozenset()))["digest"].to_pylist()
    names = ("cell_start", "covered_seconds", "quantity", "meter_id", "event_high", "event_low")
    columns = {name: samples[name].to_numpy() for name in names}
    resources = np.full(samples.num_rows, resource("vm1"), dtype=np.uint64)
    assert usage_digest(resource_id=resources, **columns) == int(
        np.bitwise_xor.reduce(np.array(whole, dtype=np.uint64))
    )
