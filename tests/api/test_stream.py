"""The live stream: one snapshot a second, cut to the viewer's scope, and a bounded number of viewers."""

import json
import time
from collections.abc import Callable
from typing import Any, cast

import httpx
import pytest

from api.live import StoreFeed
from sinks.warehouse.protocol import Warehouse
from tests.api.conftest import Api
from tests.api.serving import serving
from tests.api.world import MARKER, World, services


def snapshots(client: httpx.Client, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    with client.stream("GET", "/v1/stream") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        for line in answer.iter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line[6:]))
                if len(found) == count:
                    break
    return found


def settled(client: httpx.Client) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        last = snapshots(client, 1)[-1]
        if last["lines"]:
            return last
    raise AssertionError("no lines came")


def test_the_provider_sees_all_and_figures_add_up(api: Api) -> None:
    seen = settled(api("reader"))
    assert {"acme", "acme-lab", "beta"} <= {a["id"] for a in seen["accounts"]}
    assert sum(a["amount"]["micros"] for a in seen["accounts"]) == sum(t["micros"] for t in seen["totals"])
    assert seen["pipeline"]["balanced"]
    assert seen["pipeline"]["accepted"] > 0
    assert seen["fault"] == ""
    line = next(one for one in seen["lines"] if one["price"])
    assert line["amount"]["currency"] == "CU"
    assert line["quantity"]["display_unit"]


def test_a_tenant_sees_its_own_subtree_only(api: Api) -> None:
    seen = settled(api("acme"))
    assert {a["id"] for a in seen["accounts"]} <= {"acme", "acme-lab", "new-one"}
    assert seen["pipeline"] is None
    assert MARKER not in json.dumps(seen)


def test_snapshots_go_on(api: Api) -> None:
    numbers = [one["number"] for one in snapshots(api("reader"), 3)]
    assert numbers == sorted(numbers)
    assert numbers[-1] > numbers[0]


class Counting:
    """A warehouse that counts the looks, and refuses to read every sample for one."""

    def __init__(self, real: Any) -> None:
        self.real, self.looks = real, 0

    def __getattr__(self, name: str) -> Any:
        assert name != "counters"
        self.looks += name == "intake_totals"
        return getattr(self.real, name)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_feed_looks_only_while_somebody_watches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.live.UNWATCHED_SECONDS", 0.5)
    store = Counting(world.warehouse)
    feed = StoreFeed(cast(Warehouse, store), world.directory, world.registry, world.clock, interval_seconds=0.01)

    def rests() -> bool:
        looks = store.looks
        time.sleep(1.5)
        return store.looks == looks

    feed.start()
    try:
        assert rests()
        assert (store.looks, feed.snapshot().number) == (0, 0)
        until(lambda: feed.snapshot().number > 2)
        assert feed.snapshot().costs
        until(rests)
        first = feed.snapshot()
        assert (first.at, first.costs, first.lines) == (0, {}, {}), "old figures are not shown as new"
        until(lambda: feed.snapshot().number > first.number)
        assert feed.snapshot().costs
        until(rests)
    finally:
        begun = time.monotonic()
        feed.stop()
    assert time.monotonic() - begun < 5, "a feed that rests ends, too"


def test_streams_are_bounded_end_with_the_viewer_and_with_the_feed(world: World) -> None:
    with serving(services(world, streams_max=1)) as url:
        headers = {"Authorization": f"Bearer {world.tokens['reader']}"}
        with httpx.Client(base_url=url, headers=headers, timeout=20) as client:
            with client.stream("GET", "/v1/stream") as first:
                lines = first.iter_lines()  # kept: a dropped iterator closes the connection
                next(lines)
                with httpx.stream("GET", f"{url}/v1/stream", headers=headers) as second:
                    assert second.status_code == 503
                    assert second.headers["retry-after"]
                assert next(lines) == ""
            deadline = time.monotonic() + 15
            while time.monotonic() < deadline:
                with client.stream("GET", "/v1/stream") as third:
                    if third.status_code == 200:
                        break
                time.sleep(0.2)
            assert third.status_code == 200
            begun = time.monotonic()
    assert time.monotonic() - begun < 15, "a stream must not hold up the shut-down"
