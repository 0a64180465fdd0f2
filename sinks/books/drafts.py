"""Drafts of price lists: one for each list, saved by whoever saw the save before (optimistic locking)."""

from sqlalchemy import Connection, Row, delete, insert, select, update

from billing.catalogue_values import Act, Draft
from schemas.errors import Conflict
from sinks.books import catalogue_audit
from sinks.books.catalogue_schema import catalogue_drafts as table


def put(connection: Connection, draft: str, document: str, expected: int, act: Act) -> Draft:
    """Save a draft; the same document again changes nothing.

    Its revision is the sequence of its audit entry, so that no revision ever comes twice.

    Raises:
        ValueError: no id.
        Conflict: its revision is not the expected one (0: none yet).
    """
    if not draft:
        raise ValueError("a draft needs the id of its list")
    standing = require(connection, draft, expected)
    if standing and standing.document == document:
        return standing
    before = standing.document if standing else None
    revision = catalogue_audit.record(connection, act, "draft.save", draft, before=before, after=document)
    values = {"document": document, "revision": revision, "updated_at": act.at, "updated_by": act.actor}
    if standing:
        connection.execute(update(table).where(table.c.id == draft), values)
    else:
        connection.execute(insert(table), {"id": draft, **values})
    return Draft(draft, document, revision, act.at, act.actor)


def get(connection: Connection, draft: str) -> Draft | None:
    """Return a draft."""
    row = connection.execute(select(table).where(table.c.id == draft)).one_or_none()
    return _draft(row) if row else None


def all_of(connection: Connection) -> list[Draft]:
    """Return all drafts, by id in code point order."""
    return sorted(map(_draft, connection.execute(select(table))), key=lambda draft: draft.id)


def drop(connection: Connection, draft: str, expected: int, act: Act) -> None:
    """Delete a draft; raises Conflict unless its revision is the expected one."""
    standing = require(connection, draft, expected)
    if standing:
        catalogue_audit.record(connection, act, "draft.delete", draft, before=standing.document)
        remove(connection, draft)


def remove(connection: Connection, draft: str) -> None:
    """Take a draft away without a word, for what says it itself."""
    connection.execute(delete(table).where(table.c.id == draft))


def require(connection: Connection, draft: str, expected: int) -> Draft | None:
    """Return the draft, None without one; raises Conflict unless its revision is the expected one."""
    standing = get(connection, draft)
    revision = standing.revision if standing else 0
    if revision != expected:
        there = f"is at revision {revision} by {standing.updated_by or 'nobody'}" if standing else "does not exist"
        raise Conflict(f"draft {draft!r} {there}, not at revision {expected}: read it again")
    return standing


def _draft(row: Row[*tuple[object, ...]]) -> Draft:
    return Draft(**row._mapping)
