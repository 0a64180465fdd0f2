"""The pure parts: segments, claims, chunks, settings, the analyst's gate."""

import itertools
import random

import pytest

from schemas.period import Period
from sinks.warehouse.capability import Capability
from sinks.warehouse.claims import claim_condition, resource_filter
from sinks.warehouse.protocol import UsageRequest
from sinks.warehouse.segments import Run, runs_of, segment_sql
from sinks.warehouse.usage_sql import Chunk, chunks_of, winners_sql
from tests.warehouse.stories import DAY, HOUR, T0, claim, resource, tenant


def test_a_month_of_days_with_a_clock_change_is_three_runs() -> None:
    lengths = [24] * 24 + [25] + [24] * 6
    edges = list(itertools.accumulate([T0, *(hours * HOUR for hours in lengths)]))
    runs = runs_of(edges)
    assert [run.step // HOUR for run in runs] == [24, 25, 24]
    assert runs[0] == Run(T0, DAY, T0 + 24 * DAY)


def test_segments_as_text() -> None:
    assert segment_sql((0, 300)) == "toUInt32(0)"
    assert segment_sql((0, 300, 600)) == "toUInt32(0 + intDiv(toInt64(cell_start) - 0, 300) * 300)"
    assert segment_sql((0, 300, 600, 1500)) == (
        "toUInt32(multiIf(cell_start < 600, 0 + intDiv(toInt64(cell_start) - 0, 300) * 300, 600))"
    )


@pytest.mark.parametrize("edges", [(), (5,), (5, 5), (9, 5), (-1, 5), (0, 2**32)])
def test_edges_that_make_no_segments_are_refused(edges: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="edges must be"):
        runs_of(edges)


def test_claims_as_text() -> None:
    window = Period(100, 200)
    claims = [
        claim("t1", Period(0, 150)),
        claim("t2", Period(120, 300), excluded=["vm1"]),
        claim("t3", Period(200, 300)),
    ]
    assert claim_condition(claims, window) == (
        f"(tenant_id IN ({tenant('t1')}) AND cell_start < 150) OR "
        f"(tenant_id IN ({tenant('t2')}) AND cell_start >= 120 AND resource_id NOT IN ({resource('vm1')}))"
    )
    assert claim_condition([], window) == "0"
    assert resource_filter([claim("t1", only=["vm1"])]) == f"resource_id IN ({resource('vm1')})"
    assert resource_filter([claim("t1")]) == (
        f"resource_id IN (SELECT resource_id FROM resource_tenants WHERE tenant_id IN ({tenant('t1')}))"
    )


def test_equal_claims_in_any_order_make_one_text() -> None:
    claims = [claim(f"t{i}", Period(0, 100 + i % 3)) for i in range(12)]
    texts = set()
    for seed in range(5):
        random.Random(seed).shuffle(claims)
        texts.add(claim_condition(claims, Period(0, 90)) + claim_condition(claims, Period(0, 200)))
    assert len(texts) == 1


def test_winners_of_events_look_beyond_the_window_and_shards_ask_globally() -> None:
    request = UsageRequest(None, (T0, T0 + HOUR), cutoff=5)
    text = winners_sql("events", request, "GLOBAL IN")
    assert f"cell_start >= {T0 - 32 * DAY} AND cell_start < {T0 + HOUR + 32 * DAY}" in text
    assert "(event_high, event_low) GLOBAL IN (SELECT event_high, event_low FROM events" in text
    assert text.count("stored_at < 5") == 2
    assert text.endswith("ORDER BY event_high DESC, event_low DESC, rank DESC LIMIT 1 BY event_high, event_low")


def test_chunks_cover_every_key_once() -> None:
    assert list(chunks_of(0)) == []
    assert list(chunks_of(10, 10)) == [None]
    chunks = [chunk for chunk in chunks_of(25, 10) if chunk]
    assert (chunks[0].first, chunks[-1].last, len(chunks)) == (0, 2**64 - 1, 3)
    assert all(b == Chunk(a.last + 1, b.last) for a, b in itertools.pairwise(chunks))


def test_only_known_settings_are_stated() -> None:
    old = Capability("18.16.1", settings=frozenset({"insert_deduplicate", "max_execution_time"}))
    assert old.for_insert(7) == {"insert_deduplicate": 0, "max_execution_time": 7}
    names = frozenset({"async_insert", "insert_quorum", "distributed_foreground_insert"})
    assert Capability("24.8.1", "c", names).for_insert(7) == {
        "async_insert": 0,
        "insert_quorum": "auto",
        "distributed_foreground_insert": 1,
    }
    assert not old.modern
    assert Capability("26.9.2.1").modern
    assert not Capability("24.7.9.1").modern
