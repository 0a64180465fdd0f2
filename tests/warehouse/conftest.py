"""One suite over both engines. chDB opens one folder a process, so all tests share one and take a database each."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks.warehouse.connect import open_warehouse
from sinks.warehouse.embedded import open_folder
from sinks.warehouse.store import Store
from tests.warehouse.stories import NOW_MICROS

ENGINES = ["embedded", pytest.param("native", marks=pytest.mark.server)]


def ticking() -> int:
    return NOW_MICROS


@pytest.fixture(scope="session")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chdb")


@pytest.fixture
def chdb_folder(own_folder: Path) -> Path:
    """The folder for embedded warehouses: the one that another suite of this process has open, else one of ours."""
    return open_folder() or own_folder


def embedded_url(folder: Path, database: str) -> str:
    return f"chdb://{folder}?database={database}"


@pytest.fixture(params=ENGINES)
def warehouse_url(request: pytest.FixtureRequest) -> str:
    """URL of a database that does not exist yet."""
    database = f"w_{uuid.uuid4().hex}"
    if request.param == "embedded":
        return embedded_url(request.getfixturevalue("chdb_folder"), database)
    url: str = request.getfixturevalue("clickhouse_server").database_url(database)
    return url


@pytest.fixture
def empty(warehouse_url: str) -> Iterator[Store]:
    """A warehouse that was never migrated."""
    opened = open_warehouse(warehouse_url, clock=ticking)
    yield opened
    drop(opened)
    opened.close()


@pytest.fixture
def warehouse(empty: Store) -> Store:
    """A migrated, empty warehouse."""
    empty.migrate()
    return empty


@pytest.fixture
def embedded(chdb_folder: Path) -> Iterator[Store]:
    """A migrated warehouse on chDB, beside a native one in the same test."""
    opened = open_warehouse(embedded_url(chdb_folder, f"w_{uuid.uuid4().hex}"), clock=ticking)
    opened.migrate()
    yield opened
    drop(opened)
    opened.close()


def drop(store: Store) -> None:
    """Give disk and background threads back before the next test."""
    if store.engine.exists("schema_migrations"):
        store.engine.execute(f"DROP DATABASE `{store.engine.database}`")
