"""chDB: ClickHouse inside this process, on a folder of its own.

chDB opens one folder a process. Several stores of the process may share it, each with a session and a database of its
own; all calls take turns. Other processes go through the owner's API.
"""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, Final

import pyarrow as pa
import pyarrow.parquet as pq
from chdb import session as chdb_session

from schemas.errors import Invariant, Misconfigured, Poison, StratometerError, Transient
from sinks.warehouse.capability import Capability, Setting, rendered
from sinks.warehouse.engine import Values, exists_sql, read_only_statement, server_error
from sinks.warehouse.folder_lock import FolderLock

_SESSION: Final[Any] = chdb_session.Session  # untyped
_CODE: Final = re.compile(r"Code: (\d+)")


@dataclass(frozen=True, slots=True)
class EmbeddedOptions:
    """How to use a folder.

    Attributes:
        folder: where the data lies.
        database: database of all tables.
        owner_note: told to a second process that wants the folder: the address of this one's API.
        insert_timeout_seconds: after it an insert has failed.
        query_timeout_seconds: the same for a read.
        query_memory_bytes_max: memory of one read.
        query_threads_max: threads of one read.
    """

    folder: Path
    database: str = "stratometer"
    owner_note: str = ""
    insert_timeout_seconds: int = 60
    query_timeout_seconds: int = 300
    query_memory_bytes_max: int = 1_000_000_000
    query_threads_max: int = 2


class _Folder:
    """The one folder that this process has open, shared by its engines."""

    guard: ClassVar[threading.Lock] = threading.Lock()
    current: ClassVar["_Folder | None"] = None

    def __init__(self, path: Path, note: str) -> None:
        self.path = path
        self.users = 0
        self.calls = threading.RLock()
        self.lock = FolderLock(path, note)

    @classmethod
    def opened(cls, path: Path, note: str) -> "_Folder":
        with cls.guard:
            if cls.current is None:
                cls.current = cls(path, note)
            elif cls.current.path != path:
                raise Misconfigured([f"this process has the warehouse {cls.current.path} open; chDB takes one"])
            cls.current.users += 1
            return cls.current

    @contextmanager
    def turn(self, timeout_seconds: float | None) -> Iterator[float | None]:
        """Take a turn, and yield the seconds left; raises Transient when the others' calls took all of them."""
        end = None if timeout_seconds is None else monotonic() + timeout_seconds
        if not self.calls.acquire(timeout=-1 if timeout_seconds is None else timeout_seconds):
            raise Transient(f"chDB was busy for {timeout_seconds} s")
        try:
            yield None if end is None else end - monotonic()
        finally:
            self.calls.release()

    def released(self) -> None:
        with self.guard:
            self.users -= 1
            if not self.users:
                _Folder.current = None
                self.lock.release()


def open_folder() -> Path | None:
    """Return the folder that this process has open, if any: chDB takes no other."""
    with _Folder.guard:
        return _Folder.current.path if _Folder.current else None


class EmbeddedEngine:
    """Engine over chDB."""

    def __init__(self, options: EmbeddedOptions) -> None:
        """Open the folder, made if absent.

        Raises:
            Held: another process owns it.
            Misconfigured: this one has another folder open.
            Invariant: chDB cannot read it.
        """
        self._options = options
        self._folder = _Folder.opened(options.folder.absolute(), options.owner_note)
        self._closed = False
        try:
            with self._folder.calls:
                self._session: Any = _SESSION(str(self._folder.path / "data"))
            version, names = self._ask("SELECT version()"), self._ask("SELECT name FROM system.settings")
            self._capability = Capability(version[0], settings=frozenset(names))
            settings: dict[str, Setting] = {**self._select_settings(), "output_format_arrow_compression_method": "none"}
            self._run(f"SET {rendered(settings)}")
            if self.database in self._ask("SELECT name FROM system.databases"):
                self._run(f"USE `{self.database}`")
        except BaseException as error:
            self._folder.released()
            raise error if isinstance(error, StratometerError) else _error(error) from error

    @property
    def database(self) -> str:
        """Database of all tables."""
        return self._options.database

    @property
    def insert_timeout_seconds(self) -> int:
        """After it an insert has failed."""
        return self._options.insert_timeout_seconds

    @property
    def capability(self) -> Capability:
        """What chDB can do."""
        return self._capability

    def exists(self, table: str) -> bool:
        """Tell whether the database and the table in it exist."""
        return self._ask(exists_sql(self.database, table)) == ["1"]

    def create_database(self) -> None:
        """Create the database unless it exists, and use it from now on."""
        self._run(f"CREATE DATABASE IF NOT EXISTS `{self.database}`")
        self._run(f"USE `{self.database}`")

    def execute(self, sql: str) -> None:
        """Run a statement without a result."""
        self._run(sql)

    def insert(self, table: str, columns: Mapping[str, Values], timeout_seconds: float | None = None) -> None:
        """Insert columns of equal length, and return when the rows are in place.

        With a time-out of its own it waits no longer than that for its turn: a query may take minutes.

        Measured: an Arrow stream costs 2.6 ms a call and as much a row as chDB's table function Python(), which costs
        5.4 ms a call and finds its data by the name of a variable.
        """
        names = ", ".join(columns)
        batch = pa.record_batch({name: pa.array(values) for name, values in columns.items()})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        with self._folder.turn(timeout_seconds) as left:
            self._alive()
            limit = self.insert_timeout_seconds if left is None else left
            settings = rendered(self.capability.for_insert(limit))
            try:
                with self._session.send_insert(
                    f"INSERT INTO {table} ({names}) SETTINGS {settings}", "ArrowStream"
                ) as out:
                    out.append(sink.getvalue().to_pybytes())
                    out.finish()
            except Exception as error:
                raise _error(error) from error

    def select(self, sql: str) -> pa.Table:
        """Return the result of a query of ours."""
        result = self._run(sql, "Arrow")
        return pa.ipc.open_file(pa.py_buffer(result.bytes())).read_all() if result.size() else pa.table({})

    def analyse(self, sql: str) -> pa.Table:
        """Return the result of one read-only statement of an analyst; raises Poison when chDB refuses it."""
        statement = read_only_statement(sql)
        try:  # Parquet, since chDB's Arrow gives instants as bare numbers
            result = self._run(f"{statement}\nSETTINGS readonly = 1", "Parquet")
        except Invariant as error:
            raise Poison("bad_sql", str(error)) from error
        return pq.read_table(pa.BufferReader(result.bytes())) if result.size() else pa.table({})

    def close(self) -> None:
        """Close the session, and let the folder go with the last one; further calls raise Invariant."""
        with self._folder.calls:
            if self._closed:
                return
            self._closed = True
            self._session.close()
        self._folder.released()

    def _select_settings(self) -> dict[str, Setting]:
        o = self._options
        return self._capability.for_select(o.query_timeout_seconds, o.query_memory_bytes_max, o.query_threads_max)

    def _alive(self) -> None:
        if self._closed:
            raise Invariant("this warehouse is closed")

    def _run(self, sql: str, form: str = "CSV") -> Any:
        with self._folder.calls:
            self._alive()
            try:
                return self._session.query(sql, form)
            except Exception as error:
                raise _error(error) from error

    def _ask(self, sql: str) -> list[str]:
        return str(self._run(sql, "TSV").data()).splitlines()


def _error(error: BaseException) -> StratometerError:
    text = str(error)
    found = _CODE.search(text)
    return server_error(int(found.group(1)) if found else 0, text)
