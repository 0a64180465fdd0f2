"""The SQL engine, its transactions and its errors.

Every write transaction holds the one write lock of the books from its first statement: on SQLite by BEGIN IMMEDIATE,
on PostgreSQL by an advisory lock. So a write reads what it decides on without a race, both engines run the same code,
and the journal's sequence becomes visible in its own order. The ledger takes some hundred transfers a second this way,
far above one debit an hour for each of 100,000 accounts; reads never wait.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy import exc as sql_errors

from schemas.errors import Invariant, Misconfigured, StratometerError, Transient

WRITE_LOCK_KEY: Final = 0x5354_5241_544F_4D45
"""PostgreSQL's advisory lock of the books: "STRATOME"."""
LOCK_SECONDS_MAX: Final = 30
CONNECT_SECONDS_MAX: Final = 10
POOL_CONNECTIONS_MAX: Final = 10
_WAL_PAUSE_SECONDS: Final = 0.01
_WRITE: Final = "stratometer_write"
_SQLITE_TRANSIENT: Final = {
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_CANTOPEN",
    "SQLITE_PROTOCOL",
    "SQLITE_NOMEM",
    "SQLITE_INTERRUPT",
}
_POSTGRES_NO_TABLE: Final = "42P01"


class Database:
    """Opens transactions; the only holder of connections."""

    def __init__(self, url: str) -> None:
        """Prepare an engine for a URL; nothing connects yet.

        Raises:
            Misconfigured: not a URL of SQLite (a file) or PostgreSQL.
        """
        self._url = _supported(url)
        self.dialect: Final = self._url.get_backend_name()
        self._engine = _engine(self._url)
        self._writing = threading.Lock()
        self._reader = self._engine
        if self.dialect == "postgresql":  # SQLite's transactions see one moment anyway
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            self._reader = self._engine.execution_options(**options)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads, all of it as of one moment."""
        with self._translated(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that holds the write lock; commits at the end, rolls back on any error.

        Raises:
            Transient: the server is away, the disk is full, or another writer held the lock for LOCK_SECONDS_MAX.
        """
        with self._translated(), self._pen(), self._engine.connect() as plain:
            connection = plain.execution_options(**{_WRITE: True})
            with connection.begin():
                if self.dialect == "postgresql":
                    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS_MAX}s'"))
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITE_LOCK_KEY})
                yield connection

    @contextmanager
    def _pen(self) -> Iterator[None]:
        """Let the writing threads of this process queue before SQLite, whose own waiting is a poll with long pauses."""
        if self.dialect != "sqlite":
            yield
        elif self._writing.acquire(timeout=LOCK_SECONDS_MAX):
            try:
                yield
            finally:
                self._writing.release()
        else:
            raise Transient(f"books: another thread wrote for more than {LOCK_SECONDS_MAX} s")

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sql_errors.SQLAlchemyError as error:
            raise _translate(error, self._url) from error


def _supported(url: str) -> URL:
    try:
        parsed = make_url(url)
    except sql_errors.ArgumentError:  # its message repeats the URL, which may hold a password
        raise Misconfigured(["books: not a URL, expected sqlite:///file or postgresql://user@host/database"]) from None
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in (None, "", ":memory:") or "mode=memory" in str(parsed.database):
            raise Misconfigured(["books: SQLite needs a file; books in memory would lose money"])
        return parsed.set(drivername="sqlite+pysqlite")
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    raise Misconfigured([f"books: {parsed.drivername} is not supported, use sqlite or postgresql (psycopg)"])


def _engine(url: URL) -> Engine:
    shared: dict[str, Any] = {"hide_parameters": True, "max_overflow": 0, "pool_timeout": LOCK_SECONDS_MAX}
    if url.get_backend_name() == "sqlite":
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, pool_size=POOL_CONNECTIONS_MAX, **shared)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    connect = {"connect_timeout": CONNECT_SECONDS_MAX, "tcp_user_timeout": LOCK_SECONDS_MAX * 1000}
    return create_engine(url, pool_size=POOL_CONNECTIONS_MAX, pool_pre_ping=True, connect_args=connect, **shared)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver opens no transaction of its own; _begin_sqlite does
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={LOCK_SECONDS_MAX * 1000}")
    _to_wal(cursor)
    for pragma in (
        "synchronous=FULL",  # in WAL mode NORMAL may lose the last commits with the power
        "foreign_keys=ON",
        "recursive_triggers=ON",  # or INSERT OR REPLACE would pass the triggers that refuse deletion
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _to_wal(cursor: Any) -> None:
    """Switch a file to WAL, where it stays. Two that switch a new file at once do not wait for each other: we do."""
    until = time.monotonic() + LOCK_SECONDS_MAX
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > until:
                raise
            time.sleep(_WAL_PAUSE_SECONDS)


def _begin_sqlite(connection: Connection) -> None:
    # A write that began as a read could not become one after another writer committed; so it says so from the start.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITE) else "BEGIN")


def _translate(error: sql_errors.SQLAlchemyError, url: URL) -> StratometerError:
    where = url.render_as_string(hide_password=True)
    if isinstance(error, sql_errors.TimeoutError):
        return Transient(f"books {where}: all {POOL_CONNECTIONS_MAX} connections are busy")
    if not isinstance(error, sql_errors.DBAPIError):
        return Invariant(f"books {where}: {error}")
    cause = str(error.orig).strip()
    if isinstance(error, sql_errors.IntegrityError):
        return Invariant(f"books {where} refused a write: {cause}")
    if "no such table" in cause or getattr(error.orig, "sqlstate", None) == _POSTGRES_NO_TABLE:
        return Misconfigured([f"books {where} have no tables yet or old ones: run `stratometer migrate`"])
    if error.connection_invalidated or isinstance(error, sql_errors.InterfaceError):
        return Transient(f"books {where}: {cause}")
    if isinstance(error, sql_errors.OperationalError):
        code = str(getattr(error.orig, "sqlite_errorname", ""))
        if not code or any(code == known or code.startswith(f"{known}_") for known in _SQLITE_TRANSIENT):
            return Transient(f"books {where}: {cause}")
    return Invariant(f"books {where}: {cause}")
