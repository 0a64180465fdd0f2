"""How far each job has come. A cursor only saves work: no number depends on it."""

from sqlalchemy import Connection, insert, select, update

from sinks.books.schema import cursors


def get(connection: Connection, job: str) -> int:
    """Return the position of a job, 0 when it has none."""
    position = connection.execute(select(cursors.c.position).where(cursors.c.job == job)).scalar_one_or_none()
    return position or 0


def advance(connection: Connection, job: str, to: int) -> None:
    """Move a job forward; does nothing when it is that far already."""
    standing = connection.execute(select(cursors.c.position).where(cursors.c.job == job)).scalar_one_or_none()
    if standing is None:
        connection.execute(insert(cursors), {"job": job, "position": to})
    elif standing < to:
        connection.execute(update(cursors).where(cursors.c.job == job), {"position": to})
