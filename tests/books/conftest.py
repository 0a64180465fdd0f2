"""Books on both engines; each test has a database of its own."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from billing.protocol import Books
from sinks.books.connect import open_books
from sinks.books.engine import Database

ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.server)]


@pytest.fixture(params=ENGINES)
def books_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/books.db"
    url: str = request.getfixturevalue("postgres_server").create_database(f"books_{uuid.uuid4().hex}")
    return url


@pytest.fixture
def books(books_url: str) -> Iterator[Books]:
    """Migrated books."""
    opened = open_books(books_url)
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def database(books: Books, books_url: str) -> Iterator[Database]:
    """The same database for statements that the books themselves never make."""
    opened = Database(books_url)
    yield opened
    opened.close()
