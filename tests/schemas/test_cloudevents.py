"""CloudEvents in: what becomes a sample, and that everything wrong is named at once."""

import math
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.validation import check, columns_of
from schemas.batch import SCHEMA
from schemas.cloudevents import EVENTS_MAX, SAMPLE_TYPE, BadEvents, parse, rows_by_site
from schemas.meters import QUANTITY_MAX, Registry, builtin
from schemas.period import parse_instant

NOW = parse_instant("2026-10-20T12:00:00Z")
REGISTRY = builtin().extended(
    [
        {
            "key": "tokens.used",
            "name": "Tokens",
            "kind": "event",
            "base": "token",
            "display": {"token": 1},
            "event": {"type": "com.example.prompt", "value": "tokens", "attributes": {"model": "model_name"}},
        }
    ]
)


def event(**fields: object) -> dict[str, Any]:
    plain = {"specversion": "1.0", "id": "e1", "source": "/app", "type": "image.deployment", "subject": "vm/1"}
    return {k: v for k, v in {**plain, **fields}.items() if v is not ...}


def sample(**data: object) -> dict[str, Any]:
    plain = {"meter": "vm.vcpu", "cell_start": "2026-10-20T11:55:00Z", "quantity": 600}
    return event(type=SAMPLE_TYPE, data={k: v for k, v in {**plain, **data}.items() if v is not ...})


def rows(*events: dict[str, Any], site: str | None = None, registry: Registry = REGISTRY) -> list[dict[str, Any]]:
    found = rows_by_site(parse(orjson.dumps(list(events))), registry, NOW, site)
    return [{**row, "site": place} for place, batch in found.items() for row in batch.to_pylist()]


def problems(*events: dict[str, Any], site: str | None = None) -> dict[str, str]:
    with pytest.raises(BadEvents) as caught:
        rows(*events, site=site)
    return {f"{p.index} {p.field}": p.detail for p in caught.value.problems}


def test_an_event_counts_as_one_in_its_second() -> None:
    (row,) = rows(event(time="2026-10-20T13:59:58.7+02:00", data={"image": "debian-12", "other": 3}))
    assert row == {
        "site": "api",
        "resource": "vm/1",
        "meter": "image.deployment",
        "cell_start": parse_instant("2026-10-20T11:59:58Z"),
        "cell_seconds": 1,
        "quantity": 1,
        "covered_seconds": 1,
        "tenant": "vm/1",
        "attributes": '{"image":"debian-12"}',
        "revision": 0,
        "event_source": "/app",
        "event_id": "e1",
    }


def test_a_meter_may_name_the_value_and_the_attributes() -> None:
    data = {"tokens": "1234", "model_name": "small"}
    (row,) = rows(event(type="com.example.prompt", subject="customer-1", tenant="org-7", site="dc-2", data=data))
    assert (row["meter"], row["quantity"], row["attributes"]) == ("tokens.used", 1234, '{"model":"small"}')
    assert (row["resource"], row["tenant"], row["site"]) == ("subject/customer-1", "org-7", "dc-2")
    assert row["cell_start"] == NOW


def test_a_cell_sample_takes_the_meters_grid() -> None:
    (row,) = rows(sample(tenant="org", attributes={"tier": "gold"}, covered_seconds=150, revision=2))
    assert (row["cell_seconds"], row["covered_seconds"], row["quantity"], row["revision"]) == (300, 150, 600, 2)
    assert (row["tenant"], row["attributes"], row["event_id"]) == ("org", '{"tier":"gold"}', None)


def test_rows_are_in_the_contracts_schema_and_apart_by_site() -> None:
    found = rows_by_site([event(site="b"), event(id="e2", site="a"), sample()], REGISTRY, NOW)
    assert list(found) == ["a", "api", "b"]
    assert all(batch.schema.equals(SCHEMA) for batch in found.values())


@pytest.mark.parametrize(
    ("bad", "field", "hint"),
    [
        (event(specversion="0.3"), "specversion", "1.0"),
        (event(id=...), "id", "required"),
        (event(source=""), "source", "not empty"),
        (event(subject=...), "subject", "required"),
        (event(subject="a/"), "subject", "kind/native"),
        (event(subject="ä/1"), "subject", "kind/native"),
        (event(subject="x" * 512), "subject", "at most 512"),
        (event(subject="a\0b"), "subject", "control character"),
        (event(type="no.such"), "type", "/v1/meters"),
        (event(type="vm.vcpu"), "type", SAMPLE_TYPE),
        (event(time="yesterday"), "time", "RFC 3339"),
        (event(time="2026-10-20T11:00:00"), "time", "zone"),
        (event(time="2031-01-01T00:00:00Z"), "time", "ahead"),
        (event(time="9999-12-31T23:59:59-12:00"), "time", "ahead"),
        (event(time="1990-01-01T00:00:00Z"), "time", "2000-01-01"),
        (event(data=[1]), "data", "object"),
        (event(data_base64="AA=="), "data_base64", "JSON object"),
        (event(datacontenttype="text/xml"), "datacontenttype", "application/json"),
        (event(data={"value": 1.5}), "data.value", "integer"),
        (event(data={"value": -1}), "data.value", "outside"),
        (event(data={"value": QUANTITY_MAX + 1}), "data.value", "outside"),
        (event(data={"value": "NaN"}), "data.value", "integer"),
        (event(data={"value": True}), "data.value", "integer"),
        (event(data={"value": 1e300}), "data.value", "outside"),
        (event(data={"image": [1]}), "data.image", "text"),
        (event(type="com.example.prompt", data={}), "data.tokens", "integer"),
        (sample(meter="nope"), "data.meter", "/v1/meters"),
        (sample(meter="image.deployment"), "data.meter", "image.deployment"),
        (sample(cell_start="2026-10-20T11:57:00Z"), "data.cell_start", "2026-10-20T11:55:00Z"),
        (sample(cell_start=...), "data.cell_start", "RFC 3339"),
        (sample(quantity=...), "data.quantity", "integer"),
        (sample(covered_seconds=301), "data.covered_seconds", "0 to 300"),
        (sample(covered_seconds=0), "data.covered_seconds", "nothing can be used in 0 s"),
        (sample(revision=5000), "data.revision", "outside"),
        (sample(attributes={str(i): "x" for i in range(17)}), "data.attributes", "at most 16"),
        (sample(attributes="gold"), "data.attributes", "object"),
    ],
)
def test_what_is_wrong_is_named_with_how_to_mend_it(bad: dict[str, Any], field: str, hint: str) -> None:
    found = problems(event(id="fine"), bad)
    assert list(found) == [f"1 {field}"]
    assert hint in found[f"1 {field}"]


def test_every_problem_of_every_event_is_listed_and_none_is_taken() -> None:
    found = problems(event(id=..., specversion="2"), event(), sample(quantity=-1, revision=-1))
    assert list(found) == ["0 specversion", "0 id", "2 data.quantity", "2 data.revision"]


def test_a_key_of_one_site_takes_no_other() -> None:
    assert rows(event(), site="dc-1")[0]["site"] == "dc-1"
    assert list(problems(event(site="dc-2"), site="dc-1")) == ["0 site"]


@pytest.mark.parametrize(
    ("body", "batch", "hint"),
    [
        (b"{", None, "not JSON"),
        (b'[{"data": NaN}]', None, "NaN"),
        (b'"text"', None, "not a JSON object"),
        (b"[]", True, "at least one"),
        (b"{}", True, "array"),
        (b"[]", False, "one event"),
        (b"[1]", True, "cannot be taken"),
        (orjson.dumps([{}] * (EVENTS_MAX + 1)), True, "at most 1000"),
    ],
)
def test_a_body_of_another_shape_is_refused(body: bytes, batch: bool | None, hint: str) -> None:
    with pytest.raises(BadEvents) as caught:
        parse(body, batch=batch)
    assert hint in " ".join([caught.value.detail, *(p.detail for p in caught.value.problems)])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.builds(
        lambda base, extra: {**base, **extra},
        st.sampled_from([event(), sample(), event(type="com.example.prompt", data={"tokens": 3})]),
        st.dictionaries(
            st.sampled_from(["id", "source", "type", "subject", "time", "tenant", "site", "data", "x"]),
            JSON,
            max_size=3,
        ),
    )
)
def test_whatever_is_taken_here_does_not_die_in_the_metering_core(fields: dict[str, Any]) -> None:
    try:
        taken = rows_by_site([fields], REGISTRY, NOW)
    except BadEvents:
        return
    for batch in taken.values():
        verdict, _ = check(columns_of(pa.Table.from_batches([batch])), REGISTRY, NOW)
        assert np.all(verdict == -1)


def test_json_has_no_nan() -> None:
    assert orjson.dumps(math.nan) == b"null", "so NaN reaches us only as a text or as bad JSON"
