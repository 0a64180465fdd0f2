"""The way in: a URL becomes books."""

from billing.protocol import Books
from sinks.books.engine import Database
from sinks.books.store import SqlBooks


def open_books(url: str) -> Books:
    """Return the books at a URL; nothing connects before the first call, and `migrate` makes the tables.

    Args:
        url: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``postgresql://user:password@host:port/database``.

    Raises:
        Misconfigured: the URL is of no supported kind; its password is never repeated.
    """
    return SqlBooks(Database(url))
