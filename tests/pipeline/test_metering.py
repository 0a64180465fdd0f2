"""The metering core: good rows go on, bad rows become dead letters with a reason, and every row is one or the other."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipeline.metering import NAMES_REMEMBERED_MAX, PORTION_ROWS_MAX, Seen, portions
from pipeline.validation import check, columns_of
from schemas import ids
from schemas.batch import decode, table_of
from schemas.identity import REVISION_MAX
from schemas.meters import QUANTITY_MAX
from schemas.period import FOREVER, Period
from sinks.warehouse.protocol import SAMPLE_DTYPES
from tests.pipeline.rows import DAY, NOW, REGISTRY, SITE, T0, Row, columns, message, metered

EVENT = Row(meter="image.deployment", cell=1, quantity=1, event=("portal", "order-17"))
LONG = "x" * 513
MANY = "{" + ",".join(f'"k{i:02d}":"v"' for i in range(17)) + "}"

BAD = {
    "unknown_meter": (Row(meter="vm.magic"), "'vm.magic' is not in the registry"),
    "bad_resource": (Row(resource="just-a-name"), "must read kind/native-uuid"),
    "bad_resource, no kind": (Row(resource="/1"), "must read kind/native-uuid"),
    "bad_resource, long": (Row(resource=f"vm/{LONG}"), "at most 512"),
    "bad_tenant": (Row(tenant=LONG), "longer than 512"),
    "bad_attributes": (Row(attributes='{"tier": "gold"}'), "sorted keys and no spaces"),
    "bad_attributes, no JSON": (Row(attributes="gold"), "JSON object"),
    "bad_attributes, number": (Row(attributes='{"tier":1}'), "text values"),
    "bad_attributes, order": (Row(attributes='{"b":"1","a":"2"}'), "sorted keys"),
    "bad_attributes, many": (Row(attributes=MANY), "at most 16"),
    "wrong_cell": (Row(cell=600), "cell of 600 s; this meter's grid is 300 s"),
    "misaligned": (Row(start=T0 + 1), "not a multiple of 300 s"),
    "too_old": (Row(start=0), "before 2000-01-01"),
    "in_the_future": (Row(start=NOW + DAY + 300), "check the collector's clock"),
    "negative": (Row(quantity=-1), "-1 is negative"),
    "too_much": (Row(quantity=QUANTITY_MAX + 1), "check the unit"),
    "bad_coverage, more": (Row(covered=301), "between 0 and the cell's 300 s"),
    "bad_coverage, none": (Row(covered=0), "nothing can be used in 0 s"),
    "bad_coverage, negative": (Row(covered=-1), "covered -1 s"),
    "bad_revision": (Row(revision=REVISION_MAX + 1), "revision 4096"),
    "bad_revision, negative": (Row(revision=-1), "revision -1"),
    "event_identity, none": (replace(EVENT, event=None), "needs both event_source and event_id"),
    "event_identity, too many": (Row(event=("portal", "1")), "other samples have neither"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_dies_alone_and_says_why(name: str) -> None:
    """Invariants 1 and 4: the row is in the dead letters with a reason, its neighbours are stored."""
    bad, told = BAD[name]
    before, after = Row(resource="vm/before"), Row(resource="vm/after")
    result = metered(message([before, bad, after]))
    (letter,) = result.dead
    assert letter.reason == name.partition(",")[0]
    assert told in letter.detail
    assert "row 1" in letter.detail
    assert (letter.rows, letter.origin) == (1, "samples/0/1")
    assert decode(letter.payload)[0].to_pylist() == decode(message([bad]).payload)[0].to_pylist()
    stored = {ids.resource_id(SITE, f"vm/{n}") for n in ("before", "after")}
    assert set(result.block.samples["resource_id"].tolist()) == stored
    assert set(result.block.names.resources) == stored
    (intake,) = result.block.intake
    assert (intake.samples, intake.stored, intake.dead) == (3, 2, 1)


def test_every_reason_has_its_row() -> None:
    _, rules = check(columns_of(pa.Table.from_batches([table_of(columns([Row()]))])), REGISTRY, NOW)
    assert {r.reason for r in rules} == {name.partition(",")[0] for name in BAD}


def test_many_bad_rows_make_one_letter_with_a_few_examples() -> None:
    """Invariant 5: a detail has a bounded length, whatever is wrong with a batch."""
    rows = [Row(quantity=-1, start=T0 + 300 * i) for i in range(500)] + [Row(meter="vm.magic")] * 3
    (letter,) = metered(message(rows)).dead
    assert letter.reason == "negative"
    assert "negative × 500" in letter.detail
    assert "unknown_meter × 3" in letter.detail
    assert len(letter.detail) < 1500
    assert letter.rows == 503


def test_the_same_message_again_makes_the_same_letter() -> None:
    """Invariant 2: a redelivery, also at another offset, is the same letter."""
    one = message([Row(quantity=-1)], sequence=7)
    again = replace(one, origin="samples/0/999")
    first, second = metered(one).dead[0], metered(again).dead[0]
    assert first.key == second.key == f"batch {SITE}/c1/7/"
    assert first.payload == second.payload


def test_empty_batches_are_counted_and_hide_nothing() -> None:
    """Invariant 1: a batch without rows is harmless before, between and after others."""
    bad = message([Row(), Row(quantity=-1, start=T0 + 300)], sequence=2)
    result = metered(message([], 1), bad, message([], 3), message([], 4))
    assert [(i.sequence, i.samples, i.stored, i.dead) for i in result.block.intake] == [
        (1, 0, 0, 0), (2, 2, 1, 1), (3, 0, 0, 0), (4, 0, 0, 0),
    ]  # fmt: skip
    assert [d.rows for d in result.dead] == [1]
    nothing = metered(message([], 1))
    assert (len(nothing.block.samples["rank"]), nothing.dead, nothing.touched) == (0, [], {})
    assert {name: column.dtype.str[1:] for name, column in nothing.block.samples.items()} == dict(SAMPLE_DTYPES)


def test_a_message_of_only_bad_rows_stores_nothing() -> None:
    result = metered(message([Row(quantity=-1), Row(meter="vm.magic")]))
    assert len(result.block.samples["rank"]) == 0
    assert result.touched == {}
    assert sum(d.rows for d in result.dead) == 2


def test_several_sites_in_one_call_stay_apart() -> None:
    """Invariant 14: the same names on two platforms are two resources and two tenants."""
    result = metered(
        message([Row(), Row(tenant="beta", resource="vm/2")], 1, site="vc-1"),
        message([Row(quantity=7)], 1, site="vc-2"),
    )
    samples, names = result.block.samples, result.block.names
    assert samples["site_id"].tolist() == [ids.site_id("vc-1")] * 2 + [ids.site_id("vc-2")]
    assert samples["resource_id"].tolist() == [
        ids.resource_id("vc-1", "vm/1"),
        ids.resource_id("vc-1", "vm/2"),
        ids.resource_id("vc-2", "vm/1"),
    ]
    assert set(names.sites.values()) == {"vc-1", "vc-2"}
    assert len(names.tenants) == 3
    assert (ids.tenant_id("vc-2", "acme"), ids.resource_id("vc-2", "vm/1")) in names.resource_tenants
    assert (ids.tenant_id("vc-1", "beta"), ids.resource_id("vc-1", "vm/1")) not in names.resource_tenants


def test_what_is_the_same_in_several_calls_has_the_same_keys_and_rank() -> None:
    """Invariant 2: neither company nor order changes a row's key or rank."""
    rows = [Row(resource=f"vm/{i}", quantity=i, covered=300 - i, attributes=f'{{"n":"{i % 3}"}}') for i in range(20)]
    together = metered(message(rows)).block.samples
    for i, row in enumerate(rows):
        alone = metered(message([row], sequence=40 + i)).block.samples
        assert {n: c[0] for n, c in alone.items()} == {n: c[i] for n, c in together.items()}


def test_contradicting_copies_always_have_different_ranks() -> None:
    """Invariant 2: of two versions one wins, in whatever order they come."""
    cell = Row()
    cells = [cell, replace(cell, quantity=601), replace(cell, attributes='{"a":"b"}'), replace(cell, tenant="beta")]
    cells += [replace(cell, covered=299), replace(cell, revision=1)]
    one = EVENT
    events = [one, replace(one, resource="vm/2"), replace(one, meter="blueprint.deployment"), replace(one, quantity=2)]
    events += [replace(one, start=T0 + 1), replace(one, tenant="beta"), replace(one, quantity=0)]
    events += [replace(one, quantity=0, covered=0), replace(one, revision=2)]
    for versions in (cells, events):
        rank = metered(message(versions)).block.samples["rank"]
        assert len(set(rank.tolist())) == len(versions)


def test_more_seconds_covered_win_then_the_revision() -> None:
    """Invariant 2, and the rule of §5."""
    versions = [Row(covered=300), Row(covered=200, revision=9, quantity=9999), Row(covered=300, revision=1)]
    rank = metered(message(versions)).block.samples["rank"]
    assert rank.argsort().tolist() == [1, 0, 2]


def test_events_carry_their_own_identity() -> None:
    """Invariant 2: (source, id) names an event, not its time or value."""
    later = replace(EVENT, start=T0 + 50, quantity=3)
    samples = metered(message([EVENT, Row(), later, replace(EVENT, event=("portal", "order-18"))])).block.samples
    high, low = samples["event_high"], samples["event_low"]
    assert (high[0], low[0]) == (high[2], low[2]) != (high[3], low[3])
    assert (high[1], low[1]) == (0, 0)
    assert samples["rank"][0] > samples["rank"][2], "the earliest time counts"


def test_touched_names_the_cells_of_each_tenant() -> None:
    rows = [Row(start=T0 + 900), Row(start=T0), Row(tenant="beta", start=T0 + 600), Row(tenant="gone", quantity=-1)]
    touched = metered(message(rows)).touched
    assert touched == {
        ids.tenant_id(SITE, "acme"): Period(T0, T0 + 901),
        ids.tenant_id(SITE, "beta"): Period(T0 + 600, T0 + 601),
    }


def test_names_are_given_once_and_again_after_forgetting() -> None:
    seen = Seen()
    one = message([Row(attributes='{"tier":"gold"}')])
    first = metered(one, seen=seen).block.names
    assert (first.sites, len(first.tenants), len(first.resources)) == ({ids.site_id(SITE): SITE}, 1, 1)
    assert first.attribute_sets == {ids.attributes_id('{"tier":"gold"}'): '{"tier":"gold"}'}
    assert metered(one, seen=seen).block.names == first, "not durable yet: given again"
    seen.remember(first)
    again = metered(one, seen=seen).block.names
    assert not any((again.sites, again.tenants, again.resources, again.resource_tenants, again.attribute_sets))
    new_pair = metered(message([Row(tenant="beta", attributes='{"tier":"gold"}')]), seen=seen).block.names
    assert len(new_pair.resource_tenants) == 1
    assert not new_pair.resources
    seen.keys.update(range(NAMES_REMEMBERED_MAX))
    seen.remember(first)
    assert len(seen.keys) == 5, "invariant 5: what is remembered is bounded"


def test_portions_are_bounded_and_keep_the_order() -> None:
    """Invariant 5."""
    assert PORTION_ROWS_MAX >= 100_000
    messages = [
        message([Row(start=T0 + 300 * i) for i in range(n)], sequence=s) for s, n in enumerate([3, 3, 9, 1, 0, 4])
    ]
    found = list(portions(messages, rows_max=6))
    assert [[r.meta.sequence for r in p.readable] for p in found] == [[0, 1], [2], [3, 4, 5]]
    assert list(portions([])) == []


def test_extreme_integers_become_letters_not_warnings() -> None:
    edge = 2**63 - 1
    rows = [Row(quantity=edge), Row(quantity=-edge - 1), Row(start=edge), Row(start=-edge - 1), Row(start=FOREVER * 2)]
    result = metered(message([*rows, Row()]))
    assert sum(d.rows for d in result.dead) == 5
    assert np.array_equal(result.block.samples["quantity"], [600])
