"""POST events: durable or refused with a text that says what to mend; and OpenMeter's SDK as it is."""

import datetime
from collections.abc import Iterator
from typing import Any

import httpx
import openmeter
import orjson
import pyarrow as pa
import pytest
from openmeter.models import Event

from schemas.batch import CONTENT_TYPE, SCHEMA, BatchMeta, encode, table_of
from schemas.cloudevents import BODY_BYTES_MAX, CONTENT_TYPE_BATCH, CONTENT_TYPE_ONE, SAMPLE_TYPE
from tests.api.conftest import Api
from tests.api.world import NOW, World


def event(name: str, **fields: object) -> dict[str, Any]:
    return {"specversion": "1.0", "id": name, "source": "/t", "type": "image.deployment", "subject": "vm/1", **fields}


def arrow(**changed: object) -> bytes:
    columns: dict[str, Any] = {
        "resource": ["vm/1"],
        "meter": ["vm.vcpu"],
        "cell_start": [NOW - 300],
        "cell_seconds": [300],
        "quantity": [300],
    }
    return encode(table_of({**columns, **changed}), BatchMeta("vc-brno", "remote", 7, NOW))


def other_version() -> bytes:
    with pa.ipc.open_stream(arrow()) as reader:
        table = reader.read_all()
    changed = table.replace_schema_metadata({**table.schema.metadata, b"schema_version": b"9"})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, changed.schema) as writer:
        writer.write_table(changed)
    return sink.getvalue().to_pybytes()


@pytest.fixture
def taken(world: World) -> Iterator[World]:
    world.sink.taken.clear()
    yield world
    world.sink.fault = False


def post(client: httpx.Client, body: bytes, media: str, path: str = "/v1/events", **headers: str) -> httpx.Response:
    return client.post(path, content=body, headers={"content-type": media, **headers})


@pytest.mark.parametrize(
    ("media", "many"),
    [(CONTENT_TYPE_ONE, False), (CONTENT_TYPE_BATCH, True), ("application/json", False), ("application/json", True)],
)
def test_events_are_durable_when_accepted(api: Api, taken: World, media: str, many: bool) -> None:
    events = [event("a"), event("b", site="dc-2")] if many else event("a")
    answer = post(api("ingest"), orjson.dumps(events), f"{media}; charset=utf-8")
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2 if many else 1})
    assert [(row["event_id"], row["site"]) for row in taken.sink.rows()] == (
        [("a", "api"), ("b", "dc-2")] if many else [("a", "api")]
    )


def test_a_whole_batch_is_taken_as_it_came(api: Api, taken: World) -> None:
    assert post(api("ingest"), arrow(), CONTENT_TYPE).json() == {"accepted": 1}
    assert [(row["meter"], row["site"]) for row in taken.sink.rows()] == [("vm.vcpu", "vc-brno")]


def test_a_key_of_one_site_writes_to_no_other(api: Api, taken: World) -> None:
    client = api("ingest-site")
    assert post(client, orjson.dumps(event("a")), CONTENT_TYPE_ONE).status_code == 202
    assert post(client, arrow(), CONTENT_TYPE).status_code == 202
    assert {row["site"] for row in taken.sink.rows()} == {"vc-brno"}
    other = encode(table_of({**arrow_columns(), "quantity": [1]}), BatchMeta("vc-prague", "remote", 8, NOW))
    assert post(client, other, CONTENT_TYPE).status_code == 403
    refused = post(client, orjson.dumps(event("a", site="vc-prague")), CONTENT_TYPE_ONE)
    assert refused.json()["errors"][0]["pointer"] == "/0/site"


def arrow_columns() -> dict[str, Any]:
    return {"resource": ["vm/1"], "meter": ["vm.vcpu"], "cell_start": [0], "cell_seconds": [300]}


def test_one_bad_event_refuses_all_and_every_mistake_is_named(api: Api, taken: World) -> None:
    bad = [event("a"), event("b", type="nope"), event("c", time="2099-01-01T00:00:00Z", data={"value": -5})]
    answer = post(api("ingest"), orjson.dumps(bad), CONTENT_TYPE_BATCH)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert [e["pointer"] for e in answer.json()["errors"]] == ["/1/type", "/2/time", "/2/data/value"]
    assert taken.sink.taken == []


SAMPLE = {"meter": "vm.vcpu", "cell_start": "2026-10-20T11:55:00Z", "quantity": 300}
SOUL = {**SAMPLE, "meter": "vm.soul"}


@pytest.mark.parametrize(
    ("body", "media", "status", "hint"),
    [
        (arrow()[:-40], CONTENT_TYPE, 400, "Arrow IPC stream"),
        (b"not arrow", CONTENT_TYPE, 400, "Arrow"),
        (other_version(), CONTENT_TYPE, 400, "version 9"),
        (b'{"data": NaN}', CONTENT_TYPE_ONE, 400, "NaN"),
        (orjson.dumps(event("a", data={"value": "NaN"})), CONTENT_TYPE_ONE, 400, "whole number"),
        (orjson.dumps(event("a", data={"value": -1})), CONTENT_TYPE_ONE, 400, "outside 0"),
        (orjson.dumps(event("a", time="2031-01-01T00:00:00Z")), CONTENT_TYPE_ONE, 400, "mend the clock"),
        (orjson.dumps(event("a", type=SAMPLE_TYPE, data=SOUL)), CONTENT_TYPE_ONE, 400, "/v1/meters"),
        (b"x" * (BODY_BYTES_MAX + 2_000_000), CONTENT_TYPE_ONE, 413, "at most 8388608 bytes"),
        (b"<event/>", "text/xml", 415, "application/cloudevents+json"),
        (b"", "", 415, "application/cloudevents+json"),
        (b"", CONTENT_TYPE_ONE, 400, "not JSON"),
        (orjson.dumps([event("a")]), CONTENT_TYPE_ONE, 400, "one event"),
        (orjson.dumps([event("a")] * 1001), CONTENT_TYPE_BATCH, 400, "at most 1000"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/events", "/api/v1/events"])
def test_bad_input_says_what_to_mend(
    api: Api, taken: World, body: bytes, media: str, status: int, hint: str, path: str
) -> None:
    answer = post(api("ingest"), body, media, path)
    assert answer.status_code == status, answer.text
    assert hint in answer.text
    assert taken.sink.taken == []


def test_a_body_without_length_is_cut_off_too(api: Api, taken: World) -> None:
    parts = (b"x" * 65536 for _ in range(BODY_BYTES_MAX // 65536 + 20))
    answer = api("ingest").post("/v1/events", content=parts, headers={"content-type": CONTENT_TYPE_ONE})
    assert answer.status_code == 413


def test_compressed_bodies_are_refused_and_say_so(api: Api, taken: World) -> None:
    answer = post(api("ingest"), b"...", CONTENT_TYPE_ONE, **{"content-encoding": "gzip"})
    assert answer.status_code == 415
    assert "gzip" in answer.json()["detail"]


def test_a_full_spool_is_a_503_with_a_time_to_come_back(api: Api, taken: World) -> None:
    taken.sink.fault = True
    answer = post(api("ingest"), orjson.dumps(event("a")), CONTENT_TYPE_ONE)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "spool" not in answer.text


def test_openmeters_sdk_works_unchanged(url: str, taken: World) -> None:
    def one(name: str, **data: object) -> Event:
        return Event(
            id=name,
            source="my-app",
            specversion="1.0",
            type="image.deployment",
            subject="customer-1",
            time=datetime.datetime.fromtimestamp(NOW, datetime.UTC),
            data=data,
        )

    with openmeter.Client(endpoint=url, token=taken.tokens["ingest"]) as client:
        client.events.ingest_event(one("one", value="3", image="debian"))
        client.events.ingest_events([one("two"), one("three", value=2)])
        client.events.ingest_events_json(one("four"))
        client.events.ingest_events_json([one("five"), one("six")])
    rows = {row["event_id"]: row for row in taken.sink.rows()}
    assert {name: row["quantity"] for name, row in rows.items()} == {
        "one": 3, "two": 1, "three": 2, "four": 1, "five": 1, "six": 1,
    }  # fmt: skip
    assert rows["one"] | {"quantity": 0} == {
        "site": "api",
        "resource": "subject/customer-1",
        "tenant": "customer-1",
        "meter": "image.deployment",
        "cell_start": NOW,
        "cell_seconds": 1,
        "covered_seconds": 1,
        "quantity": 0,
        "attributes": '{"image":"debian"}',
        "revision": 0,
        "event_source": "my-app",
        "event_id": "one",
    }


def test_openmeters_sdk_reads_our_problems(url: str, taken: World) -> None:
    bad = Event(id="x", source="s", specversion="1.0", type="nope", subject="c")
    with openmeter.Client(endpoint=url, token=taken.tokens["ingest"]) as client:
        with pytest.raises(Exception, match=r"400|Bad Request") as caught:
            client.events.ingest_event(bad)
        assert caught.value.status_code == 400  # type: ignore[attr-defined]
    with (
        openmeter.Client(endpoint=url, token="sm_wrong_secret") as client,
        pytest.raises(Exception, match=r"Unauthorized|401") as refused,
    ):
        client.events.ingest_event(bad)
    assert refused.value.status_code == 401  # type: ignore[attr-defined]


def test_the_schema_is_the_contracts(taken: World, api: Api) -> None:
    post(api("ingest"), orjson.dumps(event("a", type=SAMPLE_TYPE, data=SAMPLE)), CONTENT_TYPE_ONE)
    assert taken.sink.taken[0][1].schema.equals(SCHEMA)
