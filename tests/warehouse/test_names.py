"""Names, views, counters and touches over both engines. Guards invariant 1."""

from dataclasses import asdict
from decimal import Decimal

import pyarrow as pa
import pytest

from schemas.errors import Poison
from schemas.period import Period
from sinks.warehouse.protocol import NOW, MeteredBlock, Names, PriceName
from sinks.warehouse.store import Store
from tests.warehouse.stories import (
    CPU,
    DAY,
    DEPLOYED,
    HOUR,
    SITE,
    T0,
    Sample,
    attributes,
    block,
    claim,
    columns,
    line,
    lines,
    message,
    rating,
    resource,
    tenant,
)

ACME, BETA = 11, 12
PRICE = PriceName(77, "default", 3, "cpu-hour", "Compute", "cpu.used", "GHz·h", "0.05", "CU")


def test_names_are_read_back(warehouse: Store) -> None:
    rows = [Sample("vm1", labels='{"os":"Linux ä"}'), Sample("vm2", owner="t'2")]
    for stored_at in (1, 2):
        warehouse.write(block(*rows), stored_at)
    warehouse.write_names(resource_names={resource("vm1"): ("old", 10)})
    warehouse.write_names(resource_names={resource("vm1"): ("new", 20)})
    warehouse.write_names(resource_names={resource("vm1"): ("older", 5)})
    assert warehouse.tenants() == {tenant("t1"): ("site-a", "t1"), tenant("t'2"): ("site-a", "t'2")}
    pairs = sorted([(tenant("t1"), resource("vm1")), (tenant("t'2"), resource("vm2"))])
    assert warehouse.resource_tenants() == pairs
    assert warehouse.resource_tenants([tenant("t1")]) == [(tenant("t1"), resource("vm1"))]
    assert warehouse.resource_tenants([]) == []
    assert warehouse.resource_names([resource("vm1"), resource("vm2"), 5]) == {
        resource("vm1"): ("site-a", "vm/vm1", "new"),
        resource("vm2"): ("site-a", "vm/vm2", ""),
    }
    assert warehouse.attribute_sets()[attributes('{"os":"Linux ä"}')] == '{"os":"Linux ä"}'
    assert warehouse.attribute_sets([attributes("{}")]) == {attributes("{}"): "{}"}


def test_counters_add_up_under_redelivery_and_replay(warehouse: Store) -> None:
    first = block(Sample(quantity=1), Sample(start=T0 + 300), intake=[message(1, 3, dead=1)])
    for stored_at in (1, 2, 3):
        warehouse.write(first, stored_at)
    warehouse.write(block(Sample(start=T0 + 600), intake=[message(2, 1, replay_of="samples/0/1")]), 4)
    warehouse.write(block(Sample(quantity=1), intake=[message(1, 1, collector="c2")]), 5)
    counters = warehouse.counters()
    assert (counters.accepted, counters.stored, counters.dead) == (4, 4, 1)
    assert (counters.replayed, counters.unique, counters.messages) == (1, 3, 3)
    assert asdict(counters) == asdict(warehouse.intake_totals()) | {"unique": 3}


def test_touched_tells_tenants_and_days_of_a_span_of_storing(warehouse: Store) -> None:
    warehouse.write(block(Sample(), Sample(start=T0 + 600), Sample(start=T0 + DAY)), 1_000)
    warehouse.write(block(Sample(owner="t2", start=T0 - 300)), 2_000)

    def touched(since: int, before: int) -> set[tuple[int, int]]:
        found = warehouse.touched(since, before)
        return set(zip(found["tenant_id"].to_pylist(), found["day"].to_pylist(), strict=True))

    one, two = {(tenant("t1"), T0), (tenant("t1"), T0 + DAY)}, {(tenant("t2"), T0 - DAY)}
    assert touched(0, NOW) == one | two
    assert (touched(1_000, 2_000), touched(1_001, 2_001), touched(2_001, NOW)) == (one, two, set())


def test_an_empty_block_is_nothing(warehouse: Store) -> None:
    warehouse.write(MeteredBlock(columns([]), Names(), ()), 1)
    assert warehouse.counters().messages == 0


def fill(warehouse: Store) -> None:
    warehouse.write_names(
        accounts={ACME: "acme", BETA: "beta"},
        prices=[PRICE],
        resource_names={resource("vm1"): ("web-1", 1)},
        meters={CPU: ("cpu.used", "MHz·s", "GHz·h", 3_600_000), DEPLOYED: ("vm.deployed", "events", "events", 1)},
    )
    rows = [
        Sample("vm1", quantity=7_200_000, labels='{"tier":"gold"}'),
        Sample("vm1", quantity=1, covered=10),
        Sample("vm2", quantity=3_600_000),
        Sample("vm1", T0 + HOUR, 3_600_000),
        Sample("vm1", T0 + 60, 1, meter=DEPLOYED, event="e1"),
        Sample("vm1", T0 + 90, 1, meter=DEPLOYED, event="e1"),
    ]
    warehouse.write(block(*rows), 1_000_000)


def test_analysts_see_names(warehouse: Store) -> None:
    fill(warehouse)
    found = warehouse.query("SELECT * FROM v_samples ORDER BY meter, resource_uuid, cell_start").to_pylist()
    assert [(r["meter"], r["resource_uuid"], r["quantity"]) for r in found] == [
        ("cpu.used", "vm1", 7_200_000),
        ("cpu.used", "vm1", 3_600_000),
        ("cpu.used", "vm2", 3_600_000),
        ("vm.deployed", "vm1", 1),
    ]
    first = found[0]
    assert (first["site"], first["tenant"], first["resource_kind"], first["resource_name"]) == (
        "site-a",
        "t1",
        "vm",
        "web-1",
    )
    assert (first["display_quantity"], first["display_unit"], first["attributes"]) == (2, "GHz·h", '{"tier":"gold"}')
    assert first["starts_at"].isoformat() == "2026-10-01T00:00:00+00:00"


def test_hourly_usage_goes_to_the_account_that_pays_then(warehouse: Store) -> None:
    fill(warehouse)
    first_hour = Period(0, T0 + HOUR)
    warehouse.write_attribution({ACME: [claim("t1")], BETA: [claim("t1", only=["vm2"])]}, 1_000)
    later = {
        ACME: [claim("t1", first_hour, excluded=["vm2"])],
        BETA: [claim("t1", first_hour, only=["vm2"]), claim("t1", Period(T0 + HOUR, T0 + DAY))],
    }
    hourly = "SELECT account, resource_uuid, hour_start, quantity FROM v_usage_hourly WHERE meter = 'cpu.used'"
    order = " ORDER BY account, resource_uuid, hour_start"

    def accounts() -> list[tuple[str, str, int]]:
        rows = warehouse.query(hourly + order).to_pylist()
        return [(r["account"], r["resource_uuid"], (r["hour_start"] - T0) // HOUR) for r in rows]

    assert accounts() == [("acme", "vm1", 0), ("acme", "vm1", 1), ("beta", "vm2", 0)]
    warehouse.write_attribution(later, 2_000)
    assert accounts() == [("acme", "vm1", 0), ("beta", "vm1", 1), ("beta", "vm2", 0)]
    warehouse.write_attribution({}, 3_000)
    assert {account for account, _, _ in accounts()} == {""}, "usage of nobody is shown, never dropped"


def test_lines_and_ratings_show_exact_amounts(warehouse: Store) -> None:
    fill(warehouse)
    day = Period(T0, T0 + DAY)
    table = lines(line(day, 1_234_567, 1), line(day, -2, 2, price=0))
    warehouse.write_rating([rating(ACME, day, 100, table)], table, 1_000)
    rows = warehouse.query("SELECT * FROM v_lines ORDER BY amount").to_pylist()
    assert [row["amount"] for row in rows] == [Decimal("-0.000002"), Decimal("1.234567")]
    assert [(r["account"], r["price"], r["product"], r["currency"]) for r in rows] == [
        ("acme", "", "", "CU"),
        ("acme", "cpu-hour", "Compute", "CU"),
    ]
    ratings = warehouse.query("SELECT account, amount, line_count, unpriced_count FROM v_ratings").to_pylist()
    assert ratings == [{"account": "acme", "amount": Decimal("1.234565"), "line_count": 2, "unpriced_count": 1}]


def test_an_analyst_reads_and_nothing_else(warehouse: Store) -> None:
    fill(warehouse)
    assert warehouse.query("SELECT ';' AS a -- comment;\n;").to_pydict() == {"a": [";"]}
    assert warehouse.query("SELECT site FROM sites WHERE site = 'none'").num_rows == 0
    for refused in (
        "",
        "DROP TABLE sites",
        "SELECT 1; DROP TABLE sites",
        "SELECT 'it''s'; DROP TABLE sites",
        "$$'$$; DROP TABLE sites; SELECT '",
        "SELECT 1 # '\n; DROP TABLE sites -- '",
        "SELECT 1 INTO /* */ OUTFILE 'x'",
        "INSERT INTO sites SELECT * FROM sites",
        "SELECT * FROM file('/etc/hostname', 'LineAsString', 'line String')",
        "SELECT no_such_column FROM sites",
    ):
        with pytest.raises(Poison):
            warehouse.query(refused)
    assert warehouse.query("SELECT site_id FROM sites").column("site_id") == pa.chunked_array(
        [pa.array([SITE], pa.uint64())]
    )


def test_tenants_that_shared_a_resource_know_each_other(warehouse: Store) -> None:
    """A resource that changes hands: its former tenant's account has to be rated again, too."""
    warehouse.write(block(Sample("vm1", owner="acme"), Sample("vm2", owner="birch")), 1_000)
    assert warehouse.cotenants() == {}
    warehouse.write(block(Sample("vm1", T0 + 300, owner="birch")), 2_000)
    assert warehouse.cotenants() == {tenant("acme"): {tenant("birch")}, tenant("birch"): {tenant("acme")}}
