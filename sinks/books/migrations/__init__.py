"""Alembic migrations of the books, run by `sinks.books.migrate`."""
