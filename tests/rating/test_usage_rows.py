"""Usage rows: every problem is told with its row; nothing is read inexactly."""

from fractions import Fraction

import pytest

from rating.files import usage_rows as module
from rating.files.usage_rows import span_of, usage_rows
from schemas.errors import Misconfigured
from schemas.meters import builtin
from schemas.period import Period, parse_instant

REGISTRY = builtin()
START, END, LATER = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "2026-02-01T00:00:00Z"
T0 = parse_instant(START)


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
        ({"quantity": "--1"}, "quantity '--1' is no decimal number"),
        ({"quantity": "0.5"}, "quantity 0.5 s is no whole number of s, the base unit; round it, or measure it with a"),
        ({"quantity": str(-(2**63))}, "exceeds 9223372036854775807 s"),
        ({"received": "soon"}, "received: Invalid isoformat string"),
        ({"received": "2101-01-01T00:00:00Z"}, "received must lie between 1970 and 2100"),
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
        "column 'color' is unknown; "
        "known are resource, meter, from, to, quantity, unit, attributes, received and attr.*"
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
    assert [r.received for r in rows] == [None] * 3
    assert span_of(rows) == Period(T0, T0 + 3600)


def test_units_of_a_price_list_add_to_those_of_the_meter() -> None:
    units = {"net.out.bytes": {"TB": Fraction(10**12), "third": Fraction(1, 3)}}
    raw = [
        row(meter="net.out.bytes", quantity="1.5", unit="TB"),
        row(meter="net.out.bytes", quantity="6", unit="third", resource="b"),
    ]
    assert [r.quantity for r in usage_rows(raw, REGISTRY, units)] == [1_500_000_000_000, 2]
    assert "net.out.bytes has no unit 'TB'; choose byte or GB or GiB" in problems_of(raw[0])[0]


def test_corrections_are_negative_and_no_repetition() -> None:
    raw = [row(), row(quantity="-3600"), row(quantity=str(1 - 2**63), resource="b")]
    assert [r.quantity for r in usage_rows(raw, REGISTRY)] == [3600, -3600, 1 - 2**63]
    found = problems_of(*raw, row(quantity="-1"))
    assert [p.split(" (")[0] for p in found] == ["row 4: repeats row 2"]


def test_what_arrived_at_another_time_is_no_repetition() -> None:
    raw = [row(), row(received=LATER), row(meter="image.deployment"), row(meter="image.deployment")]
    assert [r.received for r in usage_rows(raw, REGISTRY)] == [None, parse_instant(LATER), None, None]
    assert problems_of(*raw, row(received=LATER))[0].startswith("row 5: repeats row 2 ")
