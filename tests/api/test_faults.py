"""When a store is away or our code is wrong: 503 or 500, nothing internal told, the live page says so and heals."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from api.live import StoreFeed
from api.problems import MEDIA_TYPE
from schemas.errors import Transient
from tests.api.serving import serving
from tests.api.world import World, services

SECRET = "password=hunter2"
PERIOD = {"from": "2026-10-16T22:00:00Z", "to": "2026-10-21T22:00:00Z"}


class Faulty:
    """A store that raises what it is told to, or answers as the real one."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.error: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            if self.error is not None:
                raise self.error
            return getattr(self.real, name)(*args, **more)

        return call


@pytest.fixture
def away(world: World) -> Iterator[tuple[Faulty, httpx.Client]]:
    store = Faulty(world.warehouse)
    broken: Any = replace(services(world), warehouse=store)
    with serving(broken) as url, httpx.Client(base_url=url, timeout=30) as client:
        client.headers["Authorization"] = f"Bearer {world.tokens['admin']}"
        yield store, client


def test_a_store_that_is_away_is_a_503_to_come_back_to(away: tuple[Faulty, httpx.Client]) -> None:
    store, client = away
    store.error = Transient(SECRET)
    for path in ("/v1/ready", "/v1/reconcile", "/v1/usage"):
        answer = client.get(path, params={"account": "acme", **PERIOD} if path == "/v1/usage" else {})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert SECRET not in answer.text
    assert client.get("/v1/ready").json()["errors"][0]["pointer"] == "warehouse"
    assert client.get("/v1/health").status_code == 200
    store.error = None
    assert client.get("/v1/ready").status_code == 200


def test_our_own_mistake_tells_nothing_internal(
    away: tuple[Faulty, httpx.Client], caplog: pytest.LogCaptureFixture
) -> None:
    store, client = away
    store.error = RuntimeError(SECRET)
    with caplog.at_level(logging.CRITICAL, "uvicorn.error"):
        answer = client.get("/v1/reconcile")
    assert (answer.status_code, answer.headers["content-type"]) == (500, MEDIA_TYPE)
    assert answer.json()["type"] == "/problems/internal"
    assert SECRET not in answer.text
    assert "Traceback" not in answer.text


def test_the_feed_keeps_its_last_figures_and_says_so(world: World) -> None:
    store = Faulty(world.warehouse)
    feed = StoreFeed(store, world.directory, world.registry, world.clock)
    good = feed.look()
    assert good.counters.accepted
    assert good.fault == ""
    store.error = Transient(SECRET)
    cut = feed.look()
    assert (cut.counters, cut.costs) == (good.counters, good.costs)
    assert "last figures" in cut.fault
    assert SECRET not in cut.fault
    store.error = None
    assert feed.look().fault == ""
