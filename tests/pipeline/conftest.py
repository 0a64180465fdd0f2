"""chDB opens one folder a process, so all tests share one and take a database each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks.warehouse.embedded import open_folder
from tests.pipeline.provider import Provider, provider_in


@pytest.fixture(scope="session")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chdb-pipeline")


@pytest.fixture
def chdb_folder(own_folder: Path) -> Path:
    """The folder for embedded warehouses: the one that another suite of this process has open, else one of ours."""
    return open_folder() or own_folder


@pytest.fixture
def provider(tmp_path: Path, chdb_folder: Path) -> Iterator[Provider]:
    """A provider with prices and without accounts; its clock stands at 2026-10-01T00:00:00Z."""
    with provider_in(tmp_path, chdb_folder) as opened:
        opened.price()
        yield opened
