"""The audit of the catalogue: each change one row, written in the transaction that makes it, never touched again."""

import hashlib
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from billing.catalogue_values import AUDIT_PAGE_MAX, Act, AuditEntry
from sinks.books.catalogue_schema import catalogue_audit as table


def record(
    connection: Connection,
    act: Act,
    action: str,
    subject: str,
    *,
    version: int | None = None,
    before: str | None = None,
    after: str | None = None,
    changes: str = "[]",
) -> int:
    """Append an entry and return its sequence; `before` and `after` are the documents, of which digests are kept."""
    sequence = int(connection.execute(select(func.coalesce(func.max(table.c.sequence), 0) + 1)).scalar_one())
    values = {
        "sequence": sequence,
        "at": act.at,
        "actor": act.actor,
        "action": action,
        "subject": subject,
        "version": version,
        "reason": act.reason,
        "digest_before": _digest(before),
        "digest_after": _digest(after),
        "changes": changes,
    }
    connection.execute(insert(table), values)
    return sequence


def page(connection: Connection, before: int | None, limit: int, subject: str | None) -> list[AuditEntry]:
    """Return entries with sequence < before, newest first; raises ValueError for a limit out of range."""
    if not 1 <= limit <= AUDIT_PAGE_MAX:
        raise ValueError(f"limit {limit} is not between 1 and {AUDIT_PAGE_MAX}")
    query = select(table).order_by(table.c.sequence.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.sequence < before)
    if subject is not None:
        query = query.where(table.c.subject == subject)
    return [_entry(row) for row in connection.execute(query)]


def _digest(document: str | None) -> str:
    return "" if document is None else hashlib.sha256(document.encode()).hexdigest()


def _entry(row: Row[*tuple[Any, ...]]) -> AuditEntry:
    return AuditEntry(**row._mapping)
