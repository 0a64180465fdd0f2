"""One world and one server for the tests of the API; tests that change something use names of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.serving import serving
from tests.api.world import World, build, services

Api = Callable[[str], httpx.Client]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("api-world")
    built = build(folder)
    yield built
    built.warehouse.close()
    built.books.close()


@pytest.fixture(scope="session")
def url(world: World) -> Iterator[str]:
    with serving(services(world)) as base:
        yield base


@pytest.fixture(scope="session")
def api(url: str, world: World) -> Iterator[Api]:
    """A client for each named key; "" has none."""
    clients: dict[str, httpx.Client] = {}

    def client(name: str) -> httpx.Client:
        if name not in clients:
            headers = {"Authorization": f"Bearer {world.tokens[name]}"} if name else {}
            clients[name] = httpx.Client(base_url=url, headers=headers, timeout=60)
        return clients[name]

    yield client
    for one in clients.values():
        one.close()


@pytest.fixture
def admin(api: Api) -> httpx.Client:
    return api("admin")


@pytest.fixture
def acme(api: Api) -> httpx.Client:
    return api("acme")
