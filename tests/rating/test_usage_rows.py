"""Usage rows: every problem with its row, spreading without loss; guards invariants 2 and 6."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating import usage_rows as module
from rating.tables import USAGE_SCHEMA
from rating.usage_rows import span_of, usage_rows, usage_table
from rating.windows import segments_of
from schemas.errors import Misconfigured
from schemas.period import Period, iso
from tests.rating.helpers import DAY, HOUR, REGISTRY, T0, list_of, price

START, END = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"
LISTED = list_of(price("p", to=iso(T0 + 900 * 7)), price("q", **{"from": iso(T0 + 900 * 7)}), window="hour")


def row(**more: object) -> dict[str, object]:
    return {"resource": "vm/a", "meter": "vm.running", "from": START, "to": END, "quantity": "3600", **more}


def problems_of(*rows: dict[str, object]) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        usage_rows(rows, REGISTRY)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resource": " "}, "resource is empty"),
        ({"meter": None}, "meter is empty"),
        ({"meter": "vm.fast"}, "unknown meter 'vm.fast'; known are vm.running"),
        ({"from": "2026-01-01"}, "from: '2026-01-01' has no time zone"),
        ({"to": "tomorrow"}, "to: Invalid isoformat string"),
        ({"to": START}, "to must lie after from"),
        ({"to": ""}, "to is empty; only an event happens at one instant"),
        ({"from": "1950-01-01T00:00:00Z"}, "from and to must lie between 1970 and 2100"),
        ({"quantity": "1e3"}, "quantity '1e3' is no decimal number"),
        ({"quantity": "9" * 5000}, "is no decimal number"),
        ({"quantity": "٣"}, "is no decimal number"),
        ({"attributes": "[" * 100_000}, "attributes are not a JSON object"),
        ({"attributes": {"a": "\ud800"}}, "half of a surrogate pair"),
        ({"resource": "\ud800"}, "half of a surrogate pair"),
        ({"quantity": "-1"}, "quantity '-1' is no decimal number"),
        ({"quantity": "0.5"}, "quantity 0.5 s is no whole number of s, the base unit"),
        ({"quantity": "1", "unit": "GiB"}, "vm.running has no unit 'GiB'; choose s or VM·h"),
        ({"quantity": str(2**63)}, "exceeds 9223372036854775807 s"),
        ({"attributes": "{"}, "attributes are not a JSON object"),
        ({"attributes": "[1]"}, "attributes must be a JSON object of texts"),
        ({"attributes": {"a": 1}}, "attributes must be a JSON object of texts"),
        ({"attributes": {"a": "x"}, "attr.a": "y"}, "attribute 'a' is 'x' in attributes and 'y' in attr.a"),
    ],
)
def test_problems(change: dict[str, object], message: str) -> None:
    found = problems_of(row(resource="vm/ok"), row(**change))
    assert found[0].startswith("row 2: ")
    assert message in found[0]


def test_every_problem_is_listed_at_once() -> None:
    found = problems_of(row(resource="", meter="x"), row(color="red"), row(**{"from": "y", "to": "z"}), row())
    assert found[0] == (
        "column 'color' is unknown; known are resource, meter, from, to, quantity, unit, attributes and attr.*"
    )
    assert [p.split(":")[0] for p in found[1:]] == ["row 1", "row 1", "row 3", "row 3", "row 4"]
    assert "row 4: repeats row 2" in found[-1]


def test_a_missing_column_is_said_once() -> None:
    assert problems_of({"resource": "a"}, {"resource": "b"}) == [
        "column 'meter' is missing",
        "column 'from' is missing",
        "column 'quantity' is missing",
    ]
    assert problems_of() == ["there are no rows"]


def test_problems_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBLEMS_MAX", 2)
    assert problems_of(*(row(resource="") for _ in range(5)))[2:] == ["and 3 more"]


def test_units_and_attributes() -> None:
    given_rows = [
        row(meter="disk.capacity", quantity="17.5", unit="GiB·h", attributes='{"tier": "gold"}'),
        row(meter="disk.capacity", quantity="5", unit="MiB·s", **{"attr.tier": "gold", "attr.site": ""}, resource="b"),
        row(meter="image.deployment", to=START, quantity="2"),
    ]
    rows = usage_rows(given_rows, REGISTRY)
    assert [(r.quantity, r.attributes_json) for r in rows] == [
        (64_512_000, '{"tier":"gold"}'),
        (5, '{"tier":"gold"}'),
        (2, "{}"),
    ]
    assert rows[2].period == Period(T0, T0 + 1)


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["vm/a", "vm/b"]),
        st.sampled_from(["vm.running", "image.deployment"]),
        st.integers(0, 9 * HOUR),
        st.integers(1, 5 * HOUR),
        st.integers(0, 10**9),
        st.sampled_from(["", "gold"]),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda r: r[:4],
)
Spec = tuple[str, str, int, int, int, str]


@given(ROWS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_spreading_loses_nothing_in_any_order(specs: list[Spec], random: Random) -> None:
    raw = [
        {"resource": r, "meter": m, "from": iso(T0 + s), "quantity": str(q), "attr.tier": tier,
         **({} if m == "image.deployment" else {"to": iso(T0 + s + n)})}
        for r, m, s, n, q, tier in specs
    ]  # fmt: skip
    raw += [r for r in raw if r["meter"] == "image.deployment"]  # the same event count twice is two
    rows = usage_rows(raw, REGISTRY)
    segments = segments_of(span_of(rows), LISTED, "UTC")
    table = usage_table(rows, segments)
    random.shuffle(raw)
    assert usage_table(usage_rows(raw, REGISTRY), segments) == table
    usage = table.usage
    assert usage.schema.equals(USAGE_SCHEMA)
    assert sum(usage["quantity"].to_pylist()) == sum(r.quantity for r in rows)
    assert sum(usage["covered_seconds"].to_pylist()) == sum(r.period.seconds for r in rows)
    assert set(usage["segment_start"].to_pylist()) <= set(segments.edges[:-1])
    assert set(usage["resource_id"].to_pylist()) == set(table.resources)
    assert set(usage["attributes_id"].to_pylist()) == set(table.attribute_sets)
    assert all(usage["digest"].to_pylist())
    keys = [tuple(r[n] for n in USAGE_SCHEMA.names[:5]) for r in usage.to_pylist()]
    assert keys == sorted(set(keys))


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = [
        row(meter="image.deployment", to=iso(T0 + DAY)),
        row(quantity=str(2**62)),
        row(quantity=str(2**62), to=iso(T0 + 60)),
    ]
    rows = usage_rows(raw, REGISTRY)
    segments = segments_of(span_of(rows), LISTED, "UTC")
    with pytest.raises(Misconfigured) as caught:
        usage_table(rows, segments)
    assert caught.value.problems == (
        "row 1: image.deployment counts events, and the row spans several windows",
        "the sum of a resource's quantities exceeds 9223372036854775807",
    )
    monkeypatch.setattr(module, "PARTS_MAX", 3)
    with pytest.raises(Misconfigured, match="more than 3 windows together"):
        usage_table(rows, segments)


def test_no_rows_make_an_empty_table() -> None:
    segments = segments_of(Period(T0, T0 + DAY), LISTED, "UTC")
    assert usage_table([], segments).usage.num_rows == 0
